//! Directories as values, foreign files in them, and what a writer has to leave behind.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ringdb_storage::disk::{DirAccess, Disk, FileKind};
use tempfile::TempDir;

use crate::verdict::Flaw;

/// The name of the file that a writer locks.
pub(crate) const LOCK: &str = "LOCK";
/// The name of the file that makes a directory a database.
pub(crate) const MANIFEST: &str = "MANIFEST";

/// A directory for a campaign's files, gone when it is dropped: in memory if the system has a place for
/// that and `TMPDIR` does not name another one. A sync costs nothing there, and what it does is not the
/// question of those campaigns that use it.
pub(crate) fn scratch() -> io::Result<TempDir> {
    let shared_memory = Path::new("/dev/shm");
    let base = match std::env::var_os("TMPDIR") {
        None if shared_memory.is_dir() => shared_memory.to_path_buf(),
        _ => std::env::temp_dir(),
    };
    tempfile::Builder::new()
        .prefix("ringdb-reliability-")
        .tempdir_in(base)
}

/// All that a directory holds, by paths relative to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) dirs: BTreeSet<PathBuf>,
    pub(crate) files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Image {
    pub(crate) fn read(dir: &Path) -> io::Result<Self> {
        let mut image = Self::default();
        let mut open = vec![PathBuf::new()];
        while let Some(inner) = open.pop() {
            for entry in fs::read_dir(dir.join(&inner))? {
                let entry = entry?;
                let path = inner.join(entry.file_name());
                if entry.file_type()?.is_dir() {
                    image.dirs.insert(path.clone());
                    open.push(path);
                } else {
                    image.files.insert(path, fs::read(entry.path())?);
                }
            }
        }
        Ok(image)
    }

    /// Makes `dir` hold this and nothing else.
    pub(crate) fn write(&self, dir: &Path) -> io::Result<()> {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir_all(dir)?,
        }
        // A directory comes before what is in it.
        for inner in &self.dirs {
            fs::create_dir(dir.join(inner))?;
        }
        for (path, bytes) in &self.files {
            fs::write(dir.join(path), bytes)?;
        }
        Ok(())
    }

    /// The files that hold the database: all but LOCK.
    pub(crate) fn data_files(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        let files = self.files.iter().map(|(path, bytes)| (&**path, &**bytes));
        files.filter(|(path, _)| *path != Path::new(LOCK))
    }
}

/// Names that look like ours and are not, one of them a directory.
const FOREIGN: [&str; 4] = ["notes.txt", "segment-1", ".ringdb-staging-mine", "pictures"];
const FOREIGN_DIR: &str = "pictures";
const FOREIGN_BYTES: &[u8] = b"somebody's";

/// Puts somebody's files into `dir`, which is there, and makes them durable.
pub(crate) fn plant_foreign(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    for name in FOREIGN {
        match name {
            FOREIGN_DIR => {
                disk.create_dir(&dir.join(name), DirAccess::Ordinary)?;
                write_file(disk, &dir.join(name).join("cat"), FOREIGN_BYTES)?;
                disk.open_dir(&dir.join(name))?.sync()?;
            }
            _ => write_file(disk, &dir.join(name), FOREIGN_BYTES)?,
        }
    }
    disk.open_dir(dir)?.sync()
}

/// Writes a durable file.
pub(crate) fn write_file(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = disk.create(path)?;
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        written += file.write_at(rest, written as u64)?;
    }
    file.sync()
}

/// Whether somebody's files are as they were planted.
pub(crate) fn check_foreign(disk: &dyn Disk, dir: &Path) -> Result<(), Flaw> {
    for name in FOREIGN {
        let path = match name {
            FOREIGN_DIR => dir.join(name).join("cat"),
            _ => dir.join(name),
        };
        let mut bytes = [0; FOREIGN_BYTES.len() + 1];
        let read = disk
            .open(&path)
            .and_then(|file| file.read_at(&mut bytes, 0));
        match read {
            Ok(read) if bytes.get(..read) == Some(FOREIGN_BYTES) => {}
            Ok(_) => return Err(Flaw::other(format!("foreign file {name} was changed"))),
            Err(error) => return Err(Flaw::other(format!("foreign file {name}: {error}"))),
        }
    }
    Ok(())
}

