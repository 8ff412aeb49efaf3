//! The vocabulary in AVX2: eight lanes in two registers, the low and the high four.
//!
//! Invariant: an [`Avx2`] exists only where the processor has AVX2, so every use of these
//! intrinsics is proven by the value at hand. Nothing is read outside the slices given. Sums of
//! squares never use FMA, as the definition rounds products; bounds of codes do.
#![expect(
    unsafe_code,
    reason = "intrinsics need the proof that the processor has them, which the token carries and the compiler cannot see"
)]

use std::arch::x86_64::*;

use super::chunk::{CHUNK_ROWS, Chunk, Prepared};
use super::codes::{self, CodeChunk, CodeLanes, Judged};
use super::lanes::{self, Lanes};
use super::prefix::{self, PrefixChunk, PrefixLanes};
use super::work::Work;
use crate::code::{BATCH_QUERIES, CodeBatch, CodeQuery, FramedRows, GROUP, LINE, Line, TILE_ROWS};
use crate::prefix::{PrefixFrame, PrefixQuery};
use crate::ring::Thresholds;

/// Proof that this processor has AVX2 and FMA.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx2(());

/// Eight ones, then eight zeros: from position `8 - n`, a mask of the first `n` of eight lanes.
const MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("popcnt");
        found.then_some(Self(()))
    }

    pub(super) fn hits(self, chunk: &Chunk<'_>, found: &mut [u32; CHUNK_ROWS]) -> usize {
        // SAFETY: the function is safe but for its need of AVX2, and `self` was made by `detect`
        // alone, which found it.
        unsafe { hits(self, chunk, found) }
    }

    pub(super) fn s64(self, row: &[f32], query: &Prepared) -> f64 {
        // SAFETY: as in `hits`, AVX2 is there because `self` is.
        unsafe { s64(self, row, query) }
    }

    pub(super) fn judge_tiles(self, chunk: &CodeChunk<'_>, judged: &mut Judged) {
        // SAFETY: as in `hits`, AVX2 and FMA are there because `self` is.
        unsafe { judge_tiles(self, chunk, judged) }
    }

    pub(super) fn run<W: Work>(self, work: W) -> W::Output {
        // SAFETY: as in `hits`, AVX2 and FMA are there because `self` is.
        unsafe { run(self, work) }
    }

    pub(super) fn judge_prefixes(self, chunk: &PrefixChunk<'_>, judged: &mut Judged) {
        // SAFETY: as in `hits`, AVX2 and FMA are there because `self` is.
        unsafe { judge_prefixes(self, chunk, judged) }
    }

    pub(super) fn encode_tile(
        self,
        rows: &FramedRows,
        dims: usize,
        lines: &mut [Line],
        fine: &mut [u8],
    ) {
        // SAFETY: as in `hits`, AVX2 and FMA are there because `self` is.
        unsafe { encode_tile(rows, dims, lines, fine) }
    }

    pub(super) fn encode_prefixes(
        self,
        frame: &PrefixFrame,
        rows: &FramedRows,
        lines: &mut [Line],
        zs: &mut Vec<f64>,
    ) {
        // SAFETY: as in `hits`, AVX2 and FMA are there because `self` is.
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
        // SAFETY: as in `hits`, AVX2 and FMA are there because `self` is.
        unsafe { product(left, inner, right, width, result) }
    }

    pub(super) fn judge_batch(
        self,
        tiles: &[Line],
        rows: usize,
        batch: &CodeBatch<'_>,
        judged: &mut [Judged; BATCH_QUERIES],
    ) {
        // SAFETY: as in `hits`, AVX2 and FMA are there because `self` is.
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
        // SAFETY: as in `hits`, AVX2 and FMA are there because `self` is.
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
        // SAFETY: as in `hits`, AVX2 and FMA are there because `self` is.
        unsafe { judge_rows(self, coordinates, query, thresholds, unsure, judged) }
    }
}

#[target_feature(enable = "avx2")]
fn hits(lanes: Avx2, chunk: &Chunk<'_>, found: &mut [u32; CHUNK_ROWS]) -> usize {
    lanes::hits(lanes, chunk, found)
}

#[target_feature(enable = "avx2")]
fn s64(lanes: Avx2, row: &[f32], query: &Prepared) -> f64 {
    lanes::s64(lanes, row, query)
}

