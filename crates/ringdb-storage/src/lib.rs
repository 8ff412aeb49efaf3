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
//!     payloads.bin      the bytes of each payload and their checksum, one after another
//!     offsets.bin       where each begins: n + 1 numbers
//!     codes.bin         bytes that a program derives from the rows, if it does
//!     fine.bin          more of them
//!     prefix.bin        and more again
//! ```
//!
//! A program that computes something from the rows which it wants to find again beside them, such as an
//! index, does so in [`SegmentWriter::finish_with`] and reads it as [`Derived`].
//!
//! Every file begins with a 64-byte header that carries its kind, format version, the database's uuid
//! and generation and counts, and ends with a checksum for each 64 KiB (docs/FORMAT.md draws them). A
//! writer works in a private directory inside `db/`; the rename of MANIFEST is the one moment at which
//! a new database is there. Files are never changed after that.
//!
//! What `open` returns has been checked in full: lengths, checksums, offsets, and that the files belong
//! together. [`ReadOptions`] can put off the checksums of blocks until they are used ([`Verify`]), and
//! have the files copied instead of mapped ([`Access`]). A payload's own checksum is compared whenever
//! it is fetched. [`verify`](verify()) reads all of a directory and names everything that is damaged, and
//! [`salvage`](salvage()) makes a new database of what is provably whole.

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

mod count;
mod error;
mod layout;
pub mod limits;
mod platform;
// What stands for a file system.
mod mapped;
// Public for tests that need another disk than the real one, and for them alone.
#[doc(hidden)]
pub mod disk;
// Bytes: the frame of a file, reading it, files that grow, names that become public.
mod header;
mod footer;
mod contents;
mod body;
mod row_copy;
mod append;
mod publish;
mod temporary;
// What is stored.
mod vectors;
mod options;
mod payload;
mod legacy;
mod manifest;
mod derived;
// How it is committed.
mod claim;
mod leftovers;
mod staging;
mod segment;
mod writer;
// What is left of it after damage.
mod survey;
mod verify;
mod salvage;
mod rederive;

pub use body::Verify;
pub use bytemuck::Pod;
pub use contents::{Access, MappedFile};
// For the facade, which names numbers of things as this crate does.
#[doc(hidden)]
pub use count::counted;
pub use derived::{Derived, DerivedNames, DerivedWriter};
pub use error::{Error, Result};
pub use options::{PayloadType, ReadOptions};
pub use payload::{PayloadCodec, PayloadStore, PayloadStoreBuilder, Payloads, type_name};
pub use rederive::rederive;
#[doc(hidden)]
pub use rederive::rederive_on;
pub use salvage::{Loss, Salvaged, SalvagedRow, salvage};
pub use segment::Segment;
pub use survey::Damage;
pub use vectors::{RowCheck, Vectors};
pub use verify::{Report, is_derived_file, verify, verify_with};
pub use writer::SegmentWriter;
