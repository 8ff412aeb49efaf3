//! The bytes of prefix.bin against docs/FORMAT.md, by a decoder that knows nothing but the page, as those of
//! the codes beside it are in [`code_bytes`](crate::code_bytes).

use std::path::Path;

use ringdb::RingDbError;

use crate::code_bytes::{
    Bytes, CODES, Head, SLACK, STEP_MIN, TILE_ROWS, body, check_norm, head, norm, opened,
};
use crate::contents::{Derived, Fixture};
use crate::fixtures::{dir, named};

const CODES_FILE: &str = "segment-000001/codes.bin";
const PREFIX_FILE: &str = "segment-000001/prefix.bin";

/// Its place among the files of a fixture.
const PREFIX: usize = 6;

/// The least loss: 2^-32.
const LOSS_MIN: f64 = 2.328_306_436_538_696_3e-10;

/// What stands before the tiles.
struct PrefixHead {
    /// Numbers of a row.
    m: usize,
    /// For each dim its `m` numbers, if there is a rotation.
    rotation: Option<Vec<Vec<f64>>>,
    loss: f64,
}

/// What prefix.bin says of a row.
struct Decoded {
    codes: Vec<f64>,
    norm_sq: f64,
    step: f64,
    beta: f64,
    /// Zero without a rotation.
    rest: f64,
}

fn prefix_head(bytes: &mut Bytes<'_>, fixture: &Fixture) -> PrefixHead {
    let dims = fixture.dims;
    assert_eq!(bytes.u32(), 1, "form");
    assert_eq!(bytes.u32() as usize, dims);
    assert_eq!((bytes.u32(), bytes.u32()), (fixture.len, 0), "rows, u64");
    let m = bytes.u32() as usize;
    let is_rotated = bytes.u32();
    let loss = bytes.f32();
    bytes.take_all(36, 0);
    assert!((LOSS_MIN..=0.0625).contains(&loss), "{loss}");
    let rotation = match is_rotated {
        0 => {
            assert_eq!(m, dims);
            None
        }
        1 => {
            assert!(m > 0 && m.is_multiple_of(32) && m <= dims.min(256) && dims <= 4096);
            let mut of_dim = |_| (0..m).map(|_| bytes.f32()).collect();
            Some((0..dims).map(&mut of_dim).collect::<Vec<Vec<f64>>>())
        }
        other => panic!("{other}"),
    };
    PrefixHead { m, rotation, loss }
}

/// A number for each of the rows of a tile that there are, and zeros for the others.
fn of_tile<'a>(
    bytes: &mut Bytes<'a>,
    n_rows: usize,
    number: impl Fn(&mut Bytes<'a>) -> f64,
) -> Vec<f64> {
    let mut numbers: Vec<f64> = (0..TILE_ROWS).map(|_| number(bytes)).collect();
    assert!(numbers.drain(n_rows..).all(|number| number == 0.0));
    numbers
}

/// The rows of all tiles, in order.
fn rows(bytes: &mut Bytes<'_>, head: &PrefixHead, fixture: &Fixture) -> Vec<Decoded> {
    let len = fixture.len as usize;
    let mut decoded = Vec::new();
    for first in (0..len).step_by(TILE_ROWS) {
        let n_rows = TILE_ROWS.min(len - first);
        let mut of_rows = vec![Vec::new(); TILE_ROWS];
        for _ in 0..head.m.div_ceil(8) {
            for of_row in &mut of_rows {
                let four = bytes.take(4);
                of_row.extend(four.iter().map(|byte| f64::from(byte & 15) - 8.0));
                of_row.extend(four.iter().map(|byte| f64::from(byte >> 4) - 8.0));
            }
        }
        let norms = of_tile(bytes, n_rows, Bytes::f32);
        let steps = of_tile(bytes, n_rows, Bytes::half);
        let betas = of_tile(bytes, n_rows, Bytes::half);
        let rests = match head.rotation {
            Some(_) => of_tile(bytes, n_rows, Bytes::half),
            None => vec![0.0; n_rows],
        };
        if head.rotation.is_some() {
            bytes.take_all(32, 0);
        }
        for (r, mut codes) in of_rows.into_iter().enumerate() {
            let n_codes = if r < n_rows { head.m } else { 0 };
            assert!(codes.drain(n_codes..).all(|code| code == 0.0));
            if r < n_rows {
                decoded.push(Decoded {
                    codes,
                    norm_sq: norms[r],
                    step: steps[r],
                    beta: betas[r],
                    rest: rests[r],
                });
            }
        }
    }
    assert!(bytes.0.is_empty());
    decoded
}

/// The numbers of a row, and the length of what they leave out of it.
fn rotated(rotation: &[Vec<f64>], m: usize, y: &[f64]) -> (Vec<f64>, f64) {
    let mut z = vec![0.0; m];
    for (of_dim, y) in rotation.iter().zip(y) {
        for (z, r) in z.iter_mut().zip(of_dim) {
            *z += r * y;
        }
    }
    let back = |of_dim: &Vec<f64>| of_dim.iter().zip(&z).map(|(r, z)| r * z).sum::<f64>();
    let left_out = rotation.iter().zip(y).map(|(of_dim, y)| y - back(of_dim));
    let left_out = norm(left_out);
    (z, left_out)
}

