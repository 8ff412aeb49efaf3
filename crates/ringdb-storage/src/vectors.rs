//! Rows of f32 as one slice, in memory or mapped.
//!
//! In memory they lie in a single page-aligned allocation; on disk behind a header, so 64 bytes into a
//! page-aligned map. Either way a row is `dims` consecutive numbers and row `i` begins at `i * dims`.
//! Whether the coordinates are finite is not this layer's business.

use std::fmt;
use std::path::Path;

use crate::error::{Error, Result};
use crate::header::{HEADER_BYTES, Header, Kind};
use crate::limits::{DIMS_MAX, ROWS_MAX};
use crate::mapped::{GrowingMemory, MappedFile, as_f32s};

/// Rows of `dims` coordinates each, in order of insertion.
pub struct Vectors {
    rows: Rows,
    dims: usize,
    len: usize,
}

/// Numbers of coordinates and rows that are within the limits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    dims: usize,
    len: usize,
}

impl Shape {
    /// Checks two numbers that stand at the given bytes of the file `path`.
    pub(crate) fn check(path: &Path, dims: (u64, u64), rows: (u64, u64)) -> Result<Self> {
        let within = |(at, value): (u64, u64), what: &str, min: u64, max: u64| {
            let wrong = || {
                Error::corrupt(
                    path,
                    at,
                    format!("{value} {what}: {min} to {max} are possible"),
                )
            };
            usize::try_from(value)
                .ok()
                .filter(|_| (min..=max).contains(&value))
                .ok_or_else(wrong)
        };
        let dims = within(dims, "dims", 1, DIMS_MAX as u64)?;
        Ok(Self {
            dims,
            len: within(rows, "rows", 0, ROWS_MAX)?,
        })
    }
}

enum Rows {
    Memory(GrowingMemory),
    /// A map that shows the coordinates alone, and where they begin in the file.
    Mapped(MappedFile, u64),
}

impl Vectors {
    /// Whole rows that were gathered in memory.
    pub(crate) fn in_memory(memory: GrowingMemory, dims: usize) -> Self {
        let len = memory.bytes().len() / (dims * size_of::<f32>());
        Self {
            rows: Rows::Memory(memory),
            dims,
            len,
        }
    }

    /// Rows in a file; `file` shows their numbers alone, which begin at byte `at` of the file.
    pub(crate) fn mapped(file: MappedFile, at: u64, Shape { dims, len }: Shape) -> Result<Self> {
        // Cannot overflow: 2^32 rows of 2^16 coordinates of 4 bytes are 2^50 bytes.
        let expected = len as u64 * dims as u64 * size_of::<f32>() as u64;
        let found = file.bytes().len() as u64;
        if found != expected || as_f32s(file.bytes()).is_none() {
            let what = format!("{found} bytes of rows, {len} rows of {dims} dims take {expected}");
            return Err(Error::corrupt(file.path(), at, what));
        }
        Ok(Self {
            rows: Rows::Mapped(file, at),
            dims,
            len,
        })
    }

    /// Opens the row file `path` and checks everything about it.
    pub(crate) fn open(path: &Path) -> Result<(Self, Header, u32)> {
        let file = MappedFile::open(path)?;
        let (header, crc) = file.checked_header(Kind::Vectors)?;
        let shape = Shape::check(path, (12, u64::from(header.detail)), (40, header.count))?;
        let vectors = Self::mapped(file.behind(HEADER_BYTES), HEADER_BYTES as u64, shape)?;
        Ok((vectors, header, crc))
    }

    /// All coordinates, row-major: `len() * dims()` numbers.
    #[must_use]
    pub fn as_slice(&self) -> &[f32] {
        let bytes = match &self.rows {
            Rows::Memory(memory) => memory.bytes(),
            Rows::Mapped(file, _) => file.bytes(),
        };
        // Whole and aligned: checked when the value was made.
        as_f32s(bytes).unwrap_or_default()
    }

    /// Row `id`: `dims()` coordinates.
    ///
    /// # Errors
    /// [`Error::IdOutOfRange`].
    pub fn row(&self, id: u32) -> Result<&[f32]> {
        let start = id as usize * self.dims;
        let row = self.as_slice().get(start..start + self.dims);
        row.ok_or(Error::IdOutOfRange { id, len: self.len })
    }

    /// A finding about coordinate `index` of [`Self::as_slice`] as an error that names its place: for
    /// readers who know what numbers may stand there.
    #[must_use]
    pub fn corrupt_at(&self, index: usize, what: String) -> Error {
        let bytes = (index * size_of::<f32>()) as u64;
        match &self.rows {
            Rows::Memory(_) => Error::corrupt(Path::new("rows in memory"), bytes, what),
            Rows::Mapped(file, at) => Error::corrupt(file.path(), at + bytes, what),
        }
    }

    /// Coordinates per row.
    #[must_use]
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl fmt::Debug for Vectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Vectors");
        debug
            .field("len", &self.len)
            .field("dims", &self.dims)
            .finish_non_exhaustive()
    }
}
