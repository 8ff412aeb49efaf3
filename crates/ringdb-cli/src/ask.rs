//! `ringdb query`, `count`, `knn` and `sample`: hits as a table or as JSON lines, or their number.
//!
//! Invariant: every query ends with how many hits there are in all, whatever is shown of them; `count` shows nothing but
//! that number.

use std::io::{self, IsTerminal, Write};

use indicatif::ProgressBar;
use ringdb::{
    Explain, OpenOptions, PayloadCodec, Ring, RingDbError, SealedRingDb, Search, SearchResult,
    Tier, TierReport, geo,
};

use crate::args::Opened;
use crate::error::Error;
use crate::lines::check_json;
use crate::npy;
use crate::place::{self, Place};
use crate::questions::{Asked, Count, Knn, Query, Sample, Sort, Vector};
use crate::text::{self, counted, grouped, one_line};

pub(crate) fn query(args: &Query, out: &mut impl Write) -> Result<(), Error> {
    let (ring, limit, sort) = (args.ring(), args.limit, args.sort);
    let verb = Verb::Query { ring, limit, sort };
    ask(&args.asked, verb, args.left_out.not_self, args.json, out)
}

pub(crate) fn count(args: &Count, out: &mut impl Write) -> Result<(), Error> {
    let verb = Verb::Count { ring: args.ring() };
    ask(&args.asked, verb, args.left_out.not_self, false, out)
}

pub(crate) fn knn(args: &Knn, out: &mut impl Write) -> Result<(), Error> {
    let verb = Verb::Knn { k: args.k };
    ask(&args.asked, verb, args.left_out.not_self, args.json, out)
}

pub(crate) fn sample(args: &Sample, out: &mut impl Write) -> Result<(), Error> {
    let (ring, k, seed, sort) = (args.ring(), args.k, args.seed, args.sort);
    let verb = Verb::Sample {
        ring,
        k,
        seed,
        sort,
    };
    ask(&args.asked, verb, false, args.json, out)
}

/// What is asked of each vector that is measured from.
#[derive(Debug, Clone, Copy)]
enum Verb {
    Query {
        ring: Ring,
        limit: Option<usize>,
        sort: Sort,
    },
    Count {
        ring: Ring,
    },
    Knn {
        k: usize,
    },
    Sample {
        ring: Ring,
        k: usize,
        seed: u64,
        sort: Sort,
    },
}

/// Opens the database and asks it from one vector, or from each of a file.
fn ask(
    args: &Asked,
    verb: Verb,
    not_self: bool,
    json: bool,
    out: &mut impl Write,
) -> Result<(), Error> {
    let dir = &args.opened.db;
    let db = open(&args.opened)?;
    if args.km {
        place::check_database(dir, &db)?;
    }
    let failed = |source| Error::Query {
        path: dir.clone(),
        source,
    };
    let failed = |error| Error::library(error, failed);
    let mut report = Report {
        args,
        verb,
        json,
        db: &db,
        out,
        id_width: db.len().saturating_sub(1).to_string().len().max("id".len()),
        terminal_width: text::terminal_width(),
        told_codec: false,
    };
    if let Some(id) = args.from.id {
        let vector = db.vector(id).map_err(failed)?;
        report.ask(None, &vector, not_self.then_some(id), failed)?;
    }
    if let Some(Vector(vector)) = &args.from.vector {
        report.check(vector, || "the vector of --vector".into())?;
        report.ask(None, vector, None, failed)?;
    }
    if let Some(Place(point)) = &args.from.place {
        report.ask(None, point, None, failed)?;
    }
    if let Some(path) = &args.from.vectors {
        let file = npy::open(path)?;
        let vectors = npy::parse(path, file.bytes())?;
        // A file of other vectors is a mistake also where there is none to fail.
        if vectors.dims() != db.dims() {
            return Err(Error::Dims {
                vectors: path.clone(),
                found: vectors.dims(),
                db: dir.clone(),
                dims: db.dims(),
            });
        }
        if vectors.is_empty() && !json && !matches!(verb, Verb::Count { .. }) {
            writeln!(report.out, "0 queries")?;
        }
        let bar = bar(vectors.len(), args.explain);
        vectors.for_each_row(|row, vector| {
            bar.inc(1);
            report.check(vector, || format!("{} row {row}", path.display()))?;
            report.ask(Some(row), vector, None, |source| Error::Row {
                path: path.clone(),
                row,
                source,
            })
        })?;
    }
    Ok(())
}

/// Opens and checks a database. Payloads are read as bytes, so their type does not matter.
pub(crate) fn open(args: &Opened) -> Result<SealedRingDb, Error> {
    let options = OpenOptions::new().any_type(true).codes(!args.no_codes);
    options.open(&args.db).map_err(|error| {
        let path = args.db.clone();
        match error.is_of_codes() {
            true => Error::OpenCodes { path, error },
            false => Error::library(error, |source| Error::Open { path, source }),
        }
    })
}

