//! Rows out of a mapped file, copied block by block.
//!
//! Invariant: a row is handed out of a copy, and each block of the copy has the checksum that whoever asks
//! knows of it, and so is what that checksum was made of, whatever becomes of the file meanwhile.

use std::ops::Range;

use crate::footer::BLOCK_BYTES;
use crate::mapped::{as_bytes, as_bytes_mut, as_f32s};

/// The blocks that were copied last: those of one row, and so of its neighbours.
#[derive(Debug, Default)]
pub(crate) struct RowCopy {
    blocks: Range<usize>,
    coordinates: Vec<f32>,
}

impl RowCopy {
    /// The coordinates that lie in `range` of a body, of which `block` tells the bytes of a block and their
    /// checksum; or the first block that does not fit its own.
    pub(crate) fn row<'a>(
        &mut self,
        range: Range<usize>,
        block: impl Fn(usize) -> Option<(&'a [u8], u32)>,
    ) -> Result<&[f32], usize> {
        let Range { start, end } = range;
        let blocks = start / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES);
        if blocks.start < self.blocks.start || self.blocks.end < blocks.end {
            self.copy(blocks, block)?;
        }
        let first = self.blocks.start * BLOCK_BYTES;
        let copied = as_bytes(&self.coordinates).get(start - first..end - first);
        copied.and_then(as_f32s).ok_or(start / BLOCK_BYTES)
    }

    fn copy<'a>(
        &mut self,
        blocks: Range<usize>,
        block: impl Fn(usize) -> Option<(&'a [u8], u32)>,
    ) -> Result<(), usize> {
        // Until all are there, none is.
        self.blocks = 0..0;
        self.coordinates.clear();
        for index in blocks.clone() {
            let (bytes, sum) = block(index).ok_or(index)?;
            let start = size_of::<f32>() * self.coordinates.len();
            let words = bytes.len().div_ceil(size_of::<f32>());
            self.coordinates.resize(self.coordinates.len() + words, 0.0);
            let copy = as_bytes_mut(&mut self.coordinates).get_mut(start..start + bytes.len());
            let copy = copy.ok_or(index)?;
            copy.copy_from_slice(bytes);
            if crc32fast::hash(copy) != sum {
                return Err(index);
            }
        }
        self.blocks = blocks;
        Ok(())
    }
}
