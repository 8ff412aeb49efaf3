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
//! for each tile with unsure rows:       one stream of reads, no call
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
    BATCH_QUERIES, CodeBatch, CodeQuery, Limits, Line, TAIL_LINES, TILE_ROWS, Tier, TileTail,
    Verdict, estimate, sides, verdict,
};
use crate::ring::Thresholds;

/// The most tiles that a kernel takes at once.
pub(crate) const CHUNK_TILES: usize = CHUNK_ROWS / TILE_ROWS;

/// How many rows ahead single rows are asked for: enough to cover the time of a read from memory.
pub(super) const AHEAD: usize = 24;

/// What an instruction set has to be able to do with codes.
pub(super) trait CodeLanes: Lanes {
    /// The dot products of sixteen rows of codes, as they are stored, with the query; wrapping.
    fn dots(self, codes: &[Line], query: &CodeQuery) -> [i32; TILE_ROWS];

    /// The verdicts on sixteen rows.
    #[inline(always)]
    fn judge(
        self,
        tail: &[Line; TAIL_LINES],
        tier: &Tier,
        limits: &Limits,
        dots: &[i32; TILE_ROWS],
    ) -> Masks {
        judge(tail, tier, limits, dots)
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

#[cfg(target_arch = "x86_64")]
impl Masks {
    /// What two looks at the same rows found, the second at those that the first left unsure.
    #[inline(always)]
    pub(super) fn and_then(self, second: Self) -> Self {
        Self {
            inside: self.inside | (self.unsure & second.inside),
            unsure: self.unsure & second.unsure,
        }
    }
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
    masks: [Masks; CHUNK_TILES],
    /// Of tiles with rows that are unsure.
    dots: [[i32; TILE_ROWS]; CHUNK_TILES],
    n_inside: u32,
    n_unsure: u32,
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
            n_inside: 0,
            n_unsure: 0,
        }
    }

    /// Forgets the chunk before: all of so many rows are unsure.
    pub(crate) fn begin(&mut self, rows: usize) {
        let mut left = rows;
        for masks in &mut self.masks {
            *masks = Masks {
                inside: 0,
                unsure: existing(left),
            };
            left = left.saturating_sub(TILE_ROWS);
        }
        (self.n_inside, self.n_unsure) = (0, rows as u32);
    }

    /// The same, where only the rows of these masks are unsure, which are so many.
    pub(crate) fn begin_with(&mut self, rows: &[u16; CHUNK_TILES], n: usize) {
        for (masks, &unsure) in self.masks.iter_mut().zip(rows) {
            *masks = Masks { inside: 0, unsure };
        }
        (self.n_inside, self.n_unsure) = (0, n as u32);
    }

    /// Forgets what is known of all rows but those of these masks.
    pub(crate) fn keep(&mut self, rows: &[u16]) {
        (self.n_inside, self.n_unsure) = (0, 0);
        for (masks, &kept) in self.masks.iter_mut().zip(rows) {
            masks.inside &= kept;
            masks.unsure &= kept;
            self.n_inside += masks.inside.count_ones();
            self.n_unsure += masks.unsure.count_ones();
        }
    }

    /// What was found of a tile, for the rows in it that were unsure.
    #[inline(always)]
    pub(super) fn narrow(&mut self, tile: usize, found: Masks) -> Masks {
        let masks = &mut self.masks[tile % CHUNK_TILES];
        let (inside, unsure) = (found.inside & masks.unsure, found.unsure & masks.unsure);
        self.n_inside += inside.count_ones();
        self.n_unsure -= (masks.unsure ^ unsure).count_ones();
        masks.inside |= inside;
        masks.unsure = unsure;
        *masks
    }

    /// The same, by codes: their dot products are needed again where rows stay unsure.
    #[inline(always)]
    pub(super) fn narrow_by_codes(&mut self, tile: usize, found: Masks, dots: &[i32; TILE_ROWS]) {
        if self.narrow(tile, found).unsure != 0 {
            self.dots[tile % CHUNK_TILES] = *dots;
        }
    }

