//! [`Search`]: a query said step by step, with bounds in `f64`, in any order, page by page, with distances on request.

use std::ops::RangeBounds;

use ringdb_index::{Explain, Kernel, Ring};

use crate::derived::DerivedVectors;
use crate::error::{Result, RingDbError};
use crate::order::{Cursor, Order, Page};
use crate::sample;

/// A search from one vector. Without bounds it finds everything, without an order by id; of several bounds, orders or
/// limits the last ones count.
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
    page: Page,
    distances: bool,
}

/// What a [`Search`] found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SearchResult {
    /// The ids of the hits, in the order asked for, else ascending.
    pub ids: Vec<u32>,
    /// The distance of each hit, in the order of `ids`, if the search asked for them. Used as an
    /// inclusive bound, a hit's distance contains that hit.
    pub distances: Option<Vec<f64>>,
    /// How many hits there are in the ring, also those before this page and behind it.
    pub total: u64,
    /// Whether hits follow behind these that the limit left out, or there are others that were not drawn.
    pub truncated: bool,
    /// Where the next page begins, for [`Search::after`]: the last hit, if others follow. A page of no hits, as a limit
    /// of 0 makes it, has none.
    pub next: Option<Cursor>,
    /// How the search went: what each tier saw, proved and read.
    pub explain: Explain,
}

impl SearchResult {
    /// The same, nearest first and with distances, as a page of so many hits, all others of which are behind it.
    pub(crate) fn of_all(mut self, total: u64) -> Self {
        self.total = total;
        self.truncated = (self.ids.len() as u64) < total;
        let last = self.ids.last().zip(self.distances.iter().flatten().last());
        self.next = last
            .filter(|_| self.truncated)
            .map(|(&id, &distance)| Cursor::new(Order::Nearest, id, distance));
        self
    }
}

