//! What a query asks of boxes and of the rows in them.

use super::frame::BOX_DIMS_MAX;
use crate::ring::Thresholds;

/// A query of at most [`BOX_DIMS_MAX`] coordinates, in `f64`, and its ring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BoxQuery {
    /// Zeros beyond its dims.
    pub(crate) coordinates: [f64; BOX_DIMS_MAX],
    pub(crate) dims: usize,
    pub(crate) thresholds: Thresholds,
}

impl BoxQuery {
    pub(crate) fn new(query: &[f32], thresholds: Thresholds) -> Self {
        let mut coordinates = [0.0; BOX_DIMS_MAX];
        for (place, &value) in coordinates.iter_mut().zip(query) {
            *place = f64::from(value);
        }
        Self {
            coordinates,
            dims: query.len(),
            thresholds,
        }
    }
}
