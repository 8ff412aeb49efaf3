//! A disk on which one call fails or is done by half, once or from then on.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{DirAccess, Disk, DiskDir, DiskFile, FileKind, Target};
use crate::mapped::Bytes;

/// What goes wrong, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The call that meets it, counted from 0. With [`u64::MAX`] none does, and calls are only counted.
    pub call: u64,
    /// What happens to that call.
    pub kind: Failure,
    /// Whether all later calls meet it too, until [`FaultyDisk::calm`].
    pub lasting: bool,
}

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// It does nothing but fail with this error of the operating system.
    Error(i32),
    /// If it is a write of two bytes or more, only the first half of them is written, which is no
    /// error; other calls pass.
    ShortWrite,
}

/// A disk on which one call fails or is done by half. Calls on the disk, its files and its directories
/// are counted together, each as it begins, those that fail by themselves too.
#[derive(Debug)]
pub struct FaultyDisk {
    inner: Arc<dyn Disk>,
    calls: Arc<Calls>,
}

impl FaultyDisk {
    /// Puts a fault before `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Disk>, fault: Fault) -> Arc<Self> {
        let progress = Progress {
            calls: 0,
            struck_at: None,
            is_calm: false,
        };
        let calls = Calls {
            fault,
            progress: Mutex::new(progress),
        };
        Arc::new(Self {
            inner,
            calls: Arc::new(calls),
        })
    }

    /// How many calls there were, failed ones included.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.progress().calls
    }

    /// Whether a call met the fault: it failed by it, or did less than it was asked for.
    #[must_use]
    pub fn struck(&self) -> bool {
        self.struck_at().is_some()
    }

    /// Which call met the fault first: the name of the method, `sync_dir` for that of a directory.
    #[must_use]
    pub fn struck_at(&self) -> Option<&'static str> {
        self.calls.progress().struck_at
    }

    /// The cause goes away: all further calls pass.
    pub fn calm(&self) {
        self.calls.progress().is_calm = true;
    }

    fn file(&self, inner: io::Result<Box<dyn DiskFile>>) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(FaultyFile {
            inner: inner?,
            calls: Arc::clone(&self.calls),
        }))
    }
}

#[derive(Debug)]
struct Calls {
    fault: Fault,
    progress: Mutex<Progress>,
}

#[derive(Debug)]
struct Progress {
    calls: u64,
    struck_at: Option<&'static str>,
    is_calm: bool,
}

impl Calls {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call that writes nothing, and fails if it is its turn.
    fn pass(&self, name: &'static str) -> io::Result<()> {
        self.pass_bytes(name, 0).map(drop)
    }

    /// Counts a call that writes `len` bytes, and returns how many of them are to be written.
    fn pass_bytes(&self, name: &'static str, len: usize) -> io::Result<usize> {
        let mut progress = self.progress();
        let call = progress.calls;
        progress.calls += 1;
        let Fault {
            call: first,
            lasting,
            kind,
        } = self.fault;
        let is_its_turn = call == first || (lasting && call > first);
        if !is_its_turn || progress.is_calm {
            return Ok(len);
        }
        match kind {
            Failure::Error(raw) => {
                progress.struck_at.get_or_insert(name);
                Err(io::Error::from_raw_os_error(raw))
            }
            // At least one byte, so that whoever writes the rest comes to an end.
            Failure::ShortWrite if len > 1 => {
                progress.struck_at.get_or_insert(name);
                Ok(len / 2)
            }
            Failure::ShortWrite => Ok(len),
        }
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.calls.pass("open")?;
        self.file(self.inner.open(path))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.calls.pass("create")?;
        self.file(self.inner.create(path))
    }

    fn create_nameless(&self, dir: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.calls.pass("create_nameless")?;
        self.file(self.inner.create_nameless(dir))
    }

