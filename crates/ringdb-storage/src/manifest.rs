//! MANIFEST: names the live segment and its files with their lengths and checksums.
//!
//! It is small, written whole, and replaced in one rename. Its body, in a file like all others, with the
//! number of dims as the header's detail and that of segments as its count:
//!
//! | bytes | field |
//! |---|---|
//! | 0..4 | metric, u32: 1 Euclidean |
//! | 4..8 | element type of the rows, u32: 1 f32 |
//! | 8..12 | payload codec, u32 |
//! | 12..16 | bytes of the name of the payloads' type, u32, then the name |
//! | then per segment, 16 bytes | number, u32; files, u32; rows, u64 |
//! | then per file of it, 16 bytes | kind, u16; flags, u16; checksum, u32; length, u64 |
//!
//! This version writes and reads one segment. A file of a kind that a reader does not know is passed
//! over if the lowest flag is set, and an error if not. Derived files have that flag, and no others.

use std::path::Path;

use crate::contents::read_start;
use crate::count::counted;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::footer::{Frame, seal};
use crate::header::{Fields, Header, Origin};
use crate::layout::{DERIVED_FILES, Kind, SEGMENT_FILES};
use crate::payload::{PayloadCodec, PayloadKind};

/// More bytes than any manifest has; a larger file is not read.
const MANIFEST_BYTES_MAX: usize = 1 << 16;

/// The only metric so far: distances are Euclidean.
const EUCLIDEAN: u32 = 1;
/// The only element type so far: coordinates are f32.
const F32: u32 = 1;
/// A file that a reader may pass over.
const OPTIONAL: u16 = 1;

/// What the manifest knows of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileEntry {
    pub(crate) file_bytes: u64,
    /// The CRC in its footer, which stands for the whole file.
    pub(crate) crc: u32,
}

/// The decoded manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) origin: Origin,
    pub(crate) dims: u32,
    /// Its width is not kept here.
    pub(crate) payloads: PayloadKind,
    pub(crate) segment: u32,
    pub(crate) rows: u64,
    /// In the order of [`SEGMENT_FILES`].
    pub(crate) files: [FileEntry; SEGMENT_FILES.len()],
    /// In the order of [`DERIVED_FILES`].
    pub(crate) derived: [Option<FileEntry>; DERIVED_FILES.len()],
}

impl Manifest {
    /// The files it names, with their flags.
    fn entries(&self) -> impl Iterator<Item = (Kind, u16, FileEntry)> {
        let needed = SEGMENT_FILES.into_iter().zip(self.files);
        let needed = needed.map(|((kind, _), file)| (kind, 0, file));
        let derived = DERIVED_FILES.into_iter().zip(self.derived);
        needed.chain(derived.filter_map(|((kind, _), file)| Some((kind, OPTIONAL, file?))))
    }

    /// What it knows of the file of this kind, if it names one.
    pub(crate) fn entry(&self, kind: Kind) -> Option<FileEntry> {
        let mut entries = self.entries();
        let named = entries.find(|(named, ..)| *named == kind);
        named.map(|(.., file)| file)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for number in [EUCLIDEAN, F32, self.payloads.codec.id()] {
            body.extend_from_slice(&number.to_le_bytes());
        }
        let name = &self.payloads.type_name;
        body.extend_from_slice(&(name.len() as u32).to_le_bytes());
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(&self.segment.to_le_bytes());
        body.extend_from_slice(&(self.entries().count() as u32).to_le_bytes());
        body.extend_from_slice(&self.rows.to_le_bytes());
        for (kind, flags, file) in self.entries() {
            body.extend_from_slice(&(kind as u16).to_le_bytes());
            body.extend_from_slice(&flags.to_le_bytes());
            body.extend_from_slice(&file.crc.to_le_bytes());
            body.extend_from_slice(&file.file_bytes.to_le_bytes());
        }
        let header = Header {
            kind: Kind::Manifest,
            detail: self.dims,
            origin: self.origin,
            count: 1,
            body_bytes: body.len() as u64,
            width: 0,
        };
        seal(&header, &body, "").0
    }

