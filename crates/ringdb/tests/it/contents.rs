//! What the fixtures of format version 1 hold: the program that wrote them and the tests that read them
//! share these formulas.
//!
//! They never change, because the files do not: a fixture more is a row more in [`FIXTURES`].

use std::path::Path;

use ringdb::{Boxes, BuildOptions, Codes, PayloadCodec, Result, RingDb};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// One small database.
pub(crate) struct Fixture {
    /// The name of its directory.
    pub(crate) name: &'static str,
    pub(crate) dims: usize,
    pub(crate) len: u32,
    pub(crate) codec: PayloadCodec,
    pub(crate) payloads: Payloads,
    /// The name under which the payloads are stored, where it is not the one that they have in Rust.
    pub(crate) payload_type: Option<&'static str>,
    pub(crate) derived: Derived,
}

/// Which files stand beside the rows that were computed from them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Derived {
    Nothing,
    /// Codes as they were written before there were prefixes; today's writer adds a prefix to them.
    Codes,
    /// Codes and a prefix, with a rotation: the rows differ mostly in a few directions.
    Prefix,
    /// Boxes, and an order.
    Boxes,
}

/// The type of the payloads, and the formula for them.
#[derive(Clone, Copy)]
pub(crate) enum Payloads {
    /// [`place`]
    Places,
    /// `()`
    Units,
    /// [`json`]
    Json,
    /// [`raw`]
    Raw,
    /// [`pod`]
    Pods,
}

pub(crate) const FIXTURES: [Fixture; 12] = [
    fixture("bincode", 3, 40, PayloadCodec::Bincode, Payloads::Places),
    fixture("postcard", 3, 40, PayloadCodec::Postcard, Payloads::Places),
    fixture("json-text", 2, 30, PayloadCodec::JsonText, Payloads::Json),
    fixture("raw", 5, 30, PayloadCodec::Raw, Payloads::Raw),
    fixture("pod", 4, 30, PayloadCodec::Pod, Payloads::Pods),
    // The rows are exactly one block.
    fixture("unit", 16, 1024, PayloadCodec::Bincode, Payloads::Units),
    fixture("no-rows", 7, 0, PayloadCodec::Bincode, Payloads::Places),
    // Three blocks of rows and of payloads, with rows and records that lie in two.
    fixture("blocks", 33, 1100, PayloadCodec::Raw, Payloads::Raw),
    Fixture {
        payload_type: Some("place, as of 2024 \u{1f30d}"),
        ..fixture("type-name", 1, 5, PayloadCodec::Postcard, Payloads::Places)
    },
    // The last tile is not full, nor is the last line of a tile, nor a row of fine codes.
    Fixture {
        derived: Derived::Codes,
        ..fixture("codes", 18, 200, PayloadCodec::Postcard, Payloads::Places)
    },
    // The last tile is not full.
    Fixture {
        derived: Derived::Prefix,
        ..fixture("prefix", 68, 72, PayloadCodec::Postcard, Payloads::Places)
    },
    // Two levels of boxes, and neither the last group of boxes nor the last block is full.
    Fixture {
        derived: Derived::Boxes,
        ..fixture("boxes", 2, 1100, PayloadCodec::Postcard, Payloads::Places)
    },
];

const fn fixture(
    name: &'static str,
    dims: usize,
    len: u32,
    codec: PayloadCodec,
    payloads: Payloads,
) -> Fixture {
    Fixture {
        name,
        dims,
        len,
        codec,
        payloads,
        payload_type: None,
        derived: Derived::Nothing,
    }
}

