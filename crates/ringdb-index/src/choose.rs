//! The choice of a prefix: which rotation, how many numbers of it, and whether it pays, by a sample of the rows.
//!
//! Invariant: a choice changes what a search costs, never what it finds; it depends on the rows alone. The
//! directions that rows differ in most are found by subspace iteration (Halko, Martinsson, Tropp: Finding
//! structure with randomness, 2011).

use rayon::prelude::*;

use crate::code::{CodeFrame, FramedRows, Line, TILE_ROWS, tile_bytes};
use crate::kernel::Kernel;
use crate::prefix::{
    DIMS_ROTATED_MAX, KEPT_MAX, KEPT_STEP, PrefixFrame, PrefixTail, nibbles, norm_sq_of, tail_lines,
};
use crate::rows::{Rows, sampled};

/// Rows of the sample, unless they are very long.
const SAMPLE_ROWS: usize = 2048;

/// The most coordinates of the sample: 32 MB in `f64`, and some times that while it is looked at.
const SAMPLE_COORDINATES: usize = 4 << 20;

/// Rows of the sample that are queries as well.
const SAMPLE_QUERIES: usize = 128;

/// The smaller one of the radii that a prefix is chosen for holds one in so many pairs of rows.
const PAIRS_OUTSIDE: usize = 50_000;

/// The larger one is at least this share of the middle distance between rows: of embeddings a few in ten
/// thousand are as near, and copies of rows do not change it.
const NEAR: f64 = 0.625;

/// The fewest dims that are rotated; of fewer, codes take little more than a rotation of them would.
const DIMS_ROTATED_MIN: usize = 64;

/// Times that the sample is applied to the directions.
const ITERATIONS: usize = 4;

/// A prefix pays if balls of the smaller radius read this share of what they read with codes alone, or less.
const PAYS: f64 = 0.8;

/// What it takes to multiply with a byte of a rotation, in bytes read in order meanwhile.
const ROTATING: f64 = 4.0;

/// Directions are drawn from it.
const SEED: u64 = 0x0007_e57a_11ed;

impl PrefixFrame {
    /// The best prefix for these rows, `None` if codes alone are about as good. Reads a sample of the rows.
    #[must_use]
    pub fn of(rows: Rows<'_>, codes: &CodeFrame) -> Option<Self> {
        let (frame, cost) = best(rows, codes);
        cost.pays.then_some(frame)
    }

    /// The best prefix for these rows, whether or not it pays.
    #[must_use]
    pub fn forced(rows: Rows<'_>, codes: &CodeFrame) -> Self {
        best(rows, codes).0
    }
}

/// The best prefix, and what it costs.
fn best(rows: Rows<'_>, codes: &CodeFrame) -> (PrefixFrame, Cost) {
    let (dims, len) = (rows.dims(), rows.len());
    let sample = Sample::new(rows, codes);
    let plain = PrefixFrame::plain(dims, len);
    let cost = sample.cost(&plain);
    let mut best = (plain, cost);
    if (DIMS_ROTATED_MIN..=DIMS_ROTATED_MAX).contains(&dims) {
        // More directions than rows there are none.
        let widest = (dims / 2).min(KEPT_MAX).min(sample.rows().count());
        let widest = widest / KEPT_STEP * KEPT_STEP;
        let directions = match widest {
            0 => Vec::new(),
            _ => sample.directions(widest),
        };
        for kept in (KEPT_STEP..=widest).step_by(KEPT_STEP) {
            let rotation = sample.mixed(&directions, widest, kept);
            let Some(frame) = PrefixFrame::rotated(dims, len, kept, rotation) else {
                continue;
            };
            let cost = sample.cost(&frame);
            if cost.is_better_than(&best.1) {
                best = (frame, cost);
            }
        }
    }
    best
}

/// What a prefix costs.
struct Cost {
    /// Whether balls of the smaller radius read enough less with it.
    pays: bool,
    /// Bytes that a tile of rows takes: the geometric mean over both radii, of which the smaller counts twice.
    bytes: f64,
}

impl Cost {
    fn is_better_than(&self, other: &Self) -> bool {
        (self.pays, -self.bytes) > (other.pays, -other.bytes)
    }
}

/// Rows in the frame of the codes, in tiles.
struct Sample {
    dims: usize,
    tiles: Vec<FramedRows>,
    /// One row in so many is a query as well.
    query_every: usize,
    /// Squares of the smaller and the larger radius.
    near_sq: [f64; 2],
    /// Tiles of all rows.
    tiles_of_all: usize,
    kernel: Kernel,
}

