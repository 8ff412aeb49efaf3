//! A search by boxes: from the few around everything down to the blocks that the ring cuts.
//!
//! Invariant: the hits are those of the definition that are allowed, each once; every row is decided by the box around
//! it or by its coordinates. Nothing here knows of threads.

use std::ops::Range;

use crate::boxes::{BoxQuery, Boxes, line_bytes};
use crate::code::TILE_ROWS;
use crate::distance::check_environment;
use crate::error::{self, Error};
use crate::explain::{Explain, Tier, TierReport};
use crate::guard::Guard;
use crate::kernel::{Kernel, existing};
use crate::plan::{BoxCosts, Costs};
use crate::row_set::RowSet;

/// Rows of a part, at least, but for the last one; and of a piece, at most.
pub(crate) const PART_ROWS: usize = 16 * 1024;

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
    /// The rows that are allowed; all if there is none.
    filter: Option<&'a RowSet>,
    /// What a scan costs without boxes, in rows.
    scanned: usize,
    kernel: Kernel,
    guard: &'a G,
    /// In order of their places.
    pieces: Vec<Piece>,
    inside: usize,
    unsure: usize,
    bytes: usize,
}

impl<'a, G: Guard> Walk<'a, G> {
    /// Nothing was looked at yet.
    pub(crate) fn new(
        boxes: Boxes<'a>,
        query: BoxQuery,
        costs: Option<BoxCosts>,
        filter: Option<&'a RowSet>,
        kernel: Kernel,
        guard: &'a G,
    ) -> Self {
        let rows = boxes.frame().rows();
        let scanned = match filter {
            Some(filter) => Costs::new(query.dims).as_scanned(filter.allowed(rows), rows),
            None => rows,
        };
        Self {
            boxes,
            query,
            costs,
            filter,
            scanned,
            kernel,
            guard,
            pieces: Vec::new(),
            inside: 0,
            unsure: 0,
            bytes: 0,
        }
    }

    /// Looks at boxes, and at no row: at all of them, or at as many as it takes to see that a scan costs less.
    /// Checks the thread that it runs on.
    pub(crate) fn look_at_boxes(&mut self) -> Result<(), G::Error> {
        check_environment()?;
        let frame = self.boxes.frame();
        match frame.rows() {
            0 => Ok(()),
            _ => self.look_at_group(frame.levels() - 1, 0),
        }
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
        if let Some(last) = self.pieces.last_mut()
            && last.is_inside == is_inside
            && last.places.end == places.start
            && last.places.len() + places.len() <= PART_ROWS
        {
            last.places.end = places.end;
            return;
        }
        for start in places.clone().step_by(PART_ROWS) {
            let places = start..places.end.min(start + PART_ROWS);
            self.pieces.push(Piece { places, is_inside });
        }
    }

    /// Whether it was seen that a scan costs less. What is known of the rows is then not all.
    pub(crate) fn is_given_up(&self) -> bool {
        self.costs
            .is_some_and(|costs| costs.prefer_scan(self.scanned, self.inside, self.unsure))
    }

    /// Rows that are hits.
    pub(crate) fn rows_inside(&self) -> usize {
        self.inside
    }

    /// Rows that may be hits.
    pub(crate) fn rows_left(&self) -> usize {
        self.inside + self.unsure
    }

    /// Rows of which boxes do not tell.
    pub(crate) fn rows_unsure(&self) -> usize {
        self.unsure
    }

    /// Adds what was done so far: for nothing if it was given up, else the beginning of a span.
    pub(crate) fn tell(&self, explain: &mut Explain) {
        if self.is_given_up() {
            let bytes = self.bytes as u64;
            let nothing = TierReport::default();
            explain.waste(Tier::Boxes, TierReport { bytes, ..nothing });
            explain.leave_boxes();
        } else {
            let rows = self.boxes.frame().rows();
            let [inside, unsure] = match self.filter {
                Some(_) => [0, self.inside + self.unsure],
                None => [self.inside, self.unsure],
            };
            let report = TierReport::of(rows, inside, unsure, self.bytes);
            explain.add(Tier::Boxes, report);
            explain.begin_span();
        }
    }

