//! Reading payloads: a mapped file of bytes and a table of offsets.
//!
//! A payload is decoded when it is fetched and not before; nothing is cached but what the system keeps
//! of the mapped file.

use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::codec::{PayloadCodec, decode};
use super::offsets::Offsets;
use crate::error::{Error, Result};
use crate::header::{HEADER_BYTES, Header, Kind};
use crate::mapped::MappedFile;

/// Payloads by id, in the order in which they were pushed, from 0.
///
/// Made by [`PayloadStoreBuilder`](crate::PayloadStoreBuilder) or [`PayloadStore::load`]. Memory is the
/// offset table, 8 bytes a payload; the payload bytes stay in a mapped file that the system pages in
/// and out. `Send + Sync` whatever `T` is, since it holds no `T`.
pub struct PayloadStore<T> {
    payloads: MappedFile,
    offsets: Offsets,
    codec: PayloadCodec,
    marker: PhantomData<fn() -> T>,
}

impl<T> PayloadStore<T> {
    /// `payloads` shows the payload bytes alone.
    pub(crate) fn new(payloads: MappedFile, offsets: Offsets, codec: PayloadCodec) -> Self {
        Self {
            payloads,
            offsets,
            codec,
            marker: PhantomData,
        }
    }

    /// Opens a pair of files under the names they have, and checks everything about them.
    pub(crate) fn open_pair(payloads: &Path, offsets: &Path) -> Result<(Self, [(Header, u32); 2])> {
        let payload_file = MappedFile::open(payloads)?;
        let (payload_head, payload_crc) = payload_file.checked_header(Kind::Payloads)?;
        let offset_file = MappedFile::open(offsets)?;
        let (offset_head, offset_crc) = offset_file.checked_header(Kind::Offsets)?;
        if payload_head.origin != offset_head.origin {
            let what = format!(
                "it does not belong to {}: the uuids differ",
                payloads.display()
            );
            return Err(Error::corrupt(offsets, 16, what));
        }
        let Some(codec) = PayloadCodec::from_id(payload_head.detail) else {
            let what = format!("payload codec {} is not known", payload_head.detail);
            return Err(Error::corrupt(payloads, 12, what));
        };
        let table = Offsets::mapped(
            offset_file.behind(HEADER_BYTES),
            HEADER_BYTES as u64,
            payload_head.body_bytes,
        )?;
        let payload_count = table.len() as u64;
        for (path, at, what, found, expected) in [
            (payloads, 40, "payloads", payload_head.count, payload_count),
            (offsets, 40, "offsets", offset_head.count, payload_count + 1),
            (offsets, 12, "detail", u64::from(offset_head.detail), 0),
        ] {
            if found != expected {
                let what = format!("{what} {found} in the header, {expected} by the offsets");
                return Err(Error::corrupt(path, at, what));
            }
        }
        let store = Self::new(payload_file.behind(HEADER_BYTES), table, codec);
        Ok((
            store,
            [(payload_head, payload_crc), (offset_head, offset_crc)],
        ))
    }

    /// Number of payloads; valid ids are below it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether there are no payloads.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How the payloads are stored.
    #[must_use]
    pub fn codec(&self) -> PayloadCodec {
        self.codec
    }

    /// The stored bytes of payload `id`, as the codec wrote them.
    ///
    /// # Errors
    /// [`Error::IdOutOfRange`].
    pub fn fetch_bytes(&self, id: u32) -> Result<&[u8]> {
        let range = self.offsets.range(id)?;
        // In bounds: offsets are monotone and the last is the length of these bytes.
        Ok(self.payloads.bytes().get(range).unwrap_or_default())
    }
}

impl<T: DeserializeOwned> PayloadStore<T> {
    /// Opens a pair of files that
    /// [`finish_persisted`](crate::PayloadStoreBuilder::finish_persisted) wrote, and checks both.
    ///
    /// The files are mapped and must not be modified while the store lives; deleting or renaming them
    /// is harmless.
    ///
    /// # Errors
    /// [`Error::Io`] if the payload file cannot be opened, [`Error::UnsupportedVersion`], or
    /// [`Error::Corrupt`] if either file is damaged or cut, if the offset file is missing (the pair was
    /// never finished) or if the two are not a pair.
    pub fn load(payloads: &Path, offsets: &Path) -> Result<Self> {
        match Self::open_pair(payloads, offsets) {
            Err(error) if error.is_not_found() && payloads.exists() => {
                let what = format!(
                    "{} is missing: the pair was never finished",
                    offsets.display()
                );
                Err(Error::corrupt(payloads, 0, what))
            }
            other => other.map(|(store, _)| store),
        }
    }

    /// Payload `id`, decoded.
    ///
    /// # Errors
    /// [`Error::IdOutOfRange`], [`Error::Decode`] if the bytes are no `T`, [`Error::CodecMismatch`] if
    /// the payloads are raw bytes ([`PayloadStore::fetch_bytes`] reads those).
    pub fn fetch(&self, id: u32) -> Result<T> {
        self.codec.expect(PayloadCodec::Bincode)?;
        let bytes = self.fetch_bytes(id)?;
        let type_name = std::any::type_name::<T>();
        decode(bytes).map_err(|what| Error::Decode {
            id,
            type_name,
            what,
        })
    }

    /// The payloads of `ids`, in their order; an id may stand there twice.
    ///
    /// # Errors
    /// As [`PayloadStore::fetch`], for the first id that fails.
    pub fn fetch_many(&self, ids: &[u32]) -> Result<Vec<T>> {
        ids.iter().map(|&id| self.fetch(id)).collect()
    }
}

impl<T> fmt::Debug for PayloadStore<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("PayloadStore");
        debug
            .field("len", &self.len())
            .field("codec", &self.codec)
            .finish_non_exhaustive()
    }
}
