//! Searches of which only some rows are allowed, and those that hand out what they find: as a search of all
//! rows says of the allowed ones, and told as it happened.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use ringdb_index::{
    BOX_DIMS_MAX, Edges, Error, Explain, Guard, Kernel, Ring, RowSet, Rows, Segment, Tier, Trusted,
    count, distance, histogram, join, join_with, portions, search, search_many,
};

use crate::boxed::Boxed;
use crate::coded::Coded;
use crate::data::KINDS;
use crate::{SEED, bounds_at, is_inside, kernels};

/// Filters that leave nothing, everything, a few, many, and runs.
fn filters(n: usize, rng: &mut SmallRng) -> Vec<RowSet> {
    let n = n as u32;
    let mut some = |share: f64| {
        let ids = (0..n).filter(|_| rng.random_bool(share));
        ids.collect::<Vec<u32>>()
    };
    vec![
        RowSet::allow([]),
        RowSet::deny([]),
        RowSet::deny(0..n),
        RowSet::allow(some(0.02)),
        RowSet::deny(some(0.02)),
        RowSet::allow(some(0.2)),
        RowSet::allow(some(0.6)),
        RowSet::allow(n / 3..n / 2),
        RowSet::deny(n / 3..n / 2),
    ]
}

/// What the report of a search of some rows has to say.
fn check_explain(explain: &Explain, rows: Rows<'_>, allowed: usize, hits: usize) {
    assert_eq!(explain.hits(), hits as u64, "{explain}");
    let decided = Tier::ALL.map(|tier| {
        let report = explain.tier(tier);
        let decided = report.outside + report.inside;
        assert_eq!(report.rows, decided + report.unsure, "{explain}");
        decided
    });
    assert_eq!(decided.iter().sum::<u64>(), rows.len() as u64, "{explain}");
    let of = |tier| explain.tier(tier);
    let filter = of(Tier::Filter);
    assert_eq!(filter.bytes, 0, "{explain}");
    if of(Tier::Boxes).rows > 0 {
        let left = filter.rows + of(Tier::Rows).rows;
        assert_eq!(of(Tier::Boxes).unsure, left, "{explain}");
    } else {
        let all = [filter.rows, filter.unsure];
        assert_eq!(all, [rows.len(), allowed].map(|n| n as u64), "{explain}");
        if allowed == 0 {
            let boxes = of(Tier::Boxes).bytes;
            assert_eq!(explain.bytes(), boxes, "nothing is read\n{explain}");
        }
    }
}

/// All verbs over one segment.
fn check(segment: Segment<'_>, query: &[f32], ring: &Ring, kernel: Kernel, expected: &[u32]) {
    let allowed = |filter: &RowSet| {
        let ids = 0..segment.rows().len() as u32;
        ids.filter(|&id| filter.allows(id)).count()
    };
    let mut rng = SmallRng::seed_from_u64(SEED);
    for filter in filters(segment.rows().len(), &mut rng) {
        let n_allowed = allowed(&filter);
        let segment = segment.only(&filter).expect("ids of these rows");
        let expected: Vec<u32> = expected
            .iter()
            .copied()
            .filter(|&id| filter.allows(id))
            .collect();
        let name = || format!("{ring} with {kernel}, {filter:?}");

        let (ids, explain) = search(segment, query, ring, kernel, &Trusted).expect("a search");
        assert_eq!(ids, expected, "{}\n{explain}", name());
        check_explain(&explain, segment.rows(), n_allowed, ids.len());

        let (n, explain) = count(segment, query, ring, kernel, &Trusted).expect("a count");
        assert_eq!(n, expected.len() as u64, "{}\n{explain}", name());
        check_explain(&explain, segment.rows(), n_allowed, ids.len());

        let mut hits = portions(segment, query, ring, kernel, &Trusted).expect("a search");
        let mut ids = Vec::new();
        while let Some(portion) = hits.portion().expect("a portion") {
            assert!(!portion.is_empty());
            ids.extend(portion);
        }
        assert_eq!(ids, expected, "{}", name());
        check_explain(&hits.explain(), segment.rows(), n_allowed, ids.len());

        let queries = query.repeat(5);
        let batch = search_many(segment, &queries, &[*ring], kernel, &Trusted).expect("a batch");
        for i in 0..5 {
            assert_eq!(batch.ids_of(i), expected, "query {i} of five, {}", name());
        }
        assert_eq!(batch.explain.hits(), 5 * expected.len() as u64);
    }
}

