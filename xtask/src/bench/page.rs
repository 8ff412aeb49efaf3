//! docs/BENCHMARKS.md: the tables of each bench between two marked lines, which a run writes anew; the rest of the page is
//! written by hand and stays.
//!
//! `index`, `lowdim`, `verbs` and `bandwidth` print their tables. Those of Criterion's benches are made of the samples that it keeps.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use serde_json::Value;

use crate::run::{self, Result, cargo, root};

/// How a bench tells what it measured.
#[derive(Clone, Copy)]
enum Kind {
    /// It prints one table.
    Printed,
    /// It prints tables of several cases, each under a line that begins with `## ` and its name.
    Cases,
    /// Criterion runs it.
    Criterion,
}

/// In the order of the page.
const BENCHES: &[(&str, Kind)] = &[
    ("bandwidth", Kind::Printed),
    ("scan", Kind::Criterion),
    ("index", Kind::Cases),
    ("lowdim", Kind::Cases),
    ("verbs", Kind::Cases),
    ("payloads", Kind::Criterion),
    ("open", Kind::Criterion),
];

/// What Criterion is told unless somebody says otherwise.
const CRITERION: &[&str] = &[
    "--measurement-time",
    "2",
    "--warm-up-time",
    "1",
    "--sample-size",
    "30",
];

/// What stands between two marked lines, and the name in both.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    name: String,
    text: String,
}

/// Runs the named bench, or each one, and writes its tables. What is passed goes to the bench, or to those that have
/// cases.
pub(super) fn write(name: Option<&str>, passed: &[OsString], machine: &str) -> Result<()> {
    let chosen: Vec<_> = BENCHES
        .iter()
        .filter(|(known, _)| name.is_none_or(|name| name == *known))
        .collect();
    if chosen.is_empty() {
        return Err("the page shows no such bench".into());
    }
    // Before the page is changed by it.
    let facts = facts(machine)?;
    let path = root().join("docs/BENCHMARKS.md");
    for (bench, kind) in chosen {
        let is_meant = name.is_some() || matches!(kind, Kind::Cases);
        let blocks = measure(bench, *kind, if is_meant { passed } else { &[] })?;
        let page = std::fs::read_to_string(&path)?;
        let (page, left) = rewritten(&page, bench, &blocks, &facts)?;
        std::fs::write(&path, page)?;
        for name in left {
            println!("left as it was: {name}");
        }
    }
    println!("{}", path.display());
    Ok(())
}

fn measure(bench: &str, kind: Kind, passed: &[OsString]) -> Result<Vec<Block>> {
    let mut command = cargo("bench --locked -p ringdb-benches --bench");
    command.args([bench, "--"]).args(passed);
    let samples = tempfile::tempdir()?;
    match kind {
        Kind::Criterion => {
            if passed.is_empty() {
                command.args(CRITERION);
            }
            run::run(command.env("CRITERION_HOME", samples.path()))?;
            Ok(vec![Block {
                name: bench.to_owned(),
                text: criterion_table(samples.path())?,
            }])
        }
        Kind::Printed => {
            let text = printed(&mut command)?;
            let name = bench.to_owned();
            Ok(vec![Block { name, text }])
        }
        Kind::Cases => Ok(cases(bench, &printed(command.arg("--page"))?)),
    }
}

fn printed(command: &mut Command) -> Result<String> {
    let mut text = String::new();
    run::follow(command, |line| {
        text.push_str(line);
        text.push('\n');
    })?;
    Ok(text)
}

/// The text under each `## NAME: `, the rest of that line included.
fn cases(bench: &str, text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for line in text.lines() {
        let heading = line.strip_prefix("## ");
        if let Some((name, rest)) = heading.and_then(|heading| heading.split_once(": ")) {
            let name = format!("{bench} {name}");
            let text = rest.to_owned();
            blocks.push(Block { name, text });
        } else if let Some(block) = blocks.last_mut() {
            block.text.push('\n');
            block.text.push_str(line);
        }
    }
    blocks
}

