//! What is written and what is never destroyed: pipes, links, inputs, folders in use, folders removed, leftovers of killed runs.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use interplay_formats::file::Dtype;
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::files::{Tensor, write};
use crate::run::{command_in, interplay_in};

pub fn cases() -> Vec<Trial> {
    let unix = |name: &str, case: fn() -> Result<(), Failed>| {
        Trial::test(format!("output::{name}"), case).with_ignored_flag(!cfg!(unix))
    };
    let linux = |name: &str, case: fn() -> Result<(), Failed>| {
        Trial::test(format!("output::{name}"), case).with_ignored_flag(!cfg!(target_os = "linux"))
    };
    let traced = Command::new("strace").args(["-f", "true"]).output().is_ok_and(|output| output.status.success());
    let why = if traced { "" } else { " (no strace)" };
    vec![
        unix("a_pipe_is_written_to", a_pipe_is_written_to),
        Trial::test("output::an_input_is_never_an_output", an_input_is_never_an_output),
        Trial::test("output::a_missing_folder_of_a_file_is_an_error", a_missing_folder_of_a_file_is_an_error),
        unix("what_a_killed_run_left_is_removed", what_a_killed_run_left_is_removed),
        Trial::test(format!("output::files_reach_the_disk_before_their_name{why}"), files_reach_the_disk)
            .with_ignored_flag(!traced),
        Trial::test("output::a_folder_in_use_is_refused", a_folder_in_use_is_refused),
        unix("a_folder_removed_under_a_run_is_a_loss", a_folder_removed_under_a_run_is_a_loss),
        Trial::test("output::a_changed_cell_is_measured_again", a_changed_cell_is_measured_again),
        Trial::test("output::a_study_and_an_evaluation_agree", a_study_and_an_evaluation_agree),
        Trial::test("output::a_name_cannot_leave_the_folder", a_name_cannot_leave_the_folder),
        linux("the_memory_of_a_rehearsal_is_that_of_a_run", the_memory_of_a_rehearsal_is_that_of_a_run),
        Trial::test("output::too_many_threads_are_refused", too_many_threads_are_refused),
    ]
}

/// A file with one matrix of `rows` x 64.
fn matrix(path: &Path, rows: usize) -> Result<(), Failed> {
    let bytes = (0..rows * 64).flat_map(|i| (i as f32).to_le_bytes()).collect();
    write(path, &[Tensor { name: "w", dtype: Dtype::F32, shape: vec![rows, 64], bytes }])
}

fn refused(output: &Output, parts: &[&str]) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(parts.iter().all(|part| errors.contains(part)), "{errors}");
}

fn fine(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    errors
}

fn quantize<'a>(input: &'a str, output: &'a str) -> [&'a str; 7] {
    ["quantize", "--format", "mxfp4", "--input", input, "--output", output]
}

fn count(folder: &Path) -> Result<usize, Failed> {
    Ok(fs::read_dir(folder)?.count())
}

fn a_pipe_is_written_to() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    matrix(&at("in"), 4)?;
    fine(&interplay_in(folder.path(), &quantize("in", "file")));
    assert!(Command::new("mkfifo").arg(at("pipe")).status()?.success());
    let pipe = at("pipe");
    let reader = std::thread::spawn(move || fs::read(pipe));
    fine(&interplay_in(folder.path(), &quantize("in", "pipe")));
    let read = reader.join().map_err(|_| "the reader failed")??;
    assert!(read == fs::read(at("file"))?, "the pipe gave other bytes than the file");
    assert!(!fs::symlink_metadata(at("pipe"))?.is_file(), "the pipe was replaced by a file");
    Ok(())
}

/// Commands that make a file of the file `in`, but for the name of what they make.
const WRITING: [&[&str]; 5] = [
    &["quantize", "--format", "mxfp4", "--input", "in"],
    &["dequantize", "--input", "in"],
    &["sparsify", "--pattern", "2:4", "--input", "in"],
    &["dot", "--datapath", "ieee.fma.f32.f32", "--vectors", "in"],
    &["logits", "--model", "vit", "--input", "in"],
];

fn an_input_is_never_an_output() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    matrix(&at("in"), 4)?;
    fs::hard_link(at("in"), at("other"))?;
    let before = fs::read(at("in"))?;
    let output = ["--output", "other"];
    for command in WRITING {
        refused(&interplay_in(folder.path(), &[command, &output].concat()), &["the output other is the input in"]);
    }
    assert!(fs::read(at("in"))? == before, "the input was changed");
    fs::create_dir(at("run"))?;
    fs::write(at("run/data.csv"), "study,x\norders,1\n")?;
    refused(&interplay_in(folder.path(), &["report", "run", "--out", "run/data.csv"]), &["is the input run/data.csv"]);
    assert_eq!(fs::read_to_string(at("run/data.csv"))?, "study,x\norders,1\n");
    Ok(())
}

