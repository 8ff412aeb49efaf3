//! Rings over rows of few numbers, asked in every way and answered by the definition of distance.

use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};

use arbitrary::{Arbitrary, Result, Unstructured};
use ringdb_index::{
    Arranged, BOX_DIMS_MAX, BoxFrame, Boxes, CodeFrame, Codes, Edges, Encoded, Error, Join, Kernel,
    Pair, Prefix, PrefixFrame, Ring, RowSet, Rows, Segment, Trusted, arrange, count, distance,
    distances, encode, histogram, join, join_with, portions, search as search_one, search_many,
};

/// Coordinates of the rows, at most: enough for several blocks of short rows.
const FLOATS_MAX: usize = 1 << 15;

/// Differences that the definition of a join computes, at most.
const JOIN_FLOATS_MAX: usize = 1 << 20;

/// Rows whose distances are edges of bins, at most.
const EDGE_ROWS: usize = 60;

/// Queries at most: three groups of those that are judged together.
const QUERIES_MAX: usize = 40;

/// How an input begins. What comes behind it are the numbers that coordinates are made of, eight bytes
/// for each bound, and then a byte for each coordinate until there are no more.
#[derive(Debug, Arbitrary)]
struct Head {
    dims: u8,
    rows: u16,
    /// One query, many, a join, or one of two parts.
    question: u8,
    /// No codes, codes, or codes and prefixes; each without boxes and with them, if dims are few.
    tiers: u8,
    has_ring_each: bool,
    /// Rows repeat after so many, if not 0.
    period: u8,
    /// What the first query is; the others take their turns.
    query: u8,
    queries: u8,
    /// Inclusive, exclusive or open.
    ends: [u8; 2],
    /// A distance that occurs, that of a row, moved by steps of the last bit; or any number.
    bounds: [(u16, i8); 2],
    seed: u16,
    numbers: u8,
}

/// What is asked of which rows.
struct Input {
    head: Head,
    dims: usize,
    rows: Vec<f32>,
    /// Row-major.
    queries: Vec<f32>,
    bounds: [f64; 2],
}

/// Asks what `data` describes with every kernel, and holds the answers to the definition of distance.
/// Returns whether it was something that has an answer.
///
/// # Panics
/// If the library does, if an answer is not that of the definition, or if a query that is not finite is
/// answered.
pub fn search(data: &[u8]) -> bool {
    let Ok(input) = Input::read(data) else {
        return false;
    };
    let rows = Rows::new(&input.rows, input.dims).expect("whole rows");
    let tiers = input.head.tiers % 3;
    let coded = (tiers > 0).then(|| Coded::new(rows, tiers > 1));
    let mut segment = match &coded {
        Some(coded) => coded.segment(rows),
        None => Segment::new(rows),
    };
    let has_boxes = input.head.tiers / 3 % 2 == 1 && input.dims <= BOX_DIMS_MAX;
    let boxed = has_boxes.then(|| Boxed::new(rows));
    if let Some(boxed) = &boxed {
        segment = segment
            .and_boxes(boxed.boxes())
            .expect("boxes of these rows");
    }
    match input.head.question % 4 {
        0 => input.check_one(segment),
        1 => input.check_many(segment),
        2 => input.check_join(segment),
        _ => input.check_join_of_parts(rows, segment),
    }
}

impl Input {
    fn read(data: &[u8]) -> Result<Self> {
        let mut bytes = Unstructured::new(data);
        let head = Head::arbitrary(&mut bytes)?;
        let dims = usize::from(head.dims).max(1);
        let is_join = head.question % 4 > 1;
        let rows_max = match is_join {
            true => (JOIN_FLOATS_MAX / dims).isqrt(),
            false => FLOATS_MAX / dims,
        };
        let n_rows = usize::from(head.rows) % (rows_max + 1);
        let mut numbers = vec![0.0; usize::from(head.numbers % 16) + 1];
        for number in &mut numbers {
            *number = f32::from_bits(bytes.arbitrary()?);
        }
        let bounds = [bytes.arbitrary()?, bytes.arbitrary()?];
        let mut coordinates = Coordinates {
            bytes: bytes.take_rest(),
            numbers,
            state: u64::from(head.seed),
        };
        let mut rows: Vec<f32> = (0..n_rows * dims)
            .map(|_| finite(coordinates.coordinate()))
            .collect();
        let period = usize::from(head.period) * dims;
        if (1..rows.len()).contains(&period) {
            for at in period..rows.len() {
                rows[at] = rows[at - period];
            }
        }
        let n_queries = usize::from(head.queries) % QUERIES_MAX + 1;
        let queries = (0..n_queries).flat_map(|number| {
            let number = number + usize::from(head.query);
            coordinates.query(number, &rows, dims)
        });
        Ok(Self {
            queries: queries.collect(),
            head,
            dims,
            rows,
            bounds,
        })
    }

