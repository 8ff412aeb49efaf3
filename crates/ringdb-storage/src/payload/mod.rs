//! Payloads: a value of the user's kept beside each row, encoded when it is pushed, decoded when it is
//! fetched, on disk in between.
//!
//! Knows no vectors and works alone. Read in this order: `codec` (bytes of one value), `offsets` (where
//! each begins and ends), `store` (reading), `builder` (writing).

mod codec;
mod offsets;
mod store;
// After what it finishes into.
mod builder;

pub(crate) use builder::Encoded;
pub use builder::PayloadStoreBuilder;
pub use codec::PayloadCodec;
pub(crate) use offsets::Offsets;
pub use store::PayloadStore;
