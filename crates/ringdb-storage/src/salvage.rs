//! Makes a new database of what is whole in a damaged one.
//!
//! Invariant: a row gets into the new database only if each block that it lies in is whole, and its
//! payload only if that fits its own checksum, which binds it to its id and its database. What is written is
//! a copy that was held to them: a mapped file may read otherwise the next time. The old database is read and
//! never changed.

use std::fmt;
use std::io::ErrorKind;
use std::path::Path;

use crate::contents::open_regular;
use crate::derived::{DerivedNames, DerivedWriter};
use crate::disk::{self, Disk};
use crate::error::{Error, Result};
use crate::layout::MANIFEST;
use crate::mapped::as_u64s;
use crate::payload::{PayloadCodec, PayloadKind, Records};
use crate::row_copy::RowCopy;
use crate::survey::{SegmentSurvey, State, Survey, is_legacy, segment_dirs};
use crate::vectors::{RowCheck, Vectors};
use crate::writer::SegmentWriter;

/// What became of a row of the old database.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SalvagedRow {
    /// Its id there.
    pub old_id: u32,
    /// Its id in the new database, unless it was left out.
    pub new_id: Option<u32>,
    /// What of it was lost. A row that has an id in the new database all the same is there without its
    /// payload.
    pub loss: Option<Loss>,
    /// How many rows there are: the last one has the `old_id` before it.
    pub rows: u64,
}

/// Why a row is not whole.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// A block that the vector lies in does not fit its checksum.
    VectorDamaged,
    /// No checksum is left for a block that the vector lies in.
    VectorUnproven,
    /// The file of the vectors is not the one of the database.
    VectorForeign,
    /// The file of the vectors is missing, or ends before this one does.
    VectorMissing,
    /// The vector is whole but has a coordinate that none may have.
    Coordinate {
        /// The coordinate's position in its vector, from 0.
        index: usize,
        /// What is wrong with it.
        what: String,
    },
    /// The payload, or what says where it lies, does not fit its checksum.
    PayloadDamaged,
    /// The file of the payloads or that of the offsets is missing, or ends too early.
    PayloadMissing,
    /// Nothing whole tells how the payloads are stored.
    PayloadUnknown,
}

impl Loss {
    /// The reason without what is special to one row.
    fn reason(&self) -> &'static str {
        match self {
            Self::VectorDamaged => "vector damaged",
            Self::VectorUnproven => "vector without a checksum",
            Self::VectorForeign => "vector of another database",
            Self::VectorMissing => "vector missing",
            Self::Coordinate { .. } => "coordinate that none may have",
            Self::PayloadDamaged => "payload damaged",
            Self::PayloadMissing => "payload missing",
            Self::PayloadUnknown => "payload of no known codec",
        }
    }

    /// Whether the vector is whole.
    fn is_of_payload(&self) -> bool {
        matches!(
            self,
            Self::PayloadDamaged | Self::PayloadMissing | Self::PayloadUnknown
        )
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Coordinate { index, what } => write!(f, "coordinate {index} {what}"),
            loss => f.write_str(loss.reason()),
        }
    }
}

/// How much [`salvage`] kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Salvaged {
    /// Rows of the new database.
    pub kept: u64,
    /// Those of them whose payload was lost.
    pub without_payload: u64,
    /// Rows that were left out.
    pub lost: u64,
    /// Whether MANIFEST was not that of the files beside it, which fit each other, so that the rows were
    /// taken by what the files say.
    pub is_manifest_foreign: bool,
}

