//! The inner loops over prefixes, once, over a dot product that each instruction set has in its own words.
//!
//! Invariant: as with codes, dot products are exact integers and all kernels reach the same verdicts. In plain
//! words, for a chunk of tiles:
//!
//! ```text
//! for each tile with unsure rows:       one stream of reads, no call
//!     dots = prefixes . p               sixteen rows at once
//!     inside, unsure = judge(dots)      a bit for each row
//! ```
//!
//! The rows that are left unsure are those that the loops over codes then look at.

use super::codes::{CodeLanes, Judged, Masks};
use crate::code::{Line, TILE_ROWS, sides};
use crate::prefix::{PrefixQuery, PrefixTail, estimate_prefix, tail_lines};

/// What an instruction set has to be able to do with prefixes.
pub(super) trait PrefixLanes: CodeLanes {
    /// The dot products of sixteen rows of prefixes, as they are stored, with the query.
    fn nibble_dots(self, codes: &[Line], query: &PrefixQuery) -> [i32; TILE_ROWS];

    /// The verdicts on sixteen rows.
    #[inline(always)]
    fn judge_prefix(self, tail: &[Line], query: &PrefixQuery, dots: &[i32; TILE_ROWS]) -> Masks {
        judge(tail, query, dots)
    }
}

/// Consecutive tiles of prefixes, as many as a chunk of codes has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PrefixChunk<'a> {
    /// Whole tiles.
    pub(crate) tiles: &'a [Line],
    pub(crate) query: &'a PrefixQuery,
}

/// Every row that is unsure by its prefix.
#[inline(always)]
pub(super) fn judge_prefixes<L: PrefixLanes>(
    lanes: L,
    chunk: &PrefixChunk<'_>,
    judged: &mut Judged,
) {
    let query = chunk.query;
    let lines = query.groups + tail_lines(query.is_rotated);
    for (i, tile) in chunk.tiles.chunks_exact(lines).enumerate() {
        if judged.unsure_in(i) == 0 {
            continue;
        }
        let (codes, tail) = tile.split_at(query.groups);
        let dots = lanes.nibble_dots(codes, query);
        judged.narrow(i, lanes.judge_prefix(tail, query, &dots));
    }
}

/// The verdicts on a tile in plain code, for instruction sets that leave them to the compiler.
#[inline(always)]
fn judge(tail: &[Line], query: &PrefixQuery, dots: &[i32; TILE_ROWS]) -> Masks {
    let tail = PrefixTail::read(tail);
    let mut masks = Masks {
        inside: 0,
        unsure: 0,
    };
    for (r, &dot) in dots.iter().enumerate() {
        let row = [tail.norms_sq[r], tail.steps[r], tail.betas[r]];
        let (t, e) = estimate_prefix(&query.tier, row, tail.rests[r], dot as f32);
        let (is_outside, is_inside) = sides(&query.limits, t, e);
        masks.inside |= u16::from(is_inside) << r;
        masks.unsure |= u16::from(!(is_outside | is_inside)) << r;
    }
    masks
}
