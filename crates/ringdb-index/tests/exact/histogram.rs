//! Histograms: the bin of every row is the one of its distance by the edges as stated, whatever tiers there are.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use ringdb_index::{
    BOX_DIMS_MAX, Edges, Error, Histogram, Kernel, Ring, RowSet, Rows, Segment, Tier, Trusted,
    count, distance, histogram,
};

use crate::boxed::Boxed;
use crate::coded::Coded;
use crate::data::KINDS;
use crate::{SEED, kernels};

/// Below, in the bins and above, by the edges as stated.
fn by_definition(distances: impl Iterator<Item = f64>, edges: &[f64]) -> (u64, Vec<u64>, u64) {
    let (mut below, mut counts, mut above) = (0, vec![0; edges.len() - 1], 0);
    let last = edges.len() - 2;
    for d in distances {
        let bin = (0..=last).find(|&i| {
            let is_below_end = d < edges[i + 1] || (i == last && d == edges[i + 1]);
            edges[i] <= d && is_below_end
        });
        match bin {
            Some(bin) => counts[bin] += 1,
            None if d < edges[0] => below += 1,
            None => above += 1,
        }
    }
    (below, counts, above)
}

/// Edges at distances that occur, at their neighbours, evenly spread, and at the ends of what an edge can be.
fn edges(distances: &[f64], rng: &mut SmallRng) -> Vec<Vec<f64>> {
    let mut pick = || distances[rng.random_range(0..distances.len())];
    let (a, b, c) = (pick(), pick(), pick());
    let most = distances.iter().copied().fold(0.0, f64::max);
    let even = |from: f64, to: f64, n: usize| {
        (0..=n)
            .map(|i| from + (to - from) * i as f64 / n as f64)
            .collect()
    };
    let mut all = vec![
        vec![a, b],
        vec![a, a.next_up(), b, c],
        vec![
            a.next_down().max(0.0),
            a,
            b.next_up(),
            c.next_down().max(0.0),
        ],
        vec![0.0, a, f64::INFINITY],
        vec![0.0, 1e-170, 1e200, f64::MAX],
        even(0.0, most, 100),
        even(most / 3.0, most / 2.0, 1_000),
        (0..40).map(pick_many(a.max(1e-3))).collect(),
    ];
    for edges in &mut all {
        edges.sort_by(f64::total_cmp);
        edges.dedup();
    }
    all.retain(|edges| edges.len() > 1);
    all
}

/// Edges that grow by half each.
fn pick_many(first: f64) -> impl Fn(i32) -> f64 {
    move |i| first * 1.5_f64.powi(i - 20)
}

fn check(segment: Segment<'_>, query: &[f32], edges: &[f64], kernel: Kernel, distances: &[f64]) {
    let n = segment.rows().len() as u32;
    let of = Edges::new(edges).expect("edges");
    for filter in [
        None,
        Some(RowSet::allow([])),
        Some(RowSet::deny([0])),
        Some(RowSet::allow((0..n).step_by(23))),
        Some(RowSet::deny(n / 3..n / 2)),
    ] {
        let allowed = |id: u32| filter.as_ref().is_none_or(|filter| filter.allows(id));
        let searched = match &filter {
            Some(filter) => segment.only(filter).expect("ids of these rows"),
            None => segment,
        };
        let those = (0_u32..).zip(distances).filter(|&(id, _)| allowed(id));
        let (below, counts, above) = by_definition(those.map(|(_, &d)| d), edges);
        let found = histogram(searched, query, &of, kernel, &Trusted).expect("a histogram");
        let Histogram { explain, .. } = found;
        let name = || format!("{edges:?} with {kernel}, {filter:?}\n{explain}");
        assert_eq!(found.counts, counts, "{}", name());
        assert_eq!((found.below, found.above), (below, above), "{}", name());
        assert_eq!(explain.hits(), counts.iter().sum::<u64>(), "{}", name());
        let decided = Tier::ALL.map(|tier| {
            let report = explain.tier(tier);
            let decided = report.outside + report.inside;
            assert_eq!(report.rows, decided + report.unsure, "{}", name());
            decided
        });
        assert_eq!(decided.iter().sum::<u64>(), u64::from(n), "{}", name());
    }
}

