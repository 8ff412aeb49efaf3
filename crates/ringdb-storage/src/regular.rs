//! Opening files that may be anything by now: only a regular file is opened, and no open waits.

use std::fs::File;
use std::path::Path;

use crate::error::{Error, Result};
use crate::platform;

/// Opens `path` for reading if it is a regular file.
pub(crate) fn open_regular(path: &Path) -> Result<File> {
    // Opened first and looked at through the descriptor, so that nothing can be put in between. The
    // open of a FIFO would wait for its writer without the flag.
    let file = platform::open_without_waiting(path).map_err(Error::io("open", path))?;
    let about = file.metadata().map_err(Error::io("open", path))?;
    if !about.is_file() {
        return Err(Error::corrupt(path, 0, "not a regular file"));
    }
    Ok(file)
}
