//! What writers that died left in a database directory, and how it is taken away.
//!
//! Invariant: only files whose name, place and contents are of our making are removed, one by one, and
//! only directories that are empty then. A segment counts as ours if its files carry the uuid of the
//! database that is live: one that belongs to another may be all that is left of it. A derived file may be too
//! damaged to carry one.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::contents::{Access, MappedFile, read_start};
use crate::disk::{Disk, FileKind};
use crate::error::{Error, Result};
use crate::footer::{FOOTER_BYTES, Footer};
use crate::header::{HEADER_BYTES, Header};
use crate::layout::{
    DERIVED_FILES, Kind, MANIFEST, SEGMENT_FILES, STAGED_SEGMENT, is_staging, segment_file_names,
    segment_name, segment_number,
};
use crate::manifest::Manifest;

/// Removes the leftovers in `dir`. Called under LOCK, so nobody is writing. No segment is touched without a
/// manifest, nor where the segment that it names is not there: an older MANIFEST that was put back would
/// have the only copy of the rows removed. `own`, a staging directory that is in use, stays.
pub(crate) fn collect(
    disk: &dyn Disk,
    dir: &Path,
    live: Option<&Manifest>,
    own: Option<&Path>,
) -> Result<()> {
    let live = live.filter(|live| {
        let segment = dir.join(segment_name(live.segment));
        let uuids = SEGMENT_FILES.map(|(_, name)| uuid_of(disk, &segment.join(name)));
        uuids == [Some(live.origin.uuid); SEGMENT_FILES.len()]
    });
    for name in disk.list(dir).map_err(Error::io("list", dir))? {
        let path = dir.join(&name);
        // Follows no links: a link is none of ours.
        if !matches!(disk.kind_of_name(&path), Ok(FileKind::Dir)) {
            continue;
        }
        let Some(name) = name.to_str() else { continue };
        if is_staging(name) && own != Some(&path) {
            remove_staging(disk, &path);
        }
        if let (Some(number), Some(live)) = (segment_number(name), live)
            && number != live.segment
            && is_of(disk, &path, live)
        {
            remove_segment(disk, &path);
        }
    }
    Ok(())
}

/// Removes the files of a segment, those that others are derived from last, and its directory, if nothing
/// else is in it. What cannot be removed stays, and is collected by a later writer if what is left tells whose
/// it is.
pub(crate) fn remove_segment(disk: &dyn Disk, segment: &Path) {
    for name in segment_file_names() {
        let _ = disk.remove_file(&segment.join(name));
    }
    let _ = disk.remove_dir(segment);
}

/// Removes what a writer makes in its private directory, and that directory.
pub(crate) fn remove_staging(disk: &dyn Disk, staging: &Path) {
    let segment = staging.join(STAGED_SEGMENT);
    // A link here would lead out of the directory.
    if matches!(disk.kind_of_name(&segment), Ok(FileKind::Dir)) {
        remove_segment(disk, &segment);
    }
    let _ = disk.remove_file(&staging.join(MANIFEST));
    let _ = disk.remove_dir(staging);
}

/// Whether `segment` holds files of the database of `live`, and no others under the names of ours. A derived
/// file may be damaged so far that it does not tell: what is lost with it can be computed again. If `segment`
/// is that of `live`, `live` vouches for the derived files that it names; elsewhere such a file must be seen to
/// have been one.
pub(crate) fn is_of(disk: &dyn Disk, segment: &Path, live: &Manifest) -> bool {
    let is_own = segment.ends_with(segment_name(live.segment));
    let present = |(kind, name)| {
        let path = segment.join(name);
        disk.kind(&path).is_ok().then_some((kind, path))
    };
    let is_told = |path: &Path| uuid_of(disk, path) == Some(live.origin.uuid);
    let is_derived = |(kind, path): (Kind, PathBuf)| {
        (is_own && live.entry(kind).is_some()) || is_told(&path) || is_ruin(disk, &path)
    };
    let needed = || SEGMENT_FILES.into_iter().filter_map(present);
    let derived = || DERIVED_FILES.into_iter().filter_map(present);
    needed().chain(derived()).any(|(_, path)| is_told(&path))
        && needed().all(|(_, path)| is_told(&path))
        && derived().all(is_derived)
}

/// Whether a file is one of ours whose header is damaged: it begins like one or ends with a whole footer. A
/// whole header tells whose it is, whatever its kind and version are.
fn is_ruin(disk: &dyn Disk, path: &Path) -> bool {
    let Ok(file) = MappedFile::open_on(disk, path, Access::Map) else {
        return false;
    };
    let bytes = file.bytes();
    let footer = bytes.len().checked_sub(FOOTER_BYTES);
    let has_footer = footer.is_some_and(|at| Footer::decode(path, at, bytes).is_ok());
    !Header::is_signed(bytes) && (has_footer || Header::uuid(bytes).is_some())
}

/// The uuid in the header of a file of ours.
fn uuid_of(disk: &dyn Disk, path: &Path) -> Option<Uuid> {
    Header::uuid(&read_start(disk, path, HEADER_BYTES).ok()?)
}
