//! [`SealedRingDb`]: answers queries, exactly and completely, and hands out payloads.
//!
//! Immutable: any number of threads may share it. It owns its segment, and threads if that was asked for; else searches
//! run in the rayon pool of the caller.

use std::borrow::Cow;
use std::fmt;
use std::time::Instant;

use ringdb_index::{Kernel, Ring};
use ringdb_storage::{PayloadCodec, PayloadStore, Payloads, Pod, Segment};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::derived::DerivedVectors;
use crate::error::Result;
use crate::lookup::Lookup;
use crate::many::{Join, ManyResult};
use crate::pool::Pool;
use crate::query::{DiskQuery, QueryResult, RangeQuery, RingQuery};
use crate::search::{Search, SearchResult};

pub(crate) const BACKEND_NAME: &str = "cpu";

/// A database that is complete: made by [`RingDb::build`](crate::RingDb::build) or
/// [`RingDb::load`](crate::RingDb::load), or by [`OpenOptions::open`](crate::OpenOptions::open).
///
/// `Send + Sync` whatever `T` is.
pub struct SealedRingDb<T = ()> {
    rows: DerivedVectors,
    payloads: PayloadStore<T>,
    kernel: Kernel,
    pool: Pool,
}

impl<T> SealedRingDb<T> {
    pub(crate) fn new(segment: Segment<T>, pool: Pool) -> Result<Self> {
        let (rows, payloads) = DerivedVectors::of(segment)?;
        Ok(Self {
            rows,
            payloads,
            kernel: Kernel::fastest(),
            pool,
        })
    }

    fn lookup(&self) -> Lookup<'_> {
        Lookup::new(&self.rows, self.kernel, &self.pool)
    }
}

impl<T: Serialize + DeserializeOwned> SealedRingDb<T> {
    /// The ids of all vectors in the ring, ascending.
    ///
    /// # Errors
    /// [`DimensionMismatch`](crate::RingDbError::DimensionMismatch),
    /// [`NotFinite`](crate::RingDbError::NotFinite) for a coordinate of the query,
    /// [`InvalidBounds`](crate::RingDbError::InvalidBounds) naming the field;
    /// [`Corrupt`](crate::RingDbError::Corrupt) for damage that was not looked for at opening;
    /// [`FloatEnvironment`](crate::RingDbError::FloatEnvironment) for a thread that computes otherwise than
    /// distances are defined.
    pub fn query(&self, q: &RingQuery<'_>) -> Result<QueryResult> {
        self.ids(q.query, q.ring()?)
    }

