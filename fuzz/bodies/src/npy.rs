//! Any bytes as a .npy file.

use std::convert::Infallible;

use ringdb_npy::{Element, Npy};

/// Parses `data` as a .npy file and reads all of its rows. Returns whether it holds an array of vectors.
///
/// # Panics
/// If the library does; unless the rows are the numbers behind the header, as they are read here; unless
/// a plain file of the same shape and numbers has the same rows; or if an error takes several lines.
pub fn npy(data: &[u8]) -> bool {
    let npy = match Npy::parse(data) {
        Ok(npy) => npy,
        Err(error) => {
            let text = error.to_string();
            assert!(!text.contains(['\n', '\r']), "{text}");
            return false;
        }
    };
    let behind = behind_header(data);
    let expected = numbers(behind, npy.element());
    check_rows(&npy, &expected);

    let descr = match npy.element() {
        Element::F16 => "<f2",
        _ => "<f4",
    };
    let (rows, dims) = (npy.len(), npy.dims());
    let header =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({rows}, {dims}), }}\n");
    let plain = npy_file(1, &header, behind);
    let plain = Npy::parse(&plain).expect("the same array, written plainly");
    let shape = (plain.len(), plain.dims(), plain.element());
    assert_eq!(shape, (rows, dims, npy.element()));
    check_rows(&plain, &expected);
    true
}

/// The bytes of a .npy file of format version `version` with this text as its header, as it is.
pub fn npy_file(version: u8, header: &str, numbers: &[u8]) -> Vec<u8> {
    let length = (header.len() as u32).to_le_bytes();
    let length = match version {
        1 => &length[..2],
        _ => &length[..],
    };
    [
        b"\x93NUMPY",
        &[version, 0][..],
        length,
        header.as_bytes(),
        numbers,
    ]
    .concat()
}

fn check_rows(npy: &Npy<'_>, expected: &[f32]) {
    assert_eq!(expected.len() % npy.dims(), 0, "rows are whole");
    let mut expected = expected.chunks_exact(npy.dims());
    assert_eq!(npy.len(), expected.len(), "rows times dims numbers");
    let mut rows = 0;
    let Ok(()) = npy.for_each_row(|number, row| {
        assert_eq!(number, rows, "rows come in order");
        rows += 1;
        let expected = expected.next().expect("no more rows than there are");
        assert_eq!(row.len(), npy.dims());
        for (found, expected) in row.iter().zip(expected) {
            let both_nan = found.is_nan() && expected.is_nan();
            assert!(
                found.to_bits() == expected.to_bits() || both_nan,
                "{found} is not {expected} in row {number}"
            );
        }
        Ok::<(), Infallible>(())
    });
    assert_eq!(rows, npy.len(), "no row is left out");
}

/// What follows the header, by the length that the file says it has.
fn behind_header(data: &[u8]) -> &[u8] {
    let start = match data[6] {
        1 => 10 + usize::from(u16::from_le_bytes([data[8], data[9]])),
        _ => 12 + u32::from_le_bytes([data[8], data[9], data[10], data[11]]) as usize,
    };
    &data[start..]
}

fn numbers(bytes: &[u8], element: Element) -> Vec<f32> {
    match element {
        Element::F32 => {
            let words = bytes.chunks(4);
            let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("whole numbers"));
            words.map(|bytes| f32::from_bits(word(bytes))).collect()
        }
        Element::F16 => {
            let words = bytes.chunks(2);
            let word = |bytes: &[u8]| u16::from_le_bytes(bytes.try_into().expect("whole numbers"));
            words.map(|bytes| half(word(bytes))).collect()
        }
        other => panic!("{other:?} has no reading here"),
    }
}

/// The binary16 with these bits, by its definition: every step is exact in f64.
fn half(bits: u16) -> f32 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    let size = match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2_f64.powi(exponent - 25),
    };
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    (sign * size) as f32
}
