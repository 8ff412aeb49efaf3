//! A disk in memory that loses power.
//!
//! Programs see a small Unix file system. Below it, as on a real one, only that is sure to survive a
//! power cut which was made durable: the bytes and length of a file by its sync, a name by the sync of
//! its directory. What else survives is chosen by [`Loss`] and a seed, and the same seed always finds
//! the same.
//!
//! The disk is as unkind as a real one may be, with these rules:
//!
//! - Bytes reach the disk in pages of 4 KiB, names one by one. A rename is one step, whether of a file
//!   or a directory, within a directory or from one to another; programs never find both names or none.
//! - The sync of a file does not make its name durable, nor that of a directory what its files hold,
//!   nor its own name.
//! - The sync of a directory makes all changes durable that touch a name in it, and the earlier ones
//!   that those need: of the same names wherever they are, and in a directory that is taken away. Where
//!   that would tear a branch off the tree, as does a move into a directory without a durable name, all
//!   changes of names become durable.
//! - A file without a name and a lock do not survive.
//! - After a sync that failed, what was to be written is what programs see, but it is never written
//!   unless its page is written to again, and the next sync reports success.
//!
//! It does not know permissions, symbolic links, times, or a full disk. `/` is there, paths begin with
//! it and go without `..`, and a slash at their end says nothing. Errors are those of Linux.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use crate::disk::{DirAccess, Disk, DiskDir, DiskFile, FileKind, Target};
use crate::mapped::Bytes;

mod contents;
mod tree;
mod loss;
mod file_system;
#[cfg(test)]
mod tests;
#[cfg(all(test, target_os = "linux"))]
mod against_real;

use file_system::FileSystem;
use tree::Ino;

pub use loss::Loss;

/// A disk in memory that loses power. A clone is the same disk.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<Machine>>);

/// A file system in use.
struct Machine {
    files: FileSystem,
    /// The number of operations after which it is off.
    halts_after: u64,
    /// How many syncs of files succeed before the one that fails.
    failing_sync: Option<u64>,
    history: Option<Vec<FileSystem>>,
    /// Which opening holds the lock of a file.
    locks: BTreeMap<Ino, Opening>,
    last_opening: Opening,
}

/// The number of an opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Opening(u64);

impl SimDisk {
    /// A disk with nothing but an empty `/` on it.
    #[must_use]
    pub fn new() -> Self {
        Self::holding(FileSystem::new())
    }

    fn holding(files: FileSystem) -> Self {
        Self(Arc::new(Mutex::new(Machine {
            files,
            halts_after: u64::MAX,
            failing_sync: None,
            history: None,
            locks: BTreeMap::new(),
            last_opening: Opening(0),
        })))
    }

    /// How many calls have changed the disk so far or made something durable: files and directories
    /// made, renamed and removed, writes, lengths set, and syncs, the failed one of
    /// [`Self::fail_sync`] as well. Calls that were refused and calls that found nothing to do, such as
    /// a write of no bytes, are not counted.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.machine().files.operations
    }

    /// Turns the machine off once [`Self::operations`] has reached `operations`: all further calls
    /// fail, reads too, and what is on the disk is found by [`Self::after_power_cut`].
    pub fn halt_after(&self, operations: u64) {
        self.machine().halts_after = operations;
    }

    /// Lets the `nth` sync of a file from now on, counted from 0, fail with EIO, once. The pages that
    /// it was to write are lost, while programs still see them.
    pub fn fail_sync(&self, nth: u64) {
        self.machine().failing_sync = Some(nth);
    }

    /// The disk as it is found when the power is cut now: another one, all of it durable, on which
    /// nothing was done yet. This one goes on undisturbed.
    #[must_use]
    pub fn after_power_cut(&self, loss: Loss, seed: u64) -> Self {
        Self::holding(self.machine().files.after_power_cut(loss, seed))
    }

    /// A copy of the disk with what is not durable yet and with the count of operations, but without
    /// openings: no file is locked, nothing halts it, no sync is to fail, and it keeps no history.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        Self::holding(self.machine().files.clone())
    }

    /// Keeps a [`Self::snapshot`] after each operation from now on, and gives up those kept so far.
    pub fn record(&self) {
        self.machine().history = Some(Vec::new());
    }

    /// Hands out the snapshots kept since [`Self::record`] or since the last call, oldest first; none
    /// if nothing is recorded. Recording goes on.
    #[must_use]
    pub fn take_history(&self) -> Vec<Self> {
        let kept = self.machine().history.as_mut().map(std::mem::take);
        let kept = kept.unwrap_or_default();
        kept.into_iter().map(Self::holding).collect()
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes one call, if the machine is on.
    fn call<T>(&self, call: impl FnOnce(&mut Machine) -> io::Result<T>) -> io::Result<T> {
        let mut machine = self.machine();
        let before = machine.files.operations;
        if before >= machine.halts_after {
            return Err(io::Error::other("the simulated machine is off"));
        }
        let result = call(&mut machine);
        let Machine { files, history, .. } = &mut *machine;
        if let Some(history) = history.as_mut().filter(|_| files.operations > before) {
            history.push(files.clone());
        }
        result
    }

    fn open_with(
        &self,
        is_writable: bool,
        find: impl FnOnce(&mut FileSystem) -> io::Result<Ino>,
    ) -> io::Result<SimFile> {
        let (node, opening) = self.call(|machine| {
            let node = find(&mut machine.files)?;
            machine.last_opening.0 += 1;
            Ok((node, machine.last_opening))
        })?;
        Ok(SimFile {
            disk: self.clone(),
            node,
            opening,
            is_writable,
        })
    }

    fn open_file(
        &self,
        is_writable: bool,
        find: impl FnOnce(&mut FileSystem) -> io::Result<Ino>,
    ) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(self.open_with(is_writable, find)?))
    }
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDisk").finish_non_exhaustive()
    }
}

