//! What can be asked of a database on the command line.
//!
//! Invariant: what leaves this file is well formed: one place to measure from, one valid ring. Whether it
//! fits the database is not known here.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, ValueEnum};
use ringdb::{Ring, geo};

use crate::args::{Cli, Opened};
use crate::place::{self, Place};
use crate::range;

/// What all questions have.
#[derive(Debug, clap::Args)]
pub(crate) struct Asked {
    #[command(flatten)]
    pub(crate) opened: Opened,
    #[command(flatten)]
    pub(crate) from: From,
    /// Takes bounds as kilometres along the earth and shows distances so, in a database of places
    #[arg(long)]
    pub(crate) km: bool,
    /// Tells what was read and proven
    #[arg(long)]
    pub(crate) explain: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Query {
    #[command(flatten)]
    pub(crate) asked: Asked,
    #[command(flatten)]
    pub(crate) left_out: LeftOut,
    #[command(flatten)]
    bounds: Bounds,
    /// Shows at most N hits of each query; how many there are is always told
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// The order of the hits, and so which ones --limit keeps
    #[arg(long, value_enum, default_value_t = Sort::Id)]
    pub(crate) sort: Sort,
    /// Prints one JSON object per line instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Count {
    #[command(flatten)]
    pub(crate) asked: Asked,
    #[command(flatten)]
    pub(crate) left_out: LeftOut,
    #[command(flatten)]
    bounds: Bounds,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Knn {
    #[command(flatten)]
    pub(crate) asked: Asked,
    #[command(flatten)]
    pub(crate) left_out: LeftOut,
    /// How many; of equally near ones those with the smallest ids
    #[arg(short, value_name = "N", default_value_t = 10)]
    pub(crate) k: usize,
    /// Prints one JSON object per line instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Sample {
    #[command(flatten)]
    pub(crate) asked: Asked,
    #[command(flatten)]
    pub(crate) left_out: LeftOut,
    #[command(flatten)]
    bounds: Bounds,
    /// How many; every hit is as likely as another
    #[arg(short, value_name = "N", default_value_t = 10)]
    pub(crate) k: usize,
    /// Another seed draws others
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub(crate) seed: u64,
    /// The order of the drawn hits
    #[arg(long, value_enum, default_value_t = Sort::Id)]
    pub(crate) sort: Sort,
    /// Prints one JSON object per line instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Profile {
    #[command(flatten)]
    pub(crate) asked: Asked,
    #[command(flatten)]
    pub(crate) left_out: LeftOut,
    /// How many bins, all of the same width, from the smallest distance to the largest
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) bins: u16,
    /// Bins from each of these distances, included, to the next, not included but for the last one; such as 0,0.5,1,inf
    #[arg(long, value_parser = edges, conflicts_with = "bins", allow_hyphen_values = true)]
    pub(crate) edges: Option<Edges>,
    /// Prints one JSON object for each query instead of a picture
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LeftOut {
    /// Leaves out the vector of --id itself, but not others at distance 0
    #[arg(long, conflicts_with_all = ["vector", "vectors", "place"])]
    pub(crate) not_self: bool,
}

/// Where to measure from.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct From {
    /// Measures from the stored vector N
    #[arg(long, value_name = "N")]
    pub(crate) id: Option<u32>,
    /// Measures from this vector, written as '[0.5, -1, 2e-3]'
    #[arg(long, value_name = "COORDINATES", value_parser = vector, allow_hyphen_values = true)]
    pub(crate) vector: Option<Vector>,
    /// Measures from the place at this latitude and longitude in degrees, such as -33.87,151.21
    #[arg(
        long,
        value_name = "LAT,LON",
        value_parser = place::parse,
        allow_hyphen_values = true,
        requires = "km"
    )]
    pub(crate) place: Option<Place>,
    /// Measures from every row of a .npy file with the dims of the database, one query each
    #[arg(long, value_name = "FILE.npy")]
    pub(crate) vectors: Option<PathBuf>,
}

/// The ring, in one of three ways to say it, and in whatever unit.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Bounds {
    /// Distances from D - LAMBDA to D + LAMBDA, both included
    #[arg(long, num_args = 2, value_names = ["D", "LAMBDA"], allow_negative_numbers = true)]
    ring: Option<Vec<f64>>,
    /// Distances in a range, such as '(0, 0.25]', '[0.6, inf)', 0.1..0.2 or 0.9..
    #[arg(long, value_parser = range::parse, allow_hyphen_values = true)]
    range: Option<Ring>,
    /// Distances up to MAX, included
    #[arg(long, value_name = "MAX", value_parser = range::within, allow_negative_numbers = true)]
    within: Option<Ring>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// Ascending ids
    Id,
    /// Nearest first; equal distances by id
    Distance,
}

/// Coordinates from the command line. A type of its own because clap takes a `Vec` for several values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Vector(pub(crate) Vec<f32>);

/// Edges of bins, ascending.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Edges(pub(crate) Vec<f64>);

impl Query {
    pub(crate) fn ring(&self) -> Ring {
        self.bounds.ring("query", self.asked.km)
    }
}

impl Count {
    pub(crate) fn ring(&self) -> Ring {
        self.bounds.ring("count", self.asked.km)
    }
}

impl Sample {
    pub(crate) fn ring(&self) -> Ring {
        self.bounds.ring("sample", self.asked.km)
    }
}