#[test]
fn only_allowed_rows_are_found_whatever_tiers_there_are() {
    println!("seed {SEED:#x}");
    let kernels = kernels();
    for dims in [1, 3, 7, 12, 16, 33, 64] {
        for (k, kind) in KINDS.into_iter().enumerate() {
            let mut rng = SmallRng::seed_from_u64(SEED + (dims * 100 + k) as u64);
            // Of the most rows, most sets have a bit for each.
            let n = match (dims, k) {
                (3 | 16, 0) => 20_000,
                _ => [37, 700, 5_000][(dims + k) % 3],
            };
            let data = kind.rows(n, dims, &mut rng);
            let query = data[n / 2 * dims..][..dims].to_vec();
            let distances: Vec<f64> = data.chunks(dims).map(|row| distance(row, &query)).collect();
            let bounds = bounds_at(&distances, &mut rng);
            let coded = Coded::new(&data, dims);
            let boxed = (dims <= BOX_DIMS_MAX).then(|| Boxed::new(data.clone(), dims));
            let rows = Rows::new(&data, dims).expect("whole rows");
            for (i, bounds) in bounds.into_iter().enumerate() {
                let ring = Ring::from_bounds(bounds).expect("legal bounds");
                let inside = distances.iter().map(|&d| is_inside(d, bounds));
                let ids = (0_u32..).zip(inside);
                let expected: Vec<u32> = ids.filter(|&(_, is)| is).map(|(id, _)| id).collect();
                let kernel = kernels[i % kernels.len()];
                check(Segment::new(rows), &query, &ring, kernel, &expected);
                check(coded.segment(rows), &query, &ring, kernel, &expected);
                check(coded.with_prefix(rows), &query, &ring, kernel, &expected);
                if let Some(boxed) = &boxed {
                    check(boxed.segment(), &query, &ring, kernel, &expected);
                }
            }
        }
    }
}

/// Where those are read that are not allowed because many beside them are.
#[test]
fn of_tiles_without_an_allowed_row_nothing_is_read() {
    for dims in [1, 2, 64] {
        let data: Vec<f32> = (0..5_000 * dims).map(|i| (i % 97) as f32).collect();
        let rows = Rows::new(&data, dims).expect("whole rows");
        let query = vec![1.0; dims];
        let ring = Ring::within(50.0).expect("a radius");
        for (allowed, most) in [
            (RowSet::allow(0..100), 112),
            (RowSet::allow(0..2_000), 2_000),
            (RowSet::allow(1_000..3_000), 2_016),
            (
                RowSet::allow((0..1_600).map(|i| i / 16 * 48 + i % 16)),
                1_600,
            ),
            (RowSet::deny(16..4_990), 32),
        ] {
            let segment = Segment::new(rows)
                .only(&allowed)
                .expect("ids of these rows");
            let kernel = Kernel::fastest();
            let (n, explain) = count(segment, &query, &ring, kernel, &Trusted).expect("a count");
            let row = |id: usize| &data[id * dims..][..dims];
            let ids = (0..5_000).filter(|&id| allowed.allows(id as u32));
            let expected = ids.filter(|&id| ring.contains(distance(row(id), &query)));
            assert_eq!(n, expected.count() as u64, "{allowed:?}");
            let read = explain.bytes() / (4 * dims as u64);
            assert!(
                read <= most,
                "{read} rows of {dims} dims, {allowed:?}\n{explain}"
            );
        }
    }
}

