//! Building: rows into codes, on all threads.
//!
//! Invariant: the bytes depend on the rows alone, not on threads or batches; memory stays at a few
//! megabytes whatever the number of rows. Codes go to whoever asks for them, in order; this file keeps
//! none.

use rayon::prelude::*;

use crate::code::{
    CodeFrame, Line, TILE_ROWS, centre_of_sample, encode_tile, fine_stride, largest_norm_sq,
    tile_bytes, typical_norm,
};
use crate::distance::check_environment;
use crate::error::Error;
use crate::rows::Rows;

/// Rows that centre and typical norm are taken from, unless they are very long.
const SAMPLE_ROWS: usize = 1024;

/// The most coordinates of a sample: 16 MB.
const SAMPLE_COORDINATES: usize = 4 << 20;

/// Coordinates that one task reads.
const TASK_COORDINATES: usize = 128 * 1024;

/// Tasks whose codes are held at once.
const TASKS: usize = 64;

impl CodeFrame {
    /// The frame of these rows: reads a sample, then all of them once.
    #[must_use]
    pub fn of(rows: Rows<'_>) -> Self {
        let dims = rows.dims();
        let sample_rows = SAMPLE_ROWS.min(SAMPLE_COORDINATES / dims).min(rows.len());
        let sample: Vec<usize> = (0..sample_rows)
            .map(|i| i * rows.len() / sample_rows)
            .collect();
        let middle = |dim: usize| {
            let of_row = |&row: &usize| rows.coordinates(row..row + 1)[dim];
            let mut values: Vec<f32> = sample.iter().map(of_row).collect();
            match values.is_empty() {
                true => 0.0,
                false => centre_of_sample(&mut values),
            }
        };
        let centre: Vec<f32> = (0..dims).into_par_iter().map(middle).collect();
        let typical = typical_norm(rows, &sample, &centre);
        let task_rows = (TASK_COORDINATES / dims).max(1);
        let norm_max_sq = (0..rows.len().div_ceil(task_rows))
            .into_par_iter()
            .map(|task| {
                let first = task * task_rows;
                let last = rows.len().min(first + task_rows);
                largest_norm_sq(rows.coordinates(first..last), &centre)
            })
            .reduce(|| 0.0, f64::max);
        Self::new(centre, norm_max_sq, typical, rows.len())
    }
}

/// Computes the codes of rows and hands them to `write`, in order and in parts of some megabytes: codes,
/// whose first part begins with the frame's head, and the fine codes of as many rows.
///
/// ```
/// use ringdb_index::{CodeFrame, Codes, Rows, encode};
///
/// # fn main() -> ringdb_index::Result<()> {
/// let rows = Rows::new(&[0.0, 0.0, 3.0, 4.0, 6.0, 8.0], 2)?;
/// let frame = CodeFrame::of(rows);
/// let (mut codes, mut fine) = (Vec::new(), Vec::new());
/// encode(rows, &frame, |more_codes, more_fine| {
///     codes.extend_from_slice(more_codes);
///     fine.extend_from_slice(more_fine);
///     Ok::<(), ringdb_index::Error>(())
/// })?;
/// assert_eq!(CodeFrame::read(&codes, 3, 2)?, Some(frame.clone()));
/// let codes = Codes::new(&frame, &codes, &fine)?;
/// # let _ = codes;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Those of `write`; [`Error::FloatEnvironment`] if [`check_environment`] fails on a thread that
/// computes; [`Error::InvalidCodes`] if the frame is not one of these rows.
pub fn encode<E: From<Error>>(
    rows: Rows<'_>,
    frame: &CodeFrame,
    mut write: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let dims = rows.dims();
    if (frame.dims(), frame.rows()) != (dims, rows.len()) {
        let value = frame.rows() as u64;
        let what = "rows of the frame of codes";
        return Err(Error::InvalidCodes { what, value }.into());
    }
    let (tile_lines, stride) = (tile_bytes(dims) / size_of::<Line>(), fine_stride(dims));
    let task_rows = (TASK_COORDINATES / dims)
        .next_multiple_of(TILE_ROWS)
        .max(TILE_ROWS);
    let task_lines = task_rows / TILE_ROWS * tile_lines;
    write(&frame.head(), &[])?;
    let (mut lines, mut fine): (Vec<Line>, Vec<u8>) = (Vec::new(), Vec::new());
    let batch_rows = task_rows * TASKS;
    for first in (0..rows.len()).step_by(batch_rows) {
        let batch = first..rows.len().min(first + batch_rows);
        lines.resize(
            batch.len().div_ceil(TILE_ROWS) * tile_lines,
            [0; size_of::<Line>()],
        );
        fine.resize(batch.len() * stride, 0);
        let coordinates = rows.coordinates(batch);
        lines
            .par_chunks_mut(task_lines)
            .zip(fine.par_chunks_mut(task_rows * stride))
            .zip(coordinates.par_chunks(task_rows * dims))
            .try_for_each(|((lines, fine), rows)| {
                check_environment()?;
                encode_task(frame, rows, lines, fine);
                Ok::<(), Error>(())
            })?;
        write(lines.as_flattened(), &fine)?;
    }
    Ok(())
}

fn encode_task(frame: &CodeFrame, rows: &[f32], lines: &mut [Line], fine: &mut [u8]) {
    let dims = frame.dims();
    let tiles = lines.chunks_exact_mut(tile_bytes(dims) / size_of::<Line>());
    let fine = fine.chunks_mut(TILE_ROWS * fine_stride(dims));
    let mut scratch = Vec::new();
    for ((rows, lines), fine) in rows.chunks(TILE_ROWS * dims).zip(tiles).zip(fine) {
        encode_tile(frame, rows, lines, fine, &mut scratch);
    }
}
