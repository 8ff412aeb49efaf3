//! Everything that can be asked of a ring, of all vectors and of some, against a sort of all distances by the definition;
//! and who may watch a search and end it.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use ringdb::{
    Boxes, BuildOptions, CancelToken, Codes, OpenOptions, Progress, Ring, RingDb, RingDbError,
    RowSet, SealedRingDb, Tier,
};
use ringdb_index::distance;

const SEED: u64 = 0x7665_7262;

pub(crate) fn options(dims: usize, (codes, boxes): (Codes, Boxes)) -> BuildOptions {
    BuildOptions::new(dims).codes(codes).boxes(boxes)
}

pub(crate) fn build(options: BuildOptions, vectors: &[f32], dims: usize) -> SealedRingDb {
    let mut db: RingDb = options.create().unwrap();
    db.add_vectors(vectors, vec![(); vectors.len() / dims])
        .unwrap();
    db.build().unwrap()
}

/// Without a tier, with codes, and with boxes.
pub(crate) const TIERS: [(Codes, Boxes); 3] = [
    (Codes::Off, Boxes::Off),
    (Codes::On, Boxes::Off),
    (Codes::Off, Boxes::On),
];

pub(crate) fn tiers(vectors: &[f32], dims: usize) -> [SealedRingDb; 3] {
    TIERS.map(|tiers| build(options(dims, tiers), vectors, dims))
}

