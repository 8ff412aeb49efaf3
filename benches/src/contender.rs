//! This library in the comparison: one function for each way that it has to answer.

use std::time::Instant;

use rayon::ThreadPool;
use rayon::prelude::*;
use ringdb_index::{Batch, Kernel, Pair, Ring, Segment, Trusted, join, search, search_many};

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

/// Every way to answer by boxes, on the threads of `pool`, which share the queries and are called from outside of it, as
/// those of peers are; the tables give the time of all others relative to the first.
#[must_use]
pub fn by_boxes<'a>(segment: Segment<'a>, pool: &'a ThreadPool) -> Vec<Contender<'a>> {
    let kernel = Kernel::fastest();
    let shared = move |request: &Request, ring: &Ring| -> Vec<Vec<u32>> {
        let queries = request.queries.par_iter();
        // A few tasks a thread, as with kiddo.
        let tasks = 4 * pool.current_num_threads();
        let queries = queries.with_min_len(request.queries.len().div_ceil(tasks));
        let found = queries.map(|query| ids_of(segment, query, ring, kernel));
        pool.install(|| found.collect())
    };
    let batch = batch(segment, kernel);
    let batch = move |request: &Request, ring: &Ring| pool.install(|| batch(request, ring));
    vec![
        Contender::new(format!("ringdb, boxes, {kernel}"), shared, |found| found),
        Contender::new(format!("ringdb, boxes, batch, {kernel}"), batch, ids_of_all),
    ]
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
    Contender::new(name, batch(segment, kernel), ids_of_all)
}

fn batch(segment: Segment<'_>, kernel: Kernel) -> impl Fn(&Request, &Ring) -> Batch + Sync {
    move |request, ring| {
        let flat = request.queries.concat();
        search_many(segment, &flat, &[*ring], kernel, &Trusted).expect("valid queries")
    }
}

fn ids_of_all(batch: Batch) -> Vec<Vec<u32>> {
    let queries = 0..batch.len();
    queries.map(|query| batch.ids_of(query).to_vec()).collect()
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
