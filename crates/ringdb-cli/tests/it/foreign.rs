//! `ringdb query` on databases that another program of the library wrote.

use ringdb::{BuildOptions, PayloadCodec};

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
    assert!(info.contains("payloads  bincode\n"), "{info}");
}

#[test]
fn payloads_are_none_only_where_vectors_have_no_bytes() {
    for (codec, payloads, expected) in [
        (
            PayloadCodec::Bincode,
            [b"".as_slice()].as_slice(),
            "bincode",
        ),
        (PayloadCodec::Bincode, &[], "bincode"),
        (PayloadCodec::JsonText, &[b""], "json-text"),
    ] {
        let info = foreign(codec, payloads).run("info @db").done();
        let line = format!("payloads  {expected}\n");
        assert!(info.contains(&line), "{line} in {info}");
    }
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
