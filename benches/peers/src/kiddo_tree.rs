//! kiddo: a k-d tree of `f32`; its number of dims is fixed when it is compiled.

use kiddo::batch::DEFAULT_STATIC_CHUNK_THREAD_MULTIPLIER;
use kiddo::{ImmutableKdTree, QueryResultItem, SquaredEuclidean};
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::protocol::{Answer, Peer, Result, timed};

#[derive(Default)]
pub(crate) struct Adapter(Option<Box<dyn Tree>>);

impl Peer for Adapter {
    fn hello(&self) -> Value {
        json!({
            "name": "kiddo",
            "version": "6.3.0",
            "capabilities": ["ring", "disk", "batch"],
            "bounds": "inclusive, f32, squared; a ring is a disk whose hits are filtered by the distances that it returns",
        })
    }

    fn load(&mut self, rows: Vec<f32>, dims: usize) -> Result<()> {
        self.0 = None;
        self.0 = Some(match dims {
            2 => tree::<2>(&rows)?,
            3 => tree::<3>(&rows)?,
            8 => tree::<8>(&rows)?,
            16 => tree::<16>(&rows)?,
            64 => tree::<64>(&rows)?,
            _ => return Err(format!("its adapter is not compiled for {dims} dims").into()),
        });
        Ok(())
    }

    fn search(&self, queries: &[&[f32]], rings: &[[f64; 2]]) -> Result<Answer> {
        let tree = self.0.as_ref().ok_or("nothing is loaded")?;
        tree.search(queries, rings)
    }
}

/// A tree of any number of dims.
trait Tree {
    fn search(&self, queries: &[&[f32]], rings: &[[f64; 2]]) -> Result<Answer>;
}

fn tree<const K: usize>(rows: &[f32]) -> Result<Box<dyn Tree>> {
    let (rows, _) = rows.as_chunks::<K>();
    Ok(Box::new(ImmutableKdTree::<f32, K>::new_from_slice(rows)?))
}

impl<const K: usize> Tree for ImmutableKdTree<f32, K> {
    fn search(&self, queries: &[&[f32]], rings: &[[f64; 2]]) -> Result<Answer> {
        let queries: Vec<[f32; K]> = queries
            .iter()
            .map(|query| <[f32; K]>::try_from(*query))
            .collect::<std::result::Result<_, _>>()?;
        // Squared in f64 and rounded once.
        let squared = |[d_min, d_max]: [f64; 2]| ((d_min * d_min) as f32, (d_max * d_max) as f32);
        // Few tasks a thread, as its own batches advise.
        let tasks = rayon::current_num_threads() * DEFAULT_STATIC_CHUNK_THREAD_MULTIPLIER.get();
        let (seconds, found) = timed(|| -> Vec<Vec<QueryResultItem<(), u32, f32>>> {
            let one = |(number, query): (usize, &[f32; K])| {
                let (low, high) = squared(rings[number % rings.len()]);
                let within = self.query(query).within::<SquaredEuclidean<f32>>(high);
                let mut found = within.unsorted().execute();
                if low > 0.0 {
                    found.retain(|item| item.distance >= low);
                }
                found
            };
            let shared = queries.par_iter().enumerate();
            let shared = shared.with_min_len(queries.len().div_ceil(tasks));
            shared.map(one).collect()
        });
        let ids = |found: Vec<QueryResultItem<(), u32, f32>>| {
            found.into_iter().map(|item| item.item).collect()
        };
        Ok((seconds, found.into_iter().map(ids).collect()))
    }
}
