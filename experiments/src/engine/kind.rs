//! What a study adds to the engine: one record a study.

use anyhow::Result;
use serde_json::Value;

use super::bench::{Bench, Worker};
use super::frame::Frame;
use super::key::Key;
use super::spec::Spec;
use crate::report::figure::Figure;

/// A kind of study.
pub struct Kind {
    /// The name on the command line, in `study = "…"` of a file, and in the first column of `data.csv`.
    pub name: &'static str,
    /// The question in one sentence.
    pub question: &'static str,
    /// The built-in study as a TOML file.
    pub file: &'static str,
    /// Dimensions of a file that make its grid.
    pub many: &'static [&'static str],
    /// Dimensions of which it takes one value.
    pub one: &'static [&'static str],
    /// The title of the caption.
    pub title: &'static str,
    /// The cells that follow from the specification, and in a study of several steps those that follow from `done`, what is measured so
    /// far; called again until nothing new comes.
    pub plan: fn(&Bench, done: &Done) -> Result<Vec<Planned>>,
    /// Measures one cell.
    pub measure: fn(&mut Worker<'_>, &Key) -> Result<Value>,
    /// The rows of `data.csv` from the results of the cells that there are, in the order of the plan.
    pub frame: fn(&[Value]) -> Result<Frame>,
    /// What `figure.svg` shows.
    pub figure: fn(&Frame) -> Result<Figure>,
    /// `caption.md` without its title.
    pub caption: fn(&Frame) -> Result<String>,
    /// The answer in a few plain sentences, for the terminal.
    pub summary: fn(&Frame) -> Vec<String>,
    /// A smaller specification with as many cells, to find out what each takes.
    pub shrink: fn(&mut Spec),
}

/// One cell to measure.
#[derive(Debug, Clone)]
pub struct Planned {
    /// What decides its result.
    pub key: Key,
    /// What a person is shown.
    pub label: String,
    /// Cells of one kind of work take about the same time for each unit of `amount`.
    pub work: String,
    /// Windows, images, blocks or steps.
    pub amount: u64,
}

/// The results that there are, in the order of the plan so far.
#[derive(Debug, Default)]
pub struct Done(Vec<(Key, Value)>);

impl Done {
    /// Results by their keys.
    pub fn new(results: Vec<(Key, Value)>) -> Self {
        Self(results)
    }

    /// The result of the cell of that key.
    pub fn get(&self, key: &Key) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, result)| result)
    }
}
