//! The definition of distance, once, in plain code: every kernel and every test is held against
//! this file.
//!
//! Invariant: the value depends on the coordinates alone, never on the processor. Eight lanes each
//! sum the squares of every eighth difference, in order, in `f64`, rounding after each operation; a
//! fixed tree adds the lanes. This file is not fast and does not try to be.
//!
//! What follows from that for at most `2^16` coordinates, all finite `f32`, and what the rest leans
//! on:
//!
//! - **Symmetric.** `x - q` and `q - x` round to opposite numbers, which have the same square; so
//!   `s64(x, q)` and `s64(q, x)` have the same bits.
//! - **Zero exactly where equal.** Distinct `f32` differ by at least `2^-149`, a difference that
//!   `f64` cannot round to zero, and its square, at least `2^-298`, is a normal `f64`; terms are
//!   never negative, so a sum with one positive term is positive.
//! - **No overflow, no underflow.** A difference is below `2^129`, its square at most `2^258`, and
//!   `2^16` of them add up to at most `2^274`: `s64` is zero or in `[2^-298, 2^274]`.
//! - **Monotone.** Raising any `|x_i - q_i|` never lowers the result: every rounding is monotone
//!   and every operation after the difference is increasing in non-negative arguments.
//! - **Zeros are free.** Appending equal coordinates to both vectors adds `+0` to non-negative
//!   lanes and changes no bit.

use std::hint::black_box;

use crate::error::{Error, Result};

/// Sum of the squared differences of two vectors: the square of [`distance`], before the root is
/// rounded.
///
/// With `s_l` the sum of lane `l`, that is of coordinates `l`, `l + 8`, `l + 16` and so on, the
/// result is `((s_0 + s_4) + (s_2 + s_6)) + ((s_1 + s_5) + (s_3 + s_7))`.
///
/// # Panics
/// If the vectors differ in length.
#[must_use]
pub fn s64(x: &[f32], q: &[f32]) -> f64 {
    assert_eq!(
        x.len(),
        q.len(),
        "vectors of different dimension have no distance"
    );
    let (x_blocks, x_tail) = x.as_chunks::<8>();
    let (q_blocks, q_tail) = q.as_chunks::<8>();
    let mut s = [0.0_f64; 8];
    for (x_block, q_block) in x_blocks.iter().zip(q_blocks) {
        add_squares(&mut s, x_block, q_block);
    }
    add_squares(&mut s, x_tail, q_tail);
    ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}

/// Euclidean distance between two vectors: the root of [`s64`], correctly rounded.
///
/// # Panics
/// If the vectors differ in length.
#[must_use]
pub fn distance(x: &[f32], q: &[f32]) -> f64 {
    s64(x, q).sqrt()
}

/// Checks that the calling thread rounds to nearest and computes with subnormal numbers, as the
/// definition assumes.
///
/// A host program may have told the processor otherwise. Then two vectors that differ by a subnormal
/// amount could be at distance zero, and sums would have other bits; so every search makes this check
/// on each thread that computes. It costs a few instructions.
///
/// # Errors
/// [`Error::FloatEnvironment`] if subnormal inputs or results are flushed, or rounding is directed.
pub fn check_environment() -> Result<()> {
    let input_kept = f64::from(black_box(f32::from_bits(1))).to_bits() != 0;
    let result_kept = (black_box(f64::MIN_POSITIVE) * black_box(0.5)).to_bits() != 0;
    // A quarter of the last place of 1 is dropped by rounding to nearest, on either side of zero, and
    // three quarters count as one.
    let quarter = black_box(f64::EPSILON / 4.0);
    let three_quarters = black_box(0.75 * f64::EPSILON);
    let not_up = black_box(1.0) + quarter == 1.0;
    let not_down = black_box(-1.0) - quarter == -1.0;
    let not_toward_zero = black_box(1.0) + three_quarters == 1.0 + f64::EPSILON;
    if input_kept && result_kept && not_up && not_down && not_toward_zero {
        Ok(())
    } else {
        Err(Error::FloatEnvironment)
    }
}

