//! [`Codes`] and [`Boxes`]: what a database gets beside its vectors, and how it is made.
//!
//! Invariant: what is made follows from the vectors and the rules alone. The index makes the bytes, storage keeps
//! them.

use ringdb_index::{
    Arranged, BOX_DIMS_MAX, BoxFrame, CodeFrame, Encoded, PrefixFrame, Rows, arrange, boxes_pay,
    encode,
};
use ringdb_storage::{DerivedNames, DerivedWriter, Vectors};

use crate::error::{Result, RingDbError};

/// The fewest vectors for which [`Codes::Auto`] makes codes: the coordinates of fewer fit the cache, where
/// codes save little.
const AUTO_ROWS: usize = 65_536;

/// The fewest dims for which [`Codes::Auto`] makes codes: with fewer they take most of what the coordinates
/// take.
const AUTO_DIMS: usize = 16;

/// Whether a database gets codes: a byte for each coordinate, with a bound that proves most vectors inside
/// or outside a ring, and another byte for those that are left. Most searches read
/// little more than a quarter of the bytes. Codes take half the memory, or disk, of the coordinates where
/// dims are a large multiple of 64, and up to nine tenths of it at a few dims.
///
/// With them may come a prefix: half a byte for each of a few numbers of a vector, by which small balls are
/// searched in a fraction of the time again. It takes a quarter of what the coordinates take at 16 dims, and about
/// an eighth or less where dims are many. A sample of the vectors tells which numbers, and whether they are worth
/// it.
///
/// What a search finds is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Codes {
    /// If there are 65 536 vectors or more, of 16 dims or more; with a prefix where that pays.
    #[default]
    Auto,
    /// In any case but for an empty database, and with a prefix. Of up to three dims they are no smaller than
    /// the coordinates, and searches pass over them.
    On,
    /// In no case.
    Off,
    /// If the database has them that this one replaces or is made of, or had them before they were damaged; with
    /// a prefix if it has one, too. As [`Codes::Auto`] if there is none, or if its MANIFEST does not tell.
    Keep,
}

/// The fewest vectors for which [`Boxes::Auto`] makes boxes: a scan of fewer takes some microseconds.
const AUTO_BOX_ROWS: usize = 4096;

/// Whether a database of vectors with few coordinates gets boxes: its vectors once more, in an order in which
/// neighbours are near each other, with bounds around every 64 of them, around every 16 of these, and so on. A
/// search passes whole boxes over or takes them whole, and reads the vectors of those alone that its ring cuts: in
/// two or three dims a few hundred of millions. Boxes take about `4 * (dims + 1)` bytes a vector more, in memory
/// or on disk, and as much again in memory while they are made.
///
/// What a search finds is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Boxes {
    /// If there are 4 096 vectors or more, of up to 12 dims, and a sample of them says that boxes around them
    /// decide most: of evenly spread vectors up to ten dims or so, of others more.
    #[default]
    Auto,
    /// In any case but for an empty database. With more than 12 dims there are none to be had, and that is an
    /// error.
    On,
    /// In no case.
    Off,
    /// If the database has them that this one replaces or is made of, or had them before they were damaged. As
    /// [`Boxes::Auto`] if there is none, or if its MANIFEST does not tell.
    Keep,
}

/// What a database gets.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rules {
    pub(crate) codes: Codes,
    pub(crate) boxes: Boxes,
}

/// What comes with codes.
enum PrefixRule {
    Never,
    IfItPays,
    Always,
}

impl Rules {
    /// Whether they can be kept for vectors with so many coordinates.
    pub(crate) fn check(&self, dims: usize) -> Result<()> {
        let max = BOX_DIMS_MAX;
        match self.boxes {
            Boxes::On if dims > max => Err(RingDbError::TooManyDimsForBoxes { dims, max }),
            _ => Ok(()),
        }
    }

    /// Writes what all vectors get.
    pub(crate) fn derive(&self, vectors: &Vectors, writer: &mut DerivedWriter<'_>) -> Result<()> {
        self.check(vectors.dims())?;
        if vectors.is_empty() {
            return Ok(());
        }
        let rows = Rows::new(vectors.as_slice(), vectors.dims())?;
        derive_codes(self.codes, rows, writer)?;
        derive_boxes(self.boxes, rows, writer)
    }
}

fn derive_codes(codes: Codes, rows: Rows<'_>, writer: &mut DerivedWriter<'_>) -> Result<()> {
    let (is_wanted, prefix_rule) = match (codes, writer.before()) {
        (Codes::On, _) => (true, PrefixRule::Always),
        (Codes::Off, _) => (false, PrefixRule::Never),
        (Codes::Keep, Some(before)) => {
            let DerivedNames {
                codes,
                fine,
                prefix,
                ..
            } = before;
            let prefix_rule = match prefix {
                true => PrefixRule::Always,
                false => PrefixRule::Never,
            };
            (codes && fine, prefix_rule)
        }
        (Codes::Auto, _) | (Codes::Keep, None) => {
            let is_large = rows.len() >= AUTO_ROWS && rows.dims() >= AUTO_DIMS;
            (is_large, PrefixRule::IfItPays)
        }
    };
    if !is_wanted {
        return Ok(());
    }
    let frame = CodeFrame::of(rows);
    let prefix = match prefix_rule {
        PrefixRule::Never => None,
        PrefixRule::IfItPays => PrefixFrame::of(rows, &frame),
        PrefixRule::Always => Some(PrefixFrame::forced(rows, &frame)),
    };
    let prefix_bytes = prefix.as_ref().map_or(0, PrefixFrame::bytes);
    writer.reserve(frame.codes_bytes(), frame.fine_bytes(), prefix_bytes)?;
    encode(rows, &frame, prefix.as_ref(), |part: Encoded<'_>| {
        writer.codes(part.codes)?;
        writer.fine(part.fine)?;
        Ok(writer.prefix(part.prefix)?)
    })
}

fn derive_boxes(boxes: Boxes, rows: Rows<'_>, writer: &mut DerivedWriter<'_>) -> Result<()> {
    let is_wanted = match (boxes, writer.before()) {
        (Boxes::On, _) => true,
        (Boxes::Off, _) => false,
        (Boxes::Keep, Some(DerivedNames { blocks, order, .. })) => {
            blocks && order && rows.dims() <= BOX_DIMS_MAX
        }
        (Boxes::Auto, _) | (Boxes::Keep, None) => rows.len() >= AUTO_BOX_ROWS && boxes_pay(rows)?,
    };
    if !is_wanted {
        return Ok(());
    }
    let frame = BoxFrame::new(rows.len(), rows.dims())?;
    writer.reserve_blocks(frame.blocks_bytes(), frame.order_bytes())?;
    arrange(rows, |part: Arranged<'_>| {
        writer.blocks(part.blocks)?;
        Ok(writer.order(part.order)?)
    })
}
