//! Search: spans over threads, results in order of id.
//!
//! Invariant: the answer depends on rows, query and ring alone, not on codes, the kernel, the number of
//! threads or where spans begin. It has no limit: whatever is in the ring is returned. All checks
//! happen before the first row is read. This file runs in the rayon pool that it is called in, or
//! the global one; it owns no pool.

use rayon::prelude::*;

use crate::batch::{BlockFound, BlockRoom, Group};
use crate::boxes::BoxQuery;
use crate::code::{BATCH_QUERIES, Codes};
use crate::distance::check_environment;
use crate::error::{Error, Result};
use crate::explain::Explain;
use crate::kernel::{Kernel, Prepared};
use crate::plan::BoxCosts;
use crate::ring::{Ring, Thresholds};
use crate::rows::{Rows, check_finite};
use crate::segment::Segment;
use crate::span::{Ask, Field, Found, Guard, SPAN_COORDINATES, Trusted};
use crate::walk::{Walk, ascending};

/// The ids of all rows whose distance from `query` lies in `ring`, ascending.
///
/// ```
/// use ringdb_index::{Kernel, Ring, Rows, ring_ids};
///
/// let rows = Rows::new(&[0.0, 0.0, 3.0, 4.0, 6.0, 8.0], 2)?;
/// let hits = ring_ids(rows, &[0.0, 0.0], &Ring::between(5.0, 10.0)?, Kernel::fastest())?;
/// assert_eq!(hits, [1, 2]);
/// # Ok::<(), ringdb_index::Error>(())
/// ```
///
/// # Errors
/// [`Error::DimensionMismatch`] or [`Error::NotFinite`] for a query that does not fit the rows or
/// has a coordinate that is not finite; [`Error::FloatEnvironment`] if [`check_environment`] fails on
/// a thread that computes.
pub fn ring_ids(rows: Rows<'_>, query: &[f32], ring: &Ring, kernel: Kernel) -> Result<Vec<u32>> {
    let (ids, _) = search(Segment::new(rows), query, ring, kernel, &Trusted)?;
    Ok(ids)
}

/// As [`ring_ids`], for a segment whose bytes `guard` lets pass, and what was done for it.
///
/// # Errors
/// Those of [`ring_ids`] and of `guard`.
pub fn search<G: Guard>(
    segment: Segment<'_>,
    query: &[f32],
    ring: &Ring,
    kernel: Kernel,
    guard: &G,
) -> std::result::Result<(Vec<u32>, Explain), G::Error> {
    check_query(segment.rows(), query)?;
    let mut explain = Explain::default();
    let by_boxes = by_boxes(segment, query, ring, kernel, guard, &mut explain)?;
    if let Some(ids) = by_boxes {
        return Ok((ids, explain));
    }
    let field = Field::new(segment, kernel, guard);
    let ids = by_rows(&field, query, ring, &mut explain)?;
    Ok((ids, explain))
}

/// The ids that boxes find; `None` if there are no boxes, or if it costs less to do without them.
fn by_boxes<G: Guard>(
    segment: Segment<'_>,
    query: &[f32],
    ring: &Ring,
    kernel: Kernel,
    guard: &G,
    explain: &mut Explain,
) -> std::result::Result<Option<Vec<u32>>, G::Error> {
    let Some(boxes) = segment.boxes() else {
        return Ok(None);
    };
    let rows = segment.rows();
    let costs = BoxCosts::new(rows.dims(), rayon::current_num_threads(), true);
    let query = BoxQuery::new(query, ring.thresholds());
    let mut walk = Walk::new(boxes, query, Some(costs), kernel, guard);
    walk.look_at_boxes()?;
    walk.tell(explain);
    if walk.is_given_up() {
        return Ok(None);
    }
    let ids = look_at_rows(&walk, true, explain)?;
    Ok(Some(ascending(ids, rows.len())?))
}

/// The ids that a search finds which looks at no boxes.
fn by_rows<G: Guard>(
    field: &Field<'_, G>,
    query: &[f32],
    ring: &Ring,
    explain: &mut Explain,
) -> std::result::Result<Vec<u32>, G::Error> {
    let mut spans = run(field, query, ring, true)?;
    for found in &spans {
        *explain += found.explain;
    }
    if let [only] = &mut spans[..] {
        return Ok(std::mem::take(&mut only.ids));
    }
    let n_ids = spans.iter().map(|found| found.ids.len());
    let mut ids = Vec::with_capacity(n_ids.sum());
    for found in spans {
        ids.extend_from_slice(&found.ids);
    }
    Ok(ids)
}

