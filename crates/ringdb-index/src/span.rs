//! One span of rows, tier by tier, on one thread.
//!
//! Invariant: the hits of a span are those of the definition, whatever the tiers decided and wherever
//! chunks begin; every row is decided by exactly one tier. Nothing here knows of threads.

use std::ops::Range;

use crate::code::{CodeQuery, Codes, TILE_ROWS, tile_bytes};
use crate::distance::check_environment;
use crate::error::Error;
use crate::explain::{Explain, Tier, TierReport};
use crate::kernel::{
    CHUNK_ROWS, CHUNK_TILES, Chunk, CodeChunk, Judged, Kernel, PrefixChunk, Prepared,
};
use crate::plan::Costs;
use crate::prefix::{Prefix, PrefixQuery};
use crate::ring::Thresholds;
use crate::row_set::RowSet;
use crate::rows::Rows;
use crate::segment::Segment;

/// Asked before anything is read: whether bytes may be, where they were not all checked before, and whether the search
/// is to go on at all.
pub trait Guard: Sync {
    /// Why a search ends.
    type Error: From<Error> + Send;

    /// Before each part of a search, on the thread that does it.
    ///
    /// # Errors
    /// The search ends with it. Parts that other threads have begun come to their end.
    fn go_on(&self) -> Result<(), Self::Error> {
        Ok(())
    }

    /// It is known of so many more rows whether they are hits: in a search of one query, of all rows in the end.
    fn decided(&self, rows: usize) {
        let _ = rows;
    }

    /// Before the coordinates of these rows are read.
    ///
    /// # Errors
    /// The search ends with it.
    fn rows(&self, rows: Range<usize>) -> Result<(), Self::Error>;

    /// Before these bytes of the codes are read.
    ///
    /// # Errors
    /// The search ends with it.
    fn codes(&self, bytes: Range<usize>) -> Result<(), Self::Error>;

    /// Before these bytes of the fine codes are read.
    ///
    /// # Errors
    /// The search ends with it.
    fn fine(&self, bytes: Range<usize>) -> Result<(), Self::Error>;

    /// Before these bytes of the prefixes are read.
    ///
    /// # Errors
    /// The search ends with it.
    fn prefix(&self, bytes: Range<usize>) -> Result<(), Self::Error>;

    /// Before these bytes of blocks are read.
    ///
    /// # Errors
    /// The search ends with it.
    fn blocks(&self, bytes: Range<usize>) -> Result<(), Self::Error>;

    /// Before these bytes of the order of rows are read.
    ///
    /// # Errors
    /// The search ends with it.
    fn order(&self, bytes: Range<usize>) -> Result<(), Self::Error>;
}

/// The guard of bytes that are in order: lets everything pass.
#[derive(Debug, Clone, Copy)]
pub struct Trusted;

impl Guard for Trusted {
    type Error = Error;

    fn rows(&self, _: Range<usize>) -> Result<(), Error> {
        Ok(())
    }

    fn codes(&self, _: Range<usize>) -> Result<(), Error> {
        Ok(())
    }

    fn fine(&self, _: Range<usize>) -> Result<(), Error> {
        Ok(())
    }

    fn prefix(&self, _: Range<usize>) -> Result<(), Error> {
        Ok(())
    }

    fn blocks(&self, _: Range<usize>) -> Result<(), Error> {
        Ok(())
    }

    fn order(&self, _: Range<usize>) -> Result<(), Error> {
        Ok(())
    }
}

/// Bytes of codes that a chunk reads, at most: they stay near until its unsure rows are looked at again.
const CHUNK_BYTES: usize = 256 * 1024;

/// The fewest rows of a chunk.
const CHUNK_ROWS_MIN: usize = 256;

