//! What can go wrong on the way to and from the disk, as values a program can match on.
//!
//! Every error names the file or the number it is about. Errors of the operating system keep their
//! [`std::io::Error`] as the source; damage is always [`Error::Corrupt`] with a path, an offset and a
//! finding, never a bare string.

use std::io;
use std::path::{Path, PathBuf};

use crate::count::counted;

/// The result of every fallible function of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of the storage layer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation on a file or directory.
    #[error("cannot {op} {}: {source}", path.display())]
    Io {
        /// What was attempted, as a verb: `open`, `write`, `rename`.
        op: &'static str,
        /// The file or directory it was attempted on.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },

    /// A file is not what its own header, its checksum or its siblings say it is.
    #[error("{} is corrupt at byte {offset}: {what}", path.display())]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// The byte at which the finding was made, counted from the start of the file.
        offset: u64,
        /// What was expected and what was found.
        what: String,
    },

    /// A file was written by another version of the format.
    #[error("{} has format version {found}, this library reads version {supported}", path.display())]
    UnsupportedVersion {
        /// The file.
        path: PathBuf,
        /// The version in its header.
        found: u32,
        /// The version this library reads and writes.
        supported: u32,
    },

    /// A payload could not be turned into bytes.
    #[error("payload of type {type_name} does not serialise: {what}")]
    Encode {
        /// The Rust type of the payload.
        type_name: &'static str,
        /// The codec's reason.
        what: String,
    },

    /// Stored bytes could not be turned into a payload of the type asked for.
    #[error("payload {id} does not deserialise as {type_name}: {what}")]
    Decode {
        /// The payload's id.
        id: u32,
        /// The Rust type asked for.
        type_name: &'static str,
        /// The codec's reason.
        what: String,
    },

    /// A payload was pushed or fetched through another codec than the store's own.
    #[error("the payloads are stored as {stored}, not as {asked}: {advice}")]
    CodecMismatch {
        /// The name of the codec in the store's header.
        stored: &'static str,
        /// The name of the codec that the call needs.
        asked: &'static str,
        /// What to call instead.
        advice: &'static str,
    },

    /// The payloads are of another type than the one asked for, by the names of both.
    #[error(
        "the payloads are of type {stored}, not {asked}: \
         ReadOptions::payload_type asks for another name, or for any"
    )]
    TypeMismatch {
        /// The name that is stored.
        stored: String,
        /// The name asked for.
        asked: String,
    },

    /// An id at or past the number of entries.
    #[error("id {id} is out of range: there are {len}")]
    IdOutOfRange {
        /// The id asked for.
        id: u32,
        /// How many entries there are; valid ids are below it.
        len: usize,
    },

    /// A row does not have the store's number of coordinates.
    #[error("a row of {} for a store of {}", counted(*got as u64, "coordinate"), counted(*expected as u64, "dim"))]
    DimensionMismatch {
        /// The store's coordinates per row.
        expected: usize,
        /// The row's coordinates.
        got: usize,
    },

    /// A number of dims outside 1 ..= [`DIMS_MAX`](crate::limits::DIMS_MAX).
    #[error("{dims} dims: a row has 1 to {max} coordinates")]
    InvalidDims {
        /// The number given.
        dims: usize,
        /// The largest number of coordinates per row.
        max: usize,
    },

    /// Something exceeds one of the [limits](crate::limits).
    #[error("{what} would be {value}, the limit is {max}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its value.
        value: u64,
        /// The largest value allowed.
        max: u64,
    },

    /// The target of a write is there already and replacing was not asked for.
    #[error("{} exists already", path.display())]
    AlreadyExists {
        /// The directory or file.
        path: PathBuf,
    },

    /// The directory holds no MANIFEST, so nothing was ever committed there.
    #[error("{} is not a database: it has no MANIFEST", path.display())]
    NotADatabase {
        /// The directory.
        path: PathBuf,
    },

    /// Not one row of a damaged database can be kept, though it had some.
    #[error("none of {} of {} can be kept: {why}; whole but for the payload: {}", counted(*rows, "row"), path.display(), counted(*without_payload, "vector"))]
    NothingToSalvage {
        /// The damaged database.
        path: PathBuf,
        /// How many rows it had.
        rows: u64,
        /// Why they cannot be kept, and how many for each reason.
        why: String,
        /// How many of them have lost their payload alone. Those are kept if the vectors are asked for
        /// without payloads.
        without_payload: u64,
    },

    /// Another writer holds the directory's LOCK.
    #[error("{} is locked by another writer{}", path.display(), pid.map(|p| format!(" (process {p})")).unwrap_or_default())]
    Locked {
        /// The database directory.
        path: PathBuf,
        /// The other writer's process, if its LOCK file says so.
        pid: Option<u32>,
    },

    /// The operating system failed to make a write durable; what is on the disk is unknown.
    #[error("cannot tell whether {} is durable: {source}", path.display())]
    DurabilityUnknown {
        /// The file or directory whose sync failed.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
}

impl Error {
    /// An operating-system error with what was attempted on which path; for `map_err`.
    pub(crate) fn io(op: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            op,
            path: path.to_path_buf(),
            source,
        }
    }

    /// A failed sync of a path; for `map_err`.
    pub(crate) fn durability(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::DurabilityUnknown {
            path: path.to_path_buf(),
            source,
        }
    }

    pub(crate) fn corrupt(path: &Path, offset: u64, what: impl Into<String>) -> Self {
        Self::Corrupt {
            path: path.to_path_buf(),
            offset,
            what: what.into(),
        }
    }

    /// Whether a file or directory was not there.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}
