//! `ringdb verify`: everything that is damaged in a database, a line each.

use std::io::Write;
use std::path::Path;

use crate::error::Error;
use crate::text::{counted, grouped, one_line, rebuild};

pub(crate) fn run(dir: &Path, out: &mut impl Write) -> Result<(), Error> {
    let report = ringdb::verify(dir).map_err(|error| {
        Error::library(error, |source| Error::Verify {
            path: dir.into(),
            source,
        })
    })?;
    for damage in &report.damage {
        writeln!(out, "{}", one_line(damage.to_string().as_bytes(), None))?;
    }
    writeln!(
        out,
        "{}, {}, {}, {} checked",
        counted(report.files, "file"),
        counted(report.bytes, "byte"),
        counted(report.blocks, "block"),
        counted(report.payloads_in_all, "payload"),
    )?;
    if report.payloads != report.payloads_in_all {
        let (whole, all) = (report.payloads, counted(report.payloads_in_all, "payload"));
        writeln!(out, "{} of {all} whole", grouped(whole))?;
    }
    if report.is_whole() {
        return Ok(());
    }
    Err(Error::Damaged {
        path: dir.into(),
        findings: counted(report.damage.len() as u64, "finding"),
        hint: match report.is_derived_alone() {
            true => format!(
                ", of codes or boxes alone; `{}` makes them anew",
                rebuild(dir)
            ),
            false => String::new(),
        },
    })
}