impl Fixture {
    /// The coordinates of a row: multiples of 1/8 from -12.5 to 12.5, and in every tenth row numbers
    /// from the edges of `f32`, but none so large that the codes of all other rows are zero. Where a rotation
    /// is to be found, sums of a few directions, and multiples of 1/64 up to 1/2.
    pub(crate) fn row(&self, id: u32) -> Vec<f32> {
        const EDGES: [f32; 8] = [
            0.0,
            -0.0,
            f32::MAX,
            f32::MIN_POSITIVE,
            0.1,
            f32::from_bits(1),
            -1e16,
            1e-5,
        ];
        const EDGES_CODED: [f32; 8] = [
            0.0,
            -0.0,
            97.3,
            f32::MIN_POSITIVE,
            0.1,
            f32::from_bits(1),
            -40.0,
            1e-5,
        ];
        let edges = match self.derived {
            Derived::Nothing | Derived::Boxes => EDGES,
            Derived::Codes | Derived::Prefix => EDGES_CODED,
        };
        // Directions of ones and minus ones; how far a row goes in each is its own.
        let along = |k: u32| -> f32 {
            let ones = |direction: u32| (k * 37 + direction * 101) * (k + 3) % 7 % 2;
            let far = |direction: u32| (id * 7919 + direction * 104_729) % 41;
            let parts = (0..5).map(|direction| (far(direction), ones(direction)));
            let parts = parts.map(|(far, one)| (far as f32 / 8.0 - 2.5) * (one as f32 * 2.0 - 1.0));
            parts.sum::<f32>() + ((id * 31 + k * 17) % 65) as f32 / 64.0 - 0.5
        };
        let coordinate = |k: u32| match (id % 10, self.derived) {
            (9, _) => edges[(id / 10 + k) as usize % edges.len()],
            (_, Derived::Prefix) => along(k),
            _ => ((id * 7919 + k * 104_729) % 201) as f32 / 8.0 - 12.5,
        };
        (0..self.dims as u32).map(coordinate).collect()
    }

    /// Makes `dir` this database.
    pub(crate) fn build(&self, dir: &Path) -> Result<()> {
        match self.payloads {
            Payloads::Places => self.build_with(dir, |db, row, id| db.add_vector(row, place(id))),
            Payloads::Units => self.build_with(dir, |db, row, _| db.add_vector(row, ())),
            Payloads::Json => self.build_with(dir, |db: &mut RingDb, row, id| {
                db.add_vector_bytes(row, json(id).as_bytes())
            }),
            Payloads::Raw => self.build_with(dir, |db: &mut RingDb, row, id| {
                db.add_vector_bytes(row, &raw(id))
            }),
            Payloads::Pods => self.build_with(dir, |db, row, id| db.add_vector_pod(row, &pod(id))),
        }
    }

    fn build_with<T: Serialize + DeserializeOwned>(
        &self,
        dir: &Path,
        add: impl Fn(&mut RingDb<T>, &[f32], u32) -> Result<()>,
    ) -> Result<()> {
        let (codes, boxes) = match self.derived {
            Derived::Nothing => (Codes::Off, Boxes::Off),
            Derived::Codes | Derived::Prefix => (Codes::On, Boxes::Off),
            Derived::Boxes => (Codes::Off, Boxes::On),
        };
        let options = BuildOptions::new(self.dims).persist(dir);
        let mut options = options.codec(self.codec).codes(codes).boxes(boxes);
        if let Some(name) = self.payload_type {
            options = options.payload_type(name);
        }
        let mut db = options.create()?;
        for id in 0..self.len {
            add(&mut db, &self.row(id), id)?;
        }
        db.build()?;
        Ok(())
    }
}

/// A payload with a field of each sort that the codecs write differently.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) floor: i32,
    pub(crate) seats: u64,
    pub(crate) tags: Vec<String>,
    pub(crate) open: Option<bool>,
}

pub(crate) fn place(id: u32) -> Place {
    Place {
        name: format!("Café {id}"),
        floor: id as i32 * 100 - 300,
        seats: 1 << (id % 64),
        tags: (0..id % 3).map(|n| format!("tag {n}")).collect(),
        open: [None, Some(false), Some(true)][id as usize % 3],
    }
}

pub(crate) fn json(id: u32) -> String {
    match id % 3 {
        0 => id.to_string(),
        1 => format!(r#"{{"id": {id}, "name": "Café", "tags": [null, true]}}"#),
        _ => format!(" \"{id}\"\t"),
    }
}

/// Bytes of every value; none at all for some ids.
pub(crate) fn raw(id: u32) -> Vec<u8> {
    let bytes = 0..id * 31 % 251;
    bytes.map(|n| (id * 97 + n * 13) as u8).collect()
}

/// 20 bytes, which leaves zeros in the record.
pub(crate) fn pod(id: u32) -> [u32; 5] {
    [id, !id, id.wrapping_mul(0x9e37_79b9), 0, u32::MAX]
}
