//! `ringdb profile`: the distances of all vectors as a picture, and the radii to ask for.
//!
//! Invariant: every count is exact, and every number behind the bins. A bin of kilometres holds the distances whose
//! kilometres lie in it.

use std::io::{self, Write};
use std::ops::{Bound, RangeBounds};

use ringdb::{Histogram, RingDbError, SealedRingDb, Search, geo};

use crate::ask::open;
use crate::error::Error;
use crate::explain;
use crate::questions::Profile;
use crate::start::{self, Start};
use crate::text::{self, counted, grouped};

/// Shares of all vectors whose distances are shown.
const SHARES: [f64; 9] = [0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0];

/// Numbers of vectors whose radii are shown.
const NUMBERS: [u64; 5] = [1, 10, 100, 1_000, 10_000];

/// Columns of the longest bar.
const BAR: usize = 40;

pub(crate) fn run(args: &Profile, out: &mut impl Write) -> Result<(), Error> {
    let db = open(&args.asked.opened)?;
    let queries = start::for_each(&args.asked, &db, |start| {
        let profile = View::of(args, &db, start);
        let profile = profile.map_err(|error| start.failed(error))?;
        if let (Some(histogram), false) = (&profile.histogram, args.json) {
            explain::tell(&args.asked, start.query(), &histogram.explain);
        }
        match args.json {
            true => profile.json(args.asked.explain, out),
            false => profile.picture(text::terminal_width(), out),
        }
        .map_err(Error::Output)
    })?;
    if queries == 0 && !args.json {
        writeln!(out, "0 queries")?;
    }
    Ok(())
}

/// What is shown of one query, in the unit that was asked for.
struct View<'a> {
    start: Start<'a>,
    unit: &'static str,
    /// What the radii have to be asked with.
    options: String,
    vectors: u64,
    edges: Vec<f64>,
    /// There are no bins if there are no vectors and no edges were given.
    histogram: Option<Histogram>,
    /// Shares and the distances that they do not exceed.
    quantiles: Vec<(f64, f64)>,
    /// Numbers of vectors and the radii that hold them.
    radii: Vec<(u64, f64)>,
}

impl<'a> View<'a> {
    fn of(args: &Profile, db: &SealedRingDb, start: Start<'a>) -> Result<Self, RingDbError> {
        let km = args.asked.km;
        let filter = start.filter(args.left_out.not_self);
        let search = || filter.iter().fold(db.search(start.vector), Search::filter);
        let shown = |distance: f64| if km { geo::km(distance) } else { distance };
        let vectors = search().count()?;
        let (mut quantiles, mut radii) = (Vec::new(), Vec::new());
        for share in SHARES.into_iter().filter(|_| vectors > 0) {
            quantiles.push((share, shown(search().quantile(share)?)));
        }
        for number in NUMBERS.into_iter().filter(|&number| number <= vectors) {
            radii.push((number, shown(search().radius_for_count(number)?)));
        }
        let given = args.edges.as_ref();
        let is_given = given.is_some();
        let mut edges = given.map_or_else(Vec::new, |edges| edges.0.clone());
        if let (false, Some(&(_, first)), Some(&(_, last))) =
            (is_given, radii.first(), quantiles.last())
        {
            edges = even(first, last, args.bins);
        }
        let histogram = match edges.is_empty() {
            true => None,
            false if km => Some(search().histogram(&chords(&mut edges, is_given)?)?),
            false => Some(search().histogram(&edges)?),
        };
        Ok(Self {
            start,
            unit: if km { "km" } else { "distance" },
            options: [(km, "--km "), (filter.is_some(), "--not-self ")]
                .map(|(is_given, option)| if is_given { option } else { "" })
                .concat(),
            vectors,
            edges,
            histogram,
            quantiles,
            radii,
        })
    }

    /// On a terminal of so many columns, if on one.
    fn picture(&self, terminal: Option<usize>, out: &mut impl Write) -> io::Result<()> {
        if let Some(query) = self.start.query() {
            writeln!(out, "query {query}")?;
        }
        if let Some(histogram) = &self.histogram {
            self.bars(histogram, terminal, out)?;
        }
        for (share, distance) in &self.quantiles {
            let percent = format!("{} %", share * 100.0);
            writeln!(out, "{percent:>7} within {distance:?}")?;
        }
        for (number, radius) in &self.radii {
            let hits = counted(*number, "hit");
            let options = &self.options;
            writeln!(out, "for {hits:>11} use {options}--within {radius:?}")?;
        }
        writeln!(out, "{}", counted(self.vectors, "vector"))
    }

