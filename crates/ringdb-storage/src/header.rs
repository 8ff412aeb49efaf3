//! The 64 bytes at the head of every file: encode and decode side by side.
//!
//! Nothing here touches a file.
//!
//! | bytes | field |
//! |---|---|
//! | 0..6 | magic `RINGDB` |
//! | 6..8 | kind, u16 |
//! | 8..12 | format version, u32 |
//! | 12..16 | detail, u32: dims of vectors and MANIFEST, codec of payloads, else 0 |
//! | 16..32 | uuid |
//! | 32..40 | generation, u64 |
//! | 40..48 | count, u64: rows, payloads, offsets or segments |
//! | 48..56 | bytes of the body, u64 |
//! | 56..60 | width, u32: bytes of each payload where all have the same, else 0 |
//! | 60..64 | CRC-32 of bytes 0..60 |

use std::path::Path;

use uuid::Uuid;

use crate::count::counted;
use crate::error::{Error, Result};
use crate::layout::Kind;

/// The length of a header; the body begins here.
pub(crate) const HEADER_BYTES: usize = 64;
/// The version written, and the only one read. Version 0 was never kept.
pub(crate) const FORMAT_VERSION: u32 = 1;

const MAGIC: [u8; 6] = *b"RINGDB";
const CRC_AT: usize = HEADER_BYTES - 4;

/// Files that were committed together, and nothing else, share both values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) uuid: Uuid,
    pub(crate) generation: u64,
}

/// A decoded header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) detail: u32,
    pub(crate) origin: Origin,
    pub(crate) count: u64,
    pub(crate) body_bytes: u64,
    pub(crate) width: u32,
}

impl Header {
    /// The header's bytes, and the CRC that stands at their end.
    pub(crate) fn encode(&self) -> ([u8; HEADER_BYTES], u32) {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&(self.kind as u16).to_le_bytes());
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.detail.to_le_bytes());
        bytes.extend_from_slice(self.origin.uuid.as_bytes());
        bytes.extend_from_slice(&self.origin.generation.to_le_bytes());
        bytes.extend_from_slice(&self.count.to_le_bytes());
        bytes.extend_from_slice(&self.body_bytes.to_le_bytes());
        bytes.extend_from_slice(&self.width.to_le_bytes());
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        let mut header = [0; HEADER_BYTES];
        header.copy_from_slice(&bytes);
        (header, crc)
    }

    /// Reads the header of `path` from the file's first bytes and checks it against itself and `kind`.
    pub(crate) fn decode(path: &Path, kind: Kind, file: &[u8]) -> Result<(Self, u32)> {
        Self::check_magic(path, file)?;
        let Some(bytes) = file.first_chunk::<HEADER_BYTES>() else {
            let what = format!(
                "{} are too few for a header of {HEADER_BYTES}",
                counted(file.len() as u64, "byte")
            );
            return Err(Error::corrupt(path, file.len() as u64, what));
        };
        let (signed, _) = bytes.split_at(CRC_AT);
        let mut fields = Fields::new(path, bytes);
        fields.array::<{ MAGIC.len() }>()?;
        let found_kind = fields.u16()?;
        let found = fields.u32()?;
        if found != FORMAT_VERSION {
            let (path, supported) = (path.to_path_buf(), FORMAT_VERSION);
            return Err(Error::UnsupportedVersion {
                path,
                found,
                supported,
            });
        }
        let header = Self {
            kind,
            detail: fields.u32()?,
            origin: Origin {
                uuid: Uuid::from_bytes(fields.array()?),
                generation: fields.u64()?,
            },
            count: fields.u64()?,
            body_bytes: fields.u64()?,
            width: fields.u32()?,
        };
        let (stored, computed) = (fields.u32()?, crc32fast::hash(signed));
        if stored != computed {
            let what = format!("header checksum {stored:08x} stored, {computed:08x} computed");
            return Err(Error::corrupt(path, CRC_AT as u64, what));
        }
        if found_kind != kind as u16 {
            let what = format!(
                "a file of kind {found_kind} where kind {} ({kind:?}) belongs",
                kind as u16
            );
            return Err(Error::corrupt(path, 6, what));
        }
        Ok((header, stored))
    }

    /// Checks that a file begins like one of ours; the only damage that is found at byte 0.
    pub(crate) fn check_magic(path: &Path, file: &[u8]) -> Result<()> {
        if file.starts_with(&MAGIC) {
            return Ok(());
        }
        let what = "not a ringdb file: it does not begin with RINGDB";
        Err(Error::corrupt(path, 0, what))
    }

    /// Whether bytes begin with a header, of whatever kind and version, whose checksum is right.
    pub(crate) fn is_signed(file: &[u8]) -> bool {
        let header = file.first_chunk::<HEADER_BYTES>();
        let parts = header.and_then(|header| header.split_last_chunk());
        parts.is_some_and(|(signed, crc)| crc32fast::hash(signed) == u32::from_le_bytes(*crc))
    }

    /// The uuid in bytes that begin like a file of ours, whatever else is wrong with them.
    pub(crate) fn uuid(file: &[u8]) -> Option<Uuid> {
        let uuid = file.get(16..32).filter(|_| file.starts_with(&MAGIC))?;
        Uuid::from_slice(uuid).ok()
    }
}

