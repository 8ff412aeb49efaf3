//! Searches with codes: as without, whatever the codes decide, and told as it happened.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use ringdb_index::{
    CodeFrame, Codes, Encoded, Error, Explain, Guard, Kernel, Prefix, PrefixFrame, Ring, Rows,
    Segment, Tier, Trusted, count, distance, encode, ring_ids, search,
};

use crate::data::{KINDS, Kind};
use crate::{SEED, kernels};

/// The codes of some rows.
pub(crate) struct Coded {
    frame: CodeFrame,
    codes: Vec<u8>,
    fine: Vec<u8>,
    prefix_frame: PrefixFrame,
    prefix: Vec<u8>,
}

impl Coded {
    pub(crate) fn new(data: &[f32], dims: usize) -> Self {
        let rows = Rows::new(data, dims).expect("whole rows");
        let frame = CodeFrame::of(rows);
        let prefix_frame = PrefixFrame::forced(rows, &frame);
        let (mut codes, mut fine, mut prefix) = (Vec::new(), Vec::new(), Vec::new());
        encode(rows, &frame, Some(&prefix_frame), |more: Encoded<'_>| {
            codes.extend_from_slice(more.codes);
            fine.extend_from_slice(more.fine);
            prefix.extend_from_slice(more.prefix);
            Ok::<(), Error>(())
        })
        .expect("codes");
        let read = CodeFrame::read(&codes, rows.len(), dims).expect("a frame");
        assert_eq!(read, Some(frame.clone()), "the head is the frame");
        let read = PrefixFrame::read(&prefix, rows.len(), dims).expect("a frame");
        assert_eq!(read, Some(prefix_frame.clone()), "the head is the frame");
        Self {
            frame,
            codes,
            fine,
            prefix_frame,
            prefix,
        }
    }

    /// With codes, and no prefixes.
    pub(crate) fn segment<'a>(&'a self, rows: Rows<'a>) -> Segment<'a> {
        let codes = Codes::new(&self.frame, &self.codes, &self.fine).expect("their sizes");
        Segment::with_codes(rows, codes).expect("codes of these rows")
    }

    pub(crate) fn with_prefix<'a>(&'a self, rows: Rows<'a>) -> Segment<'a> {
        let prefix = Prefix::new(&self.prefix_frame, &self.prefix).expect("their size");
        let segment = self.segment(rows).and_prefix(prefix);
        segment.expect("prefixes of these rows")
    }
}

/// The sums that the report of one search has to keep.
pub(crate) fn check_explain(explain: &Explain, rows: Rows<'_>, hits: usize) {
    check_tiers(explain, rows.dims());
    let of = |tier| explain.tier(tier);
    let (prefix, codes, scan) = (of(Tier::Prefix), of(Tier::Codes), of(Tier::Scan));
    let by_prefix = prefix.outside + prefix.inside;
    assert_eq!(
        by_prefix + codes.rows + scan.rows,
        rows.len() as u64,
        "{explain}"
    );
    assert!(codes.rows >= prefix.unsure, "{explain}");
    assert_eq!(explain.hits(), hits as u64, "{explain}");
    let tile = (rows.dims() as u64).div_ceil(4) * 64 + 128;
    // Codes of a chunk may be read for nothing.
    let seen = codes.bytes / tile * 16;
    let padded = codes.rows..codes.rows + 16 * explain.spans();
    let passes_rows_over = explain.switched() > 0 || prefix.rows > 0;
    assert!(
        padded.contains(&seen) || (seen > codes.rows && passes_rows_over),
        "{explain}"
    );
    assert!(explain.switched() <= explain.spans(), "{explain}");
    assert!(explain.left_prefix() <= explain.spans(), "{explain}");
    assert_eq!(
        scan.rows > 0 && codes.bytes > 0,
        explain.switched() > 0,
        "{explain}"
    );
}

/// The sums between tiers, which hold for many searches as for one.
pub(crate) fn check_tiers(explain: &Explain, dims: usize) {
    let of = |tier| explain.tier(tier);
    let (codes, fine, exact, scan) = (
        of(Tier::Codes),
        of(Tier::Fine),
        of(Tier::Rows),
        of(Tier::Scan),
    );
    assert_eq!(codes.unsure, fine.rows, "{explain}");
    assert_eq!(fine.unsure, exact.rows, "{explain}");
    assert_eq!((exact.unsure, scan.unsure), (0, 0), "{explain}");
    for tier in Tier::ALL {
        let report = of(tier);
        let decided = report.outside + report.inside;
        assert_eq!(report.rows, decided + report.unsure, "{explain}");
    }
    let dims = dims as u64;
    let stride = match dims {
        ..=16 => 16,
        17..=32 => 32,
        _ => dims.next_multiple_of(64),
    };
    assert_eq!(fine.bytes, fine.rows * stride, "{explain}");
    assert_eq!(exact.bytes, exact.rows * dims * 4, "{explain}");
    assert_eq!(scan.bytes, scan.rows * dims * 4, "{explain}");
    assert_eq!(codes.bytes % (dims.div_ceil(4) * 64 + 128), 0, "{explain}");
}

