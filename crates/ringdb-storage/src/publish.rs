//! The one function that gives a finished file or directory its public name.
//!
//! Invariant: what is published was made durable by its writer, and after `Ok` its name is durable too.

use std::io;
use std::path::Path;

use crate::disk::{Disk, Target};
use crate::error::{Error, Result};

/// Renames `from` to `to` and makes the new name durable. [`Error::AlreadyExists`] if the target has to
/// be absent and is not.
pub(crate) fn publish(disk: &dyn Disk, from: &Path, to: &Path, target: Target) -> Result<()> {
    // Opened before the rename: a directory that cannot be opened is refused while nothing has happened.
    let above = parent(to);
    let dir = disk.open_dir(above).map_err(Error::io("open", above))?;
    match disk.rename(from, to, target) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Error::AlreadyExists {
            path: to.to_path_buf(),
        }),
        Err(error) => Err(Error::io("rename to", to)(error)),
        Ok(()) => dir.sync().map_err(Error::durability(above)),
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
pub(crate) fn sync_dir(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let opened = disk.open_dir(dir).map_err(Error::io("open", dir))?;
    opened.sync().map_err(Error::durability(dir))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::disk::real;

    #[test]
    fn an_absent_target_is_never_replaced() {
        let disk = real();
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::write(&from, "new").unwrap();
        fs::write(&to, "old").unwrap();
        let error = publish(&*disk, &from, &to, Target::Absent).unwrap_err();
        assert!(
            matches!(&error, Error::AlreadyExists { path } if *path == to),
            "{error}"
        );
        assert_eq!(fs::read(&to).unwrap(), b"old");
        publish(&*disk, &from, &to, Target::Replaced).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"new");
    }

    #[test]
    fn directories_are_published_like_files() {
        let disk = real();
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir(&from).unwrap();
        fs::create_dir(&to).unwrap();
        let error = publish(&*disk, &from, &to, Target::Absent).unwrap_err();
        assert!(matches!(&error, Error::AlreadyExists { .. }), "{error}");
        fs::remove_dir(&to).unwrap();
        publish(&*disk, &from, &to, Target::Absent).unwrap();
        assert!(to.is_dir() && !from.exists());
    }
}
