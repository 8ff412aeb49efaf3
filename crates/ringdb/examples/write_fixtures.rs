//! Writes the fixtures of format version 1 below a folder: `write_fixtures FOLDER`.
//!
//! Those in `tests/fixtures/v1` were written by this program and stay as they are: they show that later
//! versions of the library read what this one wrote. A fixture that is there already is left alone.

#[path = "../tests/it/contents.rs"]
mod contents;

use std::error::Error;
use std::fs;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or("usage: write_fixtures FOLDER")?;
    for fixture in contents::FIXTURES {
        let dir = folder.join(fixture.name);
        if dir.exists() {
            println!("{} is there already", dir.display());
            continue;
        }
        fixture.build(&dir)?;
        // Names a process of this machine, and no reader needs it.
        fs::remove_file(dir.join("LOCK"))?;
        println!("{} written", dir.display());
    }
    Ok(())
}
