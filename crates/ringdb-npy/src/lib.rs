//! Vectors out of .npy bytes: numpy's arrays of two dimensions, checked once and read row by row.
//!
//! The crate knows no file and no path. A large array is best mapped: what is read of it is paged in as
//! the rows go by, and one row is held at a time.
//!
//! ```
//! use ringdb_npy::{Element, Npy, NpyError};
//!
//! # fn main() -> Result<(), NpyError> {
//! // What `numpy.save` writes of `numpy.array([[1, 2], [3, 4]], dtype="<f4")`, without its padding.
//! let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }\n";
//! let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
//! bytes.extend((header.len() as u16).to_le_bytes());
//! bytes.extend(header.as_bytes());
//! bytes.extend([1.0_f32, 2.0, 3.0, 4.0].iter().flat_map(|number| number.to_le_bytes()));
//!
//! let npy = Npy::parse(&bytes)?;
//! assert_eq!((npy.len(), npy.dims(), npy.element()), (2, 2, Element::F32));
//! let mut sums = Vec::new();
//! npy.for_each_row(|number, row| {
//!     assert_eq!(number, sums.len());
//!     sums.push(row.iter().sum::<f32>());
//!     Ok::<(), NpyError>(())
//! })?;
//! assert_eq!(sums, [3.0, 7.0]);
//! # Ok(())
//! # }
//! ```
//!
//! # What is read
//! Versions 1, 2 and 3 of the format; arrays of two dimensions, vectors and coordinates, in C order;
//! elements `'<f4'` and `'<f2'`, little-endian f32 and f16, both handed out as `f32`, which holds every
//! f16. Whether coordinates are finite is for who takes them to check.
//!
//! Everything else is an [`NpyError`] that says what was found. No bytes make this crate panic or keep it
//! busy: headers that could are refused, and memory is reserved for one row, where there is one.

#![deny(missing_docs)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

mod error;
mod header;
mod array;

pub use array::Npy;
pub use error::NpyError;
pub use header::Element;
