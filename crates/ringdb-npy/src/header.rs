//! What stands before the numbers: the shape of the array and the type of its elements.
//!
//! Invariant: the parser sees no header that it could choke on. A [`Header`] that comes out of here is
//! one of vectors; whether there are bytes for them is checked by who reads those.

use std::io::{self, ErrorKind};

use npyz::{DType, NpyHeader, Order};

use crate::error::NpyError;

/// The type of the numbers of an array, little-endian both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Element {
    /// `'<f4'`.
    F32,
    /// `'<f2'`.
    F16,
}

impl Element {
    /// Bytes of one number.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }

    fn of(dtype: &DType) -> Result<Self, NpyError> {
        let found = dtype.descr();
        match found.as_str() {
            "'<f4'" => Ok(Self::F32),
            "'<f2'" => Ok(Self::F16),
            _ => Err(NpyError::Element { found }),
        }
    }
}

/// The header of an array of vectors in C order. They have at least one coordinate each.
pub(crate) struct Header {
    pub(crate) rows: u64,
    pub(crate) dims: u64,
    pub(crate) element: Element,
}

/// What every .npy file begins with.
const MAGIC: &[u8] = b"\x93NUMPY";

/// Bytes of header text read at most; numpy writes 118 for such an array.
const HEADER_BYTES_MAX: usize = 1024;

/// Digits in a header at most: ten for the rows, five for the dims and one for the element leave three.
/// Decimal numbers with so few digits in all have a product below 10^19, and so below 2^64: the parser
/// multiplies the shape unchecked.
const HEADER_DIGITS_MAX: usize = 19;

/// How deep brackets nest in a header at most: twice in that of vectors, six times in that of records
/// that hold records with an array in them, which an error should still name. The parser reads again
/// what is in a pair of brackets, up to three times, and so on inwards: with 60 of them it would not
/// come to an end.
const HEADER_DEPTH_MAX: usize = 6;

/// Reads the header at the front of `bytes`, and tells what stands behind it.
pub(crate) fn read(mut bytes: &[u8]) -> Result<(Header, &[u8]), NpyError> {
    check(bytes)?;
    let header = NpyHeader::from_reader(&mut bytes).map_err(unreadable)?;
    let element = Element::of(&header.dtype())?;
    let (rows, dims) = match *header.shape() {
        [rows, 0] => {
            return Err(NpyError::NoCoordinates {
                found: vec![rows, 0],
            });
        }
        [rows, dims] => (rows, dims),
        ref shape => {
            return Err(NpyError::Shape {
                found: shape.to_vec(),
            });
        }
    };
    // With one row or one coordinate the two orders are the same.
    if header.order() == Order::Fortran && rows > 1 && dims > 1 {
        return Err(NpyError::Order);
    }
    Ok((
        Header {
            rows,
            dims,
            element,
        },
        bytes,
    ))
}

/// What the parser says about a header, on one line: it quotes the header and draws a mark below the
/// place. Blanks that are control characters stay for who escapes those.
fn unreadable(error: io::Error) -> NpyError {
    let what = match error.kind() {
        ErrorKind::UnexpectedEof => CUT.into(),
        _ => error.to_string(),
    };
    let is_blank = |c: char| c.is_whitespace() && (!c.is_control() || "\t\n\r".contains(c));
    let words = what.split(is_blank).filter(|word| !word.is_empty());
    NpyError::Header {
        what: words.collect::<Vec<_>>().join(" "),
    }
}

const CUT: &str = "the file ends within it";

/// Refuses what is no .npy file, and headers that the parser should not see.
fn check(bytes: &[u8]) -> Result<(), NpyError> {
    let behind_magic = bytes.strip_prefix(MAGIC).ok_or(NpyError::Magic)?;
    // The version, and the length in two bytes (version 1) or four. What is shorter or has another
    // version is told apart by the parser, but not a file without a version.
    let (length, text) = match *behind_magic {
        [] | [_] => return Err(NpyError::Header { what: CUT.into() }),
        [1, _, a, b, ref text @ ..] => (u32::from_le_bytes([a, b, 0, 0]), text),
        [_, _, a, b, c, d, ref text @ ..] => (u32::from_le_bytes([a, b, c, d]), text),
        _ => return Ok(()),
    };
    let length = length as usize;
    let text = text.get(..length).unwrap_or(text);
    // Behind an escape nobody but the parser could tell where a string ends.
    let has_escapes = text.contains(&b'\\');
    if length > HEADER_BYTES_MAX || has_escapes || has_large_numbers(text) {
        return Err(NpyError::HeaderSize);
    }
    match depth(text) {
        0..=HEADER_DEPTH_MAX => Ok(()),
        depth => Err(NpyError::Header {
            what: format!("brackets nest {depth} deep in it, more than {HEADER_DEPTH_MAX}"),
        }),
    }
}

/// Whether the numbers in a text could have a product of 2^64 or more. Hexadecimal ones, which numpy
/// does not write, would need fewer digits for it.
fn has_large_numbers(text: &[u8]) -> bool {
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    let mut pairs = text.array_windows();
    digits > HEADER_DIGITS_MAX || pairs.any(|pair| matches!(pair, b"0x" | b"0X"))
}

/// How deep brackets nest outside of strings, in a text without escapes. Strings in three quotes are
/// taken for others, as by the parser.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut depth_max) = (0_usize, 0);
    let mut quote = None;
    for &byte in text {
        match (quote, byte) {
            (Some(open), _) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'(' | b'[' | b'{') => depth += 1,
            // One that closes nothing is where the parser stops.
            (None, b')' | b']' | b'}') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
        depth_max = depth_max.max(depth);
    }
    depth_max
}
