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
//! for each unsure row:                  by its fine code, then by its coordinates
//! ```

use super::chunk::{CHUNK_ROWS, Prepared};
use super::codes::{AHEAD, CodeChunk, CodeLanes, Judged, Masks, fine_row};
use super::lanes;
use super::work::Work;
use crate::bins::{CodeBins, Tally};
use crate::code::{Line, TAIL_LINES, TILE_ROWS, TileTail, estimate};
use crate::edges::Edges;

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
        let tiles = chunk.tiles.chunks_exact(query.groups + TAIL_LINES);
        for (i, tile) in tiles.enumerate() {
            let rows = judged.unsure_in(i);
            if rows == 0 {
                continue;
            }
            let Some((codes, tail)) = tile.split_last_chunk::<TAIL_LINES>() else {
                return;
            };
            let dots = lanes.dots(codes, query);
            let unsure = place_tile(tail, chunk, bins, &dots, rows, tally);
            judged.narrow_by_codes(i, Masks { inside: 0, unsure }, &dots);
        }
    }
}

/// Counts rows of a tile where codes prove their bins, and returns the others.
#[inline(always)]
fn place_tile(
    tail: &[Line; TAIL_LINES],
    chunk: &CodeChunk<'_>,
    bins: &CodeBins,
    dots: &[i32; TILE_ROWS],
    rows: u16,
    tally: &mut Tally,
) -> u16 {
    let tail = TileTail::read(tail);
    let slots = bins.slots();
    let (mut low, mut high) = ([0.0; TILE_ROWS], [0.0; TILE_ROWS]);
    let (mut first, mut last) = ([0; TILE_ROWS], [0; TILE_ROWS]);
    // Nothing but arithmetic, so that the compiler takes all rows at once.
    for r in 0..TILE_ROWS {
        let row = [tail.norms_sq[r], tail.steps[r], tail.beta];
        let (t, e) = estimate(&chunk.query.coarse, row, dots[r] as f32);
        (low[r], high[r]) = (t - e, t + e);
        [first[r], last[r]] = slots.cells(low[r], high[r]);
    }
    let mut unsure = 0;
    let mut left = rows;
    while left != 0 {
        let r = left.trailing_zeros() as usize % TILE_ROWS;
        left &= left - 1;
        match bins.slot_in([first[r], last[r]], low[r], high[r]) {
            Some(slot) => tally.add(slot, 1),
            None => unsure |= 1 << r,
        }
    }
    unsure
}

/// The rows `unsure` of a chunk of tiles, ascending, by their fine codes. Writes those that are unsure still to the front of
/// `left` and returns how many there are.
pub(crate) struct PlaceFine<'a> {
    pub(crate) chunk: &'a CodeChunk<'a>,
    pub(crate) fine: &'a [u8],
    pub(crate) unsure: &'a [u16],
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
            unsure,
            bins,
            judged,
            left,
            tally,
        } = self;
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
            let (t, e) = estimate(&chunk.query.fine, of_row, dot);
            match bins.slot(t - e, t + e) {
                Some(slot) => tally.add(slot, 1),
                None => {
                    left[n % CHUNK_ROWS] = row;
                    n += 1;
                }
            }
        }
        n
    }
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
        for &row in rows.iter().take(AHEAD) {
            lanes.prefetch(row_at(row));
        }
        for (i, &row) in rows.iter().enumerate() {
            if let Some(&ahead) = rows.get(i + AHEAD) {
                lanes.prefetch(row_at(ahead));
            }
            tally.add(edges.slot(lanes::s64(lanes, row_at(row), query)), 1);
        }
    }
}
