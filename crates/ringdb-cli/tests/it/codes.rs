//! Codes: how a database gets them, what a search tells of them, and how they are made anew.

use std::fs;

use serde_json::Value;

use crate::support::{Outcome, Place, command, names};

/// 600 vectors of 4 coordinates of which the first is the id, built as `--codes` says.
fn with_codes(codes: &str) -> Place {
    with_codes_of(4, codes)
}

/// The same with more coordinates: of few, prefixes are not read.
fn with_codes_of(dims: usize, codes: &str) -> Place {
    let place = Place::new();
    let coordinate = |id: usize, dim: usize| if dim == 0 { id } else { dim } as f32;
    let numbers: Vec<f32> = (0..600)
        .flat_map(|id| (0..dims).map(move |dim| coordinate(id, dim)))
        .collect();
    place.npy("v.npy", &[600, dims as u64], &numbers);
    place.npy("q.npy", &[2, dims as u64], &numbers[10 * dims..12 * dims]);
    let lines: Vec<String> = (0..600).map(|id| format!("{{\"n\": {id}}}")).collect();
    place.write("p.jsonl", lines.join("\n"));
    let line = format!("build @db --vectors @v.npy --payloads @p.jsonl {codes}");
    place.run(&line).done();
    place
}

#[track_caller]
fn check_codes(place: &Place, db: &str, has_codes: bool) {
    let info = place.run(&format!("info @{db}")).done();
    let line = match has_codes {
        true => "codes     codes.bin, fine.bin",
        false => "codes     none\n",
    };
    assert!(info.contains(line), "{info}");
    assert_eq!(info.contains("/codes.bin\n"), has_codes, "{info}");
    assert_eq!(info.contains("/fine.bin\n"), has_codes, "{info}");
}

/// Flips a bit in the middle of a file of the only segment.
fn flip(place: &Place, name: &str) {
    let path = place.path("db/segment-000001").join(name);
    let mut bytes = fs::read(&path).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).expect("it is writable");
}

#[test]
fn a_database_gets_codes_as_it_is_said() {
    for (codes, expected) in [
        ("", false),
        ("--codes auto", false),
        ("--codes off", false),
        ("--codes on", true),
    ] {
        check_codes(&with_codes(codes), "db", expected);
    }
    let place = with_codes("");
    place.npy("large.npy", &[65_536, 16], &[0.5_f32; 65_536 * 16]);
    place.run("build @large --vectors @large.npy").done();
    check_codes(&place, "large", true);
    place
        .run("build @large --vectors @large.npy --codes off --replace")
        .done();
    check_codes(&place, "large", false);
    let text = place
        .run("build @other --vectors @v.npy --codes some")
        .misused();
    assert!(text.contains("'some' for '--codes <CODES>'"), "{text}");
}

#[test]
fn a_count_is_a_number_and_nothing_else() {
    for codes in ["--codes on", "--codes off"] {
        let place = with_codes(codes);
        let count = |line: &str| place.run(&format!("count @db {line}")).done();
        assert_eq!(count("--id 10 --within 3"), "7\n");
        assert_eq!(count("--id 10 --within 3 --not-self"), "6\n");
        assert_eq!(count("--id 10 --range (0,3] --not-self"), "6\n");
        assert_eq!(count("--vector [0,1,2,3] --range 599.."), "1\n");
        assert_eq!(count("--vector [0,1,2,3] --range 600.."), "0\n");
        assert_eq!(count("--vector [0,1,2,3] --range .."), "600\n");
        assert_eq!(count("--vectors @q.npy --within 11.5"), "22\n23\n");
        place.npy("none.npy", &[0, 4], &[0.0_f32; 0]);
        assert_eq!(count("--vectors @none.npy --within 1"), "");
        for other in ["--json", "--limit", "--sort"] {
            let text = place.run(&format!("count @db --id 0 --within 1 {other}"));
            let expected = format!("error: unexpected argument '{other}' found");
            assert_eq!(text.misused(), expected);
        }
    }
}

/// Runs a query that must succeed, and returns its output and its explanation.
#[track_caller]
fn explained(place: &Place, line: &str) -> (String, String) {
    let Outcome { code, out, err } = place.run(&format!("{line} --explain"));
    assert_eq!(code, Some(0), "{err}");
    (out, err)
}

