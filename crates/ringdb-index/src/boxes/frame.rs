//! Where the bytes of blocks lie. All numbers are little-endian.
//!
//! Rows are put in an order in which neighbours are near each other, and every [`BLOCK_ROWS`] of them are a
//! block. Each block has a box, every sixteen boxes have a box around them, and so on until at most sixteen
//! are left. After a head of 64 bytes come the levels of boxes, the one with the fewest first, and then the
//! rows, all in lines of 64 bytes:
//!
//! | part | holds |
//! |---|---|
//! | head | form (u32, 1), dims (u32), number of rows (u64), zeros |
//! | sixteen boxes | a line for each dim with their lower bounds (f32), then one for each dim with the upper ones |
//! | sixteen rows | a line for each dim with their coordinates (f32) |
//!
//! What stands for boxes and rows beyond the last is zero, and never looked at. Apart from these bytes stands
//! the order: the id of each row in it, u32.

use std::ops::Range;

use crate::code::{LINE, TILE_ROWS};
use crate::error::{Error, Result};
use crate::rows::ROWS_MAX;

/// The most coordinates a row may have for boxes: with more, rows of real data are near a bound in almost every
/// box.
pub const BOX_DIMS_MAX: usize = 12;

/// Groups of sixteen rows in a block.
pub(crate) const BLOCK_TILES: usize = 4;

/// Rows of a block.
pub(crate) const BLOCK_ROWS: usize = BLOCK_TILES * TILE_ROWS;

/// Boxes that have one around them.
pub(super) const FAN: usize = TILE_ROWS;

/// Levels of boxes of [`ROWS_MAX`] rows.
const LEVELS_MAX: usize = 7;

/// Blocks within a box of a level.
fn fan(level: usize) -> usize {
    1 << (FAN.trailing_zeros() * level as u32)
}

/// The form of the bytes that this library writes.
const FORM: u32 = 1;

/// The size of a set of rows, and what follows from it for their blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoxFrame {
    rows: usize,
    dims: usize,
    levels: usize,
    /// The line at which the boxes of each level begin.
    first_box_lines: [usize; LEVELS_MAX],
    first_row_line: usize,
}

impl BoxFrame {
    /// Bytes of the head.
    pub const HEAD_BYTES: usize = LINE;

    /// Of so many rows.
    ///
    /// # Errors
    /// [`Error::InvalidDims`] unless `1 <= dims <= BOX_DIMS_MAX`; [`Error::TooManyRows`].
    pub fn new(rows: usize, dims: usize) -> Result<Self> {
        if !(1..=BOX_DIMS_MAX).contains(&dims) {
            let max = BOX_DIMS_MAX;
            return Err(Error::InvalidDims { dims, max });
        }
        if rows > ROWS_MAX {
            let max = ROWS_MAX;
            return Err(Error::TooManyRows { rows, max });
        }
        let mut frame = Self {
            rows,
            dims,
            levels: 1,
            first_box_lines: [0; LEVELS_MAX],
            first_row_line: 0,
        };
        while frame.boxes(frame.levels - 1) > FAN {
            frame.levels += 1;
        }
        let mut line = Self::HEAD_BYTES / LINE;
        for level in (0..frame.levels).rev() {
            frame.first_box_lines[level] = line;
            line += frame.box_lines(frame.boxes(level).div_ceil(FAN));
        }
        frame.first_row_line = line;
        Ok(frame)
    }

    /// Reads the head of blocks of so many rows. `None` if they have a form that this library does not know:
    /// searches then do without them.
    ///
    /// # Errors
    /// [`Error::NotOfTheseRows`] if they are the blocks of other rows.
    pub fn read(blocks: &[u8], rows: usize, dims: usize) -> Result<Option<Self>> {
        let invalid = |what, value| Error::NotOfTheseRows { what, value };
        let too_short = || invalid("bytes of blocks", blocks.len() as u64);
        let form = blocks.first_chunk::<4>().ok_or_else(too_short)?;
        if u32::from_le_bytes(*form) != FORM {
            return Ok(None);
        }
        let head = blocks.first_chunk::<LINE>().ok_or_else(too_short)?;
        let (words, _) = head.as_chunks::<4>();
        let word = |at: usize| u32::from_le_bytes(words[at]);
        let count = u64::from(word(2)) | u64::from(word(3)) << 32;
        if word(1) as usize != dims {
            return Err(invalid("dims of blocks", word(1).into()));
        }
        if count != rows as u64 {
            return Err(invalid("rows of blocks", count));
        }
        Self::new(rows, dims).map(Some)
    }

