//! Borrowed codes, whose sizes were checked once.
//!
//! Invariant: a `Codes` holds a whole tile for every sixteen rows and a whole row of fine codes for every
//! row, so that what follows needs no checks of its own. Nothing is computed here.

use std::fmt;
use std::ops::Range;

use crate::code::frame::CodeFrame;
use crate::code::layout::{LINE, Line, fine_stride, tile_bytes};
use crate::error::{Error, Result};

/// The codes of a set of rows, borrowed from wherever they lie.
///
/// They must be what [`encode`](crate::encode) made of these rows. Codes of other rows of the same
/// number and dims cannot be told apart here, and a search with them finds wrong rows; storage keeps
/// them together.
#[derive(Clone, Copy)]
pub struct Codes<'a> {
    frame: &'a CodeFrame,
    tiles: &'a [Line],
    fine: &'a [u8],
}

impl<'a> Codes<'a> {
    /// Views the bytes that [`encode`](crate::encode) wrote: first the codes with their head, of which
    /// `frame` was [read](CodeFrame::read), then the fine codes.
    ///
    /// # Errors
    /// [`Error::NotOfTheseRows`] with the number of bytes if it is not the one that the frame asks for.
    pub fn new(frame: &'a CodeFrame, codes: &'a [u8], fine: &'a [u8]) -> Result<Self> {
        let check = |what, found: usize, expected: usize| {
            let value = found as u64;
            (found == expected)
                .then_some(())
                .ok_or(Error::NotOfTheseRows { what, value })
        };
        check("bytes of codes", codes.len(), frame.codes_bytes())?;
        check("bytes of fine codes", fine.len(), frame.fine_bytes())?;
        let (tiles, _) = codes[CodeFrame::head_bytes(frame.dims())..].as_chunks::<LINE>();
        Ok(Self { frame, tiles, fine })
    }

    /// The frame of the codes.
    #[must_use]
    pub fn frame(&self) -> &'a CodeFrame {
        self.frame
    }

    /// The lines of consecutive tiles.
    pub(crate) fn tiles(&self, tiles: Range<usize>) -> &'a [Line] {
        let lines = tile_bytes(self.frame.dims()) / LINE;
        &self.tiles[tiles.start * lines..tiles.end * lines]
    }

    /// Where in the codes consecutive tiles lie.
    pub(crate) fn tile_bytes(&self, tiles: Range<usize>) -> Range<usize> {
        let dims = self.frame.dims();
        let (head, bytes) = (CodeFrame::head_bytes(dims), tile_bytes(dims));
        head + tiles.start * bytes..head + tiles.end * bytes
    }

    /// The fine codes of consecutive rows.
    pub(crate) fn fine(&self, rows: Range<usize>) -> &'a [u8] {
        &self.fine[self.fine_bytes(rows)]
    }

    /// Where in the fine codes those of consecutive rows lie.
    pub(crate) fn fine_bytes(&self, rows: Range<usize>) -> Range<usize> {
        let stride = fine_stride(self.frame.dims());
        rows.start * stride..rows.end * stride
    }
}

impl fmt::Debug for Codes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codes")
            .field("rows", &self.frame.rows())
            .field("dims", &self.frame.dims())
            .finish()
    }
}
