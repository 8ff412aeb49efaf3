//! LOCK, and the directories that are made to hold it: a writer's claim on a database directory.
//!
//! Invariant: of all who have LOCK open under its name at most one has it locked, and a claim takes away
//! what it made before it gives the lock back.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::layout::{LOCK, MANIFEST};
use crate::platform;
use crate::publish::{parent, sync_dir};

/// The lock, and the directories that were made for a database that may not come. Dropped without it,
/// they are taken away, and so is a LOCK that locks nothing; only then is the lock given back.
#[derive(Debug, Default)]
pub(crate) struct Claim {
    /// Innermost first.
    dirs: Vec<PathBuf>,
    /// The lock and its name, while it is held.
    lock: Option<(File, PathBuf)>,
}

/// Writers that end may take the directory away from under one that begins. Each time is another
/// writer's doing, so the number is not reached; it keeps a strange file system from a loop.
const TRIES: usize = 1000;

impl Claim {
    /// Makes `dir` and its ancestors, each durable in its parent before the next one is made in it.
    fn make_dir(&mut self, dir: &Path) -> Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        let above = parent(dir);
        if above != dir {
            self.make_dir(above)?;
        }
        match fs::create_dir(dir) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
            // Gone again already: begin anew, as when it is gone a moment later.
            Err(error)
                if error.kind() == ErrorKind::AlreadyExists
                    && fs::symlink_metadata(dir).is_err() =>
            {
                Err(Error::io("create", dir)(ErrorKind::NotFound.into()))
            }
            Err(error) => Err(Error::io("create", dir)(error)),
            Ok(()) => {
                self.dirs.retain(|made| made != dir);
                self.dirs.insert(0, dir.to_path_buf());
                sync_dir(above)
            }
        }
    }

    /// Makes `dir`, takes LOCK in it and writes this process into it for the error text of others.
    pub(crate) fn on(dir: &Path) -> Result<Self> {
        let mut claim = Self::default();
        claim.take_lock(dir)?;
        Ok(claim)
    }

    fn take_lock(&mut self, dir: &Path) -> Result<()> {
        let path = dir.join(LOCK);
        let mut gone = Error::io("lock", &path)(ErrorKind::NotFound.into());
        for _ in 0..TRIES {
            let opened = self
                .make_dir(dir)
                .and_then(|()| platform::open_lock(&path).map_err(Error::io("open", &path)));
            let mut file = match opened {
                Err(error) if error.is_not_found() => {
                    gone = error;
                    continue;
                }
                other => other?,
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    // Information only: an unreadable LOCK is a lock all the same.
                    let pid = match contents(&mut file) {
                        Ok(Contents::Process(pid)) => Some(pid),
                        _ => None,
                    };
                    return Err(Error::Locked {
                        path: dir.to_path_buf(),
                        pid,
                    });
                }
                Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path)(error)),
            }
            // The file may have been removed by its last holder between the open and the lock.
            if !platform::is_at(&file, &path).map_err(Error::io("open", &path))? {
                continue;
            }
            let contents = contents(&mut file).map_err(Error::io("read", &path))?;
            if let Contents::Foreign = contents {
                return Err(Error::AlreadyExists { path });
            }
            let (file, path) = self.lock.insert((file, path));
            return sign(file).map_err(Error::io("write", path));
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
            let manifest = fs::symlink_metadata(path.with_file_name(MANIFEST));
            let locks_nothing = manifest.is_err_and(|error| error.kind() == ErrorKind::NotFound);
            if locks_nothing && platform::is_at(file, path).unwrap_or(false) {
                let _ = fs::remove_file(path);
            }
        }
        // What somebody put into a directory meanwhile keeps it, and those above it.
        let _ = self.dirs.iter().try_for_each(fs::remove_dir);
        if let Some((file, _)) = &self.lock {
            // Not left to the close: a child that was forked meanwhile has the file open as well.
            let _ = file.unlock();
        }
    }
}

/// Writes this process and the time into LOCK.
fn sign(mut file: &File) -> std::io::Result<()> {
    let since = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0, |time| time.as_secs());
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(format!("{} {since}\n", std::process::id()).as_bytes())
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

fn contents(file: &mut File) -> std::io::Result<Contents> {
    /// No text of ours is longer.
    const BYTES_MAX: usize = 64;
    let mut text = Vec::new();
    file.rewind()?;
    file.take(BYTES_MAX as u64 + 1).read_to_end(&mut text)?;
    if text.len() > BYTES_MAX {
        return Ok(Contents::Foreign);
    }
    let text = String::from_utf8_lossy(&text);
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
