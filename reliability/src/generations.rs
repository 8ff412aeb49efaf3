//! Databases that a writer makes one after another in a real directory until it is stopped: what each
//! generation holds, and which one is found afterwards.

use std::io;
use std::path::Path;
use std::time::Duration;

use rand::Rng;
use ringdb::{OpenOptions, RingDbError};
use ringdb_storage::disk::real;

use crate::campaign::{self, rng};
use crate::content::Content;
use crate::directory::{Allowed, MANIFEST, check_leftovers};
use crate::verdict::{Checked, Flaw};

/// The contents of the generations of a case, counted from 1; 0 is no database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Generations {
    pub(crate) seed: u64,
}

/// What is drawn for a case in which a writer of generations is stopped.
#[derive(Debug)]
pub(crate) struct Draw {
    pub(crate) generations: Generations,
    /// Whether there is a database before the writer begins.
    pub(crate) is_replaced: bool,
    /// How long the writer is let be.
    pub(crate) delay: Duration,
}

impl Generations {
    /// Half of them are stored with codes.
    fn content(self, generation: u64) -> campaign::Result<Content<String>> {
        let rng = &mut rng(self.seed, 6, generation);
        let n_rows = rng.random_range(1..40);
        // Now and then one that is written in several pieces.
        let dims = match rng.random_range(0..16) {
            0 => 10_000,
            _ => rng.random_range(1..50),
        };
        let has_codes = rng.random();
        let mut content = Content::<String>::drawn(rng, n_rows, dims, has_codes)?;
        for value in &mut content.values {
            value.push_str(&format!(" of generation {generation}"));
        }
        Ok(content)
    }

    /// Makes `dir` hold a generation.
    pub(crate) fn build(self, dir: &Path, generation: u64) -> campaign::Result<()> {
        self.content(generation)?.build(dir)?;
        Ok(())
    }

    /// The generation that `dir` holds, whole: the one that was acknowledged last, or the one begun
    /// after it.
    pub(crate) fn find(self, dir: &Path, acknowledged: u64) -> Result<u64, Flaw> {
        let db = match OpenOptions::new().open::<String>(dir) {
            Ok(db) => db,
            Err(error) if acknowledged == 0 && is_nothing(&error) => return Ok(0),
            Err(error) => {
                let what = format!("generation {acknowledged} was acknowledged: {error}");
                return Err(Flaw::loss(what));
            }
        };
        let is_held = |generation| -> Result<bool, Flaw> {
            let content = self.content(generation);
            let content = content.map_err(|error| Flaw::other(error.to_string()))?;
            Ok(content.compare_sealed(&db).is_ok())
        };
        if is_held(acknowledged + 1)? {
            return Ok(acknowledged + 1);
        }
        if acknowledged > 0 && is_held(acknowledged)? {
            return Ok(acknowledged);
        }
        let found = db.fetch_payload(0);
        Err(Flaw::loss(format!(
            "generation {acknowledged} was acknowledged, and a database of {} rows begins with {found:?}",
            db.len()
        )))
    }

    /// Finds what a writer that was stopped left in `dir`, lets another one go on, and says which
    /// generation it was.
    pub(crate) fn check(self, dir: &Path, acknowledged: u64) -> Checked {
        let found = self.find(dir, acknowledged)?;
        self.go_on(dir, acknowledged + 2)?;
        Ok(match found {
            0 => "not yet a database",
            _ if found == acknowledged => "the last acknowledged one",
            _ => "the one after it",
        })
    }

    /// Lets a writer make `dir` hold a generation that was not begun before; it must succeed, and nothing
    /// of the dead one may be left.
    pub(crate) fn go_on(self, dir: &Path, generation: u64) -> Result<(), Flaw> {
        let allowed = Allowed {
            orphans: !dir.join(MANIFEST).exists(),
            ..Allowed::default()
        };
        let refused = |error| Flaw::other(format!("the next writer is refused: {error}"));
        self.build(dir, generation).map_err(refused)?;
        self.find(dir, generation)?;
        check_leftovers(&*real(), dir, allowed)
    }
}

fn is_nothing(error: &RingDbError) -> bool {
    match error {
        RingDbError::NotADatabase { .. } => true,
        RingDbError::Io(error) => error.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::scratch;

    #[test]
    fn the_last_acknowledged_or_the_next_is_found_and_no_other() {
        let scratch = scratch().unwrap();
        let dir = &scratch.path().join("db");
        let generations = Generations { seed: 3 };
        assert_eq!(generations.find(dir, 0).unwrap(), 0);
        assert!(generations.find(dir, 1).is_err(), "lost");
        for generation in [1, 2] {
            generations.build(dir, generation).unwrap();
        }
        assert_eq!(generations.find(dir, 1).unwrap(), 2);
        assert_eq!(generations.find(dir, 2).unwrap(), 2);
        assert!(generations.find(dir, 3).is_err(), "an older one");
        assert!(
            generations.find(dir, 0).is_err(),
            "one that was never begun"
        );
        generations.go_on(dir, 3).unwrap();
    }
}
