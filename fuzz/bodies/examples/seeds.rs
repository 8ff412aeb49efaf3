//! Writes the inputs that fuzzing starts from: `cargo run -p ringdb-fuzz-bodies --example seeds`, with
//! the names of targets behind `--` for those only.
//!
//! Seeds called `seed-` are whole, and those called `bad-` must be refused.

use std::error::Error;
use std::fs;
use std::path::Path;

use ringdb_fuzz_bodies::npy_file;
use ringdb_storage::{PayloadCodec, PayloadStoreBuilder, SegmentWriter};

type Result = std::result::Result<(), Box<dyn Error>>;

/// Writes the seeds of a target to its corpus.
type Write = fn(&Path) -> Result;

const TARGETS: &[(&str, Write)] = &[
    ("decode", decode),
    ("directory", directory),
    ("manifest", manifest),
    ("npy", npy),
    ("payload_store", payload_store),
    ("search", search),
];

fn main() -> Result {
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    for (target, write) in TARGETS {
        if chosen.is_empty() || chosen.iter().any(|name| name == target) {
            let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../corpus")
                .join(target);
            fs::create_dir_all(&corpus)?;
            write(&corpus)?;
        }
    }
    Ok(())
}

/// Variants by their numbers, as bincode writes them (four bytes) and postcard (one).
fn decode(corpus: &Path) -> Result {
    let text = [&[0, 4, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0][..], b"violin"].concat();
    let units = [&[0, 2, 0, 0, 0][..], &(1_u64 << 60).to_le_bytes()].concat();
    let deep = [&[0][..], &[7, 0, 0, 0].repeat(50_000)].concat();
    let number = [&[0, 3, 0, 0, 0][..], &[1; 16], &[0, 0, 0x80, 0x3f], b"x"].concat();
    for (name, input) in [
        ("seed-nothing", &[0, 0, 0, 0, 0][..]),
        ("seed-text", &text),
        ("seed-number", &number),
        ("seed-postcard-list", &[1, 6, 3, 0, 1, 1, 2, 4]),
        ("seed-postcard-map", &[1, 8, 1, 1, b'k', 4, 1, b'v']),
        ("bad-units", &units),
        ("bad-deep", &deep),
        ("bad-left-over", &[1, 0, 0]),
    ] {
        fs::write(corpus.join(name), input)?;
    }
    Ok(())
}

/// Changes of one file each: a name for the input, the file, what is done to it, and the arguments of that.
type Changes = &'static [(&'static str, u8, u64, &'static [u8])];