#[test]
fn an_explanation_is_apart_from_the_hits() {
    for (codes, tier) in [("--codes on", "codes"), ("--codes off", "scan")] {
        let place = with_codes(codes);
        for (line, times) in [
            ("query @db --id 10 --within 3", 1),
            ("count @db --id 10 --within 3", 1),
            ("count @db --id 10 --within 3 --not-self", 1),
            ("knn @db --id 10", 1),
            ("sample @db --id 10 --within 3", 1),
            ("query @db --vectors @q.npy --within 3", 2),
        ] {
            let (out, err) = explained(&place, line);
            assert_eq!(out, place.run(line).done());
            assert_eq!(err.matches("tier          rows").count(), times, "{err}");
            // The one that is left out is not looked at.
            let rows = if line.contains("--not-self") {
                " 599 "
            } else {
                " 600 "
            };
            let sees_all = |line: &&str| line.starts_with(tier) && line.contains(rows);
            assert_eq!(err.lines().filter(sees_all).count(), times, "{err}");
            assert_eq!(err.contains("query 1\n"), times == 2, "{err}");
        }
    }
}

#[test]
fn an_explanation_in_json_ends_each_query() {
    let place = with_codes("--codes on");
    let (out, err) = explained(
        &place,
        "query @db --vectors @q.npy --within 3 --limit 1 --json",
    );
    assert_eq!(err, "");
    let lines = out.lines().map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    assert_eq!(lines.len(), 4, "{out}");
    for (query, end) in [&lines[1], &lines[3]].into_iter().enumerate() {
        assert_eq!((&end["query"], &end["total"]), (&query.into(), &7.into()));
        let explain = end["explain"].as_object().expect("an object");
        let names: Vec<&str> = explain.keys().map(String::as_str).collect();
        let mut expected = [
            "boxes",
            "filter",
            "prefix",
            "codes",
            "fine",
            "rows",
            "scan",
            "spans",
            "left_boxes",
            "left_prefix",
            "switched",
        ];
        expected.sort_unstable();
        assert_eq!(names, expected);
        let sum = |what: &str| {
            let tiers = ["boxes", "prefix", "codes", "fine", "rows", "scan"];
            tiers
                .map(|tier| explain[tier][what].as_u64().unwrap())
                .iter()
                .sum::<u64>()
        };
        assert_eq!((sum("inside"), sum("outside")), (7, 593));
        // Of so few dims, prefixes take as much as codes, and are passed over.
        assert_eq!(explain["prefix"]["rows"], 0);
        assert_eq!(explain["codes"]["rows"], 600);
        assert_eq!(explain["codes"]["unsure"], explain["fine"]["rows"]);
        assert!(sum("bytes") > 0 && explain["spans"].as_u64() > Some(0));
        assert_eq!(explain["switched"], 0);
    }
    let (out, _) = explained(&place, "query @db --id 0 --within 0 --json");
    assert!(out.contains("\"truncated\":false,\"explain\":{\"boxes\":{\"rows\":0,"));
    let plain = place.run("query @db --id 0 --within 0 --json").done();
    assert!(!plain.contains("explain"), "{plain}");
}

/// A database that does not open for its codes says which file and what helps, and opens without them.
#[track_caller]
fn check_passed_over(place: &Place, name: &str, line: &str, hits: &str) {
    let (db, typed) = (place.shown("db"), place.typed("db"));
    let start = format!("cannot open {db}: corrupt database: {db}/segment-000001/{name} at byte ");
    let end = format!(
        "; `ringdb rebuild-codes {typed}` makes codes and boxes anew, --no-codes passes over them"
    );
    for line in [line, "info @db"] {
        let text = place.run(line).failed();
        assert!(text.starts_with(&start) && text.ends_with(&end), "{text}");
    }
    assert_eq!(place.run(&format!("{line} --no-codes")).done(), hits);
    let info = place.run("info @db --no-codes").done();
    assert!(info.contains("codes     not looked at\n"), "{info}");
}

#[test]
fn missing_codes_are_named_and_passed_over() {
    let place = with_codes("--codes on");
    let line = "query @db --vectors @q.npy --range 3..20 --json";
    let hits = place.run(line).done();
    for name in ["fine.bin", "codes.bin"] {
        fs::remove_file(place.path("db/segment-000001").join(name)).expect("it is there");
        check_passed_over(&place, name, line, &hits);
    }
    // Of vectors nothing of this is said: nothing makes them anew.
    flip(&place, "vectors.bin");
    let text = place.run("info @db --no-codes").failed();
    assert!(text.contains("vectors.bin at byte 64: checksum ") && !text.contains("ringdb rebuild"));
}

#[test]
fn a_salvaged_database_has_codes_if_the_old_one_had() {
    for (codes, expected) in [("--codes on", true), ("--codes off", false)] {
        let place = with_codes(codes);
        if expected {
            flip(&place, "codes.bin");
        }
        place.run("salvage @db @new").done();
        check_codes(&place, "new", expected);
    }
}

