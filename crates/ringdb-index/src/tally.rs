//! A histogram of some rows, on one thread.
//!
//! Invariant: every row that is allowed is counted once, in the slot of its sum; where codes do not prove it, by its
//! coordinates.

use std::ops::Range;

use crate::bins::{CodeBins, Tally};
use crate::code::{CodeQuery, Codes, TILE_ROWS};
use crate::distance::check_environment;
use crate::edges::Edges;
use crate::explain::{Explain, Tier, TierReport};
use crate::field::{Field, chunk_of, runs};
use crate::guard::Guard;
use crate::kernel::{CHUNK_ROWS, CodeChunk, Judged, PlaceFine, Prepared};
use crate::plan::Costs;
use crate::ring::Thresholds;

/// What a histogram asks of rows, in the forms that tiers need.
#[derive(Debug)]
pub(crate) struct TallyAsk<'a> {
    query: Prepared,
    edges: &'a Edges,
    /// None if there are no codes, or the query is too far away for them.
    codes: Option<(CodeQuery, CodeBins)>,
}

/// What was counted, and how.
#[derive(Debug, Clone)]
pub(crate) struct Tallied {
    pub(crate) tally: Tally,
    pub(crate) explain: Explain,
}

impl Tallied {
    pub(crate) fn nothing(edges: &Edges) -> Self {
        Self {
            tally: Tally::new(edges),
            explain: Explain::default(),
        }
    }

    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.explain += other.explain;
        self.tally = self.tally.merge(other.tally);
        self
    }

    /// Adds what a tier did of so many rows, of which it left some unsure, since so many were in no bin.
    fn report(
        &mut self,
        tier: Tier,
        rows: usize,
        unsure: usize,
        outside_before: u64,
        bytes: usize,
    ) {
        let outside = (self.tally.outside() - outside_before) as usize;
        let inside = rows - unsure - outside;
        let report = TierReport::of(rows, inside, unsure, bytes);
        self.explain.add(tier, report);
    }
}

impl<'a> TallyAsk<'a> {
    pub(crate) fn new(codes: Option<Codes<'_>>, query: &[f32], edges: &'a Edges) -> Self {
        // Every row is estimated, whatever its distance.
        let everything = Thresholds {
            lo_s: 0.0,
            hi_s: f64::MAX,
        };
        let codes = codes.and_then(|codes| {
            let frame = codes.frame();
            let asked = CodeQuery::new(frame, query, everything)?;
            Some((asked, CodeBins::new(frame, query, edges)?))
        });
        Self {
            query: Prepared::new(query),
            edges,
            codes,
        }
    }
}

impl<'a, G: Guard> Field<'a, G> {
    /// Counts the rows of a span. Checks the thread that it runs on.
    pub(crate) fn tally(
        &self,
        ask: &TallyAsk<'_>,
        span: Range<usize>,
        found: &mut Tallied,
    ) -> Result<(), G::Error> {
        check_environment()?;
        let before = std::mem::replace(&mut found.explain, Explain::of_span());
        let done = match (&self.codes, &ask.codes) {
            (Some(codes), Some((query, bins))) => {
                self.tally_codes(ask, codes, query, bins, span, found)
            }
            _ => self.tally_scan(ask, span, found),
        };
        found.explain += before;
        done
    }