/// Holds what is said of a row to the row.
fn check_row(frame: &Head, head: &PrefixHead, found: &Decoded, row: &[f32]) {
    let y = frame.framed(row);
    let exact = check_norm(found.norm_sq, &y);
    let slack = SLACK * exact;
    let z = match &head.rotation {
        None => y,
        Some(rotation) => {
            let (z, left_out) = rotated(rotation, head.m, &y);
            let rest = found.rest;
            assert!(left_out <= rest + slack, "{left_out} of {rest}");
            // And it says something: it is rounded up to eight bits.
            let at_most = (left_out * left_out + 6.0 * head.loss * exact * exact).sqrt();
            assert!(rest <= 1.01 * at_most + slack, "{rest} for {left_out}");
            z
        }
    };
    let s = found.step;
    assert!(s > 0.0 && found.codes.iter().all(|k| k.abs() <= 7.0));
    let residual = norm(z.iter().zip(&found.codes).map(|(z, k)| z - s * k));
    let bound = found.beta * s;
    assert!(residual <= bound + slack, "{residual} of {bound}");
    assert!(
        bound <= 1.01 * residual + 1e-9 * exact,
        "{bound} for {residual}"
    );
    // No number is off by more than half a step of the largest number's seventh, each of which is rounded up.
    let largest = z.iter().fold(0.0_f64, |largest, z| largest.max(z.abs()));
    let widest = (head.m as f64).sqrt() / 2.0 * (1.01 * largest / 7.0).max(STEP_MIN);
    assert!(residual <= widest, "{residual}, {widest}");
}

/// `|I - R R'|` in Frobenius' norm.
fn not_orthonormal(rotation: &[Vec<f64>], m: usize) -> f64 {
    let pairs = (0..m).flat_map(|i| (0..m).map(move |j| (i, j)));
    norm(pairs.map(|(i, j)| {
        let dot: f64 = rotation.iter().map(|of_dim| of_dim[i] * of_dim[j]).sum();
        f64::from(u8::from(i == j)) - dot
    }))
}

/// Holds the prefixes of a database to its rows. Returns how many numbers of each row are kept by a rotation.
fn check(db: &Path, fixture: &Fixture) -> Option<usize> {
    let [codes, prefix] = [CODES_FILE, PREFIX_FILE].map(|name| body(&db.join(name)));
    let frame = head(&mut Bytes(&codes), fixture);
    let mut bytes = Bytes(&prefix);
    let head = prefix_head(&mut bytes, fixture);
    if let Some(rotation) = &head.rotation {
        let lost = not_orthonormal(rotation, head.m);
        assert!(lost + LOSS_MIN <= head.loss + SLACK, "{lost}");
        // It is rounded to f32 and no more.
        assert!(head.loss < 1e-5 && head.loss <= 1.001 * (lost + LOSS_MIN));
    }
    let decoded = rows(&mut bytes, &head, fixture);
    assert_eq!(decoded.len(), fixture.len as usize);
    for (id, found) in (0..).zip(&decoded) {
        check_row(&frame, &head, found, &fixture.row(id));
    }
    head.rotation.map(|_| head.m)
}

#[test]
fn prefixes_are_what_the_page_says() {
    let fixture = named("prefix");
    assert_eq!(check(&dir(fixture), fixture), Some(32));
    for (derived, dims, len, expected) in [
        (Derived::Prefix, 68, 72, Some(32)),
        (Derived::Prefix, 64, 64, Some(32)),
        (Derived::Prefix, 128, 150, Some(32)),
        // Fewer rows than a rotation has directions.
        (Derived::Prefix, 128, 31, None),
        (Derived::Prefix, 63, 40, None),
        (Derived::Codes, 1, 2, None),
        (Derived::Codes, 3, 16, None),
        (Derived::Codes, 16, 33, None),
        (Derived::Codes, 17, 20, None),
        (Derived::Codes, 40, 1, None),
    ] {
        println!("{len} x {dims}");
        let fixture = Fixture {
            derived,
            dims,
            len,
            ..*fixture
        };
        let fresh = tempfile::tempdir().unwrap();
        fixture.build(fresh.path()).unwrap();
        assert_eq!(check(fresh.path(), &fixture), expected);
    }
}

#[test]
fn prefixes_of_another_form_are_passed_over() {
    let fixture = named("prefix");
    for form in [0, 2, u32::MAX] {
        for found in opened(fixture, PREFIX, 0, form) {
            assert_eq!(found.unwrap(), (true, false));
        }
        // They share the frame of codes, and are nothing without it.
        for found in opened(fixture, CODES, 0, form) {
            assert_eq!(found.unwrap(), (false, false));
        }
    }
}

#[test]
fn a_head_of_prefixes_that_does_not_fit_is_damage() {
    for (at, value) in [
        (4, 67),
        (8, 71),
        (12, 1),
        (16, 0),
        (16, 31),
        // Longer than the file, or than there are dims.
        (16, 64),
        (16, 96),
        // The numbers of all dims, which the rotation does not keep.
        (20, 0),
        (20, 2),
        (24, 0),
        (24, 2.0_f32.powi(-32).next_down().to_bits()),
        (24, 0.0625_f32.next_up().to_bits()),
        (24, (-0.001_f32).to_bits()),
        (24, f32::NAN.to_bits()),
        (64, f32::INFINITY.to_bits()),
        // The last of the rotation.
        (64 + 4 * 32 * 68 - 4, f32::NAN.to_bits()),
    ] {
        for found in opened(named("prefix"), PREFIX, at, value) {
            match found {
                Err(RingDbError::Corrupt(corruption)) => {
                    assert!(corruption.path().ends_with(PREFIX_FILE), "{corruption:?}");
                }
                other => panic!("{value} at {at}: {other:?}"),
            }
        }
    }
    // The least and the largest loss that there may be.
    for loss in [2.0_f32.powi(-32), 0.0625] {
        for found in opened(named("prefix"), PREFIX, 24, loss.to_bits()) {
            assert_eq!(found.unwrap(), (true, true));
        }
    }
}