    /// The ring for a query; none if its bounds are not those of a ring.
    fn ring(&self, query: &[f32]) -> Option<Ring> {
        let n_rows = self.rows.len() / self.dims;
        let bound = |i: usize| {
            let (row, steps) = self.head.bounds[i];
            let row = usize::from(row).checked_rem(n_rows);
            let d = match row {
                Some(row) if steps != i8::MIN => {
                    let row = &self.rows[row * self.dims..][..self.dims];
                    moved(distance(row, query), steps)
                }
                _ => self.bounds[i],
            };
            match self.head.ends[i] % 3 {
                0 => Bound::Included(d),
                1 => Bound::Excluded(d),
                _ => Bound::Unbounded,
            }
        };
        let ends = (bound(0), bound(1));
        // Two distances that occur, in any order.
        let ring = Ring::from_bounds(ends).or_else(|_| Ring::from_bounds((ends.1, ends.0)));
        match ring {
            Ok(ring) => Some(ring),
            Err(Error::InvalidBounds { .. }) => None,
            Err(other) => panic!("{other}"),
        }
    }

    fn check_one(&self, segment: Segment<'_>) -> bool {
        let (rows, query) = (segment.rows(), &self.queries[..self.dims]);
        let is_finite = query.iter().all(|coordinate| coordinate.is_finite());
        let Some(ring) = self.ring(query) else {
            return false;
        };
        let expected = inside(rows, query, &ring);
        for kernel in Kernel::available() {
            let found = search_one(segment, query, &ring, kernel, &Trusted);
            let counted = count(segment, query, &ring, kernel, &Trusted);
            if !is_finite {
                assert!(matches!(found, Err(Error::NotFinite { .. })), "{found:?}");
                assert!(
                    matches!(counted, Err(Error::NotFinite { .. })),
                    "{counted:?}"
                );
                continue;
            }
            let (ids, explain) = found.expect("a legal search");
            check(&ids, &expected, &format!("{kernel}, {ring}, {explain}"));
            let (hits, counted) = counted.expect("a legal count");
            assert_eq!((hits, counted.hits()), (ids.len() as u64, hits), "{kernel}");
            // Who only counts may go on with boxes where ids would cost too much.
            let is_alike = segment.has_boxes() || counted == explain;
            assert!(is_alike, "{kernel}: {counted} and {explain}");
            self.check_some(segment, query, &ring, kernel, &ids);
            check_bins(segment, &RowSet::deny([]), query, &ring, kernel);
            let found = distances(rows, query, &ids, kernel).expect("ids of rows");
            let row = |id: u32| rows.row(id).expect("a row");
            for (found, &id) in found.into_iter().zip(&ids) {
                let expected = distance(row(id), query);
                assert_eq!(found.to_bits(), expected.to_bits(), "{kernel}, row {id}");
            }
        }
        is_finite
    }

