//! The inner loop for rows of at most eight coordinates, which lie in registers side by side rather
//! than lane by lane.
//!
//! Invariant: the bits of the definition. No lane of such a row sums more than one square, so the
//! squares are the lanes and only the tree is left; the zeros of missing lanes change no bit of a
//! sum that is never negative.
//!
//! Plain Rust without intrinsics: as the number of coordinates is a constant, the compiler spreads
//! neighbouring rows over vectors of whatever width the calling function allows. Lane by lane, the
//! same rows took up to five times longer (20 million rows of 3 coordinates, two threads: 82 ms
//! instead of 16). The loops are written out because a closure is compiled without the caller's
//! instruction set, which undoes all of it.

use super::chunk::{CHUNK_ROWS, Chunk};
use crate::ring::Thresholds;

/// Rows that are compared together, before any id is written.
const GROUP_ROWS: usize = 16;

/// Writes the ids of the hits to the front of `found` and returns how many there are, for a query
/// of `D` coordinates.
#[inline(always)]
pub(super) fn hits<const D: usize>(chunk: &Chunk<'_>, found: &mut [u32; CHUNK_ROWS]) -> usize {
    let mut q = [0.0; D];
    for (q, &value) in q.iter_mut().zip(chunk.query.blocks.as_flattened()) {
        *q = value;
    }
    let Thresholds { lo_s, hi_s } = chunk.thresholds;
    let (rows, _) = chunk.coordinates.as_chunks::<D>();
    let (groups, rest) = rows.as_chunks::<GROUP_ROWS>();
    let mut n = 0;
    let mut id = chunk.first_id;
    // The remainders never act, as n is at most the number of rows before this one; they spare the
    // loops a bounds check.
    for group in groups {
        let mut inside = [false; GROUP_ROWS];
        for (inside, row) in inside.iter_mut().zip(group) {
            let s = s64(row, &q);
            *inside = (lo_s <= s) & (s <= hi_s);
        }
        for inside in inside {
            found[n % CHUNK_ROWS] = id;
            n += usize::from(inside);
            id += 1;
        }
    }
    for row in rest {
        let s = s64(row, &q);
        found[n % CHUNK_ROWS] = id;
        n += usize::from((lo_s <= s) & (s <= hi_s));
        id += 1;
    }
    n
}

#[inline(always)]
fn s64<const D: usize>(x: &[f32; D], q: &[f64; D]) -> f64 {
    let mut s = [0.0; 8];
    for l in 0..D {
        let difference = f64::from(x[l]) - q[l];
        s[l] = difference * difference;
    }
    tree(&s)
}

/// The tree of the definition.
#[inline(always)]
pub(super) fn tree(s: &[f64; 8]) -> f64 {
    ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}
