//! Results: the JSON layout, equal bytes from equal runs on any number of threads, orders that share their cost.

use std::fs;

use interplay_formats::math;
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::run::{interplay, interplay_in, same_on_any_threads};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("results::eval_prints_the_documented_fields", eval_prints_the_documented_fields),
        Trial::test("results::two_runs_write_the_same_bytes", two_runs_write_the_same_bytes),
        Trial::test("results::fp32_cell_is_the_baseline", fp32_cell_is_the_baseline),
        Trial::test("results::intervals_say_what_they_are", intervals_say_what_they_are),
        Trial::test("results::one_input_has_no_error", one_input_has_no_error),
        Trial::test("results::rules_are_in_the_result", rules_are_in_the_result),
    ]
}

/// The smallest study that has an order to compare.
const STUDY: [&str; 10] =
    ["study", "orders", "--model", "lm", "--formats", "fp32,mxfp4", "--sparsity", "dense,2:4", "--windows", "2"];

fn eval_prints_the_documented_fields() -> Result<(), Failed> {
    let (code, out, err) = interplay(&[
        "eval",
        "--model",
        "lm",
        "--windows",
        "2",
        "--format",
        "hbfp6",
        "--sparsity",
        "2:4",
        "--order",
        "sq",
        "--json",
    ]);
    assert_eq!(code, 0, "{err}");
    let object: Value = serde_json::from_str(&out)?;
    let names: Vec<&str> = object.as_object().ok_or("not an object")?.keys().map(String::as_str).collect();
    let page = include_str!("../../docs/json.md");
    let undocumented: Vec<_> = names.iter().filter(|n| !page.contains(&format!("`{n}`"))).collect();
    assert!(undocumented.is_empty(), "docs/json.md does not describe {undocumented:?}");
    insta::assert_snapshot!(names.join(" "), @"schema_version model data window stride windows tokens format sparsity order machine datapath runs skips_pruned metric fp32 footprint_bits cycles energy_pj seed version provenance checksums");
    Ok(())
}

fn two_runs_write_the_same_bytes() -> Result<(), Failed> {
    let names = [".cells", "caption.md", "data.csv", "figure.svg", "results.jsonl", "run.json", "study.toml"];
    let folder = same_on_any_threads(&STUDY, &names, &[".cells"])?;
    orders_share_their_cost(&fs::read_to_string(folder.path().join("a/results.jsonl"))?)
}

fn orders_share_their_cost(lines: &str) -> Result<(), Failed> {
    let cells: Vec<Value> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(cells.len(), 5, "fp32 and mxfp4 dense, fp32 2:4, and mxfp4 2:4 in both orders");
    let of = |order: &str| cells.iter().find(|c| c["order"] == order && c["format"] == "mxfp4").ok_or("no such cell");
    let (sq, qs) = (of("sq")?, of("qs")?);
    for field in ["footprint_bits", "cycles", "energy_pj"] {
        assert_eq!(sq[field], qs[field], "{field} differs between the orders");
    }
    assert_ne!(sq["metric"]["value"], qs["metric"]["value"], "at 4 bits the orders give different models");
    Ok(())
}

fn fp32_cell_is_the_baseline() -> Result<(), Failed> {
    let (code, out, err) = interplay(&["eval", "--model", "vit", "--windows", "20", "--format", "fp32", "--json"]);
    assert_eq!(code, 0, "{err}");
    let object: Value = serde_json::from_str(&out)?;
    assert_eq!(object["metric"], object["fp32"]);
    let more = object["more"].as_array().ok_or("no further metrics")?;
    let kl = more.iter().find(|m| m["name"] == "kl_to_fp32").ok_or("no divergence")?;
    assert_eq!(kl["value"], 0.0, "a model does not diverge from itself");
    Ok(())
}

/// The object that `eval --json` prints, and what it prints without.
fn evaluated(arguments: &[&str]) -> Result<(Value, String), Failed> {
    let run = |more: &[&str]| {
        let (code, out, err) = interplay(&[&["eval"], arguments, more].concat());
        assert_eq!(code, 0, "{err}");
        out
    };
    Ok((serde_json::from_str(&run(&["--json"]))?, run(&[])))
}

fn line<'a>(text: &'a str, name: &str) -> Result<&'a str, Failed> {
    let mut lines = text.lines().map(str::trim);
    lines.find_map(|line| line.strip_prefix(name)).map(str::trim).ok_or_else(|| format!("no {name} in {text}").into())
}

