//! Files, maps, checksums and payloads: the storage layer of ringdb, useful alone.
//!
//! This crate knows no distance. A program that wants values of any serde type out of memory and back
//! by number needs only [`PayloadStoreBuilder`] and [`PayloadStore`]:
//!
//! ```
//! use ringdb_storage::{PayloadStore, PayloadStoreBuilder};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = tempfile::tempdir()?;
//! let (payloads, offsets) = (dir.path().join("words"), dir.path().join("words.offsets"));
//!
//! let mut builder = PayloadStoreBuilder::new()?;
//! for word in ["violin", "banjo", "cello"] {
//!     builder.push((word.to_string(), word.len()))?;
//! }
//! builder.finish_persisted(&payloads, &offsets)?;
//!
//! let store: PayloadStore<(String, usize)> = PayloadStore::load(&payloads, &offsets)?;
//! assert_eq!(store.fetch(1)?, ("banjo".to_string(), 5));
//! # Ok(())
//! # }
//! ```
//!
//! [`SegmentWriter`] and [`Segment`] add rows of f32 beside the payloads, in memory or as a database
//! directory:
//!
//! ```text
//! db/
//!   MANIFEST            names the live segment, the lengths and checksums of its files
//!   LOCK                held by a writer
//!   segment-000001/
//!     vectors.bin       rows, row-major
//!     payloads.bin      the bytes of each payload, one after another
//!     offsets.bin       where each begins: n + 1 numbers
//! ```
//!
//! Every file begins with a 64-byte header that carries its kind, format version, the database's uuid
//! and generation, counts and checksums (docs/FORMAT.md draws them). A writer works in a private
//! directory inside `db/`; the rename of MANIFEST is the one moment at which a new database is there.
//! Files are never changed after that. What `open` returns has been checked in full: lengths,
//! checksums, offsets, and that the files belong together.
//!
//! **Format version 0 is not kept readable**: the first lasting version is 1.

#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    warn(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

#[cfg(target_endian = "big")]
compile_error!(
    "ringdb maps little-endian files as they are and does not support big-endian targets"
);

mod error;
mod layout;
pub mod limits;
mod platform;
// Bytes: headers, maps, files that grow, names that become public.
mod header;
mod regular;
mod mapped;
mod append;
mod publish;
// What is stored.
mod payload;
mod vectors;
mod legacy;
mod manifest;
// How it is committed.
mod claim;
mod leftovers;
mod staging;
mod segment;

pub use error::{Error, Result};
pub use mapped::MappedFile;
pub use payload::{PayloadCodec, PayloadStore, PayloadStoreBuilder};
pub use segment::{Segment, SegmentWriter};
pub use vectors::Vectors;
