//! Pages of many hits, which are found by the distances that they lie between.

use std::ops::Bound;

use ringdb::{Ring, RowSet, Tier};
use ringdb_index::distance;

use crate::verbs::tiers;

#[derive(Debug, Clone, Copy)]
enum Order {
    Nearest,
    Farthest,
    Closest(f64),
}

/// From a distance of many vectors, from one of few, from beyond all, and from so far that differences are rounded to a few
/// numbers or to one.
const ORDERS: [Order; 7] = [
    Order::Nearest,
    Order::Farthest,
    Order::Closest(0.25),
    Order::Closest(0.13),
    Order::Closest(5.0),
    Order::Closest(1e13),
    Order::Closest(1e20),
];

/// A third of the vectors at one distance, in rings that cut it, of all vectors and of some: the pages of many hits, which
/// are found by their radius.
#[test]
fn pages_of_large_rings_are_found_without_the_rest() {
    let len = 300_000_u32;
    let vectors: Vec<f32> = (0..len)
        .map(|i| match i % 3 {
            0 => 0.5,
            _ => (i as f32 * 0.618_034).fract(),
        })
        .collect();
    let all: Vec<(f64, u32)> = vectors
        .iter()
        .map(|&x| distance(&[x], &[0.25]))
        .zip(0..)
        .collect();
    let filters = [
        RowSet::deny([]),
        RowSet::deny((0..len).step_by(7)),
        RowSet::allow((0..len).filter(|id| id % 5 > 1)),
    ];
    let rings = [
        Ring::from_bounds(..).unwrap(),
        Ring::from_bounds(0.1..0.25).unwrap(),
        Ring::from_bounds(0.25..).unwrap(),
        Ring::from_bounds((Bound::Excluded(0.25), Bound::Unbounded)).unwrap(),
        Ring::between(0.01, 0.3).unwrap(),
    ];
    // The same distances from four coordinates, of which codes are looked at.
    let padded: Vec<f32> = vectors.iter().flat_map(|&x| [x, 0.0, 0.0, 0.0]).collect();
    let query = [0.25, 0.0, 0.0, 0.0];
    let [scan, _, boxes] = tiers(&vectors, 1);
    let [_, codes, _] = tiers(&padded, 4);
    for (db, dims) in [(scan, 1), (boxes, 1), (codes, 4)] {
        let looks_at_codes = db.search(&query[..dims]).within(0.1).explain().unwrap();
        assert_eq!(looks_at_codes.tier(Tier::Codes).bytes > 0, dims == 4);
        for (ring, filter) in rings
            .iter()
            .flat_map(|ring| filters.iter().map(move |it| (ring, it)))
        {
            let mut hits = all.clone();
            hits.retain(|&(d, id)| ring.contains(d) && filter.allows(id));
            for order in ORDERS {
                let key = |d: f64| match order {
                    Order::Nearest => d,
                    Order::Farthest => -d,
                    Order::Closest(to) => (d - to).abs(),
                };
                hits.sort_by(|a, b| key(a.0).total_cmp(&key(b.0)).then(a.1.cmp(&b.1)));
                let search = || {
                    let search = db.search(&query[..dims]).in_ring(*ring);
                    let search = search.filter(filter).distances();
                    match order {
                        Order::Nearest => search.nearest_first(),
                        Order::Farthest => search.farthest_first(),
                        Order::Closest(to) => search.closest_to(to),
                    }
                };
                let none = search().limit(0).run().unwrap();
                let told = (none.ids.len(), none.truncated, none.next);
                assert_eq!(told, (0, true, None));
                let mut behind = &hits[..];
                let mut next = None;
                // The second page ends among equal distances, and the last one holds all that is left.
                for limit in [1, 5_000, 9, 30_000, 400_000] {
                    let search = search().limit(limit);
                    let page = match next {
                        Some(next) => search.after(next).run().unwrap(),
                        None => search.run().unwrap(),
                    };
                    let (here, rest) = behind.split_at(limit.min(behind.len()));
                    let found = page.distances.unwrap().into_iter().zip(page.ids);
                    let is_right = found.eq(here.iter().copied());
                    assert!(is_right, "{limit}, {order:?} in {ring}, {filter:?}");
                    let told = (page.total, page.truncated, page.next.is_some());
                    let follow = !rest.is_empty();
                    assert_eq!(told, (hits.len() as u64, follow, follow));
                    // Many may be equal to the last hit before the page, or precede it; nothing is left out then.
                    let last = hits[..hits.len() - behind.len()]
                        .last()
                        .map(|last| key(last.0));
                    let first = match order {
                        Order::Closest(_) => 0,
                        _ => hits.partition_point(|hit| last.is_some_and(|last| key(hit.0) < last)),
                    };
                    let behind_equals =
                        hits.partition_point(|hit| last.is_some_and(|last| key(hit.0) <= last));
                    let is_deep = behind_equals - first > hits.len() / 9;
                    // All differ by the same number then.
                    let is_deep = is_deep || matches!(order, Order::Closest(1e20));
                    let looked_at = page.explain.hits();
                    assert!(
                        limit > 9 || is_deep || looked_at <= 120_000,
                        "{looked_at} hits for {limit}, {order:?} in {ring}, {filter:?}"
                    );
                    (behind, next) = (rest, page.next);
                }
            }
        }
    }
}
