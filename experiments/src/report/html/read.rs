//! What the folder of a run holds, read and checked.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use crate::result::SCHEMA_VERSION;

/// `run.json`: what was run, by which program, on which data.
#[derive(Debug, Deserialize)]
pub struct Record {
    schema_version: u64,
    /// The kind of the study.
    pub study: String,
    pub title: String,
    #[serde(default)]
    pub question: String,
    #[serde(default)]
    pub command: String,
    #[serde(default)]
    pub version: String,
    #[serde(default)]
    pub burn: String,
    #[serde(default)]
    pub cpu_features: Vec<String>,
    #[serde(default)]
    pub seeds: Vec<u64>,
    /// SHA-256 of each input, by name.
    #[serde(default)]
    pub checksums: BTreeMap<String, String>,
    #[serde(default)]
    pub caveats: Vec<String>,
    #[serde(default)]
    pub cells: Option<u64>,
    #[serde(default)]
    pub seconds: Option<f64>,
}

/// A column of `data.csv`.
#[derive(Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// Every cell that is not empty is a number, and one of them is finite.
    pub numeric: bool,
}

/// `data.csv`; every row has as many cells as there are columns.
#[derive(Debug)]
pub struct Data {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<String>>,
}

/// The folder of a run. Files that it may lack are `None` or empty.
#[derive(Debug)]
pub struct Run {
    pub record: Record,
    pub data: Data,
    /// Name and text of each SVG, `figure.svg` first.
    pub figures: Vec<(String, String)>,
    pub caption: Option<String>,
    /// `study.toml`.
    pub study_file: Option<String>,
    /// The objects of `results.jsonl`.
    pub results: Vec<Value>,
}

/// Reads the folder of a run.
///
/// # Errors
/// `data.csv` or `run.json` is missing, or a file is not what its name says; the error names the file and the line.
pub fn run(folder: &Path) -> Result<Run> {
    Ok(Run {
        record: record(&required(folder, "run.json")?)?,
        data: data(&required(folder, "data.csv")?)?,
        figures: figures(folder)?,
        caption: text(folder, "caption.md")?,
        study_file: text(folder, "study.toml")?,
        results: text(folder, "results.jsonl")?.map_or(Ok(Vec::new()), |text| results(&text))?,
    })
}

/// The text of a file that may be absent.
fn text(folder: &Path, name: &str) -> Result<Option<String>> {
    let path = folder.join(name);
    let bytes = match std::fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.with_context(|| format!("cannot read {}", path.display()))?,
    };
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(error) => bail!(
            "{} is not UTF-8 (byte {}): write the file again with the study's command",
            path.display(),
            error.utf8_error().valid_up_to()
        ),
    }
}

fn required(folder: &Path, name: &str) -> Result<String> {
    text(folder, name)?.with_context(|| {
        format!(
            "{} has no `{name}`: give the folder that a study wrote (its `--out`), where data.csv and run.json lie",
            folder.display()
        )
    })
}

fn record(text: &str) -> Result<Record> {
    let record: Record =
        serde_json::from_str(text).context("run.json is not a run's record: run the study again to write it")?;
    // Every earlier layout is read: later ones only add to it.
    if !(1..=u64::from(SCHEMA_VERSION)).contains(&record.schema_version) {
        bail!(
            "run.json has schema_version {}, and this program reads 1 to {SCHEMA_VERSION}: use the version that wrote it, \
             or run the study again",
            record.schema_version
        );
    }
    Ok(record)
}

fn data(text: &str) -> Result<Data> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let say = "data.csv is not a table with one header and rows of equal length: run the study again to write it";
    let names = reader.headers().context(say)?.clone();
    if names.is_empty() {
        bail!("data.csv is empty: its first line must name the columns; run the study again to write it");
    }
    let rows = reader
        .records()
        .map(|row| Ok(row.context(say)?.iter().map(str::to_owned).collect()))
        .collect::<Result<Vec<Vec<String>>>>()?;
    let columns = names
        .iter()
        .enumerate()
        .map(|(at, name)| Column { name: name.to_owned(), numeric: numeric(rows.iter().map(|row| row[at].as_str())) })
        .collect();
    Ok(Data { columns, rows })
}

/// Whether every cell that is not empty is a number, and at least one is finite.
pub fn numeric<'a>(cells: impl Iterator<Item = &'a str>) -> bool {
    let mut finite = false;
    for cell in cells.filter(|cell| !cell.is_empty()) {
        let Ok(number) = cell.parse::<f64>() else { return false };
        finite |= number.is_finite();
    }
    finite
}

fn results(text: &str) -> Result<Vec<Value>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| {
            serde_json::from_str(line).with_context(|| {
                format!("results.jsonl, line {}: not a JSON object; run the study again to write it", at + 1)
            })
        })
        .collect()
}

fn figures(folder: &Path) -> Result<Vec<(String, String)>> {
    let say = || format!("cannot list {}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(say)? {
        let name = entry.with_context(say)?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".svg") {
            names.push(name);
        }
    }
    names.sort_by_key(|name| (name != "figure.svg", name.clone()));
    let mut figures = Vec::new();
    for name in names {
        if let Some(text) = text(folder, &name)? {
            figures.push((name, text));
        }
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_numeric_by_its_values() {
        assert!(numeric(["1", "", "-2.5e3"].into_iter()));
        assert!(numeric(["1", "inf", "NaN"].into_iter()));
        assert!(!numeric(["", ""].into_iter()));
        assert!(!numeric(["nan"].into_iter()));
        assert!(!numeric(["1", "2:4"].into_iter()));
    }

    #[test]
    fn quoted_cells_and_ragged_rows() {
        let read = data("study,recipe\norders,\"a,\"\"b\"\"\nc\"\n").unwrap();
        assert_eq!(read.rows, [["orders", "a,\"b\"\nc"]]);
        let error = format!("{:#}", data("a,b\n1,2\n3\n").unwrap_err());
        assert!(error.contains("data.csv") && error.contains("line: 3"), "{error}");
        assert!(data("").is_err());
    }

    #[test]
    fn malformed_files_are_named() {
        let error = format!("{:#}", results("{}\n\n{\"a\":").unwrap_err());
        assert!(error.contains("results.jsonl, line 3"), "{error}");
        let error = format!("{:#}", record(r#"{"schema_version":99,"study":"s","title":"t"}"#).unwrap_err());
        assert!(error.contains("schema_version 99"), "{error}");
        assert!(record("[").is_err());
    }
}
