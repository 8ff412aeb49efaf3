//! The threads of a database: its own, or those of whoever asks.

use std::io;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Result, RingDbError};

/// Where a database computes.
#[derive(Debug)]
pub(crate) struct Pool(Option<ThreadPool>);

impl Pool {
    /// So many threads of its own; without a number those of the rayon pool that a call comes from, or the global one.
    pub(crate) fn new(threads: Option<usize>) -> Result<Self> {
        let Some(threads) = threads else {
            return Ok(Self(None));
        };
        let max = rayon::max_num_threads();
        if threads == 0 || threads > max {
            return Err(RingDbError::InvalidThreads { threads, max });
        }
        let name = |i| format!("ringdb-{i}");
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(name);
        let pool = pool.build().map_err(io::Error::other)?;
        Ok(Self(Some(pool)))
    }

    /// Does `work` there, and waits for it.
    pub(crate) fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.0 {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// Does `work` there with `len` of `all` at a time, and puts what comes of them together, in their order.
    pub(crate) fn in_parts<T: Sync, R: Send>(
        &self,
        all: &[T],
        len: usize,
        work: impl Fn(&[T]) -> Result<Vec<R>> + Send + Sync,
    ) -> Result<Vec<R>> {
        let parts: Result<Vec<Vec<R>>> = self.run(|| all.par_chunks(len).map(work).collect());
        Ok(parts?.into_iter().flatten().collect())
    }
}