#[target_feature(enable = "avx2,fma,popcnt")]
fn judge_tiles(lanes: Avx2, chunk: &CodeChunk<'_>, judged: &mut Judged) {
    codes::judge_tiles(lanes, chunk, judged);
}

#[target_feature(enable = "avx2,fma,popcnt")]
fn run<W: Work>(lanes: Avx2, work: W) -> W::Output {
    work.on(lanes)
}

#[target_feature(enable = "avx2,fma,popcnt")]
fn judge_prefixes(lanes: Avx2, chunk: &PrefixChunk<'_>, judged: &mut Judged) {
    prefix::judge_prefixes(lanes, chunk, judged);
}

#[target_feature(enable = "avx2,fma,popcnt")]
fn encode_tile(rows: &FramedRows, dims: usize, lines: &mut [Line], fine: &mut [u8]) {
    crate::code::encode_tile(rows, dims, lines, fine);
}

#[target_feature(enable = "avx2,fma,popcnt")]
fn encode_prefixes(frame: &PrefixFrame, rows: &FramedRows, lines: &mut [Line], zs: &mut Vec<f64>) {
    crate::prefix::encode_tile(frame, rows, lines, zs);
}

#[target_feature(enable = "avx2,fma,popcnt")]
fn product(left: &[f64], inner: usize, right: &[f32], width: usize, result: &mut [f64]) {
    crate::prefix::product(left, inner, right, width, result);
}

#[target_feature(enable = "avx2,fma,popcnt")]
fn judge_batch(
    lanes: Avx2,
    tiles: &[Line],
    rows: usize,
    batch: &CodeBatch<'_>,
    judged: &mut [Judged; BATCH_QUERIES],
) {
    codes::judge_one_by_one(lanes, tiles, rows, batch, judged);
}

#[target_feature(enable = "avx2,fma,popcnt")]
fn judge_fine(
    lanes: Avx2,
    chunk: &CodeChunk<'_>,
    fine: &[u8],
    unsure: &[u16],
    judged: &mut Judged,
    left: &mut [u16; CHUNK_ROWS],
) -> usize {
    codes::judge_fine(lanes, chunk, fine, unsure, judged, left)
}

#[target_feature(enable = "avx2,fma,popcnt")]
fn judge_rows(
    lanes: Avx2,
    coordinates: &[f32],
    query: &Prepared,
    thresholds: Thresholds,
    unsure: &[u16],
    judged: &mut Judged,
) -> usize {
    codes::judge_rows(lanes, coordinates, query, thresholds, unsure, judged)
}

impl Lanes for Avx2 {
    type Sums = [__m256d; 2];

    #[inline(always)]
    fn zero(self) -> Self::Sums {
        // SAFETY: needs AVX only, which comes with the AVX2 that `self` proves.
        unsafe { [_mm256_setzero_pd(); 2] }
    }

    #[inline(always)]
    fn add_squares(self, [low, high]: Self::Sums, x: &[f32; 8], q: &[f64; 8]) -> Self::Sums {
        // SAFETY: `self` proves AVX2. The loads need no alignment and read f32 0..4 and 4..8 of the
        // eight in `x`, f64 0..4 and 4..8 of the eight in `q`, all borrowed for the length of the
        // call.
        unsafe {
            let x_low = _mm256_cvtps_pd(_mm_loadu_ps(x.as_ptr()));
            let x_high = _mm256_cvtps_pd(_mm_loadu_ps(x.as_ptr().add(4)));
            let d_low = _mm256_sub_pd(x_low, _mm256_loadu_pd(q.as_ptr()));
            let d_high = _mm256_sub_pd(x_high, _mm256_loadu_pd(q.as_ptr().add(4)));
            [
                _mm256_add_pd(low, _mm256_mul_pd(d_low, d_low)),
                _mm256_add_pd(high, _mm256_mul_pd(d_high, d_high)),
            ]
        }
    }

