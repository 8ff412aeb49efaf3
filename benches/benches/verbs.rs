//! What can be asked of a ring, beside the search for its ids; and the nearest rows, with `--peers` beside those of
//! ring-db 0.11.0, in a process of its own.
//!
//! `cargo xtask bench verbs [--peers] [--data FOLDER] [--page] [-- --scale F --case WORD --runs N --threads N]`
//!
//! A case makes its rows once and builds a database in memory as every user does. Every answer is held against the
//! definition of distance first, or, of ranks, against counts that were; then all verbs are asked in turn, query by query. A
//! time is that of a query: the sum over the queries of a run, divided by their number.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use ringdb::{BuildOptions, Explain, Histogram, RingDb, RowSet, SealedRingDb, Search, Tier};
use ringdb_benches::data::{Data, DataSet};
use ringdb_benches::few_dims::FewDims;
use ringdb_benches::options::Options;
use ringdb_benches::oracle::{self, Request, RingKind};
use ringdb_benches::peers::{Home, Peer, Question, Result};
use ringdb_benches::{SEED, Times, is_test_run, median_ratio};
use ringdb_index::{Rows, distance};

/// Which rows are asked.
struct Case {
    name: &'static str,
    /// `None` for rows of few dims.
    set: Option<DataSet>,
    rows: usize,
    dims: usize,
}

const CASES: &[Case] = &[
    Case {
        name: "uniform-64",
        set: Some(DataSet::Uniform),
        rows: 10_000_000,
        dims: 64,
    },
    Case {
        name: "words-384",
        set: Some(DataSet::Words),
        rows: 1_000_000,
        dims: 384,
    },
    Case {
        name: "uniform-2",
        set: None,
        rows: 10_000_000,
        dims: 2,
    },
];

/// Rings whose verbs are compared with their search.
const RINGS: &[RingKind] = &[RingKind::Median(0.005), RingKind::Quantile(0.999)];

/// Bins of the histograms.
const BINS: [usize; 2] = [10, 100];

/// So many nearest rows.
const K: usize = 10;

const PEER: &str = "ring-db-0.11.0";

/// What both sides wait before each call when a peer is there, so that threads of the other one have gone to sleep.
const PAUSE: Duration = Duration::from_millis(30);

const QUERIES: usize = 20;

/// Rows that are added to the database together.
const ROWS_AT_ONCE: usize = 1 << 16;

const TEST_FLOATS: usize = 100_000;

/// Threads of both sides unless the command line says otherwise.
const THREADS: usize = 2;

const RUNS: usize = 5;

/// A query with its ring and the right answer.
struct Asked {
    request: Request,
    /// The distances of the hits, in the order of their ids.
    distances: Vec<f64>,
    /// Of each number of bins, from the nearest hit to the farthest one.
    edges: [Vec<f64>; BINS.len()],
}

impl Asked {
    fn new(request: Request, rows: Rows<'_>) -> Self {
        let query = &request.queries[0];
        let of = |&id: &u32| distance(rows.row(id).expect("an id of a row"), query);
        let distances: Vec<f64> = request.expected[0].iter().map(of).collect();
        let edges = BINS.map(|bins| edges(&distances, bins));
        Self {
            request,
            distances,
            edges,
        }
    }

    fn query(&self) -> &[f32] {
        &self.request.queries[0]
    }

    fn ids(&self) -> &[u32] {
        &self.request.expected[0]
    }

    fn search<'a>(&'a self, db: &'a SealedRingDb) -> Search<'a> {
        let ring = self.request.bounds.ring();
        db.search(self.query()).in_ring(ring)
    }

    /// What a histogram of these bins says.
    fn histogram(&self, db: &SealedRingDb, bins: usize) -> Histogram {
        let found = db.search(self.query()).histogram(&self.edges[bins]);
        found.expect("edges")
    }
}

