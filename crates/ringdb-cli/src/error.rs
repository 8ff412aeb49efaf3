//! Everything that can end the program with a message, each naming its file, line or value.

use std::io;
use std::path::PathBuf;

use ringdb::RingDbError;

use crate::place;
use crate::text::{counted, rebuild};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot write the output")]
    Output(#[source] io::Error),

    #[error("cannot {op} {}", path.display())]
    File {
        op: &'static str,
        path: PathBuf,
        source: io::Error,
    },

    #[error("{} is not a regular file", path.display())]
    NotAFile { path: PathBuf },

    #[error(transparent)]
    Map(ringdb::StorageError),

    /// A file that holds no array of vectors.
    #[error("cannot use {}: {what}", path.display())]
    Npy { path: PathBuf, what: String },

    /// A row of a file that the library refuses.
    #[error("{} row {row}", path.display())]
    Row {
        path: PathBuf,
        row: usize,
        source: RingDbError,
    },

    #[error("{} line {line} is not UTF-8 from its byte {byte} on", path.display())]
    NotUtf8 {
        path: PathBuf,
        line: u64,
        /// Counted from 1.
        byte: usize,
    },

    #[error("{} line {line} is not JSON: {what}", path.display())]
    NotJson {
        path: PathBuf,
        line: u64,
        what: String,
    },

    #[error("{} line {line} has more than {max} bytes", path.display())]
    LongLine { path: PathBuf, line: u64, max: u64 },

    /// A CSV file that cannot be read as places.
    #[error("{} line {line}: {what}", path.display())]
    Csv {
        path: PathBuf,
        line: u64,
        what: String,
    },

    /// A line of a file that the library refuses.
    #[error("{} line {line}", path.display())]
    Line {
        path: PathBuf,
        line: u64,
        source: RingDbError,
    },

    #[error("{} has {}, but {} has {}", vectors.display(), counted(*rows as u64, "row"), payloads.display(), counted(*lines, "line"))]
    Count {
        vectors: PathBuf,
        rows: usize,
        payloads: PathBuf,
        lines: u64,
    },

    #[error("{} has {}, but {} has {dims}", vectors.display(), counted(*found as u64, "dim"), db.display())]
    Dims {
        vectors: PathBuf,
        found: usize,
        db: PathBuf,
        dims: usize,
    },

    #[error("{} has {}, and --km measures between places, which have {}", path.display(), counted(*dims as u64, "dim"), place::DIMS)]
    KmDims { path: PathBuf, dims: usize },

    #[error("{name} has length {length}, and --km measures between places, which have length 1")]
    KmLength {
        /// Of the vector, as the user knows it.
        name: String,
        length: f64,
    },

    /// Of the operating system, by way of the library; the text names what was tried on which file.
    #[error(transparent)]
    System(io::Error),

    #[error("cannot build {}: it exists already, --replace builds it anew", path.display())]
    Exists { path: PathBuf },

    #[error("cannot build {}", path.display())]
    Build { path: PathBuf, source: RingDbError },

    #[error("cannot open {}", path.display())]
    Open { path: PathBuf, source: RingDbError },

    /// Of a database that can do without what is wrong with it.
    #[error("cannot open {}: {error}; `{}` makes codes and boxes anew, --no-codes passes over them", path.display(), rebuild(path))]
    OpenCodes { path: PathBuf, error: RingDbError },

    #[error("cannot query {}", path.display())]
    Query { path: PathBuf, source: RingDbError },

    #[error("{} is damaged: {findings}{hint}", path.display())]
    Damaged {
        path: PathBuf,
        findings: String,
        /// How to mend it, if there is a way that loses nothing.
        hint: String,
    },

    #[error("cannot verify {}", path.display())]
    Verify { path: PathBuf, source: RingDbError },

    #[error("cannot rebuild the codes of {}", path.display())]
    Rebuild { path: PathBuf, source: RingDbError },

    #[error("cannot salvage {}", path.display())]
    Salvage { path: PathBuf, source: RingDbError },

    #[error("cannot salvage {}: none of {} can be kept: {why}{hint}", path.display(), counted(*vectors, "vector"))]
    NothingToSalvage {
        path: PathBuf,
        vectors: u64,
        why: String,
        /// How to keep some all the same, if there is a way.
        hint: String,
    },

    /// Not every program that writes JSON payloads checks them as this one does.
    #[error("the payload of {id} in {} is not JSON: {what}", path.display())]
    StoredPayload {
        path: PathBuf,
        id: u32,
        what: String,
    },

    #[error("the demo")]
    Demo(#[source] RingDbError),

    #[error("the demo's words are damaged: {what}")]
    DemoData { what: String },
}

impl Error {
    /// An error of the library, put into its context by `wrap` if it needs one.
    pub(crate) fn library(error: RingDbError, wrap: impl FnOnce(RingDbError) -> Self) -> Self {
        match error {
            RingDbError::Io(error) => Self::System(error),
            error => wrap(error),
        }
    }

    /// Whether the reader of the output went away, which is no failure.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// This error and its causes on one line. A cause whose text stands there already is not repeated.
    pub(crate) fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let more = error.to_string();
            if !text.ends_with(&more) {
                text.push_str(": ");
                text.push_str(&more);
            }
            cause = error.source();
        }
        text
    }
}

/// Failures to write; every other operation names its file.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}
