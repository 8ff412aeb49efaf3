//! What is left of one file: where its parts lie, and which of its blocks are whole.
//!
//! Invariant: a block counts as whole only if it fits a checksum that was written with it: its entry in
//! the table or, for all blocks at once, the checksum of the file in its footer or in MANIFEST.
//!
//! | what | is told by |
//! |---|---|
//! | end of the file | MANIFEST, or the file |
//! | end of the body | the header, or the end of the file less all that follows the body |
//! | length of the note | MANIFEST, the footer, or the kind of the file |

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::Damage;
use crate::body::{STEP_BYTES, in_parallel};
use crate::contents::{Access, MappedFile};
use crate::count::counted;
use crate::disk::Disk;
use crate::error::Result;
use crate::footer::{self, BLOCK_BYTES, FOOTER_BYTES, Footer, Parts, check_block, file_bytes};
use crate::header::{HEADER_BYTES, Header, Origin};
use crate::layout::Kind;
use crate::manifest::{FileEntry, Manifest};
use crate::row_copy::RowCopy;
use crate::segment::{check_origin, check_sum};
use crate::vectors::{RowCheck, objection};

/// What is known of a file before it is looked at.
#[derive(Debug)]
pub(super) struct Known<'a> {
    pub(super) origin: Option<Origin>,
    /// Who says so.
    pub(super) teller: &'a str,
    pub(super) named: Option<Named<'a>>,
    /// Coordinates per row.
    pub(super) dims: Option<u64>,
    /// For rows alone.
    pub(super) row_check: Option<RowCheck>,
}

/// What a whole MANIFEST says of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    entry: FileEntry,
    note: &'a str,
}

impl<'a> Named<'a> {
    pub(super) fn of(manifest: &'a Manifest, kind: Kind) -> Option<Self> {
        let entry = manifest.entry(kind)?;
        let note = match kind {
            Kind::Payloads => manifest.payloads.type_name.as_str(),
            _ => "",
        };
        Some(Self { entry, note })
    }

    /// Whether a file ends with the footer that MANIFEST knows.
    pub(super) fn is_footer_of(&self, path: &Path, file: &[u8]) -> bool {
        self.footer(path, file).is_some()
    }

    /// The footer of the file, if it is the one that MANIFEST knows.
    fn footer(&self, path: &Path, file: &[u8]) -> Option<Footer> {
        let end = usize::try_from(self.entry.file_bytes).ok()?;
        let footer = Footer::decode(path, end.checked_sub(FOOTER_BYTES)?, file).ok();
        footer.filter(|footer| footer.crc == self.entry.crc)
    }
}

/// What is left of a file.
#[derive(Debug)]
pub(crate) struct FileSurvey {
    pub(crate) path: PathBuf,
    /// `None` if it is missing or cannot be opened.
    file: Option<MappedFile>,
    /// Whether it is another file than the one that belongs here.
    is_foreign: bool,
    /// The header, if it is whole and that of the file that belongs here.
    pub(crate) header: Option<Header>,
    /// The CRC of the header or, if that is damaged, what it may be: as it stands in footer and header.
    pub(crate) header_crcs: Vec<u32>,
    /// The length of the body as it was written, if it is known.
    pub(crate) body_bytes: Option<u64>,
    /// The note, if it is whole.
    pub(crate) note: Option<String>,
    /// How many blocks were held to a checksum, from the first on.
    pub(crate) compared: usize,
    /// The checksum of each block that is whole, as far as the file goes.
    sums: Vec<Option<u32>>,
    /// In no order.
    pub(super) damage: Vec<Damage>,
}

/// What can be said of bytes of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Each block that they lie in is whole.
    Whole,
    /// A block that they lie in does not fit its checksum.
    Damaged,
    /// A block that they lie in has no checksum that is left.
    Unproven,
    /// The file does not belong here.
    Foreign,
    /// They are not in the file.
    Missing,
}

/// The frame of a file, as far as it is whole.
struct Frame<'a> {
    file: &'a [u8],
    named: Option<Named<'a>>,
    header: Option<Header>,
    footer: Option<Footer>,
    /// Where the footer should begin, if the file reaches as far.
    footer_at: Option<usize>,
}

/// What lies between header and footer, as far as the file goes.
struct Inner<'a> {
    body: &'a [u8],
    table_at: usize,
    /// Nothing, where the body is cut.
    table: &'a [u8],
    /// Table and note, and the note alone, if the file has both.
    tail: Option<(&'a [u8], &'a [u8])>,
}

