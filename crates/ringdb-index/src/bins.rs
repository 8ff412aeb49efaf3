//! What codes prove of the bin of a row, and how many rows each bin has.
//!
//! Invariant: a row is put into a bin by its code only if every sum that its estimate and bound allow is in that bin.

use crate::code::{CodeFrame, FramedQuery, Limits};
use crate::edges::Edges;
use crate::grid::Grid;
use crate::ring::Thresholds;

/// The edges as estimates see them, for one query.
#[derive(Debug)]
pub(crate) struct CodeBins {
    /// A sum reaches the edge if `t - E` is at least this.
    reached: Vec<f32>,
    /// A sum does not reach the edge if `t + E` is less than this.
    unreached: Vec<f32>,
    grid: Grid,
}

impl CodeBins {
    /// `None` if the query is too far away for codes.
    pub(crate) fn new(frame: &CodeFrame, query: &[f32], edges: &Edges) -> Option<Self> {
        let g_sq = FramedQuery::new(frame, query)?.g_sq;
        let scale = frame.scale();
        let limits = edges.sums().iter().map(|&lo_s| {
            let from_edge = Thresholds {
                lo_s,
                hi_s: f64::MAX,
            };
            Limits::new(from_edge, scale, g_sq)
        });
        let limits = limits.map(|limits| (limits.inside_lo, limits.outside_below));
        let (reached, unreached): (Vec<f32>, Vec<f32>) = limits.unzip();
        let grid = Grid::new(&reached, &unreached);
        Some(Self {
            reached,
            unreached,
            grid,
        })
    }

    /// The grid over both lists.
    pub(crate) fn grid(&self) -> &Grid {
        &self.grid
    }

    /// The slot of a row whose sum is between these, in the terms of estimates and in these cells of the grid; `None` if it
    /// may be in several.
    #[inline(always)]
    pub(crate) fn slot_in(&self, cells: [u32; 2], low: f32, high: f32) -> Option<u16> {
        let [first, last] = self.grid.of_cells(cells);
        if first == last {
            return Some(first);
        }
        // Most often where bins are narrow, and then without a search.
        if self.grid.has_between(cells) {
            return None;
        }
        // What is not a number, or overflowed, proves nothing; it is never in cells between which there is no edge.
        if !(low <= high && high < f32::INFINITY) {
            return None;
        }
        // An edge that is not reached surely is one that is reached if at all: all that are in doubt lie between.
        let between = usize::from(first)..usize::from(last);
        let reached = &self.reached[between.clone()];
        let reached = reached.partition_point(|&reached| reached <= low);
        let unreached = &self.unreached[between];
        let unreached = unreached.partition_point(|&unreached| unreached <= high);
        (reached == unreached).then(|| first + reached as u16)
    }
}

/// How many rows are in each slot of some edges: below them, in each bin, above them.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    counts: Vec<u64>,
}

impl Tally {
    /// Of nothing.
    pub(crate) fn new(edges: &Edges) -> Self {
        Self {
            counts: vec![0; edges.n_slots()],
        }
    }

    #[inline(always)]
    pub(crate) fn add(&mut self, slot: u16, rows: u64) {
        self.counts[usize::from(slot)] += rows;
    }

    /// How many rows are in no bin.
    pub(crate) fn outside(&self) -> u64 {
        self.counts[0] + self.counts[self.counts.len() - 1]
    }

    /// Makes those above the edges so many that all are `total`.
    pub(crate) fn fill_above(&mut self, total: u64) {
        if let Some((above, others)) = self.counts.split_last_mut() {
            *above = total.saturating_sub(others.iter().sum());
        }
    }

    /// Adds what another one counted.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        for (count, other) in self.counts.iter_mut().zip(other.counts) {
            *count += other;
        }
        self
    }

    /// Below the edges, in each bin, and above them.
    pub(crate) fn into_counts(self) -> Vec<u64> {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Rows;

    fn slot(bins: &CodeBins, low: f32, high: f32) -> Option<u16> {
        bins.slot_in(bins.grid().cells(low, high), low, high)
    }

    /// Estimates at and around every limit, of rows whose sums are known.
    #[test]
    fn what_is_proven_is_true_and_what_overflowed_proves_nothing() {
        let data: Vec<f32> = (0..64).map(|i| i as f32 * 0.25).collect();
        let rows = Rows::new(&data, 2).expect("whole rows");
        let frame = CodeFrame::of(rows);
        let query = [1.0, 2.0];
        let edges: Vec<f64> = (0..=30).map(|i| f64::from(i) * 0.5).collect();
        let edges = Edges::new(&edges).expect("edges");
        let bins = CodeBins::new(&frame, &query, &edges).expect("a near query");
        let (scale, g_sq) = (
            frame.scale(),
            FramedQuery::new(&frame, &query).expect("a near query").g_sq,
        );
        let mut proven = 0;
        for sum in edges
            .sums()
            .iter()
            .flat_map(|&s| [s * 0.999, s, s * 1.001, s + 0.1])
        {
            // With an exact estimate, as far as f32 can tell.
            let t = scale * scale * sum - g_sq;
            for e in [1e-6, 1e-3, 0.1, 10.0] {
                let (low, high) = ((t - e) as f32, (t + e) as f32);
                if let Some(slot) = slot(&bins, low, high) {
                    assert_eq!(slot, edges.slot(sum), "{sum} +- {e}");
                    proven += 1;
                }
            }
        }
        assert!(proven > 100, "{proven}");
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        for (low, high) in [
            (nan, nan),
            (0.0, nan),
            (nan, 0.0),
            (inf, inf),
            (-inf, inf),
            (1.0, 0.0),
            (0.0, inf),
        ] {
            assert_eq!(slot(&bins, low, high), None, "{low} to {high}");
        }
    }
}
