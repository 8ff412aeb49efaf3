//! The rotation of a set of rows, and what it can lose.
//!
//! Invariant: `loss` is at least `|I - R R'|` (Frobenius) plus the relative error of a rotated row, so that
//! the bound holds whatever the rotation. The head that stands before the tiles is written and read here
//! and nowhere else.

use crate::code::{LINE, TILE_ROWS, up};
use crate::error::{Error, Result};
use crate::prefix::layout::tile_lines;
use crate::rows::{DIMS_MAX, ROWS_MAX};

/// The form of the prefixes; another form gets another number.
const FORM: u32 = 1;

/// Bytes of the head before the rotation.
const FIXED_BYTES: usize = PrefixFrame::FIXED_HEAD_BYTES;

/// A rotation keeps a multiple of as many numbers,
pub(crate) const KEPT_STEP: usize = 32;

/// and no more than these,
pub(crate) const KEPT_MAX: usize = 256;

/// of as many dims at most: the matrix stays small beside the rows, and sums in `f64` exact enough.
pub(crate) const DIMS_ROTATED_MAX: usize = 4096;

/// `2^-32`: more than what sums of up to 4 096 products in `f64` lose, in rotating a row and in measuring the
/// rotation itself.
const LOSS_MIN: f64 = 2.328_306_436_538_696_3e-10;

/// No rotation that loses more is used; the proof rests on it.
const LOSS_MAX: f32 = 0.0625;

/// What prefixes are made with: a rotation, or none.
#[derive(Debug, Clone, PartialEq)]
pub struct PrefixFrame {
    dims: usize,
    rows: usize,
    /// Numbers kept of each row.
    kept: usize,
    /// `kept` numbers for each dim, the transpose of `R`; empty without a rotation, and then all coordinates
    /// are kept.
    rotation: Vec<f32>,
    loss: f32,
}

impl PrefixFrame {
    /// Bytes of the head that tell how long all of it is.
    pub const FIXED_HEAD_BYTES: usize = LINE;

    /// All coordinates, as they are.
    pub(crate) fn plain(dims: usize, rows: usize) -> Self {
        Self {
            dims,
            rows,
            kept: dims,
            rotation: Vec::new(),
            loss: LOSS_MIN as f32,
        }
    }

    /// With a rotation that keeps a multiple of [`KEPT_STEP`] numbers of at most [`DIMS_ROTATED_MAX`] dims; `None` if
    /// it loses too much.
    pub(crate) fn rotated(
        dims: usize,
        rows: usize,
        kept: usize,
        rotation: Vec<f32>,
    ) -> Option<Self> {
        let loss = up(not_orthonormal(&rotation, kept) * (1.0 + LOSS_MIN) + LOSS_MIN);
        (loss <= LOSS_MAX).then_some(Self {
            dims,
            rows,
            kept,
            rotation,
            loss,
        })
    }

    /// Coordinates per row.
    #[must_use]
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many numbers are kept of each row.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// Whether they are those of a rotation; without one they are the coordinates.
    #[must_use]
    pub fn is_rotated(&self) -> bool {
        !self.rotation.is_empty()
    }

    /// `kept` numbers for each dim.
    pub(crate) fn rotation(&self) -> &[f32] {
        &self.rotation
    }

    pub(crate) fn loss(&self) -> f64 {
        f64::from(self.loss)
    }

    /// The same with a loss that is not true.
    #[cfg(test)]
    pub(crate) fn without_loss(self) -> Self {
        Self { loss: 0.0, ..self }
    }

    pub(crate) fn tile_lines(&self) -> usize {
        tile_lines(self.kept, self.is_rotated())
    }

    pub(crate) fn tile_bytes(&self) -> usize {
        self.tile_lines() * LINE
    }

