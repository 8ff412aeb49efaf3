//! Reading payloads: a file of records and a table of offsets.
//!
//! A payload is checked and decoded when it is fetched and not before; nothing is cached but what the
//! system keeps of the mapped file.

use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

use bytemuck::Pod;
use serde::de::DeserializeOwned;

use super::codec::{PayloadCodec, SERDE};
use super::kind::PayloadKind;
use super::offsets::Offsets;
use super::record::Records;
use crate::body::{Body, Verify};
use crate::count::counted;
use crate::disk::{self, Disk};
use crate::error::{Error, Result};
use crate::footer::Frame;
use crate::header::expect;
use crate::layout::Kind;
use crate::options::ReadOptions;

/// Payloads by id, in the order in which they were pushed, from 0.
///
/// Made by [`PayloadStoreBuilder`](crate::PayloadStoreBuilder) or [`PayloadStore::load`]. Payloads and
/// offsets, 8 bytes a payload, stay in mapped files that the system pages in and out. `Send + Sync`
/// whatever `T` is, since it holds no `T`.
pub struct PayloadStore<T> {
    body: Body,
    offsets: Offsets,
    records: Records,
    kind: PayloadKind,
    marker: PhantomData<fn() -> T>,
}

impl<T> PayloadStore<T> {
    pub(crate) fn new(body: Body, offsets: Offsets, records: Records, kind: PayloadKind) -> Self {
        Self {
            body,
            offsets,
            records,
            kind,
            marker: PhantomData,
        }
    }

    /// Opens a pair of files under the names they have. The frames are those of payloads and offsets.
    pub(crate) fn open_pair(
        disk: &dyn Disk,
        payloads: &Path,
        offsets: &Path,
        options: &ReadOptions,
    ) -> Result<(Self, [Frame; 2])> {
        let (access, verify) = (options.access, options.verify);
        let (body, frame) = Body::open(disk, payloads, Kind::Payloads, access, verify)?;
        let (offset_body, offset_frame) = Offsets::open(disk, offsets, access, verify)?;
        if frame.header.origin != offset_frame.header.origin {
            let what = format!(
                "it does not belong to {}: the uuids or generations differ",
                payloads.display()
            );
            return Err(Error::corrupt(offsets, 16, what));
        }
        let kind = PayloadKind::read(payloads, &frame.header, &frame.note)?;
        let table = Offsets::over(offset_body, frame.header.body_bytes, verify)?;
        let count = table.len() as u64;
        expect(payloads, &[(40, "payloads", frame.header.count, count)])?;
        let header = &offset_frame.header;
        expect(
            offsets,
            &[
                (40, "offsets", header.count, count + 1),
                (12, "detail", u64::from(header.detail), 0),
            ],
        )?;
        offset_frame.expect_plain(offsets)?;
        if verify == Verify::Open {
            body.check_all(&|_, _| Ok(()))?;
        }
        let records = Records::new(&kind, frame.header.origin);
        let store = Self::new(body, table, records, kind);
        Ok((store, [frame, offset_frame]))
    }

    /// The files were renamed: errors are about these names from now on.
    pub(crate) fn renamed(&mut self, payloads: &Path, offsets: &Path) {
        self.body.renamed(payloads);
        self.offsets.renamed(offsets);
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
        self.kind.codec
    }

    /// The name under which the type of the payloads is stored; empty where none is known, as with raw
    /// bytes and in directories of ring-db.
    #[must_use]
    pub fn type_name(&self) -> &str {
        &self.kind.type_name
    }

    pub(crate) fn kind(&self) -> &PayloadKind {
        &self.kind
    }

    /// The bytes of both files between header and table: records, offsets.
    pub(crate) fn bytes(&self) -> (&[u8], &[u8]) {
        (self.body.bytes(), self.offsets.bytes())
    }

    /// Where the record of payload `id` begins, and its bytes, not checked.
    #[inline]
    fn record(&self, id: u32) -> Result<(usize, &[u8])> {
        let range = self.offsets.range(id)?;
        // In bounds: the offsets are those of these records.
        let record = self.body.bytes().get(range.clone()).unwrap_or_default();
        Ok((range.start, record))
    }