fn uniform(len: usize, seed: u64) -> Vec<f32> {
    let mut rng = SmallRng::seed_from_u64(SEED ^ seed);
    (0..len).map(|_| rng.random_range(-1.0_f32..1.0)).collect()
}

/// Spans and chunks of every length, in pools of several sizes, by ids and by count.
#[test]
fn spans_chunks_and_threads_change_nothing() {
    println!("seed {SEED:#x}");
    let mut left_prefix = 0;
    for (n, dims) in [
        (1, 16),
        (1, 100),
        (31, 64),
        (32, 64),
        (2_047, 16),
        (2_049, 16),
        (40_001, 16),
        (9_999, 64),
        (5_003, 300),
    ] {
        let data = uniform(n * dims, n as u64);
        let rows = Rows::new(&data, dims).expect("whole rows");
        let coded = Coded::new(&data, dims);
        let query = uniform(dims, 5);
        let middle = (dims as f64 * 2.0 / 3.0).sqrt();
        for ring in [
            Ring::between(middle, middle * 1.01),
            Ring::within(middle),
            Ring::within(middle / 2.0),
            Ring::within(f64::INFINITY),
        ] {
            let ring = ring.expect("legal bounds");
            for threads in [1, 2, 7] {
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .expect("a pool");
                for kernel in kernels() {
                    let expected = ring_ids(rows, &query, &ring, kernel).expect("a legal search");
                    for segment in [coded.segment(rows), coded.with_prefix(rows)] {
                        let (ids, explain) = pool
                            .install(|| search(segment, &query, &ring, kernel, &Trusted))
                            .expect("a legal search");
                        assert!(
                            ids == expected,
                            "{kernel}, {threads} threads, {n} rows of {dims}, {ring}"
                        );
                        check_explain(&explain, rows, expected.len());
                        left_prefix += explain.left_prefix();
                        let (hits, counted) = pool
                            .install(|| count(segment, &query, &ring, kernel, &Trusted))
                            .expect("a legal search");
                        assert_eq!((hits, counted), (expected.len() as u64, explain));
                    }
                }
            }
        }
    }
    assert!(left_prefix > 0, "no search left the prefix");
}

/// Rows at the very bounds of rings have to be looked at themselves: there the search turns to them.
#[test]
fn a_search_that_codes_cannot_help_turns_to_the_rows() {
    let (n, dims) = (40_000, 16);
    let data: Vec<f32> = uniform(dims, 1).repeat(n);
    let rows = Rows::new(&data, dims).expect("whole rows");
    let coded = Coded::new(&data, dims);
    let query = uniform(dims, 2);
    let d = distance(&data[..dims], &query);
    let ring = Ring::between(d, d).expect("legal bounds");
    let (ids, explain) = search(
        coded.segment(rows),
        &query,
        &ring,
        Kernel::fastest(),
        &Trusted,
    )
    .expect("a legal search");
    assert_eq!(ids.len(), n);
    check_explain(&explain, rows, n);
    assert!(
        explain.switched() > 0 && explain.tier(Tier::Scan).rows > n as u64 / 2,
        "{explain}"
    );
    assert!(explain.to_string().contains("scan"), "{explain}");
}

/// A single far row must not make the others unsure.
#[test]
fn an_outlier_does_not_make_other_rows_unsure() {
    println!("seed {SEED:#x}");
    let (n, dims) = (20_000, 32);
    let mut data = uniform(n * dims, 3);
    let query = uniform(dims, 4);
    let ring = Ring::between(4.5, 4.6).expect("legal bounds");
    let unsure = |data: &[f32]| {
        let rows = Rows::new(data, dims).expect("whole rows");
        let coded = Coded::new(data, dims);
        let (_, explain) = search(
            coded.segment(rows),
            &query,
            &ring,
            Kernel::fastest(),
            &Trusted,
        )
        .expect("a legal search");
        explain.tier(Tier::Codes).unsure
    };
    let before = unsure(&data);
    data[7 * dims..8 * dims].fill(1e6);
    let after = unsure(&data);
    assert!(
        before > 0 && after <= before + before / 20 + 16,
        "{before} then {after}"
    );
}

