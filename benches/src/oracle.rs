//! What is asked, and the answer by the definition of distance.

use rayon::prelude::*;
use ringdb::geo::chord;
use ringdb_index::{Ring, Rows, distance};

/// Queries of a batch that its one ring is measured on.
const SAMPLE: usize = 15;

/// How a ring follows from the distances between a query and all rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RingKind {
    /// Around the median distance, half as wide as this share of it.
    Median(f64),
    /// The disk up to the distance of so many nearest rows.
    Nearest(usize),
    /// The disk up to the distance of this share of the rows.
    Quantile(f64),
    /// The disk of this radius.
    Within(f64),
    /// So many kilometres and so many along the earth, between points of a unit sphere.
    Kilometres(f64, f64),
}

impl RingKind {
    /// In words.
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Self::Median(share) => {
                format!("ring at the median distance ± {:.3} %", 100.0 * share)
            }
            Self::Nearest(count) => format!("disk up to nearest row {count}"),
            Self::Quantile(share) => format!("disk of the nearest {:.3} %", 100.0 * share),
            Self::Within(d_max) => format!("distances up to {d_max}"),
            Self::Kilometres(from, to) => format!("ring from {from} to {to} km"),
        }
    }

    /// Whether it has a hole, by its form.
    pub(crate) fn is_ring(self) -> bool {
        matches!(self, Self::Median(_) | Self::Kilometres(..))
    }

    /// The ring for one query.
    fn bounds(self, distances: &mut [f64]) -> Bounds {
        let rank = match self {
            Self::Median(_) => distances.len() / 2,
            Self::Nearest(count) => count.saturating_sub(1),
            Self::Quantile(share) => (share * distances.len() as f64) as usize,
            Self::Within(d_max) => return Bounds { d_min: 0.0, d_max },
            Self::Kilometres(from, to) => {
                let chord = |km| chord(km).expect("a way along the earth");
                return Bounds {
                    d_min: chord(from),
                    d_max: chord(to),
                };
            }
        };
        let rank = rank.min(distances.len() - 1);
        let (_, d, _) = distances.select_nth_unstable_by(rank, f64::total_cmp);
        match self {
            Self::Median(share) => Bounds {
                d_min: *d - *d * share,
                d_max: *d + *d * share,
            },
            _ => Bounds {
                d_min: 0.0,
                d_max: *d,
            },
        }
    }
}

/// Both bounds of a ring, inside it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// The least distance.
    pub d_min: f64,
    /// The greatest distance.
    pub d_max: f64,
}

impl Bounds {
    /// The ring of the index.
    ///
    /// # Panics
    /// If the bounds are not those of a ring.
    #[must_use]
    pub fn ring(self) -> Ring {
        Ring::between(self.d_min, self.d_max).expect("measured bounds")
    }

    /// Whether a distance is so near a bound that numbers of 24 bits may not tell on which side it lies.
    #[must_use]
    pub fn is_borderline(self, distance: f64) -> bool {
        let near = |bound: f64| (distance - bound).abs() <= bound * f64::from(f32::EPSILON) * 16.0;
        // Nothing lies below zero.
        self.d_min > 0.0 && near(self.d_min) || near(self.d_max)
    }
}

/// One request: queries that are asked together, their ring, and the right answer.
#[derive(Debug, Clone)]
pub struct Request {
    /// The queries; none in a join of rows with themselves, where each row is one.
    pub queries: Vec<Vec<f32>>,
    /// The ring of all of them.
    pub bounds: Bounds,
    /// The ids of each query, ascending; in a join those that come after that of the row.
    pub expected: Vec<Vec<u32>>,
}

impl Request {
    /// The number of hits of all queries.
    #[must_use]
    pub fn hits(&self) -> usize {
        self.expected.iter().map(Vec::len).sum()
    }
}

/// Requests for every kind of ring, each query alone, or all together with the middle one of some of their
/// rings.
#[must_use]
pub fn requests(
    rows: Rows<'_>,
    queries: &[Vec<f32>],
    together: bool,
    kinds: &[RingKind],
) -> Vec<Vec<Request>> {
    let mut all: Vec<Vec<Request>> = kinds.iter().map(|_| Vec::new()).collect();
    if !together {
        for query in queries {
            let distances = distances(rows, query);
            let mut sorted = distances.clone();
            for (requests, kind) in all.iter_mut().zip(kinds) {
                let bounds = kind.bounds(&mut sorted);
                requests.push(Request {
                    queries: vec![query.clone()],
                    bounds,
                    expected: vec![inside(&distances, bounds)],
                });
            }
        }
        return all;
    }
    let mut sampled: Vec<Vec<Bounds>> = vec![Vec::new(); kinds.len()];
    for query in queries.iter().take(SAMPLE) {
        let mut distances = distances(rows, query);
        for (bounds, kind) in sampled.iter_mut().zip(kinds) {
            bounds.push(kind.bounds(&mut distances));
        }
    }
    for (requests, bounds) in all.iter_mut().zip(&mut sampled) {
        bounds.sort_by(|a, b| a.d_max.total_cmp(&b.d_max));
        requests.push(Request {
            queries: queries.to_vec(),
            bounds: bounds[bounds.len() / 2],
            expected: Vec::new(),
        });
    }
    for query in queries {
        let distances = distances(rows, query);
        for request in all.iter_mut().flatten() {
            request.expected.push(inside(&distances, request.bounds));
        }
    }
    all
}

/// Rows of one task of a join: near the processor together, so that others are read once for all of them.
const JOIN_ROWS: usize = 32;

/// Coordinates that tell most rows of a join apart.
const JOIN_DIMS: usize = 128;