    pub(crate) fn decode(path: &Path, bytes: &[u8]) -> Result<Self> {
        let frame = Frame::parse(path, Kind::Manifest, bytes)?;
        let body = frame.checked_body(path, bytes)?;
        frame.expect_plain(path)?;
        let header = &frame.header;
        let mut fields = Fields::new(path, body).at(frame.body.start as u64);
        known(path, &mut fields, "metric", |metric| {
            (metric == EUCLIDEAN).then_some(())
        })?;
        known(path, &mut fields, "element type", |element| {
            (element == F32).then_some(())
        })?;
        let codec = known(path, &mut fields, "payload codec", PayloadCodec::from_id)?;
        let name_bytes = fields.u32()? as usize;
        let at = fields.offset();
        let Ok(type_name) = std::str::from_utf8(fields.bytes(name_bytes)?) else {
            let what = "the name of the payloads' type is not UTF-8";
            return Err(Error::corrupt(path, at, what));
        };
        if header.count != 1 {
            let what = format!("{} segments, this library reads 1", header.count);
            return Err(Error::corrupt(path, 40, what));
        }
        let (segment, files, rows) = (fields.u32()?, fields.u32()?, fields.u64()?);
        let (files, derived) = read_files(path, &mut fields, files)?;
        if fields.left() != 0 {
            let what = format!("{} too many", counted(fields.left() as u64, "byte"));
            return Err(Error::corrupt(path, fields.offset(), what));
        }
        Ok(Self {
            origin: header.origin,
            dims: header.detail,
            payloads: PayloadKind {
                codec,
                type_name: type_name.to_string(),
                width: 0,
            },
            segment,
            rows,
            files,
            derived,
        })
    }

    /// Reads the manifest at `path`; `None` if there is no such file.
    pub(crate) fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Self>> {
        let bytes = match read_start(disk, path, MANIFEST_BYTES_MAX + 1) {
            Err(error) if error.is_not_found() => return Ok(None),
            other => other?,
        };
        Header::check_magic(path, &bytes)?;
        if bytes.len() > MANIFEST_BYTES_MAX {
            let what = format!("longer than any manifest ({MANIFEST_BYTES_MAX} bytes)");
            return Err(Error::corrupt(path, MANIFEST_BYTES_MAX as u64, what));
        }
        Self::decode(path, &bytes).map(Some)
    }
}

/// The next number, as what it stands for.
fn known<R>(
    path: &Path,
    fields: &mut Fields<'_>,
    what: &str,
    meaning: impl FnOnce(u32) -> Option<R>,
) -> Result<R> {
    let at = fields.offset();
    let number = fields.u32()?;
    let unknown = || Error::corrupt(path, at, format!("{what} {number} is not known"));
    meaning(number).ok_or_else(unknown)
}

