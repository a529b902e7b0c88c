//! The bytes of a file: mapped, or embedded in the program.

use std::fs::File;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::Error;
use crate::formats::shortened;

/// Bytes up to which a file is read rather than mapped: nothing is gained there, and what was read nobody can cut.
const SMALL: u64 = 64 << 10;

/// Read-only bytes and where they come from, for messages.
///
/// A mapped file costs address space and page cache instead of heap. The file must not be cut while it is in use: readers look at
/// its length before they take a tensor, but a cut between the two ends the process by a signal. Every writer of this project renames
/// a finished file into place, which leaves an open mapping intact.
#[derive(Debug)]
pub struct Bytes {
    origin: PathBuf,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Mapped { map: Mmap, file: File },
    Embedded(&'static [u8]),
    Owned(Vec<u8>),
}

impl Bytes {
    /// Maps the file at `path`; a small one is read.
    ///
    /// # Errors
    /// The file is missing, unreadable, or not a regular file.
    pub fn map(path: &Path) -> Result<Self, Error> {
        let io = |source| Error::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if !metadata.is_file() {
            return Err(Error::Malformed { path: path.to_owned(), problem: "this is not a regular file".into() });
        }
        if metadata.len() == 0 {
            return Err(Error::Malformed { path: path.to_owned(), problem: "the file is empty".into() });
        }
        if metadata.len() <= SMALL {
            let bytes = super::bounded::read(path).map_err(io)?;
            return Ok(Self { origin: path.to_owned(), content: Content::Owned(bytes) });
        }
        // SAFETY: a mapping may not change while it is borrowed as a slice. It is read-only here, and no writer of this project
        // changes a file in place; that nobody else cuts or rewrites it is the one duty left with the user, and documented above.
        let map = unsafe { Mmap::map(&file) }.map_err(io)?;
        Ok(Self { origin: path.to_owned(), content: Content::Mapped { map, file } })
    }

    /// Bytes that are part of the program; `origin` names them in messages.
    pub fn embedded(origin: &str, bytes: &'static [u8]) -> Self {
        Self { origin: origin.into(), content: Content::Embedded(bytes) }
    }

    /// Bytes in memory; `origin` names them in messages.
    pub fn owned(origin: &str, bytes: Vec<u8>) -> Self {
        Self { origin: origin.into(), content: Content::Owned(bytes) }
    }

    /// The path or the name given to the bytes.
    pub fn origin(&self) -> &Path {
        &self.origin
    }

    /// Tells the system that the pages of `range` are done with, so that what was read once does not stay in memory. Bytes that are
    /// asked for again come back from the file.
    pub(super) fn release(&self, range: &Range<usize>) {
        #[cfg(unix)]
        if let Content::Mapped { map, .. } = &self.content {
            // SAFETY: the advice discards pages. These are of a file mapping that is never written, so they hold nothing that the file
            // does not, and a slice of them stays valid: its next read maps the same bytes.
            let advice =
                unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, range.len()) };
            // A refusal costs memory and nothing else.
            drop(advice);
        }
    }

    /// The error for a file that is not what its name says.
    pub(crate) fn malformed(&self, problem: impl Into<String>) -> Error {
        let problem = shortened(&problem.into()).into_owned();
        Error::Malformed { path: self.origin.clone(), problem }
    }

    /// Refuses a file that was cut since it was mapped, whose pages the system would answer with a signal. What is cut between
    /// this look and the use of the bytes is beyond it.
    ///
    /// # Errors
    /// The file is shorter than its mapping.
    pub fn check_length(&self) -> Result<(), Error> {
        let Content::Mapped { map, file } = &self.content else { return Ok(()) };
        let metadata = file.metadata().map_err(|source| Error::Io { path: self.origin.clone(), source })?;
        if metadata.len() < map.len() as u64 {
            let problem =
                format!("the file had {} bytes and now has {}; it was cut while in use", map.len(), metadata.len());
            return Err(self.malformed(problem));
        }
        Ok(())
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.content {
            Content::Mapped { map, .. } => map,
            Content::Embedded(bytes) => bytes,
            Content::Owned(bytes) => bytes,
        }
    }
}
