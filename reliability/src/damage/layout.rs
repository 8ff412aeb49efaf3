//! Databases to be damaged: one of each kind, whatever its payloads are.

use std::path::{Path, PathBuf};

use rand::rngs::SmallRng;
use ringdb::OpenOptions;
use ringdb_index::BOX_DIMS_MAX;

use super::answers::{Answers, Refusal};
use crate::campaign::Result;
use crate::content::{Content, Value};
use crate::directory::{Allowed, Image, check_leftovers, scratch};
use crate::verdict::Flaw;

/// A database, and what it answers.
pub(super) trait Layout: Send + Sync {
    fn name(&self) -> &str;

    fn image(&self) -> &Image;

    /// An older and a newer generation of it, and another database that holds the same.
    fn others(&self) -> &[Image; 3];

    /// Whether its files are so large that not every mutant of them can be looked at.
    fn is_large(&self) -> bool;

    /// Holds what is in `dir` to the answers; returns the first error among those of `dir`.
    fn compare(
        &self,
        dir: &Path,
        options: &OpenOptions,
        searches_first: bool,
    ) -> std::result::Result<Option<Refusal>, Flaw>;

    /// Lets a writer replace what is in `dir`, and tells whether it did. One that succeeds must have put
    /// something whole in its place.
    fn replace(&self, dir: &Path) -> std::result::Result<bool, Flaw>;
}

pub(super) const OTHERS: [&str; 3] = [
    "an older generation",
    "a newer generation",
    "another database",
];

struct Sample<V> {
    name: String,
    is_large: bool,
    image: Image,
    others: [Image; 3],
    answers: Answers<V>,
    next: Content<V>,
}

/// Of as many rows, files are too large for every mutant of them.
const LARGE_FROM: usize = 1000;

/// Of as many rows with codes, some are decided by each tier,
const ALL_TIERS_FROM: usize = 32;

/// if they have as many dims; of fewer, prefixes take as much as codes or codes as much as the rows, and searches
/// pass over them.
const ALL_TIERS_DIMS: usize = 5;

/// The second generation of a database of `n_rows` random rows.
pub(super) fn layout<V: Value>(
    rng: &mut SmallRng,
    n_rows: usize,
    dims: usize,
    has_codes: bool,
) -> Result<Box<dyn Layout>> {
    let content = Content::<V>::drawn(rng, n_rows, dims, has_codes)?;
    let next = Content::<V>::drawn(rng, n_rows, dims, has_codes)?;
    let (one, another) = (scratch()?, scratch()?);
    let (one, another) = (one.path(), another.path());
    next.build(one)?;
    next.build(another)?;
    let older = Image::read(one)?;
    let answers = Answers::of(&content.build(one)?, &content, rng)?;
    // What no search looks at may be damaged as it likes. With codes nothing is scanned, and few rows have too few
    // boxes to be decided by them.
    let decided = answers.decided();
    let has_many_boxes = n_rows >= LARGE_FROM && dims <= BOX_DIMS_MAX;
    let is_used = |&(tier, rows): &(&str, u64)| match tier {
        "scan" | "filter" => true,
        "boxes" => rows > 0 || !has_many_boxes,
        _ => rows > 0,
    };
    let uses_all = has_codes && n_rows >= ALL_TIERS_FROM && dims >= ALL_TIERS_DIMS;
    if uses_all && !decided.iter().all(is_used) {
        return Err(format!("searches decide rows by {decided:?}").into());
    }
    // A comparison that finds faults where there are none would find them everywhere.
    let unharmed = answers.compare(one, &OpenOptions::new(), true);
    if let Some(refusal) = unharmed.map_err(|flaw| flaw.what)? {
        return Err(format!("a database that is unharmed: {refusal}").into());
    }
    content.build(another)?;
    let image = Image::read(one)?;
    check_codes(&content, &image)?;
    next.build(one)?;
    let others = [older, Image::read(one)?, Image::read(another)?];
    Ok(Box::new(Sample {
        name: format!(
            "{n_rows} x {dims}{}, {}",
            if has_codes { " with codes" } else { "" },
            std::any::type_name::<V>()
        ),
        is_large: n_rows >= LARGE_FROM,
        image,
        others,
        answers,
        next,
    }))
}

