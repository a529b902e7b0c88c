//! What is printed on a terminal fits it; what goes through a pipe is whole.

use std::process::{Command, Stdio};

use libtest_mimic::{Failed, Trial};

use crate::run::interplay;

pub fn cases() -> Vec<Trial> {
    // A terminal is made by util-linux's `script`.
    let version = Command::new("script").arg("--version").output();
    let there = version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("util-linux"));
    let in_terminal = |name: &str, case: fn() -> Result<(), Failed>| {
        let missing = if there { "" } else { " (no `script` of util-linux)" };
        Trial::test(format!("terminal::{name}{missing}"), case).with_ignored_flag(!there)
    };
    vec![
        in_terminal("lists_fit", lists_fit),
        in_terminal("tables_of_numbers_fit", tables_of_numbers_fit),
        in_terminal("answers_and_help_fit", answers_and_help_fit),
        Trial::test("terminal::nothing_is_cut_in_a_pipe", nothing_is_cut_in_a_pipe),
    ]
}

const WIDTHS: [usize; 2] = [80, 140];

/// What a command prints on a terminal of so many columns.
fn shown(columns: usize, command: &str) -> Result<String, Failed> {
    let folder = tempfile::tempdir()?;
    let program = env!("CARGO_BIN_EXE_interplay");
    let line = format!("stty cols {columns} rows 50; '{program}' {command} 2>errors");
    let output = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .current_dir(folder.path())
        .env("INTERPLAY_CACHE", folder.path().join("cache"))
        // Colours are characters that take no room.
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()?;
    let errors = std::fs::read_to_string(folder.path().join("errors"))?;
    assert!(output.status.success(), "{command}: {errors}");
    Ok(String::from_utf8(output.stdout)?.replace('\r', ""))
}

/// What it prints on a terminal, where no line is too long.
fn fitted(columns: usize, command: &str) -> Result<String, Failed> {
    let text = shown(columns, command)?;
    let long: Vec<&str> = text.lines().filter(|line| line.chars().count() > columns).collect();
    assert!(!text.is_empty() && long.is_empty(), "{command} at {columns} columns: {long:#?}");
    Ok(text)
}

/// The text without what breaks it into lines.
fn letters(text: &str) -> Vec<char> {
    let mut letters: Vec<char> = text.chars().filter(|letter| !letter.is_whitespace() && *letter != '-').collect();
    letters.sort_unstable();
    letters
}

fn lists_fit() -> Result<(), Failed> {
    let all = "formats datapaths accelerators cycle-models prices models data studies methods rules roundings";
    for what in all.split(' ') {
        let (_, whole, _) = interplay(&["list", what]);
        for columns in WIDTHS {
            let text = fitted(columns, &format!("list {what}"))?;
            assert!(letters(&text) == letters(&whole), "list {what} at {columns} columns lacks something");
        }
    }
    fitted(80, "list methods ria")?;
    fitted(80, "list datapaths hopper.wgmma")?;
    Ok(())
}

fn tables_of_numbers_fit() -> Result<(), Failed> {
    for columns in WIDTHS {
        fitted(columns, "trace --model lm --window 8 --format mxfp8")?;
        let text = fitted(columns, "study orders --model lm --formats int8 --sparsity dense --windows 2 --dry-run")?;
        assert!(text.contains("lm int8 dense none"), "{text}");
    }
    Ok(())
}

fn answers_and_help_fit() -> Result<(), Failed> {
    for columns in WIDTHS {
        let small = "study orders --model lm --formats int8,mxfp4 --sparsity 2:4 --window 32 --windows 2 --out run";
        let text = fitted(columns, small)?;
        assert_eq!(text.lines().last(), Some("report: run/caption.md"), "{text}");
        fitted(columns, "study --help")?;
        fitted(columns, "compress --help")?;
    }
    Ok(())
}

fn nothing_is_cut_in_a_pipe() -> Result<(), Failed> {
    let (_, json, _) = interplay(&["list", "formats", "--json"]);
    let formats: Vec<serde_json::Value> = serde_json::from_str(&json)?;
    let (_, text, _) = interplay(&["list", "formats"]);
    for format in &formats {
        let source = format["source"].as_str().ok_or("a format without a source")?;
        assert!(text.lines().any(|line| line.ends_with(source)), "`{source}` is not in a line of its format");
    }
    Ok(())
}
