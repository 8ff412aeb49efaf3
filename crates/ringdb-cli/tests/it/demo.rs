//! `ringdb demo`.

use std::path::Path;

use crate::support::{Outcome, Place, command, names, outcome};

/// A run of the demo in a directory, with another for its temporary files.
fn demo(directory: &Path, temporary: &Path) -> Outcome {
    let mut demo = command(&["demo"]);
    demo.current_dir(directory);
    // By the names of several systems.
    demo.envs(["TMPDIR", "TMP", "TEMP"].map(|name| (name, temporary)));
    outcome(demo)
}

#[test]
fn the_demo_finds_what_lies_around_a_violin_from_any_directory() {
    let place = Place::new();
    let out = demo(&place.path(""), &place.path("")).done();

    let (before, disk) = out
        .split_once("Everything within 1.05 of \"violin\": 4 hits in ")
        .expect(&out);
    let (disk, ring) = disk.split_once("The ring").expect(&out);
    let words = |text: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.trim().split_once("  "));
        lines
            .map(|(distance, words)| format!("{distance} {words}"))
            .collect()
    };
    assert_eq!(
        words(disk),
        [
            "0.000000 violin, fiddle",
            "0.949053 banjo",
            "1.013206 cello, violoncello",
            "1.031791 balalaika"
        ]
    );
    for word in ["castanets", "harmonica", "clarinet"] {
        assert!(ring.contains(word), "{word} in {ring}");
    }
    assert_eq!(words(ring).len(), 7, "{ring}");
    assert!(ring.contains(": 7 hits in "), "{ring}");

    for call in [
        "let mut db = BuildOptions::new(dims).persist(dir).codec(PayloadCodec::JsonText).create::<()>()?;",
        "db.add_vector_bytes(vector, word.as_bytes())?; // for each word",
        "db.build()?;",
        "let db = RingDb::<()>::load(dir, BackendPreference::Cpu)?;",
        "let violin = db.vector(id)?;",
    ] {
        assert!(
            before.contains(&format!("    {call}\n")),
            "{call} in {before}"
        );
    }
    assert!(
        disk.contains(
            "    db.search(&violin).within(1.05).nearest_first().limit(10).distances().run()?\n"
        ),
        "{disk}"
    );
    assert!(
        ring.contains("    db.search(&violin).range(1.05..=1.15).nearest_first().limit(10).distances().run()?\n"),
        "{ring}"
    );

    assert_eq!(
        out.lines().last(),
        Some(
            "Words: WordNet 3.0, Copyright 2006 Princeton University. Vectors: all-MiniLM-L6-v2, Apache-2.0."
        )
    );
    assert!(!out.contains("folder"), "{out}");
    assert!(out.lines().count() <= 40, "{out}");
    assert!(out.lines().all(|line| line.len() <= 110), "{out}");
    assert_eq!(names(&place.path("")), [""; 0], "the demo cleans up");
}

#[test]
fn the_demo_needs_a_directory_for_temporary_files() {
    let place = Place::new();
    let outcome = demo(&place.path(""), &place.path("none"));
    assert_eq!(outcome.code, Some(1));
    let start = format!(
        "ringdb: cannot make a directory in {}: ",
        place.shown("none")
    );
    assert!(outcome.err.starts_with(&start), "{}", outcome.err);
}
