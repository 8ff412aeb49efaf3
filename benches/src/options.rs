//! What the command line says to a bench of cases.

use std::path::PathBuf;

use crate::oracle::RingKind;
use crate::peers::{self, Result};

/// The options that every bench of cases has.
#[derive(Debug)]
pub struct Options {
    with_peers: bool,
    /// Whether the cases, peers and lines are those of docs/BENCHMARKS.md.
    pub for_page: bool,
    /// Where data lie that are not in this repository.
    pub folder: Option<PathBuf>,
    scale: f64,
    case: Option<String>,
    /// A part of what the table of a ring is called.
    ring: Option<String>,
    only: Vec<String>,
    /// How often everything is measured.
    pub runs: Option<usize>,
    /// Threads of both sides.
    pub threads: Option<usize>,
}

impl Options {
    /// Reads the command line of the bench of this name.
    ///
    /// # Errors
    /// When a value is missing or of another form, or names no peer.
    pub fn read(bench: &str) -> Result<Self> {
        Self::parse(bench, lexopt::Parser::from_env())
    }

    fn parse(bench: &str, mut args: lexopt::Parser) -> Result<Self> {
        use lexopt::prelude::*;
        let mut options = Self {
            with_peers: false,
            for_page: false,
            folder: None,
            scale: 1.0,
            case: None,
            ring: None,
            only: Vec::new(),
            runs: None,
            threads: None,
        };
        while let Some(arg) = args.next()? {
            match arg {
                // What cargo says to every bench.
                Long("bench") => {}
                Long("peers") => options.with_peers = true,
                Long("page") => options.for_page = true,
                Long("data") => options.folder = Some(args.value()?.into()),
                Long("scale") => options.scale = args.value()?.parse()?,
                Long("case") => options.case = Some(args.value()?.string()?),
                Long("ring") => options.ring = Some(args.value()?.string()?),
                Long("peer") => {
                    let name = args.value()?.string()?;
                    if !peers::names().any(|known| known == name) {
                        let known: Vec<&str> = peers::names().collect();
                        return Err(format!("no peer {name} among {}", known.join(", ")).into());
                    }
                    options.with_peers = true;
                    options.only.push(name);
                }
                Long("runs") => options.runs = Some(args.value()?.parse()?),
                Long("threads") => options.threads = Some(args.value()?.parse()?),
                // With all benches at once they are Criterion's.
                Long(other) => eprintln!("{bench}: ignores --{other}"),
                _ => {}
            }
        }
        let positive = options.scale > 0.0 && options.runs != Some(0) && options.threads != Some(0);
        if positive {
            Ok(options)
        } else {
            Err("--scale, --runs and --threads are positive".into())
        }
    }

    /// So many rows by the scale, and at least one.
    #[must_use]
    pub fn rows(&self, all: usize) -> usize {
        ((all as f64 * self.scale) as usize).max(1)
    }

    /// Whether a case of this name is asked for.
    #[must_use]
    pub fn is_of_case(&self, name: &str) -> bool {
        name.contains(self.case.as_deref().unwrap_or_default())
    }

    /// Whether rings of this kind are asked for.
    #[must_use]
    pub fn is_of_ring(&self, kind: RingKind) -> bool {
        let word = self.ring.as_deref().unwrap_or_default();
        kind.describe().contains(word)
    }

    /// The peers that a case is run against: those that are named, or those that the page shows beside it, or, with
    /// `--peers`, all that it has.
    #[must_use]
    pub fn peers<'a>(&'a self, all: &[&'a str], page: Option<&[&'a str]>) -> Vec<&'a str> {
        let shown = page.filter(|_| self.for_page);
        match (shown, self.with_peers, self.only.is_empty()) {
            (Some(shown), _, true) => shown.to_vec(),
            (None, false, _) => Vec::new(),
            (None, true, true) => all.to_vec(),
            (_, _, false) => self.only.iter().map(String::as_str).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options> {
        Options::parse("any", lexopt::Parser::from_args(args))
    }

    fn check_peers(args: &[&str], expected: &[&str]) {
        let options = parse(args).expect("known options");
        let found = options.peers(&["kiddo", "scipy"], Some(&["scipy"]));
        assert_eq!(found, expected, "{args:?}");
    }

    #[test]
    fn peers_are_those_asked_for() {
        check_peers(&[], &[]);
        check_peers(&["--peers"], &["kiddo", "scipy"]);
        check_peers(&["--page"], &["scipy"]);
        check_peers(&["--peer", "faiss"], &["faiss"]);
        check_peers(&["--page", "--peer", "faiss"], &["faiss"]);
    }

    #[test]
    fn a_scale_leaves_a_row_at_least() {
        let options = parse(&["--scale", "0.01"]).expect("known options");
        assert_eq!((options.rows(1000), options.rows(3)), (10, 1));
    }

    fn check_error(args: &[&str], expected: &str) {
        let error = parse(args).expect_err("nothing to run with").to_string();
        assert!(error.contains(expected), "{args:?}: {error}");
    }

    #[test]
    fn what_cannot_be_run_is_named() {
        check_error(
            &["--peer", "nobody"],
            "no peer nobody among ring-db-0.3.0, ",
        );
        check_error(&["--runs", "many"], "many");
        for option in ["--runs", "--threads", "--scale"] {
            check_error(&[option, "0"], "are positive");
        }
    }
}
