//! Where the bytes of prefixes lie. All numbers are little-endian.
//!
//! After a head (see `frame`) come tiles of sixteen rows, in lines of 64 bytes:
//!
//! | line of a tile | holds |
//! |---|---|
//! | one for every 8 numbers | row by row 4 bytes; the lower halves are 8 + code of the first four numbers, the upper ones of the other four |
//! | next | `Y`, f32, row by row |
//! | next | `s`, the upper half of an f32, row by row (32 bytes), then `beta` likewise |
//! | last, if there is a rotation | the length of the rest, likewise (32 bytes), then zeros |
//!
//! Codes beyond the last number are 8, that is zero, and so are those of rows beyond the last, whose verdicts
//! are never looked at.

use crate::code::{GROUP, Line, TILE_ROWS, from_half};

/// Numbers in a line.
pub(crate) const NIBBLE_GROUP: usize = 2 * GROUP;

/// A code of zero as it is stored.
pub(crate) const NIBBLE_ZERO: u8 = 8;

/// Lines of codes in a tile of this many numbers a row.
pub(crate) fn nibble_groups(kept: usize) -> usize {
    kept.div_ceil(NIBBLE_GROUP)
}

/// Lines behind the codes of a tile.
pub(crate) fn tail_lines(is_rotated: bool) -> usize {
    match is_rotated {
        true => 3,
        false => 2,
    }
}

/// Lines of a tile.
pub(crate) fn tile_lines(kept: usize, is_rotated: bool) -> usize {
    nibble_groups(kept) + tail_lines(is_rotated)
}

/// The codes of row `r` of a tile, and those beyond its last number.
pub(crate) fn nibbles(codes: &[Line], r: usize) -> impl Iterator<Item = f64> {
    let bytes = codes.iter().map(move |line| &line[r * GROUP..][..GROUP]);
    bytes.flat_map(|four| {
        let lower = four.iter().map(|byte| byte & 0x0f);
        let both = lower.chain(four.iter().map(|byte| byte >> 4));
        both.map(|nibble| f64::from(nibble) - f64::from(NIBBLE_ZERO))
    })
}

/// What a tile holds behind its codes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PrefixTail {
    /// Squared norms of whole rows, rounded to nearest.
    pub(crate) norms_sq: [f32; TILE_ROWS],
    /// What one step of a row's codes is worth.
    pub(crate) steps: [f32; TILE_ROWS],
    /// At least the residual of each row's codes, in steps.
    pub(crate) betas: [f32; TILE_ROWS],
    /// At least the length of what each row's numbers leave out; zeros without a rotation.
    pub(crate) rests: [f32; TILE_ROWS],
}

impl PrefixTail {
    /// Writes to as many lines as there are: the lengths of the rests to the third, if there is one. All
    /// numbers but the first are such as have no lower half.
    pub(crate) fn write(&self, lines: &mut [Line]) {
        let halves = |line: &mut Line, [first, second]: [&[f32; TILE_ROWS]; 2]| {
            let places = line.as_chunks_mut::<2>().0.iter_mut();
            for (place, value) in places.zip(first.iter().chain(second)) {
                let [_, _, a, b] = value.to_le_bytes();
                *place = [a, b];
            }
        };
        let mut lines = lines.iter_mut();
        if let Some(line) = lines.next() {
            for (place, norm_sq) in line.as_chunks_mut::<4>().0.iter_mut().zip(self.norms_sq) {
                *place = norm_sq.to_le_bytes();
            }
        }
        if let Some(line) = lines.next() {
            halves(line, [&self.steps, &self.betas]);
        }
        if let Some(line) = lines.next() {
            halves(line, [&self.rests, &[0.0; TILE_ROWS]]);
        }
    }

    #[inline(always)]
    pub(crate) fn read(lines: &[Line]) -> Self {
        let halves = |line: usize, second: usize| {
            let mut values = [0.0; TILE_ROWS];
            if let Some(line) = lines.get(line) {
                let (halves, _) = line.as_chunks::<2>();
                for (value, half) in values.iter_mut().zip(&halves[second * TILE_ROWS..]) {
                    *value = from_half(*half);
                }
            }
            values
        };
        let mut norms_sq = [0.0; TILE_ROWS];
        if let Some(line) = lines.first() {
            for (norm_sq, word) in norms_sq.iter_mut().zip(line.as_chunks::<4>().0) {
                *norm_sq = f32::from_le_bytes(*word);
            }
        }
        Self {
            norms_sq,
            steps: halves(1, 0),
            betas: halves(1, 1),
            rests: halves(2, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::LINE;

    #[test]
    fn sizes_are_those_of_the_page() {
        let row = |kept, is_rotated| tile_lines(kept, is_rotated) * LINE / TILE_ROWS;
        assert_eq!(row(64, false), 40);
        assert_eq!(
            (row(64, true), row(128, true), row(160, true)),
            (44, 76, 92)
        );
        assert_eq!((row(1, false), row(9, false)), (12, 16));
    }

    #[test]
    fn a_tail_comes_back_as_it_was() {
        let values = |first: f32| std::array::from_fn(|r| first * (r + 1) as f32);
        let tail = PrefixTail {
            norms_sq: values(0.1),
            steps: values(0.5),
            betas: values(0.25),
            rests: values(0.125),
        };
        let mut lines = [[7; LINE]; 3];
        tail.write(&mut lines);
        assert_eq!(PrefixTail::read(&lines), tail);
        assert!(lines[2][32..].iter().all(|&byte| byte == 0));
        let rests = [0.0; TILE_ROWS];
        assert_eq!(PrefixTail::read(&lines[..2]), PrefixTail { rests, ..tail });
    }
}
