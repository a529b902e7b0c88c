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

/// Runs a study on one thread and on two; both must write exactly the files `names`, with the same bytes but for those of `timed`.
/// Gives the folder of the first run.
pub fn same_on_any_threads(
    study: &[&str],
    names: &[&str],
    timed: &[&str],
) -> Result<tempfile::TempDir, libtest_mimic::Failed> {
    let folder = tempfile::tempdir()?;
    for (out, threads) in [("a", "1"), ("b", "2")] {
        let output = interplay_in(folder.path(), &[study, &["--out", out, "--threads", threads]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let mut written: Vec<_> = std::fs::read_dir(folder.path().join("a"))?
        .map(|e| e.map(|e| e.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_, _>>()?;
    written.sort();
    assert_eq!(written, names);
    for name in names.iter().filter(|name| !timed.contains(name)) {
        let read = |run: &str| std::fs::read(folder.path().join(run).join(name));
        assert!(read("a")? == read("b")?, "{name:?} differs between one thread and two");
    }
    Ok(folder)
}

/// Runs `interplay` in a folder of its own and gives the exit code, standard output and standard error.
pub fn interplay(arguments: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = interplay_in(folder.path(), arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}
