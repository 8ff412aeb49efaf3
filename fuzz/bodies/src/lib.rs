//! The bodies of the fuzz targets: plain functions over bytes, one a target. The harness in `fuzz/`
//! feeds them inputs of its own making; `tests/replay.rs` feeds them the committed corpus.
//!
//! A body fails by panicking. Errors that the library returns are what it expects of bad bytes. It
//! returns whether the input was read whole, which the replay holds against the names of the seeds.
//!
//! A new target is a module here, the same name in `fuzz_targets/`, in the harness's `Cargo.toml` and in
//! the replay, and a corpus; the replay fails while one of them is missing.

mod files;
mod coded;
mod decode;
mod directory;
mod manifest;
mod npy;
mod payload_store;
mod search;

pub use decode::decode;
pub use directory::directory;
pub use manifest::manifest;
pub use npy::{npy, npy_file};
pub use payload_store::payload_store;
pub use search::search;
