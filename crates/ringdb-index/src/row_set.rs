//! A set of rows that a search is confined to: those of a set of ids, or all others.
//!
//! Invariant: what is allowed depends on the ids alone. Nothing here knows how many rows there are; a
//! [`Segment`](crate::Segment) checks that.

use std::fmt;
use std::ops::{Not, Range};
use std::sync::OnceLock;

use roaring::RoaringBitmap;

use crate::code::TILE_ROWS;
use crate::kernel::existing;

const WORD: usize = u64::BITS as usize;

/// Fewer ids are looked up one by one, in so few containers that it takes no longer.
const BITS_MIN: u64 = 4_096;

/// A set with fewer ids than one of so many rows is no bit for each row, which would take longer to make than it saves.
const BITS_SHARE: u64 = 1_024;

/// Rows that may be found, by their ids, which are kept compressed: for each 65 536 rows, runs of ids, two bytes for each
/// id, or 8 KB, whichever is least. A set of many ids keeps a bit for each row as well once it is used, up to its largest id.
///
/// ```
/// use ringdb_index::RowSet;
///
/// let evens = RowSet::allow((0..100).step_by(2));
/// assert!(evens.allows(4) && !evens.allows(5));
/// let odds = !evens;
/// assert!(!odds.allows(4) && odds.allows(5));
/// assert!(!RowSet::deny([7]).allows(7));
/// ```
#[derive(Clone)]
pub struct RowSet {
    ids: RoaringBitmap,
    /// Whether the ids are those that may not be found.
    denies: bool,
    /// The same ids, a bit for each row, for sets of many.
    bits: OnceLock<Option<Vec<u64>>>,
}

impl RowSet {
    /// These rows and no others; in any order, and each any number of times.
    #[must_use]
    pub fn allow(ids: impl IntoIterator<Item = u32>) -> Self {
        let mut ids: RoaringBitmap = ids.into_iter().collect();
        ids.optimize();
        Self {
            ids,
            denies: false,
            bits: OnceLock::new(),
        }
    }

    /// All rows but these.
    #[must_use]
    pub fn deny(ids: impl IntoIterator<Item = u32>) -> Self {
        !Self::allow(ids)
    }

    /// Whether the row with this id may be found.
    #[must_use]
    pub fn allows(&self, id: u32) -> bool {
        let is_one = match self.bits() {
            Some(bits) => bits
                .get(id as usize / WORD)
                .is_some_and(|word| word >> (id as usize % WORD) & 1 == 1),
            None => self.ids.contains(id),
        };
        is_one != self.denies
    }

    /// A bit for each row up to the largest id, if they are worth it.
    fn bits(&self) -> Option<&[u64]> {
        let bits = self.bits.get_or_init(|| {
            let rows = u64::from(self.ids.max()?) + 1;
            if self.ids.len() < BITS_MIN.max(rows / BITS_SHARE) {
                return None;
            }
            let mut bits = vec![0_u64; (rows as usize).div_ceil(WORD)];
            for id in &self.ids {
                bits[id as usize / WORD] |= 1 << (id as usize % WORD);
            }
            Some(bits)
        });
        bits.as_deref()
    }

    /// The largest id that was given.
    pub(crate) fn largest(&self) -> Option<u32> {
        self.ids.max()
    }

    /// How many of so many rows may be found; ids of others do not count.
    #[must_use]
    pub fn allowed(&self, rows: usize) -> usize {
        // Those below `rows`, so at most as many.
        let ids = match u32::try_from(rows) {
            Ok(rows) => self.ids.range_cardinality(..rows),
            Err(_) => self.ids.len(),
        };
        let ids = ids as usize;
        if self.denies { rows - ids } else { ids }
    }

    /// Sets a bit for each of these rows that may be found, sixteen rows to a mask, and returns how many there are. The
    /// bits of rows that do not exist are not set.
    pub(crate) fn masks(&self, rows: Range<usize>, masks: &mut [u16]) -> usize {
        if let Some(bits) = self.bits() {
            return self.masks_of_bits(bits, rows, masks);
        }
        let mut left = rows.len();
        for mask in &mut *masks {
            *mask = if self.denies { existing(left) } else { 0 };
            left = left.saturating_sub(TILE_ROWS);
        }
        // Positions of rows are ids.
        let mut ids = self.ids.range(rows.start as u32..rows.end as u32);
        let mut n_ids = 0;
        while let Some(run) = ids.next_range() {
            let run = *run.start() as usize - rows.start..*run.end() as usize + 1 - rows.start;
            n_ids += run.len();
            flip(run, masks);
        }
        if self.denies {
            rows.len() - n_ids
        } else {
            n_ids
        }
    }