/// One line on what the figures hold for.
fn facts(machine: &str) -> Result<String> {
    let text = |command: &mut Command| -> Result<String> {
        Ok(String::from_utf8(run::output(command)?)?.trim().to_owned())
    };
    let git = |args: &[&str]| text(Command::new("git").current_dir(root()).args(args));
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let status = [
        "status",
        "--porcelain",
        "--untracked-files=no",
        "--",
        ".",
        ":!docs/BENCHMARKS.md",
    ];
    let changed = match git(&status)?.as_str() {
        "" => "",
        _ => ", with changes",
    };
    let date = text(Command::new("date").args(["-u", "+%F"]))?;
    let rustc = text(Command::new("rustc").arg("--version"))?;
    Ok(format!(
        "{date}, commit {commit}{changed}; {machine}; {rustc}."
    ))
}

/// The lines around a block.
fn marks(name: &str) -> [String; 2] {
    ["begin", "end"].map(|end| format!("<!-- bench {name}: {end} -->"))
}

/// The page with new blocks, and the names of those of this bench that there were no new ones for.
fn rewritten(
    page: &str,
    bench: &str,
    blocks: &[Block],
    facts: &str,
) -> Result<(String, Vec<String>)> {
    let mut page = page.to_owned();
    for Block { name, text } in blocks {
        let [begin, end] = marks(name);
        let parts = page.split_once(&begin).and_then(|(before, rest)| {
            let (_, after) = rest.split_once(&end)?;
            Some((before, after))
        });
        let (before, after) = parts.ok_or_else(|| format!("the page has no place for {name}"))?;
        let text = text.trim();
        page = format!("{before}{begin}\n{facts}\n\n{text}\n{end}{after}");
    }
    let shown = page.lines().filter_map(|line| {
        let name = line.strip_prefix("<!-- bench ")?;
        name.strip_suffix(": begin -->")
    });
    let of_bench = shown.filter(|name| name.split(' ').next() == Some(bench));
    let is_old = |name: &&str| blocks.iter().all(|block| block.name != *name);
    let left = of_bench.filter(is_old).map(str::to_owned).collect();
    Ok((page, left))
}

/// A line for each bench whose samples are in a folder, in the order in which they were taken.
fn criterion_table(folder: &Path) -> Result<String> {
    let mut found = Vec::new();
    samples(folder, &mut found)?;
    if found.is_empty() {
        return Err("Criterion kept no samples".into());
    }
    found.sort();
    let mut text =
        String::from("| | samples | median | min | max | a second |\n|---|---|---|---|---|---|\n");
    for (_, line) in found {
        text.push_str(&line);
    }
    Ok(text)
}

/// The lines of the benches in a folder, each with the time when its samples were written.
fn samples(folder: &Path, found: &mut Vec<(SystemTime, String)>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        let sample = path.join("sample.json");
        // Another folder holds the same once more, to compare the next run with.
        if path.ends_with("new") && sample.is_file() {
            let time = sample.metadata()?.modified()?;
            let bench = std::fs::read_to_string(path.join("benchmark.json"))?;
            let sample = std::fs::read_to_string(sample)?;
            found.push((time, criterion_line(&bench, &sample)?));
        } else {
            samples(&path, found)?;
        }
    }
    Ok(())
}

fn criterion_line(bench: &str, sample: &str) -> Result<String> {
    let [bench, sample]: [Value; 2] = [serde_json::from_str(bench)?, serde_json::from_str(sample)?];
    let numbers = |name: &str| -> Vec<f64> {
        let all = sample[name].as_array().into_iter().flatten();
        all.filter_map(Value::as_f64).collect()
    };
    let (times, iterations) = (numbers("times"), numbers("iters"));
    let mut each: Vec<f64> = times
        .iter()
        .zip(&iterations)
        .map(|(nanoseconds, iterations)| nanoseconds / iterations / 1e9)
        .collect();
    each.sort_by(f64::total_cmp);
    let (Some(name), [min, .., max]) = (bench["full_id"].as_str(), &each[..]) else {
        return Err("samples of another form".into());
    };
    let median = each[each.len() / 2];
    let throughput = &bench["throughput"];
    let a_second = if let Some(bytes) = throughput["Bytes"].as_f64() {
        format!("{:.1} GB", bytes / median / 1e9)
    } else if let Some(elements) = throughput["Elements"].as_f64() {
        format!("{:.1} million", elements / median / 1e6)
    } else {
        String::new()
    };
    let [median, min, max] = [median, *min, *max].map(duration);
    let samples = each.len();
    Ok(format!(
        "| {name} | {samples} | {median} | {min} | {max} | {a_second} |\n"
    ))
}

