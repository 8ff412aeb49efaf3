//! What can be typed after `ringdb`.
//!
//! The questions and their options are in `questions.rs`, what they mean at length in `help.rs`.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use ringdb::{Boxes, Codes};

use crate::csv::{self, LatLon};
use crate::help;
use crate::questions::{Count, Knn, Profile, Query, Sample};

/// Finds all vectors at a distance between two bounds, exactly.
#[derive(Debug, Parser)]
#[command(name = "ringdb", version, after_help = help::EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows what a ring is, on 4 996 words that come with the program
    Demo,
    /// Makes a database of a .npy file of vectors and a file of JSON lines, or of a CSV file of places
    #[command(after_help = help::EXIT_CODES)]
    Build(Build),
    /// Lists every vector in a ring
    #[command(after_help = help::EXIT_CODES, after_long_help = help::of(help::QUERY))]
    Query(Box<Query>),
    /// Counts the vectors in a ring, and prints nothing but their number
    #[command(after_help = help::EXIT_CODES, after_long_help = help::of(help::COUNT))]
    Count(Box<Count>),
    /// Lists the nearest vectors, whatever their distance
    #[command(after_help = help::EXIT_CODES, after_long_help = help::of(help::KNN))]
    Knn(Box<Knn>),
    /// Draws some of the vectors in a ring, the same ones for the same seed
    #[command(after_help = help::EXIT_CODES, after_long_help = help::of(help::SAMPLE))]
    Sample(Box<Sample>),
    /// Shows how many vectors are at which distances, and which radius holds how many
    #[command(after_help = help::EXIT_CODES, after_long_help = help::of(help::PROFILE))]
    Profile(Box<Profile>),
    /// Shows what a database holds, after checking all that it opens
    #[command(after_help = help::EXIT_CODES)]
    Info(Opened),
    /// Reads all of a database and names everything that is damaged
    #[command(after_help = help::VERIFY_EXIT_CODES)]
    Verify {
        /// The directory of the database
        db: PathBuf,
    },
    /// Makes a new database of what is whole in a damaged one
    #[command(after_help = help::of(help::SALVAGE))]
    Salvage(Salvage),
    /// Makes the codes and boxes of a database anew, from its vectors
    #[command(after_help = help::of(help::REBUILD))]
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
    /// name become the payloads, as JSON objects of strings. A field that begins with a quote goes on
    /// to the next one, over several lines if need be: a stray one may take in rows
    #[arg(long, value_name = "FILE.csv", requires = "lat_lon")]
    pub(crate) csv: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }
}
