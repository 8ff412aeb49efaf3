//! `cargo xtask tidy`: the laws of the code base that a program can check.
//!
//! The checks of source text read Rust word by word and do not understand it: they catch the slip, not the trick. Every
//! one of them has a test that shows it failing.

mod files;
mod links;
mod locks;
mod names;
mod order;
mod packages;
mod source;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{self, Result, cargo};
use crate::tally::Tally;
use source::Source;

/// One breach of a law: where, and what.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    file: String,
    /// Counted from 1; 0 means the whole file.
    line: usize,
    what: String,
}

impl Finding {
    fn new(file: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.what),
            line => write!(f, "{}:{line}: {}", self.file, self.what),
        }
    }
}

/// What the checks look at.
struct Tree {
    root: PathBuf,
    /// Every file that git tracks or would track, relative to the root, with `/` between folders.
    paths: Vec<String>,
    sources: Vec<Source>,
    metadata: cargo_metadata::Metadata,
    locks: Vec<locks::Lock>,
}

type Check = fn(&Tree) -> Result<Vec<Finding>>;

const CHECKS: &[(&str, Check)] = &[
    ("crates depend downwards only", packages::edges),
    ("the two lower libraries stay small", packages::sizes),
    ("every licence is permissive", locks::licences),
    (
        "every package comes from crates.io or from here",
        locks::origins,
    ),
    ("names stay in the crates and files that own them", |tree| {
        Ok(names::bans(&tree.sources))
    }),
    ("nothing is for Windows or macOS outside one file", |tree| {
        Ok(names::platforms(&tree.sources))
    }),
    ("unsafe code stays in its files", |tree| {
        Ok(names::unsafe_code(&tree.sources))
    }),
    ("the files that these laws name are there", |tree| {
        Ok(names::absent(&tree.sources))
    }),
    ("modules use only modules listed above them", |tree| {
        Ok(order::modules(&tree.sources))
    }),
    (
        "every source file begins by saying what it is for",
        |tree| Ok(files::headers(&tree.sources)),
    ),
    ("source files are short", |tree| {
        Ok(files::lengths(&tree.sources))
    }),
    (
        "no text names a folder of somebody's machine",
        files::machine_paths,
    ),
    ("no file is large", files::weights),
    ("lock files are tracked", files::lock_files),
    ("lock files fit their manifests", locks::stale),
    ("links lead to files that are there", links::broken),
];

/// Runs and prints every check; each counts as one test.
pub(crate) fn task(tally: &mut Tally) -> Result<()> {
    let tree = gather()?;
    let mut failed = 0;
    for (name, check) in CHECKS {
        let findings = check(&tree)?;
        println!(
            "{} {name}",
            if findings.is_empty() {
                "ok    "
            } else {
                "FAILED"
            }
        );
        for finding in &findings {
            println!("         {finding}");
        }
        tally.check(findings.is_empty());
        failed += usize::from(!findings.is_empty());
    }
    println!("tidy: {} checks, {failed} failed", CHECKS.len());
    Ok(())
}

fn gather() -> Result<Tree> {
    let root = run::root();
    let mut list = Command::new("git");
    list.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ])
    .current_dir(&root);
    let mut paths: Vec<String> = String::from_utf8(run::output(&mut list)?)?
        .split('\0')
        // A tracked file may have been deleted since.
        .filter(|path| !path.is_empty() && root.join(path).is_file())
        .map(str::to_owned)
        .collect();
    paths.sort_unstable();
    let sources = read_sources(&root, &paths)?;
    let metadata = String::from_utf8(run::output(&mut cargo(
        "metadata --locked --format-version 1",
    ))?)?;
    let metadata = cargo_metadata::MetadataCommand::parse(metadata)?;
    let locks = locks::read(&root);
    Ok(Tree {
        root,
        paths,
        sources,
        metadata,
        locks,
    })
}

fn read_sources(root: &Path, paths: &[String]) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for path in paths.iter().filter(|path| path.ends_with(".rs")) {
        let text =
            std::fs::read_to_string(root.join(path)).map_err(|error| format!("{path}: {error}"))?;
        sources.push(Source::new(path, &text));
    }
    source::mark_test_files(&mut sources);
    Ok(sources)
}
