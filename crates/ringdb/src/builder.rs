//! [`RingDb`]: takes vectors and payloads, and seals them.
//!
//! Invariant: every vector has exactly one payload, and every stored coordinate is finite.

use std::fmt;
use std::path::{Path, PathBuf};

use ringdb_index::{check_environment, check_finite};
use ringdb_storage::{DerivedWriter, PayloadCodec, Pod, SegmentWriter, Vectors};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::{BackendPreference, RingDbConfig};
use crate::database::{BACKEND_NAME, SealedRingDb};
use crate::error::{Result, RingDbError};
use crate::open::OpenOptions;
use crate::pool::Pool;
use crate::rules::{Boxes, Codes, Rules};

/// A database being built: add vectors, then [`build`](Self::build) it.
///
/// `T` is the type of the payload kept beside each vector, `()` for none. Vectors get ids in the order
/// in which they are added, from 0.
///
/// ```
/// use ringdb::{RangeQuery, RingDb, RingDbConfig};
///
/// # fn main() -> ringdb::Result<()> {
/// let mut db = RingDb::new(RingDbConfig::new(2))?;
/// db.add_vector(&[0.0, 0.0], "home".to_string())?;
/// db.add_vector(&[3.0, 4.0], "shop".to_string())?;
/// db.add_vector(&[6.0, 8.0], "lake".to_string())?;
///
/// let db = db.build()?;
/// let hits = db.query_range(&RangeQuery { query: &[0.0, 0.0], d_min: 1.0, d_max: 5.0 })?;
/// assert_eq!(db.fetch_payloads(&hits.ids)?, ["shop"]);
/// # Ok(())
/// # }
/// ```
pub struct RingDb<T = ()> {
    writer: SegmentWriter<T>,
    rules: Rules,
    check_payloads: bool,
    pool: Pool,
}

/// What can be chosen for a new database beyond [`RingDbConfig`].
///
/// ```
/// use ringdb::{BuildOptions, RingDb};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// for day in ["monday", "tuesday"] {
///     let mut db: RingDb<String> = BuildOptions::new(1).persist(dir.path()).replace(true).create()?;
///     db.add_vector(&[1.0], day.to_string())?;
///     db.build()?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct BuildOptions {
    dims: usize,
    persist_dir: Option<PathBuf>,
    spill_dir: Option<PathBuf>,
    replace: bool,
    codec: PayloadCodec,
    rules: Rules,
    payload_type: Option<String>,
    check_payloads: bool,
    threads: Option<usize>,
}

impl BuildOptions {
    /// A database in memory with vectors of `dims` coordinates and payloads in bincode.
    #[must_use]
    pub fn new(dims: usize) -> Self {
        Self {
            dims,
            persist_dir: None,
            spill_dir: None,
            replace: false,
            codec: PayloadCodec::default(),
            rules: Rules::default(),
            payload_type: None,
            check_payloads: true,
            threads: None,
        }
    }

    /// Makes `dir` the database. It and its ancestors are created if needed; files in it that are not
    /// a database's are left alone.
    #[must_use]
    pub fn persist(mut self, dir: impl Into<PathBuf>) -> Self {
        self.persist_dir = Some(dir.into());
        self
    }

