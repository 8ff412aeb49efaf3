//! One span of rows, tier by tier, on one thread.
//!
//! Invariant: the hits of a span are those of the definition, whatever the tiers decided and wherever
//! chunks begin; every row is decided by exactly one tier. Nothing here knows of threads.

use std::ops::Range;

use crate::code::{CodeQuery, Codes, TILE_ROWS};
use crate::distance::check_environment;
use crate::explain::{Tier, TierReport};
use crate::field::{Ask, Field, Found, Room, chunk_of, runs};
use crate::guard::Guard;
use crate::kernel::{CodeChunk, Judged, PrefixChunk};
use crate::plan::Costs;
use crate::prefix::{Prefix, PrefixQuery};

/// Rows of the first chunk of a span where there are prefixes: enough to see whether they are worth it, and
/// few beside the span if not.
const PROBE_ROWS: usize = 128;

impl<'a, G: Guard> Field<'a, G> {
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
        for rows in runs(rows.start, unsure) {
            self.guard.fine(codes.fine_bytes(rows))?;
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
}
