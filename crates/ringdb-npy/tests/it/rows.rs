//! Arrays that are read.

use std::convert::Infallible;

use half::f16;
use npyz::WriterBuilder;
use ringdb_npy::{Element, Npy};

use crate::support::{array, f4, file, header};

#[track_caller]
fn check(bytes: &[u8], element: Element, dims: usize, expected: &[&[f32]]) {
    let npy = Npy::parse(bytes).unwrap();
    assert_eq!((npy.element(), npy.dims()), (element, dims));
    assert_eq!(
        (npy.len(), npy.is_empty()),
        (expected.len(), expected.is_empty())
    );
    let mut rows = Vec::new();
    let Ok(()) = npy.for_each_row(|number, row| {
        assert_eq!(number, rows.len());
        rows.push(row.to_vec());
        Ok::<(), Infallible>(())
    });
    assert_eq!(rows, expected);
}

const ROWS: &[&[f32]] = &[&[1.0, -2.5, 3e-42], &[f32::MAX, 0.1, -0.0]];

#[test]
fn every_version_of_the_format() {
    let numbers = f4(&ROWS.concat());
    for version in 1..=3 {
        let bytes = file(version, &header("'<f4'", "False", "(2, 3)"), &numbers);
        check(&bytes, Element::F32, 3, ROWS);
    }
}

#[test]
fn both_elements() {
    check(
        &array("'<f4'", "(2, 3)", &f4(&ROWS.concat())),
        Element::F32,
        3,
        ROWS,
    );
    let halves = [1.0, -2.5, 6e-8, 65504.0, f32::INFINITY, 0.1].map(f16::from_f32);
    let bytes: Vec<u8> = halves.iter().flat_map(|n| n.to_le_bytes()).collect();
    let rows: &[&[f32]] = &[
        &[1.0, -2.5],
        // The least above 0 is 2^-24.
        &[0.000_000_059_604_645, 65504.0],
        &[f32::INFINITY, 0.099_975_586],
    ];
    check(&array("'<f2'", "(3, 2)", &bytes), Element::F16, 2, rows);
}

#[test]
fn bytes_may_lie_anywhere() {
    let whole = array("'<f4'", "(2, 3)", &f4(&ROWS.concat()));
    for offset in 0..8 {
        let moved = [&[0; 8][..offset], &whole].concat();
        check(&moved[offset..], Element::F32, 3, ROWS);
    }
}

#[test]
fn what_npyz_writes() {
    let mut bytes = Vec::new();
    let options = npyz::WriteOptions::new().default_dtype().shape(&[2, 3]);
    let mut writer = options.writer(&mut bytes).begin_nd().unwrap();
    writer.extend(ROWS.concat()).unwrap();
    writer.finish().unwrap();
    check(&bytes, Element::F32, 3, ROWS);
}

#[test]
fn one_row_or_one_coordinate_in_either_order() {
    for order in ["False", "True"] {
        let row = file(1, &header("'<f4'", order, "(1, 2)"), &f4(&[1.0, 2.0]));
        check(&row, Element::F32, 2, &[&[1.0, 2.0]]);
        let column = file(1, &header("'<f4'", order, "(2, 1)"), &f4(&[1.0, 2.0]));
        check(&column, Element::F32, 1, &[&[1.0], &[2.0]]);
    }
}

#[test]
fn no_rows_whatever_their_dims() {
    check(&array("'<f4'", "(0, 3)", &[]), Element::F32, 3, &[]);
    // As many as a header can hold; nothing is reserved for them.
    let dims = 99_999_999_999_999_999;
    let bytes = array("'<f4'", &format!("(0, {dims})"), &[]);
    check(&bytes, Element::F32, dims, &[]);
}

#[test]
fn the_first_failure_ends_it() {
    let bytes = array("'<f4'", "(2, 3)", &f4(&ROWS.concat()));
    let npy = Npy::parse(&bytes).unwrap();
    let mut seen = 0;
    let result = npy.for_each_row(|number, _| {
        seen += 1;
        Err(number)
    });
    assert_eq!((result, seen), (Err(0), 1));
}
