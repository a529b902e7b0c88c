//! `compress`: folders that load again, a killed run that goes on, nothing that is half written.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::run::{command_in, interplay_in};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("compress::both_folders_evaluate_alike", both_folders_evaluate_alike),
        Trial::test("compress::a_killed_run_goes_on", a_killed_run_goes_on),
        Trial::test("compress::another_run_is_refused", another_run_is_refused),
        Trial::test("compress::a_recipe_may_be_a_file", a_recipe_may_be_a_file),
        Trial::test("compress::what_is_refused_leaves_nothing", what_is_refused_leaves_nothing),
        Trial::test("compress::a_method_tells_its_arguments", a_method_tells_its_arguments),
    ]
}

const SMALL: [&str; 6] = ["compress", "--samples", "2", "--length", "64", "--pipeline"];

fn done(folder: &Path, arguments: &[&str]) -> Result<String, Failed> {
    let output = interplay_in(folder, arguments);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {err}");
    Ok(String::from_utf8(output.stdout)?)
}

fn both_folders_evaluate_alike() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let out = done(folder.path(), &[&SMALL[..], &["wanda(2:4), gptq(mxfp4)", "--out", "out", "--json"]].concat())?;
    let run: Value = serde_json::from_str(&out)?;
    let layers = run["layers"].as_array().ok_or("no layers")?;
    assert_eq!((layers.len(), &run["run"]["pipeline"]), (18, &Value::from("[wanda(2:4), gptq(mxfp4)]")));
    for layer in layers {
        // Rounding adds zeros to the half that was pruned.
        assert!(layer["sparsity"].as_f64() >= Some(0.5), "{layer}");
        assert_eq!(layer["on_grid"], true, "{layer}");
    }
    assert!(!folder.path().join("out/.partial").exists(), "the run's own folder is left");
    fs::write(folder.path().join("text.txt"), "The river rises in the hills and reaches the sea. ".repeat(60))?;
    let metric = |model: &str| -> Result<Value, Failed> {
        let arguments = ["eval", "--model", model, "--data", "text.txt", "--window", "64", "--windows", "4", "--json"];
        let cell: Value = serde_json::from_str(&done(folder.path(), &arguments)?)?;
        Ok(cell["metric"].clone())
    };
    assert_eq!(metric("out")?, metric("out/packed")?);
    assert_ne!(metric("out")?, metric("lm")?);
    Ok(())
}

/// The files of a compressed model and their bytes.
fn files(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, Failed> {
    let names = ["model.safetensors", "config.json", "packed/model.packed.safetensors", "packed/config.json"];
    names.iter().map(|name| Ok(((*name).to_owned(), fs::read(folder.join(name))?))).collect()
}

fn a_killed_run_goes_on() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let common =
        |out| ["compress", "--samples", "8", "--length", "64", "--pipeline", "sparsegpt(2:4,hbfp4)", "--out", out];
    done(folder.path(), &common("whole"))?;
    let mut child = command_in(folder.path(), &common("killed")).spawn()?;
    let since = Instant::now();
    let count = folder.path().join("killed/.partial/blocks-done.json");
    while !count.exists() && child.try_wait()?.is_none() && since.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill()?;
    child.wait()?;
    done(folder.path(), &common("killed"))?;
    assert_eq!(files(&folder.path().join("whole"))?, files(&folder.path().join("killed"))?);
    Ok(())
}

fn another_run_is_refused() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let partial = folder.path().join("out/.partial");
    fs::create_dir_all(&partial)?;
    fs::write(partial.join("blocks-done.json"), r#"{"run":"another","blocks":1}"#)?;
    let arguments = [&SMALL[..], &["rtn(int4)", "--out", "out"]].concat();
    let output = interplay_in(folder.path(), &arguments);
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("unfinished run of `another`"), "{err}");
    assert!(!folder.path().join("out/config.json").exists());
    done(folder.path(), &[&arguments[..], &["--restart"]].concat())?;
    // A folder with a model of somebody else's is not written over.
    fs::remove_file(folder.path().join("out/compression.json"))?;
    let output = interplay_in(folder.path(), &arguments);
    assert!(String::from_utf8_lossy(&output.stderr).contains("not to be overwritten"));
    assert_eq!(output.status.code(), Some(2));
    Ok(())
}

fn a_recipe_may_be_a_file() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("recipe.toml"), "pipeline = [\"Wanda( 50% )\", \"rtn(int8)\"]\n")?;
    let out = done(folder.path(), &[&SMALL[..], &["recipe.toml", "--out", "out", "--json"]].concat())?;
    let run: Value = serde_json::from_str(&out)?;
    assert_eq!(run["run"]["pipeline"], "[wanda(50%), rtn(int8)]");
    Ok(())
}

fn what_is_refused_leaves_nothing() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("text.txt"), "Too short.")?;
    let arguments = [&SMALL[..], &["rtn(int8)", "--calibration", "text.txt", "--out", "out"]].concat();
    let output = interplay_in(folder.path(), &arguments);
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("sequences of 64 tokens") && err.contains("--length"), "{err}");
    assert!(!folder.path().join("out").exists(), "a refused run left a folder");
    let arguments = [&SMALL[..], &["wanda(64:2:7)", "--out", "out"]].concat();
    let output = interplay_in(folder.path(), &arguments);
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("decoder.layers.0.self_attn.q_proj") && err.contains("64 x 7"), "{err}");
    assert!(!folder.path().join("out").exists(), "a refused layer left a folder");
    Ok(())
}

fn a_method_tells_its_arguments() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let all: Value = serde_json::from_str(&done(folder.path(), &["list", "methods", "--json"])?)?;
    let names: Vec<&str> = all.as_array().ok_or("no list")?.iter().filter_map(|m| m["name"].as_str()).collect();
    for name in ["magnitude", "wanda", "ria", "bawa", "jsq", "sparsegpt", "besa", "pqp", "gptq", "awq", "smoothquant"] {
        assert!(names.contains(&name), "{names:?}");
        assert!(done(folder.path(), &["list", "methods", name])?.contains("argument"), "{name}");
    }
    Ok(())
}
