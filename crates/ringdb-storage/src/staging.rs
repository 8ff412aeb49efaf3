//! A writer's place in a database directory: the private staging directory and the commit.
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

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use uuid::Uuid;

use crate::append::sync;
use crate::claim::Claim;
use crate::error::{Error, Result};
use crate::header::Origin;
use crate::layout::{MANIFEST, STAGED_SEGMENT, STAGING_PREFIX, STAGING_RANDOM, segment_name};
use crate::leftovers::{collect, is_of, remove_segment};
use crate::legacy;
use crate::manifest::Manifest;
use crate::platform;
use crate::publish::{Target, publish, sync_dir};

/// A locked database directory with a private directory to write in. Dropped before its commit, it
/// takes away all that it made.
#[derive(Debug)]
pub(crate) struct Staging {
    dir: PathBuf,
    // Dropped in this order: the private directory while the lock is held.
    private: TempDir,
    claim: Claim,
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
        if fs::metadata(&absolute).is_ok_and(|about| !about.is_dir()) {
            return Err(Error::io("create", dir)(ErrorKind::NotADirectory.into()));
        }
        // Once before anything is written, and again under the lock.
        Previous::find(&absolute, replace)?;
        let claim = Claim::on(&absolute)?;
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
            claim,
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
        if let Err(error) = publish(&staged, &segment, Target::Absent) {
            // Renamed but perhaps not durable: no manifest names it yet.
            if !matches!(error, Error::AlreadyExists { .. }) {
                remove_segment(&segment);
            }
            return Err(error);
        }
        let live = self.dir.join(MANIFEST);
        if let Err(error) = publish(&staged_manifest, &live, Target::Replaced) {
            return Err(self.after_failed_rename(&live, &segment, error));
        }
        self.claim.keep();
        match &self.previous {
            Previous::Database(old) => {
                let replaced = self.dir.join(segment_name(old.segment));
                if is_of(&replaced, old) {
                    remove_segment(&replaced);
                }
            }
            Previous::RingDb03 => legacy::remove(&self.dir),
            Previous::Nothing | Previous::Unreadable => {}
        }
        Ok(())
    }

    /// What became of a rename of MANIFEST that failed. The system may report an error for one that
    /// took place, and then the new segment is live: it is removed only if another manifest is seen.
    fn after_failed_rename(&self, live: &Path, segment: &Path, error: Error) -> Error {
        let is_ours = |found: &Manifest| found.origin == self.origin;
        match (Manifest::read(live), error) {
            (Ok(found), error) if !found.as_ref().is_some_and(is_ours) => {
                if !matches!(error, Error::DurabilityUnknown { .. }) {
                    remove_segment(segment);
                }
                error
            }
            (_, Error::Io { path, source, .. }) => Error::DurabilityUnknown { path, source },
            (_, error) => error,
        }
    }

    /// Whoever removes LOCK by hand lets a second writer in, and other programs know no LOCK; neither
    /// must be overwritten unnoticed.
    fn check_unchanged(&self) -> Result<()> {
        let path = self.dir.join(MANIFEST);
        let is_same = match (&self.previous, Manifest::read(&path)) {
            (Previous::Database(old), Ok(Some(found))) => old.origin == found.origin,
            (Previous::Nothing | Previous::RingDb03, found) => match found? {
                None => true,
                Some(_) => return Err(Error::AlreadyExists { path }),
            },
            (
                Previous::Unreadable,
                Err(Error::Corrupt { .. } | Error::UnsupportedVersion { .. }),
            ) => true,
            (_, found) => {
                found?;
                false
            }
        };
        if is_same {
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
