//! MANIFEST: names the live segment and its files with their lengths and checksums.
//!
//! It is small, written whole, and replaced in one rename. The body, after the common header whose
//! detail is the number of dims and whose count is the number of files:
//!
//! | bytes | field |
//! |---|---|
//! | 0..8 | rows, u64 |
//! | 8..12 | segment number, u32 |
//! | 12..16 | payload codec, u32 |
//! | then per file, 12 bytes | length of the file, u64; CRC in its header, u32 |
//!
//! The files are offsets.bin, payloads.bin, vectors.bin, in this order.

use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};
use crate::header::{Fields, HEADER_BYTES, Header, Kind, Origin};
use crate::layout::SEGMENT_FILES;
use crate::payload::PayloadCodec;
use crate::regular::open_regular;

/// More bytes than any manifest has; a larger file is not read.
const MANIFEST_BYTES_MAX: u64 = 1 << 16;

/// What the manifest knows of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileEntry {
    pub(crate) file_bytes: u64,
    pub(crate) header_crc: u32,
}

/// The decoded manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) origin: Origin,
    pub(crate) dims: u32,
    pub(crate) rows: u64,
    pub(crate) segment: u32,
    pub(crate) codec: PayloadCodec,
    /// In the order of [`SEGMENT_FILES`].
    pub(crate) files: [FileEntry; SEGMENT_FILES.len()],
}

impl Manifest {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend_from_slice(&self.rows.to_le_bytes());
        body.extend_from_slice(&self.segment.to_le_bytes());
        body.extend_from_slice(&self.codec.id().to_le_bytes());
        for file in &self.files {
            body.extend_from_slice(&file.file_bytes.to_le_bytes());
            body.extend_from_slice(&file.header_crc.to_le_bytes());
        }
        let header = Header {
            kind: Kind::Manifest,
            detail: self.dims,
            origin: self.origin,
            count: self.files.len() as u64,
            body_bytes: body.len() as u64,
            body_crc: crc32fast::hash(&body),
        };
        [&header.encode().0[..], &body].concat()
    }

    pub(crate) fn decode(path: &Path, bytes: &[u8]) -> Result<Self> {
        let (header, _) = Header::decode(path, Kind::Manifest, bytes)?;
        let body = bytes.get(HEADER_BYTES..).unwrap_or_default();
        header.check_body(path, body)?;
        let corrupt = |offset: usize, what: String| {
            Error::corrupt(path, (HEADER_BYTES + offset) as u64, what)
        };
        let mut fields = Fields::new(path, body);
        let (rows, segment, codec) = (fields.u64()?, fields.u32()?, fields.u32()?);
        let codec = PayloadCodec::from_id(codec)
            .ok_or_else(|| corrupt(12, format!("payload codec {codec} is not known")))?;
        let mut files = [FileEntry {
            file_bytes: 0,
            header_crc: 0,
        }; SEGMENT_FILES.len()];
        if header.count != files.len() as u64 || fields.left() != 12 * files.len() {
            let what = format!("{} files declared in {} bytes", header.count, fields.left());
            return Err(corrupt(16, what));
        }
        for file in &mut files {
            *file = FileEntry {
                file_bytes: fields.u64()?,
                header_crc: fields.u32()?,
            };
        }
        let (origin, dims) = (header.origin, header.detail);
        Ok(Self {
            origin,
            dims,
            rows,
            segment,
            codec,
            files,
        })
    }

    /// Reads the manifest at `path`; `None` if there is no such file.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>> {
        let file = match open_regular(path) {
            Err(error) if error.is_not_found() => return Ok(None),
            other => other?,
        };
        let mut bytes = Vec::new();
        let mut file = file.take(MANIFEST_BYTES_MAX + 1);
        file.read_to_end(&mut bytes)
            .map_err(Error::io("read", path))?;
        Header::check_magic(path, &bytes)?;
        if bytes.len() as u64 > MANIFEST_BYTES_MAX {
            let what = format!("longer than any manifest ({MANIFEST_BYTES_MAX} bytes)");
            return Err(Error::corrupt(path, MANIFEST_BYTES_MAX, what));
        }
        Self::decode(path, &bytes).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn manifest() -> Manifest {
        Manifest {
            origin: Origin {
                uuid: Uuid::from_bytes([9; 16]),
                generation: 2,
            },
            dims: 3,
            rows: 1 << 31,
            segment: 12,
            codec: PayloadCodec::JsonText,
            files: [1, 2, 3].map(|n| FileEntry {
                file_bytes: n << 32,
                header_crc: n as u32,
            }),
        }
    }

    #[test]
    fn a_manifest_comes_back_as_it_was() {
        let bytes = manifest().encode();
        assert_eq!(
            Manifest::decode(Path::new("M"), &bytes).unwrap(),
            manifest()
        );
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_an_error() {
        let bytes = manifest().encode();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(
                Manifest::decode(Path::new("M"), &flipped).is_err(),
                "bit {bit}"
            );
        }
        for len in 0..bytes.len() {
            assert!(
                Manifest::decode(Path::new("M"), &bytes[..len]).is_err(),
                "{len} bytes"
            );
        }
    }
}
