//! The bytes of codes.bin and fine.bin against docs/FORMAT.md: a decoder that knows nothing but the page,
//! and what it reads held to the rows. What the test of prefix.bin needs as well is shared from here.

use std::fs;
use std::path::Path;

use ringdb::{Access, OpenOptions, RingDbError, SealedRingDb, Verify};

use crate::contents::{Fixture, Place};
use crate::fixtures::{copy, dir, edit, files, named};

/// The places of the two among the files of a fixture.
pub(crate) const CODES: usize = 4;
const FINE: usize = 5;

/// Rows of a tile.
pub(crate) const TILE_ROWS: usize = 16;

/// More than what is lost where this test computes in `f64`.
pub(crate) const SLACK: f64 = 1e-12;

/// No row has a smaller step: 2^-100.
pub(crate) const STEP_MIN: f64 = 7.888_609_052_210_118e-31;

/// What codes.bin and fine.bin say of a row.
struct Decoded {
    codes: Vec<f64>,
    fine: Vec<f64>,
    norm_sq: f64,
    step: f64,
    beta: f64,
    beta_fine: f64,
}

/// What stands before the tiles.
pub(crate) struct Head {
    scale: f64,
    typical: f64,
    centre: Vec<f64>,
}

/// Bytes that are read from the front.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn take(&mut self, len: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at(len);
        self.0 = rest;
        front
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap())
    }

    pub(crate) fn f32(&mut self) -> f64 {
        f64::from(f32::from_bits(self.u32()))
    }

    /// The upper half of an `f32` whose lower half is zero.
    pub(crate) fn half(&mut self) -> f64 {
        let upper = u16::from_le_bytes(self.take(2).try_into().unwrap());
        f64::from(f32::from_bits(u32::from(upper) << 16))
    }

    #[track_caller]
    pub(crate) fn take_all(&mut self, len: usize, byte: u8) {
        assert!(self.take(len).iter().all(|&found| found == byte));
    }
}

/// The body of a file.
pub(crate) fn body(path: &Path) -> Vec<u8> {
    let file = fs::read(path).unwrap();
    let body_bytes = u64::from_le_bytes(file[48..56].try_into().unwrap());
    file[64..64 + body_bytes as usize].to_vec()
}

/// The head of codes.bin.
pub(crate) fn head(bytes: &mut Bytes<'_>, fixture: &Fixture) -> Head {
    assert_eq!(bytes.u32(), 1, "form");
    assert_eq!(bytes.u32() as usize, fixture.dims);
    assert_eq!((bytes.u32(), bytes.u32()), (fixture.len, 0), "rows, u64");
    let scale = 2.0_f64.powi(bytes.u32() as i32);
    let typical = bytes.f32();
    bytes.take_all(40, 0);
    let centre: Vec<f64> = (0..fixture.dims).map(|_| bytes.f32()).collect();
    bytes.take_all(
        (4 * fixture.dims).next_multiple_of(64) - 4 * fixture.dims,
        0,
    );
    assert!(centre.iter().all(|c| c.is_finite()));
    Head {
        scale,
        typical,
        centre,
    }
}

fn number(byte: u8) -> f64 {
    f64::from(byte) - 128.0
}

