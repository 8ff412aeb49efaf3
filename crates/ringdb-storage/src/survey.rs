//! What is left of a database: its files, and which of their blocks are whole, whatever else is damaged.
//!
//! Nothing is decided here about rows and payloads. What says where things lie may be damaged as well, so
//! others stand in for it:
//!
//! | what | is told by |
//! |---|---|
//! | the segment | MANIFEST, or the only one with files of its uuid, or the only one |
//! | database and generation | MANIFEST, its header if only that is whole, or most headers of files |
//! | dims | MANIFEST, the header of vectors.bin or of MANIFEST, or the length of the rows |
//! | number of rows | MANIFEST, or the header of any file |
//! | codec, type and width of payloads | MANIFEST and payloads.bin, or what fits the CRC of its header |
//!
//! A MANIFEST that no file fits counts as lost where the files fit each other, unless they are of an older
//! generation of it: it is another database's, or an older one itself. And `file.rs` says the same of the parts
//! of a file.

mod file;

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::contents::{Access, MappedFile, expect_dir, open_regular, read_start};
use crate::count::counted;
use crate::disk::{Disk, FileKind};
use crate::error::{Error, Result};
use crate::header::{HEADER_BYTES, Header, Origin};
use crate::layout::{DERIVED_FILES, Kind, MANIFEST, SEGMENT_FILES, segment_name, segment_number};
use crate::legacy;
use crate::limits::{DIMS_MAX, PAYLOAD_BYTES_MAX, POD_ALIGN, ROWS_MAX};
use crate::manifest::Manifest;
use crate::payload::{PayloadCodec, PayloadKind, Records};
use crate::segment::check_origin;
use crate::vectors::RowCheck;

pub(crate) use file::{FileSurvey, State};
use file::{Known, Named};

/// Something that is wrong with a file of a database.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// The byte at which it was found, from the start of the file: of a damaged block the first.
    pub offset: u64,
    /// What was expected and what was found.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, offset, what } = self;
        write!(f, "{} at byte {offset}: {what}", path.display())
    }
}

impl Damage {
    pub(crate) fn new(path: &Path, offset: u64, what: impl Into<String>) -> Self {
        let (path, what) = (path.to_path_buf(), what.into());
        Self { path, offset, what }
    }

    /// What `error`, met at the file `path`, finds.
    pub(crate) fn of(path: &Path, error: Error) -> Self {
        match error {
            Error::Corrupt { path, offset, what } => Self { path, offset, what },
            Error::Io { op, path, source } => match source.kind() {
                ErrorKind::NotFound => Self::new(&path, 0, "missing"),
                _ => Self::new(&path, 0, format!("cannot {op} it: {source}")),
            },
            Error::UnsupportedVersion {
                path,
                found,
                supported,
            } => {
                let what =
                    format!("format version {found}, this library reads version {supported}");
                Self::new(&path, 8, what)
            }
            error => Self::new(path, 0, error.to_string()),
        }
    }
}

/// What is left of a database directory.
#[derive(Debug)]
pub(crate) struct Survey {
    head: Head,
    /// One, but for a lost MANIFEST that could have named any of several, or none that is there.
    pub(crate) segments: Vec<SegmentSurvey>,
    /// In order of files and bytes.
    pub(crate) damage: Vec<Damage>,
}

impl Survey {
    /// Looks at every block of everything in `dir`, of derived files if they are wanted, and holds the rows
    /// in whole blocks to `row_check`. [`Error::NotADatabase`] if there is neither a MANIFEST nor a segment.
    pub(crate) fn of(
        disk: &dyn Disk,
        dir: &Path,
        row_check: Option<RowCheck>,
        with_derived: bool,
    ) -> Result<Self> {
        loop {
            let survey = Self::once(disk, dir, row_check, with_derived)?;
            let was = survey.head.read;
            // A writer may have replaced the database meanwhile, and taken files away.
            let is_replaced = || match Manifest::read(disk, &survey.head.path) {
                Ok(Some(now)) => was.is_some_and(|was| was != now.origin),
                _ => false,
            };
            let is_all_there = survey.files().all(|file| !file.is_absent());
            if (is_all_there && !survey.head.is_foreign) || !is_replaced() {
                return Ok(survey);
            }
        }
    }

