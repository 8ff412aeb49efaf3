//! The one error type of the facade, and how errors of the layers below become it.
//!
//! Variants and fields of ring-db 0.3.0 keep their names; what that library did not refuse are new
//! variants. Every text names the thing and its value.

use std::fmt;
use std::io::{self, ErrorKind};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use ringdb_storage::{counted, is_derived_file};

/// The result of every fallible function of this crate.
pub type Result<T> = std::result::Result<T, RingDbError>;

/// Everything that can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RingDbError {
    /// A vector with another number of coordinates than the database has.
    #[error("dimension mismatch: expected {expected}, got {got}")]
    DimensionMismatch {
        /// Coordinates per vector of the database.
        expected: usize,
        /// Coordinates given.
        got: usize,
    },

    /// A payload that does not serialise, or stored bytes that are no value of the type asked for.
    #[error("payload error: {0}")]
    Payload(String),

    /// The operating system refused something. The inner error of the [`io::Error`] names the operation
    /// and the path; the kind is the system's.
    #[error("io error: {0}")]
    Io(#[from] io::Error),

    /// A file of a database is damaged.
    #[error("corrupt database: {0}")]
    Corrupt(Corruption),

    /// A number of dims that no database can have.
    #[error("invalid dims {dims}: a vector has 1 to {max} coordinates")]
    InvalidDims {
        /// The number given.
        dims: usize,
        /// The largest number allowed.
        max: usize,
    },

    /// Boxes were asked for, and vectors have too many coordinates for them.
    #[error("there are no boxes for {dims} dims: they hold vectors of up to {max} coordinates")]
    TooManyDimsForBoxes {
        /// Coordinates per vector.
        dims: usize,
        /// The largest number allowed.
        max: usize,
    },

    /// A bound of a ring that is NaN, negative, out of order, or infinite where it must not be.
    #[error("invalid bounds: {what}: {value}")]
    InvalidBounds {
        /// The bound, by the name of its field, and what is wrong with it if the value does not tell.
        what: &'static str,
        /// Its value.
        value: f64,
    },

    /// A latitude or longitude that no place has.
    #[error("{what} {value} is not from -{max} to {max} degrees")]
    InvalidPlace {
        /// `"latitude"` or `"longitude"`.
        what: &'static str,
        /// Its value in degrees.
        value: f64,
        /// The largest allowed; its negative is the smallest.
        max: f64,
    },

    /// A cursor that does not belong to the search.
    #[error("the cursor behind vector {id} is of another search: {why}")]
    InvalidCursor {
        /// The last hit of the page that it comes from.
        id: u32,
        /// What tells.
        why: &'static str,
    },

    /// An option of a search that means nothing to what is asked.
    #[error("{verb} takes no {option}")]
    NotTaken {
        /// What is asked, such as `"count"`.
        verb: &'static str,
        /// The option: `"order"`, `"limit"`, `"cursor"`, `"distances"` or `"ring"`.
        option: &'static str,
    },

    /// More vectors were asked for than there are.
    #[error("{} asked for, there are {len}", counted(*asked, "vector"))]
    TooFewVectors {
        /// How many were asked for.
        asked: u64,
        /// How many there are; of a search with a ring or a filter, how many hits.
        len: u64,
    },

    /// Too few edges for a bin of a histogram, or too many.
    #[error("number of edges is {edges}, must be from 2 to {max}")]
    EdgeCount {
        /// Edges given.
        edges: usize,
        /// The largest number allowed.
        max: usize,
    },

    /// The search was ended by its [`CancelToken`](crate::CancelToken).
    #[error("the search was cancelled")]
    Cancelled,

    /// A number of threads that a database cannot have.
    #[error("threads is {threads}, must be from 1 to {max}")]
    InvalidThreads {
        /// The number asked for.
        threads: usize,
        /// The largest allowed.
        max: usize,
    },

    /// A coordinate that is NaN or infinite.
    #[error("coordinate {index} is {value}, coordinates must be finite")]
    NotFinite {
        /// The coordinate's position in its vector, from 0.
        index: usize,
        /// Its value.
        value: f32,
    },

    /// An id at or past the number of vectors.
    #[error("id {id} is out of range: the database has {}", counted(*len as u64, "vector"))]
    IdOutOfRange {
        /// The id asked for.
        id: u32,
        /// The number of vectors.
        len: usize,
    },

    /// The directory holds a database already, and replacing it was not asked for.
    #[error("{} exists already", path.display())]
    AlreadyExists {
        /// The directory.
        path: PathBuf,
    },

    /// The directory holds no database.
    #[error("{} is not a database: it has no MANIFEST", path.display())]
    NotADatabase {
        /// The directory.
        path: PathBuf,
    },

    /// Not one vector of a damaged database can be kept, though it had some.
    #[error("none of {} of {} can be kept: {why}; whole but for the payload: {}", counted(*vectors, "vector"), path.display(), counted(*without_payload, "vector"))]
    NothingToSalvage {
        /// The damaged database.
        path: PathBuf,
        /// How many vectors it had.
        vectors: u64,
        /// Why they cannot be kept, and how many for each reason.
        why: String,
        /// How many of them have lost their payload alone. [`salvage`](crate::salvage()) keeps those with
        /// `keep_vectors`.
        without_payload: u64,
    },

    /// Another writer is at work in the directory.
    #[error("{} is locked by another writer{}", path.display(), pid.map(|p| format!(" (process {p})")).unwrap_or_default())]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The other writer's process, if known.
        pid: Option<u32>,
    },

    /// The system failed to make a write durable: what is on disk is unknown until it is opened again.
    #[error("cannot tell whether {} is durable", path.display())]
    DurabilityUnknown {
        /// The file or directory whose sync failed.
        path: PathBuf,
    },

    /// A file written by another version of the format.
    #[error("{} has format version {found}, this library reads version {supported}", path.display())]
    UnsupportedVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version this library reads.
        supported: u32,
    },

    /// Payloads were added or fetched as another type, or in another form, than they are stored.
    #[error("the payloads are stored as {stored}, not as {asked}: {advice}")]
    TypeMismatch {
        /// What the database stores.
        stored: String,
        /// What the call needs.
        asked: String,
        /// What to call instead.
        advice: &'static str,
    },

    /// Something exceeds a limit of the library.
    #[error("{what} would be {value}, the limit is {max}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its value.
        value: u64,
        /// The limit.
        max: u64,
    },

    /// Another number of payloads than of vectors.
    #[error("{} for {}", counted(*payloads as u64, "payload"), counted(*vectors as u64, "vector"))]
    CountMismatch {
        /// The number of vectors.
        vectors: usize,
        /// The number of payloads, as far as they were counted: up to one more than there are vectors.
        payloads: usize,
    },

    /// Neither one ring for all queries nor one for each.
    #[error("{} for {}, there must be one or as many", counted(*rings as u64, "ring"), if *queries == 1 { "1 query".to_string() } else { format!("{queries} queries") })]
    RingCount {
        /// The number of rings.
        rings: usize,
        /// The number of queries.
        queries: usize,
    },

    /// A computing thread does not round to nearest or flushes subnormal numbers to zero, which would
    /// change distances.
    #[error(
        "the floating-point environment does not round to nearest, or flushes subnormal numbers to zero"
    )]
    FloatEnvironment,
}

