//! Runs the cases of a campaign on all threads, and sees to it that each comes to an end.
//!
//! Invariant: what a case does depends on the seed and its number and on nothing that ran before it, so
//! that `--case` finds it again. What the system does meanwhile is not in anybody's hand: a moment at
//! which a process is killed, and the uuids and temporary names that a writer draws.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngCore, SeedableRng};

use crate::verdict::{Checked, Counts, Flaw, Kind};

/// The result of what is not itself under test.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Flaws that are told one by one; the others are only counted.
const TOLD_MAX: u64 = 10;

/// A question asked over and over.
pub(crate) trait Campaign: Sync {
    /// What a thread keeps from case to case.
    type Worker;

    /// How many cases there are; they are numbered from 0.
    fn cases(&self) -> u64;

    /// Called by each thread, and again after a panic.
    fn worker(&self) -> Result<Self::Worker>;

    /// The case in words, for whoever has to find out what went wrong.
    fn describe(&self, case: u64) -> String;

    fn check(&self, worker: &mut Self::Worker, case: u64) -> Checked;

    /// Whatever takes longer hangs.
    fn case_time_max(&self) -> Duration {
        Duration::from_secs(20)
    }
}

/// How a campaign is to be run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// A share of the counts of a release, in place of those of every change.
    pub(crate) is_long: bool,
    /// No case is begun after this.
    pub(crate) deadline: Option<Instant>,
    /// The only one to be run.
    pub(crate) only_case: Option<u64>,
}

impl Plan {
    /// A count for every change, or one for a release.
    pub(crate) fn count(&self, short: u64, long: u64) -> u64 {
        match self.is_long {
            true => long,
            false => short,
        }
    }
}

/// What came of a campaign.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) name: &'static str,
    /// How many cases there were to be done.
    pub(crate) target: u64,
    pub(crate) counts: Counts,
    pub(crate) took: Duration,
}

impl Outcome {
    pub(crate) fn is_ok(&self) -> bool {
        self.counts.flaws() == 0 && self.counts.done > 0
    }
}

/// The random numbers of a case. `part` keeps those apart that are drawn for different purposes.
pub(crate) fn rng(seed: u64, part: u64, case: u64) -> SmallRng {
    let mut of_part = SmallRng::seed_from_u64(seed ^ part.rotate_left(32));
    SmallRng::seed_from_u64(of_part.next_u64() ^ case)
}

/// Runs the cases, on as many threads as the machine has.
pub(crate) fn run<C: Campaign>(name: &'static str, campaign: &C, plan: Plan) -> Result<Outcome> {
    let start = Instant::now();
    let target = campaign.cases();
    let threads = match plan.only_case {
        None => std::thread::available_parallelism().map_or(1, usize::from),
        Some(case) if case < target => 1,
        Some(case) => return Err(format!("there is no case {case}, only {target}").into()),
    };
    let run = Run {
        name,
        campaign,
        plan,
        target,
        next: AtomicU64::new(0),
        counts: Mutex::default(),
        watched: (0..threads).map(|_| Mutex::default()).collect(),
    };
    let is_over = AtomicBool::new(false);
    let errors: Vec<_> = std::thread::scope(|scope| {
        scope.spawn(|| run.watch(&is_over));
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let run = &run;
                scope.spawn(move || run.on_thread(thread))
            })
            .collect();
        let joined = workers.into_iter().map(|worker| match worker.join() {
            Ok(result) => result,
            Err(panic) => Err(message(&*panic).into()),
        });
        let errors = joined.filter_map(Result::err).collect();
        is_over.store(true, Ordering::Release);
        errors
    });
    if let Some(error) = errors.into_iter().next() {
        return Err(error);
    }
    let counts = run
        .counts
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    Ok(Outcome {
        name,
        target,
        counts,
        took: start.elapsed(),
    })
}

struct Run<'a, C> {
    name: &'static str,
    campaign: &'a C,
    plan: Plan,
    target: u64,
    next: AtomicU64,
    counts: Mutex<Counts>,
    /// What each thread is doing, and since when.
    watched: Vec<Mutex<Option<(u64, Instant)>>>,
}

