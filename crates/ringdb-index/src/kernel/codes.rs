//! The inner loops over codes, once, over a vocabulary of dot products that each instruction set speaks
//! in its own words.
//!
//! Invariant: dot products are exact integers and every floating-point operation is one that IEEE 754
//! rounds correctly, so all kernels reach the same verdicts. A verdict is a proof; a row without one is
//! looked at again, with its fine code and then its coordinates.
//!
//! In plain words, for a chunk of tiles:
//!
//! ```text
//! for each tile:                        one stream of reads, no call
//!     dots = codes . p                  sixteen rows at once
//!     inside, unsure = judge(dots)      a bit for each row
//! for each unsure row:                  fetched some rows ahead
//!     dot = 254 dots[row] + fine . p
//!     inside, unsure = judge(dot)
//! for each row still unsure:            likewise
//!     inside = lo_s <= s64 && s64 <= hi_s
//! ```
//!
//! Rows are picked out in passes over the whole chunk, so that many reads of single rows are under way
//! at once.

use super::chunk::{CHUNK_ROWS, Prepared};
use super::lanes::{self, Lanes};
use crate::code::{
    BATCH_QUERIES, CodeBatch, CodeQuery, Line, TAIL_LINES, TILE_ROWS, TileTail, Verdict, step_from,
    verdict,
};
use crate::ring::Thresholds;

/// The most tiles that a kernel takes at once.
pub(crate) const CHUNK_TILES: usize = CHUNK_ROWS / TILE_ROWS;

/// How many rows ahead single rows are asked for: enough to cover the time of a read from memory.
const AHEAD: usize = 24;

/// What an instruction set has to be able to do with codes.
pub(super) trait CodeLanes: Lanes {
    /// The dot products of sixteen rows of codes, as they are stored, with the query; wrapping.
    fn dots(self, codes: &[Line], query: &CodeQuery) -> [i32; TILE_ROWS];

    /// The same for each query of a batch.
    #[inline(always)]
    fn dots_of_batch(
        self,
        codes: &[Line],
        batch: &CodeBatch<'_>,
    ) -> [[i32; TILE_ROWS]; BATCH_QUERIES] {
        let mut dots = [[0; TILE_ROWS]; BATCH_QUERIES];
        for (dots, query) in dots.iter_mut().zip(batch.queries) {
            *dots = self.dots(codes, query);
        }
        dots
    }

    /// The verdicts on sixteen rows.
    #[inline(always)]
    fn judge(self, tail: &[Line; TAIL_LINES], query: &CodeQuery, dots: &[i32; TILE_ROWS]) -> Masks {
        judge(tail, query, dots)
    }

    /// The dot product of a row of fine codes, as they are stored, with the query; wrapping.
    fn fine_dot(self, codes: &[u8], query: &CodeQuery) -> i32;

    /// Asks for values that will be read soon.
    fn prefetch<T>(self, values: &[T]);
}

/// A bit for each row of a tile; a row with neither is outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Masks {
    pub(crate) inside: u16,
    pub(crate) unsure: u16,
}

/// Consecutive tiles, at most [`CHUNK_TILES`], with what belongs to their rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CodeChunk<'a> {
    /// Whole tiles.
    pub(crate) tiles: &'a [Line],
    /// The first row.
    pub(crate) first: usize,
    /// Rows that exist; those of the last tile beyond them have no verdict.
    pub(crate) rows: usize,
    pub(crate) query: &'a CodeQuery,
}

/// What is known of the rows of a chunk.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) masks: [Masks; CHUNK_TILES],
    pub(super) dots: [[i32; TILE_ROWS]; CHUNK_TILES],
}

impl Judged {
    pub(crate) fn new() -> Self {
        let nothing = Masks {
            inside: 0,
            unsure: 0,
        };
        Self {
            masks: [nothing; CHUNK_TILES],
            dots: [[0; TILE_ROWS]; CHUNK_TILES],
        }
    }

    /// Writes the rows of the chunk that are unsure to the front of `unsure`, ascending, and returns how
    /// many there are.
    pub(crate) fn unsure(&self, tiles: usize, unsure: &mut [u16; CHUNK_ROWS]) -> usize {
        let mut n = 0;
        for (masks, first) in self.masks[..tiles].iter().zip((0..).step_by(TILE_ROWS)) {
            let mut left = masks.unsure;
            while left != 0 {
                unsure[n % CHUNK_ROWS] = first + left.trailing_zeros() as u16;
                n += 1;
                left &= left - 1;
            }
        }
        n
    }

    /// How many rows are inside.
    pub(crate) fn count(&self, tiles: usize) -> usize {
        let inside = self.masks[..tiles].iter();
        inside.map(|masks| masks.inside.count_ones() as usize).sum()
    }

    /// Appends the ids of the rows inside, ascending; `first` is that of the chunk's first row.
    pub(crate) fn extend_ids(&self, tiles: usize, first: u32, ids: &mut Vec<u32>) {
        ids.reserve(self.count(tiles));
        for (masks, first) in self.masks[..tiles].iter().zip((first..).step_by(TILE_ROWS)) {
            let mut left = masks.inside;
            while left != 0 {
                ids.push(first + left.trailing_zeros());
                left &= left - 1;
            }
        }
    }

    /// Marks a row as inside.
    #[inline(always)]
    fn set_inside(&mut self, row: u16) {
        let row = usize::from(row) % CHUNK_ROWS;
        self.masks[row / TILE_ROWS].inside |= 1 << (row % TILE_ROWS);
    }
}

