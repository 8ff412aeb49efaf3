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

use super::codes::Masks;
use super::narrow::tree;
use crate::boxes::{BLOCK_TILES, BoxQuery, of_dims};
use crate::code::{Line, TILE_ROWS};
use crate::ring::Thresholds;

/// What is known of sixteen boxes: of an unsure one some rows may be inside and others not. What stands for
/// boxes that do not exist is arbitrary.
#[inline(always)]
pub(super) fn judge_boxes(lines: &[Line], query: &BoxQuery) -> Masks {
    of_dims!(query.dims, boxes::<_>(lines, query))
}

/// A bit for each row of a block that is inside. What stands for rows that do not exist is arbitrary.
#[inline(always)]
pub(super) fn judge_block(lines: &[Line], query: &BoxQuery) -> [u16; BLOCK_TILES] {
    of_dims!(query.dims, block::<_>(lines, query))
}

#[inline(always)]
fn boxes<const D: usize>(lines: &[Line], query: &BoxQuery) -> Masks {
    let Thresholds { lo_s, hi_s } = query.thresholds;
    let q = coordinates::<D>(query);
    let (lower, upper) = (columns::<D>(lines), columns::<D>(&lines[D..]));
    let (mut inside, mut outside) = ([false; TILE_ROWS], [false; TILE_ROWS]);
    for r in 0..TILE_ROWS {
        let (mut near, mut far) = ([0.0; 8], [0.0; 8]);
        for d in 0..D {
            // The coordinate lies from `below` to `above` of the query.
            let (below, above) = (f64::from(lower[d][r]) - q[d], f64::from(upper[d][r]) - q[d]);
            let nearest = larger(larger(below, -above), 0.0);
            let farthest = larger(-below, above);
            near[d % 8] += nearest * nearest;
            far[d % 8] += farthest * farthest;
        }
        let (near, far) = (tree(&near), tree(&far));
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
fn block<const D: usize>(lines: &[Line], query: &BoxQuery) -> [u16; BLOCK_TILES] {
    let Thresholds { lo_s, hi_s } = query.thresholds;
    let q = coordinates::<D>(query);
    let mut masks = [0; BLOCK_TILES];
    for (to, tile) in masks.iter_mut().zip(lines.chunks_exact(D)) {
        let x = columns::<D>(tile);
        let mut inside = [false; TILE_ROWS];
        for r in 0..TILE_ROWS {
            let mut sums = [0.0; 8];
            for d in 0..D {
                let difference = f64::from(x[d][r]) - q[d];
                sums[d % 8] += difference * difference;
            }
            let s = tree(&sums);
            inside[r] = (lo_s <= s) & (s <= hi_s);
        }
        *to = mask(&inside);
    }
    masks
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
