//! Opening a database directory whose files are in the page cache: checking all of it, and checking
//! nothing yet.
//!
//! `cargo xtask bench open`

use std::path::Path;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringdb::{BuildOptions, OpenOptions, SealedRingDb, Verify};
use ringdb_benches::is_test_run;

const DIMS: usize = 64;

/// Builds a database whose rows are told apart by their first coordinate.
fn build(dir: &Path, n_rows: usize) {
    let options = BuildOptions::new(DIMS).persist(dir).check_payloads(false);
    let mut db = options.create().expect("a directory to build in");
    let mut row = [0.5; DIMS];
    for id in 0..n_rows {
        row[0] = id as f32;
        db.add_vector(&row, id as u64).expect("room for a row");
    }
    db.build().expect("room for the database");
}

fn open(dir: &Path, verify: Verify) -> SealedRingDb<u64> {
    let options = OpenOptions::new().verify(verify);
    options.open(dir).expect("a whole database")
}

fn opening(criterion: &mut Criterion) {
    let n_rows: &[usize] = match is_test_run() {
        true => &[1000],
        false => &[62_500, 1_000_000, 4_000_000],
    };
    let mut group = criterion.benchmark_group("open");
    for &n_rows in n_rows {
        let dir = tempfile::tempdir().expect("a temporary directory");
        build(dir.path(), n_rows);
        let last = n_rows as u32 - 1;
        for (name, verify) in [("checked", Verify::Open), ("lazy", Verify::Lazy)] {
            let db = open(dir.path(), verify);
            assert_eq!(db.len(), n_rows);
            assert_eq!(db.vector(last).expect("a row")[0], last as f32);
            assert_eq!(db.fetch_payload(last).expect("a payload"), u64::from(last));
            // Rows, offsets, and payloads of 8 bytes with 4 of checksum.
            group.throughput(Throughput::Bytes(
                n_rows as u64 * (4 * DIMS as u64 + 8 + 12),
            ));
            group.bench_function(
                BenchmarkId::new(name, format!("{n_rows} rows")),
                |bencher| {
                    bencher.iter(|| assert_eq!(open(dir.path(), verify).len(), n_rows));
                },
            );
        }
    }
    group.finish();
}

criterion_group!(benches, opening);
criterion_main!(benches);
