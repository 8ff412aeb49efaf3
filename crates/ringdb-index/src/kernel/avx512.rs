//! The vocabulary in AVX-512: eight lanes in one register.
//!
//! Invariant: an [`Avx512`] exists only where the processor has AVX-512F, so every use of these
//! intrinsics is proven by the value at hand. Nothing is read outside the slices given, and no
//! fused multiply-add is used.
#![expect(
    unsafe_code,
    reason = "intrinsics need the proof that the processor has them, which the token carries and the compiler cannot see"
)]

use std::arch::x86_64::*;

use super::chunk::{CHUNK_ROWS, Chunk, Prepared};
use super::lanes::{self, Lanes};

/// Proof that this processor has AVX-512F, and with it AVX2.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx512(());

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        // The compiler takes the other three for granted where AVX-512F is enabled, and a hypervisor
        // may mask them one by one.
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        found.then_some(Self(()))
    }

    pub(super) fn hits(self, chunk: &Chunk<'_>, found: &mut [u32; CHUNK_ROWS]) -> usize {
        // SAFETY: the function is safe but for its need of AVX-512F, and `self` was made by
        // `detect` alone, which found it.
        unsafe { hits(self, chunk, found) }
    }

    pub(super) fn s64(self, row: &[f32], query: &Prepared) -> f64 {
        // SAFETY: as in `hits`, AVX-512F is there because `self` is.
        unsafe { s64(self, row, query) }
    }
}

#[target_feature(enable = "avx512f")]
fn hits(lanes: Avx512, chunk: &Chunk<'_>, found: &mut [u32; CHUNK_ROWS]) -> usize {
    lanes::hits(lanes, chunk, found)
}

#[target_feature(enable = "avx512f")]
fn s64(lanes: Avx512, row: &[f32], query: &Prepared) -> f64 {
    lanes::s64(lanes, row, query)
}

impl Avx512 {
    #[inline(always)]
    fn add_squares_of(self, sums: __m512d, x: __m256, q: &[f64; 8]) -> __m512d {
        // SAFETY: `self` proves AVX-512F. The load needs no alignment and reads the eight f64
        // borrowed as `q`.
        unsafe {
            let difference = _mm512_sub_pd(_mm512_cvtps_pd(x), _mm512_loadu_pd(q.as_ptr()));
            _mm512_add_pd(sums, _mm512_mul_pd(difference, difference))
        }
    }
}

impl Lanes for Avx512 {
    type Sums = __m512d;

    #[inline(always)]
    fn zero(self) -> Self::Sums {
        // SAFETY: `self` proves AVX-512F, all that this needs.
        unsafe { _mm512_setzero_pd() }
    }

    #[inline(always)]
    fn add_squares(self, sums: Self::Sums, x: &[f32; 8], q: &[f64; 8]) -> Self::Sums {
        // SAFETY: `self` proves AVX-512F, which includes the AVX needed here. The load needs no
        // alignment and reads the eight f32 borrowed as `x`.
        let x = unsafe { _mm256_loadu_ps(x.as_ptr()) };
        self.add_squares_of(sums, x, q)
    }

    #[inline(always)]
    fn add_squares_of_tail(self, sums: Self::Sums, x: &[f32], q: &[f64; 8]) -> Self::Sums {
        let n = x.len().min(8);
        // SAFETY: `self` proves AVX-512F. The mask selects the first n of sixteen lanes, n is at
        // most the length of `x`, and a masked load neither reads nor faults on lanes that are not
        // selected: those are zero. The cast keeps the low eight lanes, and n is at most 8.
        let x = unsafe { _mm512_castps512_ps256(_mm512_maskz_loadu_ps((1 << n) - 1, x.as_ptr())) };
        self.add_squares_of(sums, x, q)
    }

    #[inline(always)]
    fn tree_sum(self, sums: Self::Sums) -> f64 {
        // SAFETY: these act on registers and need AVX-512F, which `self` proves, and AVX and SSE2,
        // which come with it.
        unsafe {
            let four = _mm256_add_pd(
                _mm512_castpd512_pd256(sums),
                _mm512_extractf64x4_pd::<1>(sums),
            );
            let two = _mm_add_pd(
                _mm256_castpd256_pd128(four),
                _mm256_extractf128_pd::<1>(four),
            );
            _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)))
        }
    }
}
