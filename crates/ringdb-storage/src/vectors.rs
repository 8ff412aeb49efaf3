//! Rows of f32 as one slice, in memory or mapped.
//!
//! In memory they lie in a single page-aligned allocation; on disk behind a header, so 64 bytes into a
//! page-aligned map. Either way a row is `dims` consecutive numbers and row `i` begins at `i * dims`.
//! What numbers may stand there is not this layer's business, but whoever knows can say so once, as a
//! [`RowCheck`].

use std::fmt;
use std::ops::Range;
use std::path::Path;

use crate::body::{Body, Verify};
use crate::contents::{Access, MappedFile};
use crate::count::counted;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::footer::{BLOCK_BYTES, Frame};
use crate::header::HEADER_BYTES;
use crate::layout::Kind;
use crate::limits::{DIMS_MAX, ROWS_MAX};
use crate::mapped::{GrowingMemory, as_bytes, as_f32s};
use crate::row_copy::RowCopy;

/// Says where in a slice of coordinates the first one stands that no row may have, if there is one, and
/// what is wrong with it.
pub type RowCheck = fn(&[f32]) -> Option<(usize, String)>;

/// Rows of `dims` coordinates each, in order of insertion.
pub struct Vectors {
    rows: Rows,
    dims: usize,
    len: usize,
}

enum Rows {
    Memory(GrowingMemory),
    File(Body, Option<RowCheck>),
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
                let what = format!("{value} {what}: {min} to {max} are possible");
                Error::corrupt(path, at, what)
            };
            usize::try_from(value)
                .ok()
                .filter(|_| (min..=max).contains(&value))
                .ok_or_else(wrong)
        };
        Ok(Self {
            dims: within(dims, "dims", 1, DIMS_MAX as u64)?,
            len: within(rows, "rows", 0, ROWS_MAX)?,
        })
    }

    /// Checks that `bytes` bytes of rows, found in the file `path` from byte `at` on, are as many as
    /// this takes.
    fn expect_bytes(self, path: &Path, at: u64, bytes: usize) -> Result<()> {
        let Self { dims, len } = self;
        // Cannot overflow: 2^32 rows of 2^16 coordinates of 4 bytes are 2^50 bytes.
        let expected = len as u64 * dims as u64 * size_of::<f32>() as u64;
        if bytes as u64 == expected {
            return Ok(());
        }
        let what = format!(
            "{} for {} of {}, not {expected}",
            counted(bytes as u64, "byte"),
            counted(len as u64, "row"),
            counted(dims as u64, "dim"),
        );
        Err(Error::corrupt(path, at, what))
    }
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

    /// Rows in a file that is nothing but rows: no checksums are known, so `check` looks at once, unless
    /// nothing is to be verified.
    pub(crate) fn bare(
        file: MappedFile,
        shape: Shape,
        check: Option<RowCheck>,
        verify: Verify,
    ) -> Result<Self> {
        shape.expect_bytes(file.path(), 0, file.bytes().len())?;
        let body = Body::unchecked(file, 0);
        if verify != Verify::Never {
            look(&body, check, shape.dims, 0, body.bytes())?;
        }
        Ok(Self::over(body, shape, check))
    }

    /// Opens the row file `path` and checks of it what `verify` says.
    pub(crate) fn open(
        disk: &dyn Disk,
        path: &Path,
        access: Access,
        verify: Verify,
        check: Option<RowCheck>,
    ) -> Result<(Self, Frame)> {
        let (mut body, frame) = Body::open(disk, path, Kind::Vectors, access, verify)?;
        let header = &frame.header;
        let shape = Shape::check(path, (12, u64::from(header.detail)), (40, header.count))?;
        shape.expect_bytes(path, HEADER_BYTES as u64, body.bytes().len())?;
        frame.expect_plain(path)?;
        if verify == Verify::Open {
            body.check_all(&|at, block| look(&body, check, shape.dims, at, block))?;
            body.settle();
        }
        Ok((Self::over(body, shape, check), frame))
    }

    fn over(body: Body, Shape { dims, len }: Shape, check: Option<RowCheck>) -> Self {
        let rows = Rows::File(body, check);
        Self { rows, dims, len }
    }

    /// The file was renamed: errors are about `path` from now on.
    pub(crate) fn renamed(&mut self, path: &Path) {
        if let Rows::File(body, _) = &mut self.rows {
            body.renamed(path);
        }
    }

    /// Checks the rows of `rows` that were not checked before: the checksums of the blocks of the file
    /// that they lie in, and their coordinates by the [`RowCheck`] that was given at opening. A range that
    /// reaches past the last row is cut there.
    ///
    /// # Errors
    /// [`Error::Corrupt`]. Nothing is checked, and nothing found, in memory and under
    /// [`Verify::Never`].
    pub fn verify(&self, rows: Range<usize>) -> Result<()> {
        let Rows::File(body, check) = &self.rows else {
            return Ok(());
        };
        let row_bytes = self.dims * size_of::<f32>();
        let [start, end] = [rows.start, rows.end].map(|row| row.min(self.len) * row_bytes);
        body.check(start..end, &|at, block| {
            look(body, *check, self.dims, at, block)
        })
    }

    /// All coordinates, row-major: `len() * dims()` numbers. Under [`Verify::Lazy`] they may not have
    /// been checked: see [`Self::verify`].
    #[must_use]
    pub fn as_slice(&self) -> &[f32] {
        let bytes = match &self.rows {
            Rows::Memory(memory) => memory.bytes(),
            Rows::File(body, _) => body.bytes(),
        };
        // Whole numbers, as their length was checked, and aligned: a body begins 64 bytes into a page.
        as_f32s(bytes).unwrap_or_default()
    }

    /// Row `id`: `dims()` coordinates, checked.
    ///
    /// # Errors
    /// [`Error::IdOutOfRange`], [`Error::Corrupt`] if its block is damaged and that was not found when
    /// the file was opened.
    pub fn row(&self, id: u32) -> Result<&[f32]> {
        let row = id as usize;
        let out_of_range = Error::IdOutOfRange { id, len: self.len };
        if row >= self.len {
            return Err(out_of_range);
        }
        self.verify(row..row + 1)?;
        let start = row * self.dims;
        let row = self.as_slice().get(start..start + self.dims);
        row.ok_or(out_of_range)
    }

    /// The checksums of the blocks of a file that was opened under [`Verify::Lazy`], for [`Self::copy_row`].
    pub(crate) fn sums(&self) -> Result<Vec<u32>> {
        let Rows::File(body, _) = &self.rows else {
            return Ok(Vec::new());
        };
        let changed = || body.corrupt(0, "the table of its checksums changed since it was opened");
        body.table().ok_or_else(changed)
    }

    /// As [`Self::row`] of rows in a file, in a copy that fits these checksums: a mapped file may read otherwise
    /// the next time.
    pub(crate) fn copy_row<'a>(
        &self,
        id: u32,
        sums: &[u32],
        copy: &'a mut RowCopy,
    ) -> Result<&'a [f32]> {
        let out_of_range = || Error::IdOutOfRange { id, len: self.len };
        let Rows::File(body, check) = &self.rows else {
            return Err(out_of_range());
        };
        if id as usize >= self.len {
            return Err(out_of_range());
        }
        let row_bytes = self.dims * size_of::<f32>();
        let start = id as usize * row_bytes;
        let copied = copy.row(start..start + row_bytes, |block| {
            body.block(block).zip(sums.get(block).copied())
        });
        let row = copied.map_err(|block| {
            let what = "it does not fit its checksum: damaged, or changed while it was copied";
            body.corrupt(block * BLOCK_BYTES, what)
        })?;
        look(body, *check, self.dims, start, as_bytes(row))?;
        Ok(row)
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

