//! Histograms: how many rows are at which distances, in one pass on all threads.
//!
//! Invariant: every row that is allowed is counted once, so the counts add up to as many, whatever tiers there are.

use crate::box_tally::BoxTally;
use crate::distance::check_environment;
use crate::edges::Edges;
use crate::explain::Explain;
use crate::field::Field;
use crate::guard::Guard;
use crate::kernel::Kernel;
use crate::search::{check_query, fold_parts, fold_spans};
use crate::segment::Segment;
use crate::tally::{Tallied, TallyAsk};

/// How many rows have distances in each bin.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    /// Rows nearer than the first edge.
    pub below: u64,
    /// Rows in each bin: from its edge, inclusive, to the next, exclusive but for the last bin.
    pub counts: Vec<u64>,
    /// Rows farther than the last edge.
    pub above: u64,
    /// What was done to find out: rows outside are those that are in no bin.
    pub explain: Explain,
}

impl Histogram {
    fn of(Tallied { tally, explain }: Tallied) -> Self {
        let mut counts = tally.into_counts();
        let above = counts.pop().unwrap_or_default();
        let below = counts.remove(0);
        Self {
            below,
            counts,
            above,
            explain,
        }
    }
}

/// Counts the rows of a segment by their distances from `query`. One pass: a row is read as far as it takes to know its bin.
///
/// ```
/// use ringdb_index::{Edges, Kernel, Rows, Segment, Trusted, histogram};
///
/// let rows = Rows::new(&[0.0, 1.0, 2.0, 3.0, 9.0], 1)?;
/// let edges = Edges::new(&[1.0, 2.0, 3.0])?;
/// let found = histogram(Segment::new(rows), &[0.0], &edges, Kernel::fastest(), &Trusted)?;
/// assert_eq!((found.below, &found.counts[..], found.above), (1, &[1, 2][..], 1));
/// # Ok::<(), ringdb_index::Error>(())
/// ```
///
/// # Errors
/// As [`search`](crate::search()).
pub fn histogram<G: Guard>(
    segment: Segment<'_>,
    query: &[f32],
    edges: &Edges,
    kernel: Kernel,
    guard: &G,
) -> Result<Histogram, G::Error> {
    check_query(segment.rows(), query)?;
    check_environment()?;
    let nothing = || Tallied::nothing(edges);
    let mut explain = Explain::default();
    if let Some(boxes) = segment.boxes() {
        guard.go_on()?;
        let mut walk = BoxTally::new(boxes, query, edges, segment.filter(), kernel, guard);
        walk.look_at_boxes()?;
        if let Some(so_far) = walk.given_up() {
            explain = so_far;
        } else {
            let add = |part, found: &mut Tallied| {
                guard.go_on()?;
                walk.look_at(part, found)
            };
            let found = fold_parts(&walk.parts(), nothing, add, Tallied::merge)?;
            return Ok(Histogram::of(walk.finish(found)));
        }
    }
    let field = Field::new(segment, kernel, guard);
    let ask = TallyAsk::new(field.codes, query, edges);
    let add = |span, found: &mut Tallied| field.tally(&ask, span, found);
    let mut found = fold_spans(&field, nothing, add, Tallied::merge)?;
    found.explain += explain;
    Ok(Histogram::of(found))
}
