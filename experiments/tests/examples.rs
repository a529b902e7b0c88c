//! Every command that the README and the help show runs, on files that the project has, or stands in a list with the reason.

use std::fs;
use std::path::Path;

use libtest_mimic::{Failed, Trial};

use crate::run::{interplay, interplay_in};
use crate::shown;

pub fn cases() -> Vec<Trial> {
    vec![Trial::test("examples::commands_that_are_shown_run", commands_that_are_shown_run)]
}

const FETCHED: &str = "needs a download";
const YOURS: &str = "needs a file of the user's";
const LONG: &str = "takes longer than ten seconds";

/// Words of commands that are not run here, and why.
const LEFT_OUT: [(&str, &str); 32] = [
    ("interplay fetch", FETCHED),
    ("smollm2", FETCHED),
    ("minilm", FETCHED),
    ("mnist", FETCHED),
    ("finetune", "trains for minutes on a text that is fetched"),
    ("opt-125m", YOURS),
    ("./llama", YOURS),
    ("mine.toml", YOURS),
    ("grid.toml", YOURS),
    ("own.toml", YOURS),
    ("recipe.toml", YOURS),
    ("eyeriss.cfg", YOURS),
    ("kernel.safetensors", YOURS),
    ("operands.safetensors", YOURS),
    ("--prefix", YOURS),
    ("--vectors v.safetensors", YOURS),
    ("h100.safetensors", YOURS),
    ("gemm.safetensors", YOURS),
    ("a100.safetensors", YOURS),
    ("model-mxfp8.safetensors --out model-again", YOURS),
    ("lm-qs", "needs what a training of minutes leaves"),
    ("lm-wanda-mxfp4 --data", YOURS),
    ("interplay merge", "needs parts that take minutes"),
    ("interplay report", "needs a run that takes minutes"),
    ("eval --model vit", LONG),
    ("study orders", LONG),
    ("study methods", LONG),
    ("study pareto", LONG),
    ("interplay train", LONG),
    ("interplay bench", LONG),
    ("interplay compress", LONG),
    ("wgpu", "needs a GPU and a build with the feature"),
];

/// Names that examples give to files, and the committed files that stand for them.
const FILES: [(&str, &str); 5] = [
    ("model.safetensors", "models/lm/model.safetensors"),
    ("w.safetensors", "models/lm/model.safetensors"),
    ("models/lm/model.safetensors", "models/lm/model.safetensors"),
    ("recorded.safetensors", "docs/guide/kernel/kernel.safetensors"),
    ("figures/orders/data.csv", "figures/orders/data.csv"),
];

/// The help of a command and of all below it.
fn help(command: &[&str]) -> Vec<String> {
    let (code, text, errors) = interplay(&[command, &["--help"]].concat());
    assert_eq!(code, 0, "{command:?}: {errors}");
    let listed = text.split_once("Commands:\n").map_or("", |(_, list)| list.split("\n\n").next().unwrap_or_default());
    let names = listed.lines().filter_map(|line| line.strip_prefix("  ")?.split_once(' ')).map(|(name, _)| name);
    let below: Vec<String> = names
        .filter(|name| !name.is_empty() && *name != "help")
        .flat_map(|name| help(&[command, &[name]].concat()))
        .collect();
    [vec![text], below].concat()
}

fn commands_that_are_shown_run() -> Result<(), Failed> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = tempfile::tempdir()?;
    for (name, file) in FILES {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().ok_or("no folder")?)?;
        fs::copy(root.join(file), path)?;
    }
    let mut shown = shown::of_page(&fs::read_to_string(root.join("README.md"))?);
    for text in help(&[]) {
        let examples = text.split_once("Examples:\n").map_or("", |(_, examples)| examples);
        shown.extend(shown::commands(examples));
    }
    shown.sort();
    shown.dedup();
    let mut used = vec![false; LEFT_OUT.len()];
    for words in &shown {
        let line = words.join(" ");
        // The program alone is the main job.
        let reason = LEFT_OUT.iter().position(|(part, _)| line.contains(part));
        if let Some(reason) = reason {
            used[reason] = true;
        } else if words.len() > 1 {
            let arguments: Vec<&str> = words[1..].iter().map(String::as_str).collect();
            let output = interplay_in(folder.path(), &arguments);
            assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
    let stale: Vec<_> = LEFT_OUT.iter().zip(used).filter(|(_, used)| !used).map(|(left_out, _)| left_out).collect();
    assert!(stale.is_empty(), "no command is left out for {stale:?}");
    Ok(())
}
