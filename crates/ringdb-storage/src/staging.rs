//! A writer's place in a database directory: LOCK, the private staging directory, the commit.
//!
//! The order of steps is the protocol, and a crash after any of them leaves the old database or the new:
//!
//! 1. the directory is made if needed, each new ancestor made durable in its parent;
//! 2. LOCK is taken; leftovers of dead writers are collected;
//! 3. the files of the segment and then MANIFEST are written and synced in
//!    `.ringdb-staging-<random>`;
//! 4. the segment is renamed, never over another, to `segment-NNNNNN`;
//! 5. MANIFEST is renamed over the old one: from here on the new database is there;
//! 6. what it replaces is removed, and the staging directory.
//!
//! Names that are not ours are never touched, and nothing is taken for ours by its name alone.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use uuid::Uuid;

use crate::append::sync;
use crate::error::{Error, Result};
use crate::header::Origin;
use crate::layout::{LOCK, MANIFEST, STAGED_SEGMENT, STAGING_PREFIX, STAGING_RANDOM, segment_name};
use crate::leftovers::{collect, remove_segment};
use crate::legacy;
use crate::manifest::Manifest;
use crate::platform;
use crate::publish::{Target, parent, publish, sync_dir};

/// A locked database directory with a private directory to write in. Dropped before its commit, it
/// takes away all that it made.
#[derive(Debug)]
pub(crate) struct Staging {
    dir: PathBuf,
    // Dropped in this order: the private directory, then LOCK's name and the directories, then the lock.
    private: TempDir,
    made: Made,
    _lock: File,
    previous: Previous,
    pub(crate) origin: Origin,
    pub(crate) segment: u32,
}

/// What stands in the directory when the writer begins, and may be replaced.
#[derive(Debug)]
enum Previous {
    Nothing,
    Database(Manifest),
    /// A manifest of ours that is damaged or newer: it does not say which segment is live, so no
    /// segment is removed.
    Unreadable,
    RingDb03,
}

impl Staging {
    /// Takes `dir` for writing.
    pub(crate) fn begin(dir: &Path, replace: bool) -> Result<Self> {
        // Absolute, so that a change of the working directory does not move the database.
        let absolute = std::path::absolute(dir).map_err(Error::io("find", dir))?;
        if absolute.exists() && !absolute.is_dir() {
            return Err(Error::io("create", dir)(ErrorKind::NotADirectory.into()));
        }
        // Once before anything is written, and again under the lock.
        Previous::find(&absolute, replace)?;
        let mut made = Made::default();
        made.make_dir(&absolute)?;
        let lock = made.take_lock(&absolute)?;
        let previous = Previous::find(&absolute, replace)?;
        let (origin, live) = match &previous {
            Previous::Database(manifest) => {
                (successor(&absolute, manifest.origin)?, Some(manifest))
            }
            _ => (
                Origin {
                    uuid: Uuid::new_v4(),
                    generation: 1,
                },
                None,
            ),
        };
        collect(&absolute, live)?;
        let segment = free_number(&absolute, live.map_or(0, |manifest| manifest.segment))?;
        let private = private_dir(&absolute)?;
        let staged = private.path().join(STAGED_SEGMENT);
        fs::create_dir(&staged).map_err(Error::io("create", &staged))?;
        Ok(Self {
            dir: absolute,
            private,
            made,
            _lock: lock,
            previous,
            origin,
            segment,
        })
    }

    /// Where file `name` of the segment is to be written.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.staged_segment().join(name)
    }

    /// The directory of the segment until its commit.
    pub(crate) fn staged_segment(&self) -> PathBuf {
        self.private.path().join(STAGED_SEGMENT)
    }

    /// Makes the staged segment, whose files are written and synced, the database.
    pub(crate) fn commit(mut self, manifest: &Manifest) -> Result<()> {
        let staged = self.staged_segment();
        sync_dir(&staged)?;
        let staged_manifest = self.private.path().join(MANIFEST);
        let mut file =
            File::create_new(&staged_manifest).map_err(Error::io("create", &staged_manifest))?;
        file.write_all(&manifest.encode())
            .map_err(Error::io("write", &staged_manifest))?;
        sync(&file, &staged_manifest)?;
        self.check_unchanged()?;
        let segment = self.dir.join(segment_name(self.segment));
        publish(&staged, &segment, Target::Absent)?;
        let live = self.dir.join(MANIFEST);
        if let Err(error) = publish(&staged_manifest, &live, Target::Replaced) {
            // After a failed sync the new manifest may be live, and then so is its segment.
            if !matches!(error, Error::DurabilityUnknown { .. }) {
                remove_segment(&segment);
            }
            return Err(error);
        }
        self.made.keep();
        match &self.previous {
            Previous::Database(old) => remove_segment(&self.dir.join(segment_name(old.segment))),
            Previous::RingDb03 => legacy::remove(&self.dir),
            Previous::Nothing | Previous::Unreadable => {}
        }
        Ok(())
    }

    /// Whoever removes LOCK by hand lets a second writer in; it must not win over this one unnoticed.
    fn check_unchanged(&self) -> Result<()> {
        let found = match Manifest::read(&self.dir.join(MANIFEST)) {
            Err(Error::Corrupt { .. } | Error::UnsupportedVersion { .. }) => None,
            other => other?.map(|manifest| manifest.origin),
        };
        let expected = match &self.previous {
            Previous::Database(manifest) => Some(manifest.origin),
            _ => None,
        };
        if found == expected {
            return Ok(());
        }
        Err(Error::Locked {
            path: self.dir.clone(),
            pid: None,
        })
    }
}

