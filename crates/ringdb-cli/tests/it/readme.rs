//! The README's commands and its session with places, run as they stand there.

use std::fs;
use std::path::Path;

use crate::support::{Place, command};

const PROMPT: &str = "$ ringdb ";

/// The commands of a block of text and what the block shows behind each.
fn session(readme: &str) -> Vec<(&str, String)> {
    let blocks = readme.split("```text\n").skip(1);
    let block = blocks
        .filter_map(|block| block.split("```").next())
        .find(|block| block.contains(PROMPT))
        .expect("the README has a session");
    let runs = block.split(PROMPT).skip(1).map(|run| {
        let (line, output) = run.split_once('\n').expect("a command is a line");
        (line, output.trim_end().to_owned() + "\n")
    });
    runs.collect()
}

/// The README, and a place with what the program's demo is made of.
fn start() -> (String, Place) {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(package.join("../../README.md")).expect("it is there");
    let place = Place::new();
    for name in ["places.csv", "words-384-f16.npy", "words.jsonl"] {
        let bytes = fs::read(package.join("demo").join(name)).expect("it is there");
        place.write(name, bytes);
    }
    // A checkout for Windows may end its lines in its own way.
    (readme.replace("\r\n", "\n"), place)
}

#[test]
fn every_command_of_the_readme_is_done() {
    let (readme, place) = start();
    let commands = readme
        .lines()
        .filter_map(|line| line.strip_prefix("ringdb "));
    let mut subcommands = Vec::new();
    for line in commands {
        let words = shlex::split(line).expect("quotes are closed");
        let found = place.run_within(command(&words)).done();
        assert!(!found.is_empty(), "{line}");
        subcommands.extend(words.into_iter().next());
    }
    for name in ["build", "count", "sample", "knn", "profile", "salvage"] {
        assert!(subcommands.iter().any(|it| it == name), "{name}");
    }
    assert!(subcommands.len() >= 14, "{subcommands:?}");
}

#[test]
fn the_session_with_places_goes_as_the_readme_says() {
    let (readme, place) = start();
    let session = session(&readme);
    for (line, expected) in &session {
        let words = shlex::split(line).expect("quotes are closed");
        let found = place.run_within(command(&words)).done();
        assert_eq!(found, *expected, "{line}");
    }
    let subcommands: Vec<&str> = session
        .iter()
        .filter_map(|(line, _)| line.split(' ').next())
        .collect();
    assert_eq!(subcommands, ["build", "query", "query"]);
}
