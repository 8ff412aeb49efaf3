//! Every verb that can be asked about one vector, in one way or a few.

use std::ops::{Bound, ControlFlow};

use rand::Rng;
use rand::rngs::SmallRng;
use ringdb::{
    DiskQuery, Explain, Histogram, RangeQuery, RingDbError, RingQuery, RowSet, SealedRingDb,
    Search, SearchResult,
};

use crate::content::{Value, compare_hits};
use crate::verdict::Flaw;

/// A query vector, and what the questions about it are made of.
pub(super) struct Questions {
    query: Vec<f32>,
    d: f32,
    lambda: f32,
    /// Distances of rows, of which bounds are made: a row on a bound is told from one that is not by its
    /// coordinates alone, and its neighbours by fine codes.
    realised: [f64; 2],
    /// The distance of a row that few others are nearer than, so that boxes are not left.
    near: f64,
    /// Every other row, one row alone if there is any, and all but some.
    sets: [RowSet; 3],
    /// So many rows are in rings, at least.
    few: u64,
    edges: Vec<f64>,
    seed: u64,
}

/// What came back, as far as the question asks for it.
#[derive(Default)]
pub(super) struct Answer {
    ids: Vec<u32>,
    distances: Vec<f64>,
    counts: Vec<u64>,
    /// Of searches for a ring.
    pub(super) explain: Explain,
}

impl Questions {
    pub(super) fn random<V: Value>(
        db: &SealedRingDb<V>,
        rng: &mut SmallRng,
    ) -> ringdb::Result<Self> {
        let query: Vec<f32> = (0..db.dims())
            .map(|_| rng.random_range(-1.0..1.0))
            .collect();
        // Near the middle of all distances, so that some are hits and some are not.
        let everything = db.search(&query).range(..).distances().run()?;
        let mut sorted = everything.distances.unwrap_or_default();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(1.0);
        let middle = at(sorted.len() / 2) as f32;
        let realised = [at(sorted.len() / 4), at(sorted.len() * 3 / 4)];
        let rows = db.len() as u32;
        // Distances may be equal, and edges may not.
        let mut edges = vec![
            0.0,
            realised[0],
            f64::from(middle),
            realised[1],
            f64::INFINITY,
        ];
        edges.sort_by(f64::total_cmp);
        edges.dedup();
        Ok(Self {
            query,
            d: middle,
            lambda: middle * rng.random_range(0.05..0.3),
            realised,
            near: at(sorted.len() / 200),
            sets: [
                RowSet::allow((0..rows).step_by(2)),
                RowSet::allow((rows > 0).then(|| rng.random_range(0..rows))),
                RowSet::deny((0..rows).step_by(3)),
            ],
            few: u64::from(rows / 4),
            edges,
            seed: rng.random(),
        })
    }

    /// Asks all of them, always in the same order.
    pub(super) fn ask<V: Value>(&self, db: &SealedRingDb<V>) -> Vec<ringdb::Result<Answer>> {
        let Self {
            query, d, lambda, ..
        } = self;
        let [from, to] = self.realised;
        let [half, one, others] = &self.sets;
        let between = || db.search(query).range(from..=to);
        let beyond = (Bound::Excluded(from), Bound::Unbounded);
        let (d_min, d_max) = (*d, *d + 2.0 * *lambda);
        vec![
            db.query(&RingQuery {
                query,
                d: *d,
                lambda: *lambda,
            })
            .map(|it| Answer::ids(it.ids)),
            db.query_range(&RangeQuery {
                query,
                d_min,
                d_max,
            })
            .map(|it| Answer::ids(it.ids)),
            db.query_disk(&DiskQuery { query, d_max: *d })
                .map(|it| Answer::ids(it.ids)),
            hits(db.search(query).range(..f64::from(*d))),
            hits(db.search(query).range(..)),
            hits(between()),
            hits(db.search(query).range(beyond)),
            hits(db.search(query).range(..=self.near)),
            hits(between().filter(half)),
            hits(db.search(query).range(..).filter(one)),
            hits(between().nearest_first().limit(3)),
            hits(between().farthest_first().limit(3)),
            hits(between().closest_to(f64::from(*d)).limit(3)),
            second_page(between),
            hits(between().filter(others)),
            between().sample(3, self.seed).map(Answer::from),
            db.knn(query, 3).map(Answer::from),
            between().radius_for_count(self.few).map(Answer::distance),
            median(db.search(query)).map(Answer::distance),
            between().explain().map(Answer::count),
            between().filter(half).explain().map(Answer::count),
            each(between()),
            db.search(query).histogram(&self.edges).map(Answer::from),
        ]
    }
}

impl Answer {
    fn ids(ids: Vec<u32>) -> Self {
        Self {
            ids,
            ..Self::default()
        }
    }

    fn distance(distance: f64) -> Self {
        Self {
            distances: vec![distance],
            ..Self::default()
        }
    }

    fn count(explain: Explain) -> Self {
        Self {
            counts: vec![explain.hits()],
            explain,
            ..Self::default()
        }
    }

    /// Whether it is what was expected, bit by bit.
    pub(super) fn compare(&self, expected: &Self) -> Result<(), Flaw> {
        compare_hits(&self.ids, &expected.ids)?;
        if !bits(&self.distances).eq(bits(&expected.distances)) {
            let what = format!(
                "distances {:?}, not {:?}",
                self.distances, expected.distances
            );
            return Err(Flaw::wrong(what));
        }
        if self.counts != expected.counts {
            let what = format!("counts {:?}, not {:?}", self.counts, expected.counts);
            return Err(Flaw::wrong(what));
        }
        Ok(())
    }
}

impl From<SearchResult> for Answer {
    fn from(found: SearchResult) -> Self {
        Self {
            ids: found.ids,
            distances: found.distances.unwrap_or_default(),
            counts: vec![found.total],
            explain: found.explain,
        }
    }
}

impl From<Histogram> for Answer {
    fn from(found: Histogram) -> Self {
        Self {
            counts: [&[found.below, found.above], &found.counts[..]].concat(),
            ..Self::default()
        }
    }
}

fn hits(search: Search<'_>) -> ringdb::Result<Answer> {
    search.distances().run().map(Answer::from)
}

/// Of no hits there is none.
fn median(search: Search<'_>) -> ringdb::Result<f64> {
    match search.quantile(0.5) {
        Err(RingDbError::TooFewVectors { len: 0, .. }) => Ok(0.0),
        found => found,
    }
}

/// What follows the two nearest hits.
fn second_page<'a>(search: impl Fn() -> Search<'a>) -> ringdb::Result<Answer> {
    let first = search().nearest_first().limit(2).run()?;
    match first.next {
        Some(next) => hits(search().nearest_first().limit(2).after(next)),
        None => Ok(Answer::from(first)),
    }
}

/// The hits as they are found.
fn each(search: Search<'_>) -> ringdb::Result<Answer> {
    let mut found = Vec::new();
    let explain = search.distances().for_each(|hit| {
        found.push((hit.id, hit.distance));
        ControlFlow::Continue(())
    })?;
    Ok(Answer {
        ids: found.iter().map(|&(id, _)| id).collect(),
        distances: found.iter().filter_map(|&(_, distance)| distance).collect(),
        explain,
        ..Answer::default()
    })
}

fn bits(distances: &[f64]) -> impl Iterator<Item = u64> {
    distances.iter().map(|d| d.to_bits())
}