fn a_missing_folder_of_a_file_is_an_error() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    matrix(&at("in"), 4)?;
    let output = ["--output", "missing/out"];
    for command in WRITING {
        let parts = ["cannot write missing/out", "there is no folder missing"];
        refused(&interplay_in(folder.path(), &[command, &output].concat()), &parts);
    }
    refused(&interplay_in(folder.path(), &["report", ".", "--out", "missing/page"]), &["there is no folder missing"]);
    assert_eq!(count(folder.path())?, 1, "a refused command left something");
    // A folder for output is made.
    fine(&interplay_in(folder.path(), &["cost", "--gemm", "16x16x16", "--format", "mxfp8", "--out", "a/b"]));
    assert!(at("a/b/cost.json").is_file());
    Ok(())
}

fn leftovers(folder: &Path) -> Result<usize, Failed> {
    let names = fs::read_dir(folder)?.map(|entry| entry.map(|e| e.file_name().to_string_lossy().into_owned()));
    let names: Vec<String> = names.collect::<std::io::Result<_>>()?;
    Ok(names.iter().filter(|name| name.starts_with(".interplay-")).count())
}

/// Waits until something holds, for a minute at most.
fn wait(mut holds: impl FnMut() -> bool) -> Result<(), Failed> {
    let since = Instant::now();
    while !holds() {
        if since.elapsed() > Duration::from_secs(60) {
            return Err("waited for nothing".into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn what_a_killed_run_left_is_removed() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    matrix(&folder.path().join("large"), 1 << 18)?;
    matrix(&folder.path().join("small"), 4)?;
    let mut child = command_in(folder.path(), &quantize("large", "out")).stdout(Stdio::null()).spawn()?;
    wait(|| leftovers(folder.path()).is_ok_and(|count| count > 0))?;
    child.kill()?;
    child.wait()?;
    assert_eq!(leftovers(folder.path())?, 1, "the run was not killed while it wrote");
    fine(&interplay_in(folder.path(), &quantize("small", "out")));
    assert_eq!(leftovers(folder.path())?, 0, "what the killed run left is still there");
    Ok(())
}

fn files_reach_the_disk() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let traced = |arguments: &[&str]| -> Result<Vec<String>, Failed> {
        let mut command = Command::new("strace");
        command.args(["-f", "-o", "trace", "-e", "trace=fsync,rename,renameat,renameat2", "-y"]);
        command.arg(env!("CARGO_BIN_EXE_interplay")).args(arguments).current_dir(folder.path());
        fine(&command.output()?);
        Ok(fs::read_to_string(folder.path().join("trace"))?.lines().map(str::to_owned).collect())
    };
    matrix(&folder.path().join("in"), 4)?;
    let study = ["study", "orders", "--model", "vit", "--formats", "int8", "--sparsity", "dense", "--windows", "4"];
    let runs = [
        (traced(&quantize("in", "out"))?, 1),
        (traced(&[&study[..], &["--out", "run"]].concat())?, crate::engine::FILES.len() + 1),
    ];
    for (calls, files) in runs {
        let renames: Vec<usize> = (0..calls.len()).filter(|&i| calls[i].contains("rename")).collect();
        assert!(renames.len() >= files, "{calls:#?}");
        for at in renames {
            let synced =
                |call: Option<&String>, what: &str| call.is_some_and(|c| c.contains("fsync(") && c.contains(what));
            assert!(at > 0 && synced(calls.get(at - 1), ".partial>"), "renamed before it was on the disk: {calls:#?}");
            assert!(synced(calls.get(at + 1), ">"), "the name is not on the disk: {calls:#?}");
        }
    }
    Ok(())
}

/// A study whose cells take a while each.
const STUDY: [&str; 14] = [
    "study",
    "orders",
    "--model",
    "vit",
    "--formats",
    "int8,mxfp4,hbfp6",
    "--sparsity",
    "dense,2:4,1:4",
    "--windows",
    "200",
    "--jobs",
    "1",
    "--out",
    "run",
];

fn cells(run: &Path) -> usize {
    let names = fs::read_dir(run.join(".cells")).into_iter().flatten().flatten();
    names.filter(|entry| entry.file_name().len() == "0123456789abcdef0123456789abcdef.json".len()).count()
}

fn a_folder_in_use_is_refused() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let run = folder.path().join("run");
    let mut first = command_in(folder.path(), &STUDY).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    wait(|| cells(&run) > 0)?;
    for arguments in [&STUDY[..], &["study", "methods", "--quick", "--out", "run"]] {
        refused(&interplay_in(folder.path(), arguments), &["run is in use by another run", "another folder"]);
    }
    assert!(first.try_wait()?.is_none(), "the first run had ended");
    first.kill()?;
    first.wait()?;
    // A lock ends with its process.
    fine(&interplay_in(folder.path(), &STUDY));
    assert!(!run.join(".lock").exists());
    Ok(())
}

fn a_folder_removed_under_a_run_is_a_loss() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let run = folder.path().join("run");
    for remove in [".", ".cells"] {
        let child = command_in(folder.path(), &STUDY).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        wait(|| cells(&run) > 1)?;
        fs::rename(run.join(remove).canonicalize()?, folder.path().join("away"))?;
        let output = child.wait_with_output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(
            errors.matches("lost: vit ").count() >= 2 && errors.contains("cells were lost, because run"),
            "{errors}"
        );
        fs::remove_dir_all(folder.path().join("away"))?;
        drop(fs::remove_dir_all(&run));
    }
    Ok(())
}

