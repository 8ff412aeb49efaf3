//! Queries side by side, for kernels that hold a line of codes against several at once.
//!
//! Invariant: the planes hold what the queries hold, in another order; a place without a query repeats
//! the last one, and nobody looks at what comes of it.

use crate::code::certificate::CodeQuery;
use crate::code::layout::{GROUP, LINE, Line};

/// Queries that a kernel takes at once: with two sums for each, half of the registers of AVX-512.
pub(crate) const BATCH_QUERIES: usize = 8;

/// Up to [`BATCH_QUERIES`] queries for the codes of one frame.
#[derive(Debug)]
pub(crate) struct CodeBatch<'a> {
    pub(crate) queries: [&'a CodeQuery; BATCH_QUERIES],
    /// For each line of a tile: four high bytes of each query, then four low bytes of each.
    pub(crate) planes: Vec<Line>,
}

impl<'a> CodeBatch<'a> {
    /// `None` if there are no queries.
    pub(crate) fn new(queries: &[&'a CodeQuery]) -> Option<Self> {
        let last = queries.last()?;
        let queries: [&CodeQuery; BATCH_QUERIES] =
            std::array::from_fn(|i| *queries.get(i).unwrap_or(last));
        let mut planes = vec![[0; LINE]; last.groups];
        let (highs, lows) = (0, BATCH_QUERIES * GROUP);
        for (i, query) in queries.iter().enumerate() {
            for (from, at) in [(&query.high, highs), (&query.low, lows)] {
                for (line, four) in planes.iter_mut().zip(from.as_chunks::<GROUP>().0) {
                    let place = &mut line[at + i * GROUP..][..GROUP];
                    place.copy_from_slice(&four.map(|byte| byte as u8));
                }
            }
        }
        Some(Self { queries, planes })
    }
}
