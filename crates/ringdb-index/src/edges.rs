//! The edges of a histogram: which distances share a bin.
//!
//! Invariant: for every sum `s` of squares that two vectors can have, the slot of `s` is the one that the distance
//! `sqrt(s)` has by the edges as stated. The thresholds are computed once, here, as those of a ring are.

use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::ring::{greatest_within, least_reaching, non_negative};

/// Validated edges of a histogram, ascending. A bin holds the distances from its edge, inclusive, to the next one,
/// exclusive; the last bin holds its upper edge as well.
///
/// ```
/// use ringdb_index::Edges;
///
/// let edges = Edges::new(&[0.0, 0.5, 1.0])?;
/// assert_eq!(edges.bins(), 2);
/// assert!(Edges::new(&[0.5, 0.5]).is_err());
/// # Ok::<(), ringdb_index::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Edges {
    edges: Vec<f64>,
    /// A sum is in the slot of so many as do not exceed it: slot 0 is below all edges, the last one above.
    sums: Vec<f64>,
    grid: Grid,
}

impl Edges {
    /// The most edges.
    pub const MAX: usize = 65_535;

    /// Checks that there are at least two, none of them NaN or negative, each greater than the one before. The last one
    /// may be infinite.
    ///
    /// # Errors
    /// [`Error::EdgeCount`]; [`Error::InvalidBounds`] with the first edge that is wrong.
    pub fn new(edges: &[f64]) -> Result<Self> {
        let max = Self::MAX;
        if !(2..=max).contains(&edges.len()) {
            let edges = edges.len();
            return Err(Error::EdgeCount { edges, max });
        }
        let mut checked: Vec<f64> = Vec::with_capacity(edges.len());
        for &edge in edges {
            let edge = non_negative("edge", edge)?;
            if checked.last().is_some_and(|&before| edge <= before) {
                return Err(Error::InvalidBounds {
                    what: "edge not greater than the one before",
                    value: edge,
                });
            }
            checked.push(edge);
        }
        let mut sums: Vec<f64> = checked.iter().map(|&edge| least_reaching(edge)).collect();
        if let (Some(sum), Some(&last)) = (sums.last_mut(), checked.last()) {
            *sum = greatest_within(last).next_up();
        }
        let nearest: Vec<f32> = sums.iter().map(|&sum| sum as f32).collect();
        let grid = Grid::new(&nearest, &nearest);
        Ok(Self {
            edges: checked,
            sums,
            grid,
        })
    }

    /// How many bins there are: one less than edges.
    #[must_use]
    pub fn bins(&self) -> usize {
        self.edges.len() - 1
    }

    /// The edges, ascending.
    #[must_use]
    pub fn as_slice(&self) -> &[f64] {
        &self.edges
    }

    /// Sums that are the first ones of their slots.
    pub(crate) fn sums(&self) -> &[f64] {
        &self.sums
    }

    /// How many slots there are: below the edges, each bin, above the edges.
    pub(crate) fn n_slots(&self) -> usize {
        self.edges.len() + 1
    }

    /// The slot of a sum.
    #[inline(always)]
    pub(crate) fn slot(&self, sum: f64) -> u16 {
        self.slot_in(self.cell(sum), sum)
    }

    /// The cell of a sum in the grid over the edges.
    #[inline(always)]
    pub(crate) fn cell(&self, sum: f64) -> u32 {
        self.grid.cell(sum as f32)
    }

    /// The slot of a sum in this cell.
    #[inline(always)]
    pub(crate) fn slot_in(&self, cell: u32, sum: f64) -> u16 {
        let [low, high] = self.grid.of_cells([cell, cell]);
        if low == high {
            return low;
        }
        let between = &self.sums[usize::from(low)..usize::from(high)];
        low + between.partition_point(|&first| first <= sum) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::Ring;

    #[test]
    fn a_sum_is_in_the_slot_of_its_distance() {
        let many: Vec<f64> = (0..300).map(|i| f64::from(i) * 1e-3).collect();
        for edges in [
            vec![0.0, 1.0],
            vec![0.0, 5e-324, 1e-310, 1e-170, 2.3e-162, 1e-150],
            vec![0.25, 1.0, 1e19, 1e154, f64::INFINITY],
            vec![0.1, 0.2, 0.3, 3.0, 1e200, f64::MAX],
            vec![0.5, 0.5_f64.next_up(), 0.6, 1e9],
            many,
        ] {
            let of = Edges::new(&edges).expect("edges");
            for &edge in &edges {
                let middle = (edge * edge).min(f64::MAX);
                let mut sums = vec![0.0, f64::from_bits(1), 0.3, middle, f64::MAX];
                let (mut below, mut above) = (middle, middle);
                for _ in 0..6 {
                    below = below.next_down().max(0.0);
                    above = above.next_up().min(f64::MAX);
                    sums.extend([below, above]);
                }
                for sum in sums {
                    let distance = sum.sqrt();
                    let last = edges.len() - 2;
                    let bins = edges
                        .windows(2)
                        .enumerate()
                        .map(|(i, ends)| match i == last {
                            true => Ring::from_bounds(ends[0]..=ends[1]),
                            false => Ring::from_bounds(ends[0]..ends[1]),
                        });
                    let mut slots = bins.enumerate().filter_map(|(i, bin)| {
                        let is_in = bin.expect("a ring").contains(distance);
                        is_in.then_some(i + 1)
                    });
                    let expected = slots.next().unwrap_or(match distance < edges[0] {
                        true => 0,
                        false => edges.len(),
                    });
                    assert_eq!(slots.next(), None, "bins do not overlap");
                    let slot = usize::from(of.slot(sum));
                    assert_eq!(slot, expected, "{sum:e}, distance {distance:e}");
                }
            }
        }
    }

    #[test]
    fn edges_that_are_none_are_refused_and_named() {
        let max = Edges::MAX;
        let too_many: Vec<f64> = (0..=max).map(|i| i as f64).collect();
        for (edges, expected) in [
            (&[][..], "number of edges is 0, must be from 2 to 65535"),
            (&[1.0], "number of edges is 1, must be from 2 to 65535"),
            (
                &too_many,
                "number of edges is 65536, must be from 2 to 65535",
            ),
            (&[-1.0, 1.0], "invalid bound, edge: -1"),
            (&[0.0, f64::NAN], "invalid bound, edge: NaN"),
            (
                &[0.0, 2.0, 2.0],
                "invalid bound, edge not greater than the one before: 2",
            ),
            (
                &[0.0, -0.0],
                "invalid bound, edge not greater than the one before: 0",
            ),
        ] {
            let error = Edges::new(edges).expect_err("no edges");
            assert_eq!(error.to_string(), expected);
        }
        let most = Edges::new(&too_many[..max]).expect("as many as may be");
        for edge in [0_u16, 1, 40_000, 65_533] {
            let sum = f64::from(edge).powi(2);
            assert_eq!(most.slot(sum), edge + 1);
            assert_eq!(most.slot((sum - 1.0).max(0.0)), edge.max(1));
        }
        let last = 65_534_f64.powi(2);
        assert_eq!((most.slot(last), most.slot(last + 1.0)), (65_534, 65_535));
    }
}
