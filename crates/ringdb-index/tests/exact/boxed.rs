//! Searches by boxes: as without, whatever the boxes decide, and told as it happened.

use std::ops::Range;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use ringdb_index::{
    Arranged, BOX_DIMS_MAX, BoxFrame, Boxes, Error, Explain, Guard, Kernel, Ring, Rows, Segment,
    Tier, Trusted, arrange, boxes_pay, count, distance, search, search_many,
};

use crate::coded::Coded;
use crate::data::{KINDS, Kind};
use crate::{SEED, bounds_at, is_inside, kernels};

/// Rows with their boxes.
pub(crate) struct Boxed {
    data: Vec<f32>,
    frame: BoxFrame,
    blocks: Vec<u8>,
    order: Vec<u8>,
}

impl Boxed {
    pub(crate) fn new(data: Vec<f32>, dims: usize) -> Self {
        let rows = Rows::new(&data, dims).expect("whole rows");
        let (mut blocks, mut order) = (Vec::new(), Vec::new());
        arrange(rows, |more: Arranged<'_>| {
            blocks.extend_from_slice(more.blocks);
            order.extend_from_slice(more.order);
            Ok::<(), Error>(())
        })
        .expect("few dims");
        let frame = BoxFrame::new(rows.len(), dims).expect("few dims");
        let read = BoxFrame::read(&blocks, rows.len(), dims);
        assert_eq!(read, Ok(Some(frame)), "the head is the frame");
        Self {
            data,
            frame,
            blocks,
            order,
        }
    }

    fn rows(&self) -> Rows<'_> {
        Rows::new(&self.data, self.frame.dims()).expect("whole rows")
    }

    pub(crate) fn segment(&self) -> Segment<'_> {
        let boxes = Boxes::new(self.frame, &self.blocks, &self.order).expect("their sizes");
        let segment = Segment::new(self.rows()).and_boxes(boxes);
        segment.expect("boxes of these rows")
    }

    fn ids(&self) -> Vec<u32> {
        let (ids, _) = self.order.as_chunks::<4>();
        ids.iter().map(|&id| u32::from_le_bytes(id)).collect()
    }

    /// The distances of all rows.
    fn by_definition(&self, query: &[f32]) -> Vec<f64> {
        let rows = self.data.chunks(self.frame.dims());
        rows.map(|row| distance(row, query)).collect()
    }
}

/// The sums that the report of one search has to keep.
fn check_explain(explain: &Explain, rows: Rows<'_>, hits: usize) {
    let n = rows.len() as u64;
    let of = |tier| explain.tier(tier);
    let (boxes, exact, scan) = (of(Tier::Boxes), of(Tier::Rows), of(Tier::Scan));
    assert_eq!(explain.hits(), hits as u64, "{explain}");
    assert!(boxes.bytes > 0 || n == 0, "{explain}");
    let groups = boxes.bytes / (128 * rows.dims() as u64);
    assert_eq!(boxes.bytes, groups * 128 * rows.dims() as u64, "{explain}");
    assert_eq!(explain.switched(), 0, "{explain}");
    match explain.left_boxes() {
        0 => {
            assert_eq!((boxes.rows, scan.rows), (n, 0), "{explain}");
            assert_eq!(explain.spans(), 1, "{explain}");
        }
        left => assert_eq!((left, boxes.rows, scan.rows), (1, 0, n), "{explain}"),
    }
    assert_eq!(boxes.unsure, exact.rows, "{explain}");
    for tier in Tier::ALL {
        let report = of(tier);
        let decided = report.outside + report.inside;
        assert_eq!(report.rows, decided + report.unsure, "{explain}");
    }
    assert_eq!(exact.unsure, 0, "{explain}");
    let padded = exact.rows..exact.rows + 16;
    assert!(
        padded.contains(&(exact.bytes / (4 * rows.dims() as u64))),
        "{explain}"
    );
    for tier in [Tier::Prefix, Tier::Codes, Tier::Fine] {
        assert_eq!(of(tier).bytes, 0, "{explain}");
    }
}

