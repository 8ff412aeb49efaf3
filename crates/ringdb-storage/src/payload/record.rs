//! The bytes of one payload as they stand in a file: with a checksum behind them.
//!
//! Invariant: a record is handed out by [`Records::open`] only if it is whole and is that of its id, in
//! its generation of its database: the checksum covers all of these.
//!
//! ```text
//! payload | zeros, only where payloads are read in place: up to a multiple of 16, less 4 | checksum, u32
//! ```
//!
//! The checksum is the CRC-32 of uuid, generation (u64), id (u32), payload and zeros, rotated and offset
//! as LevelDB does it: the CRC of a block that holds a record and its plain CRC would not depend on
//! the record, and the checksum of the block would see nothing.

use std::ops::Range;

use crc32fast::Hasher;

use super::codec::PayloadCodec;
use super::kind::PayloadKind;
use crate::count::counted;
use crate::header::Origin;
use crate::limits::POD_ALIGN;

const CRC_BYTES: usize = 4;

/// How the records of a store are made and checked.
#[derive(Debug, Clone)]
pub(crate) struct Records(Form);

#[derive(Debug, Clone)]
enum Form {
    /// Nothing but the payload: ring-db wrote no checksums.
    Bare,
    /// A payload of any length.
    Packed(Hasher),
    /// A payload of this length, aligned.
    Aligned(Hasher, usize),
}

impl Records {
    pub(crate) fn new(kind: &PayloadKind, origin: Origin) -> Self {
        let mut seed = Hasher::new();
        seed.update(origin.uuid.as_bytes());
        seed.update(&origin.generation.to_le_bytes());
        Self(match kind.codec {
            PayloadCodec::Pod => Form::Aligned(seed, kind.width as usize),
            _ => Form::Packed(seed),
        })
    }

    pub(crate) fn bare() -> Self {
        Self(Form::Bare)
    }

    /// The bytes of each record, where all have the same.
    pub(crate) fn record_bytes(&self) -> Option<usize> {
        match self.0 {
            Form::Bare | Form::Packed(_) => None,
            Form::Aligned(_, width) => Some(width + padding(width) + CRC_BYTES),
        }
    }

    /// Where among the records that of payload `id` lies, where all have the same length.
    pub(crate) fn range(&self, id: u32) -> Option<Range<u64>> {
        let bytes = self.record_bytes()? as u64;
        let start = u64::from(id).saturating_mul(bytes);
        Some(start..start.saturating_add(bytes))
    }

    /// What follows the payload `id` in its record.
    pub(crate) fn tail(&self, id: u32, payload: &[u8]) -> Tail {
        match &self.0 {
            Form::Bare => Tail::default(),
            Form::Packed(seed) => Tail::new(0, checksum(seed, id, payload, 0)),
            Form::Aligned(seed, width) => {
                let zeros = padding(*width);
                Tail::new(zeros, checksum(seed, id, payload, zeros))
            }
        }
    }

    /// Where in `record`, that of payload `id`, the payload lies, or what is wrong with the record.
    #[inline]
    pub(crate) fn open(&self, id: u32, record: &[u8]) -> Result<Range<usize>, String> {
        let (seed, width) = match &self.0 {
            Form::Bare => return Ok(0..record.len()),
            Form::Packed(seed) => (seed, None),
            Form::Aligned(seed, width) => (seed, Some(*width)),
        };
        let covered = record.split_last_chunk::<CRC_BYTES>();
        let fits =
            |covered: &[u8]| width.is_none_or(|width| covered.len() == width + padding(width));
        let Some((covered, stored)) = covered.filter(|(covered, _)| fits(covered)) else {
            let bytes = counted(record.len() as u64, "byte");
            return Err(format!("a record of {bytes} for payload {id}"));
        };
        // The zeros are in the record, and are checked as they stand there.
        let (stored, computed) = (u32::from_le_bytes(*stored), checksum(seed, id, covered, 0));
        if stored != computed {
            return Err(format!(
                "checksum of payload {id} {stored:08x} stored, {computed:08x} computed"
            ));
        }
        Ok(0..width.unwrap_or(covered.len()))
    }

    /// The payload in a copy of `record`, that of payload `id`, or what is wrong with one of the two: a
    /// mapped file may read otherwise the next time.
    pub(crate) fn copy<'a>(
        &self,
        id: u32,
        record: &[u8],
        copy: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], String> {
        // Before room is made for it: damaged offsets may make it as long as the file.
        self.open(id, record)?;
        copy.clear();
        copy.extend_from_slice(record);
        let payload = self.open(id, copy)?;
        Ok(copy.get(payload).unwrap_or_default())
    }
}

/// Zeros and a checksum.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    bytes: [u8; POD_ALIGN + CRC_BYTES],
    len: usize,
}

impl Tail {
    fn new(zeros: usize, crc: u32) -> Self {
        let mut tail = Self {
            len: zeros + CRC_BYTES,
            ..Self::default()
        };
        if let Some(place) = tail.bytes.get_mut(zeros..tail.len) {
            place.copy_from_slice(&crc.to_le_bytes());
        }
        tail
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Zeros behind a payload that is read in place, so that the next one is aligned.
fn padding(width: usize) -> usize {
    (width + CRC_BYTES).next_multiple_of(POD_ALIGN) - width - CRC_BYTES
}

fn checksum(seed: &Hasher, id: u32, payload: &[u8], zeros: usize) -> u32 {
    let mut crc = seed.clone();
    crc.update(&id.to_le_bytes());
    crc.update(payload);
    crc.update([0; POD_ALIGN].get(..zeros).unwrap_or_default());
    // The rotation and the constant of LevelDB's masked checksums.
    crc.finalize().rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn origin(generation: u64) -> Origin {
        Origin {
            uuid: Uuid::from_bytes([3; 16]),
            generation,
        }
    }

    fn record(records: &Records, id: u32, payload: &[u8]) -> Vec<u8> {
        [payload, records.tail(id, payload).as_slice()].concat()
    }

    #[test]
    fn a_record_comes_back_and_only_under_its_own_id_and_generation() {
        for (kind, len) in [
            (PayloadKind::of::<String>(PayloadCodec::Bincode), 9),
            (PayloadKind::of::<[u8; 5]>(PayloadCodec::Pod), 16),
            (PayloadKind::of::<[u64; 3]>(PayloadCodec::Pod), 32),
            (PayloadKind::of::<[u8; 12]>(PayloadCodec::Pod), 16),
        ] {
            let records = Records::new(&kind, origin(1));
            let payload = vec![
                7;
                if kind.width == 0 {
                    5
                } else {
                    kind.width as usize
                }
            ];
            let whole = record(&records, 4, &payload);
            assert_eq!(whole.len(), len, "{kind:?}");
            let found = records.open(4, &whole).unwrap();
            assert_eq!(whole[found], payload);
            assert!(records.open(5, &whole).is_err());
            assert!(Records::new(&kind, origin(2)).open(4, &whole).is_err());
            for bit in 0..whole.len() * 8 {
                let mut flipped = whole.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(records.open(4, &flipped).is_err(), "bit {bit}");
            }
            for cut in 0..whole.len() {
                assert!(records.open(4, &whole[..cut]).is_err(), "{cut} bytes");
            }
        }
    }

    #[test]
    fn the_checksum_of_a_block_depends_on_the_records_in_it() {
        let records = Records::new(&PayloadKind::of::<()>(PayloadCodec::Raw), origin(1));
        let of = |payload: &[u8]| crc32fast::hash(&record(&records, 0, payload));
        assert_ne!(of(b"violin"), of(b"cellos"));
    }
}
