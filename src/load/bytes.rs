//! The bytes of a file: mapped, or embedded in the program.

use std::fs::File;
use std::ops::Deref;
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
        // SAFETY: the mapping is private and read-only; the type's documentation states the one duty that remains with the user.
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