/// A bar on the terminal that also shows the hits, or the explanations, would be in their way.
fn bar(queries: usize, explain: bool) -> ProgressBar {
    match explain || io::stdout().is_terminal() {
        true => ProgressBar::hidden(),
        false => ProgressBar::new(queries as u64),
    }
}

pub(crate) struct Hit {
    pub(crate) id: u32,
    /// In kilometres where these are asked for.
    pub(crate) distance: f64,
}

/// The hits of a search that asked for distances, in its order.
pub(crate) fn hits(found: SearchResult) -> Vec<Hit> {
    let distances = found.distances.expect("the search asked for distances");
    let hits = found.ids.into_iter().zip(distances);
    hits.map(|(id, distance)| Hit { id, distance }).collect()
}

/// With distances, in the order that was asked for.
fn sorted(search: Search<'_>, sort: Sort) -> Search<'_> {
    let search = search.distances();
    match sort {
        Sort::Id => search,
        Sort::Distance => search.nearest_first(),
    }
}

/// What a search did as a JSON object: every tier, also one that saw no rows.
fn explain_json(explain: &Explain) -> String {
    let tiers = Tier::ALL.map(|tier| {
        let TierReport {
            rows,
            outside,
            inside,
            unsure,
            bytes,
            ..
        } = explain.tier(tier);
        let name = tier.name();
        format!(
            "\"{name}\":{{\"rows\":{rows},\"outside\":{outside},\"inside\":{inside},\
             \"unsure\":{unsure},\"bytes\":{bytes}}}"
        )
    });
    let (spans, switched) = (explain.spans(), explain.switched());
    let (left_boxes, left_prefix) = (explain.left_boxes(), explain.left_prefix());
    format!(
        "{{{},\"spans\":{spans},\"left_boxes\":{left_boxes},\"left_prefix\":{left_prefix},\
         \"switched\":{switched}}}",
        tiers.join(",")
    )
}

/// Writes the hits of one query after the other.
struct Report<'a, W> {
    args: &'a Asked,
    verb: Verb,
    json: bool,
    db: &'a SealedRingDb,
    out: &'a mut W,
    id_width: usize,
    terminal_width: Option<usize>,
    /// Whether it was said already that the payloads cannot be shown.
    told_codec: bool,
}

impl<'a, W: Write> Report<'a, W> {
    /// Looks at a vector before it is measured from.
    fn check(&self, vector: &[f32], name: impl FnOnce() -> String) -> Result<(), Error> {
        match self.args.km {
            true => place::check_vector(vector, name),
            false => Ok(()),
        }
    }