/// Edges of so many bins from the smallest distance to the largest.
fn edges(distances: &[f64], bins: usize) -> Vec<f64> {
    let first = distances.iter().copied().fold(f64::INFINITY, f64::min);
    let last = distances.iter().copied().fold(0.0, f64::max);
    // Of few rows there may be one hit.
    let last = last.max(first * (1.0 + 1e-9));
    let share = |i: usize| i as f64 / bins as f64;
    let edges = (0..bins).map(|i| first + (last - first) * share(i));
    edges.chain([last]).collect()
}

/// One thing that is asked.
struct Verb<'a> {
    name: String,
    ask: Box<dyn Fn(&Asked) + 'a>,
}

impl<'a> Verb<'a> {
    fn new(name: impl Into<String>, ask: impl Fn(&Asked) + 'a) -> Self {
        Self {
            name: name.into(),
            ask: Box::new(ask),
        }
    }
}

/// Only some rows, spread over all of them and side by side.
struct Filters {
    scattered: RowSet,
    run: RowSet,
}

fn main() -> Result<()> {
    if is_test_run() {
        let test = |case: &Case| measure(case, TEST_FLOATS / case.dims, None, 1, &[], None);
        return CASES.iter().try_for_each(test);
    }
    let options = Options::read("verbs")?;
    let threads = options.threads.unwrap_or(THREADS);
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()?;
    let home = Home::new(Path::new(env!("CARGO_TARGET_TMPDIR")), threads)?;
    let names = options.peers(&[PEER], Some(&[PEER]));
    let runs = options.runs.unwrap_or(RUNS);
    for case in CASES.iter().filter(|case| options.is_of_case(case.name)) {
        let (n_rows, folder) = (options.rows(case.rows), options.folder.as_deref());
        measure(case, n_rows, folder, runs, &names, Some(&home))?;
    }
    Ok(())
}

