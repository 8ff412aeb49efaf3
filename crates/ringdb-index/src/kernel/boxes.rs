//! The inner loops over boxes and over the rows in them, which lie coordinate by coordinate: sixteen boxes or
//! rows at once.
//!
//! Invariant: sums are those of the definition, lane by lane and tree by tree. The nearest point of a box has
//! in each coordinate the smallest difference that any of its rows can have, the farthest one the largest, and
//! every operation of the definition is monotone; so is the rounding of it.
//!
//! Plain Rust, as in `narrow`, and for the same reasons. Coordinates are loaded first, and the loop over
//! sixteen is the outer one: the compiler then spreads sixteen sums over vectors of whatever width the calling
//! function allows. With the loops the other way round it gathered and scattered sums on AVX-512, and a row
//! of 5 to 8 coordinates took about ten times longer.

use super::codes::{CodeLanes, Masks};
use super::narrow::tree;
use super::work::Work;
use crate::bins::Tally;
use crate::boxes::{BLOCK_TILES, BoxQuery, of_dims};
use crate::code::{Line, TILE_ROWS};
use crate::edges::Edges;
use crate::ring::Thresholds;

/// What is known of sixteen boxes: of an unsure one some rows may be inside and others not. What stands for
/// boxes that do not exist is arbitrary.
pub(super) struct JudgeBoxes<'a> {
    pub(super) lines: &'a [Line],
    pub(super) query: &'a BoxQuery,
}

impl Work for JudgeBoxes<'_> {
    type Output = Masks;

    #[inline(always)]
    fn on<L: CodeLanes>(self, _: L) -> Masks {
        let Self { lines, query } = self;
        of_dims!(query.dims, boxes::<_>(lines, query))
    }
}

/// A bit for each row of a block that is inside. What stands for rows that do not exist is arbitrary.
pub(super) struct JudgeBlock<'a> {
    pub(super) lines: &'a [Line],
    pub(super) query: &'a BoxQuery,
}

impl Work for JudgeBlock<'_> {
    type Output = [u16; BLOCK_TILES];

    #[inline(always)]
    fn on<L: CodeLanes>(self, _: L) -> [u16; BLOCK_TILES] {
        let Self { lines, query } = self;
        of_dims!(query.dims, block::<_>(lines, query))
    }
}

/// The sums of the nearest and of the farthest point of sixteen boxes; those of boxes that do not exist are arbitrary.
pub(super) struct SumBoxes<'a> {
    pub(super) lines: &'a [Line],
    pub(super) query: &'a BoxQuery,
}

impl Work for SumBoxes<'_> {
    type Output = [[f64; TILE_ROWS]; 2];

    #[inline(always)]
    fn on<L: CodeLanes>(self, _: L) -> Self::Output {
        let Self { lines, query } = self;
        of_dims!(query.dims, box_sums::<_>(lines, query))
    }
}

/// The rows of a block for which a bit is set, in the bins of their sums.
pub(super) struct PlaceBlock<'a> {
    pub(super) lines: &'a [Line],
    pub(super) query: &'a BoxQuery,
    pub(super) rows: [u16; BLOCK_TILES],
    pub(super) edges: &'a Edges,
    pub(super) tally: &'a mut Tally,
}

impl Work for PlaceBlock<'_> {
    type Output = ();

    #[inline(always)]
    fn on<L: CodeLanes>(self, _: L) {
        let Self {
            lines,
            query,
            rows,
            edges,
            tally,
        } = self;
        let sums = of_dims!(query.dims, block_sums::<_>(lines, query));
        for (sums, rows) in sums.iter().zip(rows) {
            let mut cells = [0; TILE_ROWS];
            for (cell, &sum) in cells.iter_mut().zip(sums) {
                *cell = edges.cell(sum);
            }
            let mut left = rows;
            while left != 0 {
                let r = left.trailing_zeros() as usize % TILE_ROWS;
                left &= left - 1;
                tally.add(edges.slot_in(cells[r], sums[r]), 1);
            }
        }
    }
}

#[inline(always)]
fn boxes<const D: usize>(lines: &[Line], query: &BoxQuery) -> Masks {
    let Thresholds { lo_s, hi_s } = query.thresholds;
    let q = coordinates::<D>(query);
    let (lower, upper) = (columns::<D>(lines), columns::<D>(&lines[D..]));
    let (mut inside, mut outside) = ([false; TILE_ROWS], [false; TILE_ROWS]);
    for r in 0..TILE_ROWS {
        let [near, far] = ends_of_box(&lower, &upper, &q, r);
        inside[r] = (lo_s <= near) & (far <= hi_s);
        outside[r] = (near > hi_s) | (far < lo_s);
    }
    let inside = mask(&inside);
    Masks {
        inside,
        unsure: !(inside | mask(&outside)),
    }
}

