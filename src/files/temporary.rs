//! Names that last as long as the process at most, and what is left of processes that were killed.
//!
//! An entry is locked as long as its process lives; one that can be locked by another was left behind.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::names;
use crate::Error;

const PREFIX: &str = ".interplay-";
const SUFFIX: &str = ".partial";

/// What is not in its place yet, or not given back: temporary files and folders, locks.
static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

pub(super) fn unfinished() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the temporary files and folders of this process, and lets none come or be renamed after it: threads that try wait for the
/// end. For a process that ends while others of its threads write.
pub fn discard_unfinished() {
    let paths = unfinished();
    for path in paths.iter() {
        // What cannot be removed now is a leftover for the next run.
        drop(if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) });
    }
    std::mem::forget(paths);
}

/// A file under a name of its own, removed in the end where it was not renamed.
pub(super) struct Temporary {
    file: File,
    path: PathBuf,
}

impl Temporary {
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        let make = |path: &Path| File::options().read(true).write(true).create_new(true).open(path);
        let (file, path) = fresh(folder, make, |file| Some(file))?;
        Ok(Self { file, path })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Renames it to `place`.
    pub(super) fn put(&self, place: &Path) -> io::Result<()> {
        let _ending = unfinished();
        fs::rename(&self.path, place)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        unfinished().remove(&self.path);
        // Where it was renamed there is nothing of that name, and no other process makes one.
        drop(fs::remove_file(&self.path));
    }
}

/// A folder under a name of its own, removed with all that it holds in the end.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    /// Locks the folder.
    _open: Option<File>,
}

impl Scratch {
    /// A new folder in `parent`, from which what killed runs left is removed.
    ///
    /// # Errors
    /// `parent` cannot be written.
    pub fn new(parent: &Path) -> Result<Self, Error> {
        // Where folders cannot be opened none can be locked, and none is taken for a leftover.
        let make = |path: &Path| fs::create_dir(path).map(|()| File::open(path).ok());
        let made = fresh(parent, make, Option::as_ref);
        let (open, path) = made.map_err(|source| super::refused(parent, source))?;
        Ok(Self { path, _open: open })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        unfinished().remove(&self.path);
        // What cannot be removed now is a leftover for the next run.
        drop(fs::remove_dir_all(&self.path));
    }
}

/// Makes and locks an entry of a name that no other has, in a folder without what killed runs left.
fn fresh<T>(
    folder: &Path,
    make: impl Fn(&Path) -> io::Result<T>,
    open: fn(&T) -> Option<&File>,
) -> io::Result<(T, PathBuf)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    tidy(folder);
    loop {
        let mut paths = unfinished();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{PREFIX}{}-{count}{SUFFIX}", std::process::id()));
        let entry = match make(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            made => made?,
        };
        // Another process may have taken it for a leftover before it was locked. A file system without locks has no leftovers to tell.
        let ours = open(&entry).is_none_or(|file| match file.try_lock() {
            Err(TryLockError::WouldBlock) => false,
            _ => names(&path, file),
        });
        if ours {
            paths.insert(path.clone());
            return Ok((entry, path));
        }
    }
}

/// Removes what killed processes left in `folder`, once for each folder in the life of this process.
fn tidy(folder: &Path) {
    static DONE: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    if !DONE.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned()) {
        return;
    }
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()).filter(|path| is_ours(path)) {
        // Opening a pipe would wait.
        let is_folder = match fs::symlink_metadata(&path).map(|there| there.file_type()) {
            Ok(kind) if kind.is_dir() || kind.is_file() => kind.is_dir(),
            _ => continue,
        };
        if File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
            // One that cannot be removed harms nobody.
            drop(if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) });
        }
    }
}

/// Whether the name is one that [`fresh`] gives.
fn is_ours(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let middle = name.and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    middle.and_then(|middle| middle.split_once('-')).is_some_and(|(process, count)| number(process) && number(count))
}