#[test]
fn damaged_codes_are_named_and_made_anew() {
    let place = with_codes("--codes on");
    let (db, typed) = (place.shown("db"), place.typed("db"));
    let line = "query @db --vectors @q.npy --range 3..20 --json";
    let hits = place.run(line).done();
    for name in ["codes.bin", "fine.bin"] {
        flip(&place, name);
        let Outcome { code, out, err } = place.run("verify @db");
        assert_eq!(code, Some(1));
        let start = format!("{db}/segment-000001/{name} at byte 64: checksum ");
        assert!(out.starts_with(&start), "{out}");
        let expected = format!(
            "ringdb: {db} is damaged: 1 finding, of codes or boxes alone; \
             `ringdb rebuild-codes {typed}` makes them anew\n"
        );
        assert_eq!(err, expected);
        check_passed_over(&place, name, line, &hits);

        let out = place.run_hint(&err).done();
        assert_eq!(
            out,
            format!("{db}: 600 vectors of 4 dims, with codes and a prefix\n")
        );
        place.run("verify @db").done();
        assert_eq!(place.run(line).done(), hits);
        check_codes(&place, "db", true);
        fs::remove_dir_all(place.path("db")).expect("it is there");
        place
            .run("build @db --vectors @v.npy --payloads @p.jsonl --codes on")
            .done();
    }
    flip(&place, "codes.bin");
    flip(&place, "vectors.bin");
    let err = place.run("verify @db").err;
    assert_eq!(err, format!("ringdb: {db} is damaged: 2 findings\n"));
}

/// Of a name that no line can show the hint says nothing, so that none is taken for another.
#[cfg(unix)]
#[test]
fn hints_leave_out_names_that_cannot_be_typed() {
    let place = with_codes("--codes on");
    flip(&place, "codes.bin");
    for name in ["a\nb", "a\tb", "a\u{1}b"] {
        fs::rename(place.path("db"), place.path(name)).expect("nothing is there");
        for verb in ["verify", "info"] {
            let err = place.run_within(command(&[verb, name])).err;
            assert!(err.contains("`ringdb rebuild-codes` makes "), "{err}");
        }
        fs::rename(place.path(name), place.path("db")).expect("nothing is there");
    }
}

/// The command of a hint can be typed as it stands there, whatever the directory is called.
#[cfg(unix)]
#[test]
fn hints_name_the_directory_as_a_shell_reads_it() {
    let place = with_codes("--codes on");
    for name in ["my words", "it's", "--codes", "$HOME", "a;b", "ä", "-"] {
        fs::rename(place.path("db"), place.path(name)).expect("nothing is there");
        let segment = names(&place.path(name)).pop().expect("a segment");
        let path = place.path(name).join(&segment).join("codes.bin");
        let mut bytes = fs::read(&path).expect("it is there");
        bytes[64] ^= 1;
        fs::write(&path, bytes).expect("it is writable");
        let told = ["verify", "info"].map(|verb| {
            let damaged = place.run_within(command(&[verb, "--", name]));
            assert_eq!(damaged.code, Some(1), "{damaged:?}");
            damaged.err
        });
        let [verified, info] = &told;
        assert_eq!(verified.split('`').nth(1), info.split('`').nth(1));
        let made = place.run_hint(info).done();
        assert!(
            made.ends_with("600 vectors of 4 dims, with codes and a prefix\n"),
            "{made}"
        );
        assert!(!path.exists(), "{name}");
        fs::rename(place.path(name), place.path("db")).expect("nothing is there");
        place.run("verify @db").done();
    }
}

/// A file of codes that the system cannot read is as good as a damaged one.
#[cfg(unix)]
#[test]
fn codes_that_cannot_be_opened_are_named_and_passed_over() {
    let place = with_codes("--codes on");
    let line = "query @db --vectors @q.npy --range 3..20 --json";
    let hits = place.run(line).done();
    let path = place.path("db/segment-000001/codes.bin");
    fs::remove_file(&path).expect("it is there");
    std::os::unix::fs::symlink("codes.bin", &path).expect("nothing is there");
    let err = place.run("verify @db").err;
    assert!(
        err.contains(": 1 finding, of codes or boxes alone; `"),
        "{err}"
    );
    for line in [line, "info @db"] {
        let text = place.run(line).failed();
        let what = format!("cannot open {}: ", path.display());
        assert!(
            text.contains(&what) && text.contains("`ringdb rebuild-codes "),
            "{text}"
        );
    }
    assert_eq!(place.run(&format!("{line} --no-codes")).done(), hits);
    place.run_hint(&err).done();
    place.run("verify @db").done();
    assert_eq!(place.run(line).done(), hits);
    check_codes(&place, "db", true);
}

