//! The vocabulary in AVX-512: eight lanes in one register.
//!
//! Invariant: an [`Avx512`] exists only where the processor has AVX-512F, so every use of these
//! intrinsics is proven by the value at hand. Nothing is read outside the slices given, and no
//! fused multiply-add is used for distances; estimates are defined with it.
#![expect(
    unsafe_code,
    reason = "intrinsics need the proof that the processor has them, which the token carries and the compiler cannot see"
)]

use std::arch::x86_64::*;

use super::chunk::{CHUNK_ROWS, Chunk, Prepared};
use super::codes::{self, CodeChunk, CodeLanes, Judged, Masks};
use super::lanes::{self, Lanes};
use super::prefix::{self, PrefixChunk, PrefixLanes};
use super::work::Work;
use crate::code::{
    BATCH_QUERIES, CodeBatch, CodeQuery, FramedRows, GROUP, HALF_QUERIES, LINE, Limits, Line,
    TAIL_LINES, TILE_ROWS, Tier,
};
use crate::prefix::{PrefixFrame, PrefixQuery};
use crate::ring::Thresholds;

/// Bytes of sixteen upper halves of f32.
const HALVES: usize = 32;

/// Tiles after which it is seen whether the short form of queries pays.
const PROBE_TILES: usize = 4;

