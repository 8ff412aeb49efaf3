//! Reads vectors out of .npy files, row by row from a map.
//!
//! Invariant: an [`Npy`] has exactly the bytes that its shape needs, so that reading a row cannot fail.
//! Whether coordinates are finite is checked by who takes them.

use std::io::{self, ErrorKind};
use std::path::Path;

use half::f16;
use npyz::{DType, NpyHeader, Order};
use ringdb::{MappedFile, StorageError};

use crate::error::Error;
use crate::text::one_line;

/// Why a file's array cannot be used. What is quoted of its header can do a terminal no harm.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NpyError {
    #[error("it is no .npy file")]
    Magic,
    #[error("its header cannot be read: {what}")]
    Header { what: String },
    #[error("its header is not that of an array of two dimensions")]
    HeaderSize,
    #[error("its elements are {found}, ringdb reads '<f4' and '<f2' (little-endian f32 and f16)")]
    Element { found: String },
    #[error("its shape is {found:?}, ringdb reads arrays of two dimensions: vectors, coordinates")]
    Shape { found: Vec<u64> },
    #[error("its shape is {found:?}: its vectors have 0 coordinates, ringdb needs at least 1")]
    NoCoordinates { found: Vec<u64> },
    #[error("it is in Fortran order, ringdb reads C order: one vector after the other")]
    Order,
    #[error(
        "{rows} x {dims} elements need {expected} bytes behind the header, but there are {found}"
    )]
    Length {
        rows: u64,
        dims: u64,
        expected: u128,
        found: usize,
    },
}

/// A two-dimensional array over the bytes of its file.
#[derive(Debug)]
pub(crate) struct Npy<'a> {
    rows: usize,
    dims: usize,
    element: Element,
    data: &'a [u8],
}

#[derive(Debug, Clone, Copy)]
enum Element {
    F32,
    F16,
}

/// What every .npy file begins with.
const MAGIC: &[u8] = b"\x93NUMPY";

/// Bytes of header text read at most; numpy writes 118 for such an array.
const HEADER_BYTES_MAX: usize = 1024;

/// Digits in a header at most: ten for the rows, five for the dims and one for the element leave four.
/// Numbers with so few digits in all have a product below 2^64, which the parser relies on.
const HEADER_DIGITS_MAX: usize = 20;

/// Maps a file of vectors. It must not be cut while it is read.
pub(crate) fn open(path: &Path) -> Result<MappedFile, Error> {
    MappedFile::open(path).map_err(|error| match error {
        StorageError::Corrupt { path, .. } => Error::NotAFile { path },
        error => Error::Map(error),
    })
}

impl<'a> Npy<'a> {
    /// Reads the header of a whole file.
    pub(crate) fn parse(path: &Path, bytes: &'a [u8]) -> Result<Self, Error> {
        Self::of(bytes).map_err(|source| Error::Npy {
            path: path.into(),
            source,
        })
    }

    fn of(bytes: &'a [u8]) -> Result<Self, NpyError> {
        check_header_size(bytes)?;
        let mut data = bytes;
        let header = NpyHeader::from_reader(&mut data).map_err(unreadable)?;
        let element = element(&header.dtype())?;
        let (rows, dims) = match *header.shape() {
            [rows, 0] => {
                return Err(NpyError::NoCoordinates {
                    found: vec![rows, 0],
                });
            }
            [rows, dims] => (rows, dims),
            ref shape => {
                return Err(NpyError::Shape {
                    found: shape.to_vec(),
                });
            }
        };
        // With one row or one coordinate the two orders are the same.
        if header.order() == Order::Fortran && rows > 1 && dims > 1 {
            return Err(NpyError::Order);
        }
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

    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    pub(crate) fn dims(&self) -> usize {
        self.dims
    }

    /// Calls `each` with every row and its number, in order, until it fails. One row is in memory at a
    /// time.
    pub(crate) fn for_each_row<E>(
        &self,
        mut each: impl FnMut(usize, &[f32]) -> Result<(), E>,
    ) -> Result<(), E> {
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

impl Element {
    fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }
}

fn element(dtype: &DType) -> Result<Element, NpyError> {
    let found = dtype.descr();
    match found.as_str() {
        "'<f4'" => Ok(Element::F32),
        "'<f2'" => Ok(Element::F16),
        _ => Err(NpyError::Element {
            found: one_line(found.as_bytes(), None),
        }),
    }
}

/// What the parser says about a header, as part of a message: it quotes the header and draws a mark below
/// the place, over several lines.
fn unreadable(error: io::Error) -> NpyError {
    let what = match error.kind() {
        ErrorKind::UnexpectedEof => CUT.into(),
        _ => one_line(error.to_string().as_bytes(), None),
    };
    NpyError::Header {
        what: what.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

const CUT: &str = "the file ends within it";

/// Refuses what is no .npy file, and headers that the parser should not see: it recurses as deep as
/// brackets nest and multiplies the shape unchecked.
fn check_header_size(bytes: &[u8]) -> Result<(), NpyError> {
    let behind_magic = bytes.strip_prefix(MAGIC).ok_or(NpyError::Magic)?;
    // The version, and the length in two bytes (version 1) or four. What is shorter or has another
    // version is told apart by the parser, but not a file without a version.
    let (length, text) = match *behind_magic {
        [] | [_] => return Err(NpyError::Header { what: CUT.into() }),
        [1, _, a, b, ref text @ ..] => (u32::from_le_bytes([a, b, 0, 0]), text),
        [_, _, a, b, c, d, ref text @ ..] => (u32::from_le_bytes([a, b, c, d]), text),
        _ => return Ok(()),
    };
    if length as usize > HEADER_BYTES_MAX {
        return Err(NpyError::HeaderSize);
    }
    let text = text.iter().take(length as usize);
    match text.filter(|byte| byte.is_ascii_digit()).count() {
        0..=HEADER_DIGITS_MAX => Ok(()),
        _ => Err(NpyError::HeaderSize),
    }
}
