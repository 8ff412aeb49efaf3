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
//! over if the lowest flag is set, and an error if not.

use std::path::Path;

use crate::contents::read_start;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::footer::{Frame, seal};
use crate::header::{Fields, Header, Origin};
use crate::layout::{Kind, SEGMENT_FILES};
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
}

impl Manifest {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for number in [EUCLIDEAN, F32, self.payloads.codec.id()] {
            body.extend_from_slice(&number.to_le_bytes());
        }
        let name = &self.payloads.type_name;
        body.extend_from_slice(&(name.len() as u32).to_le_bytes());
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(&self.segment.to_le_bytes());
        body.extend_from_slice(&(self.files.len() as u32).to_le_bytes());
        body.extend_from_slice(&self.rows.to_le_bytes());
        for ((kind, _), file) in SEGMENT_FILES.iter().zip(&self.files) {
            body.extend_from_slice(&(*kind as u16).to_le_bytes());
            body.extend_from_slice(&0_u16.to_le_bytes());
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
        let files = read_files(path, &mut fields, files)?;
        if fields.left() != 0 {
            let what = format!("{} bytes too many", fields.left());
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

/// The entries of the files that every segment has, each of which must be there once.
fn read_files(
    path: &Path,
    fields: &mut Fields<'_>,
    count: u32,
) -> Result<[FileEntry; SEGMENT_FILES.len()]> {
    let mut found = SEGMENT_FILES.map(|_| None);
    for _ in 0..count {
        let at = fields.offset();
        let (kind, flags, crc, file_bytes) =
            (fields.u16()?, fields.u16()?, fields.u32()?, fields.u64()?);
        let place = SEGMENT_FILES
            .iter()
            .zip(&mut found)
            .find(|((known, _), _)| *known as u16 == kind);
        match place {
            Some(_) if flags != 0 => {
                let what = format!("flags {flags:#x} of a file of kind {kind}, 0 are possible");
                return Err(Error::corrupt(path, at + 2, what));
            }
            Some((_, entry @ None)) => *entry = Some(FileEntry { file_bytes, crc }),
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
    Ok(files)
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
        }
    }

    fn decode(bytes: &[u8]) -> Result<Manifest> {
        Manifest::decode(Path::new("M"), bytes)
    }

    #[test]
    fn a_manifest_comes_back_as_it_was() {
        assert_eq!(decode(&manifest().encode()).unwrap(), manifest());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_an_error() {
        let bytes = manifest().encode();
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
        let mut extra = [7, 0, 1, 0].to_vec();
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
        assert!(text(needed).contains("a file of kind 7, which is not known"));
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
        assert!(text(changed(1, |body| body.push(0))).contains("1 bytes too many"));
        let flags = changed(1, |body| body[files + 14] = 2);
        assert!(text(flags).contains("flags 0x2 of a file of kind 4"));
    }
}
