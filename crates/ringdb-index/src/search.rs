//! Search: spans over threads, results in order of id.
//!
//! Invariant: the answer depends on rows, query and ring alone, not on codes, the kernel, the number of
//! threads or where spans begin. It has no limit: whatever is in the ring is returned. All checks
//! happen before the first row is read. This file runs in the rayon pool that it is called in, or
//! the global one; it owns no pool.

use rayon::prelude::*;

use crate::distance::check_environment;
use crate::error::{Error, Result};
use crate::explain::Explain;
use crate::kernel::{Kernel, Prepared};
use crate::ring::Ring;
use crate::rows::{Rows, check_finite};
use crate::segment::Segment;
use crate::span::{Ask, Field, Found, Guard, SPAN_COORDINATES, Trusted};

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
    let field = Field::new(segment, kernel, guard);
    let mut spans = run(&field, query, ring, true)?;
    let mut explain = Explain::default();
    for found in &spans {
        explain += found.explain;
    }
    if let [only] = &mut spans[..] {
        return Ok((std::mem::take(&mut only.ids), explain));
    }
    let mut ids = Vec::with_capacity(explain.hits() as usize);
    for found in spans {
        ids.extend_from_slice(&found.ids);
    }
    Ok((ids, explain))
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
    let field = Field::new(segment, kernel, guard);
    let mut explain = Explain::default();
    for found in run(&field, query, ring, false)? {
        explain += found.explain;
    }
    Ok((explain.hits(), explain))
}

/// The spans of a search, in order; a search of one span runs on the calling thread.
fn run<G: Guard>(
    field: &Field<'_, G>,
    query: &[f32],
    ring: &Ring,
    wants_ids: bool,
) -> std::result::Result<Vec<Found>, G::Error> {
    let (n_rows, span_rows) = (field.rows.len(), field.span_rows());
    let ask = Ask::new(field.codes, query, ring.thresholds());
    if n_rows <= span_rows {
        return Ok(vec![field.search(&ask, 0..n_rows, wants_ids)?]);
    }
    let span = |span: usize| span * span_rows..n_rows.min((span + 1) * span_rows);
    (0..n_rows.div_ceil(span_rows))
        .into_par_iter()
        .map(|i| field.search(&ask, span(i), wants_ids))
        .collect()
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
