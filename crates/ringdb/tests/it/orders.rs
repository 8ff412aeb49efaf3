//! Orders, limits, pages and samples of hits, ranks and nearest vectors, against a sort of all distances by the definition.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use ringdb::{Boxes, BuildOptions, Codes, Cursor, Ring, RingDb, RingDbError, SealedRingDb, Search};
use ringdb_index::distance;

use crate::samples::smallest_hashes;

const SEED: u64 = 0x6f72_6465;

#[derive(Debug, Clone, Copy)]
enum Order {
    Id,
    Nearest,
    Farthest,
    Closest(f64),
}

impl Order {
    fn of<'a>(self, search: Search<'a>) -> Search<'a> {
        match self {
            Self::Id => search,
            Self::Nearest => search.nearest_first(),
            Self::Farthest => search.farthest_first(),
            Self::Closest(d) => search.closest_to(d),
        }
    }

    /// Sorts pairs of distance and id; a stable sort keeps equal ones by id.
    fn sort(self, hits: &mut [(f64, u32)]) {
        match self {
            Self::Id => {}
            Self::Nearest => hits.sort_by(|a, b| a.0.total_cmp(&b.0)),
            Self::Farthest => hits.sort_by(|a, b| b.0.total_cmp(&a.0)),
            Self::Closest(d) => hits.sort_by(|a, b| (a.0 - d).abs().total_cmp(&(b.0 - d).abs())),
        }
    }
}

fn build(vectors: &[f32], dims: usize, codes: Codes, boxes: Boxes) -> SealedRingDb {
    let options = BuildOptions::new(dims).codes(codes).boxes(boxes);
    let mut db: RingDb = options.create().unwrap();
    let rows = vectors.len() / dims;
    db.add_vectors(vectors, vec![(); rows]).unwrap();
    db.build().unwrap()
}

/// The same vectors without a tier, with codes, and with boxes.
fn tiers(vectors: &[f32], dims: usize) -> [SealedRingDb; 3] {
    [
        (Codes::Off, Boxes::Off),
        (Codes::On, Boxes::Off),
        (Codes::Off, Boxes::On),
    ]
    .map(|(codes, boxes)| build(vectors, dims, codes, boxes))
}

