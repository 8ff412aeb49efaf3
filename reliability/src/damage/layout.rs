//! Databases to be damaged: one of each kind, whatever its payloads are.

use std::path::{Path, PathBuf};

use rand::rngs::SmallRng;
use ringdb::OpenOptions;

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

/// The second generation of a database of `n_rows` random rows.
pub(super) fn layout<V: Value>(
    rng: &mut SmallRng,
    n_rows: usize,
    dims: usize,
    is_large: bool,
) -> Result<Box<dyn Layout>> {
    let content = Content::<V>::random(rng, n_rows, dims);
    let next = Content::<V>::random(rng, n_rows, dims);
    let (one, another) = (scratch()?, scratch()?);
    let (one, another) = (one.path(), another.path());
    next.build(one)?;
    next.build(another)?;
    let older = Image::read(one)?;
    let answers = Answers::of(&content.build(one)?, &content, rng)?;
    // A comparison that finds faults where there are none would find them everywhere.
    let unharmed = answers.compare(one, &OpenOptions::new(), true);
    if let Some(refusal) = unharmed.map_err(|flaw| flaw.what)? {
        return Err(format!("a database that is unharmed: {refusal}").into());
    }
    content.build(another)?;
    let image = Image::read(one)?;
    next.build(one)?;
    let others = [older, Image::read(one)?, Image::read(another)?];
    Ok(Box::new(Sample {
        name: format!("{n_rows} x {dims}, {}", std::any::type_name::<V>()),
        is_large,
        image,
        others,
        answers,
        next,
    }))
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

    /// How many mutants of the rows are answered wrongly.
    fn wrong_answers(verify: Verify) -> usize {
        let layout = layout::<String>(&mut rng(1, 0, 0), 5, 3, false).unwrap();
        let dir = scratch().unwrap();
        let image = layout.image();
        image.write(dir.path()).unwrap();
        let is_rows = |path: &Path| path.file_name().is_some_and(|name| name == "vectors.bin");
        let (path, bytes) = image.data_files().find(|(path, _)| is_rows(path)).unwrap();
        let mutants = Mutants::new(bytes, None);
        let options = OpenOptions::new().verify(verify).access(Access::Read);
        let mutants = (0..mutants.len()).filter_map(|number| mutants.nth(number));
        let wrong = mutants.filter(|mutant| {
            let Some(bytes) = mutant.bytes(bytes) else {
                return false;
            };
            std::fs::write(dir.path().join(path), bytes).unwrap();
            let found = layout.compare(dir.path(), &options, true);
            found.is_err_and(|flaw| flaw.kind == Kind::Wrong)
        });
        wrong.count()
    }

    #[test]
    fn a_wrong_answer_is_seen() {
        // All that differs from what is checked is the look at the blocks' checksums.
        assert!(wrong_answers(Verify::Never) > 400);
        assert_eq!(wrong_answers(Verify::Lazy), 0);
        assert_eq!(wrong_answers(Verify::Open), 0);
    }
}