/// Whether the derived files that were written hold what is derived from the rows, behind their headers.
fn check_codes<V: Value>(content: &Content<V>, image: &Image) -> Result<()> {
    for (name, expected) in content.codes.clone().unwrap_or_default().files() {
        let mut files = image.data_files();
        let file = files.find(|(path, _)| path.file_name().is_some_and(|it| it == name));
        let is_that = match (file, expected) {
            (Some((_, file)), [_, ..]) => file.get(64..64 + expected.len()) == Some(expected),
            (file, _) => file.is_none() && expected.is_empty(),
        };
        if !is_that {
            return Err(format!("{name} is not what is derived from the rows").into());
        }
    }
    Ok(())
}

impl<V: Value> Layout for Sample<V> {
    fn name(&self) -> &str {
        &self.name
    }

    fn image(&self) -> &Image {
        &self.image
    }

    fn others(&self) -> &[Image; 3] {
        &self.others
    }

    fn is_large(&self) -> bool {
        self.is_large
    }

    fn compare(
        &self,
        dir: &Path,
        options: &OpenOptions,
        searches_first: bool,
    ) -> std::result::Result<Option<Refusal>, Flaw> {
        self.answers.compare(dir, options, searches_first)
    }

    fn replace(&self, dir: &Path) -> std::result::Result<bool, Flaw> {
        let Ok(db) = self.next.build(dir) else {
            return Ok(false);
        };
        self.next.compare_sealed(&db)?;
        let reopened = OpenOptions::new().open(dir);
        let reopened = reopened.map_err(|error| Flaw::loss(error.to_string()))?;
        self.next.compare_sealed(&reopened)?;
        // A segment that is damaged, or that no manifest names, may be all that is left of a database.
        let allowed = Allowed {
            orphans: true,
            ..Allowed::default()
        };
        check_leftovers(&*ringdb_storage::disk::real(), dir, allowed)?;
        Ok(true)
    }
}

/// The file of another database that goes by the same name: the same path but for the number of the
/// segment.
pub(super) fn counterpart<'a>(other: &'a Image, path: &Path) -> Option<(&'a PathBuf, &'a [u8])> {
    let depth = path.components().count();
    let mut files = other.files.iter();
    let (path, bytes) = files.find(|(candidate, _)| {
        candidate.file_name() == path.file_name() && candidate.components().count() == depth
    })?;
    Some((path, bytes))
}

#[cfg(test)]
mod tests {
    use ringdb::{Access, Verify};

    use super::super::mutant::Mutants;
    use super::*;
    use crate::campaign::rng;
    use crate::verdict::Kind;

    /// How many mutants of a file are answered wrongly.
    fn wrong_answers(name: &str, verify: Verify) -> usize {
        // Prefixes of fewer dims are passed over, and so are a few boxes.
        let (n_rows, dims, has_codes, step) = match name {
            "vectors.bin" => (5, 3, false, 1),
            "blocks.bin" | "order.bin" => (700, 1, true, 29),
            _ => (40, 5, true, 1),
        };
        let layout = layout::<String>(&mut rng(1, 0, 0), n_rows, dims, has_codes).unwrap();
        let dir = scratch().unwrap();
        let image = layout.image();
        image.write(dir.path()).unwrap();
        let is_named = |path: &Path| path.file_name().is_some_and(|it| it == name);
        let (path, bytes) = image.data_files().find(|(path, _)| is_named(path)).unwrap();
        let mutants = Mutants::new(bytes, None);
        let options = OpenOptions::new().verify(verify).access(Access::Read);
        let mutants = (0..mutants.len())
            .step_by(step)
            .filter_map(|number| mutants.nth(number));
        let wrong = mutants.filter(|mutant| {
            let Some(bytes) = mutant.bytes(bytes) else {
                return false;
            };
            std::fs::write(dir.path().join(path), bytes).unwrap();
            let found = layout.compare(dir.path(), &options, true);
            found.is_err_and(|flaw| matches!(flaw.kind, Kind::Wrong | Kind::Missing))
        });
        wrong.count()
    }

    #[test]
    fn a_wrong_answer_is_seen() {
        // All that differs from what is checked is the look at the blocks' checksums.
        for (name, least) in [
            ("vectors.bin", 400),
            ("codes.bin", 400),
            ("fine.bin", 40),
            ("prefix.bin", 400),
            ("blocks.bin", 20),
            ("order.bin", 20),
        ] {
            let wrong = wrong_answers(name, Verify::Never);
            assert!(wrong > least, "{name}: {wrong}");
            assert_eq!(wrong_answers(name, Verify::Lazy), 0, "{name}");
            assert_eq!(wrong_answers(name, Verify::Open), 0, "{name}");
        }
    }
}
