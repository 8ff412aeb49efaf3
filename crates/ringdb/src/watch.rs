//! What those who wait for a long search can do: end it, and see how far it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ends searches from another thread, from a signal handler or from within [`Search::for_each`](crate::Search::for_each).
/// Clones end the same searches.
///
/// ```
/// use ringdb::{CancelToken, RingDb, RingDbConfig, RingDbError};
///
/// # fn main() -> ringdb::Result<()> {
/// let mut db = RingDb::new(RingDbConfig::new(1))?;
/// db.add_vectors(&[0.0, 0.5, 1.0], [(); 3])?;
/// let db = db.build()?;
/// let token = CancelToken::new();
/// assert_eq!(db.search(&[0.0]).cancel(&token).count()?, 3);
/// token.cancel();
/// let error = db.search(&[0.0]).cancel(&token).count().unwrap_err();
/// assert!(matches!(error, RingDbError::Cancelled));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Of which nothing was ended yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends all searches that have this token, also those to come. Each thread of a search finishes the part of the vectors
    /// that it is at, some megabytes or 256 long vectors, and begins no other. A walk over boxes, and putting what was found in order,
    /// are parts of their own.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How far a pass over the vectors is.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Of how many vectors it is known whether they are hits, or in which bin.
    pub decided: u64,
    /// How many there are: at least one, as a database without vectors has nothing to tell.
    pub total: u64,
}
