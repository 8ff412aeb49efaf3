//! The one function that gives a finished file or directory its public name.
//!
//! Invariant: what is published was made durable by its writer, and after `Ok` its name is durable too.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::append::sync;
use crate::error::{Error, Result};
use crate::platform;

/// What may stand under the public name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// Nothing, or the call fails with [`Error::AlreadyExists`].
    Absent,
    /// An older version, replaced in one step.
    Replaced,
}

/// Renames `from` to `to` and makes the new name durable.
pub(crate) fn publish(from: &Path, to: &Path, target: Target) -> Result<()> {
    // Opened before the rename: a directory that cannot be opened is refused while nothing has happened.
    let dir = Dir::open(parent(to))?;
    let renamed = match target {
        Target::Absent => platform::rename_no_replace(from, to),
        Target::Replaced => fs::rename(from, to),
    };
    match renamed {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Error::AlreadyExists {
            path: to.to_path_buf(),
        }),
        Err(error) => Err(Error::io("rename to", to)(error)),
        Ok(()) => dir.sync(),
    }
}

/// A directory whose names are to be made durable.
struct Dir<'a>(Option<File>, &'a Path);

impl<'a> Dir<'a> {
    fn open(path: &'a Path) -> Result<Self> {
        Ok(Self(
            platform::open_dir(path).map_err(Error::io("open", path))?,
            path,
        ))
    }

    fn sync(self) -> Result<()> {
        self.0.map_or(Ok(()), |dir| sync(&dir, self.1))
    }
}

/// The directory that holds `path`: `.` for a bare name.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes the names in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<()> {
    Dir::open(dir)?.sync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_target_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::write(&from, "new").unwrap();
        fs::write(&to, "old").unwrap();
        let error = publish(&from, &to, Target::Absent).unwrap_err();
        assert!(
            matches!(&error, Error::AlreadyExists { path } if *path == to),
            "{error}"
        );
        assert_eq!(fs::read(&to).unwrap(), b"old");
        publish(&from, &to, Target::Replaced).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"new");
    }

    #[test]
    fn directories_are_published_like_files() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir(&from).unwrap();
        fs::create_dir(&to).unwrap();
        let error = publish(&from, &to, Target::Absent).unwrap_err();
        assert!(matches!(&error, Error::AlreadyExists { .. }), "{error}");
        fs::remove_dir(&to).unwrap();
        publish(&from, &to, Target::Absent).unwrap();
        assert!(to.is_dir() && !from.exists());
    }
}
