//! Where the bytes of codes lie. All numbers are little-endian.
//!
//! First codes, with a head (see `frame`) and then tiles of sixteen rows, in lines of 64 bytes:
//!
//! | line of a tile | holds |
//! |---|---|
//! | one for every 4 dims | 128 + code, row by row, 4 dims each |
//! | next | `Y`, f32, row by row |
//! | last | `s`, the upper half of an f32, row by row (32 bytes); `beta`, f32; `beta` of the fine codes, f32; zeros |
//!
//! So a register of sixteen lanes holds one number of each row, a scan is one stream, and no sum runs
//! across lanes. Fine codes are row by row, as rows are picked from them one at a time: 128 + code, at a
//! stride of 16, 32 or a multiple of 64 bytes, so that no row touches more lines than it must.
//!
//! Codes beyond the last dim are 128, that is zero; rows beyond the last have such codes only, and their
//! verdicts are never looked at.

/// Rows in a tile.
pub(crate) const TILE_ROWS: usize = 16;

/// Bytes in a line.
pub(crate) const LINE: usize = 64;

/// A line of a tile.
pub(crate) type Line = [u8; LINE];

/// Dims in a line.
pub(crate) const GROUP: usize = LINE / TILE_ROWS;

/// Lines behind the codes of a tile.
pub(crate) const TAIL_LINES: usize = 2;

/// A code of zero as it is stored.
pub(crate) const ZERO: u8 = 128;

/// Lines of codes in a tile.
pub(crate) fn groups(dims: usize) -> usize {
    dims.div_ceil(GROUP)
}

/// Bytes of a tile.
pub(crate) fn tile_bytes(dims: usize) -> usize {
    (groups(dims) + TAIL_LINES) * LINE
}

/// Bytes from one row of fine codes to the next.
pub(crate) fn fine_stride(dims: usize) -> usize {
    match dims {
        0..=16 => 16,
        17..=32 => 32,
        _ => dims.next_multiple_of(LINE),
    }
}

/// What a tile holds behind its codes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TileTail {
    /// Squared norms of the rows, rounded to nearest.
    pub(crate) norms_sq: [f32; TILE_ROWS],
    /// What one step of a row's codes is worth.
    pub(crate) steps: [f32; TILE_ROWS],
    /// At least every row's residual, in steps.
    pub(crate) beta: f32,
    /// The same of the fine codes.
    pub(crate) beta_fine: f32,
}

impl TileTail {
    pub(crate) fn write(&self, lines: &mut [Line; TAIL_LINES]) {
        let [first, last] = lines;
        for (place, norm_sq) in first.as_chunks_mut::<4>().0.iter_mut().zip(self.norms_sq) {
            *place = norm_sq.to_le_bytes();
        }
        last.fill(0);
        let (halves, _) = last.as_chunks_mut::<2>();
        for (place, step) in halves.iter_mut().zip(self.steps) {
            let [_, _, a, b] = step.to_le_bytes();
            *place = [a, b];
        }
        let (words, _) = last.as_chunks_mut::<4>();
        words[8] = self.beta.to_le_bytes();
        words[9] = self.beta_fine.to_le_bytes();
    }

    /// Of one row: squared norm, step, and `beta` of its fine codes.
    #[inline(always)]
    pub(crate) fn fine_row([first, last]: &[Line; TAIL_LINES], r: usize) -> [f32; 3] {
        let (norms, _) = first.as_chunks::<4>();
        let (halves, _) = last.as_chunks::<2>();
        let (words, _) = last.as_chunks::<4>();
        [
            f32::from_le_bytes(norms[r]),
            from_half(halves[r]),
            f32::from_le_bytes(words[9]),
        ]
    }

    #[inline(always)]
    pub(crate) fn read(lines: &[Line; TAIL_LINES]) -> Self {
        let [first, last] = lines;
        let (norms, _) = first.as_chunks::<4>();
        let (halves, _) = last.as_chunks::<2>();
        let (words, _) = last.as_chunks::<4>();
        let mut tail = Self {
            norms_sq: [0.0; TILE_ROWS],
            steps: [0.0; TILE_ROWS],
            beta: f32::from_le_bytes(words[8]),
            beta_fine: f32::from_le_bytes(words[9]),
        };
        for r in 0..TILE_ROWS {
            tail.norms_sq[r] = f32::from_le_bytes(norms[r]);
            tail.steps[r] = from_half(halves[r]);
        }
        tail
    }
}

/// The number whose upper half is stored.
#[inline(always)]
pub(crate) fn from_half([a, b]: [u8; 2]) -> f32 {
    f32::from_le_bytes([0, 0, a, b])
}

/// The least number at or above `value`, which is not negative, that has no lower half.
pub(crate) fn half_at_least(value: f32) -> f32 {
    f32::from_bits(value.to_bits().saturating_add(0xffff) & 0xffff_0000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_page() {
        let sizes = |dims: usize| (tile_bytes(dims), fine_stride(dims));
        assert_eq!(sizes(1), (192, 16));
        assert_eq!(sizes(16), (384, 16));
        assert_eq!(sizes(17), (448, 32));
        assert_eq!(sizes(64), (1152, 64));
        assert_eq!(sizes(65), (1216, 128));
        assert_eq!(sizes(384), (6272, 384));
        assert_eq!(sizes(768), (12416, 768));
    }

    #[test]
    fn a_tail_comes_back_as_it_was() {
        let steps = std::array::from_fn(|r| half_at_least(1e-3 * (r + 1) as f32));
        let tail = TileTail {
            norms_sq: std::array::from_fn(|r| 0.1 * r as f32),
            steps,
            beta: 2.5,
            beta_fine: 0.01,
        };
        let mut lines = [[7; LINE]; TAIL_LINES];
        tail.write(&mut lines);
        let read = TileTail::read(&lines);
        assert_eq!(read.norms_sq, tail.norms_sq);
        assert_eq!(read.steps, tail.steps);
        assert_eq!((read.beta, read.beta_fine), (2.5, 0.01));
        assert!(lines[1][40..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn a_step_is_rounded_up_by_less_than_a_hundredth() {
        for value in [1e-30_f32, 0.1, 1.0, 1.0_f32.next_up(), 1.9, 3.5e30] {
            let step = half_at_least(value);
            assert!(value <= step && step <= value * 1.01, "{value} to {step}");
            assert_eq!(step.to_bits() & 0xffff, 0);
        }
    }
}
