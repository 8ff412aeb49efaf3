//! Campaigns that this machine cannot run.

use std::fmt;
use std::io::Write;

use crate::campaign::Result;

/// What is missing, and how that shows.
#[derive(Debug)]
pub(crate) struct Missing {
    need: &'static str,
    reason: String,
}

impl Missing {
    pub(crate) fn new(need: &'static str, reason: impl fmt::Display) -> Self {
        Self {
            need,
            reason: reason.to_string(),
        }
    }

    /// Leaves a campaign out, and leaves a line about it for the gate. Where `RINGDB_REQUIRE` names the
    /// need, leaving out is failing.
    ///
    /// # Errors
    /// If the need is required here, or the line cannot be left.
    pub(crate) fn leave_out(&self, campaign: &str) -> Result<()> {
        let required = std::env::var("RINGDB_REQUIRE").unwrap_or_default();
        if required.split(',').any(|name| name.trim() == self.need) {
            return Err(format!("{self}; {} is required here", self.need).into());
        }
        println!("skipped {campaign}: {self}");
        if let Some(path) = std::env::var_os("RINGDB_SKIPPED") {
            let mut file = std::fs::File::options()
                .append(true)
                .create(true)
                .open(path)?;
            writeln!(file, "reliability {campaign}: {self}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "needs {}: {}", self.need, self.reason)
    }
}