impl FileSurvey {
    /// Looks at all of the file `path`, if it is there.
    pub(super) fn of(disk: &dyn Disk, path: PathBuf, kind: Kind, known: &Known<'_>) -> Self {
        let mut survey = Self {
            path,
            file: None,
            is_foreign: false,
            header: None,
            header_crcs: Vec::new(),
            body_bytes: None,
            note: None,
            compared: 0,
            sums: Vec::new(),
            damage: Vec::new(),
        };
        match MappedFile::open_on(disk, &survey.path, Access::Map) {
            Ok(file) => {
                let frame = survey.frame(file.bytes(), kind, known);
                if let Some(inner) = survey.inner(&frame, kind) {
                    let dims = frame.header.map(|header| u64::from(header.detail));
                    let dims = dims.or(known.dims).filter(|dims| *dims > 0);
                    survey.compare(&frame, &inner, known.row_check.zip(dims));
                }
                survey.file = Some(file);
            }
            Err(error) => survey.damage.push(Damage::of(&survey.path, error)),
        }
        survey
    }

    /// What was found to be right; what was not is reported.
    fn keep<R>(&mut self, found: Result<R>) -> Option<R> {
        let report = |error| self.damage.push(Damage::of(&self.path, error));
        found.map_err(report).ok()
    }

    /// Finds header and footer, and holds them to each other and to what is known.
    fn frame<'a>(&mut self, file: &'a [u8], kind: Kind, known: &Known<'a>) -> Frame<'a> {
        let path = self.path.clone();
        let mut header = self.keep(Header::decode(&path, kind, file));
        let named_footer = known.named.and_then(|named| named.footer(&path, file));
        if let (Some((_, crc)), Some(footer)) = (&header, named_footer) {
            // It is this file for certain, so a header of another one is damage like any other.
            let check = footer.check_header(&path, *crc);
            header = self.keep(check).and(header);
        } else if let (Some((header, _)), Some(origin)) = (&header, known.origin) {
            let check = check_origin(&path, header.origin, origin, known.teller);
            self.is_foreign = self.keep(check).is_none();
        }
        // A file that does not belong here has a length of its own.
        let named = known.named.filter(|_| !self.is_foreign);
        let end = self.end(file, named, header.as_ref().map(|(header, _)| header));
        let footer_at = end.and_then(|end| end.checked_sub(FOOTER_BYTES));
        let mut footer = footer_at.and_then(|at| self.keep(Footer::decode(&path, at, file)));
        if let (Some((_, crc)), Some(found)) = (&header, &footer) {
            footer = self.keep(found.check_header(&path, *crc)).and(footer);
        }
        self.header_crcs = match header {
            Some((_, crc)) => vec![crc],
            None => {
                let stored = file.get(HEADER_BYTES - 4..).and_then(<[u8]>::first_chunk);
                let stored = stored.map(|crc| u32::from_le_bytes(*crc));
                let in_footer = footer.map(|footer| footer.header_crc);
                in_footer.into_iter().chain(stored).collect()
            }
        };
        let header = header.map(|(header, _)| header);
        if let Some(Named { entry, note }) = named {
            let bytes = header.map(|header| file_bytes(header.body_bytes, note));
            let found = FileEntry {
                file_bytes: bytes.unwrap_or(entry.file_bytes),
                crc: footer.map_or(entry.crc, |footer| footer.crc),
            };
            self.is_foreign |= self.keep(check_sum(&path, found, entry)).is_none();
        }
        self.header = header.filter(|_| !self.is_foreign);
        Frame {
            file,
            named,
            header,
            footer,
            footer_at,
        }
    }

    /// Where the file ends, if that is where it should.
    fn end(
        &mut self,
        file: &[u8],
        named: Option<Named<'_>>,
        header: Option<&Header>,
    ) -> Option<usize> {
        let found = file.len();
        match (named, header) {
            (Some(Named { entry, .. }), _) => {
                if found as u64 != entry.file_bytes {
                    let what = format!(
                        "{}, MANIFEST says {}",
                        counted(found as u64, "byte"),
                        entry.file_bytes
                    );
                    let at = entry.file_bytes.min(found as u64);
                    self.damage.push(Damage::new(&self.path, at, what));
                }
                let end = usize::try_from(entry.file_bytes).ok();
                end.filter(|end| *end <= found)
            }
            (None, Some(header)) => {
                let parts = Parts::locate(&self.path, header, found);
                self.keep(parts).map(|_| found)
            }
            (None, None) => Some(found),
        }
    }

