//! ring-db 0.3.0: rings by the norms of rows and the product with the query, in `f32`.

use ring_db_0_3::{RangeQuery, RingDb, RingDbConfig, SealedRingDb};
use serde_json::{Value, json};

use crate::protocol::{Answer, Peer, Result, timed};

#[derive(Default)]
pub(crate) struct Adapter(Option<SealedRingDb<()>>);

impl Peer for Adapter {
    fn hello(&self) -> Value {
        json!({
            "name": "ring-db",
            "version": "0.3.0",
            "capabilities": ["ring", "disk"],
            "bounds": "inclusive, f32",
        })
    }

    fn load(&mut self, rows: Vec<f32>, dims: usize) -> Result<()> {
        self.0 = None;
        let mut db = RingDb::new(RingDbConfig::new(dims))?;
        for row in rows.chunks_exact(dims) {
            db.add_vector(row, ())?;
        }
        self.0 = Some(db.build()?);
        Ok(())
    }

    fn search(&self, queries: &[&[f32]], rings: &[[f64; 2]]) -> Result<Answer> {
        let db = self.0.as_ref().ok_or("nothing is loaded")?;
        let (seconds, found) = timed(|| {
            let one = |(number, query): (usize, &&[f32])| {
                let [d_min, d_max] = rings[number % rings.len()];
                db.query_range(&RangeQuery {
                    query,
                    d_min: d_min as f32,
                    d_max: d_max as f32,
                })
                .map(|result| result.ids)
            };
            queries.iter().enumerate().map(one).collect()
        });
        let found: std::result::Result<_, ring_db_0_3::RingDbError> = found;
        Ok((seconds, found?))
    }
}
