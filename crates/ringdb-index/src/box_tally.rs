//! A histogram by boxes: from the few around everything down to the blocks that are in several bins.
//!
//! Invariant: every row that is allowed is counted once, with its box or by its coordinates. Nothing here knows of
//! threads.

use std::ops::Range;

use crate::boxes::{BLOCK_TILES, BoxQuery, Boxes, line_bytes};
use crate::code::TILE_ROWS;
use crate::distance::check_environment;
use crate::edges::Edges;
use crate::explain::{Explain, Tier, TierReport};
use crate::guard::Guard;
use crate::kernel::{Kernel, existing};
use crate::plan::prefer_allowed;
use crate::ring::Thresholds;
use crate::row_set::RowSet;
use crate::tally::Tallied;
use crate::walk::{PART_ROWS, of_no_row, parts_of};

/// Rows in neighbouring places that boxes did not count.
#[derive(Debug)]
struct Piece {
    places: Range<usize>,
    /// Where they are, if the box around them says so: it is to be seen which are allowed.
    slot: Option<u16>,
}

/// A query on its way through boxes.
#[derive(Debug)]
pub(crate) struct BoxTally<'a, G> {
    boxes: Boxes<'a>,
    query: BoxQuery,
    edges: &'a Edges,
    /// The rows that are allowed; all if there is none.
    filter: Option<&'a RowSet>,
    kernel: Kernel,
    guard: &'a G,
    /// What boxes counted.
    found: Tallied,
    /// In order of their places.
    pieces: Vec<Piece>,
    /// Rows that boxes found to be in no bin.
    outside: usize,
    bytes: usize,
    is_given_up: bool,
}

impl<'a, G: Guard> BoxTally<'a, G> {
    /// Nothing was looked at yet.
    pub(crate) fn new(
        boxes: Boxes<'a>,
        query: &[f32],
        edges: &'a Edges,
        filter: Option<&'a RowSet>,
        kernel: Kernel,
        guard: &'a G,
    ) -> Self {
        let everything = Thresholds {
            lo_s: 0.0,
            hi_s: f64::MAX,
        };
        Self {
            boxes,
            query: BoxQuery::new(query, everything),
            edges,
            filter,
            kernel,
            guard,
            found: Tallied::nothing(edges),
            pieces: Vec::new(),
            outside: 0,
            bytes: 0,
            is_given_up: false,
        }
    }

    /// Looks at boxes, and at no row. Where it gives up, nothing is known of any row.
    pub(crate) fn look_at_boxes(&mut self) -> Result<(), G::Error> {
        check_environment()?;
        let frame = *self.boxes.frame();
        if frame.rows() > 0 {
            self.look_at_group(frame.levels() - 1, 0)?;
        }
        let (mut left, mut unsure) = (0, 0);
        for Piece { places, slot } in &self.pieces {
            left += places.len();
            // Those below all edges are counted already as outside, whichever of them are allowed.
            if slot.is_none_or(|slot| !self.is_outside(slot)) {
                unsure += places.len();
            }
        }
        let rows = frame.rows();
        let explain = &mut self.found.explain;
        self.is_given_up = self
            .filter
            .is_some_and(|filter| prefer_allowed(filter.allowed(rows), left));
        if self.is_given_up {
            let bytes = self.bytes as u64;
            let nothing = TierReport::default();
            explain.waste(Tier::Boxes, TierReport { bytes, ..nothing });
            explain.leave_boxes();
            return Ok(());
        }
        let inside = rows - unsure - self.outside;
        let report = TierReport::of(rows, inside, unsure, self.bytes);
        explain.add(Tier::Boxes, report);
        explain.begin_span();
        self.guard.decided(rows - left);
        Ok(())
    }

    /// What was done, if it takes less to look at the rows that are allowed than at those that boxes left.
    pub(crate) fn given_up(&self) -> Option<Explain> {
        self.is_given_up.then_some(self.found.explain)
    }

    fn look_at_group(&mut self, level: usize, group: usize) -> Result<(), G::Error> {
        let (lines, exist) = self.boxes.group(level, group);
        let bytes = line_bytes(&lines);
        self.bytes += bytes.len();
        self.guard.blocks(bytes)?;
        let lines = self.boxes.lines(lines);
        let [near, far] = self.kernel.sum_boxes(lines, &self.query);
        for (bit, (near, far)) in near.into_iter().zip(far).enumerate().take(exist) {
            let index = group * TILE_ROWS + bit;
            let slot = self.edges.slot(near);
            let slot = (slot == self.edges.slot(far)).then_some(slot);
            if slot.is_some() || level == 0 {
                self.add(self.boxes.frame().rows_of_box(level, index), slot);
            } else {
                self.look_at_group(level - 1, index)?;
            }
        }
        Ok(())
    }

