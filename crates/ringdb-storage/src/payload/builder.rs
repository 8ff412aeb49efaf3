//! Writing payloads: each is encoded when it is pushed and goes to a file, and so does its offset, so
//! that memory holds one payload and a buffer, however many there are.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytemuck::Pod;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::codec::{BYTES, PayloadCodec, SERDE, check_size};
use super::kind::PayloadKind;
use super::offsets::Offsets;
use super::record::Records;
use super::store::PayloadStore;
use crate::append::AppendFile;
use crate::body::{Body, Verify};
use crate::contents::MappedFile;
use crate::disk::{self, Disk};
use crate::error::{Error, Result};
use crate::header::{HEADER_BYTES, Header, Origin};
use crate::layout::{Kind, STAGED_PAIR_PREFIX};
use crate::limits::{POD_ALIGN, ROWS_MAX};
use crate::options::{PayloadType, ReadOptions};
use crate::publish::parent;
use crate::temporary::Staged;

/// Collects payloads of type `T` and makes a [`PayloadStore`] of them.
///
/// Ids are given in order of pushing, from 0. A push that fails changes nothing, and the builder may
/// be used on. Dropped without a `finish`, it leaves nothing behind.
///
/// ```
/// use ringdb_storage::PayloadStoreBuilder;
///
/// # fn main() -> Result<(), ringdb_storage::Error> {
/// let mut builder = PayloadStoreBuilder::new()?;
/// builder.push("violin".to_string())?;
/// builder.push("cello".to_string())?;
/// let store = builder.finish()?;
/// assert_eq!(store.fetch(1)?, "cello");
/// assert_eq!(store.fetch_many(&[1, 0])?, ["cello", "violin"]);
/// # Ok(())
/// # }
/// ```
pub struct PayloadStoreBuilder<T> {
    disk: Arc<dyn Disk>,
    payloads: AppendFile,
    /// Where each record begins, and where the next one will.
    offsets: AppendFile,
    len: usize,
    kind: PayloadKind,
    records: Records,
    origin: Origin,
    marker: PhantomData<fn(T)>,
}

/// The bytes of a payload that is ready to be appended.
pub(crate) struct Encoded<'a>(Cow<'a, [u8]>);

impl<T: Serialize> PayloadStoreBuilder<T> {
    /// An empty builder of payloads in bincode. They go to a file without a name in the system's
    /// directory for temporary files: nobody else can open it, and it is gone when the store is dropped
    /// or the process dies.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be made.
    pub fn new() -> Result<Self> {
        Self::with_codec(PayloadCodec::Bincode)
    }

    /// Encodes `payload` and appends its bytes.
    ///
    /// # Errors
    /// [`Error::Encode`] if it does not serialise, [`Error::TooLarge`] past a
    /// [limit](crate::limits), [`Error::CodecMismatch`] if the codec is none of serde's, [`Error::Io`]
    /// if the file cannot be written.
    pub fn push(&mut self, payload: T) -> Result<()> {
        let encoded = self.encode(&payload)?;
        self.add(&encoded)
    }

    /// The bytes of `payload`; nothing is written yet.
    pub(crate) fn encode(&self, payload: &T) -> Result<Encoded<'static>> {
        let codec = self.kind.codec;
        codec.expect(&SERDE)?;
        self.admit(Cow::Owned(codec.encode(payload)?))
    }
}

impl<T: Serialize + DeserializeOwned> PayloadStoreBuilder<T> {
    /// As [`PayloadStoreBuilder::push`], and decodes the bytes again first, so that what went in can
    /// come back.
    ///
    /// # Errors
    /// As [`PayloadStoreBuilder::push`]; [`Error::Encode`] also if the bytes do not decode as a `T`.
    pub fn push_checked(&mut self, payload: T) -> Result<()> {
        let encoded = self.encode_checked(&payload)?;
        self.add(&encoded)
    }

    /// The bytes of `payload`, which have been decoded again and so can be fetched.
    pub(crate) fn encode_checked(&self, payload: &T) -> Result<Encoded<'static>> {
        let encoded = self.encode(payload)?;
        match self.kind.codec.decode::<T>(&encoded.0) {
            Ok(_) => Ok(encoded),
            Err(what) => {
                let codec = self.kind.codec;
                let what = format!(
                    "its bytes do not decode again: {what} (untagged enums, skipped fields and values \
                     of any type, such as those of JSON, cannot be read back from {codec})"
                );
                Err(Error::Encode {
                    type_name: std::any::type_name::<T>(),
                    what,
                })
            }
        }
    }
}

impl<T: Pod> PayloadStoreBuilder<T> {
    /// Appends a payload as it lies in memory, for [`PayloadCodec::Pod`].
    ///
    /// # Errors
    /// [`Error::CodecMismatch`] with another codec, [`Error::TooLarge`], [`Error::Io`].
    pub fn push_pod(&mut self, payload: &T) -> Result<()> {
        let encoded = self.pod(payload)?;
        self.add(&encoded)
    }