#[test]
fn a_damaged_prefix_is_named_and_made_anew() {
    let place = with_codes_of(16, "--codes on");
    let (db, typed) = (place.shown("db"), place.typed("db"));
    let info = place.run("info @db").done();
    assert!(
        info.contains("codes     codes.bin, fine.bin, prefix.bin\n"),
        "{info}"
    );
    let line = "query @db --vectors @q.npy --range 3..20 --json";
    let hits = place.run(line).done();
    let (_, explain) = explained(&place, "query @db --id 300 --within 3");
    let sees_all = |line: &str| line.starts_with("prefix") && line.contains(" 600 ");
    assert!(explain.lines().any(sees_all), "{explain}");
    let damages: [fn(&Place); 2] = [
        |place| flip(place, "prefix.bin"),
        |place| fs::remove_file(place.path("db/segment-000001/prefix.bin")).expect("it is there"),
    ];
    for damage in damages {
        damage(&place);
        check_passed_over(&place, "prefix.bin", line, &hits);
        let err = place.run("verify @db").err;
        let end = format!(
            "1 finding, of codes or boxes alone; `ringdb rebuild-codes {typed}` makes them anew\n"
        );
        assert!(err.ends_with(&end), "{err}");
        let out = place.run_hint(&err).done();
        assert_eq!(
            out,
            format!("{db}: 600 vectors of 16 dims, with codes and a prefix\n")
        );
        place.run("verify @db").done();
        assert_eq!(place.run(line).done(), hits);
        assert_eq!(
            place.run("info @db").done().matches("prefix.bin").count(),
            2
        );
        fs::remove_dir_all(place.path("db")).expect("it is there");
        place
            .run("build @db --vectors @v.npy --payloads @p.jsonl --codes on")
            .done();
    }
}

#[test]
fn the_rule_says_whether_a_database_has_codes_from_now_on() {
    let place = with_codes("--codes on");
    let db = place.shown("db");
    for (rule, has_codes) in [
        ("", true),
        ("--codes auto", false),
        ("", false),
        ("--codes on", true),
        ("--codes keep", true),
        ("--codes off", false),
    ] {
        let codes = if has_codes {
            "with codes and a prefix"
        } else {
            "without codes or boxes"
        };
        let out = place.run(&format!("rebuild-codes @db {rule}")).done();
        let expected = format!("{db}: 600 vectors of 4 dims, {codes}\n");
        assert_eq!(out, expected);
        check_codes(&place, "db", has_codes);
    }
    assert_eq!(
        names(&place.path("db")),
        ["LOCK", "MANIFEST", "segment-000007"]
    );
    let hits = place.run("query @db --id 7 --within 0 --json").done();
    assert!(hits.contains("\"payload\":{\"n\": 7}}"), "{hits}");
}

#[test]
fn what_cannot_be_rebuilt_stays_as_it_is() {
    let place = with_codes("--codes on");
    flip(&place, "payloads.bin");
    let (db, before) = (place.shown("db"), names(&place.path("db/segment-000001")));
    let text = place.run("rebuild-codes @db --codes off").failed();
    let start = format!(
        "cannot rebuild the codes of {db}: corrupt database: {db}/segment-000001/payloads.bin at byte "
    );
    // The payload itself is named, not the block that it lies in.
    assert!(
        text.starts_with(&start) && text.contains("checksum of payload "),
        "{text}"
    );
    assert_eq!(
        names(&place.path("db")),
        ["LOCK", "MANIFEST", "segment-000001"]
    );
    assert_eq!(names(&place.path("db/segment-000001")), before);

    fs::create_dir(place.path("old")).expect("the directory is writable");
    for (name, bytes) in [
        ("meta.bin", [1_u64, 0].map(u64::to_le_bytes).concat()),
        ("vectors.bin", Vec::new()),
        ("norms_sq.bin", Vec::new()),
        ("payloads.bin", Vec::new()),
        ("offsets.bin", vec![0; 8]),
    ] {
        place.write(&format!("old/{name}"), bytes);
    }
    place.run("info @old").done();
    let text = place.run("rebuild-codes @old").failed();
    let expected = format!(
        "cannot rebuild {}: directories of ring-db have no derived files such as codes.bin",
        place.shown("old")
    );
    assert_eq!(text, expected);
    fs::create_dir(place.path("empty")).expect("the directory is writable");
    let text = place.run("rebuild-codes @empty").failed();
    assert!(
        text.ends_with("is not a database: it has no MANIFEST"),
        "{text}"
    );
    assert_eq!(names(&place.path("empty")), [""; 0]);
}