    /// Where a database in memory keeps its payloads: they go to files without names in `dir`, which must
    /// be there, and only the vectors stay in memory. The system's directory for temporary files
    /// ([`std::env::temp_dir`]) unless this is called; call it where that one is small, or is itself in
    /// memory, and the payloads are large. The files are gone when the database is dropped or the process
    /// dies. A database that is [persisted](Self::persist) spills nothing.
    #[must_use]
    pub fn spill_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.spill_dir = Some(dir.into());
        self
    }

    /// Whether a database that is in the directory already may be replaced. It stays as it is, for
    /// readers and after a crash, until the new one takes its place in one step.
    #[must_use]
    pub fn replace(mut self, replace: bool) -> Self {
        self.replace = replace;
        self
    }

    /// How payloads are stored.
    #[must_use]
    pub fn codec(mut self, codec: PayloadCodec) -> Self {
        self.codec = codec;
        self
    }

    /// Whether searches read codes, a certified summary of each vector, before its coordinates.
    #[must_use]
    pub fn codes(mut self, codes: Codes) -> Self {
        self.rules.codes = codes;
        self
    }

    /// Whether searches of vectors with few coordinates look at boxes around them before anything else.
    #[must_use]
    pub fn boxes(mut self, boxes: Boxes) -> Self {
        self.rules.boxes = boxes;
        self
    }

    /// The name under which the type of the payloads is stored, in place of the name that the type has
    /// in Rust without its path. Whoever opens the database asks for the same
    /// ([`OpenOptions::payload_type`]).
    #[must_use]
    pub fn payload_type(mut self, name: impl Into<String>) -> Self {
        self.payload_type = Some(name.into());
        self
    }

    /// Whether the bytes of each payload are decoded again when it is added, so that one that cannot
    /// come back is refused then. True unless it is turned off, which makes adding faster.
    #[must_use]
    pub fn check_payloads(mut self, check: bool) -> Self {
        self.check_payloads = check;
        self
    }

    /// Gives the database so many threads of its own, from 1 to 1024, to make codes and boxes and to search with. Without,
    /// it uses the rayon pool that it is called from, or else rayon's global one, which has a thread for each that the
    /// processor can run.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Begins the database.
    ///
    /// # Errors
    /// As [`RingDb::new`]; [`TooManyDimsForBoxes`](crate::RingDbError::TooManyDimsForBoxes); [`InvalidThreads`](crate::RingDbError::InvalidThreads),
    /// and [`Io`](crate::RingDbError::Io) for threads that the system does not start;
    /// [`TooLarge`](crate::RingDbError::TooLarge) for a name of the payloads' type of more than 255 bytes; [`Io`](crate::RingDbError::Io), naming the directory, if files cannot be
    /// made in the one for payloads in memory.
    pub fn create<T: Serialize + DeserializeOwned>(self) -> Result<RingDb<T>> {
        let (dims, codec) = (self.dims, self.codec);
        self.rules.check(dims)?;
        let pool = Pool::new(self.threads)?;
        let mut writer = match (&self.persist_dir, &self.spill_dir) {
            (Some(dir), _) => SegmentWriter::in_directory(dir, self.replace, dims, codec)?,
            (None, Some(dir)) => SegmentWriter::in_memory_spilling_to(dir, dims, codec)?,
            (None, None) => SegmentWriter::in_memory(dims, codec)?,
        };
        if let Some(name) = self.payload_type {
            writer = writer.with_type_name(name)?;
        }
        let check_payloads = self.check_payloads;
        Ok(RingDb {
            writer,
            rules: self.rules,
            check_payloads,
            pool,
        })
    }
}

impl<T: Serialize + DeserializeOwned> RingDb<T> {
    /// An empty database.
    ///
    /// With a `persist_dir`, the directory is created and locked at once and vectors go to files in it
    /// as they are added; it becomes a database when [`build`](Self::build) returns. Dropped before
    /// that, it holds what it held before.
    ///
    /// # Errors
    /// [`InvalidDims`](crate::RingDbError::InvalidDims); with a `persist_dir` also
    /// [`AlreadyExists`](crate::RingDbError::AlreadyExists) if it holds a database
    /// ([`BuildOptions::replace`] allows that), [`Locked`](crate::RingDbError::Locked) if another
    /// builder is at work in it, and [`Io`](crate::RingDbError::Io).
    pub fn new(config: RingDbConfig) -> Result<Self> {
        let RingDbConfig {
            dims,
            backend_preference: BackendPreference::Cpu,
            persist_dir,
        } = config;
        let options = BuildOptions {
            persist_dir,
            ..BuildOptions::new(dims)
        };
        options.create()
    }

    /// Adds a vector of [`dims`](Self::dims) finite coordinates and its payload. A call that fails
    /// adds neither, and the database can be used on.
    ///
    /// # Errors
    /// [`DimensionMismatch`](crate::RingDbError::DimensionMismatch),
    /// [`NotFinite`](crate::RingDbError::NotFinite), [`Payload`](crate::RingDbError::Payload) if the
    /// payload does not serialise or its bytes do not decode again (as with untagged enums, skipped
    /// fields and `serde_json::Value`), [`TypeMismatch`](crate::RingDbError::TypeMismatch) if the codec
    /// is none of serde's, [`TooLarge`](crate::RingDbError::TooLarge), [`Io`](crate::RingDbError::Io) if
    /// memory or disk are full.
    pub fn add_vector(&mut self, vector: &[f32], payload: T) -> Result<()> {
        check_finite(vector)?;
        match self.check_payloads {
            true => self.writer.push_checked(vector, payload)?,
            false => self.writer.push(vector, payload)?,
        }
        Ok(())
    }

    /// Adds vectors, row-major, [`dims`](Self::dims) finite coordinates each, and a payload for each.
    /// All are added, or after an error none.
    ///
    /// Until they are on disk, a copy of the coordinates and the encoded payloads are held in memory:
    /// add a large set in parts of some megabytes.
    ///
    /// ```
    /// use ringdb::{RingDb, RingDbConfig};
    ///
    /// # fn main() -> ringdb::Result<()> {
    /// let mut db = RingDb::new(RingDbConfig::new(2))?;
    /// db.add_vectors(&[0.0, 0.0, 3.0, 4.0], ["home".to_string(), "shop".to_string()])?;
    /// assert_eq!(db.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`add_vector`](Self::add_vector): `DimensionMismatch` with the length of the last vector if it
    /// is not whole, `NotFinite` with a position in `vectors`;
    /// [`CountMismatch`](crate::RingDbError::CountMismatch) if there is not one payload for each vector.
    pub fn add_vectors(
        &mut self,
        vectors: &[f32],
        payloads: impl IntoIterator<Item = T>,
    ) -> Result<()> {
        let (n_vectors, partial) = (vectors.len() / self.dims(), vectors.len() % self.dims());
        if partial != 0 {
            return Err(RingDbError::DimensionMismatch {
                expected: self.dims(),
                got: partial,
            });
        }
        check_finite(vectors)?;
        // One more than fits is enough to know that they are too many.
        let payloads: Vec<T> = payloads.into_iter().take(n_vectors + 1).collect();
        if payloads.len() != n_vectors {
            return Err(RingDbError::CountMismatch {
                vectors: n_vectors,
                payloads: payloads.len(),
            });
        }
        match self.check_payloads {
            true => self.writer.push_all_checked(vectors, &payloads)?,
            false => self.writer.push_all(vectors, &payloads)?,
        }
        Ok(())
    }

