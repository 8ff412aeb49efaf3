//! Prefixes: every kernel computes the same integers, reaches the same verdicts, and makes the same bytes.

use super::super::prefix::PrefixLanes;
use super::super::{PrefixChunk, Set};
use super::*;
use crate::code::{
    CodeFrame, FramedRows, GROUP, LINE, Line, TILE_ROWS, fine_stride, half_at_least, tile_bytes,
};
use crate::prefix::{NIBBLE_GROUP, PrefixFrame, PrefixQuery, PrefixTail};
use crate::ring::Thresholds;
use crate::rows::Rows;

/// Any matrix will do.
fn frame(rng: &mut SmallRng, dims: usize, rows: usize, is_rotated: bool) -> PrefixFrame {
    if !is_rotated {
        return PrefixFrame::plain(dims, rows);
    }
    let mut rotation = vec![0.0; dims * 32];
    for (i, row) in rotation.chunks_exact_mut(32).enumerate().take(32) {
        row[(i + 5) % 32] = 1.0;
    }
    for value in &mut rotation {
        *value += rng.random_range(-1e-4..1e-4);
    }
    PrefixFrame::rotated(dims, rows, 32, rotation).expect("nearly a rotation")
}

fn codes(rng: &mut SmallRng, dims: usize) -> CodeFrame {
    let data: Vec<f32> = (0..4 * dims).map(|_| rng.random_range(-1.0..1.0)).collect();
    CodeFrame::of(Rows::new(&data, dims).expect("whole rows"))
}

fn query(codes: &CodeFrame, frame: &PrefixFrame, q: &[f32], limits: (f64, f64)) -> PrefixQuery {
    let kernel = Kernel::fastest();
    let rotate = |g: &[f64], h: &mut [f64]| {
        kernel.product(g, frame.dims(), frame.rotation(), frame.kept(), h);
    };
    let (lo_s, hi_s) = limits;
    let thresholds = Thresholds { lo_s, hi_s };
    PrefixQuery::new(codes, frame, q, thresholds, rotate).expect("a near query")
}

/// Arbitrary codes, with tails of plausible numbers.
fn tiles(rng: &mut SmallRng, frame: &PrefixFrame, n: usize) -> Vec<Line> {
    let mut tiles = Vec::new();
    for _ in 0..n {
        let mut tile = vec![[0; LINE]; frame.tile_lines()];
        rng.fill(tile.as_flattened_mut());
        let at = frame.kept().div_ceil(NIBBLE_GROUP);
        let mut values =
            |from: f32, to: f32| std::array::from_fn(|_| half_at_least(rng.random_range(from..to)));
        let tail = PrefixTail {
            norms_sq: values(0.0, 3.0),
            steps: values(1e-3, 1e-1),
            betas: values(0.0, 4.0),
            rests: values(0.0, 0.5),
        };
        tail.write(&mut tile[at..]);
        tiles.extend(tile);
    }
    tiles
}

#[test]
fn all_kernels_reach_the_same_verdicts_by_prefixes() {
    println!("seed {SEED:#x}");
    let mut rng = SmallRng::seed_from_u64(SEED);
    let mut decided = [0_usize; 3];
    for dims in (1..=36).chain([63, 64, 65, 100, 128, 384]) {
        for rows in [1_usize, 16, 17, 100] {
            let frame = frame(&mut rng, dims, rows, dims >= 32 && rows % 2 == 0);
            let codes = codes(&mut rng, dims);
            let q: Vec<f32> = (0..dims).map(|_| rng.random_range(-1.0..1.0)).collect();
            let query = query(&codes, &frame, &q, (0.5, 20.0));
            let n_tiles = rows.div_ceil(TILE_ROWS);
            let tiles = tiles(&mut rng, &frame, n_tiles);
            let chunk = PrefixChunk {
                tiles: &tiles,
                query: &query,
            };
            let look = |kernel: Kernel| {
                let mut judged = Judged::new();
                judged.begin(rows);
                kernel.judge_prefixes(&chunk, &mut judged);
                let counts = (judged.n_inside(), judged.n_unsure());
                (judged.masks(n_tiles).to_vec(), counts)
            };
            let kernels = Kernel::available();
            let (masks, counts) = look(kernels[kernels.len() - 1]);
            assert!(counts.0 + counts.1 <= rows);
            decided[0] += counts.0;
            decided[1] += counts.1;
            decided[2] += rows;
            for kernel in kernels {
                let found = look(kernel);
                assert_eq!(
                    found,
                    (masks.clone(), counts),
                    "{kernel}, {rows} rows of {dims}"
                );
            }
        }
    }
    let [inside, unsure, all] = decided;
    assert!(
        inside > 0 && unsure > all / 100 && inside + unsure < all,
        "{decided:?}"
    );
}

