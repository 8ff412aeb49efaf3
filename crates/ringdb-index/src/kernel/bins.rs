//! The inner loops of histograms: the estimates and sums of the other loops, put into bins instead of compared with
//! two thresholds.
//!
//! Invariant: estimates and bounds are those of the loops over codes, so a bin is proven as a verdict is. In plain words,
//! for a chunk of tiles:
//!
//! ```text
//! for each tile with unsure rows:       one stream of reads, no call
//!     dots = codes . p                  sixteen rows at once
//!     cells of t - E and t + E          sixteen rows at once
//!     count the rows whose cells are in one bin; the others are unsure
//! for each tile with unsure rows:       the same by their fine codes
//! for some unsure rows at a time:
//!     sums, one by one
//!     cells, many at once
//!     count
//! ```
//!
//! Tiles are asked for ahead: counting takes so many instructions that the processor does not see the reads of the next
//! tile behind them.

use super::chunk::{CHUNK_ROWS, Prepared};
use super::codes::{AHEAD, CodeChunk, CodeLanes, Judged, Masks, both_dots};
use super::lanes;
use super::work::Work;
use crate::bins::{CodeBins, Tally};
use crate::code::{TAIL_LINES, TILE_ROWS, TileTail, estimate};
use crate::edges::Edges;

/// How many tiles ahead codes and fine codes are asked for.
const AHEAD_TILES: usize = 2;

/// How many sums are computed before they are counted.
const SUMS: usize = 256;

/// Rows of a chunk of tiles that are unsure, by their codes.
pub(super) struct PlaceTiles<'a> {
    pub(super) chunk: &'a CodeChunk<'a>,
    pub(super) bins: &'a CodeBins,
    pub(super) judged: &'a mut Judged,
    pub(super) tally: &'a mut Tally,
}

impl Work for PlaceTiles<'_> {
    type Output = ();

    #[inline(always)]
    fn on<L: CodeLanes>(self, lanes: L) {
        let Self {
            chunk,
            bins,
            judged,
            tally,
        } = self;
        let query = chunk.query;
        let lines = query.groups + TAIL_LINES;
        for (i, tile) in chunk.tiles.chunks_exact(lines).enumerate() {
            let ahead = i + AHEAD_TILES;
            if judged.unsure_in(ahead) != 0
                && let Some(tile) = chunk.tiles.get(ahead * lines..(ahead + 1) * lines)
            {
                lanes.prefetch(tile);
            }
            let rows = judged.unsure_in(i);
            if rows == 0 {
                continue;
            }
            let Some((codes, tail)) = tile.split_last_chunk::<TAIL_LINES>() else {
                return;
            };
            let dots = lanes.dots(codes, query);
            let tail = TileTail::read(tail);
            let estimate = |r: usize| {
                let row = [tail.norms_sq[r], tail.steps[r], tail.beta];
                estimate(&query.coarse, row, dots[r] as f32)
            };
            let unsure = place_tile(estimate, bins, rows, tally);
            judged.narrow_by_codes(i, Masks { inside: 0, unsure }, &dots);
        }
    }
}

/// Counts rows of a tile where their estimates prove their bins, and returns the others.
#[inline(always)]
fn place_tile(
    estimate: impl Fn(usize) -> (f32, f32),
    bins: &CodeBins,
    rows: u16,
    tally: &mut Tally,
) -> u16 {
    let grid = bins.grid();
    let (mut low, mut high) = ([0.0; TILE_ROWS], [0.0; TILE_ROWS]);
    let (mut first, mut last) = ([0; TILE_ROWS], [0; TILE_ROWS]);
    // Nothing but arithmetic, so that the compiler takes all rows at once.
    for r in 0..TILE_ROWS {
        let (t, e) = estimate(r);
        (low[r], high[r]) = (t - e, t + e);
        [first[r], last[r]] = grid.cells(low[r], high[r]);
    }
    let mut unsure = 0;
    for r in rows_in(rows) {
        match bins.slot_in([first[r], last[r]], low[r], high[r]) {
            Some(slot) => tally.add(slot, 1),
            None => unsure |= 1 << r,
        }
    }
    unsure
}

