//! A search by boxes: from the few around everything down to the blocks that the ring cuts.
//!
//! Invariant: the hits are those of the definition, each once; every row is decided by the box around it or by
//! its coordinates. Nothing here knows of threads.

use std::ops::Range;

use crate::boxes::{BoxQuery, Boxes, line_bytes};
use crate::code::TILE_ROWS;
use crate::distance::check_environment;
use crate::explain::{Explain, Tier, TierReport};
use crate::kernel::{Kernel, existing};
use crate::ring::Thresholds;
use crate::span::{Found, Guard};

/// Rows of a piece, at most: there is work for many threads where there are many rows.
const PIECE_ROWS: usize = 16 * 1024;

/// Fewer ids are put in order by comparing them.
const MARKED_MIN: usize = 512;

/// Rows for each id, at most, where ids are put in order by marking them: all marks are looked at.
const MARKED_ROWS: usize = 1024;

/// Rows in neighbouring places, as boxes left them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    places: Range<usize>,
    /// All of them, or it is not known which.
    is_inside: bool,
}

/// A query on its way through boxes.
#[derive(Debug)]
pub(crate) struct Walk<'a, G> {
    boxes: Boxes<'a>,
    query: BoxQuery,
    kernel: Kernel,
    guard: &'a G,
    /// In order of their places.
    pub(crate) pieces: Vec<Piece>,
    inside: usize,
    unsure: usize,
    bytes: usize,
}

impl<'a, G: Guard> Walk<'a, G> {
    /// Looks at boxes, and at no row.
    pub(crate) fn new(
        boxes: Boxes<'a>,
        query: &[f32],
        thresholds: Thresholds,
        kernel: Kernel,
        guard: &'a G,
    ) -> Result<Self, G::Error> {
        check_environment()?;
        let mut walk = Self {
            boxes,
            query: BoxQuery::new(query, thresholds),
            kernel,
            guard,
            pieces: Vec::new(),
            inside: 0,
            unsure: 0,
            bytes: 0,
        };
        if boxes.frame().rows() > 0 {
            walk.look_at_group(boxes.frame().levels() - 1, 0)?;
        }
        Ok(walk)
    }

    fn look_at_group(&mut self, level: usize, group: usize) -> Result<(), G::Error> {
        let (lines, exist) = self.boxes.group(level, group);
        let bytes = line_bytes(&lines);
        self.bytes += bytes.len();
        self.guard.blocks(bytes)?;
        let found = self
            .kernel
            .judge_boxes(self.boxes.lines(lines), &self.query);
        let mut left = (found.inside | found.unsure) & existing(exist);
        while left != 0 {
            let bit = left.trailing_zeros();
            left &= left - 1;
            let index = group * TILE_ROWS + bit as usize;
            let is_inside = found.inside >> bit & 1 == 1;
            if is_inside || level == 0 {
                self.add(self.boxes.frame().rows_of_box(level, index), is_inside);
            } else {
                self.look_at_group(level - 1, index)?;
            }
        }
        Ok(())
    }

    /// Rows behind all those that were added before.
    fn add(&mut self, places: Range<usize>, is_inside: bool) {
        match is_inside {
            true => self.inside += places.len(),
            false => self.unsure += places.len(),
        }
        if let Some(last) = self.pieces.last_mut()
            && last.is_inside == is_inside
            && last.places.end == places.start
            && last.places.len() + places.len() <= PIECE_ROWS
        {
            last.places.end = places.end;
            return;
        }
        for start in places.clone().step_by(PIECE_ROWS) {
            let places = start..places.end.min(start + PIECE_ROWS);
            self.pieces.push(Piece { places, is_inside });
        }
    }

    /// Rows that may be hits.
    pub(crate) fn rows_left(&self) -> usize {
        self.inside + self.unsure
    }

    /// What was done so far.
    pub(crate) fn explain(&self) -> Explain {
        let mut explain = Explain::default();
        explain.add(Tier::Boxes, self.report());
        explain
    }

    /// The same if it was for nothing.
    pub(crate) fn wasted(&self) -> Explain {
        let mut explain = Explain::default();
        explain.waste(Tier::Boxes, self.report());
        explain.switch();
        explain
    }

    fn report(&self) -> TierReport {
        let rows = self.boxes.frame().rows();
        TierReport::of(rows, self.inside, self.unsure, self.bytes)
    }

    /// Adds the hits of a piece, whose ids are in no order. Checks the thread that it runs on.
    pub(crate) fn look_at(&self, piece: &Piece, found: &mut Found) -> Result<(), G::Error> {
        check_environment()?;
        let Piece { places, is_inside } = piece;
        if found.wants_ids {
            let bytes = size_of::<u32>() * places.start..size_of::<u32>() * places.end;
            self.guard.order(bytes)?;
        }
        let order = self.boxes.order(places.clone());
        if *is_inside {
            if found.wants_ids {
                let ids = order.iter().map(|&id| u32::from_le_bytes(id));
                found.ids.extend(ids);
            }
            return Ok(());
        }
        let blocks = self.boxes.blocks_of(places);
        let lines = self.boxes.block(blocks.start).start..self.boxes.block(blocks.end - 1).end;
        let bytes = line_bytes(&lines);
        self.guard.blocks(bytes.clone())?;
        let mut inside = 0;
        let mut left = places.len();
        let mut tiles = order.chunks(TILE_ROWS);
        for block in blocks {
            let lines = self.boxes.lines(self.boxes.block(block));
            for mask in self.kernel.judge_block(lines, &self.query) {
                let mut hits = mask & existing(left);
                left = left.saturating_sub(TILE_ROWS);
                let Some(ids) = tiles.next() else { break };
                inside += hits.count_ones() as usize;
                while found.wants_ids && hits != 0 {
                    let id = ids[hits.trailing_zeros() as usize];
                    found.ids.push(u32::from_le_bytes(id));
                    hits &= hits - 1;
                }
            }
        }
        let report = TierReport::of(places.len(), inside, 0, bytes.len());
        found.explain.add(Tier::Rows, report);
        Ok(())
    }
}

/// Puts ids of so many rows in ascending order. No id occurs twice.
pub(crate) fn ascending(ids: &mut Vec<u32>, rows: usize) {
    if ids.len() < MARKED_MIN || rows / MARKED_ROWS > ids.len() {
        ids.sort_unstable();
        return;
    }
    let mut marks = vec![0_u64; rows.div_ceil(64)];
    for &id in &*ids {
        // There is a mark for each id of a row.
        if let Some(mark) = marks.get_mut(id as usize / 64) {
            *mark |= 1 << (id % 64);
        }
    }
    ids.clear();
    for (mut marks, first) in marks.into_iter().zip((0_u32..).step_by(64)) {
        while marks != 0 {
            ids.push(first + marks.trailing_zeros());
            marks &= marks - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_put_in_order_however_many_they_are() {
        for rows in [1, 700, 100_000, 3_000_000] {
            for step in [1, 3, 997] {
                let expected: Vec<u32> = (0..rows as u32).step_by(step).collect();
                let mut ids = expected.clone();
                ids.reverse();
                let middle = ids.len() / 3;
                ids.rotate_left(middle);
                ascending(&mut ids, rows);
                assert!(ids == expected, "{rows} {step}");
            }
        }
    }
}
