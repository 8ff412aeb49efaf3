//! A sample of hits that anybody can draw again: those whose ids have the smallest keyed hashes.
//!
//! Invariant: whether a hit is drawn depends on the seed and on the ids of the hits, and on nothing else.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use crate::error::Result;
use crate::lookup::Lookup;

/// Ids that are hashed between two looks at the token.
const HASHED_AT_ONCE: usize = 1 << 16;

/// The `k` ids that the seed draws, ascending; all if they are fewer.
pub(crate) fn draw(lookup: &Lookup<'_>, ids: Vec<u32>, k: usize, seed: u64) -> Result<Vec<u32>> {
    if k >= ids.len() {
        return Ok(ids);
    }
    let drawn = lookup.pool.in_parts(&ids, HASHED_AT_ONCE, |ids| {
        lookup.check_token()?;
        // Equal hashes are drawn by id.
        let hashed = ids.iter().map(|&id| (hash(id, seed), id));
        Ok(smallest(hashed.collect(), k))
    })?;
    let mut ids: Vec<u32> = smallest(drawn, k).into_iter().map(|(_, id)| id).collect();
    ids.sort_unstable();
    Ok(ids)
}

/// The `k` smallest, in any order.
fn smallest<T: Ord>(mut all: Vec<T>, k: usize) -> Vec<T> {
    if k < all.len() {
        all.select_nth_unstable(k);
        all.truncate(k);
    }
    all
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

    /// Of an implementation of its own, in Python.
    #[test]
    fn the_hash_is_siphash_2_4() {
        assert_eq!(hash(0, 0), 0x7bf5_5e51_b22b_9698);
        assert_eq!(hash(1, 0), 0xbe56_355a_5e40_4435);
        assert_eq!(hash(0, 1), 0x2f75_ec27_2795_ff30);
        assert_eq!(hash(4_294_967_294, 0xdead_beef), 0x8322_81e7_c897_816f);
    }
}