    #[inline(always)]
    fn add_squares_of_tail(self, sums: Self::Sums, x: &[f32], q: &[f64; 8]) -> Self::Sums {
        let n = x.len().min(8);
        // SAFETY: `self` proves AVX2. The mask is read from eight of the sixteen entries of
        // `MASKS`, as 8 - n is within 0..=8. It selects the first n lanes, n is at most the length
        // of `x`, and a masked load neither reads nor faults on lanes that are not selected. The
        // store fills the eight f32 of `padded`, which this function owns.
        let padded = unsafe {
            let mask = _mm256_loadu_si256(MASKS.as_ptr().add(8 - n).cast());
            let mut padded = [0.0_f32; 8];
            _mm256_storeu_ps(padded.as_mut_ptr(), _mm256_maskload_ps(x.as_ptr(), mask));
            padded
        };
        self.add_squares(sums, &padded, q)
    }

    #[inline(always)]
    fn tree_sum(self, [low, high]: Self::Sums) -> f64 {
        // SAFETY: these act on registers and need AVX and SSE2, which come with the AVX2 that
        // `self` proves.
        unsafe {
            let four = _mm256_add_pd(low, high);
            let two = _mm_add_pd(
                _mm256_castpd256_pd128(four),
                _mm256_extractf128_pd::<1>(four),
            );
            _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)))
        }
    }
}