/// Every kind of data in every number of dims that boxes may have, blocks full and not, from stored rows, from
/// between them and from far away, with rings at distances that occur.
#[test]
fn boxes_find_what_the_definition_says() {
    println!("seed {SEED:#x}");
    let (mut asked, mut by_boxes, mut left) = (0, 0, 0);
    for dims in 1..=BOX_DIMS_MAX {
        for (k, kind) in KINDS.into_iter().enumerate() {
            let mut rng = SmallRng::seed_from_u64(SEED + (dims * 100 + k) as u64);
            for n in [1, 15, 63, 64, 65, 1_000, 1_025, 3_000] {
                let boxed = Boxed::new(kind.rows(n, dims, &mut rng), dims);
                for from in 0..4 {
                    let stored = rng.random_range(0..n) * dims;
                    let mut query = boxed.data[stored..][..dims].to_vec();
                    match from {
                        0 => {}
                        1 => query = (0..dims).map(|_| kind.coordinate(&mut rng)).collect(),
                        2 => query[0] = query[0].next_up().min(f32::MAX),
                        _ => query.iter_mut().for_each(|value| *value = -*value / 3.0),
                    }
                    let distances = boxed.by_definition(&query);
                    for bounds in bounds_at(&distances, &mut rng) {
                        let ring = Ring::from_bounds(bounds).expect("legal bounds");
                        let inside = distances.iter().map(|&d| is_inside(d, bounds));
                        let ids = (0_u32..).zip(inside);
                        let expected: Vec<u32> =
                            ids.filter_map(|(id, is)| is.then_some(id)).collect();
                        for kernel in Kernel::available() {
                            let (ids, explain) =
                                search(boxed.segment(), &query, &ring, kernel, &Trusted)
                                    .expect("a legal search");
                            assert!(
                                ids == expected,
                                "{kernel}, {n} rows of {dims}, {kind:?}, {bounds:?}, from {query:?}"
                            );
                            check_explain(&explain, boxed.rows(), expected.len());
                            let (hits, counted) =
                                count(boxed.segment(), &query, &ring, kernel, &Trusted)
                                    .expect("a legal search");
                            assert_eq!(hits, expected.len() as u64);
                            check_explain(&counted, boxed.rows(), expected.len());
                            asked += 1;
                            let boxes = counted.tier(Tier::Boxes);
                            by_boxes += u64::from(boxes.inside > 0 && boxes.outside > 0);
                            left += explain.left_boxes();
                        }
                    }
                }
            }
        }
    }
    kernels();
    println!(
        "{asked} searches, {by_boxes} with boxes inside and outside, {left} turned to the scan"
    );
    assert!(by_boxes > asked / 30 && left > asked / 30 && asked - left > asked / 10);
}

/// A bound that is off by one number is found out by a ring whose bound is the distance of a row.
#[test]
fn a_box_that_is_too_small_by_one_number_loses_hits() {
    println!("seed {SEED:#x}");
    let mut rng = SmallRng::seed_from_u64(SEED);
    let (n, dims) = (64, 2);
    let mut boxed = Boxed::new(Kind::Uniform.rows(n, dims, &mut rng), dims);
    // One block: its box is the first of its group, whose lower bounds stand in two lines behind the head.
    let first = BoxFrame::HEAD_BYTES;
    let lower = f32::from_le_bytes(*boxed.blocks[first..].first_chunk().expect("a bound"));
    let row = boxed.data.chunks(dims).position(|row| row[0] == lower);
    let row = row.expect("a row at the bound");
    let query = [lower - 1.0, boxed.data[row * dims + 1]];
    let d = distance(&boxed.data[row * dims..][..dims], &query);
    let ring = Ring::within(d).expect("a legal bound");
    let hits = |boxed: &Boxed| {
        count(boxed.segment(), &query, &ring, Kernel::fastest(), &Trusted)
            .expect("a legal search")
            .0
    };
    assert_eq!(hits(&boxed), 1);
    boxed.blocks[first..first + 4].copy_from_slice(&lower.next_up().to_le_bytes());
    assert_eq!(hits(&boxed), 0);
}

