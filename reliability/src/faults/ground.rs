//! Where a workload with failing calls takes place: a real directory or a simulated disk, made anew for
//! each case.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringdb_storage::disk::{DirAccess, Disk, Loss, SimDisk, real};

use crate::directory::{Image, write_file};

/// A kind of disk below the failing one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Below {
    Real,
    Simulated,
}

pub(super) const BELOWS: [Below; 2] = [Below::Real, Below::Simulated];

/// A directory, or the lack of one, on a disk.
pub(super) struct Ground {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    /// The same disk, if it can lose power.
    simulated: Option<SimDisk>,
}

impl Ground {
    /// The disk as it is, and as it would be found after a power cut that loses all it may.
    pub(super) fn views(&self) -> Vec<Arc<dyn Disk>> {
        let cut = self.simulated.as_ref().map(|disk| {
            let image: Arc<dyn Disk> = Arc::new(disk.after_power_cut(Loss::Everything, 0));
            image
        });
        std::iter::once(Arc::clone(&self.disk)).chain(cut).collect()
    }
}

/// What stands in the directory at first; `None` for no directory.
pub(super) struct Template {
    image: Option<Image>,
    simulated: SimDisk,
}

const SIMULATED_DIR: &str = "/data/db";

impl Template {
    pub(super) fn new(image: Option<Image>) -> io::Result<Self> {
        let disk = SimDisk::new();
        // Payloads of segments in memory go to a nameless file in this one.
        make_dirs(&disk, &std::env::temp_dir())?;
        if let Some(image) = &image {
            let dir = Path::new(SIMULATED_DIR);
            make_dirs(&disk, dir)?;
            for inner in &image.dirs {
                disk.create_dir(&dir.join(inner), DirAccess::Ordinary)?;
            }
            for (path, bytes) in &image.files {
                write_file(&disk, &dir.join(path), bytes)?;
            }
        }
        Ok(Self {
            image,
            // All of it durable.
            simulated: disk.after_power_cut(Loss::Nothing, 0),
        })
    }

    /// A fresh copy; a real one is made in `scratch`.
    pub(super) fn ground(&self, below: Below, scratch: &Path) -> io::Result<Ground> {
        match below {
            Below::Simulated => {
                let disk = self.simulated.snapshot();
                Ok(Ground {
                    disk: Arc::new(disk.clone()),
                    dir: PathBuf::from(SIMULATED_DIR),
                    simulated: Some(disk),
                })
            }
            Below::Real => {
                // Its parent is made by the writer as well, or taken away.
                let dir = scratch.join("data").join("db");
                match &self.image {
                    Some(image) => image.write(&dir)?,
                    None => Image::default().write(scratch)?,
                }
                Ok(Ground {
                    disk: real(),
                    dir,
                    simulated: None,
                })
            }
        }
    }
}

fn make_dirs(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    if disk.kind(dir).is_ok() {
        return Ok(());
    }
    if let Some(above) = dir.parent() {
        make_dirs(disk, above)?;
    }
    disk.create_dir(dir, DirAccess::Ordinary)
}
