//! `ringdb query`: which hits, in which order, and what is wrong usage.

use crate::support::{Outcome, Place, command, outcome};

/// The ids that a query of the five vectors finds, in the order shown.
#[track_caller]
fn check_ids(args: &[&str], expected: &[u32]) {
    let out = ask(args).done();
    let lines: Vec<&str> = out.lines().collect();
    let (sum, hits) = lines.split_last().expect("the sum is always told");
    let ids: Vec<u32> = hits
        .iter()
        .map(|line| {
            let id = line
                .strip_prefix("{\"id\":")
                .and_then(|rest| rest.split_once(','));
            id.and_then(|(id, _)| id.parse().ok()).expect(line)
        })
        .collect();
    assert_eq!(ids, expected, "{args:?}");
    assert!(sum.contains(&format!("\"shown\":{},", ids.len())), "{sum}");
}

fn ask(args: &[&str]) -> Outcome {
    let place = Place::with_database();
    let mut words = place.args("query @db --json");
    words.extend(args.iter().map(|word| (*word).to_owned()));
    outcome(command(&words))
}

#[test]
fn every_way_to_write_a_range() {
    // From the first vector the distances are 0, 5, 10, 0 and 50.
    for (range, expected) in [
        ("[5, 10]", [1, 2].as_slice()),
        ("(5, 10]", &[2]),
        ("[5, 10)", &[1]),
        ("(5, 10)", &[]),
        ("(4.999999999999999, 5.000000000000001)", &[1]),
        ("5..", &[1, 2, 4]),
        ("5..10", &[1]),
        ("5..=10", &[1, 2]),
        ("..=5", &[0, 1, 3]),
        ("..5", &[0, 3]),
        ("(0, inf]", &[1, 2, 4]),
        ("[10, inf)", &[2, 4]),
        ("..", &[0, 1, 2, 3, 4]),
        ("-0.0..=0", &[0, 3]),
    ] {
        check_ids(&["--id", "0", "--range", range], expected);
    }
}

#[test]
fn rings_and_disks_include_their_bounds() {
    check_ids(&["--id", "0", "--ring", "7.5", "2.5"], &[1, 2]);
    check_ids(&["--id", "0", "--ring", "1", "4"], &[0, 1, 3]);
    check_ids(&["--id", "0", "--ring", "1", "inf"], &[0, 1, 2, 3, 4]);
    check_ids(&["--id", "0", "--within", "5"], &[0, 1, 3]);
    check_ids(&["--id", "0", "--within", "0"], &[0, 3]);
    check_ids(&["--id", "1", "--within", "0"], &[1]);
}

#[test]
fn a_vector_can_be_given() {
    check_ids(&["--vector", "[30, 40]", "--within", "0"], &[4]);
    check_ids(&["--vector", "[-3,-4]", "--ring", "5", "0"], &[0, 3]);
}

#[test]
fn not_self_leaves_out_one_row_and_no_twin() {
    check_ids(&["--id", "0", "--within", "5", "--not-self"], &[1, 3]);
    check_ids(&["--id", "3", "--within", "5", "--not-self"], &[0, 1]);
    check_ids(&["--id", "0", "--range", "(0, 5]", "--not-self"], &[1]);
}

#[test]
fn the_nearest_come_first_when_asked_for_and_equals_by_id() {
    let near = ["--vector", "[6, 8]", "--range", ".."];
    check_ids(&near, &[0, 1, 2, 3, 4]);
    check_ids(&[&near[..], &["--sort", "id"]].concat(), &[0, 1, 2, 3, 4]);
    check_ids(
        &[&near[..], &["--sort", "distance"]].concat(),
        &[2, 1, 0, 3, 4],
    );
    check_ids(
        &[&near[..], &["--sort", "distance", "--limit", "3"]].concat(),
        &[2, 1, 0],
    );
    check_ids(&[&near[..], &["--limit", "3"]].concat(), &[0, 1, 2]);
}

#[test]
fn a_limit_cuts_what_is_shown_and_not_what_is_told() {
    let sum = |limit: &str| {
        let args = [
            "--id",
            "0",
            "--range",
            "(0, 10]",
            "--not-self",
            "--limit",
            limit,
        ];
        ask(&args).done().lines().last().map(str::to_owned)
    };
    let expected = |text: &str| Some(text.to_owned());
    assert_eq!(
        sum("0"),
        expected("{\"total\":2,\"shown\":0,\"truncated\":true}")
    );
    assert_eq!(
        sum("1"),
        expected("{\"total\":2,\"shown\":1,\"truncated\":true}")
    );
    assert_eq!(
        sum("2"),
        expected("{\"total\":2,\"shown\":2,\"truncated\":false}")
    );
    assert_eq!(
        sum("9"),
        expected("{\"total\":2,\"shown\":2,\"truncated\":false}")
    );
}