    fn once(
        disk: &dyn Disk,
        dir: &Path,
        row_check: Option<RowCheck>,
        with_derived: bool,
    ) -> Result<Self> {
        expect_dir(disk, dir)?;
        let head = Head::read(disk, dir)?;
        let dirs = match &head.manifest {
            Some(manifest) => vec![dir.join(segment_name(manifest.segment))],
            None => head.candidates(disk, dir),
        };
        if dirs.is_empty() && head.is_missing {
            let path = dir.to_path_buf();
            return Err(Error::NotADatabase { path });
        }
        let mut damage = [&head.damage[..], &head.older].concat();
        if dirs.len() > 1 {
            let what = format!("{} segments could be the one of the database", dirs.len());
            damage.push(Damage::new(&head.path, 0, what));
        }
        let of_segment =
            |dir: &PathBuf| SegmentSurvey::of(disk, dir, &head, row_check, with_derived);
        let segments: Vec<_> = dirs.iter().map(of_segment).collect();
        let mut survey = Self {
            head,
            segments,
            damage,
        };
        let found: Vec<_> = survey
            .files()
            .flat_map(|file| file.damage.clone())
            .collect();
        survey.damage.extend(found);
        survey.damage.sort();
        Ok(survey)
    }

    fn files(&self) -> impl Iterator<Item = &FileSurvey> {
        let segments = self.segments.iter();
        segments.flat_map(|segment| segment.files().into_iter().chain(&segment.derived))
    }

    /// How many files are there, MANIFEST included, and their bytes.
    pub(crate) fn size(&self) -> (u64, u64) {
        let files = self.files().filter(|file| !file.is_absent());
        let lengths = files.map(|file| file.bytes().len() as u64);
        let lengths = lengths.chain(self.head.bytes);
        lengths.fold((0, 0), |(files, bytes), len| (files + 1, bytes + len))
    }

    /// How many blocks were held to a checksum.
    pub(crate) fn blocks(&self) -> u64 {
        let of_files: u64 = self.files().map(|file| file.compared as u64).sum();
        // A manifest is one block.
        of_files + u64::from(self.head.read.is_some())
    }

    /// MANIFEST, if it is whole and that of the files beside it.
    pub(crate) fn manifest(&self) -> Option<&Manifest> {
        self.head.manifest.as_ref()
    }

    /// What is said of segments that MANIFEST replaced, where no file of its own is left.
    pub(crate) fn older(&self) -> impl Iterator<Item = &str> {
        self.head.older.iter().map(|found| found.what.as_str())
    }

    /// Whether MANIFEST is not that of the files beside it, which were looked at by themselves.
    pub(crate) fn is_manifest_foreign(&self) -> bool {
        self.head.is_foreign
    }
}

/// Whether `dir` is a directory of ring-db 0.3.
pub(crate) fn is_legacy(disk: &dyn Disk, dir: &Path) -> Result<bool> {
    Ok(disk.kind_of_name(&dir.join(MANIFEST)).is_err() && legacy::is_database(disk, dir)?)
}

/// The directories in `dir` with the names of segments and files that begin like ours.
pub(crate) fn segment_dirs(disk: &dyn Disk, dir: &Path) -> Vec<PathBuf> {
    let names = disk.list(dir).unwrap_or_default();
    let names = names.iter().filter_map(|name| name.to_str());
    let named = names.filter(|name| segment_number(name).is_some());
    let mut dirs: Vec<_> = named.map(|name| dir.join(name)).collect();
    // Links are none of ours.
    dirs.retain(|dir| matches!(disk.kind_of_name(dir), Ok(FileKind::Dir)));
    dirs.retain(|dir| starts(disk, dir).any(|(.., start)| Header::uuid(&start).is_some()));
    dirs.sort();
    dirs
}

/// The first bytes of those files of a segment that can be read.
fn starts(disk: &dyn Disk, segment: &Path) -> impl Iterator<Item = (PathBuf, Kind, Vec<u8>)> {
    SEGMENT_FILES.into_iter().filter_map(move |(kind, name)| {
        let path = segment.join(name);
        let start = read_start(disk, &path, HEADER_BYTES).ok()?;
        Some((path, kind, start))
    })
}

/// The origins in the whole headers of a segment.
fn origins(disk: &dyn Disk, segment: &Path) -> Vec<Origin> {
    let headers = starts(disk, segment)
        .filter_map(|(path, kind, start)| Header::decode(&path, kind, &start).ok());
    headers.map(|(header, _)| header.origin).collect()
}

/// MANIFEST, or what is left of it.
#[derive(Debug)]
struct Head {
    path: PathBuf,
    is_missing: bool,
    /// Whether it is not that of the files beside it: then nothing of it counts.
    is_foreign: bool,
    /// Its length, if it can be opened.
    bytes: Option<u64>,
    /// Of which database it is, if it is whole.
    read: Option<Origin>,
    manifest: Option<Manifest>,
    /// Its header, if that is whole.
    header: Option<Header>,
    /// The uuid that stands in it, whole or not.
    uuid: Option<Uuid>,
    /// The segments whose files fit each other, if it is not that of the files beside it.
    agreed: Vec<PathBuf>,
    /// What is said of segments that it replaced, where none of its own is left.
    older: Vec<Damage>,
    damage: Vec<Damage>,
}

