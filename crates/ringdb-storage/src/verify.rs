//! Reads all of a database and names everything that is damaged.
//!
//! Invariant: nothing is found exactly if the database opens and every block, row and payload of it is
//! whole. One finding does not hide another: what can be checked without the damaged part is.

use std::ffi::OsStr;
use std::path::Path;

use crate::body::{Verify, in_parallel};
use crate::disk::{self, Disk};
use crate::error::Result;
use crate::header::HEADER_BYTES;
use crate::layout::DERIVED_FILES;
use crate::legacy;
use crate::mapped::as_u64s;
use crate::options::{PayloadType, ReadOptions};
use crate::payload::{Records, out_of_order};
use crate::segment::Segment;
use crate::survey::{Damage, FileSurvey, SegmentSurvey, State, Survey, is_legacy};
use crate::vectors::RowCheck;

/// What [`verify`] read, and what it found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Report {
    /// Files that were read: those of the segment, and MANIFEST.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blocks that were held to a checksum.
    pub blocks: u64,
    /// Rows that lie in whole blocks, and so were held to the row check.
    pub rows: u64,
    /// Payloads that fit their own checksum, whatever became of the blocks that they and their offsets lie
    /// in.
    pub payloads: u64,
    /// How many payloads with a checksum there were, if anything whole tells. Those that are not whole are
    /// named, or lie in a file that is: one that is missing, cut or of another database.
    pub payloads_in_all: u64,
    /// All findings, by file and byte. None if the database is whole.
    pub damage: Vec<Damage>,
}

impl Report {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.damage.is_empty()
    }

    /// Whether something was found, and nothing but in files that were derived from the rows: what is in
    /// them can be computed again ([`rederive`](crate::rederive())).
    #[must_use]
    pub fn is_derived_alone(&self) -> bool {
        let is_derived = |damage: &Damage| is_derived_file(&damage.path);
        !self.is_whole() && self.damage.iter().all(is_derived)
    }
}

/// Whether `path` has the name of a file that is derived from the rows.
#[must_use]
pub fn is_derived_file(path: &Path) -> bool {
    let mut names = DERIVED_FILES.iter().map(|(_, name)| *name);
    names.any(|name| path.file_name() == Some(OsStr::new(name)))
}

/// Reads all of the database in `dir` and names everything that is damaged: MANIFEST, headers, tables,
/// notes, footers and lengths, blocks that do not fit their checksum, blocks of which no checksum is
/// left, payloads that do not fit theirs, offsets out of order, and coordinates
/// that `row_check` does not let pass. Takes no lock and writes nothing.
///
/// It goes on after damage. Where the parts of a file lie follows from its header or, if that is damaged,
/// from its length in MANIFEST. If MANIFEST is damaged or missing, which is a finding, the segment is the
/// one whose files have its uuid, or the only one there is; if there are several, all are read. A MANIFEST
/// that no file fits, where files fit each other that are not of an older generation, is a finding too and
/// counts as missing. A damaged table does not make its blocks damaged if the file would have its checksum
/// with a table made anew.
///
/// Directories of ring-db have no checksums; of them it says what [`Segment::open`] finds.
///
/// Files are mapped. A sector that the disk refuses to read is beyond it: the system ends a process that
/// reads it through a map. Copy the files first, with a program that leaves such sectors out.
///
/// # Errors
/// Only if there is nothing to look at: [`Error::Io`](crate::Error::Io) if there is no such directory,
/// [`Error::NotADatabase`](crate::Error::NotADatabase) if it has neither a MANIFEST nor a segment,
/// [`Error::UnsupportedVersion`](crate::Error::UnsupportedVersion) if a whole MANIFEST is of another
/// version.
pub fn verify(dir: &Path, row_check: Option<RowCheck>) -> Result<Report> {
    verify_with(dir, row_check, |_| Ok(()))
}

