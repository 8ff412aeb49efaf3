//! The frame of a set of rows: the centre that codes are relative to, and a power of two that brings
//! the farthest row to a distance from 1 to 2 of it.
//!
//! Invariant: centre and scale are finite whatever the rows, and any frame is a correct one: a bad
//! choice makes codes coarse, never wrong. The head that stands before the tiles is written and read
//! here and nowhere else.

use crate::code::layout::{LINE, TILE_ROWS, fine_stride, tile_bytes};
use crate::error::{Error, Result};
use crate::rows::{DIMS_MAX, ROWS_MAX, Rows};

/// The form of the codes; another form gets another number.
const FORM: u32 = 1;

/// Bytes of the head before the centre.
const FIXED_BYTES: usize = LINE;

/// `F` of rows that differ in the last bit of the smallest numbers, and of the largest there are.
const EXPONENTS: std::ops::RangeInclusive<i32> = -140..=150;

/// The least typical norm that is used, far below where it makes a difference.
const TYPICAL_MIN: f32 = 1e-15;

/// The centre and the scale of a set of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct CodeFrame {
    pub(crate) centre: Vec<f32>,
    /// `F = 2^exponent`.
    pub(crate) exponent: i32,
    /// The middle distance of the rows from the centre, scaled.
    pub(crate) typical: f32,
    pub(crate) rows: usize,
}

impl CodeFrame {
    pub(crate) fn new(centre: Vec<f32>, norm_max_sq: f64, typical: f64, rows: usize) -> Self {
        let exponent = match norm_max_sq {
            0.0 => 0,
            largest => -(largest.sqrt().log2().floor() as i32),
        };
        let exponent = exponent.clamp(*EXPONENTS.start(), *EXPONENTS.end());
        let typical = (typical * power_of_two(exponent)) as f32;
        Self {
            centre,
            exponent,
            typical: typical.clamp(TYPICAL_MIN, 2.0),
            rows,
        }
    }

    /// `F`.
    pub(crate) fn scale(&self) -> f64 {
        power_of_two(self.exponent)
    }

