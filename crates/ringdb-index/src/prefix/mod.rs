//! The prefix: each row in half a byte for a few numbers, which throw out what is far before its codes are
//! read.
//!
//! The numbers are the first coordinates of the row after a rotation that gathers what rows differ in most,
//! and the length of the rest; where no direction stands out they are all of the coordinates, as they are.
//! As with codes, an estimate comes with a proven bound, and a row that it does not decide goes on.
//!
//! Invariant: any rotation that is used gives a true bound, a bad one a loose bound. The proof stands in
//! docs/EXACTNESS.md; the names here are its names.
//!
//! Reading order: `layout` (where the bytes lie), `product` (of rows and a rotation), `frame` (the rotation
//! and what it loses), `encode` (rows into prefixes), `certificate` (a query in integers, and its bound),
//! `view` (borrowed prefixes, checked once).

mod layout;
mod product;

mod frame;

mod encode;

mod certificate;

mod view;

pub(crate) use certificate::{PrefixQuery, estimate_prefix};
pub(crate) use encode::{encode_tile, norm_sq_of};
pub(crate) use frame::{DIMS_ROTATED_MAX, KEPT_MAX, KEPT_STEP};
pub(crate) use layout::{NIBBLE_GROUP, PrefixTail, nibbles, tail_lines};
pub(crate) use product::product;

pub use frame::PrefixFrame;
pub use view::Prefix;
