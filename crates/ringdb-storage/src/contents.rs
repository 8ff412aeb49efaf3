//! Whole files as bytes: only a regular file is opened, and no open waits.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::disk::{self, Disk, DiskFile, FileKind, read_full};
use crate::error::{Error, Result};
use crate::mapped::Bytes;

/// How the bytes of files are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// Mapped: the system pages them in and out. Nobody may edit or cut the files meanwhile; reading a
    /// page that was cut off ends the process.
    #[default]
    Map,
    /// Copied into memory when they are opened, as large as the files. What others do to the files
    /// afterwards does not matter.
    Read,
}

/// A file as a slice of bytes that the system pages in and out.
///
/// The file must not be modified or cut while the map lives. This is a contract that the type system
/// does not see, as with every safe face of a memory map: a program that writes to the file all the
/// same changes bytes under a shared borrow, and reading a page that was cut off ends the process.
/// Deleting or renaming the file is harmless.
#[derive(Debug)]
pub struct MappedFile {
    bytes: Bytes,
    path: PathBuf,
}

impl MappedFile {
    /// Maps the whole of `path` for reading.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be opened or mapped, [`Error::Corrupt`] if it is not a regular file.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_on(&*disk::real(), path, Access::Map)
    }

    pub(crate) fn open_on(disk: &dyn Disk, path: &Path, access: Access) -> Result<Self> {
        let (file, len) = open_regular(disk, path)?;
        let bytes = match access {
            Access::Map => file.map().map_err(Error::io("map", path))?,
            Access::Read => read(&*file, len).map_err(Error::io("read", path))?,
        };
        Ok(Self::of(bytes, path))
    }

    /// The bytes of a file; `path` is its name in errors.
    pub(crate) fn of(bytes: Bytes, path: &Path) -> Self {
        let path = path.to_path_buf();
        Self { bytes, path }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// The file's name when it was opened, or the public one that a writer of this crate gave it then.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file was renamed: errors are about `path` from now on.
    pub(crate) fn renamed(&mut self, path: &Path) {
        self.path = path.to_path_buf();
    }
}

/// Fails, by the name of `dir` and not of a file in it, unless that leads to a directory.
pub(crate) fn expect_dir(disk: &dyn Disk, dir: &Path) -> Result<()> {
    match disk.kind(dir).map_err(Error::io("open", dir))? {
        FileKind::Dir => Ok(()),
        FileKind::File | FileKind::Other => {
            Err(Error::io("open", dir)(ErrorKind::NotADirectory.into()))
        }
    }
}

/// Opens `path` for reading if it is a regular file, and tells its length.
pub(crate) fn open_regular(disk: &dyn Disk, path: &Path) -> Result<(Box<dyn DiskFile>, u64)> {
    // Opened first and looked at through the descriptor, so that nothing can be put in between.
    let file = disk.open(path).map_err(Error::io("open", path))?;
    match file.about().map_err(Error::io("open", path))? {
        (FileKind::File, len) => Ok((file, len)),
        _ => Err(Error::corrupt(path, 0, "not a regular file")),
    }
}

/// The first bytes of `path`, at most `len`.
pub(crate) fn read_start(disk: &dyn Disk, path: &Path, len: usize) -> Result<Vec<u8>> {
    let (file, found) = open_regular(disk, path)?;
    let mut bytes = vec![0; usize::try_from(found).map_or(len, |found| found.min(len))];
    let read = read_full(&*file, &mut bytes).map_err(Error::io("read", path))?;
    bytes.truncate(read);
    Ok(bytes)
}

fn read(file: &dyn DiskFile, len: u64) -> std::io::Result<Bytes> {
    let too_long = |_| std::io::Error::from(ErrorKind::OutOfMemory);
    Bytes::filled(usize::try_from(len).map_err(too_long)?, |bytes| {
        let read = read_full(file, bytes)?;
        if read < bytes.len() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_has_no_bytes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for access in [Access::Map, Access::Read] {
            let opened = MappedFile::open_on(&*disk::real(), file.path(), access).unwrap();
            assert_eq!(opened.bytes(), b"");
        }
    }

    #[test]
    fn what_is_not_a_regular_file_is_refused_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = MappedFile::open(dir.path()).unwrap_err();
        assert!(
            matches!(&error, Error::Corrupt { path, .. } if path == dir.path()),
            "{error}"
        );
        let error = MappedFile::open(&dir.path().join("none")).unwrap_err();
        assert!(error.is_not_found(), "{error}");
    }

    #[test]
    fn a_copy_does_not_change_with_its_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "before").unwrap();
        let copy = MappedFile::open_on(&*disk::real(), file.path(), Access::Read).unwrap();
        std::fs::write(file.path(), "after!").unwrap();
        assert_eq!(copy.bytes(), b"before");
    }
}