    /// The bytes of a payload that is stored as it lies in memory.
    pub(crate) fn pod<'a>(&self, payload: &'a T) -> Result<Encoded<'a>> {
        const {
            assert!(
                align_of::<T>() <= POD_ALIGN,
                "payloads that are read in place are aligned to 16 bytes at most"
            );
        }
        self.kind.codec.expect(&[PayloadCodec::Pod])?;
        self.admit(Cow::Borrowed(bytemuck::bytes_of(payload)))
    }
}

impl<T> PayloadStoreBuilder<T> {
    /// An empty builder of payloads in another codec than bincode; for the rest as
    /// [`PayloadStoreBuilder::new`].
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be made.
    pub fn with_codec(codec: PayloadCodec) -> Result<Self> {
        Self::spilled(disk::real(), &std::env::temp_dir(), codec)
    }

    /// A builder whose files, in `dir`, have no names.
    pub(crate) fn spilled(disk: Arc<dyn Disk>, dir: &Path, codec: PayloadCodec) -> Result<Self> {
        let nameless = || {
            let file = disk.create_nameless(dir);
            let file = file.map_err(Error::io("create a file in", dir))?;
            Ok(AppendFile::new(file, dir.to_path_buf()))
        };
        let files = [nameless()?, nameless()?];
        // Chosen now, because the checksums of the payloads cover it.
        let origin = Origin {
            uuid: Uuid::new_v4(),
            generation: 0,
        };
        Ok(Self::over(disk, files, codec, origin))
    }

    /// A builder whose files are part of a segment.
    pub(crate) fn staged(
        disk: Arc<dyn Disk>,
        [payloads, offsets]: [PathBuf; 2],
        codec: PayloadCodec,
        origin: Origin,
    ) -> Result<Self> {
        let files = [
            AppendFile::create(&*disk, payloads)?,
            AppendFile::create(&*disk, offsets)?,
        ];
        Ok(Self::over(disk, files, codec, origin))
    }

    fn over(
        disk: Arc<dyn Disk>,
        [payloads, mut offsets]: [AppendFile; 2],
        codec: PayloadCodec,
        origin: Origin,
    ) -> Self {
        offsets.append(&0_u64.to_le_bytes());
        let kind = PayloadKind::of::<T>(codec);
        Self {
            disk,
            payloads,
            offsets,
            len: 0,
            records: Records::new(&kind, origin),
            kind,
            origin,
            marker: PhantomData,
        }
    }

    /// The name under which the type of the payloads is stored, in place of
    /// [`type_name`](crate::type_name).
    ///
    /// # Errors
    /// [`Error::TooLarge`] for more than
    /// [`TYPE_NAME_BYTES_MAX`](crate::limits::TYPE_NAME_BYTES_MAX) bytes.
    pub fn with_type_name(self, name: impl Into<String>) -> Result<Self> {
        let kind = self.kind.named(name.into())?;
        Ok(Self { kind, ..self })
    }

    /// Payloads of this kind, whatever `T` is, for bytes that were encoded elsewhere. Nothing was pushed
    /// yet.
    pub(crate) fn of_kind(self, kind: PayloadKind) -> Self {
        let records = Records::new(&kind, self.origin);
        Self {
            kind,
            records,
            ..self
        }
    }

    /// Appends bytes as they are, for [`PayloadCodec::Raw`] and [`PayloadCodec::JsonText`]. They are
    /// not looked at.
    ///
    /// # Errors
    /// [`Error::CodecMismatch`] with another codec, [`Error::TooLarge`], [`Error::Io`].
    pub fn push_bytes(&mut self, payload: &[u8]) -> Result<()> {
        let encoded = self.raw(payload)?;
        self.add(&encoded)
    }

