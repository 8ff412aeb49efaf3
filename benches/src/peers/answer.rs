//! The answer of a peer: read from its file, and held against the right one.

use std::path::Path;

use ringdb_index::{Rows, distance};

use super::Result;
use crate::oracle::Request;

/// What is wrong with answers, over all queries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Difference {
    /// Ids that should be there and are not.
    pub missing: usize,
    /// Ids that are there and should not be.
    pub extra: usize,
    /// Those of both that rounding to 24 bits at a bound does not explain.
    pub beyond_rounding: usize,
}

impl Difference {
    /// Adds what is wrong with the answer to a request.
    ///
    /// # Errors
    /// When it is no answer: ids of no row, or not in ascending order.
    pub fn add(&mut self, found: &[Vec<u32>], request: &Request, rows: Rows<'_>) -> Result<()> {
        if found.len() != request.expected.len() {
            return Err(format!(
                "{} answers to {} queries",
                found.len(),
                request.expected.len()
            )
            .into());
        }
        for (i, (found, expected)) in found.iter().zip(&request.expected).enumerate() {
            let query = request.queries.get(i).map(Vec::as_slice);
            let query = query.or_else(|| rows.row(i as u32));
            let query = query.ok_or("an answer to no query")?;
            if !found.is_sorted_by(|a, b| a < b) {
                return Err("an id twice, or ids out of order".into());
            }
            let (missing, extra) = (without(expected, found), without(found, expected));
            self.missing += missing.len();
            self.extra += extra.len();
            for id in missing.into_iter().chain(extra) {
                let row = rows
                    .row(id)
                    .ok_or_else(|| format!("{id} is the id of no row"))?;
                let explained = request.bounds.is_borderline(distance(row, query));
                self.beyond_rounding += usize::from(!explained);
            }
        }
        Ok(())
    }
}

/// The ids of `all` that are not in `others`.
fn without(all: &[u32], others: &[u32]) -> Vec<u32> {
    let is_new = |id: &u32| others.binary_search(id).is_err();
    all.iter().copied().filter(is_new).collect()
}

/// The ids of each of `count` queries, from the file that a peer wrote.
pub(super) fn read(path: &Path, count: usize) -> Result<Vec<Vec<u32>>> {
    let bytes = std::fs::read(path)?;
    let (ends, ids) = bytes
        .split_at_checked((count + 1) * 8)
        .ok_or("too short for the ends of its queries")?;
    let ends: Vec<u64> = ends
        .as_chunks()
        .0
        .iter()
        .map(|end| u64::from_le_bytes(*end))
        .collect();
    let (ids, rest) = ids.as_chunks();
    let ids: Vec<u32> = ids.iter().map(|id| u32::from_le_bytes(*id)).collect();
    let whole = rest.is_empty() && ends[0] == 0 && ends[count] == ids.len() as u64;
    if !whole || !ends.is_sorted() {
        return Err("the ends of its queries do not fit its ids".into());
    }
    let piece = |pair: &[u64]| ids[pair[0] as usize..pair[1] as usize].to_vec();
    Ok(ends.windows(2).map(piece).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::Bounds;

    fn check(found: &[&[u32]], expected: std::result::Result<(usize, usize, usize), &str>) {
        let data = [0.0_f32, 1.0, 1.000_000_1, 2.0];
        let request = Request {
            queries: vec![vec![0.0]],
            bounds: Bounds {
                d_min: 0.0,
                d_max: 1.0,
            },
            expected: vec![vec![0, 1]],
        };
        let mut difference = Difference::default();
        let found: Vec<Vec<u32>> = found.iter().map(|ids| ids.to_vec()).collect();
        let rows = Rows::new(&data, 1).expect("whole rows");
        let result = difference.add(&found, &request, rows);
        match expected {
            Ok((missing, extra, beyond_rounding)) => {
                result.expect("it is an answer");
                let expected = Difference {
                    missing,
                    extra,
                    beyond_rounding,
                };
                assert_eq!(difference, expected, "{found:?}");
            }
            Err(text) => {
                let error = result.expect_err("it is no answer").to_string();
                assert!(error.contains(text), "{error}");
            }
        }
    }

    #[test]
    fn every_difference_is_counted() {
        check(&[&[0, 1]], Ok((0, 0, 0)));
        check(&[&[0]], Ok((1, 0, 0)));
        check(&[&[0, 1, 2]], Ok((0, 1, 0)));
        check(&[&[1, 3]], Ok((1, 1, 2)));
        check(&[&[]], Ok((2, 0, 1)));
        check(&[&[0, 0]], Err("an id twice"));
        check(&[&[1, 0]], Err("out of order"));
        check(&[&[0, 1, 9]], Err("9 is the id of no row"));
        check(&[], Err("0 answers to 1 queries"));
    }

    fn check_file(ends: &[u64], ids: &[u32], expected: Option<&[&[u32]]>) {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let mut bytes: Vec<u8> = ends.iter().flat_map(|end| end.to_le_bytes()).collect();
        bytes.extend(ids.iter().flat_map(|id| id.to_le_bytes()));
        std::fs::write(file.path(), bytes).expect("it can be written");
        let found = read(file.path(), 2).ok();
        let expected = expected.map(|all| all.iter().map(|ids| ids.to_vec()).collect::<Vec<_>>());
        assert_eq!(found, expected, "{ends:?} {ids:?}");
    }

    #[test]
    fn an_answer_is_a_whole_file() {
        check_file(&[0, 1, 3], &[7, 8, 9], Some(&[&[7], &[8, 9]]));
        check_file(&[0, 0, 0], &[], Some(&[&[], &[]]));
        check_file(&[0, 1, 3], &[7, 8], None);
        check_file(&[0, 3, 2], &[7, 8], None);
        check_file(&[1, 1, 2], &[7, 8], None);
        check_file(&[0, 1], &[7], None);
    }
}
