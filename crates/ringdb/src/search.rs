//! [`Search`]: a query said step by step, with bounds in `f64` and distances on request.

use std::ops::RangeBounds;

use ringdb_index::{Explain, Kernel, Ring};

use crate::derived::DerivedVectors;
use crate::error::Result;

/// A search from one vector. Without bounds it finds everything; the last bounds given count.
///
/// ```
/// use ringdb::{RingDb, RingDbConfig};
///
/// # fn main() -> ringdb::Result<()> {
/// let mut db = RingDb::new(RingDbConfig::new(1))?;
/// for x in [0.0, 0.5, 1.0, 1.5] {
///     db.add_vector(&[x], ())?;
/// }
/// let db = db.build()?;
///
/// let hits = db.search(&[0.0]).range(0.5..1.5).distances().run()?;
/// assert_eq!(hits.ids, [1, 2]);
/// assert_eq!(hits.distances, Some(vec![0.5, 1.0]));
/// # Ok(())
/// # }
/// ```
#[must_use = "a search does nothing until it is run"]
#[derive(Debug)]
pub struct Search<'a> {
    vectors: &'a DerivedVectors,
    kernel: Kernel,
    query: &'a [f32],
    /// Errors in the bounds are reported by `run`, so that the steps can be chained.
    ring: Result<Ring>,
    distances: bool,
}

/// What a [`Search`] found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SearchResult {
    /// The ids of all hits, ascending.
    pub ids: Vec<u32>,
    /// The distance of each hit, in the order of `ids`, if the search asked for them. Used as an
    /// inclusive bound, a hit's distance contains that hit.
    pub distances: Option<Vec<f64>>,
    /// How the search went: what each tier saw, proved and read.
    pub explain: Explain,
}

impl<'a> Search<'a> {
    pub(crate) fn new(vectors: &'a DerivedVectors, kernel: Kernel, query: &'a [f32]) -> Self {
        let everything = Ring::from_bounds(..).map_err(Into::into);
        Self {
            vectors,
            kernel,
            query,
            ring: everything,
            distances: false,
        }
    }

    /// Distances from `d - lambda` (0 if that is negative) to `d + lambda`, both inclusive, computed in
    /// `f64`: note that `0.6` and `f64::from(0.6_f32)` are different numbers.
    pub fn ring(self, d: f64, lambda: f64) -> Self {
        self.bounded(Ring::around(d, lambda))
    }

    /// Distances in a range of `f64`: `0.4..=0.6`, `0.4..0.6`, `..=0.6`, `0.4..`, or a pair of
    /// [`Bound`](std::ops::Bound)s.
    pub fn range(self, distances: impl RangeBounds<f64>) -> Self {
        self.bounded(Ring::from_bounds(distances))
    }

    /// Distances up to `d_max`, inclusive.
    pub fn within(self, d_max: f64) -> Self {
        self.bounded(Ring::within(d_max))
    }

    /// A ring that was made before.
    pub fn in_ring(self, ring: Ring) -> Self {
        self.bounded(Ok(ring))
    }

    /// Takes new bounds, unless earlier ones were wrong: `run` has that to tell.
    fn bounded(mut self, ring: std::result::Result<Ring, ringdb_index::Error>) -> Self {
        if self.ring.is_ok() {
            self.ring = ring.map_err(Into::into);
        }
        self
    }

    /// Asks for the distances of the hits.
    pub fn distances(mut self) -> Self {
        self.distances = true;
        self
    }

    /// Finds every vector in the ring.
    ///
    /// # Errors
    /// [`InvalidBounds`](crate::RingDbError::InvalidBounds),
    /// [`DimensionMismatch`](crate::RingDbError::DimensionMismatch),
    /// [`NotFinite`](crate::RingDbError::NotFinite) for a coordinate of the query;
    /// [`Corrupt`](crate::RingDbError::Corrupt) for damage that was not looked for at opening;
    /// [`FloatEnvironment`](crate::RingDbError::FloatEnvironment) for a thread that computes otherwise than
    /// distances are defined.
    pub fn run(self) -> Result<SearchResult> {
        let (vectors, kernel) = (self.vectors, self.kernel);
        let (ids, explain) = vectors.ids(self.query, &self.ring?, kernel)?;
        let distances = match self.distances {
            true => Some(vectors.distances(self.query, &ids, kernel)?),
            false => None,
        };
        Ok(SearchResult {
            ids,
            distances,
            explain,
        })
    }

    /// How many vectors are in the ring. Their ids are not written down, which makes it faster than
    /// [`run`](Self::run) where they are many.
    ///
    /// ```
    /// use ringdb::{RingDb, RingDbConfig};
    ///
    /// # fn main() -> ringdb::Result<()> {
    /// let mut db = RingDb::new(RingDbConfig::new(1))?;
    /// db.add_vectors(&[0.0, 0.5, 1.0, 1.5], [(); 4])?;
    /// let db = db.build()?;
    /// assert_eq!(db.search(&[0.0]).range(0.5..1.5).count()?, 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn count(self) -> Result<u64> {
        Ok(self.explain()?.hits())
    }

    /// As [`count`](Self::count), and how the search went: [`Explain::hits`] is the count.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn explain(self) -> Result<Explain> {
        self.vectors.explain(self.query, &self.ring?, self.kernel)
    }
}