/// How many rows have a distance from `query` in `ring`, and what was done to find out. No ids are
/// written.
///
/// # Errors
/// As [`search`].
pub fn count<G: Guard>(
    segment: Segment<'_>,
    query: &[f32],
    ring: &Ring,
    kernel: Kernel,
    guard: &G,
) -> std::result::Result<(u64, Explain), G::Error> {
    check_query(segment.rows(), query)?;
    let mut explain = Explain::default();
    if let Some(boxes) = segment.boxes() {
        let costs = BoxCosts::new(segment.rows().dims(), rayon::current_num_threads(), false);
        let query = BoxQuery::new(query, ring.thresholds());
        let mut walk = Walk::new(boxes, query, Some(costs), kernel, guard);
        walk.look_at_boxes()?;
        walk.tell(&mut explain);
        if !walk.is_given_up() {
            look_at_rows(&walk, false, &mut explain)?;
            return Ok((explain.hits(), explain));
        }
    }
    let field = Field::new(segment, kernel, guard);
    for found in run(&field, query, ring, false)? {
        explain += found.explain;
    }
    Ok((explain.hits(), explain))
}

/// Rows that boxes left, up to which they are looked at on the calling thread.
const ROWS_ALONE: usize = 64 * 1024;

/// The ids of the hits among the rows that boxes left, part by part and in no order, if they are wanted.
fn look_at_rows<G: Guard>(
    walk: &Walk<'_, G>,
    wants_ids: bool,
    explain: &mut Explain,
) -> std::result::Result<Vec<Vec<u32>>, G::Error> {
    if walk.rows_left() <= ROWS_ALONE {
        let mut ids = Vec::with_capacity(if wants_ids { walk.rows_inside() } else { 0 });
        walk.look_at(walk.whole(), wants_ids.then_some(&mut ids), explain)?;
        return Ok(vec![ids]);
    }
    let parts = walk.parts().into_par_iter().map(|part| {
        let (mut ids, mut explain) = (Vec::new(), Explain::default());
        walk.look_at(part, wants_ids.then_some(&mut ids), &mut explain)?;
        Ok((ids, explain))
    });
    let parts = parts.collect::<std::result::Result<Vec<_>, G::Error>>()?;
    let ids = parts.into_iter().map(|(ids, of_part)| {
        *explain += of_part;
        ids
    });
    Ok(ids.collect())
}

/// The spans of a search, in order; a search of one span runs on the calling thread.
fn run<G: Guard>(
    field: &Field<'_, G>,
    query: &[f32],
    ring: &Ring,
    wants_ids: bool,
) -> std::result::Result<Vec<Found>, G::Error> {
    let (n_rows, span_rows) = (field.rows.len(), field.span_rows());
    // The query is converted here, whatever threads search.
    check_environment()?;
    let ask = field.ask(query, ring.thresholds());
    if n_rows <= span_rows {
        return Ok(vec![field.search(&ask, 0..n_rows, wants_ids)?]);
    }
    let span = |span: usize| span * span_rows..n_rows.min((span + 1) * span_rows);
    (0..n_rows.div_ceil(span_rows))
        .into_par_iter()
        .map(|i| field.search(&ask, span(i), wants_ids))
        .collect()
}

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

/// As [`search`], for many queries at once, row-major as the rows are, and one ring for all of them or one
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
/// As [`search`]; [`Error::DimensionMismatch`] with the length of the last query if it is not whole,
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

/// The distances of the rows with these ids from `query`, in the order of `ids`, which may be any
/// and may repeat.
///
/// Each has the bits of [`distance`](crate::distance()).
///
/// # Errors
/// [`Error::IdOutOfRange`] with the first id that no row has, and those of [`ring_ids`].
pub fn distances(rows: Rows<'_>, query: &[f32], ids: &[u32], kernel: Kernel) -> Result<Vec<f64>> {
    check_query(rows, query)?;
    check_environment()?;
    let query = Prepared::new(query);
    if let Some(&id) = ids.iter().find(|&&id| rows.row(id).is_none()) {
        return Err(Error::IdOutOfRange {
            id,
            len: rows.len(),
        });
    }
    let span_ids = (SPAN_COORDINATES / rows.dims()).max(1);
    let span = |ids: &[u32]| distances_of_span(rows, ids, &query, kernel);
    if ids.len() <= span_ids {
        return span(ids);
    }
    let spans: Result<Vec<Vec<f64>>> = ids.par_chunks(span_ids).map(span).collect();
    Ok(spans?.concat())
}

fn check_query(rows: Rows<'_>, query: &[f32]) -> Result<()> {
    if query.len() != rows.dims() {
        return Err(Error::DimensionMismatch {
            expected: rows.dims(),
            got: query.len(),
        });
    }
    check_finite(query)
}

/// The distances of some rows, in their order; checks its thread as every span does.
pub(crate) fn distances_of_span(
    rows: Rows<'_>,
    ids: &[u32],
    query: &Prepared,
    kernel: Kernel,
) -> Result<Vec<f64>> {
    check_environment()?;
    let distance = |&id: &u32| {
        let row = rows.coordinates(id as usize..id as usize + 1);
        kernel.s64(row, query).sqrt()
    };
    Ok(ids.iter().map(distance).collect())
}
