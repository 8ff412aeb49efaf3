//! Certified codes: each row in a quarter of its bytes, with a bound on what that loses.
//!
//! A code estimates the squared distance to a query and comes with a certificate, a proven bound on
//! the estimate's error. Where the bound shows on which side of a ring's thresholds the true sum lies,
//! the row is decided; where it does not, the row is unsure and its coordinates are read. So an answer
//! never depends on a code, only its speed does.
//!
//! Invariant: codes are a function of the rows alone. The proof of the certificate stands in
//! docs/EXACTNESS.md; the names here are its names.
//!
//! Reading order: `layout` (where the bytes lie), `round` (in a direction), `frame` (centre and scale
//! of a set of rows), `encode` (rows into codes), `certificate` (a query in integers, and its bound),
//! `batch` (queries side by side), `view` (borrowed codes, checked once).

mod layout;
mod round;

mod frame;

mod encode;

mod certificate;

mod batch;

mod view;

#[cfg(target_arch = "x86_64")]
pub(crate) use batch::HALF_QUERIES;
pub(crate) use batch::{BATCH_QUERIES, CodeBatch};
#[cfg(test)]
pub(crate) use certificate::judged;
pub(crate) use certificate::{
    Bound, CodeQuery, FramedQuery, Integers, Limits, P_MAX, Planes, Tier, UP, Verdict, estimate,
    sides, verdict,
};
pub(crate) use encode::{
    FramedRows, NORM_SLACK, STEP_MIN, encode_tile, in_steps, largest, nearest,
};
pub(crate) use frame::{centre_of_sample, largest_norm_sq, typical_norm};
pub(crate) use layout::{
    GROUP, LINE, Line, TAIL_LINES, TILE_ROWS, TileTail, fine_stride, from_half, half_at_least,
    tile_bytes,
};
pub(crate) use round::up;

pub use frame::CodeFrame;
pub use view::Codes;
