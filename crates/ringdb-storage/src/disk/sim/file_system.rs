//! The calls of a file system: what programs see, what is durable, and what lies between.
//!
//! Invariant: the pending changes, in order, fit what is durable, and lead to what programs see, but for
//! bytes that a failed sync dropped.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::Path;

use rustix::io::Errno;

use super::contents::{Contents, FILE_BYTES_MAX};
use super::loss::{self, Loss};
use super::tree::{Change, Ino, ROOT, Slot, Tree};
use crate::disk::{FileKind, Target};
use crate::mapped::Bytes;

#[derive(Debug, Clone)]
pub(super) struct FileSystem {
    seen: Tree,
    durable: Tree,
    /// Oldest first.
    pending: Vec<Change>,
    /// Files that no power cut spares, so nothing that happens to them is pending.
    nameless: BTreeSet<Ino>,
    last: Ino,
    pub(super) operations: u64,
}

impl FileSystem {
    pub(super) fn new() -> Self {
        Self::of(Tree::new(), ROOT)
    }

    /// One whose files are those of `tree`, all of them durable.
    fn of(tree: Tree, last: Ino) -> Self {
        Self {
            seen: tree.clone(),
            durable: tree,
            pending: Vec::new(),
            nameless: BTreeSet::new(),
            last,
            operations: 0,
        }
    }

    pub(super) fn after_power_cut(&self, loss: Loss, seed: u64) -> Self {
        let found = loss::found(&self.durable, &self.pending, loss, seed);
        Self::of(found, self.last)
    }

