//! What is found on a disk after the power was cut.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::contents::{Contents, PAGE_BYTES, Page, page_of};
use super::tree::{Change, Ino, Tree};

/// What a disk writes as one: pages are torn at multiples of this.
const SECTOR_BYTES: usize = 512;

/// What becomes of that which was not made durable when the power is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// All of it is lost.
    Everything,
    /// All of it reached the disk.
    Nothing,
    /// It reached the disk in the order in which it was done, a page at a time, up to a random step.
    Prefix,
    /// Each page that was written and each change of a name reached the disk or did not, whatever
    /// became of the others.
    ///
    /// A page is found as it was last, as it was before or after any earlier write since the last
    /// sync, or torn: up to a multiple of 512 bytes in one of these states, behind it in another. A
    /// length is found old, new, or in between; behind a cut that reached the disk are zeros. A change
    /// of a name that needs another one, which was lost, is lost too, so that what was only moved is
    /// always found. How much is lost on the whole
    /// is random as well, so that images are met in which only one thing is missing.
    Subset,
}

/// What is found, from what is durable and the changes that are not, in order.
pub(super) fn found(durable: &Tree, pending: &[Change], loss: Loss, seed: u64) -> Tree {
    let mut random = Random::new(seed);
    let mut tree = durable.clone();
    let reached = match loss {
        Loss::Everything => 0,
        Loss::Nothing => pending.len(),
        Loss::Prefix => random.below(pending.len() as u64 + 1) as usize,
        Loss::Subset => {
            scatter(&mut tree, pending, &mut random);
            0
        }
    };
    for change in pending.iter().take(reached) {
        tree.apply(change);
    }
    tree.forget_unreachable();
    tree
}

fn scatter(tree: &mut Tree, pending: &[Change], random: &mut Random) {
    let names_kept = Share::new(random);
    let mut of_files: BTreeMap<Ino, Vec<&Change>> = BTreeMap::new();
    for change in pending {
        if let Some(file) = change.file() {
            of_files.entry(file).or_default().push(change);
        } else if names_kept.draw(random) {
            tree.apply(change);
        }
    }
    let bytes_kept = Share::new(random);
    for (file, changes) in of_files {
        let old = tree.contents(file).cloned().unwrap_or_default();
        tree.replace(file, scattered(&old, &changes, bytes_kept, random));
    }
}

/// What is found of a file that held `old` and was changed since.
fn scattered(old: &Contents, changes: &[&Change], kept: Share, random: &mut Random) -> Contents {
    let mut new = old.clone();
    let (mut shortest, mut longest) = (old.len(), old.len());
    let mut versions: BTreeMap<u64, Vec<Page>> = BTreeMap::new();
    for change in changes {
        let index = match change {
            Change::Write {
                index, page, end, ..
            } => {
                new.put(*index, Some(Arc::clone(page)), *end);
                *index
            }
            Change::SetLen { len, .. } => {
                new.set_len(*len);
                page_of(*len).0
            }
            _ => continue,
        };
        versions.entry(index).or_default().push(new.page(index));
        shortest = shortest.min(new.len());
        longest = longest.max(new.len());
    }

    let mut found = old.clone();
    if shortest < old.len() && kept.draw(random) {
        found.set_len(shortest);
    }
    let len = match kept.draw(random) {
        true => new.len(),
        false if random.below(2) == 0 => found.len(),
        false => {
            let (low, high) = (found.len().min(new.len()), longest);
            low + random.below(high - low + 1)
        }
    };
    // Room for every page, whatever the length will be.
    found.set_len(longest);
    for (index, versions) in versions {
        let last = versions.last().cloned().flatten();
        let page = match kept.draw(random) {
            true => last,
            false => earlier(found.page(index), versions, random),
        };
        found.put(index, page, 0);
    }
    found.set_len(len);
    found
}

/// A page that did not reach the disk as it was last: the old one, another version, or two of them in
/// one.
fn earlier(old: Page, versions: Vec<Page>, random: &mut Random) -> Page {
    let n_states = versions.len() as u64 + 1;
    let state = |number: u64| match number.checked_sub(1) {
        None => old.clone(),
        Some(version) => versions.get(version as usize).cloned().flatten(),
    };
    match random.below(3) {
        0 => state(0),
        1 => state(random.below(n_states)),
        _ => {
            let one = random.below(n_states);
            let other = (one + 1 + random.below(n_states - 1)) % n_states;
            let n_sectors = (PAGE_BYTES / SECTOR_BYTES) as u64;
            let at = SECTOR_BYTES * (1 + random.below(n_sectors - 1)) as usize;
            torn(state(one), state(other), at)
        }
    }
}

fn torn(before: Page, behind: Page, at: usize) -> Page {
    let zeros = Arc::new([0; PAGE_BYTES]);
    let mut page = *before.unwrap_or(Arc::clone(&zeros));
    let behind = behind.unwrap_or(zeros);
    if let (Some(to), Some(from)) = (page.get_mut(at..), behind.get(at..)) {
        to.copy_from_slice(from);
    }
    Some(Arc::new(page))
}

/// How much is kept, in eighths: from one to seven.
#[derive(Clone, Copy)]
struct Share(u64);

impl Share {
    fn new(random: &mut Random) -> Self {
        Self(1 + random.below(7))
    }

    fn draw(self, random: &mut Random) -> bool {
        random.below(8) < self.0
    }
}

/// splitmix64: G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators",
/// OOPSLA 2014. Any seed will do, neighbours give unrelated numbers, and the numbers are the same for
/// ever, so a seed in a report finds its image again.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `n`, or 0 for 0. Some are likelier than others by `n` in 2^64.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next().checked_rem(n).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        let mut random = Random::new(1_234_567);
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(expected.map(|_| random.next()), expected);
        assert_eq!((random.below(0), random.below(1)), (0, 0));
    }
}
