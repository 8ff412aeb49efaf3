//! Rings through the facade against the definition of distance, on small and on odd data.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use ringdb::{DiskQuery, RangeQuery, RingDb, RingDbConfig, RingQuery, SealedRingDb};
use ringdb_index::distance;

fn database(dims: usize, rows: &[f32]) -> SealedRingDb {
    let mut db = RingDb::new(RingDbConfig::new(dims)).unwrap();
    for row in rows.chunks(dims) {
        db.add_vector(row, ()).unwrap();
    }
    db.build().unwrap()
}

/// The ids whose distance satisfies `hit`, one by one.
fn expected(dims: usize, rows: &[f32], query: &[f32], hit: impl Fn(f64) -> bool) -> Vec<u32> {
    let rows = rows.chunks(dims).enumerate();
    rows.filter(|(_, row)| hit(distance(row, query)))
        .map(|(id, _)| id as u32)
        .collect()
}

/// Runs `test` on values of `strategy` from a fixed seed, printed when it fails.
fn with_seed<S: Strategy>(strategy: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    const SEED: [u8; 32] = *b"the ringdb facade, seed number 1";
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(300)
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &SEED);
    let outcome = TestRunner::new_with_rng(config, rng).run(&strategy, test);
    if let Err(error) = outcome {
        panic!("seed {:?}: {error}", String::from_utf8_lossy(&SEED));
    }
}

/// Small integers for ties, any finite number for the rest.
fn coordinate() -> impl Strategy<Value = f32> {
    prop_oneof![
        (-3_i8..=3).prop_map(f32::from),
        any::<i32>().prop_map(|x| x as f32 * 1e-9),
        finite()
    ]
}

fn finite() -> impl Strategy<Value = f32> {
    any::<u32>()
        .prop_map(f32::from_bits)
        .prop_filter("finite", |x| x.is_finite())
}

#[test]
fn the_three_queries_and_the_search_find_what_the_definition_says() {
    let cases = (1_usize..20, 0_usize..40).prop_flat_map(|(dims, rows)| {
        let rows = prop::collection::vec(coordinate(), dims * rows);
        let query = prop::collection::vec(coordinate(), dims);
        (Just(dims), rows, query, 0.0_f32..8.0, 0.0_f32..4.0)
    });
    with_seed(cases, |(dims, rows, query, d, lambda)| {
        let db = database(dims, &rows);
        let query = query.as_slice();
        let (d_min, d_max) = ((d - lambda).max(0.0), d + lambda);
        let (low, high) = (f64::from(d_min), f64::from(d_max));
        let ring = expected(dims, &rows, query, |x| low <= x && x <= high);
        prop_assert_eq!(
            &db.query(&RingQuery { query, d, lambda }).unwrap().ids,
            &ring
        );
        prop_assert_eq!(
            &db.query_range(&RangeQuery {
                query,
                d_min,
                d_max
            })
            .unwrap()
            .ids,
            &ring
        );
        let disk = expected(dims, &rows, query, |x| x <= high);
        prop_assert_eq!(
            &db.query_disk(&DiskQuery { query, d_max }).unwrap().ids,
            &disk
        );

        // Every distance that occurs, as a bound of either kind.
        for &id in &disk {
            let at = distance(&rows[id as usize * dims..][..dims], query);
            let found = db.search(query).range(at..=at).distances().run().unwrap();
            prop_assert_eq!(&found.ids, &expected(dims, &rows, query, |x| x == at));
            prop_assert!(
                found
                    .distances
                    .unwrap()
                    .iter()
                    .all(|&x| x.to_bits() == at.to_bits())
            );
            let (below, rest) = (db.search(query).range(..at), db.search(query).range(at..));
            let (below, rest) = (below.run().unwrap().ids, rest.run().unwrap().ids);
            prop_assert_eq!(&below, &expected(dims, &rows, query, |x| x < at));
            prop_assert_eq!(below.len() + rest.len(), db.len());
        }
        Ok(())
    });
}

