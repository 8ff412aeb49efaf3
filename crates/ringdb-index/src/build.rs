//! Building: rows into codes, on all threads.
//!
//! Invariant: the bytes depend on the rows alone, not on threads or batches; memory stays at a few
//! megabytes whatever the number of rows. Codes go to whoever asks for them, in order; this file keeps
//! none.

use rayon::prelude::*;

use crate::code::{
    CodeFrame, FramedRows, Line, TILE_ROWS, centre_of_sample, fine_stride, largest_norm_sq,
    tile_bytes, typical_norm,
};
use crate::distance::check_environment;
use crate::error::Error;
use crate::kernel::Kernel;
use crate::prefix::PrefixFrame;
use crate::rows::{Rows, sampled};

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
            .map(|i| sampled(i, sample_rows, rows.len()))
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

/// Codes of consecutive rows, as they go to whoever keeps them.
#[non_exhaustive]
#[derive(Debug, Clone, Copy)]
pub struct Encoded<'a> {
    /// Codes; the first part begins with the head of their frame.
    pub codes: &'a [u8],
    /// Fine codes of as many rows.
    pub fine: &'a [u8],
    /// Prefixes of as many rows, if any are asked for; the first part begins with the head of their frame.
    pub prefix: &'a [u8],
}

/// Computes the codes of rows, their fine codes, and their prefixes if there is a frame for them, and hands
/// them to `write`, in order and in parts of some megabytes.
///
/// ```
/// use ringdb_index::{CodeFrame, Codes, Encoded, Prefix, PrefixFrame, Rows, encode};
///
/// # fn main() -> ringdb_index::Result<()> {
/// let rows = Rows::new(&[0.0, 0.0, 3.0, 4.0, 6.0, 8.0], 2)?;
/// let frame = CodeFrame::of(rows);
/// let prefix_frame = PrefixFrame::forced(rows, &frame);
/// let (mut codes, mut fine, mut prefix) = (Vec::new(), Vec::new(), Vec::new());
/// encode(rows, &frame, Some(&prefix_frame), |more: Encoded<'_>| {
///     codes.extend_from_slice(more.codes);
///     fine.extend_from_slice(more.fine);
///     prefix.extend_from_slice(more.prefix);
///     Ok::<(), ringdb_index::Error>(())
/// })?;
/// assert_eq!(CodeFrame::read(&codes, 3, 2)?, Some(frame.clone()));
/// assert_eq!(PrefixFrame::read(&prefix, 3, 2)?, Some(prefix_frame.clone()));
/// let codes = Codes::new(&frame, &codes, &fine)?;
/// let prefix = Prefix::new(&prefix_frame, &prefix)?;
/// # let _ = (codes, prefix);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Those of `write`; [`Error::FloatEnvironment`] if [`check_environment`] fails on a thread that
/// computes; [`Error::NotOfTheseRows`] if a frame is not one of these rows.
pub fn encode<E: From<Error>>(
    rows: Rows<'_>,
    frame: &CodeFrame,
    prefix: Option<&PrefixFrame>,
    mut write: impl FnMut(Encoded<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let dims = rows.dims();
    let of_prefix = prefix.map_or((dims, rows.len()), |it| (it.dims(), it.rows()));
    for (what, found, expected) in [
        ("dims of the frame of codes", frame.dims(), dims),
        ("rows of the frame of codes", frame.rows(), rows.len()),
        ("dims of the frame of prefixes", of_prefix.0, dims),
        ("rows of the frame of prefixes", of_prefix.1, rows.len()),
    ] {
        if found != expected {
            let value = found as u64;
            return Err(Error::NotOfTheseRows { what, value }.into());
        }
    }
    write(Encoded {
        codes: &frame.head(),
        fine: &[],
        prefix: &prefix.map(PrefixFrame::head).unwrap_or_default(),
    })?;
    let task_tiles = (TASK_COORDINATES / dims).div_ceil(TILE_ROWS).max(1);
    let task_rows = task_tiles * TILE_ROWS;
    let (tile_lines, stride) = (tile_bytes(dims) / size_of::<Line>(), fine_stride(dims));
    let prefix_lines = prefix.map_or(0, PrefixFrame::tile_lines);
    let kernel = Kernel::fastest();
    let (mut lines, mut prefix_tiles): (Vec<Line>, Vec<Line>) = (Vec::new(), Vec::new());
    let mut fine: Vec<u8> = Vec::new();
    let batch_rows = task_rows * TASKS;
    for first in (0..rows.len()).step_by(batch_rows) {
        let batch = first..rows.len().min(first + batch_rows);
        let n_tiles = batch.len().div_ceil(TILE_ROWS);
        lines.resize(n_tiles * tile_lines, [0; size_of::<Line>()]);
        prefix_tiles.resize(n_tiles * prefix_lines, [0; size_of::<Line>()]);
        fine.resize(batch.len() * stride, 0);
        let coordinates = rows.coordinates(batch);
        // Without prefixes their parts are empty, but as many.
        let mut rest = &mut prefix_tiles[..];
        let of_tasks = (0..n_tiles.div_ceil(task_tiles)).map(|_| {
            let at = rest.len().min(task_tiles * prefix_lines);
            rest.split_off_mut(..at).unwrap_or_default()
        });
        let of_tasks: Vec<&mut [Line]> = of_tasks.collect();
        lines
            .par_chunks_mut(task_tiles * tile_lines)
            .zip(fine.par_chunks_mut(task_rows * stride))
            .zip(of_tasks)
            .zip(coordinates.par_chunks(task_rows * dims))
            .try_for_each(|(((lines, fine), prefix_tiles), rows)| {
                check_environment()?;
                let mut tiles = lines.chunks_exact_mut(tile_lines);
                let mut fine = fine.chunks_mut(TILE_ROWS * stride);
                let (mut framed, mut zs) = (FramedRows::default(), Vec::new());
                for (i, rows) in rows.chunks(TILE_ROWS * dims).enumerate() {
                    framed.fill(frame, rows);
                    if let Some((tile, fine)) = tiles.next().zip(fine.next()) {
                        kernel.encode_tile(&framed, dims, tile, fine);
                    }
                    if let Some(prefix) = prefix {
                        let tile = &mut prefix_tiles[i * prefix_lines..][..prefix_lines];
                        kernel.encode_prefixes(prefix, &framed, tile, &mut zs);
                    }
                }
                Ok::<(), Error>(())
            })?;
        write(Encoded {
            codes: lines.as_flattened(),
            fine: &fine,
            prefix: prefix_tiles.as_flattened(),
        })?;
    }
    Ok(())
}
