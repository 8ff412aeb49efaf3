//! The data sets of the comparison, seeded, and queries for them.

use std::ops::Range;
use std::path::Path;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;
use ringdb_index::{CodeFrame, Codes, Encoded, Prefix, PrefixFrame, Rows, Segment, encode};
use ringdb_npy::{Npy, NpyError};
use ringdb_storage::{
    Derived, DerivedWriter, PayloadCodec, Segment as Kept, SegmentWriter, Vectors,
};

use crate::SEED;
use crate::peers::Result;

/// The deviation of the noise on every coordinate of a copy.
const NOISE: f32 = 0.002;

/// Rows that share one seed, so that threads can make them in any order.
const CHUNK_ROWS: usize = 1024;

/// The vectors of all nouns of WordNet, in the folder that a person names.
const FULL: &str = "wordnet-minilm-384-f16.npy";

/// Those of some of them, in this repository.
const DEMO: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../crates/ringdb-cli/demo/words-384-f16.npy"
);

/// Where rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataSet {
    /// Every coordinate uniform in [-1, 1).
    Uniform,
    /// Copies of the vectors of words, over and over, each coordinate with a little normal noise.
    Words,
    /// The vectors of words as they are, each once.
    Vectors,
    /// One row, uniform in [-1, 1), over and over.
    Equal,
}

/// Rows in memory with their codes, as a database in memory has them.
#[derive(Debug)]
pub struct Data {
    kept: Kept<()>,
    frame: CodeFrame,
    prefix_frame: Option<PrefixFrame>,
    /// One line on what the rows are.
    pub origin: String,
}

impl Data {
    /// Makes `n_rows` rows, or as many as there are; `folder` may hold the full set of words.
    ///
    /// # Errors
    /// When vectors of words cannot be read, or do not have `dims` coordinates.
    pub fn new(set: DataSet, n_rows: usize, dims: usize, folder: Option<&Path>) -> Result<Self> {
        let path = match folder {
            Some(folder) => folder.join(FULL),
            None => DEMO.into(),
        };
        let which = match folder {
            Some(_) => "the full set",
            None => "the demo words",
        };
        let mut rows = match set {
            DataSet::Vectors => Vec::new(),
            _ => vec![0.0_f32; n_rows * dims],
        };
        let chunks = rows.par_chunks_mut(CHUNK_ROWS * dims).enumerate();
        let origin = match set {
            DataSet::Uniform => {
                fill_uniform(&mut rows, dims, -1.0..1.0);
                "uniform in [-1, 1)".to_owned()
            }
            DataSet::Equal => {
                let mut row = vec![0.0; dims];
                rng(0).fill(&mut row[..]);
                chunks.for_each(|(_, chunk)| {
                    for place in chunk.chunks_exact_mut(dims) {
                        place.copy_from_slice(&row);
                    }
                });
                "all equal".to_owned()
            }
            DataSet::Words => {
                let base = vectors(&path, dims)?;
                chunks.for_each(|(number, chunk)| {
                    let mut rng = rng(number);
                    let copied = base.chunks_exact(dims).cycle();
                    let first = number * CHUNK_ROWS % (base.len() / dims);
                    for (row, copied) in chunk.chunks_exact_mut(dims).zip(copied.skip(first)) {
                        row.copy_from_slice(copied);
                        add_noise(row, &mut rng);
                    }
                });
                let count = base.len() / dims;
                format!("noised copies (deviation {NOISE}) of {count} words, {which}")
            }
            DataSet::Vectors => {
                rows = vectors(&path, dims)?;
                let count = rows.len() / dims;
                rows.truncate(n_rows * dims);
                format!("vectors of {count} words, {which}, as they are")
            }
        };
        let kept = keep(rows, dims, derive)?;
        let codes = kept.codes.as_ref().ok_or("no rows, no codes")?;
        let frame = CodeFrame::read(codes.bytes(), kept.vectors.len(), dims)?;
        let prefix_frame = match &kept.prefix {
            Some(prefix) => PrefixFrame::read(prefix.bytes(), kept.vectors.len(), dims)?,
            None => None,
        };
        Ok(Self {
            frame: frame.ok_or("codes of another form")?,
            prefix_frame,
            kept,
            origin,
        })
    }

