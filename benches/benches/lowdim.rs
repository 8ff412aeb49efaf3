//! Searches of rows of few dims by boxes and, with `--peers`, against the trees of other libraries, each in a process
//! of its own.
//!
//! `cargo xtask bench lowdim [--peers] [--data FOLDER] [--page] [-- --scale F --case WORD --ring WORD --peer NAME --runs N --threads N]`
//!
//! All queries of a case are asked together: one by one on the threads that share them, in one call that takes them all,
//! and of a peer in the call of its library that is meant for that. Every answer is held against the definition of
//! distance first; then this library and one peer answer in turn. With `--threads` on so many threads, else on one and
//! then on two. Boxes are made once, on all threads of the machine.

use std::path::Path;

use ringdb_benches::comparison::{Requests, alone, compare, table_by_query};
use ringdb_benches::contender::by_boxes;
use ringdb_benches::few_dims::{CITIES, FewDims};
use ringdb_benches::is_test_run;
use ringdb_benches::options::Options;
use ringdb_benches::oracle::{self, RingKind};
use ringdb_benches::peers::{Home, Result};

/// What is asked of which rows.
struct Case {
    name: &'static str,
    source: Source,
    /// Stored rows, spread evenly.
    queries: usize,
    rings: &'static [RingKind],
}

/// Where rows come from.
#[derive(Clone, Copy)]
enum Source {
    /// The places of the folder that a person names.
    Cities,
    /// Uniform in [0, 1), of so many dims.
    Uniform(usize),
}

/// Disks of about so many hits: their radius is the middle one of those that some of the queries need.
const DISKS: &[RingKind] = &[
    RingKind::Nearest(10),
    RingKind::Nearest(1_000),
    RingKind::Nearest(100_000),
];

const CASES: &[Case] = &[
    Case {
        name: "cities",
        source: Source::Cities,
        queries: 1_000,
        rings: &[
            RingKind::Kilometres(0.5, 1.0),
            RingKind::Kilometres(5.0, 10.0),
            RingKind::Kilometres(50.0, 100.0),
            RingKind::Kilometres(500.0, 1_000.0),
        ],
    },
    Case {
        name: "uniform-2",
        source: Source::Uniform(2),
        queries: 100,
        rings: DISKS,
    },
    Case {
        name: "uniform-3",
        source: Source::Uniform(3),
        queries: 100,
        rings: DISKS,
    },
];

/// Rows of a case that makes its own.
const ROWS: usize = 10_000_000;

const TEST_ROWS: usize = 5_000;

/// The trees of other libraries.
const PEERS: &[&str] = &["kiddo", "scipy", "sklearn-balltree"];

/// What a peer without rings or batches is asked about few hits.
const INSTEAD: RingKind = RingKind::Nearest(100);

/// Threads of both sides, one number after the other.
const THREADS: &[usize] = &[1, 2];

const RUNS: usize = 11;

fn main() -> Result<()> {
    if is_test_run() {
        return CASES.iter().try_for_each(test);
    }
    let options = Options::read("lowdim")?;
    let mut failed = 0;
    for case in CASES.iter().filter(|case| options.is_of_case(case.name)) {
        let n_rows = options.rows(ROWS);
        match (case.source, &options.folder) {
            (Source::Uniform(dims), _) => {
                failed += measure(case, &FewDims::uniform(n_rows, dims)?, &options)?;
            }
            (Source::Cities, Some(folder)) => {
                failed += measure(case, &FewDims::cities(folder, n_rows)?, &options)?;
            }
            (Source::Cities, None) => {
                println!(
                    "\n{} is passed over: --data names the folder of {CITIES}",
                    case.name
                );
            }
        }
    }
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} peers failed").into()),
    }
}

/// Few rows, one run, no peers: that it runs, and that the answers are right.
fn test(case: &Case) -> Result<()> {
    let few = match case.source {
        Source::Uniform(dims) => FewDims::uniform(TEST_ROWS, dims)?,
        Source::Cities => {
            let folder = tempfile::tempdir()?;
            std::fs::write(folder.path().join(CITIES), spiral())?;
            FewDims::cities(folder.path(), TEST_ROWS)?
        }
    };
    for requests in requests(case, &few) {
        assert!(requests.all.iter().any(|request| request.hits() > 0));
        for &threads in THREADS {
            let pool = pool(threads)?;
            let lines = alone(&by_boxes(few.segment(), &pool), &requests.all, 1);
            assert!(!table_by_query(&[lines]).is_empty());
        }
    }
    Ok(())
}

/// Places on a spiral, of which the inner ones have others at every distance up to 1000 km.
fn spiral() -> String {
    let mut table = "name,lat,lon\n".to_owned();
    for number in 0..900 {
        let (sine, cosine) = (2.4 * f64::from(number)).sin_cos();
        let radius = 0.003 * 1.01_f64.powi(number);
        table += &format!("{number},{},{}\n", radius * sine, radius * cosine);
    }
    table
}

fn pool(threads: usize) -> Result<rayon::ThreadPool> {
    Ok(rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()?)
}

/// One request for each ring, of all queries.
fn requests(case: &Case, few: &FewDims) -> Vec<Requests> {
    let kinds: Vec<RingKind> = case.rings.iter().copied().chain([INSTEAD]).collect();
    let queries = few.queries(case.queries);
    let mut all = oracle::requests(few.view(), &queries, true, &kinds);
    let instead = all.pop().unwrap_or_default();
    let rings = case.rings.iter().zip(all);
    rings
        .map(|(kind, all)| Requests {
            kind: *kind,
            all,
            instead: instead.clone(),
            is_long: false,
        })
        .collect()
}

/// Runs a case and prints it; returns how many peers failed.
fn measure(case: &Case, few: &FewDims, options: &Options) -> Result<usize> {
    let rows = few.view();
    let (n_rows, runs) = (rows.len(), options.runs.unwrap_or(RUNS));
    println!(
        "\n## {}: {n_rows} x {} rows, {}; {} queries at once, all of them stored rows\n",
        case.name,
        rows.dims(),
        few.origin,
        case.queries.min(n_rows)
    );
    println!(
        "- ringdb: boxes of {n_rows} rows made in {:.2} s, {} threads",
        few.seconds,
        rayon::current_num_threads()
    );
    let mut requests = requests(case, few);
    requests.retain(|requests| options.is_of_ring(requests.kind));
    let names = options.peers(PEERS, Some(PEERS));
    let mut failed = 0;
    for threads in options
        .threads
        .map_or(THREADS.to_vec(), |threads| vec![threads])
    {
        match threads {
            1 => println!("\n### On one thread\n"),
            _ => println!("\n### On {threads} threads\n"),
        }
        let pool = pool(threads)?;
        let home = Home::new(Path::new(env!("CARGO_TARGET_TMPDIR")), threads)?;
        let contenders = by_boxes(few.segment(), &pool);
        let (groups, failed_now) = compare(&contenders, &names, &home, rows, &requests, runs)?;
        failed += failed_now;
        for (groups, requests) in groups.iter().zip(&requests) {
            print!(
                "\n{}:\n\n{}",
                requests.kind.describe(),
                table_by_query(groups)
            );
        }
    }
    Ok(failed)
}
