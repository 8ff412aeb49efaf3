//! [`ManyResult`] and [`Join`]: what many queries find, and the pairs of whole sets.

use ringdb_index::{Batch, Explain, Pair, Ring, join, join_with, search_many};

use crate::derived::DerivedVectors;
use crate::error::{Result, RingDbError};
use crate::lookup::Lookup;
use crate::pool::Pool;

/// What [`query_many`](crate::SealedRingDb::query_many) found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ManyResult {
    /// Where the hits of each query begin in `ids`, and then where those of the last one end: one number
    /// more than there are queries.
    pub offsets: Vec<usize>,
    /// The ids of all hits, one query after the other, ascending within each.
    pub ids: Vec<u32>,
    /// The distance of each hit, in the order of `ids`, if they were asked for.
    pub distances: Option<Vec<f64>>,
    /// How the search went, for all queries together.
    pub explain: Explain,
}

impl ManyResult {
    pub(crate) fn find(lookup: &Lookup<'_>, queries: &[f32], rings: &[Ring]) -> Result<Self> {
        let (vectors, kernel) = (lookup.vectors, lookup.kernel);
        let segment = vectors.segment()?;
        let search = || search_many(segment, queries, rings, kernel, vectors);
        let Batch {
            offsets,
            ids,
            explain,
            ..
        } = lookup.pool.run(search)?;
        Ok(Self {
            offsets,
            ids,
            distances: None,
            explain,
        })
    }

    pub(crate) fn with_distances(mut self, lookup: &Lookup<'_>, queries: &[f32]) -> Result<Self> {
        let queries = queries.chunks(lookup.vectors.vectors.dims());
        // On their threads for all queries, not handed over for each.
        let distances = lookup.pool.run(|| -> Result<Vec<f64>> {
            let mut distances = Vec::with_capacity(self.ids.len());
            for (i, query) in queries.enumerate() {
                distances.extend(lookup.distances(query, self.ids_of(i))?);
            }
            Ok(distances)
        });
        self.distances = Some(distances?);
        Ok(self)
    }

    /// Number of queries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there were no queries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ids of one query, by its place among the queries.
    ///
    /// # Panics
    /// If there is no such query.
    #[must_use]
    pub fn ids_of(&self, query: usize) -> &[u32] {
        &self.ids[self.offsets[query]..self.offsets[query + 1]]
    }
}

/// The pairs of a join, as pairs of ids, in an order that depends on the vectors and on whether they have
/// codes, and on nothing else.
///
/// Pairs are computed when they are asked for, a portion of some millions of candidates at a time, on all
/// threads of the database's own, or of the rayon pool that `next` is called in. Between two portions nothing runs, so whoever
/// takes the pairs sets the pace; there are 100 MB of pairs in memory at most, whatever their number. The
/// first error is the last item.
#[derive(Debug)]
pub struct Join<'a> {
    join: Option<ringdb_index::Join<'a, DerivedVectors>>,
    pool: &'a Pool,
    portion: std::vec::IntoIter<Pair>,
}

impl<'a> Join<'a> {
    pub(crate) fn with_itself(lookup: Lookup<'a>, ring: &Ring) -> Result<Self> {
        let segment = lookup.vectors.segment()?;
        let join = join(segment, *ring, lookup.kernel, lookup.vectors);
        Ok(Self::of(join, lookup.pool))
    }

    pub(crate) fn with_other(
        lookup: Lookup<'a>,
        right: &'a DerivedVectors,
        ring: &Ring,
    ) -> Result<Self> {
        let left = (lookup.vectors.segment()?, lookup.vectors);
        let right = (right.segment()?, right);
        let join = join_with(left, right, *ring, lookup.kernel)?;
        Ok(Self::of(join, lookup.pool))
    }

    fn of(join: ringdb_index::Join<'a, DerivedVectors>, pool: &'a Pool) -> Self {
        Self {
            join: Some(join),
            pool,
            portion: Vec::new().into_iter(),
        }
    }

    /// The next portion that has pairs; an error ends the join.
    fn refill(&mut self) -> Option<RingDbError> {
        let join = self.join.as_mut()?;
        // The last one would keep its memory while the next is computed.
        self.portion = Vec::new().into_iter();
        loop {
            match self.pool.run(|| join.portion()) {
                Ok(Some(portion)) if portion.is_empty() => {}
                Ok(Some(portion)) => {
                    self.portion = portion.into_iter();
                    return None;
                }
                Ok(None) => {
                    self.join = None;
                    return None;
                }
                Err(error) => {
                    self.join = None;
                    return Some(error);
                }
            }
        }
    }
}

impl Iterator for Join<'_> {
    type Item = Result<(u32, u32)>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(pair) = self.portion.next() {
            return Some(Ok(pair));
        }
        match self.refill() {
            Some(error) => Some(Err(error)),
            None => self.portion.next().map(Ok),
        }
    }
}

impl std::iter::FusedIterator for Join<'_> {}
