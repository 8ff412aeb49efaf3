//! Search of many queries at once, on all threads.
//!
//! Invariant: each query finds what it would find alone, whatever others come with it.

use rayon::prelude::*;

use crate::batch::{BlockFound, BlockRoom, Group};
use crate::code::{BATCH_QUERIES, Codes};
use crate::distance::check_environment;
use crate::error::{Error, Result};
use crate::explain::Explain;
use crate::field::{Ask, Field};
use crate::guard::Guard;
use crate::kernel::Kernel;
use crate::ring::{Ring, Thresholds};
use crate::rows::check_finite;
use crate::search::{by_boxes, by_rows};
use crate::segment::Segment;

/// Queries that pass over the rows together; more take another pass.
const PASS_QUERIES: usize = 256;

/// Fewer queries are faster one by one.
const BATCH_QUERIES_MIN: usize = 4;

/// Tasks of a pass, at least, if there are queries enough: a few for each of many threads.
const PASS_TASKS: usize = 64;

/// What many queries found.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// Where the ids of each query begin, and then where those of the last one end.
    pub offsets: Vec<usize>,
    /// The ids of all queries, one query after the other, ascending within each.
    pub ids: Vec<u32>,
    /// What was done for all of them together.
    pub explain: Explain,
}

impl Batch {
    /// Of no query.
    fn new() -> Self {
        Self {
            offsets: vec![0],
            ..Self::default()
        }
    }

    /// Number of queries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there were no queries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ids of one query.
    ///
    /// # Panics
    /// If there is no such query.
    #[must_use]
    pub fn ids_of(&self, query: usize) -> &[u32] {
        &self.ids[self.offsets[query]..self.offsets[query + 1]]
    }
}

/// As [`search`](crate::search()), for many queries at once, row-major as the rows are, and one ring for all of them or one
/// for each. Each finds what it would find alone.
///
/// Where there are boxes, each query asks them first. Up to 256 of the queries that they do not answer share one
/// pass over the rows, so that memory is read once for all of them. Besides the answer, of which there may be
/// three copies for a while, the search holds these queries in the forms of its kernels, some 20 bytes a
/// coordinate and at least 500 bytes each, and 4 bytes for each query and block of rows; with boxes also 100
/// bytes for each query, and on each thread a bit for each row.
///
/// ```
/// use ringdb_index::{Kernel, Ring, Rows, Segment, Trusted, search_many};
///
/// let rows = Rows::new(&[0.0, 0.0, 3.0, 4.0, 6.0, 8.0], 2)?;
/// let ring = Ring::within(5.0)?;
/// let queries = [0.0, 0.0, 6.0, 8.0];
/// let batch = search_many(Segment::new(rows), &queries, &[ring], Kernel::fastest(), &Trusted)?;
/// assert_eq!((batch.ids_of(0), batch.ids_of(1)), (&[0, 1][..], &[1, 2][..]));
/// # Ok::<(), ringdb_index::Error>(())
/// ```
///
/// # Errors
/// As [`search`](crate::search()); [`Error::DimensionMismatch`] with the length of the last query if it is not whole,
/// [`Error::NotFinite`] with a position in `queries`, [`Error::RingCount`].
pub fn search_many<G: Guard>(
    segment: Segment<'_>,
    queries: &[f32],
    rings: &[Ring],
    kernel: Kernel,
    guard: &G,
) -> std::result::Result<Batch, G::Error> {
    let dims = segment.rows().dims();
    if !queries.len().is_multiple_of(dims) {
        let got = queries.len() % dims;
        return Err(Error::DimensionMismatch {
            expected: dims,
            got,
        }
        .into());
    }
    check_finite(queries)?;
    let n_queries = queries.len() / dims;
    if rings.len() != 1 && rings.len() != n_queries {
        let (rings, queries) = (rings.len(), n_queries);
        return Err(Error::RingCount { rings, queries }.into());
    }
    let field = Field::new(segment, kernel, guard);
    let ring = |i: usize| rings.get(i).unwrap_or(&rings[0]);
    if !segment.has_boxes() {
        return many_by_rows(&field, queries, ring);
    }
    let found = queries.par_chunks(dims).enumerate().map(|(i, query)| {
        let mut explain = Explain::default();
        let ids = by_boxes(segment, query, ring(i), kernel, guard, &mut explain)?;
        Ok((ids, explain))
    });
    let found: Vec<(Option<Vec<u32>>, Explain)> =
        found.collect::<std::result::Result<_, G::Error>>()?;
    // Those that boxes did not answer go over the rows together.
    let left: Vec<usize> = (0..n_queries).filter(|&i| found[i].0.is_none()).collect();
    let queries_left = left.iter().flat_map(|&i| &queries[i * dims..][..dims]);
    let queries_left: Vec<f32> = queries_left.copied().collect();
    let by_rows = many_by_rows(&field, &queries_left, |i| ring(left[i]))?;
    let mut batch = Batch::new();
    let n_ids = found.iter().flat_map(|(ids, _)| ids).map(Vec::len);
    batch
        .ids
        .reserve_exact(n_ids.sum::<usize>() + by_rows.ids.len());
    batch.explain = by_rows.explain;
    let mut next_left = 0;
    for (by_boxes, explain) in found {
        batch.explain += explain;
        match by_boxes {
            Some(ids) => batch.ids.extend_from_slice(&ids),
            None => {
                batch.ids.extend_from_slice(by_rows.ids_of(next_left));
                next_left += 1;
            }
        }
        batch.offsets.push(batch.ids.len());
    }
    Ok(batch)
}

