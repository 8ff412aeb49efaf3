//! Names for what is not finished yet: random ones, so that nobody else gives or guesses them.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use crate::disk::{DirAccess, Disk, DiskFile, Target};
use crate::error::{Error, Result};
use crate::layout::RANDOM_CHARS;
use crate::publish::publish;

/// A free name is found at once, unless the file system says `AlreadyExists` to everything.
const TRIES: usize = 100;

/// Makes something under a random name in `dir`; what `make` makes must not exist before.
fn create<R>(
    dir: &Path,
    prefix: &str,
    make: impl Fn(&Path) -> io::Result<R>,
) -> Result<(R, PathBuf)> {
    for _ in 0..TRIES {
        let random = Uuid::new_v4().simple().to_string();
        let random = random.get(..RANDOM_CHARS).unwrap_or_default();
        let path = dir.join(format!("{prefix}{random}"));
        match make(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => return Ok((made.map_err(Error::io("create", &path))?, path)),
        }
    }
    Err(Error::io("create", dir)(ErrorKind::AlreadyExists.into()))
}

/// Makes a directory in `dir` that only its owner may enter.
pub(crate) fn create_dir(disk: &dyn Disk, dir: &Path, prefix: &str) -> Result<PathBuf> {
    let made = create(dir, prefix, |path| {
        disk.create_dir(path, DirAccess::Private)
    });
    made.map(|((), path)| path)
}

/// A file under a random name, removed when this is dropped, unless it was published.
#[derive(Debug)]
pub(crate) struct Staged {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    published: bool,
}

impl Staged {
    /// Creates the file in `dir`.
    pub(crate) fn create(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        prefix: &str,
    ) -> Result<(Self, Box<dyn DiskFile>)> {
        let (file, path) = create(dir, prefix, |path| disk.create(path))?;
        let staged = Self {
            disk: Arc::clone(disk),
            path,
            published: false,
        };
        Ok((staged, file))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file, which was made durable, the name `target`, if nothing has it.
    pub(crate) fn publish(mut self, target: &Path) -> Result<()> {
        publish(&*self.disk, &self.path, target, Target::Absent)?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.published {
            let _ = self.disk.remove_file(&self.path);
        }
    }
}
