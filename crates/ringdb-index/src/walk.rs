//! A search by boxes: from the few around everything down to the blocks that the ring cuts.
//!
//! Invariant: the hits are those of the definition, each once; every row is decided by the box around it or by
//! its coordinates. Nothing here knows of threads.

use std::ops::Range;

use crate::boxes::{BoxQuery, Boxes, line_bytes};
use crate::code::TILE_ROWS;
use crate::distance::check_environment;
use crate::error::{self, Error};
use crate::explain::{Explain, Tier, TierReport};
use crate::kernel::{Kernel, existing};
use crate::plan::BoxCosts;
use crate::span::{Found, Guard};

/// Rows of a task, at least, but for the last one.
const TASK_ROWS: usize = 16 * 1024;

/// Rows in neighbouring places, as boxes left them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    places: Range<usize>,
    /// All of them, or it is not known which.
    is_inside: bool,
}

/// A query on its way through boxes.
#[derive(Debug)]
pub(crate) struct Walk<'a, G> {
    boxes: Boxes<'a>,
    query: BoxQuery,
    /// What is too much; nothing is if there are none.
    costs: Option<BoxCosts>,
    kernel: Kernel,
    guard: &'a G,
    /// In order of their places.
    pieces: Vec<Piece>,
    /// The pieces with which tasks begin.
    tasks: Vec<usize>,
    /// Rows in the pieces of the last task.
    task_rows: usize,
    inside: usize,
    unsure: usize,
    bytes: usize,
}