/// The first look: every row of the chunk by its code.
#[inline(always)]
pub(super) fn judge_tiles<L: CodeLanes>(lanes: L, chunk: &CodeChunk<'_>, judged: &mut Judged) {
    let query = chunk.query;
    let places = judged.masks.iter_mut().zip(&mut judged.dots);
    let tiles = chunk.tiles.chunks_exact(query.groups + TAIL_LINES);
    let mut left = chunk.rows;
    for (tile, (masks, dots)) in tiles.zip(places) {
        let Some((codes, tail)) = tile.split_last_chunk::<TAIL_LINES>() else {
            return;
        };
        *dots = lanes.dots(codes, query);
        let found = lanes.judge(tail, query, dots);
        let exist = existing(left);
        *masks = Masks {
            inside: found.inside & exist,
            unsure: found.unsure & exist,
        };
        left = left.saturating_sub(TILE_ROWS);
    }
}

/// The first look of all queries of a batch: each tile is read once.
#[inline(always)]
pub(super) fn judge_batch<L: CodeLanes>(
    lanes: L,
    tiles: &[Line],
    rows: usize,
    batch: &CodeBatch<'_>,
    judged: &mut [Judged; BATCH_QUERIES],
) {
    let tiles = tiles.chunks_exact(batch.planes.len() + TAIL_LINES);
    let mut left = rows;
    for (i, tile) in tiles.enumerate().take(CHUNK_TILES) {
        let Some((codes, tail)) = tile.split_last_chunk::<TAIL_LINES>() else {
            return;
        };
        let dots = lanes.dots_of_batch(codes, batch);
        let exist = existing(left);
        for ((judged, query), dots) in judged.iter_mut().zip(batch.queries).zip(&dots) {
            let found = lanes.judge(tail, query, dots);
            let masks = Masks {
                inside: found.inside & exist,
                unsure: found.unsure & exist,
            };
            judged.masks[i] = masks;
            // They are looked at where a row is unsure only.
            if masks.unsure != 0 {
                judged.dots[i] = *dots;
            }
        }
        left = left.saturating_sub(TILE_ROWS);
    }
}

/// A bit for each row of a tile that exists, if so many are left.
#[inline(always)]
fn existing(left: usize) -> u16 {
    match left {
        TILE_ROWS.. => u16::MAX,
        _ => (1 << left) - 1,
    }
}

/// The second look: the rows `unsure` of the chunk, ascending, by their fine codes. Writes those that
/// are unsure still to the front of `left` and returns how many there are.
#[inline(always)]
pub(super) fn judge_fine<L: CodeLanes>(
    lanes: L,
    chunk: &CodeChunk<'_>,
    fine: &[u8],
    unsure: &[u16],
    judged: &mut Judged,
    left: &mut [u16; CHUNK_ROWS],
) -> usize {
    let CodeChunk { tiles, query, .. } = *chunk;
    let stride = fine.len() / chunk.rows.max(1);
    let codes_of = |row: u16| &fine[usize::from(row) * stride..][..stride];
    let tile_lines = query.groups + TAIL_LINES;
    let mut n = 0;
    for (i, &row) in unsure.iter().enumerate() {
        if let Some(&ahead) = unsure.get(i + AHEAD) {
            lanes.prefetch(codes_of(ahead));
        }
        let (tile, r) = (usize::from(row) / TILE_ROWS, usize::from(row) % TILE_ROWS);
        let lines = &tiles[tile * tile_lines..][query.groups..tile_lines];
        let (norms, rest) = (lines[0].as_chunks::<4>().0, lines[1]);
        let number =
            |at: usize| f32::from_le_bytes([rest[at], rest[at + 1], rest[at + 2], rest[at + 3]]);
        let of_row = [
            f32::from_le_bytes(norms[r]),
            step_from([rest[2 * r], rest[2 * r + 1]]),
            number(36),
        ];
        let fine_dot = lanes
            .fine_dot(codes_of(row), query)
            .wrapping_sub(query.bias);
        let dot = 254 * i64::from(judged.dots[tile % CHUNK_TILES][r]) + i64::from(fine_dot);
        match verdict(&query.fine, &query.limits, of_row, dot as f32) {
            Verdict::Inside => judged.set_inside(row),
            Verdict::Outside => {}
            Verdict::Unsure => {
                left[n % CHUNK_ROWS] = row;
                n += 1;
            }
        }
    }
    n
}

/// The last look: the rows `unsure` of the chunk by their coordinates.
#[inline(always)]
pub(super) fn judge_rows<L: CodeLanes>(
    lanes: L,
    coordinates: &[f32],
    query: &Prepared,
    Thresholds { lo_s, hi_s }: Thresholds,
    unsure: &[u16],
    judged: &mut Judged,
) -> usize {
    let dims = query.dims;
    let row_at = |row: u16| &coordinates[usize::from(row) * dims..][..dims];
    let mut n = 0;
    for (i, &row) in unsure.iter().enumerate() {
        if let Some(&ahead) = unsure.get(i + AHEAD) {
            lanes.prefetch(row_at(ahead));
        }
        let s = lanes::s64(lanes, row_at(row), query);
        if (lo_s <= s) & (s <= hi_s) {
            judged.set_inside(row);
            n += 1;
        }
    }
    n
}

/// The verdicts on a tile in plain code, for instruction sets that leave them to the compiler.
#[inline(always)]
fn judge(tail: &[Line; TAIL_LINES], query: &CodeQuery, dots: &[i32; TILE_ROWS]) -> Masks {
    let tail = TileTail::read(tail);
    let mut masks = Masks {
        inside: 0,
        unsure: 0,
    };
    for (r, &dot) in dots.iter().enumerate() {
        let row = [tail.norms_sq[r], tail.steps[r], tail.beta];
        let found = verdict(&query.coarse, &query.limits, row, dot as f32);
        masks.inside |= u16::from(found == Verdict::Inside) << r;
        masks.unsure |= u16::from(found == Verdict::Unsure) << r;
    }
    masks
}