/// The rows of a chunk of tiles that are unsure, by their fine codes. Writes those that are unsure still to the front of
/// `left`, ascending, and returns how many there are.
pub(crate) struct PlaceFine<'a> {
    pub(crate) chunk: &'a CodeChunk<'a>,
    pub(crate) fine: &'a [u8],
    pub(crate) bins: &'a CodeBins,
    pub(crate) judged: &'a Judged,
    pub(crate) left: &'a mut [u16; CHUNK_ROWS],
    pub(crate) tally: &'a mut Tally,
}

impl Work for PlaceFine<'_> {
    type Output = usize;

    #[inline(always)]
    fn on<L: CodeLanes>(self, lanes: L) -> usize {
        let Self {
            chunk,
            fine,
            bins,
            judged,
            left,
            tally,
        } = self;
        let query = chunk.query;
        let stride = fine.len() / chunk.rows.max(1);
        let codes_of = |tile: usize, r: usize| &fine[(tile * TILE_ROWS + r) * stride..][..stride];
        let mut n = 0;
        let tiles = chunk.tiles.chunks_exact(query.groups + TAIL_LINES);
        for (i, tile) in tiles.enumerate() {
            for r in rows_in(judged.unsure_in(i + AHEAD_TILES)) {
                lanes.prefetch(codes_of(i + AHEAD_TILES, r));
            }
            let rows = judged.unsure_in(i);
            if rows == 0 {
                continue;
            }
            let Some(tail) = tile.last_chunk::<TAIL_LINES>() else {
                return n;
            };
            let tail = TileTail::read(tail);
            let mut dots = [0.0; TILE_ROWS];
            for r in rows_in(rows) {
                dots[r] = both_dots(lanes, query, judged.dots_in(i)[r], codes_of(i, r));
            }
            let estimate = |r: usize| {
                let row = [tail.norms_sq[r], tail.steps[r], tail.beta_fine];
                estimate(&query.fine, row, dots[r])
            };
            for r in rows_in(place_tile(estimate, bins, rows, tally)) {
                left[n % CHUNK_ROWS] = (i * TILE_ROWS + r) as u16;
                n += 1;
            }
        }
        n
    }
}

/// The rows of a mask, ascending.
#[inline(always)]
fn rows_in(mut mask: u16) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let r = mask.trailing_zeros() as usize;
        mask &= mask.wrapping_sub(1);
        (r < TILE_ROWS).then_some(r)
    })
}

/// Some rows of a chunk by their coordinates.
pub(super) struct PlaceRows<'a> {
    pub(super) coordinates: &'a [f32],
    pub(super) query: &'a Prepared,
    pub(super) edges: &'a Edges,
    pub(super) rows: &'a [u16],
    pub(super) tally: &'a mut Tally,
}

impl Work for PlaceRows<'_> {
    type Output = ();

    #[inline(always)]
    fn on<L: CodeLanes>(self, lanes: L) {
        let Self {
            coordinates,
            query,
            edges,
            rows,
            tally,
        } = self;
        let dims = query.dims;
        let row_at = |row: u16| &coordinates[usize::from(row) * dims..][..dims];
        let (mut sums, mut cells) = ([0.0; SUMS], [0; SUMS]);
        for &row in rows.iter().take(AHEAD) {
            lanes.prefetch(row_at(row));
        }
        let mut ahead = rows.iter().skip(AHEAD);
        for rows in rows.chunks(SUMS) {
            let (sums, cells) = (&mut sums[..rows.len()], &mut cells[..rows.len()]);
            for (sum, &row) in sums.iter_mut().zip(rows) {
                if let Some(&ahead) = ahead.next() {
                    lanes.prefetch(row_at(ahead));
                }
                *sum = lanes::s64(lanes, row_at(row), query);
            }
            for (cell, &sum) in cells.iter_mut().zip(&*sums) {
                *cell = edges.cell(sum);
            }
            for (&cell, &sum) in cells.iter().zip(&*sums) {
                tally.add(edges.slot_in(cell, sum), 1);
            }
        }
    }
}