    /// As [`Self::fetch_bytes`], in a copy that was checked itself.
    pub(crate) fn copy_bytes<'a>(&self, id: u32, copy: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        let (start, record) = self.record(id)?;
        let copied = self.records.copy(id, record, copy);
        copied.map_err(|what| self.body.corrupt(start, what))
    }

    /// The stored bytes of payload `id`, as the codec wrote them. Their checksum is compared each time.
    ///
    /// # Errors
    /// [`Error::IdOutOfRange`], [`Error::Corrupt`].
    #[inline]
    pub fn fetch_bytes(&self, id: u32) -> Result<&[u8]> {
        let (start, record) = self.record(id)?;
        match self.records.open(id, record) {
            Ok(payload) => Ok(record.get(payload).unwrap_or_default()),
            Err(what) => Err(self.body.corrupt(start, what)),
        }
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
    /// [`Error::Io`] if the payload file cannot be opened, [`Error::UnsupportedVersion`],
    /// [`Error::TypeMismatch`] if the payloads were stored as another type than `T`, or
    /// [`Error::Corrupt`] if either file is damaged or cut, if the offset file is missing (the pair was
    /// never finished) or if the two are not a pair.
    pub fn load(payloads: &Path, offsets: &Path) -> Result<Self> {
        Self::load_with(payloads, offsets, &ReadOptions::new())
    }

    /// Payload `id`, decoded.
    ///
    /// Decoding takes time and stack within limits, whatever the bytes are: values nest at most 128
    /// levels deep, and there are at most 16 for each byte, and 65 536 more.
    ///
    /// # Errors
    /// [`Error::IdOutOfRange`], [`Error::Corrupt`], [`Error::Decode`] if the bytes are no `T`,
    /// [`Error::CodecMismatch`] if the payloads are no values of serde
    /// ([`PayloadStore::fetch_bytes`] and [`PayloadStore::fetch_ref`] read those).
    pub fn fetch(&self, id: u32) -> Result<T> {
        self.kind.codec.expect(&SERDE)?;
        let bytes = self.fetch_bytes(id)?;
        self.kind.codec.decode(bytes).map_err(|what| Error::Decode {
            id,
            type_name: std::any::type_name::<T>(),
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

    /// All payloads in order of their ids. The first error is the last item.
    pub fn iter(&self) -> Payloads<'_, T> {
        Payloads {
            store: self,
            next: 0,
        }
    }
}

impl<T> PayloadStore<T> {
    /// As [`PayloadStore::load`], with options; works for payloads that are no values of serde, too.
    ///
    /// # Errors
    /// As [`PayloadStore::load`].
    pub fn load_with(payloads: &Path, offsets: &Path, options: &ReadOptions) -> Result<Self> {
        let disk = disk::real();
        let (store, _) = match Self::open_pair(&*disk, payloads, offsets, options) {
            Err(error) if error.is_not_found() && disk.kind(payloads).is_ok() => {
                let what = format!(
                    "{} is missing: the pair was never finished",
                    offsets.display()
                );
                return Err(Error::corrupt(payloads, 0, what));
            }
            other => other?,
        };
        store.kind.expect::<T>(&options.payload_type)?;
        Ok(store)
    }
}

impl<T: Pod> PayloadStore<T> {
    /// Payload `id` where it lies, for payloads in [`PayloadCodec::Pod`].
    ///
    /// # Errors
    /// [`Error::IdOutOfRange`], [`Error::Corrupt`], [`Error::CodecMismatch`] if the payloads are stored
    /// otherwise, [`Error::Decode`] if they have another size than `T`.
    pub fn fetch_ref(&self, id: u32) -> Result<&T> {
        self.kind.codec.expect(&[PayloadCodec::Pod])?;
        let bytes = self.fetch_bytes(id)?;
        bytemuck::try_from_bytes(bytes).map_err(|error| Error::Decode {
            id,
            type_name: std::any::type_name::<T>(),
            what: format!("{error}: it has {}", counted(bytes.len() as u64, "byte")),
        })
    }
}

/// The payloads of a store in order of their ids; made by [`PayloadStore::iter`]. Ends after the first
/// error, and never before.
#[derive(Debug)]
pub struct Payloads<'a, T> {
    store: &'a PayloadStore<T>,
    next: usize,
}

impl<T: DeserializeOwned> Iterator for Payloads<'_, T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        if self.next >= self.store.len() {
            return None;
        }
        // Ids are u32, and so is their number.
        let payload = self.store.fetch(self.next as u32);
        self.next = match payload {
            Ok(_) => self.next + 1,
            Err(_) => self.store.len(),
        };
        Some(payload)
    }
}

impl<T: DeserializeOwned> std::iter::FusedIterator for Payloads<'_, T> {}

impl<'a, T: DeserializeOwned> IntoIterator for &'a PayloadStore<T> {
    type Item = Result<T>;
    type IntoIter = Payloads<'a, T>;

    fn into_iter(self) -> Payloads<'a, T> {
        self.iter()
    }
}

impl<T> fmt::Debug for PayloadStore<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("PayloadStore");
        debug
            .field("len", &self.len())
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
