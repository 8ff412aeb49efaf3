//! The file system of the machine.

use std::ffi::OsString;
use std::fs::{self, File, FileType, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::{DirAccess, Disk, DiskDir, DiskFile, FileKind, Target};
use crate::mapped::Bytes;
use crate::platform;

#[derive(Debug)]
pub(super) struct Real;

impl Disk for Real {
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        boxed(platform::open_without_waiting(path))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut options = File::options();
        boxed(options.read(true).write(true).create_new(true).open(path))
    }

    fn create_nameless(&self, dir: &Path) -> io::Result<Box<dyn DiskFile>> {
        boxed(tempfile::tempfile_in(dir))
    }

    fn open_or_create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        boxed(platform::open_or_create(path))
    }

    fn open_dir(&self, dir: &Path) -> io::Result<Box<dyn DiskDir>> {
        Ok(Box::new(RealDir(platform::open_dir(dir)?)))
    }

    fn create_dir(&self, dir: &Path, access: DirAccess) -> io::Result<()> {
        match access {
            DirAccess::Ordinary => fs::create_dir(dir),
            DirAccess::Private => platform::create_private_dir(dir),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(dir)?
            .map(|entry| Ok(entry?.file_name()))
            .collect()
    }

    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        Ok(kind(fs::metadata(path)?.file_type()))
    }

    fn kind_of_name(&self, path: &Path) -> io::Result<FileKind> {
        Ok(kind(fs::symlink_metadata(path)?.file_type()))
    }

    fn rename(&self, from: &Path, to: &Path, target: Target) -> io::Result<()> {
        match target {
            Target::Absent => platform::rename_no_replace(from, to),
            Target::Replaced => fs::rename(from, to),
        }
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir(dir)
    }
}

fn boxed(file: io::Result<File>) -> io::Result<Box<dyn DiskFile>> {
    Ok(Box::new(RealFile(file?)))
}

fn kind(found: FileType) -> FileKind {
    match found {
        kind if kind.is_file() => FileKind::File,
        kind if kind.is_dir() => FileKind::Dir,
        _ => FileKind::Other,
    }
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn about(&self) -> io::Result<(FileKind, u64)> {
        let about = self.0.metadata()?;
        Ok((kind(about.file_type()), about.len()))
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        // Sought each time: after a failed call the file's own position means nothing.
        (&self.0).seek(SeekFrom::Start(at))?;
        (&self.0).read(bytes)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        (&self.0).seek(SeekFrom::Start(at))?;
        (&self.0).write(bytes)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    fn map(&self) -> io::Result<Bytes> {
        Bytes::map(&self.0)
    }

    fn try_lock(&self) -> io::Result<bool> {
        match self.0.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn unlock(&self) -> io::Result<()> {
        self.0.unlock()
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        platform::is_at(&self.0, path)
    }
}

#[derive(Debug)]
struct RealDir(Option<File>);

impl DiskDir for RealDir {
    fn sync(&self) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), File::sync_all)
    }
}