#[derive(Debug, PartialEq)]
enum Refused {
    Rows,
    Codes,
    Fine,
    Prefix,
    Index(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Index(error)
    }
}

/// Lets one kind of bytes not pass.
struct Refusing(Refused);

impl Refusing {
    fn unless(&self, what: &Refused) -> Result<(), Refused> {
        match (&self.0, what) {
            (Refused::Rows, Refused::Rows) => Err(Refused::Rows),
            (Refused::Codes, Refused::Codes) => Err(Refused::Codes),
            (Refused::Fine, Refused::Fine) => Err(Refused::Fine),
            (Refused::Prefix, Refused::Prefix) => Err(Refused::Prefix),
            _ => Ok(()),
        }
    }
}

impl Guard for Refusing {
    type Error = Refused;

    fn rows(&self, rows: std::ops::Range<usize>) -> Result<(), Refused> {
        assert!(!rows.is_empty() && rows.end <= 5_000);
        self.unless(&Refused::Rows)
    }

    fn codes(&self, bytes: std::ops::Range<usize>) -> Result<(), Refused> {
        assert!(
            !bytes.is_empty() && bytes.start.is_multiple_of(64) && bytes.end.is_multiple_of(64)
        );
        self.unless(&Refused::Codes)
    }

    fn fine(&self, bytes: std::ops::Range<usize>) -> Result<(), Refused> {
        assert!(
            !bytes.is_empty() && bytes.start.is_multiple_of(64) && bytes.end.is_multiple_of(64)
        );
        self.unless(&Refused::Fine)
    }

    fn prefix(&self, bytes: std::ops::Range<usize>) -> Result<(), Refused> {
        assert!(
            !bytes.is_empty() && bytes.start.is_multiple_of(64) && bytes.end.is_multiple_of(64)
        );
        self.unless(&Refused::Prefix)
    }

    fn blocks(&self, _: std::ops::Range<usize>) -> Result<(), Refused> {
        unreachable!("there are no boxes")
    }

    fn order(&self, _: std::ops::Range<usize>) -> Result<(), Refused> {
        unreachable!("there are no boxes")
    }
}

#[test]
fn nothing_is_read_that_the_guard_does_not_let_pass() {
    let (n, dims) = (5_000, 64);
    let data = uniform(n * dims, 6);
    let rows = Rows::new(&data, dims).expect("whole rows");
    let coded = Coded::new(&data, dims);
    let query = &data[..dims];
    let d = distance(query, &data[dims..2 * dims]);
    let ring = Ring::between(d, d).expect("legal bounds");
    let run = |guard| {
        search(
            coded.with_prefix(rows),
            query,
            &ring,
            Kernel::fastest(),
            &Refusing(guard),
        )
    };
    assert_eq!(run(Refused::Prefix).err(), Some(Refused::Prefix));
    assert_eq!(run(Refused::Codes).err(), Some(Refused::Codes));
    assert_eq!(run(Refused::Fine).err(), Some(Refused::Fine));
    assert_eq!(run(Refused::Rows).err(), Some(Refused::Rows));
    let nothing = Refused::Index(Error::FloatEnvironment);
    let (ids, _) = run(nothing).expect("nothing in the way");
    assert_eq!(ids, [1]);
    let segment = Segment::new(rows);
    let scanned = search(
        segment,
        query,
        &ring,
        Kernel::fastest(),
        &Refusing(Refused::Rows),
    );
    assert_eq!(scanned.err(), Some(Refused::Rows));
}