impl<'a, G: Guard> Walk<'a, G> {
    /// Looks at boxes, and at no row: at all of them, or at as many as it takes to see that a scan costs less.
    pub(crate) fn new(
        boxes: Boxes<'a>,
        query: BoxQuery,
        costs: Option<BoxCosts>,
        kernel: Kernel,
        guard: &'a G,
    ) -> Result<Self, G::Error> {
        check_environment()?;
        let mut walk = Self {
            boxes,
            query,
            costs,
            kernel,
            guard,
            pieces: Vec::new(),
            tasks: Vec::new(),
            task_rows: 0,
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
        while left != 0 && !self.is_given_up() {
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
        for start in places.clone().step_by(TASK_ROWS) {
            self.add_piece(start..places.end.min(start + TASK_ROWS), is_inside);
        }
    }

    /// At most as many as a task has.
    fn add_piece(&mut self, places: Range<usize>, is_inside: bool) {
        if self.task_rows >= TASK_ROWS || self.tasks.is_empty() {
            self.tasks.push(self.pieces.len());
            self.task_rows = 0;
        } else if let Some(last) = self.pieces.last_mut()
            && last.is_inside == is_inside
            && last.places.end == places.start
        {
            self.task_rows += places.len();
            last.places.end = places.end;
            return;
        }
        self.task_rows += places.len();
        self.pieces.push(Piece { places, is_inside });
    }

    /// Whether it was seen that a scan costs less. What is known of the rows is then not all.
    pub(crate) fn is_given_up(&self) -> bool {
        let rows = self.boxes.frame().rows();
        self.costs
            .is_some_and(|costs| costs.prefer_scan(rows, self.inside, self.unsure))
    }

    /// Rows that may be hits.
    pub(crate) fn rows_left(&self) -> usize {
        self.inside + self.unsure
    }

    /// Rows of which boxes do not tell.
    pub(crate) fn rows_unsure(&self) -> usize {
        self.unsure
    }

    /// What was done so far.
    pub(crate) fn explain(&self) -> Explain {
        let mut explain = Explain::of_span();
        let rows = self.boxes.frame().rows();
        let report = TierReport::of(rows, self.inside, self.unsure, self.bytes);
        explain.add(Tier::Boxes, report);
        explain
    }

    /// The same if it was for nothing.
    pub(crate) fn wasted(&self) -> Explain {
        let mut explain = Explain::default();
        let bytes = self.bytes as u64;
        explain.waste(
            Tier::Boxes,
            TierReport {
                bytes,
                ..TierReport::default()
            },
        );
        explain.leave_boxes();
        explain
    }

    /// How many tasks there are: parts of the work for different threads.
    pub(crate) fn tasks(&self) -> usize {
        self.tasks.len()
    }

    /// The hits of some tasks, whose ids are in no order. Checks the thread that it runs on.
    pub(crate) fn look_at(&self, tasks: Range<usize>, wants_ids: bool) -> Result<Found, G::Error> {
        check_environment()?;
        let piece = |task: usize| self.tasks.get(task).copied().unwrap_or(self.pieces.len());
        let mut found = Found::part(wants_ids);
        for Piece { places, is_inside } in &self.pieces[piece(tasks.start)..piece(tasks.end)] {
            if wants_ids {
                let bytes = size_of::<u32>() * places.start..size_of::<u32>() * places.end;
                self.guard.order(bytes)?;
            }
            match is_inside {
                true if wants_ids => {
                    let order = self.boxes.order(places.clone());
                    found
                        .ids
                        .extend(order.iter().map(|&id| u32::from_le_bytes(id)));
                }
                true => {}
                false => self.look_at_rows(places, &mut found)?,
            }
        }
        Ok(found)
    }

    /// Adds the hits among rows of which boxes do not tell.
    fn look_at_rows(&self, places: &Range<usize>, found: &mut Found) -> Result<(), G::Error> {
        let blocks = self.boxes.blocks_of(places);
        let lines = self.boxes.block(blocks.start).start..self.boxes.block(blocks.end - 1).end;
        let bytes = line_bytes(&lines);
        self.guard.blocks(bytes.clone())?;
        let mut inside = 0;
        let mut left = places.len();
        let mut tiles = self.boxes.order(places.clone()).chunks(TILE_ROWS);
        for block in blocks {
            let lines = self.boxes.lines(self.boxes.block(block));
            for mask in self.kernel.judge_block(lines, &self.query) {
                let hits = mask & existing(left);
                left = left.saturating_sub(TILE_ROWS);
                let Some(ids) = tiles.next() else { break };
                inside += hits.count_ones() as usize;
                if found.wants_ids {
                    push_hits(hits, ids, &mut found.ids);
                }
            }
        }
        let report = TierReport::of(places.len(), inside, 0, bytes.len());
        found.explain.add(Tier::Rows, report);
        Ok(())
    }
}

/// Adds the ids of the hits among up to sixteen rows. Four at a time, hits or not: a branch for each would be
/// mispredicted for most groups of rows.
fn push_hits(mut hits: u16, ids: &[[u8; 4]], found: &mut Vec<u32>) {
    let mut tile = [[0; 4]; TILE_ROWS];
    tile[..ids.len()].copy_from_slice(ids);
    let end = found.len() + hits.count_ones() as usize;
    while hits != 0 {
        let mut four = [0; 4];
        for id in &mut four {
            *id = u32::from_le_bytes(tile[hits.trailing_zeros() as usize % TILE_ROWS]);
            hits &= hits.wrapping_sub(1);
        }
        found.extend(four);
    }
    found.truncate(end);
}

/// Fewer ids are put in order by comparing them.
const RADIX_MIN: usize = 256;

/// Rows for each id, at most, where ids are put in order by marking them: all marks are looked at.
const MARKED_ROWS: usize = 32;

/// The ids of all parts in ascending order. No id occurs twice.
///
/// # Errors
/// [`Error::NotOfTheseRows`] with an id that none of so many rows has.
pub(crate) fn ascending(parts: &[&[u32]], rows: usize) -> error::Result<Vec<u32>> {
    let n_ids = parts.iter().map(|ids| ids.len()).sum();
    let ids = if n_ids >= RADIX_MIN && rows / MARKED_ROWS <= n_ids {
        by_marks(parts, n_ids, rows)?
    } else {
        let mut ids = parts.concat();
        match n_ids < RADIX_MIN {
            true => ids.sort_unstable(),
            false => radsort::sort(&mut ids),
        }
        ids
    };
    match ids.last() {
        Some(&id) if id as usize >= rows => Err(of_no_row(id)),
        _ => Ok(ids),
    }
}

fn by_marks(parts: &[&[u32]], n_ids: usize, rows: usize) -> error::Result<Vec<u32>> {
    let mut marks = vec![0_u64; rows.div_ceil(64)];
    for &id in parts.iter().copied().flatten() {
        match marks.get_mut(id as usize / 64) {
            Some(mark) => *mark |= 1 << (id % 64),
            None => return Err(of_no_row(id)),
        }
    }
    let mut ids = Vec::with_capacity(n_ids);
    for (mut marks, first) in marks.into_iter().zip((0_u32..).step_by(64)) {
        while marks != 0 {
            ids.push(first + marks.trailing_zeros());
            marks &= marks - 1;
        }
    }
    Ok(ids)
}

fn of_no_row(id: u32) -> Error {
    Error::NotOfTheseRows {
        what: "id in the order of rows",
        value: id.into(),
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
                let (first, second) = ids.split_at(ids.len() / 3);
                assert!(
                    ascending(&[second, first], rows) == Ok(expected),
                    "{rows} {step}"
                );
            }
        }
    }

    #[test]
    fn an_id_of_no_row_is_refused_however_many_they_are() {
        for (n, rows) in [(3, 2), (600, 599), (600, 64)] {
            let ids: Vec<u32> = (0..n).collect();
            let error = ascending(&[&ids], rows).unwrap_err();
            assert!(
                matches!(error, Error::NotOfTheseRows { value, .. } if value >= rows as u64),
                "{error}"
            );
        }
    }
}
