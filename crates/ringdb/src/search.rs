//! [`Search`]: a query said step by step, with bounds in `f64`, in any order, page by page, with distances on request.

use std::ops::{ControlFlow, RangeBounds};

use ringdb_index::{Edges, Explain, Histogram, Ring, RowSet};

use crate::error::{Result, RingDbError};
use crate::front::{Front, Fronts};
use crate::lookup::Lookup;
use crate::order::{Cursor, Order, Page};
use crate::rank;
use crate::sample;
use crate::watch::{CancelToken, Progress};

/// Hits whose distances are computed before the first of them is handed out.
const HANDED_OUT: usize = 4096;

/// A search from one vector. Without bounds it finds everything, without an order by id. What is said twice counts as it was
/// said last, bounds and orders as well as limits, filters, cursors, tokens and callbacks; a bound or distance that is wrong
/// is told, whatever comes behind it.
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
    lookup: Lookup<'a>,
    query: &'a [f32],
    /// None without bounds. Errors in what was said are told in the end, so that the steps can be chained.
    ring: Result<Option<Ring>>,
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
    /// How the search went: what each tier saw, proved and read. Of a page that counts found first, as [`Search::run`] tells,
    /// it is the last pass alone, the one over the distances that the page lies between; its hits are those there.
    pub explain: Explain,
}

/// A vector in the ring, as [`Search::for_each`] hands it out.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Hit {
    /// Its id.
    pub id: u32,
    /// Its distance, if the search asked for distances.
    pub distance: Option<f64>,
}

