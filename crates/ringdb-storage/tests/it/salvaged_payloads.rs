//! `salvage` carries payloads over as they are stored, in every codec, without knowing their type.

use std::fs;

use ringdb_storage::{
    Damage, Error, PayloadCodec, Pod, Result, SalvagedRow, Segment, SegmentWriter, type_name,
    verify,
};
use serde::de::DeserializeOwned;

use crate::ruins::{DIMS, OFFSETS, PAYLOADS, Ruins, build, payload, row};
use crate::salvage::run;
use crate::support::sign;

/// Salvages a database with payloads in this codec after each of several damages.
fn check_codec<T: PartialEq + std::fmt::Debug>(
    codec: PayloadCodec,
    push: impl Fn(&mut SegmentWriter<T>, &[f32], u32) -> Result<()> + Copy,
    assert_is: impl Fn(&Segment<T>, u32, u32),
    lost: &[u8],
) {
    const LEN: u32 = 3000;
    let ruins = || {
        let dir = tempfile::tempdir().unwrap();
        build(dir.path(), codec, LEN, push);
        Ruins::of(dir)
    };
    let kept = |ruins: &Ruins, keep_vectors: bool| {
        let dir = tempfile::tempdir().unwrap();
        let (sum, rows) = match run(ruins.dir(), dir.path(), keep_vectors) {
            Err(Error::NothingToSalvage { .. }) => return 0,
            result => result.unwrap(),
        };
        let segment = Segment::<T>::open(dir.path()).unwrap();
        assert_eq!(segment.payloads.codec(), codec);
        let stored_name = match codec {
            PayloadCodec::JsonText | PayloadCodec::Raw => String::new(),
            _ => type_name::<T>(),
        };
        assert_eq!(segment.payloads.type_name(), stored_name);
        for SalvagedRow {
            old_id,
            new_id,
            loss,
            ..
        } in rows
        {
            let Some(new_id) = new_id else { continue };
            assert_eq!(segment.vectors.row(new_id).unwrap(), row(old_id));
            match loss {
                None => assert_is(&segment, new_id, old_id),
                Some(_) => assert_eq!(segment.payloads.fetch_bytes(new_id).unwrap(), lost),
            }
        }
        sum.kept
    };
    let all = u64::from(LEN);
    assert_eq!(kept(&ruins(), false), all);
    let damaged = ruins();
    damaged.flip(PAYLOADS, 64);
    assert_eq!(kept(&damaged, false), all - 1);
    assert_eq!(kept(&damaged, true), all);
    // What the payloads are is in the header, of which the footer knows the checksum.
    for at in [3, 8, 13, 20, 57, 62] {
        let damaged = ruins();
        damaged.flip(PAYLOADS, at);
        assert_eq!(kept(&damaged, false), all, "byte {at}");
        damaged.remove("MANIFEST");
        assert_eq!(kept(&damaged, false), all, "byte {at} and MANIFEST");
    }
    let damaged = ruins();
    damaged.remove(OFFSETS);
    let found = match codec {
        // All have the same length.
        PayloadCodec::Pod => all,
        _ => 0,
    };
    assert_eq!(kept(&damaged, false), found);
    assert_eq!(kept(&damaged, true), all);
}

fn check_serde<T>(codec: PayloadCodec, payload: impl Fn(u32) -> T + Copy)
where
    T: serde::Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    check_codec(
        codec,
        |writer, row, id| writer.push(row, payload(id)),
        |segment: &Segment<T>, new_id, old_id| {
            assert_eq!(segment.payloads.fetch(new_id).unwrap(), payload(old_id));
        },
        b"",
    );
}

fn check_bytes(codec: PayloadCodec, lost: &[u8]) {
    check_codec(
        codec,
        |writer: &mut SegmentWriter<()>, row, id| writer.push_bytes(row, payload(id).as_bytes()),
        |segment, new_id, old_id| {
            let bytes = segment.payloads.fetch_bytes(new_id).unwrap();
            assert_eq!(bytes, payload(old_id).as_bytes());
        },
        lost,
    );
}

