//! A segment searched by its codes and boxes, as the facade does it: bytes are checked before they are read.

use std::error::Error;
use std::ops::Range;

use ringdb_index::{
    Arranged, BoxFrame, Boxes, CodeFrame, Codes, Encoded, Explain, Guard, Kernel, Prefix,
    PrefixFrame, Ring, Rows, Segment as Searched, arrange, encode, search,
};
use ringdb_storage::{Derived, DerivedWriter, Segment, Vectors};

/// Bytes that were refused, or codes that do not fit.
pub(crate) type Refused = Box<dyn Error + Send + Sync>;

/// Writes the boxes of all rows.
pub(crate) fn derive_boxes(
    vectors: &Vectors,
    writer: &mut DerivedWriter<'_>,
) -> Result<(), Refused> {
    let rows = Rows::new(vectors.as_slice(), vectors.dims())?;
    arrange(rows, |part: Arranged<'_>| {
        writer.blocks(part.blocks)?;
        Ok(writer.order(part.order)?)
    })
}

/// Writes the codes of all rows.
pub(crate) fn derive(vectors: &Vectors, writer: &mut DerivedWriter<'_>) -> Result<(), Refused> {
    let rows = Rows::new(vectors.as_slice(), vectors.dims())?;
    let frame = CodeFrame::of(rows);
    let prefix = PrefixFrame::forced(rows, &frame);
    encode(rows, &frame, Some(&prefix), |part: Encoded<'_>| {
        writer.codes(part.codes)?;
        writer.fine(part.fine)?;
        Ok(writer.prefix(part.prefix)?)
    })
}

/// The rows in a ring, by boxes and codes if the segment has any that are known.
pub(crate) fn ids<T>(
    segment: &Segment<T>,
    query: &[f32],
    ring: &Ring,
) -> Result<(Vec<u32>, Explain), Refused> {
    let vectors = &segment.vectors;
    let rows = Rows::new(vectors.as_slice(), vectors.dims())?;
    let derived = segment.codes.as_ref().zip(segment.fine.as_ref());
    let prefix = segment.prefix.as_ref();
    let boxes = segment.blocks.as_ref().zip(segment.order.as_ref());
    let looked = Looked {
        vectors,
        derived,
        prefix,
        boxes,
    };
    let (len, dims) = (vectors.len(), vectors.dims());
    let (mut frame, mut prefix_frame, mut box_frame) = (None, None, None);
    if let Some((codes, _)) = derived {
        codes.verify(0..CodeFrame::head_bytes(dims))?;
        frame = CodeFrame::read(codes.bytes(), len, dims)?;
    }
    if let Some(prefix) = prefix {
        prefix.verify(0..PrefixFrame::FIXED_HEAD_BYTES)?;
        if let Some(head_bytes) = PrefixFrame::read_head_bytes(prefix.bytes(), len, dims)? {
            prefix.verify(0..head_bytes)?;
            prefix_frame = PrefixFrame::read(prefix.bytes(), len, dims)?;
        }
    }
    if let Some((blocks, _)) = boxes {
        blocks.verify(0..BoxFrame::HEAD_BYTES)?;
        box_frame = BoxFrame::read(blocks.bytes(), len, dims)?;
    }
    let mut searched = match (&frame, derived) {
        (Some(frame), Some((codes, fine))) => {
            let codes = Codes::new(frame, codes.bytes(), fine.bytes())?;
            Searched::with_codes(rows, codes)?
        }
        _ => Searched::new(rows),
    };
    if let Some((frame, prefix)) = prefix_frame.as_ref().zip(prefix) {
        searched = searched.and_prefix(Prefix::new(frame, prefix.bytes())?)?;
    }
    if let Some((frame, (blocks, order))) = box_frame.zip(boxes) {
        searched = searched.and_boxes(Boxes::new(frame, blocks.bytes(), order.bytes())?)?;
    }
    search(searched, query, ring, Kernel::fastest(), &looked)
}

/// Looks at bytes before they are read.
struct Looked<'a> {
    vectors: &'a Vectors,
    /// Codes and fine codes.
    derived: Option<(&'a Derived, &'a Derived)>,
    prefix: Option<&'a Derived>,
    /// Blocks and their order.
    boxes: Option<(&'a Derived, &'a Derived)>,
}

impl Guard for Looked<'_> {
    type Error = Refused;

    fn rows(&self, rows: Range<usize>) -> Result<(), Refused> {
        Ok(self.vectors.verify(rows)?)
    }

    fn codes(&self, bytes: Range<usize>) -> Result<(), Refused> {
        let (codes, _) = self.derived.ok_or("there are no codes")?;
        Ok(codes.verify(bytes)?)
    }

    fn fine(&self, bytes: Range<usize>) -> Result<(), Refused> {
        let (_, fine) = self.derived.ok_or("there are no fine codes")?;
        Ok(fine.verify(bytes)?)
    }

    fn prefix(&self, bytes: Range<usize>) -> Result<(), Refused> {
        Ok(self.prefix.ok_or("there are no prefixes")?.verify(bytes)?)
    }

    fn blocks(&self, bytes: Range<usize>) -> Result<(), Refused> {
        let (blocks, _) = self.boxes.ok_or("there are no blocks")?;
        Ok(blocks.verify(bytes)?)
    }

    fn order(&self, bytes: Range<usize>) -> Result<(), Refused> {
        let (_, order) = self.boxes.ok_or("there is no order")?;
        Ok(order.verify(bytes)?)
    }
}
