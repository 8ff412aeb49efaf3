//! Makes the bytes of .npy files.

/// A file of format version `version` with this text as its header, as it is.
pub(crate) fn file(version: u8, header: &str, numbers: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend([version, 0]);
    match version {
        1 => bytes.extend((header.len() as u16).to_le_bytes()),
        _ => bytes.extend((header.len() as u32).to_le_bytes()),
    }
    bytes.extend(header.as_bytes());
    bytes.extend(numbers);
    bytes
}

/// The text of a header, with each value as it stands there.
pub(crate) fn header(descr: &str, fortran_order: &str, shape: &str) -> String {
    format!("{{'descr': {descr}, 'fortran_order': {fortran_order}, 'shape': {shape}, }}\n")
}

/// A file of version 1 in C order.
pub(crate) fn array(descr: &str, shape: &str, numbers: &[u8]) -> Vec<u8> {
    file(1, &header(descr, "False", shape), numbers)
}

pub(crate) fn f4(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
}