#[test]
fn every_vector_finds_itself_within_radius_0() {
    for dims in [1, 2, 3, 7, 8, 9, 64, 100, 768] {
        for scale in [1e-45, 1e-22, 1e-3, 1.0, 1e4, 1e19, 3e38] {
            let value = |i: usize| ((i * 7919 % 2003) as f32 / 2003.0 - 0.5) * 2.0 * scale;
            let rows: Vec<f32> = (0..50 * dims).map(value).collect();
            let db = database(dims, &rows);
            for (id, query) in rows.chunks(dims).enumerate() {
                let found = db.query_disk(&DiskQuery { query, d_max: 0.0 }).unwrap().ids;
                assert!(
                    found.contains(&(id as u32)),
                    "row {id} of {dims} dims at scale {scale:e}"
                );
            }
        }
    }
}

#[test]
fn bounds_at_their_limits() {
    let db = database(2, &[0.0, 0.0, 3.0, 4.0, f32::MAX, f32::MAX]);
    let query: &[f32] = &[0.0, 0.0];
    let ring = |d, lambda| db.query(&RingQuery { query, d, lambda }).unwrap().ids;
    assert_eq!(ring(1.0, 2.0), [0], "a lower bound below 0 is 0");
    assert_eq!(ring(1.0, f32::INFINITY), [0, 1, 2]);
    assert_eq!(
        ring(f32::MAX, f32::MAX),
        [0, 1, 2],
        "the sum of the bounds overflows to no bound"
    );
    assert_eq!(ring(5.0, 0.0), [1]);
    assert_eq!(ring(0.0, 0.0), [0]);
    assert_eq!(ring(-0.0, -0.0), [0]);
    let range = |d_min, d_max| {
        db.query_range(&RangeQuery {
            query,
            d_min,
            d_max,
        })
        .unwrap()
        .ids
    };
    assert_eq!(range(5.0, 5.0), [1]);
    assert_eq!(range(1.0, f32::INFINITY), [1, 2]);
    assert_eq!(range(6.0, 7.0), []);
    assert_eq!(range(f32::INFINITY, f32::INFINITY), []);
    assert_eq!(db.search(query).run().unwrap().ids, [0, 1, 2]);
    assert_eq!(db.search(query).range(1.0..1.0).run().unwrap().ids, []);
}

#[test]
fn bounds_are_summed_in_f32_for_ring_queries_and_in_f64_for_searches() {
    let (d, lambda) = (0.6_f32, 0.1_f32);
    let at = d + lambda;
    let db = database(1, &[at]);
    let query: &[f32] = &[0.0];
    assert_eq!(db.query(&RingQuery { query, d, lambda }).unwrap().ids, [0]);
    assert!(
        f64::from(at) > 0.6 + 0.1,
        "the two sums differ, which the next line needs"
    );
    assert_eq!(db.search(query).ring(0.6, 0.1).run().unwrap().ids, []);
}

#[test]
fn nothing_and_next_to_nothing() {
    let empty = database(3, &[]);
    assert!(empty.is_empty());
    let disk = DiskQuery {
        query: &[0.0; 3],
        d_max: f32::INFINITY,
    };
    assert_eq!(empty.query_disk(&disk).unwrap().ids, []);
    let searched = empty.search(&[0.0; 3]).distances().run().unwrap();
    assert_eq!((searched.ids, searched.distances), (vec![], Some(vec![])));
    assert_eq!(empty.fetch_payloads(&[]).unwrap(), []);
    let one = database(1, &[2.5]);
    assert_eq!(
        one.query_disk(&DiskQuery {
            query: &[2.5],
            d_max: 0.0
        })
        .unwrap()
        .ids,
        [0]
    );
    assert_eq!(one.fetch_payloads(&[0, 0]).unwrap(), [(), ()]);
}
