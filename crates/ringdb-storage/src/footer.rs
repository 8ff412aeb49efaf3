//! What follows the body of every file: the checksum of each of its blocks, a note, and a footer.
//!
//! Invariant: the footer's CRC stands for the whole file. It covers the CRC of the header and that of
//! the table, and the table covers the body. Nothing here touches a file.
//!
//! ```text
//! header, 64 bytes | body | table: CRC-32 of each 64 KiB of the body, u32 | note, UTF-8 | footer
//! ```
//!
//! | bytes of the footer | field |
//! |---|---|
//! | 0..4 | bytes of the note, u32 |
//! | 4..8 | CRC-32 of table and note |
//! | 8..12 | CRC of the header, as at its end |
//! | 12..16 | CRC-32 of bytes 0..12 of the footer |

use std::ops::Range;
use std::path::Path;

use crate::count::counted;
use crate::error::{Error, Result};
use crate::header::{Fields, HEADER_BYTES, Header, expect};
use crate::layout::Kind;
use crate::limits::TYPE_NAME_BYTES_MAX;

/// The body bytes that one checksum covers; the last block may be shorter.
pub(crate) const BLOCK_BYTES: usize = 1 << 16;
/// The length of the footer, the last bytes of a file.
pub(crate) const FOOTER_BYTES: usize = 16;

/// The length of a file with such a body and note.
pub(crate) fn file_bytes(body_bytes: u64, note: &str) -> u64 {
    let blocks = body_bytes.div_ceil(BLOCK_BYTES as u64);
    (HEADER_BYTES + note.len() + FOOTER_BYTES) as u64 + body_bytes + 4 * blocks
}

/// The length of the body in a file of `file_bytes` with a note of `note_bytes`, if there is one.
pub(crate) fn body_bytes(file_bytes: u64, note_bytes: u64) -> Option<u64> {
    let frame = (HEADER_BYTES + FOOTER_BYTES) as u64 + note_bytes;
    let (block, entry) = (BLOCK_BYTES as u64, 4);
    let rest = file_bytes.checked_sub(frame)?;
    let blocks = rest.div_ceil(block + entry);
    let body = rest.checked_sub(entry * blocks)?;
    (body.div_ceil(block) == blocks).then_some(body)
}

/// Table, note and footer, and the footer's CRC.
pub(crate) fn encode(table: &[u32], note: &str, header_crc: u32) -> (Vec<u8>, u32) {
    let mut bytes: Vec<u8> = table.iter().flat_map(|crc| crc.to_le_bytes()).collect();
    bytes.extend_from_slice(note.as_bytes());
    let tail_crc = crc32fast::hash(&bytes);
    let footer = bytes.len();
    bytes.extend_from_slice(&(note.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&tail_crc.to_le_bytes());
    bytes.extend_from_slice(&header_crc.to_le_bytes());
    let crc = crc32fast::hash(bytes.get(footer..).unwrap_or_default());
    bytes.extend_from_slice(&crc.to_le_bytes());
    (bytes, crc)
}

/// A whole small file, and its footer's CRC.
pub(crate) fn seal(header: &Header, body: &[u8], note: &str) -> (Vec<u8>, u32) {
    let table: Vec<u32> = body.chunks(BLOCK_BYTES).map(crc32fast::hash).collect();
    let (head, header_crc) = header.encode();
    let (tail, crc) = encode(&table, note, header_crc);
    ([&head[..], body, &tail].concat(), crc)
}

/// Where the parts of a file lie. Everything but the body has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) header: Header,
    pub(crate) body: Range<usize>,
    pub(crate) table: Range<usize>,
    pub(crate) note: String,
    /// The footer's CRC, which stands for the whole file.
    pub(crate) crc: u32,
}

impl Frame {
    /// Finds the parts of `path`, a file of `kind`, and checks header, table, note and footer.
    pub(crate) fn parse(path: &Path, kind: Kind, file: &[u8]) -> Result<Self> {
        let (header, header_crc) = Header::decode(path, kind, file)?;
        let parts = Parts::locate(path, &header, file.len())?;
        let footer = Footer::decode(path, parts.note.end, file)?;
        footer.check_header(path, header_crc)?;
        if footer.note_bytes as usize != parts.note.len() {
            let what = format!(
                "a note of {} where there are {}",
                counted(u64::from(footer.note_bytes), "byte"),
                parts.note.len()
            );
            return Err(Error::corrupt(path, parts.note.end as u64, what));
        }
        let tail = file.get(parts.table.start..parts.note.end);
        footer.check_tail(path, parts.table.start, tail.unwrap_or_default())?;
        let note = file.get(parts.note.clone()).unwrap_or_default();
        let Ok(note) = std::str::from_utf8(note) else {
            let what = "the note is not UTF-8".to_string();
            return Err(Error::corrupt(path, parts.note.start as u64, what));
        };
        Ok(Self {
            header,
            body: parts.body,
            table: parts.table,
            note: note.to_string(),
            crc: footer.crc,
        })
    }

