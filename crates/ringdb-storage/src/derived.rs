//! Files of a segment whose bytes can be computed again from its rows.
//!
//! What the bytes mean is known to whoever computes them. Invariant: they begin at a multiple of 64, in
//! memory as in a file, and a damaged block does not pass [`Derived::verify`].

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::append::AppendFile;
use crate::body::{Body, Verify};
use crate::contents::{Access, MappedFile};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::footer::{Frame, file_bytes};
use crate::header::Header;
use crate::layout::{DERIVED_FILES, Kind};
use crate::manifest::{FileEntry, Manifest};
use crate::mapped::GrowingMemory;

/// The bytes of a derived file, ready to be read.
#[derive(Debug)]
pub struct Derived(Body);

impl Derived {
    /// Opens the derived file `path` and checks of it what `verify` says.
    pub(crate) fn open(
        disk: &dyn Disk,
        path: &Path,
        kind: Kind,
        access: Access,
        verify: Verify,
    ) -> Result<(Self, Frame)> {
        let (mut body, frame) = Body::open(disk, path, kind, access, verify)?;
        frame.expect_plain(path)?;
        if verify == Verify::Open {
            body.check_all(&|_, _| Ok(()))?;
            body.settle();
        }
        Ok((Self(body), frame))
    }

    /// As [`MappedFile::renamed`].
    pub(crate) fn renamed(&mut self, path: &Path) {
        self.0.renamed(path);
    }

    /// All of them. The first lies at an address that is a multiple of 64. Under [`Verify::Lazy`] they
    /// may not have been checked: see [`Self::verify`].
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    /// The error that says of these bytes that they are not what they should be, for whoever knows what
    /// they mean.
    #[must_use]
    pub fn corrupt(&self, what: impl Into<String>) -> Error {
        self.0.corrupt(0, what)
    }

    /// Checks the bytes of `range` that were not checked before, by the checksums of the blocks of the file
    /// that they lie in. A range that reaches past the end is cut there.
    ///
    /// # Errors
    /// [`Error::Corrupt`]. Nothing is checked, and nothing found, in memory and under
    /// [`Verify::Never`].
    pub fn verify(&self, range: Range<usize>) -> Result<()> {
        self.0.checked(range).map(drop)
    }
}

/// Which derived files a database has by its MANIFEST, whatever became of the files themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DerivedNames {
    /// Whether there is a `codes.bin`.
    pub codes: bool,
    /// Whether there is a `fine.bin`.
    pub fine: bool,
    /// Whether there is a `prefix.bin`.
    pub prefix: bool,
    /// Whether there is a `blocks.bin`.
    pub blocks: bool,
    /// Whether there is an `order.bin`.
    pub order: bool,
}

impl DerivedNames {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        let [codes, fine, prefix, blocks, order] = manifest.derived.map(|entry| entry.is_some());
        Self {
            codes,
            fine,
            prefix,
            blocks,
            order,
        }
    }
}

/// Takes the bytes of the derived files of a segment as they are computed: in memory those of a segment in
/// memory, else they go to files as they come.
///
/// A file to which no byte was added does not come into being.
#[derive(Debug)]
pub struct DerivedWriter<'a> {
    codes: Sink<'a>,
    fine: Sink<'a>,
    prefix: Sink<'a>,
    blocks: Sink<'a>,
    order: Sink<'a>,
    before: Option<DerivedNames>,
}

impl<'a> DerivedWriter<'a> {
    /// For a segment in memory.
    pub(crate) fn in_memory() -> Self {
        let sink = |(kind, name)| {
            let path = PathBuf::from(format!("memory for {name}"));
            Sink::new(kind, path, Target::Memory(GrowingMemory::default()))
        };
        Self::of(DERIVED_FILES.map(sink), None)
    }

    /// For the segment in a directory, made of or in place of a database with these derived files.
    pub(crate) fn staged(disk: &'a dyn Disk, segment: &Path, before: Option<DerivedNames>) -> Self {
        let sink = |(kind, name)| Sink::new(kind, segment.join(name), Target::File(disk, None));
        Self::of(DERIVED_FILES.map(sink), before)
    }