/// Fails for the first field of the file `path`, as byte, name, value found and value expected, whose
/// two values differ.
pub(crate) fn expect(path: &Path, fields: &[(u64, &str, u64, u64)]) -> Result<()> {
    for &(at, what, found, expected) in fields {
        if found != expected {
            let what = format!("{what} {found}, expected {expected}");
            return Err(Error::corrupt(path, at, what));
        }
    }
    Ok(())
}

/// Reads little-endian fields one after another; running out of bytes is corruption, not a panic.
pub(crate) struct Fields<'a> {
    path: &'a Path,
    rest: &'a [u8],
    offset: u64,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(path: &'a Path, bytes: &'a [u8]) -> Self {
        Self {
            path,
            rest: bytes,
            offset: 0,
        }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let Some((field, rest)) = self.rest.split_first_chunk::<N>() else {
            let what = format!("a field of {} is cut off", counted(N as u64, "byte"));
            return Err(Error::corrupt(self.path, self.offset, what));
        };
        self.rest = rest;
        self.offset += N as u64;
        Ok(*field)
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// The same fields, for findings in a file in which they begin at byte `offset`.
    pub(crate) fn at(self, offset: u64) -> Self {
        Self { offset, ..self }
    }

    /// The next `len` bytes.
    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8]> {
        let Some((field, rest)) = self.rest.split_at_checked(len) else {
            let what = format!("a field of {} is cut off", counted(len as u64, "byte"));
            return Err(Error::corrupt(self.path, self.offset, what));
        };
        self.rest = rest;
        self.offset += len as u64;
        Ok(field)
    }

    /// The byte at which the next field begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes not read yet.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            kind: Kind::Vectors,
            detail: 384,
            origin: Origin {
                uuid: Uuid::from_bytes([7; 16]),
                generation: 3,
            },
            count: 1 << 33,
            body_bytes: 5,
            width: 24,
        }
    }

    #[test]
    fn a_header_comes_back_as_it_was() {
        let (bytes, crc) = header().encode();
        let decoded = Header::decode(Path::new("f"), Kind::Vectors, &bytes).unwrap();
        assert_eq!(decoded, (header(), crc));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_an_error() {
        let (bytes, _) = header().encode();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(
                Header::decode(Path::new("f"), Kind::Vectors, &flipped).is_err(),
                "bit {bit}"
            );
        }
        for len in 0..bytes.len() {
            assert!(
                Header::decode(Path::new("f"), Kind::Vectors, &bytes[..len]).is_err(),
                "{len}"
            );
        }
    }

    #[test]
    fn another_kind_or_version_is_named() {
        let (mut bytes, _) = header().encode();
        let error = Header::decode(Path::new("f"), Kind::Payloads, &bytes).unwrap_err();
        assert!(error.to_string().contains("kind 2 where kind 3"), "{error}");
        bytes[8] = 9;
        let error = Header::decode(Path::new("f"), Kind::Vectors, &bytes).unwrap_err();
        assert!(
            matches!(
                error,
                Error::UnsupportedVersion {
                    found: 9,
                    supported: 1,
                    ..
                }
            ),
            "{error}"
        );
    }
}
