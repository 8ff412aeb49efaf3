//! A sample of hits that anybody can draw again: those whose ids have the smallest keyed hashes.
//!
//! Invariant: whether a hit is drawn depends on the seed and on the ids of the hits, and on nothing else.

use std::collections::BinaryHeap;
use std::hash::Hasher;

use siphasher::sip::SipHasher24;

/// The `k` ids that the seed draws, ascending; all if they are fewer.
pub(crate) fn draw(ids: Vec<u32>, k: usize, seed: u64) -> Vec<u32> {
    if k >= ids.len() {
        return ids;
    }
    // The largest one first; equal hashes are drawn by id.
    let mut drawn: BinaryHeap<(u64, u32)> = BinaryHeap::with_capacity(k);
    for id in ids {
        let hashed = (hash(id, seed), id);
        if drawn.len() < k {
            drawn.push(hashed);
        } else if let Some(mut largest) = drawn.peek_mut()
            && hashed < *largest
        {
            *largest = hashed;
        }
    }
    let mut ids: Vec<u32> = drawn.into_iter().map(|(_, id)| id).collect();
    ids.sort_unstable();
    ids
}

/// SipHash-2-4 of the four little-endian bytes of an id, under the key of seed and 0.
fn hash(id: u32, seed: u64) -> u64 {
    let mut hasher = SipHasher24::new_with_keys(seed, 0);
    hasher.write(&id.to_le_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_drawn_as_often_as_another() {
        let (rows, k, seeds) = (100_u32, 10, 2_000_u64);
        let mut drawn = vec![0_u32; rows as usize];
        for seed in 0..seeds {
            let ids = draw((0..rows).map(|i| i * 7).collect(), k, seed);
            assert_eq!(ids.len(), k);
            assert!(ids.is_sorted_by(|a, b| a < b));
            ids.iter().for_each(|id| drawn[(id / 7) as usize] += 1);
        }
        let share = k as f64 / f64::from(rows);
        let expected = seeds as f64 * share;
        let off = drawn.iter().map(|&n| (f64::from(n) - expected).powi(2));
        // Draws without replacement vary less, by the share that is not drawn.
        let chi_square = off.sum::<f64>() / (expected * (1.0 - share));
        // The quantiles 0.001 and 0.999 of chi-square with 99 degrees of freedom.
        assert!((61.1..148.2).contains(&chi_square), "{chi_square}");
    }

    /// Of an implementation of its own, in Python.
    #[test]
    fn the_hash_is_siphash_2_4() {
        assert_eq!(hash(0, 0), 0x7bf5_5e51_b22b_9698);
        assert_eq!(hash(1, 0), 0xbe56_355a_5e40_4435);
        assert_eq!(hash(0, 1), 0x2f75_ec27_2795_ff30);
        assert_eq!(hash(4_294_967_294, 0xdead_beef), 0x8322_81e7_c897_816f);
    }
}