    /// The rows as the index sees them.
    ///
    /// # Panics
    /// If there are more rows than ids.
    #[must_use]
    pub fn view(&self) -> Rows<'_> {
        Rows::new(self.rows(), self.frame.dims()).expect("whole rows")
    }

    /// All coordinates, row by row.
    #[must_use]
    pub fn rows(&self) -> &[f32] {
        self.kept.vectors.as_slice()
    }

    /// The rows with their codes, and prefixes if they have any.
    ///
    /// # Panics
    /// If the codes are not those of the rows.
    #[must_use]
    pub fn segment(&self) -> Segment<'_> {
        let segment = self.without_prefix();
        let Some(frame) = &self.prefix_frame else {
            return segment;
        };
        let prefix = Prefix::new(frame, bytes(&self.kept.prefix)).expect("prefixes");
        segment.and_prefix(prefix).expect("prefixes of these rows")
    }

    /// The rows and their codes, but no prefixes.
    ///
    /// # Panics
    /// If the codes are not those of the rows.
    #[must_use]
    pub fn without_prefix(&self) -> Segment<'_> {
        let codes = Codes::new(&self.frame, bytes(&self.kept.codes), bytes(&self.kept.fine));
        Segment::with_codes(self.view(), codes.expect("codes")).expect("codes of these rows")
    }

    /// Queries: stored rows and, in turn with them, vectors of the same kind that are not stored.
    ///
    /// # Panics
    /// If there are no rows.
    #[must_use]
    pub fn queries(&self, set: DataSet, count: usize) -> Vec<Vec<f32>> {
        // No chunk has this seed.
        let mut rng = rng(usize::MAX);
        let rows = self.view();
        let query = |number: usize| {
            let id = rng.random_range(0..rows.len() as u32);
            let mut query = rows.row(id).expect("a stored row").to_vec();
            match set {
                _ if number.is_multiple_of(2) => {}
                DataSet::Uniform | DataSet::Equal => {
                    query.fill_with(|| rng.random_range(-1.0..1.0));
                }
                DataSet::Words | DataSet::Vectors => add_noise(&mut query, &mut rng),
            }
            query
        };
        (0..count).map(query).collect()
    }
}

/// Fills rows with numbers of a range, from the seed.
pub(crate) fn fill_uniform(rows: &mut [f32], dims: usize, range: Range<f32>) {
    let chunks = rows.par_chunks_mut(CHUNK_ROWS * dims).enumerate();
    chunks.for_each(|(number, chunk)| {
        let mut rng = rng(number);
        chunk.fill_with(|| rng.random_range(range.clone()));
    });
}

/// Puts rows in memory as a database has them there, with what `derive` makes of them.
pub(crate) fn keep(
    rows: Vec<f32>,
    dims: usize,
    derive: impl FnOnce(&Vectors, &mut DerivedWriter<'_>) -> Result<()>,
) -> Result<Kept<()>> {
    let mut writer = SegmentWriter::in_memory(dims, PayloadCodec::Bincode)?;
    for rows in rows.chunks(CHUNK_ROWS * dims) {
        writer.push_all(rows, &vec![(); rows.len() / dims])?;
    }
    drop(rows);
    writer.finish_with(derive)
}

/// None if there is no such file.
pub(crate) fn bytes(derived: &Option<Derived>) -> &[u8] {
    derived.as_ref().map_or(&[], Derived::bytes)
}

/// Writes the codes of all rows.
fn derive(vectors: &Vectors, writer: &mut DerivedWriter<'_>) -> Result<()> {
    let rows = Rows::new(vectors.as_slice(), vectors.dims())?;
    let frame = CodeFrame::of(rows);
    let prefix = PrefixFrame::of(rows, &frame);
    let prefix_bytes = prefix.as_ref().map_or(0, PrefixFrame::bytes);
    writer.reserve(frame.codes_bytes(), frame.fine_bytes(), prefix_bytes)?;
    encode(rows, &frame, prefix.as_ref(), |part: Encoded<'_>| {
        writer.codes(part.codes)?;
        writer.fine(part.fine)?;
        Ok(writer.prefix(part.prefix)?)
    })
}

