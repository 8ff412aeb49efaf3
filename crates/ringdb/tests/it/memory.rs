//! Sets larger than the memory that a process may have: built and asked all the same.

use std::path::Path;

use ringdb::{
    BuildOptions, Codes, DiskQuery, OpenOptions, Ring, RingDb, RingDbConfig, SealedRingDb, Verify,
};

use crate::support::{is_child, run_in_child, skip};

/// Coordinate `i` of row `id`: the first tells the rows apart, the others are between -1 and 1.
fn coordinate(id: u32, i: usize) -> f32 {
    match i {
        0 => id as f32,
        i => ((id as usize * 31 + i * 17) % 2001) as f32 / 1000.0 - 1.0,
    }
}

fn payload(id: u32) -> String {
    format!("payload number {id}")
}

fn build(dir: &Path, dims: usize, rows: u32) -> SealedRingDb<String> {
    let mut db = RingDb::new(RingDbConfig::new(dims).with_persist_dir(dir)).unwrap();
    let mut row = vec![0.0; dims];
    for id in 0..rows {
        for (i, x) in row.iter_mut().enumerate() {
            *x = coordinate(id, i);
        }
        db.add_vector(&row, payload(id)).unwrap();
    }
    db.build().unwrap()
}

/// The first coordinate alone puts all rows but `id` at a distance of 1 or more.
fn assert_finds(db: &SealedRingDb<String>, id: u32) {
    let query: Vec<f32> = (0..db.dims()).map(|i| coordinate(id, i)).collect();
    let near = DiskQuery {
        query: &query,
        d_max: 0.5,
    };
    assert_eq!(db.query_disk(&near).unwrap().ids, [id]);
    assert_eq!(db.fetch_payload(id).unwrap(), payload(id));
}

/// 1 GB of rows by a process that may not have 200 MB of memory of its own. Maps of files do not count
/// towards that limit, and everything else does.
#[cfg(target_os = "linux")]
#[test]
fn a_large_set_is_built_in_little_memory() {
    const LIMIT_KIB: usize = 200_000;
    if !is_child() {
        let test = "memory::a_large_set_is_built_in_little_memory";
        return run_in_child(test, &format!("ulimit -d {LIMIT_KIB}"));
    }
    let (dims, rows) = (128, 2_000_000);
    // The limit is there.
    assert!(Vec::<u8>::new().try_reserve_exact(LIMIT_KIB << 10).is_err());
    let dir = tempfile::tempdir().unwrap();
    let built = build(dir.path(), dims, rows);
    assert_finds(&built, 1_234_567);
    drop(built);
    for verify in [Verify::Open, Verify::Lazy] {
        let db = OpenOptions::new().verify(verify).open(dir.path()).unwrap();
        assert_eq!(db.len(), rows as usize);
        for id in [0, 999_999, rows - 1] {
            assert_finds(&db, id);
        }
    }
}

/// 10^8 pairs, of which a consumer takes its time, by a process that may not have 256 MB of memory.
#[cfg(target_os = "linux")]
#[test]
fn a_join_of_many_pairs_needs_little_memory() {
    const LIMIT_KIB: usize = 256_000;
    if !is_child() {
        let test = "memory::a_join_of_many_pairs_needs_little_memory";
        return run_in_child(test, &format!("ulimit -d {LIMIT_KIB}"));
    }
    assert!(Vec::<u8>::new().try_reserve_exact(LIMIT_KIB << 10).is_err());
    let (rows, dims) = (14_143_u64, 16);
    let mut db: RingDb = BuildOptions::new(dims).codes(Codes::On).create().unwrap();
    for _ in 0..rows {
        db.add_vector(&[0.5; 16], ()).unwrap();
    }
    let db = db.build().unwrap();
    let ring = Ring::within(0.0).unwrap();
    let (mut pairs, mut sum) = (0_u64, 0_u64);
    for pair in db.join(&ring).unwrap() {
        let (a, b) = pair.unwrap();
        assert!(a < b);
        sum += u64::from(a) + u64::from(b);
        pairs += 1;
    }
    assert_eq!(pairs, rows * (rows - 1) / 2);
    assert!(pairs > 100_000_000);
    // Every id is in a pair with each of the others.
    assert_eq!(sum, rows * (rows - 1) / 2 * (rows - 1));
}

/// A group of processes with a memory limit, gone when this is dropped.
struct Group {
    path: std::path::PathBuf,
    procs: std::path::PathBuf,
}

impl Group {
    /// By the first version of the interface or the second, whichever the machine lets us use.
    fn with_limit(bytes: u64) -> Result<Self, String> {
        let name = format!("ringdb-test-{}", std::process::id());
        let mut reasons = Vec::new();
        for (root, limit) in [
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            ("/sys/fs/cgroup", "memory.max"),
        ] {
            let path = Path::new(root).join(&name);
            if let Err(error) = std::fs::create_dir(&path) {
                reasons.push(format!("{}: {error}", path.display()));
                continue;
            }
            let group = Self {
                procs: path.join("cgroup.procs"),
                path,
            };
            match std::fs::write(group.path.join(limit), bytes.to_string()) {
                Ok(()) => return Ok(group),
                Err(error) => reasons.push(format!("{limit} of {root}: {error}")),
            }
        }
        Err(reasons.join("; "))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Its processes have ended. A group that cannot be removed is left to the system.
        let _ = std::fs::remove_dir(&self.path);
    }
}

/// Twice as many bytes of rows as the process may have of memory, page cache included.
#[cfg(target_os = "linux")]
#[test]
fn a_set_twice_as_large_as_memory_is_built_and_asked() {
    const LIMIT_BYTES: u64 = 64 << 20;
    let test = "memory::a_set_twice_as_large_as_memory_is_built_and_asked";
    if !is_child() {
        let group = match Group::with_limit(LIMIT_BYTES) {
            Ok(group) => group,
            Err(reason) => return skip(test, "cgroup", &reason),
        };
        return run_in_child(test, &format!("echo $$ > {}", group.procs.display()));
    }
    let dims = 128;
    let rows = (2 * LIMIT_BYTES / (4 * dims as u64)) as u32;
    let dir = tempfile::tempdir().unwrap();
    assert_finds(&build(dir.path(), dims, rows), rows / 2);
    for verify in [Verify::Open, Verify::Lazy, Verify::Never] {
        let db = OpenOptions::new().verify(verify).open(dir.path()).unwrap();
        for id in [0, rows / 3, rows - 1] {
            assert_finds(&db, id);
        }
    }
}
