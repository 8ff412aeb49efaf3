//! The rules of the simulated disk, one by one, and then all of them at random.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::contents::PAGE_BYTES;
use super::*;
use crate::disk::write_all_at;

mod power;
mod system;
mod at_random;

const LOSSES: [Loss; 4] = [Loss::Everything, Loss::Nothing, Loss::Prefix, Loss::Subset];

/// Every path with what the file holds; directories hold nothing.
type Listing = BTreeMap<PathBuf, Option<Vec<u8>>>;

fn listing(disk: &SimDisk) -> Listing {
    let mut found = Listing::new();
    let mut dirs = vec![PathBuf::from("/")];
    while let Some(dir) = dirs.pop() {
        for name in disk.list(&dir).unwrap() {
            let path = dir.join(name);
            match disk.kind(&path).unwrap() {
                FileKind::Dir => {
                    dirs.push(path.clone());
                    found.insert(path, None);
                }
                _ => {
                    let bytes = read(disk, &path).unwrap();
                    found.insert(path, Some(bytes));
                }
            }
        }
    }
    found
}

/// The listing of so many images.
fn images(disk: &SimDisk, loss: Loss, n: u64) -> impl Iterator<Item = Listing> {
    (0..n).map(move |seed| listing(&disk.after_power_cut(loss, seed)))
}

fn read(disk: &SimDisk, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let file = disk.open(path.as_ref())?;
    let mut bytes = vec![0xAA; file.about()?.1 as usize];
    assert_eq!(file.read_at(&mut bytes, 0)?, bytes.len());
    Ok(bytes)
}

fn write(disk: &SimDisk, path: &str, bytes: &[u8]) -> Box<dyn DiskFile> {
    let file = disk.open_or_create(path.as_ref()).unwrap();
    write_all_at(&*file, bytes, 0).unwrap();
    file
}

fn write_synced(disk: &SimDisk, path: &str, bytes: &[u8]) {
    write(disk, path, bytes).sync().unwrap();
}

fn make_dir(disk: &SimDisk, dir: &str) {
    disk.create_dir(dir.as_ref(), DirAccess::Ordinary).unwrap();
}

fn sync_dir(disk: &SimDisk, dir: impl AsRef<Path>) {
    disk.open_dir(dir.as_ref()).unwrap().sync().unwrap();
}

fn rename(disk: &SimDisk, from: &str, to: &str) {
    let replaced = Target::Replaced;
    disk.rename(from.as_ref(), to.as_ref(), replaced).unwrap();
}

fn kind_of<T>(result: io::Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

fn file(path: &str, bytes: &[u8]) -> (PathBuf, Option<Vec<u8>>) {
    (path.into(), Some(bytes.to_vec()))
}

/// A careless program: no sync before its rename.
fn careless() -> SimDisk {
    let disk = SimDisk::new();
    write_synced(&disk, "/name", b"old");
    sync_dir(&disk, "/");
    write(&disk, "/temporary", b"new!");
    rename(&disk, "/temporary", "/name");
    disk
}
