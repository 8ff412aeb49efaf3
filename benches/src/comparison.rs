//! One case of the comparison: this library and a peer in turn over the same requests, and a table of what came
//! out.

use std::time::Duration;

use ringdb_index::Rows;

use crate::contender::Contender;
use crate::oracle::{Request, RingKind};
use crate::peers::{Difference, Home, Peer, Question, Result, write_rows};
use crate::{Times, median_ratio};

/// What both sides wait before each call, so that threads of the other one that spin for more work have gone to
/// sleep.
const PAUSE: Duration = Duration::from_millis(30);

/// One line of a table.
#[derive(Debug, Clone)]
pub struct Line {
    name: String,
    version: String,
    times: Times,
    /// Its time by that of the first line of its group.
    ratio: f64,
    hits: usize,
    /// Queries that are answered together.
    queries: usize,
    difference: Difference,
}

/// The requests of one kind of ring.
#[derive(Debug)]
pub struct Requests {
    /// The kind.
    pub kind: RingKind,
    /// One for each query, or one for all.
    pub all: Vec<Request>,
    /// Disks of few hits, for peers without rings.
    pub instead: Vec<Request>,
    /// Whether a peer takes so long that it answers each request once only.
    pub is_long: bool,
}

impl Requests {
    /// What a peer is asked, and what has to be said about it; nothing when it can answer nothing like it.
    fn for_peer(&self, peer: &Peer) -> Option<(&[Request], Question, &'static str)> {
        if self.all.iter().any(|request| request.queries.is_empty()) {
            return peer.can("join").then_some((&self.all, Question::Join, ""));
        }
        let is_ring = self.kind.is_ring();
        if is_ring && peer.can("ring") || !is_ring && peer.can("disk") {
            return Some((&self.all, Question::Ring, ""));
        }
        if peer.can("disk") {
            return Some((
                &self.instead,
                Question::Ring,
                ", a disk of few hits instead",
            ));
        }
        match self.kind {
            // The disk up to the k-th nearest row holds the k nearest, and no more unless distances are equal;
            // one radius for many queries does not.
            RingKind::Nearest(count) if peer.can("nearest") && self.all.len() > 1 => Some((
                &self.all,
                Question::Nearest(count),
                ", the nearest k instead",
            )),
            _ => None,
        }
    }
}

