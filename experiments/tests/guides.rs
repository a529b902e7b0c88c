//! The guides: every command of theirs runs, in its order, at a reduced size.

use std::fs;
use std::path::Path;
use std::process::Command;

use libtest_mimic::{Failed, Trial};

pub fn cases() -> Vec<Trial> {
    ["architect", "researcher", "kernel"].map(|name| Trial::test(format!("guides::{name}"), move || runs(name))).into()
}

/// The reduced size, and a model and a text that ship with the project.
const SIZE: [(&str, &str); 3] = [("WINDOWS", "2"), ("WINDOW", "64"), ("SAMPLES", "2")];

fn runs(name: &str) -> Result<(), Failed> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = fs::read_to_string(root.join("docs/guide").join(name).with_extension("md"))?;
    let script = blocks(&text);
    assert!(script.contains("interplay "), "the guide has no commands");
    let folder = tempfile::tempdir()?;
    let program = Path::new(env!("CARGO_BIN_EXE_interplay")).parent().ok_or("the program is in no folder")?;
    let mut path = program.as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let model = root.join("models/lm").canonicalize()?;
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("INTERPLAY_CACHE", folder.path().join("cache"))
        .envs(SIZE)
        .env("DATA", model.join("heldout.txt"))
        .env("VECTORS", root.join("docs/guide/kernel").canonicalize()?)
        .env("MODEL", model)
        .output()?;
    let said = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes)
            .chars()
            .rev()
            .take(2000)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect::<String>()
    };
    assert!(output.status.success(), "{}\n{}", said(&output.stdout), said(&output.stderr));
    Ok(())
}

/// The blocks of shell commands, one after the other.
fn blocks(text: &str) -> String {
    let mut script = String::new();
    let mut inside = false;
    for line in text.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            _ if inside => {
                script.push_str(line);
                script.push('\n');
            }
            _ => {}
        }
    }
    script
}
