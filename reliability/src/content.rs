//! What the databases of the campaigns hold, and whether one holds it.
//!
//! Contents come from the seed alone; payloads are of every codec, each with its own type. Some are stored
//! with codes and boxes.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rand::Rng;
use rand::rngs::SmallRng;
use ringdb::{Boxes, BuildOptions, Codes, PayloadCodec, RingDb, SealedRingDb};
use ringdb_index::{
    Arranged, BOX_DIMS_MAX, CodeFrame, Encoded, PrefixFrame, Rows, arrange, distance, encode,
};
use ringdb_storage::disk::Disk;
use ringdb_storage::{Derived, DerivedWriter, Segment, SegmentWriter, rederive_on};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::campaign;
use crate::verdict::Flaw;

/// A payload, and how it goes in and comes out.
pub(crate) trait Value:
    Serialize + DeserializeOwned + Clone + PartialEq + fmt::Debug + Send + Sync + 'static
{
    const CODEC: PayloadCodec;

    /// Whether payloads are values of serde, and all of them can be walked through.
    const IS_SERDE: bool = true;

    fn random(rng: &mut SmallRng, id: usize) -> Self;

    fn add(self, db: &mut RingDb<Self>, row: &[f32]) -> ringdb::Result<()> {
        db.add_vector(row, self)
    }

    fn fetch(db: &SealedRingDb<Self>, id: u32) -> ringdb::Result<Self> {
        db.fetch_payload(id)
    }

    fn push(self, writer: &mut SegmentWriter<Self>, row: &[f32]) -> ringdb_storage::Result<()> {
        writer.push_checked(row, self)
    }

    fn read(segment: &Segment<Self>, id: u32) -> ringdb_storage::Result<Self> {
        segment.payloads.fetch(id)
    }
}

/// Payloads in bincode.
impl Value for String {
    const CODEC: PayloadCodec = PayloadCodec::Bincode;

    fn random(rng: &mut SmallRng, id: usize) -> Self {
        let len = rng.random_range(0..12);
        let mut text = format!("{id}:");
        text.extend((0..len).map(|_| char::from(rng.random_range(b'a'..=b'z'))));
        text
    }
}

/// No payloads.
impl Value for () {
    const CODEC: PayloadCodec = PayloadCodec::Bincode;

    fn random(_: &mut SmallRng, _: usize) -> Self {}
}

/// A payload in postcard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Song {
    number: u64,
    title: Option<String>,
}

impl Value for Song {
    const CODEC: PayloadCodec = PayloadCodec::Postcard;

    fn random(rng: &mut SmallRng, id: usize) -> Self {
        let bits = rng.random_range(1..60);
        Self {
            number: rng.random_range(0..1 << bits),
            title: rng.random::<bool>().then(|| String::random(rng, id)),
        }
    }
}

/// A payload of raw bytes, which may be none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Blob(Vec<u8>);

impl Value for Blob {
    const CODEC: PayloadCodec = PayloadCodec::Raw;
    const IS_SERDE: bool = false;

    fn random(rng: &mut SmallRng, _: usize) -> Self {
        let len = rng.random_range(0..30);
        Self((0..len).map(|_| rng.random()).collect())
    }

    fn add(self, db: &mut RingDb<Self>, row: &[f32]) -> ringdb::Result<()> {
        db.add_vector_bytes(row, &self.0)
    }

    fn fetch(db: &SealedRingDb<Self>, id: u32) -> ringdb::Result<Self> {
        Ok(Self(db.payload_bytes(id)?.to_vec()))
    }

    fn push(self, writer: &mut SegmentWriter<Self>, row: &[f32]) -> ringdb_storage::Result<()> {
        writer.push_bytes(row, &self.0)
    }

    fn read(segment: &Segment<Self>, id: u32) -> ringdb_storage::Result<Self> {
        Ok(Self(segment.payloads.fetch_bytes(id)?.to_vec()))
    }
}

/// Payloads read in place.
impl Value for [u32; 3] {
    const CODEC: PayloadCodec = PayloadCodec::Pod;
    const IS_SERDE: bool = false;

    fn random(rng: &mut SmallRng, _: usize) -> Self {
        rng.random()
    }