    /// Number of payloads pushed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was pushed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn kind(&self) -> &PayloadKind {
        &self.kind
    }

    /// Bytes of the bodies of both files so far: payloads, offsets.
    pub(crate) fn body_bytes(&self) -> [u64; 2] {
        [self.payloads.body_bytes(), self.offsets.body_bytes()]
    }

    /// Bytes that are stored as they are.
    pub(crate) fn raw<'a>(&self, bytes: &'a [u8]) -> Result<Encoded<'a>> {
        self.kind.codec.expect(&BYTES)?;
        self.admit(Cow::Borrowed(bytes))
    }

    /// Checks the limits before anything is written.
    pub(crate) fn admit<'a>(&self, bytes: Cow<'a, [u8]>) -> Result<Encoded<'a>> {
        check_size(bytes.len() as u64)?;
        debug_assert!(
            self.kind.codec != PayloadCodec::Pod || bytes.len() == self.kind.width as usize,
            "payloads that are read in place have one width"
        );
        let value = self.len as u64 + 1;
        if value > ROWS_MAX {
            return Err(Error::TooLarge {
                what: "payloads",
                value,
                max: ROWS_MAX,
            });
        }
        Ok(Encoded(bytes))
    }

    fn add(&mut self, encoded: &Encoded<'_>) -> Result<()> {
        self.make_room()?;
        self.append(encoded);
        Ok(())
    }

    /// After `Ok`, the next [`Self::append`] cannot fail.
    pub(crate) fn make_room(&mut self) -> Result<()> {
        self.payloads.make_room()?;
        self.offsets.make_room()
    }

    pub(crate) fn append(&mut self, Encoded(bytes): &Encoded<'_>) {
        // Below the number of rows, which fits.
        let tail = self.records.tail(self.len as u32, bytes);
        self.payloads.append(bytes);
        self.payloads.append(tail.as_slice());
        self.offsets
            .append(&self.payloads.body_bytes().to_le_bytes());
        self.len += 1;
    }

    fn headers(&self) -> [Header; 2] {
        let header = |kind, detail, count, width| Header {
            kind,
            detail,
            origin: self.origin,
            count,
            body_bytes: 0,
            width,
        };
        let (count, kind) = (self.len as u64, &self.kind);
        [
            header(Kind::Payloads, kind.codec.id(), count, kind.width),
            header(Kind::Offsets, 0, count + 1, 0),
        ]
    }

    /// Completes the files of a segment; the checksums are those of payloads and offsets.
    pub(crate) fn finish_staged(self) -> Result<[u32; 2]> {
        let [header, offset_header] = self.headers();
        Ok([
            self.payloads.finish(header, &self.kind.type_name)?,
            self.offsets.finish(offset_header, "")?,
        ])
    }

    /// Ends the writing and opens the payloads for reading. Their files still have no names.
    ///
    /// # Errors
    /// [`Error::Io`] if the rest cannot be written or the files not be mapped, [`Error::Corrupt`] if
    /// they do not hold what was pushed.
    pub fn finish(self) -> Result<PayloadStore<T>> {
        let [record_bytes, _] = self.body_bytes();
        let (body, offsets) = (spilled(self.payloads)?, spilled(self.offsets)?);
        let offsets = Offsets::over(offsets, record_bytes, Verify::Open)?;
        Ok(PayloadStore::new(body, offsets, self.records, self.kind))
    }

    /// Ends the writing, keeps the payloads in two new files, and opens those.
    ///
    /// Both are written and synced under random names (`.ringdb-payloads-` and six characters) beside
    /// their targets; then `payloads` is renamed, then `offsets`. A payload file without its offsets is
    /// a write that was never finished, and [`PayloadStore::load`] says so.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] if either target exists or both are the same, [`Error::Io`],
    /// [`Error::Corrupt`] if the file of what was pushed does not hold it,
    /// [`Error::DurabilityUnknown`] if a sync fails. After any of them but the last, neither target
    /// exists that did not before.
    pub fn finish_persisted(self, payloads: &Path, offsets: &Path) -> Result<PayloadStore<T>> {
        let disk = Arc::clone(&self.disk);
        for target in [payloads, offsets] {
            if payloads == offsets || disk.kind_of_name(target).is_ok() {
                return Err(Error::AlreadyExists {
                    path: target.to_path_buf(),
                });
            }
        }
        let [header, offset_header] = self.headers();
        let store = self.finish()?;
        // Each under its own checksum: what the file without a name lost is not sealed anew.
        (0..store.len() as u32).try_for_each(|id| store.fetch_bytes(id).map(drop))?;
        let (records, table) = store.bytes();
        let name = &store.kind().type_name;
        let staged_payloads = stage(&disk, payloads, records, header, name)?;
        let staged_offsets = stage(&disk, offsets, table, offset_header, "")?;
        // Opened before the names are given: what is published has been seen to be whole.
        let options = ReadOptions::new().payload_type(PayloadType::Any);
        let open = |payloads: &Path, offsets: &Path| {
            PayloadStore::open_pair(&*disk, payloads, offsets, &options)
        };
        let (mut store, _) = open(staged_payloads.path(), staged_offsets.path())?;
        staged_payloads.publish(payloads)?;
        if let Err(error) = staged_offsets.publish(offsets) {
            // Alone it is of no use and would be in the way of another try. But the system may report
            // an error for a rename that took place.
            if open(payloads, offsets).is_err() {
                let _ = disk.remove_file(payloads);
            }
            return Err(error);
        }
        store.renamed(payloads, offsets);
        Ok(store)
    }
}

impl<T> fmt::Debug for PayloadStoreBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("PayloadStoreBuilder");
        debug
            .field("len", &self.len())
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// What was appended to a file without a name, mapped through its descriptor.
fn spilled(file: AppendFile) -> Result<Body> {
    let (file, path) = file.into_body()?;
    let bytes = file.map().map_err(Error::io("map", &path))?;
    Ok(Body::unchecked(MappedFile::of(bytes, &path), HEADER_BYTES))
}

/// Writes and syncs a file under a random name beside `target`.
fn stage(
    disk: &Arc<dyn Disk>,
    target: &Path,
    body: &[u8],
    header: Header,
    note: &str,
) -> Result<Staged> {
    let (staged, file) = Staged::create(disk, parent(target), STAGED_PAIR_PREFIX)?;
    let mut file = AppendFile::new(file, staged.path().to_path_buf());
    file.append_all(body)?;
    file.finish(header, note)?;
    Ok(staged)
}
