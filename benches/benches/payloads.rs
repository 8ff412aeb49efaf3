//! The payload store: pushing records of about 100 bytes, fetching one by one at random.
//!
//! `cargo xtask bench payloads`

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use ringdb_benches::{SEED, is_test_run};
use ringdb_storage::{PayloadStore, PayloadStoreBuilder};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Record {
    name: String,
    tags: [u32; 4],
    score: f64,
}

fn record(id: u32) -> Record {
    let name = format!("a record whose name takes some sixty bytes, number {id:>9}");
    Record {
        name,
        tags: [id; 4],
        score: f64::from(id),
    }
}

fn store(records: &[Record]) -> PayloadStore<Record> {
    let mut builder = PayloadStoreBuilder::new().expect("a file for payloads");
    for record in records {
        builder.push(record.clone()).expect("room for payloads");
    }
    builder.finish().expect("a payload store")
}

fn payloads(criterion: &mut Criterion) {
    let len = if is_test_run() { 1000 } else { 200_000 };
    let records: Vec<Record> = (0..len).map(record).collect();
    let stored = store(&records);
    let all: Vec<u32> = (0..len).collect();
    assert_eq!(stored.fetch_many(&all).expect("all payloads"), records);

    let mut group = criterion.benchmark_group("payloads");
    group.throughput(Throughput::Elements(u64::from(len)));
    group.bench_function("push", |bencher| {
        bencher.iter(|| assert_eq!(store(&records).len(), records.len()));
    });
    group.throughput(Throughput::Elements(1));
    let mut rng = SmallRng::seed_from_u64(SEED);
    group.bench_function("fetch", |bencher| {
        bencher.iter(|| {
            let id = rng.random_range(0..len);
            assert_eq!(stored.fetch(id).expect("a payload").tags, [id; 4]);
        });
    });
    group.finish();
}

criterion_group!(benches, payloads);
criterion_main!(benches);
