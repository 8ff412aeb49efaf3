//! ring-db 0.11.0: disks and the nearest rows by a scan in `f32`; it has no rings any more.

use ring_db_0_11::{Db, Disk, Hit, Knn, Options, Record, RegionResult, Schema};
use serde_json::{Value, json};

use crate::protocol::{Answer, Peer, Result, timed};

/// Rows added and committed at once: records hold their vectors one by one until then.
const CHUNK: usize = 1 << 17;

#[derive(Default)]
pub(crate) struct Adapter {
    db: Option<Db>,
    /// The key of row 0; those of the others follow, which loading checks.
    first: u64,
}

impl Peer for Adapter {
    fn hello(&self) -> Value {
        json!({
            "name": "ring-db",
            "version": "0.11.0",
            "capabilities": ["disk", "nearest"],
            "bounds": "inclusive, f32",
        })
    }

    fn load(&mut self, rows: Vec<f32>, dims: usize) -> Result<()> {
        self.db = None;
        // Committed by hand, and merged once at the end into the one segment that it searches fastest.
        let options = Options::default().commit_interval(None).auto_merge(false);
        let db = Db::in_memory(Schema::new(dims), options)?;
        let mut next = None;
        for chunk in rows.chunks(CHUNK * dims) {
            let records = chunk.chunks_exact(dims).map(Record::new);
            for key in db.add_all(records)? {
                let key = key.get();
                if *next.get_or_insert(key) != key {
                    return Err("keys do not follow one another".into());
                }
                next = Some(key + 1);
            }
            db.flush()?;
        }
        db.compact()?;
        let count = (rows.len() / dims) as u64;
        self.first = next.map_or(0, |next| next - count);
        self.db = Some(db);
        Ok(())
    }

    fn search(&self, queries: &[&[f32]], rings: &[[f64; 2]]) -> Result<Answer> {
        let db = self.db.as_ref().ok_or("nothing is loaded")?;
        if rings.iter().any(|[d_min, _]| *d_min > 0.0) {
            return Err("only disks can be searched".into());
        }
        let (seconds, found) = timed(|| {
            let one = |(number, query): (usize, &&[f32])| {
                let [_, d_max] = rings[number % rings.len()];
                db.search(Disk::new(query, d_max as f32))
            };
            queries.iter().enumerate().map(one).collect()
        });
        let found: std::result::Result<Vec<RegionResult>, ring_db_0_11::RingDbError> = found;
        let ids = |result: &RegionResult| {
            let keys = result.keys();
            keys.map(|key| (key.get() - self.first) as u32).collect()
        };
        Ok((seconds, found?.iter().map(ids).collect()))
    }

    fn nearest(&self, queries: &[&[f32]], count: usize) -> Result<Answer> {
        let db = self.db.as_ref().ok_or("nothing is loaded")?;
        let (seconds, found) = timed(|| {
            let one = |query: &&[f32]| db.search(Knn::new(query, count));
            queries.iter().map(one).collect()
        });
        let found: std::result::Result<Vec<Vec<Hit>>, ring_db_0_11::RingDbError> = found;
        let id = |hit: &Hit| (hit.key.get() - self.first) as u32;
        let ids = |hits: &Vec<Hit>| hits.iter().map(id).collect();
        Ok((seconds, found?.iter().map(ids).collect()))
    }
}
