//! The scan against the speed of memory: a ring query over 3M x 64 rows, and a plain sum of the same
//! bytes on the same threads, in turn.
//!
//! `cargo xtask bench bandwidth`

use std::hint::black_box;

use rayon::prelude::*;
use ringdb_benches::{
    SEED, Times, checked_hits, interleaved, is_test_run, median_ratio, median_ring, uniform,
};
use ringdb_index::{Kernel, Rows, ring_ids};

/// Bytes that one task of the sum reads: as many as one of the scan does.
const SPAN_BYTES: usize = 1 << 20;

fn main() {
    let (n_rows, runs) = if is_test_run() {
        (20_000, 1)
    } else {
        (3_000_000, 31)
    };
    let dims = 64;
    let segment = uniform(n_rows, dims);
    let data = segment.vectors.as_slice();
    let rows = Rows::new(data, dims).expect("whole rows");
    let query = rows.row(0).expect("a first row").to_vec();
    let ring = median_ring(rows, &query, 0.0005);
    let words: &[u64] = bytemuck::cast_slice(data);
    let gigabytes = size_of_val(data) as f64 / 1e9;

    let threads = rayon::current_num_threads();
    println!(
        "{n_rows} x {dims} uniform rows, seed {SEED}, {gigabytes:.3} GB, {threads} threads, {runs} runs each\n"
    );
    println!("| | median | min | max | GB/s | of the sum's bandwidth |");
    println!("|---|---|---|---|---|---|");
    for kernel in Kernel::available() {
        let hits = checked_hits(rows, &query, &ring, kernel);
        let mut sum = || {
            black_box(
                words
                    .par_chunks(SPAN_BYTES / 8)
                    .map(sum_of)
                    .reduce(|| 0, u64::wrapping_add),
            );
        };
        let mut scan = || {
            let found = ring_ids(rows, &query, &ring, kernel).expect("a valid query");
            assert!(found == hits, "the answer changed");
        };
        let [sum, scan] = interleaved(runs, [&mut sum, &mut scan]);
        let share = median_ratio(&sum, &scan);
        line("sum of u64 words", gigabytes, &sum, "");
        let name = format!("scan, {kernel}, {} hits", hits.len());
        line(&name, gigabytes, &scan, &format!("{:.1} %", 100.0 * share));
    }
}

/// The wrapping sum of the words, in eight accumulators.
fn sum_of(words: &[u64]) -> u64 {
    let (eights, rest) = words.as_chunks::<8>();
    let mut sums = [0_u64; 8];
    for eight in eights {
        for (sum, word) in sums.iter_mut().zip(eight) {
            *sum = sum.wrapping_add(*word);
        }
    }
    sums.iter()
        .chain(rest)
        .fold(0, |sum, word| sum.wrapping_add(*word))
}

fn line(name: &str, gigabytes: f64, times: &Times, share: &str) {
    let ms = |seconds: f64| format!("{:.2} ms", 1e3 * seconds);
    let (median, min, max) = (times.median(), times.min(), times.max());
    let (bandwidth, median, min, max) = (gigabytes / median, ms(median), ms(min), ms(max));
    println!("| {name} | {median} | {min} | {max} | {bandwidth:.1} | {share} |");
}