/// Proof that this processor has AVX-512F, with BW and VNNI, and AVX2.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx512(());

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        // The compiler takes the other three for granted where AVX-512F is enabled, and a hypervisor
        // may mask them one by one.
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("popcnt");
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

    pub(super) fn judge_tiles(self, chunk: &CodeChunk<'_>, judged: &mut Judged) {
        // SAFETY: as in `hits`, AVX-512 and its parts are there because `self` is.
        unsafe { judge_tiles(self, chunk, judged) }
    }

    pub(super) fn run<W: Work>(self, work: W) -> W::Output {
        // SAFETY: as in `hits`, AVX-512 and its parts are there because `self` is.
        unsafe { run(self, work) }
    }

    pub(super) fn judge_prefixes(self, chunk: &PrefixChunk<'_>, judged: &mut Judged) {
        // SAFETY: as in `hits`, AVX-512 and its parts are there because `self` is.
        unsafe { judge_prefixes(self, chunk, judged) }
    }

    pub(super) fn encode_tile(
        self,
        rows: &FramedRows,
        dims: usize,
        lines: &mut [Line],
        fine: &mut [u8],
    ) {
        // SAFETY: as in `hits`, AVX-512 and its parts are there because `self` is.
        unsafe { encode_tile(rows, dims, lines, fine) }
    }

    pub(super) fn encode_prefixes(
        self,
        frame: &PrefixFrame,
        rows: &FramedRows,
        lines: &mut [Line],
        zs: &mut Vec<f64>,
    ) {
        // SAFETY: as in `hits`, AVX-512 and its parts are there because `self` is.
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
        // SAFETY: as in `hits`, AVX-512 and its parts are there because `self` is.
        unsafe { product(left, inner, right, width, result) }
    }

    pub(super) fn judge_batch(
        self,
        tiles: &[Line],
        rows: usize,
        batch: &CodeBatch<'_>,
        judged: &mut [Judged; BATCH_QUERIES],
    ) {
        // SAFETY: as in `hits`, AVX-512 and its parts are there because `self` is.
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
        // SAFETY: as in `hits`, AVX-512 and its parts are there because `self` is.
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
        // SAFETY: as in `hits`, AVX-512 and its parts are there because `self` is.
        unsafe { judge_rows(self, coordinates, query, thresholds, unsure, judged) }
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

#[target_feature(enable = "avx512f,avx512bw,avx512vnni,popcnt")]
fn judge_tiles(lanes: Avx512, chunk: &CodeChunk<'_>, judged: &mut Judged) {
    codes::judge_tiles(lanes, chunk, judged);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni,popcnt")]
fn run<W: Work>(lanes: Avx512, work: W) -> W::Output {
    work.on(lanes)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni,popcnt")]
fn judge_prefixes(lanes: Avx512, chunk: &PrefixChunk<'_>, judged: &mut Judged) {
    prefix::judge_prefixes(lanes, chunk, judged);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni,popcnt")]
fn encode_tile(rows: &FramedRows, dims: usize, lines: &mut [Line], fine: &mut [u8]) {
    crate::code::encode_tile(rows, dims, lines, fine);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni,popcnt")]
fn encode_prefixes(frame: &PrefixFrame, rows: &FramedRows, lines: &mut [Line], zs: &mut Vec<f64>) {
    crate::prefix::encode_tile(frame, rows, lines, zs);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni,popcnt")]
fn product(left: &[f64], inner: usize, right: &[f32], width: usize, result: &mut [f64]) {
    crate::prefix::product(left, inner, right, width, result);
}

/// The first look of all queries of a batch: each tile is read once. With a query in its short form a tile
/// costs half, and where a row is unsure by that, the tile is looked at again with all of the query.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,popcnt")]
fn judge_batch(
    lanes: Avx512,
    tiles: &[Line],
    rows: usize,
    batch: &CodeBatch<'_>,
    judged: &mut [Judged; BATCH_QUERIES],
) {
    for judged in judged.iter_mut() {
        judged.begin_unseen();
    }
    let tiles = tiles.chunks_exact(batch.short.len() + TAIL_LINES);
    let (mut left, mut n_again) = (rows, 0);
    for (i, tile) in tiles.enumerate() {
        let Some((codes, tail)) = tile.split_last_chunk::<TAIL_LINES>() else {
            return;
        };
        let exist = codes::existing(left);
        left = left.saturating_sub(TILE_ROWS);
        if i >= PROBE_TILES && 3 * n_again > i * BATCH_QUERIES {
            for (half, judged) in judged.chunks_exact_mut(HALF_QUERIES).enumerate() {
                let dots = lanes.half_dots(codes, batch, half);
                let queries = &batch.queries[half * HALF_QUERIES..];
                for ((judged, query), dots) in judged.iter_mut().zip(queries).zip(&dots) {
                    let found = lanes.judge(tail, &query.coarse, &query.limits, dots);
                    // Counted as below, or one busy part would be the last to be seen.
                    n_again += usize::from(found.unsure & exist != 0);
                    judged.see(i, exist, found, dots);
                }
            }
            continue;
        }
        let dots = lanes.short_dots(codes, batch);
        for ((judged, query), dots) in judged.iter_mut().zip(batch.queries).zip(&dots) {
            let short = lanes.judge(tail, &query.short.tier, &query.limits, dots);
            if short.unsure & exist == 0 {
                judged.see(i, exist, short, dots);
                continue;
            }
            n_again += 1;
            let dots = lanes.dots(codes, query);
            let whole = lanes.judge(tail, &query.coarse, &query.limits, &dots);
            judged.see(i, exist, short.and_then(whole), &dots);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni,popcnt")]
fn judge_fine(
    lanes: Avx512,
    chunk: &CodeChunk<'_>,
    fine: &[u8],
    unsure: &[u16],
    judged: &mut Judged,
    left: &mut [u16; CHUNK_ROWS],
) -> usize {
    codes::judge_fine(lanes, chunk, fine, unsure, judged, left)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni,popcnt")]
fn judge_rows(
    lanes: Avx512,
    coordinates: &[f32],
    query: &Prepared,
    thresholds: Thresholds,
    unsure: &[u16],
    judged: &mut Judged,
) -> usize {
    codes::judge_rows(lanes, coordinates, query, thresholds, unsure, judged)
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

impl CodeLanes for Avx512 {
    #[inline(always)]
    fn dots(self, codes: &[Line], query: &CodeQuery) -> [i32; TILE_ROWS] {
        let (high, _) = query.high.as_chunks::<GROUP>();
        let (low, _) = query.low.as_chunks::<GROUP>();
        // SAFETY: `self` proves AVX-512F and VNNI. The loads need no alignment and read the 64 bytes of
        // one line each; the store fills the array of sixteen i32 that this function owns.
        unsafe {
            let mut sums = [_mm512_setzero_si512(); 4];
            let (pairs, rest) = codes.as_chunks::<2>();
            let (high_pairs, _) = high.as_chunks::<2>();
            let (low_pairs, _) = low.as_chunks::<2>();
            for ((lines, high), low) in pairs.iter().zip(high_pairs).zip(low_pairs) {
                let (first, second) = (
                    _mm512_loadu_si512(lines[0].as_ptr().cast()),
                    _mm512_loadu_si512(lines[1].as_ptr().cast()),
                );
                sums[0] = _mm512_dpbusd_epi32(sums[0], first, spread(high[0]));
                sums[1] = _mm512_dpbusd_epi32(sums[1], first, spread(low[0]));
                sums[2] = _mm512_dpbusd_epi32(sums[2], second, spread(high[1]));
                sums[3] = _mm512_dpbusd_epi32(sums[3], second, spread(low[1]));
            }
            if let (Some(line), Some(&high), Some(&low)) = (
                rest.first(),
                high.get(codes.len() - 1),
                low.get(codes.len() - 1),
            ) {
                let line = _mm512_loadu_si512(line.as_ptr().cast());
                sums[0] = _mm512_dpbusd_epi32(sums[0], line, spread(high));
                sums[1] = _mm512_dpbusd_epi32(sums[1], line, spread(low));
            }
            let high = _mm512_slli_epi32::<8>(_mm512_add_epi32(sums[0], sums[2]));
            let sum = _mm512_add_epi32(high, _mm512_add_epi32(sums[1], sums[3]));
            let mut dots = [0; TILE_ROWS];
            let unbiased = _mm512_sub_epi32(sum, _mm512_set1_epi32(query.bias));
            _mm512_storeu_si512(dots.as_mut_ptr().cast(), unbiased);
            dots
        }
    }

    #[inline(always)]
    fn judge(
        self,
        tail: &[Line; TAIL_LINES],
        tier: &Tier,
        limits: &Limits,
        dots: &[i32; TILE_ROWS],
    ) -> Masks {
        // SAFETY: `self` proves AVX-512F, and AVX with it. The loads need no alignment: sixteen f32 are
        // the 64 bytes of the first line, sixteen u16 the first 32 of the second, the two f32 read by
        // their bytes; `dots` are sixteen i32.
        unsafe {
            let norms_sq = _mm512_loadu_ps(tail[0].as_ptr().cast());
            let steps = from_halves(_mm256_loadu_si256(tail[1].as_ptr().cast()));
            let beta = _mm512_set1_ps(f32::from_le_bytes([
                tail[1][32],
                tail[1][33],
                tail[1][34],
                tail[1][35],
            ]));
            let dot = _mm512_cvtepi32_ps(_mm512_loadu_si512(dots.as_ptr().cast()));
            let factor = _mm512_mul_ps(_mm512_set1_ps(tier.minus_two_sigma), steps);
            let t = _mm512_fmadd_ps(factor, dot, norms_sq);
            let of_norm = _mm512_fmadd_ps(_mm512_set1_ps(tier.b), norms_sq, _mm512_set1_ps(tier.c));
            let e = _mm512_fmadd_ps(_mm512_set1_ps(tier.a), _mm512_mul_ps(beta, steps), of_norm);
            sides(limits, t, e)
        }
    }

    #[inline(always)]
    fn fine_dot(self, codes: &[u8], query: &CodeQuery) -> i32 {
        let (high, _) = query.high.as_chunks::<LINE>();
        let (low, _) = query.low.as_chunks::<LINE>();
        let (lines, rest) = codes.as_chunks::<LINE>();
        // SAFETY: `self` proves AVX-512F, BW and VNNI. The loads need no alignment and read arrays of 64
        // bytes; the masked one as many bytes as are left, fewer than 64, and neither reads nor faults
        // beyond.
        unsafe {
            let mut sums = [_mm512_setzero_si512(); 2];
            for ((line, high), low) in lines.iter().zip(high).zip(low) {
                let line = _mm512_loadu_si512(line.as_ptr().cast());
                let high = _mm512_loadu_si512(high.as_ptr().cast());
                let low = _mm512_loadu_si512(low.as_ptr().cast());
                sums[0] = _mm512_dpbusd_epi32(sums[0], line, high);
                sums[1] = _mm512_dpbusd_epi32(sums[1], line, low);
            }
            if let (false, Some(high), Some(low)) =
                (rest.is_empty(), high.get(lines.len()), low.get(lines.len()))
            {
                let mask = u64::MAX >> (LINE - rest.len());
                let rest = _mm512_maskz_loadu_epi8(mask, rest.as_ptr().cast());
                let high = _mm512_loadu_si512(high.as_ptr().cast());
                let low = _mm512_loadu_si512(low.as_ptr().cast());
                sums[0] = _mm512_dpbusd_epi32(sums[0], rest, high);
                sums[1] = _mm512_dpbusd_epi32(sums[1], rest, low);
            }
            let sum = _mm512_add_epi32(_mm512_slli_epi32::<8>(sums[0]), sums[1]);
            _mm512_reduce_add_epi32(sum)
        }
    }

    #[inline(always)]
    fn prefetch<T>(self, values: &[T]) {
        let first = values.as_ptr().cast::<i8>();
        for at in (0..size_of_val(values)).step_by(LINE) {
            // SAFETY: a prefetch has no effect that a program can see, whatever the address; this one is
            // inside `values`.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(first.add(at)) }
        }
    }
}

impl PrefixLanes for Avx512 {
    #[inline(always)]
    fn nibble_dots(self, codes: &[Line], query: &PrefixQuery) -> [i32; TILE_ROWS] {
        let (high, _) = query.high.as_chunks::<GROUP>();
        let (low, _) = query.low.as_chunks::<GROUP>();
        let (high, low) = (high.as_chunks::<2>().0, low.as_chunks::<2>().0);
        // SAFETY: `self` proves AVX-512F, BW and VNNI. The load needs no alignment and reads the 64 bytes of one
        // line; the store fills the array of sixteen i32 that this function owns.
        unsafe {
            let nibble = _mm512_set1_epi8(0x0f);
            let mut sums = [_mm512_setzero_si512(); 4];
            for ((line, high), low) in codes.iter().zip(high).zip(low) {
                let line = _mm512_loadu_si512(line.as_ptr().cast());
                let first = _mm512_and_si512(line, nibble);
                let second = _mm512_and_si512(_mm512_srli_epi16::<4>(line), nibble);
                sums[0] = _mm512_dpbusd_epi32(sums[0], first, spread(high[0]));
                sums[1] = _mm512_dpbusd_epi32(sums[1], first, spread(low[0]));
                sums[2] = _mm512_dpbusd_epi32(sums[2], second, spread(high[1]));
                sums[3] = _mm512_dpbusd_epi32(sums[3], second, spread(low[1]));
            }
            let high = _mm512_slli_epi32::<8>(_mm512_add_epi32(sums[0], sums[2]));
            let sum = _mm512_add_epi32(high, _mm512_add_epi32(sums[1], sums[3]));
            let mut dots = [0; TILE_ROWS];
            let unbiased = _mm512_sub_epi32(sum, _mm512_set1_epi32(query.bias));
            _mm512_storeu_si512(dots.as_mut_ptr().cast(), unbiased);
            dots
        }
    }

    #[inline(always)]
    fn judge_prefix(self, tail: &[Line], query: &PrefixQuery, dots: &[i32; TILE_ROWS]) -> Masks {
        let (kept, a_rest) = (&query.tier.kept, &query.tier.a_rest);
        let [norms, halves, rests @ ..] = tail else {
            // There is no such tile; nothing is known of its rows.
            return Masks {
                inside: 0,
                unsure: u16::MAX,
            };
        };
        let (halves, _) = halves.as_chunks::<HALVES>();
        // SAFETY: `self` proves AVX-512F, and AVX with it. The loads need no alignment: sixteen f32 are the 64
        // bytes of the first line, sixteen u16 are 32 bytes each of the others; `dots` are sixteen i32.
        unsafe {
            let norms_sq = _mm512_loadu_ps(norms.as_ptr().cast());
            let steps = from_halves(_mm256_loadu_si256(halves[0].as_ptr().cast()));
            let betas = from_halves(_mm256_loadu_si256(halves[1].as_ptr().cast()));
            let dot = _mm512_cvtepi32_ps(_mm512_loadu_si512(dots.as_ptr().cast()));
            let factor = _mm512_mul_ps(_mm512_set1_ps(kept.minus_two_sigma), steps);
            let t = _mm512_fmadd_ps(factor, dot, norms_sq);
            let of_norm = _mm512_fmadd_ps(_mm512_set1_ps(kept.b), norms_sq, _mm512_set1_ps(kept.c));
            let of_codes = _mm512_mul_ps(betas, steps);
            let e = _mm512_fmadd_ps(_mm512_set1_ps(kept.a), of_codes, of_norm);
            let rests = match rests.first() {
                Some(rests) => from_halves(_mm256_loadu_si256(rests.as_ptr().cast())),
                None => _mm512_setzero_ps(),
            };
            let e = _mm512_fmadd_ps(_mm512_set1_ps(*a_rest), rests, e);
            sides(&query.limits, t, e)
        }
    }
}

/// Batches, for which no other instruction set has a form of its own.
impl Avx512 {
    /// The dot products of sixteen rows of codes with each query of a batch in its short form; wrapping.
    #[inline(always)]
    fn short_dots(
        self,
        codes: &[Line],
        batch: &CodeBatch<'_>,
    ) -> [[i32; TILE_ROWS]; BATCH_QUERIES] {
        // SAFETY: `self` proves AVX-512F and VNNI. The loads need no alignment and read the 64 bytes of
        // one line each; the stores fill arrays of sixteen i32 that this function owns.
        unsafe {
            let mut sums = [_mm512_setzero_si512(); BATCH_QUERIES];
            for (line, plane) in codes.iter().zip(&batch.short) {
                let line = _mm512_loadu_si512(line.as_ptr().cast());
                let (fours, _) = plane.as_chunks::<GROUP>();
                for i in 0..BATCH_QUERIES {
                    let p = _mm512_set1_epi32(i32::from_ne_bytes(fours[i]));
                    sums[i] = _mm512_dpbusd_epi32(sums[i], line, p);
                }
            }
            let mut dots = [[0; TILE_ROWS]; BATCH_QUERIES];
            for i in 0..BATCH_QUERIES {
                let bias = _mm512_set1_epi32(batch.queries[i].short.bias);
                let unbiased = _mm512_sub_epi32(sums[i], bias);
                _mm512_storeu_si512(dots[i].as_mut_ptr().cast(), unbiased);
            }
            dots
        }
    }

    /// The same as [`CodeLanes::dots`] for each query of one half of a batch.
    #[inline(always)]
    fn half_dots(
        self,
        codes: &[Line],
        batch: &CodeBatch<'_>,
        half: usize,
    ) -> [[i32; TILE_ROWS]; HALF_QUERIES] {
        let queries = &batch.queries[half * HALF_QUERIES..];
        // SAFETY: as in `short_dots`.
        unsafe {
            let mut highs = [_mm512_setzero_si512(); HALF_QUERIES];
            let mut lows = [_mm512_setzero_si512(); HALF_QUERIES];
            for (line, planes) in codes.iter().zip(&batch.halves[half]) {
                let line = _mm512_loadu_si512(line.as_ptr().cast());
                let (fours, _) = planes.as_chunks::<GROUP>();
                for i in 0..HALF_QUERIES {
                    let (high, low) = (fours[i], fours[HALF_QUERIES + i]);
                    let high = _mm512_set1_epi32(i32::from_ne_bytes(high));
                    let low = _mm512_set1_epi32(i32::from_ne_bytes(low));
                    highs[i] = _mm512_dpbusd_epi32(highs[i], line, high);
                    lows[i] = _mm512_dpbusd_epi32(lows[i], line, low);
                }
            }
            let mut dots = [[0; TILE_ROWS]; HALF_QUERIES];
            for i in 0..HALF_QUERIES {
                let sum = _mm512_add_epi32(_mm512_slli_epi32::<8>(highs[i]), lows[i]);
                let unbiased = _mm512_sub_epi32(sum, _mm512_set1_epi32(queries[i].bias));
                _mm512_storeu_si512(dots[i].as_mut_ptr().cast(), unbiased);
            }
            dots
        }
    }
}

/// On which side of the limits sixteen estimates are, as [`crate::code::sides`] says it of one.
#[inline(always)]
unsafe fn sides(limits: &Limits, t: __m512, e: __m512) -> Masks {
    // SAFETY: these act on registers; the caller proves AVX-512F.
    unsafe {
        let (low, high) = (_mm512_sub_ps(t, e), _mm512_add_ps(t, e));
        // Ordered comparisons: NaN makes each of them false.
        let above = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(low, _mm512_set1_ps(limits.outside_above));
        let below = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(high, _mm512_set1_ps(limits.outside_below));
        let not_above = _mm512_cmp_ps_mask::<_CMP_LE_OQ>(high, _mm512_set1_ps(limits.inside_hi));
        let not_below = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(low, _mm512_set1_ps(limits.inside_lo));
        let outside = above | below;
        let inside = not_above & not_below & !outside;
        Masks {
            inside,
            unsure: !(outside | inside),
        }
    }
}

/// The numbers whose upper halves are given.
#[inline(always)]
unsafe fn from_halves(halves: __m256i) -> __m512 {
    // SAFETY: these act on registers; the caller proves AVX-512F.
    unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves))) }
}

/// The four bytes in each of sixteen lanes.
#[inline(always)]
unsafe fn spread([a, b, c, d]: [i8; GROUP]) -> __m512i {
    let bytes = [a as u8, b as u8, c as u8, d as u8];
    // SAFETY: the caller proves AVX-512F.
    unsafe { _mm512_set1_epi32(i32::from_ne_bytes(bytes)) }
}