    /// The rows of a tile that are unsure; none beyond the chunk.
    #[inline(always)]
    pub(super) fn unsure_in(&self, tile: usize) -> u16 {
        self.masks.get(tile).map_or(0, |masks| masks.unsure)
    }

    /// The dot products of a tile with rows that are unsure.
    #[inline(always)]
    pub(super) fn dots_in(&self, tile: usize) -> &[i32; TILE_ROWS] {
        &self.dots[tile % CHUNK_TILES]
    }

    /// The tiles that have unsure rows, among so many, ascending.
    pub(crate) fn open_tiles(&self, tiles: usize) -> impl Iterator<Item = usize> {
        let masks = self.masks[..tiles].iter().enumerate();
        masks.filter_map(|(tile, masks)| (masks.unsure != 0).then_some(tile))
    }

    #[cfg(test)]
    pub(super) fn masks(&self, tiles: usize) -> &[Masks] {
        &self.masks[..tiles]
    }

    /// Writes the rows of the chunk that are unsure to the front of `unsure`, ascending, and returns how
    /// many there are.
    pub(crate) fn unsure(&self, tiles: usize, unsure: &mut [u16; CHUNK_ROWS]) -> usize {
        let mut n = 0;
        if self.n_unsure == 0 {
            return n;
        }
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
    pub(crate) fn n_inside(&self) -> usize {
        self.n_inside as usize
    }

    /// How many rows are unsure.
    pub(crate) fn n_unsure(&self) -> usize {
        self.n_unsure as usize
    }

    /// Appends the ids of the rows inside, ascending; `first` is that of the chunk's first row.
    pub(crate) fn extend_ids(&self, tiles: usize, first: u32, ids: &mut Vec<u32>) {
        if self.n_inside == 0 {
            return;
        }
        ids.reserve(self.n_inside());
        for (masks, first) in self.masks[..tiles].iter().zip((first..).step_by(TILE_ROWS)) {
            let mut left = masks.inside;
            while left != 0 {
                ids.push(first + left.trailing_zeros());
                left &= left - 1;
            }
        }
    }

    /// Marks a row that was unsure as inside.
    #[inline(always)]
    fn set_inside(&mut self, row: u16) {
        let row = usize::from(row) % CHUNK_ROWS;
        self.masks[row / TILE_ROWS].inside |= 1 << (row % TILE_ROWS);
        self.n_inside += 1;
    }
}

/// The first look of a batch, for instruction sets that have a form of their own for it.
#[cfg(target_arch = "x86_64")]
impl Judged {
    /// Forgets the chunk before, for tiles that will each be [seen](Self::see) once.
    pub(super) fn begin_unseen(&mut self) {
        (self.n_inside, self.n_unsure) = (0, 0);
    }

