//! LOCK, and the directories that are made to hold it: a writer's claim on a database directory.
//!
//! Invariant: of all who have LOCK open under its name at most one has it locked, and a claim takes away
//! what it made before it gives the lock back.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{DirAccess, Disk, DiskFile, FileKind, read_full, write_all_at};
use crate::error::{Error, Result};
use crate::layout::{LOCK, MANIFEST};
use crate::publish::{parent, sync_dir};

/// The lock, and the directories that were made for a database that may not come. Dropped without it,
/// they are taken away, and so is a LOCK that locks nothing; only then is the lock given back.
#[derive(Debug)]
pub(crate) struct Claim {
    disk: Arc<dyn Disk>,
    /// Innermost first.
    dirs: Vec<PathBuf>,
    /// The lock and its name, while it is held.
    lock: Option<(Box<dyn DiskFile>, PathBuf)>,
}

/// Writers that end may take the directory away from under one that begins. Each time is another
/// writer's doing, so the number is not reached; it keeps a strange file system from a loop.
const TRIES: usize = 1000;

/// How file systems say that a directory of theirs cannot be synced.
const CANNOT_SYNC: [ErrorKind; 3] = [
    ErrorKind::InvalidInput,
    ErrorKind::Unsupported,
    ErrorKind::ReadOnlyFilesystem,
];

impl Claim {
    /// Makes `dir` and its ancestors, each durable in its parent before the next one is made in it.
    fn make_dir(&mut self, dir: &Path) -> Result<()> {
        match self.disk.kind(dir) {
            Ok(FileKind::Dir) => return self.settle(dir),
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::io("open", dir)(error));
            }
            Ok(_) | Err(_) => {}
        }
        let above = parent(dir);
        if above != dir {
            self.make_dir(above)?;
        }
        let is_dir = || matches!(self.disk.kind(dir), Ok(FileKind::Dir));
        match self.disk.create_dir(dir, DirAccess::Ordinary) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && is_dir() => self.settle(dir),
            // Gone again already: begin anew, as when it is gone a moment later.
            Err(error)
                if error.kind() == ErrorKind::AlreadyExists
                    && self.disk.kind_of_name(dir).is_err() =>
            {
                Err(Error::io("create", dir)(ErrorKind::NotFound.into()))
            }
            Err(error) => Err(Error::io("create", dir)(error)),
            Ok(()) => {
                self.dirs.retain(|made| made != dir);
                self.dirs.insert(0, dir.to_path_buf());
                sync_dir(&*self.disk, above)
            }
        }
    }

    /// Makes a directory that is there durable, with all above it: whoever made them may have died, or
    /// failed, before that.
    fn settle(&self, dir: &Path) -> Result<()> {
        for above in dir.ancestors().skip(1) {
            let opened = match self.disk.open_dir(above) {
                // Who may not read it may not make anything sure in it either.
                Err(error) if error.kind() == ErrorKind::PermissionDenied => continue,
                opened => opened.map_err(Error::io("open", above))?,
            };
            match opened.sync() {
                // Some file systems have directories that cannot be synced, or be changed.
                Err(error) if CANNOT_SYNC.contains(&error.kind()) => {}
                synced => synced.map_err(Error::durability(above))?,
            }
        }
        Ok(())
    }

    /// Makes `dir`, takes LOCK in it and writes this process into it for the error text of others.
    pub(crate) fn on(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self> {
        let mut claim = Self {
            disk,
            dirs: Vec::new(),
            lock: None,
        };
        claim.take_lock(dir)?;
        Ok(claim)
    }

    fn take_lock(&mut self, dir: &Path) -> Result<()> {
        let path = dir.join(LOCK);
        let mut gone = Error::io("lock", &path)(ErrorKind::NotFound.into());
        for _ in 0..TRIES {
            let opened = self.make_dir(dir).and_then(|()| {
                let file = self.disk.open_or_create(&path);
                file.map_err(Error::io("open", &path))
            });
            let file = match opened {
                Err(error) if error.is_not_found() => {
                    gone = error;
                    continue;
                }
                other => other?,
            };
            if !file.try_lock().map_err(Error::io("lock", &path))? {
                // Information only: an unreadable LOCK is a lock all the same.
                let pid = match contents(&*file) {
                    Ok(Contents::Process(pid)) => Some(pid),
                    _ => None,
                };
                return Err(Error::Locked {
                    path: dir.to_path_buf(),
                    pid,
                });
            }
            // The file may have been removed by its last holder between the open and the lock.
            if !file.is_at(&path).map_err(Error::io("open", &path))? {
                continue;
            }
            let contents = contents(&*file).map_err(Error::io("read", &path))?;
            if let Contents::Foreign = contents {
                return Err(Error::AlreadyExists { path });
            }
            let (file, path) = self.lock.insert((file, path));
            return sign(&**file).map_err(Error::io("write", path));
        }
        Err(gone)
    }

    /// The database came.
    pub(crate) fn keep(&mut self) {
        self.dirs.clear();
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some((file, path)) = &self.lock {
            // Whoever made it: nobody can commit while it is held, so there is still nothing to lock.
            // Others who have it open see that it is gone, and begin again.
            let manifest = self.disk.kind_of_name(&path.with_file_name(MANIFEST));
            let locks_nothing = manifest.is_err_and(|error| error.kind() == ErrorKind::NotFound);
            if locks_nothing && file.is_at(path).unwrap_or(false) {
                let _ = self.disk.remove_file(path);
            }
        }
        // What somebody put into a directory meanwhile keeps it, and those above it.
        let _ = self
            .dirs
            .iter()
            .try_for_each(|dir| self.disk.remove_dir(dir));
        if let Some((file, _)) = &self.lock {
            // Not left to the close: a child that was forked meanwhile has the file open as well.
            let _ = file.unlock();
        }
    }
}