impl<'a> Search<'a> {
    pub(crate) fn new(lookup: Lookup<'a>, query: &'a [f32]) -> Self {
        Self {
            lookup,
            query,
            ring: Ok(None),
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

    /// Takes new bounds, unless something before was wrong: that is to be told.
    fn bounded(mut self, ring: std::result::Result<Ring, ringdb_index::Error>) -> Self {
        if self.ring.is_ok() {
            self.ring = ring.map(Some).map_err(Into::into);
        }
        self
    }

    /// Finds only vectors of this set: [allowed](RowSet::allow) ones, or all but those that are [denied](RowSet::deny).
    ///
    /// Where few of the vectors next to each other are allowed, only those are read, so a filter of a few makes a search
    /// faster. Where many are, and in boxes, others are read as well.
    ///
    /// ```
    /// use ringdb::{RingDb, RingDbConfig, RowSet};
    ///
    /// # fn main() -> ringdb::Result<()> {
    /// let mut db = RingDb::new(RingDbConfig::new(1))?;
    /// db.add_vectors(&[0.0, 0.5, 1.0, 1.5], [(); 4])?;
    /// let db = db.build()?;
    /// let itself = RowSet::deny([1]);
    /// let others = db.search(&db.vector(1)?).within(0.5).filter(&itself).run()?;
    /// assert_eq!(others.ids, [0, 2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn filter(mut self, filter: &'a RowSet) -> Self {
        self.lookup.filter = Some(filter);
        self
    }

    /// Makes the search end with [`Cancelled`](crate::RingDbError::Cancelled) when `token` is.
    pub fn cancel(mut self, token: &'a CancelToken) -> Self {
        self.lookup.cancel = Some(token);
        self
    }

    /// Tells how far a pass over the vectors is, part by part and on the threads that search, so not always in order, and they
    /// wait for it. A search that passes over them more than once begins to tell anew, as one for a radius does and one for
    /// a page of many hits in an order by distance. The distances of hits, and putting these in order, come behind a pass.
    pub fn progress(mut self, progress: &'a (dyn Fn(Progress) + Sync)) -> Self {
        self.lookup.progress = Some(progress);
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
    pub fn closest_to(mut self, d: f64) -> Self {
        if self.ring.is_ok() && !(d >= 0.0 && d.is_finite()) {
            let (what, value) = ("closest_to", d);
            self.ring = Err(RingDbError::InvalidBounds { what, value });
        }
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
    /// In memory there are the ids of all hits, four bytes each and eight while they are put together; those of a search without
    /// bounds are not listed to be counted. A page in an order by distance looks at the distances of all hits, and holds 36
    /// bytes for each meanwhile. Where it is
    /// at most a quarter of more than 65 536 hits (with all that precede it an eighth, if they are closest to a distance),
    /// and these are at least a quarter of the vectors, it is first found by counts between which distances it lies, and
    /// only the hits there are looked at; `explain` tells of those.
    ///
    /// # Errors
    /// [`InvalidBounds`](crate::RingDbError::InvalidBounds),
    /// [`DimensionMismatch`](crate::RingDbError::DimensionMismatch),
    /// [`NotFinite`](crate::RingDbError::NotFinite) for a coordinate of the query;
    /// [`InvalidCursor`](crate::RingDbError::InvalidCursor) for one of another order, or whose vector has another distance
    /// here, as it has from another query or in another database;
    /// [`IdOutOfRange`](crate::RingDbError::IdOutOfRange) for a filter of vectors that do not exist;
    /// [`Cancelled`](crate::RingDbError::Cancelled);
    /// [`Corrupt`](crate::RingDbError::Corrupt) for damage that was not looked for at opening;
    /// [`FloatEnvironment`](crate::RingDbError::FloatEnvironment) for a thread that computes otherwise than
    /// distances are defined.
    pub fn run(self) -> Result<SearchResult> {
        let checked = self.checked()?;
        let (lookup, query) = (checked.lookup, checked.query);
        if let (Some(0), None) = (checked.page.limit, checked.page.after) {
            let explain = lookup.explain(query, &checked.ring)?;
            return checked.cut(Vec::new(), explain.hits(), explain.hits(), explain);
        }
        // Where every vector is a hit, they need not be listed to be counted.
        let (total, listed) = match checked.is_everything()? {
            true => (lookup.allowed(), None),
            false => {
                let (ids, explain) = lookup.ids(query, &checked.ring)?;
                (ids.len() as u64, Some((ids, explain)))
            }
        };
        match (checked.front(total)?, listed) {
            (Some(front), listed) => {
                drop(listed);
                let (ids, explain) = lookup.ids(query, &front.ring)?;
                checked.cut(ids, front.of, total, explain)
            }
            (None, Some((ids, explain))) => checked.cut(ids, total, total, explain),
            (None, None) => {
                let (ids, explain) = lookup.ids(query, &checked.ring)?;
                checked.cut(ids, total, total, explain)
            }
        }
    }

    /// Draws `k` of the hits, all of them if they are fewer: those whose ids, as four bytes with the lowest first, have the
    /// smallest SipHash-2-4 under the key of `seed` and 0, and of equal hashes the smallest ids. Every hit is as likely as
    /// another, and the same seed draws the same of the same hits, on every machine. In memory there are the ids of all hits
    /// and, for each, at most 16 bytes of a hash.
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
        let checked = self.checked()?;
        let (ids, explain) = checked.lookup.ids(checked.query, &checked.ring)?;
        let total = ids.len() as u64;
        let drawn = sample::draw(&checked.lookup, ids, k, seed)?;
        checked.cut(drawn, total, total, explain)
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
        self.check_no_list(verb)?;
        let checked = self.checked()?;
        checked.lookup.explain(checked.query, &checked.ring)
    }

    /// Hands every hit to `hit` while the search goes on, by id, until that says [`ControlFlow::Break`]. It is called on
    /// this thread, and nothing is searched meanwhile. Tells how the search went, as far as it went.
    ///
    /// In memory there are the ids of the hits in as many parts of the vectors as 16 for each thread; where boxes find them,
    /// those of all hits. Distances that were asked for are computed for some thousand hits at a time.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use ringdb::{RingDb, RingDbConfig};
    ///
    /// # fn main() -> ringdb::Result<()> {
    /// let mut db = RingDb::new(RingDbConfig::new(1))?;
    /// db.add_vectors(&[0.0, 0.5, 1.0, 1.5], ["a", "b", "c", "d"].map(String::from))?;
    /// let db = db.build()?;
    /// let mut first = Vec::new();
    /// db.search(&[0.0]).range(0.5..).for_each(|hit| {
    ///     first.push(hit.id);
    ///     if first.len() < 2 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    /// })?;
    /// assert_eq!(first, [1, 2]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`run`](Self::run), also after some hits were handed out; [`NotTaken`](crate::RingDbError::NotTaken) for an
    /// order, a limit or a cursor.
    pub fn for_each(self, mut hit: impl FnMut(Hit) -> ControlFlow<()>) -> Result<Explain> {
        self.page.check_none("for_each")?;
        let wants_distances = self.distances;
        let Checked {
            lookup,
            query,
            ring,
            ..
        } = self.checked()?;
        lookup.visit(query, &ring, |ids| {
            for ids in ids.chunks(HANDED_OUT) {
                let distances = match wants_distances {
                    true => lookup.distances(query, ids)?,
                    false => Vec::new(),
                };
                for (i, &id) in ids.iter().enumerate() {
                    lookup.check_token()?;
                    let distance = distances.get(i).copied();
                    if hit(Hit { id, distance }).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// How many vectors are at which distances: in one pass, whether each is below the first of `edges`, in a bin from an
    /// edge, inclusive, to the next, exclusive, or above the last edge, which the last bin holds as well. All counts
    /// together are as many as there are vectors, or as are allowed.
    ///
    /// ```
    /// use ringdb::{RingDb, RingDbConfig};
    ///
    /// # fn main() -> ringdb::Result<()> {
    /// let mut db = RingDb::new(RingDbConfig::new(1))?;
    /// db.add_vectors(&[0.0, 0.5, 1.0, 1.5, 2.0, 9.0], [(); 6])?;
    /// let db = db.build()?;
    /// let found = db.search(&[0.0]).histogram(&[0.5, 1.0, 2.0])?;
    /// assert_eq!((found.below, found.counts, found.above), (1, vec![1, 3], 1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`count`](Self::count); [`NotTaken`](crate::RingDbError::NotTaken) also for a ring, as the edges are the bounds;
    /// [`EdgeCount`](crate::RingDbError::EdgeCount) for less than two edges, or more than 65 535;
    /// [`InvalidBounds`](crate::RingDbError::InvalidBounds) for an edge that is NaN, negative, or not greater than the
    /// one before. The last one may be infinite.
    pub fn histogram(self, edges: &[f64]) -> Result<Histogram> {
        self.check_no_list("histogram")?;
        if let Ok(Some(_)) = self.ring {
            return Err(RingDbError::NotTaken {
                verb: "histogram",
                option: "ring",
            });
        }
        let checked = self.checked()?;
        checked.lookup.histogram(checked.query, &Edges::new(edges)?)
    }

    /// The smallest radius within which there are at least `n` of the hits: the distance of the `n`-th nearest one, and 0
    /// for 0. The inverse of [`count`](Self::count), found by a few counts and searches.
    ///
    /// ```
    /// use ringdb::{RingDb, RingDbConfig};
    ///
    /// # fn main() -> ringdb::Result<()> {
    /// let mut db = RingDb::new(RingDbConfig::new(1))?;
    /// db.add_vectors(&[0.0, 0.5, 1.0, 1.5], [(); 4])?;
    /// let db = db.build()?;
    /// assert_eq!(db.search(&[0.0]).range(0.5..).radius_for_count(2)?, 1.0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`count`](Self::count); [`TooFewVectors`](crate::RingDbError::TooFewVectors) if there are not so many.
    pub fn radius_for_count(self, n: u64) -> Result<f64> {
        self.check_no_list("radius_for_count")?;
        let checked = self.checked()?;
        checked.radius(n, checked.total()?)
    }

    /// The distance that a share `p` of the hits does not exceed, from 0 to 1: the smallest one within which there are `r` of
    /// the `n` hits with `r / n >= p`, computed in `f64`, and `r` at least 1. 0.5 is the lower median, 0 the smallest distance, 1 the largest.
    ///
    /// # Errors
    /// As [`radius_for_count`](Self::radius_for_count), also if there are no hits at all;
    /// [`InvalidBounds`](crate::RingDbError::InvalidBounds) for a share that is not from 0 to 1.
    pub fn quantile(self, p: f64) -> Result<f64> {
        self.check_no_list("quantile")?;
        let checked = self.checked()?;
        rank::check_share(p)?;
        let total = checked.total()?;
        checked.radius(rank::rank(p, total), total)
    }

    /// What is asked by `verb` is no list of hits.
    fn check_no_list(&self, verb: &'static str) -> Result<()> {
        self.page.check_none(verb)?;
        if self.distances {
            let option = "distances";
            return Err(RingDbError::NotTaken { verb, option });
        }
        Ok(())
    }

    /// The same after a look at everything that may be wrong with it.
    fn checked(self) -> Result<Checked<'a>> {
        let Self {
            lookup,
            query,
            page,
            distances,
            ..
        } = self;
        let ring = match self.ring? {
            Some(ring) => ring,
            None => Ring::from_bounds(..)?,
        };
        lookup.check(query)?;
        page.check(|id| Ok(lookup.distances(query, &[id])?[0]))?;
        Ok(Checked {
            lookup,
            query,
            ring,
            page,
            distances,
        })
    }
}

/// A search of which everything is in order.
struct Checked<'a> {
    lookup: Lookup<'a>,
    query: &'a [f32],
    ring: Ring,
    page: Page,
    distances: bool,
}

impl Checked<'_> {
    /// Whether all vectors that are allowed are hits.
    fn is_everything(&self) -> Result<bool> {
        Ok(self.ring == Ring::from_bounds(..)?)
    }

    /// How many hits there are.
    fn total(&self) -> Result<u64> {
        match self.is_everything()? {
            true => Ok(self.lookup.allowed()),
            false => self.lookup.count(self.query, &self.ring),
        }
    }

    fn radius(&self, n: u64, total: u64) -> Result<f64> {
        rank::radius(&self.lookup, self.query, &self.ring, n, total)
    }

    /// The part of the ring that holds the page, if it takes less to find that than to put all of so many hits in order.
    fn front(&self, total: u64) -> Result<Option<Front>> {
        let Page { order, after, .. } = self.page;
        match Fronts::new(&self.lookup, self.query, &self.ring, total, &self.page) {
            Some(fronts) => fronts.find(order, after.map(|cursor| cursor.distance())),
            None => Ok(None),
        }
    }

    /// The page, cut from these hits, which are some or all of `of`. There are `total` hits.
    fn cut(self, ids: Vec<u32>, of: u64, total: u64, explain: Explain) -> Result<SearchResult> {
        let Self { lookup, page, .. } = self;
        let distances = |ids: &[u32]| lookup.distances(self.query, ids);
        let are_all = ids.len() as u64 == of;
        let mut hits = page.cut(ids, distances)?;
        if self.distances && hits.distances.is_none() {
            hits.distances = Some(distances(&hits.ids)?);
        }
        let truncated = hits.truncated || !are_all;
        let next = match hits.ids.last() {
            Some(&last) if truncated && page.limit.is_some() => {
                let distance = match hits.distances.as_deref() {
                    Some(&[.., distance]) => distance,
                    _ => distances(&[last])?[0],
                };
                Some(Cursor::new(page.order, last, distance))
            }
            _ => None,
        };
        Ok(SearchResult {
            ids: hits.ids,
            distances: hits.distances.filter(|_| self.distances),
            total,
            truncated,
            next,
            explain,
        })
    }
}
