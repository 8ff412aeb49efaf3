//! What differs between operating systems: directory syncs, renames that never replace, permissions.
//!
//! The Unix half is run by the tests; the other half has never been compiled (docs/PLATFORMS.md).

#[cfg(unix)]
mod imp {
    use std::fs::{DirBuilder, File, OpenOptions};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
    use std::path::Path;

    /// The directory as a file to sync, where directories can be synced.
    pub(crate) fn open_dir(dir: &Path) -> io::Result<Option<File>> {
        File::open(dir).map(Some)
    }

    /// Renames `from` to `to`, or fails with `AlreadyExists`.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn rename_no_replace(from: &Path, to: &Path) -> io::Result<()> {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // Some file systems (and old kernels) do not know the flag.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => super::rename_checked(from, to),
            other => Ok(other?),
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) use super::rename_checked as rename_no_replace;

    /// Creates a directory that only its owner may enter.
    pub(crate) fn create_private_dir(dir: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(dir)
    }

    /// Opens `path` for reading; does not wait for the writer of a FIFO.
    pub(crate) fn open_without_waiting(path: &Path) -> io::Result<File> {
        let no_wait = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        OpenOptions::new()
            .read(true)
            .custom_flags(no_wait)
            .open(path)
    }

    /// Whether `path` is still a name of the open `file`.
    pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
        let open = file.metadata()?;
        Ok(std::fs::symlink_metadata(path)
            .is_ok_and(|named| (named.dev(), named.ino()) == (open.dev(), open.ino())))
    }

    /// Opens or creates `path` for reading and writing, refusing to go through a symbolic link.
    pub(crate) fn open_or_create(path: &Path) -> io::Result<File> {
        let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(no_follow)
            .open(path)
    }
}

#[cfg(not(unix))]
mod imp {
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::path::Path;

    /// Directories cannot be synced here; the file system journals their names.
    pub(crate) fn open_dir(_dir: &Path) -> io::Result<Option<File>> {
        Ok(None)
    }

    pub(crate) use super::rename_checked as rename_no_replace;

    pub(crate) fn create_private_dir(dir: &Path) -> io::Result<()> {
        std::fs::create_dir(dir)
    }

    pub(crate) fn open_without_waiting(path: &Path) -> io::Result<File> {
        File::open(path)
    }

    /// A file that is open cannot be removed here.
    pub(crate) fn is_at(_file: &File, _path: &Path) -> io::Result<bool> {
        Ok(true)
    }

    pub(crate) fn open_or_create(path: &Path) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
    }
}

pub(crate) use imp::{
    create_private_dir, is_at, open_dir, open_or_create, open_without_waiting, rename_no_replace,
};

/// A look, then a plain rename: for file systems without an exclusive one. Two writers are kept apart
/// by LOCK, so only a foreign program could come in between.
fn rename_checked(from: &std::path::Path, to: &std::path::Path) -> std::io::Result<()> {
    match std::fs::symlink_metadata(to) {
        Ok(_) => Err(std::io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => std::fs::rename(from, to),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_checked_rename_does_not_replace_either() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::write(&from, "new").unwrap();
        fs::write(&to, "old").unwrap();
        let refused = rename_checked(&from, &to).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::AlreadyExists);
        fs::remove_file(&to).unwrap();
        rename_checked(&from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"new");
    }
}
