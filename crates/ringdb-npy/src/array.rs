//! The numbers of an array, row by row.
//!
//! Invariant: an [`Npy`] has exactly the bytes that its shape needs, so that reading a row cannot fail.

use half::f16;

use crate::error::NpyError;
use crate::header::{self, Element, Header};

/// A two-dimensional array of numbers over the bytes of a .npy file: rows are vectors.
#[derive(Debug, Clone, Copy)]
pub struct Npy<'a> {
    rows: usize,
    dims: usize,
    element: Element,
    data: &'a [u8],
}

impl<'a> Npy<'a> {
    /// Reads the header of a whole file; of the numbers only how many bytes they take.
    ///
    /// # Errors
    /// Every [`NpyError`]: for what is no .npy file, for a header that cannot be read, for an array that
    /// is none of vectors of f32 or f16, and for more or fewer bytes than its shape needs.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, NpyError> {
        let (header, data) = header::read(bytes)?;
        let Header {
            rows,
            dims,
            element,
        } = header;
        let found = data.len();
        let expected = u128::from(rows) * u128::from(dims) * element.bytes() as u128;
        let length = || NpyError::Length {
            rows,
            dims,
            expected,
            found,
        };
        if expected != found as u128 {
            return Err(length());
        }
        Ok(Self {
            rows: usize::try_from(rows).map_err(|_| length())?,
            dims: usize::try_from(dims).map_err(|_| length())?,
            element,
            data,
        })
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The number of coordinates of each row, at least 1. An array without rows may claim any.
    #[must_use]
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// The type of the numbers in the file.
    #[must_use]
    pub fn element(&self) -> Element {
        self.element
    }

    /// Calls `each` with every row and its number, in order, until it fails. One row is in memory at a
    /// time, copied out of the bytes, which may lie anywhere.
    ///
    /// # Errors
    /// The first one of `each`.
    pub fn for_each_row<E>(
        &self,
        mut each: impl FnMut(usize, &[f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        // The dims of no rows are a claim that no byte stands for.
        if self.is_empty() {
            return Ok(());
        }
        let mut row = Vec::with_capacity(self.dims);
        let chunks = self.data.chunks_exact(self.dims * self.element.bytes());
        for (number, chunk) in chunks.enumerate() {
            row.clear();
            match self.element {
                Element::F32 => {
                    let numbers = chunk.as_chunks().0.iter();
                    row.extend(numbers.map(|&bytes| f32::from_le_bytes(bytes)));
                }
                Element::F16 => {
                    let numbers = chunk.as_chunks().0.iter();
                    row.extend(numbers.map(|&bytes| f16::from_le_bytes(bytes).to_f32()));
                }
            }
            each(number, &row)?;
        }
        Ok(())
    }
}
