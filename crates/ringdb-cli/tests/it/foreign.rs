//! `ringdb query` on databases that another program of the library wrote.

use ringdb::{BuildOptions, PayloadCodec, RingDb};

use crate::support::{Outcome, Place};

/// A database whose payloads another program wrote.
fn foreign(codec: PayloadCodec, payloads: &[&[u8]]) -> Place {
    let place = Place::new();
    let options = BuildOptions::new(1).persist(place.path("db")).codec(codec);
    let mut db = options
        .create::<String>()
        .expect("the directory is writable");
    for payload in payloads {
        match codec {
            PayloadCodec::JsonText => db.add_vector_bytes(&[0.0], payload),
            _ => db.add_vector(&[0.0], String::from_utf8_lossy(payload).into_owned()),
        }
        .expect("the payload is accepted");
    }
    db.build().expect("the disk is not full");
    place
}

#[test]
fn payloads_of_another_codec_are_said_once_not_to_be_shown() {
    let place = foreign(PayloadCodec::Bincode, &[b"a", b"b"]);
    let said = format!(
        "ringdb: the payloads of {} are stored as bincode, not as JSON, and are not shown\n",
        place.shown("db")
    );
    let table = "id      distance\n 0      0.000000\n 1      0.000000\n2 hits, all shown\n";
    let json = "{\"id\":0,\"distance\":0.0}\n{\"id\":1,\"distance\":0.0}\n{\"total\":2,\"shown\":2,\"truncated\":false}\n";
    for (line, out) in [("", table), ("--json", json)] {
        let outcome = place.run(&format!("query @db --id 0 --within 0 {line}"));
        let expected = Outcome {
            code: Some(0),
            out: out.into(),
            err: said.clone(),
        };
        assert_eq!(outcome, expected);
    }
    let info = place.run("info @db").done();
    assert!(info.contains("payloads  bincode, String\n"), "{info}");
}

#[track_caller]
fn check_info(place: &Place, payloads: &str) {
    let info = place.run("info @db").done();
    let line = format!("payloads  {payloads}\n");
    assert!(info.contains(&line), "{line} in {info}");
}

#[test]
fn info_names_the_type_of_the_payloads_where_it_is_known() {
    for (codec, payloads, expected) in [
        (
            PayloadCodec::Bincode,
            [b"".as_slice()].as_slice(),
            "bincode, String",
        ),
        (PayloadCodec::Bincode, &[], "bincode, String"),
        (PayloadCodec::Postcard, &[b"a"], "postcard, String"),
        (PayloadCodec::JsonText, &[b""], "json-text"),
    ] {
        check_info(&foreign(codec, payloads), expected);
    }
    let named = |name: &str| {
        let place = Place::new();
        let options = BuildOptions::new(1).persist(place.path("db"));
        let db = options.payload_type(name).create::<u8>();
        db.and_then(RingDb::build).expect("the disk is not full");
        place
    };
    check_info(&named("Song"), "bincode, Song");
    // Whoever wrote it may have meant harm.
    check_info(
        &named("\x1b[2J\nvectors   9\u{9b}"),
        "bincode, \\u001b[2J vectors   9\\u009b",
    );
}

#[test]
fn payloads_are_none_where_their_type_or_their_bytes_say_so() {
    let place = Place::new();
    let db = BuildOptions::new(1)
        .persist(place.path("db"))
        .create::<()>();
    db.and_then(RingDb::build).expect("the disk is not full");
    check_info(&place, "none");

    // Without a type: ring-db stored none, and raw bytes have none.
    let raw = |payload: &[u8]| {
        let place = Place::new();
        let options = BuildOptions::new(1).persist(place.path("db"));
        let db = options.codec(PayloadCodec::Raw).create::<()>();
        let mut db = db.expect("the directory is writable");
        db.add_vector_bytes(&[0.0], b"").expect("it is a vector");
        db.add_vector_bytes(&[0.0], payload)
            .expect("it is a vector");
        db.build().expect("the disk is not full");
        place
    };
    // A name is what its writer liked, and here it is not that of the type.
    let place = Place::new();
    let options = BuildOptions::new(1).persist(place.path("db"));
    let db = options.payload_type("()").create::<u8>();
    let mut db = db.expect("the directory is writable");
    db.add_vector(&[0.0], 7).expect("it is a vector");
    db.build().expect("the disk is not full");
    check_info(&place, "bincode, ()");

    check_info(&raw(b""), "none");
    check_info(&raw(b"x"), "raw");
}

#[test]
fn stored_text_cannot_break_the_lines_or_the_terminal() {
    let place = foreign(
        PayloadCodec::JsonText,
        &[b"{\n \"a\": 1\r\n}", b"\x1b[2J\xff"],
    );
    let out = place
        .run("query @db --id 0 --within 0 --json --limit 1")
        .done();
    assert!(
        out.starts_with("{\"id\":0,\"distance\":0.0,\"payload\":{  \"a\": 1  }}\n"),
        "{out}"
    );
    let out = place.run("query @db --id 0 --within 0").done();
    assert!(out.contains("0.000000  {  \"a\": 1  }\n"), "{out}");
    assert!(out.contains("0.000000  \\u001b[2J\u{fffd}\n"), "{out}");

    let outcome = place.run("query @db --id 0 --within 0 --json");
    assert_eq!(outcome.code, Some(1));
    let start = format!(
        "ringdb: the payload of 1 in {} is not JSON: ",
        place.shown("db")
    );
    assert!(outcome.err.starts_with(&start), "{}", outcome.err);
    assert_eq!(
        outcome.out, "{\"id\":0,\"distance\":0.0,\"payload\":{  \"a\": 1  }}\n",
        "no line is left half written"
    );
}
