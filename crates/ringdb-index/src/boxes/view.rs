//! Borrowed boxes, whose size was checked once.
//!
//! Invariant: a `Boxes` holds every line that its frame asks for and an id for each row, so that what follows
//! needs no checks of its own. Whether an id is one of a row is seen when it is used.

use std::fmt;
use std::ops::Range;

use super::frame::{BLOCK_ROWS, BoxFrame, FAN};
use crate::code::{LINE, Line, TILE_ROWS};
use crate::error::{Error, Result};

/// The boxes of a set of rows, borrowed from wherever they lie.
///
/// They must be what [`arrange`](crate::arrange) made of these rows.
#[derive(Clone, Copy)]
pub struct Boxes<'a> {
    frame: BoxFrame,
    lines: &'a [Line],
    order: &'a [[u8; 4]],
}

impl<'a> Boxes<'a> {
    /// Views the bytes that [`arrange`](crate::arrange) wrote, of whose head `frame` was
    /// [read](BoxFrame::read).
    ///
    /// # Errors
    /// [`Error::NotOfTheseRows`] with a number of bytes if it is not the one that the frame asks for.
    pub fn new(frame: BoxFrame, blocks: &'a [u8], order: &'a [u8]) -> Result<Self> {
        for (what, found, expected) in [
            ("bytes of blocks", blocks.len(), frame.blocks_bytes()),
            ("bytes of the order", order.len(), frame.order_bytes()),
        ] {
            if found != expected {
                let value = found as u64;
                return Err(Error::NotOfTheseRows { what, value });
            }
        }
        let (lines, _) = blocks.as_chunks::<LINE>();
        let (order, _) = order.as_chunks::<4>();
        Ok(Self {
            frame,
            lines,
            order,
        })
    }

    /// The size of what they were made of.
    #[must_use]
    pub fn frame(&self) -> &BoxFrame {
        &self.frame
    }

    /// Where the lines of a group of sixteen boxes lie, and how many boxes there are in it.
    pub(crate) fn group(&self, level: usize, group: usize) -> (Range<usize>, usize) {
        let first = self.frame.first_box_line(level) + self.frame.box_lines(group);
        let left = self.frame.boxes(level) - group * FAN;
        (first..first + self.frame.box_lines(1), left.min(FAN))
    }

    /// Where the lines of the rows of a block lie.
    pub(crate) fn block(&self, block: usize) -> Range<usize> {
        let rows = self.frame.rows_of_box(0, block);
        let first = self.frame.first_row_line();
        let tiles = rows.start / TILE_ROWS..rows.end.div_ceil(TILE_ROWS);
        let [start, end] = [tiles.start, tiles.end].map(|it| first + self.frame.row_lines(it));
        start..end
    }

    /// The blocks of rows in some places, which are whole blocks.
    pub(crate) fn blocks_of(&self, places: &Range<usize>) -> Range<usize> {
        places.start / BLOCK_ROWS..places.end.div_ceil(BLOCK_ROWS)
    }

    pub(crate) fn lines(&self, lines: Range<usize>) -> &'a [Line] {
        &self.lines[lines]
    }

    /// The ids of rows by their places.
    pub(crate) fn order(&self, places: Range<usize>) -> &'a [[u8; 4]] {
        &self.order[places]
    }
}

/// Where in the bytes of blocks lines lie.
pub(crate) fn line_bytes(lines: &Range<usize>) -> Range<usize> {
    lines.start * LINE..lines.end * LINE
}

impl fmt::Debug for Boxes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Boxes")
            .field("rows", &self.frame.rows())
            .field("dims", &self.frame.dims())
            .field("block_rows", &BLOCK_ROWS)
            .finish()
    }
}
