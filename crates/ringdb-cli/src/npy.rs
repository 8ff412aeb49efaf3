//! Files of vectors: maps them, and names them in what is wrong with their arrays.

use std::path::Path;

use ringdb::{MappedFile, StorageError};
use ringdb_npy::Npy;

use crate::error::Error;
use crate::text::one_line;

/// Maps a file of vectors. It must not be cut while it is read.
pub(crate) fn open(path: &Path) -> Result<MappedFile, Error> {
    MappedFile::open(path).map_err(|error| match error {
        StorageError::Corrupt { path, .. } => Error::NotAFile { path },
        error => Error::Map(error),
    })
}

/// Reads the header of a whole file. What the error quotes of it can do a terminal no harm.
pub(crate) fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<Npy<'a>, Error> {
    Npy::parse(bytes).map_err(|error| Error::Npy {
        path: path.into(),
        what: one_line(error.to_string().as_bytes(), None),
    })
}
