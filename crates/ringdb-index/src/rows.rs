//! Rows: a flat slice of coordinates seen as equally long vectors.
//!
//! Invariant: a `Rows` has 1 to [`DIMS_MAX`] dims, only whole rows, and no more rows than `u32`
//! ids. It owns no memory and does not look at the coordinates; whether they are finite is the
//! business of whoever adds them, with [`check_finite`].

use std::fmt;
use std::ops::Range;

use crate::error::{Error, Result};

/// The most coordinates a vector may have: the proof that no distance overflows needs a limit, and
/// known embeddings stay far below this one.
pub const DIMS_MAX: usize = 65_536;

/// The most rows one set may have: ids are `u32`, and every id, the end of the range included, has
/// to be one.
pub const ROWS_MAX: usize = u32::MAX as usize;

/// A borrowed, row-major set of vectors; row `id` is coordinates `id * dims .. (id + 1) * dims`.
///
/// The coordinates must be finite, which this type does not check: [`check_finite`] does, once,
/// when rows are added. A search of rows that were not checked is safe, and a row that holds a NaN
/// or an infinity is then in no ring.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    data: &'a [f32],
    dims: usize,
}

impl<'a> Rows<'a> {
    /// Views `data` as rows of `dims` coordinates each; no coordinate is read.
    ///
    /// # Errors
    /// [`Error::InvalidDims`] unless `1 <= dims <= DIMS_MAX`; [`Error::DimensionMismatch`] with the
    /// length of the last row if it is not whole; [`Error::TooManyRows`] beyond [`ROWS_MAX`].
    pub fn new(data: &'a [f32], dims: usize) -> Result<Self> {
        if dims == 0 || dims > DIMS_MAX {
            return Err(Error::InvalidDims {
                dims,
                max: DIMS_MAX,
            });
        }
        let partial = data.len() % dims;
        if partial != 0 {
            return Err(Error::DimensionMismatch {
                expected: dims,
                got: partial,
            });
        }
        check_row_count(data.len() / dims)?;
        Ok(Self { data, dims })
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.data.len() / self.dims
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Coordinates per row.
    #[must_use]
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// The coordinates of one row, or `None` if no row has this id.
    #[must_use]
    pub fn row(&self, id: u32) -> Option<&'a [f32]> {
        let start = usize::try_from(id).ok()?.checked_mul(self.dims)?;
        self.data.get(start..start.checked_add(self.dims)?)
    }

    /// The coordinates of consecutive rows; the range must lie within `0..len()`.
    pub(crate) fn coordinates(&self, ids: Range<usize>) -> &'a [f32] {
        &self.data[ids.start * self.dims..ids.end * self.dims]
    }
}

impl fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows")
            .field("len", &self.len())
            .field("dims", &self.dims)
            .finish()
    }
}

/// The row that stands for number `i` of a sample of `n` of so many rows, spread evenly.
pub(crate) fn sampled(i: usize, n: usize, rows: usize) -> usize {
    // A usize of 32 bits would not hold the product; no more than `rows`.
    (i as u64 * rows as u64 / n as u64) as usize
}

/// Checks that every value is finite, as coordinates of rows and queries must be.
///
/// # Errors
/// [`Error::NotFinite`] with the position of the first value that is NaN or infinite.
pub fn check_finite(values: &[f32]) -> Result<()> {
    // Looking for any bad value in a block vectorises; looking for the first one does not.
    const BLOCK: usize = 256;
    for (block, start) in values.chunks(BLOCK).zip((0..).step_by(BLOCK)) {
        if block
            .iter()
            .fold(true, |all, value| all & value.is_finite())
        {
            continue;
        }
        if let Some(at) = block.iter().position(|value| !value.is_finite()) {
            return Err(Error::NotFinite {
                index: start + at,
                value: block[at],
            });
        }
    }
    Ok(())
}

fn check_row_count(rows: usize) -> Result<()> {
    if rows > ROWS_MAX {
        return Err(Error::TooManyRows {
            rows,
            max: ROWS_MAX,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dims_have_limits() {
        for dims in [0, DIMS_MAX + 1, usize::MAX] {
            assert_eq!(
                Rows::new(&[], dims).err(),
                Some(Error::InvalidDims {
                    dims,
                    max: DIMS_MAX
                })
            );
        }
        for dims in [1, DIMS_MAX] {
            assert!(Rows::new(&[], dims).is_ok_and(|rows| rows.is_empty() && rows.dims() == dims));
        }
    }

    #[test]
    fn a_partial_row_is_refused_with_its_length() {
        assert_eq!(
            Rows::new(&[0.0; 8], 3).err(),
            Some(Error::DimensionMismatch {
                expected: 3,
                got: 2
            })
        );
        assert_eq!(
            Rows::new(&[0.0; 2], 3).err(),
            Some(Error::DimensionMismatch {
                expected: 3,
                got: 2
            })
        );
    }

    #[test]
    fn more_rows_than_ids_are_refused() {
        assert_eq!(check_row_count(ROWS_MAX), Ok(()));
        #[cfg(target_pointer_width = "64")]
        assert_eq!(
            check_row_count(ROWS_MAX + 1),
            Err(Error::TooManyRows {
                rows: ROWS_MAX + 1,
                max: ROWS_MAX
            })
        );
    }

    #[test]
    fn rows_by_id() -> Result<()> {
        let data = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let rows = Rows::new(&data, 2)?;
        assert_eq!((rows.len(), rows.dims(), rows.is_empty()), (3, 2, false));
        assert_eq!(rows.row(2), Some([5.0, 6.0].as_slice()));
        assert_eq!((rows.row(3), rows.row(u32::MAX)), (None, None));
        assert_eq!(format!("{rows:?}"), "Rows { len: 3, dims: 2 }");
        Ok(())
    }

    #[test]
    fn the_first_value_that_is_not_finite_is_named() {
        let mut values = vec![f32::MAX; 1_000];
        assert_eq!(check_finite(&values), Ok(()));
        assert_eq!(check_finite(&[]), Ok(()));
        for at in [999, 512, 255, 0] {
            values[at] = f32::NEG_INFINITY;
            assert_eq!(
                check_finite(&values),
                Err(Error::NotFinite {
                    index: at,
                    value: f32::NEG_INFINITY
                })
            );
        }
        assert!(
            matches!(check_finite(&[0.0, f32::NAN]), Err(Error::NotFinite { index: 1, value }) if value.is_nan())
        );
    }
}