/// A study of few cells.
const SMALL: [&str; 12] =
    ["study", "orders", "--model", "vit", "--formats", "int8", "--sparsity", "2:4", "--windows", "8", "--out", "run"];

fn a_changed_cell_is_measured_again() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    fine(&interplay_in(folder.path(), &SMALL));
    let kept = folder.path().join("run/.cells");
    let files = fs::read_dir(&kept)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    let cell = files.iter().find(|path| path.file_stem().is_some_and(|stem| stem.len() == 32)).ok_or("no cell")?;
    let before = fs::read_to_string(cell)?;
    let mut object: Value = serde_json::from_str(&before)?;
    object["result"]["metric"]["value"] = 0.5.into();
    let changed = object.to_string();
    assert!(changed != before);
    fs::write(cell, &changed)?;
    let fell = interplay_in(folder.path(), &["merge", "run", "--out", "whole"]);
    assert_eq!(fell.status.code(), Some(1), "a changed cell was merged");
    assert!(String::from_utf8_lossy(&fell.stderr).contains("was changed since it was measured"));
    let said = fine(&interplay_in(folder.path(), &SMALL));
    assert!(said.contains("was changed since it was measured: it is measured again"), "{said}");
    assert!(fs::read_to_string(cell)? == before, "the cell has another result");
    let said = fine(&interplay_in(folder.path(), &SMALL));
    assert!(!said.contains("changed"), "{said}");
    Ok(())
}

fn a_study_and_an_evaluation_agree() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    fine(&interplay_in(folder.path(), &SMALL));
    let eval = ["eval", "--model", "vit", "--format", "int8", "--sparsity", "2:4", "--windows", "8", "--json"];
    for order in ["sq", "qs"] {
        let output = interplay_in(folder.path(), &[&eval[..], &["--order", order]].concat());
        fine(&output);
        let alone: Value = serde_json::from_slice(&output.stdout)?;
        let lines = fs::read_to_string(folder.path().join("run/results.jsonl"))?;
        let cells = lines.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
        let cell = cells.iter().find(|cell| cell["order"] == order).ok_or("no such cell")?;
        for part in ["metric", "fp32", "footprint_bits", "cycles", "energy_pj"] {
            assert_eq!(cell[part].to_string(), alone[part].to_string(), "{order} {part}");
        }
    }
    Ok(())
}

fn a_name_cannot_leave_the_folder() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let inner = folder.path().join("inner/most");
    fs::create_dir_all(&inner)?;
    for name in ["../../x", "/interplay-x", "", ".", "..", "a/b"] {
        let text = format!("study = 'orders'\nname = '{name}'\nmodels = ['vit']\nformats = ['int8']\n");
        fs::write(inner.join("mine.toml"), text)?;
        refused(&interplay_in(&inner, &["study", "mine.toml"]), &["mine.toml", "cannot name a folder"]);
    }
    assert_eq!((count(folder.path())?, count(&inner)?), (1, 1), "a refused study left something");
    assert!(!Path::new("/interplay-x").exists());
    Ok(())
}

/// MiB that a run of `arguments` had resident at its peak.
fn peak(folder: &Path, arguments: &[&str]) -> Result<f64, Failed> {
    let mut child = command_in(folder, arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0.0_f64;
    while child.try_wait()?.is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        most = line.and_then(|kib| kib.parse::<f64>().ok()).map_or(most, |kib| most.max(kib / 1024.0));
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(most)
}

fn the_memory_of_a_rehearsal_is_that_of_a_run() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    for (model, jobs) in [("vit", "1"), ("lm", "2")] {
        let study = ["study", "orders", "--model", model, "--formats", "int8,mxfp4", "--sparsity", "dense,2:4"];
        let study = [&study[..], &["--jobs", jobs, "--out", model]].concat();
        let study = [&study[..], if model == "vit" { &["--windows", "400"][..] } else { &["--windows", "8"] }].concat();
        let output = interplay_in(folder.path(), &[&study[..], &["--dry-run"]].concat());
        fine(&output);
        let text = String::from_utf8(output.stdout)?;
        let said = text.rsplit_once(" MiB of memory").and_then(|(before, _)| before.rsplit_once(' '));
        let said: f64 = said.ok_or("no memory")?.1.parse()?;
        let seen = peak(folder.path(), &study)?;
        assert!((0.8..=1.2).contains(&(said / seen)), "{model}: {said} MiB were said and {seen} MiB seen");
    }
    Ok(())
}

fn too_many_threads_are_refused() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    for (threads, part) in [("1025", "at most 1024"), ("100000", "at most 1024"), ("many", "whole number")] {
        refused(&interplay_in(folder.path(), &["list", "formats", "--threads", threads]), &[part]);
    }
    fine(&interplay_in(folder.path(), &["list", "formats", "--threads", "2"]));
    Ok(())
}
