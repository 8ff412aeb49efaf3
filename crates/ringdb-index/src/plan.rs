//! The plan of a span: codes or rows, decided by doing.
//!
//! Invariant: a plan changes what a search costs, never what it finds. The first chunk of each span is
//! searched with codes; that is work done, not a rehearsal, and it tells what the rest would cost.

use crate::code::{TILE_ROWS, fine_stride, tile_bytes};

/// By how much reading single rows is dearer, byte for byte, than reading all of them in order, as long
/// as few are read.
const SINGLE: f64 = 4.0;

/// What codes cost for a set of rows, in bytes a row, relative to a scan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Costs {
    tile: f64,
    fine: f64,
    row: f64,
}

impl Costs {
    pub(crate) fn new(dims: usize) -> Self {
        Self {
            tile: (tile_bytes(dims) / TILE_ROWS) as f64,
            fine: fine_stride(dims) as f64,
            row: (size_of::<f32>() * dims) as f64,
        }
    }

    /// Whether rows like these, of which so many shares were unsure, are better scanned without codes.
    pub(crate) fn prefer_scan(&self, unsure: f64, unsure_fine: f64) -> bool {
        let picked = |share: f64| (SINGLE * share).min(1.0);
        let codes = self.tile + self.fine * picked(unsure) + self.row * picked(unsure_fine);
        codes > self.row
    }
}
