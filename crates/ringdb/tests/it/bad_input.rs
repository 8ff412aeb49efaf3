//! Bad input is an error that names the thing and its value, and nothing is lost by it.

use ringdb::{
    BuildOptions, DiskQuery, OpenOptions, PayloadCodec, RangeQuery, RingDb, RingDbConfig,
    RingDbError, RingQuery, SealedRingDb,
};

fn small() -> SealedRingDb<u8> {
    let mut db = RingDb::new(RingDbConfig::new(2)).unwrap();
    db.add_vector(&[0.0, 0.0], 10).unwrap();
    db.add_vector(&[3.0, 4.0], 11).unwrap();
    db.build().unwrap()
}

#[track_caller]
fn check<V: std::fmt::Debug>(result: ringdb::Result<V>, expected: &str) {
    assert_eq!(result.unwrap_err().to_string(), expected);
}

#[test]
fn dims_of_no_database() {
    for dims in [0, 65_537] {
        let expected = format!("invalid dims {dims}: a vector has 1 to 65536 coordinates");
        check(RingDb::<()>::new(RingDbConfig::new(dims)), &expected);
    }
    assert!(RingDb::<()>::new(RingDbConfig::new(65_536)).is_ok());
}

#[test]
fn vectors_that_are_not_added() {
    let mut db = RingDb::new(RingDbConfig::new(2)).unwrap();
    db.add_vector(&[1.0, 2.0], 1_u8).unwrap();
    check(
        db.add_vector(&[1.0], 9),
        "dimension mismatch: expected 2, got 1",
    );
    check(
        db.add_vector(&[], 9),
        "dimension mismatch: expected 2, got 0",
    );
    check(
        db.add_vector(&[1.0, f32::NAN], 9),
        "coordinate 1 is NaN, coordinates must be finite",
    );
    let infinite = "coordinate 0 is -inf, coordinates must be finite";
    check(db.add_vector(&[f32::NEG_INFINITY, 0.0], 9), infinite);
    check(
        db.add_vector(&[f32::INFINITY], 9),
        "coordinate 0 is inf, coordinates must be finite",
    );
    check(
        db.add_vector_bytes(&[1.0, 2.0], b"9"),
        "the payloads are stored as bincode, not as raw: \
         add_vector adds them and fetch_payload reads them",
    );
    assert_eq!(db.len(), 1);
    db.add_vector(&[3.0, 4.0], 2).unwrap();
    let db = db.build().unwrap();
    assert_eq!(db.fetch_payloads(&[0, 1]).unwrap(), [1, 2]);
    assert_eq!(*db.vector(1).unwrap(), [3.0, 4.0]);
}

#[test]
fn queries_of_the_wrong_shape() {
    let db = small();
    for (query, expected) in [
        (&[][..], "dimension mismatch: expected 2, got 0"),
        (&[1.0], "dimension mismatch: expected 2, got 1"),
        (&[1.0, 2.0, 3.0], "dimension mismatch: expected 2, got 3"),
        (
            &[f32::NAN, 0.0],
            "coordinate 0 is NaN, coordinates must be finite",
        ),
        (
            &[0.0, f32::INFINITY],
            "coordinate 1 is inf, coordinates must be finite",
        ),
    ] {
        check(
            db.query(&RingQuery {
                query,
                d: 1.0,
                lambda: 1.0,
            }),
            expected,
        );
        check(
            db.query_range(&RangeQuery {
                query,
                d_min: 0.0,
                d_max: 1.0,
            }),
            expected,
        );
        check(db.query_disk(&DiskQuery { query, d_max: 1.0 }), expected);
        check(db.search(query).run(), expected);
    }
}

#[test]
fn bounds_of_no_ring() {
    let db = small();
    let query: &[f32] = &[0.0, 0.0];
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let named = |result: ringdb::Result<_>, name: &str, expected: f32| {
        let _: &ringdb::QueryResult = match &result {
            Ok(result) => result,
            Err(RingDbError::InvalidBounds { what, value }) => {
                assert!(what.starts_with(name), "{what} does not name {name}");
                let same = *value == f64::from(expected) || value.is_nan() && expected.is_nan();
                return assert!(same, "{value} is not {expected}");
            }
            Err(error) => panic!("{error}"),
        };
        panic!("{name} = {expected} was accepted");
    };
    for (d, lambda, name, value) in [
        (-1.0, 1.0, "d", -1.0),
        (nan, 1.0, "d", nan),
        (inf, 1.0, "d", inf),
        (1.0, -0.5, "lambda", -0.5),
        (1.0, nan, "lambda", nan),
    ] {
        named(db.query(&RingQuery { query, d, lambda }), name, value);
    }
    for (d_min, d_max, name, value) in [
        (-1.0, 1.0, "d_min", -1.0),
        (nan, 1.0, "d_min", nan),
        (0.0, -1.0, "d_max", -1.0),
        (0.0, nan, "d_max", nan),
        (2.0, 1.0, "d_min", 2.0),
        (inf, 1.0, "d_min", inf),
    ] {
        named(
            db.query_range(&RangeQuery {
                query,
                d_min,
                d_max,
            }),
            name,
            value,
        );
    }
    named(
        db.query_disk(&DiskQuery { query, d_max: -2.0 }),
        "d_max",
        -2.0,
    );
    named(
        db.query_disk(&DiskQuery { query, d_max: nan }),
        "d_max",
        nan,
    );
    let error = db.search(query).range(2.0..=1.0).run().unwrap_err();
    assert!(
        matches!(error, RingDbError::InvalidBounds { .. }),
        "{error}"
    );
    assert!(matches!(
        db.search(query).ring(f64::NAN, 1.0).run(),
        Err(RingDbError::InvalidBounds { .. })
    ));
    assert!(matches!(
        db.search(query).within(-0.1).run(),
        Err(RingDbError::InvalidBounds { .. })
    ));
    check(
        db.search(query).within(f64::NAN).within(1.0).run(),
        "invalid bounds: d_max: NaN",
    );
    check(
        db.search(query).range(2.0..=1.0).run(),
        "invalid bounds: d_min greater than d_max: 2",
    );
}

