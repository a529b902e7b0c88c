//! The files of a run's folder, made from its cells.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::bench::Bench;
use super::frame::Frame;
use super::kind::Kind;
use super::store::{Mark, Store};
use crate::output::{self, sayln, write_atomic};
use crate::result::{Provenance, SCHEMA_VERSION};
use crate::studies;
use crate::subject::Subject;

/// The files beside `study.toml`.
pub const FILES: [&str; 5] = ["results.jsonl", "data.csv", "figure.svg", "caption.md", "run.json"];

/// What a study is called, and what it asks.
pub struct About<'a> {
    /// Its kind.
    pub study: &'a str,
    /// The name of the run.
    pub name: &'a str,
    /// The title of the caption.
    pub title: &'a str,
    /// The question in one sentence.
    pub question: &'a str,
}

/// What a run says of itself: `run.json`.
pub struct Facts(Value);

impl Facts {
    /// Those of a run in this process.
    pub fn of(kind: &Kind, bench: &Bench) -> Self {
        let about =
            About { study: &bench.spec.study, name: &bench.spec.name, title: kind.title, question: kind.question };
        Self::new(&about, &bench.spec.seeds, bench.subjects.iter())
    }

    /// Those of a run in this process, of a study of any kind.
    pub fn new<'a>(about: &About<'_>, seeds: &[u64], subjects: impl Iterator<Item = &'a Subject> + Clone) -> Self {
        let provenance = Provenance::current();
        let checksums: BTreeMap<String, &String> = subjects.clone().flat_map(of_model).collect();
        let mut caveats: Vec<&str> = subjects.filter_map(|s| s.caveat.as_deref()).collect();
        caveats.dedup();
        Self(json!({
            "schema_version": SCHEMA_VERSION,
            "study": about.study,
            "name": about.name,
            "title": about.title,
            "question": about.question,
            "command": provenance.command,
            "version": env!("CARGO_PKG_VERSION"),
            "burn": provenance.burn,
            "cpu_features": provenance.cpu_features,
            "host": provenance.host,
            "simd": provenance.simd,
            "seeds": seeds,
            "checksums": checksums,
            "caveats": caveats,
        }))
    }

    /// Those that a run wrote.
    ///
    /// # Errors
    /// There are none, or they are malformed.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("run.json");
        let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).map(Self).with_context(|| format!("{} is not JSON", path.display()))
    }

    /// Writes `run.json` with the number of cells that there are and that are planned.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, folder: &Path, cells: usize, planned: usize) -> Result<()> {
        let mut facts = self.0.clone();
        facts["cells"] = cells.into();
        facts["missing"] = (planned - cells).into();
        Ok(write_atomic(&folder.join("run.json"), format!("{facts:#}\n").as_bytes())?)
    }

    /// Whose results these are.
    pub fn mark(&self) -> Mark {
        let text = |name: &str| self.0[name].as_str().unwrap_or_default().to_owned();
        Mark { study: text("study"), version: text("version") }
    }

    /// The kind of study.
    ///
    /// # Errors
    /// It is none of this version's.
    pub fn kind(&self) -> Result<&'static Kind> {
        studies::kind(self.0["study"].as_str().unwrap_or_default())
    }
}

/// The checksums of a model and its data, by names that say whose they are: models may have inputs of one name.
fn of_model(subject: &Subject) -> impl Iterator<Item = (String, &String)> {
    let prefix = format!("{}/", subject.model_name);
    subject.checksums.iter().map(move |(name, sum)| {
        let whose = if name.starts_with(&prefix) { name.clone() } else { format!("{prefix}{name}") };
        (whose, sum)
    })
}

/// What was written, for the terminal.
pub struct Written {
    /// `results.jsonl`.
    pub lines: String,
    /// The answer, a sentence or two an entry.
    pub summary: Vec<String>,
    /// Rows of `data.csv`.
    pub rows: usize,
}

/// Writes every file, each whole. `results` are in the order of the plan, none where a cell is missing.
///
/// # Errors
/// A result is of another version, or a file cannot be written.
pub fn all(kind: &Kind, store: &Store, facts: &Facts, results: Vec<Option<Value>>) -> Result<Written> {
    let planned = results.len();
    let results: Vec<Value> = results.into_iter().flatten().collect();
    let mut lines = String::new();
    for result in &results {
        let _ = writeln!(lines, "{result}");
    }
    let frame = (kind.frame)(&results)?;
    let folder = store.folder();
    write_atomic(&folder.join("results.jsonl"), lines.as_bytes())?;
    write_atomic(&folder.join("data.csv"), frame.csv()?.as_bytes())?;
    drawn(kind, folder, &frame)?;
    facts.write(folder, results.len(), planned)?;
    Ok(Written { lines, summary: (kind.summary)(&frame), rows: frame.rows().count() })
}

/// Draws `figure.svg` and writes `caption.md` from the table alone.
///
/// # Errors
/// The table is not of this study or version, or a file cannot be written.
pub fn drawn(kind: &Kind, folder: &Path, frame: &Frame) -> Result<()> {
    let figure = (kind.figure)(frame)?.svg();
    let caption = format!("# {}\n\n{}\n\n{}", kind.title, kind.question, (kind.caption)(frame)?);
    write_atomic(&folder.join("figure.svg"), figure.as_bytes())?;
    Ok(write_atomic(&folder.join("caption.md"), caption.as_bytes())?)
}

/// Says what a run found and where its report is: the last lines on the terminal.
pub fn say(title: &str, summary: &[String], folder: &Path) {
    sayln!("{title}");
    summary.iter().for_each(|sentence| output::fill(2, sentence));
    if summary.iter().any(|sentence| sentence.contains('→')) {
        sayln!("  S→Q: pruned, then quantised. Q→S: quantised, then pruned.");
    }
    sayln!("report: {}", folder.join("caption.md").display());
}
