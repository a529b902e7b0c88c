//! The engine of the studies: kills, parts, folders that hold something else, disks without room, figures drawn again.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use libtest_mimic::{Failed, Trial};

use crate::run::{command_in, interplay_in};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("engine::a_killed_study_ends_with_the_same_bytes", a_killed_study_ends_with_the_same_bytes),
        Trial::test("engine::parts_join_to_the_whole", parts_join_to_the_whole),
        Trial::test("engine::figures_follow_from_the_table", figures_follow_from_the_table),
        Trial::test("engine::committed_figures_are_drawn_again", committed_figures_are_drawn_again),
        Trial::test("engine::a_rehearsal_writes_nothing", a_rehearsal_writes_nothing),
        Trial::test("engine::folders_of_others_are_refused", folders_of_others_are_refused),
        Trial::test("engine::a_full_disk_is_met_before_the_work", a_full_disk_is_met_before_the_work),
        Trial::test("engine::a_file_is_a_study", a_file_is_a_study),
        Trial::test("engine::inputs_of_one_name_are_told_apart", inputs_of_one_name_are_told_apart),
        Trial::test("engine::a_study_ends_with_its_answer", a_study_ends_with_its_answer),
    ]
}

/// A study of 15 cells, each a fraction of a second.
const STUDY: [&str; 10] = [
    "study",
    "orders",
    "--model",
    "vit",
    "--formats",
    "int8,mxfp4,hbfp6",
    "--sparsity",
    "dense,2:4,1:4",
    "--windows",
    "40",
];
/// What a run leaves that must not depend on how it came about.
pub const FILES: [&str; 6] = ["results.jsonl", "data.csv", "figure.svg", "caption.md", "run.json", "study.toml"];

fn same(a: &Path, b: &Path) -> Result<(), Failed> {
    for name in FILES {
        assert!(fs::read(a.join(name))? == fs::read(b.join(name))?, "{name} differs");
    }
    Ok(())
}

fn succeed(folder: &Path, arguments: &[&str]) -> Result<String, Failed> {
    let output = interplay_in(folder, arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {errors}");
    Ok(errors)
}

/// The finished cells and when each was written.
fn cells(run: &Path) -> Result<Vec<(String, SystemTime)>, Failed> {
    let mut found = Vec::new();
    for entry in fs::read_dir(run.join(".cells"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.len() == "0123456789abcdef0123456789abcdef.json".len() {
            found.push((name, entry.metadata()?.modified()?));
        }
    }
    found.sort();
    Ok(found)
}

fn a_killed_study_ends_with_the_same_bytes() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let study = |out| [&STUDY[..], &["--out", out, "--jobs", "1"]].concat();
    succeed(folder.path(), &study("whole"))?;
    // SplitMix64: moments that look random and are the same in every run of this test.
    let mut state: u64 = 9;
    let mut random = move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (z ^ (z >> 27)) % 1000
    };
    let run = folder.path().join("killed");
    let mut kept: Vec<(String, SystemTime)> = Vec::new();
    for _ in 0..20 {
        let mut child =
            command_in(folder.path(), &study("killed")).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        std::thread::sleep(Duration::from_millis(random()));
        child.kill()?;
        child.wait()?;
        if run.join(".cells").is_dir() {
            let now = cells(&run)?;
            assert!(kept.iter().all(|cell| now.contains(cell)), "a finished cell was lost or measured again");
            kept = now;
        }
    }
    succeed(folder.path(), &study("killed"))?;
    let now = cells(&run)?;
    assert!(kept.iter().all(|cell| now.contains(cell)), "a finished cell was lost or measured again");
    same(&folder.path().join("whole"), &run)
}

