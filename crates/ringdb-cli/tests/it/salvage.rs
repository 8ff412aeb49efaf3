//! `ringdb salvage`: a new database and a list, or neither.

use std::fs;
use std::path::Path;

use crate::support::{FIVE, Place, names};

/// A bit of the database `db` changes.
fn flip(place: &Place, name: &str, at: usize) {
    let path = place.path("db").join(name);
    let mut bytes = fs::read(&path).expect("it is there");
    bytes[at] ^= 1;
    fs::write(&path, bytes).expect("it is writable");
}

fn list(place: &Place, out: &str) -> String {
    fs::read_to_string(place.path(out).join("salvaged.csv")).expect("it is there")
}

/// All files below a directory and their bytes.
fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for name in names(dir) {
        let path = dir.join(&name);
        match path.is_dir() {
            true => all.extend(contents(&path)),
            false => all.push((name, fs::read(path).expect("it is readable"))),
        }
    }
    all
}

#[test]
fn a_whole_database_comes_out_whole() {
    let place = Place::with_database();
    let before = contents(&place.path("db"));
    let out = place.run("salvage @db @deep/new").done();
    let expected = format!(
        "{}: 5 vectors kept, 0 lost; salvaged.csv in it lists them\n",
        place.shown("deep/new")
    );
    assert_eq!(out, expected);
    let expected = "old id,new id,reason\n0,0,\n1,1,\n2,2,\n3,3,\n4,4,\n";
    assert_eq!(list(&place, "deep/new"), expected);
    let ask = |db: &str| {
        place
            .run(&format!("query @{db} --id 0 --range .. --json"))
            .done()
    };
    assert_eq!(ask("deep/new"), ask("db"));
    assert!(ask("db").contains(FIVE.lines().next().expect("a line")));
    assert_eq!(
        names(&place.path("deep/new")),
        ["LOCK", "MANIFEST", "salvaged.csv", "segment-000001"]
    );
    assert_eq!(contents(&place.path("db")), before);
}

#[test]
fn what_is_lost_is_listed_with_a_reason() {
    let place = Place::with_database();
    // In the payloads of 0 and 3.
    flip(&place, "segment-000001/payloads.bin", 64);
    let path = place.path("db/segment-000001/payloads.bin");
    let bytes = fs::read(path).expect("it is there");
    let null = bytes.windows(4).position(|word| word == b"null");
    flip(
        &place,
        "segment-000001/payloads.bin",
        null.expect("it is there"),
    );
    let before = contents(&place.path("db"));

    let out = place.run("salvage @db @new").done();
    let expected = format!(
        "{}: 3 vectors kept, 2 lost; salvaged.csv in it lists them\n",
        place.shown("new")
    );
    assert_eq!(out, expected);
    let expected = "old id,new id,reason\n\
         0,,payload damaged\n1,0,\n2,1,\n3,,payload damaged\n4,2,\n";
    assert_eq!(list(&place, "new"), expected);
    let info = place.run("info @new").done();
    assert!(info.starts_with("vectors   3\ndims      2\n"), "{info}");
    assert!(info.contains("payloads  json-text\n"), "{info}");
    assert!(place.run("verify @new").done().contains("3 payloads"));

    let out = place.run("salvage @db @kept --keep-vectors").done();
    assert!(
        out.contains(": 5 vectors kept, 2 of them without a payload, 0 lost; "),
        "{out}"
    );
    let expected = "old id,new id,reason\n\
         0,0,payload damaged\n1,1,\n2,2,\n3,3,payload damaged\n4,4,\n";
    assert_eq!(list(&place, "kept"), expected);
    // What stands for a lost payload is JSON like the others.
    let hits = place.run("query @kept --id 0 --range .. --json").done();
    let first = "{\"id\":0,\"distance\":0.0,\"payload\":null}";
    assert_eq!(hits.lines().next(), Some(first));
    assert_eq!(contents(&place.path("db")), before);
}

#[test]
fn nothing_whole_is_a_failure_that_says_why_and_leaves_nothing() {
    let place = Place::with_database();
    let (before, db) = (names(&place.path("")), place.shown("db"));
    let refused = |why: &str| {
        let text = place.run("salvage @db @deep/new").failed();
        let expected = format!("cannot salvage {db}: none of 5 vectors can be kept: {why}");
        assert_eq!(text, expected);
        assert_eq!(names(&place.path("")), before);
    };
    fs::remove_file(place.path("db/segment-000001/payloads.bin")).expect("it is there");
    refused("payload missing (5); --keep-vectors keeps 5 of them, without payloads");
    let out = place.run("salvage @db @kept --keep-vectors").done();
    assert!(out.contains(": 5 vectors kept, 5 of them "), "{out}");
    fs::remove_dir_all(place.path("kept")).expect("it is there");
    flip(&place, "segment-000001/vectors.bin", 64);
    refused("vector damaged (5)");
    let text = place.run("salvage @db @deep/new --keep-vectors").failed();
    assert!(text.ends_with("can be kept: vector damaged (5)"), "{text}");
    assert_eq!(names(&place.path("")), before);
}

