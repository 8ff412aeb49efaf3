//! `ringdb demo`: builds a database of words in a temporary directory and asks it what lies near one of them
//! and what lies in a ring around it.
//!
//! Invariant: a call that is printed is the call that was made: one macro makes it and keeps its text.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use ringdb::{
    BackendPreference, BuildOptions, PayloadCodec, RingDb, RingDbError, SealedRingDb, SearchResult,
};
use ringdb_npy::Npy;
use serde_json::Value;

use crate::ask::hits;
use crate::error::Error;
use crate::npy;
use crate::text::{distance, grouped, time};

const VECTORS: &[u8] = include_bytes!("../demo/words-384-f16.npy");
const LINES: &str = include_str!("../demo/words.jsonl");
const WORD: &str = "violin";

/// Whose work the data are; `demo/README.md` has the licences.
const CREDITS: &str = "Words: WordNet 3.0, Copyright 2006 Princeton University. \
    Vectors: all-MiniLM-L6-v2, Apache-2.0.";

/// The value of a call to the library, and the text of the call.
macro_rules! call {
    ($($call:tt)+) => {
        ($($call)+.map_err(failed)?, concat!(stringify!($($call)+), "?"))
    };
}

pub(crate) fn run(out: &mut impl Write) -> Result<(), Error> {
    let vectors = npy::parse(Path::new("words-384-f16.npy"), VECTORS)?;
    let lines: Vec<&str> = LINES.lines().collect();
    let (count, dims) = (grouped(vectors.len() as u64), vectors.dims());
    writeln!(out, "Which words are how far from \"{WORD}\"?\n")?;
    writeln!(
        out,
        "{count} English nouns from WordNet 3.0, each with a vector of {dims} numbers that stands for its meaning."
    )?;
    writeln!(
        out,
        "The closer the meanings, the smaller the distance; no two words are further apart than 2.\n"
    )?;

    let no_directory = |op| {
        move |source| Error::File {
            op,
            path: std::env::temp_dir(),
            source,
        }
    };
    let directory = tempfile::tempdir().map_err(no_directory("make a directory in"))?;
    let db = build(out, directory.path(), &vectors, &lines)?;

    let id = position(&lines)?;
    let (violin, call) = call!(db.vector(id));
    writeln!(out, "    let violin = {call};\n")?;

    let start = Instant::now();
    let (near, call) = call!(
        db.search(&violin)
            .within(1.05)
            .nearest_first()
            .limit(10)
            .distances()
            .run()
    );
    let time = start.elapsed();
    let asked = format!("Everything within 1.05 of \"{WORD}\"");
    show(out, &db, &asked, call, near, time)?;

    let start = Instant::now();
    let (ring, call) = call!(
        db.search(&violin)
            .range(1.05..=1.15)
            .nearest_first()
            .limit(10)
            .distances()
            .run()
    );
    let time = start.elapsed();
    let asked = "The ring from 1.05 to 1.15 around it";
    show(out, &db, asked, call, ring, time)?;

    drop(db);
    directory
        .close()
        .map_err(no_directory("take the directory away from"))?;
    writeln!(
        out,
        "The directory is gone again. With vectors of your own: ringdb build --help"
    )?;
    writeln!(out, "{CREDITS}")?;
    Ok(())
}

/// Builds the database on disk and opens it, as two programs would.
fn build(
    out: &mut impl Write,
    dir: &Path,
    vectors: &Npy<'_>,
    lines: &[&str],
) -> Result<SealedRingDb, Error> {
    let dims = vectors.dims();
    let start = Instant::now();
    let (mut db, create) = call!(
        BuildOptions::new(dims)
            .persist(dir)
            .codec(PayloadCodec::JsonText)
            .create::<()>()
    );
    let mut add = "";
    vectors.for_each_row(|row, vector| {
        let word = lines.get(row).copied().unwrap_or_default();
        ((), add) = call!(db.add_vector_bytes(vector, word.as_bytes()));
        Ok::<(), Error>(())
    })?;
    let (_, build) = call!(db.build());
    let built = time(start.elapsed());

    let start = Instant::now();
    let (db, load) = call!(RingDb::<()>::load(dir, BackendPreference::Cpu));
    let loaded = time(start.elapsed());

    writeln!(
        out,
        "Built in {built} in a temporary directory, opened and checked in {loaded}:\n"
    )?;
    writeln!(out, "    let mut db = {create};")?;
    writeln!(out, "    {add}; // for each word")?;
    writeln!(out, "    {build};")?;
    writeln!(out, "    let db = {load};")?;
    Ok(db)
}

/// Lists the nearest hits of a query under its heading and its call.
fn show(
    out: &mut impl Write,
    db: &SealedRingDb,
    asked: &str,
    call: &str,
    found: SearchResult,
    took: Duration,
) -> Result<(), Error> {
    let total = found.total;
    let hits = hits(found);
    let took = time(took);
    writeln!(out, "{asked}: {total} hits in {took}\n\n    {call}\n")?;
    for hit in &hits {
        let payload = db.payload_bytes(hit.id).map_err(failed)?;
        let distance = distance(hit.distance);
        writeln!(out, "    {distance}  {}", words(payload)?.join(", "))?;
    }
    let rest = total - hits.len() as u64;
    if rest > 0 {
        writeln!(out, "    ... and {rest} more")?;
    }
    writeln!(out)?;
    Ok(())
}

/// The row of the word that everything is measured from.
fn position(lines: &[&str]) -> Result<u32, Error> {
    for (row, line) in (0..).zip(lines) {
        if words(line.as_bytes())?
            .first()
            .is_some_and(|word| word == WORD)
        {
            return Ok(row);
        }
    }
    Err(damaged(format!("{WORD} is not among them")))
}

/// The words of a payload, the usual one first.
fn words(payload: &[u8]) -> Result<Vec<String>, Error> {
    let line: Value =
        serde_json::from_slice(payload).map_err(|error| damaged(error.to_string()))?;
    let words = line["words"].as_array().into_iter().flatten();
    Ok(words.filter_map(Value::as_str).map(str::to_owned).collect())
}

fn failed(error: RingDbError) -> Error {
    Error::library(error, Error::Demo)
}

fn damaged(what: String) -> Error {
    Error::DemoData { what }
}
