//! All that can be asked of a database, and whether another one answers it in the same way.

use std::ops::{Bound, RangeBounds};
use std::path::Path;

use rand::Rng;
use rand::rngs::SmallRng;
use ringdb::{
    DiskQuery, Explain, OpenOptions, RangeQuery, RingDbError, RingQuery, SealedRingDb, Tier,
};

use crate::content::{Content, Value, compare_hits, compare_row, compare_value};
use crate::verdict::Flaw;

/// What was asked, and what came back while all was well.
pub(super) struct Answers<V> {
    content: Content<V>,
    bytes: Vec<Vec<u8>>,
    payload_type: String,
    searches: Vec<Searched>,
}

/// A query vector, bounds, and the hits between them.
struct Searched {
    query: Vec<f32>,
    d: f32,
    lambda: f32,
    ring: Vec<u32>,
    range: Vec<u32>,
    disk: Vec<u32>,
    /// By distances below the bound.
    open: (Vec<u32>, Vec<f64>),
    everything: (Vec<u32>, Vec<f64>),
    /// Distances of rows, of which the bounds below are made: a row on a bound is told from one that is
    /// not by its coordinates alone, and its neighbours by fine codes.
    realised: [f64; 2],
    between: (Vec<u32>, Vec<f64>),
    beyond: (Vec<u32>, Vec<f64>),
    /// The distance of a row that few others are nearer than, so that boxes are not left.
    near: f64,
    nearest: (Vec<u32>, Vec<f64>),
    /// How many rows each tier decided for the last three.
    decided: [u64; Tier::ALL.len()],
}

/// What kind of error was met.
pub(super) type Refusal = &'static str;

impl<V: Value> Answers<V> {
    /// Asks a database that holds `content`.
    pub(super) fn of(
        db: &SealedRingDb<V>,
        content: &Content<V>,
        rng: &mut SmallRng,
    ) -> Result<Self, String> {
        content.compare_sealed(db).map_err(|flaw| flaw.what)?;
        let bytes = (0..db.len() as u32).map(|id| db.payload_bytes(id).map(<[u8]>::to_vec));
        let bytes = bytes.collect::<ringdb::Result<_>>();
        let searches = (0..3).map(|_| Searched::random(db, rng));
        let searches = searches.collect::<ringdb::Result<_>>();
        Ok(Self {
            content: content.clone(),
            bytes: bytes.map_err(|error| error.to_string())?,
            payload_type: db.payload_type().to_owned(),
            searches: searches.map_err(|error| error.to_string())?,
        })
    }