/// Runs a case and prints it.
fn measure(
    case: &Case,
    n_rows: usize,
    folder: Option<&Path>,
    runs: usize,
    peers: &[&str],
    home: Option<&Home>,
) -> Result<()> {
    let (origin, asked, db) = match case.set {
        Some(set) => {
            let data = Data::new(set, n_rows, case.dims, folder)?;
            let queries = data.queries(set, QUERIES);
            let (asked, db) = prepare(data.view(), &queries)?;
            (format!("{}, seed {SEED}", data.origin), asked, db)
        }
        None => {
            let few = FewDims::uniform(n_rows, case.dims)?;
            let (asked, db) = prepare(few.view(), &few.queries(QUERIES))?;
            (few.origin, asked, db)
        }
    };
    println!(
        "\n## {}: {} x {} rows, {origin}; {QUERIES} queries one by one, {} threads; {}\n",
        case.name,
        db.len(),
        db.dims(),
        rayon::current_num_threads(),
        match (db.has_boxes(), db.has_prefix(), db.has_codes()) {
            (true, ..) => "with boxes",
            (_, true, _) => "with codes and a prefix",
            (_, _, true) => "with codes",
            _ => "without codes",
        }
    );
    let filters = filters(db.len());
    let mut asked = asked.into_iter();
    for (kind, asked) in RINGS.iter().zip(&mut asked) {
        check(&db, &asked, &filters);
        let verbs = of_ring(&db, &filters);
        let names: Vec<&str> = verbs.iter().map(|verb| verb.name.as_str()).collect();
        let times = times(&verbs, &asked, runs, None)?;
        println!("{}:\n\n{}", kind.describe(), table(&names, &times));
        println!("{}", reads(&db, &asked, &filters));
    }
    let asked = asked.next().unwrap_or_default();
    check_rank(&db, &asked);
    let verbs = of_rank(&db);
    let mut names: Vec<String> = verbs.iter().map(|verb| verb.name.clone()).collect();
    let mut peer = match (home, peers) {
        (Some(home), [name, ..]) => Some(Beside::start(name, home, &db)?),
        _ => None,
    };
    let times = times(&verbs, &asked, runs, peer.as_mut())?;
    if let Some(beside) = &peer {
        println!("- {}\n", beside.peer.describe());
        names.push(format!(
            "{} {}, Knn",
            beside.peer.name(),
            beside.peer.version()
        ));
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    println!("ranks of all rows:\n\n{}", table(&names, &times));
    Ok(())
}

/// What is asked about each kind of ring, and about the nearest rows; and the database.
fn prepare(rows: Rows<'_>, queries: &[Vec<f32>]) -> Result<(Vec<Vec<Asked>>, SealedRingDb)> {
    let nearest = RingKind::Nearest(K);
    let kinds: Vec<RingKind> = RINGS.iter().copied().chain([nearest]).collect();
    let of_kind = |requests: Vec<Request>| {
        let requests = requests.into_iter();
        requests.map(|request| Asked::new(request, rows)).collect()
    };
    let requests = oracle::requests(rows, queries, false, &kinds);
    let asked = requests.into_iter().map(of_kind).collect();
    let mut db: RingDb = BuildOptions::new(rows.dims()).create()?;
    for first in (0..rows.len()).step_by(ROWS_AT_ONCE) {
        let ids = first as u32..rows.len().min(first + ROWS_AT_ONCE) as u32;
        let some: Vec<&[f32]> = ids.filter_map(|id| rows.row(id)).collect();
        db.add_vectors(&some.concat(), vec![(); some.len()])?;
    }
    Ok((asked, db.build()?))
}

/// What is asked with filters.
const SCATTERED: &str = "ids among 1 % of the rows, scattered";
const RUN: &str = "ids among 1 % of the rows, a run";

/// One row of a hundred.
fn filters(n_rows: usize) -> Filters {
    let n_rows = n_rows as u32;
    let mut rng = SmallRng::seed_from_u64(SEED);
    Filters {
        scattered: RowSet::allow((0..n_rows).filter(|_| rng.random_bool(0.01))),
        run: RowSet::allow(n_rows / 3..n_rows / 3 + (n_rows / 100).max(1)),
    }
}

/// The verbs of a ring; the tables give the time of all others relative to the first.
fn of_ring<'a>(db: &'a SealedRingDb, filters: &'a Filters) -> Vec<Verb<'a>> {
    let histogram = move |bins: usize| {
        let name = format!("histogram, {} bins", BINS[bins]);
        Verb::new(name, move |asked: &Asked| {
            black_box(asked.histogram(db, bins));
        })
    };
    let filtered = move |name: &str, filter: &'a RowSet| {
        Verb::new(name, move |asked: &Asked| {
            black_box(asked.search(db).filter(filter).run().expect("a ring"));
        })
    };
    vec![
        Verb::new("ids", move |asked| {
            black_box(asked.search(db).run().expect("a ring"));
        }),
        Verb::new("count", move |asked| {
            black_box(asked.search(db).count().expect("a ring"));
        }),
        histogram(0),
        histogram(1),
        Verb::new("for_each", move |asked| {
            let each = |hit| {
                black_box(hit);
                ControlFlow::Continue(())
            };
            asked.search(db).for_each(each).expect("a ring");
        }),
        Verb::new("sample(100)", move |asked| {
            black_box(asked.search(db).sample(100, SEED).expect("a ring"));
        }),
        filtered(SCATTERED, &filters.scattered),
        filtered(RUN, &filters.run),
    ]
}

/// The verbs of ranks.
fn of_rank(db: &SealedRingDb) -> Vec<Verb<'_>> {
    vec![
        Verb::new(format!("knn({K})"), move |asked| {
            black_box(db.knn(asked.query(), K).expect("a query"));
        }),
        Verb::new(format!("radius_for_count({K})"), move |asked| {
            black_box(db.radius_for_count(asked.query(), K as u64)).expect("a query");
        }),
        Verb::new("quantile(0.5)", move |asked| {
            black_box(db.quantile(asked.query(), 0.5).expect("a query"));
        }),
    ]
}

