//! What stands beside the vectors of a database, as searches use it: here the files that storage keeps become what
//! the index looks at.
//!
//! Invariant: a search with codes or boxes finds what one without them does. Bytes that were not checked at
//! opening are checked before they are read.

use std::ops::Range;

use ringdb_index::{BoxFrame, CodeFrame, Guard, Prefix, PrefixFrame, Rows};
use ringdb_storage::{Derived, PayloadStore, Segment, Vectors};

use crate::error::{Result, RingDbError};

/// The vectors of a database, with their codes and boxes if they have any.
#[derive(Debug)]
pub(crate) struct DerivedVectors {
    pub(crate) vectors: Vectors,
    codes: Option<FittingCodes>,
    boxes: Option<FittingBoxes>,
}

/// Codes of whose frame it was seen that it fits them.
#[derive(Debug)]
struct FittingCodes {
    frame: CodeFrame,
    codes: Derived,
    fine: Derived,
    prefix: Option<FittingPrefix>,
}

/// Prefixes of whose frame it was seen that it fits the vectors.
#[derive(Debug)]
struct FittingPrefix {
    frame: PrefixFrame,
    bytes: Derived,
}

/// Blocks of whose frame it was seen that it fits the vectors.
#[derive(Debug)]
struct FittingBoxes {
    frame: BoxFrame,
    blocks: Derived,
    order: Derived,
}

impl DerivedVectors {
    /// The vectors of a segment with what it has beside them, and its payloads.
    ///
    /// What has a form that this library does not know is passed over.
    pub(crate) fn of<T>(segment: Segment<T>) -> ringdb_storage::Result<(Self, PayloadStore<T>)> {
        let Segment {
            vectors,
            payloads,
            codes,
            fine,
            prefix,
            blocks,
            order,
            ..
        } = segment;
        let codes = match codes.zip(fine) {
            Some((codes, fine)) => FittingCodes::new(&vectors, codes, fine, prefix)?,
            None => None,
        };
        let boxes = match blocks.zip(order) {
            Some((blocks, order)) => FittingBoxes::new(&vectors, blocks, order)?,
            None => None,
        };
        let rows = Self {
            vectors,
            codes,
            boxes,
        };
        Ok((rows, payloads))
    }

    pub(crate) fn has_boxes(&self) -> bool {
        self.boxes.is_some()
    }

    pub(crate) fn has_prefix(&self) -> bool {
        self.codes
            .as_ref()
            .is_some_and(|codes| codes.prefix.is_some())
    }

    pub(crate) fn has_codes(&self) -> bool {
        self.codes.is_some()
    }

    /// The vectors as the index sees them.
    pub(crate) fn rows(&self) -> Result<Rows<'_>> {
        Ok(Rows::new(self.vectors.as_slice(), self.vectors.dims())?)
    }

    /// The same with what stands beside them.
    pub(crate) fn segment(&self) -> Result<ringdb_index::Segment<'_>> {
        let rows = self.rows()?;
        let mut segment = ringdb_index::Segment::new(rows);
        if let Some(fitting) = &self.codes {
            let FittingCodes {
                frame, codes, fine, ..
            } = fitting;
            let codes = ringdb_index::Codes::new(frame, codes.bytes(), fine.bytes())?;
            segment = ringdb_index::Segment::with_codes(rows, codes)?;
            if let Some(FittingPrefix { frame, bytes }) = &fitting.prefix {
                segment = segment.and_prefix(Prefix::new(frame, bytes.bytes())?)?;
            }
        }
        if let Some(fitting) = &self.boxes {
            let FittingBoxes {
                frame,
                blocks,
                order,
            } = fitting;
            let boxes = ringdb_index::Boxes::new(*frame, blocks.bytes(), order.bytes())?;
            segment = segment.and_boxes(boxes)?;
        }
        Ok(segment)
    }
}

