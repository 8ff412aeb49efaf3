//! The scan as a whole: threads, the borders of spans and chunks, partitions of the data, and what
//! a search refuses.

use std::ops::Bound::{Excluded, Included, Unbounded};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use ringdb_index::{DIMS_MAX, Error, Kernel, Ring, Rows, distance, distances, ring_ids};

use crate::{Bounds, SEED, is_inside, kernels};

/// A span of rows ends after this many coordinates, a chunk after this many rows.
const SPAN_COORDINATES: usize = 256 * 1024;
const CHUNK_ROWS: usize = 2_048;

fn uniform(len: usize, seed: u64) -> Vec<f32> {
    let mut rng = SmallRng::seed_from_u64(SEED ^ seed);
    (0..len).map(|_| rng.random_range(-1.0_f32..1.0)).collect()
}

fn ring(bounds: Bounds) -> Ring {
    Ring::from_bounds(bounds).expect("legal bounds")
}

/// The ids by definition, ascending.
fn by_definition(rows: Rows<'_>, query: &[f32], bounds: Bounds) -> Vec<u32> {
    let ids = 0..rows.len() as u32;
    ids.filter(|&id| {
        rows.row(id)
            .is_some_and(|row| is_inside(distance(row, query), bounds))
    })
    .collect()
}

