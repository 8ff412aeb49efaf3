//! All that can be asked of a database, and whether another one answers it in the same way.

use std::path::Path;

use rand::rngs::SmallRng;
use ringdb::{OpenOptions, RingDbError, SealedRingDb, Tier};

use super::questions::{Answer, Questions};
use crate::content::{Content, Value, compare_row, compare_value};
use crate::verdict::Flaw;

/// What was asked, and what came back while all was well.
pub(super) struct Answers<V> {
    content: Content<V>,
    bytes: Vec<Vec<u8>>,
    payload_type: String,
    searches: Vec<Searched>,
}

/// What is asked about one vector, and what came back.
struct Searched {
    questions: Questions,
    answers: Vec<Answer>,
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

    /// How many rows each tier decided, over all searches for a ring without a filter: a filter leaves rows to tiers that
    /// no bound would.
    pub(super) fn decided(&self) -> [(&'static str, u64); Tier::ALL.len()] {
        let of_tier = |tier: Tier| {
            let answers = self.searches.iter().flat_map(|it| &it.answers);
            let of_rings = answers.filter(|it| it.explain.tier(Tier::Filter).rows == 0);
            of_rings.map(move |answer| {
                let report = answer.explain.tier(tier);
                report.outside + report.inside
            })
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
        let questions = Questions::random(db, rng)?;
        let answers = questions
            .ask(db)
            .into_iter()
            .collect::<ringdb::Result<_>>()?;
        Ok(Self { questions, answers })
    }

    fn compare<V: Value>(&self, db: &SealedRingDb<V>, errors: &mut Errors) -> Result<(), Flaw> {
        for (found, expected) in self.questions.ask(db).into_iter().zip(&self.answers) {
            if let Some(found) = errors.note(found) {
                found.compare(expected)?;
            }
        }
        Ok(())
    }
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