impl<'a> Search<'a> {
    pub(crate) fn new(vectors: &'a DerivedVectors, kernel: Kernel, query: &'a [f32]) -> Self {
        let everything = Ring::from_bounds(..).map_err(Into::into);
        Self {
            vectors,
            kernel,
            query,
            ring: everything,
            page: Page::ALL,
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

    /// The nearest hit first; equally near ones by id.
    ///
    /// ```
    /// use ringdb::{RingDb, RingDbConfig};
    ///
    /// # fn main() -> ringdb::Result<()> {
    /// let mut db = RingDb::new(RingDbConfig::new(1))?;
    /// db.add_vectors(&[3.0, 2.0, 1.0, 0.0, 1.0], [(); 5])?;
    /// let db = db.build()?;
    ///
    /// let page = db.search(&[0.0]).range(1.0..).nearest_first().limit(3).run()?;
    /// assert_eq!((page.ids, page.total, page.truncated), (vec![2, 4, 1], 4, true));
    ///
    /// // The page behind it.
    /// let last = page.next.expect("one hit is left");
    /// let page = db.search(&[0.0]).range(1.0..).nearest_first().limit(3).after(last).run()?;
    /// assert_eq!((page.ids, page.total, page.truncated), (vec![0], 4, false));
    /// # Ok(())
    /// # }
    /// ```
    pub fn nearest_first(self) -> Self {
        self.ordered(Order::Nearest)
    }

    /// The farthest hit first; equally far ones by id.
    pub fn farthest_first(self) -> Self {
        self.ordered(Order::Farthest)
    }

    /// The hit first whose distance differs least from `d`, by `|distance - d|` computed in `f64`; those that differ
    /// equally by id. It must be finite and not negative, and need not lie in the ring.
    pub fn closest_to(self, d: f64) -> Self {
        self.ordered(Order::Closest(d))
    }

    fn ordered(mut self, order: Order) -> Self {
        self.page.order = order;
        self
    }

    /// At most `n` hits, the first ones in the order. All of the ring are looked for and counted nevertheless.
    pub fn limit(mut self, n: usize) -> Self {
        self.page.limit = Some(n);
        self
    }

    /// The hits behind the last one of another page, [`SearchResult::next`]. Pages of the same search put together are
    /// what it finds without a limit: no hit is lost or comes twice, equal distances or not.
    pub fn after(mut self, last: Cursor) -> Self {
        self.page.after = Some(last);
        self
    }

    /// Finds every vector in the ring, or a page of them.
    ///
    /// # Errors
    /// [`InvalidBounds`](crate::RingDbError::InvalidBounds),
    /// [`DimensionMismatch`](crate::RingDbError::DimensionMismatch),
    /// [`NotFinite`](crate::RingDbError::NotFinite) for a coordinate of the query;
    /// [`InvalidCursor`](crate::RingDbError::InvalidCursor) for one of another order, query or database;
    /// [`Corrupt`](crate::RingDbError::Corrupt) for damage that was not looked for at opening;
    /// [`FloatEnvironment`](crate::RingDbError::FloatEnvironment) for a thread that computes otherwise than
    /// distances are defined.
    pub fn run(self) -> Result<SearchResult> {
        self.find(|ids| ids)
    }

    /// Finds the hits and keeps those that are drawn of their ids.
    fn find(self, draw: impl FnOnce(Vec<u32>) -> Vec<u32>) -> Result<SearchResult> {
        let Self {
            vectors,
            kernel,
            query,
            page,
            ..
        } = self;
        let distances = |ids: &[u32]| vectors.distances(query, ids, kernel);
        let distance = |id: u32| Ok(distances(&[id])?[0]);
        let ring = self.ring?;
        page.check(distance)?;
        let (ids, explain) = vectors.ids(query, &ring, kernel)?;
        let total = ids.len() as u64;
        let ids = draw(ids);
        let is_drawn = (ids.len() as u64) < total;
        let mut hits = page.cut(ids, distances)?;
        if self.distances && hits.distances.is_none() {
            hits.distances = Some(distances(&hits.ids)?);
        }
        let next = match hits.ids.last() {
            Some(&last) if hits.truncated => Some(Cursor::new(page.order, last, distance(last)?)),
            _ => None,
        };
        Ok(SearchResult {
            ids: hits.ids,
            distances: hits.distances.filter(|_| self.distances),
            total,
            truncated: hits.truncated || is_drawn,
            next,
            explain,
        })
    }

    /// Draws `k` of the hits, all of them if they are fewer: those whose ids have the smallest SipHash-2-4 under the key of
    /// `seed` and 0. Every hit is as likely as another, and the same seed draws the same of the same hits, on every machine.
    ///
    /// They come in the order asked for, else by id, and [`SearchResult::truncated`] tells whether there are others.
    ///
    /// ```
    /// use ringdb::{RingDb, RingDbConfig};
    ///
    /// # fn main() -> ringdb::Result<()> {
    /// let mut db = RingDb::new(RingDbConfig::new(1))?;
    /// db.add_vectors(&[0.0, 0.5, 1.0, 1.5], [(); 4])?;
    /// let db = db.build()?;
    /// let drawn = db.search(&[0.0]).range(0.5..).sample(2, 7)?;
    /// assert_eq!((drawn.ids.len(), drawn.total, drawn.truncated), (2, 3, true));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`run`](Self::run); [`NotTaken`](crate::RingDbError::NotTaken) for a limit or a cursor.
    pub fn sample(self, k: usize, seed: u64) -> Result<SearchResult> {
        self.page.check_no_part("sample")?;
        self.find(|ids| sample::draw(ids, k, seed))
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
    /// As [`run`](Self::run); [`NotTaken`](crate::RingDbError::NotTaken) for an order, a limit, a cursor or distances, of
    /// which a number has none.
    pub fn count(self) -> Result<u64> {
        Ok(self.counted("count")?.hits())
    }

    /// As [`count`](Self::count), and how the search went: [`Explain::hits`] is the count.
    ///
    /// # Errors
    /// As [`count`](Self::count).
    pub fn explain(self) -> Result<Explain> {
        self.counted("explain")
    }

    fn counted(self, verb: &'static str) -> Result<Explain> {
        self.page.check_none(verb)?;
        if self.distances {
            let option = "distances";
            return Err(RingDbError::NotTaken { verb, option });
        }
        self.vectors.explain(self.query, &self.ring?, self.kernel)
    }
}
