//! `ringdb query`: the hits of a ring, as a table or as JSON lines.
//!
//! Invariant: every query ends with how many hits there are in all; `--limit` only shortens what is shown,
//! and `--count` shows nothing but the number.

use std::io::{self, IsTerminal, Write};

use indicatif::ProgressBar;
use ringdb::{
    Explain, OpenOptions, PayloadCodec, Ring, RingDbError, SealedRingDb, SearchResult, Tier,
    TierReport, geo,
};

use crate::args::{self, Sort};
use crate::error::Error;
use crate::lines::check_json;
use crate::npy;
use crate::place::{self, Place};
use crate::text::{self, counted, grouped, one_line};

pub(crate) fn run(args: &args::Query, out: &mut impl Write) -> Result<(), Error> {
    let ring = args.ring();
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
        ring,
        db: &db,
        out,
        id_width: db.len().saturating_sub(1).to_string().len().max("id".len()),
        terminal_width: text::terminal_width(),
        told_codec: false,
    };
    if let Some(id) = args.from.id {
        let vector = db.vector(id).map_err(failed)?;
        report.ask(None, &vector, args.not_self.then_some(id), failed)?;
    }
    if let Some(args::Vector(vector)) = &args.from.vector {
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
        if vectors.is_empty() && !args.json && !args.count {
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
pub(crate) fn open(args: &args::Opened) -> Result<SealedRingDb, Error> {
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
    args: &'a args::Query,
    ring: Ring,
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
        let is_shown = |id: u32| Some(id) != left_out;
        let search = self.db.search(vector).in_ring(self.ring);
        if self.args.count {
            let explain = search.explain().map_err(failed)?;
            self.tell(query, &explain);
            // It is at distance 0 from itself.
            let left_out = left_out.is_some() && self.ring.contains(0.0);
            let count = explain.hits().saturating_sub(u64::from(left_out));
            writeln!(self.out, "{count}")?;
            return Ok(());
        }
        let search = match self.args.sort {
            Sort::Id => search,
            Sort::Distance => search.nearest_first(),
        };
        let found = search.distances().run().map_err(failed)?;
        let explain = found.explain;
        if !self.args.json {
            self.tell(query, &explain);
        }
        let mut hits = hits(found);
        hits.retain(|hit| is_shown(hit.id));
        if self.args.km {
            for hit in &mut hits {
                hit.distance = geo::km(hit.distance);
            }
        }
        self.show(query, hits, &explain)
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

    fn show(
        &mut self,
        query: Option<usize>,
        mut hits: Vec<Hit>,
        explain: &Explain,
    ) -> Result<(), Error> {
        let total = hits.len();
        hits.truncate(self.args.limit.unwrap_or(usize::MAX));
        match self.args.json {
            true => self.json(query, &hits, total, explain),
            false => self.table(query, &hits, total),
        }
    }

    fn table(&mut self, query: Option<usize>, hits: &[Hit], total: usize) -> Result<(), Error> {
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
        let hits_in_all = counted(total as u64, "hit");
        let shown = grouped(hits.len() as u64);
        match hits.len() < total {
            true => writeln!(self.out, "{hits_in_all}, cut to {shown} by --limit")?,
            false => writeln!(self.out, "{hits_in_all}, all shown")?,
        }
        Ok(())
    }

    fn json(
        &mut self,
        query: Option<usize>,
        hits: &[Hit],
        total: usize,
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
        let (shown, truncated) = (hits.len(), hits.len() < total);
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
