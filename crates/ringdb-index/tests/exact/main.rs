//! Searches against the definition: for every kernel, dimension and kind of data, the ids are
//! exactly those whose distance, computed by the oracle, satisfies the bounds as stated. No
//! tolerance anywhere, and no use of the thresholds that the searches use.

mod boxed;
mod coded;
mod cost;
mod data;
mod filtered;
mod histogram;
mod join;
mod many;
mod scan;

use std::ops::Bound::{self, Excluded, Included, Unbounded};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use ringdb_index::{
    Kernel, Ring, Rows, Trusted, check_finite, distance, distances, ring_ids, search,
};

use coded::{Coded, check_explain};

use data::{KINDS, Kind};

const SEED: u64 = 0x5eed_0001;
const QUERIES: usize = 20;

type Bounds = (Bound<f64>, Bound<f64>);

/// The kernels of this machine, printed; a kernel that `RINGDB_REQUIRE_KERNEL` lists must be among
/// them.
fn kernels() -> Vec<Kernel> {
    let kernels = Kernel::available();
    let names: Vec<&str> = kernels.iter().map(|kernel| kernel.name()).collect();
    println!("kernels tested: {}", names.join(", "));
    let required = std::env::var("RINGDB_REQUIRE_KERNEL").unwrap_or_default();
    for name in required
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        assert!(
            names.contains(&name),
            "kernel {name} is required and this machine has only {names:?}"
        );
    }
    kernels
}

/// Membership as the definition says it, on the bounds as stated.
fn is_inside(distance: f64, (start, end): Bounds) -> bool {
    let above = match start {
        Included(d_min) => d_min <= distance,
        Excluded(d_min) => d_min < distance,
        Unbounded => true,
    };
    let below = match end {
        Included(d_max) => distance <= d_max,
        Excluded(d_max) => distance < d_max,
        Unbounded => true,
    };
    above && below
}

/// Bounds at distances that occur, at their neighbours, and at the ends of what a bound can be.
fn bounds_at(distances: &[f64], rng: &mut SmallRng) -> Vec<Bounds> {
    let mut pick = || distances[rng.random_range(0..distances.len())];
    let (one, other) = (pick(), pick());
    let (a, b) = (one.min(other), one.max(other));
    let below_a = a.next_down().max(0.0);
    let mut all = vec![
        (Included(a), Included(b)),
        (Excluded(a), Included(b)),
        (Included(a), Excluded(b)),
        (Excluded(below_a), Excluded(b.next_up())),
        (Included(below_a), Included(b.next_up())),
        (Included(a.next_up()), Included(b.max(a.next_up()))),
        (Included(a), Included(b.next_down().max(a))),
        (Included(a), Included(a)),
        (Included(a), Excluded(a)),
        (Included(0.0), Included(a)),
        (Excluded(0.0), Included(b)),
        (Included(b), Included(f64::INFINITY)),
        (Excluded(b), Unbounded),
        (Included(0.0), Included(0.0)),
        (Included(1e-170), Excluded(1e200)),
        (Excluded(f64::from(f32::MAX)), Unbounded),
        (Unbounded, Unbounded),
    ];
    if a < b {
        all.push((Excluded(a), Excluded(b)));
    }
    all
}

/// A stored row for every even number, something near or like the rows for the others.
fn query(i: usize, rows: Rows<'_>, kind: Kind, rng: &mut SmallRng) -> Vec<f32> {
    let stored = rows
        .row(rng.random_range(0..rows.len()) as u32)
        .expect("an id below len");
    match i % 4 {
        0 | 2 => stored.to_vec(),
        1 => stored
            .iter()
            .map(|&x| if x > 0.0 { x.next_down() } else { x.next_up() })
            .collect(),
        _ => (0..rows.dims()).map(|_| kind.coordinate(rng)).collect(),
    }
}