#[test]
fn a_file_of_vectors_is_one_query_each() {
    let place = Place::with_database();
    place.npy("q.npy", &[2, 2], &[30.0_f32, 40.0, 0.0, 0.0]);
    let out = place
        .run("query @db --vectors @q.npy --within 5 --limit 2 --json")
        .done();
    assert_eq!(
        out,
        "{\"query\":0,\"id\":4,\"distance\":0.0,\"payload\":{\"a\":1,\"a\":2}}\n\
         {\"query\":0,\"total\":1,\"shown\":1,\"truncated\":false}\n\
         {\"query\":1,\"id\":0,\"distance\":0.0,\"payload\":{\"b\": 1,  \"a\":1.50}}\n\
         {\"query\":1,\"id\":1,\"distance\":5.0,\"payload\":\"\\u00e9 \u{e9}\"}\n\
         {\"query\":1,\"total\":3,\"shown\":2,\"truncated\":true}\n"
    );
    let out = place
        .run("query @db --vectors @q.npy --within 5 --limit 2")
        .done();
    assert_eq!(
        out,
        "query 0\n\
         id      distance  payload\n\
         \u{20}4      0.000000  {\"a\":1,\"a\":2}\n\
         1 hit, all shown\n\
         query 1\n\
         id      distance  payload\n\
         \u{20}0      0.000000  {\"b\": 1,  \"a\":1.50}\n\
         \u{20}1      5.000000  \"\\u00e9 \u{e9}\"\n\
         3 hits, cut to 2 by --limit\n"
    );
}

#[test]
fn bad_queries_in_a_file_are_named_by_row() {
    let place = Place::with_database();
    let file = place.shown("q.npy");
    place.npy("q.npy", &[1, 2], &[0.0, f32::NAN]);
    let text = place.run("query @db --vectors @q.npy --within 5").failed();
    assert_eq!(
        text,
        format!("{file} row 0: coordinate 1 is NaN, coordinates must be finite")
    );
    place.npy("q.npy", &[4], &[0.0_f32; 4]);
    let text = place.run("query @db --vectors @q.npy --within 5").failed();
    assert!(
        text.starts_with(&format!("cannot use {file}: its shape is [4]")),
        "{text}"
    );
}

#[test]
fn a_file_of_vectors_has_the_dims_of_the_database() {
    let place = Place::with_database();
    let expected = format!(
        "{} has 3 dims, but {} has 2",
        place.shown("q.npy"),
        place.shown("db")
    );
    for rows in [0, 1, 2] {
        place.npy("q.npy", &[rows, 3], &vec![0.0_f32; 3 * rows as usize]);
        for line in ["", "--json"] {
            let query = format!("query @db --vectors @q.npy --within 5 {line}");
            assert_eq!(place.run(&query).failed(), expected);
        }
    }
}

#[test]
fn a_file_without_rows_asks_nothing() {
    let place = Place::with_database();
    place.npy("q.npy", &[0, 2], &[0.0_f32; 0]);
    let query = "query @db --vectors @q.npy --within 5";
    assert_eq!(place.run(query).done(), "0 queries\n");
    assert_eq!(place.run(&format!("{query} --json")).done(), "");
}

#[test]
fn distances_read_back_as_the_same_number() {
    let place = Place::new();
    let numbers = [0.1_f32, 1e-30, 3e38, 0.0];
    place.npy("v.npy", &[4, 1], &numbers);
    place.run("build @db --vectors @v.npy").done();
    let out = place.run("query @db --vector [0] --range .. --json").done();
    for (id, number) in numbers.iter().enumerate() {
        let line = format!("{{\"id\":{id},\"distance\":{:?}}}\n", f64::from(*number));
        assert!(out.contains(&line), "{line} in {out}");
    }
    let out = place.run("query @db --vector [0] --range ..").done();
    assert_eq!(
        out,
        "id      distance\n\
         \u{20}0      0.100000\n\
         \u{20}1  1.000000e-30\n\
         \u{20}2   3.000000e38\n\
         \u{20}3      0.000000\n\
         4 hits, all shown\n"
    );
}

/// The message of a query that the database cannot answer.
#[track_caller]
fn check_failed(args: &str, expected: &str) {
    let place = Place::with_database();
    let text = place.run(&format!("query @db {args} --within 1")).failed();
    assert_eq!(
        text,
        format!("cannot query {}: {expected}", place.shown("db"))
    );
}

#[test]
fn what_does_not_fit_the_database() {
    check_failed("--id 5", "id 5 is out of range: the database has 5 vectors");
    check_failed(
        "--id 4294967295",
        "id 4294967295 is out of range: the database has 5 vectors",
    );
    check_failed("--vector [1,2,3]", "dimension mismatch: expected 2, got 3");
    check_failed("--vector []", "dimension mismatch: expected 2, got 0");
    check_failed(
        "--vector [1,NaN]",
        "coordinate 1 is NaN, coordinates must be finite",
    );
    check_failed(
        "--vector [-inf,1]",
        "coordinate 0 is -inf, coordinates must be finite",
    );
}