    /// Rows behind all those that were added before.
    fn add(&mut self, places: Range<usize>, slot: Option<u16>) {
        if let Some(slot) = slot {
            if self.is_outside(slot) {
                self.outside += places.len();
            }
            if self.filter.is_none() {
                self.found.tally.add(slot, places.len() as u64);
                return;
            }
            if self.is_above(slot) {
                return;
            }
        }
        if let Some(last) = self.pieces.last_mut()
            && last.slot == slot
            && last.places.end == places.start
            && last.places.len() + places.len() <= PART_ROWS
        {
            last.places.end = places.end;
            return;
        }
        for start in places.clone().step_by(PART_ROWS) {
            let places = start..places.end.min(start + PART_ROWS);
            self.pieces.push(Piece { places, slot });
        }
    }

    fn is_above(&self, slot: u16) -> bool {
        usize::from(slot) == self.edges.n_slots() - 1
    }

    fn is_outside(&self, slot: u16) -> bool {
        slot == 0 || self.is_above(slot)
    }

    /// The pieces in parts for different threads.
    pub(crate) fn parts(&self) -> Vec<Range<usize>> {
        parts_of(self.pieces.iter().map(|piece| piece.places.len()))
    }

    /// Counts the rows of a part. Checks the thread that it runs on.
    pub(crate) fn look_at(&self, part: Range<usize>, found: &mut Tallied) -> Result<(), G::Error> {
        check_environment()?;
        for piece in &self.pieces[part.clone()] {
            match piece.slot {
                Some(slot) => {
                    let allowed = self.allowed_in(&piece.places)?;
                    found.tally.add(slot, allowed as u64);
                    if !self.is_outside(slot) {
                        let report = TierReport::of(piece.places.len(), allowed, 0, 0);
                        found.explain.add(Tier::Filter, report);
                    }
                }
                None => self.look_at_rows(&piece.places, found)?,
            }
        }
        let rows = self.pieces[part].iter().map(|piece| piece.places.len());
        self.guard.decided(rows.sum());
        Ok(())
    }

    /// How many rows in some places are allowed.
    fn allowed_in(&self, places: &Range<usize>) -> Result<usize, G::Error> {
        let masks = self.masks(places)?;
        Ok(masks.iter().map(|mask| mask.count_ones() as usize).sum())
    }

    /// A bit for each row in some places that is allowed, sixteen to a mask.
    fn masks(&self, places: &Range<usize>) -> Result<Vec<u16>, G::Error> {
        let n_rows = self.boxes.frame().rows();
        let Some(filter) = self.filter else {
            let tiles = (0..places.len()).step_by(TILE_ROWS);
            return Ok(tiles.map(|first| existing(places.len() - first)).collect());
        };
        let bytes = size_of::<u32>() * places.start..size_of::<u32>() * places.end;
        self.guard.order(bytes)?;
        let mut masks = Vec::with_capacity(places.len().div_ceil(TILE_ROWS));
        for tile in self.boxes.order(places.clone()).chunks(TILE_ROWS) {
            let mut mask = 0;
            for (r, &id) in tile.iter().enumerate() {
                let id = u32::from_le_bytes(id);
                if id as usize >= n_rows {
                    return Err(of_no_row(id).into());
                }
                mask |= u16::from(filter.allows(id)) << r;
            }
            masks.push(mask);
        }
        Ok(masks)
    }

    /// Counts rows of which boxes do not tell.
    fn look_at_rows(&self, places: &Range<usize>, found: &mut Tallied) -> Result<(), G::Error> {
        let masks = self.masks(places)?;
        let allowed: usize = masks.iter().map(|mask| mask.count_ones() as usize).sum();
        let blocks = self.boxes.blocks_of(places);
        let lines = self.boxes.block(blocks.start).start..self.boxes.block(blocks.end - 1).end;
        let bytes = line_bytes(&lines);
        self.guard.blocks(bytes.clone())?;
        let outside = found.tally.outside();
        for (block, masks) in blocks.zip(masks.chunks(BLOCK_TILES)) {
            if masks.iter().all(|&mask| mask == 0) {
                continue;
            }
            let lines = self.boxes.lines(self.boxes.block(block));
            let mut rows = [0; BLOCK_TILES];
            rows[..masks.len()].copy_from_slice(masks);
            self.kernel
                .place_block(lines, &self.query, rows, self.edges, &mut found.tally);
        }
        let outside = (found.tally.outside() - outside) as usize;
        let inside = allowed - outside;
        let report = TierReport::of(places.len(), inside, 0, bytes.len());
        found.explain.add(Tier::Rows, report);
        Ok(())
    }

    /// Everything that was counted, with what was found in the parts.
    pub(crate) fn finish(self, of_parts: Tallied) -> Tallied {
        let mut found = of_parts.merge(self.found);
        if let Some(filter) = self.filter {
            // Whoever is allowed and nowhere else is farther than the last edge.
            let allowed = filter.allowed(self.boxes.frame().rows()) as u64;
            found.tally.fill_above(allowed);
        }
        found
    }
}
