//! Codes: every kernel reaches the same integers and the same verdicts, on any bytes at all, and reads
//! nothing outside of what it is given.

use super::*;
use crate::code::{CodeFrame, CodeQuery, TAIL_LINES, TILE_ROWS, fine_stride, tile_bytes};
use crate::ring::Thresholds;
use crate::rows::Rows;

/// Bytes between two guards: a whole page more on both sides would not be noticed, other sums are.
fn lines_of(bytes: &[u8]) -> &[[u8; 64]] {
    bytes.as_chunks::<64>().0
}

/// A frame and a query of these dims, for codes that need not be those of any rows.
fn query(rng: &mut SmallRng, dims: usize, limits: (f64, f64)) -> CodeQuery {
    let data: Vec<f32> = (0..4 * dims).map(|_| rng.random_range(-1.0..1.0)).collect();
    let frame = CodeFrame::of(Rows::new(&data, dims).expect("whole rows"));
    let q: Vec<f32> = (0..dims).map(|_| rng.random_range(-1.0..1.0)).collect();
    let (lo_s, hi_s) = limits;
    CodeQuery::new(&frame, &q, Thresholds { lo_s, hi_s }).expect("a near query")
}

/// Tiles of arbitrary codes with tails of plausible numbers.
fn tiles(rng: &mut SmallRng, dims: usize, n: usize) -> Vec<u8> {
    let mut bytes = vec![0_u8; n * tile_bytes(dims)];
    for tile in bytes.chunks_exact_mut(tile_bytes(dims)) {
        rng.fill(&mut *tile);
        let (_, tail) = tile.split_at_mut(tile.len() - TAIL_LINES * 64);
        let (floats, _) = tail.as_chunks_mut::<4>();
        for float in &mut floats[..TILE_ROWS] {
            *float = rng.random_range(0.0_f32..3.0).to_le_bytes();
        }
        for steps in &mut floats[TILE_ROWS..TILE_ROWS + TILE_ROWS / 2] {
            let (a, b) = (
                rng.random_range(1e-4_f32..1e-2),
                rng.random_range(1e-4_f32..1e-2),
            );
            *steps = (a.to_bits() >> 16 | b.to_bits() & 0xffff_0000).to_le_bytes();
        }
        for beta in &mut floats[24..26] {
            *beta = rng.random_range(0.0_f32..40.0).to_le_bytes();
        }
    }
    bytes
}

/// Everything that a kernel makes of a chunk.
#[derive(Debug, PartialEq)]
struct Seen {
    after_codes: Vec<(u16, u16)>,
    unsure: Vec<u16>,
    left: Vec<u16>,
    inside: Vec<u32>,
}

fn look(kernel: Kernel, chunk: &CodeChunk<'_>, fine: &[u8]) -> Seen {
    let n_tiles = chunk.rows.div_ceil(TILE_ROWS);
    let mut judged = Judged::new();
    let (mut unsure, mut left) = ([0; CHUNK_ROWS], [0; CHUNK_ROWS]);
    judged.begin(chunk.rows);
    kernel.judge_tiles(chunk, &mut judged);
    let masks = judged.masks(n_tiles).iter();
    let after_codes = masks.map(|masks| (masks.inside, masks.unsure)).collect();
    let n = judged.unsure(n_tiles, &mut unsure);
    let n_left = kernel.judge_fine(chunk, fine, &unsure[..n], &mut judged, &mut left);
    let mut inside = Vec::new();
    judged.extend_ids(n_tiles, 0, &mut inside);
    assert_eq!(inside.len(), judged.n_inside());
    Seen {
        after_codes,
        unsure: unsure[..n].to_vec(),
        left: left[..n_left].to_vec(),
        inside,
    }
}

#[test]
fn all_kernels_reach_the_same_verdicts() {
    println!("seed {SEED:#x}");
    let mut rng = SmallRng::seed_from_u64(SEED);
    let mut decided = [0_usize; 3];
    for dims in (1..=36).chain([63, 64, 65, 100, 128, 384, 1_000]) {
        for rows in [1_usize, 15, 16, 17, 100, 256] {
            let query = query(&mut rng, dims, (0.5, 20.0));
            let bytes = tiles(&mut rng, dims, rows.div_ceil(TILE_ROWS));
            let mut fine = vec![0; rows * fine_stride(dims)];
            rng.fill(&mut fine[..]);
            let chunk = CodeChunk {
                tiles: lines_of(&bytes),
                first: 0,
                rows,
                query: &query,
            };
            let expected = look(
                Kernel::available()[Kernel::available().len() - 1],
                &chunk,
                &fine,
            );
            assert!(expected.unsure.iter().all(|&row| usize::from(row) < rows));
            assert!(expected.inside.iter().all(|&row| (row as usize) < rows));
            decided[0] += expected.inside.len();
            decided[1] += expected.unsure.len();
            decided[2] += rows;
            for kernel in Kernel::available() {
                assert_eq!(
                    look(kernel, &chunk, &fine),
                    expected,
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

/// The largest codes against the largest query, where a sum that saturates or wraps would show.
#[test]
fn dot_products_are_exact_where_they_are_largest() {
    for dims in [4, 64, 520, 4_096] {
        for (code, sign) in [(255_u8, 1.0_f32), (1, 1.0), (255, -1.0), (1, -1.0)] {
            let mut rows = vec![1.0_f32; 16 * dims];
            rows[..8 * dims].fill(-1.0);
            let frame = CodeFrame::of(Rows::new(&rows, dims).expect("whole rows"));
            let q = vec![sign * 7.0; dims];
            let anything = Thresholds {
                lo_s: 0.0,
                hi_s: f64::MAX,
            };
            let query = CodeQuery::new(&frame, &q, anything).expect("a near query");
            let p: i64 = query.whole.iter().map(|&p| i64::from(p)).sum();
            let expected = i32::try_from((i64::from(code) - 128) * p).expect("an i32");
            let mut bytes = vec![code; tile_bytes(dims)];
            // Norms that make every row unsure: the dot products of others are not kept.
            let at = bytes.len() - TAIL_LINES * 64;
            bytes[at..].fill(0);
            for norm in bytes[at..at + 64].as_chunks_mut::<4>().0 {
                *norm = f32::INFINITY.to_le_bytes();
            }
            for kernel in Kernel::available() {
                let chunk = CodeChunk {
                    tiles: lines_of(&bytes),
                    first: 0,
                    rows: TILE_ROWS,
                    query: &query,
                };
                let mut judged = Judged::new();
                judged.begin(chunk.rows);
                kernel.judge_tiles(&chunk, &mut judged);
                assert_eq!(
                    judged.dots[0], [expected; TILE_ROWS],
                    "{kernel}, {dims} dims"
                );
            }
        }
    }
}