    /// Fails for a file with the width or the note that only files of payloads have.
    pub(crate) fn expect_plain(&self, path: &Path) -> Result<()> {
        expect(
            path,
            &[
                (56, "width", u64::from(self.header.width), 0),
                (
                    self.table.end as u64,
                    "bytes of a note",
                    self.note.len() as u64,
                    0,
                ),
            ],
        )
    }

    /// The body of a small file, checked.
    pub(crate) fn checked_body<'a>(&self, path: &Path, file: &'a [u8]) -> Result<&'a [u8]> {
        let body = file.get(self.body.clone()).unwrap_or_default();
        let table = file.get(self.table.clone()).unwrap_or_default();
        for index in 0..body.len().div_ceil(BLOCK_BYTES) {
            check_block(path, body, table, index)?;
        }
        Ok(body)
    }
}

/// Where the parts of a file lie by the lengths in its header; nothing is checked but that they fit.
/// The footer begins where the note ends.
pub(crate) struct Parts {
    pub(crate) body: Range<usize>,
    pub(crate) table: Range<usize>,
    pub(crate) note: Range<usize>,
}

impl Parts {
    /// Finds the parts of `path`, a file of `found` bytes.
    pub(crate) fn locate(path: &Path, header: &Header, found: usize) -> Result<Self> {
        let least = header
            .body_bytes
            .checked_add(4 * header.body_bytes.div_ceil(BLOCK_BYTES as u64))
            .and_then(|bytes| bytes.checked_add((HEADER_BYTES + FOOTER_BYTES) as u64));
        let note = least.and_then(|least| (found as u64).checked_sub(least));
        if note.is_none_or(|note| note > TYPE_NAME_BYTES_MAX as u64) {
            let what = format!(
                "{}, a body of {} takes {} to {TYPE_NAME_BYTES_MAX} more",
                counted(found as u64, "byte"),
                header.body_bytes,
                least.map_or("too many".to_string(), |least| least.to_string()),
            );
            return Err(Error::corrupt(path, 48, what));
        }
        // In range for usize: all of it is within a slice.
        let body = HEADER_BYTES..HEADER_BYTES + header.body_bytes as usize;
        let table = body.end..body.end + 4 * body.len().div_ceil(BLOCK_BYTES);
        let note = table.end..found - FOOTER_BYTES;
        Ok(Self { body, table, note })
    }
}

/// A footer whose own checksum is right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Footer {
    /// The byte at which it begins.
    at: usize,
    pub(crate) note_bytes: u32,
    tail_crc: u32,
    pub(crate) header_crc: u32,
    /// The CRC of the footer, which stands for the whole file.
    pub(crate) crc: u32,
}

impl Footer {
    /// Reads the footer that begins at byte `at` of `path`, and ends the file.
    pub(crate) fn decode(path: &Path, at: usize, file: &[u8]) -> Result<Self> {
        let bytes = file.get(at..).unwrap_or_default();
        let mut fields = Fields::new(path, bytes).at(at as u64);
        let footer = Self {
            at,
            note_bytes: fields.u32()?,
            tail_crc: fields.u32()?,
            header_crc: fields.u32()?,
            crc: fields.u32()?,
        };
        let signed = bytes.get(..FOOTER_BYTES - 4).unwrap_or_default();
        let (stored, computed) = (footer.crc, crc32fast::hash(signed));
        if stored != computed {
            let what = format!("footer checksum {stored:08x} stored, {computed:08x} computed");
            return Err(Error::corrupt(path, (at + FOOTER_BYTES - 4) as u64, what));
        }
        Ok(footer)
    }

    /// Fails unless it is that of a file whose header has this CRC.
    pub(crate) fn check_header(&self, path: &Path, crc: u32) -> Result<()> {
        if self.header_crc == crc {
            return Ok(());
        }
        let what = format!(
            "the footer is of a header {:08x}, not {crc:08x}",
            self.header_crc
        );
        Err(Error::corrupt(path, (self.at + 8) as u64, what))
    }