    /// The head, as [`Self::read`] reads it.
    #[must_use]
    pub fn head(&self) -> Vec<u8> {
        let mut head = FORM.to_le_bytes().to_vec();
        head.extend_from_slice(&(self.dims as u32).to_le_bytes());
        head.extend_from_slice(&(self.rows as u64).to_le_bytes());
        head.resize(Self::HEAD_BYTES, 0);
        head
    }

    /// Bytes of blocks, head included.
    #[must_use]
    pub fn blocks_bytes(&self) -> usize {
        LINE * (self.first_row_line + self.row_lines(self.rows.div_ceil(TILE_ROWS)))
    }

    /// Bytes of the order.
    #[must_use]
    pub fn order_bytes(&self) -> usize {
        size_of::<u32>() * self.rows
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Coordinates per row.
    #[must_use]
    pub fn dims(&self) -> usize {
        self.dims
    }

    pub(crate) fn blocks(&self) -> usize {
        self.rows.div_ceil(BLOCK_ROWS)
    }

    /// Boxes of a level; those of level 0 are around blocks.
    pub(super) fn boxes(&self, level: usize) -> usize {
        self.blocks().div_ceil(fan(level))
    }

    /// How many levels there are: the last one is the first with at most sixteen boxes.
    pub(crate) fn levels(&self) -> usize {
        self.levels
    }

    /// Rows within a box.
    pub(crate) fn rows_of_box(&self, level: usize, index: usize) -> Range<usize> {
        let rows = BLOCK_ROWS * fan(level);
        // Where usize has 32 bits, the place behind the last box may be more than it holds.
        let place = |index: usize| self.rows.min(index.saturating_mul(rows));
        let [first, end] = [index, index + 1].map(place);
        first..end
    }

    /// Lines of so many groups of sixteen rows.
    pub(crate) fn row_lines(&self, tiles: usize) -> usize {
        tiles * self.dims
    }

    /// Lines of so many groups of sixteen boxes.
    pub(crate) fn box_lines(&self, groups: usize) -> usize {
        2 * groups * self.dims
    }

    /// The line at which the boxes of a level begin.
    pub(crate) fn first_box_line(&self, level: usize) -> usize {
        self.first_box_lines[level]
    }

    /// The line at which rows begin.
    pub(crate) fn first_row_line(&self) -> usize {
        self.first_row_line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_end_with_at_most_sixteen_boxes() {
        for (rows, levels) in [
            (0, 1),
            (1, 1),
            (1024, 1),
            (1025, 2),
            (16_384, 2),
            (16_385, 3),
            (10_000_000, 5),
            (ROWS_MAX, 7),
        ] {
            let frame = BoxFrame::new(rows, 3).unwrap();
            assert_eq!(frame.levels(), levels, "{rows}");
            let top = levels - 1;
            assert!(frame.boxes(top) <= FAN);
            assert_eq!(frame.first_box_line(top), 1);
            assert_eq!(frame.rows_of_box(top, frame.boxes(top)), rows..rows);
            for level in 0..top {
                let groups = frame.boxes(level + 1).div_ceil(FAN);
                let expected = frame.first_box_line(level + 1) + 6 * groups;
                assert_eq!(frame.first_box_line(level), expected);
                assert_eq!(frame.boxes(level).div_ceil(FAN), frame.boxes(level + 1));
            }
        }
    }

    #[test]
    fn a_head_comes_back_and_no_other_is_taken_for_it() {
        let frame = BoxFrame::new(70_000, 3).unwrap();
        let head = frame.head();
        assert_eq!(head.len(), BoxFrame::HEAD_BYTES);
        assert_eq!(BoxFrame::read(&head, 70_000, 3), Ok(Some(frame)));
        let invalid = |what, value| Err(Error::NotOfTheseRows { what, value });
        assert_eq!(
            BoxFrame::read(&head, 70_001, 3),
            invalid("rows of blocks", 70_000)
        );
        assert_eq!(
            BoxFrame::read(&head, 70_000, 2),
            invalid("dims of blocks", 3)
        );
        assert_eq!(
            BoxFrame::read(&head[..63], 70_000, 3),
            invalid("bytes of blocks", 63)
        );
        assert_eq!(
            BoxFrame::read(&[], 70_000, 3),
            invalid("bytes of blocks", 0)
        );
        let newer = [2, 0, 0, 0];
        assert_eq!(BoxFrame::read(&newer, 70_000, 3), Ok(None));
        for dims in [0, 13] {
            let max = BOX_DIMS_MAX;
            assert_eq!(
                BoxFrame::new(1, dims),
                Err(Error::InvalidDims { dims, max })
            );
        }
    }
}