    fn tally_codes(
        &self,
        ask: &TallyAsk<'_>,
        codes: &Codes<'a>,
        query: &CodeQuery,
        bins: &CodeBins,
        span: Range<usize>,
        found: &mut Tallied,
    ) -> Result<(), G::Error> {
        let costs = Costs::new(self.rows.dims());
        let mut judged = Judged::new();
        let mut picked = [0; CHUNK_ROWS];
        for first in span.clone().step_by(self.chunk_rows()) {
            let rows = first..span.end.min(first + self.chunk_rows());
            let n_tiles = rows.len().div_ceil(TILE_ROWS);
            let by_filter = self.allow(rows.clone(), &mut judged);
            found.explain.add(Tier::Filter, by_filter);
            let allowed = judged.n_unsure();
            let open = judged.open_tiles(n_tiles).count();
            if self.filter.is_some() && costs.prefer_rows(allowed, open) {
                let n = judged.unsure(n_tiles, &mut picked);
                self.tally_rows(ask, rows, &picked[..n], Tier::Rows, found)?;
                continue;
            }
            let chunk = chunk_of(codes, query, rows.clone());
            self.check_codes(codes, &chunk, open, &judged)?;
            let outside = found.tally.outside();
            self.kernel
                .place_tiles(&chunk, bins, &mut judged, &mut found.tally);
            let bytes = codes.tile_bytes(0..open).len();
            let unsure = judged.n_unsure();
            found.report(Tier::Codes, allowed, unsure, outside, bytes);
            let left = self.tally_fine(ask, codes, &chunk, bins, &judged, found)?;
            let behind = rows.end..span.end;
            if !behind.is_empty() && costs.prefer_scan(allowed, unsure, left) {
                found.explain.switch();
                return self.tally_scan(ask, behind, found);
            }
        }
        Ok(())
    }

    /// Counts the rows of a chunk that codes left unsure. Returns of how many the coordinates were read.
    fn tally_fine(
        &self,
        ask: &TallyAsk<'_>,
        codes: &Codes<'a>,
        chunk: &CodeChunk<'_>,
        bins: &CodeBins,
        judged: &Judged,
        found: &mut Tallied,
    ) -> Result<usize, G::Error> {
        let rows = chunk.first..chunk.first + chunk.rows;
        let (mut unsure, mut left) = ([0; CHUNK_ROWS], [0; CHUNK_ROWS]);
        let n = judged.unsure(rows.len().div_ceil(TILE_ROWS), &mut unsure);
        for rows in runs(rows.start, &unsure[..n]) {
            self.guard.fine(codes.fine_bytes(rows))?;
        }
        let outside = found.tally.outside();
        let fine = codes.fine(rows.clone());
        let n_left = self.kernel.place_fine(PlaceFine {
            chunk,
            fine,
            bins,
            judged,
            left: &mut left,
            tally: &mut found.tally,
        });
        let bytes = codes.fine_bytes(0..n).len();
        found.report(Tier::Fine, n, n_left, outside, bytes);
        self.tally_rows(ask, rows, &left[..n_left], Tier::Rows, found)?;
        Ok(n_left)
    }

    /// Counts rows by their coordinates.
    fn tally_scan(
        &self,
        ask: &TallyAsk<'_>,
        span: Range<usize>,
        found: &mut Tallied,
    ) -> Result<(), G::Error> {
        let mut judged = Judged::new();
        let mut picked = [0; CHUNK_ROWS];
        for first in span.clone().step_by(CHUNK_ROWS) {
            let rows = first..span.end.min(first + CHUNK_ROWS);
            let by_filter = self.allow(rows.clone(), &mut judged);
            found.explain.add(Tier::Filter, by_filter);
            let n = judged.unsure(rows.len().div_ceil(TILE_ROWS), &mut picked);
            self.tally_rows(ask, rows, &picked[..n], Tier::Scan, found)?;
        }
        Ok(())
    }

    /// Counts some rows of a chunk by their coordinates.
    fn tally_rows(
        &self,
        ask: &TallyAsk<'_>,
        chunk: Range<usize>,
        rows: &[u16],
        tier: Tier,
        found: &mut Tallied,
    ) -> Result<(), G::Error> {
        for rows in runs(chunk.start, rows) {
            self.guard.rows(rows)?;
        }
        let coordinates = self.rows.coordinates(chunk);
        let outside = found.tally.outside();
        self.kernel
            .place_rows(coordinates, &ask.query, ask.edges, rows, &mut found.tally);
        let bytes = size_of::<f32>() * self.rows.dims() * rows.len();
        found.report(tier, rows.len(), 0, outside, bytes);
        Ok(())
    }
}
