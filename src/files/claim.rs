//! A folder that one process at a time writes to.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::temporary::unfinished;
use super::{folder, names};
use crate::Error;

/// The file that is locked; the system releases it however a process ends.
const LOCK: &str = ".lock";

/// The right to write to a folder, until it is dropped.
#[derive(Debug)]
pub struct Claim {
    folder: PathBuf,
    file: File,
    /// Whether the folder was made for it.
    made: bool,
}

impl Claim {
    /// Claims `path`, made where it is missing.
    ///
    /// # Errors
    /// Another process has it, or it cannot be made or written.
    pub fn new(path: &Path) -> Result<Self, Error> {
        let made = !path.exists();
        folder(path)?;
        let place = path.join(LOCK);
        let fail = |source| Error::Write { path: path.to_owned(), source };
        loop {
            let file = File::options().write(true).create(true).truncate(false).open(&place).map_err(fail)?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => {
                    let path = path.display();
                    return Err(Error::Invalid(format!(
                        "{path} is in use by another run; wait until it has ended, or give another folder"
                    )));
                }
                // There are file systems without locks; nothing can be told on them.
                Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Unsupported => {
                    return Err(fail(error));
                }
                _ if names(&place, &file) => {
                    unfinished().insert(place);
                    return Ok(Self { folder: path.to_owned(), file, made });
                }
                // Its former owner removed it in between.
                _ => {}
            }
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the folder is still the one that was claimed: it may have been removed since.
    pub fn holds(&self) -> bool {
        names(&self.folder.join(LOCK), &self.file)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let place = self.folder.join(LOCK);
        unfinished().remove(&place);
        if self.holds() {
            drop(fs::remove_file(place));
            if self.made {
                // Succeeds where nothing was written.
                drop(fs::remove_dir(&self.folder));
            }
        }
    }
}
