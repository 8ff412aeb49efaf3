//! Why bytes are no array of vectors, as values that a program can match on.

/// Why an array cannot be read.
///
/// The texts are phrases about a file, one line each. Some quote its header as it is, control characters
/// included: who shows them on a terminal must escape those.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NpyError {
    /// The bytes do not begin as every .npy file does.
    #[error("it is no .npy file")]
    Magic,

    /// The header ends too early or says nothing that makes sense.
    #[error("its header cannot be read: {what}")]
    Header {
        /// What is wrong with it, which may quote it.
        what: String,
    },

    /// The header has more in it than that of an array of two dimensions can have.
    #[error("its header is not that of an array of two dimensions")]
    HeaderSize,

    /// The elements are neither f32 nor f16, or they are not little-endian.
    #[error("its elements are {found}, ringdb reads '<f4' and '<f2' (little-endian f32 and f16)")]
    Element {
        /// Their type as the header describes it.
        found: String,
    },

    /// The array has another number of dimensions than two.
    #[error("its shape is {found:?}, ringdb reads arrays of two dimensions: vectors, coordinates")]
    Shape {
        /// The length of each dimension.
        found: Vec<u64>,
    },

    /// The vectors have no coordinates.
    #[error("its shape is {found:?}: its vectors have 0 coordinates, ringdb needs at least 1")]
    NoCoordinates {
        /// The length of each dimension.
        found: Vec<u64>,
    },

    /// The coordinates of a vector do not stand next to each other.
    #[error("it is in Fortran order, ringdb reads C order: one vector after the other")]
    Order,

    /// There are fewer bytes behind the header than the shape needs, or more.
    #[error(
        "{rows} x {dims} elements need {expected} bytes behind the header, but there are {found}"
    )]
    Length {
        /// Vectors, as the header says.
        rows: u64,
        /// Coordinates of each.
        dims: u64,
        /// Bytes that they need.
        expected: u128,
        /// Bytes that are there.
        found: usize,
    },
}