#[test]
fn every_row_is_in_the_bin_of_its_distance() {
    println!("seed {SEED:#x}");
    let kernels = kernels();
    for dims in [1, 2, 5, 12, 16, 33, 64] {
        for (k, kind) in KINDS.into_iter().enumerate() {
            let mut rng = SmallRng::seed_from_u64(SEED + (dims * 100 + k) as u64);
            let n = [1, 37, 700, 5_000][(dims + k) % 4];
            let data = kind.rows(n, dims, &mut rng);
            let mut query = data[n / 2 * dims..][..dims].to_vec();
            if k % 3 == 1 {
                query = (0..dims).map(|_| kind.coordinate(&mut rng)).collect();
            }
            let distances: Vec<f64> = data.chunks(dims).map(|row| distance(row, &query)).collect();
            let coded = Coded::new(&data, dims);
            let boxed = (dims <= BOX_DIMS_MAX).then(|| Boxed::new(data.clone(), dims));
            let rows = Rows::new(&data, dims).expect("whole rows");
            for (i, edges) in edges(&distances, &mut rng).into_iter().enumerate() {
                let kernel = kernels[(i + k) % kernels.len()];
                check(Segment::new(rows), &query, &edges, kernel, &distances);
                check(coded.segment(rows), &query, &edges, kernel, &distances);
                if let Some(boxed) = &boxed {
                    check(boxed.segment(), &query, &edges, kernel, &distances);
                }
            }
        }
    }
}

/// Spans on several threads, and the rings of the bins, which share no row and leave none out.
#[test]
fn bins_are_rings_side_by_side_on_any_number_of_threads() {
    println!("seed {SEED:#x}");
    let mut rng = SmallRng::seed_from_u64(SEED);
    for (dims, n) in [(2, 300_000), (20, 60_000)] {
        let data: Vec<f32> = (0..n * dims)
            .map(|_| rng.random_range(-1.0_f32..1.0))
            .collect();
        let rows = Rows::new(&data, dims).expect("whole rows");
        let coded = Coded::new(&data, dims);
        let boxed = (dims <= BOX_DIMS_MAX).then(|| Boxed::new(data.clone(), dims));
        let segments = [Some(Segment::new(rows)), Some(coded.segment(rows))];
        let boxed = boxed.as_ref().map(Boxed::segment);
        let query = vec![0.25; dims];
        let edges: Vec<f64> = (1..=50).map(|i| f64::from(i) * 0.09).collect();
        let of = Edges::new(&edges).expect("edges");
        assert_eq!((of.bins(), of.as_slice()), (49, &edges[..]));
        let kernel = Kernel::fastest();
        for segment in segments.into_iter().flatten().chain(boxed) {
            for threads in [1, 2, 7] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                let pool = pool.build().expect("threads");
                let found = pool.install(|| histogram(segment, &query, &of, kernel, &Trusted));
                let found = found.expect("a histogram");
                let total = found.below + found.counts.iter().sum::<u64>() + found.above;
                assert_eq!(total, n as u64);
                for (i, &in_bin) in found.counts.iter().enumerate() {
                    let ring = match i + 2 == edges.len() {
                        true => Ring::from_bounds(edges[i]..=edges[i + 1]),
                        false => Ring::from_bounds(edges[i]..edges[i + 1]),
                    };
                    let ring = ring.expect("a ring");
                    let counted = count(segment, &query, &ring, kernel, &Trusted);
                    assert_eq!(counted.expect("a count").0, in_bin, "{ring}");
                }
            }
        }
    }
}

