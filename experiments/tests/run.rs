//! Runs the program.

use std::path::Path;
use std::process::{Command, Output};

/// `interplay` with `arguments` in `folder`, with an empty cache, not started yet.
pub fn command_in(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_interplay"));
    command.args(arguments).current_dir(folder).env("INTERPLAY_CACHE", folder.join("cache"));
    command
}

/// Runs `interplay` with `arguments` in `folder`, with an empty cache.
pub fn interplay_in(folder: &Path, arguments: &[&str]) -> Output {
    command_in(folder, arguments).output().expect("the program starts")
}

/// Runs `interplay` in a folder of its own and gives the exit code, standard output and standard error.
pub fn interplay(arguments: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = interplay_in(folder.path(), arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}