    /// A line for each bin, and for what is beside them if anything is.
    fn bars(
        &self,
        histogram: &Histogram,
        terminal: Option<usize>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let Histogram {
            below,
            counts,
            above,
            ..
        } = histogram;
        let edges = text::distances(&self.edges);
        let ([first, ..], [.., last]) = (&edges[..], &edges[..]) else {
            return Ok(());
        };
        let width = edges.iter().map(String::len).max().unwrap_or_default();
        let number = grouped(self.vectors).len().max("vectors".len());
        // Two brackets, a comma and a blank.
        let range = 2 * width + 4;
        let room = terminal.map_or(BAR, |columns| columns.saturating_sub(range + number + 4));
        let most = counts.iter().copied().max().unwrap_or_default();
        writeln!(out, "{:>range$}  {:>number$}", self.unit, "vectors")?;
        let mut line = |[open, close]: [char; 2], from: &str, to: &str, count: u64, bar: String| {
            let count = grouped(count);
            let line =
                format!("{open}{from:>width$}, {to:>width$}{close}  {count:>number$}  {bar}");
            writeln!(out, "{}", line.trim_end())
        };
        // What is beside the bins has no bar: it may be nearly everything.
        if *below > 0 {
            line(['[', ')'], "0", first, *below, String::new())?;
        }
        for (i, (ends, &count)) in edges.windows(2).zip(counts).enumerate() {
            let close = if i + 1 == counts.len() { ']' } else { ')' };
            let bar = bar(count, most, room.min(BAR));
            line(['[', close], &ends[0], &ends[1], count, bar)?;
        }
        if *above > 0 {
            line(['(', ')'], last, "inf", *above, String::new())?;
        }
        Ok(())
    }

    fn json(&self, explains: bool, out: &mut impl Write) -> io::Result<()> {
        let query = match self.start.query() {
            Some(query) => format!("\"query\":{query},"),
            None => String::new(),
        };
        let (below, counts, above) = match &self.histogram {
            Some(found) => (found.below, &found.counts[..], found.above),
            None => (0, &[][..], 0),
        };
        let edges = join(self.edges.iter().map(|&edge| json_number(edge)));
        let counts = join(counts.iter().map(u64::to_string));
        let unit = self.unit;
        let bins = format!(
            "\"unit\":\"{unit}\",\"below\":{below},\"edges\":[{edges}],\"counts\":[{counts}],\"above\":{above},"
        );
        let member = |name: String, distance: f64| format!("\"{name}\":{}", json_number(distance));
        let quantiles = self.quantiles.iter();
        let quantiles = join(quantiles.map(|&(share, d)| member(share.to_string(), d)));
        let radii = self.radii.iter();
        let radii = join(radii.map(|&(number, d)| member(number.to_string(), d)));
        let explain = match &self.histogram {
            Some(histogram) if explains => {
                format!(",\"explain\":{}", explain::json(&histogram.explain))
            }
            _ => String::new(),
        };
        let vectors = self.vectors;
        writeln!(
            out,
            "{{{query}\"vectors\":{vectors},{bins}\"quantiles\":{{{quantiles}}},\"radii\":{{{radii}}}{explain}}}"
        )
    }
}

/// So many bins of the same width, or fewer where `f64` cannot tell as many edges apart.
fn even(first: f64, last: f64, bins: u16) -> Vec<f64> {
    if first >= last {
        // All vectors are at one distance.
        return vec![first, first + first.max(1e-3) * 1e-6];
    }
    let share = |i: u16| f64::from(i) / f64::from(bins);
    let mut edges: Vec<f64> = (0..bins)
        .map(|i| first + (last - first) * share(i))
        .collect();
    edges.push(last);
    edges.dedup();
    edges
}