/// Each row has one place, whatever the number of threads.
#[test]
fn the_order_holds_every_row_once_and_depends_on_rows_alone() {
    println!("seed {SEED:#x}");
    for (n, dims, kind) in [
        (0, 3, Kind::Uniform),
        (40_000, 3, Kind::Uniform),
        (33_333, 2, Kind::Lattice),
        (20_000, 1, Kind::AllEqual),
    ] {
        let mut rng = SmallRng::seed_from_u64(SEED);
        let data = match n {
            0 => Vec::new(),
            _ => kind.rows(n, dims, &mut rng),
        };
        let boxed = Boxed::new(data.clone(), dims);
        let mut ids = boxed.ids();
        ids.sort_unstable();
        assert!(ids.into_iter().eq(0..n as u32), "{kind:?}");
        for threads in [1, 2, 7] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let again = pool
                .expect("a pool")
                .install(|| Boxed::new(data.clone(), dims));
            assert!(
                again.blocks == boxed.blocks && again.order == boxed.order,
                "{kind:?}"
            );
        }
    }
}

/// Files are written by one version of this library and searched by another.
#[test]
fn the_bytes_of_boxes_are_always_the_same() {
    let data: Vec<f32> = (0..3_000_u32).map(|i| (i * i % 1_009) as f32).collect();
    let boxed = Boxed::new(data, 3);
    for block in boxed.ids().chunks(64) {
        assert!(block.is_sorted());
    }
    // FNV-1a.
    let sum = |bytes: &[u8]| {
        bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, &byte| {
            (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        })
    };
    assert_eq!(
        sum(&boxed.blocks),
        0x5dc4_c180_1deb_5712,
        "{:#x}",
        sum(&boxed.blocks)
    );
    assert_eq!(
        sum(&boxed.order),
        0x6d8b_4bf7_30a1_bbe9,
        "{:#x}",
        sum(&boxed.order)
    );
}

/// Which of two equal numbers is the smaller one does not depend on which came first.
#[test]
fn bounds_tell_zeros_of_both_signs_apart() {
    for first in [0.0, -0.0] {
        let data: Vec<f32> = (0..64)
            .map(|i| if i % 2 == 0 { first } else { -first })
            .collect();
        let boxed = Boxed::new(data, 1);
        let bound = |line: usize| {
            let at = BoxFrame::HEAD_BYTES + 64 * line;
            f32::from_le_bytes(*boxed.blocks[at..].first_chunk().expect("a bound"))
        };
        assert!(bound(0).is_sign_negative() && bound(1).is_sign_positive());
    }
}

/// Hits by the hundred thousand, on several threads, in ascending order; and many queries at once.
#[test]
fn many_hits_and_many_queries_are_found_on_any_number_of_threads() {
    println!("seed {SEED:#x}");
    let mut rng = SmallRng::seed_from_u64(SEED);
    let (n, dims) = (600_000, 2);
    let boxed = Boxed::new(Kind::Uniform.rows(n, dims, &mut rng), dims);
    let queries = Kind::Uniform.rows(7, dims, &mut rng);
    let rings = [0.001, 0.01, 0.1, 0.3, 0.45, 0.5, 5.0].map(|d| Ring::between(d / 2.0, d));
    let rings = rings.map(|ring| ring.expect("legal bounds"));
    let plain = Segment::new(boxed.rows());
    let expected = search_many(plain, &queries, &rings, Kernel::fastest(), &Trusted);
    let expected = expected.expect("a legal search");
    assert!((1..7).any(|i| (70_000..150_000).contains(&expected.ids_of(i).len())));
    for threads in [1, 2, 7] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.expect("a pool");
        for kernel in kernels() {
            let found =
                pool.install(|| search_many(boxed.segment(), &queries, &rings, kernel, &Trusted));
            let found = found.expect("a legal search");
            assert!((&found.offsets, &found.ids) == (&expected.offsets, &expected.ids));
            for (i, query) in queries.chunks(dims).enumerate() {
                let counted =
                    pool.install(|| count(boxed.segment(), query, &rings[i], kernel, &Trusted));
                let (hits, explain) = counted.expect("a legal search");
                assert_eq!(hits, expected.ids_of(i).len() as u64);
                check_explain(&explain, boxed.rows(), hits as usize);
            }
        }
    }
}

