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
//! Names that are not ours are never touched, and nothing is taken for ours by its name alone, but for the
//! derived files that MANIFEST names in the segment that is replaced.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use crate::append::sync;
use crate::claim::Claim;
use crate::disk::{DirAccess, Disk, FileKind, Target, write_all_at};
use crate::error::{Error, Result};
use crate::header::Origin;
use crate::layout::{MANIFEST, STAGED_SEGMENT, STAGING_PREFIX, segment_name};
use crate::leftovers::{collect, is_of, remove_segment, remove_staging};
use crate::legacy;
use crate::manifest::Manifest;
use crate::publish::{publish, sync_dir};
use crate::temporary::create_dir;

/// A locked database directory with a private directory to write in. Dropped before its commit, it
/// takes away all that it made.
#[derive(Debug)]
pub(crate) struct Staging {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    // Dropped in this order: the private directory while the lock is held.
    private: Private,
    claim: Claim,
    previous: Previous,
    pub(crate) origin: Origin,
    pub(crate) segment: u32,
}

/// A locked database directory in which nothing was touched yet.
#[derive(Debug)]
pub(crate) struct Claimed {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    claim: Claim,
    previous: Previous,
}

/// The private directory; taken away when this is dropped.
#[derive(Debug)]
struct Private {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl Drop for Private {
    fn drop(&mut self) {
        remove_staging(&*self.disk, &self.path);
    }
}

/// What stands in the directory when the writer begins, and may be replaced.
#[derive(Debug)]
enum Previous {
    Nothing,
    Database(Box<Manifest>),
    /// A manifest of ours that is damaged or newer: it does not say which segment is live, so no
    /// segment is removed.
    Unreadable,
    RingDb03,
}

impl Claimed {
    /// Takes `dir` for writing.
    pub(crate) fn on(disk: Arc<dyn Disk>, dir: &Path, replace: bool) -> Result<Self> {
        // Absolute, so that a change of the working directory does not move the database.
        let absolute = std::path::absolute(dir).map_err(Error::io("find", dir))?;
        if disk.kind(&absolute).is_ok_and(|kind| kind != FileKind::Dir) {
            return Err(Error::io("create", dir)(ErrorKind::NotADirectory.into()));
        }
        // Once before anything is written, and again under the lock.
        Previous::find(&*disk, &absolute, replace)?;
        let claim = Claim::on(Arc::clone(&disk), &absolute)?;
        let previous = Previous::find(&*disk, &absolute, replace)?;
        Ok(Self {
            disk,
            dir: absolute,
            claim,
            previous,
        })
    }

    /// Removes what dead writers left.
    pub(crate) fn collect(self) -> Result<Self> {
        collect_beside(&*self.disk, &self.dir, &self.previous, None)?;
        Ok(self)
    }

    /// Makes the private directory.
    pub(crate) fn stage(self) -> Result<Staging> {
        let Self {
            disk,
            dir,
            claim,
            previous,
        } = self;
        let (origin, live) = match &previous {
            Previous::Database(manifest) => (successor(&dir, manifest.origin)?, Some(manifest)),
            _ => (
                Origin {
                    uuid: Uuid::new_v4(),
                    generation: 1,
                },
                None,
            ),
        };
        let segment = free_number(&*disk, &dir, live.map_or(0, |manifest| manifest.segment))?;
        let private = Private {
            path: create_dir(&*disk, &dir, STAGING_PREFIX)?,
            disk: Arc::clone(&disk),
        };
        let staged = private.path.join(STAGED_SEGMENT);
        let made = disk.create_dir(&staged, DirAccess::Ordinary);
        made.map_err(Error::io("create", &staged))?;
        Ok(Staging {
            disk,
            dir,
            private,
            claim,
            previous,
            origin,
            segment,
        })
    }
}

impl Staging {
    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// The manifest of the database that is to be replaced, if it can be read.
    pub(crate) fn replaced(&self) -> Option<&Manifest> {
        self.previous.database()
    }

    /// As [`Claimed::collect`], while the private directory is in use.
    pub(crate) fn collect(&self) -> Result<()> {
        let own = Some(&*self.private.path);
        collect_beside(&*self.disk, &self.dir, &self.previous, own)
    }

    /// Where file `name` of the segment is to be written.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.staged_segment().join(name)
    }

    /// The directory of the segment until its commit.
    pub(crate) fn staged_segment(&self) -> PathBuf {
        self.private.path.join(STAGED_SEGMENT)
    }