impl Machine {
    fn sync(&mut self, node: Ino) -> io::Result<()> {
        if !self.files.is_dir(node) && self.next_sync_fails() {
            self.files.sync_in_vain(node);
            return Err(Errno::IO.into());
        }
        self.files.sync(node);
        Ok(())
    }

    fn next_sync_fails(&mut self) -> bool {
        let before = self.failing_sync;
        self.failing_sync = before.and_then(|before| before.checked_sub(1));
        before == Some(0)
    }

    fn unlock(&mut self, node: Ino, opening: Opening) {
        if self.locks.get(&node) == Some(&opening) {
            self.locks.remove(&node);
        }
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.open_file(false, |files| files.open(path))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.open_file(true, |files| files.create(path))
    }

    fn create_nameless(&self, dir: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.open_file(true, |files| files.create_nameless(dir))
    }

    fn open_or_create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.open_file(true, |files| files.open_or_create(path))
    }

    fn open_dir(&self, dir: &Path) -> io::Result<Box<dyn DiskDir>> {
        let dir = self.open_with(false, |files| files.open(dir))?;
        Ok(Box::new(SimDir(dir)))
    }

    fn create_dir(&self, dir: &Path, _access: DirAccess) -> io::Result<()> {
        self.call(|machine| machine.files.create_dir(dir).map(drop))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        self.call(|machine| machine.files.list(dir))
    }

    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        self.call(|machine| machine.files.kind(path))
    }

    fn kind_of_name(&self, path: &Path) -> io::Result<FileKind> {
        self.kind(path)
    }

    fn rename(&self, from: &Path, to: &Path, target: Target) -> io::Result<()> {
        self.call(|machine| machine.files.rename(from, to, target))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.call(|machine| machine.files.remove_file(path))
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.call(|machine| machine.files.remove_dir(dir))
    }
}

/// An open file, or a directory opened like one.
#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    node: Ino,
    opening: Opening,
    is_writable: bool,
}

impl SimFile {
    /// Makes one call that needs the file to be open for writing.
    fn writing<T>(
        &self,
        otherwise: Errno,
        call: impl FnOnce(&mut FileSystem) -> io::Result<T>,
    ) -> io::Result<T> {
        self.disk.call(|machine| match self.is_writable {
            true => call(&mut machine.files),
            false => Err(otherwise.into()),
        })
    }
}

impl DiskFile for SimFile {
    fn about(&self) -> io::Result<(FileKind, u64)> {
        self.disk.call(|machine| Ok(machine.files.about(self.node)))
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        self.disk
            .call(|machine| machine.files.read_at(self.node, bytes, at))
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        self.writing(Errno::BADF, |files| files.write_at(self.node, bytes, at))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.writing(Errno::INVAL, |files| files.set_len(self.node, len))
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.call(|machine| machine.sync(self.node))
    }

    fn map(&self) -> io::Result<Bytes> {
        self.disk.call(|machine| machine.files.map(self.node))
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.disk.call(|machine| {
            let holder = machine.locks.entry(self.node).or_insert(self.opening);
            Ok(*holder == self.opening)
        })
    }

    fn unlock(&self) -> io::Result<()> {
        self.disk.call(|machine| {
            machine.unlock(self.node, self.opening);
            Ok(())
        })
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        self.disk
            .call(|machine| machine.files.is_at(self.node, path))
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut machine = self.disk.machine();
        machine.unlock(self.node, self.opening);
        machine.files.forget_nameless(self.node);
    }
}

/// An open directory.
#[derive(Debug)]
struct SimDir(SimFile);

impl DiskDir for SimDir {
    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
}
