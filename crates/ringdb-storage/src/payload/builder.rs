//! Writing payloads: each is encoded when it is pushed and goes to a file, so that memory holds one
//! payload and the offsets, however many there are.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::TempPath;
use uuid::Uuid;

use super::codec::{PayloadCodec, check_size, decode, encode};
use super::offsets::Offsets;
use super::store::PayloadStore;
use crate::append::AppendFile;
use crate::error::{Error, Result};
use crate::header::{HEADER_BYTES, Kind, Origin};
use crate::limits::ROWS_MAX;
use crate::mapped::{MappedFile, as_bytes};
use crate::platform;
use crate::publish::{Target, parent, publish};

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
    payloads: AppendFile,
    /// `offsets[i]` is where payload `i` begins; the last is where the next one will.
    offsets: Vec<u64>,
    codec: PayloadCodec,
    marker: PhantomData<fn(T)>,
}

/// The bytes of a payload that is ready to be appended.
pub(crate) struct Encoded<'a>(Cow<'a, [u8]>);

impl<T: Serialize> PayloadStoreBuilder<T> {
    /// An empty builder. Payloads go to a file without a name in the system's directory for temporary
    /// files: nobody else can open it, and it is gone when the store is dropped or the process dies.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be made.
    pub fn new() -> Result<Self> {
        Self::spilled(PayloadCodec::Bincode)
    }

    /// Encodes `payload` and appends its bytes.
    ///
    /// # Errors
    /// [`Error::Encode`] if it does not serialise, [`Error::TooLarge`] past a
    /// [limit](crate::limits), [`Error::Io`] if the file cannot be written.
    pub fn push(&mut self, payload: T) -> Result<()> {
        let encoded = self.encode(&payload)?;
        self.make_room()?;
        self.append(&encoded);
        Ok(())
    }

    /// The bytes of `payload`; nothing is written yet.
    pub(crate) fn encode(&self, payload: &T) -> Result<Encoded<'static>> {
        self.codec.expect(PayloadCodec::Bincode)?;
        self.admit(Cow::Owned(encode(payload)?))
    }
}

impl<T: Serialize + DeserializeOwned> PayloadStoreBuilder<T> {
    /// The bytes of `payload`, which have been decoded again and so can be fetched.
    pub(crate) fn encode_checked(&self, payload: &T) -> Result<Encoded<'static>> {
        let encoded = self.encode(payload)?;
        match decode::<T>(&encoded.0) {
            Ok(_) => Ok(encoded),
            Err(what) => {
                let what = format!(
                    "its bytes do not decode again: {what} (untagged enums, skipped fields and values \
                     of any type, such as those of JSON, cannot be read back from bincode)"
                );
                Err(Error::Encode {
                    type_name: std::any::type_name::<T>(),
                    what,
                })
            }
        }
    }
}

impl<T: DeserializeOwned> PayloadStoreBuilder<T> {
    /// Ends the writing and opens the payloads for reading. Their file still has no name.
    ///
    /// # Errors
    /// [`Error::Io`] if the rest cannot be written or the file not be mapped, [`Error::Corrupt`] if it
    /// does not hold what was pushed.
    pub fn finish(self) -> Result<PayloadStore<T>> {
        let payloads = spilled(self.payloads)?;
        let offsets = Offsets::in_memory(self.offsets, payloads.bytes().len() as u64)?;
        Ok(PayloadStore::new(payloads, offsets, self.codec))
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
        for target in [payloads, offsets] {
            if target.symlink_metadata().is_ok() || payloads == offsets {
                return Err(Error::AlreadyExists {
                    path: target.to_path_buf(),
                });
            }
        }
        let origin = Origin {
            uuid: Uuid::new_v4(),
            generation: 0,
        };
        let (codec, count) = (self.codec, self.len() as u64);
        let bytes = spilled(self.payloads)?;
        let staged_payloads = stage(payloads, bytes.bytes(), |file| {
            file.finish(Kind::Payloads, codec.id(), origin, count)
        })?;
        let staged_offsets = stage(offsets, as_bytes(&self.offsets), |file| {
            file.finish(Kind::Offsets, 0, origin, count + 1)
        })?;
        // Opened before the names are given: what is published has been seen to be whole.
        let store = PayloadStore::load(&staged_payloads, &staged_offsets)?;
        publish_staged(staged_payloads, payloads)?;
        if let Err(error) = publish_staged(staged_offsets, offsets) {
            // Alone it is of no use and would be in the way of another try. But the system may report
            // an error for a rename that took place.
            if PayloadStore::<T>::load(payloads, offsets).is_err() {
                let _ = std::fs::remove_file(payloads);
            }
            return Err(error);
        }
        Ok(store)
    }
}