/// What a generator makes of most bytes, fuzzing finds out.
fn directory(corpus: &Path) -> Result {
    for step in [1_u32, 7, 31, 97] {
        let input: Vec<u8> = (0..64_u32).map(|i| (i * step) as u8).collect();
        fs::write(corpus.join(format!("start-{step}")), input)?;
    }
    // A change, no other, and what stands beside the rows: 1 codes, 2 boxes. The numbers of the file and of what is done to it, and its arguments.
    let with_codes: Changes = &[
        ("bad-flip-in-codes", 4, FLIP, &[200, 0, 0x10]),
        ("bad-flip-in-fine", 5, FLIP, &[200, 0, 0x10]),
        (
            "bad-number-in-codes",
            4,
            NUMBER,
            &[128, 0, 0, 0, 0x80, 0x7f, 0, 0, 0x80, 0xff],
        ),
        ("bad-cut-codes", 4, CUT, &[100, 1]),
        ("bad-cut-fine", 5, CUT, &[100, 1]),
        ("bad-older-codes", 4, OLDER, &[]),
        ("bad-fine-for-codes", 4, COPY, &[5]),
        ("bad-no-codes", 4, REMOVE, &[]),
        ("bad-exponent-sealed", 4, SEAL, &[83, 0, 0]),
        // Another form is passed over; other numbers are somebody's codes.
        ("seed-form-sealed", 4, SEAL, &[64, 0, 2]),
        ("seed-centre-sealed", 4, SEAL, &[139, 0, 0xff]),
        ("seed-code-sealed", 4, SEAL, &[193, 0, 255]),
        ("seed-norm-sealed", 4, SEAL, &[67, 1, 0xff]),
        ("seed-beta-sealed", 4, SEAL, &[163, 1, 0xff]),
        ("seed-fine-code-sealed", 5, SEAL, &[64, 0, 255]),
        ("bad-flip-in-prefix", 6, FLIP, &[140, 0, 0x10]),
        ("bad-cut-prefix", 6, CUT, &[100, 1]),
        ("bad-older-prefix", 6, OLDER, &[]),
        ("bad-no-prefix", 6, REMOVE, &[]),
        ("bad-kept-sealed", 6, SEAL, &[80, 0, 9]),
        ("seed-prefix-form-sealed", 6, SEAL, &[64, 0, 2]),
        ("seed-nibble-sealed", 6, SEAL, &[129, 0, 255]),
        ("seed-prefix-norm-sealed", 6, SEAL, &[195, 0, 0xff]),
    ];
    let with_boxes: Changes = &[
        ("bad-flip-in-box", 4, FLIP, &[130, 0, 0x10]),
        ("bad-flip-in-order", 5, FLIP, &[100, 0, 1]),
        ("bad-cut-blocks", 4, CUT, &[100, 1]),
        ("bad-cut-order", 5, CUT, &[100, 1]),
        ("bad-older-blocks", 4, OLDER, &[]),
        ("bad-order-for-blocks", 4, COPY, &[5]),
        ("bad-no-order", 5, REMOVE, &[]),
        ("bad-rows-of-blocks-sealed", 4, SEAL, &[72, 0, 9]),
        // Another form is passed over; other numbers are somebody's boxes.
        ("seed-blocks-form-sealed", 4, SEAL, &[64, 0, 2]),
        ("seed-lower-bound-sealed", 4, SEAL, &[131, 0, 0xff]),
        ("seed-id-of-another-row-sealed", 5, SEAL, &[64, 0, 7]),
        // No row has that id.
        ("bad-id-of-no-row-sealed", 5, SEAL, &[91, 0, 0x7f]),
    ];
    let all = [(1, with_codes), (2, with_boxes)].into_iter();
    let all = all.flat_map(|(beside, changes)| changes.iter().map(move |change| (beside, change)));
    for (beside, &(name, file, what, arguments)) in all {
        // `arbitrary` scales four bytes to the number of variants.
        let variant = ((what << 32) / VARIANTS + 1) as u32;
        let input = [
            &[1, file][..],
            &variant.to_le_bytes(),
            arguments,
            &[0, beside],
        ]
        .concat();
        fs::write(corpus.join(name), input)?;
    }
    Ok(())
}

/// The kinds of changes, by their places in the target.
const FLIP: u64 = 0;
const NUMBER: u64 = 1;
const CUT: u64 = 2;
const OLDER: u64 = 5;
const COPY: u64 = 6;
const SEAL: u64 = 7;
const REMOVE: u64 = 8;
const VARIANTS: u64 = 9;

fn manifest(corpus: &Path) -> Result {
    for codec in [PayloadCodec::Bincode, PayloadCodec::Raw] {
        let dir = tempfile::tempdir()?;
        SegmentWriter::<String>::in_directory(dir.path(), false, 3, codec)?.finish()?;
        let file = fs::read(dir.path().join("MANIFEST"))?;
        let whole = [&[0][..], &file].concat();
        fs::write(corpus.join(format!("seed-{codec}")), whole)?;
        let sealed = [&[1][..], &head_and_body(&file)?].concat();
        fs::write(corpus.join(format!("seed-{codec}-sealed")), sealed)?;
        let cut = [&[0][..], &file[..file.len() - 1]].concat();
        fs::write(corpus.join(format!("bad-{codec}-cut")), cut)?;
    }
    Ok(())
}

