//! Standard output that may close early, and files that are either whole or absent.

use std::fmt::Arguments;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result};
use terminal_size::terminal_size_of;

use crate::report::wrap::wrapped;

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
    let mut file = readable(&mut tempfile::Builder::new()).tempfile_in(folder).with_context(say)?;
    content(file.as_file_mut())?;
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

/// Characters of a line of the terminal that standard output is; none where it is a pipe or a file, which get every line whole.
pub fn width() -> Option<usize> {
    terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0))
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

/// Prints a paragraph, on a terminal in lines that fit it and go on further in.
pub fn fill(indent: usize, text: &str) {
    let further = indent + 2;
    let width = width().unwrap_or(usize::MAX).saturating_sub(further);
    for (at, line) in wrapped(text, width).iter().enumerate() {
        let indent = " ".repeat(if at == 0 { indent } else { further });
        say(format_args!("{indent}{line}\n"));
    }
}

/// `println!` through [`say`].
macro_rules! sayln {
    ($($text:tt)*) => { $crate::output::say(format_args!("{}\n", format_args!($($text)*))) };
}
pub(crate) use sayln;
