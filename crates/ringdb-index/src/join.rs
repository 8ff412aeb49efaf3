//! Join: all pairs of rows whose distance lies in a ring, a portion at a time.
//!
//! Invariant: every pair comes exactly once, in an order that depends on the rows and on whether they
//! have codes, and on nothing else; memory is bounded whatever the number of pairs. Nothing runs
//! between two portions: whoever asks for them sets the pace. A row is a query like any other here, so
//! a pair is one by the definition of distance.

use std::ops::Range;

use crate::batch::{BlockFound, Group};
use crate::code::BATCH_QUERIES;
use crate::error::{Error, Result};
use crate::field::{Ask, Field};
use crate::guard::Guard;
use crate::kernel::Kernel;
use crate::many::{in_parallel, prepare_all};
use crate::ring::{Ring, Thresholds};
use crate::segment::Segment;

/// Rows that are queries together, against one block after the other.
const LEFT_ROWS: usize = 16 * BATCH_QUERIES;

/// Pairs of a portion at most: 64 MB. A block against the queries of one turn has fewer.
const PORTION_PAIRS: usize = 8 << 20;

/// Two rows whose distance lies in the ring, by their ids.
pub type Pair = (u32, u32);

/// The pairs of a join, handed out in portions.
#[derive(Debug)]
pub struct Join<'a, G> {
    left: Segment<'a>,
    left_guard: &'a G,
    right: Field<'a, G>,
    thresholds: Thresholds,
    /// Whether both sides are the same rows, of which each pair comes once.
    is_with_itself: bool,
    /// The rows that are queries now, and the queries.
    turn: Range<usize>,
    asks: Vec<Ask>,
    /// The block that comes next.
    next_block: usize,
}

/// All pairs `(a, b)` of rows of one segment with `a < b` and a distance in `ring`. Boxes are not looked at.
///
/// ```
/// use ringdb_index::{Kernel, Ring, Rows, Segment, Trusted, join};
///
/// let rows = Rows::new(&[0.0, 1.0, 10.0, 11.0], 1)?;
/// let mut pairs = join(Segment::new(rows), Ring::within(1.0)?, Kernel::fastest(), &Trusted);
/// let mut found = Vec::new();
/// while let Some(portion) = pairs.portion()? {
///     found.extend(portion);
/// }
/// assert_eq!(found, [(0, 1), (2, 3)]);
/// # Ok::<(), ringdb_index::Error>(())
/// ```
pub fn join<'a, G: Guard>(
    segment: Segment<'a>,
    ring: Ring,
    kernel: Kernel,
    guard: &'a G,
) -> Join<'a, G> {
    Join {
        left: segment,
        left_guard: guard,
        right: Field::new(segment, kernel, guard),
        thresholds: ring.thresholds(),
        is_with_itself: true,
        turn: 0..0,
        asks: Vec::new(),
        next_block: 0,
    }
}

/// All pairs `(a, b)` of a row of `left` and a row of `right` with a distance in `ring`.
///
/// # Errors
/// [`Error::DimensionMismatch`] if rows of one side have more coordinates than those of the other.
pub fn join_with<'a, G: Guard>(
    (left, left_guard): (Segment<'a>, &'a G),
    (right, right_guard): (Segment<'a>, &'a G),
    ring: Ring,
    kernel: Kernel,
) -> Result<Join<'a, G>> {
    let (expected, got) = (left.rows().dims(), right.rows().dims());
    if expected != got {
        return Err(Error::DimensionMismatch { expected, got });
    }
    Ok(Join {
        left,
        left_guard,
        right: Field::new(right, kernel, right_guard),
        is_with_itself: false,
        ..join(left, ring, kernel, left_guard)
    })
}

impl<G: Guard> Join<'_, G> {
    /// The next pairs; `None` when there are no more. A portion may be empty.
    ///
    /// # Errors
    /// [`Error::FloatEnvironment`], and those of the guards; the join is over then.
    pub fn portion(&mut self) -> std::result::Result<Option<Vec<Pair>>, G::Error> {
        let n_rows = self.right.rows.len();
        let block_rows = self.right.block_rows();
        let n_blocks = n_rows.div_ceil(block_rows);
        if self.next_block == n_blocks || self.asks.is_empty() {
            if !self.begin_turn()? {
                return Ok(None);
            }
            // Pairs with a smaller second id were found in turns before.
            self.next_block = match self.is_with_itself {
                true => self.turn.start / block_rows,
                false => 0,
            };
        }
        let first = self.next_block;
        let n = (PORTION_PAIRS / (block_rows * self.asks.len())).max(1);
        self.next_block = n_blocks.min(first + n);
        let blocks = self.next_block - first;
        let rows = |i: usize| {
            let block = first + i;
            block * block_rows..n_rows.min((block + 1) * block_rows)
        };
        let groups = Group::all(&self.asks);
        let found = in_parallel(blocks, |i, room| {
            self.right.search_block(&groups, rows(i), room)
        });
        match found {
            Ok(found) => Ok(Some(self.pairs(&found))),
            Err(error) => {
                self.end();
                Err(error)
            }
        }
    }

    /// Makes queries of the next rows of the left side; false if there are none.
    fn begin_turn(&mut self) -> std::result::Result<bool, G::Error> {
        let rows = self.left.rows();
        let start = self.turn.end;
        self.turn = start..rows.len().min(start + LEFT_ROWS);
        self.asks.clear();
        if self.turn.is_empty() || self.right.rows.is_empty() {
            self.end();
            return Ok(false);
        }
        if let Err(error) = self.left_guard.rows(self.turn.clone()) {
            self.end();
            return Err(error);
        }
        let queries = rows.coordinates(self.turn.clone());
        let asks = prepare_all(self.right.codes, queries, rows.dims(), |_| self.thresholds);
        match asks {
            Ok(asks) => {
                self.asks = asks;
                Ok(true)
            }
            Err(error) => {
                self.end();
                Err(error.into())
            }
        }
    }

    fn end(&mut self) {
        let len = self.left.rows().len();
        self.turn = len..len;
        self.asks.clear();
    }

    fn pairs(&self, found: &[BlockFound]) -> Vec<Pair> {
        let most = found.iter().map(|found| found.ids.len()).sum();
        let mut pairs = Vec::with_capacity(most);
        for BlockFound { ids, counts, .. } in found {
            let mut ids = ids.as_slice();
            // Ids are u32, as there are at most ROWS_MAX rows.
            for (a, &count) in (self.turn.start as u32..).zip(counts) {
                let (of_row, rest) = ids.split_at(count as usize);
                ids = rest;
                if self.left.filter().is_some_and(|filter| !filter.allows(a)) {
                    continue;
                }
                let from = match self.is_with_itself {
                    true => of_row.partition_point(|&b| b <= a),
                    false => 0,
                };
                pairs.extend(of_row[from..].iter().map(|&b| (a, b)));
            }
        }
        pairs
    }
}
