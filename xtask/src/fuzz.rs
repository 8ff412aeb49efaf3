//! `cargo xtask fuzz`: cargo-fuzz over the committed corpora, on the stable compiler.
//!
//! The targets do nothing but call the functions of `fuzz/bodies`, which the ordinary tests replay over the same corpora:
//! what fuzzing finds becomes a regression test by putting its input there.

use std::path::Path;
use std::process::Stdio;

use crate::run::{self, Result, cargo, root, target_dir};

const SECONDS_DEFAULT: u64 = 60;

/// What takes longer is a finding: an input takes milliseconds. Left alone, libfuzzer waits for twenty minutes.
const INPUT_SECONDS_MAX: u64 = 10;

/// Runs the named target, or each one, for the given time.
pub(crate) fn task(args: &mut lexopt::Parser) -> Result<()> {
    let (mut target, mut seconds) = (None, SECONDS_DEFAULT);
    while let Some(arg) = args.next()? {
        match arg {
            lexopt::Arg::Long("seconds") => seconds = lexopt::ValueExt::parse(&args.value()?)?,
            lexopt::Arg::Value(value) if target.is_none() => {
                target = Some(lexopt::ValueExt::string(value)?);
            }
            _ => return Err(arg.unexpected().into()),
        }
    }
    let known = targets(&root().join("fuzz/fuzz_targets"))?;
    let chosen = match target {
        Some(target) if known.contains(&target) => vec![target],
        Some(target) => {
            return Err(format!(
                "there is no fuzz target {target}, only {}",
                known.join(", ")
            )
            .into());
        }
        None => known,
    };
    let version = cargo("fuzz --version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !version.is_ok_and(|status| status.success()) {
        return Err(
            "cargo-fuzz is missing; `cargo install cargo-fuzz --locked` installs it".into(),
        );
    }
    chosen.iter().try_for_each(|target| fuzz(target, seconds))
}

fn fuzz(target: &str, seconds: u64) -> Result<()> {
    // New inputs go to the first folder and stay there for the next run; the committed ones are only read, because each
    // of them is a test that somebody chose.
    let found = target_dir()?.join("fuzz-corpus").join(target);
    std::fs::create_dir_all(&found)?;
    // Without a sanitizer the stable compiler will do; our unsafe code is small and is checked by other means.
    let mut command = cargo("fuzz run --sanitizer none");
    command
        .arg(target)
        .arg(found)
        .arg(format!("corpus/{target}"));
    command.arg("--").arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-timeout={INPUT_SECONDS_MAX}"));
    run::run(command.current_dir(root().join("fuzz")))
}

/// The names of the targets, in order.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in
        std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?
    {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(
                path.file_stem()
                    .map(|stem| stem.to_string_lossy().into_owned()),
            );
        }
    }
    names.sort_unstable();
    Ok(names)
}