    /// How many rows each tier decided, over all searches.
    pub(super) fn decided(&self) -> [(&'static str, u64); Tier::ALL.len()] {
        let of_tier = |tier: Tier| {
            self.searches
                .iter()
                .map(move |it| it.decided[tier as usize])
        };
        Tier::ALL.map(|tier| (tier.name(), of_tier(tier).sum()))
    }

    /// Opens `dir` and asks everything. Every answer has to be the right one or an error; the first error
    /// is returned. With `searches_first` the rows are searched before they are read.
    pub(super) fn compare(
        &self,
        dir: &Path,
        options: &OpenOptions,
        searches_first: bool,
    ) -> Result<Option<Refusal>, Flaw> {
        let db = match options.open::<V>(dir) {
            Ok(db) => db,
            Err(error) => return Ok(Some(kind(&error))),
        };
        let mut errors = Errors::default();
        let expected = (self.bytes.len(), self.content.dims, V::CODEC);
        let found = (db.len(), db.dims(), db.payload_codec());
        if found != expected || db.payload_type() != self.payload_type {
            let type_name = db.payload_type();
            let what = format!("{found:?} of {type_name}, not {expected:?}");
            return Err(match db.len() < self.bytes.len() {
                true => Flaw::missing(what),
                false => Flaw::wrong(what),
            });
        }
        if searches_first {
            self.search(&db, &mut errors)?;
        }
        self.read_entries(&db, &mut errors)?;
        if !searches_first {
            self.search(&db, &mut errors)?;
        }
        Ok(errors.first)
    }

    fn search(&self, db: &SealedRingDb<V>, errors: &mut Errors) -> Result<(), Flaw> {
        self.searches
            .iter()
            .try_for_each(|searched| searched.compare(db, errors))
    }

    fn read_entries(&self, db: &SealedRingDb<V>, errors: &mut Errors) -> Result<(), Flaw> {
        for (id, (row, value)) in (0..).zip(self.content.entries()) {
            if let Some(found) = errors.note(db.vector(id)) {
                compare_row(id, &found, row)?;
            }
            if let Some(found) = errors.note(V::fetch(db, id)) {
                compare_value(id, &found, value)?;
            }
            if let Some(found) = errors.note(db.payload_bytes(id))
                && self.bytes.get(id as usize).map(Vec::as_slice) != Some(found)
            {
                return Err(Flaw::wrong(format!("bytes of payload {id}: {found:?}")));
            }
        }
        let n_entries = self.bytes.len();
        for id in [n_entries as u32, u32::MAX] {
            if db.vector(id).is_ok() || V::fetch(db, id).is_ok() {
                return Err(Flaw::wrong(format!("there is an entry {id}")));
            }
        }
        match V::IS_SERDE {
            true => self.walk(db, errors),
            false => Ok(()),
        }
    }

    /// All payloads, one after another: as many as there are, or an error.
    fn walk(&self, db: &SealedRingDb<V>, errors: &mut Errors) -> Result<(), Flaw> {
        let (mut n_found, n_entries) = (0, self.bytes.len());
        for payload in db.payloads() {
            if errors.note(payload).is_none() {
                return Ok(());
            }
            n_found += 1;
        }
        match n_found == n_entries {
            true => Ok(()),
            false => Err(Flaw::missing(format!(
                "{n_found} of {n_entries} payloads and no error"
            ))),
        }
    }
}

impl Searched {
    fn random<V: Value>(db: &SealedRingDb<V>, rng: &mut SmallRng) -> ringdb::Result<Self> {
        let query = (0..db.dims()).map(|_| rng.random_range(-1.0..1.0));
        let query: Vec<f32> = query.collect();
        // Near the middle of all distances, so that some are hits and some are not.
        let everything = ask_everything(db, &query)?;
        let mut sorted = everything.1.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(1.0);
        let middle = at(sorted.len() / 2) as f32;
        let (d, lambda) = (middle, middle * rng.random_range(0.05..0.3));
        let realised = [at(sorted.len() / 4), at(sorted.len() * 3 / 4)];
        let [between, beyond] = bounds(realised);
        let (between, seen) = ask_explained(db, &query, between)?;
        let (beyond, seen_beyond) = ask_explained(db, &query, beyond)?;
        let near = at(sorted.len() / 200);
        let (nearest, seen_near) = ask_explained(db, &query, ..=near)?;
        let decided = |tier: Tier| {
            let reports = [
                seen.tier(tier),
                seen_beyond.tier(tier),
                seen_near.tier(tier),
            ];
            reports.iter().map(|it| it.outside + it.inside).sum()
        };
        Ok(Self {
            ring: ask_ring(db, &query, d, lambda)?,
            range: ask_range(db, &query, d, lambda)?,
            disk: ask_disk(db, &query, d)?,
            open: ask_open(db, &query, d)?,
            everything,
            decided: Tier::ALL.map(decided),
            query,
            d,
            lambda,
            realised,
            between,
            beyond,
            near,
            nearest,
        })
    }

