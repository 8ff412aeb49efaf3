//! Every maximum of the storage layer, each with its reason.

/// Coordinates per row: 65 536 f32 are 256 KiB, so a row and its query fit a core's second-level cache.
pub const DIMS_MAX: usize = 65_536;

/// Rows, and so payloads, per database: ids are `u32`, and one value stays free to mean "none".
pub const ROWS_MAX: u64 = u32::MAX as u64;

/// Bytes of one payload: it is held in memory whole while it is encoded and decoded.
pub const PAYLOAD_BYTES_MAX: u64 = 1 << 30;
