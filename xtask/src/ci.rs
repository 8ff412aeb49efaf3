//! `cargo xtask ci`: every stage of the gate, its time, and one line that sums up all tests.
//!
//! The last line on standard output is `N passed, N failed`, alone, whatever happened before it. The quick gate stops at
//! the first stage that fails, because somebody waits for it; the whole gate runs all of them, because it should not
//! take one run per mistake.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::run::{self, Result, cargo};
use crate::tally::Tally;
use crate::{compat, tidy};

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
            "test --locked --no-fail-fast --doc -p ringdb-storage -p ringdb-index -p ringdb",
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
            "package --workspace --exclude xtask --exclude ringdb-benches --exclude ringdb-fuzz-bodies \
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
    let skipped = tempfile::NamedTempFile::new()?;
    let mut tally = Tally::default();
    let mut times = Vec::new();
    for stage in STAGES.iter().filter(|stage| stage.quick || !quick) {
        println!("\n== {}", stage.name);
        let start = Instant::now();
        let ok = perform(stage, skipped.path(), &mut tally);
        times.push((stage.name, ok, start.elapsed()));
        if quick && !ok {
            break;
        }
    }
    summarise(&times, &std::fs::read_to_string(skipped.path())?, &tally);
    Ok(tally.exit_code())
}

/// True when nothing failed. A stage that ends badly without naming a failed test counts as one failure.
fn perform(stage: &Stage, skipped: &std::path::Path, tally: &mut Tally) -> bool {
    let failed_before = tally.failed;
    let mut follow = |command: &mut Command| {
        run::follow(command.env(SKIPPED_VAR, skipped), |line| tally.line(line))
    };
    let result = match stage.work {
        Work::Cargo(line) => follow(&mut cargo(line)),
        Work::Docs(line) => follow(cargo(line).env("RUSTDOCFLAGS", "-D warnings")),
        Work::Tidy => tidy::task(tally),
        Work::Compat => compat::task(tally),
    };
    if let Err(error) = &result {
        eprintln!("{}: {error}", stage.name);
        if tally.failed == failed_before {
            tally.failed += 1;
        }
    }
    tally.failed == failed_before
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