/// The first coordinate that `check` does not let pass among those that begin at byte `at` of a body: the
/// byte at which it stands, and what is wrong with it.
pub(crate) fn objection(
    check: RowCheck,
    dims: usize,
    at: usize,
    bytes: &[u8],
) -> Option<(usize, String)> {
    let (index, what) = as_f32s(bytes).and_then(check)?;
    let index = at / size_of::<f32>() + index;
    let (row, coordinate) = (index / dims, index % dims);
    let what = format!("coordinate {coordinate} of row {row} {what}");
    Some((index * size_of::<f32>(), what))
}

/// Holds the coordinates at byte `at` of `body` to `check`, if there is one.
fn look(body: &Body, check: Option<RowCheck>, dims: usize, at: usize, bytes: &[u8]) -> Result<()> {
    match check.and_then(|check| objection(check, dims, at, bytes)) {
        Some((at, what)) => Err(body.corrupt(at, what)),
        None => Ok(()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{VECTORS, segment_name};
    use crate::payload::PayloadCodec;
    use crate::writer::SegmentWriter;

    #[test]
    fn rows_of_a_renamed_file_are_damaged_under_its_new_name() {
        let dir = tempfile::tempdir().unwrap();
        let codec = PayloadCodec::Bincode;
        let mut writer = SegmentWriter::in_directory(dir.path(), false, 1, codec).unwrap();
        writer.push(&[1.0], ()).unwrap();
        writer.finish().unwrap();
        let path = dir.path().join(segment_name(1)).join(VECTORS);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[HEADER_BYTES] ^= 1;
        std::fs::write(&path, bytes).unwrap();

        let disk = crate::disk::real();
        let (mut rows, _) = Vectors::open(&*disk, &path, Access::Map, Verify::Lazy, None).unwrap();
        rows.renamed(Path::new("new"));
        let error = rows.row(0).unwrap_err();
        assert!(
            matches!(&error, Error::Corrupt { path, .. } if path == Path::new("new")),
            "{error}"
        );
    }
}