/// Lets blocks or the order not pass.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Refusing {
    Blocks,
    RowsOfBlocks,
    Order,
    Nothing,
    Index(Error),
}

impl From<Error> for Refusing {
    fn from(error: Error) -> Self {
        Self::Index(error)
    }
}

impl Guard for Refusing {
    type Error = Self;

    fn rows(&self, _: Range<usize>) -> Result<(), Self> {
        unreachable!("rows are read in their blocks")
    }

    fn codes(&self, _: Range<usize>) -> Result<(), Self> {
        unreachable!("there are no codes")
    }

    fn fine(&self, _: Range<usize>) -> Result<(), Self> {
        unreachable!("there are no codes")
    }

    fn prefix(&self, _: Range<usize>) -> Result<(), Self> {
        unreachable!("there are no codes")
    }

    fn blocks(&self, bytes: Range<usize>) -> Result<(), Self> {
        assert!(bytes.start >= BoxFrame::HEAD_BYTES && bytes.start.is_multiple_of(64));
        assert!(bytes.end > bytes.start && bytes.end.is_multiple_of(64));
        // Of three dims, sixteen boxes take six lines.
        let is_of_boxes = bytes.len() == 6 * 64 && bytes.start < 64 * 64;
        match (self, is_of_boxes) {
            (Self::Blocks, true) | (Self::RowsOfBlocks, false) => Err(*self),
            _ => Ok(()),
        }
    }

    fn order(&self, bytes: Range<usize>) -> Result<(), Self> {
        assert!(bytes.end > bytes.start && bytes.end <= 4 * 400_000);
        match self {
            Self::Order => Err(*self),
            _ => Ok(()),
        }
    }
}

#[test]
fn nothing_is_read_that_the_guard_does_not_let_pass() {
    let mut rng = SmallRng::seed_from_u64(SEED);
    let boxed = Boxed::new(Kind::Uniform.rows(5_000, 3, &mut rng), 3);
    let ring = Ring::between(0.3, 0.4).expect("legal bounds");
    let query = [0.1, 0.2, 0.3];
    let ids = |guard| search(boxed.segment(), &query, &ring, Kernel::fastest(), &guard);
    for guard in [Refusing::Blocks, Refusing::RowsOfBlocks, Refusing::Order] {
        assert_eq!(ids(guard).err(), Some(guard));
    }
    let (found, _) = ids(Refusing::Nothing).expect("nothing in the way");
    assert!(!found.is_empty());
    // Who counts does not ask which rows they are.
    let counted = count(
        boxed.segment(),
        &query,
        &ring,
        Kernel::fastest(),
        &Refusing::Order,
    );
    assert_eq!(counted.expect("nothing in the way").0, found.len() as u64);
}

/// On all threads as on one.
#[test]
fn a_guard_ends_large_searches_too() {
    println!("seed {SEED:#x}");
    let mut rng = SmallRng::seed_from_u64(SEED);
    let (n, dims) = (400_000, 3);
    let boxed = Boxed::new(Kind::Uniform.rows(n, dims, &mut rng), dims);
    let ring = Ring::within(0.8).expect("a legal bound");
    let query = [0.1, 0.2, 0.3];
    let ids = |guard| search(boxed.segment(), &query, &ring, Kernel::fastest(), &guard);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    pool.expect("a pool").install(|| {
        let (found, explain) = ids(Refusing::Nothing).expect("nothing in the way");
        assert_eq!((explain.left_boxes(), explain.spans()), (0, 1), "{explain}");
        assert!(found.len() > 70_000);
        for guard in [Refusing::RowsOfBlocks, Refusing::Order] {
            assert_eq!(ids(guard).err(), Some(guard));
        }
    });
}