impl Sample {
    fn new(rows: Rows<'_>, codes: &CodeFrame) -> Self {
        let dims = rows.dims();
        let n = SAMPLE_ROWS.min(SAMPLE_COORDINATES / dims).min(rows.len());
        let row = |i: usize| sampled(i, n, rows.len());
        let tile = |tile: usize| {
            let coordinates = (tile * TILE_ROWS..n.min((tile + 1) * TILE_ROWS))
                .flat_map(|i| rows.coordinates(row(i)..row(i) + 1));
            let mut framed = FramedRows::default();
            framed.fill(codes, &coordinates.copied().collect::<Vec<f32>>());
            framed
        };
        let tiles: Vec<FramedRows> = (0..n.div_ceil(TILE_ROWS))
            .into_par_iter()
            .map(tile)
            .collect();
        let mut sample = Self {
            dims,
            tiles,
            query_every: n.div_ceil(SAMPLE_QUERIES).max(1),
            near_sq: [0.0; 2],
            tiles_of_all: rows.len().div_ceil(TILE_ROWS).max(1),
            kernel: Kernel::fastest(),
        };
        sample.near_sq = sample.near_sq();
        sample
    }

    fn rows(&self) -> impl Iterator<Item = (&[f64], f64)> {
        let tiles = self.tiles.iter();
        tiles.flat_map(|tile| {
            tile.ys
                .chunks_exact(self.dims)
                .zip(tile.norms_sq.iter().copied())
        })
    }

    fn near_sq(&self) -> [f64; 2] {
        let rows: Vec<&[f64]> = self.rows().map(|(y, _)| y).collect();
        let queries: Vec<usize> = (0..rows.len()).step_by(self.query_every).collect();
        let of_query = |&query: &usize| -> Vec<f64> {
            let others = rows.iter().enumerate().filter(|&(row, _)| row != query);
            others.map(|(_, y)| distance_sq(y, rows[query])).collect()
        };
        let all: Vec<Vec<f64>> = queries.par_iter().map(of_query).collect();
        let mut all = all.concat();
        if all.is_empty() {
            return [0.0; 2];
        }
        let [first, middle] = [all.len() / PAIRS_OUTSIDE, all.len() / 2]
            .map(|at| *all.select_nth_unstable_by(at, f64::total_cmp).1);
        [first, first.max(NEAR * NEAR * middle)]
    }

    /// Orthonormal columns, those that rows differ in most first: `dims` rows of `width` numbers.
    fn directions(&self, width: usize) -> Vec<f32> {
        let n: usize = self.rows().count();
        let mut transposed = vec![0.0; self.dims * n];
        for (r, (y, _)) in self.rows().enumerate() {
            for (column, &value) in transposed.chunks_exact_mut(n).zip(y) {
                column[r] = value;
            }
        }
        let mut random = Random(SEED);
        let mut directions: Vec<f64> = (0..self.dims * width).map(|_| random.next()).collect();
        for _ in 0..ITERATIONS {
            let narrow = to_f32(&directions);
            let projected = self.tiles.par_iter().map(|tile| {
                let mut of_tile = vec![0.0; tile.norms_sq.len() * width];
                self.kernel
                    .product(&tile.ys, self.dims, &narrow, width, &mut of_tile);
                to_f32(&of_tile)
            });
            let projected = projected.collect::<Vec<_>>().concat();
            let lefts = transposed.par_chunks(TILE_ROWS * n);
            let results = directions.par_chunks_mut(TILE_ROWS * width);
            lefts.zip(results).for_each(|(left, result)| {
                self.kernel.product(left, n, &projected, width, result);
            });
            orthonormalise(&mut directions, width);
        }
        // What is left of them by the first pass may lean on each other.
        orthonormalise(&mut directions, width);
        to_f32(&directions)
    }

    /// The first directions, mixed among each other, so that what is kept of a row is spread evenly over all
    /// of its numbers: one step fits them all.
    fn mixed(&self, directions: &[f32], width: usize, kept: usize) -> Vec<f32> {
        let first = |row: &[f32]| row[..kept].iter().map(|&value| f64::from(value)).collect();
        let first: Vec<Vec<f64>> = directions.chunks_exact(width).map(first).collect();
        let mut random = Random(SEED);
        let mut mix: Vec<f64> = (0..kept * kept).map(|_| random.next()).collect();
        orthonormalise(&mut mix, kept);
        orthonormalise(&mut mix, kept);
        let mut mixed = vec![0.0; self.dims * kept];
        let mix = to_f32(&mix);
        self.kernel
            .product(&first.concat(), kept, &mix, kept, &mut mixed);
        to_f32(&mixed)
    }

