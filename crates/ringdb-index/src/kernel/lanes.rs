//! The inner loops, once, over a vocabulary of eight `f64` lanes that each instruction set speaks
//! in its own words.
//!
//! Invariant: whatever the vocabulary, the operations and their order are those of the definition,
//! so the bits are too. No fused multiply-add, no intrinsics and no unsafe code here.
//!
//! In plain words, for a chunk of rows:
//!
//! ```text
//! for each row:
//!     sums = 0
//!     for each 8 coordinates x and prepared q:  sums += (x - q)^2, lane by lane
//!     s = tree(sums)
//!     found[n] = id;  n += (lo_s <= s && s <= hi_s)
//! ```
//!
//! The id is always written and the count advances only for a hit: where half of the rows are hits,
//! a branch would be mispredicted for every other row. Rows of at most eight coordinates have a
//! loop of their own; for the others, one row at a time keeps the stream of reads sequential, and
//! the processor overlaps the sums of neighbouring rows by itself.

use super::chunk::{CHUNK_ROWS, Chunk, Prepared};
use super::narrow;
use crate::ring::Thresholds;

/// What an instruction set has to be able to do. The value is a token: having one proves that the
/// processor can.
pub(super) trait Lanes: Copy {
    /// Eight sums in `f64`.
    type Sums: Copy;

    fn zero(self) -> Self::Sums;

    /// Adds `(x_l - q_l)^2` to every lane `l`: convert, subtract, square, add, each rounded.
    fn add_squares(self, sums: Self::Sums, x: &[f32; 8], q: &[f64; 8]) -> Self::Sums;

    /// The same for fewer than eight coordinates, as if `x` went on with zeros; nothing beyond `x`
    /// is read.
    fn add_squares_of_tail(self, sums: Self::Sums, x: &[f32], q: &[f64; 8]) -> Self::Sums;

    /// `((s_0 + s_4) + (s_2 + s_6)) + ((s_1 + s_5) + (s_3 + s_7))`
    fn tree_sum(self, sums: Self::Sums) -> f64;
}

/// Writes the ids of the rows inside the thresholds to the front of `found`, ascending, and returns
/// how many there are; what follows them in `found` is arbitrary.
#[inline(always)]
pub(super) fn hits<L: Lanes>(lanes: L, chunk: &Chunk<'_>, found: &mut [u32; CHUNK_ROWS]) -> usize {
    debug_assert!(chunk.coordinates.len() <= CHUNK_ROWS * chunk.query.dims);
    match chunk.query.dims {
        1 => narrow::hits::<1>(chunk, found),
        2 => narrow::hits::<2>(chunk, found),
        3 => narrow::hits::<3>(chunk, found),
        4 => narrow::hits::<4>(chunk, found),
        5 => narrow::hits::<5>(chunk, found),
        6 => narrow::hits::<6>(chunk, found),
        7 => narrow::hits::<7>(chunk, found),
        8 => narrow::hits::<8>(chunk, found),
        _ => hits_lane_by_lane(lanes, chunk, found),
    }
}

#[inline(always)]
fn hits_lane_by_lane<L: Lanes>(
    lanes: L,
    chunk: &Chunk<'_>,
    found: &mut [u32; CHUNK_ROWS],
) -> usize {
    let Chunk {
        coordinates,
        first_id,
        query,
        thresholds: Thresholds { lo_s, hi_s },
    } = *chunk;
    let mut n = 0;
    for (row, id) in coordinates.chunks_exact(query.dims).zip(first_id..) {
        let s = s64(lanes, row, query);
        // The remainder never acts, as n is at most the number of rows before this one; it spares
        // the loop a bounds check.
        found[n % CHUNK_ROWS] = id;
        n += usize::from((lo_s <= s) & (s <= hi_s));
    }
    n
}

/// The sum of squared differences between one row and the query, with the bits of
/// [`crate::distance::s64`].
#[inline(always)]
pub(super) fn s64<L: Lanes>(lanes: L, row: &[f32], query: &Prepared) -> f64 {
    let (blocks, tail) = row.as_chunks::<8>();
    let mut sums = lanes.zero();
    for (x, q) in blocks.iter().zip(&query.blocks) {
        sums = lanes.add_squares(sums, x, q);
    }
    if let (false, Some(q)) = (tail.is_empty(), query.blocks.last()) {
        sums = lanes.add_squares_of_tail(sums, tail, q);
    }
    lanes.tree_sum(sums)
}
