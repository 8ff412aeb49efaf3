//! One suite for all kernels: every available one is held against the definition, bit for bit. How
//! rings turn into thresholds and rows into spans is tested elsewhere.

mod codes;
mod prefix;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::distance;
use crate::ring::{Ring, Thresholds};

const SEED: u64 = 0x4b45_524e;

fn finite(rng: &mut SmallRng) -> f32 {
    loop {
        let value = f32::from_bits(rng.random());
        if value.is_finite() {
            return value;
        }
    }
}

/// A vector between two NaN, so that a kernel that reads outside of it gives itself away, at a
/// place aligned to nothing but `f32`.
struct Fenced(Vec<f32>);

impl Fenced {
    fn new(mut fill: impl FnMut() -> f32, len: usize) -> Self {
        let mut data = vec![f32::NAN; len + 2];
        data[1..=len].fill_with(&mut fill);
        Self(data)
    }

    fn values(&self) -> &[f32] {
        &self.0[1..self.0.len() - 1]
    }
}

fn all_hits(
    kernel: Kernel,
    coordinates: &[f32],
    query: &[f32],
    thresholds: Thresholds,
) -> Vec<u32> {
    let query = Prepared::new(query);
    let mut found = [u32::MAX; CHUNK_ROWS];
    let n = kernel.hits(
        &Chunk {
            coordinates,
            first_id: 7,
            query: &query,
            thresholds,
        },
        &mut found,
    );
    found[..n].to_vec()
}

#[test]
fn the_scalar_kernel_is_last_and_the_names_differ() {
    let kernels = Kernel::available();
    println!("kernels: {kernels:?}");
    assert_eq!(kernels.first(), Some(&Kernel::fastest()));
    assert_eq!(
        kernels.last().map(|kernel| kernel.to_string()),
        Some("scalar".to_owned())
    );
    for (i, kernel) in kernels.iter().enumerate() {
        assert_eq!(
            kernels
                .iter()
                .position(|other| other.name() == kernel.name()),
            Some(i)
        );
    }
}

#[test]
fn the_sum_has_the_bits_of_the_definition() {
    println!("seed {SEED:#x}");
    let mut rng = SmallRng::seed_from_u64(SEED);
    for dims in (1..=70).chain([127, 128, 129, 1_000, 4_097]) {
        for _ in 0..40 {
            let scale = [1.0, 1e-40, 1e-22, 1e19][rng.random_range(0..4)];
            let x = Fenced::new(|| rng.random_range(-1.0_f32..1.0) * scale, dims);
            let q = Fenced::new(|| rng.random_range(-1.0_f32..1.0) * scale, dims);
            let wild = Fenced::new(|| finite(&mut rng), dims);
            for (x, q) in [(&x, &q), (&wild, &q), (&x, &wild), (&x, &x), (&wild, &wild)] {
                let expected = distance::s64(x.values(), q.values());
                let prepared = Prepared::new(q.values());
                for kernel in Kernel::available() {
                    assert_eq!(
                        kernel.s64(x.values(), &prepared).to_bits(),
                        expected.to_bits(),
                        "{kernel}, {dims} dims"
                    );
                }
            }
        }
    }
}

#[test]
fn hits_are_the_rows_within_both_thresholds() {
    println!("seed {SEED:#x}");
    let mut rng = SmallRng::seed_from_u64(SEED);
    for dims in (1..=17).chain([63, 64, 65]) {
        for rows in [0, 1, 2, 3, 100, CHUNK_ROWS - 1, CHUNK_ROWS] {
            let data = Fenced::new(|| rng.random_range(-2_i8..=2).into(), rows * dims);
            let query = Fenced::new(|| rng.random_range(-2_i8..=2).into(), dims);
            let sums: Vec<f64> = data
                .values()
                .chunks(dims)
                .map(|row| distance::s64(row, query.values()))
                .collect();
            let some = |rng: &mut SmallRng| {
                if rows == 0 {
                    1.0
                } else {
                    sums[rng.random_range(0..rows)]
                }
            };
            let (a, b) = (some(&mut rng), some(&mut rng));
            let (lo, hi) = (a.min(b), a.max(b));
            for (lo_s, hi_s) in [
                (lo, hi),
                (lo.next_up(), hi),
                (lo, hi.next_down()),
                (lo, lo),
                (0.0, f64::MAX),
                (hi.next_up(), hi),
            ] {
                let inside = |s: f64| lo_s <= s && s <= hi_s;
                let expected: Vec<u32> = (7..)
                    .zip(&sums)
                    .filter(|&(_, &s)| inside(s))
                    .map(|(id, _)| id)
                    .collect();
                for kernel in Kernel::available() {
                    let hits = all_hits(
                        kernel,
                        data.values(),
                        query.values(),
                        Thresholds { lo_s, hi_s },
                    );
                    assert_eq!(
                        hits, expected,
                        "{kernel}, {rows} rows of {dims}, [{lo_s:?}, {hi_s:?}]"
                    );
                }
            }
        }
    }
}

#[test]
fn a_row_that_is_not_finite_is_no_hit() {
    let everything = Ring::within(f64::INFINITY)
        .expect("legal bounds")
        .thresholds();
    for dims in 1..=20 {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut data = vec![1.0; 3 * dims];
            data[2 * dims - 1] = bad;
            for kernel in Kernel::available() {
                assert_eq!(
                    all_hits(kernel, &data, &vec![0.0; dims], everything),
                    [7, 9],
                    "{kernel}, {dims} dims, {bad}"
                );
            }
        }
    }
}
