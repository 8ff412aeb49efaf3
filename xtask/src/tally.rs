//! Counts what the test runners say.
//!
//! It reads their lines and nothing else: a runner that dies before its summary adds nothing here, and its exit status
//! has to be counted by the caller.

use std::fmt;
use std::process::ExitCode;

/// The sum over every runner that was followed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// Tests that a runner knows and did not run.
    pub(crate) ignored: u64,
    /// How often somebody said how tests went.
    pub(crate) summaries: u64,
    /// The last line in which the index named the kernels it tested.
    pub(crate) kernels: Option<String>,
    /// Criterion has announced a bench and not yet said how it went.
    bench_open: bool,
}

impl Tally {
    /// Takes note of one line of a runner's output.
    pub(crate) fn line(&mut self, line: &str) {
        let line = line.trim();
        if let Some(summary) = line.strip_prefix("test result: ") {
            self.passed += number_before(summary, " passed");
            self.failed += number_before(summary, " failed");
            self.ignored += number_before(summary, " ignored");
            self.summaries += 1;
        } else if line.starts_with("Testing ") {
            self.bench_open = true;
        } else if line == "Success" && self.bench_open {
            self.check(true);
            self.bench_open = false;
        } else if line.starts_with("kernels tested: ") {
            self.kernels = Some(line.to_owned());
        }
    }

    /// Counts one check of our own.
    pub(crate) fn check(&mut self, ok: bool) {
        self.summaries += 1;
        if ok {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// The number that ends where `word` begins; 0 when there is none.
fn number_before(text: &str, word: &str) -> u64 {
    let Some(end) = text.find(word) else { return 0 };
    let head = &text[..end];
    let start = head
        .rfind(|c: char| !c.is_ascii_digit())
        .map_or(0, |at| at + 1);
    head[start..].parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &str, passed: u64, failed: u64, ignored: u64) {
        let mut tally = Tally::default();
        lines.lines().for_each(|line| tally.line(line));
        assert_eq!(
            (tally.passed, tally.failed, tally.ignored),
            (passed, failed, ignored),
            "{lines}"
        );
    }

    #[test]
    fn sums_the_summaries_of_all_runners() {
        check(
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.12s\n\
             \n\
             test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
            16,
            2,
            1,
        );
    }

    #[test]
    fn a_single_test_is_no_summary() {
        check(
            "test search::tests::empty ... ok\ntest search::tests::nan ... FAILED",
            0,
            0,
            0,
        );
        check(
            "all doctests ran in 0.30s; merged doctests compilation took 0.20s",
            0,
            0,
            0,
        );
    }

    #[test]
    fn a_bench_passes_when_criterion_says_so() {
        check(
            "Testing ring/64d\nSuccess\nTesting ring/768d\nSuccess",
            2,
            0,
            0,
        );
        check("Testing ring/64d", 0, 0, 0);
        check("Success", 0, 0, 0);
        check("Testing ring/64d\nSuccess\nSuccess", 1, 0, 0);
    }

    #[test]
    fn keeps_the_last_line_about_kernels() {
        let mut tally = Tally::default();
        assert_eq!(tally.kernels, None);
        tally.line("kernels tested: scalar");
        tally.line("kernels tested: avx2, scalar");
        assert_eq!(
            tally.kernels.as_deref(),
            Some("kernels tested: avx2, scalar")
        );
    }

    #[test]
    fn the_last_line_is_the_sum() {
        let mut tally = Tally::default();
        tally.check(true);
        tally.check(false);
        tally.check(true);
        assert_eq!(tally.to_string(), "2 passed, 1 failed");
    }
}
