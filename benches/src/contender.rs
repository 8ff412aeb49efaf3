//! This library in the comparison: one function for each way that it has to answer.

use std::time::Instant;

use ringdb_index::{Kernel, Pair, Ring, Segment, Trusted, join, search, search_many};

use crate::data::Data;
use crate::oracle::Request;

/// Answers a request: the seconds that took, and the ascending ids of each query.
type Answer<'a> = Box<dyn Fn(&Request) -> (f64, Vec<Vec<u32>>) + 'a>;

/// One way of this library to answer, prepared for some rows.
pub struct Contender<'a> {
    /// What the tables call it.
    pub name: String,
    answer: Answer<'a>,
}

impl<'a> Contender<'a> {
    /// A way to answer queries. What `search` returns becomes ids when the time has been taken.
    fn new<T>(
        name: String,
        search: impl Fn(&Request, &Ring) -> T + 'a,
        ids: impl Fn(T) -> Vec<Vec<u32>> + 'a,
    ) -> Self {
        let answer = move |request: &Request| {
            let ring = request.bounds.ring();
            let start = Instant::now();
            let found = search(request, &ring);
            let seconds = start.elapsed().as_secs_f64();
            (seconds, ids(found))
        };
        Self {
            name,
            answer: Box::new(answer),
        }
    }

    /// Answers one request and returns the seconds that took.
    pub(crate) fn run(&self, request: &Request) -> (f64, Vec<Vec<u32>>) {
        (self.answer)(request)
    }
}

/// Every way that this library has; the tables give the time of all others relative to the first.
#[must_use]
pub fn contenders(data: &Data) -> Vec<Contender<'_>> {
    let rows = Segment::new(data.view());
    let coded = data.segment();
    let kernel = Kernel::fastest();
    let mut all = vec![
        one_by_one(format!("ringdb, scan, {kernel}"), rows, kernel),
        one_by_one(format!("ringdb, codes, {kernel}"), coded, kernel),
        all_at_once(format!("ringdb, codes, batch, {kernel}"), coded, kernel),
    ];
    if coded.has_prefix() {
        let name = format!("ringdb, codes without prefix, {kernel}");
        all.push(one_by_one(name, data.without_prefix(), kernel));
    }
    all
}

/// Query by query, in all rows or by codes.
fn one_by_one(name: String, segment: Segment<'_>, kernel: Kernel) -> Contender<'_> {
    let search = move |request: &Request, ring: &Ring| -> Vec<Vec<u32>> {
        let queries = request.queries.iter();
        queries
            .map(|query| ids_of(segment, query, ring, kernel))
            .collect()
    };
    Contender::new(name, search, |found| found)
}

fn ids_of(segment: Segment<'_>, query: &[f32], ring: &Ring, kernel: Kernel) -> Vec<u32> {
    let (ids, _) = search(segment, query, ring, kernel, &Trusted).expect("a valid query");
    ids
}

/// All queries in one pass over the rows.
fn all_at_once(name: String, segment: Segment<'_>, kernel: Kernel) -> Contender<'_> {
    let search = move |request: &Request, ring: &Ring| {
        let flat = request.queries.concat();
        let batch = search_many(segment, &flat, &[*ring], kernel, &Trusted).expect("valid queries");
        (batch, request.queries.len())
    };
    Contender::new(name, search, |(batch, count)| {
        (0..count).map(|i| batch.ids_of(i).to_vec()).collect()
    })
}

/// The ways to join rows with themselves.
#[must_use]
pub fn joins(data: &Data) -> Vec<Contender<'_>> {
    let (segment, kernel) = (data.segment(), Kernel::fastest());
    let search = move |_: &Request, ring: &Ring| {
        let mut pairs = Vec::new();
        let mut found = join(segment, *ring, kernel, &Trusted);
        while let Some(portion) = found.portion().expect("trusted rows") {
            pairs.extend(portion);
        }
        pairs
    };
    let ids = move |pairs| of_rows(pairs, segment.rows().len());
    vec![Contender::new(
        format!("ringdb, join by codes, {kernel}"),
        search,
        ids,
    )]
}

/// The second ids of the pairs of each row, ascending.
fn of_rows(mut pairs: Vec<Pair>, n_rows: usize) -> Vec<Vec<u32>> {
    pairs.sort_unstable();
    let mut all = vec![Vec::new(); n_rows];
    for (a, b) in pairs {
        all[a as usize].push(b);
    }
    all
}
