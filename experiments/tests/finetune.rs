//! `finetune`: folders that evaluate as was said, killed runs that go on with the same bytes, and what is refused.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::run::{command_in, interplay_in};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("finetune::the_folder_scores_as_was_said", scores_as_said),
        Trial::test("finetune::killed_anywhere_it_ends_with_the_same_bytes", killed_anywhere),
        Trial::test("finetune::threads_change_no_byte", threads),
        Trial::test("finetune::interrupted_it_says_so_and_goes_on", interrupted),
        Trial::test("finetune::another_run_is_refused", another_run),
        Trial::test("finetune::a_loss_that_is_not_finite_ends_with_1", diverges),
        Trial::test("finetune::a_unit_of_ones_own_is_kept_with_the_result", own_unit),
    ]
}

/// A run of a few short steps of the embedded language model.
const SMALL: [&str; 17] = [
    "finetune",
    "--data",
    "text.utf8",
    "--batch",
    "2",
    "--window",
    "16",
    "--steps",
    "6",
    "--held-out",
    "2",
    "--rate",
    "1e-3",
    "--evaluate-every",
    "2",
    "--checkpoint-every",
    "1",
];

/// A folder with a text extract of thirty documents.
fn workplace() -> Result<tempfile::TempDir, Failed> {
    const WORDS: [&str; 12] =
        ["the ", "river ", "rises ", "in ", "hills ", "and ", "reaches ", "a ", "sea ", "of ", "grey ", "stone.\n"];
    let document = |i: usize| {
        let body: String = (0..300).map(|j| WORDS[(j * j + i * j + i / 3) % WORDS.len()]).collect();
        format!("<doc id=\"{i}\" url=\"u\" title=\"T{i}\">\nT{i}\n\n{body}\n</doc>\n")
    };
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("text.utf8"), (0..30).map(document).collect::<String>())?;
    Ok(folder)
}

fn with<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&SMALL[..], arguments].concat()
}

