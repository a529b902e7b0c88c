//! Amounts that are more or less than there is, help texts, and readers that go away.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use libtest_mimic::{Failed, Trial};

use crate::run::{command_in, interplay};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("flags::no_windows_are_refused", no_windows_are_refused),
        Trial::test("flags::more_windows_than_there_are", more_windows_than_there_are),
        Trial::test("flags::help_has_plain_quotes", help_has_plain_quotes),
        Trial::test("flags::a_reader_that_goes_away_is_no_error", a_reader_that_goes_away_is_no_error),
    ]
}

fn no_windows_are_refused() -> Result<(), Failed> {
    for command in [&["eval", "--model", "lm"][..], &["eval", "--model", "vit"], &["study", "orders"]] {
        let (code, out, err) = interplay(&[command, &["--windows", "0"]].concat());
        assert!(code == 2 && out.is_empty(), "{command:?}: {out}{err}");
        assert!(err.contains("--windows 0") && err.contains("at least 1"), "{command:?}: {err}");
    }
    Ok(())
}

fn more_windows_than_there_are() -> Result<(), Failed> {
    let (code, out, err) = interplay(&["eval", "--model", "vit", "--windows", "100000", "--json"]);
    assert_eq!(code, 0, "{err}");
    let object: serde_json::Value = serde_json::from_str(&out)?;
    let count = object["windows"].as_u64().ok_or("no number")?;
    assert!(count < 100_000, "{count}");
    assert!(err.contains("--windows 100000") && err.contains(&format!("there are {count} images in heldout")), "{err}");
    // Three windows, all of which are asked for.
    let (code, _, err) = interplay(&["eval", "--model", "lm", "--windows", "3", "--window", "16"]);
    assert_eq!((code, err.as_str()), (0, ""));
    Ok(())
}

fn help_has_plain_quotes() -> Result<(), Failed> {
    for command in ["compress", "sweep", "study", "eval", "finetune"] {
        let (code, out, _) = interplay(&[command, "--help"]);
        assert!(code == 0 && !out.contains("\\\""), "{command}: {out}");
    }
    Ok(())
}

fn a_reader_that_goes_away_is_no_error() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    for arguments in [
        &["completions", "bash"][..],
        &["completions", "zsh"],
        &["list", "datapaths", "--json"],
        &["format", "e4m3", "--json"],
        &["--help"],
        &["study", "--help"],
    ] {
        let mut command = command_in(folder.path(), arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut reader = BufReader::with_capacity(1, child.stdout.take().ok_or("no output")?);
        reader.read_line(&mut String::new())?;
        drop(reader);
        let output = child.wait_with_output()?;
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(0) && words.is_empty(), "{arguments:?}: {:?} {words}", output.status);
    }
    Ok(())
}
