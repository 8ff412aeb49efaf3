//! The names of files and directories, in one place.

/// What a file is, by the number in its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Kind {
    Manifest = 1,
    Vectors = 2,
    Payloads = 3,
    Offsets = 4,
    Codes = 5,
    Fine = 6,
    Prefix = 7,
    Blocks = 8,
    Order = 9,
}

/// Names the live segment; its rename is the moment at which a database comes into being.
pub(crate) const MANIFEST: &str = "MANIFEST";
/// Held by a writer for as long as it lives; stays where there is a MANIFEST.
pub(crate) const LOCK: &str = "LOCK";
/// The rows of a segment.
pub(crate) const VECTORS: &str = "vectors.bin";
/// The payload bytes of a segment.
pub(crate) const PAYLOADS: &str = "payloads.bin";
/// Where each payload of a segment begins and ends.
pub(crate) const OFFSETS: &str = "offsets.bin";
/// Codes of the rows of a segment, if it has any.
pub(crate) const CODES: &str = "codes.bin";
/// Finer codes of the same rows, if it has any.
pub(crate) const FINE: &str = "fine.bin";
/// Prefixes of the same rows, if it has any.
pub(crate) const PREFIX: &str = "prefix.bin";
/// The same rows in an order in which neighbours are near each other, with boxes around them, if it has any.
pub(crate) const BLOCKS: &str = "blocks.bin";
/// The ids of the rows in that order, if it has one.
pub(crate) const ORDER: &str = "order.bin";
/// The files that every segment has, in order of their names.
pub(crate) const SEGMENT_FILES: [(Kind, &str); 3] = [
    (Kind::Offsets, OFFSETS),
    (Kind::Payloads, PAYLOADS),
    (Kind::Vectors, VECTORS),
];
/// The files that a segment may have, in order of their kinds: what is in them can be computed again
/// from its rows.
pub(crate) const DERIVED_FILES: [(Kind, &str); 5] = [
    (Kind::Codes, CODES),
    (Kind::Fine, FINE),
    (Kind::Prefix, PREFIX),
    (Kind::Blocks, BLOCKS),
    (Kind::Order, ORDER),
];

/// The names of all files that a segment may have and, behind them, of those that it has.
pub(crate) fn segment_file_names() -> impl Iterator<Item = &'static str> {
    let files = DERIVED_FILES.iter().chain(&SEGMENT_FILES);
    files.map(|(_, name)| *name)
}

/// Followed by random characters: the private directory a writer works in. Long enough not to be a
/// name that anybody else gives.
pub(crate) const STAGING_PREFIX: &str = ".ringdb-staging-";
/// How many random letters and digits follow it.
pub(crate) const RANDOM_CHARS: usize = 6;
/// Followed by as many random characters: a file of a lone payload store before it gets its name.
pub(crate) const STAGED_PAIR_PREFIX: &str = ".ringdb-payloads-";
/// The segment inside the staging directory, before it gets its number.
pub(crate) const STAGED_SEGMENT: &str = "segment";

/// The directory of segment `number`.
pub(crate) fn segment_name(number: u32) -> String {
    format!("segment-{number:06}")
}

/// The number in a segment's directory name, if it is one.
pub(crate) fn segment_number(name: &str) -> Option<u32> {
    let number = name.strip_prefix("segment-")?.parse().ok()?;
    (segment_name(number) == name).then_some(number)
}

/// Whether `name` is that of a staging directory.
pub(crate) fn is_staging(name: &str) -> bool {
    name.strip_prefix(STAGING_PREFIX).is_some_and(|random| {
        random.len() == RANDOM_CHARS && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_segments() {
        for (name, number) in [
            ("segment-000001", Some(1)),
            ("segment-1234567", Some(1_234_567)),
            ("segment-1", None),
            ("segment-+00001", None),
            ("segment-00000a", None),
            ("segments", None),
        ] {
            assert_eq!(segment_number(name), number, "{name}");
        }
        assert!(is_staging(".ringdb-staging-a1B2c3"));
        for name in [
            ".ringdb-staging-",
            ".ringdb-staging-backup2",
            ".ringdb-staging-a b.c3",
            "a1B2c3",
        ] {
            assert!(!is_staging(name), "{name}");
        }
    }
}
