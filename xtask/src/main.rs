//! `cargo xtask TASK`: what the repository does to itself, from the gate of every change to the check against ring-db.
//!
//! Each task is one file and none of them is needed to build or to use the libraries.

mod aarch64;
mod bench;
mod ci;
mod compat;
mod fuzz;
mod reliability;
mod run;
mod tally;
mod tidy;

use std::ffi::OsString;
use std::process::ExitCode;

use run::Result;
use tally::Tally;

const USAGE: &str = "\
Usage: cargo xtask TASK [ARGUMENTS]

  ci [--quick]                 the whole gate; --quick: format, clippy, tests, doc tests and tidy only
  tidy                         the laws of the code base that a program can check
  compat                       ring-db 0.3.0 and 0.3.1: their tests, example, README and directories, against our facade
  aarch64 [ARGUMENTS]          the index's tests for 64-bit Arm, under qemu; ARGUMENTS go to the tests
  bench [NAME] [-- ARGUMENTS]  the benches, or the one named; ARGUMENTS go to it, most often to Criterion
  bench index|lowdim|verbs [--peers] [--data FOLDER] [-- ARGUMENTS]
                               searches of this library, and of others in processes of their own, which it makes first;
                               FOLDER holds the vectors of all words, and the places of cities.csv
  bench [NAME] --page [--data FOLDER] [-- ARGUMENTS]
                               the benches, or the one named, and their tables in docs/BENCHMARKS.md written anew
  fuzz [TARGET] [--seconds N]  the fuzz targets, or the one named, for N seconds each (60)
  reliability [ARGUMENTS]      the campaigns that damage databases, cut the power and fail calls; --help lists them
  help                         this text
";

fn main() -> ExitCode {
    match dispatch() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch() -> Result<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    let task = args.next().unwrap_or_else(|| OsString::from("help"));
    let mut args = lexopt::Parser::from_args(args);
    match task.to_str() {
        Some("ci") => return ci::task(&mut args),
        Some("tidy") => {
            no_more(&mut args)?;
            let mut tally = Tally::default();
            tidy::task(&mut tally)?;
            return Ok(tally.exit_code());
        }
        Some("compat") => {
            no_more(&mut args)?;
            let mut tally = Tally::default();
            compat::task(&mut tally)?;
            println!("{tally}");
            return Ok(tally.exit_code());
        }
        Some("aarch64") => aarch64::task(&mut args)?,
        Some("bench") => bench::task(&mut args)?,
        Some("fuzz") => fuzz::task(&mut args)?,
        Some("reliability") => reliability::task(&mut args)?,
        Some("help" | "--help" | "-h") => print!("{USAGE}"),
        _ => {
            eprint!("{USAGE}");
            return Err(format!("there is no task {}", task.display()).into());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses whatever is left on the command line.
fn no_more(args: &mut lexopt::Parser) -> Result<()> {
    match args.next()? {
        Some(arg) => Err(arg.unexpected().into()),
        None => Ok(()),
    }
}