impl CodeLanes for Avx2 {
    #[inline(always)]
    fn dots(self, codes: &[Line], query: &CodeQuery) -> [i32; TILE_ROWS] {
        let (whole, _) = query.whole.as_chunks::<GROUP>();
        // SAFETY: `self` proves AVX2. The loads need no alignment; four of sixteen bytes cover the 64 of
        // a line, one reads the four i16 of a group. The stores fill the sixteen i32 that this function
        // owns.
        unsafe {
            // Of four rows each, two sums for a row side by side.
            let mut sums = [_mm256_setzero_si256(); 4];
            for (line, p) in codes.iter().zip(whole) {
                let p = _mm256_broadcastq_epi64(_mm_loadl_epi64(p.as_ptr().cast()));
                let (quarters, _) = line.as_chunks::<16>();
                for (sum, quarter) in sums.iter_mut().zip(quarters) {
                    let codes = _mm256_cvtepu8_epi16(_mm_loadu_si128(quarter.as_ptr().cast()));
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(codes, p));
                }
            }
            let bias = _mm256_set1_epi32(query.bias);
            let mut dots = [0; TILE_ROWS];
            for (dots, sums) in dots
                .as_chunks_mut::<8>()
                .0
                .iter_mut()
                .zip(sums.as_chunks::<2>().0)
            {
                // Adds neighbours within each half of the registers, then puts the halves in order.
                let pairs = _mm256_hadd_epi32(sums[0], sums[1]);
                let in_order = _mm256_permute4x64_epi64::<0b11_01_10_00>(pairs);
                _mm256_storeu_si256(dots.as_mut_ptr().cast(), _mm256_sub_epi32(in_order, bias));
            }
            dots
        }
    }

    #[inline(always)]
    fn fine_dot(self, codes: &[u8], query: &CodeQuery) -> i32 {
        let (whole, _) = query.whole.as_chunks::<16>();
        // SAFETY: `self` proves AVX2. The loads need no alignment and read sixteen bytes and sixteen i16,
        // arrays of that length; the store fills the eight i32 that this function owns.
        unsafe {
            let mut sum = _mm256_setzero_si256();
            for (codes, p) in codes.as_chunks::<16>().0.iter().zip(whole) {
                let codes = _mm256_cvtepu8_epi16(_mm_loadu_si128(codes.as_ptr().cast()));
                let p = _mm256_loadu_si256(p.as_ptr().cast());
                sum = _mm256_add_epi32(sum, _mm256_madd_epi16(codes, p));
            }
            let mut lanes = [0_i32; 8];
            _mm256_storeu_si256(lanes.as_mut_ptr().cast(), sum);
            lanes.into_iter().fold(0, i32::wrapping_add)
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

/// Lines whose products add up to an i16: each adds two products of two pairs, and a pair is at most
/// `2 * 15 * 128`.
const NIBBLE_LINES: usize = 4;

impl PrefixLanes for Avx2 {
    #[inline(always)]
    fn nibble_dots(self, codes: &[Line], query: &PrefixQuery) -> [i32; TILE_ROWS] {
        let (high, _) = query.high.as_chunks::<GROUP>();
        let (low, _) = query.low.as_chunks::<GROUP>();
        let (high, low) = (high.as_chunks::<2>().0, low.as_chunks::<2>().0);
        let quads = high.chunks(NIBBLE_LINES).zip(low.chunks(NIBBLE_LINES));
        // SAFETY: `self` proves AVX2. The loads need no alignment; two of 32 bytes cover the 64 of a line. The
        // stores fill the sixteen i32 that this function owns.
        unsafe {
            let nibble = _mm256_set1_epi8(0x0f);
            let ones = _mm256_set1_epi16(1);
            // Of eight rows each, one sum for a row.
            let mut sums = [_mm256_setzero_si256(); 2];
            for (lines, (high, low)) in codes.chunks(NIBBLE_LINES).zip(quads) {
                let mut highs = [_mm256_setzero_si256(); 2];
                let mut lows = [_mm256_setzero_si256(); 2];
                for ((line, high), low) in lines.iter().zip(high).zip(low) {
                    // No closures: they would lose the instruction set, and be calls.
                    let (high, low) = (
                        [spread(high[0]), spread(high[1])],
                        [spread(low[0]), spread(low[1])],
                    );
                    for (i, half) in line.as_chunks::<32>().0.iter().enumerate() {
                        let half = _mm256_loadu_si256(half.as_ptr().cast());
                        let first = _mm256_and_si256(half, nibble);
                        let second = _mm256_and_si256(_mm256_srli_epi16::<4>(half), nibble);
                        // Products of numbers below 16 with bytes: nothing saturates.
                        let of_high = _mm256_add_epi16(
                            _mm256_maddubs_epi16(first, high[0]),
                            _mm256_maddubs_epi16(second, high[1]),
                        );
                        let of_low = _mm256_add_epi16(
                            _mm256_maddubs_epi16(first, low[0]),
                            _mm256_maddubs_epi16(second, low[1]),
                        );
                        highs[i] = _mm256_add_epi16(highs[i], of_high);
                        lows[i] = _mm256_add_epi16(lows[i], of_low);
                    }
                }
                for ((sum, high), low) in sums.iter_mut().zip(highs).zip(lows) {
                    let high = _mm256_slli_epi32::<8>(_mm256_madd_epi16(high, ones));
                    let both = _mm256_add_epi32(high, _mm256_madd_epi16(low, ones));
                    *sum = _mm256_add_epi32(*sum, both);
                }
            }
            let bias = _mm256_set1_epi32(query.bias);
            let mut dots = [0; TILE_ROWS];
            for (dots, sum) in dots.as_chunks_mut::<8>().0.iter_mut().zip(sums) {
                _mm256_storeu_si256(dots.as_mut_ptr().cast(), _mm256_sub_epi32(sum, bias));
            }
            dots
        }
    }
}

/// The four bytes in each of eight lanes.
#[inline(always)]
unsafe fn spread([a, b, c, d]: [i8; GROUP]) -> __m256i {
    let bytes = [a as u8, b as u8, c as u8, d as u8];
    // SAFETY: the caller proves AVX2.
    unsafe { _mm256_set1_epi32(i32::from_ne_bytes(bytes)) }
}

#[cfg(test)]
mod tests {
    use std::arch::asm;

    use crate::distance::check_environment;
    use crate::error::Error;
    use crate::field::{Ask, Field};
    use crate::guard::Trusted;
    use crate::kernel::{Kernel, Prepared};
    use crate::many::search_many;
    use crate::ring::Ring;
    use crate::rows::Rows;
    use crate::search::{distances, distances_of_span, ring_ids};
    use crate::segment::Segment;

    const SUBNORMAL: [f32; 9] = [f32::from_bits(1); 9];

    const FLUSH_TO_ZERO: u32 = 1 << 15;
    const DENORMALS_ARE_ZERO: u32 = 1 << 6;
    const ROUND_DOWN: u32 = 1 << 13;
    const ROUND_UP: u32 = 1 << 14;
    const ROUND_TOWARD_ZERO: u32 = ROUND_DOWN | ROUND_UP;

    extern "sysv64" fn environment_is_refused() -> u32 {
        u32::from(check_environment().is_err())
    }

    /// A span on a worker whose caller was set up as it should be.
    extern "sysv64" fn span_is_refused() -> u32 {
        let span = Rows::new(&SUBNORMAL, 9).and_then(|rows| {
            let (segment, everything) = (Segment::new(rows), Ring::within(0.0)?.thresholds());
            let field = Field::new(segment, Kernel::fastest(), &Trusted);
            field.search(&Ask::new(None, &[0.0; 9], everything), 0..1, true)
        });
        u32::from(span.err() == Some(Error::FloatEnvironment))
    }

    extern "sysv64" fn distances_of_span_are_refused() -> u32 {
        let span = Rows::new(&SUBNORMAL, 9).and_then(|rows| {
            distances_of_span(rows, &[0], &Prepared::new(&[0.0; 9]), Kernel::fastest())
        });
        u32::from(span == Err(Error::FloatEnvironment))
    }

    /// More than one span or task: they run on threads of the pool, which are in order, and only the one
    /// that converts the query is not.
    fn many_rows<R>(search: impl FnOnce(Rows<'_>) -> Result<R, Error>) -> u32 {
        let data = vec![0.0; 600_000];
        let found = Rows::new(&data, 1).and_then(search);
        u32::from(found.err() == Some(Error::FloatEnvironment))
    }

    extern "sysv64" fn search_of_many_rows_is_refused() -> u32 {
        many_rows(|rows| ring_ids(rows, &[1.0], &Ring::within(0.0)?, Kernel::fastest()))
    }

    extern "sysv64" fn distances_of_many_rows_are_refused() -> u32 {
        many_rows(|rows| distances(rows, &[1.0], &vec![0; 600_000], Kernel::fastest()))
    }

    extern "sysv64" fn search_of_many_queries_is_refused() -> u32 {
        many_rows(|rows| {
            let ring = Ring::within(0.0)?;
            let segment = Segment::new(rows);
            search_many(segment, &[1.0; 9], &[ring], Kernel::fastest(), &Trusted)
        })
    }

    /// No rows, but still one span that checks.
    extern "sysv64" fn search_of_nothing_is_refused() -> u32 {
        let found = Rows::new(&[], 9)
            .and_then(|rows| ring_ids(rows, &[0.0; 9], &Ring::within(0.0)?, Kernel::fastest()));
        u32::from(found == Err(Error::FloatEnvironment))
    }

    /// Runs the check with these bits set in the control register of this thread.
    fn refused_with(bits: u32, is_refused: extern "sysv64" fn() -> u32) -> bool {
        let mut saved = 0_u32;
        // SAFETY: stores the register into `saved`, which this function owns, and changes nothing
        // else.
        unsafe {
            asm!("stmxcsr [{}]", in(reg) &raw mut saved, options(nostack, preserves_flags));
        }
        let changed = saved | bits;
        let refused: u32;
        // SAFETY: the block leaves the control register as it found it. It reads the two locals only,
        // through r12 and r13, which a function of this convention gives back unchanged. It calls
        // such a function, by its address in r14, which cannot unwind; the compiler aligns the stack
        // for the call and takes everything that a call may clobber as clobbered. What cannot be
        // proven is the run of Rust code in between: the language assumes the default mode. That is
        // the very situation to be tested; the code called is kept small, hides its operands from
        // constant folding with `black_box`, and runs in this test only.
        unsafe {
            asm!(
                "ldmxcsr [r13]",
                "call r14",
                "ldmxcsr [r12]",
                in("r12") &raw const saved,
                in("r13") &raw const changed,
                in("r14") is_refused,
                out("eax") refused,
                clobber_abi("sysv64"),
            );
        }
        refused != 0
    }

    #[test]
    fn a_thread_that_rounds_otherwise_or_flushes_subnormals_is_refused() {
        let checks: [extern "sysv64" fn() -> u32; 7] = [
            search_of_many_rows_is_refused,
            distances_of_many_rows_are_refused,
            search_of_many_queries_is_refused,
            environment_is_refused,
            span_is_refused,
            distances_of_span_are_refused,
            search_of_nothing_is_refused,
        ];
        for is_refused in checks {
            assert!(!refused_with(0, is_refused));
            for bits in [
                FLUSH_TO_ZERO,
                DENORMALS_ARE_ZERO,
                FLUSH_TO_ZERO | DENORMALS_ARE_ZERO,
                ROUND_DOWN,
                ROUND_UP,
                ROUND_TOWARD_ZERO,
            ] {
                assert!(refused_with(bits, is_refused), "{bits:#x}");
            }
        }
        assert_eq!(check_environment(), Ok(()));
    }
}
