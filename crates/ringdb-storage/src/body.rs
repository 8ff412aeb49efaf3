//! The body of a file, and what of it has been checked.
//!
//! Invariant: a block that was found whole once is not looked at again, and none is handed out by
//! [`Body::checked`] before. How much is checked when a file is opened is [`Verify`].

use std::num::NonZero;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::contents::{Access, MappedFile};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::footer::{self, BLOCK_BYTES, Frame, check_block};
use crate::layout::Kind;

/// When the checksums of blocks are compared. Headers, footers, lengths and MANIFEST always are, when a
/// database is opened, and a payload's own checksum whenever it is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// All of them, when the database is opened.
    #[default]
    Open,
    /// Each before its block is used for the first time: opening takes no longer for a large database.
    Lazy,
    /// None. Damage may change answers unnoticed; [`verify`](crate::verify) finds it.
    Never,
}

/// The bytes between header and table, or those of a file that has neither.
#[derive(Debug)]
pub(crate) struct Body {
    file: MappedFile,
    part: Range<usize>,
    blocks: Option<Blocks>,
}

/// The table of checksums, and a bit for each block that was found whole.
#[derive(Debug)]
struct Blocks {
    table: Range<usize>,
    /// The checksum of the file, and that of its header, as they were when it was opened.
    crcs: [u32; 2],
    seen: Vec<AtomicU64>,
}

/// Looks at the bytes of a block that was found whole, which begin at a byte of the body.
pub(crate) type Look<'a> = &'a (dyn Fn(usize, &[u8]) -> Result<()> + Sync);

impl Body {
    /// Opens `path`, a file of `kind`. No block is checked yet; with [`Verify::Never`], none will be.
    pub(crate) fn open(
        disk: &dyn Disk,
        path: &Path,
        kind: Kind,
        access: Access,
        verify: Verify,
    ) -> Result<(Self, Frame)> {
        let file = MappedFile::open_on(disk, path, access)?;
        let frame = Frame::parse(path, kind, file.bytes())?;
        let blocks = frame.body.len().div_ceil(BLOCK_BYTES);
        let blocks = (verify != Verify::Never).then(|| Blocks {
            table: frame.table.clone(),
            crcs: [frame.crc, frame.header.encode().1],
            seen: (0..blocks.div_ceil(64))
                .map(|_| AtomicU64::new(0))
                .collect(),
        });
        let part = frame.body.clone();
        Ok((Self { file, part, blocks }, frame))
    }

    /// The bytes of a file from `start` on, of which no checksums are known.
    pub(crate) fn unchecked(file: MappedFile, start: usize) -> Self {
        let part = start.min(file.bytes().len())..file.bytes().len();
        Self {
            file,
            part,
            blocks: None,
        }
    }

