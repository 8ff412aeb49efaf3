//! The vectors of a database as one search looks at them: which of them, on which threads, and who watches.
//!
//! Invariant: everything that a [`Search`](crate::Search) reads goes through here, so that nothing passes the filter, the
//! token or the checks of bytes by. Searches of many queries and joins have no filter and no token, and take the
//! vectors, the kernel and the pool from here.

use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicU64, Ordering};

use ringdb_index::{
    Edges, Explain, Guard, Histogram, Kernel, Ring, RowSet, count, distances, histogram, portions,
    search,
};

use crate::derived::DerivedVectors;
use crate::error::{Result, RingDbError};
use crate::pool::Pool;
use crate::watch::{CancelToken, Progress};

/// Coordinates that distances are computed of between two looks at the token: 8 MB.
const COORDINATES_AT_ONCE: usize = 2 << 20;

/// What a search looks at.
#[derive(Clone, Copy)]
pub(crate) struct Lookup<'a> {
    pub(crate) vectors: &'a DerivedVectors,
    pub(crate) kernel: Kernel,
    pub(crate) pool: &'a Pool,
    /// The vectors that may be found; all if there is none.
    pub(crate) filter: Option<&'a RowSet>,
    pub(crate) cancel: Option<&'a CancelToken>,
    pub(crate) progress: Option<&'a (dyn Fn(Progress) + Sync)>,
}

/// One pass over the vectors.
struct Pass<'a> {
    lookup: Lookup<'a>,
    decided: AtomicU64,
}

impl<'a> Lookup<'a> {
    pub(crate) fn new(vectors: &'a DerivedVectors, kernel: Kernel, pool: &'a Pool) -> Self {
        Self {
            vectors,
            kernel,
            pool,
            filter: None,
            cancel: None,
            progress: None,
        }
    }

    /// Whether this vector may be found.
    pub(crate) fn allows(&self, id: u32) -> bool {
        self.filter.is_none_or(|filter| filter.allows(id))
    }

    /// How many vectors may be found. The filter names none that do not exist.
    pub(crate) fn allowed(&self) -> u64 {
        let len = self.vectors.vectors.len();
        self.filter.map_or(len, |filter| filter.allowed(len)) as u64
    }

    /// The ids of all hits, ascending, and how they were found.
    pub(crate) fn ids(&self, query: &[f32], ring: &Ring) -> Result<(Vec<u32>, Explain)> {
        let segment = self.segment()?;
        let pass = self.pass();
        self.pool
            .run(|| search(segment, query, ring, self.kernel, &pass))
    }

    /// How many hits there are.
    pub(crate) fn count(&self, query: &[f32], ring: &Ring) -> Result<u64> {
        Ok(self.explain(query, ring)?.hits())
    }

    /// How it was found how many hits there are, and how many they are.
    pub(crate) fn explain(&self, query: &[f32], ring: &Ring) -> Result<Explain> {
        let segment = self.segment()?;
        let pass = self.pass();
        let counted = || count(segment, query, ring, self.kernel, &pass);
        let (_, explain) = self.pool.run(counted)?;
        Ok(explain)
    }

    /// How many vectors are in each bin.
    pub(crate) fn histogram(&self, query: &[f32], edges: &Edges) -> Result<Histogram> {
        let segment = self.segment()?;
        let pass = self.pass();
        self.pool
            .run(|| histogram(segment, query, edges, self.kernel, &pass))
    }

    /// Hands out the ids of all hits, ascending, some at a time, until `visit` has enough.
    pub(crate) fn visit(
        &self,
        query: &[f32],
        ring: &Ring,
        mut visit: impl FnMut(&[u32]) -> Result<ControlFlow<()>>,
    ) -> Result<Explain> {
        let segment = self.segment()?;
        let pass = self.pass();
        let begin = || portions(segment, query, ring, self.kernel, &pass);
        let mut hits = self.pool.run(begin)?;
        while let Some(ids) = self.pool.run(|| hits.portion())? {
            if visit(&ids)?.is_break() {
                break;
            }
        }
        Ok(hits.explain())
    }

    /// The distances of vectors, in the order of `ids`.
    pub(crate) fn distances(&self, query: &[f32], ids: &[u32]) -> Result<Vec<f64>> {
        let rows = self.vectors.rows()?;
        let some = |ids: &[u32]| -> Result<Vec<f64>> {
            // A hit may have been proven by its code alone.
            for &id in ids {
                Guard::rows(self.vectors, id as usize..id as usize + 1)?;
            }
            Ok(distances(rows, query, ids, self.kernel)?)
        };
        let mut all = Vec::with_capacity(ids.len());
        for ids in ids.chunks((COORDINATES_AT_ONCE / rows.dims()).max(1)) {
            self.check_token()?;
            all.extend(self.pool.run(|| some(ids))?);
        }
        Ok(all)
    }

    /// Whether query and filter fit the vectors, and nobody ended the search before it began.
    pub(crate) fn check(&self, query: &[f32]) -> Result<()> {
        self.segment()?;
        distances(self.vectors.rows()?, query, &[], self.kernel)?;
        self.check_token()
    }

    /// Whether the search is to go on.
    pub(crate) fn check_token(&self) -> Result<()> {
        match self.cancel {
            Some(token) if token.is_cancelled() => Err(RingDbError::Cancelled),
            _ => Ok(()),
        }
    }

    fn segment(&self) -> Result<ringdb_index::Segment<'a>> {
        let segment = self.vectors.segment()?;
        match self.filter {
            Some(filter) => Ok(segment.only(filter)?),
            None => Ok(segment),
        }
    }

    fn pass(&self) -> Pass<'a> {
        Pass {
            lookup: *self,
            decided: AtomicU64::new(0),
        }
    }
}

impl Guard for Pass<'_> {
    type Error = RingDbError;

    fn go_on(&self) -> Result<()> {
        self.lookup.check_token()
    }

    fn decided(&self, rows: usize) {
        let Some(progress) = self.lookup.progress.filter(|_| rows > 0) else {
            return;
        };
        let before = self.decided.fetch_add(rows as u64, Ordering::Relaxed);
        progress(Progress {
            decided: before + rows as u64,
            total: self.lookup.vectors.vectors.len() as u64,
        });
    }

    fn rows(&self, rows: Range<usize>) -> Result<()> {
        Guard::rows(self.lookup.vectors, rows)
    }

    fn codes(&self, bytes: Range<usize>) -> Result<()> {
        self.lookup.vectors.codes(bytes)
    }

    fn fine(&self, bytes: Range<usize>) -> Result<()> {
        self.lookup.vectors.fine(bytes)
    }

    fn prefix(&self, bytes: Range<usize>) -> Result<()> {
        self.lookup.vectors.prefix(bytes)
    }

    fn blocks(&self, bytes: Range<usize>) -> Result<()> {
        self.lookup.vectors.blocks(bytes)
    }

    fn order(&self, bytes: Range<usize>) -> Result<()> {
        self.lookup.vectors.order(bytes)
    }
}

impl std::fmt::Debug for Lookup<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("Lookup");
        debug
            .field("vectors", &self.vectors.vectors)
            .field("kernel", &self.kernel)
            .field("filter", &self.filter);
        debug.finish_non_exhaustive()
    }
}
