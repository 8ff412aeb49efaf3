//! Where in an ascending list a number stands, mostly without a search: a grid over the list.
//!
//! Invariant: what the grid says is true of every number in a cell, because the cell of a number never decreases while
//! the number grows, roundings included.

/// Cells of a grid. Two tables of so many numbers stay in the cache next to the processor.
const CELLS: usize = 4_096;

const LAST: f32 = CELLS as f32 - 1.0;

/// `2^23`: a number from 0 to that, added to it, is rounded to a whole one, which is the lowest bits of the sum.
const WHOLE: f32 = 8_388_608.0;

/// For each cell, how many numbers of two lists are below all of it, and how many are not above all of it.
#[derive(Debug, Clone)]
pub(crate) struct Slots {
    scale: f32,
    offset: f32,
    below: Box<[u16; CELLS]>,
    not_above: Box<[u16; CELLS]>,
}

impl Slots {
    /// Of two ascending lists, each at most as long as `u16` counts: those that a number has to reach, and those
    /// that one must not reach.
    pub(crate) fn new(reached: &[f32], unreached: &[f32]) -> Self {
        let finite = || {
            let all = unreached.iter().chain(reached).copied();
            all.filter(|it| it.is_finite()).map(f64::from)
        };
        let (low, high) = (
            finite().fold(f64::INFINITY, f64::min),
            finite().fold(f64::NEG_INFINITY, f64::max),
        );
        // The first and the last cell hold what lies outside.
        let scale = (CELLS - 2) as f64 / (high - low);
        let offset = low * scale - 1.0;
        let [scale, offset] = match (scale as f32).is_finite() && (offset as f32).is_finite() {
            true => [scale as f32, offset as f32],
            false => [0.0; 2],
        };
        let mut slots = Self {
            scale,
            offset,
            below: Box::new([0; CELLS]),
            not_above: Box::new([0; CELLS]),
        };
        // Numbers in each cell, then sums over the cells.
        for &number in reached {
            slots.below[slots.cell(number) as usize] += 1;
        }
        for &number in unreached {
            slots.not_above[slots.cell(number) as usize] += 1;
        }
        let (mut below, mut not_above) = (0, 0);
        for cell in 0..CELLS {
            let here = slots.below[cell];
            slots.below[cell] = below;
            below += here;
            not_above += slots.not_above[cell];
            slots.not_above[cell] = not_above;
        }
        slots
    }

    /// The cell of a number; an arbitrary one for NaN.
    #[inline(always)]
    pub(crate) fn cell(&self, number: f32) -> u32 {
        let place = number * self.scale - self.offset;
        // Comparisons and a sum, of sixteen numbers at once; a cast that saturates is none of those.
        let place = if place > 0.0 { place } else { 0.0 };
        let place = if place < LAST { place } else { LAST };
        (place + WHOLE).to_bits() & (CELLS as u32 - 1)
    }

    /// The cells of two numbers that bound a third one; where they do not, or have overflowed, the first cell and the
    /// last, of which nothing follows.
    #[inline(always)]
    pub(crate) fn cells(&self, low: f32, high: f32) -> [u32; 2] {
        let is_sound = (low <= high) & (high < f32::INFINITY);
        let [first, last] = [self.cell(low), self.cell(high)];
        if is_sound {
            [first, last]
        } else {
            [0, CELLS as u32 - 1]
        }
    }

    /// How many numbers of the first list lie in cells before the one of a lower bound, and how many of the second not in
    /// cells behind that of an upper one.
    #[inline(always)]
    pub(crate) fn of_cells(&self, [low, high]: [u32; 2]) -> [u16; 2] {
        [
            self.below[low as usize % CELLS],
            self.not_above[high as usize % CELLS],
        ]
    }
}