/// As [`verify`], and asks `check` about what this crate does not understand, such as what derived files
/// mean: it is shown the segment if nothing was found, and the error that it returns is a finding. The segment was
/// opened under [`Verify::Lazy`].
///
/// # Errors
/// As [`verify`].
pub fn verify_with(
    dir: &Path,
    row_check: Option<RowCheck>,
    check: impl FnOnce(Segment<()>) -> Result<()>,
) -> Result<Report> {
    let disk = &*disk::real();
    let dir = &std::path::absolute(dir).map_err(crate::Error::io("find", dir))?;
    let mut options = ReadOptions::new().payload_type(PayloadType::Any);
    options.row_check = row_check;
    if is_legacy(disk, dir)? {
        return Ok(verify_legacy(disk, dir, &options));
    }
    let survey = Survey::of(disk, dir, row_check, true)?;
    let (files, bytes) = survey.size();
    let mut report = Report {
        files,
        bytes,
        blocks: survey.blocks(),
        damage: survey.damage,
        ..Report::default()
    };
    for segment in &survey.segments {
        report.rows += whole_rows(segment);
        let (payloads, damage) = check_records(segment);
        report.payloads += payloads;
        report.payloads_in_all += segment.rows.unwrap_or_default();
        report.damage.extend(damage);
    }
    report.damage.sort();
    // What remains is whether files that are whole fit each other.
    let (is_whole, is_derived_alone) = (report.is_whole(), report.is_derived_alone());
    if is_whole || is_derived_alone {
        let options = options.verify(Verify::Lazy).skip_derived(is_derived_alone);
        let opened = Segment::open_on(disk, dir, &options);
        let checked = opened.and_then(|segment| match is_whole {
            true => check(segment),
            false => Ok(()),
        });
        let misfit = checked.err().map(|error| Damage::of(dir, error));
        report.damage.extend(misfit);
        report.damage.sort();
    }
    Ok(report)
}

fn verify_legacy(disk: &dyn Disk, dir: &Path, options: &ReadOptions) -> Report {
    let lengths = legacy::FILES.iter().filter_map(|name| {
        let file = disk.open(&dir.join(name)).ok()?;
        file.about().map(|(_, bytes)| bytes).ok()
    });
    let report = lengths.fold(Report::default(), |report, bytes| Report {
        files: report.files + 1,
        bytes: report.bytes + bytes,
        ..report
    });
    match Segment::<()>::open_on(disk, dir, options) {
        Ok(segment) => Report {
            rows: segment.vectors.len() as u64,
            ..report
        },
        Err(error) => Report {
            damage: vec![Damage::of(dir, error)],
            ..report
        },
    }
}

/// How many rows lie in whole blocks.
fn whole_rows(segment: &SegmentSurvey) -> u64 {
    let (Some(rows), Some(dims)) = (segment.rows, segment.dims) else {
        return 0;
    };
    let row_bytes = (dims * size_of::<f32>()) as u64;
    if segment.vectors.state(0..rows * row_bytes) == State::Whole {
        return rows;
    }
    // No more than the file can hold, whatever a header says.
    let rows = rows.min(segment.vectors.bytes().len() as u64 / row_bytes);
    let is_whole = |row: &u64| {
        let at = row * row_bytes;
        segment.vectors.state(at..at + row_bytes) == State::Whole
    };
    (0..rows).filter(is_whole).count() as u64
}

/// Holds each payload to its own checksum, wherever it lies, and the offsets to their order. Returns how
/// many payloads are whole, and the findings.
fn check_records(segment: &SegmentSurvey) -> (u64, Vec<Damage>) {
    /// As many as there are offsets in a block.
    const STEP_IDS: u64 = 8192;
    let (Some(origin), Some(kind), Some(rows)) = (segment.origin, &segment.kind, segment.rows)
    else {
        return (0, Vec::new());
    };
    let records = Records::new(kind, origin);
    // No more than the files can hold, whatever a header says.
    let entries = segment.offsets.bytes().len() / size_of::<u64>();
    let fixed = records.record_bytes().unwrap_or(usize::MAX);
    let held = entries.max(segment.payloads.bytes().len() / fixed) as u64;
    let len = rows.min(held);
    let steps = in_parallel(len.div_ceil(STEP_IDS) as usize, |step| {
        let first = step as u64 * STEP_IDS;
        let (mut whole, mut damage) = (0, Vec::new());
        let mut lost: Vec<Lost<'_>> = Vec::new();
        for id in first..len.min(first + STEP_IDS) {
            match look(segment, &records, id) {
                Payload::Whole => whole += 1,
                Payload::Missing => {}
                Payload::Wrong(wrong) => damage.push(wrong),
                Payload::Lost(file, at) => match lost.last_mut() {
                    Some(lost) if lost.last + 1 == id && lost.file.path == file.path => {
                        lost.last = id;
                    }
                    _ => lost.push(Lost {
                        first: id,
                        last: id,
                        file,
                        at,
                        is_of_offsets: file.path == segment.offsets.path,
                    }),
                },
            }
        }
        damage.extend(lost.iter().map(Lost::damage));
        (whole, damage)
    });
    let (whole, damage): (Vec<u64>, Vec<_>) = steps.into_iter().unzip();
    (whole.iter().sum(), damage.concat())
}

