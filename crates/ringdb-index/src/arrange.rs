//! Arranging: rows put in an order in which neighbours are near each other, and boxes around them, on all
//! threads.
//!
//! Invariant: the bytes depend on the rows alone, not on threads or on how a library selects; each row has one place.
//! Memory holds all coordinates and ids once more while it lasts.

use rayon::prelude::*;

use crate::boxes::{
    BLOCK_ROWS, BOX_DIMS_MAX, Bounds, BoxFrame, BoxQuery, Boxes, Record, fill_rows, levels_of,
    of_dims,
};
use crate::code::Line;
use crate::distance::{check_environment, distance};
use crate::error::{Error, Result};
use crate::guard::Trusted;
use crate::kernel::Kernel;
use crate::ring::Ring;
use crate::rows::{Rows, sampled};
use crate::walk::Walk;

/// Fewer rows are put in order by one thread.
const PARALLEL_ROWS: usize = 16 * BLOCK_ROWS;

/// Rows whose bytes are handed on at once.
const PART_ROWS: usize = 1024 * BLOCK_ROWS;

/// Blocks of consecutive rows of an order, as they go to whoever keeps them.
#[non_exhaustive]
#[derive(Debug, Clone, Copy)]
pub struct Arranged<'a> {
    /// Blocks; the first part is their head with all boxes.
    pub blocks: &'a [u8],
    /// The ids of as many rows.
    pub order: &'a [u8],
}

