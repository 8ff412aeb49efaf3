//! Bytes that are refused, and why.

use ringdb_npy::{Npy, NpyError};

use crate::support::{array, f4, file, header};

#[track_caller]
fn check(bytes: impl AsRef<[u8]>, expected: NpyError) {
    assert_eq!(Npy::parse(bytes.as_ref()).unwrap_err(), expected);
}

/// Compares what is said about a header that cannot be read.
#[track_caller]
fn check_unreadable(bytes: impl AsRef<[u8]>, expected: &str) {
    let what = expected.to_owned();
    check(bytes, NpyError::Header { what });
}

const NUMBERS: &[f32] = &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

#[test]
fn what_is_no_npy_file() {
    for bytes in [
        b"".as_slice(),
        b"\x93NUMP",
        b"\x92NUMPY\x01\x00",
        b"PK\x03\x04",
    ] {
        check(bytes, NpyError::Magic);
    }
}

#[test]
fn a_header_that_ends_too_early() {
    for version in 1..=3 {
        let text = header("'<f4'", "False", "(2, 3)");
        let whole = file(version, &text, &f4(NUMBERS));
        for length in 6..whole.len() - 24 {
            check_unreadable(&whole[..length], "the file ends within it");
        }
    }
}

#[test]
fn other_shapes() {
    let shape = |found: &[u64]| NpyError::Shape {
        found: found.to_vec(),
    };
    check(array("'<f4'", "(6,)", &f4(NUMBERS)), shape(&[6]));
    check(array("'<f4'", "(1, 2, 3)", &f4(NUMBERS)), shape(&[1, 2, 3]));
    check(array("'<f4'", "()", &f4(&NUMBERS[..1])), shape(&[]));
    for rows in [6, 0] {
        let found = vec![rows, 0];
        check(
            array("'<f4'", &format!("({rows}, 0)"), &[]),
            NpyError::NoCoordinates { found },
        );
    }
    check_unreadable(
        array("'<f4'", "(-2, -3)", &f4(NUMBERS)),
        "dimension cannot be negative",
    );
}

#[test]
fn other_orders() {
    let fortran = header("'<f4'", "True", "(2, 3)");
    check(file(1, &fortran, &f4(NUMBERS)), NpyError::Order);
}

#[test]
fn other_elements() {
    for descr in [
        "'<f8'",
        "'>f4'",
        "'>f2'",
        "'<i4'",
        "'|u1'",
        "'<U1'",
        "'<M8[ns]'",
        "'|O'",
        "[('x', '<f4'), ]",
        "[('a', '<f4'), ('b', '<f4'), ('c', '<f4'), ('d', '<f4'), ('e', '<f4'), ('f', '<f4'), ]",
        "[('a', [('b', '<f4', (2,)), ]), ]",
    ] {
        // Whatever else is not as it should be: this tells most.
        for shape in ["(2, 3)", "(2, 0)", "(6,)"] {
            let found = descr.to_owned();
            check(array(descr, shape, &[]), NpyError::Element { found });
        }
    }
}

#[test]
fn other_lengths() {
    let whole = array("'<f4'", "(2, 3)", &f4(NUMBERS));
    let length = |found| NpyError::Length {
        rows: 2,
        dims: 3,
        expected: 24,
        found,
    };
    for cut in 1..=24 {
        check(&whole[..whole.len() - cut], length(24 - cut));
    }
    check([whole.as_slice(), &[0]].concat(), length(25));
}

#[test]
fn other_versions() {
    for version in [0, 4, 9] {
        check_unreadable(
            file(version, "", &[0; 8]),
            &format!("unsupported version: ({version}, 0)"),
        );
    }
}

#[test]
fn texts_quote_the_header_on_one_line() {
    check_unreadable(
        file(1, "\x1b[31m\u{b}x\u{a0}\n\ty", &[]),
        "could not parse Python expression: syntax error: --> 1:1 | 1 | \x1b[31m\u{b}x | ^--- | = expected value",
    );
}

/// Of every size that is limited, the most that the parser is shown, and one more.
#[test]
fn headers_have_limits() {
    let text = header("'<f4'", "False", "(2, 3)");
    let padded = |length| file(2, &format!("{:length$}", text.trim_end()), &f4(NUMBERS));
    assert!(Npy::parse(&padded(1024)).is_ok());
    check(padded(1025), NpyError::HeaderSize);

    // The element has a digit of its own.
    let length = NpyError::Length {
        rows: 9_999_999_999,
        dims: 99_999_999,
        expected: 9_999_999_999 * 99_999_999 * 4,
        found: 0,
    };
    check(array("'<f4'", "(9999999999, 99999999)", &[]), length);
    let over = array("'<f4'", "(9999999999, 999999999)", &[]);
    check(over, NpyError::HeaderSize);

    let nested = |depth: usize| array("'<f4'", &"(".repeat(depth - 1), &[]);
    let error = Npy::parse(&nested(6)).unwrap_err().to_string();
    assert!(error.contains("syntax error"), "{error}");
    check_unreadable(nested(7), "brackets nest 7 deep in it, more than 6");
}

/// The parser multiplies the shape unchecked, which fails in builds that look for overflow.
#[test]
fn shapes_without_a_product() {
    // As large as can be without another digit in the header.
    let found = "'|O'".to_owned();
    check(
        array("'|O'", "(9999999999, 999999999)", &[]),
        NpyError::Element { found },
    );
    for (descr, shape) in [
        ("'|O'", "(9999999999, 9999999999)"),
        ("[]", "(9999999999, 9999999999)"),
        ("'<f4'", "(0xffffffffffff, 0xffffff)"),
        ("'<f4'", "(0XFFFFFFFFFFFF, 1, 0XFFFFFF)"),
        // Four times as many bytes as there are numbers.
        ("'<f4'", "(0, 0x4000000000000000)"),
    ] {
        check(array(descr, shape, &[]), NpyError::HeaderSize);
    }
}

/// The parser's time grows with the power of the depth. It would come to the end of these, so that this
/// fails and does not hang, but not of three times as many.
#[test]
fn headers_that_nest() {
    let deep = |depth| format!("brackets nest {depth} deep in it, more than 6");
    for open in ["(", "[", "{", "(None,", "{None:", "{'descr': [("] {
        let depth = 9 * open.matches(['(', '[', '{']).count();
        check_unreadable(file(1, &open.repeat(9), &[]), &deep(depth));
    }
    // Brackets in strings close nothing, of whatever quotes.
    check_unreadable(file(1, &"[']',\"]\",".repeat(9), &[]), &deep(9));
    check_unreadable(file(1, &"[\"']\",'\"]',".repeat(9), &[]), &deep(9));
    // Nor do they open anything.
    let found = "[('([{([{([{', '<f4'), ]".to_owned();
    check(array(&found, "(2, 3)", &[]), NpyError::Element { found });
    // Where a string with escapes ends is for the parser to know.
    check(file(1, &"['\\'', ']".repeat(9), &[]), NpyError::HeaderSize);
    check(file(1, &"['\\N{']}',".repeat(9), &[]), NpyError::HeaderSize);
}

/// The depth of brackets is counted as if these were three strings, one behind the other.
#[test]
fn strings_in_three_quotes_are_unknown() {
    let bytes = array("'''<f4'''", "(2, 3)", &f4(NUMBERS));
    let error = Npy::parse(&bytes).unwrap_err().to_string();
    assert!(error.contains("syntax error"), "{error}");
}
