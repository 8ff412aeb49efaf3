//! What searches read: where codes and prefixes cannot help, little more than a scan, and where they can, the
//! share of it that their sizes promise.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use ringdb_index::{
    CodeFrame, Explain, Kernel, PrefixFrame, Ring, Rows, Trusted, distance, search,
};

use crate::SEED;
use crate::coded::Coded;
use crate::data::Kind;

/// So many that there are several spans.
const ROWS: usize = 40_000;

/// Searches by prefixes and codes, and returns what that was.
fn look(coded: &Coded, rows: Rows<'_>, query: &[f32], ring: Ring) -> Explain {
    let segment = coded.with_prefix(rows);
    let (_, explain) =
        search(segment, query, &ring, Kernel::fastest(), &Trusted).expect("a legal search");
    explain
}

#[test]
fn no_search_reads_much_more_than_a_scan() {
    println!("seed {SEED:#x}");
    let mut rng = SmallRng::seed_from_u64(SEED);
    for dims in [1, 2, 3, 8, 16, 17, 64, 128] {
        for kind in [
            Kind::Uniform,
            Kind::AllEqual,
            Kind::Lattice,
            Kind::OneOutlier,
        ] {
            let data = kind.rows(ROWS, dims, &mut rng);
            let rows = Rows::new(&data, dims).expect("whole rows");
            let coded = Coded::new(&data, dims);
            let stored = &data[..dims];
            let other: Vec<f32> = (0..dims).map(|_| rng.random_range(-1.0..1.0)).collect();
            for query in [stored, &other] {
                let mut distances: Vec<f64> =
                    data.chunks(dims).map(|row| distance(row, query)).collect();
                distances.sort_unstable_by(f64::total_cmp);
                let at = |share: f64| distances[(share * (ROWS - 1) as f64) as usize];
                for (d_min, d_max) in [
                    (0.0, f64::INFINITY),
                    (0.0, at(0.5)),
                    (at(0.25), at(0.75)),
                    (at(0.49), at(0.51)),
                    (at(0.5), at(0.5)),
                    (0.0, at(1.0)),
                    (at(1.0), f64::INFINITY),
                ] {
                    let ring = Ring::between(d_min, d_max).expect("legal bounds");
                    let explain = look(&coded, rows, query, ring);
                    let scan = size_of_val(&data[..]) as f64;
                    assert!(
                        explain.bytes() as f64 <= 1.15 * scan,
                        "{kind:?}, {dims} dims, {ring}:\n{explain}"
                    );
                }
            }
        }
    }
}

/// Near balls over rows without structure by half a byte for each coordinate, and over rows that differ in few
/// directions by less.
#[test]
fn near_balls_read_what_prefixes_take() {
    println!("seed {SEED:#x}");
    let mut rng = SmallRng::seed_from_u64(SEED);
    let dims = 64;
    let flat = Kind::Uniform.rows(ROWS, dims, &mut rng);
    let axes: Vec<f32> = (0..8 * dims).map(|_| rng.random_range(-1.0..1.0)).collect();
    let mut gathered = Vec::with_capacity(ROWS * dims);
    for _ in 0..ROWS {
        let along: [f32; 8] = std::array::from_fn(|_| rng.random_range(-1.0..1.0));
        let coordinate = |dim: usize| -> f32 {
            let on_axes = axes.chunks(dims).zip(along);
            on_axes.map(|(axis, along)| axis[dim] * along).sum()
        };
        gathered.extend((0..dims).map(|dim| coordinate(dim) + rng.random_range(-0.01..0.01)));
    }
    for (data, bytes_a_row) in [(flat, 44), (gathered, 36)] {
        let rows = Rows::new(&data, dims).expect("whole rows");
        let pays = PrefixFrame::of(rows, &CodeFrame::of(rows));
        assert!(pays.is_some(), "{bytes_a_row} bytes a row and no prefix");
        let coded = Coded::new(&data, dims);
        let query = &data[..dims];
        let mut distances: Vec<f64> = data.chunks(dims).map(|row| distance(row, query)).collect();
        distances.sort_unstable_by(f64::total_cmp);
        let ring = Ring::within(distances[20]).expect("a legal bound");
        let explain = look(&coded, rows, query, ring);
        assert_eq!(explain.hits(), 21);
        let most = bytes_a_row * ROWS as u64;
        assert!(
            explain.bytes() <= most,
            "{} of {most}:\n{explain}",
            explain.bytes()
        );
    }
}