    fn compare<V: Value>(&self, db: &SealedRingDb<V>, errors: &mut Errors) -> Result<(), Flaw> {
        let Self {
            query, d, lambda, ..
        } = self;
        let by_ids = [
            (ask_ring(db, query, *d, *lambda), &self.ring),
            (ask_range(db, query, *d, *lambda), &self.range),
            (ask_disk(db, query, *d), &self.disk),
        ];
        for (found, expected) in by_ids {
            if let Some(found) = errors.note(found) {
                compare_hits(&found, expected)?;
            }
        }
        let [between, beyond] = bounds(self.realised);
        let with_distances = [
            (ask_open(db, query, *d), &self.open),
            (ask_everything(db, query), &self.everything),
            (ask(db, query, between), &self.between),
            (ask(db, query, beyond), &self.beyond),
            (ask(db, query, ..=self.near), &self.nearest),
        ];
        for (found, (ids, distances)) in with_distances {
            let Some(found) = errors.note(found) else {
                continue;
            };
            compare_hits(&found.0, ids)?;
            if !bits(&found.1).eq(bits(distances)) {
                let what = format!("distances {:?}, not {distances:?}", found.1);
                return Err(Flaw::wrong(what));
            }
        }
        Ok(())
    }
}

type Hits = (Vec<u32>, Vec<f64>);

fn ask_ring<V: Value>(
    db: &SealedRingDb<V>,
    query: &[f32],
    d: f32,
    lambda: f32,
) -> ringdb::Result<Vec<u32>> {
    Ok(db.query(&RingQuery { query, d, lambda })?.ids)
}

fn ask_range<V: Value>(
    db: &SealedRingDb<V>,
    query: &[f32],
    d: f32,
    lambda: f32,
) -> ringdb::Result<Vec<u32>> {
    let (d_min, d_max) = (d, d + 2.0 * lambda);
    let query = RangeQuery {
        query,
        d_min,
        d_max,
    };
    Ok(db.query_range(&query)?.ids)
}

fn ask_disk<V: Value>(db: &SealedRingDb<V>, query: &[f32], d_max: f32) -> ringdb::Result<Vec<u32>> {
    Ok(db.query_disk(&DiskQuery { query, d_max })?.ids)
}

fn ask_open<V: Value>(db: &SealedRingDb<V>, query: &[f32], d: f32) -> ringdb::Result<Hits> {
    ask(db, query, ..f64::from(d))
}

fn ask_everything<V: Value>(db: &SealedRingDb<V>, query: &[f32]) -> ringdb::Result<Hits> {
    ask(db, query, ..)
}

/// From one distance to another, both inclusive, and all beyond the first.
fn bounds([from, to]: [f64; 2]) -> [(Bound<f64>, Bound<f64>); 2] {
    [
        (Bound::Included(from), Bound::Included(to)),
        (Bound::Excluded(from), Bound::Unbounded),
    ]
}

fn ask<V: Value>(
    db: &SealedRingDb<V>,
    query: &[f32],
    bounds: impl RangeBounds<f64>,
) -> ringdb::Result<Hits> {
    Ok(ask_explained(db, query, bounds)?.0)
}

fn ask_explained<V: Value>(
    db: &SealedRingDb<V>,
    query: &[f32],
    bounds: impl RangeBounds<f64>,
) -> ringdb::Result<(Hits, Explain)> {
    let found = db.search(query).range(bounds).distances().run()?;
    Ok((
        (found.ids, found.distances.unwrap_or_default()),
        found.explain,
    ))
}

fn bits(distances: &[f64]) -> impl Iterator<Item = u64> {
    distances.iter().map(|d| d.to_bits())
}

/// The first error among answers.
#[derive(Default)]
struct Errors {
    first: Option<Refusal>,
}

impl Errors {
    fn note<T>(&mut self, answer: ringdb::Result<T>) -> Option<T> {
        if let Err(error) = &answer {
            self.first.get_or_insert(kind(error));
        }
        answer.ok()
    }
}

fn kind(error: &RingDbError) -> Refusal {
    match error {
        RingDbError::Corrupt(_) => "Corrupt",
        RingDbError::UnsupportedVersion { .. } => "UnsupportedVersion",
        RingDbError::NotADatabase { .. } => "NotADatabase",
        RingDbError::TypeMismatch { .. } => "TypeMismatch",
        RingDbError::Payload(_) => "Payload",
        RingDbError::Io(_) => "Io",
        _ => "another error",
    }
}
