//! [`SealedRingDb`]: answers queries, exactly and completely, and hands out payloads.
//!
//! Immutable: any number of threads may share it. It owns its segment and no threads; searches run in
//! the rayon pool of the caller.

use std::borrow::Cow;
use std::fmt;
use std::time::Instant;

use ringdb_index::{CodeFrame, Kernel, Ring};
use ringdb_storage::{PayloadCodec, Payloads, Pod, Segment};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codes::{self, Coded, Place};
use crate::error::Result;
use crate::query::{DiskQuery, QueryResult, RangeQuery, RingQuery};
use crate::search::Search;

pub(crate) const BACKEND_NAME: &str = "cpu";

/// A database that is complete: made by [`RingDb::build`](crate::RingDb::build) or
/// [`RingDb::load`](crate::RingDb::load), or by [`OpenOptions::open`](crate::OpenOptions::open).
///
/// `Send + Sync` whatever `T` is.
pub struct SealedRingDb<T = ()> {
    segment: Segment<T>,
    /// If there are codes to search by.
    frame: Option<CodeFrame>,
    kernel: Kernel,
}

impl<T> SealedRingDb<T> {
    pub(crate) fn new(segment: Segment<T>) -> Result<Self> {
        let frame = codes::frame(&segment)?;
        Ok(Self {
            segment,
            frame,
            kernel: Kernel::fastest(),
        })
    }

    fn place(&self) -> Place<'_> {
        let Segment {
            vectors,
            codes,
            fine,
            ..
        } = &self.segment;
        let coded = self.frame.as_ref().zip(codes.as_ref()).zip(fine.as_ref());
        Place {
            vectors,
            codes: coded.map(|((frame, codes), fine)| Coded { frame, codes, fine }),
            kernel: self.kernel,
        }
    }
}

impl<T: Serialize + DeserializeOwned> SealedRingDb<T> {
    /// The ids of all vectors in the ring, ascending.
    ///
    /// # Errors
    /// [`DimensionMismatch`](crate::RingDbError::DimensionMismatch),
    /// [`NotFinite`](crate::RingDbError::NotFinite) for a coordinate of the query,
    /// [`InvalidBounds`](crate::RingDbError::InvalidBounds) naming the field;
    /// [`Corrupt`](crate::RingDbError::Corrupt) for damage that was not looked for at opening.
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
        let (ids, _) = self.place().ids(query, &ring)?;
        Ok(QueryResult {
            ids,
            backend_used: BACKEND_NAME,
            elapsed: start.elapsed(),
        })
    }

    /// Begins a search in which bounds may be exclusive or `f64` and hits come with their distances.
    pub fn search<'a>(&'a self, query: &'a [f32]) -> Search<'a> {
        Search::new(self.place(), query)
    }

    /// The payload of vector `id`.
    ///
    /// # Errors
    /// [`IdOutOfRange`](crate::RingDbError::IdOutOfRange), [`Payload`](crate::RingDbError::Payload) if
    /// the stored bytes are no `T`, [`TypeMismatch`](crate::RingDbError::TypeMismatch) if they are no
    /// values of serde ([`payload_bytes`](Self::payload_bytes) and [`payload_ref`](Self::payload_ref) read
    /// those), [`Corrupt`](crate::RingDbError::Corrupt) if their checksum says so.
    pub fn fetch_payload(&self, id: u32) -> Result<T> {
        Ok(self.segment.payloads.fetch(id)?)
    }

    /// The payloads of `ids`, in their order.
    ///
    /// # Errors
    /// As [`fetch_payload`](Self::fetch_payload), for the first id that fails.
    pub fn fetch_payloads(&self, ids: &[u32]) -> Result<Vec<T>> {
        Ok(self.segment.payloads.fetch_many(ids)?)
    }

    /// All payloads in order of their ids, each decoded when it is asked for. The first error, one of
    /// those of [`fetch_payload`](Self::fetch_payload), is the last item: where the payloads are no values
    /// of serde, that is the first.
    pub fn payloads(&self) -> impl Iterator<Item = Result<T>> {
        let payloads: Payloads<'_, T> = self.segment.payloads.iter();
        payloads.map(|payload| Ok(payload?))
    }

    /// The payload of vector `id` as the codec stored it.
    ///
    /// # Errors
    /// [`IdOutOfRange`](crate::RingDbError::IdOutOfRange), [`Corrupt`](crate::RingDbError::Corrupt).
    pub fn payload_bytes(&self, id: u32) -> Result<&[u8]> {
        Ok(self.segment.payloads.fetch_bytes(id)?)
    }

    /// How the payloads are stored.
    #[must_use]
    pub fn payload_codec(&self) -> PayloadCodec {
        self.segment.payloads.codec()
    }

    /// The name under which the type of the payloads is stored; empty where none is known.
    #[must_use]
    pub fn payload_type(&self) -> &str {
        self.segment.payloads.type_name()
    }

    /// The coordinates of vector `id`.
    ///
    /// # Errors
    /// [`IdOutOfRange`](crate::RingDbError::IdOutOfRange), [`Corrupt`](crate::RingDbError::Corrupt).
    pub fn vector(&self, id: u32) -> Result<Cow<'_, [f32]>> {
        Ok(Cow::Borrowed(self.segment.vectors.row(id)?))
    }

    /// Number of vectors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.segment.vectors.len()
    }

    /// Whether there are no vectors.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segment.vectors.is_empty()
    }

    /// Whether searches read codes before coordinates ([`BuildOptions::codes`](crate::BuildOptions::codes)).
    #[must_use]
    pub fn has_codes(&self) -> bool {
        self.frame.is_some()
    }

    /// Coordinates per vector.
    #[must_use]
    pub fn dims(&self) -> usize {
        self.segment.vectors.dims()
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
        Ok(self.segment.payloads.fetch_ref(id)?)
    }
}

impl<T> fmt::Debug for SealedRingDb<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("SealedRingDb");
        debug
            .field("vectors", &self.segment.vectors)
            .field("kernel", &self.kernel);
        debug.finish_non_exhaustive()
    }
}
