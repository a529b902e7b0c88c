//! The bytes of a file: mapped, or embedded in the program.

use std::fs::File;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::Error;

/// Read-only bytes and where they come from, for messages.
///
/// A mapped file costs address space and page cache instead of heap. The file must not be cut while it is in use; every writer of
/// this project renames a finished file into place, which leaves an open mapping intact.
#[derive(Debug)]
pub struct Bytes {
    origin: PathBuf,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Mapped(Mmap),
    Embedded(&'static [u8]),
    Owned(Vec<u8>),
}

impl Bytes {
    /// Maps the file at `path`.
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
        // SAFETY: a mapping may not change while it is borrowed as a slice. It is read-only here, and no writer of this project
        // changes a file in place; that nobody else cuts or rewrites it is the one duty left with the user, and documented above.
        let map = unsafe { Mmap::map(&file) }.map_err(io)?;
        Ok(Self { origin: path.to_owned(), content: Content::Mapped(map) })
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
        if let Content::Mapped(map) = &self.content {
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
        Error::Malformed { path: self.origin.clone(), problem: problem.into() }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.content {
            Content::Mapped(map) => map,
            Content::Embedded(bytes) => bytes,
            Content::Owned(bytes) => bytes,
        }
    }
}
