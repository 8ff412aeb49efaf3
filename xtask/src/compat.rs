//! `cargo xtask compat`: a program written for ring-db 0.3 compiles and runs against our facade, unchanged.
//!
//! ring-db's own tests and example come from the registry, byte for byte, and never enter this repository. They are put
//! beside the tests of `compat/` in a folder under the target directory, where the name `ringdb` means our crate.

use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::MetadataCommand;

use crate::run::{self, Result, cargo, root, target_dir};
use crate::tally::Tally;

/// Versions of ring-db; each has a package `compat/v<version, with underscores>`.
const VERSIONS: &[&str] = &["0.3.0", "0.3.1"];

/// What ring-db's example prints when it is asked about 2 000 vectors of 16 dims.
const EXAMPLE_LINES: &[&str] = &[
    "ringdb demo",
    "  dataset : 2000 vectors × 16 dims",
    "  backend : cpu",
    "Results:",
    "  backend      : cpu",
    "  hits         : ",
    "  query time   : ",
    "  hit IDs      : [",
];

/// Runs everything for every version, even when an earlier one failed.
pub(crate) fn task(tally: &mut Tally) -> Result<()> {
    let errors: Vec<String> = VERSIONS
        .iter()
        .filter_map(|version| {
            check_version(version, tally)
                .err()
                .map(|error| format!("ring-db {version}: {error}"))
        })
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors.join("\n").into())
    }
}

fn check_version(version: &str, tally: &mut Tally) -> Result<()> {
    let name = format!("v{}", version.replace('.', "_"));
    println!("ring-db {version}");
    let theirs = sources(version, &name)?;
    // A fixed place, because cargo builds a package anew when its folder changes.
    let target_dir = target_dir()?.join("compat");
    let package = assemble(version, &name, &theirs, &target_dir.join("sources"))?;
    let cargo_there = |line: &str| {
        let mut command = cargo(line);
        command
            .arg("--manifest-path")
            .arg(package.join("Cargo.toml"));
        command.env("CARGO_TARGET_DIR", &target_dir);
        command
    };
    let tests = run::follow(&mut cargo_there("test --locked --no-fail-fast"), |line| {
        tally.line(line);
    });
    let mut example = cargo_there(&format!("run --locked --quiet --example {name}_cli"));
    let output = String::from_utf8(run::output(
        example.args(["--", "--n", "2000", "--dims", "16"]),
    )?)?;
    print!("{output}");
    let missing = missing_lines(&output);
    tally.check(missing.is_empty());
    for line in missing {
        eprintln!("ring-db {version}: its example does not print `{line}`");
    }
    tests
}

/// The folder in which cargo keeps ring-db's sources.
fn sources(version: &str, name: &str) -> Result<PathBuf> {
    let mut metadata = cargo("metadata --locked --format-version 1 --manifest-path");
    let output = run::output(metadata.arg(root().join(format!("compat/{name}/Cargo.toml"))));
    let output = output.map_err(|error| {
        format!("{error}\nwhen our dependencies changed: `cargo update --workspace --manifest-path compat/{name}/Cargo.toml`")
    })?;
    let metadata = MetadataCommand::parse(String::from_utf8(output)?)?;
    let package = metadata.packages.iter().find(|package| {
        package.name.as_str() == "ring-db"
            && package.version.to_string() == version
            && package
                .source
                .as_ref()
                .is_some_and(cargo_metadata::Source::is_crates_io)
    });
    let manifest = &package
        .ok_or("the lock file does not name it")?
        .manifest_path;
    Ok(manifest
        .parent()
        .ok_or("its manifest lies in no folder")?
        .into())
}

/// Builds the package that is compiled, in the folder `all`: ours, and theirs beside it.
fn assemble(version: &str, name: &str, theirs: &Path, all: &Path) -> Result<PathBuf> {
    let ours = root().join("compat");
    let package = all.join(name);
    if package.exists() {
        fs::remove_dir_all(&package)?;
    }
    fs::create_dir_all(package.join("tests"))?;
    fs::create_dir_all(package.join("examples"))?;
    fs::copy(
        ours.join("reads_their_directories.rs"),
        all.join("reads_their_directories.rs"),
    )?;
    fs::copy(
        ours.join(name).join("Cargo.lock"),
        package.join("Cargo.lock"),
    )?;
    let manifest = fs::read_to_string(ours.join(name).join("Cargo.toml"))?;
    let crates = root()
        .join("crates")
        .display()
        .to_string()
        .replace('\\', "/");
    fs::write(
        package.join("Cargo.toml"),
        manifest.replace("../../crates", &crates),
    )?;

    for entry in fs::read_dir(theirs.join("tests"))? {
        let file = entry?.path();
        let stem = file.file_stem().unwrap_or_default().display().to_string();
        if file.extension().is_some_and(|extension| extension == "rs") {
            fs::write(
                package.join(format!("tests/{name}_{stem}.rs")),
                fs::read(&file)?,
            )?;
        }
    }
    fs::write(
        package.join(format!("examples/{name}_cli.rs")),
        fs::read(theirs.join("examples/cli.rs"))?,
    )?;
    let readme = fs::read_to_string(theirs.join("README.md"))?;
    fs::write(
        package.join("tests/readme.rs"),
        readme_tests(version, &readme),
    )?;
    Ok(package)
}

