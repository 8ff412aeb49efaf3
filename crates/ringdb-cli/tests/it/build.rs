//! `ringdb build` and `ringdb info` on files that are in order.

use half::f16;

use crate::support::{FIVE, Place, command, names, outcome};

#[test]
fn f32_with_payloads_is_built_and_told_about() {
    let place = Place::with_database();
    let again = place
        .run("build @other --vectors @five.npy --payloads @five.jsonl")
        .done();
    let expected = format!(
        "{}: 5 vectors of 2 dims, each with a JSON payload\n",
        place.shown("other")
    );
    assert_eq!(again, expected);

    let info = place.run("info @db").done();
    for line in [
        "vectors   5\n",
        "dims      2\n",
        "metric    euclidean\n",
        "payloads  json-text\n",
    ] {
        assert!(info.contains(line), "{line} in {info}");
    }
    let payloads =
        std::fs::metadata(place.path("db/segment-000001/payloads.bin")).expect("it is there");
    let line = format!("{}  segment-000001/payloads.bin\n", payloads.len());
    assert!(info.contains(&line), "{line} in {info}");
}

#[test]
fn one_of_a_thing_is_no_plural() {
    let place = Place::new();
    place.npy("one.npy", &[1, 1], &[0.5_f32]);
    let out = place.run("build @db --vectors @one.npy").done();
    let db = place.shown("db");
    assert_eq!(out, format!("{db}: 1 vector of 1 dim, without payloads\n"));
    assert_eq!(
        place.run("query @db --id 1 --within 0").failed(),
        format!("cannot query {db}: id 1 is out of range: the database has 1 vector")
    );
}

#[test]
fn f16_is_widened_exactly_and_needs_no_payloads() {
    let place = Place::new();
    let numbers = [0.1, 65504.0, -6e-8, 1.0].map(f16::from_f32);
    place.npy("half.npy", &[2, 2], &numbers);
    let out = place.run("build @db --vectors @half.npy").done();
    assert_eq!(
        out,
        format!(
            "{}: 2 vectors of 2 dims, without payloads\n",
            place.shown("db")
        )
    );

    let db = ringdb::RingDb::<()>::load(&place.path("db"), ringdb::BackendPreference::Cpu)
        .expect("built");
    assert_eq!(*db.vector(0).expect("row 0"), [0.099_975_586, 65504.0]);
    assert_eq!(*db.vector(1).expect("row 1"), [-5.960_464_5e-8, 1.0]);

    // Nothing is missed where there are no payloads, and nothing is said about them.
    let out = place.run("query @db --id 0 --within 1").done();
    assert_eq!(
        out,
        "id      distance\n 0      0.000000\n1 hit, all shown\n"
    );
    let info = place.run("info @db").done();
    assert!(info.contains("payloads  none\n"), "{info}");
}

/// Builds with these payload lines and compares what `query --json` prints of each.
fn check_payloads(lines: &str, expected: &[&str]) {
    let place = Place::new();
    let numbers = vec![0.0_f32; expected.len()];
    place.npy("v.npy", &[expected.len() as u64, 1], &numbers);
    place.write("p.jsonl", lines);
    place
        .run("build @db --vectors @v.npy --payloads @p.jsonl")
        .done();
    let out = place.run("query @db --id 0 --within 0 --json").done();
    let rows = expected.iter().enumerate();
    let rows =
        rows.map(|(id, json)| format!("{{\"id\":{id},\"distance\":0.0,\"payload\":{json}}}\n"));
    let n = expected.len();
    let sum = format!("{{\"total\":{n},\"shown\":{n},\"truncated\":false}}\n");
    assert_eq!(out, rows.collect::<String>() + &sum, "{lines:?}");
}

#[test]
fn payloads_are_kept_byte_for_byte() {
    let kept: Vec<&str> = FIVE.lines().collect();
    check_payloads(FIVE, &kept);
    check_payloads(&FIVE.replace('\n', "\r\n"), &kept);
    check_payloads(FIVE.trim_end(), &kept);
}

#[test]
fn a_blank_last_line_is_no_payload() {
    check_payloads("1\n2\n\n", &["1", "2"]);
    check_payloads("1\r\n2\r\n\r\n", &["1", "2"]);
    check_payloads("1\n2\n  ", &["1", "2"]);
}