/// Seconds in the unit that leaves at most three digits before the point.
fn duration(seconds: f64) -> String {
    for (unit, scale) in [("ns", 1e9), ("us", 1e6), ("ms", 1e3)] {
        if seconds * scale < 1000.0 {
            return format!("{:.3} {unit}", seconds * scale);
        }
    }
    format!("{seconds:.3} s")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(name: &str, text: &str) -> Block {
        Block {
            name: name.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn what_is_written_by_hand_stays() {
        let page = "# Benches\n\nBy hand.\n\n<!-- bench index a: begin -->\nold\n<!-- bench index a: end -->\n\n\
                    More.\n<!-- bench index b: begin -->\nold\n<!-- bench index b: end -->\n\
                    <!-- bench scan: begin -->\nold\n<!-- bench scan: end -->\n";
        let blocks = [block("index a", "new\n")];
        let (first, left) = rewritten(page, "index", &blocks, "Today.").expect("a place for it");
        let old = "a: begin -->\nold\n";
        let new = "a: begin -->\nToday.\n\nnew\n";
        assert_eq!(first, page.replace(old, new));
        assert_eq!(left, ["index b"]);
        let (second, _) = rewritten(&first, "index", &blocks, "Today.").expect("a place for it");
        assert_eq!(second, first);
        let unknown = rewritten(page, "index", &[block("index c", "new")], "Today.");
        let error = unknown.expect_err("no place for it").to_string();
        assert!(error.ends_with("no place for index c"), "{error}");
    }

    /// A bench that is not shown would run for nothing.
    #[test]
    fn the_page_has_a_place_for_each_bench() {
        let page = std::fs::read_to_string(root().join("docs/BENCHMARKS.md")).expect("the page");
        for (bench, kind) in BENCHES {
            let name = match kind {
                Kind::Cases => format!("{bench} "),
                _ => format!("{bench}: begin"),
            };
            assert!(page.contains(&format!("<!-- bench {name}")), "{bench}");
        }
        assert_eq!(
            page.matches(": begin -->").count(),
            page.matches(": end -->").count()
        );
    }

    #[test]
    fn cases_are_told_apart() {
        let text = "seed\n\n## a-1: rows, 2: x\n\n| |\n## b: more\n- FAILED\n";
        let expected = [
            block("index a-1", "rows, 2: x\n\n| |"),
            block("index b", "more\n- FAILED"),
        ];
        assert_eq!(cases("index", text), expected);
    }

    #[test]
    fn a_line_comes_from_samples() {
        let bench = r#"{"full_id":"open/lazy/5 rows","throughput":{"Bytes":4000}}"#;
        let sample =
            r#"{"sampling_mode":"Linear","iters":[1.0,2.0,3.0],"times":[3000.0,4000.0,3000.0]}"#;
        let expected = "| open/lazy/5 rows | 3 | 2.000 us | 1.000 us | 3.000 us | 2.0 GB |\n";
        assert_eq!(criterion_line(bench, sample).expect("samples"), expected);
        assert!(criterion_line(bench, "{}").is_err());
    }

    #[test]
    fn times_have_three_digits_at_most() {
        let check = |seconds: f64, text: &str| assert_eq!(duration(seconds), text);
        check(32.4e-9, "32.400 ns");
        check(1e-6, "1.000 us");
        check(0.9994, "999.400 ms");
        check(12.5, "12.500 s");
    }
}