    pub(crate) fn guard(&self) -> &'a G {
        self.guard
    }

    /// How many rows a part has.
    pub(crate) fn rows_of(&self, part: Range<usize>) -> usize {
        let pieces = self.pieces[part].iter();
        pieces.map(|piece| piece.places.len()).sum()
    }

    /// All pieces, as one part of the work.
    pub(crate) fn whole(&self) -> Range<usize> {
        0..self.pieces.len()
    }

    /// The same in parts for different threads.
    pub(crate) fn parts(&self) -> Vec<Range<usize>> {
        parts_of(self.pieces.iter().map(|piece| piece.places.len()))
    }

    /// Adds the ids of the hits of a part, in no order, if they are wanted. Checks the thread that it runs on.
    pub(crate) fn look_at(
        &self,
        part: Range<usize>,
        mut ids: Option<&mut Vec<u32>>,
        explain: &mut Explain,
    ) -> Result<(), G::Error> {
        check_environment()?;
        if let Some(filter) = self.filter {
            return self.look_at_allowed(filter, part, ids, explain);
        }
        for Piece { places, is_inside } in &self.pieces[part] {
            let report = self.look_at_piece(places, *is_inside, ids.as_deref_mut())?;
            if !is_inside {
                explain.add(Tier::Rows, report);
            }
        }
        Ok(())
    }

    /// The same where not all rows are allowed: it takes their ids to tell, wanted or not.
    fn look_at_allowed(
        &self,
        filter: &RowSet,
        part: Range<usize>,
        mut ids: Option<&mut Vec<u32>>,
        explain: &mut Explain,
    ) -> Result<(), G::Error> {
        let mut of_piece = Vec::new();
        for Piece { places, is_inside } in &self.pieces[part] {
            of_piece.clear();
            let report = self.look_at_piece(places, *is_inside, Some(&mut of_piece))?;
            let rows = self.boxes.frame().rows();
            if let Some(&id) = of_piece.iter().find(|&&id| id as usize >= rows) {
                return Err(of_no_row(id).into());
            }
            of_piece.retain(|&id| filter.allows(id));
            let hits = of_piece.len();
            let (tier, bytes) = match is_inside {
                true => (Tier::Filter, 0),
                false => (Tier::Rows, report.bytes as usize),
            };
            explain.add(tier, TierReport::of(places.len(), hits, 0, bytes));
            if let Some(ids) = &mut ids {
                ids.extend_from_slice(&of_piece);
            }
        }
        Ok(())
    }

    /// Adds the ids of the hits of a piece, if they are wanted.
    fn look_at_piece(
        &self,
        places: &Range<usize>,
        is_inside: bool,
        mut ids: Option<&mut Vec<u32>>,
    ) -> Result<TierReport, G::Error> {
        if let Some(ids) = &mut ids {
            let bytes = size_of::<u32>() * places.start..size_of::<u32>() * places.end;
            self.guard.order(bytes)?;
            if is_inside {
                let order = self.boxes.order(places.clone()).iter();
                ids.extend(order.map(|&id| u32::from_le_bytes(id)));
            }
        }
        match is_inside {
            true => Ok(TierReport::of(places.len(), places.len(), 0, 0)),
            false => self.look_at_rows(places, ids),
        }
    }

    /// The same of rows of which boxes do not tell.
    fn look_at_rows(
        &self,
        places: &Range<usize>,
        mut ids: Option<&mut Vec<u32>>,
    ) -> Result<TierReport, G::Error> {
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
                let Some(of_tile) = tiles.next() else { break };
                inside += hits.count_ones() as usize;
                if let Some(ids) = &mut ids {
                    push_hits(hits, of_tile, ids);
                }
            }
        }
        Ok(TierReport::of(places.len(), inside, 0, bytes.len()))
    }
}

/// Pieces of so many rows in parts of about as many rows each.
pub(crate) fn parts_of(pieces: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    let mut rows = PART_ROWS;
    for (i, n) in pieces.enumerate() {
        match parts.last_mut() {
            Some(part) if rows < PART_ROWS => part.end = i + 1,
            _ => {
                parts.push(i..i + 1);
                rows = 0;
            }
        }
        rows += n;
    }
    parts
}

/// Adds the ids of the hits among up to sixteen rows. Four at a time, hits or not: a branch for each would be
/// mispredicted for most groups of rows.
fn push_hits(mut hits: u16, ids: &[[u8; 4]], found: &mut Vec<u32>) {
    if hits == 0 {
        return;
    }
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
pub(crate) fn ascending(mut parts: Vec<Vec<u32>>, rows: usize) -> error::Result<Vec<u32>> {
    let n_ids = parts.iter().map(Vec::len).sum();
    let marks = match n_ids >= RADIX_MIN && rows / MARKED_ROWS <= n_ids {
        true => Some(marks(&parts, rows)?),
        false => None,
    };
    let mut ids = match parts.len() {
        1 => parts.swap_remove(0),
        _ => parts.concat(),
    };
    match marks {
        Some(marks) => write_marked(&marks, &mut ids),
        None if n_ids < RADIX_MIN => ids.sort_unstable(),
        None => radsort::sort(&mut ids),
    }
    match ids.last() {
        Some(&id) if id as usize >= rows => Err(of_no_row(id)),
        _ => Ok(ids),
    }
}

/// A bit for each row, set for these ids.
fn marks(parts: &[Vec<u32>], rows: usize) -> error::Result<Vec<u64>> {
    let mut marks = vec![0_u64; rows.div_ceil(64)];
    for &id in parts.iter().flatten() {
        match marks.get_mut(id as usize / 64) {
            Some(mark) => *mark |= 1 << (id % 64),
            None => return Err(of_no_row(id)),
        }
    }
    Ok(marks)
}

/// Replaces ids by those that are marked.
fn write_marked(marks: &[u64], ids: &mut Vec<u32>) {
    ids.clear();
    for (&marks, first) in marks.iter().zip((0_u32..).step_by(64)) {
        let mut marks = marks;
        while marks != 0 {
            ids.push(first + marks.trailing_zeros());
            marks &= marks - 1;
        }
    }
}

/// The error of an id beyond the rows.
pub(crate) fn of_no_row(id: u32) -> Error {
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
                let found = ascending(vec![ids.clone()], rows);
                assert!(found.as_ref() == Ok(&expected), "{rows} {step}");
                let second = ids.split_off(ids.len() / 3);
                let found = ascending(vec![second, ids], rows);
                assert!(found == Ok(expected), "{rows} {step} in two parts");
            }
        }
    }

    #[test]
    fn an_id_of_no_row_is_refused_however_many_they_are() {
        for (n, rows) in [(3, 2), (600, 599), (600, 64)] {
            let ids: Vec<u32> = (0..n).collect();
            let error = ascending(vec![ids], rows).unwrap_err();
            assert!(
                matches!(error, Error::NotOfTheseRows { value, .. } if value >= rows as u64),
                "{error}"
            );
        }
    }
}