fn npy(corpus: &Path) -> Result {
    let numbers: Vec<u8> = [1.0_f32, -2.5, 3e-42, f32::NAN, f32::MAX, -0.0]
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    // Padded as numpy does it: the numbers begin at a multiple of 64.
    let text = npy_header("'<f4'", "False", "(2, 3)");
    for version in 1..=3 {
        let width = if version == 1 { 117 } else { 115 };
        let file = npy_file(version, &format!("{text:width$}\n"), &numbers);
        fs::write(corpus.join(format!("seed-f4-v{version}")), &file)?;
        for (place, length) in [("length", 9), ("header", 60), ("row", 151)] {
            let name = format!("bad-cut-in-{place}-v{version}");
            fs::write(corpus.join(name), &file[..length])?;
        }
    }
    fs::write(corpus.join("bad-cut-in-magic"), b"\x93NUMP")?;
    for (name, descr, fortran_order, shape) in [
        ("seed-f2", "'<f2'", "False", "(4, 3)"),
        ("seed-fortran-row", "'<f4'", "True", "(1, 6)"),
        ("seed-fortran-column", "'<f4'", "True", "(6, 1)"),
        ("seed-list", "\"<f4\"", "False", "[3, 1 + 1]"),
        ("bad-fortran", "'<f4'", "True", "(2, 3)"),
    ] {
        let text = npy_header(descr, fortran_order, shape);
        fs::write(corpus.join(name), npy_file(1, &text, &numbers))?;
    }
    for (name, descr, shape) in [
        ("seed-no-rows", "'<f4'", "(0, 3)"),
        ("seed-no-rows-of-many-dims", "'<f2'", "(0, 99999999999999)"),
        ("bad-no-dims", "'<f4'", "(6, 0)"),
    ] {
        let text = npy_header(descr, "False", shape);
        fs::write(corpus.join(name), npy_file(1, &text, &[]))?;
    }
    for (name, descr, shape) in NPY_BAD {
        let text = npy_header(descr, "False", shape);
        fs::write(corpus.join(name), npy_file(1, &text, &numbers))?;
    }
    Ok(())
}

fn npy_header(descr: &str, fortran_order: &str, shape: &str) -> String {
    format!("{{'descr': {descr}, 'fortran_order': {fortran_order}, 'shape': {shape}, }}")
}