/// This library alone, every way that it has in turn.
///
/// # Panics
/// If an answer is wrong.
#[must_use]
pub fn alone(contenders: &[Contender<'_>], requests: &[Request], runs: usize) -> Vec<Line> {
    let mut seconds = vec![Vec::new(); contenders.len()];
    for run in 0..=runs {
        for request in requests {
            run_contenders(contenders, request, run, Duration::ZERO, &mut seconds);
        }
    }
    lines(contenders, requests, &seconds)
}

/// The lines of each ring in groups, and how many peers failed: this library beside each peer in turn, or alone if
/// none is named. What peers say and need is printed.
///
/// # Errors
/// When the rows cannot be written for the peers.
///
/// # Panics
/// If an answer of this library is wrong.
pub fn compare(
    contenders: &[Contender<'_>],
    names: &[&str],
    home: &Home,
    rows: Rows<'_>,
    requests: &[Requests],
    runs: usize,
) -> Result<(Vec<Vec<Vec<Line>>>, usize)> {
    let mut groups = vec![Vec::new(); requests.len()];
    if names.is_empty() {
        for (groups, requests) in groups.iter_mut().zip(requests) {
            groups.push(alone(contenders, &requests.all, runs));
        }
        return Ok((groups, 0));
    }
    let files = tempfile::tempdir_in(home.folder())?;
    let path = files.path().join("rows");
    write_rows(&path, rows)?;
    let mut failed = 0;
    for name in names {
        // One that fails is said to have failed, and the others go on before the run ends so.
        let mut run = || -> Result<()> {
            let mut peer = Peer::start(name, home, files.path())?;
            println!("- {}", peer.describe());
            let seconds = peer.load(&path, rows.len(), rows.dims())?;
            println!("  - loaded in {seconds:.2} s");
            for (groups, requests) in groups.iter_mut().zip(requests) {
                match against(contenders, &mut peer, rows, requests, runs)? {
                    Some(lines) => groups.push(lines),
                    None => println!("  - cannot answer: {}", requests.kind.describe()),
                }
            }
            Ok(())
        };
        if let Err(error) = run() {
            println!("- FAILED: {error}");
            failed += 1;
        }
    }
    Ok((groups, failed))
}

/// This library and a peer in turn. The first round is not measured: there the answers are held against the
/// right ones, which this library must give and a peer may miss. Where a peer takes long, its first answer is in
/// the round after that, and measured. Nothing when the peer can answer nothing like it.
fn against(
    contenders: &[Contender<'_>],
    peer: &mut Peer,
    rows: Rows<'_>,
    requests: &Requests,
    runs: usize,
) -> Result<Option<Vec<Line>>> {
    let Some((theirs, question, remark)) = requests.for_peer(peer) else {
        return Ok(None);
    };
    let mut seconds = vec![Vec::new(); contenders.len()];
    let (mut their_seconds, mut difference) = (Vec::new(), Difference::default());
    for run in 0..=runs {
        for (ours, theirs) in requests.all.iter().zip(theirs) {
            let pause = if run == 0 { Duration::ZERO } else { PAUSE };
            run_contenders(contenders, ours, run, pause, &mut seconds);
            std::thread::sleep(pause);
            if run == usize::from(requests.is_long) {
                let (seconds, found) = peer.answer(theirs, question)?;
                difference.add(&found, theirs, rows)?;
                their_seconds.extend(requests.is_long.then_some(seconds));
            } else if !requests.is_long {
                their_seconds.push(peer.time(theirs, question)?);
            }
        }
    }
    let mut lines = lines(contenders, &requests.all, &seconds);
    let times = Times::from_seconds(&their_seconds);
    lines.push(Line {
        name: format!("{}{remark}", peer.name()),
        version: peer.version().to_owned(),
        ratio: median_ratio(&times, &lines[0].times),
        times,
        hits: theirs.iter().map(Request::hits).sum::<usize>() + difference.extra
            - difference.missing,
        queries: queries(theirs),
        difference,
    });
    Ok(Some(lines))
}

fn run_contenders(
    contenders: &[Contender<'_>],
    request: &Request,
    run: usize,
    pause: Duration,
    seconds: &mut [Vec<f64>],
) {
    for (contender, seconds) in contenders.iter().zip(seconds) {
        std::thread::sleep(pause);
        let (time, found) = contender.run(request);
        assert!(
            found == request.expected,
            "{}: a wrong answer",
            contender.name
        );
        if run > 0 {
            seconds.push(time);
        }
    }
}

fn lines(contenders: &[Contender<'_>], requests: &[Request], seconds: &[Vec<f64>]) -> Vec<Line> {
    let times: Vec<Times> = seconds.iter().map(|all| Times::from_seconds(all)).collect();
    let named = contenders.iter().zip(&times);
    named
        .map(|(contender, own)| Line {
            name: contender.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ratio: median_ratio(own, &times[0]),
            times: own.clone(),
            hits: requests.iter().map(Request::hits).sum(),
            queries: queries(requests),
            difference: Difference::default(),
        })
        .collect()
}

/// How many queries each request holds.
fn queries(requests: &[Request]) -> usize {
    requests.first().map_or(1, |request| request.expected.len())
}

/// The table of groups of lines, each group measured in turn.
#[must_use]
pub fn table(groups: &[Vec<Line>]) -> String {
    written(&["median", "min", "max", "a query"], groups, |line| {
        let (median, min, max) = (line.times.median(), line.times.min(), line.times.max());
        let times = [median, min, max, median / line.queries as f64];
        times.map(|seconds| format!("{:.3} ms", 1e3 * seconds))
    })
}

/// The same by query: the times of all queries together, divided by their number.
#[must_use]
pub fn table_by_query(groups: &[Vec<Line>]) -> String {
    written(&["a query", "min", "max"], groups, |line| {
        let times = [line.times.median(), line.times.min(), line.times.max()];
        times.map(|seconds| format!("{:.3} us", 1e6 * seconds / line.queries as f64))
    })
}

/// A table with these columns of times.
fn written<const N: usize>(
    columns: &[&str; N],
    groups: &[Vec<Line>],
    times: impl Fn(&Line) -> [String; N],
) -> String {
    let mut text = format!(
        "| | version | times | {} | ratio | hits | missing | extra | beyond rounding |\n|{}\n",
        columns.join(" | "),
        "---|".repeat(N + 8)
    );
    for line in groups.iter().flatten() {
        let Difference {
            missing,
            extra,
            beyond_rounding,
        } = line.difference;
        text.push_str(&format!(
            "| {} | {} | {} | {} | {:.2} | {} | {missing} | {extra} | {beyond_rounding} |\n",
            line.name,
            line.version,
            line.times.len(),
            times(line).join(" | "),
            line.ratio,
            line.hits,
        ));
    }
    text
}
