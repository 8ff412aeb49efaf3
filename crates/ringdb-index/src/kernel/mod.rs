//! Kernels: the inner loops, one implementation for each instruction set, and the choice among
//! them.
//!
//! Invariant: a [`Kernel`] that exists can run on this processor, and all kernels return the same
//! bits as [`crate::distance`]. The choice is made once per chunk of rows in a scan, and once per row
//! where rows are picked by id. Nothing here allocates per row or knows of threads.

use std::fmt;

use crate::bins::{CodeBins, Tally};
use crate::boxes::{BLOCK_TILES, BoxQuery};
use crate::code::{BATCH_QUERIES, CodeBatch, FramedRows, Line, TILE_ROWS};
use crate::edges::Edges;
use crate::prefix::PrefixFrame;
use crate::ring::Thresholds;

mod chunk;

mod narrow;

mod lanes;

mod codes;
mod prefix;

mod work;
mod boxes;
mod bins;

mod scalar;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

#[cfg(test)]
mod tests;

pub(crate) use bins::PlaceFine;
pub(crate) use chunk::{CHUNK_ROWS, Chunk, Prepared};
pub(crate) use codes::{CHUNK_TILES, CodeChunk, Judged, Masks, existing};
pub(crate) use prefix::PrefixChunk;

use bins::{PlaceRows, PlaceTiles};
use boxes::{JudgeBlock, JudgeBoxes, PlaceBlock, SumBoxes};
use work::Work;

/// An inner loop for one instruction set, proven to run on this processor.
///
/// All kernels give the same answers to the last bit; they differ in speed only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Kernel(Set);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Set {
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon(neon::Neon),
    Scalar(scalar::Scalar),
}

impl Kernel {
    /// The kernels that this processor can run, fastest first; the last one is always the scalar
    /// kernel.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let detected = [
            #[cfg(target_arch = "x86_64")]
            avx512::Avx512::detect().map(Set::Avx512),
            #[cfg(target_arch = "x86_64")]
            avx2::Avx2::detect().map(Set::Avx2),
            #[cfg(target_arch = "aarch64")]
            neon::Neon::detect().map(Set::Neon),
            Some(Set::Scalar(scalar::Scalar)),
        ];
        detected.into_iter().flatten().map(Self).collect()
    }

    /// The first of [`available`](Self::available).
    #[must_use]
    pub fn fastest() -> Self {
        Self::available()[0]
    }

    /// `"avx512"`, `"avx2"`, `"neon"` or `"scalar"`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(_) => "avx2",
            #[cfg(target_arch = "aarch64")]
            Set::Neon(_) => "neon",
            Set::Scalar(_) => "scalar",
        }
    }

    /// Writes the ids of the chunk's hits to the front of `found`, ascending, and returns how many
    /// there are.
    pub(crate) fn hits(self, chunk: &Chunk<'_>, found: &mut [u32; CHUNK_ROWS]) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(set) => set.hits(chunk, found),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(set) => set.hits(chunk, found),
            #[cfg(target_arch = "aarch64")]
            Set::Neon(set) => set.hits(chunk, found),
            Set::Scalar(set) => set.hits(chunk, found),
        }
    }

    /// The sum of squared differences between one row and the query.
    pub(crate) fn s64(self, row: &[f32], query: &Prepared) -> f64 {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(set) => set.s64(row, query),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(set) => set.s64(row, query),
            #[cfg(target_arch = "aarch64")]
            Set::Neon(set) => set.s64(row, query),
            Set::Scalar(set) => set.s64(row, query),
        }
    }

    /// What is known of the rows in sixteen boxes; that of boxes which do not exist is arbitrary.
    pub(crate) fn judge_boxes(self, lines: &[Line], query: &BoxQuery) -> Masks {
        self.run(JudgeBoxes { lines, query })
    }

    /// A bit for each row of a block that is inside; that of rows which do not exist is arbitrary.
    pub(crate) fn judge_block(self, lines: &[Line], query: &BoxQuery) -> [u16; BLOCK_TILES] {
        self.run(JudgeBlock { lines, query })
    }

    /// The sums of the nearest and of the farthest point of sixteen boxes; those of boxes which do not exist are
    /// arbitrary.
    pub(crate) fn sum_boxes(self, lines: &[Line], query: &BoxQuery) -> [[f64; TILE_ROWS]; 2] {
        self.run(SumBoxes { lines, query })
    }

    /// Puts the rows of a block for which a bit is set into bins.
    pub(crate) fn place_block(
        self,
        lines: &[Line],
        query: &BoxQuery,
        rows: [u16; BLOCK_TILES],
        edges: &Edges,
        tally: &mut Tally,
    ) {
        self.run(PlaceBlock {
            lines,
            query,
            rows,
            edges,
            tally,
        });
    }

    /// Puts rows of a chunk of tiles that are unsure into bins, by their codes. Those that stay unsure may be in
    /// several.
    pub(crate) fn place_tiles(
        self,
        chunk: &CodeChunk<'_>,
        bins: &CodeBins,
        judged: &mut Judged,
        tally: &mut Tally,
    ) {
        self.run(PlaceTiles {
            chunk,
            bins,
            judged,
            tally,
        });
    }

    /// The same of rows by their fine codes. Returns how many are unsure still.
    pub(crate) fn place_fine(self, rows: PlaceFine<'_>) -> usize {
        self.run(rows)
    }

    /// The same of these rows by the coordinates of the chunk.
    pub(crate) fn place_rows(
        self,
        coordinates: &[f32],
        query: &Prepared,
        edges: &Edges,
        rows: &[u16],
        tally: &mut Tally,
    ) {
        self.run(PlaceRows {
            coordinates,
            query,
            edges,
            rows,
            tally,
        });
    }

    fn run<W: Work>(self, work: W) -> W::Output {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(set) => set.run(work),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(set) => set.run(work),
            #[cfg(target_arch = "aarch64")]
            Set::Neon(set) => set.run(work),
            Set::Scalar(set) => set.run(work),
        }
    }

    /// Decides rows of a chunk of tiles that are unsure, by their prefixes.
    pub(crate) fn judge_prefixes(self, chunk: &PrefixChunk<'_>, judged: &mut Judged) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(set) => set.judge_prefixes(chunk, judged),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(set) => set.judge_prefixes(chunk, judged),
            #[cfg(target_arch = "aarch64")]
            Set::Neon(set) => set.judge_prefixes(chunk, judged),
            Set::Scalar(set) => set.judge_prefixes(chunk, judged),
        }
    }

    /// Decides rows of a chunk of tiles that are unsure, by their codes.
    pub(crate) fn judge_tiles(self, chunk: &CodeChunk<'_>, judged: &mut Judged) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(set) => set.judge_tiles(chunk, judged),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(set) => set.judge_tiles(chunk, judged),
            #[cfg(target_arch = "aarch64")]
            Set::Neon(set) => set.judge_tiles(chunk, judged),
            Set::Scalar(set) => set.judge_tiles(chunk, judged),
        }
    }

    /// All queries of a batch at the `rows` rows of a chunk of tiles, by their codes.
    pub(crate) fn judge_batch(
        self,
        tiles: &[Line],
        rows: usize,
        batch: &CodeBatch<'_>,
        judged: &mut [Judged; BATCH_QUERIES],
    ) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(set) => set.judge_batch(tiles, rows, batch, judged),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(set) => set.judge_batch(tiles, rows, batch, judged),
            #[cfg(target_arch = "aarch64")]
            Set::Neon(set) => set.judge_batch(tiles, rows, batch, judged),
            Set::Scalar(set) => set.judge_batch(tiles, rows, batch, judged),
        }
    }

    /// The rows `unsure`, ascending, by the fine codes of the chunk. Writes those that
    /// are unsure still to the front of `left` and returns how many there are.
    pub(crate) fn judge_fine(
        self,
        chunk: &CodeChunk<'_>,
        fine: &[u8],
        unsure: &[u16],
        judged: &mut Judged,
        left: &mut [u16; CHUNK_ROWS],
    ) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(set) => set.judge_fine(chunk, fine, unsure, judged, left),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(set) => set.judge_fine(chunk, fine, unsure, judged, left),
            #[cfg(target_arch = "aarch64")]
            Set::Neon(set) => set.judge_fine(chunk, fine, unsure, judged, left),
            Set::Scalar(set) => set.judge_fine(chunk, fine, unsure, judged, left),
        }
    }

    /// The rows `unsure` by the coordinates of the chunk. Returns how many are inside.
    pub(crate) fn judge_rows(
        self,
        coordinates: &[f32],
        query: &Prepared,
        thresholds: Thresholds,
        unsure: &[u16],
        judged: &mut Judged,
    ) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(set) => set.judge_rows(coordinates, query, thresholds, unsure, judged),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(set) => set.judge_rows(coordinates, query, thresholds, unsure, judged),
            #[cfg(target_arch = "aarch64")]
            Set::Neon(set) => set.judge_rows(coordinates, query, thresholds, unsure, judged),
            Set::Scalar(set) => set.judge_rows(coordinates, query, thresholds, unsure, judged),
        }
    }
}

