//! Codes: the index makes and reads them, storage keeps them, and here the two meet.
//!
//! Invariant: a search with codes finds what one without them does. Bytes that were not checked at
//! opening are checked before they are read.

use std::ops::Range;

use ringdb_index::{
    CodeFrame, Encoded, Explain, Guard, Kernel, Prefix, PrefixFrame, Ring, Rows, count, distances,
    encode, search,
};
use ringdb_storage::{Derived, DerivedNames, DerivedWriter, Vectors};

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

/// What comes with codes.
enum PrefixRule {
    Never,
    IfItPays,
    Always,
}

/// Writes the codes of all vectors, if they are to have any.
pub(crate) fn derive(
    codes: Codes,
    vectors: &Vectors,
    writer: &mut DerivedWriter<'_>,
) -> Result<()> {
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
            let is_large = vectors.len() >= AUTO_ROWS && vectors.dims() >= AUTO_DIMS;
            (is_large, PrefixRule::IfItPays)
        }
    };
    if !is_wanted || vectors.is_empty() {
        return Ok(());
    }
    let rows = rows(vectors)?;
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

/// The vectors of a database, with their codes if they have any.
#[derive(Debug)]
pub(crate) struct CodedVectors {
    pub(crate) vectors: Vectors,
    codes: Option<FittingCodes>,
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

impl CodedVectors {
    /// Codes and prefixes in a form that this library does not know are passed over.
    pub(crate) fn new(
        vectors: Vectors,
        [codes, fine, prefix]: [Option<Derived>; 3],
    ) -> ringdb_storage::Result<Self> {
        let codes = match codes.zip(fine) {
            Some((codes, fine)) => FittingCodes::new(&vectors, codes, fine, prefix)?,
            None => None,
        };
        Ok(Self { vectors, codes })
    }

    pub(crate) fn has_prefix(&self) -> bool {
        self.codes
            .as_ref()
            .is_some_and(|codes| codes.prefix.is_some())
    }

    pub(crate) fn has_codes(&self) -> bool {
        self.codes.is_some()
    }

    /// The ids of all vectors in the ring, ascending, and how they were found.
    pub(crate) fn ids(
        &self,
        query: &[f32],
        ring: &Ring,
        kernel: Kernel,
    ) -> Result<(Vec<u32>, Explain)> {
        search(self.segment()?, query, ring, kernel, self)
    }

    /// How it was found how many vectors are in the ring, and how many they are.
    pub(crate) fn explain(&self, query: &[f32], ring: &Ring, kernel: Kernel) -> Result<Explain> {
        let (_, explain) = count(self.segment()?, query, ring, kernel, self)?;
        Ok(explain)
    }

    /// The distances of vectors, in the order of `ids`.
    pub(crate) fn distances(&self, query: &[f32], ids: &[u32], kernel: Kernel) -> Result<Vec<f64>> {
        // A hit may have been proven by its code alone.
        for &id in ids {
            self.rows(id as usize..id as usize + 1)?;
        }
        Ok(distances(rows(&self.vectors)?, query, ids, kernel)?)
    }

    pub(crate) fn segment(&self) -> Result<ringdb_index::Segment<'_>> {
        let rows = rows(&self.vectors)?;
        Ok(match &self.codes {
            None => ringdb_index::Segment::new(rows),
            Some(FittingCodes {
                frame,
                codes,
                fine,
                prefix,
            }) => {
                let codes = ringdb_index::Codes::new(frame, codes.bytes(), fine.bytes())?;
                let segment = ringdb_index::Segment::with_codes(rows, codes)?;
                match prefix {
                    None => segment,
                    Some(FittingPrefix { frame, bytes }) => {
                        segment.and_prefix(Prefix::new(frame, bytes.bytes())?)?
                    }
                }
            }
        })
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

fn check_len(derived: &Derived, what: &str, expected: usize) -> ringdb_storage::Result<()> {
    let found = derived.bytes().len();
    match found == expected {
        true => Ok(()),
        false => Err(derived.corrupt(format!("{found} bytes of {what}, expected {expected}"))),
    }
}

/// Looks at bytes before they are read for the first time, if that was put off at opening.
impl Guard for CodedVectors {
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

    /// A database has no boxes.
    fn blocks(&self, _: Range<usize>) -> Result<()> {
        Ok(())
    }

    /// As [`Self::blocks`].
    fn order(&self, _: Range<usize>) -> Result<()> {
        Ok(())
    }
}

fn rows(vectors: &Vectors) -> Result<Rows<'_>> {
    Ok(Rows::new(vectors.as_slice(), vectors.dims())?)
}
