//! The vocabulary in NEON: eight lanes in four registers, two each.
//!
//! Invariant: a [`Neon`] exists only where the processor has NEON, so every use of these intrinsics
//! is proven by the value at hand. Nothing is read outside the slices given. Square and sum are
//! separate instructions; the fused `vfmaq_f64` is not used.
#![expect(
    unsafe_code,
    reason = "intrinsics need the proof that the processor has them, which the token carries and the compiler cannot see"
)]

use std::arch::aarch64::*;
use std::arch::is_aarch64_feature_detected;

use super::chunk::{CHUNK_ROWS, Chunk, Prepared};
use super::lanes::{self, Lanes};

/// Proof that this processor has NEON.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Neon(());

impl Neon {
    pub(super) fn detect() -> Option<Self> {
        is_aarch64_feature_detected!("neon").then_some(Self(()))
    }

    pub(super) fn hits(self, chunk: &Chunk<'_>, found: &mut [u32; CHUNK_ROWS]) -> usize {
        // SAFETY: the function is safe but for its need of NEON, and `self` was made by `detect`
        // alone, which found it.
        unsafe { hits(self, chunk, found) }
    }

    pub(super) fn s64(self, row: &[f32], query: &Prepared) -> f64 {
        // SAFETY: as in `hits`, NEON is there because `self` is.
        unsafe { s64(self, row, query) }
    }
}

#[target_feature(enable = "neon")]
fn hits(lanes: Neon, chunk: &Chunk<'_>, found: &mut [u32; CHUNK_ROWS]) -> usize {
    lanes::hits(lanes, chunk, found)
}

#[target_feature(enable = "neon")]
fn s64(lanes: Neon, row: &[f32], query: &Prepared) -> f64 {
    lanes::s64(lanes, row, query)
}

impl Lanes for Neon {
    /// Lanes 0 and 1, 2 and 3, 4 and 5, 6 and 7.
    type Sums = [float64x2_t; 4];

    #[inline(always)]
    fn zero(self) -> Self::Sums {
        // SAFETY: `self` proves NEON, all that this needs.
        unsafe { [vdupq_n_f64(0.0); 4] }
    }

    #[inline(always)]
    fn add_squares(
        self,
        [s01, s23, s45, s67]: Self::Sums,
        x: &[f32; 8],
        q: &[f64; 8],
    ) -> Self::Sums {
        // SAFETY: `self` proves NEON. The loads need the alignment of one element only and read f32
        // 0..4 and 4..8 of the eight in `x` and f64 0..2, 2..4, 4..6 and 6..8 of the eight in `q`,
        // all borrowed for the length of the call.
        unsafe {
            let x_low = vld1q_f32(x.as_ptr());
            let x_high = vld1q_f32(x.as_ptr().add(4));
            let d01 = vsubq_f64(vcvt_f64_f32(vget_low_f32(x_low)), vld1q_f64(q.as_ptr()));
            let d23 = vsubq_f64(vcvt_high_f64_f32(x_low), vld1q_f64(q.as_ptr().add(2)));
            let d45 = vsubq_f64(
                vcvt_f64_f32(vget_low_f32(x_high)),
                vld1q_f64(q.as_ptr().add(4)),
            );
            let d67 = vsubq_f64(vcvt_high_f64_f32(x_high), vld1q_f64(q.as_ptr().add(6)));
            [
                vaddq_f64(s01, vmulq_f64(d01, d01)),
                vaddq_f64(s23, vmulq_f64(d23, d23)),
                vaddq_f64(s45, vmulq_f64(d45, d45)),
                vaddq_f64(s67, vmulq_f64(d67, d67)),
            ]
        }
    }

    #[inline(always)]
    fn add_squares_of_tail(self, sums: Self::Sums, x: &[f32], q: &[f64; 8]) -> Self::Sums {
        // NEON has no masked loads.
        let mut padded = [0.0_f32; 8];
        for (lane, &value) in padded.iter_mut().zip(x) {
            *lane = value;
        }
        self.add_squares(sums, &padded, q)
    }

    #[inline(always)]
    fn tree_sum(self, [s01, s23, s45, s67]: Self::Sums) -> f64 {
        // SAFETY: these act on registers and need NEON, which `self` proves.
        unsafe {
            let two = vaddq_f64(vaddq_f64(s01, s45), vaddq_f64(s23, s67));
            vgetq_lane_f64::<0>(two) + vgetq_lane_f64::<1>(two)
        }
    }
}