impl RingDbError {
    /// Whether something is wrong with the codes or boxes of a database, or the system cannot read them, and
    /// nothing else was found:
    /// [`rebuild_codes`](crate::rebuild_codes) makes them anew from the vectors, and
    /// [`OpenOptions::codes`](crate::OpenOptions::codes) passes over them.
    #[must_use]
    pub fn is_of_codes(&self) -> bool {
        match self {
            Self::Corrupt(corruption) => is_derived_file(corruption.path()),
            Self::UnsupportedVersion { path, .. } => is_derived_file(path),
            Self::Io(error) => {
                let attempt = error.get_ref().and_then(|inner| inner.downcast_ref());
                attempt.is_some_and(Attempt::is_of_codes)
            }
            _ => false,
        }
    }
}

/// Where a database is damaged. Displays as one sentence and dereferences to its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corruption {
    path: PathBuf,
    offset: u64,
    what: String,
    text: String,
}

impl Corruption {
    fn new(path: PathBuf, offset: u64, what: String) -> Self {
        let text = format!("{} at byte {offset}: {what}", path.display());
        Self {
            path,
            offset,
            what,
            text,
        }
    }

    /// The damaged file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The byte at which the damage was found, from the start of the file.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What was expected and what was found.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }
}

impl Deref for Corruption {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The inner error of an [`io::Error`]: what was attempted, on what.
#[derive(Debug, thiserror::Error)]
#[error("cannot {op} {}: {source}", path.display())]
struct Attempt {
    op: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Attempt {
    /// Whether codes of a database could not be read for what they are. Memory or descriptors that ran out are
    /// not of codes, and of new codes that could not be written or read back nothing is in a database yet.
    fn is_of_codes(&self) -> bool {
        let Self { op, path, source } = self;
        let lacks_room = matches!(
            source.kind(),
            ErrorKind::OutOfMemory | ErrorKind::QuotaExceeded | ErrorKind::StorageFull
        );
        // EMFILE and ENFILE, which have no kind; elsewhere these numbers mean other things.
        let lacks_files = cfg!(unix) && matches!(source.raw_os_error(), Some(23 | 24));
        let segment = path.parent().and_then(Path::file_name);
        let is_committed =
            segment.is_some_and(|name| name.to_string_lossy().starts_with("segment-"));
        let is_reading = ["open", "map", "read"].contains(op);
        is_reading && is_committed && is_derived_file(path) && !lacks_room && !lacks_files
    }
}

impl From<ringdb_storage::Error> for RingDbError {
    fn from(error: ringdb_storage::Error) -> Self {
        use ringdb_storage::Error;
        match error {
            Error::Io { op, path, source } => {
                Self::Io(io::Error::new(source.kind(), Attempt { op, path, source }))
            }
            Error::Corrupt { path, offset, what } => {
                Self::Corrupt(Corruption::new(path, offset, what))
            }
            Error::UnsupportedVersion {
                path,
                found,
                supported,
            } => Self::UnsupportedVersion {
                path,
                found,
                supported,
            },
            Error::CodecMismatch { stored, asked, .. } => Self::TypeMismatch {
                stored: stored.into(),
                asked: asked.into(),
                advice: calls(stored),
            },
            Error::TypeMismatch { stored, asked } => Self::TypeMismatch {
                stored,
                asked,
                advice: "OpenOptions::payload_type asks for another name, OpenOptions::any_type for any",
            },
            Error::IdOutOfRange { id, len } => Self::IdOutOfRange { id, len },
            Error::DimensionMismatch { expected, got } => Self::DimensionMismatch { expected, got },
            Error::InvalidDims { dims, max } => Self::InvalidDims { dims, max },
            Error::TooLarge { what, value, max } => Self::TooLarge { what, value, max },
            Error::AlreadyExists { path } => Self::AlreadyExists { path },
            Error::NotADatabase { path } => Self::NotADatabase { path },
            Error::NothingToSalvage {
                path,
                rows,
                why,
                without_payload,
            } => Self::NothingToSalvage {
                path,
                vectors: rows,
                why,
                without_payload,
            },
            Error::Locked { path, pid } => Self::Locked { path, pid },
            Error::DurabilityUnknown { path, .. } => Self::DurabilityUnknown { path },
            // Their text names the type and the reason.
            error @ (Error::Encode { .. } | Error::Decode { .. }) => {
                Self::Payload(error.to_string())
            }
            // The enum may grow.
            error => Self::Io(io::Error::other(error)),
        }
    }
}

/// Which calls of this crate take and give payloads of the codec with this name: storage knows only its
/// own.
fn calls(codec: &str) -> &'static str {
    match codec {
        "pod" => "add_vector_pod adds them and payload_ref reads them",
        "raw" | "json-text" => "add_vector_bytes adds them and payload_bytes reads them",
        _ => "add_vector adds them and fetch_payload reads them",
    }
}

impl From<ringdb_index::Error> for RingDbError {
    fn from(error: ringdb_index::Error) -> Self {
        use ringdb_index::Error;
        match error {
            Error::InvalidDims { dims, max } => Self::InvalidDims { dims, max },
            Error::DimensionMismatch { expected, got } => Self::DimensionMismatch { expected, got },
            Error::NotFinite { index, value } => Self::NotFinite { index, value },
            Error::InvalidBounds { what, value } => Self::InvalidBounds { what, value },
            Error::TooManyRows { rows, max } => Self::TooLarge {
                what: "rows",
                value: rows as u64,
                max: max as u64,
            },
            Error::IdOutOfRange { id, len } => Self::IdOutOfRange { id, len },
            Error::FloatEnvironment => Self::FloatEnvironment,
            Error::EdgeCount { edges, max } => Self::EdgeCount { edges, max },
            Error::RingCount { rings, queries } => Self::RingCount { rings, queries },
            // The enum may grow; whatever it says is about an argument.
            error => Self::Io(io::Error::new(io::ErrorKind::InvalidInput, error)),
        }
    }
}