/// Codes decide nearly all rows of wide bins, fine codes those of narrower ones, and of the narrowest the rows are scanned.
#[test]
fn bins_are_decided_by_the_first_tier_that_can() {
    println!("seed {SEED:#x}");
    let mut rng = SmallRng::seed_from_u64(SEED);
    let (dims, n) = (64, 40_000);
    let data: Vec<f32> = (0..n * dims)
        .map(|_| rng.random_range(-1.0_f32..1.0))
        .collect();
    let rows = Rows::new(&data, dims).expect("whole rows");
    let coded = Coded::new(&data, dims);
    let query = &data[..dims];
    let distances: Vec<f64> = data.chunks(dims).map(|row| distance(row, query)).collect();
    let mut sorted = distances.clone();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted[1], sorted[n - 1]);
    let filter = RowSet::deny([7, 8]);
    let asked = |bins: u32, kernel: Kernel| {
        let edges: Vec<f64> = (0..=bins)
            .map(|i| low + (high - low) * f64::from(i) / f64::from(bins))
            .collect();
        let of = Edges::new(&edges).expect("edges");
        let segment = coded.segment(rows);
        check(segment, query, &edges, kernel, &distances);
        let [all, some] = [segment, segment.only(&filter).expect("ids of these rows")];
        [all, some].map(|segment| {
            let found = histogram(segment, query, &of, kernel, &Trusted);
            found.expect("a histogram").explain
        })
    };
    for kernel in kernels() {
        for explain in asked(1, kernel) {
            let codes = explain.tier(Tier::Codes);
            let decided = codes.inside + codes.outside;
            assert!(decided > 39_000, "{kernel}\n{explain}");
            assert_eq!(explain.switched(), 0, "{kernel}\n{explain}");
        }
        for explain in asked(12, kernel) {
            let (codes, fine) = (explain.tier(Tier::Codes), explain.tier(Tier::Fine));
            assert!(codes.unsure > 3_000, "{kernel}\n{explain}");
            assert!(fine.inside > 9 * fine.unsure, "{kernel}\n{explain}");
        }
        for explain in asked(10_000, kernel) {
            let scan = explain.tier(Tier::Scan);
            assert!(
                scan.rows > 20_000 && explain.switched() > 0,
                "{kernel}\n{explain}"
            );
        }
    }
}

/// As many edges as there can be.
#[test]
fn the_most_bins_are_counted() {
    let mut rng = SmallRng::seed_from_u64(SEED);
    for dims in [2, 16] {
        let n = 3_000;
        let data: Vec<f32> = (0..n * dims)
            .map(|_| rng.random_range(0.0_f32..100.0))
            .collect();
        let rows = Rows::new(&data, dims).expect("whole rows");
        let query = vec![1.0; dims];
        let distances: Vec<f64> = data.chunks(dims).map(|row| distance(row, &query)).collect();
        let most = distances.iter().copied().fold(0.0, f64::max);
        let edges: Vec<f64> = (0..Edges::MAX)
            .map(|i| most * 0.99 * i as f64 / Edges::MAX as f64)
            .collect();
        let of = Edges::new(&edges).expect("edges");
        let mut expected = vec![0_u64; of.bins()];
        let mut above = 0;
        for &d in &distances {
            let slot = edges.partition_point(|&edge| edge <= d);
            match slot == edges.len() && d > edges[slot - 1] {
                true => above += 1,
                false => expected[(slot - 1).min(of.bins() - 1)] += 1,
            }
        }
        assert!(above > 0);
        let coded = Coded::new(&data, dims);
        let boxed = (dims <= BOX_DIMS_MAX).then(|| Boxed::new(data.clone(), dims));
        let boxed = boxed.as_ref().map(Boxed::segment);
        let segments = [Segment::new(rows), coded.segment(rows)];
        for segment in segments.into_iter().chain(boxed) {
            let found = histogram(segment, &query, &of, Kernel::fastest(), &Trusted);
            let found = found.expect("a histogram");
            assert_eq!((found.below, found.above), (0, above));
            assert!(found.counts == expected);
        }
    }
}

#[test]
fn what_is_no_query_has_no_histogram() {
    let rows = Rows::new(&[0.0, 1.0], 1).expect("whole rows");
    let edges = Edges::new(&[0.0, 1.0]).expect("edges");
    let found = |query: &[f32]| {
        histogram(
            Segment::new(rows),
            query,
            &edges,
            Kernel::fastest(),
            &Trusted,
        )
        .map(drop)
    };
    let expected = Error::DimensionMismatch {
        expected: 1,
        got: 2,
    };
    assert_eq!(found(&[0.0, 0.0]), Err(expected));
    let error = found(&[f32::NAN]).expect_err("NaN");
    assert!(matches!(error, Error::NotFinite { index: 0, .. }));
    let none = Rows::new(&[], 3).expect("no rows");
    let found = histogram(
        Segment::new(none),
        &[0.0; 3],
        &edges,
        Kernel::fastest(),
        &Trusted,
    );
    let found = found.expect("a histogram");
    assert_eq!((found.below, found.counts, found.above), (0, vec![0], 0));
}
