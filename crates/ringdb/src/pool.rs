//! The threads of a database: its own, or those of whoever asks.

use std::error::Error;
use std::io;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use ringdb_index::check_environment;

use crate::error::{Result, RingDbError};

/// More than any machine computes with at once, and fewer than systems refuse.
const THREADS_MAX: usize = 1024;

/// Where a database computes.
#[derive(Debug)]
pub(crate) struct Pool(Option<ThreadPool>);

impl Pool {
    /// So many threads of its own; without a number those of the rayon pool that a call comes from, or the global one.
    pub(crate) fn new(threads: Option<usize>) -> Result<Self> {
        let Some(threads) = threads else {
            return Ok(Self(None));
        };
        if threads == 0 || threads > THREADS_MAX {
            let max = THREADS_MAX;
            return Err(RingDbError::InvalidThreads { threads, max });
        }
        // Threads are made with the environment of the one that makes them, and keep it.
        check_environment()?;
        let name = |i| format!("ringdb-{i}");
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(name);
        let pool = pool.build().map_err(|error| {
            let kind = error
                .source()
                .and_then(|source| source.downcast_ref::<io::Error>())
                .map_or(io::ErrorKind::Other, io::Error::kind);
            io::Error::new(kind, format!("cannot start {threads} threads: {error}"))
        })?;
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