    pub(super) fn open(&self, path: &Path) -> io::Result<Ino> {
        Ok(self.seen.find(path)?)
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<Ino> {
        Ok(self.make(path, false)?)
    }

    pub(super) fn create_dir(&mut self, path: &Path) -> io::Result<Ino> {
        Ok(self.make(path, true)?)
    }

    pub(super) fn open_or_create(&mut self, path: &Path) -> io::Result<Ino> {
        match self.seen.place(path, Errno::ISDIR)? {
            (_, Some(found)) if self.is_dir(found) => Err(Errno::ISDIR.into()),
            (_, Some(found)) => Ok(found),
            (_, None) => Ok(self.make(path, false)?),
        }
    }

    pub(super) fn create_nameless(&mut self, dir: &Path) -> io::Result<Ino> {
        self.list(dir)?;
        let file = self.fresh();
        self.seen.make_nameless(file);
        self.nameless.insert(file);
        self.operations += 1;
        Ok(file)
    }

    /// Its only opening is gone, if it has no name.
    pub(super) fn forget_nameless(&mut self, file: Ino) {
        if self.nameless.remove(&file) {
            self.seen.forget(file);
        }
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        let names = self.seen.names(self.seen.find(dir)?);
        let names = names.ok_or(Errno::NOTDIR)?;
        Ok(names.keys().map(OsString::from).collect())
    }

    pub(super) fn kind(&self, path: &Path) -> io::Result<FileKind> {
        Ok(self.about(self.seen.find(path)?).0)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path, target: Target) -> io::Result<()> {
        let of_root = match target {
            Target::Absent => Errno::EXIST,
            Target::Replaced => Errno::BUSY,
        };
        let (from, node) = self.seen.place(from, Errno::BUSY)?;
        let (to, replaced) = self.seen.place(to, of_root)?;
        let node = node.ok_or(Errno::NOENT)?;
        if target == Target::Absent && replaced.is_some() {
            return Err(Errno::EXIST.into());
        }
        if self.seen.contains(node, to.dir) {
            return Err(Errno::INVAL.into());
        }
        match replaced {
            Some(there) if there == node => return Ok(()),
            Some(there) => self.check_replaceable(there, node, &from)?,
            None => {}
        }
        self.change(Change::Rename {
            from,
            to,
            node,
            replaced,
        });
        self.operations += 1;
        Ok(())
    }

    fn check_replaceable(&self, there: Ino, node: Ino, from: &Slot) -> Result<(), Errno> {
        if self.seen.contains(there, from.dir) {
            return Err(Errno::NOTEMPTY);
        }
        match (self.is_dir(node), self.is_dir(there)) {
            (true, false) => Err(Errno::NOTDIR),
            (false, true) => Err(Errno::ISDIR),
            (true, true) if !self.seen.can_end(there) => Err(Errno::NOTEMPTY),
            _ => Ok(()),
        }
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        let (slot, node) = self.seen.place(path, Errno::ISDIR)?;
        let node = node.ok_or(Errno::NOENT)?;
        if self.is_dir(node) {
            return Err(Errno::ISDIR.into());
        }
        self.remove(slot, node);
        Ok(())
    }

    pub(super) fn remove_dir(&mut self, path: &Path) -> io::Result<()> {
        let (slot, node) = self.seen.place(path, Errno::BUSY)?;
        let node = node.ok_or(Errno::NOENT)?;
        if !self.is_dir(node) {
            return Err(Errno::NOTDIR.into());
        }
        if !self.seen.can_end(node) {
            return Err(Errno::NOTEMPTY.into());
        }
        self.remove(slot, node);
        Ok(())
    }

    pub(super) fn about(&self, node: Ino) -> (FileKind, u64) {
        match self.seen.contents(node) {
            Some(contents) => (FileKind::File, contents.len()),
            None => (FileKind::Dir, 0),
        }
    }

    pub(super) fn read_at(&self, file: Ino, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        check_offset(at)?;
        let contents = self.seen.contents(file).ok_or(Errno::ISDIR)?;
        Ok(contents.read_at(bytes, at))
    }

    pub(super) fn write_at(&mut self, file: Ino, bytes: &[u8], at: u64) -> io::Result<usize> {
        check_offset(at)?;
        if bytes.is_empty() {
            return Ok(0);
        }
        if at.saturating_add(bytes.len() as u64) > FILE_BYTES_MAX {
            return Err(Errno::FBIG.into());
        }
        let contents = self.seen.contents(file).ok_or(Errno::BADF)?;
        let changes = contents.written(bytes, at);
        let changes = changes.map(|(index, page, end)| Change::Write {
            file,
            index,
            page,
            end,
        });
        for change in changes.collect::<Vec<_>>() {
            self.change(change);
        }
        self.operations += 1;
        Ok(bytes.len())
    }

    pub(super) fn set_len(&mut self, file: Ino, len: u64) -> io::Result<()> {
        check_offset(len)?;
        if len > FILE_BYTES_MAX {
            return Err(Errno::FBIG.into());
        }
        self.change(Change::SetLen { file, len });
        self.operations += 1;
        Ok(())
    }

    pub(super) fn map(&self, file: Ino) -> io::Result<Bytes> {
        let contents = self.seen.contents(file).ok_or(Errno::NODEV)?;
        let len = usize::try_from(contents.len()).map_err(|_| Errno::OVERFLOW)?;
        Bytes::filled(len, |bytes| {
            contents.read_at(bytes, 0);
            Ok(())
        })
    }

    pub(super) fn is_at(&self, node: Ino, path: &Path) -> io::Result<bool> {
        match self.seen.find(path) {
            Err(Errno::INVAL) => Err(Errno::INVAL.into()),
            found => Ok(found == Ok(node)),
        }
    }

    pub(super) fn is_dir(&self, node: Ino) -> bool {
        self.seen.names(node).is_some()
    }

    /// Makes the bytes of a file or the names in a directory durable.
    pub(super) fn sync(&mut self, node: Ino) {
        let before = std::mem::take(&mut self.pending);
        let (taken, left) = needed(&before, node);
        let mut durable = self.durable.clone();
        let all_fit = |tree: &mut Tree, changes: &[Change]| {
            let mut names = changes.iter().filter(|change| change.file().is_none());
            names.all(|change| tree.apply(change))
        };
        if all_fit(&mut durable, &taken) && all_fit(&mut durable, &left) {
            self.pending = left;
            self.make_durable(taken);
        } else {
            // Out of order, a directory would lie in itself or a branch hang in the air. A real disk
            // writes them in order then, and so does this one.
            let (names, bytes) = before
                .into_iter()
                .partition(|change| change.file().is_none());
            self.pending = bytes;
            self.make_durable(names);
        }
        self.operations += 1;
    }

    fn make_durable(&mut self, changes: Vec<Change>) {
        for change in changes {
            let is_done = self.durable.apply(&change);
            debug_assert!(is_done, "a pending change does not fit what is durable");
        }
    }

    /// A sync that fails: the bytes that were to be written are given up, and nothing but the length
    /// is left to be made durable.
    pub(super) fn sync_in_vain(&mut self, file: Ino) {
        let mut len = self.durable.contents(file).map_or(0, Contents::len);
        for change in &mut self.pending {
            match *change {
                Change::SetLen { file: of, len: set } if of == file => len = set,
                Change::Write { file: of, end, .. } if of == file => {
                    len = len.max(end);
                    *change = Change::SetLen { file, len };
                }
                _ => {}
            }
        }
        self.operations += 1;
    }

    fn make(&mut self, path: &Path, is_dir: bool) -> Result<Ino, Errno> {
        let (slot, found) = self.seen.place(path, Errno::EXIST)?;
        if found.is_some() {
            return Err(Errno::EXIST);
        }
        let node = self.fresh();
        self.change(Change::Make { slot, node, is_dir });
        self.operations += 1;
        Ok(node)
    }

    fn remove(&mut self, slot: Slot, node: Ino) {
        self.change(Change::Remove { slot, node });
        self.operations += 1;
    }

    fn change(&mut self, change: Change) {
        let is_done = self.seen.apply(&change);
        debug_assert!(is_done, "a change does not fit what its call saw");
        if change
            .file()
            .is_none_or(|file| !self.nameless.contains(&file))
        {
            self.pending.push(change);
        }
    }

    fn fresh(&mut self) -> Ino {
        self.last = Ino(self.last.0 + 1);
        self.last
    }
}

/// The changes that the sync of `node` makes durable and those that are left, both in order.
fn needed(pending: &[Change], node: Ino) -> (Vec<Change>, Vec<Change>) {
    let (mut taken, mut left): (Vec<Change>, Vec<Change>) = (Vec::new(), Vec::new());
    // Backwards, so that what a change depends on is met after it.
    for change in pending.iter().rev() {
        let is_needed = match change.file() {
            Some(file) => file == node,
            None => change.touches(node) || taken.iter().any(|later| later.depends_on(change)),
        };
        let half = if is_needed { &mut taken } else { &mut left };
        half.push(change.clone());
    }
    taken.reverse();
    left.reverse();
    (taken, left)
}

/// Offsets are signed.
fn check_offset(at: u64) -> Result<(), Errno> {
    i64::try_from(at).map(drop).map_err(|_| Errno::INVAL)
}
