//! What a kernel works on: a query in its own form, and a run of rows short enough for a buffer on
//! the stack.
//!
//! Invariant: a prepared query is the query, each coordinate converted without rounding, followed
//! by zeros. Nothing is computed here.

use crate::ring::Thresholds;

/// The most rows that a kernel takes at once: their ids fill 8 KB.
pub(crate) const CHUNK_ROWS: usize = 2_048;

/// A query in `f64`, padded with zeros to whole blocks of eight.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(super) blocks: Vec<[f64; 8]>,
    pub(super) dims: usize,
}

impl Prepared {
    pub(crate) fn new(query: &[f32]) -> Self {
        let block = |values: &[f32]| {
            let mut block = [0.0; 8];
            for (lane, &value) in block.iter_mut().zip(values) {
                *lane = f64::from(value);
            }
            block
        };
        Self {
            blocks: query.chunks(8).map(block).collect(),
            dims: query.len(),
        }
    }
}

/// Consecutive rows, at most [`CHUNK_ROWS`] of them, and what is asked of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chunk<'a> {
    /// Whole rows, of as many coordinates as the query has.
    pub(crate) coordinates: &'a [f32],
    /// The id of the first row; the others follow.
    pub(crate) first_id: u32,
    pub(crate) query: &'a Prepared,
    pub(crate) thresholds: Thresholds,
}