    /// Where only some rows are allowed, those of all hits that are.
    fn check_some(
        &self,
        segment: Segment<'_>,
        query: &[f32],
        ring: &Ring,
        kernel: Kernel,
        ids: &[u32],
    ) {
        let step = u32::from(self.head.period) % 20 + 1;
        let some = (0..segment.rows().len() as u32).filter(|id| id % step == 0);
        for filter in [RowSet::allow(some.clone()), RowSet::deny(some)] {
            let segment = segment.only(&filter).expect("ids of rows");
            let expected: Vec<u32> = ids
                .iter()
                .copied()
                .filter(|&id| filter.allows(id))
                .collect();
            let (found, explain) =
                search_one(segment, query, ring, kernel, &Trusted).expect("a legal search");
            check(
                &found,
                &expected,
                &format!("{kernel}, {filter:?}, {explain}"),
            );
            let (hits, _) = count(segment, query, ring, kernel, &Trusted).expect("a legal count");
            assert_eq!(hits, expected.len() as u64, "{kernel}, {filter:?}");
            let mut more = portions(segment, query, ring, kernel, &Trusted).expect("a search");
            let mut found = Vec::new();
            while let Some(portion) = more.portion().expect("a legal search") {
                found.extend(portion);
            }
            let what = format!("{kernel}, {filter:?}, {}, portions", more.explain());
            check(&found, &expected, &what);
            check_bins(segment, &filter, query, ring, kernel);
        }
    }

    fn check_many(&self, segment: Segment<'_>) -> bool {
        let queries = self.queries.chunks(self.dims);
        let is_finite = self.queries.iter().all(|coordinate| coordinate.is_finite());
        let n_rings = match self.head.has_ring_each {
            true => queries.len(),
            false => 1,
        };
        let rings: Option<Vec<Ring>> = queries
            .clone()
            .take(n_rings)
            .map(|query| self.ring(query))
            .collect();
        let Some(rings) = rings else {
            return false;
        };
        let expected: Vec<Vec<u32>> = queries
            .enumerate()
            .map(|(i, query)| inside(segment.rows(), query, rings.get(i).unwrap_or(&rings[0])))
            .collect();
        for kernel in Kernel::available() {
            let found = search_many(segment, &self.queries, &rings, kernel, &Trusted);
            if !is_finite {
                assert!(matches!(found, Err(Error::NotFinite { .. })), "{found:?}");
                continue;
            }
            let batch = found.expect("a legal search");
            assert_eq!(batch.len(), expected.len());
            for (i, expected) in expected.iter().enumerate() {
                let ring = rings.get(i).unwrap_or(&rings[0]);
                check(
                    batch.ids_of(i),
                    expected,
                    &format!("{kernel}, query {i}, {ring}"),
                );
            }
            assert_eq!(batch.explain.hits(), batch.ids.len() as u64, "{kernel}");
        }
        is_finite
    }

    fn check_join(&self, segment: Segment<'_>) -> bool {
        let rows = segment.rows();
        let Some(ring) = self.ring_of_rows(rows) else {
            return false;
        };
        let expected = pairs(rows, rows, &ring, |a, b| a < b);
        for kernel in Kernel::available() {
            let found = all(join(segment, ring, kernel, &Trusted));
            check(&found, &expected, &format!("{kernel}, {ring}"));
        }
        true
    }

    /// The first third of the rows, which has no codes, with all of them.
    fn check_join_of_parts(&self, rows: Rows<'_>, segment: Segment<'_>) -> bool {
        let Some(ring) = self.ring_of_rows(rows) else {
            return false;
        };
        let part = &self.rows[..rows.len() / 3 * self.dims];
        let part = Rows::new(part, self.dims).expect("whole rows");
        let part_segment = Segment::new(part);
        let expected = pairs(part, rows, &ring, |_, _| true);
        let turned = pairs(rows, part, &ring, |_, _| true);
        for kernel in Kernel::available() {
            let [left, right] = [(part_segment, &Trusted), (segment, &Trusted)];
            let joined = join_with(left, right, ring, kernel).expect("the same dims");
            check(&all(joined), &expected, &format!("{kernel}, {ring}"));
            let joined = join_with(right, left, ring, kernel).expect("the same dims");
            check(&all(joined), &turned, &format!("{kernel}, {ring}, turned"));
        }
        true
    }

    /// With a row in the middle of a ring, or anything where there is none.
    fn ring_of_rows(&self, rows: Rows<'_>) -> Option<Ring> {
        let middle = rows.row(rows.len() as u32 / 2);
        self.ring(middle.unwrap_or(&self.queries[..self.dims]))
    }
}

