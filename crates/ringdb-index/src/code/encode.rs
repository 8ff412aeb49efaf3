//! Rows into codes.
//!
//! Invariant: what a tile says of a row is true of the row as it is, whatever was rounded on the way:
//! `beta` is computed from the codes that were written, in `f64`, and rounded up. The bytes depend on
//! rows and frame alone.

use crate::code::frame::CodeFrame;
use crate::code::layout::{
    GROUP, Line, TAIL_LINES, TILE_ROWS, TileTail, ZERO, fine_stride, groups, half_at_least,
};
use crate::code::round::up;

/// The largest code, fine or not.
const CODE_MAX: f64 = 127.0;

/// Fine steps in a step. One more would let a code reach 128.
pub(crate) const FINE_STEPS: f64 = 254.0;

/// No step is smaller, so that no product with one underflows where it would matter.
pub(crate) const STEP_MIN: f32 = 7.888_609e-31;

/// Adding and subtracting it rounds to the nearest whole number, as `f64` near it are whole.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// More than the relative error of a norm of up to `2^16` coordinates computed in `f64`, twice over.
pub(crate) const NORM_SLACK: f64 = 1.0 + 9.313_225_746_154_785e-10;

/// More than what converting a row to the frame can lose, as a share of its norm.
const ROW_SLACK: f64 = 8.881_784_197_001_252e-16;

/// Rows of a tile in the frame: `y`, row by row, and its squared norms.
#[derive(Debug, Default)]
pub(crate) struct FramedRows {
    pub(crate) ys: Vec<f64>,
    pub(crate) norms_sq: Vec<f64>,
}

impl FramedRows {
    /// Puts whole rows in place of those before.
    #[inline(always)]
    pub(crate) fn fill(&mut self, frame: &CodeFrame, coordinates: &[f32]) {
        let (dims, scale) = (frame.dims(), frame.scale());
        self.ys.resize(coordinates.len(), 0.0);
        self.norms_sq.clear();
        let rows = coordinates.chunks_exact(dims);
        for (row, y) in rows.zip(self.ys.chunks_exact_mut(dims)) {
            self.norms_sq.push(to_frame(row, &frame.centre, scale, y));
        }
    }
}

/// Encodes 1 to 16 consecutive rows of some dims as one tile, and each of them finely.
///
/// `lines` and `fine` are as long as the layout says, and overwritten.
#[inline(always)]
pub(crate) fn encode_tile(rows: &FramedRows, dims: usize, lines: &mut [Line], fine: &mut [u8]) {
    let stride = fine_stride(dims);
    let (codes, tail_lines) = lines.split_at_mut(groups(dims));
    codes.as_flattened_mut().fill(ZERO);
    fine.fill(ZERO);
    let mut tail = TileTail {
        norms_sq: [0.0; TILE_ROWS],
        steps: [0.0; TILE_ROWS],
        beta: 0.0,
        beta_fine: 0.0,
    };
    let ys = rows.ys.chunks_exact(dims).zip(&rows.norms_sq);
    for (r, ((y, &norm_sq), fine)) in ys.zip(fine.chunks_exact_mut(stride)).enumerate() {
        let step = half_at_least(up(largest(y) / CODE_MAX).max(STEP_MIN));
        let residuals = write_codes(y, f64::from(step), codes, r, fine);
        tail.norms_sq[r] = norm_sq as f32;
        tail.steps[r] = step;
        tail.beta = tail.beta.max(in_steps(residuals[0], norm_sq, step));
        tail.beta_fine = tail.beta_fine.max(in_steps(residuals[1], norm_sq, step));
    }
    if let Some(tail_lines) = tail_lines.first_chunk_mut::<TAIL_LINES>() {
        tail.write(tail_lines);
    }
}

