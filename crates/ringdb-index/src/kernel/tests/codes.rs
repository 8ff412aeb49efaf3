//! Codes: every kernel reaches the same integers and the same verdicts, on any bytes at all, and reads
//! nothing outside of what it is given.

use super::*;
use crate::code::{
    CodeFrame, CodeQuery, GROUP, TAIL_LINES, TILE_ROWS, TileTail, Verdict, fine_stride, tile_bytes,
    verdict,
};
use crate::ring::Thresholds;
use crate::rows::{DIMS_MAX, Rows};

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
                    *judged.dots_in(0),
                    [expected; TILE_ROWS],
                    "{kernel}, {dims} dims"
                );
            }
        }
    }
}

/// The dot products of the rows of a tile with a query, as integers without a limit.
fn plain_dots<P: Copy + Into<i64>>(tile: &[u8], p: &[P]) -> [i64; TILE_ROWS] {
    let codes = &tile[..tile.len() - TAIL_LINES * 64];
    let mut dots = [0; TILE_ROWS];
    for (line, p) in lines_of(codes).iter().zip(p.chunks(GROUP)) {
        for (dot, codes) in dots.iter_mut().zip(line.as_chunks::<GROUP>().0) {
            let products = codes.iter().zip(p);
            let products = products.map(|(&code, &p)| (i64::from(code) - 128) * p.into());
            *dot += products.sum::<i64>();
        }
    }
    dots
}

/// The verdicts on a tile in plain code, by a query in its short form or by all of it.
fn plain_verdicts(tile: &[u8], query: &CodeQuery, is_short: bool) -> [Verdict; TILE_ROWS] {
    let (tier, dots) = match is_short {
        true => (&query.short.tier, plain_dots(tile, &query.short.plane)),
        false => (&query.coarse, plain_dots(tile, &query.whole)),
    };
    let tail = lines_of(tile).last_chunk().expect("a tail");
    let tail = TileTail::read(tail);
    std::array::from_fn(|r| {
        let dot = i32::try_from(dots[r]).expect("an i32");
        let row = [tail.norms_sq[r], tail.steps[r], tail.beta];
        verdict(tier, &query.limits, row, dot as f32)
    })
}

/// Holds the verdicts on a tile against plain code: those of the short form where it decides the whole tile,
/// and of all of the query elsewhere. Returns how often it was the one and the other.
fn check_tile(tile: &[u8], queries: &[&CodeQuery]) -> [usize; 2] {
    let batch = CodeBatch::new(queries).expect("queries");
    let mut short_or_not = [0; 2];
    for kernel in Kernel::available() {
        let mut judged: Box<[Judged; BATCH_QUERIES]> =
            Box::new(std::array::from_fn(|_| Judged::new()));
        kernel.judge_batch(lines_of(tile), TILE_ROWS, &batch, &mut judged);
        for (i, query) in queries.iter().enumerate() {
            let short = plain_verdicts(tile, query, true);
            let is_short = kernel.name() == "avx512" && !short.contains(&Verdict::Unsure);
            short_or_not[usize::from(!is_short)] += 1;
            let expected = match is_short {
                true => short,
                false => plain_verdicts(tile, query, false),
            };
            let masks = judged[i].masks(1)[0];
            let found = std::array::from_fn(|r| {
                match (masks.inside >> r & 1 == 1, masks.unsure >> r & 1 == 1) {
                    (true, false) => Verdict::Inside,
                    (false, true) => Verdict::Unsure,
                    (false, false) => Verdict::Outside,
                    (true, true) => panic!("{kernel}: inside and unsure"),
                }
            });
            assert_eq!(found, expected, "{kernel}, query {i}");
        }
    }
    short_or_not
}

#[test]
fn a_batch_reaches_the_verdicts_of_its_forms() {
    println!("seed {SEED:#x}");
    let mut rng = SmallRng::seed_from_u64(SEED);
    let mut short_or_not = [0; 2];
    for dims in (1..=36).chain([63, 64, 65, 100, 128, 384, 1_000]) {
        for n in [1, 7, 8, 9, 15, 16] {
            let queries: Vec<CodeQuery> = (0..n)
                .map(|i| {
                    // Some rings that the short form decides everywhere, and some that it cannot.
                    let hi = if i % 2 == 0 { 1e6 } else { 20.0 };
                    query(&mut rng, dims, (0.5, hi))
                })
                .collect();
            let tile = tiles(&mut rng, dims, 1);
            let found = check_tile(&tile, &queries.iter().collect::<Vec<_>>());
            short_or_not[0] += found[0];
            short_or_not[1] += found[1];
        }
    }
    let has_batches = Kernel::fastest().name() == "avx512";
    assert!(
        short_or_not[1] > 0 && (short_or_not[0] > 100) == has_batches,
        "{short_or_not:?}"
    );
}