    /// What the column and the member with the distances are called.
    fn unit(&self) -> &'static str {
        match self.args.km {
            true => "km",
            false => "distance",
        }
    }

    /// Asks one query and writes what was found, but for the vector that is left out.
    fn ask(
        &mut self,
        query: Option<usize>,
        vector: &[f32],
        left_out: Option<u32>,
        failed: impl FnOnce(RingDbError) -> Error,
    ) -> Result<(), Error> {
        let search = self.db.search(vector);
        let found = match self.verb {
            Verb::Count { ring } => {
                let explain = search.in_ring(ring).explain().map_err(failed)?;
                self.tell(query, &explain);
                // It is at distance 0 from itself.
                let left_out = left_out.is_some() && ring.contains(0.0);
                let count = explain.hits().saturating_sub(u64::from(left_out));
                writeln!(self.out, "{count}")?;
                return Ok(());
            }
            Verb::Query { ring, sort, .. } => sorted(search.in_ring(ring), sort).run(),
            // One more, for one that is left out.
            Verb::Knn { k } => self
                .db
                .knn(vector, k.saturating_add(left_out.iter().count())),
            Verb::Sample {
                ring,
                k,
                seed,
                sort,
            } => sorted(search.in_ring(ring), sort).sample(k, seed),
        };
        let found = found.map_err(failed)?;
        if !self.json {
            self.tell(query, &found.explain);
        }
        let (mut total, explain) = (found.total, found.explain);
        let mut hits = hits(found);
        if let Some(left_out) = left_out {
            let is_hit = match self.verb {
                Verb::Query { ring, .. } => ring.contains(0.0),
                _ => true,
            };
            total -= u64::from(is_hit);
            hits.retain(|hit| hit.id != left_out);
        }
        if let Verb::Query { limit: Some(n), .. } | Verb::Knn { k: n } = self.verb {
            hits.truncate(n);
        }
        if self.args.km {
            for hit in &mut hits {
                hit.distance = geo::km(hit.distance);
            }
        }
        match self.json {
            true => self.json(query, &hits, total, &explain),
            false => self.table(query, &hits, total),
        }
    }

    /// Tells what a search did, if that is wanted.
    fn tell(&self, query: Option<usize>, explain: &Explain) {
        if self.args.explain {
            let query = query.map(|query| format!("query {query}\n"));
            let text = format!("{}{explain}\n", query.unwrap_or_default());
            // Nobody is left to hear that standard error cannot be written.
            let _ = io::stderr().write_all(text.as_bytes());
        }
    }

    fn table(&mut self, query: Option<usize>, hits: &[Hit], total: u64) -> Result<(), Error> {
        let width = self.id_width;
        if let Some(query) = query {
            writeln!(self.out, "query {query}")?;
        }
        if !hits.is_empty() {
            let payload = match self.db.payload_codec() {
                PayloadCodec::JsonText => "  payload",
                _ => "",
            };
            let unit = self.unit();
            writeln!(self.out, "{:>width$}  {unit:>12}{payload}", "id")?;
        }
        for hit in hits {
            let distance = text::distance(hit.distance);
            let start = format!("{:>width$}  {distance:>12}", hit.id);
            // A terminal too narrow for any payload gets a little of it on a second line.
            let room = self
                .terminal_width
                .map(|columns| columns.saturating_sub(start.len() + 2).max(8));
            match self.payload(hit.id)? {
                Some(bytes) => writeln!(self.out, "{start}  {}", one_line(bytes, room))?,
                None => writeln!(self.out, "{start}")?,
            }
        }
        let (all, shown) = (grouped(total), grouped(hits.len() as u64));
        let thing = match self.verb {
            Verb::Knn { .. } => "vector",
            _ => "hit",
        };
        let in_all = counted(total, thing);
        match self.verb {
            _ if hits.len() as u64 == total => writeln!(self.out, "{in_all}, all shown")?,
            Verb::Knn { .. } => writeln!(self.out, "the {shown} nearest of {all} vectors")?,
            Verb::Sample { .. } => writeln!(self.out, "{in_all}, {shown} of them drawn")?,
            _ => writeln!(self.out, "{in_all}, cut to {shown} by --limit")?,
        }
        Ok(())
    }

    fn json(
        &mut self,
        query: Option<usize>,
        hits: &[Hit],
        total: u64,
        explain: &Explain,
    ) -> Result<(), Error> {
        let query = match query {
            Some(query) => format!("\"query\":{query},"),
            None => String::new(),
        };
        let unit = self.unit();
        for &Hit { id, distance } in hits {
            // First what can fail: a line that was begun is finished.
            let payload = match self.payload(id)? {
                Some(bytes) => format!(",\"payload\":{}", self.stored_json(id, bytes)?),
                None => String::new(),
            };
            writeln!(
                self.out,
                "{{{query}\"id\":{id},\"{unit}\":{distance:?}{payload}}}"
            )?;
        }
        let (shown, truncated) = (hits.len(), (hits.len() as u64) < total);
        let explain = match self.args.explain {
            true => format!(",\"explain\":{}", explain_json(explain)),
            false => String::new(),
        };
        writeln!(
            self.out,
            "{{{query}\"total\":{total},\"shown\":{shown},\"truncated\":{truncated}{explain}}}"
        )?;
        Ok(())
    }

    /// The bytes of a payload that can be shown; the first one that cannot is a reason to say so.
    fn payload(&mut self, id: u32) -> Result<Option<&'a [u8]>, Error> {
        let bytes = self.db.payload_bytes(id).map_err(|source| Error::Query {
            path: self.args.opened.db.clone(),
            source,
        })?;
        match self.db.payload_codec() {
            PayloadCodec::JsonText => Ok(Some(bytes)),
            codec => {
                // Unit payloads have no bytes: there is nothing to miss.
                if !bytes.is_empty() && !self.told_codec {
                    self.told_codec = true;
                    let name = codec.name();
                    let db = self.args.opened.db.display();
                    let _ = writeln!(
                        io::stderr(),
                        "ringdb: the payloads of {db} are stored as {name}, not as JSON, and are not shown"
                    );
                }
                Ok(None)
            }
        }
    }

    /// A stored payload as part of a line. Line breaks can stand only between the tokens of JSON, where
    /// a blank means the same.
    fn stored_json(&self, id: u32, bytes: &[u8]) -> Result<String, Error> {
        let wrong = |what| Error::StoredPayload {
            path: self.args.opened.db.clone(),
            id,
            what,
        };
        let json = std::str::from_utf8(bytes).map_err(|error| wrong(error.to_string()))?;
        check_json(json).map_err(wrong)?;
        Ok(json.replace(['\n', '\r'], " "))
    }
}