/// What is found of a payload.
enum Payload<'a> {
    /// It fits its checksum.
    Whole,
    /// Its file, or that of the offsets, is another's or does not reach as far, which is a finding itself.
    Missing,
    /// It does not, or its offsets are out of order, though the blocks are whole.
    Wrong(Damage),
    /// It does not, for damage of this file at this byte.
    Lost(&'a FileSurvey, u64),
}

/// Finds payload `id` by its offsets or, if they may be damaged, by the length that all have.
fn look<'a>(segment: &'a SegmentSurvey, records: &Records, id: u64) -> Payload<'a> {
    let SegmentSurvey {
        offsets, payloads, ..
    } = segment;
    let pair = 8 * id..8 * id + 16;
    let offset_state = offsets.state(pair.clone());
    let (start, end) = match offsets.at(pair).and_then(as_u64s) {
        Some(&[start, end]) => (start, end),
        // No record is there.
        _ => (u64::MAX, u64::MAX),
    };
    let open = |range| Some(records.open(id as u32, payloads.at(range)?));
    let opened = open(start..end);
    let (record_state, at) = (payloads.state(start..end), HEADER_BYTES as u64);
    let is_past = payloads.body_bytes.is_some_and(|bytes| end > bytes);
    let is_possible = start <= end && !is_past;
    if offset_state == State::Whole {
        return match (opened, record_state) {
            _ if !is_possible => {
                let what = out_of_order(id as usize + 1);
                Payload::Wrong(Damage::new(&offsets.path, at + 8 * (id + 1), what))
            }
            (Some(Ok(_)), _) => Payload::Whole,
            (Some(Err(what)), State::Whole) => {
                Payload::Wrong(Damage::new(&payloads.path, at + start, what))
            }
            (Some(Err(_)), State::Damaged | State::Unproven) => Payload::Lost(payloads, at + start),
            (Some(Err(_)), State::Foreign | State::Missing) | (None, _) => Payload::Missing,
        };
    }
    let by_length = || records.range(id as u32).and_then(open);
    if matches!(opened, Some(Ok(_))) || matches!(by_length(), Some(Ok(_))) {
        return Payload::Whole;
    }
    match (offset_state, record_state) {
        // Behind a cut, for all that is known.
        (_, State::Missing) if is_possible => Payload::Missing,
        (State::Damaged | State::Unproven, State::Damaged | State::Unproven) => {
            Payload::Lost(payloads, at + start)
        }
        (State::Damaged | State::Unproven, State::Whole | State::Missing)
            if !payloads.is_absent() =>
        {
            Payload::Lost(offsets, at + 8 * id)
        }
        _ => Payload::Missing,
    }
}

/// Payloads next to each other that are lost for damage of one file.
struct Lost<'a> {
    first: u64,
    last: u64,
    file: &'a FileSurvey,
    at: u64,
    is_of_offsets: bool,
}

impl Lost<'_> {
    fn damage(&self) -> Damage {
        let Self { first, last, .. } = self;
        let what = match (self.is_of_offsets, first == last) {
            (false, true) => format!("payload {first} is damaged"),
            (false, false) => format!("payloads {first} to {last} are damaged"),
            (true, true) => format!("payload {first} is not where its offsets say"),
            (true, false) => format!("payloads {first} to {last} are not where their offsets say"),
        };
        Damage::new(&self.file.path, self.at, what)
    }
}