impl Bounds {
    /// The ring asked for. One that cannot be ends the program as wrong usage of `command`.
    fn ring(&self, command: &str, km: bool) -> Ring {
        let one = self.range.or(self.within);
        let ring = match (one, self.ring.as_deref()) {
            (Some(ring), _) => Ok(ring),
            (None, Some(&[d, lambda])) => Ring::around(d, lambda),
            // Clap lets nothing else through; a search without bounds finds everything.
            (None, _) => Ring::from_bounds(..),
        };
        let ring = ring.map_err(|error| error.to_string());
        let ring = ring.and_then(|ring| match km {
            true => geo::ring(ring).map_err(|error| error.to_string()),
            false => Ok(ring),
        });
        ring.unwrap_or_else(|error| misused(command, "--ring <D> <LAMBDA>", &error))
    }
}

/// Ends the program as wrong usage of a command, as clap does for a single bad value.
fn misused(command: &str, option: &str, why: &str) -> ! {
    let mut cli = Cli::command();
    cli.build();
    let text = format!("invalid value for '{option}': {why}");
    // The command's own usage is the one to show.
    let usage = match cli.find_subcommand_mut(command) {
        Some(command) => command,
        None => &mut cli,
    };
    usage.error(ErrorKind::ValueValidation, text).exit()
}

/// Edges of bins: at least two, and each greater than the one before.
fn edges(text: &str) -> Result<Edges, String> {
    let mut edges: Vec<f64> = Vec::new();
    for word in text.split(',').map(str::trim) {
        let edge: f64 = match word.parse() {
            Ok(edge) => edge,
            Err(_) => return Err(format!("'{word}' is no number")),
        };
        if edge.is_nan() || edge < 0.0 {
            return Err(format!("{word} is no distance"));
        }
        if let Some(&before) = edges.last()
            && edge <= before
        {
            return Err(format!("{word} does not follow on {before}"));
        }
        // Adding 0 turns -0.0 into 0.0.
        edges.push(edge + 0.0);
    }
    match edges.len() {
        1 => Err("there must be at least two".into()),
        _ => Ok(Edges(edges)),
    }
}

/// Coordinates are read as `f32` directly: by way of `f64` some would be rounded twice.
fn vector(text: &str) -> Result<Vector, String> {
    let inner = text.trim().strip_prefix('[');
    let inner = inner.and_then(|inner| inner.strip_suffix(']'));
    let inner = inner.ok_or("a vector is written as '[0.5, -1, 2e-3]'")?;
    if inner.trim().is_empty() {
        return Ok(Vector(Vec::new()));
    }
    let coordinates = inner.split(',').enumerate().map(|(index, word)| {
        let word = word.trim();
        match word.parse::<f32>() {
            // Infinities are left to the library to refuse, but not under a name the user did not write.
            Ok(number) if number.is_infinite() && word.contains(|c: char| c.is_ascii_digit()) => {
                Err(format!(
                    "coordinate {index} is {word}, which f32 cannot hold"
                ))
            }
            Ok(number) => Ok(number),
            Err(_) => Err(format!(
                "coordinate {index} is '{word}', which is no number"
            )),
        }
    });
    Ok(Vector(coordinates.collect::<Result<_, String>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_vector(text: &str, expected: Result<&[f32], &str>) {
        let expected = expected
            .map(|coordinates| Vector(coordinates.to_vec()))
            .map_err(str::to_owned);
        assert_eq!(vector(text), expected, "{text}");
    }

    #[test]
    fn vectors_are_lists_of_numbers() {
        check_vector("[1, -2.5,3e-1 ]", Ok(&[1.0, -2.5, 0.3]));
        check_vector(" [7] ", Ok(&[7.0]));
        check_vector("[]", Ok(&[]));
        check_vector("1, 2", Err("a vector is written as '[0.5, -1, 2e-3]'"));
        check_vector("[1, 2", Err("a vector is written as '[0.5, -1, 2e-3]'"));
        check_vector("[1, x]", Err("coordinate 1 is 'x', which is no number"));
        check_vector("[inf, -Infinity]", Ok(&[f32::INFINITY, f32::NEG_INFINITY]));
        check_vector("[3.4028235e38]", Ok(&[f32::MAX]));
        check_vector(
            "[1,1e39]",
            Err("coordinate 1 is 1e39, which f32 cannot hold"),
        );
        check_vector(
            "[-4e38]",
            Err("coordinate 0 is -4e38, which f32 cannot hold"),
        );
        check_vector("[1,]", Err("coordinate 1 is '', which is no number"));
    }

    #[test]
    fn edges_ascend() {
        let of = |text| edges(text).map(|edges| edges.0);
        assert_eq!(of("-0, 0.5 ,inf"), Ok(vec![0.0, 0.5, f64::INFINITY]));
        assert!(of("-0,1").is_ok_and(|edges| edges[0].is_sign_positive()));
        assert_eq!(of("1,1.0"), Err("1.0 does not follow on 1".into()));
        assert_eq!(of(""), Err("'' is no number".into()));
    }

    #[test]
    fn coordinates_are_rounded_once() {
        // Just above the middle between 1 and the next f32; by way of f64 it would end on the middle,
        // and there on the even neighbour below.
        check_vector(
            "[1.00000005960464477539062500001]",
            Ok(&[1.0_f32.next_up()]),
        );
    }
}