#[test]
fn pairs_are_of_allowed_rows() {
    let mut rng = SmallRng::seed_from_u64(SEED);
    let data: Vec<f32> = (0..300 * 16).map(|_| rng.random_range(0.0..1.0)).collect();
    let rows = Rows::new(&data, 16).expect("whole rows");
    let coded = Coded::new(&data, 16);
    let ring = Ring::within(1.5).expect("a radius");
    let filter = RowSet::deny((0..300).filter(|id| id % 5 == 0));
    for segment in [Segment::new(rows), coded.segment(rows)] {
        let segment = segment.only(&filter).expect("ids of these rows");
        let mut pairs = join(segment, ring, Kernel::fastest(), &Trusted);
        let mut found = Vec::new();
        while let Some(portion) = pairs.portion().expect("pairs") {
            found.extend(portion);
        }
        found.sort_unstable();
        let ids = (0..300_u32).filter(|&id| filter.allows(id));
        let row = |id: u32| &data[16 * id as usize..][..16];
        let expected: Vec<(u32, u32)> = ids
            .clone()
            .flat_map(|a| ids.clone().filter(move |&b| a < b).map(move |b| (a, b)))
            .filter(|&(a, b)| distance(row(a), row(b)) <= 1.5)
            .collect();
        assert_eq!(found, expected);

        // On the left as on the right, beside rows of which all are allowed.
        for is_some in [[true, false], [false, true], [true, true]] {
            let sides = is_some.map(|is_some| match is_some {
                true => (segment, &Trusted),
                false => (Segment::new(rows), &Trusted),
            });
            let pairs = join_with(sides[0], sides[1], ring, Kernel::fastest());
            let mut pairs = pairs.expect("the same dims");
            let mut found = Vec::new();
            while let Some(portion) = pairs.portion().expect("pairs") {
                found.extend(portion);
            }
            found.sort_unstable();
            let ids = |is_some: bool| (0..300).filter(move |&id| !is_some || id % 5 != 0);
            let expected: Vec<(u32, u32)> = ids(is_some[0])
                .flat_map(|a| ids(is_some[1]).map(move |b| (a, b)))
                .filter(|&(a, b)| distance(row(a), row(b)) <= 1.5)
                .collect();
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn a_filter_of_rows_that_do_not_exist_is_refused() {
    let rows = Rows::new(&[0.0, 1.0, 2.0], 1).expect("whole rows");
    for filter in [RowSet::allow([1, 3]), RowSet::deny([1, 3])] {
        let error = Segment::new(rows).only(&filter).expect_err("id 3");
        assert_eq!(error, Error::IdOutOfRange { id: 3, len: 3 });
    }
    let none = Rows::new(&[], 1).expect("no rows");
    assert!(Segment::new(none).only(&RowSet::deny([])).is_ok());
    assert!(Segment::new(none).only(&RowSet::allow([u32::MAX])).is_err());
}

/// Counts the parts of searches, ends them after so many, and adds up what they decided.
struct Watch {
    begun: AtomicUsize,
    allowed: usize,
    decided: AtomicUsize,
}

impl Watch {
    fn new(allowed: usize) -> Self {
        let [begun, decided] = [0, 0].map(AtomicUsize::new);
        Self {
            begun,
            allowed,
            decided,
        }
    }
}

impl Guard for Watch {
    type Error = Error;

    fn go_on(&self) -> Result<(), Error> {
        match self.begun.fetch_add(1, Ordering::Relaxed) < self.allowed {
            true => Ok(()),
            false => Err(Error::FloatEnvironment),
        }
    }

    fn decided(&self, rows: usize) {
        self.decided.fetch_add(rows, Ordering::Relaxed);
    }

    fn rows(&self, _: Range<usize>) -> Result<(), Error> {
        Ok(())
    }

    fn codes(&self, _: Range<usize>) -> Result<(), Error> {
        Ok(())
    }

    fn fine(&self, _: Range<usize>) -> Result<(), Error> {
        Ok(())
    }

    fn prefix(&self, _: Range<usize>) -> Result<(), Error> {
        Ok(())
    }

    fn blocks(&self, _: Range<usize>) -> Result<(), Error> {
        Ok(())
    }

    fn order(&self, _: Range<usize>) -> Result<(), Error> {
        Ok(())
    }
}

fn pool(threads: usize) -> rayon::ThreadPool {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().expect("threads")
}

/// Every row is told once, and after the first refusal at most one part begins on each other thread.
fn check_watched(
    threads: usize,
    segment: Segment<'_>,
    ask: impl Fn(Segment<'_>, &Watch) -> Result<(), Error> + Sync,
) {
    let watched = |watch: &Watch| pool(threads).install(|| ask(segment, watch));
    let watch = Watch::new(usize::MAX);
    watched(&watch).expect("nothing is refused");
    assert_eq!(watch.decided.into_inner(), segment.rows().len());
    let parts = watch.begun.into_inner();
    assert!(parts > 1);
    for allowed in [0, 1, parts - 1] {
        let watch = Watch::new(allowed);
        let error = watched(&watch).expect_err("it was ended");
        assert_eq!(error, Error::FloatEnvironment);
        let refused = watch.begun.into_inner() - allowed;
        assert!((1..=threads).contains(&refused), "{refused} of {parts}");
    }
}

#[test]
fn a_guard_is_asked_before_each_part_and_told_of_every_row() {
    let n = 400_000;
    let data: Vec<f32> = (0..n).map(|i| (i % 1_000) as f32).collect();
    let boxed = Boxed::new(data.clone(), 2);
    let rows = Rows::new(&data, 2).expect("whole rows");
    let coded = Coded::new(&data, 4);
    let wide = Rows::new(&data, 4).expect("whole rows");
    let ring = Ring::between(100.0, 300.0).expect("bounds");
    let edges: Vec<f64> = (1..=30).map(|i| f64::from(i) * 10.0).collect();
    let edges = Edges::new(&edges).expect("edges");
    for threads in [1, 2, 7] {
        for segment in [
            Segment::new(rows),
            coded.segment(wide),
            coded.with_prefix(wide),
            boxed.segment(),
        ] {
            let query = &[0.0; 4][..segment.rows().dims()];
            let some = RowSet::deny((0..segment.rows().len() as u32).step_by(3));
            let filtered = segment.only(&some).expect("ids of these rows");
            for segment in [segment, filtered] {
                check_watched(threads, segment, |segment, watch| {
                    search(segment, query, &ring, Kernel::fastest(), watch).map(drop)
                });
                check_watched(threads, segment, |segment, watch| {
                    histogram(segment, query, &edges, Kernel::fastest(), watch).map(drop)
                });
            }
        }
    }
}

#[test]
fn nothing_is_looked_at_behind_the_last_portion_asked_for() {
    let data: Vec<f32> = (0..3_000_000).map(|i| (i % 1_000) as f32).collect();
    let rows = Rows::new(&data, 2).expect("whole rows");
    let ring = Ring::within(500.0).expect("a radius");
    let kernel = Kernel::fastest();
    for threads in [1, 2, 7] {
        let pool = pool(threads);
        let watch = Watch::new(usize::MAX);
        let hits = portions(Segment::new(rows), &[0.0; 2], &ring, kernel, &watch);
        let mut hits = hits.expect("a search");
        let begun = || watch.begun.load(Ordering::Relaxed);
        assert_eq!(begun(), 0);
        let portion = pool.install(|| hits.portion()).expect("a portion");
        assert!(portion.is_some_and(|ids| ids.is_sorted_by(|a, b| a < b)));
        let spans = hits.explain().spans();
        assert_eq!((begun(), spans), (threads, threads as u64));

        // An error is the end.
        let watch = Watch::new(1);
        let hits = portions(Segment::new(rows), &[0.0; 2], &ring, kernel, &watch);
        let mut hits = hits.expect("a search");
        let mut portion = || pool.install(|| hits.portion());
        let mut last = portion();
        while last.as_ref().is_ok_and(Option::is_some) {
            last = portion();
        }
        assert_eq!(last, Err(Error::FloatEnvironment));
        assert_eq!(portion(), Ok(None));
    }
}
