//! Rows in their order into the bytes of blocks.
//!
//! Invariant: a box holds each of its rows, and an upper one each of its boxes. Rows are finite.

use super::frame::{BLOCK_ROWS, FAN};
use crate::code::{Line, TILE_ROWS};

/// A row on its way to its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<const D: usize> {
    pub(crate) row: [f32; D],
    pub(crate) id: u32,
}

/// Bounds around some rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds<const D: usize> {
    pub(crate) lo: [f32; D],
    pub(crate) hi: [f32; D],
}

impl<const D: usize> Bounds<D> {
    pub(crate) fn of(records: &[Record<D>]) -> Self {
        let mut bounds = Self {
            lo: [f32::INFINITY; D],
            hi: [f32::NEG_INFINITY; D],
        };
        for Record { row, .. } in records {
            for ((lo, hi), &x) in bounds.lo.iter_mut().zip(&mut bounds.hi).zip(row) {
                (*lo, *hi) = (smaller(*lo, x), larger(*hi, x));
            }
        }
        bounds
    }

    /// Around boxes.
    fn around(boxes: &[Self]) -> Self {
        let [first, rest @ ..] = boxes else {
            return Self::of(&[]);
        };
        rest.iter().fold(*first, |around, it| Self {
            lo: std::array::from_fn(|d| smaller(around.lo[d], it.lo[d])),
            hi: std::array::from_fn(|d| larger(around.hi[d], it.hi[d])),
        })
    }

    /// The axis along which they lie farthest apart, the first of equally long ones.
    pub(crate) fn widest(&self) -> usize {
        let width = |d: usize| f64::from(self.hi[d]) - f64::from(self.lo[d]);
        (1..D).fold(0, |widest, d| match width(d) > width(widest) {
            true => d,
            false => widest,
        })
    }
}

/// The smaller of two numbers, and of two zeros the negative one, so that the bytes do not depend on the order
/// in which rows came.
fn smaller(a: f32, b: f32) -> f32 {
    if b.total_cmp(&a).is_lt() { b } else { a }
}

/// The larger of two numbers, and of two zeros the positive one.
fn larger(a: f32, b: f32) -> f32 {
    if b.total_cmp(&a).is_gt() { b } else { a }
}

/// All levels of boxes around rows in their order, the one with the fewest first, as lines.
pub(crate) fn levels_of<const D: usize>(records: &[Record<D>]) -> Vec<Line> {
    let mut level: Vec<_> = records.chunks(BLOCK_ROWS).map(Bounds::of).collect();
    let mut levels = Vec::new();
    while level.len() > FAN {
        let above = level.chunks(FAN).map(Bounds::around).collect();
        levels.push(std::mem::replace(&mut level, above));
    }
    levels.push(level);
    let groups = levels.iter().rev().flat_map(|level| level.chunks(FAN));
    let mut lines = Vec::new();
    for group in groups {
        for d in 0..D {
            lines.push(column(group.iter().map(|it| it.lo[d])));
        }
        for d in 0..D {
            lines.push(column(group.iter().map(|it| it.hi[d])));
        }
    }
    lines
}

/// Rows as lines, coordinate by coordinate; whole groups of sixteen but for the last.
pub(crate) fn fill_rows<const D: usize>(records: &[Record<D>], lines: &mut Vec<Line>) {
    for tile in records.chunks(TILE_ROWS) {
        for d in 0..D {
            lines.push(column(tile.iter().map(|record| record.row[d])));
        }
    }
}

/// Up to sixteen numbers as a line, and zeros for the rest.
fn column(values: impl Iterator<Item = f32>) -> Line {
    let mut line = [0; size_of::<Line>()];
    for (place, value) in line.as_chunks_mut::<4>().0.iter_mut().zip(values) {
        *place = value.to_le_bytes();
    }
    line
}
