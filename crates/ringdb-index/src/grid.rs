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
pub(crate) struct Grid {
    scale: f32,
    offset: f32,
    below: Box<[u16; CELLS]>,
    not_above: Box<[u16; CELLS]>,
}

impl Grid {
    /// Of two ascending lists, each at most as long as `u16` counts: those that a number has to reach, and those
    /// that one must not reach.
    pub(crate) fn new(reached: &[f32], unreached: &[f32]) -> Self {
        // An edge at infinity has limits beside the greatest number.
        let finite = || {
            let all = unreached.iter().chain(reached).copied();
            all.filter(|it| it.abs() < f32::MAX).map(f64::from)
        };
        let (low, high) = (
            finite().fold(f64::INFINITY, f64::min),
            finite().fold(f64::NEG_INFINITY, f64::max),
        );
        // The first and the last cell hold what lies outside, and nothing else.
        let scale = (CELLS - 3) as f64 / (high - low);
        let offset = low * scale - 1.0;
        let [scale, offset] = match (scale as f32).is_finite() && (offset as f32).is_finite() {
            true => [scale as f32, offset as f32],
            false => [0.0; 2],
        };
        let mut grid = Self {
            scale,
            offset,
            below: Box::new([0; CELLS]),
            not_above: Box::new([0; CELLS]),
        };
        // Numbers in each cell, then sums over the cells.
        for &number in reached {
            grid.below[grid.cell(number) as usize] += 1;
        }
        for &number in unreached {
            grid.not_above[grid.cell(number) as usize] += 1;
        }
        let (mut below, mut not_above) = (0, 0);
        for cell in 0..CELLS {
            let here = grid.below[cell];
            grid.below[cell] = below;
            below += here;
            not_above += grid.not_above[cell];
            grid.not_above[cell] = not_above;
        }
        grid
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

    /// Whether a place of the lists has its first number behind the cell of a lower bound and its second before that of an
    /// upper one: nothing is known of that place.
    #[inline(always)]
    pub(crate) fn has_between(&self, [low, high]: [u32; 2]) -> bool {
        let (low, high) = (low as usize % CELLS, high as usize % CELLS);
        low < high && self.below[low + 1] < self.not_above[high - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A limit that is as good as none leaves the others as many cells as they had.
    #[test]
    fn a_limit_at_infinity_does_not_coarsen_the_grid() {
        let limits: Vec<f32> = (0..100).map(|i| i as f32).collect();
        for last in [f32::INFINITY, f32::MAX] {
            let mut more = limits.clone();
            more.push(last);
            let (few, many) = (Grid::new(&limits, &limits), Grid::new(&more, &more));
            for number in [-1.0, 0.0, 0.5, 41.3, 98.99] {
                assert_eq!(few.cell(number), many.cell(number), "{number}");
                let cells = few.cells(number, number);
                assert_eq!(few.of_cells(cells), many.of_cells(cells), "{number}");
            }
        }
    }

    /// What lies between two cells is found without a search, and only that.
    #[test]
    fn a_limit_between_two_cells_is_seen() {
        let limits: Vec<f32> = (0..100).map(|i| i as f32).collect();
        let grid = Grid::new(&limits, &limits);
        for (low, high, is_between) in [
            (0.2, 0.8, false),
            (0.2, 1.8, true),
            (0.2, 1.0, false),
            (1.0, 1.8, false),
            (0.2, 99.8, true),
            (-9.0, 0.5, true),
            (98.5, 200.0, true),
            (99.5, 200.0, false),
            (150.0, 200.0, false),
            (-9.0, -8.0, false),
            (f32::NAN, 3.0, true),
        ] {
            let found = grid.has_between(grid.cells(low, high));
            assert_eq!(found, is_between, "{low} to {high}");
        }
        // What is surely outside is known by its cells alone.
        for (number, slot) in [(-0.5, 0), (99.5, 100), (1e30, 100)] {
            assert_eq!(grid.of_cells(grid.cells(number, number)), [slot; 2]);
        }
    }
}