    /// Holds `tail`, table and note, which begin at byte `at` of the file, to their checksum.
    pub(crate) fn check_tail(&self, path: &Path, at: usize, tail: &[u8]) -> Result<()> {
        let (stored, computed) = (self.tail_crc, crc32fast::hash(tail));
        if stored == computed {
            return Ok(());
        }
        let what =
            format!("checksum of table and note {stored:08x} stored, {computed:08x} computed");
        Err(Error::corrupt(path, at as u64, what))
    }
}

/// Checks block `index` of a body against its entry in the table, which it returns.
pub(crate) fn check_block(path: &Path, body: &[u8], table: &[u8], index: usize) -> Result<u32> {
    let start = index * BLOCK_BYTES;
    let block = body
        .get(start..body.len().min(start + BLOCK_BYTES))
        .unwrap_or_default();
    let at = (HEADER_BYTES + start) as u64;
    let Some((entry, _)) = table
        .get(4 * index..)
        .and_then(|rest| rest.split_first_chunk())
    else {
        return Err(Error::corrupt(path, at, "a block without a checksum"));
    };
    let (stored, computed) = (u32::from_le_bytes(*entry), crc32fast::hash(block));
    if stored != computed {
        let what = format!(
            "checksum {stored:08x} stored, {computed:08x} computed over a block of {}",
            counted(block.len() as u64, "byte")
        );
        return Err(Error::corrupt(path, at, what));
    }
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::Origin;
    use uuid::Uuid;

    fn file(body: &[u8], note: &str) -> Vec<u8> {
        let header = Header {
            kind: Kind::Payloads,
            detail: 1,
            origin: Origin {
                uuid: Uuid::from_bytes([7; 16]),
                generation: 3,
            },
            count: 2,
            body_bytes: body.len() as u64,
            width: 0,
        };
        let (bytes, _) = seal(&header, body, note);
        assert_eq!(bytes.len() as u64, file_bytes(body.len() as u64, note));
        bytes
    }

    fn read(file: &[u8]) -> Result<Vec<u8>> {
        let path = Path::new("f");
        let frame = Frame::parse(path, Kind::Payloads, file)?;
        Ok(frame.checked_body(path, file)?.to_vec())
    }

    #[test]
    fn bodies_of_any_number_of_blocks_come_back() {
        for len in [
            0,
            1,
            BLOCK_BYTES - 1,
            BLOCK_BYTES,
            BLOCK_BYTES + 1,
            3 * BLOCK_BYTES,
        ] {
            let body: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            assert_eq!(read(&file(&body, "String")).unwrap(), body, "{len}");
        }
    }

    #[test]
    fn the_length_of_a_body_follows_from_that_of_its_file() {
        let block = BLOCK_BYTES as u64;
        for bytes in [0, 1, 5, block - 1, block, block + 1, 2 * block, 1 << 40] {
            for note in ["", "String"] {
                let file = file_bytes(bytes, note);
                assert_eq!(body_bytes(file, note.len() as u64), Some(bytes));
            }
        }
        // A block and less than the entry of another; less than a frame.
        assert_eq!(body_bytes(file_bytes(block, "") + 3, 0), None);
        assert_eq!(body_bytes(79, 0), None);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_an_error() {
        let whole = file(b"ringd", "(String, usize)");
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&flipped).is_err(), "bit {bit}");
        }
        for len in 0..whole.len() {
            assert!(read(&whole[..len]).is_err(), "{len} bytes");
        }
        assert!(read(&[&whole[..], b"\0"].concat()).is_err());
    }

    #[test]
    fn blocks_that_changed_places_are_named() {
        let body: Vec<u8> = (0..3 * BLOCK_BYTES)
            .map(|i| (i / BLOCK_BYTES) as u8)
            .collect();
        let mut swapped = file(&body, "");
        let first = swapped[64..64 + BLOCK_BYTES].to_vec();
        swapped.copy_within(64 + BLOCK_BYTES..64 + 2 * BLOCK_BYTES, 64);
        swapped[64 + BLOCK_BYTES..64 + 2 * BLOCK_BYTES].copy_from_slice(&first);
        let error = read(&swapped).unwrap_err();
        assert!(
            matches!(error, Error::Corrupt { offset: 64, .. }),
            "{error}"
        );
    }

    #[test]
    fn a_length_that_overflows_is_an_error() {
        let (mut head, _) = Frame::parse(Path::new("f"), Kind::Payloads, &file(b"", ""))
            .unwrap()
            .header
            .encode();
        head[48..56].copy_from_slice(&u64::MAX.to_le_bytes());
        let crc = crc32fast::hash(&head[..60]);
        head[60..].copy_from_slice(&crc.to_le_bytes());
        let error = read(&[&head[..], &[0; 16]].concat()).unwrap_err();
        assert!(error.to_string().contains("too many"), "{error}");
    }
}