/// Writes this process and the time into LOCK.
fn sign(file: &dyn DiskFile) -> io::Result<()> {
    let since = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0, |time| time.as_secs());
    file.set_len(0)?;
    let text = format!("{} {since}\n", std::process::id());
    write_all_at(file, text.as_bytes(), 0)
}

/// What stands in a LOCK file.
enum Contents {
    /// Nothing yet, or what a crash made of it: zeros.
    Nothing,
    /// The process that holds it or held it last.
    Process(u32),
    /// Something that no writer of ours leaves there.
    Foreign,
}

fn contents(file: &dyn DiskFile) -> io::Result<Contents> {
    /// No text of ours is longer.
    const BYTES_MAX: usize = 64;
    let mut text = [0; BYTES_MAX + 1];
    let read = read_full(file, &mut text)?;
    if read > BYTES_MAX {
        return Ok(Contents::Foreign);
    }
    let text = String::from_utf8_lossy(text.get(..read).unwrap_or_default());
    let is_gap = |c: char| c.is_whitespace() || c == '\0';
    let mut words = text.split(is_gap).filter(|word| !word.is_empty());
    let (Some(pid), since, rest) = (words.next(), words.next(), words.next()) else {
        return Ok(Contents::Nothing);
    };
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    Ok(match pid.parse() {
        Ok(pid) if since.is_none_or(is_number) && rest.is_none() => Contents::Process(pid),
        _ => Contents::Foreign,
    })
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use super::*;
    use crate::disk::{Failure, Fault, FaultyDisk, Loss, SimDisk};
    use crate::options::ReadOptions;
    use crate::payload::PayloadCodec;
    use crate::segment::Segment;
    use crate::writer::SegmentWriter;

    /// EIO, by its number on Linux.
    const EIO: i32 = 5;

    fn write(disk: Arc<dyn Disk>) -> Result<()> {
        let dir = Path::new("/data/db");
        let codec = PayloadCodec::Bincode;
        let mut writer = SegmentWriter::in_directory_on(disk, dir, false, 1, codec)?;
        writer.push(&[1.0], 7_u8)?;
        writer.finish().map(drop)
    }

    #[test]
    fn a_directory_that_another_writer_left_unsure_is_made_sure() {
        let mut cut = 0;
        for call in 0.. {
            let disk = SimDisk::new();
            let fault = Fault {
                call,
                kind: Failure::Error(EIO),
                lasting: true,
            };
            let faulty = FaultyDisk::new(Arc::new(disk.clone()), fault);
            let failed = write(Arc::clone(&faulty) as Arc<dyn Disk>);
            if !faulty.struck() {
                break;
            }
            if failed.is_ok() {
                continue;
            }
            match write(Arc::new(disk.clone())) {
                // The commit took place, but nobody was told so: it may be lost.
                Err(Error::AlreadyExists { .. }) => continue,
                written => written.unwrap(),
            }
            cut += 1;
            let found = disk.after_power_cut(Loss::Everything, 0);
            let opened = Segment::<u8>::open_on(&found, Path::new("/data/db"), &ReadOptions::new());
            let text = opened.as_ref().map(drop).map_err(ToString::to_string);
            assert_eq!(text, Ok(()), "call {call}");
            assert_eq!(opened.unwrap().payloads.fetch(0).unwrap(), 7);
        }
        assert!(cut > 10, "only {cut} calls failed");
    }

    #[test]
    fn a_directory_that_cannot_be_looked_at_is_not_made() {
        let disk = SimDisk::new();
        let fault = Fault {
            call: 5,
            kind: Failure::Error(EIO),
            lasting: false,
        };
        for call in 0..8 {
            let faulty = FaultyDisk::new(Arc::new(disk.snapshot()), Fault { call, ..fault });
            let error = Claim::on(faulty, Path::new("/data/db")).unwrap_err();
            assert!(
                error.to_string().ends_with("(os error 5)"),
                "call {call}: {error}"
            );
        }
    }
}
