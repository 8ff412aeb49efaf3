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
use super::codes::{self, CodeChunk, CodeLanes, Judged};
use super::lanes::{self, Lanes};
use super::prefix::{self, PrefixChunk, PrefixLanes};
use super::work::Work;
use crate::code::{BATCH_QUERIES, CodeBatch, CodeQuery, FramedRows, GROUP, Line, TILE_ROWS};
use crate::prefix::{PrefixFrame, PrefixQuery};
use crate::ring::Thresholds;

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

    pub(super) fn judge_tiles(self, chunk: &CodeChunk<'_>, judged: &mut Judged) {
        // SAFETY: as in `hits`, NEON is there because `self` is.
        unsafe { judge_tiles(self, chunk, judged) }
    }

    pub(super) fn run<W: Work>(self, work: W) -> W::Output {
        // SAFETY: as in `hits`, NEON is there because `self` is.
        unsafe { run(self, work) }
    }

    pub(super) fn judge_prefixes(self, chunk: &PrefixChunk<'_>, judged: &mut Judged) {
        // SAFETY: as in `hits`, NEON is there because `self` is.
        unsafe { judge_prefixes(self, chunk, judged) }
    }

    pub(super) fn encode_tile(
        self,
        rows: &FramedRows,
        dims: usize,
        lines: &mut [Line],
        fine: &mut [u8],
    ) {
        // SAFETY: as in `hits`, NEON is there because `self` is.
        unsafe { encode_tile(rows, dims, lines, fine) }
    }

    pub(super) fn encode_prefixes(
        self,
        frame: &PrefixFrame,
        rows: &FramedRows,
        lines: &mut [Line],
        zs: &mut Vec<f64>,
    ) {
        // SAFETY: as in `hits`, NEON is there because `self` is.
        unsafe { encode_prefixes(frame, rows, lines, zs) }
    }

    pub(super) fn product(
        self,
        left: &[f64],
        inner: usize,
        right: &[f32],
        width: usize,
        result: &mut [f64],
    ) {
        // SAFETY: as in `hits`, NEON is there because `self` is.
        unsafe { product(left, inner, right, width, result) }
    }

    pub(super) fn judge_batch(
        self,
        tiles: &[Line],
        rows: usize,
        batch: &CodeBatch<'_>,
        judged: &mut [Judged; BATCH_QUERIES],
    ) {
        // SAFETY: as in `hits`, NEON is there because `self` is.
        unsafe { judge_batch(self, tiles, rows, batch, judged) }
    }

    pub(super) fn judge_fine(
        self,
        chunk: &CodeChunk<'_>,
        fine: &[u8],
        unsure: &[u16],
        judged: &mut Judged,
        left: &mut [u16; CHUNK_ROWS],
    ) -> usize {
        // SAFETY: as in `hits`, NEON is there because `self` is.
        unsafe { judge_fine(self, chunk, fine, unsure, judged, left) }
    }

    pub(super) fn judge_rows(
        self,
        coordinates: &[f32],
        query: &Prepared,
        thresholds: Thresholds,
        unsure: &[u16],
        judged: &mut Judged,
    ) -> usize {
        // SAFETY: as in `hits`, NEON is there because `self` is.
        unsafe { judge_rows(self, coordinates, query, thresholds, unsure, judged) }
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

#[target_feature(enable = "neon")]
fn judge_tiles(lanes: Neon, chunk: &CodeChunk<'_>, judged: &mut Judged) {
    codes::judge_tiles(lanes, chunk, judged);
}

#[target_feature(enable = "neon")]
fn run<W: Work>(lanes: Neon, work: W) -> W::Output {
    work.on(lanes)
}

#[target_feature(enable = "neon")]
fn judge_prefixes(lanes: Neon, chunk: &PrefixChunk<'_>, judged: &mut Judged) {
    prefix::judge_prefixes(lanes, chunk, judged);
}

#[target_feature(enable = "neon")]
fn encode_tile(rows: &FramedRows, dims: usize, lines: &mut [Line], fine: &mut [u8]) {
    crate::code::encode_tile(rows, dims, lines, fine);
}

#[target_feature(enable = "neon")]
fn encode_prefixes(frame: &PrefixFrame, rows: &FramedRows, lines: &mut [Line], zs: &mut Vec<f64>) {
    crate::prefix::encode_tile(frame, rows, lines, zs);
}

#[target_feature(enable = "neon")]
fn product(left: &[f64], inner: usize, right: &[f32], width: usize, result: &mut [f64]) {
    crate::prefix::product(left, inner, right, width, result);
}

#[target_feature(enable = "neon")]
fn judge_batch(
    lanes: Neon,
    tiles: &[Line],
    rows: usize,
    batch: &CodeBatch<'_>,
    judged: &mut [Judged; BATCH_QUERIES],
) {
    codes::judge_one_by_one(lanes, tiles, rows, batch, judged);
}

#[target_feature(enable = "neon")]
fn judge_fine(
    lanes: Neon,
    chunk: &CodeChunk<'_>,
    fine: &[u8],
    unsure: &[u16],
    judged: &mut Judged,
    left: &mut [u16; CHUNK_ROWS],
) -> usize {
    codes::judge_fine(lanes, chunk, fine, unsure, judged, left)
}

#[target_feature(enable = "neon")]
fn judge_rows(
    lanes: Neon,
    coordinates: &[f32],
    query: &Prepared,
    thresholds: Thresholds,
    unsure: &[u16],
    judged: &mut Judged,
) -> usize {
    codes::judge_rows(lanes, coordinates, query, thresholds, unsure, judged)
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

impl CodeLanes for Neon {
    #[inline(always)]
    fn dots(self, codes: &[Line], query: &CodeQuery) -> [i32; TILE_ROWS] {
        let (whole, _) = query.whole.as_chunks::<GROUP>();
        // SAFETY: `self` proves NEON. The loads need the alignment of one element only; four of sixteen
        // bytes cover the 64 of a line, one reads the four i16 of a group.
        unsafe {
            // A register for each row, with a sum for each of four dims.
            let mut sums = [vdupq_n_s32(0); TILE_ROWS];
            for (line, p) in codes.iter().zip(whole) {
                let p = vld1_s16(p.as_ptr());
                let (quarters, _) = line.as_chunks::<16>();
                for (sums, quarter) in sums.as_chunks_mut::<4>().0.iter_mut().zip(quarters) {
                    let codes = vld1q_u8(quarter.as_ptr());
                    // Codes are below 256, so they are the same numbers as i16.
                    let first = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(codes)));
                    let second = vreinterpretq_s16_u16(vmovl_high_u8(codes));
                    sums[0] = vmlal_s16(sums[0], vget_low_s16(first), p);
                    sums[1] = vmlal_s16(sums[1], vget_high_s16(first), p);
                    sums[2] = vmlal_s16(sums[2], vget_low_s16(second), p);
                    sums[3] = vmlal_s16(sums[3], vget_high_s16(second), p);
                }
            }
            sums.map(|sums| vaddvq_s32(sums).wrapping_sub(query.bias))
        }
    }

    #[inline(always)]
    fn fine_dot(self, codes: &[u8], query: &CodeQuery) -> i32 {
        let (whole, _) = query.whole.as_chunks::<8>();
        // SAFETY: `self` proves NEON. The loads need the alignment of one element only and read eight
        // bytes and eight i16, arrays of that length.
        unsafe {
            let mut sum = vdupq_n_s32(0);
            for (codes, p) in codes.as_chunks::<8>().0.iter().zip(whole) {
                let codes = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(codes.as_ptr())));
                let p = vld1q_s16(p.as_ptr());
                sum = vmlal_s16(sum, vget_low_s16(codes), vget_low_s16(p));
                sum = vmlal_s16(sum, vget_high_s16(codes), vget_high_s16(p));
            }
            vaddvq_s32(sum)
        }
    }

    /// The instruction cannot be had in stable Rust.
    #[inline(always)]
    fn prefetch<T>(self, _values: &[T]) {}
}