/// Elements and shapes that no 24 bytes can have, or that are not read.
const NPY_BAD: &[(&str, &str, &str)] = &[
    ("bad-f8", "'<f8'", "(1, 3)"),
    ("bad-big-endian", "'>f4'", "(2, 3)"),
    ("bad-i4", "'<i4'", "(2, 3)"),
    ("bad-u1", "'|u1'", "(8, 3)"),
    ("bad-text", "'<U1'", "(2, 3)"),
    ("bad-date", "'<M8[ns]'", "(1, 3)"),
    ("bad-object", "'|O'", "(2, 3)"),
    ("bad-record", "[('x', '<f4'), ('y', '<f2', (2,))]", "(3,)"),
    ("bad-flat", "'<f4'", "(6,)"),
    ("bad-3d", "'<f4'", "(1, 2, 3)"),
    ("bad-negative", "'<f4'", "(-2, -3)"),
    ("bad-long", "'<f4'", "(1, 3)"),
    ("bad-short", "'<f4'", "(3, 3)"),
    ("bad-product", "'|O'", "(9999999999, 9999999999)"),
    ("bad-hex", "'<f4'", "(0x10000000000, 0x10000000000)"),
    ("bad-nested", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", ""),
    ("bad-escaped", "['\\N{']}', ['\\N{']}', [", ""),
];

fn payload_store(corpus: &Path) -> Result {
    for len in [0_u8, 1, 4] {
        let dir = tempfile::tempdir()?;
        let paths = ["payloads", "offsets"].map(|name| dir.path().join(name));
        let mut builder = PayloadStoreBuilder::new()?;
        for i in 0..len {
            builder.push(("word".repeat(usize::from(i)), vec![i; 3]))?;
        }
        builder.finish_persisted(&paths[0], &paths[1])?;
        let [payloads, offsets] = [fs::read(&paths[0])?, fs::read(&paths[1])?];
        for sign in [0, 1] {
            let [payloads, offsets] = match sign {
                0 => [payloads.clone(), offsets.clone()],
                _ => [head_and_body(&payloads)?, head_and_body(&offsets)?],
            };
            let [low, high] = u16::try_from(payloads.len())?.to_le_bytes();
            let input = [&[sign, low, high][..], &payloads, &offsets].concat();
            fs::write(corpus.join(format!("seed-{len}-{sign}")), input)?;
        }
    }
    Ok(())
}

/// A question: one query, many, a join, and a join of two parts.
const ONE: u8 = 0;
const MANY: u8 = 1;
const JOIN: u8 = 2;
const PARTS: u8 = 3;

/// What a query is: a stored row, one near it, one with the first number in it, or a new vector.
const STORED: u8 = 0;
const NEAR: u8 = 1;
const WITH_NUMBER: u8 = 2;
const NEW: u8 = 3;

/// Steps that stand for a bound of any number.
const ANY: i8 = i8::MIN;

/// Everything that does not matter to a seed is the same.
fn search(corpus: &Path) -> Result {
    const UNIT: &[f32] = &[1.0];
    const ODD: &[f32] = &[
        0.0,
        -0.0,
        1e-45,
        f32::MAX,
        f32::MIN_POSITIVE,
        1e19,
        1e-22,
        3.0,
    ];
    const OFFSET: &[f32] = &[1e4, 10_000.001, 9_999.999];
    const INCLUSIVE: [u8; 2] = [0, 0];
    // Dims and rows, the question, whether rows repeat, the first query, the ends of the ring, and the
    // numbers that coordinates are made of.
    for (name, dims, rows, question, period, query, ends, numbers) in [
        ("one", 24, 1300, ONE, 0, NEW, INCLUSIVE, UNIT),
        ("one-long-rows", 200, 160, ONE, 0, NEAR, [1, 0], UNIT),
        ("one-short-rows", 3, 2200, ONE, 0, STORED, [0, 1], UNIT),
        ("one-odd", 17, 900, ONE, 0, NEW, INCLUSIVE, ODD),
        ("one-far", 64, 500, ONE, 0, NEW, [0, 2], OFFSET),
        ("one-repeated", 16, 2047, ONE, 7, NEW, INCLUSIVE, UNIT),
        ("many", 24, 1300, MANY, 0, STORED, INCLUSIVE, UNIT),
        ("many-long-rows", 130, 250, MANY, 0, NEW, [1, 1], UNIT),
        ("many-odd", 33, 700, MANY, 0, NEW, INCLUSIVE, ODD),
        ("many-far", 20, 600, MANY, 0, NEW, [2, 0], OFFSET),
        ("join", 8, 330, JOIN, 0, STORED, INCLUSIVE, UNIT),
        ("join-repeated", 40, 150, JOIN, 50, STORED, [2, 0], UNIT),
        ("parts", 16, 250, PARTS, 0, STORED, INCLUSIVE, OFFSET),
        ("nothing", 5, 0, MANY, 0, STORED, [2, 2], UNIT),
        ("nan", 5, 50, ONE, 0, WITH_NUMBER, [2, 2], &[f32::NAN]),
        ("inverted", 5, 50, ONE, 0, NEW, INCLUSIVE, UNIT),
    ] {
        let is_bad = matches!(name, "nan" | "inverted");
        let steps = match name {
            "inverted" => ANY,
            _ => 0,
        };
        let numbers_less_one = u8::try_from(numbers.len() - 1)?;
        for tiers in 0..3 {
            let queries = 22;
            let mut input = vec![dims];
            input.extend(u16::to_le_bytes(rows));
            input.extend([question, tiers, tiers, period, query, queries]);
            input.extend(ends);
            for row in [0_u16, 9] {
                input.extend(row.to_le_bytes());
                input.extend(steps.to_le_bytes());
            }
            input.extend([7, 0, numbers_less_one]);
            input.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            input.extend(
                [-1.0_f64, -2.0]
                    .iter()
                    .flat_map(|bound| bound.to_le_bytes()),
            );
            let what = if is_bad { "bad" } else { "seed" };
            fs::write(corpus.join(format!("{what}-{name}-{tiers}")), input)?;
        }
    }
    Ok(())
}

/// The bytes of a file before its table; the body of the target puts new ones behind them.
fn head_and_body(file: &[u8]) -> std::result::Result<Vec<u8>, Box<dyn Error>> {
    let body_bytes = u64::from_le_bytes(file[48..56].try_into()?);
    Ok(file[..64 + usize::try_from(body_bytes)?].to_vec())
}
