//! The inner loops over boxes and over the rows in them, which lie coordinate by coordinate: sixteen boxes or
//! rows at once.
//!
//! Invariant: sums are those of the definition, lane by lane and tree by tree. The nearest point of a box has
//! in each coordinate the smallest difference that any of its rows can have, the farthest one the largest, and
//! every operation of the definition is monotone; so is the rounding of it.
//!
//! Plain Rust, as in `narrow`, and for the same reasons: the compiler spreads sixteen results over vectors of
//! whatever width the calling function allows, and closures would undo that.

use super::codes::Masks;
use crate::boxes::{BLOCK_TILES, BoxQuery};
use crate::code::{Line, TILE_ROWS};
use crate::ring::Thresholds;

/// Sixteen sums, one for each row or box.
type Sums = [f64; TILE_ROWS];

/// What is known of sixteen boxes: of an unsure one some rows may be inside and others not. What stands for
/// boxes that do not exist is arbitrary.
#[inline(always)]
pub(super) fn judge_boxes(lines: &[Line], query: &BoxQuery) -> Masks {
    match query.dims {
        1 => boxes::<1>(lines, query),
        2 => boxes::<2>(lines, query),
        3 => boxes::<3>(lines, query),
        4 => boxes::<4>(lines, query),
        5 => boxes::<5>(lines, query),
        6 => boxes::<6>(lines, query),
        7 => boxes::<7>(lines, query),
        8 => boxes::<8>(lines, query),
        9 => boxes::<9>(lines, query),
        10 => boxes::<10>(lines, query),
        11 => boxes::<11>(lines, query),
        _ => boxes::<12>(lines, query),
    }
}

/// A bit for each row of a block that is inside. What stands for rows that do not exist is arbitrary.
#[inline(always)]
pub(super) fn judge_block(lines: &[Line], query: &BoxQuery) -> [u16; BLOCK_TILES] {
    match query.dims {
        1 => block::<1>(lines, query),
        2 => block::<2>(lines, query),
        3 => block::<3>(lines, query),
        4 => block::<4>(lines, query),
        5 => block::<5>(lines, query),
        6 => block::<6>(lines, query),
        7 => block::<7>(lines, query),
        8 => block::<8>(lines, query),
        9 => block::<9>(lines, query),
        10 => block::<10>(lines, query),
        11 => block::<11>(lines, query),
        _ => block::<12>(lines, query),
    }
}

#[inline(always)]
fn boxes<const D: usize>(lines: &[Line], query: &BoxQuery) -> Masks {
    let (mut near, mut far) = ([[0.0; TILE_ROWS]; 8], [[0.0; TILE_ROWS]; 8]);
    for d in 0..D {
        let (lo, hi, q) = (column(lines, d), column(lines, D + d), query.coordinates[d]);
        for r in 0..TILE_ROWS {
            // The coordinate lies from `below` to `above` of the query.
            let (below, above) = (f64::from(lo[r]) - q, f64::from(hi[r]) - q);
            let nearest = larger(larger(below, -above), 0.0);
            let farthest = larger(-below, above);
            near[d % 8][r] += nearest * nearest;
            far[d % 8][r] += farthest * farthest;
        }
    }
    let (near, far) = (tree(&near), tree(&far));
    let Thresholds { lo_s, hi_s } = query.thresholds;
    let (mut inside, mut unsure) = (0, 0);
    for r in 0..TILE_ROWS {
        let is_inside = (lo_s <= near[r]) & (far[r] <= hi_s);
        let is_outside = (near[r] > hi_s) | (far[r] < lo_s);
        inside |= u16::from(is_inside) << r;
        unsure |= u16::from(!is_inside & !is_outside) << r;
    }
    Masks { inside, unsure }
}

#[inline(always)]
fn block<const D: usize>(lines: &[Line], query: &BoxQuery) -> [u16; BLOCK_TILES] {
    let Thresholds { lo_s, hi_s } = query.thresholds;
    let mut masks = [0; BLOCK_TILES];
    for (mask, tile) in masks.iter_mut().zip(lines.chunks_exact(D)) {
        let mut sums = [[0.0; TILE_ROWS]; 8];
        for d in 0..D {
            let (x, q) = (column(tile, d), query.coordinates[d]);
            for r in 0..TILE_ROWS {
                let difference = f64::from(x[r]) - q;
                sums[d % 8][r] += difference * difference;
            }
        }
        for (r, &s) in tree(&sums).iter().enumerate() {
            *mask |= u16::from((lo_s <= s) & (s <= hi_s)) << r;
        }
    }
    masks
}

/// The larger of two numbers, neither of them NaN: one instruction, unlike [`f64::max`].
#[inline(always)]
fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

#[inline(always)]
fn column(lines: &[Line], d: usize) -> [f32; TILE_ROWS] {
    let mut column = [0.0; TILE_ROWS];
    let (values, _) = lines[d].as_chunks::<4>();
    for r in 0..TILE_ROWS {
        column[r] = f32::from_le_bytes(values[r]);
    }
    column
}

#[inline(always)]
fn tree(s: &[Sums; 8]) -> Sums {
    let mut sums = [0.0; TILE_ROWS];
    for r in 0..TILE_ROWS {
        let even = (s[0][r] + s[4][r]) + (s[2][r] + s[6][r]);
        let odd = (s[1][r] + s[5][r]) + (s[3][r] + s[7][r]);
        sums[r] = even + odd;
    }
    sums
}