/// Where coordinates come from.
struct Coordinates<'a> {
    /// One for each of the first coordinates.
    bytes: &'a [u8],
    numbers: Vec<f32>,
    state: u64,
}

impl Coordinates<'_> {
    /// The next number of a sequence that its seed determines.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// One of the numbers, as it is or changed.
    fn coordinate(&mut self) -> f32 {
        let byte = match self.bytes.split_first() {
            Some((byte, rest)) => {
                self.bytes = rest;
                *byte
            }
            // As it is, or its product with a number in [-1, 1).
            None => match self.random() as u8 {
                few @ ..16 => few,
                most => 0xf0 | most,
            },
        };
        let number = self.numbers[usize::from(byte % 16) % self.numbers.len()];
        match byte >> 4 {
            10 => -number,
            11 => number.next_up(),
            12 => number.next_down(),
            13 => number * 0.5,
            14 => number * 1.000_1,
            15 => number * (self.random() as i32 as f32 * 0.5_f32.powi(31)),
            _ => number,
        }
    }

    /// A stored row, one with a coordinate moved, one in which a coordinate is any number at all, or a new
    /// vector.
    fn query(&mut self, number: usize, rows: &[f32], dims: usize) -> Vec<f32> {
        let stored = (self.random() as usize).checked_rem(rows.len() / dims);
        let at = self.random() as usize % dims;
        let Some(id) = stored.filter(|_| number % 4 < 3) else {
            return (0..dims).map(|_| finite(self.coordinate())).collect();
        };
        let mut query = rows[id * dims..][..dims].to_vec();
        match number % 4 {
            0 => {}
            1 => query[at] = finite(query[at].next_up()),
            _ => query[at] = self.numbers[0],
        }
        query
    }
}

/// The same number, or a finite one where it is none.
fn finite(number: f32) -> f32 {
    match number.is_finite() {
        true => number,
        false => f32::from_bits(number.to_bits() & !(1 << 30)),
    }
}

/// A distance some steps of the last bit farther, or nearer.
fn moved(distance: f64, steps: i8) -> f64 {
    let mut moved = distance;
    for _ in 0..steps.unsigned_abs() {
        moved = match steps > 0 {
            true => moved.next_up(),
            false => moved.next_down().max(0.0),
        };
    }
    moved
}

fn inside(rows: Rows<'_>, query: &[f32], ring: &Ring) -> Vec<u32> {
    let ids = 0..rows.len() as u32;
    let row = |id: u32| rows.row(id).expect("a row");
    ids.filter(|&id| ring.contains(distance(row(id), query)))
        .collect()
}

fn pairs(
    left: Rows<'_>,
    right: Rows<'_>,
    ring: &Ring,
    is_meant: impl Fn(u32, u32) -> bool,
) -> Vec<Pair> {
    let of_row = |a: u32| {
        let found = inside(right, left.row(a).expect("a row"), ring);
        found.into_iter().map(move |b| (a, b))
    };
    let all = (0..left.len() as u32).flat_map(of_row);
    all.filter(|&(a, b)| is_meant(a, b)).collect()
}

fn all(mut join: Join<'_, Trusted>) -> Vec<Pair> {
    let mut pairs = Vec::new();
    while let Some(portion) = join.portion().expect("a legal join") {
        pairs.extend(portion);
    }
    pairs.sort_unstable();
    pairs
}

/// Asserts that both are the same, and names the first place where they are not.
fn check<T: PartialEq + Debug>(found: &[T], expected: &[T], what: &str) {
    let mut places = 0..found.len().max(expected.len());
    if let Some(at) = places.find(|&at| found.get(at) != expected.get(at)) {
        let (found, expected) = (found.get(at), expected.get(at));
        panic!("{what}: {found:?}, not {expected:?}, at {at}");
    }
}

/// The codes of some rows, and prefixes whether they pay or not.
struct Coded {
    frame: CodeFrame,
    codes: Vec<u8>,
    fine: Vec<u8>,
    prefix_frame: Option<PrefixFrame>,
    prefix: Vec<u8>,
}

