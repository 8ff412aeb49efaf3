//! The three ways to ask for a ring, field for field those of ring-db 0.3.0, and their one answer.
//!
//! Each becomes a validated [`Ring`](crate::Ring) before anything is searched.

use std::time::Duration;

use ringdb_index::Ring;

use crate::error::Result;

/// All vectors whose distance from `query` lies in `[d - lambda, d + lambda]`, both inclusive.
///
/// The bounds are computed in `f32`, and a lower bound below 0 is 0: the query equals the
/// [`RangeQuery`] from `(d - lambda).max(0.0)` to `d + lambda`.
#[derive(Debug, Clone, Copy)]
pub struct RingQuery<'a> {
    /// The vector to measure from: as many finite coordinates as the database has dims.
    pub query: &'a [f32],
    /// The middle of the ring: finite, not negative.
    pub d: f32,
    /// Half the width of the ring: not negative; infinity takes everything.
    pub lambda: f32,
}

/// All vectors whose distance from `query` lies in `[d_min, d_max]`, both inclusive.
#[derive(Debug, Clone, Copy)]
pub struct RangeQuery<'a> {
    /// The vector to measure from: as many finite coordinates as the database has dims.
    pub query: &'a [f32],
    /// The lower bound, not negative.
    pub d_min: f32,
    /// The upper bound, not below `d_min`; infinity for none.
    pub d_max: f32,
}

/// All vectors at a distance of at most `d_max` from `query`, inclusive.
#[derive(Debug, Clone, Copy)]
pub struct DiskQuery<'a> {
    /// The vector to measure from: as many finite coordinates as the database has dims.
    pub query: &'a [f32],
    /// The radius, not negative; infinity takes everything.
    pub d_max: f32,
}

/// The answer to a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryResult {
    /// The ids of all hits, ascending. An id is a vector's position in order of insertion, from 0.
    pub ids: Vec<u32>,
    /// Where the query was computed: `"cpu"`.
    pub backend_used: &'static str,
    /// How long the search took.
    pub elapsed: Duration,
}

impl RingQuery<'_> {
    pub(crate) fn ring(&self) -> Result<Ring> {
        // Checks the fields under their own names; the ring itself is that of the f32 sums.
        Ring::around(f64::from(self.d), f64::from(self.lambda))?;
        let (d_min, d_max) = ((self.d - self.lambda).max(0.0), self.d + self.lambda);
        Ok(Ring::between(f64::from(d_min), f64::from(d_max))?)
    }
}

impl RangeQuery<'_> {
    pub(crate) fn ring(&self) -> Result<Ring> {
        Ok(Ring::between(f64::from(self.d_min), f64::from(self.d_max))?)
    }
}

impl DiskQuery<'_> {
    pub(crate) fn ring(&self) -> Result<Ring> {
        Ok(Ring::within(f64::from(self.d_max))?)
    }
}
