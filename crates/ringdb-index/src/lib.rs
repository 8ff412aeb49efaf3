//! Exact ring search over rows of `f32`: which vectors lie at a distance between `d_min` and
//! `d_max` from this one?
//!
//! The crate holds the definition of distance, inner loops that reproduce it to the last bit at the
//! speed of memory, and the scan that runs them on all threads. It knows no files and keeps no
//! state: rows are a borrowed slice, wherever it comes from.
//!
//! ```
//! use ringdb_index::{Kernel, Ring, Rows, check_finite, distances, ring_ids};
//!
//! # fn main() -> ringdb_index::Result<()> {
//! // Four vectors of three coordinates, one after the other.
//! let data = [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 2.0, 0.0, 3.0, 0.0, 4.0];
//! check_finite(&data)?;
//! let rows = Rows::new(&data, 3)?;
//!
//! // Everything nearer than 3 to the origin, but not the origin itself.
//! let ring = Ring::from_bounds((std::ops::Bound::Excluded(0.0), std::ops::Bound::Excluded(3.0)))?;
//! let query = [0.0, 0.0, 0.0];
//! let kernel = Kernel::fastest();
//! let ids = ring_ids(rows, &query, &ring, kernel)?;
//! assert_eq!(ids, [1, 2]);
//! assert_eq!(distances(rows, &query, &ids, kernel)?, [1.0, 2.0]);
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//! - A row is a hit exactly when [`Ring::contains`] its [`distance()`]; bounds are inclusive unless
//!   stated otherwise, and compared in `f64`.
//! - All hits are returned, in ascending order of id, on every processor, with every [`Kernel`] and
//!   any number of threads.
//! - NaN, infinite coordinates, negative or inverted bounds and wrong dimensions are errors, found
//!   before the scan.
//!
//! # Reading order
//! `error`, then `ring` (an interval of distances becomes two thresholds), `distance` (the
//! definition and what follows from it), `rows` (the view of the data), `code` and `prefix` (smaller forms
//! of the rows, with bounds on what they lose), `boxes` (around rows of few coordinates), `grid`, `edges` and `bins` (of
//! histograms), `kernel` (the inner loops), `row_set` and `segment` (rows with what was made of them, all or some),
//! `choose` and `build` (how codes are made), `explain`, `plan`, `guard`, `field`, `scan`, `span`, `batch`, `walk`, `tally` and
//! `box_tally` (searches and histograms on one thread), `arrange` (how boxes are made), `search` (on all threads),
//! `portions` (a search as it goes on), `histogram`, `many` (many queries at once), and `join`. Each uses only those
//! before it.
#![deny(missing_docs)]

#[cfg(target_endian = "big")]
compile_error!("ringdb-index is tested on little-endian processors only");

mod error;
mod ring;

mod distance;
mod rows;

mod code;
mod prefix;
mod boxes;

mod grid;
mod edges;
mod bins;

mod kernel;

mod row_set;
mod segment;

mod choose;
mod build;

mod explain;
mod plan;
mod guard;
mod field;
mod scan;
mod span;
mod batch;
mod walk;
mod tally;
mod box_tally;

mod arrange;

mod search;

mod portions;
mod histogram;
mod many;

mod join;

#[cfg(test)]
#[path = "../tests/exact/data.rs"]
mod data;

pub use arrange::{Arranged, arrange, boxes_pay};
pub use boxes::{BOX_DIMS_MAX, BoxFrame, Boxes};
pub use build::{Encoded, encode};
pub use code::{CodeFrame, Codes};
pub use distance::{check_environment, distance, s64};
pub use edges::Edges;
pub use error::{Error, Result};
pub use explain::{Explain, Tier, TierReport};
pub use guard::{Guard, Trusted};
pub use histogram::{Histogram, histogram};
pub use join::{Join, Pair, join, join_with};
pub use kernel::Kernel;
pub use many::{Batch, search_many};
pub use portions::{Portions, portions};
pub use prefix::{Prefix, PrefixFrame};
pub use ring::Ring;
pub use row_set::RowSet;
pub use rows::{DIMS_MAX, ROWS_MAX, Rows, check_finite};
pub use search::{count, distances, ring_ids, search};
pub use segment::Segment;