#[test]
fn nothing_is_lost_at_the_borders_of_chunks_and_spans() {
    println!("seed {SEED:#x}");
    for dims in [1, 3, 8, 64, 100] {
        let span_rows = SPAN_COORDINATES / dims;
        let middles = [
            1,
            CHUNK_ROWS,
            2 * CHUNK_ROWS,
            span_rows,
            span_rows + CHUNK_ROWS,
            2 * span_rows,
        ];
        let data = uniform((2 * span_rows + 1) * dims, dims as u64);
        let query = &data[..dims];
        for n in middles
            .into_iter()
            .flat_map(|middle| middle - 1..=middle + 1)
        {
            let rows = Rows::new(&data[..n * dims], dims).expect("whole rows");
            let typical = distance(query, &data[dims..2 * dims]);
            for bounds in [
                (Unbounded, Unbounded),
                (Included(typical), Unbounded),
                (Unbounded, Excluded(typical)),
            ] {
                let expected = by_definition(rows, query, bounds);
                for kernel in Kernel::available() {
                    let found =
                        ring_ids(rows, query, &ring(bounds), kernel).expect("a legal search");
                    assert!(
                        found == expected,
                        "{kernel}, {n} rows of {dims}, {bounds:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_answer() {
    println!("seed {SEED:#x}");
    let (n, dims) = (100_000, 20);
    let data = uniform(n * dims, 1);
    let rows = Rows::new(&data, dims).expect("whole rows");
    let query = uniform(dims, 2);
    let bounds = (Included(3.3), Included(3.6));
    let expected = by_definition(rows, &query, bounds);
    assert!(
        expected.len() > n / 10 && expected.len() < n / 2,
        "{} hits",
        expected.len()
    );
    let shuffled: Vec<u32> = (0..n as u32)
        .map(|i| i.wrapping_mul(7_919) % n as u32)
        .collect();
    let oracle: Vec<f64> = shuffled
        .iter()
        .filter_map(|&id| Some(distance(rows.row(id)?, &query)))
        .collect();
    for threads in [1, 2, 7] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("a pool");
        for kernel in kernels() {
            let found = pool
                .install(|| ring_ids(rows, &query, &ring(bounds), kernel))
                .expect("a legal search");
            assert!(found == expected, "{kernel}, {threads} threads");
            let computed = pool
                .install(|| distances(rows, &query, &shuffled, kernel))
                .expect("a legal search");
            assert!(computed == oracle, "{kernel}, {threads} threads");
        }
    }
}

#[test]
fn adjacent_half_open_rings_partition_the_rows() {
    println!("seed {SEED:#x}");
    for (n, dims) in [(5_000, 3), (2_000, 64), (100, 768)] {
        let data = uniform(n * dims, 3);
        let rows = Rows::new(&data, dims).expect("whole rows");
        let query = &data[..dims];
        // Borders at distances that occur, where a row could fall between two rings or into both.
        let mut borders: Vec<f64> = data
            .chunks(dims)
            .step_by(n / 20)
            .map(|row| distance(row, query))
            .collect();
        borders.sort_by(f64::total_cmp);
        let starts = [Unbounded]
            .into_iter()
            .chain(borders.iter().copied().map(Included));
        let ends = borders.iter().copied().map(Excluded).chain([Unbounded]);
        let rings: Vec<Bounds> = starts.zip(ends).collect();
        for kernel in Kernel::available() {
            let search = |&bounds: &Bounds| {
                ring_ids(rows, query, &ring(bounds), kernel).expect("a legal search")
            };
            let mut all: Vec<u32> = rings.iter().flat_map(search).collect();
            all.sort_unstable();
            assert!(
                all.into_iter().eq(0..n as u32),
                "{kernel}, {n} rows of {dims}"
            );
        }
    }
}

#[test]
fn no_rows_have_no_hits() {
    let rows = Rows::new(&[], 3).expect("no rows are whole rows");
    for kernel in Kernel::available() {
        assert_eq!(
            ring_ids(rows, &[0.0; 3], &ring((Unbounded, Unbounded)), kernel),
            Ok(vec![])
        );
        assert_eq!(distances(rows, &[0.0; 3], &[], kernel), Ok(vec![]));
    }
}

#[test]
fn a_row_that_was_not_checked_and_is_not_finite_is_no_hit() {
    let rows =
        Rows::new(&[0.0, 1.0, f32::NAN, 0.0, 0.0, f32::INFINITY, 2.0, 0.0], 2).expect("whole rows");
    for kernel in Kernel::available() {
        assert_eq!(
            ring_ids(rows, &[0.0; 2], &ring((Unbounded, Unbounded)), kernel),
            Ok(vec![0, 3])
        );
    }
}

#[test]
fn ids_may_be_in_any_order_and_repeat() {
    let rows = Rows::new(&[0.0, 1.0, 2.0, 3.0], 1).expect("whole rows");
    assert_eq!(
        distances(rows, &[1.0], &[3, 0, 3, 1], Kernel::fastest()),
        Ok(vec![2.0, 1.0, 2.0, 0.0])
    );
}

/// A query or an id that does not fit is refused by both searches alike.
#[test]
fn what_does_not_fit_is_refused() {
    let data = [0.0; 6];
    let rows = Rows::new(&data, 3).expect("whole rows");
    let everything = ring((Unbounded, Unbounded));
    for kernel in Kernel::available() {
        let refused = |query: &[f32]| {
            let error =
                ring_ids(rows, query, &everything, kernel).expect_err("a query that does not fit");
            let again =
                distances(rows, query, &[0], kernel).expect_err("a query that does not fit");
            assert_eq!(error.to_string(), again.to_string());
            error
        };
        assert_eq!(
            refused(&[0.0; 2]),
            Error::DimensionMismatch {
                expected: 3,
                got: 2
            }
        );
        assert_eq!(
            refused(&[]),
            Error::DimensionMismatch {
                expected: 3,
                got: 0
            }
        );
        assert_eq!(
            refused(&[0.0, 0.0, f32::NEG_INFINITY]),
            Error::NotFinite {
                index: 2,
                value: f32::NEG_INFINITY
            }
        );
        assert!(
            matches!(refused(&[0.0, f32::NAN, 0.0]), Error::NotFinite { index: 1, value } if value.is_nan())
        );
        let error = distances(rows, &[0.0; 3], &[1, 2, 3], kernel);
        assert_eq!(error, Err(Error::IdOutOfRange { id: 2, len: 2 }));
    }
}

#[test]
fn errors_carry_their_values_in_the_text() {
    let check = |error: Error, text: &str| assert_eq!(error.to_string(), text);
    check(
        Rows::new(&[], 0).expect_err("no dims"),
        &format!("dims is 0, must be from 1 to {DIMS_MAX}"),
    );
    check(
        Error::DimensionMismatch {
            expected: 3,
            got: 2,
        },
        "vector has 2 coordinates, expected 3",
    );
    check(
        Error::NotFinite {
            index: 4,
            value: f32::NAN,
        },
        "coordinate 4 is NaN, must be finite",
    );
    check(
        Ring::between(0.0, -1.0).expect_err("negative"),
        "invalid bound, d_max: -1",
    );
    check(
        Ring::between(3.0, 1.0).expect_err("inverted"),
        "invalid bound, d_min greater than d_max: 3",
    );
    check(
        Error::TooManyRows { rows: 5, max: 4 },
        "5 rows given, at most 4 can be numbered",
    );
    check(
        Error::IdOutOfRange { id: 9, len: 2 },
        "id 9 is out of range, there are 2 rows",
    );
    check(
        Error::FloatEnvironment,
        "the floating-point environment does not round to nearest, or flushes subnormal numbers to zero",
    );
}
