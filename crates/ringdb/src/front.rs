//! The part of a ring that a page lies in, found by counting, so that the distances of no other hits are computed.
//!
//! Invariant: all hits of the page lie in its front. If others follow the page, the front holds one of them or not all of
//! [`Front::of`].

use std::ops::{Bound, RangeBounds, RangeInclusive};

use ringdb_index::Ring;

use crate::error::Result;
use crate::lookup::Lookup;
use crate::order::{Order, Page};
use crate::rank::{FEW, greatest, least, radius};

/// Where a page lies.
pub(crate) struct Front {
    pub(crate) ring: Ring,
    /// How many hits it is the front of.
    pub(crate) of: u64,
}

/// What a front is made for.
pub(crate) struct Fronts<'a> {
    lookup: &'a Lookup<'a>,
    query: &'a [f32],
    ring: &'a Ring,
    /// How many hits the ring holds.
    total: u64,
    /// How many of them the page holds, and one if none.
    limit: u64,
}

impl<'a> Fronts<'a> {
    /// Unless it takes less to put all hits in order.
    pub(crate) fn new(
        lookup: &'a Lookup<'a>,
        query: &'a [f32],
        ring: &'a Ring,
        total: u64,
        page: &Page,
    ) -> Option<Self> {
        let limit = (page.limit? as u64).max(1);
        // Of few hits among many vectors, distances cost less than passes over all vectors.
        let is_all_less = total <= FEW || limit > total / 4 || total < lookup.allowed() / 4;
        (!is_all_less).then_some(Self {
            lookup,
            query,
            ring,
            total,
            limit,
        })
    }

    /// The front of a page in this order, behind a hit at the distance `after`; none where it takes less to put all hits in
    /// order.
    pub(crate) fn find(&self, order: Order, after: Option<f64>) -> Result<Option<Front>> {
        match order {
            Order::Id => Ok(None),
            Order::Nearest => self.at_end(End::Near, after),
            Order::Farthest => self.at_end(End::Far, after),
            Order::Closest(d) => self.around(d, after),
        }
    }

    fn at_end(&self, end: End, after: Option<f64>) -> Result<Option<Front>> {
        let (rest, of, passed) = match after {
            None => (*self.ring, self.total, 0),
            Some(at) => {
                let Some(rest) = clip(self.ring, end.beyond(at))? else {
                    return Ok(None);
                };
                // Hits at the same distance may be on pages before.
                (rest, self.count(&rest)?, self.count_in(at..=at)?)
            }
        };
        let n = self.limit + passed;
        if n > of / 4 {
            return Ok(Some(Front { ring: rest, of }));
        }
        let part = match end {
            End::Near => clip(&rest, ..=self.radius(&rest, n, of)?),
            End::Far => clip(&rest, self.radius(&rest, of - n + 1, of)?..),
        };
        Ok(part?.map(|ring| Front { ring, of }))
    }

    /// What differs from `d` at most as much as the last of so many hits on one side as there are up to the end of the page.
    fn around(&self, d: f64, after: Option<f64>) -> Result<Option<Front>> {
        let passed = match after {
            None => 0,
            Some(at) => self.count_in(within(d, (at - d).abs()))?,
        };
        let n = self.limit + passed;
        if n > self.total / 8 {
            return Ok(None);
        }
        let nearer = clip(self.ring, ..d)?;
        let n_nearer = nearer.map_or(Ok(0), |ring| self.count(&ring))?;
        let mut off = f64::INFINITY;
        if let Some(ring) = nearer
            && n <= n_nearer
        {
            off = d - self.radius(&ring, n_nearer - n + 1, n_nearer)?;
        }
        let n_farther = self.total.saturating_sub(n_nearer);
        if let Some(ring) = clip(self.ring, d..)?
            && n <= n_farther
        {
            off = off.min(self.radius(&ring, n, n_farther)? - d);
        }
        let part = clip(self.ring, within(d, off))?;
        let of = self.total;
        Ok(part.map(|ring| Front { ring, of }))
    }

    fn count(&self, ring: &Ring) -> Result<u64> {
        self.lookup.count(self.query, ring)
    }

    fn count_in(&self, bounds: impl RangeBounds<f64>) -> Result<u64> {
        let ring = clip(self.ring, bounds)?;
        ring.map_or(Ok(0), |ring| self.count(&ring))
    }

    fn radius(&self, ring: &Ring, n: u64, len: u64) -> Result<f64> {
        radius(self.lookup, self.query, ring, n, len)
    }
}

/// Where the first page begins.
#[derive(Clone, Copy)]
enum End {
    Near,
    Far,
}

impl End {
    /// What does not come before this distance.
    fn beyond(self, distance: f64) -> (Bound<f64>, Bound<f64>) {
        match self {
            Self::Near => (Bound::Included(distance), Bound::Unbounded),
            Self::Far => (Bound::Unbounded, Bound::Included(distance)),
        }
    }
}

/// Distances that hold all whose difference from `d`, rounded, is at most `off`: before it was rounded, it was at most the
/// next number.
fn within(d: f64, off: f64) -> RangeInclusive<f64> {
    let off = off.next_up();
    (d - off).next_down()..=(d + off).next_up()
}

/// The part of a ring within bounds; none if no distance is in both.
fn clip(ring: &Ring, bounds: impl RangeBounds<f64>) -> Result<Option<Ring>> {
    let from = least(ring.start_bound()).max(least(bounds.start_bound()));
    let to = greatest(ring.end_bound()).min(greatest(bounds.end_bound()));
    match from <= to {
        true => Ok(Some(Ring::between(from, to)?)),
        false => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ring: impl RangeBounds<f64>, bounds: impl RangeBounds<f64>, expected: Option<&str>) {
        let ring = Ring::from_bounds(ring).expect("a ring");
        let part = clip(&ring, bounds).expect("no NaN");
        assert_eq!(part.map(|part| part.to_string()).as_deref(), expected);
    }

    #[test]
    fn a_part_lies_in_both() {
        check(.., .., Some("[0.0, inf]"));
        check(1.0..=3.0, 2.0.., Some("[2.0, 3.0]"));
        check(1.0..=3.0, ..=2.0, Some("[1.0, 2.0]"));
        check(1.0..3.0, 3.0.., None);
        check(1.0..3.0, ..1.0, None);
        check(1.0..=1.0, 1.0..=1.0, Some("[1.0, 1.0]"));
        check(0.0..=1.0, ..0.0, None);
        check(.., -5.0..=-1.0, None);
        check(1.0..=3.0, -5.0..=2.0, Some("[1.0, 2.0]"));
        let open = (
            Bound::Excluded(1.0),
            Bound::Excluded(1.0_f64.next_up().next_up()),
        );
        let between = 1.0_f64.next_up();
        check(open, .., Some(&format!("[{between:?}, {between:?}]")));
    }
}