#[inline(always)]
fn box_sums<const D: usize>(lines: &[Line], query: &BoxQuery) -> [[f64; TILE_ROWS]; 2] {
    let q = coordinates::<D>(query);
    let (lower, upper) = (columns::<D>(lines), columns::<D>(&lines[D..]));
    let (mut nears, mut fars) = ([0.0; TILE_ROWS], [0.0; TILE_ROWS]);
    for (r, (near, far)) in nears.iter_mut().zip(&mut fars).enumerate() {
        [*near, *far] = ends_of_box(&lower, &upper, &q, r);
    }
    [nears, fars]
}

/// The sums of the nearest and of the farthest point of one box.
#[inline(always)]
fn ends_of_box<const D: usize>(
    lower: &[[f32; TILE_ROWS]; D],
    upper: &[[f32; TILE_ROWS]; D],
    q: &[f64; D],
    r: usize,
) -> [f64; 2] {
    let (mut near, mut far) = ([0.0; 8], [0.0; 8]);
    for d in 0..D {
        // The coordinate lies from `below` to `above` of the query.
        let (below, above) = (f64::from(lower[d][r]) - q[d], f64::from(upper[d][r]) - q[d]);
        let nearest = larger(larger(below, -above), 0.0);
        let farthest = larger(-below, above);
        near[d % 8] += nearest * nearest;
        far[d % 8] += farthest * farthest;
    }
    [tree(&near), tree(&far)]
}

#[inline(always)]
fn block<const D: usize>(lines: &[Line], query: &BoxQuery) -> [u16; BLOCK_TILES] {
    let Thresholds { lo_s, hi_s } = query.thresholds;
    let q = coordinates::<D>(query);
    let mut masks = [0; BLOCK_TILES];
    for (to, tile) in masks.iter_mut().zip(lines.chunks_exact(D)) {
        let x = columns::<D>(tile);
        let mut inside = [false; TILE_ROWS];
        for (r, inside) in inside.iter_mut().enumerate() {
            let s = sum_of_row(&x, &q, r);
            *inside = (lo_s <= s) & (s <= hi_s);
        }
        *to = mask(&inside);
    }
    masks
}

#[inline(always)]
fn block_sums<const D: usize>(lines: &[Line], query: &BoxQuery) -> [[f64; TILE_ROWS]; BLOCK_TILES] {
    let q = coordinates::<D>(query);
    let mut sums = [[0.0; TILE_ROWS]; BLOCK_TILES];
    for (to, tile) in sums.iter_mut().zip(lines.chunks_exact(D)) {
        let x = columns::<D>(tile);
        for (r, sum) in to.iter_mut().enumerate() {
            *sum = sum_of_row(&x, &q, r);
        }
    }
    sums
}

#[inline(always)]
fn sum_of_row<const D: usize>(x: &[[f32; TILE_ROWS]; D], q: &[f64; D], r: usize) -> f64 {
    let mut sums = [0.0; 8];
    for d in 0..D {
        let difference = f64::from(x[d][r]) - q[d];
        sums[d % 8] += difference * difference;
    }
    tree(&sums)
}

/// The larger of two numbers: one instruction, unlike [`f64::max`]. Either of them if one is NaN, which only
/// damaged bounds can make.
#[inline(always)]
fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

#[inline(always)]
fn coordinates<const D: usize>(query: &BoxQuery) -> [f64; D] {
    let mut coordinates = [0.0; D];
    coordinates.copy_from_slice(&query.coordinates[..D]);
    coordinates
}

/// The first `D` lines, of sixteen numbers each.
#[inline(always)]
fn columns<const D: usize>(lines: &[Line]) -> [[f32; TILE_ROWS]; D] {
    let mut columns = [[0.0; TILE_ROWS]; D];
    for d in 0..D {
        let (values, _) = lines[d].as_chunks::<4>();
        for r in 0..TILE_ROWS {
            columns[d][r] = f32::from_le_bytes(values[r]);
        }
    }
    columns
}

#[inline(always)]
fn mask(bits: &[bool; TILE_ROWS]) -> u16 {
    let mut mask = 0;
    for (r, &bit) in bits.iter().enumerate() {
        mask |= u16::from(bit) << r;
    }
    mask
}
