//! Standard output that may close early, and files that are either whole or absent.

use std::fmt::Arguments;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;

use anyhow::Result;
use interplay::files;
use terminal_size::terminal_size_of;

use crate::report::wrap::wrapped;

pub use interplay::files::write as write_atomic;

/// As [`write_atomic`], with the content written piece by piece; nothing is left where `content` fails.
///
/// # Errors
/// Those of [`files::replace`].
pub fn write_whole(path: &Path, content: impl FnOnce(&File) -> Result<()>) -> Result<()> {
    files::replace(path, content)
}

/// Characters of a line of the terminal that standard output is; none where it is a pipe or a file, which get every line whole.
pub fn width() -> Option<usize> {
    terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0))
}

/// Prints to standard output; a reader that has closed it (`interplay … | head`) ends the program quietly.
pub fn say(text: Arguments<'_>) {
    printed(std::io::stdout().write_fmt(text));
}

/// Ends the program where standard output takes nothing more.
fn printed(result: std::io::Result<()>) {
    if let Err(error) = result {
        if error.kind() == ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        eprintln!("error: cannot print: {error}");
        std::process::exit(2);
    }
}

/// Prints a value as indented JSON, piece by piece.
///
/// # Errors
/// A value that JSON does not have.
pub fn say_json(value: &impl serde::Serialize) -> Result<()> {
    let mut out = BufWriter::new(Said);
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    Ok(out.flush()?)
}

/// Standard output as [`say`] writes to it.
struct Said;

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        printed(std::io::stdout().write_all(bytes));
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        printed(std::io::stdout().flush());
        Ok(())
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