fn check_pod<T: Pod + PartialEq + std::fmt::Debug>(payload: impl Fn(u32) -> T + Copy) {
    check_codec(
        PayloadCodec::Pod,
        |writer, row, id| writer.push_pod(row, &payload(id)),
        |segment: &Segment<T>, new_id, old_id| {
            assert_eq!(
                *segment.payloads.fetch_ref(new_id).unwrap(),
                payload(old_id)
            );
        },
        &vec![0; size_of::<T>()],
    );
}

#[test]
fn payloads_in_bincode() {
    check_serde(PayloadCodec::Bincode, |id| (payload(id), id));
}

#[test]
fn payloads_in_postcard() {
    check_serde(PayloadCodec::Postcard, |id| (payload(id), id));
}

#[test]
fn payloads_of_json_text() {
    check_bytes(PayloadCodec::JsonText, b"null");
}

#[test]
fn payloads_of_raw_bytes() {
    check_bytes(PayloadCodec::Raw, b"");
}

#[test]
fn payloads_of_plain_types() {
    check_pod(|id| [u64::from(id) + 1; 3]);
    check_pod(|id| [id as u8 | 1; 5]);
    check_pod(|id| [id as u8 | 1; 12]);
    check_pod(|id| [id as u8 | 1; 13]);
}

#[test]
fn a_width_that_the_payloads_do_not_fill_is_not_taken() {
    const LEN: u32 = 3000;
    let whole = tempfile::tempdir().unwrap();
    build(whole.path(), PayloadCodec::Pod, LEN, |writer, row, id| {
        writer.push_pod(row, &[u64::from(id); 3])
    });
    let whole = Ruins::of(whole);
    // Without MANIFEST, which would know that the file is not the one that was committed.
    whole.remove("MANIFEST");
    let bytes = fs::read(whole.path(PAYLOADS)).unwrap();
    let body_bytes = u64::from(LEN) * 32;
    // Records, bytes of all of them and of each payload; whether the file ends as its header says.
    for (count, body_bytes, width, is_sealed) in [
        (u64::from(LEN), body_bytes, 1_u32 << 20, true),
        (1, body_bytes, body_bytes as u32 - 4, true),
        (u64::from(LEN), u64::from(LEN) << 20, (1 << 20) - 4, false),
    ] {
        let mut forged = bytes.clone();
        forged[40..48].copy_from_slice(&count.to_le_bytes());
        forged[48..56].copy_from_slice(&body_bytes.to_le_bytes());
        forged[56..60].copy_from_slice(&width.to_le_bytes());
        match is_sealed {
            true => sign(&mut forged),
            false => {
                let crc = crc32fast::hash(&forged[..60]);
                forged[60..64].copy_from_slice(&crc.to_le_bytes());
            }
        }
        fs::write(whole.path(PAYLOADS), forged).unwrap();
        let to = tempfile::tempdir().unwrap();
        let (sum, _) = run(whole.dir(), to.path(), true).unwrap();
        assert_eq!((sum.kept, sum.without_payload), (3000, 3000));
        let segment = Segment::<()>::open(to.path()).unwrap();
        assert_eq!(segment.payloads.codec(), PayloadCodec::Raw);
        let found = verify(whole.dir(), None).unwrap().damage;
        let is_of_width = |damage: &Damage| {
            let what = format!("payloads of {width} bytes each, which nothing in the file proves");
            damage.offset == 56 && damage.what == what
        };
        assert!(found.iter().any(is_of_width), "{found:#?}");
    }
    // Of a file that is cut the first payloads prove it.
    fs::write(whole.path(PAYLOADS), &bytes[..64 + 32 * 100]).unwrap();
    let to = tempfile::tempdir().unwrap();
    let (sum, _) = run(whole.dir(), to.path(), false).unwrap();
    assert_eq!((sum.kept, sum.lost), (100, 2900));
}

#[test]
fn a_name_for_the_type_of_the_payloads_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    let writer =
        SegmentWriter::<()>::in_directory(&from, false, DIMS, PayloadCodec::JsonText).unwrap();
    let mut writer = writer.with_type_name("Song").unwrap();
    writer.push_bytes(&row(0), b"{}").unwrap();
    writer.finish().unwrap();
    fs::remove_file(from.join("MANIFEST")).unwrap();
    run(&from, &to, false).unwrap();
    assert_eq!(fs::read(to.join("MANIFEST")).unwrap()[80..84], *b"Song");
}