/// Where nothing is checked an order may name rows that are not there.
#[test]
fn an_id_of_no_row_is_refused() {
    let mut rng = SmallRng::seed_from_u64(SEED);
    let mut boxed = Boxed::new(Kind::Uniform.rows(9_000, 2, &mut rng), 2);
    boxed.order.fill(0xff);
    let what = "id in the order of rows";
    let value = u64::from(u32::MAX);
    for d in [0.01, 0.2] {
        let ring = Ring::within(d).expect("a legal bound");
        let query = &boxed.data[..2];
        let found = search(boxed.segment(), query, &ring, Kernel::fastest(), &Trusted);
        assert_eq!(found.err(), Some(Error::NotOfTheseRows { what, value }));
    }
}

/// Where nothing is checked answers are wrong, and no more than that.
#[test]
fn damaged_boxes_end_in_an_answer_or_an_error() {
    println!("seed {SEED:#x}");
    let mut rng = SmallRng::seed_from_u64(SEED);
    let (mut answers, mut errors) = (0, 0);
    for round in 0..300 {
        let dims = rng.random_range(1..=BOX_DIMS_MAX);
        let n = rng.random_range(1..3_000);
        let mut boxed = Boxed::new(Kind::Uniform.rows(n, dims, &mut rng), dims);
        let every = [1, 10, 1_000][round % 3];
        for byte in &mut boxed.blocks[BoxFrame::HEAD_BYTES..] {
            if rng.random_range(0..every) == 0 {
                *byte = rng.random();
            }
        }
        if round % 2 == 0 {
            for byte in &mut boxed.order {
                if rng.random_range(0..every) == 0 {
                    *byte = rng.random();
                }
            }
        }
        let query = Kind::Uniform.rows(1, dims, &mut rng);
        for kernel in Kernel::available() {
            for d in [0.0, 0.1, 0.5, 1e30] {
                let ring = Ring::within(d).expect("a legal bound");
                match search(boxed.segment(), &query, &ring, kernel, &Trusted) {
                    Ok((ids, _)) => {
                        answers += 1;
                        assert!(ids.is_sorted() && ids.last().is_none_or(|&id| id < n as u32));
                    }
                    Err(Error::NotOfTheseRows { value, .. }) => {
                        errors += 1;
                        assert!(value >= n as u64);
                    }
                    Err(error) => panic!("{error}"),
                }
                let (hits, _) = count(boxed.segment(), &query, &ring, kernel, &Trusted)
                    .expect("no ids to be refused");
                assert!(hits <= n as u64);
            }
        }
    }
    println!("{answers} answers, {errors} errors");
    assert!(answers > 1_000 && errors > 10);
}