impl Head {
    /// Fails only for a manifest of another version that is whole.
    fn read(disk: &dyn Disk, dir: &Path) -> Result<Self> {
        let path = dir.join(MANIFEST);
        let start = read_start(disk, &path, HEADER_BYTES).unwrap_or_default();
        let read = Manifest::read(disk, &path);
        let is_missing = matches!(read, Ok(None));
        let (manifest, damage) = match read {
            Ok(Some(manifest)) => (Some(manifest), Vec::new()),
            Ok(None) => (None, vec![Damage::new(&path, 0, "missing")]),
            Err(error @ Error::UnsupportedVersion { .. }) if Header::is_signed(&start) => {
                return Err(error);
            }
            Err(error) => (None, vec![Damage::of(&path, error)]),
        };
        let header = Header::decode(&path, Kind::Manifest, &start).ok();
        let bytes = open_regular(disk, &path).ok();
        let head = Self {
            path,
            is_missing,
            is_foreign: false,
            bytes: bytes.map(|(_, bytes)| bytes),
            read: manifest.as_ref().map(|manifest| manifest.origin),
            manifest,
            header: header.map(|(header, _)| header),
            uuid: Header::uuid(&start),
            agreed: Vec::new(),
            older: Vec::new(),
            damage,
        };
        head.compare_files(disk, dir)
    }

    /// Looks whether a file beside it fits it. If none does, but files of one segment, at least two, fit each
    /// other, nothing of it counts but that segment. It is the one that it names, if a file of that is there.
    /// Another one of the same database is not if it is older: that is left of what was replaced, and its rows
    /// are not those of the database.
    fn compare_files(mut self, disk: &dyn Disk, dir: &Path) -> Result<Self> {
        let Some(origin) = self.origin() else {
            return Ok(self);
        };
        let mut of_segments: Vec<_> = segment_dirs(disk, dir)
            .into_iter()
            .map(|dir| (origins(disk, &dir), dir))
            .collect();
        let mut all = of_segments.iter().flat_map(|(origins, _)| origins);
        if all.any(|other| *other == origin) {
            return Ok(self);
        }
        if let Some(manifest) = &self.manifest {
            let segment = dir.join(segment_name(manifest.segment));
            let files = SEGMENT_FILES.map(|(kind, name)| (kind, segment.join(name)));
            // A file of which only the header is another's has the footer that MANIFEST knows.
            let is_known =
                |(kind, path): &(Kind, PathBuf)| is_known(disk, Named::of(manifest, *kind), path);
            if files.iter().any(is_known) {
                return Ok(self);
            }
            if files.iter().any(|(_, path)| may_have_bytes(disk, path)) {
                of_segments.retain(|(_, dir)| *dir == segment);
            }
        }
        let agreed = of_segments.into_iter().filter_map(|(origins, dir)| {
            let agreed = most_frequent(&origins)?;
            let times = origins.iter().filter(|other| **other == agreed).count();
            (times > 1).then_some((agreed, dir))
        });
        let is_older =
            |agreed: &Origin| agreed.uuid == origin.uuid && agreed.generation < origin.generation;
        let (older, others): (Vec<_>, Vec<_>) = agreed.partition(|(agreed, _)| is_older(agreed));
        if let [(agreed, _), ..] = others[..] {
            let told = check_origin(&self.path, origin, agreed, "the other files");
            let dirs = others.into_iter().map(|(_, dir)| dir).collect();
            return Ok(match told {
                Ok(()) => self,
                Err(error) => self.without(error, dirs),
            });
        }
        let left = older.iter().map(|(agreed, dir)| {
            let (path, generation) = (dir.display(), agreed.generation);
            let what = format!(
                "of generation {}, and none of its files is left; {path} is of generation \
                 {generation}, which it replaced, and can be salvaged without it",
                origin.generation
            );
            Damage::new(&self.path, 24, what)
        });
        self.older = left.collect();
        Ok(self)
    }

    /// As if there were none, but for the reason and the segments that it is not of.
    fn without(mut self, reason: Error, dirs: Vec<PathBuf>) -> Self {
        self.damage.push(Damage::of(&self.path, reason));
        Self {
            is_foreign: true,
            agreed: dirs,
            manifest: None,
            header: None,
            uuid: None,
            ..self
        }
    }

