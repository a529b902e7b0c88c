//! Standard output that may close early, and files that are either whole or absent.

use std::collections::BTreeSet;
use std::fmt::Arguments;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

/// Temporary files and folders that are not in their place yet.
static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn unfinished() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes what is not in its place yet, and lets nothing more come there: for a process that ends while others of its threads write.
pub fn discard_unfinished() {
    let paths = unfinished();
    for path in paths.iter() {
        // The process ends in any case; what cannot be removed has a temporary name.
        let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    }
    std::mem::forget(paths);
}

/// A folder that is gone when this is dropped, and when the user ends the program.
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    /// Makes one in `parent`.
    ///
    /// # Errors
    /// `parent` cannot be written to.
    pub fn within(parent: &Path) -> Result<Self> {
        let mut paths = unfinished();
        let folder = tempfile::tempdir_in(parent).with_context(|| format!("cannot write in {}", parent.display()))?;
        paths.insert(folder.path().to_owned());
        Ok(Self(folder))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        unfinished().remove(self.0.path());
    }
}

/// Writes `bytes` to `path` under a temporary name in the same folder, then renames; makes the folder if needed.
///
/// # Errors
/// The folder cannot be made or written to.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let say = || format!("cannot write {}", path.display());
    write_whole(path, |file| file.write_all(bytes).with_context(say))
}

/// As [`write_atomic`], with the content written piece by piece; nothing is left where `content` fails.
///
/// # Errors
/// The folder cannot be made or written to, or `content` fails.
pub fn write_whole(path: &Path, content: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let say = || format!("cannot write {}", path.display());
    std::fs::create_dir_all(folder).with_context(say)?;
    let mut paths = unfinished();
    let mut file = readable(&mut tempfile::Builder::new()).tempfile_in(folder).with_context(say)?;
    let temporary = file.path().to_owned();
    paths.insert(temporary.clone());
    drop(paths);
    let written = content(file.as_file_mut());
    let mut paths = unfinished();
    paths.remove(&temporary);
    written?;
    file.persist(path).with_context(say)?;
    Ok(())
}

/// Temporary files are private by default; a result is as readable as the user's mask allows.
#[cfg(unix)]
fn readable<'a, 'p, 's>(builder: &'a mut tempfile::Builder<'p, 's>) -> &'a mut tempfile::Builder<'p, 's> {
    use std::os::unix::fs::PermissionsExt;
    builder.permissions(std::fs::Permissions::from_mode(0o666))
}

#[cfg(not(unix))]
fn readable<'a, 'p, 's>(builder: &'a mut tempfile::Builder<'p, 's>) -> &'a mut tempfile::Builder<'p, 's> {
    builder
}

/// Prints to standard output; a reader that has closed it (`interplay … | head`) ends the program quietly.
pub fn say(text: Arguments<'_>) {
    if let Err(error) = std::io::stdout().write_fmt(text) {
        if error.kind() == ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        eprintln!("error: cannot print: {error}");
        std::process::exit(2);
    }
}

/// `println!` through [`say`].
macro_rules! sayln {
    ($($text:tt)*) => { $crate::output::say(format_args!("{}\n", format_args!($($text)*))) };
}
pub(crate) use sayln;