    /// What was found of a tile that was not seen before, for the rows `exist` in it. Most tiles of a batch have
    /// no row inside and none unsure: nothing is counted for them.
    #[inline(always)]
    pub(super) fn see(&mut self, tile: usize, exist: u16, found: Masks, dots: &[i32; TILE_ROWS]) {
        let (inside, unsure) = (found.inside & exist, found.unsure & exist);
        self.masks[tile % CHUNK_TILES] = Masks { inside, unsure };
        if inside | unsure != 0 {
            self.n_inside += inside.count_ones();
            self.n_unsure += unsure.count_ones();
            self.dots[tile % CHUNK_TILES] = *dots;
        }
    }
}

/// Every row that is unsure by its code.
#[inline(always)]
pub(super) fn judge_tiles<L: CodeLanes>(lanes: L, chunk: &CodeChunk<'_>, judged: &mut Judged) {
    let query = chunk.query;
    let tiles = chunk.tiles.chunks_exact(query.groups + TAIL_LINES);
    for (i, tile) in tiles.enumerate() {
        if judged.unsure_in(i) == 0 {
            continue;
        }
        let Some((codes, tail)) = tile.split_last_chunk::<TAIL_LINES>() else {
            return;
        };
        let dots = lanes.dots(codes, query);
        let found = lanes.judge(tail, &query.coarse, &query.limits, &dots);
        judged.narrow_by_codes(i, found, &dots);
    }
}

/// The first look of all queries of a batch, one after the other, for instruction sets that have no faster
/// form for batches.
#[inline(always)]
pub(super) fn judge_one_by_one<L: CodeLanes>(
    lanes: L,
    tiles: &[Line],
    rows: usize,
    batch: &CodeBatch<'_>,
    judged: &mut [Judged; BATCH_QUERIES],
) {
    for (judged, query) in judged.iter_mut().zip(batch.queries).take(batch.n) {
        let chunk = CodeChunk {
            tiles,
            first: 0,
            rows,
            query,
        };
        judged.begin(rows);
        judge_tiles(lanes, &chunk, judged);
    }
}

/// A bit for each row of a tile that exists, if so many are left.
#[inline(always)]
pub(crate) fn existing(left: usize) -> u16 {
    match left {
        TILE_ROWS.. => u16::MAX,
        _ => (1 << left) - 1,
    }
}

/// The rows `unsure` of the chunk, ascending, by their fine codes. Writes those that
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
    let query = chunk.query;
    let stride = fine.len() / chunk.rows.max(1);
    let codes_of = |row: u16| &fine[usize::from(row) * stride..][..stride];
    let mut n = 0;
    for &row in unsure.iter().take(AHEAD) {
        lanes.prefetch(codes_of(row));
    }
    for (i, &row) in unsure.iter().enumerate() {
        if let Some(&ahead) = unsure.get(i + AHEAD) {
            lanes.prefetch(codes_of(ahead));
        }
        let Some((of_row, dot)) = fine_row(lanes, chunk, codes_of(row), judged, row) else {
            return n;
        };
        match verdict(&query.fine, &query.limits, of_row, dot) {
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

/// Squared norm, step and `beta` of a row with these fine codes, and the dot product of code and fine code with the query;
/// `None` if there is no such row.
#[inline(always)]
fn fine_row<L: CodeLanes>(
    lanes: L,
    chunk: &CodeChunk<'_>,
    codes: &[u8],
    judged: &Judged,
    row: u16,
) -> Option<([f32; 3], f32)> {
    let CodeChunk { tiles, query, .. } = *chunk;
    let tile_lines = query.groups + TAIL_LINES;
    let (tile, r) = (usize::from(row) / TILE_ROWS, usize::from(row) % TILE_ROWS);
    let tail = tiles[tile * tile_lines + query.groups..].first_chunk()?;
    let dot = both_dots(lanes, query, judged.dots_in(tile)[r], codes);
    Some((TileTail::fine_row(tail, r), dot))
}

/// The dot product of the code and the fine code of a row with the query, from that of its code.
#[inline(always)]
pub(super) fn both_dots<L: CodeLanes>(
    lanes: L,
    query: &CodeQuery,
    dot: i32,
    fine_codes: &[u8],
) -> f32 {
    let fine_dot = lanes.fine_dot(fine_codes, query).wrapping_sub(query.bias);
    (254 * i64::from(dot) + i64::from(fine_dot)) as f32
}

/// The rows `unsure` of the chunk by their coordinates.
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
    for &row in unsure.iter().take(AHEAD) {
        lanes.prefetch(row_at(row));
    }
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
fn judge(
    tail: &[Line; TAIL_LINES],
    tier: &Tier,
    limits: &Limits,
    dots: &[i32; TILE_ROWS],
) -> Masks {
    let tail = TileTail::read(tail);
    let mut masks = Masks {
        inside: 0,
        unsure: 0,
    };
    for (r, &dot) in dots.iter().enumerate() {
        let row = [tail.norms_sq[r], tail.steps[r], tail.beta];
        let (t, e) = estimate(tier, row, dot as f32);
        let (is_outside, is_inside) = sides(limits, t, e);
        masks.inside |= u16::from(is_inside) << r;
        masks.unsure |= u16::from(!(is_outside | is_inside)) << r;
    }
    masks
}