#[test]
fn ids_out_of_range() {
    let db = small();
    for id in [2, u32::MAX] {
        let expected = format!("id {id} is out of range: the database has 2 vectors");
        check(db.fetch_payload(id), &expected);
        check(db.fetch_payloads(&[0, id]), &expected);
        check(db.payload_bytes(id), &expected);
        check(db.vector(id), &expected);
    }
}

#[test]
fn payloads_of_another_kind() {
    let mut db = BuildOptions::new(1)
        .codec(PayloadCodec::JsonText)
        .create::<String>()
        .unwrap();
    check(
        db.add_vector(&[1.0], "x".into()),
        "the payloads are stored as json-text, not as bincode: \
         add_vector_bytes adds them and payload_bytes reads them",
    );
    db.add_vector_bytes(&[1.0], br#"{"a": 1}"#).unwrap();
    let db = db.build().unwrap();
    check(
        db.fetch_payload(0),
        "the payloads are stored as json-text, not as bincode: \
         add_vector_bytes adds them and payload_bytes reads them",
    );
    assert_eq!(db.payload_bytes(0).unwrap(), br#"{"a": 1}"#);

    let dir = tempfile::tempdir().unwrap();
    let mut db = RingDb::new(RingDbConfig::new(1).with_persist_dir(dir.path())).unwrap();
    db.add_vector(&[1.0], 7_u8).unwrap();
    db.build().unwrap();
    check(
        RingDb::<String>::load(dir.path(), ringdb::BackendPreference::Cpu),
        "the payloads are stored as u8, not as String: \
         OpenOptions::payload_type asks for another name, OpenOptions::any_type for any",
    );
    let any = OpenOptions::new().any_type(true);
    let db = any.open::<String>(dir.path()).unwrap();
    let error = db.fetch_payload(0).unwrap_err();
    assert!(
        matches!(&error, RingDbError::Payload(text) if text.contains("String")),
        "{error}"
    );
}

#[test]
fn a_call_for_another_codec_is_told_which_calls_there_are() {
    let serde = "add_vector adds them and fetch_payload reads them";
    let bytes = "add_vector_bytes adds them and payload_bytes reads them";
    let pod = "add_vector_pod adds them and payload_ref reads them";
    for (codec, advice) in [
        (PayloadCodec::Bincode, serde),
        (PayloadCodec::Postcard, serde),
        (PayloadCodec::JsonText, bytes),
        (PayloadCodec::Raw, bytes),
        (PayloadCodec::Pod, pod),
    ] {
        let mut db = BuildOptions::new(1).codec(codec).create::<u8>().unwrap();
        let stored = codec.name();
        let text = |asked| format!("the payloads are stored as {stored}, not as {asked}: {advice}");
        if advice != serde {
            check(db.add_vector(&[1.0], 7), &text("bincode"));
        }
        if advice != bytes {
            check(db.add_vector_bytes(&[1.0], b"7"), &text("raw"));
        }
        if advice != pod {
            check(db.add_vector_pod(&[1.0], &7), &text("pod"));
        }
        let db = db.build().unwrap();
        if advice != serde {
            check(db.fetch_payload(0), &text("bincode"));
        }
        if advice != pod {
            check(db.payload_ref(0), &text("pod"));
        }
    }
}

#[test]
fn payloads_that_could_not_come_back() {
    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(u8),
    }
    let mut db = RingDb::new(RingDbConfig::new(1)).unwrap();
    let error = db.add_vector(&[1.0], Untagged::Number(1)).unwrap_err();
    let is_named = |text: &str| text.contains("Untagged") && text.contains("do not decode again");
    assert!(
        matches!(&error, RingDbError::Payload(text) if is_named(text)),
        "{error}"
    );
    assert!(db.is_empty());
}