    fn open_or_create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.calls.pass("open_or_create")?;
        self.file(self.inner.open_or_create(path))
    }

    fn open_dir(&self, dir: &Path) -> io::Result<Box<dyn DiskDir>> {
        self.calls.pass("open_dir")?;
        Ok(Box::new(FaultyDir {
            inner: self.inner.open_dir(dir)?,
            calls: Arc::clone(&self.calls),
        }))
    }

    fn create_dir(&self, dir: &Path, access: DirAccess) -> io::Result<()> {
        self.calls.pass("create_dir")?;
        self.inner.create_dir(dir, access)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        self.calls.pass("list")?;
        self.inner.list(dir)
    }

    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        self.calls.pass("kind")?;
        self.inner.kind(path)
    }

    fn kind_of_name(&self, path: &Path) -> io::Result<FileKind> {
        self.calls.pass("kind_of_name")?;
        self.inner.kind_of_name(path)
    }

    fn rename(&self, from: &Path, to: &Path, target: Target) -> io::Result<()> {
        self.calls.pass("rename")?;
        self.inner.rename(from, to, target)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.calls.pass("remove_file")?;
        self.inner.remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.calls.pass("remove_dir")?;
        self.inner.remove_dir(dir)
    }
}

#[derive(Debug)]
struct FaultyFile {
    inner: Box<dyn DiskFile>,
    calls: Arc<Calls>,
}

impl DiskFile for FaultyFile {
    fn about(&self) -> io::Result<(FileKind, u64)> {
        self.calls.pass("about")?;
        self.inner.about()
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        self.calls.pass("read_at")?;
        self.inner.read_at(bytes, at)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        let len = self.calls.pass_bytes("write_at", bytes.len())?;
        self.inner
            .write_at(bytes.get(..len).unwrap_or_default(), at)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.calls.pass("set_len")?;
        self.inner.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.calls.pass("sync")?;
        self.inner.sync()
    }

    fn map(&self) -> io::Result<Bytes> {
        self.calls.pass("map")?;
        self.inner.map()
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.calls.pass("try_lock")?;
        self.inner.try_lock()
    }

    fn unlock(&self) -> io::Result<()> {
        self.calls.pass("unlock")?;
        self.inner.unlock()
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        self.calls.pass("is_at")?;
        self.inner.is_at(path)
    }
}

#[derive(Debug)]
struct FaultyDir {
    inner: Box<dyn DiskDir>,
    calls: Arc<Calls>,
}