/// Queries whose numbers are all as large as they can be, in every pattern of signs along four dims. The
/// ring ends at their distance from the centre, where estimates are zero.
fn largest_queries(dims: usize) -> Vec<CodeQuery> {
    let mut rows = vec![1.0_f32; 16 * dims];
    rows[..8 * dims].fill(-1.0);
    let frame = CodeFrame::of(Rows::new(&rows, dims).expect("whole rows"));
    let queries = (0..BATCH_QUERIES).map(|pattern| {
        let signs = (0..dims).map(|j| {
            if pattern >> (j % GROUP) & 1 == 1 {
                -7.0
            } else {
                7.0
            }
        });
        let q: Vec<f32> = signs.collect();
        let thresholds = Thresholds {
            lo_s: 0.0,
            hi_s: 49.0 * dims as f64,
        };
        let query = CodeQuery::new(&frame, &q, thresholds).expect("a near query");
        assert!(query.short.plane[..dims].iter().all(|p| p.abs() == 127));
        query
    });
    queries.collect()
}

/// The largest codes of either sign, by row and by dim.
const LARGEST: [fn(usize, usize) -> u8; 4] = [
    |_, _| 255,
    |_, _| 1,
    |row, _| if row % 3 == 0 { 255 } else { 1 },
    |row, j| if (row + j) % 2 == 0 { 255 } else { 1 },
];

fn largest_tile(dims: usize, code: fn(usize, usize) -> u8) -> Vec<u8> {
    let mut tile = vec![128; tile_bytes(dims)];
    for (j, codes) in tile
        .chunks_exact_mut(64)
        .enumerate()
        .take(dims.div_ceil(GROUP))
    {
        for (at, stored) in codes.iter_mut().enumerate() {
            let (row, j) = (at / GROUP, j * GROUP + at % GROUP);
            if j < dims {
                *stored = code(row, j);
            }
        }
    }
    tile
}

/// Norms that put the estimate of every row a thousandth beyond the end of the ring, or before it: a dot
/// product that saturated, wrapped or lost a line would fall on another side.
#[test]
fn the_short_form_is_exact_where_it_is_largest() {
    for dims in [1, 4, 63, 520, 4_096, DIMS_MAX] {
        let queries = largest_queries(dims);
        let queries: Vec<&CodeQuery> = queries.iter().collect();
        for (pattern, code) in [0, 5, 15]
            .into_iter()
            .zip(LARGEST.into_iter().cycle().skip(1))
        {
            let mut tile = largest_tile(dims, code);
            let query = queries[pattern];
            let dots = plain_dots(&tile, &query.short.plane);
            let lines = tile.as_chunks_mut::<64>().0;
            let tail = lines.last_chunk_mut().expect("a tail");
            let step = 0.5;
            let beyond = |r: usize| 1.0 + if r.is_multiple_of(2) { 1e-3 } else { -1e-3 };
            let norm = |r: usize| {
                let estimate = f64::from(query.short.tier.minus_two_sigma * step) * dots[r] as f64;
                (-estimate * beyond(r)) as f32
            };
            let new = TileTail {
                norms_sq: std::array::from_fn(norm),
                steps: [step; TILE_ROWS],
                beta: 0.0,
                beta_fine: 0.0,
            };
            new.write(tail);
            check_tile(&tile, &queries);
        }
    }
}

/// Rows that are all unsure make a batch leave its short form, and keep what their dot products were.
#[test]
fn the_dot_products_of_a_batch_are_exact_where_they_are_largest() {
    const TILES: usize = 12;
    for dims in [1, 4, 63, 520, 4_096, DIMS_MAX] {
        let queries = largest_queries(dims);
        let queries: Vec<&CodeQuery> = queries.iter().collect();
        let batch = CodeBatch::new(&queries).expect("queries");
        let mut bytes = Vec::new();
        for code in LARGEST.into_iter().cycle().take(TILES) {
            let mut tile = largest_tile(dims, code);
            let norms = tile.len() - TAIL_LINES * 64;
            for norm in tile[norms..norms + 64].as_chunks_mut::<4>().0 {
                *norm = f32::INFINITY.to_le_bytes();
            }
            bytes.extend(tile);
        }
        for kernel in Kernel::available() {
            let mut judged: Box<[Judged; BATCH_QUERIES]> =
                Box::new(std::array::from_fn(|_| Judged::new()));
            kernel.judge_batch(lines_of(&bytes), TILES * TILE_ROWS, &batch, &mut judged);
            for (i, (judged, query)) in judged.iter().zip(&queries).enumerate() {
                assert_eq!(judged.n_unsure(), TILES * TILE_ROWS, "{kernel}, query {i}");
                let tiles = bytes.chunks(tile_bytes(dims)).take(LARGEST.len());
                let dots: Vec<_> = tiles.map(|tile| plain_dots(tile, &query.whole)).collect();
                for (tile, expected) in dots.iter().cycle().take(TILES).enumerate() {
                    let found = judged.dots_in(tile).map(i64::from);
                    assert_eq!(
                        found, *expected,
                        "{kernel}, {dims} dims, query {i}, tile {tile}"
                    );
                }
            }
        }
    }
}
