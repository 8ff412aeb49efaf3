//! Samples: the hits of the smallest hashes, each as likely as another, whatever finds them.

use std::hash::Hasher;

use ringdb::{CancelToken, Progress, RingDb, RingDbConfig, RingDbError};
use siphasher::sip::SipHasher24;

use crate::verbs::{TIERS, build, many, options};

/// The `k` of some ids that the seed draws, ascending, by a sort of all hashes.
pub(crate) fn smallest_hashes(mut ids: Vec<u32>, k: usize, seed: u64) -> Vec<u32> {
    ids.sort_by_cached_key(|id| {
        let mut hasher = SipHasher24::new_with_keys(seed, 0);
        hasher.write(&id.to_le_bytes());
        (hasher.finish(), *id)
    });
    ids.truncate(k);
    ids.sort_unstable();
    ids
}

#[test]
fn every_hit_is_drawn_as_often_as_another() {
    let (rows, hits, k, seeds) = (150_u32, 100, 10, 2_000_u64);
    let mut db = RingDb::new(RingDbConfig::new(1)).unwrap();
    for row in 0..rows {
        db.add_vector(&[row as f32], ()).unwrap();
    }
    let db = db.build().unwrap();
    let mut drawn = vec![0_u32; hits as usize];
    for seed in 0..seeds {
        let ask = db.search(&[0.0]).range(..f64::from(hits));
        for id in ask.sample(k, seed).unwrap().ids {
            drawn[id as usize] += 1;
        }
    }
    let share = k as f64 / f64::from(hits);
    let expected = seeds as f64 * share;
    let off = drawn.iter().map(|&n| (f64::from(n) - expected).powi(2));
    // Draws without replacement vary less, by the share that is not drawn.
    let chi_square = off.sum::<f64>() / (expected * (1.0 - share));
    // The quantiles 0.001 and 0.999 of chi-square with 99 degrees of freedom.
    assert!((61.1..148.2).contains(&chi_square), "{chi_square}");
}

/// Few of many, most of them, one less than all, and all.
#[test]
fn samples_are_the_same_for_any_number_of_threads_and_any_tier() {
    let vectors = many();
    let hits: Vec<u32> = (0..500_000).filter(|id| id % 250 <= 150).collect();
    let ks = [100, 200_000, hits.len() - 1, hits.len()];
    let expected = ks.map(|k| smallest_hashes(hits.clone(), k, 11));
    for tiers in TIERS {
        for threads in [1, 2, 7] {
            let db = build(options(4, tiers).threads(threads), &vectors, 4);
            for (k, expected) in ks.into_iter().zip(&expected) {
                let found = db.search(&[3.0; 4]).within(1_200.0).sample(k, 11).unwrap();
                assert!(found.ids == *expected, "{k} with {threads} threads");
                assert_eq!(found.total, hits.len() as u64);
            }
        }
    }
}

/// Where all hits are found and none is drawn.
#[test]
fn a_sample_is_cancelled_between_search_and_draw() {
    let vectors = many();
    for tiers in TIERS {
        let db = build(options(4, tiers).threads(1), &vectors, 4);
        let token = CancelToken::new();
        let watch = |progress: Progress| {
            if progress.decided == progress.total {
                token.cancel();
            }
        };
        let ask = db.search(&[3.0; 4]).within(1_200.0);
        let error = ask.progress(&watch).cancel(&token).sample(100, 11);
        let error = error.unwrap_err();
        assert!(matches!(error, RingDbError::Cancelled), "{error}");
    }
}

#[test]
fn a_sample_takes_no_limit_and_no_cursor() {
    let db = build(options(1, TIERS[0]), &[2.0, 1.0, 3.0], 1);
    let cursor = db.search(&[0.0]).limit(1).run().unwrap().next.unwrap();
    let error = db.search(&[0.0]).limit(1).sample(1, 0).unwrap_err();
    assert_eq!(error.to_string(), "sample takes no limit");
    let error = db.search(&[0.0]).after(cursor).sample(1, 0).unwrap_err();
    assert_eq!(error.to_string(), "sample takes no cursor");
}
