//! The program `ringdb`: builds databases of vectors from files, asks them for rings, finds, salvages and
//! mends damaged ones, and shows what a ring is. It parses, reads, formats and reports; every answer is
//! the library's.
//!
//! Invariant: all output goes through one locked, buffered writer, and whoever closes it early, such as
//! `head`, ends the program without a word.

mod help;
mod args;
mod questions;
mod range;
mod error;
mod text;
mod place;
mod npy;
mod lines;
mod rows;
mod csv;
mod build;
mod start;
mod explain;
mod ask;
mod profile;
mod info;
mod verify;
mod salvage;
mod rebuild;
mod demo;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::error::Error;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = BufWriter::new(io::stdout().lock());
    let done = run(&cli.command, &mut out);
    // Also after a failure: what was found before it belongs in front of the message.
    let flushed = out.flush().map_err(Error::Output);
    match done.and(flushed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to hear that standard error cannot be written either.
            let text = text::one_line(error.with_causes().as_bytes(), None);
            let _ = writeln!(io::stderr(), "ringdb: {text}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command, out: &mut impl Write) -> Result<(), Error> {
    match command {
        Command::Demo => demo::run(out),
        Command::Build(args) => build::run(args, out),
        Command::Query(args) => ask::query(args, out),
        Command::Count(args) => ask::count(args, out),
        Command::Knn(args) => ask::knn(args, out),
        Command::Sample(args) => ask::sample(args, out),
        Command::Profile(args) => profile::run(args, out),
        Command::Info(args) => info::run(args, out),
        Command::Verify { db } => verify::run(db, out),
        Command::Salvage(args) => salvage::run(args, out),
        Command::RebuildCodes(args) => rebuild::run(args, out),
    }
}