    fn add(self, db: &mut RingDb<Self>, row: &[f32]) -> ringdb::Result<()> {
        db.add_vector_pod(row, &self)
    }

    fn fetch(db: &SealedRingDb<Self>, id: u32) -> ringdb::Result<Self> {
        db.payload_ref(id).copied()
    }

    fn push(self, writer: &mut SegmentWriter<Self>, row: &[f32]) -> ringdb_storage::Result<()> {
        writer.push_pod(row, &self)
    }

    fn read(segment: &Segment<Self>, id: u32) -> ringdb_storage::Result<Self> {
        segment.payloads.fetch_ref(id).copied()
    }
}

/// Rows and payloads.
#[derive(Debug, Clone)]
pub(crate) struct Content<V> {
    pub(crate) dims: usize,
    /// Row-major.
    pub(crate) rows: Vec<f32>,
    pub(crate) values: Vec<V>,
    /// What is derived from the rows, if it is stored with them.
    pub(crate) codes: Option<Coded>,
}

/// The bodies of the derived files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Coded {
    pub(crate) codes: Vec<u8>,
    pub(crate) fine: Vec<u8>,
    pub(crate) prefix: Vec<u8>,
    /// None with more dims than boxes may have.
    pub(crate) blocks: Vec<u8>,
    pub(crate) order: Vec<u8>,
}

impl Coded {
    /// Each body with the name of its file; without bytes there is no file.
    pub(crate) fn files(&self) -> [(&'static str, &[u8]); 5] {
        [
            ("codes.bin", &self.codes),
            ("fine.bin", &self.fine),
            ("prefix.bin", &self.prefix),
            ("blocks.bin", &self.blocks),
            ("order.bin", &self.order),
        ]
    }
}

/// How far the second row of a pair lies from the first in each dim, at most. Codes of coordinates up to 1
/// have steps of about 1/127, fine codes of a 254th of that.
const NEAR: f32 = 0.004;

impl<V: Value> Content<V> {
    pub(crate) fn random(rng: &mut SmallRng, n_rows: usize, dims: usize) -> Self {
        Self {
            dims,
            rows: (0..n_rows * dims)
                .map(|_| rng.random_range(-1.0..1.0))
                .collect(),
            values: (0..n_rows).map(|id| V::random(rng, id)).collect(),
            codes: None,
        }
    }

