//! Campaign `recovery`: the power is cut again while a writer works in a directory in which it was cut
//! before.

use rand::Rng;
use ringdb_storage::disk::Loss;

use crate::campaign::{Campaign, Plan, Result, rng};
use crate::crash::find;
use crate::directory::Allowed;
use crate::history::{History, Moment, cut, histories, next_content, open};
use crate::verdict::{Checked, Flaw};

pub(crate) struct Recovery {
    histories: Vec<History>,
    n_moments: u64,
    plan: Plan,
}

impl Recovery {
    pub(crate) fn new(plan: Plan) -> Result<Self> {
        let histories = histories(plan.seed)?;
        let lens = histories.iter().map(|it| it.moments.len() as u64);
        Ok(Self {
            n_moments: lens.sum(),
            histories,
            plan,
        })
    }

    fn find(&self, case: u64) -> Option<(&History, &Moment, u64, u64)> {
        find(&self.histories, case, self.n_moments)
    }
}

impl Campaign for Recovery {
    type Worker = ();

    fn cases(&self) -> u64 {
        self.plan.count(5000, 100_000)
    }

    fn worker(&self) -> Result<()> {
        Ok(())
    }

    fn describe(&self, case: u64) -> String {
        match self.find(case) {
            Some((history, _, number, round)) => format!(
                "{}, after operation {number}, image {round}, and again",
                history.name
            ),
            None => "nothing".to_owned(),
        }
    }

    fn check(&self, (): &mut (), case: u64) -> Checked {
        let Some((history, moment, ..)) = self.find(case) else {
            return Err(Flaw::other("there is no such case"));
        };
        let rng = &mut rng(self.plan.seed, 4, case);
        let first = cut(&moment.disk, rng.random_range(0..40), rng);
        let before = history.check(&first, &moment.possible)?;
        let allowed = history.allowed(&first);
        let next = next_content(rng);
        first.record();
        history.recover(&first, &next, allowed)?;
        let operations = first.take_history();
        let number = rng.random_range(0..operations.len());
        let Some(halted) = operations.get(number) else {
            return Err(Flaw::other("the writer did nothing"));
        };
        let round = rng.random_range(0..20);
        let second = cut(halted, round, rng);
        let again = format!("cut again after operation {number}, round {round}");

        let is_next = open(&second).is_ok_and(|segment| next.compare(&segment).is_ok());
        if !is_next {
            history
                .check(&second, &[before])
                .map_err(|flaw| flaw.during(&again))?;
            let least = halted.after_power_cut(Loss::Everything, 0);
            let was_durable = open(&least).is_ok_and(|segment| next.compare(&segment).is_ok());
            if was_durable || number + 1 == operations.len() {
                let what = "the new database was durable and is gone";
                return Err(Flaw::loss(what).during(&again));
            }
        }
        let allowed = Allowed {
            orphans: allowed.orphans || history.allowed(&second).orphans,
            ..allowed
        };
        history
            .recover(&second, &next_content(rng), allowed)
            .map_err(|flaw| flaw.during(&again))?;
        Ok(match (is_next, before) {
            (true, _) => "the new one",
            (false, Some(_)) => "the old one",
            (false, None) => "not yet a database",
        })
    }
}
