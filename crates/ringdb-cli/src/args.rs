//! What can be typed after `ringdb`, and the help that says so.
//!
//! Invariant: what leaves this file is well formed: one place to measure from, one valid ring. Whether it
//! fits the database is not known here.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use ringdb::{Boxes, Codes, Ring, geo};

use crate::csv::{self, LatLon};
use crate::place::{self, Place};
use crate::range;

/// Finds all vectors at a distance between two bounds, exactly.
#[derive(Debug, Parser)]
#[command(name = "ringdb", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done, also when nothing was found, and when the reader of the output went away
  1  failed, with a message on standard error
  2  wrong usage";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows what a ring is, on 4 996 words that come with the program
    Demo,
    /// Makes a database of a .npy file of vectors and a file of JSON lines, or of a CSV file of places
    #[command(after_help = EXIT_CODES)]
    Build(Build),
    /// Lists every vector in a ring
    #[command(after_help = EXIT_CODES, after_long_help = QUERY_HELP)]
    Query(Box<Query>),
    /// Shows what a database holds, after checking all that it opens
    #[command(after_help = EXIT_CODES)]
    Info(Opened),
    /// Reads all of a database and names everything that is damaged
    #[command(after_help = VERIFY_EXIT_CODES)]
    Verify {
        /// The directory of the database
        db: PathBuf,
    },
    /// Makes a new database of what is whole in a damaged one
    #[command(after_help = SALVAGE_HELP)]
    Salvage(Salvage),
    /// Makes the codes and boxes of a database anew, from its vectors
    #[command(after_help = REBUILD_HELP)]
    RebuildCodes(RebuildCodes),
}

/// A database that is opened and stays as it is.
#[derive(Debug, clap::Args)]
pub(crate) struct Opened {
    /// The directory of the database
    pub(crate) db: PathBuf,
    /// Opens neither codes nor boxes, which may be damaged or missing; what is found is the same
    #[arg(long)]
    pub(crate) no_codes: bool,
}

const VERIFY_EXIT_CODES: &str = "\
Exit codes:
  0  the database is whole
  1  it is damaged, or could not be looked at; a message on standard error says which
  2  wrong usage";

const SALVAGE_HELP: &str = "\
The file salvaged.csv in OUT tells of each vector of the old database, in order:
  old id,new id,reason
Without a new id it was left out for this reason; with both, it was kept without its payload.
If not one vector can be kept, nothing is made and the message says why. The new database has codes and
boxes if the old one had some, damaged or not; if its MANIFEST is lost, as a new one of its size.

Exit codes:
  0  done, unless all was lost, and when the reader of the output went away
  1  failed, or nothing could be kept, with a message on standard error; OUT is as it was
  2  wrong usage";

#[derive(Debug, clap::Args)]
pub(crate) struct Salvage {
    /// The directory of the damaged database; it is not changed
    pub(crate) db: PathBuf,
    /// The directory that becomes the new database; made if needed
    pub(crate) out: PathBuf,
    /// Keeps vectors whose payload alone is lost: with null in place of JSON, with zeros where all payloads
    /// have the same length, else with a payload of no bytes
    #[arg(long)]
    pub(crate) keep_vectors: bool,
}

const REBUILD_HELP: &str = "\
The codes and boxes that the database has are not read and may be damaged; all else is checked and stays the same.
The new database is written beside the old one and takes its place in one step.

Exit codes:
  0  done
  1  failed, with a message on standard error; the database is as it was unless the message says otherwise
  2  wrong usage";