    /// The ids of all vectors between the bounds, ascending.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub fn query_range(&self, q: &RangeQuery<'_>) -> Result<QueryResult> {
        self.ids(q.query, q.ring()?)
    }

    /// The ids of all vectors within the radius, ascending.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub fn query_disk(&self, q: &DiskQuery<'_>) -> Result<QueryResult> {
        self.ids(q.query, q.ring()?)
    }

    fn ids(&self, query: &[f32], ring: Ring) -> Result<QueryResult> {
        let start = Instant::now();
        let (ids, _) = self.lookup().ids(query, &ring)?;
        Ok(QueryResult {
            ids,
            backend_used: BACKEND_NAME,
            elapsed: start.elapsed(),
        })
    }

    /// Begins a search in which bounds may be exclusive or `f64` and hits come with their distances.
    pub fn search<'a>(&'a self, query: &'a [f32]) -> Search<'a> {
        Search::new(self.lookup(), query)
    }

    /// The `k` nearest vectors, all of them if they are fewer: what
    /// `search(query).nearest_first().limit(k).distances()` finds. Say that instead for the nearest ones of a ring or of a
    /// set.
    ///
    /// ```
    /// use ringdb::{RingDb, RingDbConfig};
    ///
    /// # fn main() -> ringdb::Result<()> {
    /// let mut db = RingDb::new(RingDbConfig::new(1))?;
    /// db.add_vectors(&[3.0, 1.0, 2.0, 1.0], [(); 4])?;
    /// let db = db.build()?;
    /// let found = db.knn(&[0.0], 3)?;
    /// assert_eq!(found.ids, [1, 3, 2]);
    /// assert_eq!(found.distances, Some(vec![1.0, 1.0, 2.0]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub fn knn(&self, query: &[f32], k: usize) -> Result<SearchResult> {
        let search = self.search(query).nearest_first().limit(k);
        search.distances().run()
    }

    /// The smallest radius within which there are at least `n` vectors: the distance of the `n`-th nearest one, and 0
    /// for 0. The inverse of [`count`](Search::count), found by a few counts and searches.
    ///
    /// ```
    /// use ringdb::{RingDb, RingDbConfig};
    ///
    /// # fn main() -> ringdb::Result<()> {
    /// let mut db = RingDb::new(RingDbConfig::new(1))?;
    /// db.add_vectors(&[3.0, 1.0, 2.0, 1.0], [(); 4])?;
    /// let db = db.build()?;
    /// assert_eq!(db.radius_for_count(&[0.0], 3)?, 2.0);
    /// assert_eq!(db.search(&[0.0]).within(2.0).count()?, 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`query`](Self::query); [`TooFewVectors`](crate::RingDbError::TooFewVectors) if there are not so many.
    pub fn radius_for_count(&self, query: &[f32], n: u64) -> Result<f64> {
        self.search(query).radius_for_count(n)
    }

    /// The distance that a share `p` of all vectors does not exceed, from 0 to 1: the smallest one within which there are
    /// `r` of `n` vectors with `r / n >= p`, computed in `f64`, and `r` at least 1. 0.5 is the lower median, 0 the smallest distance, 1 the largest.
    ///
    /// # Errors
    /// As [`radius_for_count`](Self::radius_for_count); [`InvalidBounds`](crate::RingDbError::InvalidBounds) for a share
    /// that is not from 0 to 1.
    pub fn quantile(&self, query: &[f32], p: f64) -> Result<f64> {
        self.search(query).quantile(p)
    }

    /// The ids of all vectors in a ring around each of many queries, which are row-major and as long as
    /// the vectors: one ring for all of them or one for each. Each query finds what it would find alone;
    /// together they read memory once for up to 256 of them.
    ///
    /// ```
    /// use ringdb::{Ring, RingDb, RingDbConfig};
    ///
    /// # fn main() -> ringdb::Result<()> {
    /// let mut db = RingDb::new(RingDbConfig::new(1))?;
    /// db.add_vectors(&[0.0, 1.0, 2.0, 10.0], [(); 4])?;
    /// let db = db.build()?;
    /// let found = db.query_many(&[0.0, 9.0], &[Ring::within(1.0)?])?;
    /// assert_eq!((found.ids_of(0), found.ids_of(1)), (&[0, 1][..], &[3][..]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`query`](Self::query): `DimensionMismatch` with the length of the last query if it is not
    /// whole, `NotFinite` with a position in `queries`;
    /// [`RingCount`](crate::RingDbError::RingCount) if there are neither one ring nor as many as queries.
    pub fn query_many(&self, queries: &[f32], rings: &[Ring]) -> Result<ManyResult> {
        ManyResult::find(&self.lookup(), queries, rings)
    }

    /// As [`query_many`](Self::query_many), and the distance of each hit.
    ///
    /// # Errors
    /// As [`query_many`](Self::query_many).
    pub fn query_many_distances(&self, queries: &[f32], rings: &[Ring]) -> Result<ManyResult> {
        self.query_many(queries, rings)?
            .with_distances(&self.lookup(), queries)
    }

    /// All pairs of vectors whose distance lies in `ring`, each once, the smaller id first. They are
    /// computed as they are asked for, on all threads and some millions at most in advance: see [`Join`].
    ///
    /// ```
    /// use ringdb::{Ring, RingDb, RingDbConfig};
    ///
    /// # fn main() -> ringdb::Result<()> {
    /// let mut db = RingDb::new(RingDbConfig::new(1))?;
    /// db.add_vectors(&[0.0, 1.0, 10.0, 11.0], [(); 4])?;
    /// let db = db.build()?;
    /// let pairs: Result<Vec<_>, _> = db.join(&Ring::within(1.0)?)?.collect();
    /// assert_eq!(pairs?, [(0, 1), (2, 3)]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Of the pairs: [`Corrupt`](crate::RingDbError::Corrupt) for damage that was not looked for at
    /// opening, [`FloatEnvironment`](crate::RingDbError::FloatEnvironment) for a thread that computes
    /// otherwise than distances are defined.
    pub fn join<'a>(&'a self, ring: &Ring) -> Result<Join<'a>> {
        Join::with_itself(self.lookup(), ring)
    }

    /// All pairs of a vector of this database and one of `other` whose distance lies in `ring`, by their
    /// ids: see [`Join`].
    ///
    /// # Errors
    /// [`DimensionMismatch`](crate::RingDbError::DimensionMismatch); of the pairs as with
    /// [`join`](Self::join).
    pub fn join_with<'a, U>(&'a self, other: &'a SealedRingDb<U>, ring: &Ring) -> Result<Join<'a>> {
        Join::with_other(self.lookup(), &other.rows, ring)
    }

    /// The payload of vector `id`.
    ///
    /// # Errors
    /// [`IdOutOfRange`](crate::RingDbError::IdOutOfRange), [`Payload`](crate::RingDbError::Payload) if
    /// the stored bytes are no `T`, [`TypeMismatch`](crate::RingDbError::TypeMismatch) if they are no
    /// values of serde ([`payload_bytes`](Self::payload_bytes) and [`payload_ref`](Self::payload_ref) read
    /// those), [`Corrupt`](crate::RingDbError::Corrupt) if their checksum says so.
    pub fn fetch_payload(&self, id: u32) -> Result<T> {
        Ok(self.payloads.fetch(id)?)
    }

    /// The payloads of `ids`, in their order.
    ///
    /// # Errors
    /// As [`fetch_payload`](Self::fetch_payload), for the first id that fails.
    pub fn fetch_payloads(&self, ids: &[u32]) -> Result<Vec<T>> {
        Ok(self.payloads.fetch_many(ids)?)
    }

    /// All payloads in order of their ids, each decoded when it is asked for. The first error, one of
    /// those of [`fetch_payload`](Self::fetch_payload), is the last item: where the payloads are no values
    /// of serde, that is the first.
    pub fn payloads(&self) -> impl Iterator<Item = Result<T>> {
        let payloads: Payloads<'_, T> = self.payloads.iter();
        payloads.map(|payload| Ok(payload?))
    }

    /// The payload of vector `id` as the codec stored it.
    ///
    /// # Errors
    /// [`IdOutOfRange`](crate::RingDbError::IdOutOfRange), [`Corrupt`](crate::RingDbError::Corrupt).
    pub fn payload_bytes(&self, id: u32) -> Result<&[u8]> {
        Ok(self.payloads.fetch_bytes(id)?)
    }

    /// How the payloads are stored.
    #[must_use]
    pub fn payload_codec(&self) -> PayloadCodec {
        self.payloads.codec()
    }

    /// The name under which the type of the payloads is stored; empty where none is known.
    #[must_use]
    pub fn payload_type(&self) -> &str {
        self.payloads.type_name()
    }

    /// The coordinates of vector `id`.
    ///
    /// # Errors
    /// [`IdOutOfRange`](crate::RingDbError::IdOutOfRange), [`Corrupt`](crate::RingDbError::Corrupt).
    pub fn vector(&self, id: u32) -> Result<Cow<'_, [f32]>> {
        Ok(Cow::Borrowed(self.rows.vectors.row(id)?))
    }

    /// Number of vectors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.vectors.len()
    }

    /// Whether there are no vectors.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.vectors.is_empty()
    }

    /// Whether there are codes, which searches read before coordinates; those of up to three dims are passed
    /// over. See [`BuildOptions::codes`](crate::BuildOptions::codes).
    #[must_use]
    pub fn has_codes(&self) -> bool {
        self.rows.has_codes()
    }

    /// Whether they come with a prefix.
    #[must_use]
    pub fn has_prefix(&self) -> bool {
        self.rows.has_prefix()
    }

    /// Whether there are boxes, which searches look at before anything else. See
    /// [`BuildOptions::boxes`](crate::BuildOptions::boxes).
    #[must_use]
    pub fn has_boxes(&self) -> bool {
        self.rows.has_boxes()
    }

    /// Coordinates per vector.
    #[must_use]
    pub fn dims(&self) -> usize {
        self.rows.vectors.dims()
    }

    /// Where queries are computed: `"cpu"`.
    #[must_use]
    pub fn backend_name(&self) -> &str {
        BACKEND_NAME
    }
}

impl<T: Pod> SealedRingDb<T> {
    /// The payload of vector `id` where it lies, for payloads in
    /// [`PayloadCodec::Pod`](crate::PayloadCodec::Pod).
    ///
    /// # Errors
    /// [`IdOutOfRange`](crate::RingDbError::IdOutOfRange), [`Corrupt`](crate::RingDbError::Corrupt),
    /// [`TypeMismatch`](crate::RingDbError::TypeMismatch) if they are stored otherwise,
    /// [`Payload`](crate::RingDbError::Payload) if they have another size than `T`.
    pub fn payload_ref(&self, id: u32) -> Result<&T> {
        Ok(self.payloads.fetch_ref(id)?)
    }
}

impl<T> fmt::Debug for SealedRingDb<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("SealedRingDb");
        debug
            .field("vectors", &self.rows.vectors)
            .field("kernel", &self.kernel);
        debug.finish_non_exhaustive()
    }
}