impl Previous {
    /// Looks at `dir` and decides whether a writer may begin there.
    fn find(dir: &Path, replace: bool) -> Result<Self> {
        let found = match Manifest::read(&dir.join(MANIFEST)) {
            // Damage at byte 0 means that it does not even begin like one of ours.
            Err(Error::Corrupt { offset: 1.., .. } | Error::UnsupportedVersion { .. })
                if replace =>
            {
                Self::Unreadable
            }
            other => match other? {
                Some(manifest) => Self::Database(manifest),
                None if legacy::is_database(dir) => Self::RingDb03,
                None => Self::Nothing,
            },
        };
        if !replace && !matches!(found, Self::Nothing) {
            return Err(Error::AlreadyExists {
                path: dir.to_path_buf(),
            });
        }
        Ok(found)
    }
}

fn successor(dir: &Path, Origin { uuid, generation }: Origin) -> Result<Origin> {
    let last = || {
        Error::corrupt(
            &dir.join(MANIFEST),
            32,
            "no generation comes after this one",
        )
    };
    Ok(Origin {
        uuid,
        generation: generation.checked_add(1).ok_or_else(last)?,
    })
}

/// The first number above `live` that no segment, nor anything else, has.
fn free_number(dir: &Path, live: u32) -> Result<u32> {
    let is_free = |number: &u32| fs::symlink_metadata(dir.join(segment_name(*number))).is_err();
    let number = live
        .checked_add(1)
        .and_then(|first| (first..=u32::MAX).find(is_free));
    number.ok_or(Error::TooLarge {
        what: "segment number",
        value: 1 << 32,
        max: u64::from(u32::MAX),
    })
}

fn private_dir(dir: &Path) -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    let permissions = platform::private_dir();
    if let Some(permissions) = permissions {
        builder.permissions(permissions);
    }
    let made = builder
        .prefix(STAGING_PREFIX)
        .rand_bytes(STAGING_RANDOM)
        .tempdir_in(dir);
    made.map_err(Error::io("create a directory in", dir))
}

/// Directories and a LOCK that were made for a database that may not come; removed when dropped,
/// unless it came.
#[derive(Debug, Default)]
struct Made {
    /// LOCK first, then directories, innermost first.
    paths: Vec<PathBuf>,
}

impl Made {
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
            Err(error) => Err(Error::io("create", dir)(error)),
            Ok(()) => {
                self.paths.insert(0, dir.to_path_buf());
                sync_dir(above)
            }
        }
    }

    /// Takes LOCK, writes this process into it for the error text of others, and returns its holder.
    fn take_lock(&mut self, dir: &Path) -> Result<File> {
        let path = dir.join(LOCK);
        loop {
            let is_new = fs::symlink_metadata(&path).is_err();
            let mut file = platform::open_lock(&path).map_err(Error::io("open", &path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let (path, pid) = (dir.to_path_buf(), holder(&mut file).unwrap_or(None));
                    return Err(Error::Locked { path, pid });
                }
                Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path)(error)),
            }
            // The file may have been removed by its last holder between the open and the lock.
            if !platform::is_at(&file, &path).map_err(Error::io("open", &path))? {
                continue;
            }
            if holder(&mut file)
                .map_err(Error::io("read", &path))?
                .is_none()
            {
                let bytes = file.metadata().map_err(Error::io("read", &path))?.len();
                if bytes > 0 {
                    return Err(Error::AlreadyExists { path });
                }
            }
            if is_new {
                self.paths.insert(0, path.clone());
            }
            let since = std::time::SystemTime::UNIX_EPOCH
                .elapsed()
                .map_or(0, |time| time.as_secs());
            let text = format!("{} {since}\n", std::process::id());
            let written = file.set_len(0).and_then(|()| file.rewind());
            let written = written.and_then(|()| file.write_all(text.as_bytes()));
            written.map_err(Error::io("write", &path))?;
            return Ok(file);
        }
    }

    fn keep(&mut self) {
        self.paths.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in &self.paths {
            // What somebody put into a directory meanwhile keeps it, and those above it.
            let removed = match path.ends_with(LOCK) {
                true => fs::remove_file(path),
                false => fs::remove_dir(path),
            };
            if removed.is_err() {
                return;
            }
        }
    }
}

/// The process in a LOCK file; `None` if the text is not one that a writer leaves there.
fn holder(file: &mut File) -> std::io::Result<Option<u32>> {
    let mut text = Vec::new();
    file.rewind()?;
    file.take(64).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let mut words = text.split_whitespace();
    let (pid, since, rest) = (words.next(), words.next(), words.next());
    let is_ours = rest.is_none() && since.is_some_and(|since| since.parse::<u64>().is_ok());
    Ok(pid.and_then(|pid| pid.parse().ok()).filter(|_| is_ours))
}