/// Coordinates of few values, so that many distances are equal, and ids of some of the rows.
fn lattice() -> impl Strategy<Value = (usize, Vec<f32>, Vec<f32>, Vec<u32>)> {
    // Codes are passed over below four dims, and boxes are had up to twelve.
    let dims = prop::sample::select(vec![1_usize, 2, 3, 5, 8, 12]);
    (dims, 0_usize..300).prop_flat_map(|(dims, rows)| {
        let coordinate = || prop::sample::select(vec![0.0_f32, 0.5, 1.0, -1.0, 1e19]);
        (
            Just(dims),
            prop::collection::vec(coordinate(), dims * rows),
            prop::collection::vec(coordinate(), dims),
            prop::sample::subsequence((0..rows as u32).collect::<Vec<u32>>(), 0..=rows),
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        rng_seed: RngSeed::Fixed(SEED),
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_verb_agrees_with_the_definition(
        (dims, vectors, query, some) in lattice(),
        denies: bool,
        (a, b, form) in (0_u8..8, 0_u8..8, 0..6),
        k in 0_usize..20,
        p in 0.0..=1.0,
    ) {
        let (a, b) = (f64::from(a.min(b)) / 2.0, f64::from(a.max(b)) / 2.0);
        let ring = match form {
            0 => Ring::from_bounds(a..=b),
            1 => Ring::from_bounds(a..b),
            2 => Ring::from_bounds(a..),
            3 => Ring::from_bounds((Bound::Excluded(a), Bound::Included(b))),
            _ => Ring::from_bounds(..),
        }
        .unwrap();
        let filter = if denies { RowSet::deny(some) } else { RowSet::allow(some) };
        let rows = vectors.chunks(dims).zip(0..);
        let all: Vec<(f64, u32)> = rows.map(|(row, id)| (distance(row, &query), id)).collect();
        let hits = all.iter().copied();
        let hits: Vec<(f64, u32)> = hits
            .filter(|&(d, id)| ring.contains(d) && filter.allows(id))
            .collect();
        let mut sorted = hits.clone();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        for db in tiers(&vectors, dims) {
            let ask = || db.search(&query).in_ring(ring).filter(&filter);

            let found = ask().distances().run().unwrap();
            prop_assert_eq!(found.total, hits.len() as u64);
            let found = found.distances.unwrap().into_iter().zip(found.ids);
            prop_assert_eq!(&found.collect::<Vec<_>>(), &hits);

            prop_assert_eq!(ask().count().unwrap(), hits.len() as u64);
            let explain = ask().explain().unwrap();
            prop_assert_eq!(explain.hits(), hits.len() as u64);

            for wants_distances in [false, true] {
                let ask = if wants_distances { ask().distances() } else { ask() };
                let mut handed = Vec::new();
                ask.for_each(|hit| {
                    handed.push((hit.distance, hit.id));
                    match handed.len() < k {
                        true => ControlFlow::Continue(()),
                        false => ControlFlow::Break(()),
                    }
                })
                .unwrap();
                let expected = hits.iter().take(k.max(1));
                let expected = expected.map(|&(d, id)| (wants_distances.then_some(d), id));
                prop_assert_eq!(handed, expected.collect::<Vec<_>>());
            }

            let first = ask().nearest_first().limit(k).distances().run().unwrap();
            let found = first.distances.unwrap().into_iter().zip(first.ids);
            prop_assert_eq!(&found.collect::<Vec<_>>(), &sorted[..k.min(sorted.len())]);

            let drawn = ask().sample(k, 3).unwrap();
            prop_assert_eq!((drawn.ids.len(), drawn.total), (k.min(hits.len()), hits.len() as u64));
            prop_assert!(drawn.ids.iter().all(|id| hits.iter().any(|(_, hit)| hit == id)));

            for n in [0, 1, k, hits.len(), hits.len() + 1] {
                let radius = ask().radius_for_count(n as u64);
                if n > hits.len() {
                    let is_refused = matches!(radius, Err(RingDbError::TooFewVectors { .. }));
                    prop_assert!(is_refused);
                    continue;
                }
                let expected = n.checked_sub(1).map_or(0.0, |last| sorted[last].0);
                prop_assert_eq!(radius.unwrap(), expected);
            }
            let edges: Vec<f64> = (0..=k.max(1)).map(|i| a + i as f64 / 4.0).collect();
            let found = db.search(&query).filter(&filter).histogram(&edges).unwrap();
            let allowed = all.iter().filter(|&&(_, id)| filter.allows(id));
            let mut counts = vec![0; edges.len() + 1];
            for &(d, _) in allowed {
                let slot = edges.partition_point(|&edge| edge <= d);
                counts[slot - usize::from(Some(&d) == edges.last())] += 1;
            }
            let above = counts.pop().unwrap();
            prop_assert_eq!((found.below, found.above), (counts[0], above));
            prop_assert_eq!(&found.counts, &counts[1..]);
            prop_assert_eq!(found.explain.hits(), counts[1..].iter().sum::<u64>());

            match ask().quantile(p) {
                Err(error) => {
                    prop_assert!(hits.is_empty(), "{}", error);
                }
                Ok(distance) => {
                    let n = hits.len();
                    let rank = (1..n).find(|&r| r as f64 / n as f64 >= p).unwrap_or(n);
                    prop_assert_eq!(distance, sorted[rank - 1].0);
                }
            }
        }
    }
}

#[test]
fn filters_of_vectors_that_do_not_exist_are_refused_by_every_verb() {
    for db in tiers(&[2.0, 1.0, 3.0], 1) {
        for filter in [RowSet::allow([0, 3]), RowSet::deny([3])] {
            let ask = || db.search(&[0.0]).filter(&filter);
            let errors = [
                ask().run().unwrap_err(),
                ask().nearest_first().limit(1).run().unwrap_err(),
                ask().count().unwrap_err(),
                ask().explain().unwrap_err(),
                ask().sample(1, 0).unwrap_err(),
                ask().radius_for_count(1).unwrap_err(),
                ask().quantile(0.5).unwrap_err(),
                ask().for_each(|_| ControlFlow::Continue(())).unwrap_err(),
                ask().histogram(&[0.0, 1.0]).unwrap_err(),
            ];
            for error in errors {
                let is_told = matches!(error, RingDbError::IdOutOfRange { id: 3, len: 3 });
                assert!(is_told, "{error}");
            }
        }
    }
}

#[test]
fn the_last_filter_counts() {
    let [db, ..] = tiers(&[2.0, 1.0, 3.0], 1);
    let (one, other) = (RowSet::allow([0]), RowSet::allow([1, 2]));
    let found = db.search(&[0.0]).filter(&one).filter(&other).run().unwrap();
    assert_eq!(found.ids, [1, 2]);
}

#[test]
fn vectors_that_are_not_allowed_are_not_read() {
    let dims = 16;
    let vectors: Vec<f32> = (0..200_000 * dims).map(|i| (i % 977) as f32).collect();
    let db = build(options(dims, TIERS[1]), &vectors, dims);
    let query = vec![0.0; dims];
    let all = db.search(&query).within(1_000.0).explain().unwrap();
    let some = RowSet::allow(64_000..66_000);
    let few = db.search(&query).within(1_000.0).filter(&some).explain();
    let few = few.unwrap();
    let filter = few.tier(Tier::Filter);
    assert_eq!(
        (filter.rows, filter.outside, filter.unsure),
        (200_000, 198_000, 2_000)
    );
    assert!(few.bytes() <= 2_000 * 4 * dims as u64, "{few}");
    assert!(all.bytes() >= 50 * few.bytes(), "{all}\n{few}");
    let none = RowSet::allow([]);
    let none = db.search(&query).filter(&none).explain().unwrap();
    assert_eq!((none.bytes(), none.hits()), (0, 0), "{none}");
}

pub(crate) fn many() -> Vec<f32> {
    (0..2_000_000).map(|i| (i % 1_000) as f32).collect()
}

/// Ends searches from inside, with threads of the database's own, and counts the parts that come to their end after that.
#[test]
fn a_cancelled_search_begins_nothing_more() {
    let vectors = many();
    for tiers in TIERS {
        for threads in [1, 2, 7] {
            let db = build(options(4, tiers).threads(threads), &vectors, 4);
            let query = [0.0; 4];
            let token = CancelToken::new();
            let after = AtomicUsize::new(0);
            let watch = |_: Progress| {
                after.fetch_add(usize::from(token.is_cancelled()), Ordering::Relaxed);
            };
            let mut n = 0;
            let search = db
                .search(&query)
                .within(900.0)
                .cancel(&token)
                .progress(&watch);
            let error = search.for_each(|_| {
                n += 1;
                if n == 10 {
                    token.cancel();
                }
                ControlFlow::Continue(())
            });
            let error = error.unwrap_err();
            assert!(matches!(error, RingDbError::Cancelled), "{error}");
            assert_eq!(error.to_string(), "the search was cancelled");
            assert_eq!(n, 10);
            assert_eq!(after.into_inner(), 0);

            // In the middle of a pass.
            let token = CancelToken::new();
            let after = AtomicUsize::new(0);
            let watch = |progress: Progress| {
                assert_eq!(progress.total, 500_000);
                after.fetch_add(usize::from(token.is_cancelled()), Ordering::Relaxed);
                token.cancel();
            };
            let search = || db.search(&query).range(100.0..900.0).progress(&watch);
            let error = search().cancel(&token).count().unwrap_err();
            assert!(matches!(error, RingDbError::Cancelled), "{error}");
            let after = after.into_inner();
            assert!(after < threads, "{after} parts, {threads} threads");

            // It ends what begins later, whatever that is.
            let ask = || db.search(&query).cancel(&token);
            for error in [
                ask().run().unwrap_err(),
                ask().nearest_first().limit(1).run().unwrap_err(),
                ask().sample(1, 0).unwrap_err(),
                ask().range(1.0..).radius_for_count(1).unwrap_err(),
                ask().radius_for_count(0).unwrap_err(),
                ask().limit(0).run().unwrap_err(),
                ask().quantile(0.5).unwrap_err(),
                ask().histogram(&[0.0, 1.0]).unwrap_err(),
            ] {
                assert!(matches!(error, RingDbError::Cancelled), "{error}");
            }
            assert_eq!(db.search(&query).count().unwrap(), 500_000);
        }
    }
}

#[test]
fn progress_comes_to_all_vectors() {
    let vectors = many();
    for tiers in TIERS {
        let db = build(options(4, tiers), &vectors, 4);
        for (ring, filter) in [
            (Ring::within(900.0), RowSet::deny([])),
            (Ring::between(1_000.0, 1_200.0), RowSet::deny(0..200_000)),
            (Ring::between(100.0, 101.0), RowSet::allow([5, 70_000])),
        ] {
            let (calls, most) = (AtomicUsize::new(0), AtomicU64::new(0));
            let watch = |Progress { decided, total, .. }: Progress| {
                assert!(decided <= total && total == 500_000);
                calls.fetch_add(1, Ordering::Relaxed);
                most.fetch_max(decided, Ordering::Relaxed);
            };
            let all = || db.search(&[0.0; 4]).filter(&filter).progress(&watch);
            let ring = ring.unwrap();
            let go_on = |_| ControlFlow::Continue(());
            let asks: [&dyn Fn() -> bool; 7] = [
                &|| all().in_ring(ring).run().is_ok(),
                &|| all().in_ring(ring).count().is_ok(),
                &|| all().in_ring(ring).sample(1, 0).is_ok(),
                &|| all().in_ring(ring).nearest_first().limit(1).run().is_ok(),
                &|| all().in_ring(ring).radius_for_count(0).is_ok(),
                &|| all().in_ring(ring).for_each(go_on).is_ok(),
                &|| all().histogram(&[100.0, 101.0]).is_ok(),
            ];
            for (i, ask) in asks.iter().enumerate() {
                assert!(ask(), "{i} in {ring}");
                assert_eq!(most.swap(0, Ordering::Relaxed), 500_000, "{i} in {ring}");
                assert!(calls.swap(0, Ordering::Relaxed) > 0);
            }
        }
    }
}

#[test]
fn there_is_no_progress_where_there_are_no_vectors() {
    let watch = |progress: Progress| panic!("{progress:?}");
    for db in tiers(&[], 3) {
        let ask = || db.search(&[0.0; 3]).progress(&watch);
        assert_eq!(ask().run().unwrap().total, 0);
        assert_eq!(ask().count().unwrap(), 0);
        assert_eq!(ask().histogram(&[0.0, 1.0]).unwrap().counts, [0]);
    }
}

/// The same answers from many threads at once, with threads of the database's own and without.
#[test]
fn many_threads_share_a_database() {
    let vectors = many();
    for tiers in TIERS {
        for threads in [None, Some(1), Some(3)] {
            let options = options(4, tiers);
            let options = threads.into_iter().fold(options, BuildOptions::threads);
            let db = Arc::new(build(options, &vectors, 4));
            let ask = |db: &SealedRingDb, i: usize| {
                let query = [i as f32; 4];
                let ring = Ring::within(300.0 + i as f64).unwrap();
                let found = db.search(&query).in_ring(ring).run().unwrap();
                let drawn = db.search(&query).in_ring(ring).sample(20, 7).unwrap();
                let batch = db.query_many(&query.repeat(5), &[ring]).unwrap();
                assert_eq!(batch.ids_of(4), found.ids);
                let edges = [100.0, 200.0, 300.0 + i as f64];
                let counted = db.search(&query).histogram(&edges).unwrap();
                let in_bins: u64 = counted.counts.iter().sum();
                assert_eq!(counted.below + in_bins, found.ids.len() as u64);
                (found.ids, drawn.ids)
            };
            let alone: Vec<_> = (0..8).map(|i| ask(&db, i)).collect();
            let mut threads = Vec::new();
            for i in 0..8 {
                let db = Arc::clone(&db);
                threads.push(std::thread::spawn(move || ask(&db, i)));
            }
            let together = threads.into_iter().map(|thread| thread.join().unwrap());
            let together: Vec<_> = together.collect();
            assert!(alone == together);
        }
    }
}

#[test]
fn a_database_has_from_1_to_1024_threads() {
    let dir = tempfile::tempdir().unwrap();
    for threads in [0, 1_025, usize::MAX] {
        let error = BuildOptions::new(1).threads(threads).create::<()>();
        let error = error.map(drop).unwrap_err();
        let text = format!("threads is {threads}, must be from 1 to 1024");
        assert!(error.to_string() == text, "{error}");
        let error = OpenOptions::new().threads(threads).open::<()>(dir.path());
        let error = error.map(drop).unwrap_err();
        assert!(error.to_string() == text, "{error}");
    }
    let options = BuildOptions::new(1).persist(dir.path()).replace(true);
    let mut db = options.threads(2).create::<()>().unwrap();
    db.add_vector(&[1.0], ()).unwrap();
    db.build().unwrap();
    let db = OpenOptions::new()
        .threads(2)
        .open::<()>(dir.path())
        .unwrap();
    assert_eq!(db.search(&[0.0]).count().unwrap(), 1);
}

#[test]
fn for_each_takes_no_order_limit_or_cursor() {
    let [db, ..] = tiers(&[2.0, 1.0, 3.0], 1);
    let ask = || db.search(&[0.0]);
    let cursor = ask().limit(1).run().unwrap().next.unwrap();
    for (search, option) in [
        (ask().nearest_first(), "order"),
        (ask().limit(9), "limit"),
        (ask().after(cursor), "cursor"),
    ] {
        let error = search.for_each(|_| ControlFlow::Continue(())).unwrap_err();
        assert_eq!(error.to_string(), format!("for_each takes no {option}"));
    }
    for (verb, error) in [
        (
            "radius_for_count",
            ask().limit(1).radius_for_count(1).unwrap_err(),
        ),
        ("quantile", ask().limit(1).quantile(0.5).unwrap_err()),
    ] {
        assert_eq!(error.to_string(), format!("{verb} takes no limit"));
    }
    let edges = [0.0, 1.0];
    for (search, option) in [
        (ask().within(1.0), "ring"),
        (ask().range(..), "ring"),
        (ask().farthest_first(), "order"),
        (ask().limit(1), "limit"),
        (ask().distances(), "distances"),
    ] {
        let error = search.histogram(&edges).unwrap_err();
        assert_eq!(error.to_string(), format!("histogram takes no {option}"));
    }
    let error = ask().distances().quantile(0.5).unwrap_err();
    assert_eq!(error.to_string(), "quantile takes no distances");
}

#[test]
fn edges_that_are_none_are_refused() {
    for db in tiers(&[2.0, 1.0, 3.0], 1) {
        for (edges, expected) in [
            (&[][..], "number of edges is 0, must be from 2 to 65535"),
            (&[1.0], "number of edges is 1, must be from 2 to 65535"),
            (&[0.0, f64::NAN], "invalid bounds: edge: NaN"),
            (&[-0.5, 1.0], "invalid bounds: edge: -0.5"),
            (
                &[0.0, 2.0, 1.0],
                "invalid bounds: edge not greater than the one before: 1",
            ),
        ] {
            let error = db.search(&[0.0]).histogram(edges).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
}

/// Every verb of nothing: no vectors, none that is allowed, an empty ring, none asked for, and a single vector.
#[test]
fn of_nothing_every_verb_says_nothing() {
    let none = RowSet::allow([]);
    let everything = RowSet::deny([]);
    let empty = Ring::from_bounds(1.0..1.0).unwrap();
    let whole = Ring::from_bounds(..).unwrap();
    let cases: [(&[f32], &RowSet, Ring); 3] = [
        (&[], &everything, whole),
        (&[1.0, 2.0], &none, whole),
        (&[1.0, 2.0], &everything, empty),
    ];
    for (vectors, filter, ring) in cases {
        for db in tiers(vectors, 1) {
            let ask = || db.search(&[0.0]).in_ring(ring).filter(filter);
            let found = ask().nearest_first().limit(5).distances().run().unwrap();
            assert_eq!((found.ids, found.distances), (vec![], Some(vec![])));
            assert_eq!((found.total, found.truncated, found.next), (0, false, None));
            assert_eq!(ask().count().unwrap(), 0);
            assert_eq!(ask().explain().unwrap().hits(), 0);
            let drawn = ask().sample(3, 0).unwrap();
            assert_eq!((drawn.ids.len(), drawn.truncated), (0, false));
            ask().for_each(|_| panic!("no hits")).unwrap();
            assert_eq!(ask().radius_for_count(0).unwrap(), 0.0);
            for error in [
                ask().radius_for_count(1).unwrap_err(),
                ask().quantile(0.5).unwrap_err(),
            ] {
                let text = "1 vector asked for, there are 0";
                assert_eq!(error.to_string(), text);
            }
            if ring == whole {
                let all = db.search(&[0.0]).filter(filter);
                let found = all.histogram(&[0.0, 1.0]).unwrap();
                assert_eq!((found.below, found.counts, found.above), (0, vec![0], 0));
            }
        }
    }
    for db in tiers(&[2.0], 1) {
        let ask = || db.search(&[0.0]);
        let page = ask().nearest_first().limit(0).run().unwrap();
        assert_eq!((page.ids.len(), page.total, page.truncated), (0, 1, true));
        let drawn = ask().sample(0, 0).unwrap();
        assert_eq!(
            (drawn.ids.len(), drawn.total, drawn.truncated),
            (0, 1, true)
        );
        assert_eq!(db.knn(&[0.0], 0).unwrap().ids, [0; 0]);
        assert_eq!(db.knn(&[0.0], 2).unwrap().ids, [0]);
        assert_eq!(ask().radius_for_count(1).unwrap(), 2.0);
        for p in [0.0, 0.5, 1.0] {
            assert_eq!(ask().quantile(p).unwrap(), 2.0);
        }
        let found = ask().histogram(&[1.0, 2.0]).unwrap();
        assert_eq!((found.below, found.counts, found.above), (0, vec![1], 0));
    }
}