fn rng(number: usize) -> SmallRng {
    SmallRng::seed_from_u64(SEED.rotate_right(16) ^ number as u64)
}

/// The rows of a .npy file.
fn vectors(path: &Path, dims: usize) -> Result<Vec<f32>> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let bytes = std::fs::read(path).map_err(|error| named(&error))?;
    let npy = Npy::parse(&bytes).map_err(|error| named(&error))?;
    if npy.dims() != dims || npy.is_empty() {
        let what = format!("{} rows of {} dims", npy.len(), npy.dims());
        return Err(named(&what).into());
    }
    let mut vectors = Vec::with_capacity(npy.len() * dims);
    npy.for_each_row(|_, row| {
        vectors.extend_from_slice(row);
        Ok::<(), NpyError>(())
    })?;
    Ok(vectors)
}

/// Adds normal noise, two numbers at a time, as Box and Muller have it.
fn add_noise(row: &mut [f32], rng: &mut SmallRng) {
    for pair in row.chunks_mut(2) {
        // 1 minus what is below 1 is not 0.
        let radius = (-2.0 * (1.0 - rng.random::<f32>()).ln()).sqrt() * NOISE;
        let (sine, cosine) = (std::f32::consts::TAU * rng.random::<f32>()).sin_cos();
        for (coordinate, part) in pair.iter_mut().zip([cosine, sine]) {
            *coordinate += radius * part;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_lie_near_their_words() {
        let base = vectors(Path::new(DEMO), 384).expect("the demo words");
        let n_words = base.len() / 384;
        let data = Data::new(DataSet::Words, n_words + 3000, 384, None).expect("the demo words");
        for id in [0, 1, 1500, n_words - 1, n_words, n_words + 2999] {
            let row = &data.rows()[id * 384..][..384];
            let word = &base[id % n_words * 384..][..384];
            let distance = ringdb_index::distance(row, word);
            // The noise of 384 coordinates has a length of 0.0392, give or take 0.0014.
            assert!((0.03..0.05).contains(&distance), "{id}: {distance}");
        }
        assert!(data.origin.ends_with("the demo words"), "{}", data.origin);
    }

    #[test]
    fn vectors_stay_as_they_are() {
        let base = vectors(Path::new(DEMO), 384).expect("the demo words");
        for (wanted, found) in [(5, 5), (1 << 20, base.len() / 384)] {
            let data = Data::new(DataSet::Vectors, wanted, 384, None).expect("the demo words");
            assert_eq!(data.view().len(), found);
            assert!(data.rows() == &base[..found * 384]);
        }
    }

    #[test]
    fn every_other_query_is_stored() {
        for set in [DataSet::Uniform, DataSet::Words] {
            let data = Data::new(set, 40, 384, None).expect("the demo words");
            let stored = |query: &Vec<f32>| data.rows().chunks(384).any(|row| row == query);
            let queries = data.queries(set, 6);
            let found: Vec<bool> = queries.iter().map(stored).collect();
            assert_eq!(found, [true, false, true, false, true, false], "{set:?}");
            assert_eq!(queries, data.queries(set, 6));
        }
    }

    #[test]
    fn a_folder_without_the_words_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let error = Data::new(DataSet::Words, 1, 384, Some(folder.path())).expect_err("no file");
        assert!(error.to_string().contains(FULL), "{error}");
    }
}