#[test]
fn a_manifest_of_another_database_is_told_of() {
    let place = Place::with_database();
    place.run("build @other --vectors @five.npy").done();
    fs::copy(place.path("other/MANIFEST"), place.path("db/MANIFEST")).expect("it is there");
    let out = place.run("salvage @db @new").done();
    let expected = format!(
        "{}: 5 vectors kept, 0 lost; salvaged.csv in it lists them\n\
         MANIFEST in {} is not of the files beside it; they were taken as they fit each other\n",
        place.shown("new"),
        place.shown("db")
    );
    assert_eq!(out, expected);
}

#[test]
fn a_database_without_vectors_comes_out_so_with_a_list() {
    let place = Place::new();
    place.npy("none.npy", &[0, 3], &[0.0_f32; 0]);
    place.run("build @none --vectors @none.npy").done();
    place.run("salvage @none @nothing").done();
    assert_eq!(list(&place, "nothing"), "old id,new id,reason\n");
    assert!(
        place
            .run("info @nothing")
            .done()
            .contains("payloads  none\n")
    );
}

#[test]
fn more_rows_than_a_buffer_holds_are_listed() {
    let place = Place::new();
    place.npy("v.npy", &[30_000, 1], &[0.5_f32; 30_000]);
    place.run("build @db --vectors @v.npy").done();
    place.run("salvage @db @new").done();
    let rows = (0..30_000).map(|id| format!("{id},{id},\n"));
    let expected = "old id,new id,reason\n".to_string() + &rows.collect::<String>();
    assert_eq!(list(&place, "new"), expected);
}

#[test]
fn what_is_in_the_way_stays_as_it_is() {
    let place = Place::with_database();
    place.run("build @other --vectors @five.npy").done();
    fs::create_dir(place.path("mine")).expect("the directory is writable");
    place.write("mine/salvaged.csv", "mine");
    place.write("file", "mine");
    let (db, mine) = (place.shown("db"), place.shown("mine/salvaged.csv"));
    let before = contents(&place.path(""));
    for (out, why) in [
        ("@mine", format!("{mine} exists already")),
        ("@other", format!("{} exists already", place.shown("other"))),
        ("@db", format!("{db} exists already")),
    ] {
        let text = place.run(&format!("salvage @db {out}")).failed();
        assert_eq!(text, format!("cannot salvage {db}: {why}"));
    }
    let file = place.run("salvage @db @file").failed();
    assert!(file.starts_with("cannot "), "{file}");
    assert_eq!(contents(&place.path("")), before);

    // Into a directory with other things in it.
    fs::remove_file(place.path("mine/salvaged.csv")).expect("it is there");
    place.write("mine/notes", "mine");
    place.run("salvage @db @mine").done();
    let all = [
        "LOCK",
        "MANIFEST",
        "notes",
        "salvaged.csv",
        "segment-000001",
    ];
    assert_eq!(names(&place.path("mine")), all);
}

#[test]
fn what_cannot_be_salvaged_leaves_nothing() {
    let place = Place::with_database();
    let before = names(&place.path(""));
    let missing = place.run("salvage @none @deep/new").failed();
    let start = format!("cannot open {}: ", place.shown("none"));
    assert!(missing.starts_with(&start), "{missing}");
    fs::create_dir(place.path("db/empty")).expect("the directory is writable");
    let empty = place.shown("db/empty");
    assert_eq!(
        place.run("salvage @db/empty @deep/new").failed(),
        format!("cannot salvage {empty}: {empty} is not a database: it has no MANIFEST")
    );
    fs::remove_dir(place.path("db/empty")).expect("it is there");
    for name in ["MANIFEST", "segment-000001/vectors.bin"] {
        fs::remove_file(place.path("db").join(name)).expect("it is there");
    }
    let db = place.shown("db");
    let text = place.run("salvage @db @deep/new").failed();
    assert_eq!(
        text,
        format!(
            "cannot salvage {db}: corrupt database: {db}/MANIFEST at byte 0: \
             nothing whole tells the number of dims"
        )
    );
    assert_eq!(names(&place.path("")), before);
}

/// A limit on the length of files stands for a disk that fills up while the list is written.
#[cfg(target_os = "linux")]
#[test]
fn a_salvage_that_fails_half_way_leaves_nothing() {
    let place = Place::new();
    // The list is written as it grows, the files of the database from 1 MiB on or at the end.
    place.npy("v.npy", &[40_000, 1], &[0.5_f32; 40_000]);
    place.run("build @db --vectors @v.npy").done();
    let before = names(&place.path(""));
    let mut shell = std::process::Command::new("sh");
    let program = env!("CARGO_BIN_EXE_ringdb");
    let (db, new) = (place.shown("db"), place.shown("deep/new"));
    // In units of 512 bytes; writing past it is an error once its signal is ignored.
    let line = "trap '' XFSZ; ulimit -f 400; exec \"$0\" salvage \"$1\" \"$2\"";
    shell.args(["-c", line, program, &db, &new]);
    let outcome = crate::support::outcome(shell);
    let text = outcome.failed();
    let start = format!("cannot write {new}/salvaged.csv: ");
    assert!(text.starts_with(&start), "{text}");
    assert_eq!(names(&place.path("")), before);
}