impl<C: Campaign> Run<'_, C> {
    fn on_thread(&self, thread: usize) -> Result<()> {
        // Searches run in the pool of their caller: one of a single thread keeps each case on its own.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
        pool.install(|| {
            let mut worker = self.campaign.worker()?;
            while let Some(case) = self.next_case() {
                self.set_watched(thread, Some((case, Instant::now())));
                let checked = self.caught(&mut worker, case);
                self.set_watched(thread, None);
                if matches!(&checked, Err(flaw) if flaw.kind == Kind::Panic) {
                    worker = self.campaign.worker()?;
                }
                self.take_note(case, &checked);
            }
            Ok(())
        })
    }

    /// Cases are taken at equal distances all over the campaign, so that one that is stopped early has
    /// seen something of everything.
    fn next_case(&self) -> Option<u64> {
        if self
            .plan
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
        {
            return None;
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        match self.plan.only_case {
            Some(case) => (turn == 0).then_some(case),
            None => (turn < self.target).then(|| spread(turn, self.target)),
        }
    }

    fn caught(&self, worker: &mut C::Worker, case: u64) -> Checked {
        let check = AssertUnwindSafe(|| self.campaign.check(worker, case));
        IS_QUIET.set(true);
        let caught = catch_unwind(check);
        IS_QUIET.set(false);
        caught.unwrap_or_else(|panic| {
            let place = LAST_PANIC.take().unwrap_or_default();
            let what = format!("panic {place}: {}", message(&*panic));
            Err(Flaw::new(Kind::Panic, what))
        })
    }

    fn take_note(&self, case: u64, checked: &Checked) {
        let mut counts = lock(&self.counts);
        counts.add(checked);
        let Err(flaw) = checked else { return };
        let kind = format!("{:?}", flaw.kind).to_uppercase();
        match counts.flaws() {
            ..=TOLD_MAX => eprintln!("{kind}: {}: {}", self.named(case), flaw.what),
            n if n == TOLD_MAX + 1 => eprintln!("{}: more flaws are only counted", self.name),
            _ => {}
        }
    }

    fn named(&self, case: u64) -> String {
        let Self { name, plan, .. } = self;
        let long = if plan.is_long { " --long" } else { "" };
        let what = self.campaign.describe(case);
        format!("{name}{long} --seed {} --case {case} ({what})", plan.seed)
    }

    fn set_watched(&self, thread: usize, doing: Option<(u64, Instant)>) {
        if let Some(slot) = self.watched.get(thread) {
            *lock(slot) = doing;
        }
    }

    /// Ends the process when a case hangs: nothing else can end a thread.
    fn watch(&self, is_over: &AtomicBool) {
        while !is_over.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(20));
            for slot in &self.watched {
                let Some((case, since)) = *lock(slot) else {
                    continue;
                };
                if since.elapsed() > self.campaign.case_time_max() {
                    eprintln!("HANG: {}", self.named(case));
                    std::process::exit(1);
                }
            }
        }
    }
}

/// The `turn`-th of `n` numbers in an order in which neighbours are far apart; each comes once.
fn spread(turn: u64, n: u64) -> u64 {
    // The golden section leaves the most even gaps.
    let mut stride = (n as f64 * 0.618_033_988_749_895) as u64;
    while gcd(stride, n) != 1 {
        stride += 1;
    }
    (u128::from(turn) * u128::from(stride) % u128::from(n)) as u64
}

fn gcd(a: u64, b: u64) -> u64 {
    match b {
        0 => a,
        _ => gcd(b, a % b),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    /// Whether a panic of this thread is caught and told with its case.
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the places of panics in cases, in place of printing each as it happens.
pub(crate) fn keep_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| match IS_QUIET.get() {
        true => LAST_PANIC.set(info.location().map(|place| format!("at {place}"))),
        false => usual(info),
    }));
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "of an unknown kind".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails in every way there is.
    struct Sick;

    impl Campaign for Sick {
        type Worker = u64;

        fn cases(&self) -> u64 {
            1000
        }

        fn worker(&self) -> Result<u64> {
            Ok(0)
        }

        fn describe(&self, case: u64) -> String {
            format!("case {case}")
        }

        fn check(&self, worker: &mut u64, case: u64) -> Checked {
            assert_eq!(*worker, 0, "a worker that saw a panic is not used on");
            match case {
                0 => Err(Flaw::wrong("0")),
                1 => Err(Flaw::loss("1")),
                2..5 => {
                    *worker = 1;
                    panic!("{case}")
                }
                _ => Ok("fine"),
            }
        }
    }

    const PLAN: Plan = Plan {
        seed: 1,
        is_long: false,
        deadline: None,
        only_case: None,
    };

    #[test]
    fn every_case_is_run_and_every_flaw_is_counted() {
        keep_panics();
        let outcome = run("sick", &Sick, PLAN).unwrap();
        let counts = &outcome.counts;
        assert_eq!(counts.to_string(), "995 fine");
        assert_eq!((counts.done, counts.wrong, counts.losses), (1000, 1, 1));
        assert_eq!((counts.panics, outcome.is_ok()), (3, false));
    }

    #[test]
    fn one_case_can_be_run_alone() {
        let only = |case| Plan {
            only_case: Some(case),
            ..PLAN
        };
        let outcome = run("sick", &Sick, only(7)).unwrap();
        assert_eq!((outcome.counts.done, outcome.is_ok()), (1, true));
        assert!(!run("sick", &Sick, only(1)).unwrap().is_ok());
        assert!(run("sick", &Sick, only(1000)).is_err());
    }

    #[test]
    fn nothing_is_begun_after_the_deadline() {
        let deadline = Some(Instant::now());
        let outcome = run("sick", &Sick, Plan { deadline, ..PLAN }).unwrap();
        assert_eq!((outcome.counts.done, outcome.is_ok()), (0, false));
    }

    #[test]
    fn cases_are_spread_and_each_comes_once() {
        for n in [1, 2, 3, 10, 97, 1000, 65_536] {
            let mut seen: Vec<u64> = (0..n).map(|turn| spread(turn, n)).collect();
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..n), "{n}");
        }
        let first: Vec<u64> = (0..5).map(|turn| spread(turn, 1000)).collect();
        assert_eq!(first, [0, 619, 238, 857, 476]);
    }
}
