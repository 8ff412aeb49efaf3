//! Rows into prefixes.
//!
//! Invariant: as with codes, what a tile says of a row is true of the row as it is: it is computed from the
//! codes that were written, in `f64`, and rounded up. The bytes depend on rows, frame and rotation alone.

use crate::code::{
    FramedRows, GROUP, Line, NORM_SLACK, STEP_MIN, TILE_ROWS, half_at_least, in_steps, largest,
    nearest, up,
};
use crate::prefix::frame::PrefixFrame;
use crate::prefix::layout::{NIBBLE_GROUP, NIBBLE_ZERO, PrefixTail, nibble_groups};
use crate::prefix::product::product;

/// The largest code.
const NIBBLE_MAX: f64 = 7.0;

/// What part of the largest number the largest code stands for; of these, the one that loses least is taken.
/// Larger numbers are cut off, which pays where numbers are spread like a bell.
const REACHES: [f64; 3] = [1.0, 0.85, 0.72];

/// Encodes the rows of a tile; `zs` is room for their numbers.
///
/// `lines` are as many as the layout says, and overwritten.
#[inline(always)]
pub(crate) fn encode_tile(
    frame: &PrefixFrame,
    rows: &FramedRows,
    lines: &mut [Line],
    zs: &mut Vec<f64>,
) {
    let kept = frame.kept();
    let zs = match frame.is_rotated() {
        true => {
            zs.resize(rows.norms_sq.len() * kept, 0.0);
            product(&rows.ys, frame.dims(), frame.rotation(), kept, zs);
            &zs[..]
        }
        false => &rows.ys[..],
    };
    let (codes, tail_lines) = lines.split_at_mut(nibble_groups(kept));
    codes
        .as_flattened_mut()
        .fill(NIBBLE_ZERO | NIBBLE_ZERO << 4);
    let mut tail = PrefixTail {
        norms_sq: [0.0; TILE_ROWS],
        steps: [0.0; TILE_ROWS],
        betas: [0.0; TILE_ROWS],
        rests: [0.0; TILE_ROWS],
    };
    for (r, (z, &norm_sq)) in zs.chunks_exact(kept).zip(&rows.norms_sq).enumerate() {
        let (step, residual_sq) = best_step(z);
        write_codes(z, f64::from(step), codes, r);
        tail.norms_sq[r] = norm_sq as f32;
        tail.steps[r] = step;
        tail.betas[r] = half_at_least(in_steps(residual_sq, norm_sq, step));
        if frame.is_rotated() {
            tail.rests[r] = half_at_least(up(rest(frame, norm_sq, norm_sq_of(z))));
        }
    }
    tail.write(tail_lines);
}

/// At least the length of what the numbers that are kept leave out of a row or a query with this squared norm,
/// if that of the numbers is `kept_sq`.
#[inline(always)]
pub(crate) fn rest(frame: &PrefixFrame, norm_sq: f64, kept_sq: f64) -> f64 {
    let rest_sq = (norm_sq - kept_sq).max(0.0) + 3.0 * frame.loss() * norm_sq;
    rest_sq.sqrt() * NORM_SLACK
}

/// The squared norm.
#[inline(always)]
pub(crate) fn norm_sq_of(z: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (blocks, tail) = z.as_chunks::<8>();
    for block in blocks {
        for l in 0..8 {
            sums[l] += block[l] * block[l];
        }
    }
    for (sum, value) in sums.iter_mut().zip(tail) {
        *sum += value * value;
    }
    sums.iter().sum()
}

/// The step of a row's codes, and the squared residual that they have with it.
#[inline(always)]
fn best_step(z: &[f64]) -> (f32, f64) {
    let largest = largest(z);
    let mut best = (STEP_MIN, f64::INFINITY);
    for reach in REACHES {
        let step = half_at_least(up(reach * largest / NIBBLE_MAX).max(STEP_MIN));
        let residual_sq = residual_sq(z, f64::from(step));
        if residual_sq < best.1 {
            best = (step, residual_sq);
        }
    }
    best
}

#[inline(always)]
fn residual_sq(z: &[f64], step: f64) -> f64 {
    let inverse = 1.0 / step;
    let rest = |z: f64| z - nearest(z * inverse, NIBBLE_MAX).0 * step;
    let mut sums = [0.0; 8];
    let (blocks, tail) = z.as_chunks::<8>();
    for block in blocks {
        for l in 0..8 {
            let rest = rest(block[l]);
            sums[l] += rest * rest;
        }
    }
    for (sum, &z) in sums.iter_mut().zip(tail) {
        let rest = rest(z);
        *sum += rest * rest;
    }
    sums.iter().sum()
}

/// Writes the codes of row `r` into its places in the tile.
#[inline(always)]
fn write_codes(z: &[f64], step: f64, codes: &mut [Line], r: usize) {
    let inverse = 1.0 / step;
    let place = r * GROUP;
    for (z, line) in z.chunks(NIBBLE_GROUP).zip(codes) {
        let mut nibbles = [NIBBLE_ZERO; NIBBLE_GROUP];
        for (nibble, &z) in nibbles.iter_mut().zip(z) {
            *nibble = nearest(z * inverse, NIBBLE_MAX).1.wrapping_add(NIBBLE_ZERO);
        }
        for (l, byte) in line[place..place + GROUP].iter_mut().enumerate() {
            *byte = nibbles[l] | nibbles[GROUP + l] << 4;
        }
    }
}
