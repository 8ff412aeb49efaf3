//! Campaign `crash`: the power is cut after any operation of a writer, and what was not yet durable is
//! lost, all of it or some.
//!
//! The directory must then hold the old database or the new one, whole, and the new one once its writer
//! has returned; the next writer must be able to go on.

use crate::campaign::{Campaign, Plan, Result, rng};
use crate::history::{History, Moment, cut, histories, next_content};
use crate::verdict::{Checked, Flaw};

pub(crate) struct Crash {
    histories: Vec<History>,
    plan: Plan,
}

impl Crash {
    pub(crate) fn new(plan: Plan) -> Result<Self> {
        Ok(Self {
            histories: histories(plan.seed)?,
            plan,
        })
    }

    fn n_moments(&self) -> u64 {
        let lens = self.histories.iter().map(|it| it.moments.len() as u64);
        lens.sum()
    }

    fn find(&self, case: u64) -> Option<(&History, &Moment, u64, u64)> {
        find(&self.histories, case, self.n_moments())
    }
}

/// Of a case: history, moment, the number of the moment in the history, and how many cases there were at
/// this moment before it.
pub(crate) fn find(
    histories: &[History],
    case: u64,
    n_moments: u64,
) -> Option<(&History, &Moment, u64, u64)> {
    let mut number = case.checked_rem(n_moments)?;
    for history in histories {
        if let Some(moment) = history.moments.get(number as usize) {
            return Some((history, moment, number, case / n_moments));
        }
        number -= history.moments.len() as u64;
    }
    None
}

impl Campaign for Crash {
    type Worker = ();

    fn cases(&self) -> u64 {
        self.plan.count(50_000, 1_000_000)
    }

    fn worker(&self) -> Result<()> {
        Ok(())
    }

    fn describe(&self, case: u64) -> String {
        match self.find(case) {
            Some((history, moment, number, round)) => format!(
                "{}, after operation {number}, image {round}, {:?} may be found",
                history.name, moment.possible
            ),
            None => "nothing".to_owned(),
        }
    }

    fn check(&self, (): &mut (), case: u64) -> Checked {
        let Some((history, moment, _, round)) = self.find(case) else {
            return Err(Flaw::other("there is no such case"));
        };
        let rng = &mut rng(self.plan.seed, 3, case);
        let image = cut(&moment.disk, round, rng);
        let found = history.check(&image, &moment.possible)?;
        let allowed = history.allowed(&image);
        history.recover(&image, &next_content(rng), allowed)?;
        Ok(match found {
            None => "not yet a database",
            Some(_) if moment.possible.len() == 1 => "the only one possible",
            Some(_) if moment.possible.last() == Some(&found) => "the new one",
            Some(_) => "the old one",
        })
    }
}
