//! Queries side by side, for kernels that hold a line of codes against several at once.
//!
//! Invariant: the planes hold what the queries hold, in another order; a place without a query repeats
//! the last one, and nobody looks at what comes of it.

use crate::code::certificate::CodeQuery;
use crate::code::layout::{GROUP, LINE, Line};

/// Queries that a kernel takes at once: with a sum for each, half of the registers of AVX-512.
pub(crate) const BATCH_QUERIES: usize = 16;

/// Those of them that it takes at once where they have two bytes for each dim.
pub(crate) const HALF_QUERIES: usize = BATCH_QUERIES / 2;

/// Up to [`BATCH_QUERIES`] queries for the codes of one frame.
#[derive(Debug)]
pub(crate) struct CodeBatch<'a> {
    pub(crate) queries: [&'a CodeQuery; BATCH_QUERIES],
    /// How many of them there are.
    pub(crate) n: usize,
    /// For each line of a tile, four short bytes of each query.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(dead_code, reason = "other kernels take queries one by one")
    )]
    pub(crate) short: Vec<Line>,
    /// For each line of a tile: four high bytes of each query of the half, then four low bytes of each.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(dead_code, reason = "other kernels take queries one by one")
    )]
    pub(crate) halves: [Vec<Line>; 2],
}

impl<'a> CodeBatch<'a> {
    /// `None` if there are no queries.
    pub(crate) fn new(queries: &[&'a CodeQuery]) -> Option<Self> {
        let last = queries.last()?;
        let n = queries.len().min(BATCH_QUERIES);
        let queries: [&CodeQuery; BATCH_QUERIES] =
            std::array::from_fn(|i| *queries.get(i).unwrap_or(last));
        let short = side_by_side(last.groups, queries.iter().map(|query| &query.short.plane));
        let half = |queries: &[&CodeQuery]| {
            let planes = queries.iter().map(|query| &query.high);
            let planes = planes.chain(queries.iter().map(|query| &query.low));
            side_by_side(last.groups, planes)
        };
        let (first, second) = queries.split_at(HALF_QUERIES);
        let halves = [half(first), half(second)];
        Some(Self {
            queries,
            n,
            short,
            halves,
        })
    }
}

/// Four bytes of the first plane, four of the second and so on, then the next four of each.
fn side_by_side<'a>(groups: usize, planes: impl Iterator<Item = &'a Vec<i8>>) -> Vec<Line> {
    let mut lines = vec![[0; LINE]; groups];
    for (at, plane) in (0..).step_by(GROUP).zip(planes) {
        for (line, four) in lines.iter_mut().zip(plane.as_chunks::<GROUP>().0) {
            line[at..at + GROUP].copy_from_slice(&four.map(|byte| byte as u8));
        }
    }
    lines
}
