//! Boxes: rows of few coordinates, put side by side in blocks with bounds around each, so that a search looks
//! at the few blocks that a ring cuts and takes or leaves all others whole.
//!
//! No estimate is involved: the distance to the nearest and to the farthest point of a box bound those of its
//! rows bit for bit, because the definition is monotone in every difference (docs/EXACTNESS.md, "Boxes").
//!
//! Reading order: `frame` (where the bytes lie, level by level), `fill` (rows in their order into bytes),
//! `query` (what is asked of boxes), `view` (borrowed boxes, checked once).

mod frame;

mod fill;

mod query;

mod view;

pub(crate) use fill::{Bounds, Record, fill_rows, levels_of};
pub(crate) use frame::{BLOCK_ROWS, BLOCK_TILES};
pub(crate) use query::BoxQuery;
pub(crate) use view::line_bytes;

pub use frame::{BOX_DIMS_MAX, BoxFrame};
pub use view::Boxes;