/// What may stand in a directory beside the database, because docs/FORMAT.md says that it stays.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Allowed {
    /// Files planted by [`plant_foreign`].
    pub(crate) foreign: bool,
    /// What is numbered like a segment and named by no manifest: a writer died where there was no
    /// manifest, or it is damaged.
    pub(crate) orphans: bool,
    /// Files of ring-db 0.3: a writer died while it removed them.
    pub(crate) legacy: bool,
}

/// The files of ring-db 0.3.
pub(crate) const LEGACY: [&str; 5] = [
    "meta.bin",
    "vectors.bin",
    "norms_sq.bin",
    "payloads.bin",
    "offsets.bin",
];

/// Whether nothing but a database is in `dir`, and what is allowed beside it. Numbered directories that
/// are empty always are: that is how far a writer got that died while it removed an old segment.
pub(crate) fn check_leftovers(disk: &dyn Disk, dir: &Path, allowed: Allowed) -> Result<(), Flaw> {
    let mut n_segments = 0;
    let names = disk.list(dir)?;
    for name in &names {
        let text = name.to_str().unwrap_or_default();
        let is_allowed = text == LOCK
            || text == MANIFEST
            || (allowed.foreign && FOREIGN.contains(&text))
            || (allowed.legacy && LEGACY.contains(&text));
        if is_allowed {
            continue;
        }
        let path = dir.join(name);
        match (is_segment_name(text), disk.kind_of_name(&path)?) {
            (true, FileKind::Dir) => n_segments += usize::from(!disk.list(&path)?.is_empty()),
            (true, _) if allowed.orphans => {}
            _ => {
                let what = format!("{} was left behind", name.display());
                return Err(Flaw::other(what));
            }
        }
    }
    for needed in [LOCK, MANIFEST] {
        if !names.iter().any(|name| name == OsStr::new(needed)) {
            return Err(Flaw::other(format!("there is no {needed}")));
        }
    }
    match n_segments {
        1 => Ok(()),
        2.. if allowed.orphans => Ok(()),
        _ => Err(Flaw::other(format!(
            "there are {n_segments} segments: {names:?}"
        ))),
    }
}

fn is_segment_name(name: &str) -> bool {
    let number = name.strip_prefix("segment-").unwrap_or_default();
    number.len() >= 6 && number.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use ringdb_storage::disk::real;

    use super::*;

    #[test]
    fn an_image_is_written_as_it_was_read() {
        let (from, to) = (scratch().unwrap(), scratch().unwrap());
        plant_foreign(&*real(), from.path()).unwrap();
        let image = Image::read(from.path()).unwrap();
        assert_eq!((image.files.len(), image.dirs.len()), (4, 1));
        fs::write(to.path().join("other"), "").unwrap();
        image.write(to.path()).unwrap();
        assert_eq!(Image::read(to.path()).unwrap(), image);
        check_foreign(&*real(), to.path()).unwrap();
        fs::write(to.path().join("segment-1"), "somebody's.").unwrap();
        check_foreign(&*real(), to.path()).unwrap_err();
    }

    #[track_caller]
    fn check(names: &[&str], allowed: Allowed, expected: Option<&str>) {
        let dir = scratch().unwrap();
        for name in names {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match name.ends_with('/') {
                true => fs::create_dir(path).unwrap(),
                false => fs::write(path, "").unwrap(),
            }
        }
        let found = check_leftovers(&*real(), dir.path(), allowed);
        assert_eq!(found.err().map(|flaw| flaw.what).as_deref(), expected);
    }

    #[test]
    fn what_is_left_behind_is_found() {
        let none = Allowed::default();
        let database = ["LOCK", "MANIFEST", "segment-000001/a", "segment-000002/"];
        check(&database, none, None);
        check(&database[..3], none, None);
        check(&database[1..], none, Some("there is no LOCK"));
        let more = [&database[..], &["notes.txt"]].concat();
        check(&more, none, Some("notes.txt was left behind"));
        let foreign = Allowed {
            foreign: true,
            ..none
        };
        check(&more, foreign, None);
        let staging = [&database[..], &[".ringdb-staging-abcdef/"]].concat();
        let what = ".ringdb-staging-abcdef was left behind";
        check(&staging, foreign, Some(what));
        let two = [&database[..3], &["segment-000003/a"]].concat();
        let orphans = Allowed {
            orphans: true,
            ..none
        };
        check(&two, orphans, None);
        let dir = scratch().unwrap();
        assert!(check_leftovers(&*real(), dir.path(), none).is_err());
    }
}