/// The rows of both files, in order.
fn rows(codes: &mut Bytes<'_>, fine: &mut Bytes<'_>, fixture: &Fixture) -> Vec<Decoded> {
    let (dims, len) = (fixture.dims, fixture.len as usize);
    let stride = match dims {
        ..=16 => 16,
        17..=32 => 32,
        _ => dims.next_multiple_of(64),
    };
    let mut decoded = Vec::new();
    for first in (0..len).step_by(TILE_ROWS) {
        let n_rows = TILE_ROWS.min(len - first);
        let mut of_rows = vec![Vec::new(); TILE_ROWS];
        for line in 0..dims.div_ceil(4) {
            for (r, of_row) in of_rows.iter_mut().enumerate() {
                let n_dims = match r < n_rows {
                    true => 4.min(dims - 4 * line),
                    false => 0,
                };
                of_row.extend(codes.take(n_dims).iter().map(|&byte| number(byte)));
                codes.take_all(4 - n_dims, 128);
            }
        }
        let norms: Vec<f64> = (0..n_rows).map(|_| codes.f32()).collect();
        codes.take_all(4 * (TILE_ROWS - n_rows), 0);
        let steps: Vec<f64> = (0..n_rows).map(|_| codes.half()).collect();
        codes.take_all(2 * (TILE_ROWS - n_rows), 0);
        let (beta, beta_fine) = (codes.f32(), codes.f32());
        codes.take_all(24, 0);
        let rows = of_rows.into_iter().zip(norms.into_iter().zip(steps));
        for (of_row, (norm_sq, step)) in rows {
            let of_row_fine = fine.take(dims).iter().map(|&byte| number(byte)).collect();
            fine.take_all(stride - dims, 128);
            decoded.push(Decoded {
                codes: of_row,
                fine: of_row_fine,
                norm_sq,
                step,
                beta,
                beta_fine,
            });
        }
    }
    assert!(codes.0.is_empty() && fine.0.is_empty());
    decoded
}

impl Head {
    /// A row from the centre, scaled.
    pub(crate) fn framed(&self, row: &[f32]) -> Vec<f64> {
        let coordinates = row.iter().zip(&self.centre);
        coordinates
            .map(|(&x, c)| self.scale * (f64::from(x) - c))
            .collect()
    }
}

pub(crate) fn norm(y: impl Iterator<Item = f64>) -> f64 {
    y.map(|y| y * y).sum::<f64>().sqrt()
}

/// Holds the squared norm of a row to the row. Returns its norm.
#[track_caller]
pub(crate) fn check_norm(norm_sq: f64, y: &[f64]) -> f64 {
    let exact = norm(y.iter().copied());
    // Half of the last bit of an f32.
    let rounding = exact * exact * (2.0_f64.powi(-24) + SLACK);
    assert!((norm_sq - exact * exact).abs() <= rounding);
    exact
}

/// Holds what is said of a row to the row. Returns its distance from the centre, scaled.
fn check_row(head: &Head, found: &Decoded, row: &[f32]) -> f64 {
    let y = head.framed(row);
    let exact = check_norm(found.norm_sq, &y);
    let largest = y.iter().fold(0.0_f64, |largest, y| largest.max(y.abs()));
    let s = found.step;
    assert!(largest <= 127.0 * s * (1.0 + SLACK));
    assert!(s <= 1.01 * (largest / 127.0).max(STEP_MIN));
    assert!(found.codes.iter().all(|k| k.abs() <= 127.0));
    assert!(found.fine.iter().all(|k| k.abs() <= 127.0));
    let residual = |of_codes: f64, of_fine: f64| {
        let codes = found.codes.iter().zip(&found.fine);
        let decoded = codes.map(|(k, k_fine)| of_codes * k + of_fine * k_fine);
        norm(y.iter().zip(decoded).map(|(y, decoded)| y - decoded))
    };
    let (coarse, fine) = (residual(s, 0.0), residual(s, s / 254.0));
    assert!(coarse <= found.beta * s, "{coarse} of {}", found.beta * s);
    assert!(fine <= found.beta_fine * s, "{fine}");
    exact
}