/// Rows of the first chunk of a span where there are prefixes: enough to see whether they are worth it, and
/// few beside the span if not.
const PROBE_ROWS: usize = 128;

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
    left: [u16; CHUNK_ROWS],
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

    /// Searches one span. Checks the thread that it runs on, as workers of a pool may have been set up
    /// differently from the caller.
    pub(crate) fn search(
        &self,
        ask: &Ask,
        span: Range<usize>,
        wants_ids: bool,
    ) -> Result<Found, G::Error> {
        check_environment()?;
        let mut found = Found::nothing(wants_ids);
        match (&self.codes, &ask.codes) {
            (Some(codes), Some(query)) => self.search_codes(ask, codes, query, span, &mut found)?,
            _ => self.scan(ask, span, &mut found)?,
        }
        Ok(found)
    }

    /// By the coordinates of all rows.
    pub(crate) fn scan(
        &self,
        ask: &Ask,
        span: Range<usize>,
        found: &mut Found,
    ) -> Result<(), G::Error> {
        if span.is_empty() {
            return Ok(());
        }
        if let Some(filter) = self.filter {
            return self.scan_allowed(filter, ask, span, found);
        }
        self.guard.rows(span.clone())?;
        let mut ids = [0; CHUNK_ROWS];
        for first in span.clone().step_by(CHUNK_ROWS) {
            let rows = first..span.end.min(first + CHUNK_ROWS);
            let coordinates = self.rows.coordinates(rows.clone());
            // A row's position is an id, because there are at most ROWS_MAX rows.
            let chunk = Chunk {
                coordinates,
                first_id: first as u32,
                query: &ask.query,
                thresholds: ask.thresholds,
            };
            let n = self.kernel.hits(&chunk, &mut ids);
            if found.wants_ids {
                found.ids.extend_from_slice(&ids[..n]);
            }
            let report = TierReport::of(rows.len(), n, 0, size_of_val(coordinates));
            found.explain.add(Tier::Scan, report);
        }
        Ok(())
    }

    fn search_codes(
        &self,
        ask: &Ask,
        codes: &Codes<'a>,
        query: &CodeQuery,
        span: Range<usize>,
        found: &mut Found,
    ) -> Result<(), G::Error> {
        let costs = Costs::new(self.rows.dims());
        let mut prefix = self.prefix.zip(ask.prefix.as_ref());
        let (mut judged, mut room) = (Judged::new(), Room::new());
        let mut first = span.start;
        while first < span.end {
            let chunk_rows = match prefix {
                Some(_) if first == span.start => PROBE_ROWS,
                _ => self.chunk_rows(),
            };
            let rows = first..span.end.min(first + chunk_rows);
            first = rows.end;
            let n_tiles = rows.len().div_ceil(TILE_ROWS);
            let by_filter = self.allow(rows.clone(), &mut judged);
            let allowed = judged.n_unsure();
            let tiles_allowed = judged.open_tiles(n_tiles).count();
            if self.filter.is_some() && costs.prefer_rows(allowed, tiles_allowed) {
                found.explain.add(Tier::Filter, by_filter);
                let n_allowed = judged.unsure(n_tiles, &mut room.unsure);
                let allowed = &room.unsure[..n_allowed];
                self.look_at_rows(ask, rows, allowed, &mut judged, found)?;
                continue;
            }
            let by_prefix = match prefix {
                Some((prefix, query)) => {
                    self.look_at_prefixes(&prefix, query, rows.clone(), &mut judged)?
                }
                None => TierReport::default(),
            };
            let chunk = chunk_of(codes, query, rows.clone());
            let open = judged.open_tiles(n_tiles).count();
            let by_codes = self.look_at_codes(codes, &chunk, open, &mut judged)?;
            if costs.give_up(allowed, judged.n_unsure()) {
                found.explain.waste(Tier::Prefix, by_prefix);
                found.explain.waste(Tier::Codes, by_codes);
                found.explain.switch();
                return self.scan(ask, rows.start..span.end, found);
            }
            found.explain.add(Tier::Filter, by_filter);
            found.explain.add(Tier::Prefix, by_prefix);
            found.explain.add(Tier::Codes, by_codes);
            let [unsure, unsure_fine] =
                self.refine(ask, codes, &chunk, &mut judged, &mut room, found)?;
            let left = rows.end..span.end;
            if left.is_empty() {
                break;
            }
            if costs.prefer_scan(allowed, unsure, unsure_fine) {
                found.explain.switch();
                return self.scan(ask, left, found);
            }
            let pays = |(prefix, _): &(Prefix<'_>, &PrefixQuery)| {
                costs.prefix_pays(prefix.frame().tile_bytes(), tiles_allowed, open)
            };
            if prefix.is_some_and(|prefix| !pays(&prefix)) {
                found.explain.leave_prefix();
                prefix = None;
            }
        }
        Ok(())
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

    /// Decides rows of a chunk by their prefixes.
    fn look_at_prefixes(
        &self,
        prefix: &Prefix<'a>,
        query: &PrefixQuery,
        rows: Range<usize>,
        judged: &mut Judged,
    ) -> Result<TierReport, G::Error> {
        let tiles = rows.start / TILE_ROWS..rows.end.div_ceil(TILE_ROWS);
        let open = judged.open_tiles(tiles.len()).count();
        if open == tiles.len() {
            self.guard.prefix(prefix.tile_bytes(tiles.clone()))?;
        } else {
            for tile in judged.open_tiles(tiles.len()) {
                let tile = tiles.start + tile;
                self.guard.prefix(prefix.tile_bytes(tile..tile + 1))?;
            }
        }
        let tiles = prefix.tiles(tiles);
        let rows = judged.n_unsure();
        self.kernel
            .judge_prefixes(&PrefixChunk { tiles, query }, judged);
        let (inside, unsure) = (judged.n_inside(), judged.n_unsure());
        let bytes = prefix.tile_bytes(0..open).len();
        Ok(TierReport::of(rows, inside, unsure, bytes))
    }

    /// Decides rows of a chunk by their codes, those of so many tiles that are open.
    fn look_at_codes(
        &self,
        codes: &Codes<'a>,
        chunk: &CodeChunk<'_>,
        open: usize,
        judged: &mut Judged,
    ) -> Result<TierReport, G::Error> {
        self.check_codes(codes, chunk, open, judged)?;
        let (rows, inside) = (judged.n_unsure(), judged.n_inside());
        self.kernel.judge_tiles(chunk, judged);
        let bytes = codes.tile_bytes(0..open).len();
        Ok(TierReport::of(
            rows,
            judged.n_inside() - inside,
            judged.n_unsure(),
            bytes,
        ))
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

    /// Decides the rows of a chunk that its codes left unsure. Returns how many there were, and how many
    /// of them their fine codes left unsure.
    pub(crate) fn refine(
        &self,
        ask: &Ask,
        codes: &Codes<'a>,
        chunk: &CodeChunk<'_>,
        judged: &mut Judged,
        room: &mut Room,
        found: &mut Found,
    ) -> Result<[usize; 2], G::Error> {
        let Room { unsure, left } = room;
        let rows = chunk.first..chunk.first + chunk.rows;
        let n_tiles = rows.len().div_ceil(TILE_ROWS);
        let n_unsure = judged.unsure(n_tiles, unsure);
        let inside_codes = judged.n_inside();
        let unsure = &unsure[..n_unsure];
        let id = |&row: &u16| rows.start + usize::from(row);
        for row in unsure.iter().map(id) {
            self.guard.fine(codes.fine_bytes(row..row + 1))?;
        }
        let fine = codes.fine(rows.clone());
        let n_left = self.kernel.judge_fine(chunk, fine, unsure, judged, left);
        let inside_fine = judged.n_inside() - inside_codes;
        let fine_bytes = codes.fine_bytes(0..n_unsure).len();
        let by_fine = TierReport::of(n_unsure, inside_fine, n_left, fine_bytes);
        found.explain.add(Tier::Fine, by_fine);
        self.look_at_rows(ask, rows, &left[..n_left], judged, found)?;
        Ok([n_unsure, n_left])
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
        for &row in rows {
            let row = chunk.start + usize::from(row);
            self.guard.rows(row..row + 1)?;
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
