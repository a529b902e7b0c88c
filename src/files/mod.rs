//! Files that are written whole or not at all, and folders that one process has for itself.
//!
//! Every file of the workspace is written by [`replace`]: under a name of its own in the folder of the target, to the disk, then renamed.
//! What is no regular file (a device, a pipe) is written to and never replaced; a symbolic link stays, and what it names is replaced.

mod claim;
mod temporary;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek, Write};
use std::path::{Path, PathBuf};

pub use claim::Claim;
use temporary::Temporary;
pub use temporary::{Scratch, discard_unfinished};

use crate::Error;

/// Symbolic links that are followed, one after the other, before they are taken for a circle.
const LINKS: usize = 40;

/// Writes `bytes` to `path` as [`replace`] does.
///
/// # Errors
/// Those of [`replace`].
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    replace(path, |mut file| file.write_all(bytes).map_err(|source| refused(path, source)))
}

/// Writes what `content` writes to `path`: the file is there whole, or as it was before. It and its folder's entry are on the disk when
/// this returns. What killed runs left in the folder is removed.
///
/// # Errors
/// There is no such folder, it cannot be written, the disk is full, or `content` fails.
pub fn replace<E: From<Error>>(path: &Path, content: impl FnOnce(&File) -> Result<(), E>) -> Result<(), E> {
    let fail = |source| refused(path, source);
    match target(path)? {
        Target::File(place) => {
            let folder = parent(&place);
            let written = Temporary::new(folder).map_err(fail)?;
            content(written.file())?;
            written.file().sync_all().map_err(fail)?;
            written.put(&place).map_err(fail)?;
            sync(folder).map_err(fail)?;
        }
        Target::Stream => {
            // Content may be written in any order, which a stream does not take.
            let written = Temporary::new(&std::env::temp_dir()).map_err(fail)?;
            content(written.file())?;
            let mut file = written.file();
            let copied = file.rewind().and_then(|()| {
                let mut stream = OpenOptions::new().write(true).open(path)?;
                io::copy(&mut file, &mut stream)
            });
            copied.map_err(fail)?;
        }
    }
    Ok(())
}

/// That `output` can be written and is none of `inputs`, by whatever name; what [`replace`] would refuse at the end is refused before
/// anything is done.
///
/// # Errors
/// It is an input, a folder, or in no folder.
pub fn ready(output: &Path, inputs: &[&Path]) -> Result<(), Error> {
    target(output)?;
    match inputs.iter().find(|input| same(input, output)) {
        Some(input) => {
            let (output, input) = (output.display(), input.display());
            Err(Error::Invalid(format!("the output {output} is the input {input}; give another file to write")))
        }
        None => Ok(()),
    }
}

/// Makes the folder for a command's output, with those above it.
///
/// # Errors
/// There is a file of that name, or it cannot be made.
pub fn folder(path: &Path) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    if path.exists() {
        return Err(Error::Invalid(format!("{} is a file; give a folder", path.display())));
    }
    let made = fs::create_dir_all(path).and_then(|()| sync(parent(path)));
    made.map_err(|source| Error::Invalid(format!("cannot make the folder {}: {source}", path.display())))
}

/// Tries out that `bytes` bytes can be written in `folder`, and leaves none of them.
///
/// # Errors
/// They cannot.
pub fn room(folder: &Path, bytes: usize) -> Result<(), Error> {
    let fail = |source| refused(folder, source);
    let tried = Temporary::new(folder).map_err(fail)?;
    tried.file().write_all(&vec![b' '; bytes]).map_err(fail)
}

/// Where bytes for a path go.
enum Target {
    /// To a regular file that there is or will be, with no link in its last part.
    File(PathBuf),
    /// To a device or a pipe.
    Stream,
}

fn target(path: &Path) -> Result<Target, Error> {
    let fail = |source| refused(path, source);
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => {
            return Err(Error::Invalid(format!("{} is a folder; give the name of a file", path.display())));
        }
        Ok(there) if !there.is_file() => return Ok(Target::Stream),
        Ok(_) => return Ok(Target::File(fs::canonicalize(path).map_err(fail)?)),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(fail(error)),
    }
    // There is no such file, but there may be a link to where it is to be.
    let mut place = path.to_owned();
    for _ in 0..LINKS {
        let Ok(next) = fs::read_link(&place) else { break };
        place = parent(&place).join(next);
    }
    let folder = parent(&place);
    if place.file_name().is_none() || !folder.is_dir() {
        return Err(Error::Invalid(format!(
            "cannot write {}: there is no folder {}; make it first, or write to one that there is",
            path.display(),
            folder.display()
        )));
    }
    Ok(Target::File(place))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn refused(path: &Path, source: io::Error) -> Error {
    Error::Write { path: path.to_owned(), source }
}

/// Whether two paths name one file.
#[cfg(unix)]
fn same(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |path| fs::metadata(path).map(|there| (there.dev(), there.ino())).ok();
    place(a).is_some_and(|a| Some(a) == place(b))
}

#[cfg(not(unix))]
fn same(a: &Path, b: &Path) -> bool {
    fs::canonicalize(a).is_ok_and(|a| fs::canonicalize(b).is_ok_and(|b| a == b))
}

/// Whether `path` still names the open file.
#[cfg(unix)]
fn names(path: &Path, file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |there: fs::Metadata| (there.dev(), there.ino());
    let open = file.metadata().map(place).ok();
    open.is_some() && open == fs::metadata(path).map(place).ok()
}

/// An open file keeps its name.
#[cfg(not(unix))]
fn names(path: &Path, _file: &File) -> bool {
    path.exists()
}

/// Brings the entries of a folder to the disk.
#[cfg(unix)]
fn sync(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // Some file systems have no such thing.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

#[cfg(not(unix))]
fn sync(_folder: &Path) -> io::Result<()> {
    Ok(())
}
