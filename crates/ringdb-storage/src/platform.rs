//! What differs between operating systems: directory syncs, renames that never replace, permissions.
//!
//! The Unix half is run by the tests; the other half has never been compiled (docs/PLATFORMS.md).

#[cfg(unix)]
mod imp {
    use std::fs::{File, OpenOptions, Permissions};
    use std::io;
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    use std::path::Path;

    /// Makes the names in `dir` durable.
    pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
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

    /// The mode of a directory that only its owner may enter.
    pub(crate) fn private_dir() -> Option<Permissions> {
        Some(Permissions::from_mode(0o700))
    }

    /// The mode of an ordinary file, before the umask.
    pub(crate) fn ordinary_file() -> Option<Permissions> {
        Some(Permissions::from_mode(0o666))
    }

    /// Opens or creates `path` for reading and writing, refusing to go through a symbolic link.
    pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
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
    use std::fs::{File, OpenOptions, Permissions};
    use std::io;
    use std::path::Path;

    /// Directories cannot be synced here; the rename itself is journalled by the file system.
    pub(crate) fn sync_dir(_dir: &Path) -> io::Result<()> {
        Ok(())
    }

    pub(crate) use super::rename_checked as rename_no_replace;

    pub(crate) fn private_dir() -> Option<Permissions> {
        None
    }

    pub(crate) fn ordinary_file() -> Option<Permissions> {
        None
    }

    pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
    }
}

pub(crate) use imp::{open_lock, ordinary_file, private_dir, rename_no_replace, sync_dir};

/// A look, then a plain rename: for file systems without an exclusive one. Two writers are kept apart
/// by LOCK, so only a foreign program could come in between.
fn rename_checked(from: &std::path::Path, to: &std::path::Path) -> std::io::Result<()> {
    match std::fs::symlink_metadata(to) {
        Ok(_) => Err(std::io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => std::fs::rename(from, to),
        Err(error) => Err(error),
    }
}