/// One test for each program in the README's quick start; says which pieces of code are no programs.
fn readme_tests(version: &str, readme: &str) -> String {
    let mut tests = String::from("//! The quick start of ring-db's README.\n");
    for (index, block) in quick_start(readme).iter().enumerate() {
        let name = format!("readme_{}_{}", version.replace('.', "_"), index + 1);
        match gap(block) {
            Some(gap) => println!("{name} is left out: {gap}"),
            None => tests.push_str(&format!("\n#[test]\nfn {name}() {{\n{block}}}\n")),
        }
    }
    tests
}

/// The pieces of Rust under the heading `## Quick start`.
fn quick_start(readme: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in readme
        .lines()
        .skip_while(|line| *line != "## Quick start")
        .skip(1)
    {
        match &mut open {
            Some(block) if line == "```" => {
                blocks.push(std::mem::take(block));
                open = None;
            }
            Some(block) => {
                block.push_str(line);
                block.push('\n');
            }
            None if line == "```rust" => open = Some(String::new()),
            None if line.starts_with("## ") => break,
            None => {}
        }
    }
    blocks
}

/// Why a piece of code cannot be compiled as it stands: a placeholder, or a call of a function that it does not have.
fn gap(block: &str) -> Option<String> {
    if block.contains("/*") {
        return Some("a comment stands where a value belongs".to_owned());
    }
    let without_comments = block
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    let without_attributes = without_comments.filter(|line| !line.trim_start().starts_with("#["));
    let code = without_attributes.collect::<Vec<_>>().join("\n");
    let is_word = |c: char| c == '_' || c.is_alphanumeric();
    for (at, _) in code.match_indices('(') {
        let head = &code[..at];
        let before = head.trim_end_matches(is_word);
        let called = &head[before.len()..];
        let free = called.starts_with(|c: char| c == '_' || c.is_lowercase())
            && !before.ends_with(['.', ':']);
        if free && !before.trim_end().ends_with("fn") && !code.contains(&format!("fn {called}(")) {
            return Some(format!("it calls `{called}`, which is not there"));
        }
    }
    None
}

/// The expected lines that do not begin any line of the example's output.
fn missing_lines(output: &str) -> Vec<&'static str> {
    let missing = EXAMPLE_LINES
        .iter()
        .filter(|expected| !output.lines().any(|line| line.starts_with(**expected)));
    missing.copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_quick_start_is_taken() {
        let readme = "# x\n```rust\nno\n```\n## Quick start\n```toml\nno\n```\n### A\n```rust\none\ntwo\n```\n\
                      ```rust\nthree\n```\n## API\n```rust\nno\n```\n";
        assert_eq!(quick_start(readme), ["one\ntwo\n", "three\n"]);
    }

    fn check_gap(block: &str, expected: Option<&str>) {
        assert_eq!(gap(block).as_deref(), expected, "{block}");
    }

    #[test]
    fn only_whole_programs_are_taken() {
        check_gap(
            "let db = RingDb::new(4).unwrap(); // see f(x)\nprintln!(\"{}\", Some(1));",
            None,
        );
        check_gap(
            "let db = /* build as above */;",
            Some("a comment stands where a value belongs"),
        );
        check_gap(
            "db.add(&embedding_of(\"x\"));",
            Some("it calls `embedding_of`, which is not there"),
        );
        check_gap("#[derive(Debug)]\nstruct S;", None);
        check_gap("fn twice(x: f32) -> f32 { 2.0 * x }\ntwice(1.0);", None);
    }

    #[test]
    fn a_program_becomes_a_test() {
        let readme = "## Quick start\n```rust\nassert!(true);\n```\n```rust\nf(/* x */);\n```\n";
        let expected = "//! The quick start of ring-db's README.\n\n#[test]\nfn readme_0_3_1_1() {\nassert!(true);\n}\n";
        assert_eq!(readme_tests("0.3.1", readme), expected);
    }

    #[test]
    fn the_example_must_print_every_line() {
        let whole: String = EXAMPLE_LINES
            .iter()
            .map(|line| format!("{line}7\n"))
            .collect();
        assert_eq!(missing_lines(&whole), [""; 0]);
        assert_eq!(missing_lines(&whole.replace("Results:", "")), ["Results:"]);
        assert_eq!(missing_lines("").len(), EXAMPLE_LINES.len());
    }
}
