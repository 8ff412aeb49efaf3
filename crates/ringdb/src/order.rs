//! In which order hits come, how many of them, and how one page follows another.
//!
//! Invariant: every order is total, by a number made of the distance and then by id, so that the hits that follow a hit
//! are the same ones in every search.

use std::cmp::Ordering;

use crate::error::{Result, RingDbError};

/// What hits are sorted by; equal ones follow each other by id.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Order {
    Id,
    Nearest,
    Farthest,
    Closest(f64),
}

/// The last hit of a page: [`Search::after`](crate::Search::after) goes on behind it.
///
/// It belongs to a query, an order and a database, in whatever ring and with whatever limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cursor {
    order: Order,
    distance: f64,
    id: u32,
}

impl Cursor {
    /// Behind this hit.
    pub(crate) fn new(order: Order, id: u32, distance: f64) -> Self {
        Self {
            order,
            distance,
            id,
        }
    }

    /// How far the hit is.
    pub(crate) fn distance(&self) -> f64 {
        self.distance
    }
}

/// Which of all hits are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    pub(crate) order: Order,
    pub(crate) after: Option<Cursor>,
    pub(crate) limit: Option<usize>,
}

/// The hits of a page, in its order.
pub(crate) struct PageHits {
    pub(crate) ids: Vec<u32>,
    /// Unless the order is by id and nobody asked.
    pub(crate) distances: Option<Vec<f64>>,
    /// Whether others follow.
    pub(crate) truncated: bool,
}

/// A hit and what it is sorted by.
#[derive(Debug, Clone, Copy)]
struct Ranked {
    key: f64,
    distance: f64,
    id: u32,
}

impl Order {
    /// The smaller, the earlier.
    fn key(self, distance: f64) -> f64 {
        match self {
            Self::Id => 0.0,
            Self::Nearest => distance,
            Self::Farthest => -distance,
            Self::Closest(d) => (distance - d).abs(),
        }
    }

    fn ranked(self, distance: f64, id: u32) -> Ranked {
        let key = self.key(distance);
        Ranked { key, distance, id }
    }
}

impl Ranked {
    fn order(&self, other: &Self) -> Ordering {
        self.key.total_cmp(&other.key).then(self.id.cmp(&other.id))
    }
}

impl Page {
    /// All hits, by id.
    pub(crate) const ALL: Self = Self {
        order: Order::Id,
        after: None,
        limit: None,
    };

    /// Refuses an order, a limit and a cursor, where `verb` asks for no list.
    pub(crate) fn check_none(&self, verb: &'static str) -> Result<()> {
        match self.order {
            Order::Id => self.check_no_part(verb),
            _ => Err(RingDbError::NotTaken {
                verb,
                option: "order",
            }),
        }
    }

    /// Refuses a limit and a cursor, where what `verb` asks for has no pages.
    pub(crate) fn check_no_part(&self, verb: &'static str) -> Result<()> {
        let option = match (self.limit, self.after) {
            (None, None) => return Ok(()),
            (Some(_), _) => "limit",
            (None, Some(_)) => "cursor",
        };
        Err(RingDbError::NotTaken { verb, option })
    }

    /// Whether the page can be had. `distance` tells how far the vector of an id is.
    pub(crate) fn check(&self, distance: impl FnOnce(u32) -> Result<f64>) -> Result<()> {
        let Some(after) = self.after else {
            return Ok(());
        };
        let wrong = |why| Err(RingDbError::InvalidCursor { id: after.id, why });
        if after.order != self.order {
            return wrong("its search had another order");
        }
        match distance(after.id) {
            Ok(distance) if distance == after.distance => Ok(()),
            Ok(_) => wrong("that vector has another distance from this query"),
            Err(RingDbError::IdOutOfRange { .. }) => wrong("there is no such vector"),
            Err(error) => Err(error),
        }
    }

    /// Cuts the page out of all hits, by id. `distances` tells how far the vectors of ids are.
    pub(crate) fn cut(
        &self,
        ids: Vec<u32>,
        distances: impl FnOnce(&[u32]) -> Result<Vec<f64>>,
    ) -> Result<PageHits> {
        match self.order {
            Order::Id => Ok(self.cut_by_id(ids)),
            order => {
                let distances = distances(&ids)?;
                let hits = ids.into_iter().zip(distances);
                Ok(self.cut_by_key(
                    hits.map(|(id, distance)| order.ranked(distance, id))
                        .collect(),
                ))
            }
        }
    }

    fn cut_by_id(&self, mut ids: Vec<u32>) -> PageHits {
        if let Some(after) = self.after {
            ids.drain(..ids.partition_point(|&id| id <= after.id));
        }
        let limit = self.limit.unwrap_or(usize::MAX);
        let truncated = ids.len() > limit;
        ids.truncate(limit);
        PageHits {
            ids,
            distances: None,
            truncated,
        }
    }

    fn cut_by_key(&self, mut hits: Vec<Ranked>) -> PageHits {
        if let Some(after) = self.after {
            let after = self.order.ranked(after.distance, after.id);
            hits.retain(|hit| hit.order(&after).is_gt());
        }
        let limit = self.limit.unwrap_or(usize::MAX);
        let truncated = hits.len() > limit;
        if truncated {
            // Those of the page first, so that only they are sorted.
            hits.select_nth_unstable_by(limit, Ranked::order);
            hits.truncate(limit);
        }
        hits.sort_unstable_by(Ranked::order);
        PageHits {
            ids: hits.iter().map(|hit| hit.id).collect(),
            distances: Some(hits.iter().map(|hit| hit.distance).collect()),
            truncated,
        }
    }
}
