//! The study of compression methods: its files, equal bytes on any number of threads, sparsity and orders as the recipes say.

use std::collections::BTreeSet;
use std::fs;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::run::{interplay, interplay_in, same_on_any_threads};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("methods::two_runs_write_the_same_bytes", two_runs_write_the_same_bytes),
        Trial::test("methods::a_text_serves_once", a_text_serves_once),
        Trial::test("methods::unknown_names_say_what_there_is", unknown_names_say_what_there_is),
    ]
}

/// The smallest study with every order and a learned method.
const STUDY: [&str; 14] = [
    "study",
    "methods",
    "--quick",
    "--methods",
    "sparsegpt,gptq",
    "--sparsity",
    "2:4",
    "--windows",
    "2",
    "--samples",
    "2",
    "--length",
    "64",
    "--window=64",
];

fn two_runs_write_the_same_bytes() -> Result<(), Failed> {
    let names = ["caption.md", "data.csv", "figure.svg", "layers.csv", "results.jsonl", "run.json", "timings.csv"];
    let folder = same_on_any_threads(&STUDY, &names, &["timings.csv"])?;
    // The folder opens like that of every study.
    let drawn = fs::read(folder.path().join("a/figure.svg"))?;
    fs::remove_file(folder.path().join("a/figure.svg"))?;
    for command in ["figures", "report"] {
        let output = interplay_in(folder.path(), &[command, "a"]);
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(fs::read(folder.path().join("a/figure.svg"))? == drawn, "what is drawn again differs");
    let page = fs::read_to_string(folder.path().join("a/report.html"))?;
    assert!(
        page.contains("Compression methods, in both orders") && page.contains("sparsegpt"),
        "the page lacks the study"
    );
    let cells = cells(&fs::read_to_string(folder.path().join("a/results.jsonl"))?)?;
    recipes_do_what_they_say(&cells)?;
    let caption = fs::read_to_string(folder.path().join("a/caption.md"))?;
    // Columns are as wide as their widest cell.
    let caption = caption.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["| SparseGPT | 9.21 |", "Is PQP right", "Absolute numbers differ", "GPTQ against rounding"] {
        assert!(caption.contains(part), "the caption lacks `{part}`");
    }
    Ok(())
}

fn cells(lines: &str) -> Result<Vec<Value>, Failed> {
    Ok(lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

fn recipes_do_what_they_say(cells: &[Value]) -> Result<(), Failed> {
    let find = |recipe: &str| {
        let found = cells.iter().find(|cell| cell["compression"]["recipe"] == recipe);
        found.ok_or_else(|| Failed::from(format!("no cell of {recipe}")))
    };
    let page = include_str!("../../docs/json.md");
    let dense = find("none")?;
    assert_eq!(dense["metric"], dense["fp32"], "the model as it is");
    for field in ["compression", "other_text"] {
        let names = dense[field].as_object().ok_or("not an object")?.keys();
        let undocumented: Vec<_> =
            names.chain([&field.to_owned()]).filter(|n| !page.contains(n.as_str())).cloned().collect();
        assert!(undocumented.is_empty(), "docs/json.md does not describe {undocumented:?}");
    }
    let expected = [
        ("[gptq(int4-asym)]", "none", "dense"),
        ("[sparsegpt(2:4)]", "none", "2:4"),
        ("[sparsegpt(2:4,int4-asym)]", "joint", "2:4"),
        ("[sparsegpt(2:4), gptq(int4-asym)]", "sq", "2:4"),
        ("[gptq(int4-asym), sparsegpt(2:4)]", "qs", "2:4"),
    ];
    for (recipe, order, pattern) in expected {
        let cell = find(recipe)?;
        assert_eq!((cell["order"].as_str(), cell["sparsity"].as_str()), (Some(order), Some(pattern)), "{recipe}");
        let sparsity = cell["compression"]["sparsity"].as_f64().ok_or("no sparsity")?;
        let least = if pattern == "2:4" { 0.5 } else { 0.0 };
        assert!((least..0.75).contains(&sparsity), "{recipe} left {sparsity}");
        // Updates after rounding leave the grid, and are stored as FP32.
        let on = cell["compression"]["on_grid"].as_f64();
        let wanted = if order == "qs" { Some(0.0) } else { Some(1.0) };
        assert_eq!(on, if recipe == "[sparsegpt(2:4)]" { None } else { wanted }, "{recipe}");
    }
    let bits = |recipe: &str| Ok::<_, Failed>(find(recipe)?["footprint_bits"]["total"].as_u64());
    assert!(bits("[sparsegpt(2:4), gptq(int4-asym)]")? < bits("[gptq(int4-asym)]")?);
    let recipes: BTreeSet<_> = cells.iter().map(|cell| cell["compression"]["recipe"].to_string()).collect();
    assert_eq!(recipes.len(), cells.len(), "a cell came twice");
    Ok(())
}

fn a_text_serves_once() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("own.txt"), "The river rises in the hills and falls to the sea. ".repeat(200))?;
    let arguments = [&STUDY[..], &["--data", "own.txt", "--json", "--out", "out"]].concat();
    let output = interplay_in(folder.path(), &arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let cells = cells(&String::from_utf8_lossy(&output.stdout))?;
    let first = cells.first().ok_or("no cell")?;
    assert_eq!(first["data"], "own.txt");
    assert_eq!(first["compression"]["calibration"]["data"], "heldout 1/2");
    assert_eq!(first["other_text"]["data"], "heldout 2/2");
    Ok(())
}

fn unknown_names_say_what_there_is() -> Result<(), Failed> {
    let wrong: [(&[&str], &[&str]); 6] = [
        (&["--methods", "wnda"], &["wnda", "wanda", "gptq"]),
        (&["--formats", "mxfp3"], &["mxfp3", "mxfp4"]),
        (&["--formats", "fp32"], &["fp32", "pruning alone"]),
        (&["--sparsity", "dense"], &["dense", "rounding alone"]),
        (&["--model", "vit"], &["vit", "language model"]),
        (&["--length", "300000"], &["300000", "heldout 1/3"]),
    ];
    for (arguments, parts) in wrong {
        let (code, out, err) = interplay(&[&["study", "methods", "--quick"], arguments].concat());
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {err}");
        let missing: Vec<_> = parts.iter().filter(|part| !err.contains(**part)).collect();
        assert!(missing.is_empty(), "{arguments:?} does not say {missing:?}: {err}");
    }
    Ok(())
}