/// What makes codes: plain code that each instruction set compiles for itself, to the same bits.
impl Kernel {
    /// The codes of the rows of a tile, and their fine codes.
    pub(crate) fn encode_tile(
        self,
        rows: &FramedRows,
        dims: usize,
        lines: &mut [Line],
        fine: &mut [u8],
    ) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(set) => set.encode_tile(rows, dims, lines, fine),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(set) => set.encode_tile(rows, dims, lines, fine),
            #[cfg(target_arch = "aarch64")]
            Set::Neon(set) => set.encode_tile(rows, dims, lines, fine),
            Set::Scalar(set) => set.encode_tile(rows, dims, lines, fine),
        }
    }

    /// The prefixes of the rows of a tile; `zs` is room for what is kept of them.
    pub(crate) fn encode_prefixes(
        self,
        frame: &PrefixFrame,
        rows: &FramedRows,
        lines: &mut [Line],
        zs: &mut Vec<f64>,
    ) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(set) => set.encode_prefixes(frame, rows, lines, zs),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(set) => set.encode_prefixes(frame, rows, lines, zs),
            #[cfg(target_arch = "aarch64")]
            Set::Neon(set) => set.encode_prefixes(frame, rows, lines, zs),
            Set::Scalar(set) => set.encode_prefixes(frame, rows, lines, zs),
        }
    }

    /// Rows of `inner` numbers times a matrix with rows of `width` numbers, a multiple of 16.
    pub(crate) fn product(
        self,
        left: &[f64],
        inner: usize,
        right: &[f32],
        width: usize,
        result: &mut [f64],
    ) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(set) => set.product(left, inner, right, width, result),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(set) => set.product(left, inner, right, width, result),
            #[cfg(target_arch = "aarch64")]
            Set::Neon(set) => set.product(left, inner, right, width, result),
            Set::Scalar(set) => set.product(left, inner, right, width, result),
        }
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kernel({})", self.name())
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