impl PrefixLanes for Neon {
    #[inline(always)]
    fn nibble_dots(self, codes: &[Line], query: &PrefixQuery) -> [i32; TILE_ROWS] {
        let (whole, _) = query.whole.as_chunks::<GROUP>();
        let (whole, _) = whole.as_chunks::<2>();
        // SAFETY: `self` proves NEON. The loads need the alignment of one element only; four of sixteen
        // bytes cover the 64 of a line, two read the four i16 of a group each.
        unsafe {
            // A register for each row, with a sum for each of four numbers.
            let mut sums = [vdupq_n_s32(0); TILE_ROWS];
            for (line, [p, q]) in codes.iter().zip(whole) {
                let pairs = [vld1_s16(p.as_ptr()), vld1_s16(q.as_ptr())];
                let (quarters, _) = line.as_chunks::<16>();
                for (sums, quarter) in sums.as_chunks_mut::<4>().0.iter_mut().zip(quarters) {
                    let bytes = vld1q_u8(quarter.as_ptr());
                    let nibbles = [vandq_u8(bytes, vdupq_n_u8(0x0f)), vshrq_n_u8::<4>(bytes)];
                    for (codes, p) in nibbles.into_iter().zip(pairs) {
                        let first = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(codes)));
                        let second = vreinterpretq_s16_u16(vmovl_high_u8(codes));
                        sums[0] = vmlal_s16(sums[0], vget_low_s16(first), p);
                        sums[1] = vmlal_s16(sums[1], vget_high_s16(first), p);
                        sums[2] = vmlal_s16(sums[2], vget_low_s16(second), p);
                        sums[3] = vmlal_s16(sums[3], vget_high_s16(second), p);
                    }
                }
            }
            sums.map(|sums| vaddvq_s32(sums).wrapping_sub(query.bias))
        }
    }
}
