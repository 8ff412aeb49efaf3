//! `cargo xtask reliability`: the campaigns of the package `reliability`, built as users build the libraries.
//!
//! Short ones are a stage of the gate. What they print ends in the summary of a test runner, one test for each campaign.

use std::process::Command;

use crate::run::{self, Result, cargo};

/// The tests of the campaigns themselves: that they see what they look for.
const TESTS: &str = "test --release --locked --no-fail-fast -p ringdb-reliability";
const CAMPAIGNS: &str = "run --release --locked --quiet -p ringdb-reliability --";

/// Passes all arguments on.
pub(crate) fn task(args: &mut lexopt::Parser) -> Result<()> {
    run::run(cargo(CAMPAIGNS).args(args.raw_args()?))
}

/// Both parts of the stage, whatever comes of the first.
pub(crate) fn gate(mut follow: impl FnMut(&mut Command) -> Result<()>) -> Result<()> {
    let tests = follow(&mut cargo(TESTS));
    let campaigns = follow(cargo(CAMPAIGNS).arg("--short"));
    tests.and(campaigns)
}
