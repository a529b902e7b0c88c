//! Standard output that may close early, and files that are either whole or absent.

use std::fmt::Arguments;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::Result;
use interplay::files;

pub use interplay::files::write as write_atomic;

/// As [`write_atomic`], with the content written piece by piece; nothing is left where `content` fails.
///
/// # Errors
/// Those of [`files::replace`].
pub fn write_whole(path: &Path, content: impl FnOnce(&File) -> Result<()>) -> Result<()> {
    files::replace(path, content)
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
