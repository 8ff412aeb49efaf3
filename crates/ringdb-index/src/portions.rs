//! Portions: the hits of a search while it goes on.
//!
//! Invariant: all portions together are what a search finds, in order of id. Nothing runs between two of them: whoever
//! asks for them sets the pace, and stops by asking no more.

use crate::distance::check_environment;
use crate::explain::Explain;
use crate::field::{Ask, Field};
use crate::guard::Guard;
use crate::kernel::Kernel;
use crate::ring::Ring;
use crate::search::{by_boxes, check_query, in_spans, threads};
use crate::segment::Segment;

/// Spans of a portion, at first and at most, for each thread. Threads wait for the last one of a portion.
const SPANS_FIRST: usize = 1;
const SPANS_MAX: usize = 16;

/// The hits of a search, handed out in portions.
#[derive(Debug)]
pub struct Portions<'a, G> {
    field: Field<'a, G>,
    next: Next,
    explain: Explain,
}

/// What a portion is made of.
#[derive(Debug)]
enum Next {
    /// Hits that were found already, by boxes.
    Found(Vec<u32>),
    /// So many spans, from this one on, for each thread.
    Spans {
        ask: Box<Ask>,
        first: usize,
        of_thread: usize,
    },
}

/// As [`search`](crate::search()), portion by portion. What boxes find is one portion, and is looked for here; of rows, a
/// portion is what at most 16 parts of them for each thread hold.
///
/// ```
/// use ringdb_index::{Kernel, Ring, Rows, Segment, Trusted, portions};
///
/// let rows = Rows::new(&[0.0, 1.0, 2.0, 3.0], 1)?;
/// let (query, ring) = ([0.0], Ring::from_bounds(1.0..)?);
/// let mut hits = portions(Segment::new(rows), &query, &ring, Kernel::fastest(), &Trusted)?;
/// let mut ids = Vec::new();
/// while let Some(portion) = hits.portion()? {
///     ids.extend(portion);
/// }
/// assert_eq!(ids, [1, 2, 3]);
/// # Ok::<(), ringdb_index::Error>(())
/// ```
///
/// # Errors
/// As [`search`](crate::search()).
pub fn portions<'a, G: Guard>(
    segment: Segment<'a>,
    query: &[f32],
    ring: &Ring,
    kernel: Kernel,
    guard: &'a G,
) -> Result<Portions<'a, G>, G::Error> {
    check_query(segment.rows(), query)?;
    check_environment()?;
    let mut explain = Explain::default();
    let field = Field::new(segment, kernel, guard);
    let next = match by_boxes(segment, query, ring, kernel, guard, &mut explain)? {
        Some(ids) => Next::Found(ids),
        None => Next::Spans {
            ask: Box::new(field.ask(query, ring.thresholds())),
            first: 0,
            of_thread: SPANS_FIRST,
        },
    };
    Ok(Portions {
        field,
        next,
        explain,
    })
}

impl<G: Guard> Portions<'_, G> {
    /// The next hits, ascending; `None` when there are no more.
    ///
    /// # Errors
    /// As [`search`](crate::search()); the search is over then.
    pub fn portion(&mut self) -> Result<Option<Vec<u32>>, G::Error> {
        let n_spans = self.field.spans();
        loop {
            let (ask, first, of_thread) = match &mut self.next {
                Next::Found(ids) => {
                    let ids = std::mem::take(ids);
                    return Ok((!ids.is_empty()).then_some(ids));
                }
                Next::Spans { first, .. } if *first == n_spans => return Ok(None),
                Next::Spans {
                    ask,
                    first,
                    of_thread,
                } => (&**ask, first, of_thread),
            };
            let spans = *first..n_spans.min(*first + *of_thread * threads());
            // So that the search is over if it fails.
            *first = n_spans;
            let end = spans.end;
            let found = in_spans(&self.field, spans, |rows| {
                self.field.search(ask, rows, true)
            })?;
            *first = end;
            *of_thread = (2 * *of_thread).min(SPANS_MAX);
            let n_ids = found.iter().map(|found| found.ids.len());
            let mut ids = Vec::with_capacity(n_ids.sum());
            for found in found {
                self.explain += found.explain;
                ids.extend_from_slice(&found.ids);
            }
            if !ids.is_empty() {
                return Ok(Some(ids));
            }
        }
    }

    /// What was done so far.
    #[must_use]
    pub fn explain(&self) -> Explain {
        self.explain
    }
}
