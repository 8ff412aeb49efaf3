//! A segment: rows, and codes if there are any.
//!
//! Invariant: the codes of a segment are as many as its rows and have as many dims. It borrows
//! everything and computes nothing.

use crate::code::Codes;
use crate::error::{Error, Result};
use crate::rows::Rows;

/// What a search looks through.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    rows: Rows<'a>,
    codes: Option<Codes<'a>>,
}

impl<'a> Segment<'a> {
    /// Rows without codes: a search reads all of them.
    #[must_use]
    pub fn new(rows: Rows<'a>) -> Self {
        Self { rows, codes: None }
    }

    /// Rows with the codes that [`encode`](crate::encode) made of them.
    ///
    /// # Errors
    /// [`Error::InvalidCodes`] if they are the codes of more or fewer rows, or of other dims.
    pub fn with_codes(rows: Rows<'a>, codes: Codes<'a>) -> Result<Self> {
        let frame = codes.frame();
        for (what, found, expected) in [
            ("dims of codes", frame.dims(), rows.dims()),
            ("rows of codes", frame.rows(), rows.len()),
        ] {
            if found != expected {
                let value = found as u64;
                return Err(Error::InvalidCodes { what, value });
            }
        }
        let codes = Some(codes);
        Ok(Self { rows, codes })
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> Rows<'a> {
        self.rows
    }

    /// Whether there are codes.
    #[must_use]
    pub fn has_codes(&self) -> bool {
        self.codes.is_some()
    }

    pub(crate) fn codes(&self) -> Option<Codes<'a>> {
        self.codes
    }
}
