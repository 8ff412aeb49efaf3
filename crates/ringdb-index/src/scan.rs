//! Rows by their coordinates alone, all of them or those that are allowed, on one thread.
//!
//! Invariant: no row is found that is not allowed, and of a tile without such a row nothing is read.

use std::ops::Range;

use crate::code::TILE_ROWS;
use crate::explain::{Tier, TierReport};
use crate::field::{Ask, Field, Found};
use crate::guard::Guard;
use crate::kernel::{CHUNK_ROWS, CHUNK_TILES, Chunk, Judged};
use crate::plan::Costs;
use crate::row_set::RowSet;

impl<G: Guard> Field<'_, G> {
    /// By the coordinates of all rows that are allowed.
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

    /// By the coordinates of the rows that are allowed, or, where they are many, by those of all in their tiles.
    fn scan_allowed(
        &self,
        filter: &RowSet,
        ask: &Ask,
        span: Range<usize>,
        found: &mut Found,
    ) -> Result<(), G::Error> {
        let costs = Costs::new(self.rows.dims());
        let mut masks = [0; CHUNK_TILES];
        let (mut judged, mut picked) = (Judged::new(), [0; CHUNK_ROWS]);
        for first in span.clone().step_by(CHUNK_ROWS) {
            let rows = first..span.end.min(first + CHUNK_ROWS);
            let allowed = filter.masks(rows.clone(), &mut masks);
            let by_filter = TierReport::of(rows.len(), 0, allowed, 0);
            found.explain.add(Tier::Filter, by_filter);
            if costs.prefer_picks(allowed, rows.len()) {
                judged.begin_with(&masks, allowed);
                let n = judged.unsure(rows.len().div_ceil(TILE_ROWS), &mut picked);
                self.look_at_rows(ask, rows, &picked[..n], &mut judged, found)?;
            } else {
                let n_tiles = rows.len().div_ceil(TILE_ROWS);
                let mut first = rows.start;
                for tiles in masks[..n_tiles].chunk_by(|a, b| (*a == 0) == (*b == 0)) {
                    let of_tiles = first..rows.end.min(first + tiles.len() * TILE_ROWS);
                    first = of_tiles.end;
                    if tiles.iter().all(|&mask| mask != 0) {
                        self.scan_tiles(ask, of_tiles, tiles, found)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Neighbouring tiles that all have rows that are allowed, by the coordinates of all their rows.
    fn scan_tiles(
        &self,
        ask: &Ask,
        rows: Range<usize>,
        masks: &[u16],
        found: &mut Found,
    ) -> Result<(), G::Error> {
        self.guard.rows(rows.clone())?;
        let (first, coordinates) = (rows.start, self.rows.coordinates(rows));
        let chunk = Chunk {
            coordinates,
            first_id: first as u32,
            query: &ask.query,
            thresholds: ask.thresholds,
        };
        let mut ids = [0; CHUNK_ROWS];
        let n_found = self.kernel.hits(&chunk, &mut ids);
        let mut n = 0;
        for i in 0..n_found {
            let id = ids[i];
            let row = id as usize - first;
            // Always written, as in the scan itself: a branch would be mispredicted for many of them.
            ids[n] = id;
            n += usize::from(masks[row / TILE_ROWS] >> (row % TILE_ROWS) & 1);
        }
        if found.wants_ids {
            found.ids.extend_from_slice(&ids[..n]);
        }
        let allowed: u32 = masks.iter().map(|mask| mask.count_ones()).sum();
        let report = TierReport::of(allowed as usize, n, 0, size_of_val(coordinates));
        found.explain.add(Tier::Scan, report);
        Ok(())
    }
}
