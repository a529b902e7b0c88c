//! Rules of the house that a program can check: sizes, banned calls, the direction of dependencies, machine paths.

use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};

/// Hard limit of a source file, in lines.
const LONGEST_FILE: usize = 500;

/// Text that must not stand in the format and datapath code, and what to use instead.
const BANNED_IN_NUMERICS: [(&str, &str); 6] = [
    (".log2(", "exponent bits"),
    (".powi(", "exponent bits or an integer shift"),
    (".powf(", "exponent bits"),
    (".exp2(", "exponent bits"),
    ("dbg!", "a test"),
    ("todo!", "an implementation"),
];

/// Which workspace crates a crate may name in its manifest.
const ALLOWED: [(&str, &[&str]); 6] = [
    ("formats/Cargo.toml", &[]),
    ("hw-models/Cargo.toml", &["interplay-formats"]),
    ("compress/Cargo.toml", &["interplay-formats"]),
    ("gpu/Cargo.toml", &["interplay-formats", "interplay-hw"]),
    ("Cargo.toml", &["interplay-compress", "interplay-formats", "interplay-gpu", "interplay-hw"]),
    ("experiments/Cargo.toml", &["interplay", "interplay-compress", "interplay-formats", "interplay-hw"]),
];

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("tidy::files_stay_short", files_stay_short),
        Trial::test("tidy::numerics_use_no_host_logarithms", numerics_use_no_host_logarithms),
        Trial::test("tidy::dependencies_point_one_way", dependencies_point_one_way),
        Trial::test("tidy::every_module_says_what_it_is", every_module_says_what_it_is),
        Trial::test("tidy::only_the_plug_names_burn", only_the_plug_names_burn),
    ]
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust source below the folders of the six crates, with its text.
fn sources(folders: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = folders.iter().map(|f| root().join(f)).collect();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.flatten().map(|e| e.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap_or_default();
                found.push((path, text));
            }
        }
    }
    found
}

fn fail_with(problems: Vec<String>) -> Result<(), Failed> {
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n").into()) }
}

const EVERYWHERE: [&str; 13] = [
    "src",
    "tests",
    "benches",
    "formats/src",
    "formats/tests",
    "compress/src",
    "compress/tests",
    "hw-models/src",
    "hw-models/tests",
    "gpu/src",
    "gpu/tests",
    "experiments/src",
    "experiments/tests",
];

fn files_stay_short() -> Result<(), Failed> {
    let long = |(path, text): &(PathBuf, String)| {
        let lines = text.lines().count();
        (lines > LONGEST_FILE).then(|| format!("{}: {lines} lines, at most {LONGEST_FILE}", path.display()))
    };
    let all = sources(&EVERYWHERE);
    assert!(all.len() > 40, "only {} sources found: the search is broken", all.len());
    fail_with(all.iter().filter_map(long).collect())
}

/// Formats and datapaths promise bits. Prices are real numbers interpolated on logarithmic scales, and promise none.
fn numerics_use_no_host_logarithms() -> Result<(), Failed> {
    let mut problems = Vec::new();
    let prices = root().join("hw-models/src/cost");
    for (path, text) in
        sources(&["formats/src", "gpu/src", "hw-models/src"]).into_iter().filter(|(p, _)| !p.starts_with(&prices))
    {
        for (number, line) in text.lines().enumerate() {
            for (banned, instead) in BANNED_IN_NUMERICS {
                if line.contains(banned) && !line.trim_start().starts_with("//") {
                    problems.push(format!("{}:{}: `{banned}`; use {instead}", path.display(), number + 1));
                }
            }
        }
    }
    fail_with(problems)
}

fn dependencies_point_one_way() -> Result<(), Failed> {
    let mut problems = Vec::new();
    for (manifest, allowed) in ALLOWED {
        let text = fs::read_to_string(root().join(manifest))?;
        let own = text.split("[package]").nth(1).unwrap_or_default();
        for line in own.lines().filter(|l| l.starts_with("interplay")) {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            if !allowed.contains(&name) {
                problems.push(format!("{manifest} depends on {name}; allowed: {allowed:?}"));
            }
        }
    }
    fail_with(problems)
}

fn every_module_says_what_it_is() -> Result<(), Failed> {
    let silent =
        sources(&EVERYWHERE).into_iter().filter(|(_, text)| !text.starts_with("//!") && !text.starts_with("#![doc"));
    fail_with(silent.map(|(path, _)| format!("{}: no module documentation", path.display())).collect())
}

fn only_the_plug_names_burn() -> Result<(), Failed> {
    let may = ["src/burn/", "src/compression/", "src/emu/", "src/models/", "src/train/", "src/session", "src/eval/"];
    let mut problems = Vec::new();
    for (path, text) in sources(&["src", "compress/src", "formats/src", "gpu/src", "hw-models/src"]) {
        let relative = path.strip_prefix(root())?.to_string_lossy().replace('\\', "/");
        if text.contains("use burn::") && !may.iter().any(|m| relative.starts_with(m)) {
            problems.push(format!("{relative} names burn; only {may:?} may"));
        }
    }
    fail_with(problems)
}
