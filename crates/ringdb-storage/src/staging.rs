//! A writer's place in a database directory: LOCK, the private staging directory, the commit.
//!
//! The order of steps is the protocol, and a crash after any of them leaves the old database or the new:
//!
//! 1. the directory is made if needed, each new ancestor made durable in its parent;
//! 2. LOCK is taken; leftovers of dead writers are collected;
//! 3. the files of the segment are written and synced in `.ringdb-staging-<random>/segment`;
//! 4. that directory is renamed, never over another, to `segment-NNNNNN`;
//! 5. MANIFEST is written and synced in the staging directory and renamed over the old one: from here
//!    on the new database is there;
//! 6. the old segment and the staging directory are removed.
//!
//! Names that are not ours are never touched.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use uuid::Uuid;

use crate::append::sync;
use crate::error::{Error, Result};
use crate::header::Origin;
use crate::layout::{
    LOCK, MANIFEST, SEGMENT_FILES, STAGED_SEGMENT, STAGING_PREFIX, segment_name, segment_number,
};
use crate::legacy;
use crate::manifest::Manifest;
use crate::platform;
use crate::publish::{Target, parent, publish, sync_dir};

/// A locked database directory with a private directory to write in. Dropped, it deletes the latter
/// and gives the lock back.
#[derive(Debug)]
pub(crate) struct Staging {
    dir: PathBuf,
    /// Before `lock` in the struct: the staging directory goes while the lock is still held.
    private: TempDir,
    _lock: File,
    /// The database that stands there, if one does and it may be replaced.
    previous: Option<Manifest>,
    pub(crate) origin: Origin,
    pub(crate) segment: u32,
}

impl Staging {
    /// Takes `dir` for writing.
    pub(crate) fn begin(dir: &Path, replace: bool) -> Result<Self> {
        make_dir(dir)?;
        let lock = take_lock(dir)?;
        let found = Manifest::read(&dir.join(MANIFEST));
        let (previous, readable) = match found {
            // A manifest that is damaged or newer may be replaced too, but it does not say which
            // segment is live, so none is taken for a leftover.
            Err(Error::Corrupt { .. } | Error::UnsupportedVersion { .. }) if replace => {
                (None, false)
            }
            other => (other?, true),
        };
        if !replace && (previous.is_some() || legacy::is_database(dir)) {
            return Err(Error::AlreadyExists {
                path: dir.to_path_buf(),
            });
        }
        if readable {
            collect_leftovers(dir, previous.as_ref().map(|manifest| manifest.segment))?;
        }
        let segment = segment_numbers(dir)?
            .into_iter()
            .max()
            .unwrap_or(0)
            .checked_add(1);
        let limit = Error::TooLarge {
            what: "segment number",
            value: 1 << 32,
            max: u64::from(u32::MAX),
        };
        let segment = segment.ok_or(limit)?;
        let private = private_dir(dir)?;
        let staged = private.path().join(STAGED_SEGMENT);
        fs::create_dir(&staged).map_err(Error::io("create", &staged))?;
        let origin = match &previous {
            Some(manifest) => Origin {
                uuid: manifest.origin.uuid,
                generation: manifest.origin.generation + 1,
            },
            None => Origin {
                uuid: Uuid::new_v4(),
                generation: 1,
            },
        };
        Ok(Self {
            dir: dir.to_path_buf(),
            private,
            _lock: lock,
            previous,
            origin,
            segment,
        })
    }

    /// The database's directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
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
    pub(crate) fn commit(self, manifest: &Manifest) -> Result<()> {
        let staged = self.staged_segment();
        sync_dir(&staged)?;
        self.check_unchanged()?;
        publish(
            &staged,
            &self.dir.join(segment_name(self.segment)),
            Target::Absent,
        )?;
        let staged = self.private.path().join(MANIFEST);
        let mut file = File::create_new(&staged).map_err(Error::io("create", &staged))?;
        file.write_all(&manifest.encode())
            .map_err(Error::io("write", &staged))?;
        sync(&file, &staged)?;
        publish(&staged, &self.dir.join(MANIFEST), Target::Replaced)?;
        if let Some(previous) = &self.previous {
            // The new database stands whatever becomes of this; what stays is collected next time.
            let _ = fs::remove_dir_all(self.dir.join(segment_name(previous.segment)));
        }
        Ok(())
    }