    /// Coordinates per row.
    #[must_use]
    pub fn dims(&self) -> usize {
        self.centre.len()
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of the codes of all rows, head included.
    #[must_use]
    pub fn codes_bytes(&self) -> usize {
        Self::head_bytes(self.dims()) + self.tiles() * tile_bytes(self.dims())
    }

    /// Bytes of the fine codes of all rows.
    #[must_use]
    pub fn fine_bytes(&self) -> usize {
        self.rows * fine_stride(self.dims())
    }

    pub(crate) fn tiles(&self) -> usize {
        self.rows.div_ceil(TILE_ROWS)
    }

    /// The bytes that stand before the tiles:
    ///
    /// | bytes | field |
    /// |---|---|
    /// | 0..4 | form of the codes, u32: 1 |
    /// | 4..8 | dims, u32 |
    /// | 8..16 | rows, u64 |
    /// | 16..20 | exponent of the scale, i32 |
    /// | 20..24 | middle distance from the centre, scaled, f32 |
    /// | 24..64 | zeros |
    /// | then | the centre, f32 each, and zeros to a multiple of 64 bytes |
    #[must_use]
    pub fn head(&self) -> Vec<u8> {
        let mut head = Vec::with_capacity(Self::head_bytes(self.dims()));
        head.extend_from_slice(&FORM.to_le_bytes());
        head.extend_from_slice(&(self.dims() as u32).to_le_bytes());
        head.extend_from_slice(&(self.rows as u64).to_le_bytes());
        head.extend_from_slice(&self.exponent.to_le_bytes());
        head.extend_from_slice(&self.typical.to_le_bytes());
        head.resize(FIXED_BYTES, 0);
        for value in &self.centre {
            head.extend_from_slice(&value.to_le_bytes());
        }
        head.resize(Self::head_bytes(self.dims()), 0);
        head
    }

    /// Reads the frame back from the front of the codes of `rows` rows of `dims` coordinates; `None` if
    /// they are of a form that this library does not know.
    ///
    /// # Errors
    /// [`Error::NotOfTheseRows`] naming what does not fit: too few bytes, other rows, or a number that no
    /// frame has.
    pub fn read(codes: &[u8], rows: usize, dims: usize) -> Result<Option<Self>> {
        let invalid = |what, value| Error::NotOfTheseRows { what, value };
        if dims > DIMS_MAX {
            return Err(invalid("dims of codes", dims as u64));
        }
        if rows > ROWS_MAX {
            return Err(invalid("rows of codes", rows as u64));
        }
        let too_short = || invalid("bytes of codes", codes.len() as u64);
        let form = codes.first_chunk::<4>().ok_or_else(too_short)?;
        if u32::from_le_bytes(*form) != FORM {
            return Ok(None);
        }
        let head = codes.get(..Self::head_bytes(dims)).ok_or_else(too_short)?;
        let (words, _) = head.as_chunks::<4>();
        let word = |at: usize| u32::from_le_bytes(words[at]);
        let count = u64::from(word(2)) | u64::from(word(3)) << 32;
        let exponent = word(4) as i32;
        let typical = f32::from_bits(word(5));
        if word(1) as usize != dims {
            return Err(invalid("dims of codes", word(1).into()));
        }
        if count != rows as u64 {
            return Err(invalid("rows of codes", count));
        }
        if !EXPONENTS.contains(&exponent) {
            return Err(invalid("exponent of codes", word(4).into()));
        }
        if !(TYPICAL_MIN..=2.0).contains(&typical) {
            return Err(invalid("typical norm of codes", word(5).into()));
        }
        let centre = words[FIXED_BYTES / 4..][..dims].iter();
        let centre: Vec<f32> = centre.map(|&word| f32::from_le_bytes(word)).collect();
        if let Some(at) = centre.iter().position(|value| !value.is_finite()) {
            return Err(invalid("centre of codes not finite at", at as u64));
        }
        Ok(Some(Self {
            centre,
            exponent,
            typical,
            rows,
        }))
    }

    /// Bytes of the head of codes of this many dims.
    #[must_use]
    pub fn head_bytes(dims: usize) -> usize {
        FIXED_BYTES + (dims * size_of::<f32>()).next_multiple_of(LINE)
    }
}

/// `2^exponent`, exactly, for the exponents of frames.
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

/// The middle of a coordinate over a sample of rows: the mean without the sixteenth part at either
/// end, so that a few far rows do not pull all others away from it. Sorts `values`, which are not
/// empty.
pub(crate) fn centre_of_sample(values: &mut [f32]) -> f32 {
    values.sort_unstable_by(f32::total_cmp);
    let cut = values.len() / 16;
    let kept = &values[cut..values.len() - cut];
    let sum: f64 = kept.iter().map(|&value| f64::from(value)).sum();
    (sum / kept.len() as f64) as f32
}

/// The middle distance of rows from the centre, not scaled.
pub(crate) fn typical_norm(rows: Rows<'_>, sample: &[usize], centre: &[f32]) -> f64 {
    let norm_sq = |&row: &usize| norm_sq(rows.coordinates(row..row + 1), centre);
    let mut norms: Vec<f64> = sample.iter().map(norm_sq).collect();
    norms.sort_unstable_by(f64::total_cmp);
    norms.get(norms.len() / 2).map_or(0.0, |norm| norm.sqrt())
}

/// The largest squared distance from the centre among whole rows.
pub(crate) fn largest_norm_sq(coordinates: &[f32], centre: &[f32]) -> f64 {
    let norms = coordinates.chunks_exact(centre.len());
    norms.map(|row| norm_sq(row, centre)).fold(0.0, f64::max)
}

fn norm_sq(row: &[f32], centre: &[f32]) -> f64 {
    let (blocks, tail) = row.as_chunks::<8>();
    let (centre_blocks, centre_tail) = centre.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (x, c) in blocks.iter().zip(centre_blocks) {
        for l in 0..8 {
            let y = f64::from(x[l]) - f64::from(c[l]);
            sums[l] += y * y;
        }
    }
    for (sum, (&x, &c)) in sums.iter_mut().zip(tail.iter().zip(centre_tail)) {
        let y = f64::from(x) - f64::from(c);
        *sum += y * y;
    }
    sums.iter().sum()
}
