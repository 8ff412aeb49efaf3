//! Where the output goes: pipes that are closed, files that are full, no codes for terminals.

use std::process::Stdio;

use crate::support::{Place, command, outcome};

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::new();
    // More output than a pipe holds, so that the program is still writing when its reader is gone.
    place.npy("v.npy", &[20_000, 1], &[0.0_f32; 20_000]);
    place.run("build @db --vectors @v.npy").done();
    for line in [
        "query @db --id 0 --within 1",
        "query @db --id 0 --within 1 --json",
        "demo",
    ] {
        let mut program = command(&place.args(line));
        let program = program.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = program.spawn().expect("the program was built");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(
            (output.status.code(), output.stderr.as_slice()),
            (Some(0), b"".as_slice()),
            "{line}"
        );
    }
}

/// Not every system has a file that is always full.
#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let full = full.expect("Linux has the device");
    let place = Place::with_database();
    let mut info = command(&place.args("info @db"));
    info.stdout(full).stderr(Stdio::piped());
    let output = info
        .spawn()
        .and_then(|child| child.wait_with_output())
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.starts_with("ringdb: cannot write the output: "),
        "{text}"
    );
}

#[test]
fn nothing_but_text_goes_into_pipes() {
    let place = Place::with_database();
    for line in [
        "build @other --vectors @five.npy --payloads @five.jsonl",
        "query @db --vectors @five.npy --range ..",
        "query @db --vectors @five.npy --range .. --json",
        "info @db",
        "verify @db",
        "salvage @db @new",
        "demo",
        "--help",
        "query --help",
    ] {
        let out = place.run(line).done();
        assert!(!out.contains('\x1b'), "{line}: {out:?}");
        assert!(out.ends_with('\n'), "{line}: {out:?}");
    }
    let outcome = place.run("query @db --range 1");
    assert!(!outcome.err.contains('\x1b'), "{}", outcome.err);
}

#[test]
fn payloads_are_whole_when_no_terminal_cuts_them() {
    let place = Place::new();
    let long = format!("\"{}\"", "x".repeat(100_000));
    place.npy("v.npy", &[1, 1], &[0.0_f32]);
    place.write("p.jsonl", &long);
    place
        .run("build @db --vectors @v.npy --payloads @p.jsonl")
        .done();
    let mut query = command(&place.args("query @db --id 0 --within 0"));
    query.env("COLUMNS", "40");
    assert!(outcome(query).done().contains(&long));
}

#[test]
fn help_tells_the_exit_codes_and_the_ranges() {
    let place = Place::new();
    for line in [
        "--help",
        "build --help",
        "query --help",
        "count --help",
        "knn --help",
        "sample --help",
        "profile --help",
        "info --help",
        "verify --help",
        "salvage --help",
        "rebuild-codes --help",
        "query -h",
    ] {
        let help = place.run(line).done();
        assert!(help.contains("2  wrong usage"), "{line}: {help}");
        assert!(help.contains("Usage: ringdb "), "{line}: {help}");
        assert!(!help.contains("folder"), "{line}: {help}");
    }
    let help = place.run("query --help").done();
    assert!(help.contains("[a, b]  (a, b]  [a, b)  (a, b)"), "{help}");
    assert!(
        help.contains("{\"query\":0,\"total\":26,\"shown\":10,\"truncated\":true}"),
        "{help}"
    );
    for text in [
        "--vector <COORDINATES>",
        "written as '[0.5, -1, 2e-3]'",
        "asks nothing: the table is the line `0 queries`, and --json prints no line",
    ] {
        assert!(help.contains(text), "{text} in {help}");
    }
    for (line, text, is_there) in [
        ("count --help", "[a, b]  (a, b]", true),
        ("count --help", "\"shown\"", false),
        ("knn --help", "\"shown\"", true),
        ("knn --help", "[a, b]  (a, b]", false),
        ("sample --help", "SipHash-2-4", true),
        ("profile --help", "\"quantiles\"", true),
        ("profile --help", "\"shown\"", false),
        ("count --help", "--json", false),
        (
            "profile --help",
            "quantiles and radii; inside are the vectors in bins",
            true,
        ),
    ] {
        let help = place.run(line).done();
        assert_eq!(help.contains(text), is_there, "{text} in {line}: {help}");
    }
    assert_eq!(
        place.run("--version").done(),
        concat!("ringdb ", env!("CARGO_PKG_VERSION"), "\n")
    );
}
