//! Reads all of a database and names everything that is damaged.
//!
//! Invariant: nothing is found exactly if the database opens and every block, row and payload of it is
//! whole. One finding does not hide another: what can be checked without the damaged part is.

use std::path::Path;

use crate::body::{Verify, in_parallel};
use crate::disk::{self, Disk};
use crate::error::Result;
use crate::header::HEADER_BYTES;
use crate::legacy;
use crate::mapped::as_u64s;
use crate::options::{PayloadType, ReadOptions};
use crate::payload::{Records, out_of_order};
use crate::segment::Segment;
use crate::survey::{Damage, SegmentSurvey, State, Survey, is_legacy};
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
    /// Payloads that lie in whole blocks, and so were held to their own checksum.
    pub payloads: u64,
    /// All findings, by file and byte. None if the database is whole.
    pub damage: Vec<Damage>,
}

impl Report {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.damage.is_empty()
    }
}

/// Reads all of the database in `dir` and names everything that is damaged: MANIFEST, headers, tables,
/// notes, footers and lengths, blocks that do not fit their checksum, blocks of which no checksum is
/// left, payloads that do not fit theirs though their blocks do, offsets out of order, and coordinates
/// that `row_check` does not let pass. Takes no lock and writes nothing.
///
/// It goes on after damage. Where the parts of a file lie follows from its header or, if that is damaged,
/// from its length in MANIFEST. If MANIFEST is damaged or missing, which is a finding, the segment is the
/// one whose files have its uuid, or the only one there is; if there are several, all are read. A MANIFEST
/// that no file fits, where files fit each other, is a finding too and counts as missing. A damaged
/// table does not make its blocks damaged if the file would have its checksum with a table made anew.
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
    let disk = &*disk::real();
    let dir = &std::path::absolute(dir).map_err(crate::Error::io("find", dir))?;
    let mut options = ReadOptions::new().payload_type(PayloadType::Any);
    options.row_check = row_check;
    if is_legacy(disk, dir)? {
        return Ok(verify_legacy(disk, dir, &options));
    }
    let survey = Survey::of(disk, dir, row_check)?;
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
        report.damage.extend(damage);
    }
    report.damage.sort();
    if report.is_whole() {
        // What remains is whether files that are whole fit each other.
        let options = options.verify(Verify::Lazy);
        let opened = Segment::<()>::open_on(disk, dir, &options);
        report
            .damage
            .extend(opened.err().map(|error| Damage::of(dir, error)));
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

/// Holds each payload whose offsets and record lie in whole blocks to its own checksum, and the offsets to
/// their order. Returns how many payloads these were, and the findings.
fn check_records(segment: &SegmentSurvey) -> (u64, Vec<Damage>) {
    /// As many as there are offsets in a block.
    const STEP_IDS: u64 = 8192;
    let (Some(origin), Some(kind)) = (segment.origin, &segment.kind) else {
        return (0, Vec::new());
    };
    let records = Records::new(kind, origin);
    let SegmentSurvey {
        offsets, payloads, ..
    } = segment;
    // One for each offset but the last.
    let len = (offsets.bytes().len().saturating_sub(HEADER_BYTES) / 8) as u64;
    let len = len.min(u64::from(u32::MAX));
    let steps = in_parallel(len.div_ceil(STEP_IDS) as usize, |step| {
        let first = step as u64 * STEP_IDS;
        let (mut checked, mut damage) = (0, Vec::new());
        for id in first..len.min(first + STEP_IDS) {
            let pair = 8 * id..8 * id + 16;
            if offsets.state(pair.clone()) != State::Whole {
                continue;
            }
            let Some(&[start, end]) = offsets.at(pair).and_then(as_u64s) else {
                continue;
            };
            if start > end || payloads.body_bytes.is_some_and(|bytes| end > bytes) {
                let at = HEADER_BYTES as u64 + 8 * (id + 1);
                let what = out_of_order(id as usize + 1);
                damage.push(Damage::new(&offsets.path, at, what));
            } else if payloads.state(start..end) == State::Whole {
                let record = payloads.at(start..end).unwrap_or_default();
                checked += 1;
                if let Err(what) = records.open(id as u32, record) {
                    let at = HEADER_BYTES as u64 + start;
                    damage.push(Damage::new(&payloads.path, at, what));
                }
            }
        }
        (checked, damage)
    });
    let (checked, damage): (Vec<u64>, Vec<_>) = steps.into_iter().unzip();
    (checked.iter().sum(), damage.concat())
}