impl<T> PayloadStoreBuilder<T> {
    /// A builder whose file has no name.
    pub(crate) fn spilled(codec: PayloadCodec) -> Result<Self> {
        let path = std::env::temp_dir();
        let file = tempfile::tempfile_in(&path).map_err(Error::io("create a file in", &path))?;
        Ok(Self::over(AppendFile::new(file, path), codec))
    }

    /// A builder whose file is part of a segment.
    pub(crate) fn staged(path: PathBuf, codec: PayloadCodec) -> Result<Self> {
        Ok(Self::over(AppendFile::create(path)?, codec))
    }

    fn over(payloads: AppendFile, codec: PayloadCodec) -> Self {
        Self {
            payloads,
            offsets: vec![0],
            codec,
            marker: PhantomData,
        }
    }

    /// Number of payloads pushed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether nothing was pushed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn codec(&self) -> PayloadCodec {
        self.codec
    }

    /// Bytes of all payloads so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.payloads.body_bytes()
    }

    /// Bytes that are stored as they are, for a codec that is not serde's.
    pub(crate) fn raw<'a>(&self, bytes: &'a [u8]) -> Result<Encoded<'a>> {
        self.codec.expect(PayloadCodec::JsonText)?;
        self.admit(Cow::Borrowed(bytes))
    }

    /// Checks the limits before anything is written.
    fn admit<'a>(&self, bytes: Cow<'a, [u8]>) -> Result<Encoded<'a>> {
        check_size(bytes.len() as u64)?;
        let value = self.len() as u64 + 1;
        if value > ROWS_MAX {
            return Err(Error::TooLarge {
                what: "payloads",
                value,
                max: ROWS_MAX,
            });
        }
        Ok(Encoded(bytes))
    }

    /// After `Ok`, the next [`Self::append`] cannot fail.
    pub(crate) fn make_room(&mut self) -> Result<()> {
        self.payloads.make_room()
    }

    pub(crate) fn append(&mut self, encoded: &Encoded<'_>) {
        self.payloads.append(&encoded.0);
        self.offsets.push(self.payloads.body_bytes());
    }

    /// Completes the file of a segment and writes its offsets to `offsets`.
    pub(crate) fn finish_staged(self, offsets: PathBuf, origin: Origin) -> Result<[u32; 2]> {
        let count = self.len() as u64;
        let payloads_crc = self
            .payloads
            .finish(Kind::Payloads, self.codec.id(), origin, count)?;
        let mut table = AppendFile::create(offsets)?;
        table.append_through(as_bytes(&self.offsets))?;
        let offsets_crc = table.finish(Kind::Offsets, 0, origin, count + 1)?;
        Ok([payloads_crc, offsets_crc])
    }
}

impl<T> fmt::Debug for PayloadStoreBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("PayloadStoreBuilder");
        debug
            .field("len", &self.len())
            .field("codec", &self.codec)
            .finish_non_exhaustive()
    }
}

/// What was appended to a file without a name, mapped through its descriptor and seen to be whole.
fn spilled(payloads: AppendFile) -> Result<MappedFile> {
    let (file, path, crc) = payloads.into_body()?;
    let payloads = MappedFile::of(&file, &path)?.behind(HEADER_BYTES);
    let found = crc32fast::hash(payloads.bytes());
    if found != crc {
        let what =
            format!("a file of payloads without a name has checksum {found:08x}, not {crc:08x}");
        return Err(Error::corrupt(&path, HEADER_BYTES as u64, what));
    }
    Ok(payloads)
}

/// Writes and syncs a file under a random name beside `target`; it is deleted unless it is published.
fn stage(
    target: &Path,
    body: &[u8],
    finish: impl FnOnce(AppendFile) -> Result<u32>,
) -> Result<TempPath> {
    let mut named = tempfile::Builder::new();
    let permissions = platform::ordinary_file();
    if let Some(permissions) = permissions {
        named.permissions(permissions);
    }
    let dir = parent(target);
    let staged = named.prefix(".ringdb-payloads-").tempfile_in(dir);
    let (file, path) = staged
        .map_err(Error::io("create a file in", dir))?
        .into_parts();
    let mut file = AppendFile::new(file, path.to_path_buf());
    file.append_through(body)?;
    finish(file)?;
    Ok(path)
}

fn publish_staged(mut staged: TempPath, target: &Path) -> Result<()> {
    publish(&staged, target, Target::Absent)?;
    staged.disable_cleanup(true);
    Ok(())
}
