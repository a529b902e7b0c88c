//! Do the theorems on single tensors hold in arithmetic?
//!
//! Theorem 3.5: the error of S→Q is at most the errors of both steps together. 3.6: that of Q→S may be more. 3.7: but only so much.
//! A cell is one recipe with one source of blocks, under every pattern; no model runs.

mod figure;
mod frame;
mod measure;
mod tables;

use anyhow::{Context, Result, bail, ensure};
use interplay::compress::theory::blocks::Family;
use interplay::compress::theory::tensor::Case;
use interplay_formats::{Encoding, Format, Pattern};
use serde::{Deserialize, Serialize};

use crate::engine::bench::Bench;
use crate::engine::key::{Key, digest_of};
use crate::engine::kind::{Done, Kind, Planned};
use crate::engine::spec::Spec;

/// The study.
pub const KIND: Kind = Kind {
    name: "theory-tensor",
    question: "Do theorems 3.5, 3.6 and 3.7 hold in arithmetic, for every recipe and pattern, and how tight are the bounds?",
    title: "Theorems on tensors: what both steps lose, against what each loses",
    file: include_str!("theory_tensor.toml"),
    plan,
    measure: measure::measure,
    frame: frame::frame,
    figure: figure::draw,
    caption: tables::caption,
    shrink,
};

/// Which of two equal values is pruned: the one with the lower index, or the one with the higher.
const TIES: [&str; 2] = ["lower", "higher"];

/// Why a recipe that rounds nothing is left out.
const EXACT: &str = "it holds every FP32 number, so that nothing is rounded";

/// What this kind of study alone knows.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Options {
    /// How many blocks of each family a recipe sees under each pattern.
    drawn: Vec<Drawn>,
    /// Blocks cut from each layer.
    weights: u64,
    /// Blocks among which a counterexample of theorem 3.6 is sought.
    draws: u64,
    /// The pattern under which it is.
    search: String,
}

/// Blocks of one family.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Drawn {
    family: Family,
    /// Blocks for theorem 3.5 where it is claimed.
    blocks: u64,
    /// Of those, the blocks that go through both orders; all there are where it is not claimed.
    both: u64,
}

impl Options {
    fn of(spec: &Spec) -> Result<Self> {
        let options: Self = spec.options()?;
        for (at, one) in options.drawn.iter().enumerate() {
            let name = one.family.name();
            ensure!(one.both > 0 && one.both <= one.blocks, "options.drawn: {name}: `both` is 1 to `blocks`");
            let twice = options.drawn[..at].iter().any(|other| other.family == one.family);
            ensure!(!twice, "options.drawn: {name} comes twice; give each family once");
        }
        ensure!(options.weights > 0 && options.draws > 0, "options.weights and options.draws are 1 at least");
        let search: Pattern = options.search.parse().context("options.search")?;
        ensure!(search != Pattern::Dense, "options.search: under `dense` nothing is pruned");
        Ok(options)
    }
}

fn plan(bench: &Bench, _: &Done) -> Result<Vec<Planned>> {
    let options = Options::of(&bench.spec)?;
    let patterns = bench.patterns()?;
    ensure!(!patterns.contains(&Pattern::Dense), "`sparsity`: under `dense` nothing is pruned; leave it out");
    if options.drawn.is_empty() && bench.subjects.is_empty() {
        bail!("no blocks: give `models`, or families under `options.drawn`");
    }
    let mut planned = Vec::new();
    for format in formats(bench)? {
        let cells = Cells { bench, format, options: &options };
        match left_out(format) {
            Some(reason) => planned.push(cells.left_out("", reason)),
            None => cells.plan(&patterns, &mut planned),
        }
    }
    Ok(planned)
}

/// The recipes: those that the study names, else the whole catalogue.
fn formats(bench: &Bench) -> Result<Vec<&'static Format>> {
    if bench.spec.formats.is_empty() { Ok(Format::all().iter().collect()) } else { bench.formats() }
}

/// Why a recipe has nothing to examine.
fn left_out(format: &Format) -> Option<&'static str> {
    let wide = matches!(format.element.encoding,
        Encoding::Float { exponent_bits, mantissa_bits, subnormals: true, .. } if exponent_bits >= 8 && mantissa_bits >= 23);
    (wide && format.scaling.is_none() && format.input.is_none()).then_some(EXACT)
}

/// The cells of a recipe.
struct Cells<'a> {
    bench: &'a Bench,
    format: &'static Format,
    options: &'a Options,
}

impl Cells<'_> {
    /// Patterns that a block of the recipe cannot have are cells of their own that say why.
    fn plan(&self, patterns: &[Pattern], planned: &mut Vec<Planned>) {
        let mut fit = Vec::new();
        for pattern in patterns {
            match Case::new(self.format, *pattern) {
                Ok(_) => fit.push(pattern.to_string()),
                Err(error) => planned.push(self.left_out(&pattern.to_string(), &error.to_string())),
            }
        }
        if fit.is_empty() {
            return;
        }
        let (list, times) = (fit.join(","), fit.len() as u64);
        for seed in &self.bench.spec.seeds {
            for one in &self.options.drawn {
                let key = self.key("drawn", &list).with("source", one.family.name()).with("seed", *seed);
                let key = key.with("blocks", one.blocks).with("both", one.both);
                planned.push(self.cell(key, one.family.name(), times * one.blocks));
            }
            for tie in TIES {
                let key = self.key("search", &self.options.search).with("seed", *seed);
                let key = key.with("draws", self.options.draws).with("tie", tie);
                planned.push(self.cell(key, "counterexample", 1));
            }
        }
        for subject in &self.bench.subjects {
            let inputs = digest_of(subject.checksums.iter().map(|(name, sum)| format!("{name} {sum}")));
            let key = self.key("weights", &list).with("source", subject.model_name.as_str()).with("inputs", inputs);
            let key = key.with("preset", self.bench.spec.preset.as_str()).with("blocks", self.options.weights);
            planned.push(self.cell(key, &subject.model_name, times * self.options.weights));
        }
    }

    fn key(&self, part: &str, patterns: &str) -> Key {
        let record = digest_of([format!("{:?}", self.format)]);
        let key = Key::new(KIND.name).with("format", self.format.name).with("record", record);
        key.with("part", part).with("sparsity", patterns)
    }

    fn cell(&self, key: Key, source: &str, amount: u64) -> Planned {
        let name = format!("{} {source}", self.format.name);
        Planned { key, label: name.clone(), work: name, amount }
    }

    fn left_out(&self, pattern: &str, reason: &str) -> Planned {
        self.cell(self.key("left-out", pattern).with("reason", reason), "left out", 1)
    }
}

/// A few blocks of everything.
fn shrink(spec: &mut Spec) {
    let Ok(mut options) = Options::of(spec) else { return };
    for one in &mut options.drawn {
        one.blocks = one.blocks.min(2_000);
        one.both = (one.both * one.blocks / 2_000).clamp(1, one.blocks);
    }
    options.weights = options.weights.min(10);
    if let Ok(table) = toml::Table::try_from(&options) {
        spec.options = table;
    }
}
