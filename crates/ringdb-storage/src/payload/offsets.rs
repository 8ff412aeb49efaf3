//! Where the record of each payload begins and ends: `n + 1` byte offsets, 8 bytes a payload.
//!
//! Invariant: the first is 0, none is below the one before it, the last is the length of the records.
//! First and last are checked when the table is opened; the others then or, under `Verify::Lazy`, as
//! pairs when they are used. So a lookup cannot reach outside.

use std::ops::Range;
use std::path::Path;

use crate::body::{Body, Verify};
use crate::contents::Access;
use crate::count::counted;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::footer::Frame;
use crate::layout::Kind;
use crate::limits::ROWS_MAX;
use crate::mapped::as_u64s;

/// A table of offsets.
#[derive(Debug)]
pub(crate) struct Offsets {
    body: Body,
    len: usize,
    record_bytes: u64,
}

impl Offsets {
    /// Opens the file `path` and checks of it what `verify` says, but not yet its numbers.
    pub(crate) fn open(
        disk: &dyn Disk,
        path: &Path,
        access: Access,
        verify: Verify,
    ) -> Result<(Body, Frame)> {
        let (mut body, frame) = Body::open(disk, path, Kind::Offsets, access, verify)?;
        if verify == Verify::Open {
            body.check_all(&|_, _| Ok(()))?;
            body.settle();
        }
        Ok((body, frame))
    }

    /// The table in `body`, for records of `record_bytes` bytes in all.
    pub(crate) fn over(body: Body, record_bytes: u64, verify: Verify) -> Result<Self> {
        let Some(table) = as_u64s(body.bytes()) else {
            let what = format!(
                "{}, not a whole number of offsets",
                counted(body.bytes().len() as u64, "byte")
            );
            return Err(body.corrupt(0, what));
        };
        let Some(last) = table.len().checked_sub(1) else {
            return Err(body.corrupt(0, "no offsets: even an empty store has one"));
        };
        if last as u64 > ROWS_MAX {
            let what = format!("offsets of {last} payloads: {ROWS_MAX} are possible");
            return Err(body.corrupt(0, what));
        }
        // Both are used below, so their blocks are checked as those of any offsets.
        for index in [0, last] {
            body.checked(8 * index..8 * index + 8)?;
        }
        if table.first() != Some(&0) {
            let what = format!("the first offset is {}, not 0", table.first().unwrap_or(&0));
            return Err(body.corrupt(0, what));
        }
        if table.last() != Some(&record_bytes) {
            let last_offset = table.last().unwrap_or(&0);
            let what = format!(
                "the last offset is {last_offset}, of payloads there are {}",
                counted(record_bytes, "byte")
            );
            return Err(body.corrupt(8 * last, what));
        }
        if verify == Verify::Open
            && let Some(index) = table.windows(2).position(|pair| pair.first() > pair.last())
        {
            return Err(descending(&body, index + 1));
        }
        Ok(Self {
            len: last,
            body,
            record_bytes,
        })
    }

    /// As [`MappedFile::renamed`](crate::MappedFile).
    pub(crate) fn renamed(&mut self, path: &Path) {
        self.body.renamed(path);
    }

    /// Number of payloads.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The bytes of the record of payload `id`.
    pub(crate) fn range(&self, id: u32) -> Result<Range<usize>> {
        let index = id as usize;
        if index >= self.len {
            return Err(Error::IdOutOfRange { id, len: self.len });
        }
        let pair = self.body.checked(8 * index..8 * index + 16)?;
        match as_u64s(pair) {
            // In range for usize: the number of bytes is the length of a slice.
            Some(&[start, end]) if start <= end && end <= self.record_bytes => {
                Ok(start as usize..end as usize)
            }
            _ => Err(descending(&self.body, index + 1)),
        }
    }

    /// The numbers as they stand in the file.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.body.bytes()
    }
}

fn descending(body: &Body, index: usize) -> Error {
    body.corrupt(8 * index, out_of_order(index))
}

/// What is wrong with offset `index` where it cannot be the end of a record.
pub(crate) fn out_of_order(index: usize) -> String {
    let before = index.saturating_sub(1);
    format!("offset {index} is below offset {before} or past the payloads")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contents::MappedFile;
    use crate::mapped::{Bytes, as_bytes};

    fn table(offsets: &[u64]) -> Body {
        let bytes = as_bytes(offsets);
        let copy = Bytes::filled(bytes.len(), |copy| {
            copy.copy_from_slice(bytes);
            Ok(())
        });
        Body::unchecked(MappedFile::of(copy.unwrap(), Path::new("o")), 0)
    }

    #[test]
    fn a_broken_table_is_named_by_byte() {
        for (offsets, record_bytes, finding) in [
            (
                &[][..],
                0,
                "byte 0: no offsets: even an empty store has one",
            ),
            (&[1, 1], 1, "byte 0: the first offset is 1, not 0"),
            (&[0, 5, 4, 9], 9, "byte 16: offset 2 is below offset 1"),
            (
                &[0, 7],
                6,
                "byte 8: the last offset is 7, of payloads there are 6 bytes",
            ),
        ] {
            let error = Offsets::over(table(offsets), record_bytes, Verify::Open).unwrap_err();
            let expected = format!("o is corrupt at {finding}");
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
    }

    #[test]
    fn pairs_that_were_not_checked_at_opening_are_checked_at_use() {
        let offsets = Offsets::over(table(&[0, 5, 4, 99, 9]), 9, Verify::Lazy).unwrap();
        assert_eq!(offsets.range(0).unwrap(), 0..5);
        for id in 1..4 {
            let error = offsets.range(id).unwrap_err();
            assert!(matches!(error, Error::Corrupt { .. }), "{id}: {error}");
        }
    }

    #[test]
    fn ranges_are_those_of_the_table_and_stop_at_its_end() {
        let offsets = Offsets::over(table(&[0, 3, 3, 8]), 8, Verify::Open).unwrap();
        assert_eq!(offsets.range(0).unwrap(), 0..3);
        assert_eq!(offsets.range(1).unwrap(), 3..3);
        assert_eq!(offsets.range(2).unwrap(), 3..8);
        for id in [3, u32::MAX] {
            assert!(matches!(
                offsets.range(id),
                Err(Error::IdOutOfRange { len: 3, .. })
            ));
        }
    }
}
