//! Ways to search rows for rings: those of this library against each other and, with `--peers`, against other
//! libraries, each in a process of its own.
//!
//! `cargo xtask bench index [--peers] [--data FOLDER] [--page] [-- --scale F --case WORD --ring WORD --peer NAME --runs N --threads N]`
//!
//! A case makes its rows once. Every query and ring is answered by the definition of distance first; then this
//! library and one peer answer in turn, once unmeasured, when answers are compared, and then so many runs. A peer
//! that takes minutes answers once.

use std::path::Path;

use ringdb_benches::comparison::{Requests, alone, compare, table};
use ringdb_benches::contender::{Contender, contenders, joins};
use ringdb_benches::data::{Data, DataSet};
use ringdb_benches::options::Options;
use ringdb_benches::oracle::{self, RingKind};
use ringdb_benches::peers::{Home, Result};
use ringdb_benches::{SEED, is_test_run};

/// What is asked of which rows.
struct Case {
    name: &'static str,
    set: DataSet,
    rows: usize,
    dims: usize,
    queries: Queries,
    rings: &'static [RingKind],
    /// Which peers can be expected to answer in a reasonable time; `--peer` names others.
    peers: &'static [&'static str],
    /// The peers beside which docs/BENCHMARKS.md shows it, if it does.
    page: Option<&'static [&'static str]>,
}

/// How many queries, half of them stored rows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Queries {
    /// One by one, each with its ring.
    Single(usize),
    /// All at once, with one ring.
    Batch(usize),
    /// All rows.
    Join,
}

const NEAR: RingKind = RingKind::Nearest(100);
const MEDIAN: RingKind = RingKind::Median(0.0005);

/// Rings that hold much.
const WIDE: &[RingKind] = &[
    RingKind::Median(0.5),
    RingKind::Quantile(0.5),
    RingKind::Quantile(1.0),
];

const FAISS: &[&str] = &["faiss", "faiss-tuned"];

const CASES: &[Case] = &[
    Case {
        name: "uniform-64",
        set: DataSet::Uniform,
        rows: 10_000_000,
        dims: 64,
        queries: Queries::Single(20),
        rings: &[MEDIAN, NEAR, RingKind::Quantile(0.0005)],
        peers: &[
            "ring-db-0.11.0",
            "ring-db-0.3.0",
            "faiss",
            "numpy",
            "usearch",
        ],
        page: Some(&["ring-db-0.11.0"]),
    },
    Case {
        name: "words-384",
        set: DataSet::Words,
        rows: 1_000_000,
        dims: 384,
        queries: Queries::Single(20),
        rings: &[
            RingKind::Median(0.005),
            RingKind::Within(0.9),
            RingKind::Within(0.7),
            RingKind::Within(0.5),
        ],
        peers: &[
            "ring-db-0.11.0",
            "ring-db-0.3.0",
            "faiss",
            "numpy",
            "sklearn-brute",
        ],
        page: Some(&[]),
    },
    Case {
        name: "batch-64",
        set: DataSet::Uniform,
        rows: 4_000_000,
        dims: 64,
        queries: Queries::Batch(256),
        rings: &[NEAR, MEDIAN],
        peers: &["faiss", "faiss-tuned", "numpy"],
        page: Some(FAISS),
    },
    Case {
        name: "batch-768",
        set: DataSet::Uniform,
        rows: 300_000,
        dims: 768,
        queries: Queries::Batch(256),
        rings: &[NEAR, MEDIAN],
        peers: &["faiss", "faiss-tuned", "numpy"],
        page: Some(FAISS),
    },
    Case {
        name: "join-384",
        set: DataSet::Vectors,
        // As many as there are.
        rows: 117_659,
        dims: 384,
        queries: Queries::Join,
        rings: &[RingKind::Within(0.5)],
        peers: FAISS,
        page: Some(FAISS),
    },
    // Where codes cannot help: the search has to see that soon.
    Case {
        name: "wide-16",
        set: DataSet::Uniform,
        rows: 4_000_000,
        dims: 16,
        queries: Queries::Single(20),
        rings: WIDE,
        peers: &[],
        page: Some(&[]),
    },
    Case {
        name: "wide-64",
        set: DataSet::Uniform,
        rows: 4_000_000,
        dims: 64,
        queries: Queries::Single(20),
        rings: WIDE,
        peers: &[],
        page: Some(&[]),
    },
    Case {
        name: "equal-64",
        set: DataSet::Equal,
        rows: 4_000_000,
        dims: 64,
        queries: Queries::Single(20),
        rings: &[NEAR],
        peers: &[],
        page: Some(&[]),
    },
    Case {
        name: "small-64",
        set: DataSet::Uniform,
        rows: 10_000,
        dims: 64,
        queries: Queries::Single(20),
        rings: &[RingKind::Median(0.05), RingKind::Quantile(1.0)],
        peers: &[],
        page: Some(&[]),
    },
    Case {
        name: "one-dim",
        set: DataSet::Uniform,
        rows: 10_000_000,
        dims: 1,
        queries: Queries::Single(20),
        rings: &[NEAR, RingKind::Median(0.05)],
        peers: &[],
        page: Some(&[]),
    },
    // Where trees are at home.
    Case {
        name: "uniform-3",
        set: DataSet::Uniform,
        rows: 1_000_000,
        dims: 3,
        queries: Queries::Single(20),
        rings: &[NEAR, MEDIAN],
        peers: &["kiddo", "scipy", "sklearn-ball", "sklearn-kd"],
        page: None,
    },
];

