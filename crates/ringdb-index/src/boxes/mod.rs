//! Boxes: rows of few coordinates, put side by side in blocks with bounds around each, so that a search looks
//! at the few blocks that a ring cuts and takes or leaves all others whole.
//!
//! No estimate is involved: the distance to the nearest and to the farthest point of a box bound those of its
//! rows bit for bit, because the definition is monotone in every difference (docs/EXACTNESS.md, "Boxes").
//!
//! Reading order: `frame` (where the bytes lie, level by level), `fill` (rows in their order into bytes),
//! `query` (what is asked of boxes), `view` (borrowed boxes, checked once).

/// Calls a function of so many dims, 1 to [`BOX_DIMS_MAX`], with them as a constant in the place of `_`.
macro_rules! of_dims {
    ($dims:expr, $function:ident::<_ $(, $type:ty)*>($($arguments:tt)*)) => {
        match $dims {
            1 => $function::<1 $(, $type)*>($($arguments)*),
            2 => $function::<2 $(, $type)*>($($arguments)*),
            3 => $function::<3 $(, $type)*>($($arguments)*),
            4 => $function::<4 $(, $type)*>($($arguments)*),
            5 => $function::<5 $(, $type)*>($($arguments)*),
            6 => $function::<6 $(, $type)*>($($arguments)*),
            7 => $function::<7 $(, $type)*>($($arguments)*),
            8 => $function::<8 $(, $type)*>($($arguments)*),
            9 => $function::<9 $(, $type)*>($($arguments)*),
            10 => $function::<10 $(, $type)*>($($arguments)*),
            11 => $function::<11 $(, $type)*>($($arguments)*),
            _ => $function::<12 $(, $type)*>($($arguments)*),
        }
    };
}

mod frame;

mod fill;

mod query;

mod view;

pub(crate) use of_dims;

pub(crate) use fill::{Bounds, Record, fill_rows, levels_of};
pub(crate) use frame::{BLOCK_ROWS, BLOCK_TILES};
pub(crate) use query::BoxQuery;
pub(crate) use view::line_bytes;

pub use frame::{BOX_DIMS_MAX, BoxFrame};
pub use view::Boxes;
