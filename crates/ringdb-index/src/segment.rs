//! A segment: rows, and codes, prefixes and boxes if there are any.
//!
//! Invariant: codes, prefixes and boxes are of as many rows with as many dims, and there is no prefix without
//! codes, whose frame it shares; a filter names no rows that do not exist. It borrows everything and computes nothing.

use crate::boxes::Boxes;
use crate::code::Codes;
use crate::error::{Error, Result};
use crate::prefix::Prefix;
use crate::row_set::RowSet;
use crate::rows::Rows;

/// What a search looks through.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    rows: Rows<'a>,
    codes: Option<Codes<'a>>,
    prefix: Option<Prefix<'a>>,
    boxes: Option<Boxes<'a>>,
    filter: Option<&'a RowSet>,
}

impl<'a> Segment<'a> {
    /// Rows without codes: a search reads all of them.
    #[must_use]
    pub fn new(rows: Rows<'a>) -> Self {
        Self {
            rows,
            codes: None,
            prefix: None,
            boxes: None,
            filter: None,
        }
    }

    /// Rows with the codes that [`encode`](crate::encode) made of them.
    ///
    /// # Errors
    /// [`Error::NotOfTheseRows`] if they are the codes of more or fewer rows, or of other dims.
    pub fn with_codes(rows: Rows<'a>, codes: Codes<'a>) -> Result<Self> {
        let frame = codes.frame();
        check_equal("dims of codes", frame.dims(), rows.dims())?;
        check_equal("rows of codes", frame.rows(), rows.len())?;
        Ok(Self {
            rows,
            codes: Some(codes),
            prefix: None,
            boxes: None,
            filter: None,
        })
    }

    /// The same with the prefixes that [`encode`](crate::encode) made together with the codes. Without codes
    /// they are of no use, and are passed over.
    ///
    /// # Errors
    /// [`Error::NotOfTheseRows`] if they are the prefixes of more or fewer rows, or of other dims.
    pub fn and_prefix(self, prefix: Prefix<'a>) -> Result<Self> {
        let frame = prefix.frame();
        check_equal("dims of prefixes", frame.dims(), self.rows.dims())?;
        check_equal("rows of prefixes", frame.rows(), self.rows.len())?;
        let prefix = self.codes.map(|_| prefix);
        Ok(Self { prefix, ..self })
    }

    /// The same with the boxes that [`arrange`](crate::arrange) made of these rows.
    ///
    /// # Errors
    /// [`Error::NotOfTheseRows`] if they are the boxes of more or fewer rows, or of other dims.
    pub fn and_boxes(self, boxes: Boxes<'a>) -> Result<Self> {
        let frame = boxes.frame();
        check_equal("dims of blocks", frame.dims(), self.rows.dims())?;
        check_equal("rows of blocks", frame.rows(), self.rows.len())?;
        let boxes = Some(boxes);
        Ok(Self { boxes, ..self })
    }

    /// The same, of which only the rows of `filter` are found. Of several filters the last one counts. Of sixteen neighbours
    /// that are not allowed, a search of one query without boxes reads nothing.
    ///
    /// ```
    /// use ringdb_index::{Kernel, Ring, RowSet, Rows, Segment, Trusted, search};
    ///
    /// let rows = Rows::new(&[0.0, 1.0, 2.0, 3.0], 1)?;
    /// let filter = RowSet::deny([0]);
    /// let segment = Segment::new(rows).only(&filter)?;
    /// let (ids, _) = search(segment, &[0.0], &Ring::within(2.0)?, Kernel::fastest(), &Trusted)?;
    /// assert_eq!(ids, [1, 2]);
    /// # Ok::<(), ringdb_index::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::IdOutOfRange`] with the largest id of the filter if no row has it.
    pub fn only(self, filter: &'a RowSet) -> Result<Self> {
        let len = self.rows.len();
        match filter.largest() {
            Some(id) if id as usize >= len => Err(Error::IdOutOfRange { id, len }),
            _ => Ok(Self {
                filter: Some(filter),
                ..self
            }),
        }
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

    /// Whether there are prefixes.
    #[must_use]
    pub fn has_prefix(&self) -> bool {
        self.prefix.is_some()
    }

    /// Whether there are boxes.
    #[must_use]
    pub fn has_boxes(&self) -> bool {
        self.boxes.is_some()
    }

    pub(crate) fn boxes(&self) -> Option<Boxes<'a>> {
        self.boxes
    }

    pub(crate) fn filter(&self) -> Option<&'a RowSet> {
        self.filter
    }

    pub(crate) fn codes(&self) -> Option<Codes<'a>> {
        self.codes
    }

    pub(crate) fn prefix(&self) -> Option<Prefix<'a>> {
        self.prefix
    }
}

fn check_equal(what: &'static str, found: usize, expected: usize) -> Result<()> {
    let value = found as u64;
    match found == expected {
        true => Ok(()),
        false => Err(Error::NotOfTheseRows { what, value }),
    }
}