    fn masks_of_bits(&self, bits: &[u64], rows: Range<usize>, masks: &mut [u16]) -> usize {
        let (shift, mut word) = (rows.start % WORD, rows.start / WORD);
        let here = word.min(bits.len())..rows.end.div_ceil(WORD).min(bits.len());
        if !self.denies && bits[here].iter().all(|&word| word == 0) {
            masks.fill(0);
            return 0;
        }
        let (mut left, mut n) = (rows.len(), 0);
        for masks in masks.chunks_mut(WORD / TILE_ROWS) {
            let of = |word: usize| bits.get(word).copied().unwrap_or(0);
            // In two steps, as a shift by all bits is none.
            let four = of(word) >> shift | of(word + 1) << 1 << (WORD - 1 - shift);
            for (i, mask) in masks.iter_mut().enumerate() {
                let ids = (four >> (i * TILE_ROWS)) as u16;
                *mask = existing(left) & if self.denies { !ids } else { ids };
                n += mask.count_ones() as usize;
                left = left.saturating_sub(TILE_ROWS);
            }
            word += 1;
        }
        n
    }
}

/// Flips the bits of a run of rows.
fn flip(mut run: Range<usize>, masks: &mut [u16]) {
    while !run.is_empty() {
        let first = run.start % TILE_ROWS;
        let n = run.len().min(TILE_ROWS - first);
        masks[run.start / TILE_ROWS] ^= existing(n) << first;
        run.start += n;
    }
}

/// The rows that this one leaves out.
impl Not for RowSet {
    type Output = Self;

    fn not(self) -> Self {
        Self {
            denies: !self.denies,
            ..self
        }
    }
}

impl PartialEq for RowSet {
    fn eq(&self, other: &Self) -> bool {
        self.ids == other.ids && self.denies == other.denies
    }
}

impl fmt::Debug for RowSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.denies { "deny" } else { "allow" };
        write!(f, "RowSet({verb} {} ids)", self.ids.len())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    const SEED: u64 = 0x726f_7773;

    #[test]
    fn masks_are_those_of_the_ids() {
        println!("seed {SEED:#x}");
        let mut rng = SmallRng::seed_from_u64(SEED);
        for share in [0.0, 0.001, 0.3, 0.9, 1.0] {
            // Some of them in runs, over the borders of two containers.
            let mut ids: Vec<u32> = (60_000..140_000)
                .filter(|_| rng.random_bool(share))
                .collect();
            ids.extend(100_100..100_300);
            if share == 0.001 {
                // Too few among so many rows for a bit each.
                ids.extend((65_536..75_536).step_by(2));
                ids.push(20_000_000);
            }
            let given: HashSet<u32> = ids.iter().copied().collect();
            for (set, denies) in [
                (RowSet::allow(ids.clone()), false),
                (RowSet::deny(ids.clone()), true),
            ] {
                assert_eq!(set.bits().is_some(), share > 0.1);
                for rows in [0..2_048, 65_500..67_548, 100_007..100_290, 131_072..131_075] {
                    let mut masks = [0x5555; 128];
                    let n = set.masks(rows.clone(), &mut masks);
                    let mut expected = 0;
                    for r in 0..128 * TILE_ROWS {
                        let id = (rows.start + r) as u32;
                        assert_eq!(set.allows(id), given.contains(&id) != denies, "{id}");
                        let is_allowed = r < rows.len() && set.allows(id);
                        expected += usize::from(is_allowed);
                        let bit = masks[r / TILE_ROWS] >> (r % TILE_ROWS) & 1 == 1;
                        assert_eq!(bit, is_allowed, "{set:?}, row {id}");
                    }
                    assert_eq!(n, expected, "{set:?}, {rows:?}");
                }
                let all = set.masks(0..140_000, &mut vec![0; 140_000_usize.div_ceil(TILE_ROWS)]);
                assert_eq!(all, set.allowed(140_000));
            }
        }
    }
}