/// All queries of one kind of data in one dimension; returns how many sets were compared.
fn check_kind(kind: Kind, dims: usize, kernels: &[Kernel]) -> usize {
    let mut rng = SmallRng::seed_from_u64(SEED ^ dims as u64);
    let n = (300_000 / dims).clamp(12, 200);
    let data = kind.rows(n, dims, &mut rng);
    check_finite(&data).expect("finite data");
    let rows = Rows::new(&data, dims).expect("whole rows");
    let coded = Coded::new(&data, dims);
    let ids: Vec<u32> = (0..n as u32).collect();
    let mut compared = 0;
    for i in 0..QUERIES {
        let query = query(i, rows, kind, &mut rng);
        let oracle: Vec<f64> = data.chunks(dims).map(|row| distance(row, &query)).collect();
        for &kernel in kernels {
            let computed = distances(rows, &query, &ids, kernel).expect("a legal search");
            let same = computed
                .iter()
                .map(|d| d.to_bits())
                .eq(oracle.iter().map(|d| d.to_bits()));
            assert!(
                same,
                "{kernel}, {kind:?}, {dims} dims, query {i}: distances differ"
            );
        }
        for bounds in bounds_at(&oracle, &mut rng) {
            let ring = Ring::from_bounds(bounds).expect("legal bounds");
            let inside = |&id: &u32| is_inside(oracle[id as usize], bounds);
            let expected: Vec<u32> = ids.iter().copied().filter(inside).collect();
            for &kernel in kernels {
                let found = ring_ids(rows, &query, &ring, kernel).expect("a legal search");
                assert_eq!(
                    found, expected,
                    "{kernel}, {kind:?}, {dims} dims, query {i}, {ring}"
                );
                compared += 1;
                for segment in [coded.segment(rows), coded.with_prefix(rows)] {
                    let with = if segment.has_prefix() {
                        "prefixes"
                    } else {
                        "codes"
                    };
                    let (by_codes, explain) =
                        search(segment, &query, &ring, kernel, &Trusted).expect("a legal search");
                    assert_eq!(
                        by_codes, expected,
                        "{kernel} with {with}, {kind:?}, {dims} dims, query {i}, {ring}"
                    );
                    check_explain(&explain, rows, expected.len());
                    compared += 1;
                }
            }
        }
    }
    compared
}

fn check_dims(dims: impl IntoIterator<Item = usize>) {
    println!("seed {SEED:#x}");
    let kernels = kernels();
    let mut compared = 0;
    for dims in dims {
        for kind in KINDS {
            compared += check_kind(kind, dims, &kernels);
        }
    }
    println!("sets compared: {compared}");
}

#[test]
fn few_dims() {
    check_dims(1..=40);
}

#[test]
fn usual_dims() {
    check_dims([63, 64, 65, 100, 128, 384, 768]);
}

#[test]
fn many_dims() {
    check_dims([1_536, 4_097, 16_384, 65_536]);
}

/// With the distance taken apart into norms and a product, most of these rows would miss
/// themselves.
#[test]
fn every_vector_finds_itself_within_radius_zero() {
    println!("seed {SEED:#x}");
    let kernels = kernels();
    let ring = Ring::within(0.0).expect("legal bounds");
    for dims in (1..=40).chain([64, 128, 384, 768, 1_536]) {
        for kind in KINDS {
            let mut rng = SmallRng::seed_from_u64(SEED ^ dims as u64);
            let data = kind.rows(30, dims, &mut rng);
            let rows = Rows::new(&data, dims).expect("whole rows");
            for (id, row) in (0..).zip(data.chunks(dims)) {
                let equal: Vec<u32> = (0..)
                    .zip(data.chunks(dims))
                    .filter(|(_, other)| *other == row)
                    .map(|(id, _)| id)
                    .collect();
                assert!(equal.contains(&id));
                for &kernel in &kernels {
                    let found = ring_ids(rows, row, &ring, kernel).expect("a legal search");
                    assert_eq!(found, equal, "{kernel}, {kind:?}, {dims} dims, row {id}");
                }
            }
        }
    }
}