    fn of(sinks: [Sink<'a>; DERIVED_FILES.len()], before: Option<DerivedNames>) -> Self {
        let [codes, fine, prefix, blocks, order] = sinks;
        Self {
            codes,
            fine,
            prefix,
            blocks,
            order,
            before,
        }
    }

    /// In the order of [`DERIVED_FILES`].
    fn into_sinks(self) -> [Sink<'a>; DERIVED_FILES.len()] {
        [self.codes, self.fine, self.prefix, self.blocks, self.order]
    }

    /// Which derived files the database has that this one takes the place of or is made of. `None` if there
    /// is none, or if its MANIFEST does not tell.
    #[must_use]
    pub fn before(&self) -> Option<DerivedNames> {
        self.before
    }

    /// Makes room in memory for as many more bytes of codes, fine codes and prefixes, which spares copies while
    /// they grow. Does nothing where they go to files.
    ///
    /// # Errors
    /// [`Error::Io`] if there is not as much memory.
    pub fn reserve(&mut self, codes: usize, fine: usize, prefix: usize) -> Result<()> {
        self.codes.reserve(codes)?;
        self.fine.reserve(fine)?;
        self.prefix.reserve(prefix)
    }

    /// As [`Self::reserve`], for blocks and their order.
    ///
    /// # Errors
    /// [`Error::Io`] if there is not as much memory.
    pub fn reserve_blocks(&mut self, blocks: usize, order: usize) -> Result<()> {
        self.blocks.reserve(blocks)?;
        self.order.reserve(order)
    }

    /// Adds bytes at the end of `codes.bin`. After an error the segment can no longer be committed.
    ///
    /// # Errors
    /// [`Error::Io`] if memory or disk are full.
    pub fn codes(&mut self, bytes: &[u8]) -> Result<()> {
        self.codes.append(bytes)
    }

    /// Adds bytes at the end of `fine.bin`. After an error the segment can no longer be committed.
    ///
    /// # Errors
    /// [`Error::Io`] if memory or disk are full.
    pub fn fine(&mut self, bytes: &[u8]) -> Result<()> {
        self.fine.append(bytes)
    }

    /// Adds bytes at the end of `prefix.bin`. After an error the segment can no longer be committed.
    ///
    /// # Errors
    /// [`Error::Io`] if memory or disk are full.
    pub fn prefix(&mut self, bytes: &[u8]) -> Result<()> {
        self.prefix.append(bytes)
    }

    /// Adds bytes at the end of `blocks.bin`. After an error the segment can no longer be committed.
    ///
    /// # Errors
    /// [`Error::Io`] if memory or disk are full.
    pub fn blocks(&mut self, bytes: &[u8]) -> Result<()> {
        self.blocks.append(bytes)
    }

    /// Adds bytes at the end of `order.bin`. After an error the segment can no longer be committed.
    ///
    /// # Errors
    /// [`Error::Io`] if memory or disk are full.
    pub fn order(&mut self, bytes: &[u8]) -> Result<()> {
        self.order.append(bytes)
    }

    /// Ends the writing of what is in memory, in the order of
    /// [`DERIVED_FILES`](crate::layout::DERIVED_FILES), as in [`Self::finish`].
    pub(crate) fn into_memory(self) -> Result<[Option<Derived>; DERIVED_FILES.len()]> {
        each(self.into_sinks(), Sink::into_memory)
    }

    /// Completes the files and makes them durable. Their headers say what `header` does, but for the kind
    /// and the length of the body.
    pub(crate) fn finish(self, header: Header) -> Result<[Option<FileEntry>; DERIVED_FILES.len()]> {
        each(self.into_sinks(), |sink| sink.finish(header))
    }
}

/// What becomes of each, up to the first error.
fn each<'a, R, const N: usize>(
    sinks: [Sink<'a>; N],
    become_it: impl Fn(Sink<'a>) -> Result<Option<R>>,
) -> Result<[Option<R>; N]> {
    let mut all = [const { None }; N];
    for (place, sink) in all.iter_mut().zip(sinks) {
        *place = become_it(sink)?;
    }
    Ok(all)
}

/// Takes the bytes of one derived file.
#[derive(Debug)]
struct Sink<'a> {
    kind: Kind,
    /// Its name in errors, if there is no file.
    path: PathBuf,
    target: Target<'a>,
    /// Whether bytes were refused, so that what is there is not all.
    is_broken: bool,
}

#[derive(Debug)]
enum Target<'a> {
    Memory(GrowingMemory),
    /// The file is made when the first byte comes.
    File(&'a dyn Disk, Option<AppendFile>),
}

impl<'a> Sink<'a> {
    fn new(kind: Kind, path: PathBuf, target: Target<'a>) -> Self {
        Self {
            kind,
            path,
            target,
            is_broken: false,
        }
    }

    fn reserve(&mut self, more: usize) -> Result<()> {
        match &mut self.target {
            Target::Memory(memory) => memory
                .reserve(more)
                .map_err(Error::io("allocate", &self.path)),
            Target::File(..) => Ok(()),
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let appended = self.try_append(bytes);
        self.is_broken |= appended.is_err();
        appended
    }

    fn try_append(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.reserve(bytes.len())?;
        match &mut self.target {
            Target::Memory(memory) => memory.append(bytes),
            Target::File(_, Some(file)) => file.append_all(bytes)?,
            Target::File(disk, file) => {
                let created = AppendFile::create(*disk, self.path.clone())?;
                file.insert(created).append_all(bytes)?;
            }
        }
        Ok(())
    }

    /// Whoever computes may have passed over an error; the file would then lack what was refused.
    fn check_whole(&self) -> Result<()> {
        if self.is_broken {
            let source = io::Error::other("bytes of it were refused before");
            return Err(Error::io("finish", &self.path)(source));
        }
        Ok(())
    }

    fn into_memory(self) -> Result<Option<Derived>> {
        self.check_whole()?;
        let Target::Memory(memory) = self.target else {
            return Ok(None);
        };
        let is_empty = memory.bytes().is_empty();
        let body = Body::unchecked(MappedFile::of(memory.into(), &self.path), 0);
        Ok((!is_empty).then_some(Derived(body)))
    }

    fn finish(self, header: Header) -> Result<Option<FileEntry>> {
        self.check_whole()?;
        let Target::File(_, Some(file)) = self.target else {
            return Ok(None);
        };
        let kind = self.kind;
        let file_bytes = file_bytes(file.body_bytes(), "");
        let crc = file.finish(Header { kind, ..header }, "")?;
        Ok(Some(FileEntry { file_bytes, crc }))
    }
}
