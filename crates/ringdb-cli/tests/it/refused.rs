//! Input files that cannot be used, and what is said about each.

use npyz::Order;

use crate::support::{Place, names, npy};

/// Writes a .npy file, tries to build of it, and compares the message behind the name of the file.
#[track_caller]
fn check_npy(bytes: impl AsRef<[u8]>, expected: &str) {
    let place = Place::new();
    place.write("v.npy", bytes);
    let text = place.run("build @db --vectors @v.npy").failed();
    let text = text.replace(&place.shown("v.npy"), "v.npy");
    assert_eq!(text.replace(&place.shown("db"), "db"), expected);
    assert_eq!(names(&place.path("")), ["v.npy"], "nothing is left behind");
}

const NUMBERS: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

/// A file with this text as its header.
fn header(text: &str) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

#[test]
fn other_shapes() {
    let shape = |found| {
        format!(
            "cannot use v.npy: its shape is {found}, ringdb reads arrays of two dimensions: vectors, coordinates"
        )
    };
    check_npy(npy(&[6], Order::C, &NUMBERS), &shape("[6]"));
    check_npy(npy(&[1, 2, 3], Order::C, &NUMBERS), &shape("[1, 2, 3]"));
    check_npy(npy(&[], Order::C, &NUMBERS[..1]), &shape("[]"));
    for rows in [6, 0] {
        check_npy(
            npy(&[rows, 0], Order::C, &NUMBERS[..0]),
            &format!(
                "cannot use v.npy: its shape is [{rows}, 0]: \
                 its vectors have 0 coordinates, ringdb needs at least 1"
            ),
        );
    }
    check_npy(
        npy(&[0, 70_000], Order::C, &NUMBERS[..0]),
        "cannot build db: invalid dims 70000: a vector has 1 to 65536 coordinates",
    );
}

#[test]
fn other_orders() {
    check_npy(
        npy(&[2, 3], Order::Fortran, &NUMBERS),
        "cannot use v.npy: it is in Fortran order, ringdb reads C order: one vector after the other",
    );
}

#[test]
fn other_elements() {
    let element = |found| {
        format!(
            "cannot use v.npy: its elements are {found}, \
             ringdb reads '<f4' and '<f2' (little-endian f32 and f16)"
        )
    };
    check_npy(
        npy(&[2, 3], Order::C, &NUMBERS.map(f64::from)),
        &element("'<f8'"),
    );
    check_npy(npy(&[2, 3], Order::C, &[1_i32; 6]), &element("'<i4'"));
    check_npy(npy(&[2, 3], Order::C, &[1_u8; 6]), &element("'|u1'"));
    let big_endian = header("{'descr': '>f4', 'fortran_order': False, 'shape': (0, 3), }\n");
    check_npy(big_endian, &element("'>f4'"));
    let record = header("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (0, 3), }\n");
    check_npy(record, &element("[('x', '<f4'), ]"));
}

#[test]
fn files_of_another_length() {
    let whole = npy(&[2, 3], Order::C, &NUMBERS);
    check_npy(
        &whole[..whole.len() - 1],
        "cannot use v.npy: 2 x 3 elements need 24 bytes behind the header, but there are 23",
    );
    check_npy(
        [whole.as_slice(), &[0; 4]].concat(),
        "cannot use v.npy: 2 x 3 elements need 24 bytes behind the header, but there are 28",
    );
    check_npy(
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, 99999), }\n"),
        "cannot use v.npy: 9999999999 x 99999 elements need 3999959999600004 bytes behind the header, \
         but there are 0",
    );
}

#[test]
fn what_is_no_npy_file() {
    for bytes in [
        b"".as_slice(),
        b"[[1, 2], [3, 4]]",
        b"\x93NUMP",
        b"PK\x03\x04 an .npz file",
    ] {
        check_npy(bytes, "cannot use v.npy: it is no .npy file");
    }
}

#[test]
fn headers_that_cannot_be_read() {
    let whole = npy(&[2, 3], Order::C, &NUMBERS);
    for length in [6, 7, 8, 9, 10, 40] {
        check_npy(
            &whole[..length],
            "cannot use v.npy: its header cannot be read: the file ends within it",
        );
    }
    check_npy(
        b"\x93NUMPY\x09\x00\x00\x00\x00\x00",
        "cannot use v.npy: its header cannot be read: unsupported version: (9, 0)",
    );
}

#[test]
fn headers_cannot_harm_the_terminal() {
    check_npy(
        header("\x1b[31mred\u{9b}2J\n\tx"),
        "cannot use v.npy: its header cannot be read: could not parse Python expression: syntax error: \
         --> 1:1 | 1 | \\u001b[31mred\\u009b2J | ^--- | = expected value",
    );
    check_npy(
        header(
            "{'descr': [('\x1b[31m\u{9b}', '<f4')], 'fortran_order': False, 'shape': (0, 3), }\n",
        ),
        "cannot use v.npy: its elements are [('\\u001b[31m\\u009b', '<f4'), ], \
         ringdb reads '<f4' and '<f2' (little-endian f32 and f16)",
    );
}