fn nibble_dots(kernel: Kernel, codes: &[Line], query: &PrefixQuery) -> [i32; TILE_ROWS] {
    match kernel.0 {
        #[cfg(target_arch = "x86_64")]
        Set::Avx512(set) => set.nibble_dots(codes, query),
        #[cfg(target_arch = "x86_64")]
        Set::Avx2(set) => set.nibble_dots(codes, query),
        #[cfg(target_arch = "aarch64")]
        Set::Neon(set) => set.nibble_dots(codes, query),
        Set::Scalar(set) => set.nibble_dots(codes, query),
    }
}

/// Any codes, and the largest against the largest query, where a sum that saturates would show.
#[test]
fn dot_products_of_prefixes_are_exact() {
    println!("seed {SEED:#x}");
    let mut rng = SmallRng::seed_from_u64(SEED);
    for dims in (1..=40).chain([64, 520, 4_096]) {
        let frame = PrefixFrame::plain(dims, TILE_ROWS);
        let codes = codes(&mut rng, dims);
        for q in [7.0_f32, -7.0, rng.random_range(-1.0..1.0)] {
            let sign = |i: usize| {
                if q.abs() < 2.0 && i.is_multiple_of(3) {
                    -1.0
                } else {
                    1.0
                }
            };
            let q: Vec<f32> = (0..dims).map(|i| q * sign(i)).collect();
            let query = query(&codes, &frame, &q, (0.0, f64::MAX));
            let mut lines = vec![[0; LINE]; dims.div_ceil(NIBBLE_GROUP)];
            for fill in [Some(0xff_u8), Some(0x00), Some(0xf0), None] {
                match fill {
                    Some(byte) => lines.as_flattened_mut().fill(byte),
                    None => rng.fill(lines.as_flattened_mut()),
                }
                let dot = |r: usize| -> i64 {
                    let terms = query.whole.iter().enumerate().map(|(j, &p)| {
                        let (line, within) = (j / NIBBLE_GROUP, j % NIBBLE_GROUP);
                        let byte = lines[line][r * GROUP + within % GROUP];
                        let nibble = if within < GROUP { byte & 15 } else { byte >> 4 };
                        (i64::from(nibble) - 8) * i64::from(p)
                    });
                    terms.sum()
                };
                let expected: [i32; TILE_ROWS] =
                    std::array::from_fn(|r| i32::try_from(dot(r)).expect("an i32"));
                for kernel in Kernel::available() {
                    let found = nibble_dots(kernel, &lines, &query);
                    assert_eq!(found, expected, "{kernel}, {dims} dims, {fill:?}");
                }
            }
        }
    }
}

#[test]
fn all_kernels_make_the_same_bytes() {
    println!("seed {SEED:#x}");
    let mut rng = SmallRng::seed_from_u64(SEED);
    for dims in (1..=36).chain([63, 64, 65, 100, 384]) {
        for rows in [1, 5, 16] {
            let codes = codes(&mut rng, dims);
            let prefix = frame(&mut rng, dims, rows, dims >= 32 && rows > 1);
            let data: Vec<f32> = (0..rows * dims)
                .map(|_| rng.random_range(-1.0..1.0))
                .collect();
            let mut framed = FramedRows::default();
            framed.fill(&codes, &data);
            let bytes = |kernel: Kernel| {
                let mut lines = vec![[7; LINE]; tile_bytes(dims) / LINE];
                let mut fine = vec![7; rows * fine_stride(dims)];
                kernel.encode_tile(&framed, dims, &mut lines, &mut fine);
                let mut prefixes = vec![[7; LINE]; prefix.tile_lines()];
                kernel.encode_prefixes(&prefix, &framed, &mut prefixes, &mut Vec::new());
                (lines, fine, prefixes)
            };
            let kernels = Kernel::available();
            let expected = bytes(kernels[kernels.len() - 1]);
            for kernel in kernels {
                assert!(bytes(kernel) == expected, "{kernel}, {rows} rows of {dims}");
            }
        }
    }
}