/// `y = F (x - c)`; returns its squared norm.
#[inline(always)]
fn to_frame(row: &[f32], centre: &[f32], scale: f64, y: &mut [f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (rows, row_tail) = row.as_chunks::<8>();
    let (centres, centre_tail) = centre.as_chunks::<8>();
    let (ys, y_tail) = y.as_chunks_mut::<8>();
    for ((y, x), c) in ys.iter_mut().zip(rows).zip(centres) {
        for l in 0..8 {
            y[l] = (f64::from(x[l]) - f64::from(c[l])) * scale;
            sums[l] += y[l] * y[l];
        }
    }
    let tail = y_tail.iter_mut().zip(row_tail).zip(centre_tail);
    for (sum, ((y, &x), &c)) in sums.iter_mut().zip(tail) {
        *y = (f64::from(x) - f64::from(c)) * scale;
        *sum += *y * *y;
    }
    sums.iter().sum()
}

/// The largest magnitude.
#[inline(always)]
pub(crate) fn largest(values: &[f64]) -> f64 {
    let mut largest = [0.0_f64; 8];
    let (blocks, tail) = values.as_chunks::<8>();
    for block in blocks {
        for l in 0..8 {
            largest[l] = larger(largest[l], block[l].abs());
        }
    }
    for (largest, value) in largest.iter_mut().zip(tail) {
        *largest = larger(*largest, value.abs());
    }
    largest.into_iter().fold(0.0, larger)
}

/// The larger of two numbers that are not NaN; unlike `f64::max`, one instruction.
#[inline(always)]
fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

/// Writes the codes of row `r` into its places in the tile and its fine codes; returns the squared
/// residuals of both.
#[inline(always)]
fn write_codes(y: &[f64], step: f64, codes: &mut [Line], r: usize, fine: &mut [u8]) -> [f64; 2] {
    let (inverse, fine_step) = (1.0 / step, step / FINE_STEPS);
    let inverse_fine = 1.0 / fine_step;
    let mut sums = [[0.0; GROUP]; 2];
    let place = r * GROUP;
    for ((y, line), fine) in y.chunks(GROUP).zip(codes).zip(fine.chunks_mut(GROUP)) {
        let mut padded = [0.0; GROUP];
        padded[..y.len()].copy_from_slice(y);
        let (mut coarse, mut finer) = ([ZERO; GROUP], [ZERO; GROUP]);
        for l in 0..GROUP {
            let (k, code) = round(padded[l] * inverse);
            let rest = padded[l] - k * step;
            let (k_fine, code_fine) = round(rest * inverse_fine);
            // Both products are exact, or rounded once; `ROW_SLACK` pays for that.
            let rest_fine = padded[l] - (k * FINE_STEPS + k_fine) * fine_step;
            sums[0][l] += rest * rest;
            sums[1][l] += rest_fine * rest_fine;
            coarse[l] = code;
            finer[l] = code_fine;
        }
        line[place..place + GROUP].copy_from_slice(&coarse);
        fine.copy_from_slice(&finer);
    }
    sums.map(|sums| sums.iter().sum())
}

/// The nearest code, as a number and as it is stored.
#[inline(always)]
fn round(value: f64) -> (f64, u8) {
    let (k, byte) = nearest(value, CODE_MAX);
    (k, byte ^ ZERO)
}

/// The nearest whole number with a magnitude of at most `max`, and its lowest byte in two's complement.
#[inline(always)]
pub(crate) fn nearest(value: f64, max: f64) -> (f64, u8) {
    let shifted = value.clamp(-max, max) + ROUNDER;
    // The lowest byte of such a number is that of the whole number.
    (shifted - ROUNDER, shifted.to_bits() as u8)
}

/// A residual whose square was summed up, of a row of this norm, in steps: rounded up, and with the share of
/// the norm that pays for the roundings of coordinates.
#[inline(always)]
pub(crate) fn in_steps(residual_sq: f64, norm_sq: f64, step: f32) -> f32 {
    let residual = residual_sq.sqrt() * NORM_SLACK + ROW_SLACK * norm_sq.sqrt();
    up(residual / f64::from(step) * NORM_SLACK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::layout::LINE;

    #[test]
    fn constants_are_the_powers_of_two_that_are_meant() {
        assert_eq!(STEP_MIN, 2.0_f32.powi(-100));
        assert_eq!(ROUNDER, 1.5 * 2.0_f64.powi(52));
        assert_eq!(NORM_SLACK, 1.0 + 2.0_f64.powi(-30));
        assert_eq!(ROW_SLACK, 2.0_f64.powi(-50));
        assert_eq!(FINE_STEPS, 2.0 * CODE_MAX);
        assert_eq!(LINE, GROUP * TILE_ROWS);
    }

    #[test]
    fn values_round_to_the_nearest_code() {
        for (value, k) in [
            (0.0, 0.0),
            (-0.0, 0.0),
            (0.4, 0.0),
            (0.6, 1.0),
            (-0.6, -1.0),
            (-126.7, -127.0),
            (127.0, 127.0),
            (127.2, 127.0),
            (-128.0, -127.0),
        ] {
            let (found, code) = round(value);
            assert_eq!(found, k, "{value}");
            assert_eq!(i16::from(code) - 128, k as i16, "{value}");
        }
    }
}
