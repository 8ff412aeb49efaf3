//! Many queries at once: each finds what it finds alone, whatever it shares a pass with.

use std::ops::Range;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use ringdb_index::{
    Batch, Error, Guard, Kernel, Ring, Rows, Segment, Tier, Trusted, distance, ring_ids,
    search_many,
};

use crate::coded::{Coded, check_tiers};
use crate::data::KINDS;
use crate::{SEED, kernels};

/// Every query of a batch against the same query alone.
fn check(segment: Segment<'_>, queries: &[f32], rings: &[Ring], kernel: Kernel) -> Batch {
    let rows = segment.rows();
    let batch = search_many(segment, queries, rings, kernel, &Trusted).expect("a legal search");
    assert_eq!(batch.len(), queries.len() / rows.dims());
    assert_eq!(batch.offsets.first(), Some(&0));
    assert_eq!(batch.offsets.last(), Some(&batch.ids.len()));
    for (i, query) in queries.chunks(rows.dims()).enumerate() {
        let ring = rings.get(i).unwrap_or(&rings[0]);
        let alone = ring_ids(rows, query, ring, kernel).expect("a legal search");
        assert!(
            batch.ids_of(i) == alone,
            "{kernel}, query {i} of {}",
            batch.len()
        );
    }
    check_tiers(&batch.explain, rows.dims());
    let all = (batch.len() * rows.len()) as u64;
    let of = |tier| batch.explain.tier(tier);
    assert_eq!(of(Tier::Codes).rows + of(Tier::Scan).rows, all);
    assert_eq!(batch.explain.hits(), batch.ids.len() as u64);
    batch
}

#[test]
fn every_query_of_a_batch_finds_what_it_finds_alone() {
    println!("seed {SEED:#x}");
    let mut rng = SmallRng::seed_from_u64(SEED);
    for (dims, rows) in [
        (1, 40),
        (3, 300),
        (16, 2_100),
        (33, 700),
        (64, 5_000),
        (300, 400),
    ] {
        for kind in KINDS {
            let data = kind.rows(rows, dims, &mut rng);
            let view = Rows::new(&data, dims).expect("whole rows");
            let coded = Coded::new(&data, dims);
            let n = rng.random_range(1..20);
            let mut queries = Vec::new();
            for i in 0..n {
                let row = &data[rng.random_range(0..rows) * dims..][..dims];
                match i % 3 {
                    0 => queries.extend_from_slice(row),
                    _ => queries.extend((0..dims).map(|_| kind.coordinate(&mut rng))),
                }
            }
            let rings: Vec<Ring> = queries
                .chunks(dims)
                .map(|query| {
                    let mut some = || {
                        let row = rng.random_range(0..rows);
                        distance(&data[row * dims..][..dims], query)
                    };
                    let (a, b) = (some(), some());
                    Ring::between(a.min(b), a.max(b)).expect("legal bounds")
                })
                .collect();
            for kernel in kernels() {
                for segment in [Segment::new(view), coded.segment(view)] {
                    check(segment, &queries, &rings, kernel);
                    check(segment, &queries, &rings[..1], kernel);
                }
            }
        }
    }
}

/// Several passes, few blocks with many queries, and many blocks, in pools of several sizes.
#[test]
fn passes_parts_and_threads_change_nothing() {
    println!("seed {SEED:#x}");
    let mut rng = SmallRng::seed_from_u64(SEED);
    let dims = 16;
    for (rows, n) in [(1, 1), (1, 600), (17, 257), (3_000, 300), (70_001, 9)] {
        let data: Vec<f32> = (0..rows * dims)
            .map(|_| rng.random_range(-1.0..1.0))
            .collect();
        let queries: Vec<f32> = (0..n * dims).map(|_| rng.random_range(-1.0..1.0)).collect();
        let view = Rows::new(&data, dims).expect("whole rows");
        let coded = Coded::new(&data, dims);
        let ring = [Ring::between(1.5, 2.5).expect("legal bounds")];
        let mut seen = None;
        for threads in [1, 2, 7] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("a pool");
            let batch =
                pool.install(|| check(coded.segment(view), &queries, &ring, Kernel::fastest()));
            let plain =
                pool.install(|| check(Segment::new(view), &queries, &ring, Kernel::fastest()));
            assert!(batch.ids == plain.ids && batch.offsets == plain.offsets);
            assert!(
                *seen.get_or_insert(batch.clone()) == batch,
                "{threads} threads"
            );
        }
    }
}