    /// Whoever removes LOCK by hand lets a second writer in; it must not win over this one unnoticed.
    fn check_unchanged(&self) -> Result<()> {
        let found = Manifest::read(&self.dir.join(MANIFEST)).unwrap_or(None);
        let origin = |manifest: &Manifest| manifest.origin;
        if found.as_ref().map(origin) == self.previous.as_ref().map(origin) {
            return Ok(());
        }
        Err(Error::Locked {
            path: self.dir.clone(),
            pid: None,
        })
    }
}

/// Makes `dir` and its ancestors, each durable in its parent before the next one is made in it.
fn make_dir(dir: &Path) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let above = parent(dir);
    if above != dir {
        make_dir(above)?;
    }
    match fs::create_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(error) => Err(Error::io("create", dir)(error)),
        Ok(()) => sync_dir(above),
    }
}

/// Takes LOCK, writes this process into it for the error text of others, and returns its holder.
fn take_lock(dir: &Path) -> Result<File> {
    let path = dir.join(LOCK);
    let mut file = platform::open_lock(&path).map_err(Error::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Information only: an unreadable LOCK is a lock all the same.
            let _ = (&file).take(64).read_to_string(&mut text);
            let pid = text
                .split_whitespace()
                .next()
                .and_then(|pid| pid.parse().ok());
            return Err(Error::Locked {
                path: dir.to_path_buf(),
                pid,
            });
        }
        Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path)(error)),
    }
    let since = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0, |time| time.as_secs());
    let text = format!("{} {since}\n", std::process::id());
    let written = file.rewind().and_then(|()| file.set_len(0));
    written
        .and_then(|()| file.write_all(text.as_bytes()))
        .map_err(Error::io("write", &path))?;
    Ok(file)
}

fn private_dir(dir: &Path) -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    let permissions = platform::private_dir();
    if let Some(permissions) = permissions {
        builder.permissions(permissions);
    }
    builder
        .prefix(STAGING_PREFIX)
        .tempdir_in(dir)
        .map_err(Error::io("create a directory in", dir))
}

/// Removes what writers that died left behind. Called under LOCK, so nobody is writing. A directory
/// goes only if its name and what it holds are of our making.
fn collect_leftovers(dir: &Path, live: Option<u32>) -> Result<()> {
    for name in names(dir)? {
        let path = dir.join(&name);
        let dead = match segment_number(&name) {
            Some(number) => live != Some(number) && holds(&path, |found| found == SEGMENT_FILES),
            None => name.starts_with(STAGING_PREFIX) && holds(&path, holds_staging),
        };
        if dead {
            fs::remove_dir_all(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

/// A staging directory has at most the segment and the manifest in it.
fn holds_staging(found: &[String]) -> bool {
    found
        .iter()
        .all(|name| name == STAGED_SEGMENT || name == MANIFEST)
}

/// Whether `path` is a directory, not a link to one, whose sorted names satisfy `ours`.
fn holds(path: &Path, ours: impl Fn(&[String]) -> bool) -> bool {
    let is_dir = fs::symlink_metadata(path).is_ok_and(|about| about.is_dir());
    is_dir && names(path).is_ok_and(|found| ours(&found))
}

fn segment_numbers(dir: &Path) -> Result<Vec<u32>> {
    Ok(names(dir)?
        .iter()
        .filter_map(|name| segment_number(name))
        .collect())
}

/// The names in `dir`, sorted. Names that are not UTF-8 are none of ours and appear with a
/// replacement character, which none of ours has.
fn names(dir: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(dir).map_err(Error::io("list", dir))?;
    let name = |entry: std::io::Result<fs::DirEntry>| {
        Ok(entry
            .map_err(Error::io("list", dir))?
            .file_name()
            .to_string_lossy()
            .into_owned())
    };
    let mut names = entries.map(name).collect::<Result<Vec<_>>>()?;
    names.sort_unstable();
    Ok(names)
}
