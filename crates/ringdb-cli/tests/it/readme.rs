//! The README's session with places, run as it stands there.

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

#[test]
fn the_session_with_places_goes_as_the_readme_says() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(package.join("../../README.md")).expect("it is there");
    // A checkout for Windows may end its lines in its own way.
    let readme = readme.replace("\r\n", "\n");
    let place = Place::new();
    let csv = fs::read(package.join("demo/places.csv")).expect("it is there");
    place.write("places.csv", csv);

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