fn intervals_say_what_they_are() -> Result<(), Failed> {
    let (object, text) = evaluated(&["--model", "lm", "--windows", "3", "--window", "32", "--format", "hbfp6"])?;
    let metric = &object["metric"];
    assert_eq!((&metric["stderr_scale"], &object["fp32"]["stderr_scale"]), (&"log".into(), &"log".into()));
    let (value, stderr) = (metric["value"].as_f64().ok_or("no value")?, metric["stderr"].as_f64().ok_or("no error")?);
    let (low, high) = (value / math::exp(stderr), value * math::exp(stderr));
    let expected = format!("{value:.4} [{low:.4}, {high:.4}] (±1 s.e., {stderr:.4} nats of loss)");
    assert_eq!(line(&text, "perplexity")?, expected);
    let (object, text) = evaluated(&["--model", "vit", "--windows", "20", "--format", "hbfp6"])?;
    let metric = &object["metric"];
    assert_eq!(metric["stderr_scale"], "linear");
    let (value, stderr) = (metric["value"].as_f64().ok_or("no value")?, metric["stderr"].as_f64().ok_or("no error")?);
    assert_eq!(line(&text, "cross_entropy")?, format!("{value:.5} ± {stderr:.5} (1 s.e.)"));
    Ok(())
}

fn one_input_has_no_error() -> Result<(), Failed> {
    for (model, name) in [("lm", "perplexity"), ("vit", "cross_entropy")] {
        let (object, text) = evaluated(&["--model", model, "--windows", "1", "--format", "int8"])?;
        let metrics =
            [&object["metric"], &object["fp32"]].into_iter().chain(object["more"].as_array().into_iter().flatten());
        for metric in metrics {
            assert!(metric["stderr"].is_null() && metric["stderr_scale"].is_string(), "{metric}");
        }
        assert!(line(&text, name)?.parse::<f64>().is_ok() && !text.contains("s.e."), "{text}");
    }
    let folder = tempfile::tempdir()?;
    let study = ["study", "orders", "--model", "lm", "--formats", "mxfp4", "--sparsity", "2:4", "--windows", "1"];
    let output = interplay_in(folder.path(), &[&study[..], &["--window", "32", "--out", "run"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut table = csv::Reader::from_path(folder.path().join("run/data.csv"))?;
    let columns = table.headers()?.clone();
    for row in table.records() {
        let row = row?;
        let errors = columns.iter().zip(&row).filter(|(column, _)| column.contains("stderr"));
        assert!(errors.map(|(_, text)| text).all(str::is_empty), "{row:?}");
    }
    let caption = fs::read_to_string(folder.path().join("run/caption.md"))?;
    assert!(!caption.contains("NaN") && caption.contains("one input has no standard error"), "{caption}");
    Ok(())
}

fn rules_are_in_the_result() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let rule =
        "[[layer]]\nmatch = \"decoder.layers.*.fc2\"\nformat = \"hbfp6\"\nsparsity = \"2:4\"\norder = \"ORDER\"\n";
    fs::write(folder.path().join("sq.toml"), rule.replace("ORDER", "sq"))?;
    fs::write(folder.path().join("again.toml"), format!("# the same\n\n{}", rule.replace("ORDER", "SQ")))?;
    fs::write(folder.path().join("qs.toml"), rule.replace("ORDER", "qs"))?;
    fs::write(folder.path().join("base.toml"), "format = \"hbfp6\"\nsparsity = \"2:4\"\norder = \"qs\"\n")?;
    let run = |file: &str| -> Result<Value, Failed> {
        let small = ["eval", "--model", "lm", "--windows", "1", "--window", "16", "--json", "--layers", file];
        let output = interplay_in(folder.path(), &small);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let (sq, again, qs, base) = (run("sq.toml")?, run("again.toml")?, run("qs.toml")?, run("base.toml")?);
    assert_eq!((&sq["order"], &sq["sparsity"]), (&"by layer".into(), &"by layer".into()));
    let found = &sq["plan"]["rules"][0];
    assert_eq!(found["match"], "decoder.layers.*.fc2");
    let config = ["weights", "activations", "sparsity", "order", "datapath"].map(|name| found["config"][name].as_str());
    assert_eq!(config, ["hbfp6", "hbfp6", "2:4", "sq", "auto"].map(Some));
    let digest = |object: &Value| object["plan"]["sha256"].as_str().map(str::to_owned);
    assert_eq!(digest(&sq).map(|digest| digest.len()), Some(64));
    assert_eq!(digest(&sq), digest(&again), "a comment is no part of a plan");
    assert_ne!(digest(&sq), digest(&qs));
    // Without a rule for a layer a file is one configuration, with its order.
    assert!(base["order"] == "qs" && base.get("plan").is_none(), "{base}");
    Ok(())
}
