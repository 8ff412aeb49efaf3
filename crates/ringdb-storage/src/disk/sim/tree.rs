//! One state of a simulated file system, and the changes that lead from it to the next.
//!
//! A disk keeps two of these trees, what programs see and what is durable, and makes further ones
//! after a power cut. A change names its files and directories by number and is refused where the
//! names are not as it found them: of changes that were made one after another, any can reach the disk
//! without those before it.
//!
//! Invariant: a file or directory has at most one name, no directory lies within itself, and what a
//! path led to loses its path by nothing but the removal or replacement of its name.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Component, Path};
use std::sync::Arc;

use rustix::io::Errno;

use super::contents::{Contents, PAGE_BYTES};

/// The number of a file or directory, never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ino(pub(super) u64);

pub(super) const ROOT: Ino = Ino(0);

pub(super) type Names = BTreeMap<Arc<OsStr>, Ino>;

#[derive(Debug, Clone)]
enum Node {
    Dir(Arc<Names>),
    File(Arc<Contents>),
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) dir: Ino,
    pub(super) name: Arc<OsStr>,
}

/// What reaches the disk as one or not at all.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// A new file or directory, empty.
    Make { slot: Slot, node: Ino, is_dir: bool },
    /// Another name, in place of what had it.
    Rename {
        from: Slot,
        to: Slot,
        node: Ino,
        replaced: Option<Ino>,
    },
    /// A name is gone.
    Remove { slot: Slot, node: Ino },
    /// One page of a file as a write left it; the file reaches to `end` at least.
    Write {
        file: Ino,
        index: u64,
        page: Arc<[u8; PAGE_BYTES]>,
        end: u64,
    },
    /// Another length.
    SetLen { file: Ino, len: u64 },
}

impl Change {
    /// The file whose bytes change.
    pub(super) fn file(&self) -> Option<Ino> {
        match self {
            Self::Write { file, .. } | Self::SetLen { file, .. } => Some(*file),
            _ => None,
        }
    }

    /// Whether names in `dir` change.
    pub(super) fn touches(&self, dir: Ino) -> bool {
        self.slots().any(|slot| slot.dir == dir)
    }

    /// Whether this change needs `earlier`: it uses the same name, or takes away a directory in which
    /// `earlier` changed names.
    pub(super) fn depends_on(&self, earlier: &Self) -> bool {
        let same_name = |slot| earlier.slots().any(|other| other == slot);
        self.slots().any(same_name) || self.ended().is_some_and(|node| earlier.touches(node))
    }

    fn slots(&self) -> impl Iterator<Item = &Slot> {
        let (one, other) = match self {
            Self::Make { slot, .. } | Self::Remove { slot, .. } => (Some(slot), None),
            Self::Rename { from, to, .. } => (Some(from), Some(to)),
            Self::Write { .. } | Self::SetLen { .. } => (None, None),
        };
        one.into_iter().chain(other)
    }