#[test]
fn what_is_no_database() {
    let place = Place::with_database();
    for line in ["query @none --id 0 --within 1", "info @none"] {
        let text = place.run(line).failed();
        let start = format!("cannot open {}: ", place.shown("none"));
        assert!(text.starts_with(&start), "{text}");
        assert_eq!(text.matches("cannot").count(), 1, "told once: {text}");
        assert_eq!(text.matches("os error").count(), 1, "told once: {text}");
    }
    std::fs::create_dir(place.path("empty")).expect("the directory is writable");
    let text = place.run("info @empty").failed();
    let empty = place.shown("empty");
    assert_eq!(
        text,
        format!("cannot open {empty}: {empty} is not a database: it has no MANIFEST")
    );

    let file = place.path("db/segment-000001/vectors.bin");
    let whole = std::fs::read(&file).expect("it is there");
    std::fs::write(&file, &whole[..whole.len() - 1]).expect("it is writable");
    let text = place.run("info @db").failed();
    assert!(
        text.contains("corrupt") && text.contains("vectors.bin"),
        "{text}"
    );
}

#[test]
fn a_file_in_place_of_a_directory_is_named_as_it_was_given() {
    let place = Place::with_database();
    let file = place.shown("five.npy");
    for line in [
        "info @five.npy",
        "query @five.npy --id 0 --within 1",
        "verify @five.npy",
        "salvage @five.npy @new",
        "rebuild-codes @five.npy",
    ] {
        let text = place.run(line).failed();
        assert_eq!(text, format!("cannot open {file}: not a directory"));
    }
    let text = place.run("salvage @db @five.npy").failed();
    assert_eq!(text, format!("cannot create {file}: not a directory"));
    assert!(!place.path("new").exists());
}

/// The first line of the complaint about wrong usage; no database is looked for.
#[track_caller]
fn check_misused(args: &[&str], expected: &str) {
    let text = outcome(command(&[&["query", "none"], args].concat())).misused();
    assert!(text.starts_with(expected), "{args:?}: {text}");
}

#[test]
fn wrong_usage() {
    let id = ["--id", "0"];
    let check_ring = |args: &[&str], expected: &str| check_misused(&[&id, args].concat(), expected);
    check_ring(
        &["--range", "0.5"],
        "error: invalid value '0.5' for '--range <RANGE>': write [a, b], (a, b], [a, b), (a, b), a..b, ",
    );
    check_ring(
        &["--range", "[0, x]"],
        "error: invalid value '[0, x]' for '--range <RANGE>': 'x' is no number",
    );
    let inverted = ringdb::Ring::between(2.0, 1.0).expect_err("it is inverted");
    check_ring(
        &["--range", "[2, 1]"],
        &format!("error: invalid value '[2, 1]' for '--range <RANGE>': {inverted}"),
    );
    let negative = ringdb::Ring::within(-1.0).expect_err("it is negative");
    check_ring(
        &["--within", "-1"],
        &format!("error: invalid value '-1' for '--within <MAX>': {negative}"),
    );
    check_ring(
        &["--within", "x"],
        "error: invalid value 'x' for '--within <MAX>': 'x' is no number",
    );
    let negative = ringdb::Ring::around(1.0, -2.0).expect_err("it is negative");
    check_ring(
        &["--ring", "1", "-2"],
        &format!("error: invalid value for '--ring <D> <LAMBDA>': {negative}"),
    );
    check_ring(
        &["--ring", "1"],
        "error: 2 values required for '--ring <D> <LAMBDA>' but 1 was provided",
    );
    check_ring(
        &["--ring", "1", "x"],
        "error: invalid value 'x' for '--ring <D> <LAMBDA>'",
    );

    check_ring(
        &[],
        "error: the following required arguments were not provided:",
    );
    check_misused(
        &["--within", "1"],
        "error: the following required arguments were not provided:",
    );
    check_ring(
        &["--within", "1", "--range", ".."],
        "error: the argument '--within <MAX>' cannot be used with '--range",
    );
    check_ring(
        &["--vector", "[1]", "--within", "1"],
        "error: the argument '--id <N>' cannot be used with '--vector",
    );
    check_misused(
        &["--vector", "[1]", "--within", "1", "--not-self"],
        "error: the argument '--vector <COORDINATES>' cannot be used with '--not-self'",
    );
    check_misused(
        &["--vector", "1,2", "--within", "1"],
        "error: invalid value '1,2' for '--vector <COORDINATES>': a vector is written as '[0.5, -1, 2e-3]'",
    );
    check_misused(
        &["--vector", "[1,1e39]", "--within", "1"],
        "error: invalid value '[1,1e39]' for '--vector <COORDINATES>': \
         coordinate 1 is 1e39, which f32 cannot hold",
    );
    check_misused(
        &["--id", "-1", "--within", "1"],
        "error: unexpected argument '-1' found",
    );
    check_misused(
        &["--id", "4294967296", "--within", "1"],
        "error: invalid value '4294967296' for '--id <N>'",
    );
}