/// What whole queries find without boxes, each in the ring of its number.
fn many_by_rows<'a, G: Guard>(
    field: &Field<'_, G>,
    queries: &[f32],
    ring: impl Fn(usize) -> &'a Ring + Sync,
) -> std::result::Result<Batch, G::Error> {
    check_environment()?;
    let dims = field.rows.dims();
    let mut batch = Batch::new();
    if queries.len() / dims < BATCH_QUERIES_MIN {
        for (i, query) in queries.chunks(dims).enumerate() {
            let ids = by_rows(field, query, ring(i), &mut batch.explain)?;
            batch.ids.extend_from_slice(&ids);
            batch.offsets.push(batch.ids.len());
        }
        return Ok(batch);
    }
    for (pass, queries) in queries.chunks(PASS_QUERIES * dims).enumerate() {
        let asks = prepare_all(field.codes, queries, dims, |i| {
            ring(pass * PASS_QUERIES + i).thresholds()
        })?;
        search_pass(field, &asks, &mut batch)?;
    }
    Ok(batch)
}

/// Queries, row-major, in the forms that tiers need; the thresholds are those of the query in this place.
pub(crate) fn prepare_all(
    codes: Option<Codes<'_>>,
    queries: &[f32],
    dims: usize,
    thresholds: impl Fn(usize) -> Thresholds + Sync,
) -> Result<Vec<Ask>> {
    let queries = queries.par_chunks(dims).enumerate();
    let asks = queries.map(|(i, query)| {
        check_environment()?;
        Ok(Ask::new(codes, query, thresholds(i)))
    });
    asks.collect()
}

/// What the tasks of these numbers find, in order.
pub(crate) fn in_parallel<E: Send>(
    tasks: usize,
    search: impl Fn(usize, &mut BlockRoom) -> std::result::Result<BlockFound, E> + Sync,
) -> std::result::Result<Vec<BlockFound>, E> {
    (0..tasks)
        .into_par_iter()
        .map_init(BlockRoom::new, |room, task| search(task, room))
        .collect()
}

/// Appends what a pass of queries finds.
fn search_pass<G: Guard>(
    field: &Field<'_, G>,
    asks: &[Ask],
    batch: &mut Batch,
) -> std::result::Result<(), G::Error> {
    let (n_rows, block_rows) = (field.rows.len(), field.block_rows());
    let n_blocks = n_rows.div_ceil(block_rows);
    let groups = Group::all(asks);
    // Where blocks are few, several tasks share one.
    let parts = (PASS_TASKS / n_blocks.max(1)).clamp(1, groups.len());
    let part_groups = groups.len().div_ceil(parts);
    let parts = groups.len().div_ceil(part_groups);
    let part_asks = part_groups * BATCH_QUERIES;
    let found = in_parallel(n_blocks * parts, |task, room| {
        let (block, part) = (task / parts, task % parts);
        let rows = block * block_rows..n_rows.min((block + 1) * block_rows);
        let groups = &groups[part * part_groups..groups.len().min((part + 1) * part_groups)];
        field.search_block(groups, rows, room)
    })?;
    let before = batch.ids.len();
    let mut totals = vec![0; asks.len()];
    for (task, found) in found.iter().enumerate() {
        let totals = &mut totals[task % parts * part_asks..];
        for (total, &count) in totals.iter_mut().zip(&found.counts) {
            *total += count as usize;
        }
        batch.explain += found.explain;
    }
    let mut places: Vec<usize> = Vec::with_capacity(asks.len());
    let mut end = before;
    for total in totals {
        places.push(end);
        end += total;
        batch.offsets.push(end);
    }
    batch.ids.resize(end, 0);
    for (task, found) in found.into_iter().enumerate() {
        let places = &mut places[task % parts * part_asks..];
        let mut ids = found.ids.as_slice();
        for (place, &count) in places.iter_mut().zip(&found.counts) {
            let (of_query, rest) = ids.split_at(count as usize);
            batch.ids[*place..*place + of_query.len()].copy_from_slice(of_query);
            *place += of_query.len();
            ids = rest;
        }
    }
    Ok(())
}