/// Asserts that the verbs of a ring say what the definition of distance does.
fn check(db: &SealedRingDb, asked: &[Asked], filters: &Filters) {
    for asked in asked {
        let search = || asked.search(db);
        assert!(search().run().expect("a ring").ids == asked.ids(), "ids");
        let hits = asked.ids().len() as u64;
        assert_eq!(search().count().expect("a ring"), hits);
        for bins in 0..BINS.len() {
            let (edges, found) = (&asked.edges[bins], asked.histogram(db, bins));
            let mut counts = vec![0; BINS[bins]];
            for &d in &asked.distances {
                let bin = edges.partition_point(|&edge| edge <= d) - 1;
                counts[bin.min(BINS[bins] - 1)] += 1;
            }
            assert_eq!(found.counts, counts, "{} bins", BINS[bins]);
            let all = found.below + found.above + hits;
            assert_eq!(all, db.len() as u64, "below, in bins and above");
        }
        let mut ids = Vec::new();
        let each = |hit: ringdb::Hit| {
            ids.push(hit.id);
            ControlFlow::Continue(())
        };
        search().for_each(each).expect("a ring");
        assert!(ids == asked.ids(), "for_each");
        let sample = search().sample(100, SEED).expect("a ring");
        assert_eq!(sample.total, hits);
        assert_eq!(sample.ids.len() as u64, hits.min(100));
        assert!(sample.ids.is_sorted_by(|a, b| a < b));
        assert!(
            sample
                .ids
                .iter()
                .all(|id| asked.ids().binary_search(id).is_ok())
        );
        for filter in [&filters.scattered, &filters.run] {
            let allowed = asked.ids().iter().copied().filter(|&id| filter.allows(id));
            let found = search().filter(filter).run().expect("a ring").ids;
            assert!(found.into_iter().eq(allowed), "{filter:?}");
        }
    }
}

/// Asserts the same of ranks.
fn check_rank(db: &SealedRingDb, asked: &[Asked]) {
    let half = db.len().div_ceil(2) as u64;
    for asked in asked {
        let mut hits: Vec<(f64, u32)> = asked
            .distances
            .iter()
            .copied()
            .zip(asked.ids().to_vec())
            .collect();
        hits.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let ids: Vec<u32> = hits.iter().map(|hit| hit.1).take(K).collect();
        assert_eq!(db.knn(asked.query(), K).expect("a query").ids, ids);
        let radius = db.radius_for_count(asked.query(), K as u64);
        assert_eq!(radius.expect("a query"), hits[K.min(hits.len()) - 1].0);
        let median = db.quantile(asked.query(), 0.5).expect("a query");
        let search = || db.search(asked.query());
        assert!(search().within(median).count().expect("a ring") >= half);
        assert!(search().range(..median).count().expect("a ring") < half);
    }
}

/// Another library that finds the nearest rows.
struct Beside {
    peer: Peer,
    /// Where it reads and writes, as long as it runs.
    _files: tempfile::TempDir,
}

impl Beside {
    fn start(name: &str, home: &Home, db: &SealedRingDb) -> Result<Self> {
        let files = tempfile::tempdir_in(home.folder())?;
        let path = files.path().join("rows");
        let mut file = BufWriter::new(File::create(&path)?);
        for id in 0..db.len() as u32 {
            for x in db.vector(id)?.iter() {
                file.write_all(&x.to_le_bytes())?;
            }
        }
        file.flush()?;
        let mut peer = Peer::start(name, home, files.path())?;
        peer.load(&path, db.len(), db.dims())?;
        Ok(Self {
            peer,
            _files: files,
        })
    }

    /// How many of the nearest rows it does not find.
    fn missed(&mut self, asked: &[Asked]) -> Result<usize> {
        let mut missed = 0;
        for asked in asked {
            let (_, found) = self.peer.answer(&asked.request, Question::Nearest(K))?;
            missed += asked
                .ids()
                .iter()
                .filter(|id| !found[0].contains(id))
                .count();
        }
        Ok(missed)
    }
}