    /// Finds what lies between, if the length of the body is known.
    fn inner<'a>(&mut self, frame: &Frame<'a>, kind: Kind) -> Option<Inner<'a>> {
        let file = frame.file;
        let note_bytes = match (frame.named, frame.footer, kind) {
            (Some(named), ..) => Some(named.note.len() as u64),
            (None, Some(footer), _) => Some(u64::from(footer.note_bytes)),
            (None, None, Kind::Payloads) => None,
            (None, None, _) => Some(0),
        };
        let ended = frame.named.map(|named| named.entry.file_bytes);
        let ended = ended.unwrap_or(file.len() as u64);
        let measured = note_bytes.and_then(|note| footer::body_bytes(ended, note));
        let written = frame.header.map(|header| header.body_bytes);
        self.body_bytes = written.or(measured);

        let body_bytes = usize::try_from(self.body_bytes?).unwrap_or(usize::MAX);
        let table_bytes = 4 * body_bytes.div_ceil(BLOCK_BYTES);
        let table_at = HEADER_BYTES.saturating_add(body_bytes);
        let table_end = table_at.saturating_add(table_bytes);
        let table = file.get(table_at..table_end.min(file.len()));
        let tail = frame.footer_at.and_then(|footer_at| {
            let tail = file.get(table_at..footer_at)?;
            Some((tail, file.get(table_end..footer_at)?))
        });
        let body = file.get(HEADER_BYTES..table_at.min(file.len()));
        Some(Inner {
            body: body.unwrap_or_default(),
            table_at,
            table: table.unwrap_or_default(),
            tail,
        })
    }

    /// Holds each block to its entry in the table and, where that does not tell, all of them to the
    /// checksum of the file.
    fn compare(&mut self, frame: &Frame<'_>, inner: &Inner<'_>, rows: Option<(RowCheck, u64)>) {
        const STEP_BLOCKS: usize = STEP_BYTES / BLOCK_BYTES;
        let path = self.path.clone();
        let blocks = inner.body.len().div_ceil(BLOCK_BYTES);
        let compared = blocks.min(inner.table.len() / 4);
        let rows_in = |block: usize| {
            let look = |(check, dims)| objections(&path, inner.body, block, check, dims as usize);
            rows.map(look).unwrap_or_default()
        };
        let steps = in_parallel(compared.div_ceil(STEP_BLOCKS), |step| {
            let first = step * STEP_BLOCKS;
            let (mut sums, mut wrong, mut objections) = (Vec::new(), Vec::new(), Vec::new());
            for block in first..compared.min(first + STEP_BLOCKS) {
                sums.push(match check_block(&path, inner.body, inner.table, block) {
                    Ok(sum) => {
                        objections.extend(rows_in(block));
                        Some(sum)
                    }
                    Err(error) => {
                        wrong.push(Damage::of(&path, error));
                        None
                    }
                });
            }
            (sums, wrong, objections)
        });
        let mut wrong = Vec::new();
        for (sums, damage, objections) in steps {
            self.sums.extend(sums);
            wrong.extend(damage);
            self.damage.extend(objections);
        }
        self.compared = compared;
        self.sums.resize(blocks, None);

        // If no entry is wrong, the note is.
        let are_entries_right = wrong.is_empty() && compared == blocks;
        self.note = self.note_by_footer(frame, inner, are_entries_right);
        if self.note.is_none()
            && !are_entries_right
            && let Some((note, table)) = self.note_by_sum(frame, inner)
        {
            let unseen = self.sums.iter().enumerate();
            let unseen = unseen.filter(|(_, sum)| sum.is_none());
            let objections: Vec<_> = unseen.flat_map(|(block, _)| rows_in(block)).collect();
            self.damage.extend(objections);
            self.sums = table.into_iter().map(Some).collect();
            self.compared = blocks;
            self.note = Some(note);
            return;
        }
        self.damage.extend(wrong);
        if compared < blocks {
            let what = format!(
                "{} without a checksum",
                counted((blocks - compared) as u64, "block")
            );
            let at = (HEADER_BYTES + compared * BLOCK_BYTES) as u64;
            self.damage.push(Damage::new(&path, at, what));
        }
    }

    /// The note, if it and the table fit their checksum in the footer.
    fn note_by_footer(
        &mut self,
        frame: &Frame<'_>,
        inner: &Inner<'_>,
        are_entries_right: bool,
    ) -> Option<String> {
        let (footer, (tail, note)) = frame.footer.zip(inner.tail)?;
        let at = match are_entries_right {
            true => inner.table_at + tail.len() - note.len(),
            false => inner.table_at,
        };
        let path = self.path.clone();
        self.keep(footer.check_tail(&path, at, tail))?;
        std::str::from_utf8(note).map(str::to_string).ok()
    }

    /// The note and a table made anew, if the file would have its checksum with this body and this note:
    /// then all of the body is whole, whatever became of the table.
    fn note_by_sum(&self, frame: &Frame<'_>, inner: &Inner<'_>) -> Option<(String, Vec<u32>)> {
        let named_sum = frame.named.map(|named| named.entry.crc);
        let sums: Vec<_> = named_sum
            .into_iter()
            .chain(frame.footer.map(|footer| footer.crc))
            .collect();
        let found = inner
            .tail
            .and_then(|(_, note)| std::str::from_utf8(note).ok());
        let note = frame.named.map(|named| named.note).or(found)?;
        if sums.is_empty() || Some(inner.body.len() as u64) != self.body_bytes {
            return None;
        }
        let table = in_parallel(inner.body.len().div_ceil(STEP_BYTES), |step| {
            let start = step * STEP_BYTES;
            let end = inner.body.len().min(start + STEP_BYTES);
            let part = inner.body.get(start..end).unwrap_or_default();
            let crcs = part.chunks(BLOCK_BYTES).map(crc32fast::hash);
            crcs.collect::<Vec<u32>>()
        });
        let table = table.concat();
        let fits = |crc: &u32| sums.contains(&footer::encode(&table, note, *crc).1);
        let is_proven = self.header_crcs.iter().any(fits);
        is_proven.then(|| (note.to_string(), table))
    }

    pub(crate) fn is_absent(&self) -> bool {
        self.file.is_none()
    }

    /// All bytes of the file; none if it is absent.
    pub(crate) fn bytes(&self) -> &[u8] {
        let bytes = self.file.as_ref().map(MappedFile::bytes);
        bytes.unwrap_or_default()
    }

    /// Whether any block is whole.
    pub(crate) fn is_any_whole(&self) -> bool {
        !self.is_foreign && self.sums.iter().any(Option::is_some)
    }

    /// Bytes of the body as they stand there, whole or not; `None` if the file does not reach as far.
    pub(crate) fn at(&self, range: Range<u64>) -> Option<&[u8]> {
        let in_file = |at: u64| usize::try_from(at.checked_add(HEADER_BYTES as u64)?).ok();
        self.bytes().get(in_file(range.start)?..in_file(range.end)?)
    }

    /// What can be said of bytes of the body.
    pub(crate) fn state(&self, range: Range<u64>) -> State {
        let is_past = self.body_bytes.is_none_or(|bytes| range.end > bytes);
        if is_past || self.at(range.clone()).is_none() {
            return State::Missing;
        }
        if self.is_foreign {
            return State::Foreign;
        }
        // In range for usize: the bytes are there.
        let blocks = range.start as usize / BLOCK_BYTES..(range.end as usize).div_ceil(BLOCK_BYTES);
        let compared = self.compared;
        let sums = self.sums.get(blocks.clone()).unwrap_or_default();
        let wrong = sums.iter().zip(blocks).filter(|(sum, _)| sum.is_none());
        wrong.fold(State::Whole, |state, (_, block)| match state {
            State::Whole | State::Unproven if block >= compared => State::Unproven,
            _ => State::Damaged,
        })
    }

    /// A copy of the coordinates that lie in `range` of the body, or why they are not proven.
    pub(crate) fn row<'a>(
        &self,
        range: Range<u64>,
        copy: &'a mut RowCopy,
    ) -> std::result::Result<&'a [f32], State> {
        match self.state(range.clone()) {
            State::Whole => {}
            state => return Err(state),
        }
        // In range for usize: the bytes are there.
        let row = copy.row(range.start as usize..range.end as usize, |block| {
            self.whole_block(block)
        });
        row.map_err(|_| State::Damaged)
    }

    /// A block of the body that was found whole, as it stands there now, and the checksum that it had.
    fn whole_block(&self, block: usize) -> Option<(&[u8], u32)> {
        let sum = (*self.sums.get(block)?)?;
        let start = (block * BLOCK_BYTES) as u64;
        let end = self.body_bytes?.min(start + BLOCK_BYTES as u64);
        Some((self.at(start..end)?, sum))
    }

    /// The width that stands in the header, whole or not.
    pub(crate) fn stored_width(&self) -> Option<u32> {
        let width = self.bytes().get(HEADER_BYTES - 8..)?.first_chunk()?;
        Some(u32::from_le_bytes(*width))
    }
}

/// Of each row the first coordinate in a block that `check` does not let pass.
fn objections(path: &Path, body: &[u8], block: usize, check: RowCheck, dims: usize) -> Vec<Damage> {
    let mut found = Vec::new();
    let row_bytes = dims.saturating_mul(size_of::<f32>());
    let mut at = block * BLOCK_BYTES;
    let end = body.len().min(at + BLOCK_BYTES);
    while let Some(rest) = body.get(at..end)
        && let Some((wrong, what)) = objection(check, dims, at, rest)
    {
        found.push(Damage::new(path, (HEADER_BYTES + wrong) as u64, what));
        at = (wrong / row_bytes + 1).saturating_mul(row_bytes);
    }
    found
}