#[test]
fn arrays_with_one_row_or_none_are_built() {
    let place = Place::new();
    place.npy("none.npy", &[0, 3], &[0.0_f32; 0]);
    place.write("none.jsonl", "");
    place
        .run("build @none --vectors @none.npy --payloads @none.jsonl")
        .done();
    let out = place.run("query @none --vector [1,2,3] --range ..").done();
    assert_eq!(out, "0 hits, all shown\n");
    // The order of a single row makes no difference.
    place.write(
        "one.npy",
        crate::support::npy(&[1, 3], npyz::Order::Fortran, &[1.0_f32, 2.0, 3.0]),
    );
    place.run("build @one --vectors @one.npy").done();
    let out = place.run("query @one --vector [1,2,3] --within 0").done();
    assert_eq!(
        out,
        "id      distance\n 0      0.000000\n1 hit, all shown\n"
    );
}

#[test]
fn a_database_is_replaced_only_when_told_to() {
    let place = Place::with_database();
    place.npy("one.npy", &[1, 3], &[1.0_f32, 2.0, 3.0]);
    let text = place.run("build @db --vectors @one.npy").failed();
    let db = place.shown("db");
    assert_eq!(
        text,
        format!("cannot build {db}: it exists already, --replace builds it anew")
    );
    // However the directory is named.
    let mut build = command(&["build", "db/", "--vectors", "one.npy"]);
    build.current_dir(place.path(""));
    assert_eq!(
        outcome(build).failed(),
        "cannot build db/: it exists already, --replace builds it anew"
    );
    assert!(place.run("info @db").done().starts_with("vectors   5\n"));

    place.run("build @db --vectors @one.npy --replace").done();
    assert!(
        place
            .run("info @db")
            .done()
            .starts_with("vectors   1\ndims      3\n")
    );
}

#[test]
fn what_replace_does_not_help_against_is_said_without_it() {
    let place = Place::new();
    place.npy("one.npy", &[1, 1], &[0.0_f32]);
    std::fs::create_dir(place.path("mine")).expect("the directory is writable");
    place.write("mine/LOCK", "of another program");
    let (mine, lock) = (place.shown("mine"), place.shown("mine/LOCK"));
    for line in ["", "--replace"] {
        let text = place.run(&format!("build @mine --vectors @one.npy {line}"));
        assert_eq!(
            text.failed(),
            format!("cannot build {mine}: {lock} exists already")
        );
    }
}

#[test]
fn a_directory_in_which_another_builds_is_left_to_it() {
    let place = Place::with_database();
    let options = ringdb::BuildOptions::new(1).persist(place.path("new"));
    let mut other = options.create::<()>().expect("the directory is writable");
    other.add_vector(&[1.0], ()).expect("it is a vector");

    let text = place.run("build @new --vectors @five.npy").failed();
    let (new, pid) = (place.shown("new"), std::process::id());
    assert_eq!(
        text,
        format!("cannot build {new}: {new} is locked by another writer (process {pid})")
    );
    other.build().expect("nobody was in the way");
    assert!(place.run("info @new").done().starts_with("vectors   1\n"));
}

#[test]
fn a_failed_build_leaves_the_directory_as_it_was() {
    let place = Place::with_database();
    let before = names(&place.path("db"));
    place.npy("nan.npy", &[2, 1], &[0.0_f32, f32::NAN]);
    place.run("build @db --vectors @nan.npy --replace").failed();
    assert_eq!(names(&place.path("db")), before);
    assert!(place.run("info @db").done().starts_with("vectors   5\n"));

    let before = names(&place.path(""));
    place.run("build @new --vectors @nan.npy").failed();
    place.run("build @deep/er/new --vectors @nan.npy").failed();
    assert_eq!(names(&place.path("")), before);

    // A directory of somebody else stays, with what is in it.
    std::fs::create_dir(place.path("mine")).expect("the directory is writable");
    place.write("mine/notes", "x");
    place.run("build @mine/db --vectors @nan.npy").failed();
    assert_eq!(names(&place.path("mine")), ["notes"]);
}
