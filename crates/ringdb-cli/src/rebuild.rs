//! `ringdb rebuild-codes`: the same database with codes and boxes made anew, or without any.

use std::io::Write;

use crate::args;
use crate::error::Error;
use crate::text::{counted, one_line};

pub(crate) fn run(args: &args::RebuildCodes, out: &mut impl Write) -> Result<(), Error> {
    let rebuilt = ringdb::rebuild_codes(&args.db, args.codes.codes(), args.boxes.boxes());
    let rebuilt = rebuilt.map_err(|error| {
        Error::library(error, |source| Error::Rebuild {
            path: args.db.clone(),
            source,
        })
    })?;
    let text = format!(
        "{}: {} of {}, {}",
        args.db.display(),
        counted(rebuilt.vectors as u64, "vector"),
        counted(rebuilt.dims as u64, "dim"),
        match (rebuilt.has_codes, rebuilt.has_prefix, rebuilt.has_boxes) {
            (false, _, false) => "without codes or boxes",
            (true, false, false) => "with codes",
            (true, true, false) => "with codes and a prefix",
            (false, _, true) => "with boxes",
            (true, false, true) => "with codes and boxes",
            (true, true, true) => "with codes, a prefix and boxes",
        }
    );
    writeln!(out, "{}", one_line(text.as_bytes(), None))?;
    Ok(())
}