impl DiskDir for FaultyDir {
    fn sync(&self) -> io::Result<()> {
        self.calls.pass("sync_dir")?;
        self.inner.sync()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::disk::{real, write_all_at};

    const ERROR: i32 = 28;

    fn faulty(call: u64, kind: Failure, lasting: bool) -> Arc<FaultyDisk> {
        let fault = Fault {
            call,
            kind,
            lasting,
        };
        FaultyDisk::new(real(), fault)
    }

    /// What each call is called, in order, and its error.
    #[derive(Default)]
    struct Outcomes(Vec<(&'static str, Option<i32>)>);

    impl Outcomes {
        fn note<T>(&mut self, name: &'static str, outcome: io::Result<T>) -> Option<T> {
            let error = outcome.as_ref().err();
            let raw = error.map(|error| error.raw_os_error().unwrap());
            self.0.push((name, raw));
            outcome.ok()
        }
    }

    /// Makes every call once, but for those on what could not be opened. What a failed call leaves
    /// undone is made up for, so that only its own failure is seen.
    fn every_call(disk: &dyn Disk, dir: &Path) -> Vec<(&'static str, Option<i32>)> {
        let mut outcomes = Outcomes::default();
        let (file, moved, below) = (dir.join("file"), dir.join("moved"), dir.join("below"));
        fs::write(&moved, "bytes").unwrap();
        outcomes.note("kind", disk.kind(dir));
        outcomes.note("kind_of_name", disk.kind_of_name(dir));
        outcomes.note("list", disk.list(dir));
        outcomes.note("create_dir", disk.create_dir(&below, DirAccess::Private));
        let _ = fs::create_dir(&below);
        outcomes.note("remove_dir", disk.remove_dir(&below));
        outcomes.note("create_nameless", disk.create_nameless(dir));
        outcomes.note("open", disk.open(&moved));
        outcomes.note("create", disk.create(&file));
        fs::write(&file, "").unwrap();
        outcomes.note("rename", disk.rename(&file, &moved, Target::Replaced));
        if let Some(dir) = outcomes.note("open_dir", disk.open_dir(dir)) {
            outcomes.note("sync_dir", dir.sync());
        }
        if let Some(file) = outcomes.note("open_or_create", disk.open_or_create(&moved)) {
            outcomes.note("about", file.about());
            outcomes.note("write_at", file.write_at(b"12", 0));
            outcomes.note("read_at", file.read_at(&mut [0], 0));
            outcomes.note("set_len", file.set_len(3));
            outcomes.note("map", file.map());
            outcomes.note("is_at", file.is_at(&moved));
            outcomes.note("try_lock", file.try_lock());
            outcomes.note("unlock", file.unlock());
            outcomes.note("sync", file.sync());
        }
        outcomes.note("remove_file", disk.remove_file(&moved));
        outcomes.0
    }

    #[test]
    fn each_call_fails_in_its_turn_and_passes_before_and_after() {
        let dir = tempfile::tempdir().unwrap();
        let none = faulty(u64::MAX, Failure::Error(ERROR), false);
        let all = every_call(&*none, dir.path());
        assert_eq!((none.calls(), none.struck()), (22, false));
        assert!(all.iter().all(|(_, error)| error.is_none()), "{all:?}");
        for (turn, (name, _)) in all.iter().enumerate() {
            let dir = tempfile::tempdir().unwrap();
            let disk = faulty(turn as u64, Failure::Error(ERROR), false);
            let outcomes = every_call(&*disk, dir.path());
            assert_eq!(disk.struck_at(), Some(*name));
            assert_eq!(disk.calls(), outcomes.len() as u64);
            for (at, (name, error)) in outcomes.iter().enumerate() {
                assert_eq!(*error, (at == turn).then_some(ERROR), "{name}");
            }
            let left_out = match *name {
                "open_dir" => 1,
                "open_or_create" => 9,
                _ => 0,
            };
            assert_eq!(outcomes.len() + left_out, all.len());
        }
    }

    #[test]
    fn a_lasting_error_lasts_until_its_cause_goes_away() {
        let dir = tempfile::tempdir().unwrap();
        let disk = faulty(3, Failure::Error(ERROR), true);
        let outcomes = every_call(&*disk, dir.path());
        for (at, (name, error)) in outcomes.iter().enumerate() {
            assert_eq!(*error, (at >= 3).then_some(ERROR), "{name}");
        }
        assert_eq!(disk.struck_at(), Some("create_dir"), "the first");
        disk.calm();
        let dir = tempfile::tempdir().unwrap();
        let outcomes = every_call(&*disk, dir.path());
        assert!(outcomes.iter().all(|(_, error)| error.is_none()));
        assert!(disk.struck(), "it was");
    }

    #[test]
    fn a_short_write_writes_the_first_half() {
        let dir = tempfile::tempdir().unwrap();
        let disk = faulty(1, Failure::ShortWrite, false);
        let file = disk.create(&dir.path().join("file")).unwrap();
        assert_eq!(file.write_at(b"12345", 0).unwrap(), 2);
        assert_eq!(file.map().unwrap().as_slice(), b"12");
        assert_eq!(disk.struck_at(), Some("write_at"));
        assert_eq!(file.write_at(b"345", 2).unwrap(), 3);
        assert_eq!(file.map().unwrap().as_slice(), b"12345");
        assert_eq!(disk.calls(), 5);
    }

    #[test]
    fn what_cannot_be_written_by_half_passes() {
        let dir = tempfile::tempdir().unwrap();
        let disk = faulty(0, Failure::ShortWrite, true);
        let outcomes = every_call(&*disk, dir.path());
        assert!(outcomes.iter().all(|(_, error)| error.is_none()));
        assert_eq!(disk.struck_at(), Some("write_at"));

        let disk = faulty(0, Failure::ShortWrite, true);
        let file = disk.create(&dir.path().join("one")).unwrap();
        assert_eq!(file.write_at(b"1", 0).unwrap(), 1);
        assert!(!disk.struck());
        write_all_at(&*file, &[7; 1000], 0).unwrap();
        assert_eq!(file.map().unwrap().as_slice(), [7; 1000]);
        assert!(disk.struck());
    }
}
