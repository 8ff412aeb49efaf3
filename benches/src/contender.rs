//! This library in the comparison: one function for each way that it has to answer.

use std::time::Instant;

use ringdb_index::{Kernel, Ring, Rows, ring_ids};

use crate::oracle::Request;

/// Answers queries that are asked together, each with ascending ids.
type Search<'a> = Box<dyn Fn(&[Vec<f32>], &Ring) -> Vec<Vec<u32>> + 'a>;

/// One way of this library to answer, prepared for some rows.
pub struct Contender<'a> {
    /// What the tables call it.
    pub name: String,
    search: Search<'a>,
}

impl<'a> Contender<'a> {
    /// A way to answer.
    pub fn new(
        name: impl Into<String>,
        search: impl Fn(&[Vec<f32>], &Ring) -> Vec<Vec<u32>> + 'a,
    ) -> Self {
        Self {
            name: name.into(),
            search: Box::new(search),
        }
    }

    /// Answers one request and returns the seconds that took.
    pub(crate) fn run(&self, request: &Request) -> (f64, Vec<Vec<u32>>) {
        let ring = request.bounds.ring();
        let start = Instant::now();
        let found = (self.search)(&request.queries, &ring);
        (start.elapsed().as_secs_f64(), found)
    }
}

/// Every way that this library has; the tables give the time of all others relative to the first.
#[must_use]
pub fn contenders(rows: Rows<'_>) -> Vec<Contender<'_>> {
    vec![scan(rows)]
}

/// The scan of all rows, query by query.
fn scan(rows: Rows<'_>) -> Contender<'_> {
    let kernel = Kernel::fastest();
    Contender::new(format!("ringdb, scan, {kernel}"), move |queries, ring| {
        let one = |query: &Vec<f32>| ring_ids(rows, query, ring, kernel).expect("a valid query");
        queries.iter().map(one).collect()
    })
}
