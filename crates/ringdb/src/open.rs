//! [`OpenOptions`]: how a database directory is opened.

use std::path::Path;

use ringdb_index::{check_environment, check_finite};
use ringdb_storage::{Access, PayloadType, ReadOptions, Segment, Verify};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::database::SealedRingDb;
use crate::error::Result;
use crate::pool::Pool;

/// How a database directory is opened. The default checks everything and maps the files.
///
/// ```
/// use ringdb::{OpenOptions, RingDb, RingDbConfig, SealedRingDb, Verify};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let mut db = RingDb::new(RingDbConfig::new(1).with_persist_dir(dir.path()))?;
/// db.add_vector(&[1.0], "monday".to_string())?;
/// db.build()?;
///
/// // Opening reads no more of a large database than of a small one; each block is checked before it
/// // is used for the first time.
/// let db: SealedRingDb<String> = OpenOptions::new().verify(Verify::Lazy).open(dir.path())?;
/// assert_eq!(db.fetch_payload(0)?, "monday");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct OpenOptions {
    read: ReadOptions,
    /// The name that was set.
    payload_type: Option<String>,
    any_type: bool,
    threads: Option<usize>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl OpenOptions {
    /// The default, which is that of [`RingDb::load`](crate::RingDb::load).
    #[must_use]
    pub fn new() -> Self {
        Self {
            read: ReadOptions::new().row_check(not_finite),
            payload_type: None,
            any_type: false,
            threads: None,
        }
    }

    /// When checksums are compared, and coordinates found to be finite. A payload's own checksum is
    /// compared whenever it is fetched.
    #[must_use]
    pub fn verify(mut self, verify: Verify) -> Self {
        self.read = self.read.verify(verify);
        self
    }

    /// Whether files are mapped or copied into memory. Copies are for directories whose files others
    /// may edit or cut.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.read = self.read.access(access);
        self
    }

    /// Whether payloads may have been stored as another type than the one that is asked for, be that `T`
    /// or a name that [`payload_type`](Self::payload_type) set, before or after this call.
    #[must_use]
    pub fn any_type(mut self, any: bool) -> Self {
        self.any_type = any;
        self
    }

    /// The name under which the payloads must have been stored, for databases built with
    /// [`BuildOptions::payload_type`](crate::BuildOptions::payload_type). With
    /// [`any_type`](Self::any_type) it does not matter.
    #[must_use]
    pub fn payload_type(mut self, name: impl Into<String>) -> Self {
        self.payload_type = Some(name.into());
        self
    }

    /// Whether codes and boxes are opened, where there are any. True unless it is turned off. Without them a
    /// search finds the same and reads all coordinates: for a database of which nothing else is damaged, until
    /// [`rebuild_codes`](crate::rebuild_codes) has made them anew, and where memory is short, of which
    /// [`Access::Read`] takes some for them, too.
    #[must_use]
    pub fn codes(mut self, codes: bool) -> Self {
        self.read = self.read.skip_derived(!codes);
        self
    }

    /// Gives the database so many threads of its own, from 1 to 1024, to search with. Without, it searches in the rayon pool
    /// that it is asked from, or else in rayon's global one, which has a thread for each that the processor can run.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Opens `dir`: a database of this library, or one written by ring-db 0.3.0 or 0.3.1. Takes no lock
    /// and writes nothing; works on a file system that is mounted read-only.
    ///
    /// Mapped files must not be modified while the database is open. Replacing the database by
    /// [`BuildOptions::replace`](crate::BuildOptions::replace) is safe: this one stays what it is.
    ///
    /// # Errors
    /// [`Io`](crate::RingDbError::Io) (`NotFound` if there is nothing at `dir`, `NotADirectory` if that is
    /// no directory),
    /// [`NotADatabase`](crate::RingDbError::NotADatabase),
    /// [`UnsupportedVersion`](crate::RingDbError::UnsupportedVersion),
    /// [`TypeMismatch`](crate::RingDbError::TypeMismatch) if the payloads were stored as another type,
    /// [`Corrupt`](crate::RingDbError::Corrupt) naming file, byte and finding,
    /// [`InvalidThreads`](crate::RingDbError::InvalidThreads),
    /// [`FloatEnvironment`](crate::RingDbError::FloatEnvironment).
    pub fn open<T: Serialize + DeserializeOwned>(&self, dir: &Path) -> Result<SealedRingDb<T>> {
        let payload_type = match &self.payload_type {
            _ if self.any_type => PayloadType::Any,
            Some(name) => PayloadType::Named(name.clone()),
            None => PayloadType::Own,
        };
        let options = self.read.clone().payload_type(payload_type);
        check_environment()?;
        // First, so that nothing is read for a number of threads that cannot be.
        let pool = Pool::new(self.threads)?;
        let segment = Segment::open_with(dir, &options)?;
        SealedRingDb::new(segment, pool)
    }
}

/// Where in a slice of coordinates the first one stands that is not finite, and its value.
pub(crate) fn not_finite(coordinates: &[f32]) -> Option<(usize, String)> {
    match check_finite(coordinates) {
        Err(ringdb_index::Error::NotFinite { index, value }) => {
            Some((index, format!("is {value}")))
        }
        _ => None,
    }
}