    /// What has no name afterwards.
    fn ended(&self) -> Option<Ino> {
        match self {
            Self::Remove { node, .. } => Some(*node),
            Self::Rename { replaced, .. } => *replaced,
            _ => None,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Tree {
    /// Also those without a name: an opening may hold them, or a later change name them.
    nodes: BTreeMap<Ino, Node>,
}

impl Tree {
    pub(super) fn new() -> Self {
        let root = Node::Dir(Arc::default());
        Self {
            nodes: BTreeMap::from([(ROOT, root)]),
        }
    }

    /// What has this path.
    pub(super) fn find(&self, path: &Path) -> Result<Ino, Errno> {
        names_of(path)?.try_fold(ROOT, |dir, name| {
            self.enter(dir, name?)?.ok_or(Errno::NOENT)
        })
    }

    /// The directory and name of this path, and what stands there. `of_root` is the error for `/`,
    /// which has no name.
    pub(super) fn place(&self, path: &Path, of_root: Errno) -> Result<(Slot, Option<Ino>), Errno> {
        let mut names = names_of(path)?.collect::<Result<Vec<_>, _>>()?;
        let name = names.pop().ok_or(of_root)?;
        let dir = names
            .into_iter()
            .try_fold(ROOT, |dir, name| self.enter(dir, name)?.ok_or(Errno::NOENT))?;
        let found = self.enter(dir, name)?;
        let name = Arc::from(name);
        Ok((Slot { dir, name }, found))
    }

    fn enter(&self, dir: Ino, name: &OsStr) -> Result<Option<Ino>, Errno> {
        let names = self.names(dir).ok_or(Errno::NOTDIR)?;
        Ok(names.get(name).copied())
    }

    /// The names in a directory; none if it is something else.
    pub(super) fn names(&self, dir: Ino) -> Option<&Names> {
        match self.nodes.get(&dir) {
            Some(Node::Dir(names)) => Some(names),
            _ => None,
        }
    }

    /// What a file holds; none if it is something else.
    pub(super) fn contents(&self, file: Ino) -> Option<&Contents> {
        match self.nodes.get(&file) {
            Some(Node::File(contents)) => Some(contents),
            _ => None,
        }
    }

    /// Whether `sought` is `top` or lies below it.
    pub(super) fn contains(&self, top: Ino, sought: Ino) -> bool {
        let below = || self.names(top).into_iter().flat_map(BTreeMap::values);
        top == sought || below().any(|&node| self.contains(node, sought))
    }

    /// Whether it may lose its name: it is no directory, or one without names in it.
    pub(super) fn can_end(&self, node: Ino) -> bool {
        self.names(node).is_none_or(BTreeMap::is_empty)
    }

    /// Makes the change, or returns false if the names that it uses are not as it found them: what was
    /// only moved must not get lost because something else was kept.
    pub(super) fn apply(&mut self, change: &Change) -> bool {
        match change {
            Change::Make { slot, node, is_dir } => {
                self.at(slot).is_none()
                    && !self.contains(*node, slot.dir)
                    && self.make(slot, *node, *is_dir)
            }
            Change::Rename {
                from,
                to,
                node,
                replaced,
            } => {
                let is_as_found = self.at(from) == Some(*node) && self.at(to) == *replaced;
                is_as_found
                    && replaced.is_none_or(|there| self.can_end(there))
                    && self.can_move(*node, from.dir, to.dir)
                    && self.set(to, Some(*node))
                    && self.set(from, None)
            }
            Change::Remove { slot, node } => {
                self.at(slot) == Some(*node) && self.can_end(*node) && self.set(slot, None)
            }
            Change::Write {
                file,
                index,
                page,
                end,
            } => self.with_contents(*file, |contents| {
                contents.put(*index, Some(Arc::clone(page)), *end);
            }),
            Change::SetLen { file, len } => {
                self.with_contents(*file, |contents| contents.set_len(*len))
            }
        }
    }

    fn make(&mut self, slot: &Slot, node: Ino, is_dir: bool) -> bool {
        // Bytes and names can have become durable before the name of what holds them.
        self.nodes.entry(node).or_insert_with(|| match is_dir {
            true => Node::Dir(Arc::default()),
            false => Node::File(Arc::default()),
        });
        self.set(slot, Some(node))
    }

    /// Whether `node` would neither lie in itself nor leave the root for a directory that no path
    /// leads to.
    fn can_move(&self, node: Ino, from: Ino, to: Ino) -> bool {
        let is_reachable = |dir| self.contains(ROOT, dir);
        !self.contains(node, to) && (is_reachable(to) || !is_reachable(from))
    }

    fn at(&self, slot: &Slot) -> Option<Ino> {
        self.names(slot.dir)?.get(&slot.name).copied()
    }

    fn set(&mut self, slot: &Slot, node: Option<Ino>) -> bool {
        let dir = self.nodes.entry(slot.dir);
        let Node::Dir(names) = dir.or_insert_with(|| Node::Dir(Arc::default())) else {
            return false;
        };
        let names = Arc::make_mut(names);
        match node {
            Some(node) => names.insert(Arc::clone(&slot.name), node),
            None => names.remove(&slot.name),
        };
        true
    }

    fn with_contents(&mut self, file: Ino, change: impl FnOnce(&mut Contents)) -> bool {
        let file = self.nodes.entry(file);
        let Node::File(contents) = file.or_insert_with(|| Node::File(Arc::default())) else {
            return false;
        };
        change(Arc::make_mut(contents));
        true
    }

    /// Puts other contents in place of those of a file.
    pub(super) fn replace(&mut self, file: Ino, contents: Contents) {
        self.nodes.insert(file, Node::File(Arc::new(contents)));
    }

    /// Makes a file without a name.
    pub(super) fn make_nameless(&mut self, file: Ino) {
        self.replace(file, Contents::default());
    }

    /// Takes away a file that nothing refers to.
    pub(super) fn forget(&mut self, file: Ino) {
        self.nodes.remove(&file);
    }

    /// Takes away all that no path leads to.
    pub(super) fn forget_unreachable(&mut self) {
        let mut reachable = BTreeMap::new();
        let mut next = vec![ROOT];
        while let Some(ino) = next.pop() {
            next.extend(self.names(ino).into_iter().flat_map(BTreeMap::values));
            reachable.extend(self.nodes.remove_entry(&ino));
        }
        self.nodes = reachable;
    }
}

/// The names of a path below the root. Paths that are relative or lead upwards are refused: a
/// simulated disk knows no working directory, and no program that is tested here needs `..`.
fn names_of(path: &Path) -> Result<impl Iterator<Item = Result<&OsStr, Errno>>, Errno> {
    let mut components = path.components();
    if components.next() != Some(Component::RootDir) {
        return Err(Errno::INVAL);
    }
    Ok(components.map(|component| match component {
        Component::Normal(name) => Ok(name),
        _ => Err(Errno::INVAL),
    }))
}