    fn origin(&self) -> Option<Origin> {
        let origin = self.manifest.as_ref().map(|manifest| manifest.origin);
        origin.or(self.header.map(|header| header.origin))
    }

    /// The segments in `dir` that may be the one of the database, for a manifest that does not name it.
    fn candidates(&self, disk: &dyn Disk, dir: &Path) -> Vec<PathBuf> {
        if !self.agreed.is_empty() {
            return self.agreed.clone();
        }
        let mut dirs = segment_dirs(disk, dir);
        let of_origin = |dir: &PathBuf| {
            let origin = self.origin();
            origin.is_some_and(|origin| origins(disk, dir).contains(&origin))
        };
        let of_uuid = |dir: &PathBuf| {
            let mut uuids = starts(disk, dir).map(|(.., start)| Header::uuid(&start));
            self.uuid.is_some() && uuids.any(|uuid| uuid == self.uuid)
        };
        if dirs.iter().any(of_origin) {
            dirs.retain(of_origin);
        } else if dirs.iter().any(of_uuid) {
            dirs.retain(of_uuid);
        }
        dirs
    }
}

/// Whether a file ends as MANIFEST says.
fn is_known(disk: &dyn Disk, named: Option<Named<'_>>, path: &Path) -> bool {
    let file = MappedFile::open_on(disk, path, Access::Map).ok();
    named
        .zip(file)
        .is_some_and(|(named, file)| named.is_footer_of(path, file.bytes()))
}

/// Whether there is a regular file that is not empty, or something that cannot be looked at: that may be one.
fn may_have_bytes(disk: &dyn Disk, path: &Path) -> bool {
    match open_regular(disk, path) {
        Ok((_, bytes)) => bytes > 0,
        Err(error) => matches!(error, Error::Io { .. }) && !error.is_not_found(),
    }
}

/// What is left of a segment.
#[derive(Debug)]
pub(crate) struct SegmentSurvey {
    pub(crate) offsets: FileSurvey,
    pub(crate) payloads: FileSurvey,
    pub(crate) vectors: FileSurvey,
    /// If they are wanted, those derived files that MANIFEST names or, if it is lost, that are there. No row
    /// depends on them.
    derived: Vec<FileSurvey>,
    /// What is known of all of them together.
    pub(crate) origin: Option<Origin>,
    pub(crate) dims: Option<usize>,
    pub(crate) rows: Option<u64>,
    pub(crate) kind: Option<PayloadKind>,
}

impl SegmentSurvey {
    fn of(
        disk: &dyn Disk,
        dir: &Path,
        head: &Head,
        row_check: Option<RowCheck>,
        with_derived: bool,
    ) -> Self {
        let manifest = head.manifest.as_ref();
        let (origin, teller) = match head.origin() {
            Some(origin) => (Some(origin), "MANIFEST"),
            None => (most_frequent(&origins(disk, dir)), "the other files"),
        };
        let named_dims = manifest.map(|manifest| u64::from(manifest.dims));
        let named_dims = named_dims.or(head.header.map(|header| u64::from(header.detail)));
        let dims_max = DIMS_MAX as u64;
        let possible = |dims: &u64| (1..=dims_max).contains(dims);
        let look = |(kind, name): (Kind, &str)| {
            let known = Known {
                origin,
                teller,
                named: manifest.and_then(|manifest| Named::of(manifest, kind)),
                dims: named_dims.filter(possible),
                row_check: row_check.filter(|_| kind == Kind::Vectors),
            };
            FileSurvey::of(disk, dir.join(name), kind, &known)
        };
        let [offsets, payloads, vectors] = SEGMENT_FILES.map(look);
        let is_due = |(kind, name): &(Kind, &str)| match manifest {
            _ if !with_derived => false,
            Some(manifest) => manifest.entry(*kind).is_some(),
            None => disk.kind_of_name(&dir.join(name)).is_ok(),
        };
        let derived = DERIVED_FILES.into_iter().filter(is_due).map(look).collect();

        let told = [
            manifest.map(|manifest| manifest.rows),
            vectors.header.map(|header| header.count),
            payloads.header.map(|header| header.count),
            offsets
                .header
                .and_then(|header| header.count.checked_sub(1)),
        ];
        let rows = told.into_iter().flatten().next();
        let rows = rows.filter(|rows| *rows <= ROWS_MAX);
        let measured = || {
            let bytes = vectors.body_bytes.filter(|_| vectors.is_any_whole())?;
            let column_bytes = rows? * size_of::<f32>() as u64;
            (bytes.checked_rem(column_bytes)? == 0).then_some(bytes / column_bytes)
        };
        let told = vectors.header.map(|header| u64::from(header.detail));
        let dims = manifest.and(named_dims).or(told).or(named_dims);
        let dims = dims.or_else(measured).filter(possible);
        let kind = payload_kind(manifest, &payloads, origin, rows);
        let mut payloads = payloads;
        let header = payloads.header.filter(|header| header.width != 0);
        if let (None, Some(header)) = (&kind, header) {
            let width = counted(u64::from(header.width), "byte");
            let what = format!("payloads of {width} each, which nothing in the file proves");
            payloads.damage.push(Damage::new(&payloads.path, 56, what));
        }
        Self {
            offsets,
            payloads,
            vectors,
            derived,
            origin,
            dims: dims.map(|dims| dims as usize),
            rows,
            kind,
        }
    }