    /// What this prefix costs.
    fn cost(&self, frame: &PrefixFrame) -> Cost {
        let bytes = frame.tile_bytes() as f64;
        let encoded: Vec<Numbers> = self
            .tiles
            .par_iter()
            .flat_map_iter(|tile| Numbers::of_tile(frame, tile, self.kernel))
            .collect();
        // A row of the sample is no near one of its own.
        let of_query = |i: usize| -> [usize; 2] {
            let query = &encoded[i];
            let h_norm = norm_sq_of(&query.z).sqrt();
            let mut unsure = [0; 2];
            for row in encoded[..i].iter().chain(&encoded[i + 1..]) {
                let dot: f64 = row.codes.iter().zip(&query.z).map(|(a, b)| a * b).sum();
                let t = row.norm_sq + query.norm_sq - 2.0 * dot;
                let least = t - 2.0 * (row.residual * h_norm + row.rest * query.rest);
                for (unsure, near_sq) in unsure.iter_mut().zip(self.near_sq) {
                    *unsure += usize::from(least <= near_sq);
                }
            }
            unsure
        };
        let queries: Vec<usize> = (0..encoded.len()).step_by(self.query_every).collect();
        let unsure = queries.par_iter().map(|&i| of_query(i));
        let unsure = unsure.reduce(|| [0; 2], |a, b| [a[0] + b[0], a[1] + b[1]]);
        let pairs = queries.len() * encoded.len().saturating_sub(1);
        let codes = tile_bytes(self.dims) as f64;
        // Every query is rotated.
        let rotating = ROTATING * size_of_val(frame.rotation()) as f64;
        let [near, less_near] = unsure.map(|unsure| {
            let share = unsure as f64 / pairs.max(1) as f64;
            bytes + codes * (1.0 - (1.0 - share).powi(TILE_ROWS as i32))
        });
        Cost {
            pays: near + rotating / self.tiles_of_all as f64 <= PAYS * codes,
            bytes: (near * near * less_near).cbrt(),
        }
    }
}

/// A row of the sample as its prefix has it.
struct Numbers {
    /// What is kept of it.
    z: Vec<f64>,
    /// What its codes say of that.
    codes: Vec<f64>,
    norm_sq: f64,
    residual: f64,
    rest: f64,
}

impl Numbers {
    fn of_tile(frame: &PrefixFrame, tile: &FramedRows, kernel: Kernel) -> Vec<Self> {
        let kept = frame.kept();
        let mut lines: Vec<Line> = vec![[0; size_of::<Line>()]; frame.tile_lines()];
        let mut zs = Vec::new();
        kernel.encode_prefixes(frame, tile, &mut lines, &mut zs);
        let zs = if frame.is_rotated() { &zs } else { &tile.ys };
        let n_tail = tail_lines(frame.is_rotated());
        let (codes, tail) = lines.split_at(lines.len() - n_tail);
        let tail = PrefixTail::read(tail);
        let rows = zs.chunks_exact(kept).zip(&tile.norms_sq).enumerate();
        rows.map(|(r, (z, &norm_sq))| {
            let step = f64::from(tail.steps[r]);
            Self {
                z: z.to_vec(),
                codes: nibbles(codes, r).take(kept).map(|k| step * k).collect(),
                norm_sq,
                residual: step * f64::from(tail.betas[r]),
                rest: f64::from(tail.rests[r]),
            }
        })
        .collect()
    }
}

/// Makes the columns of a matrix with rows of `width` numbers orthonormal, one after the other (modified
/// Gram-Schmidt; twice is enough), or zero where the others leave nothing of one.
fn orthonormalise(matrix: &mut [f64], width: usize) {
    for column in 0..width {
        let norm_sq: f64 = matrix
            .iter()
            .skip(column)
            .step_by(width)
            .map(|a| a * a)
            .sum();
        let factor = if norm_sq > 0.0 {
            1.0 / norm_sq.sqrt()
        } else {
            0.0
        };
        let mut dots = vec![0.0; width - column - 1];
        for row in matrix.chunks_exact_mut(width) {
            row[column] *= factor;
            let (value, others) = (row[column], &row[column + 1..]);
            for (dot, other) in dots.iter_mut().zip(others) {
                *dot += value * other;
            }
        }
        for row in matrix.chunks_exact_mut(width) {
            let (value, others) = (row[column], &mut row[column + 1..]);
            for (other, dot) in others.iter_mut().zip(&dots) {
                *other -= value * dot;
            }
        }
    }
}

fn distance_sq(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

fn to_f32(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

/// SplitMix64 (Steele, Lea, Flood, 2014), as numbers from -1 to 1.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ bits >> 31) as i64 as f64 / 2.0_f64.powi(63)
    }
}