    /// Adds a vector and the bytes of its payload as they are, for the
    /// [codecs](BuildOptions::codec) [`PayloadCodec::JsonText`] and [`PayloadCodec::Raw`]. The bytes are
    /// not looked at.
    ///
    /// # Errors
    /// As [`add_vector`](Self::add_vector); `TypeMismatch` if the codec is another: any of serde's, or
    /// [`PayloadCodec::Pod`].
    pub fn add_vector_bytes(&mut self, vector: &[f32], payload: &[u8]) -> Result<()> {
        check_finite(vector)?;
        Ok(self.writer.push_bytes(vector, payload)?)
    }

    /// Seals the database. With a `persist_dir`, it is on disk whole and durable when this returns
    /// `Ok`; after an error there is what was there before, and what was added is lost. After
    /// `DurabilityUnknown` it may be either.
    ///
    /// # Errors
    /// [`Io`](crate::RingDbError::Io),
    /// [`DurabilityUnknown`](crate::RingDbError::DurabilityUnknown),
    /// [`Corrupt`](crate::RingDbError::Corrupt) if what was written does not read back,
    /// [`FloatEnvironment`](crate::RingDbError::FloatEnvironment).
    pub fn build(self) -> Result<SealedRingDb<T>> {
        // Before anything is committed: an error after that would be one about a database that stands.
        check_environment()?;
        let Self {
            writer,
            rules,
            pool,
            ..
        } = self;
        let derive = |vectors: &Vectors, writer: &mut DerivedWriter<'_>| {
            pool.run(|| rules.derive(vectors, writer))
        };
        SealedRingDb::new(writer.finish_with(derive)?, pool)
    }

    /// Opens a database directory for queries: one of this library, or one written by ring-db 0.3.0 or
    /// 0.3.1. Takes no lock, writes nothing, and checks everything: lengths, checksums, offsets, and
    /// that every coordinate is finite.
    ///
    /// The files are mapped, not read into memory, and must not be modified while the database is open.
    /// Replacing the database by [`BuildOptions::replace`] is safe: this one stays what it is.
    ///
    /// # Errors
    /// [`Io`](crate::RingDbError::Io) (`NotFound` if there is nothing at `dir`, `NotADirectory` if that is
    /// no directory),
    /// [`NotADatabase`](crate::RingDbError::NotADatabase),
    /// [`UnsupportedVersion`](crate::RingDbError::UnsupportedVersion),
    /// [`TypeMismatch`](crate::RingDbError::TypeMismatch) if the payloads were stored as another type,
    /// [`Corrupt`](crate::RingDbError::Corrupt) naming file, byte and finding,
    /// [`FloatEnvironment`](crate::RingDbError::FloatEnvironment).
    pub fn load(dir: &Path, backend_preference: BackendPreference) -> Result<SealedRingDb<T>> {
        let BackendPreference::Cpu = backend_preference;
        OpenOptions::new().open(dir)
    }

    /// Number of vectors added.
    #[must_use]
    pub fn len(&self) -> usize {
        self.writer.len()
    }

    /// Whether no vector was added yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writer.is_empty()
    }

    /// Coordinates per vector.
    #[must_use]
    pub fn dims(&self) -> usize {
        self.writer.dims()
    }

    /// Where queries will be computed: `"cpu"`.
    #[must_use]
    pub fn backend_name(&self) -> &str {
        BACKEND_NAME
    }
}

impl<T: Pod> RingDb<T> {
    /// Adds a vector and its payload, which is stored as it lies in memory and read in place, for
    /// [`PayloadCodec::Pod`].
    ///
    /// # Errors
    /// As [`add_vector`](Self::add_vector); `TypeMismatch` with another codec.
    pub fn add_vector_pod(&mut self, vector: &[f32], payload: &T) -> Result<()> {
        check_finite(vector)?;
        Ok(self.writer.push_pod(vector, payload)?)
    }
}

impl<T> fmt::Debug for RingDb<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RingDb").field(&self.writer).finish()
    }
}
