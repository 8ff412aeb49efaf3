//! Borrowed prefixes, whose size was checked once.
//!
//! Invariant: a `Prefix` holds a whole tile for every sixteen rows, so that what follows needs no checks of
//! its own. Nothing is computed here.

use std::fmt;
use std::ops::Range;

use crate::code::{LINE, Line};
use crate::error::{Error, Result};
use crate::prefix::frame::PrefixFrame;

/// The prefixes of a set of rows, borrowed from wherever they lie.
///
/// They must be what [`encode`](crate::encode) made of these rows, together with their
/// [`Codes`](crate::Codes).
#[derive(Clone, Copy)]
pub struct Prefix<'a> {
    frame: &'a PrefixFrame,
    tiles: &'a [Line],
}

impl<'a> Prefix<'a> {
    /// Views the bytes that [`encode`](crate::encode) wrote, of whose head `frame` was
    /// [read](PrefixFrame::read).
    ///
    /// # Errors
    /// [`Error::NotOfTheseRows`] with the number of bytes if it is not the one that the frame asks for.
    pub fn new(frame: &'a PrefixFrame, prefixes: &'a [u8]) -> Result<Self> {
        if prefixes.len() != frame.bytes() {
            let value = prefixes.len() as u64;
            let what = "bytes of prefixes";
            return Err(Error::NotOfTheseRows { what, value });
        }
        let (tiles, _) = prefixes[frame.head_bytes()..].as_chunks::<LINE>();
        Ok(Self { frame, tiles })
    }

    /// What they were made with.
    #[must_use]
    pub fn frame(&self) -> &'a PrefixFrame {
        self.frame
    }

    /// The lines of consecutive tiles.
    pub(crate) fn tiles(&self, tiles: Range<usize>) -> &'a [Line] {
        let lines = self.frame.tile_lines();
        &self.tiles[tiles.start * lines..tiles.end * lines]
    }

    /// Where in the prefixes consecutive tiles lie.
    pub(crate) fn tile_bytes(&self, tiles: Range<usize>) -> Range<usize> {
        let (head, bytes) = (self.frame.head_bytes(), self.frame.tile_bytes());
        head + tiles.start * bytes..head + tiles.end * bytes
    }
}

impl fmt::Debug for Prefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prefix")
            .field("rows", &self.frame.rows())
            .field("dims", &self.frame.dims())
            .field("kept", &self.frame.kept())
            .finish()
    }
}
