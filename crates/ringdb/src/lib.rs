//! **Which vectors lie at a distance between `d_min` and `d_max` from this one?** Exactly, completely,
//! with a payload kept beside each vector.
//!
//! # Build and ask
//!
//! ```
//! use ringdb::{DiskQuery, RangeQuery, RingDb, RingDbConfig, RingQuery};
//!
//! # fn main() -> ringdb::Result<()> {
//! let mut db = RingDb::new(RingDbConfig::new(2))?;
//! db.add_vector(&[0.0, 0.0], "home".to_string())?;
//! db.add_vector(&[3.0, 4.0], "shop".to_string())?;
//! db.add_vector(&[6.0, 8.0], "lake".to_string())?;
//! let db = db.build()?;
//!
//! // Three ways to say a ring; bounds are inclusive.
//! let here = &[0.0, 0.0];
//! assert_eq!(db.query(&RingQuery { query: here, d: 5.0, lambda: 0.5 })?.ids, [1]);
//! assert_eq!(db.query_range(&RangeQuery { query: here, d_min: 5.0, d_max: 10.0 })?.ids, [1, 2]);
//! assert_eq!(db.query_disk(&DiskQuery { query: here, d_max: 5.0 })?.ids, [0, 1]);
//! assert_eq!(db.fetch_payload(2)?, "lake");
//!
//! // Bounds in f64, open or closed, and distances.
//! let near = db.search(here).range(..10.0).distances().run()?;
//! assert_eq!((near.ids, near.distances), (vec![0, 1], Some(vec![0.0, 5.0])));
//! # Ok(())
//! # }
//! ```
//!
//! # Keep it
//!
//! ```
//! use ringdb::{BackendPreference, RingDb, RingDbConfig};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let dir = dir.path().join("places");
//! let mut db = RingDb::new(RingDbConfig::new(2).with_persist_dir(&dir))?;
//! db.add_vector(&[3.0, 4.0], "shop".to_string())?;
//! db.build()?; // on disk whole when this returns, or not at all
//!
//! let db = RingDb::<String>::load(&dir, BackendPreference::Cpu)?;
//! assert_eq!(db.fetch_payload(0)?, "shop");
//! # Ok(())
//! # }
//! ```
//!
//! # Ask more
//!
//! [`search`](SealedRingDb::search) takes any range of distances, exclusive bounds too, and gives the hits
//! [nearest](Search::nearest_first) or [farthest](Search::farthest_first) first or [closest](Search::closest_to) to a
//! distance, with [distances](Search::distances), [page](Search::limit) by [page](Search::after), as a
//! [count](Search::count) or a [sample](Search::sample). The other way round, a number of vectors or a share of them has
//! a [radius](SealedRingDb::radius_for_count) or a [quantile](SealedRingDb::quantile);
//! [`knn`](SealedRingDb::knn) finds the nearest ones. A [histogram](Search::histogram) says how many are how far.
//!
//! All of these can be confined to [some vectors](Search::filter), [end early](Search::cancel) and tell [how
//! far](Search::progress) they are, and hits can be taken [one by one](Search::for_each) as they are found.
//!
//! Places on earth, with distances in kilometres: [`geo`].
//!
//! # What is promised
//!
//! - A vector is a hit exactly when its distance, as defined in docs/EXACTNESS.md in `f64`, is within
//!   the bounds: the same ids on every processor and for every number of threads.
//! - Every hit is returned. Ids ascend, unless another order is asked for.
//! - [`Codes`], and the prefix that may come with them, make searches of large databases read fewer bytes, and
//!   [`Boxes`] those of few dims; they change no answer. A search decides by them only what they prove, and reads the
//!   coordinates of the rest. Damage of them is an error like any other, but loses nothing: [`rebuild_codes`] makes
//!   them anew, and [`OpenOptions::codes`] passes over them.
//! - NaN, infinite coordinates, wrong dims, negative or inverted bounds are errors that name the value.
//! - A program written for ring-db 0.3.0 or 0.3.1, whose library is called `ringdb` as well, compiles
//!   against this one unchanged; [`RingDb::load`] opens the directories it wrote.

#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod error;
pub mod geo;
mod config;
mod query;
mod rules;
mod derived;
mod pool;
mod watch;
mod lookup;
mod order;
mod sample;
mod rank;
mod front;
mod search;
mod many;
mod database;
mod open;
mod builder;
mod salvage;

pub use builder::{BuildOptions, RingDb};
pub use config::{BackendPreference, RingDbConfig};
pub use database::SealedRingDb;
pub use error::{Corruption, Result, RingDbError};
pub use many::{Join, ManyResult};
pub use open::OpenOptions;
pub use order::Cursor;
pub use query::{DiskQuery, QueryResult, RangeQuery, RingQuery};
pub use ringdb_index::{Error as RingError, Explain, Histogram, Ring, RowSet, Tier, TierReport};
pub use ringdb_storage::{Access, Error as StorageError, MappedFile, PayloadCodec, Pod, Verify};
pub use ringdb_storage::{Damage, Loss, Report, Salvaged, SalvagedRow};
pub use rules::{Boxes, Codes};
pub use salvage::{Rebuilt, rebuild_codes, salvage, verify};
pub use search::{Hit, Search, SearchResult};
pub use watch::{CancelToken, Progress};

// The two layers do not know each other and must agree.
const _: () = assert!(ringdb_index::DIMS_MAX == ringdb_storage::limits::DIMS_MAX);
const _: () = assert!(ringdb_index::ROWS_MAX as u64 == ringdb_storage::limits::ROWS_MAX);

/// The README's programs, compiled and run as doctests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
