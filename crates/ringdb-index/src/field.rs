//! Where a search looks, and what all tiers of a span share: chunks of rows, those of them that are allowed, and their
//! coordinates.
//!
//! Invariant: nothing is read that the guard was not asked for.

use std::ops::Range;

use crate::code::{CodeQuery, Codes, TILE_ROWS, tile_bytes};
use crate::explain::{Explain, Tier, TierReport};
use crate::guard::Guard;
use crate::kernel::{CHUNK_ROWS, CHUNK_TILES, CodeChunk, Judged, Kernel, Prepared};
use crate::plan::Costs;
use crate::prefix::{Prefix, PrefixQuery};
use crate::ring::Thresholds;
use crate::row_set::RowSet;
use crate::rows::Rows;
use crate::segment::Segment;

/// Bytes of codes that a chunk reads, at most: they stay near until its unsure rows are looked at again.
const CHUNK_BYTES: usize = 256 * 1024;

/// The fewest rows of a chunk.
const CHUNK_ROWS_MIN: usize = 256;

/// Chunks of codes in a span at most: each decides how those after it are searched.
const SPAN_CHUNKS: usize = 8;

/// Coordinates of the rows of a span, at most, but for one chunk: 8 MB, so that many threads have work
/// where rows are long.
const SPAN_COORDINATES_MAX: usize = 2 << 20;

/// Coordinates that a span reads where there are no codes: 1 MB, some 70 microseconds at the speed of
/// memory, against a few for handing a span to a thread.
pub(crate) const SPAN_COORDINATES: usize = 256 * 1024;

/// Where searches look: the same for all queries and spans.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a, G> {
    pub(crate) rows: Rows<'a>,
    pub(crate) codes: Option<Codes<'a>>,
    pub(crate) prefix: Option<Prefix<'a>>,
    /// The rows that are allowed; all if there is none.
    pub(crate) filter: Option<&'a RowSet>,
    pub(crate) kernel: Kernel,
    pub(crate) guard: &'a G,
}

/// What one query asks, in the forms that tiers need.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) query: Prepared,
    /// None if there are no codes, or the query is too far away for them.
    pub(crate) codes: Option<CodeQuery>,
    /// None if there are no prefixes, or they are not to be looked at.
    pub(crate) prefix: Option<PrefixQuery>,
    pub(crate) thresholds: Thresholds,
}

/// What was found among some rows.
#[derive(Debug)]
pub(crate) struct Found {
    /// Ascending; empty if only their number is wanted.
    pub(crate) ids: Vec<u32>,
    pub(crate) explain: Explain,
    pub(crate) wants_ids: bool,
}

impl Found {
    pub(crate) fn nothing(wants_ids: bool) -> Self {
        Self {
            ids: Vec::new(),
            explain: Explain::of_span(),
            wants_ids,
        }
    }
}

/// Room for one chunk, reused for the next.
pub(crate) struct Room {
    pub(crate) unsure: [u16; CHUNK_ROWS],
    pub(crate) left: [u16; CHUNK_ROWS],
}

impl Room {
    pub(crate) fn new() -> Self {
        Self {
            unsure: [0; CHUNK_ROWS],
            left: [0; CHUNK_ROWS],
        }
    }
}

impl Ask {
    pub(crate) fn new(codes: Option<Codes<'_>>, query: &[f32], thresholds: Thresholds) -> Self {
        Self {
            query: Prepared::new(query),
            codes: codes.and_then(|codes| CodeQuery::new(codes.frame(), query, thresholds)),
            prefix: None,
            thresholds,
        }
    }
}

impl<'a, G: Guard> Field<'a, G> {
    pub(crate) fn new(segment: Segment<'a>, kernel: Kernel, guard: &'a G) -> Self {
        let rows = segment.rows();
        let costs = Costs::new(rows.dims());
        let codes = segment.codes().filter(|_| !costs.never_pay());
        let pays = |prefix: &Prefix<'_>| costs.prefix_pays(prefix.frame().tile_bytes(), 1, 0);
        Self {
            rows,
            codes,
            prefix: segment.prefix().filter(|it| codes.is_some() && pays(it)),
            filter: segment.filter(),
            kernel,
            guard,
        }
    }