impl FittingCodes {
    fn new(
        vectors: &Vectors,
        codes: Derived,
        fine: Derived,
        prefix: Option<Derived>,
    ) -> ringdb_storage::Result<Option<Self>> {
        let (len, dims) = (vectors.len(), vectors.dims());
        codes.verify(0..CodeFrame::head_bytes(dims))?;
        let frame = CodeFrame::read(codes.bytes(), len, dims)
            .map_err(|error| codes.corrupt(error.to_string()))?;
        let Some(frame) = frame else {
            return Ok(None);
        };
        // Now, so that a search cannot fail for it.
        check_len(&codes, "codes", frame.codes_bytes())?;
        check_len(&fine, "fine codes", frame.fine_bytes())?;
        let prefix = match prefix {
            Some(prefix) => FittingPrefix::new(vectors, prefix)?,
            None => None,
        };
        Ok(Some(Self {
            frame,
            codes,
            fine,
            prefix,
        }))
    }
}

impl FittingPrefix {
    fn new(vectors: &Vectors, bytes: Derived) -> ringdb_storage::Result<Option<Self>> {
        let (len, dims) = (vectors.len(), vectors.dims());
        let corrupt = |error: ringdb_index::Error| bytes.corrupt(error.to_string());
        bytes.verify(0..PrefixFrame::FIXED_HEAD_BYTES)?;
        let head_bytes = PrefixFrame::read_head_bytes(bytes.bytes(), len, dims);
        let Some(head_bytes) = head_bytes.map_err(corrupt)? else {
            return Ok(None);
        };
        bytes.verify(0..head_bytes)?;
        let frame = PrefixFrame::read(bytes.bytes(), len, dims).map_err(corrupt)?;
        let Some(frame) = frame else {
            return Ok(None);
        };
        check_len(&bytes, "prefixes", frame.bytes())?;
        Ok(Some(Self { frame, bytes }))
    }
}

impl FittingBoxes {
    fn new(
        vectors: &Vectors,
        blocks: Derived,
        order: Derived,
    ) -> ringdb_storage::Result<Option<Self>> {
        blocks.verify(0..BoxFrame::HEAD_BYTES)?;
        let frame = BoxFrame::read(blocks.bytes(), vectors.len(), vectors.dims())
            .map_err(|error| blocks.corrupt(error.to_string()))?;
        let Some(frame) = frame else {
            return Ok(None);
        };
        check_len(&blocks, "blocks", frame.blocks_bytes())?;
        check_len(&order, "the order", frame.order_bytes())?;
        Ok(Some(Self {
            frame,
            blocks,
            order,
        }))
    }
}

fn check_len(derived: &Derived, what: &str, expected: usize) -> ringdb_storage::Result<()> {
    let found = derived.bytes().len();
    match found == expected {
        true => Ok(()),
        false => Err(derived.corrupt(format!("{found} bytes of {what}, expected {expected}"))),
    }
}

/// Looks at bytes before they are read for the first time, if that was put off at opening.
impl Guard for DerivedVectors {
    type Error = RingDbError;

    fn rows(&self, rows: Range<usize>) -> Result<()> {
        Ok(self.vectors.verify(rows)?)
    }

    fn codes(&self, bytes: Range<usize>) -> Result<()> {
        match &self.codes {
            Some(fitting) => Ok(fitting.codes.verify(bytes)?),
            None => Ok(()),
        }
    }

    fn fine(&self, bytes: Range<usize>) -> Result<()> {
        match &self.codes {
            Some(fitting) => Ok(fitting.fine.verify(bytes)?),
            None => Ok(()),
        }
    }

    fn prefix(&self, bytes: Range<usize>) -> Result<()> {
        let prefix = self.codes.as_ref().and_then(|codes| codes.prefix.as_ref());
        match prefix {
            Some(fitting) => Ok(fitting.bytes.verify(bytes)?),
            None => Ok(()),
        }
    }

    fn blocks(&self, bytes: Range<usize>) -> Result<()> {
        match &self.boxes {
            Some(fitting) => Ok(fitting.blocks.verify(bytes)?),
            None => Ok(()),
        }
    }

    fn order(&self, bytes: Range<usize>) -> Result<()> {
        match &self.boxes {
            Some(fitting) => Ok(fitting.order.verify(bytes)?),
            None => Ok(()),
        }
    }
}