#[test]
fn codes_that_do_not_fit_are_refused_and_named() {
    let data = uniform(40 * 16, 8);
    let rows = Rows::new(&data, 16).expect("whole rows");
    let coded = Coded::new(&data, 16);
    let Coded {
        frame, codes, fine, ..
    } = &coded;
    let text = |error: Error| error.to_string();
    let short = Codes::new(frame, &codes[1..], fine).expect_err("too short");
    let expected = format!(
        "bytes of codes: {}, not those of these rows",
        codes.len() - 1
    );
    assert_eq!(text(short), expected);
    let short = Codes::new(frame, codes, &fine[1..]).expect_err("too short");
    assert!(text(short).starts_with("bytes of fine codes: 639"));
    let whole = Codes::new(frame, codes, fine).expect("their sizes");
    let fewer = Rows::new(&data[16..], 16).expect("whole rows");
    assert!(
        text(Segment::with_codes(fewer, whole).expect_err("more codes"))
            .contains("rows of codes: 40")
    );
    let wider = Rows::new(&data, 32).expect("whole rows");
    assert!(
        text(Segment::with_codes(wider, whole).expect_err("other dims"))
            .contains("dims of codes: 16")
    );
    assert!(
        Segment::with_codes(rows, whole)
            .expect("codes of these rows")
            .has_codes()
    );
    let nothing = |_: Encoded<'_>| Ok::<(), Error>(());
    let other = encode(fewer, frame, None, nothing);
    assert!(text(other.expect_err("another frame")).contains("rows of the frame"));
    let own = CodeFrame::of(fewer);
    let other = encode(fewer, &own, Some(&coded.prefix_frame), nothing);
    assert!(text(other.expect_err("another frame")).contains("rows of the frame"));
    let short = Prefix::new(&coded.prefix_frame, &coded.prefix[1..]);
    assert!(text(short.expect_err("too short")).starts_with("bytes of prefixes: 831"));
    let prefix = Prefix::new(&coded.prefix_frame, &coded.prefix).expect("their size");
    for (rows, expected) in [
        (fewer, "rows of prefixes: 40"),
        (wider, "dims of prefixes: 16"),
    ] {
        let refused = Segment::new(rows).and_prefix(prefix);
        assert!(text(refused.expect_err("other rows")).contains(expected));
    }
    let of_no_use = Segment::new(rows).and_prefix(prefix);
    assert!(!of_no_use.expect("prefixes of these rows").has_prefix());
    let read = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut codes = codes.clone();
        change(&mut codes);
        CodeFrame::read(&codes, 40, 16)
            .expect_err("a changed head")
            .to_string()
    };
    assert!(read(&|head| head.truncate(100)).contains("bytes of codes: 100"));
    let mut later = codes.clone();
    later[0] = 2;
    assert_eq!(CodeFrame::read(&later, 40, 16), Ok(None));
    assert!(read(&|head| head[4] = 15).contains("dims of codes: 15"));
    assert!(read(&|head| head[8] = 41).contains("rows of codes: 41"));
    assert!(read(&|head| head[17] = 1).contains("exponent of codes"));
    assert!(read(&|head| head[23] = 0xff).contains("typical norm of codes"));
    let wide = CodeFrame::read(codes, 40, 70_000);
    assert!(text(wide.expect_err("too many dims")).contains("dims of codes: 70000"));
    let nan = read(&|head| head[68..72].copy_from_slice(&f32::NAN.to_le_bytes()));
    assert!(nan.contains("centre of codes not finite at: 1"), "{nan}");
}

/// Damaged codes may find other rows, which is why storage checks them; they may do nothing worse.
#[test]
fn arbitrary_codes_break_nothing() {
    println!("seed {SEED:#x}");
    let mut rng = SmallRng::seed_from_u64(SEED);
    for dims in [1, 5, 16, 33, 64, 100] {
        let data = Kind::Uniform.rows(100, dims, &mut rng);
        let rows = Rows::new(&data, dims).expect("whole rows");
        for _ in 0..50 {
            let mut coded = Coded::new(&data, dims);
            let head = coded.codes.len() - 7 * ((dims.div_ceil(4) + 2) * 64);
            rng.fill(&mut coded.codes[head..]);
            rng.fill(&mut coded.fine[..]);
            let head = coded.prefix_frame.head_bytes();
            rng.fill(&mut coded.prefix[head..]);
            for kernel in kernels() {
                let ring = Ring::between(0.5, 2.0).expect("legal bounds");
                for segment in [coded.segment(rows), coded.with_prefix(rows)] {
                    let (ids, _) = search(segment, &data[..dims], &ring, kernel, &Trusted)
                        .expect("a legal search");
                    assert!(ids.is_sorted() && ids.last().is_none_or(|&id| id < 100));
                }
            }
        }
    }
}

#[test]
fn every_kind_has_the_same_codes_whatever_the_threads() {
    let mut rng = SmallRng::seed_from_u64(SEED);
    for kind in KINDS {
        let data = kind.rows(3_000, 20, &mut rng);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("a pool");
            pool.install(|| Coded::new(&data, 20))
        };
        let (one, many) = (with(1), with(7));
        assert!(one.codes == many.codes && one.fine == many.fine, "{kind:?}");
        assert!(one.prefix == many.prefix, "{kind:?}");
    }
}
