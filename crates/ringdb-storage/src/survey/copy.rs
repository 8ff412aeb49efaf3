//! Rows out of a damaged file, copied block by block.
//!
//! Invariant: a row is handed out of a copy, and each block of the copy has the checksum that the block had
//! when the file was looked at. What changes in a mapped file after that gets into no other one.

use std::ops::Range;

use super::file::{FileSurvey, State};
use crate::footer::BLOCK_BYTES;
use crate::mapped::{as_bytes, as_bytes_mut, as_f32s};

/// The blocks that were copied last: those of one row, and so of its neighbours.
#[derive(Debug, Default)]
pub(crate) struct RowCopy {
    blocks: Range<usize>,
    coordinates: Vec<f32>,
}

impl RowCopy {
    /// The coordinates that lie in `range` of the body of `file`, or why they are not proven.
    pub(crate) fn row(&mut self, file: &FileSurvey, range: Range<u64>) -> Result<&[f32], State> {
        match file.state(range.clone()) {
            State::Whole => {}
            state => return Err(state),
        }
        // In range for usize: the bytes are there.
        let (start, end) = (range.start as usize, range.end as usize);
        let blocks = start / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES);
        if blocks.start < self.blocks.start || self.blocks.end < blocks.end {
            self.copy(file, blocks)?;
        }
        let first = self.blocks.start * BLOCK_BYTES;
        let copied = as_bytes(&self.coordinates).get(start - first..end - first);
        copied.and_then(as_f32s).ok_or(State::Missing)
    }

    fn copy(&mut self, file: &FileSurvey, blocks: Range<usize>) -> Result<(), State> {
        // Until all are there, none is.
        self.blocks = 0..0;
        self.coordinates.clear();
        for block in blocks.clone() {
            let (bytes, sum) = file.whole_block(block).ok_or(State::Damaged)?;
            let start = size_of::<f32>() * self.coordinates.len();
            let words = bytes.len().div_ceil(size_of::<f32>());
            self.coordinates.resize(self.coordinates.len() + words, 0.0);
            let copy = as_bytes_mut(&mut self.coordinates).get_mut(start..start + bytes.len());
            let copy = copy.ok_or(State::Missing)?;
            copy.copy_from_slice(bytes);
            if crc32fast::hash(copy) != sum {
                return Err(State::Damaged);
            }
        }
        self.blocks = blocks;
        Ok(())
    }
}