/// Coordinates of a case in a test run, but for a join.
const TEST_FLOATS: usize = 20_000;

/// Threads of both sides unless the command line says otherwise.
const THREADS: usize = 2;

fn main() -> Result<()> {
    if is_test_run() {
        return CASES.iter().try_for_each(test);
    }
    let options = Options::read("index")?;
    let threads = options.threads.unwrap_or(THREADS);
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()?;
    let home = Home::new(Path::new(env!("CARGO_TARGET_TMPDIR")), threads)?;
    let is_meant =
        |case: &&Case| options.is_of_case(case.name) && (case.page.is_some() || !options.for_page);
    let mut failed = 0;
    for case in CASES.iter().filter(is_meant) {
        failed += measure(case, &options, &home)?;
    }
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} peers failed").into()),
    }
}

/// Few rows, one run, no peers: that it runs, and that the answers are right.
fn test(case: &Case) -> Result<()> {
    let n_rows = match case.queries {
        // Few rows have no pairs.
        Queries::Join => case.rows,
        _ => TEST_FLOATS / case.dims,
    };
    let data = Data::new(case.set, n_rows, case.dims, None)?;
    for requests in requests(case, &data, 4) {
        assert!(requests.all.iter().any(|request| request.hits() > 0));
        let lines = alone(&ways(case, &data), &requests.all, 1);
        assert!(!table(&[lines]).is_empty());
    }
    Ok(())
}

/// Every way of this library to answer.
fn ways<'a>(case: &Case, data: &'a Data) -> Vec<Contender<'a>> {
    match case.queries {
        Queries::Join => joins(data),
        _ => contenders(data),
    }
}

/// The requests of each ring, of at most so many queries.
fn requests(case: &Case, data: &Data, queries_max: usize) -> Vec<Requests> {
    let (count, together) = match case.queries {
        Queries::Single(count) => (count, false),
        Queries::Batch(count) => (count, true),
        Queries::Join => return case.rings.iter().map(|kind| join(*kind, data)).collect(),
    };
    let queries = data.queries(case.set, count.min(queries_max));
    // The last kind is what peers without rings are asked.
    let kinds: Vec<RingKind> = case.rings.iter().copied().chain([NEAR]).collect();
    let mut all = oracle::requests(data.view(), &queries, together, &kinds);
    let instead = all.pop().unwrap_or_default();
    let rings = case.rings.iter().zip(all);
    rings
        .map(|(kind, all)| Requests {
            kind: *kind,
            all,
            instead: instead.clone(),
            // A library without a lower bound finds half of all rows first.
            is_long: together && matches!(kind, RingKind::Median(_)),
        })
        .collect()
}

/// The request for all pairs of rows in a disk.
fn join(kind: RingKind, data: &Data) -> Requests {
    let RingKind::Within(d_max) = kind else {
        unreachable!("a ring that follows from the distances of one query");
    };
    Requests {
        kind,
        all: vec![oracle::join_request(data.view(), d_max)],
        instead: Vec::new(),
        is_long: true,
    }
}

/// Runs a case and prints it; returns how many peers failed.
fn measure(case: &Case, options: &Options, home: &Home) -> Result<usize> {
    let data = Data::new(
        case.set,
        options.rows(case.rows),
        case.dims,
        options.folder.as_deref(),
    )?;
    // There may be fewer.
    let n_rows = data.view().len();
    let (asked, runs) = match case.queries {
        Queries::Single(count) => (format!("{count} queries one by one"), 3),
        Queries::Batch(count) => (format!("{count} queries at once"), 5),
        Queries::Join => ("every pair of rows".to_owned(), 3),
    };
    let runs = options.runs.unwrap_or(runs);
    println!(
        "\n## {}: {n_rows} x {} rows, {}, seed {SEED}; {asked}, {} threads\n",
        case.name,
        case.dims,
        data.origin,
        rayon::current_num_threads()
    );
    let mut requests = requests(case, &data, usize::MAX);
    requests.retain(|requests| options.is_of_ring(requests.kind));
    let contenders = ways(case, &data);
    let names = options.peers(case.peers, case.page);
    let (groups, failed) = compare(&contenders, &names, home, data.view(), &requests, runs)?;
    for (groups, requests) in groups.iter().zip(&requests) {
        print!("\n{}:\n\n{}", requests.kind.describe(), table(groups));
    }
    Ok(failed)
}