/// The edges of the distances whose kilometres are in bins of these edges. Where kilometres are so close together, or so
/// great, that no distance lies between two edges, that is an error if the edges were given; else the bins become fewer.
fn chords(edges: &mut Vec<f64>, is_given: bool) -> Result<Vec<f64>, RingDbError> {
    let Some(last) = edges.pop() else {
        return Ok(Vec::new());
    };
    let end = value(geo::ring(..=last)?.end_bound());
    let (mut kept, mut chords) = (Vec::with_capacity(edges.len()), Vec::new());
    for &edge in &*edges {
        let chord = value(geo::ring(edge..)?.start_bound());
        if chord < end && chords.last().is_none_or(|&before| before < chord) {
            kept.push(edge);
            chords.push(chord);
        } else if is_given {
            return Err(RingDbError::InvalidBounds {
                what: "edge in kilometres that no distance tells from the one before or behind it",
                value: edge,
            });
        }
    }
    kept.push(last);
    chords.push(end);
    *edges = kept;
    Ok(chords)
}

fn value(bound: Bound<&f64>) -> f64 {
    match bound {
        Bound::Included(&value) | Bound::Excluded(&value) => value,
        Bound::Unbounded => f64::INFINITY,
    }
}

/// A bar of eighths of a column, with something of it for every count but 0.
fn bar(count: u64, most: u64, columns: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if count == 0 || columns == 0 {
        return String::new();
    }
    let eighths = (count as f64 / most as f64 * (8 * columns) as f64).round() as usize;
    let eighths = eighths.max(1);
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

/// The shortest number that reads back as the same; JSON has no word for infinity.
fn json_number(number: f64) -> String {
    match number.is_finite() {
        true => format!("{number:?}"),
        false => "null".into(),
    }
}

fn join(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<String>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_counts() {
        assert_eq!(bar(0, 10, 4), "");
        assert_eq!(bar(1, 1_000_000, 4), "▏");
        assert_eq!(bar(10, 10, 4), "████");
        assert_eq!(bar(5, 10, 3), "█▌");
        assert_eq!(bar(31, 32, 4), "███▉");
        assert_eq!(bar(5, 10, 0), "");
    }

    #[test]
    fn bins_are_even_and_end_where_the_distances_do() {
        assert_eq!(even(1.0, 2.0, 4), [1.0, 1.25, 1.5, 1.75, 2.0]);
        assert_eq!(even(0.0, 5e-324, 20), [0.0, 5e-324]);
        for d in [0.0, 1e-300, 1.5, 1e300] {
            let edges = even(d, d, 20);
            assert!(edges.len() == 2 && edges[0] == d && edges[0] < edges[1]);
        }
    }

    #[test]
    fn bins_of_kilometres_hold_the_distances_of_their_kilometres() {
        let mut edges = vec![0.0, 0.5, 1.0, 20.0, 20_015.0];
        let chords = chords(&mut edges, true).expect("kilometres");
        assert_eq!(edges, [0.0, 0.5, 1.0, 20.0, 20_015.0]);
        assert!(chords.is_sorted_by(|a, b| a < b));
        for (edge, &chord) in edges.iter().zip(&chords).take(4) {
            assert!(geo::km(chord) >= *edge);
            assert!(chord == 0.0 || geo::km(chord.next_down()) < *edge);
        }
        assert!(geo::km(chords[4]) <= 20_015.0 && geo::km(chords[4].next_up()) > 20_015.0);
    }

    /// Half the circumference away, a step of a distance is tens of centimetres; farther there is none.
    #[test]
    fn bins_of_kilometres_without_a_distance_are_left_out_or_refused() {
        let (first, last) = (geo::km(2.0_f64.next_down().next_down()), geo::km(2.0));
        let mut edges = even(first, last, 20);
        assert!(edges.len() > 4);
        let found = chords(&mut edges, false).expect("kilometres");
        assert!(edges.len() == found.len() && found.is_sorted_by(|a, b| a < b));
        assert_eq!((edges[0], edges.last()), (first, Some(&last)));
        assert!(chords(&mut even(first, last, 20), true).is_err());
        for mut edges in [
            vec![0.0, 1e-9, 25_000.0, 30_000.0],
            vec![25_000.0, f64::INFINITY],
        ] {
            let error = chords(&mut edges, true).expect_err("no such distance");
            let told = error.to_string();
            assert!(told.ends_with(": 25000"), "{told}");
        }
    }
}
