//! The face that programs written for ring-db 0.3 compile against: names, fields, bounds, signatures.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use ringdb::{
    BackendPreference, Corruption, DiskQuery, QueryResult, RangeQuery, Result, RingDb,
    RingDbConfig, RingDbError, RingQuery, SealedRingDb,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Compiles only while every method has exactly this signature, for exactly this bound.
#[test]
fn signatures_are_those_of_ring_db_0_3() {
    fn check<T: Serialize + DeserializeOwned>() {
        let _: fn(RingDbConfig) -> Result<RingDb<T>> = RingDb::<T>::new;
        let _: fn(&mut RingDb<T>, &[f32], T) -> Result<()> = RingDb::<T>::add_vector;
        let _: fn(RingDb<T>) -> Result<SealedRingDb<T>> = RingDb::<T>::build;
        let _: fn(&Path, BackendPreference) -> Result<SealedRingDb<T>> = RingDb::<T>::load;
        let _: fn(&RingDb<T>) -> usize = RingDb::<T>::len;
        let _: fn(&RingDb<T>) -> bool = RingDb::<T>::is_empty;
        let _: fn(&RingDb<T>) -> usize = RingDb::<T>::dims;
        let _: fn(&RingDb<T>) -> &str = RingDb::<T>::backend_name;
        let _: fn(&SealedRingDb<T>, &RingQuery<'_>) -> Result<QueryResult> =
            SealedRingDb::<T>::query;
        let _: fn(&SealedRingDb<T>, &RangeQuery<'_>) -> Result<QueryResult> =
            SealedRingDb::<T>::query_range;
        let _: fn(&SealedRingDb<T>, &DiskQuery<'_>) -> Result<QueryResult> =
            SealedRingDb::<T>::query_disk;
        let _: fn(&SealedRingDb<T>, u32) -> Result<T> = SealedRingDb::<T>::fetch_payload;
        let _: fn(&SealedRingDb<T>, &[u32]) -> Result<Vec<T>> = SealedRingDb::<T>::fetch_payloads;
        let _: fn(&SealedRingDb<T>) -> usize = SealedRingDb::<T>::len;
        let _: fn(&SealedRingDb<T>) -> bool = SealedRingDb::<T>::is_empty;
        let _: fn(&SealedRingDb<T>) -> usize = SealedRingDb::<T>::dims;
        let _: fn(&SealedRingDb<T>) -> &str = SealedRingDb::<T>::backend_name;
    }
    check::<String>();
}

/// Exhaustive patterns and literals: a field more, or `#[non_exhaustive]`, and this does not compile.
#[test]
fn types_have_exactly_the_fields_of_ring_db_0_3() {
    let config = RingDbConfig {
        dims: 2,
        backend_preference: BackendPreference::Cpu,
        persist_dir: None,
    };
    let RingDbConfig {
        dims,
        backend_preference,
        persist_dir,
    } = config
        .with_persist_dir("p")
        .with_backend_preference(BackendPreference::default());
    match backend_preference {
        BackendPreference::Cpu => {}
    }
    assert_eq!((dims, persist_dir), (2, Some(PathBuf::from("p"))));

    let query: &[f32] = &[0.0, 0.0];
    let RingQuery {
        query: _,
        d: _,
        lambda: _,
    } = RingQuery {
        query,
        d: 1.0,
        lambda: 0.5,
    };
    let RangeQuery {
        query: _,
        d_min: _,
        d_max: _,
    } = RangeQuery {
        query,
        d_min: 0.5,
        d_max: 1.5,
    };
    let DiskQuery { query: _, d_max: _ } = DiskQuery { query, d_max: 1.5 };

    let mut db = RingDb::new(RingDbConfig::new(2)).unwrap();
    db.add_vector(&[1.0, 0.0], ()).unwrap();
    assert_eq!(
        (db.len(), db.is_empty(), db.dims(), db.backend_name()),
        (1, false, 2, "cpu")
    );
    let db: SealedRingDb = db.build().unwrap();
    let QueryResult {
        ids,
        backend_used,
        elapsed,
    } = db
        .query(&RingQuery {
            query,
            d: 1.0,
            lambda: 0.0,
        })
        .unwrap();
    assert_eq!((ids, backend_used), (vec![0], "cpu"));
    assert!(elapsed > Duration::ZERO);
    assert_eq!(
        (db.len(), db.is_empty(), db.dims(), db.backend_name()),
        (1, false, 2, "cpu")
    );
}

#[test]
fn a_sealed_database_may_be_shared_whatever_its_payload_is() {
    fn shared<S: Send + Sync>() {}
    shared::<SealedRingDb<Rc<u8>>>();
    shared::<SealedRingDb>();
}

#[test]
fn errors_keep_their_shape() {
    let from_io: RingDbError = std::io::Error::other("x").into();
    assert!(matches!(from_io, RingDbError::Io(_)));
    let describe = |error: RingDbError| match error {
        RingDbError::DimensionMismatch { expected, got } => format!("{expected} {got}"),
        RingDbError::Payload(text) => text,
        RingDbError::Io(error) => error.to_string(),
        // A `Corruption` does for most of what a `String` did.
        RingDbError::Corrupt(text) => length_of(&text).to_string(),
        _ => String::new(),
    };
    fn length_of(text: &str) -> usize {
        text.len()
    }
    assert_eq!(describe(RingDbError::Payload("p".into())), "p");
    let _: fn(&Corruption) -> u64 = Corruption::offset;
}