/// Makes a new database in `to` of what is whole in `from`, which is not changed. The rows keep their
/// order and get new ids; payloads are copied as they are stored, and so are their codec and the name of
/// their type.
///
/// A row is left out if no checksum proves its vector whole, if `row_check` does not let one of its
/// coordinates pass, or if its payload does not fit the checksum of its own. With `keep_vectors`, one
/// whose payload alone is lost is kept with a payload of no bytes, which most types do not decode from;
/// of zeros with [`PayloadCodec::Pod`], and of `null` with [`PayloadCodec::JsonText`]. MANIFEST,
/// headers, footers and tables may be damaged as far as the rest tells what was in them, as
/// [`verify`](crate::verify()) does it; one that no file fits counts as lost if the files fit each
/// other, unless they are of an older generation: rows that were replaced are not given out as those of the
/// database. If nothing tells how payloads were stored, none can be kept; with `keep_vectors` the vectors
/// then come with [`PayloadCodec::Raw`]. Where rows were and none can be kept, there is no new
/// database.
///
/// Files that were derived from the old rows are not opened, so neither their damage nor their length matters:
/// `derive` makes those of the new ones, as for [`SegmentWriter::finish_with`], and can ask which there
/// were ([`DerivedWriter::before`]).
///
/// `each` is told what becomes of every row, in order of the old ids and before the new database comes
/// into being; an error that it returns ends the salvage. `to` is made and committed as by
/// [`SegmentWriter`]: after any error there is no new database, but for
/// [`Error::DurabilityUnknown`].
///
/// # Errors
/// [`Error::Io`] (`NotFound` if there is no directory `from`, `InvalidInput` if `to` lies in it; the
/// system's if a file that is there cannot be read, `Unsupported` for a directory of ring-db,
/// which has no checksums), [`Error::NotADatabase`] if `from` has neither a MANIFEST nor a segment,
/// [`Error::UnsupportedVersion`], [`Error::Corrupt`] if nothing tells which segment it is, how many
/// coordinates or rows there are or, if there are no rows, how payloads were stored;
/// [`Error::AlreadyExists`] if `to` holds a
/// database or what is left of one; [`Error::NothingToSalvage`] if there were rows and none can be kept;
/// those of [`SegmentWriter::finish_with`]; what `each` and `derive` return.
pub fn salvage<E: From<Error>>(
    from: &Path,
    to: &Path,
    keep_vectors: bool,
    row_check: Option<RowCheck>,
    derive: impl FnOnce(&Vectors, &mut DerivedWriter<'_>) -> std::result::Result<(), E>,
    mut each: impl FnMut(SalvagedRow) -> std::result::Result<(), E>,
) -> std::result::Result<Salvaged, E> {
    let disk = &*disk::real();
    let absolute = |path: &Path| std::path::absolute(path).map_err(Error::io("find", path));
    let (from, to) = (&absolute(from)?, &absolute(to)?);
    check_free(disk, to)?;
    let ruin = Ruin::find(disk, from, keep_vectors)?;
    if to.starts_with(from) {
        let source =
            std::io::Error::new(ErrorKind::InvalidInput, "it lies in what is to be salvaged");
        return Err(Error::io("salvage into", to)(source).into());
    }
    let writer = SegmentWriter::<()>::in_directory(to, false, ruin.dims, ruin.kind.codec)?;
    let mut writer = writer.of_kind(ruin.kind.clone());
    let placeholder = ruin.kind.placeholder();

    let (mut salvaged, mut losses) = (Salvaged::default(), Losses::default());
    let (mut row_copy, mut payload_copy) = (RowCopy::default(), Vec::new());
    salvaged.is_manifest_foreign = ruin.is_manifest_foreign;
    for old_id in (0..).take(ruin.rows as usize) {
        let row = ruin.row(old_id, row_check, &mut row_copy);
        let payload = ruin.payload(old_id, &mut payload_copy);
        let (kept, loss) = match (row, payload) {
            (Err(loss), _) => (None, Some(loss)),
            (Ok(row), Ok(payload)) => (Some((row, payload)), None),
            (Ok(row), Err(loss)) if keep_vectors => {
                (Some((row, placeholder.as_slice())), Some(loss))
            }
            (Ok(_), Err(loss)) => (None, Some(loss)),
        };
        losses.add(loss.as_ref());
        let new_id = kept.map(|_| writer.len() as u32);
        match kept {
            Some((row, payload)) => {
                writer.push_encoded(row, payload)?;
                salvaged.kept += 1;
                salvaged.without_payload += u64::from(loss.is_some());
            }
            None => salvaged.lost += 1,
        }
        each(SalvagedRow {
            old_id,
            new_id,
            loss,
            rows: ruin.rows,
        })?;
    }
    if ruin.rows > 0 && salvaged.kept == 0 {
        return Err(losses.error(from, ruin.rows, ruin.older).into());
    }
    writer.finish_after(ruin.derived, derive)?;
    Ok(salvaged)
}

/// How many rows were lost for which reason, in order of the first of each.
#[derive(Default)]
struct Losses(Vec<(&'static str, u64, bool)>);

impl Losses {
    fn add(&mut self, loss: Option<&Loss>) {
        let Some(loss) = loss else { return };
        let reason = loss.reason();
        match self.0.iter_mut().find(|(known, ..)| *known == reason) {
            Some((_, times, _)) => *times += 1,
            None => self.0.push((reason, 1, loss.is_of_payload())),
        }
    }

    /// What is said if all of the `rows` rows of the database `from` were lost, and what else there is to say.
    fn error(&self, from: &Path, rows: u64, more: Vec<String>) -> Error {
        let why = self
            .0
            .iter()
            .map(|(reason, times, _)| format!("{reason} ({times})"));
        let why = why.chain(more);
        let of_payloads = self.0.iter().filter(|(.., is_of_payload)| *is_of_payload);
        Error::NothingToSalvage {
            path: from.to_path_buf(),
            rows,
            why: why.collect::<Vec<_>>().join(", "),
            without_payload: of_payloads.map(|(_, times, _)| times).sum(),
        }
    }
}

/// Fails if there is a database in `to`, or what is left of one: it might even be the one to be salvaged.
fn check_free(disk: &dyn Disk, to: &Path) -> Result<()> {
    let is_taken = disk.kind_of_name(&to.join(MANIFEST)).is_ok()
        || is_legacy(disk, to)?
        || !segment_dirs(disk, to).is_empty();
    if is_taken {
        return Err(Error::AlreadyExists {
            path: to.to_path_buf(),
        });
    }
    Ok(())
}

/// A damaged database of which enough is known to find its rows.
struct Ruin {
    segment: SegmentSurvey,
    is_manifest_foreign: bool,
    /// What is said of segments that were replaced, where none of the database itself is left.
    older: Vec<String>,
    /// Which derived files it had, if its MANIFEST tells.
    derived: Option<DerivedNames>,
    rows: u64,
    dims: usize,
    kind: PayloadKind,
    /// `None` if it is not known how payloads were stored.
    records: Option<Records>,
}

impl Ruin {
    fn find(disk: &dyn Disk, dir: &Path, keep_vectors: bool) -> Result<Self> {
        if is_legacy(disk, dir)? {
            let what = "directories of ring-db have no checksums that tell what is whole";
            let source = std::io::Error::new(ErrorKind::Unsupported, what);
            return Err(Error::io("salvage", dir)(source));
        }
        let survey = Survey::of(disk, dir, None, false)?;
        let is_manifest_foreign = survey.is_manifest_foreign();
        let older = survey
            .older()
            .map(|what| format!("MANIFEST is {what}"))
            .collect();
        let derived = survey.manifest().map(DerivedNames::of);
        let mut segments = survey.segments;
        let manifest = dir.join(MANIFEST);
        let unknown = |what| Error::corrupt(&manifest, 0, format!("nothing whole tells {what}"));
        let (Some(segment), true) = (segments.pop(), segments.is_empty()) else {
            return Err(unknown("which segment is the one of the database"));
        };
        // What cannot be read now may be whole: nothing is lost by saying so.
        for path in segment
            .files()
            .map(|file| &file.path)
            .into_iter()
            .chain([&manifest])
        {
            match open_regular(disk, path) {
                Err(error @ Error::Io { .. }) if !error.is_not_found() => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        let rows = segment.rows.ok_or_else(|| unknown("the number of rows"))?;
        let dims = segment.dims.ok_or_else(|| unknown("the number of dims"))?;
        let (kind, records) = match (&segment.kind, segment.origin) {
            (Some(kind), Some(origin)) => (kind.clone(), Some(Records::new(kind, origin))),
            // The rows tell what was lost; of none nothing would.
            _ if keep_vectors || rows > 0 => (PayloadKind::of::<()>(PayloadCodec::Raw), None),
            _ => return Err(unknown("how the payloads are stored")),
        };
        Ok(Self {
            segment,
            is_manifest_foreign,
            older,
            derived,
            rows,
            dims,
            kind,
            records,
        })
    }

    /// A copy of the row, if it is proven whole and passes the check.
    fn row<'a>(
        &self,
        id: u32,
        check: Option<RowCheck>,
        copy: &'a mut RowCopy,
    ) -> std::result::Result<&'a [f32], Loss> {
        let row_bytes = (self.dims * size_of::<f32>()) as u64;
        let start = u64::from(id) * row_bytes;
        let row = self.segment.vectors.row(start..start + row_bytes, copy);
        let row = row.map_err(|state| match state {
            State::Damaged => Loss::VectorDamaged,
            State::Unproven => Loss::VectorUnproven,
            State::Foreign => Loss::VectorForeign,
            State::Whole | State::Missing => Loss::VectorMissing,
        })?;
        match check.and_then(|check| check(row)) {
            Some((index, what)) => Err(Loss::Coordinate { index, what }),
            None => Ok(row),
        }
    }

    /// A copy of the payload, if it fits its checksum. That it does proves the offsets as well, which so
    /// need not be whole.
    fn payload<'a>(&self, id: u32, copy: &'a mut Vec<u8>) -> std::result::Result<&'a [u8], Loss> {
        let SegmentSurvey {
            offsets, payloads, ..
        } = &self.segment;
        let Some(records) = &self.records else {
            return Err(match payloads.is_absent() {
                true => Loss::PayloadMissing,
                false => Loss::PayloadUnknown,
            });
        };
        let index = u64::from(id);
        let range = match records.range(id) {
            // So the offsets need not be there.
            Some(range) => range,
            None => match offsets.at(8 * index..8 * index + 16).and_then(as_u64s) {
                Some(&[start, end]) if start <= end => start..end,
                Some(_) => return Err(Loss::PayloadDamaged),
                None => return Err(Loss::PayloadMissing),
            },
        };
        let record = payloads.at(range).ok_or(Loss::PayloadMissing)?;
        let copied = records.copy(id, record, copy);
        copied.map_err(|_| Loss::PayloadDamaged)
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::disk::{Failure, Fault, FaultyDisk, SimDisk};

    /// How many calls on the disk it takes to look for what can be salvaged.
    fn calls(has_derived: bool) -> u64 {
        let (disk, dir) = (SimDisk::new(), Path::new("/db"));
        let on = Arc::new(disk.clone());
        let codec = PayloadCodec::Bincode;
        let mut writer = SegmentWriter::in_directory_on(on, dir, false, 1, codec).unwrap();
        writer.push(&[1.0], ()).unwrap();
        let written = writer.finish_with(|_, writer| match has_derived {
            true => writer.codes(b"codes").and_then(|()| writer.fine(b"fine")),
            false => Ok(()),
        });
        assert_eq!(written.unwrap().codes.is_some(), has_derived);
        let never = Fault {
            call: u64::MAX,
            kind: Failure::ShortWrite,
            lasting: false,
        };
        let counted = FaultyDisk::new(Arc::new(disk), never);
        assert_eq!(Ruin::find(&*counted, dir, false).unwrap().rows, 1);
        counted.calls()
    }

    #[test]
    fn derived_files_are_not_even_opened() {
        assert_eq!(calls(true), calls(false));
    }
}