#[test]
fn the_nearest_are_so_many_of_all() {
    let place = Place::with_database();
    let knn = |line: &str| place.run(&format!("knn @db {line}")).done();
    // From the first vector the distances are 0, 5, 10, 0 and 50.
    assert_eq!(
        knn("--id 0 -k 3"),
        "id      distance  payload\n\
         \u{20}0      0.000000  {\"b\": 1,  \"a\":1.50}\n\
         \u{20}3      0.000000  null\n\
         \u{20}1      5.000000  \"\\u00e9 \u{e9}\"\n\
         the 3 nearest of 5 vectors\n"
    );
    let last = |text: String| text.lines().last().map(str::to_owned);
    let told = |line: &str, expected: &str| assert_eq!(last(knn(line)).as_deref(), Some(expected));
    told("--id 0", "5 vectors, all shown");
    told("--id 0 --not-self", "4 vectors, all shown");
    told("--id 3 --not-self -k 1", "the 1 nearest of 4 vectors");
    told("--id 0 -k 0", "the 0 nearest of 5 vectors");
    told(
        "--vector [30,40] -k 2 --json",
        "{\"total\":5,\"shown\":2,\"truncated\":true}",
    );
    let twin = knn("--id 3 --not-self -k 1 --json");
    assert!(twin.starts_with("{\"id\":0,\"distance\":0.0,"), "{twin}");
    assert!(
        twin.ends_with("{\"total\":4,\"shown\":1,\"truncated\":true}\n"),
        "{twin}"
    );
    for (line, expected) in [
        ("--id 0 --within 1", "error: unexpected argument '--within'"),
        ("--id 0 -k -1", "error: unexpected argument '-1' found"),
        ("-k 1", "error: the following required arguments"),
    ] {
        let text = place.run(&format!("knn @db {line}")).misused();
        assert!(text.starts_with(expected), "{text}");
    }
    let huge = format!("--id 0 --not-self -k {}", usize::MAX);
    told(&huge, "4 vectors, all shown");
}

#[test]
fn a_sample_is_drawn_again_by_its_seed() {
    let place = Place::new();
    let numbers: Vec<f32> = (0..1000_u16).map(f32::from).collect();
    place.npy("v.npy", &[1000, 1], &numbers);
    place.run("build @db --vectors @v.npy").done();
    let sample = |line: &str| place.run(&format!("sample @db {line}")).done();
    let first = sample("--vector [0] --range (9.5,500] -k 20");
    assert_eq!(
        first,
        sample("--vector [0] --range (9.5,500] -k 20 --seed 0")
    );
    assert!(first.ends_with("\n491 hits, 20 of them drawn\n"), "{first}");
    assert_ne!(
        first,
        sample("--vector [0] --range (9.5,500] -k 20 --seed 1")
    );
    let ids = |text: &str| -> Vec<u32> {
        let lines = text.lines().skip(1).map(str::trim_start);
        let ids = lines.filter_map(|line| line.split_once("  "));
        ids.map(|(id, _)| id.parse().expect("an id")).collect()
    };
    let ids_of_first = ids(&first);
    assert_eq!(ids_of_first.len(), 20);
    assert!(ids_of_first.is_sorted());
    assert!(ids_of_first.iter().all(|id| (10..=500).contains(id)));
    let by_distance = sample("--vector [999] --range [499,989.5) -k 20 --sort distance");
    let mut reversed = ids(&by_distance);
    reversed.reverse();
    assert_eq!(reversed, ids_of_first);
    assert!(sample("--vector [0] --within 3").ends_with("\n4 hits, all shown\n"));
    let others = sample("--id 0 --within 3 --not-self");
    assert!(others.ends_with("\n3 hits, all shown\n"), "{others}");
    assert_eq!(ids(&others), [1, 2, 3]);
}

#[test]
fn wrong_bounds_show_the_usage_of_their_command() {
    let place = Place::with_database();
    for command in ["query", "count", "sample"] {
        let outcome = place.run(&format!("{command} @db --id 0 --ring 1 -2"));
        let usage = format!("Usage: ringdb {command} ");
        assert!(outcome.err.contains(&usage), "{}", outcome.err);
        let text = outcome.misused();
        assert!(
            text.starts_with("error: invalid value for '--ring <D> <LAMBDA>': "),
            "{text}"
        );
    }
}