/// A query too far away for codes, among others that are not.
#[test]
fn a_far_query_in_a_batch_is_answered_too() {
    let mut rng = SmallRng::seed_from_u64(SEED);
    let dims = 20;
    let data: Vec<f32> = (0..500 * dims)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    let view = Rows::new(&data, dims).expect("whole rows");
    let coded = Coded::new(&data, dims);
    let mut queries = data[..5 * dims].to_vec();
    queries[2 * dims..3 * dims].fill(1e30);
    let far = distance(&data[..dims], &queries[2 * dims..3 * dims]);
    let mut rings = vec![Ring::within(2.0).expect("legal bounds"); 5];
    rings[2] = Ring::within(far).expect("legal bounds");
    let batch = check(coded.segment(view), &queries, &rings, Kernel::fastest());
    assert!(!batch.ids_of(2).is_empty() && batch.explain.tier(Tier::Scan).rows > 0);
}

#[test]
fn what_does_not_fit_is_refused() {
    let data = [0.0; 6];
    let rows = Rows::new(&data, 3).expect("whole rows");
    let ring = Ring::within(1.0).expect("legal bounds");
    let refused = |queries: &[f32], rings: &[Ring]| {
        search_many(
            Segment::new(rows),
            queries,
            rings,
            Kernel::fastest(),
            &Trusted,
        )
        .expect_err("what does not fit")
    };
    let (expected, got) = (3, 1);
    assert_eq!(
        refused(&[0.0; 4], &[ring]),
        Error::DimensionMismatch { expected, got }
    );
    let (index, value) = (4, f32::INFINITY);
    let queries = [0.0, 0.0, 0.0, 0.0, f32::INFINITY, 0.0];
    assert_eq!(
        refused(&queries, &[ring]),
        Error::NotFinite { index, value }
    );
    for (n, text) in [
        (0, "0 rings for 2 queries, must be 1 or as many"),
        (3, "3 rings for 2 queries, must be 1 or as many"),
    ] {
        assert_eq!(refused(&[0.0; 6], &vec![ring; n]).to_string(), text);
    }
    let none = search_many(
        Segment::new(rows),
        &[],
        &[ring],
        Kernel::fastest(),
        &Trusted,
    );
    let none = none.expect("no queries are whole queries");
    assert!(none.is_empty() && none.ids.is_empty() && none.offsets == [0]);
    let empty = Rows::new(&[], 3).expect("no rows are whole rows");
    let batch = search_many(
        Segment::new(empty),
        &[0.0; 6],
        &[ring],
        Kernel::fastest(),
        &Trusted,
    );
    assert_eq!(batch.expect("a legal search").offsets, [0, 0, 0]);
}

struct Refusing;

impl Guard for Refusing {
    type Error = Error;

    fn rows(&self, _: Range<usize>) -> Result<(), Error> {
        Ok(())
    }

    fn codes(&self, bytes: Range<usize>) -> Result<(), Error> {
        // The head of these codes is 128 bytes, and a tile 384.
        assert!(bytes.start >= 128 && (bytes.start - 128).is_multiple_of(384));
        Err(Error::FloatEnvironment)
    }

    fn fine(&self, _: Range<usize>) -> Result<(), Error> {
        Ok(())
    }

    fn prefix(&self, _: Range<usize>) -> Result<(), Error> {
        Ok(())
    }

    fn blocks(&self, _: Range<usize>) -> Result<(), Error> {
        unreachable!("there are no boxes")
    }

    fn order(&self, _: Range<usize>) -> Result<(), Error> {
        unreachable!("there are no boxes")
    }
}

#[test]
fn an_error_of_the_guard_ends_a_batch() {
    let data = vec![0.5; 16 * 100];
    let rows = Rows::new(&data, 16).expect("whole rows");
    let coded = Coded::new(&data, 16);
    let ring = Ring::within(1.0).expect("legal bounds");
    let batch = search_many(
        coded.segment(rows),
        &data[..32],
        &[ring],
        Kernel::fastest(),
        &Refusing,
    );
    assert_eq!(batch, Err(Error::FloatEnvironment));
}
