//! `cargo xtask ci`: every stage of the gate, its time, and one line that sums up all tests.
//!
//! The last line on standard output is `N passed, N failed`, alone, whatever happened before it. The quick gate stops at
//! the first stage that fails, because somebody waits for it; the whole gate runs all of them, because it should not
//! take one run per mistake.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::run::{self, Result, cargo};
use crate::tally::Tally;
use crate::{compat, reliability, tidy};

/// Tests append `name: reason` to the file that this variable names when they cannot run here.
const SKIPPED_VAR: &str = "RINGDB_SKIPPED";

#[derive(Clone, Copy)]
enum Work {
    /// A cargo command; its test summaries are counted.
    Cargo(&'static str),
    /// The same, with warnings of rustdoc as errors.
    Docs(&'static str),
    Tidy,
    Compat,
    Reliability,
}

struct Stage {
    name: &'static str,
    quick: bool,
    work: Work,
}

/// In order of how soon a mistake shows. The replay of the fuzz corpora is among the tests of the default members.
const STAGES: &[Stage] = &[
    Stage {
        name: "format",
        quick: true,
        work: Work::Cargo("fmt --all --check"),
    },
    Stage {
        name: "clippy",
        quick: true,
        work: Work::Cargo("clippy --workspace --all-targets --locked -- -D warnings"),
    },
    Stage {
        name: "tests",
        quick: true,
        work: Work::Cargo("test --locked --no-fail-fast --lib --bins --tests --examples"),
    },
    Stage {
        name: "doc tests",
        quick: true,
        work: Work::Cargo(
            "test --locked --no-fail-fast --doc -p ringdb-storage -p ringdb-index -p ringdb-npy -p ringdb",
        ),
    },
    Stage {
        name: "tidy",
        quick: true,
        work: Work::Tidy,
    },
    Stage {
        name: "documentation",
        quick: false,
        work: Work::Docs("doc --workspace --no-deps --locked"),
    },
    // Nothing is built here (the tests have done that) and nothing is asked of the registry: it shows that each
    // published package holds the files that its manifest names.
    Stage {
        name: "packages",
        quick: false,
        work: Work::Cargo(
            "package --workspace --exclude xtask --exclude ringdb-benches --exclude ringdb-fuzz-bodies --exclude ringdb-reliability \
             --no-verify --allow-dirty --offline --locked --quiet",
        ),
    },
    Stage {
        name: "compatibility",
        quick: false,
        work: Work::Compat,
    },
    // The kernels as users run them, vectorised by the optimiser: the same answers must come out. The output of passing
    // tests is shown because one of them names the kernels that this machine could run.
    Stage {
        name: "release tests",
        quick: false,
        work: Work::Cargo(
            "test --release --locked --no-fail-fast -p ringdb-index -p ringdb --tests -- --show-output",
        ),
    },
    Stage {
        name: "reliability",
        quick: false,
        work: Work::Reliability,
    },
    // Outside `cargo bench` Criterion runs each bench once, which includes its assertion, and measures nothing.
    Stage {
        name: "benches, once each",
        quick: false,
        work: Work::Cargo(
            "test --profile bench --locked --no-fail-fast -p ringdb-benches --lib --benches",
        ),
    },
];

/// Runs the stages and prints the summary; the exit code is that of the gate.
pub(crate) fn task(args: &mut lexopt::Parser) -> Result<ExitCode> {
    let mut quick = false;
    while let Some(arg) = args.next()? {
        match arg {
            lexopt::Arg::Long("quick") => quick = true,
            _ => return Err(arg.unexpected().into()),
        }
    }
    // From here on nothing may end the task before its last line.
    let skipped = tempfile::NamedTempFile::new();
    let skipped = skipped.as_ref().map(tempfile::NamedTempFile::path);
    let mut tally = Tally::default();
    let mut times = Vec::new();
    for stage in STAGES.iter().filter(|stage| stage.quick || !quick) {
        println!("\n== {}", stage.name);
        let start = Instant::now();
        let ok = perform(stage, skipped.ok(), &mut tally);
        times.push((stage.name, ok, start.elapsed()));
        if quick && !ok {
            break;
        }
    }
    summarise(&times, &left_out(skipped), &tally);
    Ok(tally.exit_code())
}

/// True when nothing failed.
fn perform(stage: &Stage, skipped: Option<&Path>, tally: &mut Tally) -> bool {
    let before = (tally.failed, tally.summaries);
    let mut follow = |command: &mut Command| {
        if let Some(path) = skipped {
            command.env(SKIPPED_VAR, path);
        }
        run::follow(command, |line| tally.line(line))
    };
    let result = match stage.work {
        Work::Cargo(line) => follow(&mut cargo(line)),
        Work::Docs(line) => follow(cargo(line).env("RUSTDOCFLAGS", "-D warnings")),
        Work::Tidy => tidy::task(tally),
        Work::Compat => compat::task(tally),
        Work::Reliability => reliability::gate(follow),
    };
    if let Err(error) = &result {
        eprintln!("{}: {error}", stage.name);
    }
    settle(result.is_ok(), before, tally)
}

/// Counts a stage itself where its tests do not speak for it, and tells whether nothing failed. One that ends badly
/// without naming a failed test is one failure, whatever passed; one that says nothing about tests, such as the
/// formatter, is one test. `before` holds the failures and summaries before it.
fn settle(ended_well: bool, before: (u64, u64), tally: &mut Tally) -> bool {
    let (failed, summaries) = before;
    if !ended_well && tally.failed == failed {
        tally.check(false);
    } else if ended_well && tally.summaries == summaries {
        tally.check(true);
    }
    tally.failed == failed
}

/// What the tests that could not run have written; that it cannot be read is worth a line there, and no more.
fn left_out(file: std::result::Result<&Path, &std::io::Error>) -> String {
    let bytes = file
        .map_err(ToString::to_string)
        .and_then(|path| std::fs::read(path).map_err(|error| error.to_string()));
    match bytes {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("unknown: the list of skipped tests cannot be read: {error}"),
    }
}

fn summarise(times: &[(&str, bool, Duration)], skipped: &str, tally: &Tally) {
    println!("\n== summary");
    for (name, ok, time) in times {
        println!(
            "{name:<20} {:<6} {:>7.1} s",
            if *ok { "ok" } else { "FAILED" },
            time.as_secs_f64()
        );
    }
    if let Some(kernels) = &tally.kernels {
        println!("{kernels}");
    }
    let mut skipped: Vec<&str> = skipped.lines().collect();
    skipped.sort_unstable();
    skipped.dedup();
    if !skipped.is_empty() || tally.ignored > 0 {
        println!("skipped:");
        skipped.iter().for_each(|line| println!("  {line}"));
        if tally.ignored > 0 {
            println!("  {} tests that their runner ignored", tally.ignored);
        }
    }
    println!("{tally}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stage after one that had three tests pass: how it ended and what it printed.
    fn check_stage(ended_well: bool, printed: &str, expected: &str) {
        let mut tally = Tally::default();
        tally.line("test result: ok. 3 passed; 0 failed; 0 ignored");
        let before = (tally.failed, tally.summaries);
        printed.lines().for_each(|line| tally.line(line));
        let ok = settle(ended_well, before, &mut tally);
        assert_eq!(tally.to_string(), expected, "{ended_well} {printed}");
        assert_eq!(
            ok,
            expected.ends_with(" 0 failed"),
            "{ended_well} {printed}"
        );
    }

    #[test]
    fn a_stage_that_ends_badly_makes_the_gate_red() {
        check_stage(false, "", "3 passed, 1 failed");
        check_stage(
            false,
            "test result: FAILED. 4 passed; 2 failed; 0 ignored",
            "7 passed, 2 failed",
        );
        // A second runner died before it could say anything.
        check_stage(
            false,
            "test result: ok. 4 passed; 0 failed; 0 ignored",
            "7 passed, 1 failed",
        );
    }

    #[test]
    fn a_stage_that_ends_well_counts_its_tests_or_itself() {
        check_stage(
            true,
            "test result: ok. 4 passed; 0 failed; 0 ignored",
            "7 passed, 0 failed",
        );
        check_stage(
            true,
            "test result: ok. 0 passed; 0 failed; 0 ignored",
            "3 passed, 0 failed",
        );
        check_stage(true, "Testing ring\nSuccess", "4 passed, 0 failed");
        check_stage(true, "", "4 passed, 0 failed");
    }

    #[test]
    fn a_failed_check_needs_no_bad_end() {
        check_stage(
            true,
            "test result: FAILED. 0 passed; 1 failed; 0 ignored",
            "3 passed, 1 failed",
        );
    }

    #[test]
    fn what_was_left_out_is_never_a_reason_to_stop() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
        std::fs::write(file.path(), b"a: needs \xff\n").expect("it can be written");
        assert_eq!(left_out(Ok(file.path())), "a: needs \u{fffd}\n");
        let gone = file.path().with_extension("gone");
        let unreadable = "unknown: the list of skipped tests cannot be read: ";
        assert!(left_out(Ok(&gone)).starts_with(unreadable));
        let error = std::io::Error::other("no room");
        assert_eq!(left_out(Err(&error)), format!("{unreadable}no room"));
    }

    #[test]
    fn starting_a_task_leaves_the_lock_file_alone() {
        let config = std::fs::read_to_string(run::root().join(".cargo/config.toml"))
            .expect("the alias is in the repository");
        let alias = config.lines().find(|line| line.starts_with("xtask = "));
        assert!(
            alias.is_some_and(|alias| alias.contains(" --locked ")),
            "{config}"
        );
    }

    /// Runs `.ci/run` with a shell function in the place of cargo.
    #[cfg(unix)]
    fn check_script(cargo: &str, code: i32, last_lines: &[&str]) {
        let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
        std::fs::write(file.path(), format!("cargo() {{ {cargo}; }}\n"))
            .expect("it can be written");
        let script = run::root().join(".ci/run");
        let mut bash = Command::new("bash");
        let output = bash
            .arg(script)
            .arg("--quick")
            .env("BASH_ENV", file.path())
            .output()
            .expect("bash can be started");
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(text.lines().collect::<Vec<_>>(), last_lines, "{cargo}");
        assert_eq!(output.status.code(), Some(code), "{cargo}");
    }

    #[cfg(unix)]
    #[test]
    fn the_script_always_ends_in_the_sum() {
        check_script(
            "echo \"$@\"; echo 3 passed, 0 failed",
            0,
            &["xtask ci --quick", "3 passed, 0 failed"],
        );
        check_script(
            "echo 3 passed, 1 failed; return 3",
            3,
            &["3 passed, 1 failed"],
        );
        check_script("return 101", 1, &["", "0 passed, 1 failed"]);
        check_script(
            "echo 3 passed, 0 failed; echo more",
            1,
            &["3 passed, 0 failed", "more", "", "0 passed, 1 failed"],
        );
        check_script(
            "printf 'half a li'; exit 7",
            1,
            &["half a li", "0 passed, 1 failed"],
        );
        check_script(
            "echo \"$RINGDB_REQUIRE\"; echo 1 passed, 0 failed",
            0,
            &["mount,python3", "1 passed, 0 failed"],
        );
    }
}