#[derive(Debug, clap::Args)]
pub(crate) struct RebuildCodes {
    /// The directory of the database
    pub(crate) db: PathBuf,
    /// Whether the database has codes from now on
    #[arg(long, value_enum, default_value_t = CodeRule::Keep)]
    pub(crate) codes: CodeRule,
    /// Whether the database has boxes from now on
    #[arg(long, value_enum, default_value_t = BoxRule::Keep)]
    pub(crate) boxes: BoxRule,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CodeRule {
    /// If there are 65 536 vectors or more, of 16 dims or more; with a prefix where that pays
    Auto,
    /// In any case, unless there are no vectors; with a prefix
    On,
    /// In no case
    Off,
    /// If the database had codes before, damaged or not, and likewise a prefix; auto if nothing tells
    Keep,
}

impl CodeRule {
    /// The same in the library's words.
    pub(crate) fn codes(self) -> Codes {
        match self {
            Self::Auto => Codes::Auto,
            Self::On => Codes::On,
            Self::Off => Codes::Off,
            Self::Keep => Codes::Keep,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BoxRule {
    /// If there are 4 096 vectors or more, of up to 12 dims, and a sample says that boxes decide most of them
    Auto,
    /// In any case, unless there are no vectors; an error with more than 12 dims
    On,
    /// In no case
    Off,
    /// If the database had boxes before, damaged or not; auto if nothing tells
    Keep,
}

impl BoxRule {
    /// The same in the library's words.
    pub(crate) fn boxes(self) -> Boxes {
        match self {
            Self::Auto => Boxes::Auto,
            Self::On => Boxes::On,
            Self::Off => Boxes::Off,
            Self::Keep => Boxes::Keep,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Build {
    /// The directory that becomes the database; made if needed
    pub(crate) db: PathBuf,
    #[command(flatten)]
    pub(crate) source: Source,
    /// The payloads: one JSON value per line and vector, kept byte for byte
    #[arg(long, value_name = "FILE.jsonl", conflicts_with = "csv")]
    pub(crate) payloads: Option<PathBuf>,
    /// The columns of --csv with latitude (-90 to 90) and longitude (-180 to 180) in degrees, such as lat,lon
    #[arg(
        long,
        value_name = "COLUMNS",
        value_parser = csv::lat_lon,
        conflicts_with = "vectors",
        requires = "csv"
    )]
    pub(crate) lat_lon: Option<LatLon>,
    /// Replaces a database that is in the directory, in one step at the end
    #[arg(long)]
    pub(crate) replace: bool,
    /// Whether the database gets codes: searches read fewer bytes, and find the same
    #[arg(long, value_enum, default_value_t = CodeRule::Auto)]
    pub(crate) codes: CodeRule,
    /// Whether the database gets boxes: searches of few dims look at few vectors, and find the same
    #[arg(long, value_enum, default_value_t = BoxRule::Auto)]
    pub(crate) boxes: BoxRule,
}

/// The file with the vectors.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Source {
    /// The vectors: a .npy array of two dimensions in C order, little-endian f32 or f16
    #[arg(long, value_name = "FILE.npy")]
    pub(crate) vectors: Option<PathBuf>,
    /// Places on earth, in UTF-8 with the names of the columns in the first line; the columns that --lat-lon does not
    /// name become the payloads, as JSON objects of strings. What is between quotes may go over several lines
    #[arg(long, value_name = "FILE.csv", requires = "lat_lon")]
    pub(crate) csv: Option<PathBuf>,
}

const QUERY_HELP: &str = "\
Bounds are true Euclidean distances, read as 64-bit numbers. Ranges can be written
  [a, b]  (a, b]  [a, b)  (a, b)    a square bracket includes its bound, a round one does not
  a..b  a..=b  a..  ..b  ..=b       as in Rust: a is included, b only with `=`
and the upper bound may be inf.

With --km, bounds and distances are kilometres along a sphere of the earth's mean radius, 6 371.0088 km. The
vectors must be places: points of a sphere of radius 1, such as `ringdb build --csv` makes and --place means; of
stored ones that is not checked. They are stored to within 0.33 m. Without --km, bounds are straight distances between
such points, in radii of the earth. The table then says \"km\" instead of \"distance\", and so does --json: \"km\":0.25.

With --json, each hit is one line
  {\"query\":0,\"id\":7,\"distance\":0.25,\"payload\":{\"any\":\"JSON\"}}
and each query ends with the line
  {\"query\":0,\"total\":26,\"shown\":10,\"truncated\":true}
\"query\" is the row in the file of --vectors and is left out without it. \"distance\" is the shortest number
that reads back as the same 64-bit float. \"payload\" is the stored text and is left out if the
database has no JSON payloads.

With --explain, each query tells of its tiers, from boxes, prefix and codes to the coordinates themselves: how many
rows each saw, proved outside or inside the ring or left unsure to the next, and the bytes that it read. With
--json that is in the last line,
  \"explain\":{\"boxes\":{...},\"prefix\":{\"rows\":99,\"outside\":90,\"inside\":0,\"unsure\":9,\"bytes\":4480},
  \"codes\":{...},\"fine\":{...},\"rows\":{...},\"scan\":{...},\"spans\":1,\"left_boxes\":0,\"left_prefix\":0,
  \"switched\":0}
where so many searches left the boxes for codes or coordinates, and of so many spans of the rows so many left the
prefix and so many switched from codes to coordinates.

A file of --vectors without rows asks nothing: the table is the line `0 queries`, and --json prints no line,
nor does --count.

Exit codes:
  0  done, also when nothing was found, and when the reader of the output went away
  1  failed, with a message on standard error
  2  wrong usage";

#[derive(Debug, clap::Args)]
pub(crate) struct Query {
    #[command(flatten)]
    pub(crate) opened: Opened,
    #[command(flatten)]
    pub(crate) from: From,
    /// Leaves out the vector of --id itself, but not others at distance 0
    #[arg(long, conflicts_with_all = ["vector", "vectors", "place"])]
    pub(crate) not_self: bool,
    #[command(flatten)]
    bounds: Bounds,
    /// Takes bounds as kilometres along the earth and shows distances so, in a database of places
    #[arg(long)]
    pub(crate) km: bool,
    /// Shows at most N hits of each query; how many there are is always told
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// The order of the hits, and so which ones --limit keeps
    #[arg(long, value_enum, default_value_t = Sort::Id)]
    pub(crate) sort: Sort,
    /// Prints one JSON object per line instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Prints how many hits each query has, and nothing else
    #[arg(long, conflicts_with_all = ["limit", "sort", "json"])]
    pub(crate) count: bool,
    /// Tells on standard error, with --json in the last line of each query, what was read and proven
    #[arg(long)]
    pub(crate) explain: bool,
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

impl Query {
    /// The ring asked for. One that cannot be ends the program as wrong usage, as clap does for a single
    /// bad value.
    pub(crate) fn ring(&self) -> Ring {
        let one = self.bounds.range.or(self.bounds.within);
        let ring = match (one, self.bounds.ring.as_deref()) {
            (Some(ring), _) => Ok(ring),
            (None, Some(&[d, lambda])) => Ring::around(d, lambda),
            // Clap lets nothing else through; a search without bounds finds everything.
            (None, _) => Ring::from_bounds(..),
        };
        let ring = ring.map_err(|error| error.to_string());
        let ring = ring.and_then(|ring| match self.km {
            true => geo::ring(ring).map_err(|error| error.to_string()),
            false => Ok(ring),
        });
        ring.unwrap_or_else(|error| {
            let mut command = Cli::command();
            command.build();
            let text = format!("invalid value for '--ring <D> <LAMBDA>': {error}");
            // The command's own usage is the one to show.
            let usage = match command.find_subcommand_mut("query") {
                Some(query) => query,
                None => &mut command,
            };
            usage.error(ErrorKind::ValueValidation, text).exit()
        })
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

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

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
    fn coordinates_are_rounded_once() {
        // Just above the middle between 1 and the next f32; by way of f64 it would end on the middle,
        // and there on the even neighbour below.
        check_vector(
            "[1.00000005960464477539062500001]",
            Ok(&[1.0_f32.next_up()]),
        );
    }
}