/// Boxes are asked first; what they do not answer goes to the codes, many queries together.
#[test]
fn codes_beside_boxes_take_what_boxes_leave() {
    println!("seed {SEED:#x}");
    let mut rng = SmallRng::seed_from_u64(SEED);
    let (n, dims) = (6_000, 6);
    let boxed = Boxed::new(Kind::Uniform.rows(n, dims, &mut rng), dims);
    let coded = Coded::new(&boxed.data, dims);
    let boxes = Boxes::new(boxed.frame, &boxed.blocks, &boxed.order).expect("their sizes");
    let segment = coded.segment(boxed.rows()).and_boxes(boxes);
    let segment = segment.expect("boxes of these rows");
    let queries = &boxed.data[..12 * dims];
    for wide in [1, 3, 7, 12] {
        let rings: Vec<Ring> = (0..12)
            .map(|i| Ring::within(if i < wide { 1.6 } else { 0.05 }).expect("a legal bound"))
            .collect();
        for kernel in kernels() {
            let found = search_many(segment, queries, &rings, kernel, &Trusted);
            let found = found.expect("a legal search");
            let plain = search_many(
                Segment::new(boxed.rows()),
                queries,
                &rings,
                kernel,
                &Trusted,
            );
            let plain = plain.expect("a legal search");
            assert!((&found.offsets, &found.ids) == (&plain.offsets, &plain.ids));
            let of = |tier| found.explain.tier(tier);
            assert_eq!(found.explain.left_boxes(), wide as u64);
            assert_eq!(of(Tier::Boxes).rows, (n * (12 - wide)) as u64);
            assert_eq!(
                of(Tier::Codes).rows + of(Tier::Scan).rows,
                (n * wide) as u64
            );
            assert!(of(Tier::Codes).bytes > 0, "codes were asked");
            let text = found.explain.to_string();
            assert!(
                text.contains(&format!("\nboxes left {wide} times\n")),
                "{text}"
            );
            let (_, one) = search(segment, &queries[..dims], &rings[0], kernel, &Trusted)
                .expect("a legal search");
            assert_eq!(one.left_boxes(), 1);
            assert!(one.tier(Tier::Codes).bytes > 0, "codes were asked");
        }
    }
}

#[test]
fn boxes_of_other_rows_are_refused() {
    let mut rng = SmallRng::seed_from_u64(SEED);
    let boxed = Boxed::new(Kind::Uniform.rows(100, 3, &mut rng), 3);
    let cut = Boxes::new(boxed.frame, &boxed.blocks[1..], &boxed.order);
    let value = boxed.blocks.len() as u64 - 1;
    let what = "bytes of blocks";
    assert_eq!(cut.err(), Some(Error::NotOfTheseRows { what, value }));
    let cut = Boxes::new(boxed.frame, &boxed.blocks, &boxed.order[4..]);
    let (what, value) = ("bytes of the order", 396);
    assert_eq!(cut.err(), Some(Error::NotOfTheseRows { what, value }));
    let boxes = Boxes::new(boxed.frame, &boxed.blocks, &boxed.order).expect("their sizes");
    for (rows, dims, what, value) in [
        (99, 3, "rows of blocks", 100),
        (150, 2, "dims of blocks", 3),
    ] {
        let rows = Rows::new(&boxed.data[..rows * dims], dims).expect("whole rows");
        let refused = Segment::new(rows).and_boxes(boxes).err();
        assert_eq!(refused, Some(Error::NotOfTheseRows { what, value }));
    }
    let wide = vec![0.0; 26];
    let rows = Rows::new(&wide, 13).expect("whole rows");
    let refused = arrange::<Error>(rows, |_| Ok(()));
    let max = BOX_DIMS_MAX;
    assert_eq!(refused, Err(Error::InvalidDims { dims: 13, max }));
}

/// Few dims are worth it whatever the data; many are only where the data has fewer than its coordinates.
#[test]
fn boxes_are_chosen_where_they_decide_most_rows() {
    println!("seed {SEED:#x}");
    let mut rng = SmallRng::seed_from_u64(SEED);
    let mut pays = |kind: Kind, n: usize, dims: usize| {
        let data = kind.rows(n, dims, &mut rng);
        boxes_pay(Rows::new(&data, dims).expect("whole rows")).expect("a plain environment")
    };
    assert_eq!(boxes_pay(Rows::new(&[], 3).expect("no rows")), Ok(false));
    for dims in 1..=3 {
        for kind in [Kind::Uniform, Kind::Lattice, Kind::Cluster, Kind::AllEqual] {
            assert!(pays(kind, 40_000, dims), "{kind:?} {dims}");
        }
    }
    assert!(!pays(Kind::Uniform, 40_000, 12));
    assert!(!pays(Kind::Uniform, 40_000, 13));
    assert!(pays(Kind::AllEqual, 40_000, 12));
}
