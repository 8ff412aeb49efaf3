//! The bytes of blocks.bin and order.bin against docs/FORMAT.md: a decoder that knows nothing but the page, and what
//! it reads held to the rows.

use std::path::Path;

use ringdb::RingDbError;

use crate::code_bytes::{Bytes, body, opened_to_see};
use crate::contents::{Derived, Fixture};
use crate::fixtures::{dir, named};

/// Their places among the files of a fixture.
const BLOCKS: usize = 4;

const BLOCK_ROWS: usize = 64;

/// Numbers of a line.
const LINE: usize = 16;

/// A line for each dim: for each of sixteen boxes or rows a number, of which the first `n` are there.
fn lines(bytes: &mut Bytes<'_>, dims: usize, n: usize) -> Vec<Vec<f32>> {
    let mut line = |_| {
        let mut numbers: Vec<u32> = (0..LINE).map(|_| bytes.u32()).collect();
        assert!(numbers.drain(n..).all(|number| number == 0));
        numbers.into_iter().map(f32::from_bits).collect()
    };
    (0..dims).map(&mut line).collect()
}

/// Rows or bounds of so many, group by group; for each its coordinates.
fn columns(bytes: &mut Bytes<'_>, dims: usize, n: usize) -> Vec<Vec<f32>> {
    let mut all = Vec::new();
    for first in (0..n).step_by(LINE) {
        let lines = lines(bytes, dims, (n - first).min(LINE));
        let count = (n - first).min(LINE);
        all.extend((0..count).map(|i| lines.iter().map(|line| line[i]).collect::<Vec<f32>>()));
    }
    all
}

/// Lower and upper bounds of so many boxes.
fn boxes(bytes: &mut Bytes<'_>, dims: usize, n: usize) -> Vec<[Vec<f32>; 2]> {
    let mut all = Vec::new();
    for first in (0..n).step_by(LINE) {
        let count = (n - first).min(LINE);
        let [lower, upper] = [(); 2].map(|()| columns(bytes, dims, count));
        all.extend(lower.into_iter().zip(upper).map(|(lo, hi)| [lo, hi]));
    }
    all
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

/// The smallest and the largest coordinate of each dim.
fn bounds(rows: &[Vec<f32>]) -> [Vec<f32>; 2] {
    let of_dim = |dim: usize| {
        let mut column: Vec<f32> = rows.iter().map(|row| row[dim]).collect();
        column.sort_by(f32::total_cmp);
        [column[0], column[column.len() - 1]]
    };
    let all: Vec<_> = (0..rows[0].len()).map(of_dim).collect();
    [0, 1].map(|side| all.iter().map(|both| both[side]).collect())
}

/// Holds the boxes of a database to its rows. Returns how many levels there are.
fn check(db: &Path, fixture: &Fixture) -> usize {
    let [blocks, order] =
        ["blocks.bin", "order.bin"].map(|name| body(&db.join("segment-000001").join(name)));
    let (dims, len) = (fixture.dims, fixture.len as usize);
    let mut bytes = Bytes(&order);
    let ids: Vec<u32> = (0..len).map(|_| bytes.u32()).collect();
    assert!(bytes.0.is_empty());
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    assert!(sorted.into_iter().eq(0..fixture.len));
    assert!(ids.chunks(BLOCK_ROWS).all(|ids| ids.is_sorted()));

    let mut bytes = Bytes(&blocks);
    assert_eq!(bytes.u32(), 1, "form");
    assert_eq!(bytes.u32() as usize, dims);
    assert_eq!((bytes.u32(), bytes.u32()), (fixture.len, 0), "rows, u64");
    bytes.take_all(48, 0);
    let mut sizes = vec![len.div_ceil(BLOCK_ROWS)];
    while sizes[sizes.len() - 1] > 16 {
        sizes.push(sizes[sizes.len() - 1].div_ceil(16));
    }
    let n_levels = sizes.len();
    let levels = sizes.into_iter().rev();
    let levels: Vec<_> = levels.map(|n| boxes(&mut bytes, dims, n)).collect();
    let rows = columns(&mut bytes, dims, len);
    assert!(bytes.0.is_empty());

    for (row, &id) in rows.iter().zip(&ids) {
        assert_eq!(bits(row), bits(&fixture.row(id)), "row {id}");
    }
    let mut box_rows = BLOCK_ROWS;
    for level in levels.iter().rev() {
        for (rows, [lo, hi]) in rows.chunks(box_rows).zip(level) {
            let [lowest, highest] = bounds(rows);
            assert_eq!((bits(lo), bits(hi)), (bits(&lowest), bits(&highest)));
        }
        box_rows *= 16;
    }
    n_levels
}

#[test]
fn boxes_are_what_the_page_says() {
    let fixture = named("boxes");
    assert_eq!(check(&dir(fixture), fixture), 2);
    for (dims, len, levels) in [
        (1, 1, 1),
        (2, 63, 1),
        (3, 65, 1),
        (5, 1024, 1),
        (12, 1025, 2),
        (2, 16_385, 3),
    ] {
        println!("{len} x {dims}");
        let fixture = Fixture {
            derived: Derived::Boxes,
            dims,
            len,
            ..*fixture
        };
        let fresh = tempfile::tempdir().unwrap();
        fixture.build(fresh.path()).unwrap();
        assert_eq!(check(fresh.path(), &fixture), levels);
    }
}

#[test]
fn boxes_of_another_form_are_passed_over() {
    for form in [0, 2, u32::MAX] {
        for found in opened_to_see(named("boxes"), BLOCKS, (0, form), |db| db.has_boxes()) {
            assert!(!found.unwrap());
        }
    }
}

#[test]
fn a_head_of_blocks_that_does_not_fit_is_damage() {
    for (at, value) in [(4, 1), (4, 3), (4, 0), (8, 1_099), (8, 0), (12, 1)] {
        for found in opened_to_see(named("boxes"), BLOCKS, (at, value), |db| db.has_boxes()) {
            match found {
                Err(RingDbError::Corrupt(corruption)) => {
                    assert!(corruption.path().ends_with("blocks.bin"), "{corruption:?}");
                }
                other => panic!("{value} at {at}: {other:?}"),
            }
        }
    }
}