fn parts_join_to_the_whole() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    succeed(folder.path(), &[&STUDY[..], &["--out", "whole"]].concat())?;
    for part in ["1", "2", "3"] {
        let errors = succeed(folder.path(), &[&STUDY[..], &["--out", part, "--shard", &format!("{part}/3")]].concat())?;
        assert!(errors.contains("merge"), "{errors}");
    }
    let counts: Vec<usize> = ["1", "2", "3"].iter().map(|part| cells(&at(part)).map_or(0, |c| c.len())).collect();
    assert_eq!(counts.iter().sum::<usize>(), cells(&at("whole"))?.len(), "{counts:?}");
    let partial = interplay_in(folder.path(), &["merge", "1", "2", "--out", "two"]);
    assert_eq!(partial.status.code(), Some(1), "two of three parts are no whole");
    succeed(folder.path(), &["merge", "3", "1", "2", "--out", "three"])?;
    same(&at("whole"), &at("three"))?;
    for (name, _) in cells(&at("three"))? {
        let kept = |run: &str| fs::read(at(run).join(".cells").join(&name));
        let part = ["1", "2", "3"].iter().find_map(|part| kept(part).ok()).ok_or("a cell is of no part")?;
        assert!(kept("three")? == part, "merging changed the cell {name}");
    }
    // What was merged is a run like any other: the rest of two parts is done in their folder.
    succeed(folder.path(), &[&STUDY[..], &["--out", "two"]].concat())?;
    same(&at("whole"), &at("two"))?;
    succeed(folder.path(), &[&STUDY[..], &["--out", "other", "--preset", "all"]].concat())?;
    let mixed = interplay_in(folder.path(), &["merge", "1", "other", "--out", "mixed"]);
    assert_eq!(mixed.status.code(), Some(2), "parts of different studies");
    Ok(())
}

fn figures_follow_from_the_table() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    succeed(folder.path(), &[&STUDY[..], &["--out", "figures/mine"]].concat())?;
    let run = folder.path().join("figures/mine");
    let drawn = |name: &str| fs::read(run.join(name));
    let before = (drawn("figure.svg")?, drawn("caption.md")?);
    for name in ["figure.svg", "caption.md", "results.jsonl"] {
        fs::remove_file(run.join(name))?;
    }
    succeed(folder.path(), &["figures"])?;
    assert!(before == (drawn("figure.svg")?, drawn("caption.md")?), "what is drawn again differs");
    Ok(())
}

fn committed_figures_are_drawn_again() -> Result<(), Failed> {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../figures");
    let folder = tempfile::tempdir()?;
    let mut count = 0;
    for entry in fs::read_dir(&committed)? {
        let from = entry?.path();
        let Ok(table) = fs::read(from.join("data.csv")) else { continue };
        let name = from.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !table.starts_with(b"study,") || name.ends_with("-quick") {
            continue;
        }
        let to = folder.path().join(&name);
        fs::create_dir(&to)?;
        fs::write(to.join("data.csv"), table)?;
        succeed(folder.path(), &["figures", &name])?;
        for file in ["figure.svg", "caption.md"] {
            assert!(
                fs::read(from.join(file))? == fs::read(to.join(file))?,
                "figures/{name}/{file} is not what its table gives"
            );
        }
        count += 1;
    }
    assert!(count > 0, "no committed figure has a table");
    Ok(())
}

fn a_rehearsal_writes_nothing() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let output = interplay_in(folder.path(), &[&STUDY[..], &["--dry-run"]].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("15 cells") && text.contains("MiB") && text.contains("vit mxfp4 2:4 qs"), "{text}");
    assert_eq!(fs::read_dir(folder.path())?.count(), 0, "a rehearsal left files");
    Ok(())
}

