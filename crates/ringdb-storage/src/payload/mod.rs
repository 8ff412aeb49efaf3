//! Payloads: a value of the user's kept beside each row, encoded when it is pushed, decoded when it is
//! fetched, on disk in between.
//!
//! Knows no vectors and works alone. Read in this order: `budget` (time and depth of decoding), `codec`
//! (bytes of one value), `kind` (what the payloads of a store have in common), `record` (one payload
//! with its checksum), `offsets` (where each begins and ends), `store` (reading), `builder` (writing).

mod budget;
mod codec;
mod kind;
mod record;
mod offsets;
mod store;
// After what it finishes into.
mod builder;

pub(crate) use builder::Encoded;
pub use builder::PayloadStoreBuilder;
pub use codec::PayloadCodec;
pub(crate) use kind::PayloadKind;
pub use kind::type_name;
pub(crate) use offsets::{Offsets, out_of_order};
pub(crate) use record::Records;
pub use store::{PayloadStore, Payloads};
