//! The protocol: one JSON object per line and request, one per reply; vectors and answers travel in
//! files. `../README.md` describes it.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::time::Instant;

use serde::Deserialize;
use serde_json::{Value, json};

/// The result of a request; its error is a sentence for a person.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Seconds around the call of the library alone, and the ids for each query, in any order.
pub(crate) type Answer = (f64, Vec<Vec<u32>>);

/// Another library, as the protocol sees it.
pub(crate) trait Peer {
    /// What it is and can: the reply to `hello`.
    fn hello(&self) -> Value;

    /// Takes the rows, one after the other, and prepares for queries.
    fn load(&mut self, rows: Vec<f32>, dims: usize) -> Result<()>;

    /// Answers all queries with one ring, or each with its own.
    fn search(&self, queries: &[&[f32]], rings: &[[f64; 2]]) -> Result<Answer>;

    /// Finds so many nearest rows of each query.
    fn nearest(&self, _queries: &[&[f32]], _count: usize) -> Result<Answer> {
        Err("the nearest rows cannot be searched".into())
    }
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum Request {
    Hello,
    Load {
        path: String,
        rows: usize,
        dims: usize,
    },
    Search {
        queries: String,
        count: usize,
        dims: usize,
        #[serde(default)]
        rings: Vec<[f64; 2]>,
        nearest: Option<usize>,
        answer: Option<String>,
    },
}

/// Carries out one request; whatever goes wrong becomes the reply.
pub(crate) fn reply(peer: &mut dyn Peer, line: &str) -> Value {
    perform(peer, line).unwrap_or_else(|error| json!({ "ok": false, "error": error.to_string() }))
}

fn perform(peer: &mut dyn Peer, line: &str) -> Result<Value> {
    match serde_json::from_str(line)? {
        Request::Hello => {
            let mut hello = peer.hello();
            hello["ok"] = Value::Bool(true);
            Ok(hello)
        }
        Request::Load { path, rows, dims } => {
            let rows = floats(&path, rows * dims)?;
            let start = Instant::now();
            peer.load(rows, dims)?;
            Ok(json!({ "ok": true, "seconds": start.elapsed().as_secs_f64() }))
        }
        Request::Search {
            queries,
            count,
            dims,
            rings,
            nearest,
            answer,
        } => {
            let queries = floats(&queries, count * dims)?;
            let queries: Vec<&[f32]> = queries.chunks_exact(dims).collect();
            let (seconds, found) = match nearest {
                Some(count) => peer.nearest(&queries, count)?,
                None if rings.len() == 1 || rings.len() == queries.len() => {
                    peer.search(&queries, &rings)?
                }
                None => return Err("neither one ring nor one for each query".into()),
            };
            let hits: usize = found.iter().map(Vec::len).sum();
            if let Some(path) = answer {
                write_answer(&path, found)?;
            }
            Ok(json!({ "ok": true, "seconds": seconds, "hits": hits }))
        }
    }
}

/// Runs the call that is measured.
pub(crate) fn timed<T>(call: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = call();
    (start.elapsed().as_secs_f64(), result)
}

/// A raw file of little-endian `f32`.
fn floats(path: &str, count: usize) -> Result<Vec<f32>> {
    let mut floats = vec![0.0_f32; count];
    let mut file = File::open(path).map_err(|error| format!("{path}: {error}"))?;
    file.read_exact(bytemuck::cast_slice_mut(&mut floats))
        .map_err(|error| format!("{path}: {error}"))?;
    Ok(floats)
}

/// Where the ids of each query end, as `u64`, after a zero; then all ids, as `u32`.
fn write_answer(path: &str, mut found: Vec<Vec<u32>>) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut end = 0_u64;
    file.write_all(&end.to_le_bytes())?;
    for ids in &mut found {
        ids.sort_unstable();
        end += ids.len() as u64;
        file.write_all(&end.to_le_bytes())?;
    }
    for ids in &found {
        file.write_all(bytemuck::cast_slice(ids))?;
    }
    Ok(file.flush()?)
}
