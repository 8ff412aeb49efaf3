//! Search: rows in spans over threads, results in order of id.
//!
//! Invariant: the answer depends on rows, query and ring alone, not on the kernel, the number of
//! threads or where spans begin. It has no limit: whatever is in the ring is returned. All checks
//! happen before the first row is read. This file runs in the rayon pool that it is called in, or
//! the global one; it owns no pool.

use std::ops::Range;

use rayon::prelude::*;

use crate::distance::check_environment;
use crate::error::{Error, Result};
use crate::kernel::{CHUNK_ROWS, Chunk, Kernel, Prepared};
use crate::ring::Ring;
use crate::rows::{Rows, check_finite};

/// Coordinates that one task of a search reads: 1 MB, some 70 microseconds at the speed of memory,
/// against a few for handing a task to a thread. A smaller search runs on the calling thread.
const SPAN_COORDINATES: usize = 256 * 1024;

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
    ring_ids_after(rows, query, ring, kernel, |_| Ok(()))
}

/// As [`ring_ids`], for rows that have to be made sure of first: `before` is called with the ids of
/// each span of rows, on the thread that is about to read them. An error of its ends the search.
///
/// # Errors
/// Those of [`ring_ids`] and of `before`.
pub fn ring_ids_after<E: From<Error> + Send>(
    rows: Rows<'_>,
    query: &[f32],
    ring: &Ring,
    kernel: Kernel,
    before: impl Fn(Range<usize>) -> std::result::Result<(), E> + Sync,
) -> std::result::Result<Vec<u32>, E> {
    let query = prepare(rows, query)?;
    let span_rows = (SPAN_COORDINATES / rows.dims()).max(1);
    let scan = |first: usize| {
        let span = first..rows.len().min(first + span_rows);
        before(span.clone())?;
        Ok(scan_span(rows, span, &query, ring, kernel)?)
    };
    if rows.len() <= span_rows {
        return scan(0);
    }
    let n_spans = rows.len().div_ceil(span_rows);
    let spans: std::result::Result<Vec<Vec<u32>>, E> = (0..n_spans)
        .into_par_iter()
        .map(|span| scan(span * span_rows))
        .collect();
    Ok(spans?.concat())
}

/// The distances of the rows with these ids from `query`, in the order of `ids`, which may be any
/// and may repeat.
///
/// Each has the bits of [`distance`](crate::distance()).
///
/// # Errors
/// [`Error::IdOutOfRange`] with the first id that no row has, and those of [`ring_ids`].
pub fn distances(rows: Rows<'_>, query: &[f32], ids: &[u32], kernel: Kernel) -> Result<Vec<f64>> {
    let query = prepare(rows, query)?;
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

fn prepare(rows: Rows<'_>, query: &[f32]) -> Result<Prepared> {
    if query.len() != rows.dims() {
        return Err(Error::DimensionMismatch {
            expected: rows.dims(),
            got: query.len(),
        });
    }
    check_finite(query)?;
    Ok(Prepared::new(query))
}

/// The hits among consecutive rows, ascending. Checks the thread that it runs on, as workers of a
/// pool may have been set up differently from the caller.
pub(crate) fn scan_span(
    rows: Rows<'_>,
    span: Range<usize>,
    query: &Prepared,
    ring: &Ring,
    kernel: Kernel,
) -> Result<Vec<u32>> {
    check_environment()?;
    let mut hits = Vec::new();
    let mut found = [0; CHUNK_ROWS];
    for first in span.clone().step_by(CHUNK_ROWS) {
        let coordinates = rows.coordinates(first..span.end.min(first + CHUNK_ROWS));
        // A row's position is an id, because there are at most ROWS_MAX rows.
        let chunk = Chunk {
            coordinates,
            first_id: first as u32,
            query,
            thresholds: ring.thresholds(),
        };
        let n = kernel.hits(&chunk, &mut found);
        hits.extend_from_slice(&found[..n]);
    }
    Ok(hits)
}

/// The distances of some rows, in their order; checks its thread as [`scan_span`] does.
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
