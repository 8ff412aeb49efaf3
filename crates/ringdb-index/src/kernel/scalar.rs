//! The vocabulary in plain Rust: the kernel of processors without a better one, and a second
//! opinion on the others.
//!
//! Invariant: safe code without intrinsics; the compiler may vectorise it but, as Rust never
//! contracts floating-point operations, not change a bit.

use super::chunk::{CHUNK_ROWS, Chunk, Prepared};
use super::codes::{self, CodeChunk, CodeLanes, Judged};
use super::lanes::{self, Lanes};
use super::narrow::tree;
use super::prefix::{self, PrefixChunk, PrefixLanes};
use super::work::Work;
use crate::code::{BATCH_QUERIES, CodeBatch, CodeQuery, FramedRows, GROUP, Line, TILE_ROWS};
use crate::prefix::{NIBBLE_GROUP, PrefixFrame, PrefixQuery};
use crate::ring::Thresholds;

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

    pub(super) fn judge_tiles(self, chunk: &CodeChunk<'_>, judged: &mut Judged) {
        codes::judge_tiles(self, chunk, judged);
    }

    pub(super) fn run<W: Work>(self, work: W) -> W::Output {
        work.on(self)
    }

    pub(super) fn judge_prefixes(self, chunk: &PrefixChunk<'_>, judged: &mut Judged) {
        prefix::judge_prefixes(self, chunk, judged);
    }

    pub(super) fn encode_tile(
        self,
        rows: &FramedRows,
        dims: usize,
        lines: &mut [Line],
        fine: &mut [u8],
    ) {
        crate::code::encode_tile(rows, dims, lines, fine);
    }

    pub(super) fn encode_prefixes(
        self,
        frame: &PrefixFrame,
        rows: &FramedRows,
        lines: &mut [Line],
        zs: &mut Vec<f64>,
    ) {
        crate::prefix::encode_tile(frame, rows, lines, zs);
    }

    pub(super) fn product(
        self,
        left: &[f64],
        inner: usize,
        right: &[f32],
        width: usize,
        result: &mut [f64],
    ) {
        crate::prefix::product(left, inner, right, width, result);
    }

    pub(super) fn judge_batch(
        self,
        tiles: &[Line],
        rows: usize,
        batch: &CodeBatch<'_>,
        judged: &mut [Judged; BATCH_QUERIES],
    ) {
        codes::judge_one_by_one(self, tiles, rows, batch, judged);
    }

    pub(super) fn judge_fine(
        self,
        chunk: &CodeChunk<'_>,
        fine: &[u8],
        unsure: &[u16],
        judged: &mut Judged,
        left: &mut [u16; CHUNK_ROWS],
    ) -> usize {
        codes::judge_fine(self, chunk, fine, unsure, judged, left)
    }

    pub(super) fn judge_rows(
        self,
        coordinates: &[f32],
        query: &Prepared,
        thresholds: Thresholds,
        unsure: &[u16],
        judged: &mut Judged,
    ) -> usize {
        codes::judge_rows(self, coordinates, query, thresholds, unsure, judged)
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
        tree(&s)
    }
}

impl CodeLanes for Scalar {
    #[inline(always)]
    fn dots(self, codes: &[Line], query: &CodeQuery) -> [i32; TILE_ROWS] {
        let mut dots = [0_i32; TILE_ROWS];
        for (line, p) in codes.iter().zip(query.whole.as_chunks::<GROUP>().0) {
            for (dot, codes) in dots.iter_mut().zip(line.as_chunks::<GROUP>().0) {
                for (&code, &p) in codes.iter().zip(p) {
                    *dot = dot.wrapping_add(i32::from(code) * i32::from(p));
                }
            }
        }
        dots.map(|dot| dot.wrapping_sub(query.bias))
    }

    #[inline(always)]
    fn fine_dot(self, codes: &[u8], query: &CodeQuery) -> i32 {
        let products = codes.iter().zip(&query.whole);
        products.fold(0, |dot, (&code, &p)| {
            dot.wrapping_add(i32::from(code) * i32::from(p))
        })
    }

    /// Plain Rust has no word for it.
    #[inline(always)]
    fn prefetch<T>(self, _values: &[T]) {}
}

impl PrefixLanes for Scalar {
    #[inline(always)]
    fn nibble_dots(self, codes: &[Line], query: &PrefixQuery) -> [i32; TILE_ROWS] {
        let mut dots = [-query.bias; TILE_ROWS];
        for (line, p) in codes.iter().zip(query.whole.as_chunks::<NIBBLE_GROUP>().0) {
            let (first, second) = p.split_at(GROUP);
            for (dot, bytes) in dots.iter_mut().zip(line.as_chunks::<GROUP>().0) {
                for ((&byte, &p), &q) in bytes.iter().zip(first).zip(second) {
                    *dot += i32::from(byte & 0x0f) * i32::from(p);
                    *dot += i32::from(byte >> 4) * i32::from(q);
                }
            }
        }
        dots
    }
}
