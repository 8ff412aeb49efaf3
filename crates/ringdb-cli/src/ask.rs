//! `ringdb query`, `count`, `knn` and `sample`: hits as a table or as JSON lines, or their number.
//!
//! Invariant: every query ends with how many hits there are in all, whatever is shown of them; `count` shows nothing but
//! that number.

use std::io::{self, Write};

use ringdb::{Explain, OpenOptions, PayloadCodec, Ring, SealedRingDb, Search, SearchResult, geo};

use crate::args::Opened;
use crate::error::Error;
use crate::explain;
use crate::lines::check_json;
use crate::questions::{Asked, Count, Knn, Query, Sample, Sort};
use crate::start::{self, Start};
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
    ask(&args.asked, verb, args.left_out.not_self, args.json, out)
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
    let db = open(&args.opened)?;
    let mut report = Report {
        args,
        verb,
        not_self,
        json,
        db: &db,
        out,
        id_width: db.len().saturating_sub(1).to_string().len().max("id".len()),
        terminal_width: text::terminal_width(),
        told_codec: false,
    };
    let queries = start::for_each(args, &db, |start| report.ask(start))?;
    if queries == 0 && !json && !matches!(verb, Verb::Count { .. }) {
        writeln!(out, "0 queries")?;
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

/// Writes the hits of one query after the other.
struct Report<'a, W> {
    args: &'a Asked,
    verb: Verb,
    not_self: bool,
    json: bool,
    db: &'a SealedRingDb,
    out: &'a mut W,
    id_width: usize,
    terminal_width: Option<usize>,
    /// Whether it was said already that the payloads cannot be shown.
    told_codec: bool,
}

impl<'a, W: Write> Report<'a, W> {
    /// What the column and the member with the distances are called.
    fn unit(&self) -> &'static str {
        match self.args.km {
            true => "km",
            false => "distance",
        }
    }

    /// Asks one query and writes what was found.
    fn ask(&mut self, start: Start<'_>) -> Result<(), Error> {
        let query = start.query();
        let filter = start.filter(self.not_self);
        let search = filter
            .iter()
            .fold(self.db.search(start.vector), Search::filter);
        let found = match self.verb {
            Verb::Count { ring } => {
                let explain = search.in_ring(ring).explain();
                let explain = explain.map_err(|error| start.failed(error))?;
                explain::tell(self.args, query, &explain);
                writeln!(self.out, "{}", explain.hits())?;
                return Ok(());
            }
            Verb::Query { ring, limit, sort } => {
                let search = sorted(search.in_ring(ring), sort);
                limit.into_iter().fold(search, Search::limit).run()
            }
            Verb::Knn { k } => sorted(search, Sort::Distance).limit(k).run(),
            Verb::Sample {
                ring,
                k,
                seed,
                sort,
            } => sorted(search.in_ring(ring), sort).sample(k, seed),
        };
        let found = found.map_err(|error| start.failed(error))?;
        if !self.json {
            explain::tell(self.args, query, &found.explain);
        }
        let (total, explain) = (found.total, found.explain);
        let mut hits = hits(found);
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
            true => format!(",\"explain\":{}", explain::json(explain)),
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
