//! The payload store: pushing structs of about 100 bytes, with and without decoding them again, and
//! fetching structs of about 200 bytes one by one at random, checksum included.
//!
//! `cargo xtask bench payloads`

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use ringdb_benches::{SEED, is_test_run};
use ringdb_storage::{PayloadCodec, PayloadStore, PayloadStoreBuilder};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Record {
    name: String,
    tags: [u32; 4],
    score: f64,
}

/// A record of `name_bytes` + 32 bytes.
fn record(id: u32, name_bytes: usize) -> Record {
    Record {
        name: format!("{id:>name_bytes$}"),
        tags: [id; 4],
        score: f64::from(id),
    }
}

const CODECS: [PayloadCodec; 2] = [PayloadCodec::Bincode, PayloadCodec::Postcard];

fn builder(codec: PayloadCodec) -> PayloadStoreBuilder<Record> {
    PayloadStoreBuilder::with_codec(codec).expect("files for payloads")
}

fn push(records: &[Record], codec: PayloadCodec) -> PayloadStore<Record> {
    let mut builder = builder(codec);
    for record in records {
        builder.push(record.clone()).expect("room for payloads");
    }
    builder.finish().expect("a payload store")
}

fn push_checked(records: &[Record], codec: PayloadCodec) -> PayloadStore<Record> {
    let mut builder = builder(codec);
    for record in records {
        let checked = builder.push_checked(record.clone());
        checked.expect("room for payloads");
    }
    builder.finish().expect("a payload store")
}

fn pushes(criterion: &mut Criterion) {
    let len = if is_test_run() { 1000 } else { 200_000 };
    let records: Vec<Record> = (0..len).map(|id| record(id, 68)).collect();
    let all: Vec<u32> = (0..len).collect();
    let mut group = criterion.benchmark_group("push 100 bytes");
    group.throughput(Throughput::Elements(u64::from(len)));
    for codec in CODECS {
        for (name, push) in [
            ("unchecked", push as fn(&[Record], PayloadCodec) -> _),
            ("decoded again", push_checked),
        ] {
            let stored = push(&records, codec);
            assert_eq!(stored.fetch_many(&all).expect("all payloads"), records);
            group.bench_function(format!("{codec}, {name}"), |bencher| {
                bencher.iter(|| assert_eq!(push(&records, codec).len(), records.len()));
            });
        }
    }
    group.finish();
}

/// 1024 ids over and over: with as many as there are iterations the memory would be measured as well.
fn warm_ids(len: u32) -> impl Iterator<Item = u32> {
    let mut rng = SmallRng::seed_from_u64(SEED);
    let warm: Vec<u32> = (0..1024).map(|_| rng.random_range(0..len)).collect();
    warm.into_iter().cycle()
}

fn fetches(criterion: &mut Criterion) {
    let len = if is_test_run() { 1000 } else { 200_000 };
    let mut group = criterion.benchmark_group("fetch 200 bytes");
    for codec in CODECS {
        let records: Vec<Record> = (0..len).map(|id| record(id, 168)).collect();
        let stored = push(&records, codec);
        let all: Vec<u32> = (0..len).collect();
        assert_eq!(stored.fetch_many(&all).expect("all payloads"), records);
        let mut ids = warm_ids(len);
        let mut id = || ids.next().expect("no end");
        group.bench_function(format!("{codec}, decoded"), |bencher| {
            bencher.iter(|| {
                let id = id();
                assert_eq!(stored.fetch(id).expect("a payload").tags, [id; 4]);
            });
        });
        group.bench_function(format!("{codec}, as bytes"), |bencher| {
            bencher.iter(|| {
                let bytes = stored.fetch_bytes(id()).expect("a payload");
                assert!(bytes.len() > 168);
            });
        });
    }
    group.finish();
}

fn fetches_in_place(criterion: &mut Criterion) {
    let len: u32 = if is_test_run() { 1000 } else { 200_000 };
    let mut builder = PayloadStoreBuilder::<[u32; 50]>::with_codec(PayloadCodec::Pod)
        .expect("files for payloads");
    for id in 0..len {
        builder.push_pod(&[id; 50]).expect("room for payloads");
    }
    let stored = builder.finish().expect("a payload store");
    let mut ids = warm_ids(len);
    criterion.bench_function("fetch 200 bytes/pod, in place", |bencher| {
        bencher.iter(|| {
            let id = ids.next().expect("no end");
            assert_eq!(stored.fetch_ref(id).expect("a payload")[49], id);
        });
    });
}

criterion_group!(benches, pushes, fetches, fetches_in_place);
criterion_main!(benches);