/// The times of every verb in turn, and of the peer behind them, once unmeasured and then so many runs: seconds of a
/// query.
fn times(
    verbs: &[Verb<'_>],
    asked: &[Asked],
    runs: usize,
    mut beside: Option<&mut Beside>,
) -> Result<Vec<Times>> {
    if let Some(beside) = &mut beside {
        let missed = beside.missed(asked)?;
        println!(
            "- {} misses {missed} of {} nearest rows",
            beside.peer.name(),
            asked.len() * K
        );
    }
    let mut seconds = vec![vec![0.0; runs]; verbs.len() + usize::from(beside.is_some())];
    for run in 0..=runs {
        for asked in asked {
            let mut took = Vec::with_capacity(seconds.len());
            for verb in verbs {
                if beside.is_some() {
                    std::thread::sleep(PAUSE);
                }
                let start = Instant::now();
                (verb.ask)(asked);
                took.push(start.elapsed().as_secs_f64());
            }
            if let Some(beside) = &mut beside {
                std::thread::sleep(PAUSE);
                took.push(beside.peer.time(&asked.request, Question::Nearest(K))?);
            }
            // The first run is none.
            if let Some(run) = run.checked_sub(1) {
                for (seconds, took) in seconds.iter_mut().zip(took) {
                    seconds[run] += took;
                }
            }
        }
    }
    let of_query = |seconds: Vec<f64>| {
        let of_query: Vec<f64> = seconds.iter().map(|all| all / asked.len() as f64).collect();
        Times::from_seconds(&of_query)
    };
    Ok(seconds.into_iter().map(of_query).collect())
}

/// What the queries read on average, each for the ids in its ring, for histograms and for ids among some rows.
fn reads(db: &SealedRingDb, asked: &[Asked], filters: &Filters) -> String {
    let ids = |asked: &Asked| asked.search(db).run().expect("a ring").explain;
    let histogram = |asked: &Asked, bins: usize| asked.histogram(db, bins).explain;
    let among = |asked: &Asked, filter: &RowSet| {
        let found = asked.search(db).filter(filter).run();
        found.expect("a ring").explain
    };
    let of = |explain: &dyn Fn(&Asked) -> Explain| asked.iter().map(explain).collect();
    let rows: [(&str, Vec<Explain>); 5] = [
        ("ids", of(&ids)),
        ("histogram, 10 bins", of(&|asked| histogram(asked, 0))),
        ("histogram, 100 bins", of(&|asked| histogram(asked, 1))),
        (SCATTERED, of(&|asked| among(asked, &filters.scattered))),
        (RUN, of(&|asked| among(asked, &filters.run))),
    ];
    let mut text = String::from(
        "| MB read of a query | boxes | prefix | codes | unsure behind codes | fine | coordinates | spans that turned to a scan |\n|---|---|---|---|---|---|---|---|\n",
    );
    for (name, explains) in rows {
        let sum = |of: &dyn Fn(&Explain) -> u64| explains.iter().map(of).sum::<u64>();
        let mb = |tiers: &[Tier]| {
            let bytes = sum(&|it| tiers.iter().map(|&tier| it.tier(tier).bytes).sum());
            format!("{:.1}", bytes as f64 / 1e6 / explains.len().max(1) as f64)
        };
        let unsure = sum(&|it| it.tier(Tier::Codes).unsure);
        let seen = sum(&|it| it.tier(Tier::Codes).rows);
        let cells = [
            name.to_owned(),
            mb(&[Tier::Boxes]),
            mb(&[Tier::Prefix]),
            mb(&[Tier::Codes]),
            match seen {
                0 => "-".to_owned(),
                _ => format!("{:.1} %", 100.0 * unsure as f64 / seen as f64),
            },
            mb(&[Tier::Fine]),
            mb(&[Tier::Rows, Tier::Scan]),
            format!("{} of {}", sum(&Explain::switched), sum(&Explain::spans)),
        ];
        text += &format!("| {} |\n", cells.join(" | "));
    }
    text
}

fn table(names: &[&str], times: &[Times]) -> String {
    let mut text = String::from(
        "| asked | runs | median | shortest | longest | to the first |\n|---|---|---|---|---|---|\n",
    );
    for (name, of_verb) in names.iter().zip(times) {
        let ms = |seconds: f64| format!("{:.3} ms", seconds * 1e3);
        text += &format!(
            "| {name} | {} | {} | {} | {} | {:.2} |\n",
            of_verb.len(),
            ms(of_verb.median()),
            ms(of_verb.min()),
            ms(of_verb.max()),
            median_ratio(of_verb, &times[0])
        );
    }
    text
}