/// Puts rows in order, and hands their blocks to `write`, in order and in parts of some megabytes.
///
/// ```
/// use ringdb_index::{Arranged, Boxes, BoxFrame, Kernel, Ring, Rows, Segment, Trusted, arrange, search};
///
/// # fn main() -> ringdb_index::Result<()> {
/// let data: Vec<f32> = (0..3000).map(|i| (i * i % 1009) as f32).collect();
/// let rows = Rows::new(&data, 3)?;
/// let (mut blocks, mut order) = (Vec::new(), Vec::new());
/// arrange(rows, |more: Arranged<'_>| {
///     blocks.extend_from_slice(more.blocks);
///     order.extend_from_slice(more.order);
///     Ok::<(), ringdb_index::Error>(())
/// })?;
/// let frame = BoxFrame::new(rows.len(), rows.dims())?;
/// assert_eq!(BoxFrame::read(&blocks, 1000, 3)?, Some(frame));
/// let segment = Segment::new(rows).and_boxes(Boxes::new(frame, &blocks, &order)?)?;
/// let (kernel, ring) = (Kernel::fastest(), Ring::between(100.0, 200.0)?);
/// let found = search(segment, &data[..3], &ring, kernel, &Trusted)?;
/// assert_eq!(found.0, search(Segment::new(rows), &data[..3], &ring, kernel, &Trusted)?.0);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Those of `write`; [`Error::InvalidDims`] for rows of more than [`BOX_DIMS_MAX`] dims.
pub fn arrange<E: From<Error>>(
    rows: Rows<'_>,
    write: impl FnMut(Arranged<'_>) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let frame = BoxFrame::new(rows.len(), rows.dims())?;
    of_dims!(rows.dims(), arrange_of::<_, E>(rows, &frame, write))
}

fn arrange_of<const D: usize, E>(
    rows: Rows<'_>,
    frame: &BoxFrame,
    mut write: impl FnMut(Arranged<'_>) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let (all, _) = rows.coordinates(0..rows.len()).as_chunks::<D>();
    let record = |(id, row): (usize, &[f32; D])| Record {
        row: *row,
        // An id, because there are at most ROWS_MAX rows.
        id: id as u32,
    };
    let mut records: Vec<Record<D>> = all.par_iter().enumerate().map(record).collect();
    put_in_order(&mut records);
    let mut blocks = frame.head();
    blocks.extend_from_slice(levels_of(&records).as_flattened());
    write(Arranged {
        blocks: &blocks,
        order: &[],
    })?;
    let (mut lines, mut order): (Vec<Line>, Vec<u8>) = (Vec::new(), Vec::new());
    for part in records.chunks(PART_ROWS) {
        lines.clear();
        order.clear();
        fill_rows(part, &mut lines);
        order.extend(part.iter().flat_map(|record| record.id.to_le_bytes()));
        write(Arranged {
            blocks: lines.as_flattened(),
            order: &order,
        })?;
    }
    Ok(())
}

/// Splits rows along the axis on which they lie farthest apart, again and again until they are blocks. The
/// first part is the largest power of two of blocks that leaves some to the second, so that blocks of which
/// sixteen have a box around them are neighbours in space. Within a block rows stand by id.
fn put_in_order<const D: usize>(records: &mut [Record<D>]) {
    let blocks = records.len().div_ceil(BLOCK_ROWS);
    if blocks <= 1 {
        records.sort_unstable_by_key(|record| record.id);
        return;
    }
    let first = blocks.next_power_of_two() / 2 * BLOCK_ROWS;
    let axis = Bounds::of(records).widest();
    // By id where they are equal, so that the order is one and the same.
    records.select_nth_unstable_by(first, |a, b| {
        let by_axis = a.row[axis].total_cmp(&b.row[axis]);
        by_axis.then(a.id.cmp(&b.id))
    });
    let (first, second) = records.split_at_mut(first);
    match blocks * BLOCK_ROWS > PARALLEL_ROWS {
        true => {
            rayon::join(|| put_in_order(first), || put_in_order(second));
        }
        false => {
            put_in_order(first);
            put_in_order(second);
        }
    }
}

/// Rows of a sample that tells whether boxes are worth it.
const SAMPLE_ROWS: usize = 32 * 1024;

/// Searches in the sample.
const SAMPLE_QUERIES: usize = 32;

/// Rows that each of these searches finds, at least.
const SAMPLE_HITS: usize = 64;

/// Boxes are worth it if they leave this part of the rows of a sample unsure, at most. More rows have smaller
/// boxes, which leave fewer.
const UNSURE_MAX: f64 = 0.5;

/// Whether boxes around these rows are worth it: whether small balls in a sample of them leave few rows unsure.
/// They are not if the rows have more than [`BOX_DIMS_MAX`] dims, or if there are none.
///
/// # Errors
/// [`Error::FloatEnvironment`] if [`check_environment`] fails.
pub fn boxes_pay(rows: Rows<'_>) -> Result<bool> {
    check_environment()?;
    let dims = rows.dims();
    if dims > BOX_DIMS_MAX || rows.is_empty() {
        return Ok(false);
    }
    let n = rows.len().min(SAMPLE_ROWS);
    let row = |i: usize| sampled(i, n, rows.len());
    let coordinates = (0..n).flat_map(|i| rows.coordinates(row(i)..row(i) + 1));
    let coordinates: Vec<f32> = coordinates.copied().collect();
    let sample = Rows::new(&coordinates, dims)?;
    let (mut blocks, mut order) = (Vec::new(), Vec::new());
    arrange::<Error>(sample, |more| {
        blocks.extend_from_slice(more.blocks);
        order.extend_from_slice(more.order);
        Ok(())
    })?;
    let boxes = Boxes::new(BoxFrame::new(n, dims)?, &blocks, &order)?;
    let queries = SAMPLE_QUERIES.min(n);
    let mut unsure = 0;
    for row in (0..queries).map(|i| sampled(i, queries, n)) {
        let query = sample.coordinates(row..row + 1);
        let mut distances: Vec<f64> = coordinates
            .chunks(dims)
            .map(|row| distance(row, query))
            .collect();
        let nth = SAMPLE_HITS.min(n) - 1;
        let (_, radius, _) = distances.select_nth_unstable_by(nth, f64::total_cmp);
        let query = BoxQuery::new(query, Ring::within(*radius)?.thresholds());
        let mut walk = Walk::new(boxes, query, None, None, Kernel::fastest(), &Trusted);
        walk.look_at_boxes()?;
        unsure += walk.rows_unsure();
    }
    Ok(unsure as f64 <= UNSURE_MAX * (queries * n) as f64)
}
