//! A peer that runs: requests to its standard input, replies from its standard output, one line each.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use ringdb_index::Rows;
use serde_json::{Value, json};

use super::{Home, Result, answer};
use crate::oracle::Request;

/// How much of what a dead peer wrote last is worth showing.
const LAST_WORDS: usize = 2000;

/// What a peer is asked about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Its ring.
    Ring,
    /// So many nearest rows, of a peer that knows no radius.
    Nearest(usize),
    /// The pairs of its rows in this ring.
    Join,
}

/// A peer and its process, which ends with the value.
#[derive(Debug)]
pub struct Peer {
    name: String,
    hello: Value,
    child: Child,
    /// Closed first, which asks the process to end.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    errors: Option<JoinHandle<Vec<u8>>>,
    /// Where queries and answers are put, and the rows.
    files: PathBuf,
}

impl Peer {
    /// Starts a peer by its name and lets it say what it is. Files go to `files`.
    ///
    /// # Errors
    /// When it cannot be made or started, or dies, or says that something failed; so of every other method.
    pub fn start(name: &str, home: &Home, files: &Path) -> Result<Self> {
        Self::from_command(name, &mut home.command(name)?, files)
    }

    fn from_command(name: &str, command: &mut Command, files: &Path) -> Result<Self> {
        let spawned = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = spawned.map_err(|error| format!("{name} cannot be started: {error}"))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().ok_or("a pipe is missing")?);
        let mut errors = child.stderr.take().ok_or("a pipe is missing")?;
        // Read all along, or a peer that writes a lot would wait for ever.
        let errors = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // What cannot be read is not shown, and that is all.
            let _ = errors.read_to_end(&mut bytes);
            bytes
        });
        let mut peer = Self {
            name: name.to_owned(),
            hello: Value::Null,
            child,
            input,
            output,
            errors: Some(errors),
            files: files.to_owned(),
        };
        peer.hello = peer.ask(&json!({ "op": "hello" }))?;
        Ok(peer)
    }

    /// The name that it was started by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version of the library.
    #[must_use]
    pub fn version(&self) -> &str {
        self.said("version").unwrap_or("unknown")
    }

    /// One line on what it is, its bounds and its BLAS.
    #[must_use]
    pub fn describe(&self) -> String {
        let title = self.said("name").unwrap_or("unknown");
        let bounds = self.said("bounds").unwrap_or("unknown");
        let mut line = format!(
            "{}: {title} {}; bounds: {bounds}",
            self.name,
            self.version()
        );
        for (key, before) in [("numpy", "numpy "), ("blas", "")] {
            if let Some(text) = self.said(key) {
                line.push_str(&format!("; {before}{text}"));
            }
        }
        line
    }

    fn said(&self, key: &str) -> Option<&str> {
        self.hello[key].as_str().filter(|text| !text.is_empty())
    }

    /// Whether it says that it can do something: `ring`, `disk`, `nearest`, `batch` or `join`.
    #[must_use]
    pub fn can(&self, what: &str) -> bool {
        let all = self.hello["capabilities"].as_array();
        all.is_some_and(|all| all.iter().any(|one| one == what))
    }

    /// Hands over the rows in `path` and returns the seconds that it needed to prepare.
    pub fn load(&mut self, path: &Path, rows: usize, dims: usize) -> Result<f64> {
        let reply = self.ask(&json!({
            "op": "load", "path": utf8(path)?, "rows": rows, "dims": dims,
        }))?;
        self.seconds(&reply)
    }

    /// Asks one question and returns the seconds around the call of the library.
    pub fn time(&mut self, request: &Request, question: Question) -> Result<f64> {
        let (seconds, _) = self.search(request, question, None)?;
        Ok(seconds)
    }

    /// Asks the same, for the ids of each query as well.
    pub fn answer(
        &mut self,
        request: &Request,
        question: Question,
    ) -> Result<(f64, Vec<Vec<u32>>)> {
        let path = self.files.join("answer");
        let (seconds, hits) = self.search(request, question, Some(&path))?;
        let found = answer::read(&path, request.expected.len())
            .map_err(|error| format!("{}: its answer: {error}", self.name))?;
        let ids: usize = found.iter().map(Vec::len).sum();
        if ids != hits {
            return Err(format!("{}: {hits} hits counted, {ids} ids written", self.name).into());
        }
        Ok((seconds, found))
    }

    fn search(
        &mut self,
        request: &Request,
        question: Question,
        answer: Option<&Path>,
    ) -> Result<(f64, usize)> {
        let mut line = json!({ "op": "search", "answer": answer.map(utf8).transpose()? });
        let ring = json!([request.bounds.d_min, request.bounds.d_max]);
        match question {
            Question::Ring => line["rings"] = json!([ring]),
            Question::Nearest(count) => line["nearest"] = json!(count),
            Question::Join => {
                line["op"] = json!("join");
                line["ring"] = ring;
            }
        }
        if question != Question::Join {
            let queries = self.files.join("queries");
            write_floats(&queries, request.queries.iter().map(Vec::as_slice))?;
            line["queries"] = json!(utf8(&queries)?);
            line["count"] = json!(request.queries.len());
            line["dims"] = json!(request.queries.first().map_or(0, Vec::len));
        }
        let reply = self.ask(&line)?;
        let hits = reply["hits"].as_u64();
        let hits = hits.ok_or_else(|| format!("{}: no count of hits", self.name))?;
        Ok((self.seconds(&reply)?, hits as usize))
    }

    fn seconds(&self, reply: &Value) -> Result<f64> {
        let seconds = reply["seconds"].as_f64().filter(|seconds| *seconds >= 0.0);
        seconds.ok_or_else(|| format!("{}: no time in its reply", self.name).into())
    }

    /// One request and its reply.
    fn ask(&mut self, request: &Value) -> Result<Value> {
        let input = self.input.as_mut().ok_or("the process has ended")?;
        let sent = writeln!(input, "{request}").and_then(|()| input.flush());
        let mut line = String::new();
        if sent.is_err() || self.output.read_line(&mut line)? == 0 {
            return Err(self.obituary().into());
        }
        let reply: Value = serde_json::from_str(&line)
            .map_err(|error| format!("{}: no reply but `{}`: {error}", self.name, line.trim()))?;
        if reply["ok"] == true {
            return Ok(reply);
        }
        let error = reply["error"].as_str().unwrap_or("it does not say why");
        Err(format!("{}: {error}", self.name).into())
    }

    /// How the process ended and what it wrote last.
    fn obituary(&mut self) -> String {
        self.input = None;
        let ended = match self.child.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let errors = self.errors.take().and_then(|errors| errors.join().ok());
        let errors = String::from_utf8_lossy(&errors.unwrap_or_default()).into_owned();
        let start = errors.len().saturating_sub(LAST_WORDS);
        let start = (start..=errors.len()).find(|at| errors.is_char_boundary(*at));
        let last = errors[start.unwrap_or(0)..].trim();
        format!("{} ended with {ended}: {last}", self.name)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.input = None;
        // It may be in the middle of something long, and there is nobody to tell about a failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes rows for peers to load.
///
/// # Errors
/// When the file cannot be written.
pub fn write_rows(path: &Path, rows: Rows<'_>) -> Result<()> {
    let rows = (0..rows.len() as u32).filter_map(|id| rows.row(id));
    write_floats(path, rows).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Writes a raw file of little-endian `f32`.
fn write_floats<'a>(path: &Path, pieces: impl Iterator<Item = &'a [f32]>) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for piece in pieces {
        file.write_all(bytemuck::cast_slice(piece))?;
    }
    file.flush()
}