fn folders_of_others_are_refused() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let small = [
        "study",
        "orders",
        "--model",
        "vit",
        "--formats",
        "int8",
        "--sparsity",
        "dense",
        "--windows",
        "8",
        "--out",
        "run",
    ];
    succeed(folder.path(), &small)?;
    let refused = |arguments: &[&str], parts: &[&str]| {
        let output = interplay_in(folder.path(), arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(parts.iter().all(|part| errors.contains(part)), "{errors}");
    };
    refused(&["study", "propagation", "--quick", "--out", "run"], &["study `orders`", "propagation", "--out"]);
    let mark = folder.path().join("run/.cells/study.json");
    let text = fs::read_to_string(&mark)?;
    fs::write(&mark, text.replace(env!("CARGO_PKG_VERSION"), "0.0.1"))?;
    refused(&small, &["version 0.0.1", env!("CARGO_PKG_VERSION"), "--restart"]);
    succeed(folder.path(), &[&small[..], &["--restart"]].concat())?;
    // A cell's file that was cut is no result: it is measured again.
    let cell = folder.path().join("run/.cells").join(&cells(&folder.path().join("run"))?[0].0);
    let whole = fs::read(&cell)?;
    fs::write(&cell, &whole[..whole.len() / 2])?;
    succeed(folder.path(), &small)?;
    assert!(fs::read(&cell)? == whole, "a damaged cell was not measured again");
    Ok(())
}

fn a_full_disk_is_met_before_the_work() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    // Files may not grow beyond 100 KiB, which stands for a disk without room; the signal that says so is ignored.
    let script = "trap '' XFSZ; ulimit -f 100; exec \"$@\"";
    let mut command = Command::new("bash");
    command.args(["-c", script, "bash", env!("CARGO_BIN_EXE_interplay")]).args(STUDY).args(["--out", "run"]);
    let output = command.current_dir(folder.path()).env("INTERPLAY_CACHE", folder.path().join("cache")).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("no room"), "{errors}");
    assert_eq!(cells(&folder.path().join("run"))?.len(), 0, "cells were measured that cannot be kept");
    Ok(())
}

fn a_file_is_a_study() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let text = "study = 'orders'\nmodels = ['vit']\nformats = ['fp32', 'int8']\nsparsity = ['2:4']\norders = ['qs']\naccelerators = ['systolic-128-sparse24']\nimages = 20\n";
    fs::write(folder.path().join("mine.toml"), text)?;
    succeed(folder.path(), &["study", "mine.toml"])?;
    let run = folder.path().join("figures/mine");
    let lines = fs::read_to_string(run.join("results.jsonl"))?;
    assert_eq!(lines.lines().count(), 2);
    // The file that a run writes gives the run again.
    succeed(folder.path(), &["study", "figures/mine/study.toml", "--out", "again"])?;
    assert!(fs::read(run.join("data.csv"))? == fs::read(folder.path().join("again/data.csv"))?);
    fs::write(folder.path().join("wrong.toml"), "study = 'orders'\nmodels = ['vit']\nformat = ['int8']\n")?;
    let output = interplay_in(folder.path(), &["study", "wrong.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("format"), "the key is named");
    Ok(())
}

fn inputs_of_one_name_are_told_apart() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let small = ["study", "orders", "--model", "lm", "--model", "vit", "--formats", "int8", "--sparsity", "dense"];
    succeed(folder.path(), &[&small[..], &["--window", "16", "--windows", "2", "--out", "run"]].concat())?;
    let record: serde_json::Value = serde_json::from_slice(&fs::read(folder.path().join("run/run.json"))?)?;
    let names: Vec<&String> = record["checksums"].as_object().ok_or("no checksums")?.keys().collect();
    assert_eq!(names, ["lm/data:heldout", "lm/model.safetensors", "vit/data:heldout", "vit/model.safetensors"]);
    assert_ne!(record["checksums"]["lm/data:heldout"], record["checksums"]["vit/data:heldout"]);
    Ok(())
}

/// In words, and without the marks of Markdown, tables and other people's numbers, which the caption has.
fn a_study_ends_with_its_answer() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let output = interplay_in(folder.path(), &[&STUDY[..], &["--out", "run"]].concat());
    let text = String::from_utf8(output.stdout)?;
    assert!(text.lines().count() <= 8, "{text}");
    assert!(text.contains("vit: of 6 pairs, Q→S is worse") && text.contains("S→Q: pruned, then quantised"), "{text}");
    assert!(!["**", "`", "|", "#", "published"].iter().any(|mark| text.contains(mark)), "{text}");
    assert_eq!(text.lines().last(), Some("report: run/caption.md"));
    assert!(folder.path().join("run/caption.md").is_file());
    Ok(())
}