/// Coordinates of few values, so that many distances are equal.
fn lattice() -> impl Strategy<Value = (usize, Vec<f32>, Vec<f32>)> {
    (1_usize..=5, 0_usize..300).prop_flat_map(|(dims, rows)| {
        let coordinate = || prop::sample::select(vec![0.0_f32, 0.5, 1.0, -1.0, 1e19]);
        (
            Just(dims),
            prop::collection::vec(coordinate(), dims * rows),
            prop::collection::vec(coordinate(), dims),
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        rng_seed: RngSeed::Fixed(SEED),
        ..ProptestConfig::default()
    })]

    #[test]
    fn pages_are_parts_of_the_sorted_whole(
        (dims, vectors, query) in lattice(),
        (a, b) in (0_u8..8, 0_u8..8),
        closest in 0_u8..8,
        limit in 0_usize..40,
    ) {
        let (a, b) = (f64::from(a.min(b)) / 2.0, f64::from(a.max(b)) / 2.0);
        let ring = Ring::from_bounds(a..b).unwrap();
        let rows = vectors.chunks(dims).zip(0..);
        let hits = rows.map(|(row, id)| (distance(row, &query), id));
        let hits: Vec<(f64, u32)> = hits.filter(|&(d, _)| ring.contains(d)).collect();
        for db in tiers(&vectors, dims) {
            for order in [
                Order::Id,
                Order::Nearest,
                Order::Farthest,
                Order::Closest(f64::from(closest) / 2.0),
            ] {
                let mut expected = hits.clone();
                order.sort(&mut expected);
                let ask = || order.of(db.search(&query).in_ring(ring));

                let all = ask().distances().run().unwrap();
                let found = all.distances.unwrap().into_iter().zip(all.ids);
                prop_assert_eq!(&found.collect::<Vec<_>>(), &expected);
                prop_assert_eq!((all.total, all.truncated), (hits.len() as u64, false));
                prop_assert_eq!(all.next, None);

                let mut next: Option<Cursor> = None;
                let mut left = &expected[..];
                loop {
                    let ask = ask().limit(limit);
                    let page = match next {
                        Some(next) => ask.after(next).distances().run().unwrap(),
                        None => ask.distances().run().unwrap(),
                    };
                    let (here, behind) = left.split_at(limit.min(left.len()));
                    let found = page.distances.unwrap().into_iter().zip(page.ids);
                    prop_assert_eq!(found.collect::<Vec<_>>(), here);
                    prop_assert_eq!(page.total, hits.len() as u64);
                    prop_assert_eq!(page.truncated, !behind.is_empty());
                    prop_assert_eq!(page.next.is_some(), !behind.is_empty() && limit > 0);
                    (next, left) = (page.next, behind);
                    if next.is_none() {
                        break;
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        rng_seed: RngSeed::Fixed(SEED + 1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_nearest_are_the_first_of_all(
        (dims, vectors, query) in lattice(),
        k in 0_usize..40,
        p in 0.0..1.0,
    ) {
        let rows = vectors.chunks(dims).zip(0..);
        let mut all: Vec<(f64, u32)> = rows.map(|(row, id)| (distance(row, &query), id)).collect();
        Order::Nearest.sort(&mut all);
        for db in tiers(&vectors, dims) {
            let found = db.knn(&query, k).unwrap();
            let found = found.distances.unwrap().into_iter().zip(found.ids);
            prop_assert_eq!(&found.collect::<Vec<_>>(), &all[..k.min(all.len())]);

            for n in [0, 1, k, all.len() - all.len() / 3, all.len(), all.len() + 1] {
                let radius = db.radius_for_count(&query, n as u64);
                if n > all.len() {
                    let text = radius.unwrap_err().to_string();
                    let asked = match n {
                        1 => "1 vector".to_string(),
                        n => format!("{n} vectors"),
                    };
                    let expected = format!("{asked} asked for, there are {}", all.len());
                    prop_assert_eq!(text, expected);
                    continue;
                }
                let radius = radius.unwrap();
                let expected = n.checked_sub(1).map_or(0.0, |last| all[last].0);
                prop_assert_eq!(radius, expected);
                let count = db.search(&query).within(radius).count().unwrap();
                prop_assert!(count >= n as u64);
                let nearer = db.search(&query).range(..radius).count().unwrap();
                prop_assert!(nearer < n as u64 || n == 0);
            }
            let quantile = db.quantile(&query, p);
            match all.is_empty() {
                true => prop_assert!(quantile.is_err()),
                false => {
                    let n = all.len();
                    let rank = (1..n).find(|&r| r as f64 / n as f64 >= p).unwrap_or(n);
                    prop_assert_eq!(quantile.unwrap(), all[rank - 1].0);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        rng_seed: RngSeed::Fixed(SEED + 2),
        ..ProptestConfig::default()
    })]

    #[test]
    fn samples_are_the_hits_of_the_smallest_hashes(
        (dims, vectors, query) in lattice(),
        radius in 0_u8..6,
        k in 0_usize..100,
        seed: u64,
    ) {
        let radius = f64::from(radius) / 2.0;
        let rows = vectors.chunks(dims).zip(0_u32..);
        let all = rows.map(|(row, id)| (distance(row, &query), id));
        let mut hits: Vec<(f64, u32)> = all.filter(|&(d, _)| d <= radius).collect();
        let total = hits.len() as u64;
        let drawn = smallest_hashes(hits.iter().map(|&(_, id)| id).collect(), k, seed);
        hits.retain(|(_, id)| drawn.contains(id));
        for db in tiers(&vectors, dims) {
            for order in [Order::Id, Order::Nearest, Order::Farthest, Order::Closest(1.0)] {
                let mut expected = hits.clone();
                order.sort(&mut expected);
                let ask = order.of(db.search(&query).within(radius)).distances();
                let drawn = ask.sample(k, seed).unwrap();
                let found = drawn.distances.unwrap().into_iter().zip(drawn.ids);
                prop_assert_eq!(&found.collect::<Vec<_>>(), &expected);
                prop_assert_eq!((drawn.total, drawn.next), (total, None));
                prop_assert_eq!(drawn.truncated, (hits.len() as u64) < total);
            }
        }
    }
}

/// So many vectors that they are not put in order but counted; a third of them at one distance.
#[test]
fn ranks_among_many_are_found_by_counts() {
    let len = 300_000_usize;
    let vectors: Vec<f32> = (0..len)
        .map(|i| match i % 3 {
            0 => 0.5,
            _ => (i as f32 * 0.618_034).fract(),
        })
        .collect();
    let mut all: Vec<f64> = vectors.iter().map(|&x| distance(&[x], &[0.25])).collect();
    all.sort_by(f64::total_cmp);
    for db in tiers(&vectors, 1) {
        for n in [1, 7, 70_000, 150_000, 180_000, 299_990, len] {
            let radius = db.radius_for_count(&[0.25], n as u64).unwrap();
            assert_eq!(radius, all[n - 1], "{n}");
        }
        assert_eq!(db.quantile(&[0.25], 0.5).unwrap(), all[len / 2 - 1]);
        let found = db.knn(&[0.25], 5).unwrap();
        assert_eq!(found.distances.as_deref(), Some(&all[..5]));
        assert_eq!((found.total, found.truncated), (len as u64, true));
    }
}

#[test]
fn what_is_no_query_has_no_nearest() {
    for db in tiers(&[2.0, 1.0, 3.0], 1) {
        for k in [0, 1, 9] {
            let error = db.knn(&[0.0, 1.0], k).unwrap_err().to_string();
            assert_eq!(error, "dimension mismatch: expected 1, got 2");
            let error = db.radius_for_count(&[f32::NAN], k as u64).unwrap_err();
            assert!(
                matches!(error, RingDbError::NotFinite { index: 0, .. }),
                "{error}"
            );
        }
        let error = db.quantile(&[0.0], 1.5).unwrap_err().to_string();
        assert!(error.contains("quantile"), "{error}");
    }
}

#[test]
fn of_nothing_there_is_an_empty_page() {
    for db in tiers(&[], 2) {
        for limit in [0, 1] {
            let page = db.search(&[0.0, 0.0]).nearest_first().limit(limit).run();
            let page = page.unwrap();
            assert_eq!(page.ids, [0; 0]);
            assert_eq!(
                (page.total, page.truncated, page.next),
                (0, false, None),
                "{limit}"
            );
        }
    }
    for db in tiers(&[1.0], 1) {
        let page = db.search(&[0.0]).limit(0).run().unwrap();
        assert_eq!((page.total, page.truncated, page.next), (1, true, None));
    }
}

#[test]
fn distances_come_where_they_are_asked_for() {
    let [db, ..] = tiers(&[2.0, 1.0, 3.0], 1);
    let ask = || db.search(&[0.0]).farthest_first();
    assert_eq!(ask().run().unwrap().distances, None);
    let told = ask().distances().run().unwrap().distances;
    assert_eq!(told, Some(vec![3.0, 2.0, 1.0]));
}

#[test]
fn the_last_order_and_limit_count() {
    let [db, ..] = tiers(&[2.0, 1.0, 3.0], 1);
    let ask = db.search(&[0.0]).farthest_first().limit(1).nearest_first();
    assert_eq!(ask.limit(2).run().unwrap().ids, [1, 0]);
}

#[test]
fn closest_to_takes_distances() {
    let [db, ..] = tiers(&[2.0, 1.0, 3.0], 1);
    for (d, shown) in [
        (-1.0, "-1"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "inf"),
        (-f64::MIN_POSITIVE, "-0.0"),
    ] {
        let error = db.search(&[0.0]).closest_to(d).run().unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("invalid bounds: closest_to: ") && text.contains(shown),
            "{text}"
        );
        // Whatever comes behind it.
        let later = db.search(&[0.0]).closest_to(d).within(1.0).nearest_first();
        assert_eq!(later.run().unwrap_err().to_string(), text);
    }
    let ids = db.search(&[0.0]).closest_to(0.0).run().unwrap().ids;
    assert_eq!(ids, [1, 0, 2]);
    let ids = db.search(&[0.0]).within(2.5).closest_to(1e300).run();
    assert_eq!(ids.unwrap().ids, [0, 1]);
}

#[test]
fn a_cursor_of_another_search_is_refused() {
    let [db, ..] = tiers(&[2.0, 1.0, 3.0], 1);
    let [small, ..] = tiers(&[2.0], 1);
    let next = |search: Search<'_>| search.limit(2).run().unwrap().next.unwrap();
    let refused = |search: Search<'_>, cursor: Cursor| {
        let error = search.after(cursor).run().unwrap_err();
        assert!(matches!(error, RingDbError::InvalidCursor { .. }));
        error.to_string()
    };
    let by_id = next(db.search(&[0.0]));
    let order = "the cursor behind vector 1 is of another search: its search had another order";
    assert_eq!(refused(db.search(&[0.0]).nearest_first(), by_id), order);
    let closest = next(db.search(&[0.0]).closest_to(1.5));
    assert_eq!(refused(db.search(&[0.0]).closest_to(1.6), closest), order);
    assert_eq!(
        refused(db.search(&[0.5]), by_id),
        "the cursor behind vector 1 is of another search: that vector has another distance from this query"
    );
    assert_eq!(
        refused(small.search(&[0.0]), by_id),
        "the cursor behind vector 1 is of another search: there is no such vector"
    );
    // Another ring and another limit are another page of the same order.
    let page = db.search(&[0.0]).range(2.5..).after(by_id).run().unwrap();
    assert_eq!((page.ids, page.total), (vec![2], 1));
}

#[test]
fn a_number_takes_no_order_limit_cursor_or_distances() {
    let [db, ..] = tiers(&[2.0, 1.0, 3.0], 1);
    let ask = || db.search(&[0.0]);
    let cursor = ask().limit(1).run().unwrap().next.unwrap();
    for (search, option) in [
        (ask().nearest_first(), "order"),
        (ask().closest_to(1.0), "order"),
        (ask().limit(9), "limit"),
        (ask().after(cursor), "cursor"),
        (ask().distances(), "distances"),
    ] {
        let error = search.count().unwrap_err();
        assert_eq!(error.to_string(), format!("count takes no {option}"));
    }
    let error = ask().distances().explain().unwrap_err();
    assert_eq!(error.to_string(), "explain takes no distances");
}