fn utf8(path: &Path) -> Result<&str> {
    path.to_str()
        .ok_or_else(|| format!("{}: no text", path.display()).into())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::oracle::Bounds;

    /// A peer that is a shell script.
    fn peer(script: &str, files: &Path) -> Result<Peer> {
        Peer::from_command("fake", Command::new("sh").args(["-c", script]), files)
    }

    const HELLO: &str = "read line; echo '{\"ok\":true,\"name\":\"Fake\",\"version\":\"1.2\",\
                         \"capabilities\":[\"disk\"],\"bounds\":\"strict\"}';";

    fn request() -> Request {
        Request {
            queries: vec![vec![1.0, 2.0]],
            bounds: Bounds {
                d_min: 0.0,
                d_max: 1.0,
            },
            expected: vec![vec![3]],
        }
    }

    #[test]
    fn a_peer_says_what_it_is() {
        let files = tempfile::tempdir().expect("a temporary folder");
        let peer = peer(HELLO, files.path()).expect("it says hello");
        assert_eq!((peer.name(), peer.version()), ("fake", "1.2"));
        assert_eq!(peer.describe(), "fake: Fake 1.2; bounds: strict");
        assert!(peer.can("disk") && !peer.can("ring"));
    }

    #[test]
    fn an_answer_is_read_and_counted() {
        let files = tempfile::tempdir().expect("a temporary folder");
        let search = "read line; printf '\\000\\000\\000\\000\\000\\000\\000\\000\\001\\000\\000\\000\\000\\000\\000\\000\\003\\000\\000\\000' > answer;";
        for (hits, expected) in [(1, Ok(vec![vec![3]])), (2, Err("2 hits counted, 1 ids"))] {
            let reply =
                format!("echo '{{\"ok\":true,\"seconds\":0.5,\"hits\":{hits}}}'; read line");
            let script = format!("cd {}; {HELLO}{search}{reply}", files.path().display());
            let mut peer = peer(&script, files.path()).expect("it says hello");
            match (peer.answer(&request(), Question::Ring), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, (0.5, expected)),
                (Err(found), Err(expected)) => {
                    assert!(found.to_string().contains(expected), "{found}");
                }
                (found, expected) => panic!("{found:?}, not {expected:?}"),
            }
        }
    }

    fn check_error(script: &str, expected: &str) {
        let files = tempfile::tempdir().expect("a temporary folder");
        let result = peer(script, files.path())
            .and_then(|mut peer| peer.time(&request(), Question::Ring).map(drop));
        let error = result.expect_err("it fails").to_string();
        assert!(error.contains(expected), "{script}: {error}");
    }

    #[test]
    fn a_peer_that_fails_is_named() {
        check_error(
            "echo no memory >&2; exit 3",
            "fake ended with exit status: 3: no memory",
        );
        let dies = format!("{HELLO} read line; echo gone >&2; kill -9 $$");
        check_error(&dies, "fake ended with signal: 9");
        let refuses = format!("{HELLO} read line; echo '{{\"ok\":false,\"error\":\"no rings\"}}'");
        check_error(&refuses, "fake: no rings");
        check_error("read line; echo words", "fake: no reply but `words`");
    }
}