fn add_squares(sums: &mut [f64; 8], x: &[f32], q: &[f32]) {
    for (sum, (&x, &q)) in sums.iter_mut().zip(x.iter().zip(q)) {
        let difference = f64::from(x) - f64::from(q);
        *sum += difference * difference;
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::num::f32::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    const SEED: u64 = 0x4449_5354;

    /// Two vectors of the same length, of any finite coordinates.
    fn pair() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
        let finite = POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO;
        vec((finite, finite), 1..70).prop_map(|pairs| pairs.into_iter().unzip())
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(SEED), cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn symmetric((x, q) in pair()) {
            prop_assert_eq!(s64(&x, &q).to_bits(), s64(&q, &x).to_bits());
        }

        #[test]
        fn within_the_stated_range((x, q) in pair()) {
            let s = s64(&x, &q);
            prop_assert!(s == 0.0 || (2.0_f64.powi(-298)..=2.0_f64.powi(274)).contains(&s), "{s:?}");
        }

        #[test]
        fn zero_exactly_where_equal((x, q) in pair(), at in any::<prop::sample::Index>()) {
            prop_assert_eq!(s64(&x, &x).to_bits(), 0);
            prop_assert_eq!(s64(&x, &q) == 0.0, x == q);
            let mut near = x.clone();
            let at = at.index(x.len());
            near[at] = if x[at] > 0.0 { x[at].next_down() } else { x[at].next_up() };
            prop_assert!(s64(&x, &near) > 0.0);
        }

        #[test]
        fn monotone_in_every_difference((x, q) in pair(), at in any::<prop::sample::Index>(), other in NORMAL | SUBNORMAL | ZERO) {
            let at = at.index(x.len());
            let mut moved = x.clone();
            moved[at] = other;
            let farther = (f64::from(other) - f64::from(q[at])).abs() >= (f64::from(x[at]) - f64::from(q[at])).abs();
            let (before, after) = (s64(&x, &q), s64(&moved, &q));
            let (smaller, larger) = if farther { (before, after) } else { (after, before) };
            prop_assert!(smaller <= larger);
        }

        #[test]
        fn padding_with_equal_coordinates_changes_no_bit((x, q) in pair(), padding in 1_usize..20) {
            let pad = |v: &[f32]| [v, &vec![0.0; padding]].concat();
            prop_assert_eq!(s64(&x, &q).to_bits(), s64(&pad(&x), &pad(&q)).to_bits());
        }

        /// The lanes and the tree, against the formula written out without blocks.
        #[test]
        fn lanes_and_tree_as_stated((x, q) in pair()) {
            let lane = |l: usize| {
                let squares = x.iter().zip(&q).skip(l).step_by(8).map(|(&x, &q)| (f64::from(x) - f64::from(q)).powi(2));
                squares.fold(0.0, |sum, square| sum + square)
            };
            let even = (lane(0) + lane(4)) + (lane(2) + lane(6));
            let odd = (lane(1) + lane(5)) + (lane(3) + lane(7));
            prop_assert_eq!(s64(&x, &q).to_bits(), (even + odd).to_bits());
        }
    }

    #[test]
    fn extremes_at_the_largest_dimension() {
        let (low, high) = (vec![-f32::MAX; 1 << 16], vec![f32::MAX; 1 << 16]);
        let s = s64(&low, &high);
        assert!(s > 2.0_f64.powi(273) && s <= 2.0_f64.powi(274), "{s:?}");
        assert_eq!(s64(&[f32::from_bits(1)], &[0.0]), 2.0_f64.powi(-298));
        assert_eq!(distance(&[f32::from_bits(1)], &[0.0]), 2.0_f64.powi(-149));
    }

    #[test]
    fn three_dimensions_by_hand() {
        assert_eq!(distance(&[1.0, 2.0, 3.0], &[3.0, 5.0, 9.0]), 7.0);
    }

    #[test]
    #[should_panic(expected = "different dimension")]
    fn different_lengths_have_no_distance() {
        let _ = s64(&[1.0], &[1.0, 2.0]);
    }

    #[test]
    fn this_environment_keeps_subnormals() {
        assert_eq!(check_environment(), Ok(()));
    }
}