    /// Bytes of the prefixes of all rows, head included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.head_bytes() + self.rows.div_ceil(TILE_ROWS) * self.tile_bytes()
    }

    /// Bytes of the head.
    #[must_use]
    pub fn head_bytes(&self) -> usize {
        FIXED_BYTES + size_of_val(&self.rotation[..]).next_multiple_of(LINE)
    }

    /// The bytes that stand before the tiles:
    ///
    /// | bytes | field |
    /// |---|---|
    /// | 0..4 | form of the prefixes, u32: 1 |
    /// | 4..8 | dims, u32 |
    /// | 8..16 | rows, u64 |
    /// | 16..20 | numbers kept of a row, u32 |
    /// | 20..24 | whether they are rotated, u32: 0 or 1 |
    /// | 24..28 | loss of the rotation, f32 |
    /// | 28..64 | zeros |
    /// | then, if rotated | for each dim as many f32 as numbers are kept, and zeros to a multiple of 64 bytes |
    #[must_use]
    pub fn head(&self) -> Vec<u8> {
        let mut head = Vec::with_capacity(self.head_bytes());
        head.extend_from_slice(&FORM.to_le_bytes());
        head.extend_from_slice(&(self.dims as u32).to_le_bytes());
        head.extend_from_slice(&(self.rows as u64).to_le_bytes());
        head.extend_from_slice(&(self.kept as u32).to_le_bytes());
        head.extend_from_slice(&u32::from(self.is_rotated()).to_le_bytes());
        head.extend_from_slice(&self.loss.to_le_bytes());
        head.resize(FIXED_BYTES, 0);
        for value in &self.rotation {
            head.extend_from_slice(&value.to_le_bytes());
        }
        head.resize(self.head_bytes(), 0);
        head
    }

    /// How long the head of these prefixes is, by the first
    /// [`FIXED_HEAD_BYTES`](Self::FIXED_HEAD_BYTES) of it; `None` if they are of a form that
    /// this library does not know.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_head_bytes(prefixes: &[u8], rows: usize, dims: usize) -> Result<Option<usize>> {
        let head = FixedHead::read(prefixes, rows, dims)?;
        Ok(head.map(|head| FIXED_BYTES + head.rotation_bytes(dims)))
    }

    /// Reads the frame back from the front of the prefixes of `rows` rows of `dims` coordinates; `None` if
    /// they are of a form that this library does not know.
    ///
    /// # Errors
    /// [`Error::NotOfTheseRows`] naming what does not fit: too few bytes, other rows, or a number that no
    /// frame has.
    pub fn read(prefixes: &[u8], rows: usize, dims: usize) -> Result<Option<Self>> {
        let Some(head) = FixedHead::read(prefixes, rows, dims)? else {
            return Ok(None);
        };
        let bytes = head
            .is_rotated
            .then_some(dims * head.kept * size_of::<f32>());
        let words = prefixes
            .get(FIXED_BYTES..FIXED_BYTES + bytes.unwrap_or(0))
            .ok_or_else(|| invalid("bytes of prefixes", prefixes.len() as u64))?;
        let words = words.as_chunks::<4>().0.iter();
        let rotation: Vec<f32> = words.map(|&word| f32::from_le_bytes(word)).collect();
        if let Some(at) = rotation.iter().position(|value| !value.is_finite()) {
            return Err(invalid("rotation of prefixes not finite at", at as u64));
        }
        Ok(Some(Self {
            dims,
            rows,
            kept: head.kept,
            rotation,
            loss: head.loss,
        }))
    }
}

/// What the first bytes say, held to what they can say.
struct FixedHead {
    kept: usize,
    is_rotated: bool,
    loss: f32,
}

impl FixedHead {
    fn read(prefixes: &[u8], rows: usize, dims: usize) -> Result<Option<Self>> {
        if dims > DIMS_MAX {
            return Err(invalid("dims of prefixes", dims as u64));
        }
        if rows > ROWS_MAX {
            return Err(invalid("rows of prefixes", rows as u64));
        }
        let too_short = || invalid("bytes of prefixes", prefixes.len() as u64);
        let form = prefixes.first_chunk::<4>().ok_or_else(too_short)?;
        if u32::from_le_bytes(*form) != FORM {
            return Ok(None);
        }
        let head = prefixes
            .first_chunk::<FIXED_BYTES>()
            .ok_or_else(too_short)?;
        let (words, _) = head.as_chunks::<4>();
        let word = |at: usize| u32::from_le_bytes(words[at]);
        let count = u64::from(word(2)) | u64::from(word(3)) << 32;
        if word(1) as usize != dims {
            return Err(invalid("dims of prefixes", word(1).into()));
        }
        if count != rows as u64 {
            return Err(invalid("rows of prefixes", count));
        }
        let (kept, loss) = (word(4) as usize, f32::from_bits(word(6)));
        let is_rotated = match word(5) {
            0 => false,
            1 => true,
            other => return Err(invalid("kind of prefixes", other.into())),
        };
        let fits = match is_rotated {
            true => {
                let is_whole = kept > 0 && kept.is_multiple_of(KEPT_STEP);
                is_whole && kept <= dims.min(KEPT_MAX) && dims <= DIMS_ROTATED_MAX
            }
            false => kept == dims,
        };
        if !fits {
            return Err(invalid("numbers of prefixes", kept as u64));
        }
        if !(LOSS_MIN as f32..=LOSS_MAX).contains(&loss) {
            return Err(invalid("loss of prefixes", word(6).into()));
        }
        Ok(Some(Self {
            kept,
            is_rotated,
            loss,
        }))
    }