impl Coded {
    fn new(rows: Rows<'_>, has_prefix: bool) -> Self {
        let frame = CodeFrame::of(rows);
        let prefix_frame = has_prefix.then(|| PrefixFrame::forced(rows, &frame));
        let (mut codes, mut fine, mut prefix) = (Vec::new(), Vec::new(), Vec::new());
        encode(rows, &frame, prefix_frame.as_ref(), |more: Encoded<'_>| {
            codes.extend_from_slice(more.codes);
            fine.extend_from_slice(more.fine);
            prefix.extend_from_slice(more.prefix);
            Ok::<(), Error>(())
        })
        .expect("codes");
        let frame = CodeFrame::read(&codes, rows.len(), rows.dims()).expect("a frame");
        let prefix_frame = has_prefix.then(|| {
            let frame = PrefixFrame::read(&prefix, rows.len(), rows.dims()).expect("a frame");
            frame.expect("prefixes of this form")
        });
        Self {
            frame: frame.expect("codes of this form"),
            codes,
            fine,
            prefix_frame,
            prefix,
        }
    }

    fn segment<'a>(&'a self, rows: Rows<'a>) -> Segment<'a> {
        let codes = Codes::new(&self.frame, &self.codes, &self.fine).expect("their sizes");
        let segment = Segment::with_codes(rows, codes).expect("codes of these rows");
        let Some(frame) = &self.prefix_frame else {
            return segment;
        };
        let prefix = Prefix::new(frame, &self.prefix).expect("their size");
        segment.and_prefix(prefix).expect("prefixes of these rows")
    }
}

/// The boxes of some rows.
struct Boxed {
    frame: BoxFrame,
    blocks: Vec<u8>,
    order: Vec<u8>,
}

impl Boxed {
    fn new(rows: Rows<'_>) -> Self {
        let (mut blocks, mut order) = (Vec::new(), Vec::new());
        arrange(rows, |more: Arranged<'_>| {
            blocks.extend_from_slice(more.blocks);
            order.extend_from_slice(more.order);
            Ok::<(), Error>(())
        })
        .expect("few dims");
        let frame = BoxFrame::read(&blocks, rows.len(), rows.dims()).expect("a frame");
        Self {
            frame: frame.expect("blocks of this form"),
            blocks,
            order,
        }
    }

    fn boxes(&self) -> Boxes<'_> {
        Boxes::new(self.frame, &self.blocks, &self.order).expect("their sizes")
    }
}

/// Bins between the bounds of a ring, one half-way, and distances of rows and those beside them, of the rows that a filter
/// of the segment allows.
fn check_bins(segment: Segment<'_>, filter: &RowSet, query: &[f32], ring: &Ring, kernel: Kernel) {
    let value = |bound: Bound<&f64>| match bound {
        Bound::Included(&value) | Bound::Excluded(&value) => value,
        Bound::Unbounded => f64::INFINITY,
    };
    let (low, high) = (value(ring.start_bound()), value(ring.end_bound()));
    let mut edges = vec![low, low + (high - low) / 2.0, high];
    let some = (0..segment.rows().len() as u32).step_by(segment.rows().len() / EDGE_ROWS + 1);
    for row in some.filter_map(|id| segment.rows().row(id)) {
        let d = distance(row, query);
        edges.extend([d.next_down().max(0.0), d, d.next_up()]);
    }
    edges.retain(|edge| !edge.is_nan());
    edges.sort_by(f64::total_cmp);
    edges.dedup();
    let Ok(of) = Edges::new(&edges) else {
        return;
    };
    let found = histogram(segment, query, &of, kernel, &Trusted).expect("a legal histogram");
    let mut expected = vec![0; edges.len() + 1];
    let rows = segment.rows();
    let allowed = (0..rows.len() as u32).filter(|&id| filter.allows(id));
    for row in allowed.filter_map(|id| rows.row(id)) {
        let d = distance(row, query);
        let slot = edges.partition_point(|&edge| edge <= d);
        // The last bin holds its upper edge.
        expected[slot - usize::from(edges.last() == Some(&d))] += 1;
    }
    let mut counts = vec![found.below];
    counts.extend(found.counts);
    counts.push(found.above);
    assert_eq!(counts, expected, "{kernel}, {edges:?}, {}", found.explain);
}