/// The request for every pair of rows up to this distance, the row with the lower id first.
///
/// Of most pairs the first coordinates suffice: others never make a distance smaller, as the definition
/// states.
#[must_use]
pub fn join_request(rows: Rows<'_>, d_max: f64) -> Request {
    let row = |id: u32| rows.row(id).expect("a row");
    let first = rows.dims().min(JOIN_DIMS);
    let n_rows = rows.len() as u32;
    let task = |start: u32| {
        let queries = start..n_rows.min(start + JOIN_ROWS as u32);
        let mut found = vec![Vec::new(); queries.len()];
        for b in start..n_rows {
            for (a, found) in queries.clone().zip(&mut found) {
                let (x, y) = (row(a), row(b));
                let may_be = a < b && distance(&x[..first], &y[..first]) <= d_max;
                if may_be && distance(x, y) <= d_max {
                    found.push(b);
                }
            }
        }
        found
    };
    let tasks = (0..n_rows.div_ceil(JOIN_ROWS as u32)).into_par_iter();
    Request {
        queries: Vec::new(),
        bounds: Bounds { d_min: 0.0, d_max },
        expected: tasks
            .flat_map_iter(|number| task(number * JOIN_ROWS as u32))
            .collect(),
    }
}

/// Every distance, by the definition.
fn distances(rows: Rows<'_>, query: &[f32]) -> Vec<f64> {
    let ids = (0..rows.len() as u32).into_par_iter().with_min_len(1024);
    ids.map(|id| distance(rows.row(id).expect("a row"), query))
        .collect()
}

fn inside(distances: &[f64], bounds: Bounds) -> Vec<u32> {
    let ring = bounds.ring();
    let ids = (0_u32..).zip(distances);
    ids.filter(|(_, distance)| ring.contains(**distance))
        .map(|(id, _)| id)
        .collect()
}

#[cfg(test)]
mod tests {
    use ringdb::geo::EARTH_RADIUS_KM;

    use super::*;

    const LINE: [f32; 7] = [0.0, 6.0, 1.0, 5.0, 2.0, 4.0, 3.0];
    const KINDS: [RingKind; 4] = [
        RingKind::Median(0.5),
        RingKind::Nearest(2),
        RingKind::Quantile(0.5),
        RingKind::Within(0.5),
    ];

    fn check(queries: &[Vec<f32>], together: bool, expected: [&[&[u32]]; 4]) {
        let rows = Rows::new(&LINE, 1).expect("whole rows");
        let found = requests(rows, queries, together, &KINDS);
        for ((requests, kind), expected) in found.iter().zip(KINDS).zip(expected) {
            let ids: Vec<&Vec<u32>> = requests.iter().flat_map(|one| &one.expected).collect();
            assert_eq!(ids, expected, "{kind:?}");
        }
    }

    #[test]
    fn rings_follow_the_distances() {
        let zero = [vec![0.0]];
        // The distances are 0 to 6: the median is 3, half of it 1.5.
        let expected: [&[&[u32]]; 4] = [&[&[4, 5, 6]], &[&[0, 2]], &[&[0, 2, 4, 6]], &[&[0]]];
        check(&zero, false, expected);
        check(&zero, true, expected);
    }

    #[test]
    fn kilometres_are_chords_of_the_unit_sphere() {
        let rows = Rows::new(&LINE, 1).expect("whole rows");
        // An eighth of the way around is 0.77, and half of it the diameter.
        let half = std::f64::consts::PI * EARTH_RADIUS_KM;
        let kinds = [RingKind::Kilometres(half / 4.0, half)];
        let found = requests(rows, &[vec![0.0]], true, &kinds);
        assert_eq!(found[0][0].expected, [[2, 4]]);
    }

    #[test]
    fn queries_together_have_one_ring() {
        let rows = Rows::new(&LINE, 1).expect("whole rows");
        let queries = [vec![0.0], vec![6.0], vec![3.0]];
        let found = requests(rows, &queries, true, &[RingKind::Nearest(3)]);
        // Their radii are 2, 2 and 1.
        let request = &found[0][0];
        assert_eq!(request.bounds.d_max, 2.0);
        assert_eq!(
            request.expected,
            [vec![0, 2, 4], vec![1, 3, 5], vec![2, 3, 4, 5, 6]]
        );
        assert_eq!(request.hits(), 11);
    }

    /// Rows that the first coordinates tell apart, and rows that only the others do.
    #[test]
    fn a_join_has_every_pair_once() {
        let dims = JOIN_DIMS + 2;
        let mut data = vec![0.0; (JOIN_ROWS + 8) * dims];
        for (id, row) in data.chunks_exact_mut(dims).enumerate() {
            let at = if id.is_multiple_of(2) { 0 } else { dims - 1 };
            row[at] = id as f32;
        }
        let rows = Rows::new(&data, dims).expect("whole rows");
        let request = join_request(rows, 2.0);
        let (first, last) = (&request.expected[..4], JOIN_ROWS as u32 + 7);
        // From 0 at the origin to 1 and 2; from 1 the root of 5 lies beyond.
        assert_eq!(first, [vec![1, 2], vec![3], vec![4], vec![5]]);
        assert_eq!(request.expected[last as usize - 2], [last]);
        assert_eq!(request.expected.len(), rows.len());
        assert_eq!(request.hits(), rows.len() - 1);
    }

    #[test]
    fn borders_are_as_wide_as_rounding() {
        let bounds = Bounds {
            d_min: 0.0,
            d_max: 1.0,
        };
        assert!(bounds.is_borderline(1.000_001));
        assert!(!bounds.is_borderline(1.000_01));
        assert!(!bounds.is_borderline(1e-9));
        assert!(!bounds.is_borderline(0.0));
    }
}