    fn rotation_bytes(&self, dims: usize) -> usize {
        match self.is_rotated {
            true => (dims * self.kept * size_of::<f32>()).next_multiple_of(LINE),
            false => 0,
        }
    }
}

fn invalid(what: &'static str, value: u64) -> Error {
    Error::NotOfTheseRows { what, value }
}

/// `|I - R R'|` (Frobenius) of a rotation as it is stored.
fn not_orthonormal(rotation: &[f32], kept: usize) -> f64 {
    let mut gram = vec![0.0; kept * kept];
    let mut wide = vec![0.0; kept];
    for of_dim in rotation.chunks_exact(kept) {
        for (wide, &value) in wide.iter_mut().zip(of_dim) {
            *wide = f64::from(value);
        }
        for (gram, &a) in gram.chunks_exact_mut(kept).zip(&wide) {
            for (sum, &b) in gram.iter_mut().zip(&wide) {
                *sum += a * b;
            }
        }
    }
    for (i, gram) in gram.chunks_exact_mut(kept).enumerate() {
        gram[i] -= 1.0;
    }
    gram.iter().map(|value| value * value).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps the first 32 of 40 dims, each times `scale`.
    fn scaled(scale: f32) -> Option<PrefixFrame> {
        let mut rotation = vec![0.0; 40 * 32];
        for i in 0..32 {
            rotation[i * 32 + i] = scale;
        }
        PrefixFrame::rotated(40, 5, 32, rotation)
    }

    #[test]
    fn the_loss_is_how_far_a_rotation_is_from_one() {
        assert_eq!(LOSS_MIN, 2.0_f64.powi(-32));
        let loss = |scale| scaled(scale).map(|frame| frame.loss());
        assert!(loss(1.0).is_some_and(|loss| loss < 2.0 * LOSS_MIN));
        let one_percent = loss(1.005).unwrap();
        assert!(
            (one_percent - 32.0_f64.sqrt() * 0.010_025).abs() < 1e-6,
            "{one_percent}"
        );
        assert_eq!(loss(1.02), None);
        assert_eq!(loss(f32::NAN), None);
    }

    #[test]
    fn a_head_comes_back_as_it_was() {
        for frame in [PrefixFrame::plain(7, 20), scaled(1.0).unwrap()] {
            let head = frame.head();
            assert_eq!(head.len(), frame.head_bytes());
            let (rows, dims) = (frame.rows(), frame.dims());
            let bytes = PrefixFrame::read_head_bytes(&head[..64], rows, dims);
            assert_eq!(bytes, Ok(Some(head.len())));
            assert_eq!(PrefixFrame::read(&head, rows, dims), Ok(Some(frame)));
        }
    }

    #[test]
    fn heads_that_no_frame_has_are_refused_and_named() {
        let head = scaled(1.0).unwrap().head();
        let read = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut head = head.clone();
            change(&mut head);
            PrefixFrame::read(&head, 5, 40).unwrap_err().to_string()
        };
        assert!(read(&|head| head.truncate(3)).contains("bytes of prefixes: 3"));
        assert!(read(&|head| head.truncate(63)).contains("bytes of prefixes: 63"));
        assert!(read(&|head| head.truncate(4000)).contains("bytes of prefixes: 4000"));
        assert!(read(&|head| head[4] = 41).contains("dims of prefixes: 41"));
        assert!(read(&|head| head[8] = 6).contains("rows of prefixes: 6"));
        assert!(read(&|head| head[16] = 33).contains("numbers of prefixes: 33"));
        assert!(read(&|head| head[16] = 64).contains("numbers of prefixes: 64"));
        assert!(read(&|head| head[16] = 0).contains("numbers of prefixes: 0"));
        assert!(read(&|head| head[20] = 2).contains("kind of prefixes: 2"));
        assert!(read(&|head| head[20] = 0).contains("numbers of prefixes: 32"));
        assert!(read(&|head| head[27] = 0x7f).contains("loss of prefixes"));
        let nan = read(&|head| head[68..72].copy_from_slice(&f32::NAN.to_le_bytes()));
        assert!(
            nan.contains("rotation of prefixes not finite at: 1"),
            "{nan}"
        );
        let mut later = head.clone();
        later[0] = 2;
        assert_eq!(PrefixFrame::read(&later, 5, 40), Ok(None));
        assert!(PrefixFrame::read(&head, 5, 70_000).is_err());
    }
}
