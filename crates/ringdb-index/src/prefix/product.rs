//! Rows times a matrix, in `f64`: how rows and queries are rotated, and how a rotation is found.
//!
//! Invariant: each number of the result is one chain of products and sums in the order of the inner index, each
//! rounded once and none fused, so that every instruction set gives the same bits. The kernels compile this one
//! function for themselves.

/// Columns whose sums are under way at once, and
const COLUMNS: usize = 16;

/// rows likewise: together as many sums as fit the registers of the widest instruction set.
const ROWS: usize = 4;

/// Writes `left` (rows of `inner` numbers) times `right` (`inner` rows of `width` numbers, a multiple of 16)
/// to `result` (rows of `width` numbers).
#[inline(always)]
pub(crate) fn product(left: &[f64], inner: usize, right: &[f32], width: usize, result: &mut [f64]) {
    // A few columns of the matrix stay near while all rows pass over them.
    for column in (0..width).step_by(COLUMNS) {
        let lefts = left.chunks(ROWS * inner);
        for (left, result) in lefts.zip(result.chunks_mut(ROWS * width)) {
            let row = |r: usize| &left[r * inner..][..inner];
            if left.len() == ROWS * inner {
                let rows = [row(0), row(1), row(2), row(3)];
                let sums = sums(rows, right, width, column);
                for (sums, result) in sums.iter().zip(result.chunks_mut(width)) {
                    result[column..column + COLUMNS].copy_from_slice(sums);
                }
            } else {
                for (r, result) in result.chunks_mut(width).enumerate() {
                    let [sums] = sums([row(r)], right, width, column);
                    result[column..column + COLUMNS].copy_from_slice(&sums);
                }
            }
        }
    }
}

/// Some columns of the product of some rows.
#[inline(always)]
fn sums<const N: usize>(
    rows: [&[f64]; N],
    right: &[f32],
    width: usize,
    column: usize,
) -> [[f64; COLUMNS]; N] {
    let mut sums = [[0.0; COLUMNS]; N];
    for (i, right) in right.chunks_exact(width).enumerate() {
        let Some(factors) = right[column..].first_chunk::<COLUMNS>() else {
            return sums;
        };
        for (sums, row) in sums.iter_mut().zip(rows) {
            let left = row[i];
            for (sum, &factor) in sums.iter_mut().zip(factors) {
                *sum += left * f64::from(factor);
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_is_that_of_the_schoolbook() {
        let (inner, width) = (3, 32);
        for rows in [1, 3, 4, 9] {
            let left: Vec<f64> = (0..rows * inner).map(|i| i as f64 - 5.0).collect();
            let right: Vec<f32> = (0..inner * width).map(|i| (i % 7) as f32 - 3.0).collect();
            let mut result = vec![f64::NAN; rows * width];
            product(&left, inner, &right, width, &mut result);
            for r in 0..rows {
                for w in 0..width {
                    let terms =
                        (0..inner).map(|i| left[r * inner + i] * f64::from(right[i * width + w]));
                    assert_eq!(result[r * width + w], terms.sum::<f64>(), "{r}, {w}");
                }
            }
        }
    }
}