fn done(folder: &Path, arguments: &[&str]) -> Result<String, Failed> {
    let output = interplay_in(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// The exit code and what was said of a run that is not to succeed.
fn refused(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = interplay_in(folder, arguments);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Every file of a finished run, with its bytes.
fn files(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, Failed> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        assert!(path.is_file(), "{} is left", path.display());
        found.push((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), fs::read(&path)?));
    }
    found.sort();
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    let expected = ["config.json", "finetune.json", "loss.csv", "loss.svg", "model.safetensors", "tokenizer.json"];
    assert_eq!(names, expected);
    Ok(found)
}

fn scores_as_said() -> Result<(), Failed> {
    let folder = workplace()?;
    let arguments = with(&["--recipe", "qs", "--format", "hbfp6", "--out", "out", "--json"]);
    let card: Value = serde_json::from_str(&done(folder.path(), &arguments)?)?;
    let written: Value = serde_json::from_slice(&fs::read(folder.path().join("out/finetune.json"))?)?;
    assert_eq!(card, written);
    assert_eq!((&card["settings"]["gradients"], &card["settings"]["order"]), (&"hbfp6".into(), &"qs".into()));
    assert_eq!(card["curve"].as_array().map(Vec::len), Some(3));
    let (before, after) = (&card["before"]["plan"][0], &card["after"]["plan"][0]);
    assert!(after["value"].as_f64() < before["value"].as_f64(), "{before} to {after}");
    // The held-out side of the text, as the command cuts it, evaluated by `eval`.
    let text = fs::read_to_string(folder.path().join("text.utf8"))?;
    let held_out = interplay::train::text::join(&interplay::train::text::split(&text).held_out);
    fs::write(folder.path().join("heldout.txt"), held_out)?;
    let eval = |extra: &[&str]| -> Result<Value, Failed> {
        let common = ["eval", "--model", "out", "--data", "heldout.txt", "--window", "16", "--windows", "2", "--json"];
        Ok(serde_json::from_str(&done(folder.path(), &[&common[..], extra].concat())?)?)
    };
    let cell = eval(&["--format", "hbfp6", "--sparsity", "2:4", "--order", "qs"])?;
    assert_eq!(&cell["metric"], after);
    assert_eq!(cell["fp32"], card["after"]["fp32"][0]);
    // Given again, nothing is done, and the same is printed.
    let again = interplay_in(folder.path(), &arguments);
    assert_eq!(serde_json::from_slice::<Value>(&again.stdout)?, card);
    assert!(String::from_utf8_lossy(&again.stderr).contains("is finished"));
    let words = done(folder.path(), &arguments[..arguments.len() - 1])?;
    assert!(words.contains("perplexity, under the plan") && words.contains("loss.svg"), "{words}");
    Ok(())
}

fn wait_for(path: &Path, child: &mut Child) -> Result<(), Failed> {
    let since = Instant::now();
    while !path.exists() && child.try_wait()?.is_none() && since.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn killed_anywhere() -> Result<(), Failed> {
    let folder = workplace()?;
    fn run(out: &str) -> Vec<&str> {
        with(&["--recipe", "qs", "--dropout", "0.1", "--out", out])
    }
    done(folder.path(), &run("whole"))?;
    let expected = files(&folder.path().join("whole"))?;
    let out = folder.path().join("killed");
    // At the first checkpoint, between two, at the last, and while results are written.
    let points = [
        ".checkpoints/run.json",
        ".checkpoints/step-00000003.safetensors",
        ".checkpoints/step-00000006.safetensors",
        "tokenizer.json",
        "config.json",
    ];
    for name in points {
        let mut child = command_in(folder.path(), &run("killed")).spawn()?;
        wait_for(&out.join(name), &mut child)?;
        child.kill()?;
        child.wait()?;
    }
    done(folder.path(), &run("killed"))?;
    assert!(files(&out)? == expected, "a killed run ends with other bytes");
    // At moments that nothing chooses.
    for (index, milliseconds) in [5, 120, 260, 400].into_iter().enumerate() {
        let out = format!("moment-{index}");
        let mut child = command_in(folder.path(), &run(&out)).spawn()?;
        std::thread::sleep(Duration::from_millis(milliseconds));
        child.kill()?;
        child.wait()?;
        done(folder.path(), &run(&out))?;
        assert!(
            files(&folder.path().join(&out))? == expected,
            "killed after {milliseconds} ms it ends with other bytes"
        );
    }
    Ok(())
}

fn threads() -> Result<(), Failed> {
    let folder = workplace()?;
    for recipe in ["sq", "common"] {
        let order = if recipe == "common" { &["--order", "sq"][..] } else { &[] };
        let run = |out, threads| [&with(&["--recipe", recipe, "--out", out, "--threads", threads])[..], order].concat();
        done(folder.path(), &run("one", "1"))?;
        done(folder.path(), &run("two", "2"))?;
        assert!(
            files(&folder.path().join("one"))? == files(&folder.path().join("two"))?,
            "{recipe}: threads change bytes"
        );
        for out in ["one", "two"] {
            fs::remove_dir_all(folder.path().join(out))?;
        }
    }
    Ok(())
}

fn interrupted() -> Result<(), Failed> {
    let folder = workplace()?;
    let more = |word| if word == "6" { "40" } else { word };
    let arguments = |out| with(&["--recipe", "sq", "--out", out]).into_iter().map(more).collect::<Vec<&str>>();
    let mut child = command_in(folder.path(), &arguments("out")).spawn()?;
    wait_for(&folder.path().join("out/.checkpoints/run.json"), &mut child)?;
    Command::new("kill").args(["-INT", &child.id().to_string()]).status()?;
    assert_eq!(child.wait()?.code(), Some(130));
    assert!(!folder.path().join("out/config.json").exists());
    let output = interplay_in(folder.path(), &arguments("out"));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && err.contains("going on after step"), "{err}");
    done(folder.path(), &arguments("whole"))?;
    assert!(files(&folder.path().join("out"))? == files(&folder.path().join("whole"))?);
    Ok(())
}

fn another_run() -> Result<(), Failed> {
    let folder = workplace()?;
    done(folder.path(), &with(&["--recipe", "sq", "--out", "out"]))?;
    let before = files(&folder.path().join("out"))?;
    let (code, err) = refused(folder.path(), &with(&["--recipe", "sq", "--seed", "2", "--out", "out"]));
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("`settings.seed` is 1 there and 2 here") && err.contains("--restart"), "{err}");
    assert!(files(&folder.path().join("out"))? == before, "a refused run changed the folder");
    done(folder.path(), &with(&["--recipe", "sq", "--seed", "2", "--out", "out", "--restart"]))?;
    assert!(files(&folder.path().join("out"))? != before);
    // A folder with a model of somebody else's is not written over, not even anew.
    fs::remove_file(folder.path().join("out/finetune.json"))?;
    let (code, err) = refused(folder.path(), &with(&["--recipe", "sq", "--out", "out", "--restart"]));
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("not to be overwritten"), "{err}");
    Ok(())
}

fn diverges() -> Result<(), Failed> {
    let folder = workplace()?;
    let arguments: Vec<&str> = with(&["--recipe", "qs", "--out", "out"]);
    let arguments: Vec<&str> = arguments.into_iter().map(|word| if word == "1e-3" { "1e30" } else { word }).collect();
    let (code, err) = refused(folder.path(), &arguments);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("stopped: ") && err.contains("checkpoint"), "{err}");
    assert!(!folder.path().join("out/config.json").exists());
    Ok(())
}

fn own_unit() -> Result<(), Failed> {
    let folder = workplace()?;
    let unit = "[datapath]\nname = \"own\"\ninputs = \"blocks\"\naccumulator = \"e8m7\"\nrounding = \"toward-zero\"\n";
    fs::write(folder.path().join("own.toml"), unit)?;
    let arguments = ["--recipe", "common", "--sparsity", "dense", "--datapath", "own.toml", "--out", "out", "--json"];
    let card: Value = serde_json::from_str(&done(folder.path(), &with(&arguments))?)?;
    assert_eq!((&card["settings"]["datapath"], &card["settings"]["datapath_record"]), (&"own".into(), &unit.into()));
    assert_ne!(card["after"]["plan"], card["after"]["fp32"]);
    Ok(())
}