    /// Makes the staged segment, whose files are written and synced, the database. Returns its directory.
    pub(crate) fn commit(mut self, manifest: &Manifest) -> Result<PathBuf> {
        let staged = self.staged_segment();
        let disk = &*self.disk;
        sync_dir(disk, &staged)?;
        let staged_manifest = self.private.path.join(MANIFEST);
        let file = disk.create(&staged_manifest);
        let file = file.map_err(Error::io("create", &staged_manifest))?;
        write_all_at(&*file, &manifest.encode(), 0)
            .map_err(Error::io("write", &staged_manifest))?;
        sync(&*file, &staged_manifest)?;
        self.check_unchanged()?;
        let segment = self.dir.join(segment_name(self.segment));
        if let Err(error) = publish(disk, &staged, &segment, Target::Absent) {
            // Renamed but perhaps not durable: no manifest names it yet.
            if !matches!(error, Error::AlreadyExists { .. }) {
                remove_segment(disk, &segment);
            }
            return Err(error);
        }
        let live = self.dir.join(MANIFEST);
        if let Err(error) = publish(disk, &staged_manifest, &live, Target::Replaced) {
            return Err(self.after_failed_rename(&live, &segment, error));
        }
        self.claim.keep();
        match &self.previous {
            Previous::Database(old) => {
                let replaced = self.dir.join(segment_name(old.segment));
                if is_of(disk, &replaced, old) {
                    remove_segment(disk, &replaced);
                }
            }
            Previous::RingDb03 => legacy::remove(disk, &self.dir),
            Previous::Nothing | Previous::Unreadable => {}
        }
        Ok(segment)
    }

    /// What became of a rename of MANIFEST that failed. The system may report an error for one that
    /// took place, and then the new segment is live: it is removed only if another manifest is seen.
    fn after_failed_rename(&self, live: &Path, segment: &Path, error: Error) -> Error {
        let is_ours = |found: &Manifest| found.origin == self.origin;
        match (Manifest::read(&*self.disk, live), error) {
            (Ok(found), error) if !found.as_ref().is_some_and(is_ours) => {
                if !matches!(error, Error::DurabilityUnknown { .. }) {
                    remove_segment(&*self.disk, segment);
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
        let is_same = match (&self.previous, Manifest::read(&*self.disk, &path)) {
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
    /// The manifest of the database, if it can be read.
    fn database(&self) -> Option<&Manifest> {
        match self {
            Self::Database(manifest) => Some(manifest),
            Self::Nothing | Self::Unreadable | Self::RingDb03 => None,
        }
    }

    /// Looks at `dir` and decides whether a writer may begin there.
    fn find(disk: &dyn Disk, dir: &Path, replace: bool) -> Result<Self> {
        let found = match Manifest::read(disk, &dir.join(MANIFEST)) {
            // Damage at byte 0 means that it does not even begin like one of ours.
            Err(Error::Corrupt { offset: 1.., .. } | Error::UnsupportedVersion { .. })
                if replace =>
            {
                Self::Unreadable
            }
            other => match other? {
                Some(manifest) => Self::Database(manifest.into()),
                None if legacy::is_database(disk, dir)? => Self::RingDb03,
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

/// Removes what dead writers left beside `previous`, but for the staging directory that is in use.
fn collect_beside(
    disk: &dyn Disk,
    dir: &Path,
    previous: &Previous,
    own: Option<&Path>,
) -> Result<()> {
    // The manifest that was read may not be durable: who renamed it may have died, or failed, before its sync.
    // What it replaces must not go before that.
    sync_dir(disk, dir)?;
    collect(disk, dir, previous.database(), own)
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
fn free_number(disk: &dyn Disk, dir: &Path, live: u32) -> Result<u32> {
    for number in live
        .checked_add(1)
        .into_iter()
        .flat_map(|first| first..=u32::MAX)
    {
        let path = dir.join(segment_name(number));
        match disk.kind_of_name(&path) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(number),
            Err(error) => return Err(Error::io("open", &path)(error)),
        }
    }
    Err(Error::TooLarge {
        what: "segment number",
        value: 1 << 32,
        max: u64::from(u32::MAX),
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

    const DIR: &str = "/db";

    fn write(disk: Arc<dyn Disk>, rows: usize) -> Result<()> {
        let codec = PayloadCodec::Bincode;
        let mut writer = SegmentWriter::in_directory_on(disk, Path::new(DIR), true, 1, codec)?;
        for _ in 0..rows {
            writer.push(&[1.0], ())?;
        }
        writer.finish().map(drop)
    }

    /// A commit; one that fails at any call; a writer that begins and gives up; a power cut.
    #[test]
    fn what_a_failed_commit_replaced_is_there_until_its_manifest_is_durable() {
        let before = SimDisk::new();
        write(Arc::new(before.clone()), 1).unwrap();
        let (mut images, mut met) = (0, 0);
        for call in 0.. {
            let disk = before.snapshot();
            let fault = Fault {
                call,
                kind: Failure::Error(5),
                lasting: true,
            };
            let faulty = FaultyDisk::new(Arc::new(disk.clone()), fault);
            let failed = write(Arc::clone(&faulty) as Arc<dyn Disk>, 2).is_err();
            if !faulty.struck() {
                break;
            }
            met += u32::from(failed);
            drop(
                Claimed::on(Arc::new(disk.clone()), Path::new(DIR), true)
                    .and_then(Claimed::collect),
            );
            for seed in 0..64 {
                let image = disk.after_power_cut(Loss::Subset, seed);
                let found = Segment::<()>::open_on(&image, Path::new(DIR), &ReadOptions::new());
                let rows = found.map(|segment| segment.vectors.len());
                let rows = rows.map_err(|error| error.to_string());
                assert!(
                    matches!(rows, Ok(1 | 2)),
                    "call {call}, seed {seed}: {rows:?}"
                );
                images += 1;
            }
        }
        println!("{images} images, {met} of the commits failed");
        assert!(met > 50, "only {met} commits failed");
    }
}
