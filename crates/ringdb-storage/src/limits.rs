//! Every maximum of the storage layer, each with its reason.

/// Coordinates per row: 65 536 f32 are 256 KiB, so a row and its query fit a core's second-level cache.
pub const DIMS_MAX: usize = 65_536;

/// Rows, and so payloads, per database: ids are `u32`, and one value stays free to mean "none".
pub const ROWS_MAX: u64 = u32::MAX as u64;

/// Bytes of one payload: it is held in memory whole while it is encoded and decoded.
pub const PAYLOAD_BYTES_MAX: u64 = 1 << 30;

/// Bytes of the name that is stored for the type of the payloads: longer ones help nobody.
pub const TYPE_NAME_BYTES_MAX: usize = 255;

/// The alignment of payloads that are read in place, in bytes: what the widest numbers and the vectors
/// of most processors ask for.
pub const POD_ALIGN: usize = 16;
