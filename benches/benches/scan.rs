//! One ring query by every kernel, over rows that fit the processor's cache and rows that do not.
//!
//! `cargo xtask bench scan`

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringdb_benches::{checked_hits, is_test_run, median_ring, uniform};
use ringdb_index::{Kernel, Rows, ring_ids};

fn scan(criterion: &mut Criterion) {
    for (n_rows, dims) in [
        (100_000, 3),
        (20_000, 64),
        (400_000, 64),
        (70_000, 384),
        (35_000, 768),
    ] {
        let n_rows = if is_test_run() { n_rows / 100 } else { n_rows };
        let segment = uniform(n_rows, dims);
        let rows = Rows::new(segment.vectors.as_slice(), dims).expect("whole rows");
        let query = rows.row(0).expect("a first row").to_vec();
        let ring = median_ring(rows, &query, 0.005);
        let mut group = criterion.benchmark_group(format!("{n_rows}x{dims}"));
        group.throughput(Throughput::Bytes(
            size_of_val(segment.vectors.as_slice()) as u64
        ));
        for kernel in Kernel::available() {
            let hits = checked_hits(rows, &query, &ring, kernel);
            group.bench_function(BenchmarkId::from_parameter(kernel), |bencher| {
                bencher.iter(|| {
                    let found = ring_ids(rows, &query, &ring, kernel).expect("a valid query");
                    assert_eq!(found.len(), hits.len());
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, scan);
criterion_main!(benches);
