//! What a run leaves on the disk, and what it refuses to touch.

use std::fs;
use std::path::Path;

use interplay::train::finetune::{Event, Outcome, Settings, discard, finish, finished, identity, run};
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use super::small::{decoder, settings, stopped_at, viewer, whole};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("finetune::checkpoints_the_last_two_are_kept", last_two),
        Trial::test("finetune::checkpoints_a_damaged_one_gives_way_to_the_one_before", damaged),
        Trial::test("finetune::checkpoints_of_another_run_are_refused", another),
        Trial::test("finetune::a_finished_run_is_known", done),
        Trial::test("finetune::a_model_of_somebody_elses_is_left_alone", foreign),
    ]
}

fn stop_at(
    step: usize,
    settings: &Settings,
    subject: &interplay::train::finetune::Subject,
    out: &Path,
) -> Result<(), Failed> {
    let ended = run(settings, subject, out, &mut |event| !matches!(event, Event::Step(now) if now.step == step))?;
    assert_eq!(ended, Outcome::Stopped { step });
    Ok(())
}

/// The names in the folder of checkpoints, in order.
fn names(out: &Path) -> Result<Vec<String>, Failed> {
    let entries = fs::read_dir(out.join(".checkpoints"))?;
    let mut names: Vec<String> =
        entries.map(|e| e.map(|e| e.file_name().to_string_lossy().into_owned())).collect::<Result<_, _>>()?;
    names.sort();
    Ok(names)
}

/// Every file below a folder, with its bytes.
fn content(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, Failed> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => found.extend(content(&path)?),
            false => found.push((path.display().to_string(), fs::read(&path)?)),
        }
    }
    found.sort();
    Ok(found)
}

fn last_two() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let subject = decoder(&folder.path().join("start"))?;
    let out = folder.path().join("out");
    stop_at(7, &settings("sq"), &subject, &out)?;
    assert_eq!(names(&out)?, ["run.json", "step-00000006.safetensors", "step-00000007.safetensors"]);
    Ok(())
}

fn damaged() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let subject = decoder(&folder.path().join("start"))?;
    let settings = settings("qs");
    let expected = whole(&settings, &subject, &folder.path().join("whole"))?;
    let out = folder.path().join("out");
    stop_at(7, &settings, &subject, &out)?;
    let path = |step: usize| out.join(format!(".checkpoints/step-{step:08}.safetensors"));
    let flip = |step: usize| -> Result<(), Failed> {
        let mut bytes = fs::read(path(step))?;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        Ok(fs::write(path(step), bytes)?)
    };
    flip(7)?;
    // A file that a kill left half written beside them changes nothing.
    fs::write(out.join(".checkpoints/step-00000008.partial"), b"half")?;
    let mut from = None;
    let ended = run(&settings, &subject, &out, &mut |event| {
        if let Event::Resumed { step } = event {
            from = Some(step);
        }
        !matches!(event, Event::Step(now) if now.step == 7)
    })?;
    assert_eq!((from, ended), (Some(6), Outcome::Stopped { step: 7 }));
    flip(7)?;
    flip(6)?;
    let before = content(&out)?;
    let error = run(&settings, &subject, &out, &mut |_| true).err().ok_or("both are damaged")?.to_string();
    assert!(error.contains("sha256") && error.contains("--restart"), "{error}");
    assert_eq!(content(&out)?, before);
    flip(6)?;
    assert_eq!(whole(&settings, &subject, &out)?, expected);
    Ok(())
}

fn another() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let subject = decoder(&folder.path().join("start"))?;
    let out = folder.path().join("out");
    stop_at(3, &settings("qs"), &subject, &out)?;
    let before = content(&out)?;
    let refused = |settings: &Settings, subject, parts: &[&str]| -> Result<(), Failed> {
        let error = run(settings, subject, &out, &mut |_| true).err().ok_or("it was taken")?.to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        assert_eq!(content(&out)?, before, "a refused run changed the folder");
        Ok(())
    };
    let other = Settings { steps: 11, sparsity: "2:4".into(), ..settings("qs") };
    refused(
        &other,
        &subject,
        &["`settings.steps` is 10 there and 11 here", "`settings.sparsity` is \"50%\"", "--restart"],
    )?;
    // The same settings, other weights.
    let mut elsewhere = decoder(&folder.path().join("other"))?;
    let path = folder.path().join("other/model.safetensors");
    let mut bytes = fs::read(&path)?;
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&path, bytes)?;
    elsewhere.start = interplay::train::finetune::Start::open(&folder.path().join("other"))?;
    refused(&settings("qs"), &elsewhere, &["checksums.model.safetensors"])?;
    // Another version's.
    let index = out.join(".checkpoints/run.json");
    let text = fs::read_to_string(&index)?;
    let change = |from: &str, to: &str, parts: &[&str]| -> Result<(), Failed> {
        assert!(text.contains(from), "{from} is not in {text}");
        fs::write(&index, text.replace(from, to))?;
        let error = run(&settings("qs"), &subject, &out, &mut |_| true).err().ok_or("it was taken")?.to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        Ok(())
    };
    change("\"layout\": 1", "\"layout\": 2", &["layout 2", "reads 1"])?;
    let version = format!("\"interplay\": \"{}\"", env!("CARGO_PKG_VERSION"));
    change(&version, "\"interplay\": \"9.9.9\"", &["versions.interplay", "9.9.9"])?;
    change("{", "[", &["run.json"])?;
    fs::write(&index, &text)?;
    assert_eq!(content(&out)?, before);
    Ok(())
}

fn done() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let subject = decoder(&folder.path().join("start"))?;
    let (settings, out) = (settings("sq"), folder.path().join("out"));
    let identity = identity(&settings, &subject)?;
    assert_eq!(finished(&out, &identity)?, None);
    whole(&settings, &subject, &out)?;
    let mut card = identity.clone();
    card["result"] = json!(1);
    finish(&out, &card)?;
    assert!(!out.join(".checkpoints").exists());
    assert_eq!(finished(&out, &identity)?, Some(card));
    let mut other = identity;
    other["settings"]["seed"] = Value::from(2);
    let error = finished(&out, &other).err().ok_or("another run's card was taken")?.to_string();
    assert!(error.contains("`settings.seed` is 1 there and 2 here"), "{error}");
    discard(&out)?;
    assert!(!out.join("finetune.json").exists() && !out.join("config.json").exists());
    whole(&settings, &subject, &out)?;
    Ok(())
}

fn foreign() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let start = folder.path().join("start");
    let subject = decoder(&start)?;
    let before = content(&start)?;
    for out in [start.clone(), start.join("config.json")] {
        let error = run(&settings("sq"), &subject, &out, &mut |_| true).err().ok_or("it was taken")?.to_string();
        assert!(error.contains("not to be overwritten"), "{error}");
    }
    discard(&start)?;
    assert_eq!(content(&start)?, before);
    // Digits are no text.
    let digits = viewer(&folder.path().join("digits"))?;
    let mixed = interplay::train::finetune::Subject { data: digits.data, ..subject };
    let error =
        run(&settings("sq"), &mixed, &folder.path().join("out"), &mut |_| true).err().ok_or("taken")?.to_string();
    assert!(error.contains("`opt`"), "{error}");
    // A run that was stopped in mid-way ends as one that was not.
    assert!(stopped_at(&[2], &settings("sq"), &decoder(&start)?, &folder.path().join("out")).is_ok());
    Ok(())
}