    /// All bytes, whether they were checked or not.
    pub(crate) fn bytes(&self) -> &[u8] {
        // In bounds: `part` was found within the file.
        self.file.bytes().get(self.part.clone()).unwrap_or_default()
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// As [`MappedFile::renamed`].
    pub(crate) fn renamed(&mut self, path: &Path) {
        self.file.renamed(path);
    }

    /// A finding at byte `at` of the body.
    pub(crate) fn corrupt(&self, at: usize, what: impl Into<String>) -> Error {
        Error::corrupt(self.path(), (self.part.start + at) as u64, what)
    }

    /// Bytes of the body whose blocks are whole; a range that reaches past the end is cut there.
    pub(crate) fn checked(&self, range: Range<usize>) -> Result<&[u8]> {
        self.check(range.clone(), &|_, _| Ok(()))?;
        let end = range.end.min(self.part.len());
        Ok(self.bytes().get(range.start..end).unwrap_or_default())
    }

    /// A copy of the table, if it and all that stands for the file are what they were when it was opened. For
    /// files without a note.
    pub(crate) fn table(&self) -> Option<Vec<u32>> {
        let Blocks { table, crcs, .. } = self.blocks.as_ref()?;
        let (entries, _) = self.file.bytes().get(table.clone())?.as_chunks();
        let table: Vec<u32> = entries.iter().map(|it| u32::from_le_bytes(*it)).collect();
        let [crc, header_crc] = *crcs;
        (footer::encode(&table, "", header_crc).1 == crc).then_some(table)
    }

    /// The bytes of a block, checked or not.
    pub(crate) fn block(&self, index: usize) -> Option<&[u8]> {
        let start = index * BLOCK_BYTES;
        self.bytes()
            .get(start..self.part.len().min(start + BLOCK_BYTES))
    }

    /// Checks the blocks of `range` that were not checked before, and shows each to `look`.
    pub(crate) fn check(&self, range: Range<usize>, look: Look<'_>) -> Result<()> {
        let Some(Blocks { table, seen, .. }) = &self.blocks else {
            return Ok(());
        };
        let end = range.end.min(self.part.len());
        if range.start >= end {
            return Ok(());
        }
        for block in range.start / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES) {
            let Some(word) = seen.get(block / 64) else {
                return Ok(());
            };
            let bit = 1 << (block % 64);
            // Threads that meet at a block check it both, and come to the same result.
            if word.load(Ordering::Acquire) & bit != 0 {
                continue;
            }
            let table = self.file.bytes().get(table.clone()).unwrap_or_default();
            check_block(self.path(), self.bytes(), table, block)?;
            look(block * BLOCK_BYTES, self.block(block).unwrap_or_default())?;
            word.fetch_or(bit, Ordering::Release);
        }
        Ok(())
    }

    /// Forgets the table, after all blocks were checked: no use of them has to ask again.
    pub(crate) fn settle(&mut self) {
        self.blocks = None;
    }

    /// Checks all blocks, on as many threads as the machine has if there are many blocks. Of several
    /// findings the first in the file is returned.
    pub(crate) fn check_all(&self, look: Look<'_>) -> Result<()> {
        if self.blocks.is_none() {
            return Ok(());
        }
        // A finding ends the work behind it, but not that before it.
        let failed_at = AtomicUsize::new(usize::MAX);
        let checks = in_parallel(self.part.len().div_ceil(STEP_BYTES), |step| {
            if step > failed_at.load(Ordering::Relaxed) {
                return Ok(());
            }
            let start = step * STEP_BYTES;
            let check = self.check(start..start + STEP_BYTES, look);
            if check.is_err() {
                failed_at.fetch_min(step, Ordering::Relaxed);
            }
            check
        });
        checks.into_iter().collect()
    }
}

/// The bytes that a thread checks before it takes on more, a whole number of blocks. For fewer a second
/// thread would cost more than it saves: these take less than a millisecond.
pub(crate) const STEP_BYTES: usize = 8 << 20;

/// Does steps `0..steps` on as many threads as the machine has, beginning them in this order, and returns
/// their results in this order.
pub(crate) fn in_parallel<R: Send>(steps: usize, step: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let work = || {
        let taken = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        let taken = taken.take_while(|index| *index < steps);
        taken.map(|index| (index, step(index))).collect::<Vec<_>>()
    };
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut results = std::thread::scope(|scope| {
        // Where no more threads can be had, those that are there do it all.
        let spawn = |_| std::thread::Builder::new().spawn_scoped(scope, work).ok();
        let workers: Vec<_> = (1..threads.min(steps)).map_while(spawn).collect();
        let mut results = work();
        for worker in workers {
            results.extend(worker.join().unwrap_or_else(|panic| {
                std::panic::resume_unwind(panic);
            }));
        }
        results
    });
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_all_done_once_and_their_results_in_order() {
        for steps in [0, 1, 2, 3, 1000] {
            let begun = AtomicUsize::new(0);
            let results = in_parallel(steps, |step| {
                begun.fetch_add(1, Ordering::Relaxed);
                step * step
            });
            assert_eq!(begun.into_inner(), steps);
            let expected: Vec<usize> = (0..steps).map(|step| step * step).collect();
            assert_eq!(results, expected);
        }
    }
}
