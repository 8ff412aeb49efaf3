//! The vocabulary in plain Rust: the kernel of processors without a better one, and a second
//! opinion on the others.
//!
//! Invariant: safe code without intrinsics; the compiler may vectorise it but, as Rust never
//! contracts floating-point operations, not change a bit.

use super::chunk::{CHUNK_ROWS, Chunk, Prepared};
use super::lanes::{self, Lanes};

/// Needs no proof: every processor runs this.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Scalar;

impl Scalar {
    pub(super) fn hits(self, chunk: &Chunk<'_>, found: &mut [u32; CHUNK_ROWS]) -> usize {
        lanes::hits(self, chunk, found)
    }

    pub(super) fn s64(self, row: &[f32], query: &Prepared) -> f64 {
        lanes::s64(self, row, query)
    }
}

impl Lanes for Scalar {
    type Sums = [f64; 8];

    #[inline(always)]
    fn zero(self) -> Self::Sums {
        [0.0; 8]
    }

    #[inline(always)]
    fn add_squares(self, mut sums: Self::Sums, x: &[f32; 8], q: &[f64; 8]) -> Self::Sums {
        for l in 0..8 {
            let difference = f64::from(x[l]) - q[l];
            sums[l] += difference * difference;
        }
        sums
    }

    #[inline(always)]
    fn add_squares_of_tail(self, mut sums: Self::Sums, x: &[f32], q: &[f64; 8]) -> Self::Sums {
        for (sum, (&x, &q)) in sums.iter_mut().zip(x.iter().zip(q)) {
            let difference = f64::from(x) - q;
            *sum += difference * difference;
        }
        sums
    }

    #[inline(always)]
    fn tree_sum(self, s: Self::Sums) -> f64 {
        ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
    }
}
