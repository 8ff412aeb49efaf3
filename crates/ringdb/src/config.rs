//! How a database is set up, field for field as in ring-db 0.3.0. None of these types ever gains a
//! member; what is newer stands in [`BuildOptions`](crate::BuildOptions).

use std::path::PathBuf;

/// Where queries are computed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum BackendPreference {
    /// The processor, by the fastest kernel it has.
    #[default]
    Cpu,
}

/// The configuration of a [`RingDb`](crate::RingDb).
#[derive(Debug, Clone)]
pub struct RingDbConfig {
    /// Coordinates per vector, 1 to 65 536.
    pub dims: usize,
    /// Where queries are computed.
    pub backend_preference: BackendPreference,
    /// The directory that becomes the database; `None` for one in memory.
    pub persist_dir: Option<PathBuf>,
}

impl RingDbConfig {
    /// A database in memory with vectors of `dims` coordinates.
    #[must_use]
    pub fn new(dims: usize) -> Self {
        Self {
            dims,
            backend_preference: BackendPreference::Cpu,
            persist_dir: None,
        }
    }

    /// Makes `dir` the database. It and its ancestors are created when [`RingDb::new`](crate::RingDb::new) is called.
    #[must_use]
    pub fn with_persist_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.persist_dir = Some(dir.into());
        self
    }

    /// Chooses where queries are computed.
    #[must_use]
    pub fn with_backend_preference(mut self, preference: BackendPreference) -> Self {
        self.backend_preference = preference;
        self
    }
}
