//! `cargo xtask reliability`: campaigns that damage databases, cut the power, kill writers and fail calls,
//! and count what is answered wrongly or lost.
//!
//! Each campaign is a module and a list of numbered cases; all randomness comes from one seed. A short run
//! belongs to the gate, a long one writes docs/RELIABILITY.md.

mod verdict;
mod campaign;
mod needs;
mod content;
mod directory;
mod legacy;
mod damage;
mod history;
mod crash;
mod recovery;
mod generations;
mod power_cut;
mod kill;
mod faults;
mod page;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use lexopt::prelude::*;

use campaign::{Outcome, Plan, Result, run};
use page::Row;
use verdict::grouped;

const USAGE: &str = "\
Usage: cargo xtask reliability [--short | --long [--minutes N]] [--seed S] [CAMPAIGN...] [--case C]

  --short      the counts of every change; the default
  --long       the counts of a release, as far as the time goes; all campaigns write docs/RELIABILITY.md
  --minutes N  the time for a long run (60)
  --seed S     what all random numbers come from (1)
  --case C     only case C of the campaign named

Campaigns, all of them unless some are named: damage crash recovery power-cut kill faults
";

/// The campaigns, and of how many parts of the time each gets its share in a long run.
const CAMPAIGNS: [(&str, u32); 6] = [
    ("damage", 30),
    ("crash", 24),
    ("recovery", 6),
    ("power-cut", 14),
    ("kill", 5),
    ("faults", 21),
];

const SEED_DEFAULT: u64 = 1;
const MINUTES_DEFAULT: u64 = 60;

/// What the command line asks for.
struct Args {
    plan: Plan,
    minutes: u64,
    /// In the order of [`CAMPAIGNS`].
    chosen: Vec<(&'static str, u32)>,
}

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let done = match args.next() {
        Some(first) if first == kill::WRITE_FOR_EVER => write_for_ever(args.collect()),
        _ => campaigns(),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("reliability: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write_for_ever(args: Vec<OsString>) -> Result<bool> {
    let [dir, seed, first] = &args[..] else {
        return Err("a directory, a seed and a number are needed".into());
    };
    kill::write_for_ever(&PathBuf::from(dir), seed.parse()?, first.parse()?)?;
    Ok(true)
}

/// True if nothing went wrong.
fn campaigns() -> Result<bool> {
    let Some(Args {
        plan,
        minutes,
        chosen,
    }) = parse()?
    else {
        print!("{USAGE}");
        return Ok(true);
    };
    println!("seed {}", plan.seed);
    campaign::keep_panics();
    let start = Instant::now();
    let end = start + Duration::from_secs(60 * minutes);
    let (mut rows, mut failed): (Vec<Row>, u64) = (Vec::new(), 0);
    for (number, &(name, share)) in chosen.iter().enumerate() {
        // What earlier campaigns did not need goes to the later ones.
        let shares: u32 = chosen.iter().skip(number).map(|(_, share)| share).sum();
        let left = end.saturating_duration_since(Instant::now());
        let deadline = plan.is_long.then(|| Instant::now() + left * share / shares);
        match perform(name, Plan { deadline, ..plan }) {
            Ok(Ok(outcome)) => {
                failed += u64::from(!outcome.is_ok());
                tell(&outcome);
                rows.push((name, Ok(outcome)));
            }
            Ok(Err(missing)) => rows.push((name, Err(missing))),
            Err(error) => {
                failed += 1;
                eprintln!("{name}: {error}");
                println!("test reliability::{name} ... FAILED");
            }
        }
    }
    println!("\n{}", page::table(&rows)?);
    // A page that lacks a campaign would look as if there were no such thing.
    if plan.is_long && rows.len() == CAMPAIGNS.len() {
        println!("written: {}", page::write(&rows, plan, minutes)?.display());
    }
    // In the form of the test runner, which the gate adds up.
    let passed = rows
        .iter()
        .filter(|(_, row)| row.as_ref().is_ok_and(Outcome::is_ok))
        .count();
    println!(
        "test result: {}. {passed} passed; {failed} failed; 0 ignored; finished in {:.2}s",
        if failed == 0 { "ok" } else { "FAILED" },
        start.elapsed().as_secs_f64()
    );
    Ok(failed == 0)
}

/// Runs a campaign, or tells what it lacks.
fn perform(name: &'static str, plan: Plan) -> Result<std::result::Result<Outcome, needs::Missing>> {
    let outcome = match name {
        "damage" => run(name, &damage::Damage::new(plan)?, plan),
        "crash" => run(name, &crash::Crash::new(plan)?, plan),
        "recovery" => run(name, &recovery::Recovery::new(plan)?, plan),
        "power-cut" => match power_cut::PowerCut::new(plan) {
            Ok(campaign) => run(name, &campaign, plan),
            Err(missing) => {
                missing.leave_out(name)?;
                return Ok(Err(missing));
            }
        },
        "kill" => run(name, &kill::Kill::new(plan), plan),
        "faults" => run(name, &faults::Faults::new(plan)?, plan),
        _ => Err(format!("there is no campaign {name}").into()),
    };
    outcome.map(Ok)
}

fn tell(outcome: &Outcome) {
    let Outcome {
        name,
        target,
        counts,
        took,
    } = outcome;
    println!(
        "{name}: {} of {} cases in {:.1} s: {counts}; {} wrong, {} missing, {} panics, 0 hangs, \
         {} losses, {} other",
        grouped(counts.done),
        grouped(*target),
        took.as_secs_f64(),
        counts.wrong,
        counts.missing,
        counts.panics,
        counts.losses,
        counts.other
    );
    let verdict = if outcome.is_ok() { "ok" } else { "FAILED" };
    println!("test reliability::{name} ... {verdict}");
}

/// `None` if only the usage is asked for.
fn parse() -> Result<Option<Args>> {
    let (mut is_short, mut is_long, mut minutes) = (false, false, None);
    let (mut seed, mut only_case, mut names) = (SEED_DEFAULT, None, Vec::new());
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("short") => is_short = true,
            Long("long") => is_long = true,
            Long("minutes") => minutes = Some(args.value()?.parse()?),
            Long("seed") => seed = args.value()?.parse()?,
            Long("case") => only_case = Some(args.value()?.parse()?),
            Long("help") | Short('h') => return Ok(None),
            Value(name) => names.push(name.string()?),
            _ => return Err(arg.unexpected().into()),
        }
    }
    if is_short && is_long {
        return Err("a run is short or long".into());
    }
    if minutes.is_some() && !is_long {
        return Err("only a long run is given minutes".into());
    }
    if only_case.is_some() && names.len() != 1 {
        return Err("a case belongs to one campaign, which has to be named".into());
    }
    if let Some(name) = names
        .iter()
        .find(|name| CAMPAIGNS.iter().all(|(it, _)| it != name))
    {
        return Err(format!("there is no campaign {name}\n{USAGE}").into());
    }
    let is_chosen = |name: &str| names.is_empty() || names.iter().any(|it| it == name);
    let chosen = CAMPAIGNS.into_iter().filter(|(name, _)| is_chosen(name));
    Ok(Some(Args {
        plan: Plan {
            seed,
            is_long,
            deadline: None,
            only_case,
        },
        minutes: minutes.unwrap_or(MINUTES_DEFAULT),
        chosen: chosen.collect(),
    }))
}