    /// What a single query asks, which looks at prefixes as well.
    pub(crate) fn ask(&self, query: &[f32], thresholds: Thresholds) -> Ask {
        let prefix = self.codes.zip(self.prefix).and_then(|(codes, prefix)| {
            let frame = prefix.frame();
            let rotate = |g: &[f64], h: &mut [f64]| {
                let (rotation, kept) = (frame.rotation(), frame.kept());
                self.kernel.product(g, frame.dims(), rotation, kept, h);
            };
            PrefixQuery::new(codes.frame(), frame, query, thresholds, rotate)
        });
        Ask {
            prefix,
            ..Ask::new(self.codes, query, thresholds)
        }
    }

    /// How many rows a span of one query has.
    pub(crate) fn span_rows(&self) -> usize {
        match self.codes {
            Some(_) => {
                let (chunk, dims) = (self.chunk_rows(), self.rows.dims());
                chunk * (SPAN_COORDINATES_MAX / (chunk * dims)).clamp(1, SPAN_CHUNKS)
            }
            None => (SPAN_COORDINATES / self.rows.dims()).max(1),
        }
    }

    /// How many spans there are: one where there are no rows, so that a thread is checked in any case.
    pub(crate) fn spans(&self) -> usize {
        self.rows.len().div_ceil(self.span_rows()).max(1)
    }

    /// How many rows are looked at together: with their codes, whole tiles.
    pub(crate) fn chunk_rows(&self) -> usize {
        let rows = CHUNK_BYTES / (tile_bytes(self.rows.dims()) / TILE_ROWS);
        rows.next_multiple_of(TILE_ROWS)
            .clamp(CHUNK_ROWS_MIN, CHUNK_ROWS)
    }

    /// Begins a chunk: the rows of it that are allowed are unsure, and what the filter did of it if there is one.
    pub(crate) fn allow(&self, rows: Range<usize>, judged: &mut Judged) -> TierReport {
        let Some(filter) = self.filter else {
            judged.begin(rows.len());
            return TierReport::default();
        };
        let mut masks = [0; CHUNK_TILES];
        let allowed = filter.masks(rows.clone(), &mut masks);
        judged.begin_with(&masks, allowed);
        TierReport::of(rows.len(), 0, allowed, 0)
    }

    /// Asks whether the codes of the open tiles of a chunk, which are so many, may be read.
    pub(crate) fn check_codes(
        &self,
        codes: &Codes<'a>,
        chunk: &CodeChunk<'_>,
        open: usize,
        judged: &Judged,
    ) -> Result<(), G::Error> {
        let first = chunk.first / TILE_ROWS;
        let n_tiles = chunk.rows.div_ceil(TILE_ROWS);
        if open == n_tiles {
            self.guard.codes(codes.tile_bytes(first..first + n_tiles))?;
        } else {
            for tile in judged.open_tiles(n_tiles) {
                let tile = first + tile;
                self.guard.codes(codes.tile_bytes(tile..tile + 1))?;
            }
        }
        Ok(())
    }

    /// Decides some rows of a chunk by their coordinates, and takes the ids of all that are inside.
    pub(crate) fn look_at_rows(
        &self,
        ask: &Ask,
        chunk: Range<usize>,
        rows: &[u16],
        judged: &mut Judged,
        found: &mut Found,
    ) -> Result<(), G::Error> {
        for rows in runs(chunk.start, rows) {
            self.guard.rows(rows)?;
        }
        let n_tiles = chunk.len().div_ceil(TILE_ROWS);
        let (first, coordinates) = (chunk.start, self.rows.coordinates(chunk));
        let inside = self
            .kernel
            .judge_rows(coordinates, &ask.query, ask.thresholds, rows, judged);
        if found.wants_ids {
            judged.extend_ids(n_tiles, first as u32, &mut found.ids);
        }
        let bytes = size_of::<f32>() * self.rows.dims() * rows.len();
        let report = TierReport::of(rows.len(), inside, 0, bytes);
        found.explain.add(Tier::Rows, report);
        Ok(())
    }
}

/// The tiles of some rows, which begin with a tile.
pub(crate) fn chunk_of<'a>(
    codes: &Codes<'a>,
    query: &'a CodeQuery,
    rows: Range<usize>,
) -> CodeChunk<'a> {
    CodeChunk {
        tiles: codes.tiles(rows.start / TILE_ROWS..rows.end.div_ceil(TILE_ROWS)),
        first: rows.start,
        rows: rows.len(),
        query,
    }
}

/// Rows of a chunk, ascending, as ranges of neighbours among all rows.
pub(crate) fn runs(first: usize, rows: &[u16]) -> impl Iterator<Item = Range<usize>> {
    rows.chunk_by(|&row, &next| row + 1 == next)
        .filter_map(move |run| {
            let start = first + usize::from(*run.first()?);
            Some(start..start + run.len())
        })
}
