//! What writers that died left in a database directory, and how it is taken away.
//!
//! Invariant: only files whose name, place and contents are of our making are removed, one by one, and
//! only directories that are empty then. A segment counts as ours if its files carry the uuid of the
//! database that is live: one that belongs to another may be all that is left of it.

use std::fs;
use std::io::Read;
use std::path::Path;

use uuid::Uuid;

use crate::error::{Error, Result};
use crate::header::{HEADER_BYTES, Header};
use crate::layout::{MANIFEST, SEGMENT_FILES, STAGED_SEGMENT, is_staging, segment_number};
use crate::manifest::Manifest;
use crate::regular::open_regular;

/// Removes the leftovers in `dir`. Called under LOCK, so nobody is writing. Without a manifest no
/// segment is touched.
pub(crate) fn collect(dir: &Path, live: Option<&Manifest>) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let entry = entry.map_err(Error::io("list", dir))?;
        // Follows no links: a link is none of ours.
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if is_staging(name) {
            remove_staging(&entry.path());
        }
        if let (Some(number), Some(live)) = (segment_number(name), live)
            && number != live.segment
            && is_of(&entry.path(), live)
        {
            remove_segment(&entry.path());
        }
    }
    Ok(())
}

/// Removes the files of a segment and its directory, if nothing else is in it. What cannot be removed
/// stays and is collected by a later writer.
pub(crate) fn remove_segment(segment: &Path) {
    for name in SEGMENT_FILES {
        let _ = fs::remove_file(segment.join(name));
    }
    let _ = fs::remove_dir(segment);
}

fn remove_staging(staging: &Path) {
    let segment = staging.join(STAGED_SEGMENT);
    // A link here would lead out of the directory.
    if fs::symlink_metadata(&segment).is_ok_and(|about| about.is_dir()) {
        remove_segment(&segment);
    }
    let _ = fs::remove_file(staging.join(MANIFEST));
    let _ = fs::remove_dir(staging);
}

/// Whether `segment` holds files of the database of `live`, and no others under the names of ours.
pub(crate) fn is_of(segment: &Path, live: &Manifest) -> bool {
    let present = SEGMENT_FILES
        .map(|name| segment.join(name))
        .into_iter()
        .filter(|path| path.exists());
    let mut uuids = present.map(|path| uuid_of(&path)).peekable();
    uuids.peek().is_some() && uuids.all(|uuid| uuid == Some(live.origin.uuid))
}

/// The uuid in the header of a file of ours.
fn uuid_of(path: &Path) -> Option<Uuid> {
    let mut bytes = Vec::new();
    let file = open_regular(path).ok()?;
    file.take(HEADER_BYTES as u64)
        .read_to_end(&mut bytes)
        .ok()?;
    Header::uuid(&bytes)
}
