//! What the index refuses, and with which values.
//!
//! A search either answers completely or not at all; each error is small, `Copy` and comparable.
//! Nothing here describes a failure of input or output: this crate has none.

/// Why a ring, a set of rows, a query or an environment was refused.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Error {
    /// A number of coordinates per vector that no set of rows may have.
    #[error("dims is {dims}, must be from 1 to {max}")]
    InvalidDims {
        /// The number asked for.
        dims: usize,
        /// The largest allowed.
        max: usize,
    },
    /// A vector that has more or fewer coordinates than the rows.
    #[error("vector has {got} coordinates, expected {expected}")]
    DimensionMismatch {
        /// Coordinates per row.
        expected: usize,
        /// Coordinates given.
        got: usize,
    },
    /// A coordinate that is NaN or infinite.
    #[error("coordinate {index} is {value}, must be finite")]
    NotFinite {
        /// Position in the slice that was given.
        index: usize,
        /// The offending value.
        value: f32,
    },
    /// A bound that no ring or bin can have.
    #[error("invalid bound, {what}: {value}")]
    InvalidBounds {
        /// The bound, by the name of its parameter, and what is wrong with it where the value alone
        /// does not tell.
        what: &'static str,
        /// The offending value.
        value: f64,
    },
    /// Too few edges for a bin, or too many.
    #[error("number of edges is {edges}, must be from 2 to {max}")]
    EdgeCount {
        /// Edges given.
        edges: usize,
        /// The largest number allowed.
        max: usize,
    },
    /// More rows than ids.
    #[error("{rows} rows given, at most {max} can be numbered")]
    TooManyRows {
        /// Rows given.
        rows: usize,
        /// The largest allowed.
        max: usize,
    },
    /// An id that no row has.
    #[error("id {id} is out of range, there are {len} rows")]
    IdOutOfRange {
        /// The id asked for.
        id: u32,
        /// Number of rows.
        len: usize,
    },
    /// Neither one ring for all queries nor one for each.
    #[error("{rings} rings for {queries} queries, must be 1 or as many")]
    RingCount {
        /// Rings given.
        rings: usize,
        /// Queries given.
        queries: usize,
    },
    /// Bytes that were made of other rows, or are damaged.
    #[error("{what}: {value}, not those of these rows")]
    NotOfTheseRows {
        /// What does not fit.
        what: &'static str,
        /// The value found.
        value: u64,
    },
    /// A computing thread rounds in one direction or treats subnormal numbers as zero, which would
    /// change distances and thresholds.
    #[error(
        "the floating-point environment does not round to nearest, or flushes subnormal numbers to zero"
    )]
    FloatEnvironment,
}

/// The result of everything in this crate that can be refused.
pub type Result<T> = std::result::Result<T, Error>;
