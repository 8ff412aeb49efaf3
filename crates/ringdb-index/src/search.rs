//! Search: spans over threads, results in order of id.
//!
//! Invariant: the answer depends on rows, query and ring alone, not on codes, the kernel, the number of
//! threads or where spans begin. It has no limit: whatever is in the ring is returned. All checks
//! happen before the first row is read. This file runs in the rayon pool that it is called in, or
//! the global one; it owns no pool.

use std::ops::Range;

use rayon::prelude::*;

use crate::boxes::BoxQuery;
use crate::distance::check_environment;
use crate::error::{Error, Result};
use crate::explain::Explain;
use crate::field::{Field, Found, SPAN_COORDINATES};
use crate::guard::{Guard, Trusted};
use crate::kernel::{Kernel, Prepared};
use crate::plan::BoxCosts;
use crate::ring::Ring;
use crate::rows::{Rows, check_finite};
use crate::segment::Segment;
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
pub(crate) fn by_boxes<G: Guard>(
    segment: Segment<'_>,
    query: &[f32],
    ring: &Ring,
    kernel: Kernel,
    guard: &G,
    explain: &mut Explain,
) -> std::result::Result<Option<Vec<u32>>, G::Error> {
    let Some(walk) = walked(segment, query, ring, true, kernel, guard, explain)? else {
        return Ok(None);
    };
    let ids = look_at_rows(&walk, true, explain)?;
    Ok(Some(ascending(ids, segment.rows().len())?))
}

/// A walk that has looked at the boxes; `None` if there are none, or if it costs less to do without them.
fn walked<'a, G: Guard>(
    segment: Segment<'a>,
    query: &[f32],
    ring: &Ring,
    wants_ids: bool,
    kernel: Kernel,
    guard: &'a G,
    explain: &mut Explain,
) -> std::result::Result<Option<Walk<'a, G>>, G::Error> {
    let Some(boxes) = segment.boxes() else {
        return Ok(None);
    };
    let filter = segment.filter();
    let (dims, threads) = (segment.rows().dims(), threads());
    // It takes ids to tell which rows are allowed.
    let costs = BoxCosts::new(dims, threads, wants_ids || filter.is_some());
    let query = BoxQuery::new(query, ring.thresholds());
    let mut walk = Walk::new(boxes, query, Some(costs), filter, kernel, guard);
    guard.go_on()?;
    walk.look_at_boxes()?;
    walk.tell(explain);
    if walk.is_given_up() {
        return Ok(None);
    }
    guard.decided(segment.rows().len() - walk.rows_left());
    Ok(Some(walk))
}

/// The ids that a search finds which looks at no boxes.
pub(crate) fn by_rows<G: Guard>(
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
    let walk = walked(segment, query, ring, false, kernel, guard, &mut explain)?;
    if let Some(walk) = walk {
        look_at_rows(&walk, false, &mut explain)?;
        return Ok((explain.hits(), explain));
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
        let room = if wants_ids { walk.rows_inside() } else { 0 };
        let (ids, of_rows) = look_at_part(walk, walk.whole(), wants_ids, room)?;
        *explain += of_rows;
        return Ok(vec![ids]);
    }
    let parts = walk.parts().into_par_iter();
    let parts = parts.map(|part| look_at_part(walk, part, wants_ids, 0));
    let parts = parts.collect::<std::result::Result<Vec<_>, G::Error>>()?;
    let ids = parts.into_iter().map(|(ids, of_part)| {
        *explain += of_part;
        ids
    });
    Ok(ids.collect())
}

/// The same of one part, with room for so many ids to begin with.
fn look_at_part<G: Guard>(
    walk: &Walk<'_, G>,
    part: Range<usize>,
    wants_ids: bool,
    room: usize,
) -> std::result::Result<(Vec<u32>, Explain), G::Error> {
    let (mut ids, mut explain) = (Vec::with_capacity(room), Explain::default());
    walk.guard().go_on()?;
    walk.look_at(part.clone(), wants_ids.then_some(&mut ids), &mut explain)?;
    walk.guard().decided(walk.rows_of(part));
    Ok((ids, explain))
}

/// The spans of a search, in order.
fn run<G: Guard>(
    field: &Field<'_, G>,
    query: &[f32],
    ring: &Ring,
    wants_ids: bool,
) -> std::result::Result<Vec<Found>, G::Error> {
    // The query is converted here, whatever threads search.
    check_environment()?;
    let ask = field.ask(query, ring.thresholds());
    in_spans(field, 0..field.spans(), |rows| {
        field.search(&ask, rows, wants_ids)
    })
}

/// How many threads share the spans of a search.
pub(crate) fn threads() -> usize {
    rayon::current_num_threads()
}

/// What is found in the spans of these numbers, in order; one alone is searched on the calling thread.
pub(crate) fn in_spans<G: Guard, F: Send>(
    field: &Field<'_, G>,
    spans: Range<usize>,
    search: impl Fn(Range<usize>) -> std::result::Result<F, G::Error> + Sync,
) -> std::result::Result<Vec<F>, G::Error> {
    let (n_rows, span_rows) = (field.rows.len(), field.span_rows());
    let search = |span: usize| {
        let rows = span * span_rows..n_rows.min((span + 1) * span_rows);
        let n = rows.len();
        field.guard.go_on()?;
        let found = search(rows)?;
        field.guard.decided(n);
        Ok(found)
    };
    if spans.len() <= 1 {
        return spans.map(search).collect();
    }
    spans.into_par_iter().map(search).collect()
}

/// Adds up what is found in all spans: a thread adds those that it takes one after the other to one sum, and sums are
/// merged.
pub(crate) fn fold_spans<G: Guard, F: Send>(
    field: &Field<'_, G>,
    nothing: impl Fn() -> F + Sync + Send,
    add: impl Fn(Range<usize>, &mut F) -> std::result::Result<(), G::Error> + Sync + Send,
    merge: impl Fn(F, F) -> F + Sync + Send,
) -> std::result::Result<F, G::Error> {
    let (n_rows, span_rows) = (field.rows.len(), field.span_rows());
    let spans = (0..field.spans()).map(|span| span * span_rows..n_rows.min((span + 1) * span_rows));
    let spans: Vec<Range<usize>> = spans.collect();
    let add = |rows: Range<usize>, found: &mut F| {
        let n = rows.len();
        field.guard.go_on()?;
        add(rows, found)?;
        field.guard.decided(n);
        Ok(())
    };
    fold_parts(&spans, nothing, add, merge)
}

/// The same of any parts; one alone is looked at on the calling thread.
pub(crate) fn fold_parts<E: Send, F: Send>(
    parts: &[Range<usize>],
    nothing: impl Fn() -> F + Sync + Send,
    add: impl Fn(Range<usize>, &mut F) -> std::result::Result<(), E> + Sync + Send,
    merge: impl Fn(F, F) -> F + Sync + Send,
) -> std::result::Result<F, E> {
    let add = |mut found: F, part: &Range<usize>| {
        add(part.clone(), &mut found)?;
        Ok(found)
    };
    if let [] | [_] = parts {
        return parts.iter().try_fold(nothing(), add);
    }
    let found = parts.par_iter().try_fold(&nothing, add);
    found.try_reduce(&nothing, |one, other| Ok(merge(one, other)))
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

pub(crate) fn check_query(rows: Rows<'_>, query: &[f32]) -> Result<()> {
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
