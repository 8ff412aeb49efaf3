//! All that this crate asks of a file system: the only way to files.
//!
//! Two narrow traits, so that the protocol above them runs unchanged on the real file system, on one
//! in memory that loses power, and on one that fails the k-th call. Each method is one request, tried
//! once; what a caller makes of an error is not decided here.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::mapped::Bytes;

mod real;
#[cfg(feature = "sim")]
mod faulty;
#[cfg(feature = "sim")]
mod sim;

#[cfg(feature = "sim")]
pub use faulty::{Failure, Fault, FaultyDisk};
#[cfg(feature = "sim")]
pub use sim::{Loss, SimDisk};

/// The file system of the machine.
#[must_use]
pub fn real() -> Arc<dyn Disk> {
    Arc::new(real::Real)
}

/// A file system.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Opens what has this name for reading. Does not wait, not even for the writer of a FIFO.
    ///
    /// # Errors
    /// Those of the system, as for every method here.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Creates a file for reading and writing. `AlreadyExists` if anything has the name.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Creates a file without a name that is gone when it is dropped or the process dies.
    fn create_nameless(&self, dir: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens for reading and writing what has this name, or creates it; not through a symbolic link.
    fn open_or_create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a directory, to make its names durable.
    fn open_dir(&self, dir: &Path) -> io::Result<Box<dyn DiskDir>>;

    /// Creates a directory. `AlreadyExists` if anything has the name.
    fn create_dir(&self, dir: &Path, access: DirAccess) -> io::Result<()>;

    /// The names in a directory, in any order.
    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>>;

    /// What the name leads to, through symbolic links.
    fn kind(&self, path: &Path) -> io::Result<FileKind>;

    /// What the name itself is: [`FileKind::Other`] for a symbolic link.
    fn kind_of_name(&self, path: &Path) -> io::Result<FileKind>;

    /// Gives a file or directory another name. With [`Target::Absent`], `AlreadyExists` if anything has
    /// it; with [`Target::Replaced`], in one step in place of the file that has it.
    fn rename(&self, from: &Path, to: &Path, target: Target) -> io::Result<()>;

    /// Removes the name of a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;
}

/// An open file.
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// What it is, and its length in bytes.
    ///
    /// # Errors
    /// Those of the system, as for every method here.
    fn about(&self) -> io::Result<(FileKind, u64)>;

    /// Reads from byte `at` on. Fewer bytes than asked for are no error; none are the end of the file.
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize>;

    /// Writes at byte `at`, which may lie behind the end. Fewer bytes than asked for are no error.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize>;

    /// Cuts the file, or fills it up with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes contents and length durable. After an error the file must not be used again: the system
    /// may have dropped what it could not write, and would report success the next time.
    fn sync(&self) -> io::Result<()>;

    /// All its bytes, which nobody may change as long as they are in use.
    fn map(&self) -> io::Result<Bytes>;

    /// Locks the file against other openings of it; false if one of them holds the lock.
    fn try_lock(&self) -> io::Result<bool>;

    /// Gives the lock back.
    fn unlock(&self) -> io::Result<()>;

    /// Whether `path` is still a name of this file.
    fn is_at(&self, path: &Path) -> io::Result<bool>;
}

/// An open directory.
pub trait DiskDir: fmt::Debug {
    /// Makes its names durable.
    ///
    /// # Errors
    /// Those of the system.
    fn sync(&self) -> io::Result<()>;
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// Anything else.
    Other,
}

/// Who may enter a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirAccess {
    /// Whom the umask allows.
    Ordinary,
    /// Its owner.
    Private,
}

/// What may stand under a public name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Nothing.
    Absent,
    /// An older version.
    Replaced,
}

/// Writes all of `bytes` at byte `at`.
pub(crate) fn write_all_at(file: &dyn DiskFile, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = bytes.get(written..).unwrap_or_default();
                at += written as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads from the start of the file until `bytes` are full or it ends, and returns how many were read.
pub(crate) fn read_full(file: &dyn DiskFile, bytes: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}