#[test]
fn headers_that_a_parser_could_choke_on() {
    let refused = "cannot use v.npy: its header is not that of an array of two dimensions";
    check_npy(header(&"(".repeat(1025)), refused);
    check_npy(
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, 9999999999), }\n"),
        refused,
    );
    check_npy(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{", refused);
    // Nested as deep as is let through.
    let place = Place::new();
    place.write("v.npy", header(&"(".repeat(1024)));
    let text = place.run("build @db --vectors @v.npy").failed();
    let start = format!(
        "cannot use {}: its header cannot be read: ",
        place.shown("v.npy")
    );
    assert!(text.starts_with(&start), "{text}");
}

#[test]
fn rows_that_are_not_finite() {
    for (value, shown) in [
        (f32::NAN, "NaN"),
        (f32::INFINITY, "inf"),
        (f32::NEG_INFINITY, "-inf"),
    ] {
        check_npy(
            npy(&[2, 3], Order::C, &[1.0, 2.0, 3.0, 4.0, value, 6.0]),
            &format!("v.npy row 1: coordinate 1 is {shown}, coordinates must be finite"),
        );
    }
    check_npy(
        npy(&[1, 2], Order::C, &[1.0, f32::NAN].map(half::f16::from_f32)),
        "v.npy row 0: coordinate 1 is NaN, coordinates must be finite",
    );
}

#[test]
fn what_is_no_file() {
    let place = Place::new();
    let missing = place.run("build @db --vectors @none.npy").failed();
    let start = format!("cannot open {}: ", place.shown("none.npy"));
    assert!(missing.starts_with(&start), "{missing}");
    let directory = place.run("build @db --vectors @").failed();
    assert_eq!(
        directory,
        format!("{} is not a regular file", place.shown(""))
    );

    place.npy("v.npy", &[1, 1], &[1.0_f32]);
    let missing = place
        .run("build @db --vectors @v.npy --payloads @none")
        .failed();
    let start = format!("cannot open {}: ", place.shown("none"));
    assert!(missing.starts_with(&start), "{missing}");
    let directory = place
        .run("build @db --vectors @v.npy --payloads @")
        .failed();
    let start = format!("cannot read {}: ", place.shown(""));
    assert!(directory.starts_with(&start), "{directory}");
    let file = place.run("build @v.npy --vectors @v.npy").failed();
    let start = format!("cannot create {}: ", place.shown("v.npy"));
    assert!(file.starts_with(&start), "{file}");
    assert_eq!(names(&place.path("")), ["v.npy"], "nothing is left behind");
}

/// Builds three vectors with these payload lines and compares the message.
#[track_caller]
fn check_lines(lines: impl AsRef<[u8]>, expected: &str) {
    let place = Place::new();
    place.npy("v.npy", &[3, 1], &[1.0_f32, 2.0, 3.0]);
    place.write("p.jsonl", lines);
    let text = place
        .run("build @db --vectors @v.npy --payloads @p.jsonl")
        .failed();
    let text = text.replace(&place.shown("p.jsonl"), "p.jsonl");
    assert_eq!(text.replace(&place.shown("v.npy"), "v.npy"), expected);
    assert_eq!(
        names(&place.path("")),
        ["p.jsonl", "v.npy"],
        "nothing is left behind"
    );
}

#[test]
fn lines_that_are_no_payloads() {
    check_lines(
        "1\n{x}\n3\n",
        "p.jsonl line 2 is not JSON: key must be a string at column 2",
    );
    check_lines(
        "1\n2\nviolin\n",
        "p.jsonl line 3 is not JSON: expected value at column 1",
    );
    check_lines(
        "1 1\n2\n3\n",
        "p.jsonl line 1 is not JSON: trailing characters at column 3",
    );
    check_lines(
        "1\n\n3\n",
        "p.jsonl line 2 is not JSON: EOF while parsing a value at column 0",
    );
    check_lines(
        "1\r2\r3",
        "p.jsonl line 1 is not JSON: trailing characters at column 3",
    );
    check_lines(
        b"1\n\"\xff\"\n3\n",
        "p.jsonl line 2 is not UTF-8 from its byte 2 on",
    );
    check_lines(
        "\u{feff}1\n2\n3\n",
        "p.jsonl line 1 is not JSON: expected value at column 1",
    );
    check_lines(
        "\"a\x1b\"\n2\n3\n",
        "p.jsonl line 1 is not JSON: \
         control character (\\u0000-\\u001F) found while parsing a string at column 2",
    );
}

#[test]
fn too_few_lines_and_too_many() {
    check_lines("1\n2\n", "v.npy has 3 rows, but p.jsonl has 2 lines");
    check_lines("", "v.npy has 3 rows, but p.jsonl has 0 lines");
    check_lines("1\n", "v.npy has 3 rows, but p.jsonl has 1 line");
    check_lines(
        "1\n2\n3\n4\n5\n",
        "v.npy has 3 rows, but p.jsonl has 5 lines",
    );
    check_lines("1\n2\n3\n\n\n", "v.npy has 3 rows, but p.jsonl has 4 lines");
}