/// Holds both files of a database to its rows.
fn check(db: &Path, fixture: &Fixture) {
    let [codes, fine] = [CODES, FINE].map(|place| body(&db.join(files(fixture)[place])));
    let (mut codes, mut fine) = (Bytes(&codes), Bytes(&fine));
    let head = head(&mut codes, fixture);
    let decoded = rows(&mut codes, &mut fine, fixture);
    assert_eq!(decoded.len(), fixture.len as usize);
    let rows = (0..fixture.len).map(|id| fixture.row(id));
    let norms: Vec<f64> = rows
        .zip(&decoded)
        .map(|(row, found)| check_row(&head, found, &row))
        .collect();
    let farthest = norms.iter().copied().fold(0.0, f64::max);
    assert!((1.0..2.0).contains(&farthest), "{farthest}");
    assert!(head.typical > 0.0 && head.typical <= farthest * (1.0 + 1e-6));
    // A bound that is true of everything says nothing: no residual is more than half a step in each dim.
    let widest = (fixture.dims as f64).sqrt() / 2.0 * 1.001;
    for Decoded {
        beta, beta_fine, ..
    } in &decoded
    {
        assert!(*beta <= widest && *beta_fine <= widest / 254.0);
    }
}

#[test]
fn codes_are_what_the_page_says() {
    let fixture = named("codes");
    check(&dir(fixture), fixture);
    let fresh = tempfile::tempdir().unwrap();
    fixture.build(fresh.path()).unwrap();
    check(fresh.path(), fixture);
    for (dims, len) in [(1, 2), (3, 16), (16, 33), (33, 20), (65, 17)] {
        let fixture = Fixture {
            dims,
            len,
            ..*fixture
        };
        let fresh = tempfile::tempdir().unwrap();
        println!("{len} x {dims}");
        fixture.build(fresh.path()).unwrap();
        check(fresh.path(), &fixture);
    }
}

/// Writes a number into the body of one of the files, makes all checksums right, and opens the database
/// in every way. Returns whether it has codes, and a prefix.
pub(crate) fn opened(
    fixture: &Fixture,
    place: usize,
    at: usize,
    value: u32,
) -> Vec<Result<(bool, bool), RingDbError>> {
    opened_to_see(fixture, place, (at, value), |db| {
        (db.has_codes(), db.has_prefix())
    })
}

/// The same, and returns what is seen of it.
pub(crate) fn opened_to_see<R>(
    fixture: &Fixture,
    place: usize,
    (at, value): (usize, u32),
    see: impl Fn(&SealedRingDb<Place>) -> R,
) -> Vec<Result<R, RingDbError>> {
    let db = tempfile::tempdir().unwrap();
    copy(fixture, db.path());
    edit(db.path(), files(fixture), place, |file| {
        let field = &mut file[64 + at..64 + at + 4];
        assert_ne!(field, value.to_le_bytes());
        field.copy_from_slice(&value.to_le_bytes());
    });
    let mut results = Vec::new();
    for verify in [Verify::Open, Verify::Lazy, Verify::Never] {
        for access in [Access::Map, Access::Read] {
            let options = OpenOptions::new().verify(verify).access(access);
            let db = options.open::<Place>(db.path());
            results.push(db.map(|db| {
                let query = fixture.row(0);
                let same = (0..fixture.len).filter(|&id| fixture.row(id) == query);
                let found = db.search(&query).within(0.0).run().unwrap();
                assert_eq!(found.ids, same.collect::<Vec<_>>());
                see(&db)
            }));
        }
    }
    results
}

#[test]
fn codes_of_another_form_are_passed_over() {
    for form in [0, 2, u32::MAX] {
        for found in opened(named("codes"), CODES, 0, form) {
            assert_eq!(found.unwrap(), (false, false));
        }
    }
}

#[test]
fn a_head_that_does_not_fit_is_damage() {
    for (at, value) in [
        (4, 17),
        (8, 199),
        (12, 1),
        (16, 151),
        (16, -141_i32 as u32),
        (20, 0),
        (20, 2.5_f32.to_bits()),
        (20, f32::NAN.to_bits()),
        (64, f32::INFINITY.to_bits()),
    ] {
        for found in opened(named("codes"), CODES, at, value) {
            let is_corrupt = matches!(found, Err(RingDbError::Corrupt(_)));
            assert!(is_corrupt, "{value} at {at}: {found:?}");
        }
    }
}
