//! Results: the JSON layout, equal bytes from equal runs on any number of threads, orders that share their cost.

use std::fs;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::run::{interplay, same_on_any_threads};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("results::eval_prints_the_documented_fields", eval_prints_the_documented_fields),
        Trial::test("results::two_runs_write_the_same_bytes", two_runs_write_the_same_bytes),
        Trial::test("results::fp32_cell_is_the_baseline", fp32_cell_is_the_baseline),
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