/// The entries of the files that every segment has, each of which must be there once, and of those that
/// it may have.
fn read_files(
    path: &Path,
    fields: &mut Fields<'_>,
    count: u32,
) -> Result<(
    [FileEntry; SEGMENT_FILES.len()],
    [Option<FileEntry>; DERIVED_FILES.len()],
)> {
    let mut found = SEGMENT_FILES.map(|_| None);
    let mut derived = DERIVED_FILES.map(|_| None);
    for _ in 0..count {
        let at = fields.offset();
        let (kind, flags, crc, file_bytes) =
            (fields.u16()?, fields.u16()?, fields.u32()?, fields.u64()?);
        let needed = SEGMENT_FILES.iter().zip(&mut found);
        let needed = needed.map(|(file, entry)| (file, 0, entry));
        let optional = DERIVED_FILES.iter().zip(&mut derived);
        let optional = optional.map(|(file, entry)| (file, OPTIONAL, entry));
        let place = needed
            .chain(optional)
            .find(|((known, _), ..)| *known as u16 == kind);
        match place {
            Some((_, possible, _)) if flags != possible => {
                let what =
                    format!("flags {flags:#x} of a file of kind {kind}, {possible} are possible");
                return Err(Error::corrupt(path, at + 2, what));
            }
            Some((.., entry @ None)) => *entry = Some(FileEntry { file_bytes, crc }),
            Some(_) => {
                let what = format!("two files of kind {kind}");
                return Err(Error::corrupt(path, at, what));
            }
            None if flags & OPTIONAL != 0 => {}
            None => {
                let what = format!("a file of kind {kind}, which is not known");
                return Err(Error::corrupt(path, at, what));
            }
        }
    }
    let mut files = [FileEntry {
        file_bytes: 0,
        crc: 0,
    }; SEGMENT_FILES.len()];
    for ((file, found), (_, name)) in files.iter_mut().zip(found).zip(SEGMENT_FILES) {
        let missing = || Error::corrupt(path, fields.offset(), format!("it does not name {name}"));
        *file = found.ok_or_else(missing)?;
    }
    Ok((files, derived))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::HEADER_BYTES;
    use uuid::Uuid;

    fn manifest() -> Manifest {
        Manifest {
            origin: Origin {
                uuid: Uuid::from_bytes([9; 16]),
                generation: 2,
            },
            dims: 3,
            payloads: PayloadKind {
                codec: PayloadCodec::Postcard,
                type_name: "Song".to_string(),
                width: 0,
            },
            segment: 12,
            rows: 1 << 31,
            files: [1, 2, 3].map(|n| FileEntry {
                file_bytes: n << 32,
                crc: n as u32,
            }),
            derived: [None; 5],
        }
    }

    const ALL: [Option<u64>; 5] = [Some(5), Some(6), Some(7), Some(8), Some(9)];

    /// One that names derived files.
    fn with_derived(derived: [Option<u64>; 5]) -> Manifest {
        let entry = |n| FileEntry {
            file_bytes: n,
            crc: !(n as u32),
        };
        Manifest {
            derived: derived.map(|file| file.map(entry)),
            ..manifest()
        }
    }

    fn decode(bytes: &[u8]) -> Result<Manifest> {
        Manifest::decode(Path::new("M"), bytes)
    }

    #[test]
    fn a_manifest_comes_back_as_it_was() {
        for derived in [
            [None; 5],
            [Some(5), None, None, None, None],
            [None, Some(6), None, None, None],
            [None, None, Some(7), None, None],
            [None, None, None, Some(8), None],
            [None, None, None, None, Some(9)],
            ALL,
        ] {
            let manifest = with_derived(derived);
            assert_eq!(decode(&manifest.encode()).unwrap(), manifest);
            for ((kind, _), bytes) in DERIVED_FILES.into_iter().zip(derived) {
                let entry = manifest.entry(kind);
                assert_eq!(entry.map(|entry| entry.file_bytes), bytes);
            }
            assert_eq!(manifest.entry(Kind::Vectors), Some(manifest.files[2]));
        }
    }

    #[test]
    fn derived_files_are_behind_the_others_and_marked_as_optional() {
        let [plain, derived] = [manifest(), with_derived(ALL)].map(|manifest| {
            let whole = manifest.encode();
            let frame = Frame::parse(Path::new("M"), Kind::Manifest, &whole).unwrap();
            whole[frame.body].to_vec()
        });
        let files = 16 + "Song".len() + 4;
        assert_eq!((plain[files], derived[files]), (3, 8));
        let added = [5, 6, 7, 8, 9].map(|kind: u8| {
            let [crc, bytes] = [!u32::from(kind), kind.into()].map(u32::to_le_bytes);
            [&[kind, 0, 1, 0][..], &crc, &bytes, &[0; 4]].concat()
        });
        assert_eq!(derived[plain.len()..], added.concat());
        assert_eq!(derived[files + 4..plain.len()], plain[files + 4..]);
    }

    #[test]
    fn a_derived_file_is_named_once_and_always_optional() {
        let files = 16 + "Song".len() + 4;
        let add = |entries: &[[u8; 4]]| {
            let named = changed(1, |body| {
                body[files] += entries.len() as u8;
                for entry in entries {
                    body.extend_from_slice(entry);
                    body.extend_from_slice(&[7; 12]);
                }
            });
            named.map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(
            add(&[[9, 0, 1, 0], [6, 0, 1, 0], [8, 0, 1, 0], [5, 0, 1, 0]]),
            Ok(())
        );
        let twice = add(&[[5, 0, 1, 0], [5, 0, 1, 0]]).unwrap_err();
        assert!(twice.ends_with("two files of kind 5"), "{twice}");
        for (kind, flags) in [(5, 0), (6, 0), (7, 0), (8, 0), (9, 0), (5, 2), (9, 3)] {
            let error = add(&[[kind, 0, flags, 0]]).unwrap_err();
            let what = format!("flags {flags:#x} of a file of kind {kind}, 1 are possible");
            assert!(error.ends_with(&what), "{error}");
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_an_error() {
        let bytes = with_derived(ALL).encode();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&flipped).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len]).is_err(), "{len} bytes");
        }
    }

    /// The body of [`manifest`], changed, in a file with the right checksums.
    fn changed(count: u64, change: impl FnOnce(&mut Vec<u8>)) -> Result<Manifest> {
        let whole = manifest().encode();
        let frame = Frame::parse(Path::new("M"), Kind::Manifest, &whole)?;
        let mut body = whole[frame.body].to_vec();
        change(&mut body);
        let header = Header {
            body_bytes: body.len() as u64,
            count,
            ..frame.header
        };
        decode(&seal(&header, &body, "").0)
    }

    #[test]
    fn what_a_later_version_may_write_is_named_or_passed_over() {
        let files = 16 + "Song".len() + 4;
        let mut extra = [10, 0, 1, 0].to_vec();
        extra.extend_from_slice(&[0xff; 12]);
        let optional = changed(1, |body| {
            body[files] = 4;
            body.extend_from_slice(&extra);
        });
        assert_eq!(optional.unwrap(), manifest());
        extra[2] = 0;
        let text = |result: Result<Manifest>| result.unwrap_err().to_string();
        let needed = changed(1, |body| {
            body[files] = 4;
            body.extend_from_slice(&extra);
        });
        assert!(text(needed).contains("a file of kind 10, which is not known"));
        let codec = changed(1, |body| body[8] = 77);
        let expected = format!("corrupt at byte {}: payload codec 77", HEADER_BYTES + 8);
        assert!(text(codec).contains(&expected));
        assert!(text(changed(1, |body| body[0] = 2)).contains("metric 2 is not known"));
        assert!(text(changed(1, |body| body[4] = 2)).contains("element type 2"));
        assert!(text(changed(2, |_| {})).contains("2 segments, this library reads 1"));
    }

    #[test]
    fn each_file_is_named_once() {
        let files = 16 + "Song".len() + 4;
        let text = |result: Result<Manifest>| result.unwrap_err().to_string();
        let twice = changed(1, |body| {
            body[files] = 4;
            let again = body[body.len() - 16..].to_vec();
            body.extend_from_slice(&again);
        });
        assert!(text(twice).contains("two files of kind 2"));
        let missing = changed(1, |body| {
            body[files] = 2;
            body.truncate(body.len() - 16);
        });
        assert!(text(missing).contains("it does not name vectors.bin"));
        assert!(text(changed(1, |body| body.push(0))).contains("1 byte too many"));
        let flags = changed(1, |body| body[files + 14] = 2);
        assert!(text(flags).contains("flags 0x2 of a file of kind 4"));
    }
}