    /// Random content that is stored with codes and, with few dims, with boxes. Its rows come in pairs that are nearer to each other than
    /// codes can tell, so that searches need fine codes as well.
    pub(crate) fn coded(rng: &mut SmallRng, n_rows: usize, dims: usize) -> campaign::Result<Self> {
        let mut content = Self::random(rng, n_rows, dims);
        for pair in content.rows.chunks_exact_mut(2 * dims) {
            let (first, second) = pair.split_at_mut(dims);
            for (near, x) in second.iter_mut().zip(first) {
                *near = *x + rng.random_range(-NEAR..NEAR);
            }
        }
        if n_rows > 0 {
            let rows = Rows::new(&content.rows, dims)?;
            let mut coded = Coded::default();
            let frame = CodeFrame::of(rows);
            let prefix = PrefixFrame::forced(rows, &frame);
            encode(rows, &frame, Some(&prefix), |part: Encoded<'_>| {
                coded.codes.extend_from_slice(part.codes);
                coded.fine.extend_from_slice(part.fine);
                coded.prefix.extend_from_slice(part.prefix);
                Ok::<(), ringdb_index::Error>(())
            })?;
            if dims <= BOX_DIMS_MAX {
                arrange(rows, |part: Arranged<'_>| {
                    coded.blocks.extend_from_slice(part.blocks);
                    coded.order.extend_from_slice(part.order);
                    Ok::<(), ringdb_index::Error>(())
                })?;
            }
            content.codes = Some(coded);
        }
        Ok(content)
    }

    /// [`Self::coded`] or [`Self::random`].
    pub(crate) fn drawn(
        rng: &mut SmallRng,
        n_rows: usize,
        dims: usize,
        has_codes: bool,
    ) -> campaign::Result<Self> {
        match has_codes {
            true => Self::coded(rng, n_rows, dims),
            false => Ok(Self::random(rng, n_rows, dims)),
        }
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&[f32], &V)> {
        self.rows.chunks_exact(self.dims).zip(&self.values)
    }

    fn has_boxes(&self) -> bool {
        let coded = self.codes.as_ref();
        coded.is_some_and(|coded| !coded.blocks.is_empty())
    }

    /// Makes `dir` a database of this, as a program does, in place of whatever database is there.
    pub(crate) fn build(&self, dir: &Path) -> ringdb::Result<SealedRingDb<V>> {
        let codes = match self.codes {
            Some(_) => Codes::On,
            None => Codes::Off,
        };
        let boxes = match self.has_boxes() {
            true => Boxes::On,
            false => Boxes::Off,
        };
        let options = BuildOptions::new(self.dims).codec(V::CODEC).codes(codes);
        let options = options.boxes(boxes).persist(dir).replace(true);
        let mut db = options.create()?;
        for (row, value) in self.entries() {
            value.clone().add(&mut db, row)?;
        }
        db.build()
    }

    /// As [`Self::build`], on any disk.
    pub(crate) fn write(
        &self,
        disk: &Arc<dyn Disk>,
        dir: &Path,
    ) -> ringdb_storage::Result<Segment<V>> {
        let disk = Arc::clone(disk);
        let writer = SegmentWriter::in_directory_on(disk, dir, true, self.dims, V::CODEC)?;
        self.finish(self.filled(writer)?)
    }

    /// Completes what a writer was given, with what is derived from it.
    pub(crate) fn finish(&self, writer: SegmentWriter<V>) -> ringdb_storage::Result<Segment<V>> {
        writer.finish_with(|_, writer| self.derive(writer))
    }

    fn derive(&self, writer: &mut DerivedWriter<'_>) -> ringdb_storage::Result<()> {
        match &self.codes {
            Some(Coded {
                codes,
                fine,
                prefix,
                blocks,
                order,
            }) => {
                writer.codes(codes)?;
                writer.fine(fine)?;
                writer.prefix(prefix)?;
                writer.blocks(blocks)?;
                writer.order(order)
            }
            None => Ok(()),
        }
    }

    /// Gives the database in `dir`, which holds the same rows and payloads, the codes and boxes of this one, or
    /// none.
    pub(crate) fn rederive(&self, disk: &Arc<dyn Disk>, dir: &Path) -> ringdb_storage::Result<()> {
        rederive_on(disk, dir, None, |_, writer| self.derive(writer)).map(drop)
    }

    /// The same rows and payloads without codes or boxes.
    pub(crate) fn without_codes(&self) -> Self {
        Self {
            codes: None,
            ..self.clone()
        }
    }

    /// A writer to which all of it was given.
    pub(crate) fn filled(
        &self,
        mut writer: SegmentWriter<V>,
    ) -> ringdb_storage::Result<SegmentWriter<V>> {
        for (row, value) in self.entries() {
            value.clone().push(&mut writer, row)?;
        }
        Ok(writer)
    }

    /// Whether `segment` holds this and nothing else.
    pub(crate) fn compare(&self, segment: &Segment<V>) -> Result<(), Flaw> {
        let (n_rows, dims) = (segment.vectors.len(), segment.vectors.dims());
        let found = Shape {
            n_rows,
            n_payloads: segment.payloads.len(),
            dims,
        };
        self.compare_shape(&found)?;
        for (id, (row, value)) in (0..).zip(self.entries()) {
            let broken = |error| Flaw::loss(format!("entry {id}: {error}"));
            let found = segment.vectors.row(id).map_err(broken)?;
            compare_row(id, found, row)?;
            compare_value(id, &V::read(segment, id).map_err(broken)?, value)?;
        }
        let coded = self.codes.clone().unwrap_or_default();
        let Segment {
            codes,
            fine,
            prefix,
            blocks,
            order,
            ..
        } = segment;
        let found = [codes, fine, prefix, blocks, order];
        found
            .into_iter()
            .zip(coded.files())
            .try_for_each(|(found, (name, expected))| compare_derived(name, found, expected))
    }

    /// As [`Self::compare`], through the face that programs use.
    pub(crate) fn compare_sealed(&self, db: &SealedRingDb<V>) -> Result<(), Flaw> {
        let found = Shape {
            n_rows: db.len(),
            n_payloads: db.len(),
            dims: db.dims(),
        };
        self.compare_shape(&found)?;
        for (id, (row, value)) in (0..).zip(self.entries()) {
            let broken = |error| Flaw::loss(format!("entry {id}: {error}"));
            compare_row(id, &db.vector(id).map_err(broken)?, row)?;
            compare_value(id, &V::fetch(db, id).map_err(broken)?, value)?;
        }
        if db.has_codes() != self.codes.is_some() {
            let what = format!("it is {} that it has codes", db.has_codes());
            return Err(Flaw::wrong(what));
        }
        if db.has_boxes() != self.has_boxes() {
            let what = format!("it is {} that it has boxes", db.has_boxes());
            return Err(Flaw::wrong(what));
        }
        self.compare_search(db)
    }

    /// Whether the ring around the last row that ends at the middle one of all distances holds what the
    /// definition says.
    fn compare_search(&self, db: &SealedRingDb<V>) -> Result<(), Flaw> {
        let Some(query) = self.rows.chunks_exact(self.dims).next_back() else {
            return Ok(());
        };
        let distances: Vec<f64> = self
            .entries()
            .map(|(row, _)| distance(row, query))
            .collect();
        let mut sorted = distances.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        let expected = (0..).zip(&distances).filter(|(_, d)| **d <= middle);
        let expected: Vec<u32> = expected.map(|(id, _)| id).collect();
        let found = db.search(query).within(middle).run();
        let found = found.map_err(|error| Flaw::loss(format!("a search: {error}")))?;
        compare_hits(&found.ids, &expected)
    }

    fn compare_shape(&self, found: &Shape) -> Result<(), Flaw> {
        let n_rows = self.values.len();
        let expected = Shape {
            n_rows,
            n_payloads: n_rows,
            dims: self.dims,
        };
        if *found == expected {
            return Ok(());
        }
        let what = format!("{found:?}, not {expected:?}");
        match found.n_rows < n_rows || found.n_payloads < n_rows {
            true => Err(Flaw::missing(what)),
            false => Err(Flaw::wrong(what)),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Shape {
    n_rows: usize,
    n_payloads: usize,
    dims: usize,
}

fn compare_derived(name: &str, found: &Option<Derived>, expected: &[u8]) -> Result<(), Flaw> {
    match found {
        None if expected.is_empty() => Ok(()),
        None => Err(Flaw::missing(format!("there is no {name}"))),
        Some(_) if expected.is_empty() => Err(Flaw::wrong(format!("there is a {name}"))),
        Some(found) => {
            let checked = found.verify(0..found.bytes().len());
            checked.map_err(|error| Flaw::loss(error.to_string()))?;
            match found.bytes() == expected {
                true => Ok(()),
                false => Err(Flaw::wrong(format!("{name} holds other bytes"))),
            }
        }
    }
}

pub(crate) fn compare_hits(found: &[u32], expected: &[u32]) -> Result<(), Flaw> {
    if found == expected {
        return Ok(());
    }
    let what = format!("hits {found:?}, not {expected:?}");
    match found.iter().all(|id| expected.contains(id)) {
        true => Err(Flaw::missing(what)),
        false => Err(Flaw::wrong(what)),
    }
}

/// Compares coordinates bit by bit: 0.0 is not -0.0 here.
pub(crate) fn compare_row(id: u32, found: &[f32], expected: &[f32]) -> Result<(), Flaw> {
    if bits(found).eq(bits(expected)) {
        return Ok(());
    }
    let what = format!("row {id} is {found:?}, not {expected:?}");
    Err(Flaw::wrong(what))
}

fn bits(row: &[f32]) -> impl Iterator<Item = u32> {
    row.iter().map(|x| x.to_bits())
}

pub(crate) fn compare_value<V: Value>(id: u32, found: &V, expected: &V) -> Result<(), Flaw> {
    if found == expected {
        return Ok(());
    }
    let what = format!("payload {id} is {found:?}, not {expected:?}");
    Err(Flaw::wrong(what))
}
