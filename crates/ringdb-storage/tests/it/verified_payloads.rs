//! `verify` tells of each payload, whatever became of the blocks around it.

use ringdb_storage::{PayloadCodec, verify};

use crate::ruins::{OFFSETS, PAYLOADS, ROWS, Ruins, build};
use crate::verify::found;

#[test]
fn each_payload_in_a_damaged_block_is_whole_or_named() {
    let ruins = Ruins::new();
    let offset = |id: usize| {
        let at = 64 + 8 * id;
        u64::from_le_bytes(ruins.whole[1][at..at + 8].try_into().unwrap()) as usize
    };
    let check = |expected: &[(&str, usize, &str)], lost: u64| {
        let mut found = found(ruins.dir(), None);
        found.retain(|(.., what)| what.starts_with("payload"));
        let found: Vec<_> = found
            .iter()
            .map(|(a, b, c)| (a.as_str(), *b, c.as_str()))
            .collect();
        assert_eq!(found, expected);
        let report = verify(ruins.dir(), None).unwrap();
        let all = u64::from(ROWS);
        assert_eq!((report.payloads, report.payloads_in_all), (all - lost, all));
    };
    check(&[], 0);
    ruins.flip(PAYLOADS, 64 + offset(7));
    let seventh = (PAYLOADS, 64 + offset(7), "payload 7 is damaged");
    check(&[seventh], 1);
    // Next to each other they are one finding.
    let (first, last) = (64 + offset(1000), 64 + offset(1003));
    ruins.change(PAYLOADS, |bytes| bytes[first..last].fill(0));
    let some = (PAYLOADS, first, "payloads 1000 to 1002 are damaged");
    check(&[seventh, some], 4);
    // An offset is of two payloads.
    ruins.flip(OFFSETS, 64 + 8 * 12_000);
    let two = "payloads 11999 to 12000 are not where their offsets say";
    let two = (OFFSETS, 64 + 8 * 11_999, two);
    check(&[two, seventh, some], 6);
    // Without their table the rest are whole all the same; behind a cut they are not there.
    ruins.cut(PAYLOADS, 64 + offset(9_000));
    check(&[seventh, some], 4 + 11_000);
}

#[test]
fn plain_payloads_are_found_where_their_offsets_are_damaged() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), PayloadCodec::Pod, 3000, |writer, row, id| {
        writer.push_pod(row, &u64::from(id))
    });
    let ruins = Ruins::of(dir);
    ruins.change(OFFSETS, |bytes| bytes[64..64 + 8000].fill(7));
    ruins.flip(PAYLOADS, 64 + 16 * 2999);
    let report = verify(ruins.dir(), None).unwrap();
    assert_eq!((report.payloads, report.payloads_in_all), (2999, 3000));
    ruins.remove(OFFSETS);
    assert_eq!(verify(ruins.dir(), None).unwrap().payloads, 2999);
}