    /// The files that hold the rows.
    pub(crate) fn files(&self) -> [&FileSurvey; 3] {
        [&self.offsets, &self.payloads, &self.vectors]
    }
}

/// Of those that are there most often, the last: that of vectors.bin, without which payloads are nothing.
fn most_frequent(origins: &[Origin]) -> Option<Origin> {
    let times = |origin: &&Origin| origins.iter().filter(|other| other == origin).count();
    origins.iter().max_by_key(times).copied()
}

/// Whether payloads that all have one width fill the body as it was written. If the file does not hold
/// all of that, one of them must be there that fits its checksum.
fn is_width_proven(
    kind: &PayloadKind,
    payloads: &FileSurvey,
    origin: Option<Origin>,
    rows: Option<u64>,
) -> bool {
    if kind.codec != PayloadCodec::Pod {
        return true;
    }
    let (Some(origin), Some(rows), Some(body_bytes)) = (origin, rows, payloads.body_bytes) else {
        return false;
    };
    let records = Records::new(kind, origin);
    let filled = records.record_bytes().unwrap_or_default() as u64;
    if rows.checked_mul(filled) != Some(body_bytes) {
        return false;
    }
    let found = |id| Some((id, payloads.at(records.range(id)?)?));
    let mut found = (0..).take(rows as usize).map_while(found);
    payloads.at(0..body_bytes).is_some()
        || found.any(|(id, record)| records.open(id, record).is_ok())
}

/// How the payloads are stored.
fn payload_kind(
    manifest: Option<&Manifest>,
    payloads: &FileSurvey,
    origin: Option<Origin>,
    rows: Option<u64>,
) -> Option<PayloadKind> {
    let named = manifest.map(|manifest| &manifest.payloads);
    let type_name = named.map(|named| named.type_name.clone());
    let type_name = type_name
        .or_else(|| payloads.note.clone())
        .unwrap_or_default();
    let possible = |kind: &PayloadKind| {
        let is_short = u64::from(kind.width) <= PAYLOAD_BYTES_MAX;
        is_short && is_width_proven(kind, payloads, origin, rows)
    };
    if let Some(header) = &payloads.header {
        let kind = PayloadKind::read(&payloads.path, header, &type_name).ok();
        return kind.filter(possible);
    }
    let codecs: &[PayloadCodec] = match named {
        // Has all of it, but for a width.
        Some(named) if named.codec != PayloadCodec::Pod => return Some(named.clone()),
        Some(_) => &[PayloadCodec::Pod],
        None => &PayloadCodec::ALL,
    };
    let (origin, count, body_bytes) = (origin?, rows?, payloads.body_bytes?);
    // A record is a payload, its checksum of 4 bytes, and zeros up to the next multiple of 16.
    let record_bytes = u32::try_from(body_bytes.checked_div(count).unwrap_or_default());
    let record_bytes = record_bytes.unwrap_or_default();
    let widths = (4..POD_ALIGN as u32 + 4).filter_map(|rest| record_bytes.checked_sub(rest));
    let widths: Vec<u32> = widths.chain(payloads.stored_width()).collect();
    let kinds = codecs.iter().flat_map(|&codec| {
        let widths = match codec {
            PayloadCodec::Pod => widths.as_slice(),
            _ => &[0],
        };
        widths.iter().map(move |&width| (codec, width))
    });
    let mut fitting = kinds.filter(|&(codec, width)| {
        let header = Header {
            kind: Kind::Payloads,
            detail: codec.id(),
            origin,
            count,
            body_bytes,
            width,
        };
        payloads.header_crcs.contains(&header.encode().1)
    });
    let kind = fitting.next().map(|(codec, width)| PayloadKind {
        codec,
        type_name,
        width,
    });
    kind.filter(possible)
}
