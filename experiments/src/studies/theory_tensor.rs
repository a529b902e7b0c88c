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
    many: &["models", "formats", "sparsity", "seeds"],
    one: &[],
    plan,
    measure: measure::measure,
    frame: frame::frame,
    figure: figure::draw,
    caption: tables::caption,
    summary: tables::summary,
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
                planned.push(self.cell(key, &format!("counterexample, {tie}"), 1));
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
        let blocks = one.blocks.min(1_000);
        one.both = (one.both * blocks / one.blocks).max(1);
        one.blocks = blocks;
    }
    options.weights = options.weights.min(10);
    if let Ok(table) = toml::Table::try_from(&options) {
        spec.options = table;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::engine::bench::Worker;
    use crate::engine::frame::Frame;
    use crate::engine::spec::Size;
    use interplay::burn::Backend;

    fn spec(size: Size, changes: &str) -> Spec {
        Spec::parse(KIND.file, KIND.name, size, &changes.parse().unwrap()).unwrap().1
    }

    fn planned(changes: &str) -> Result<Vec<Planned>> {
        let mut spec = spec(Size::Default, changes);
        spec.models.clear();
        plan(&Bench::open(spec, Backend::default())?, &Done::default())
    }

    /// The theorems on every recipe, drawn blocks and the weights of both embedded models.
    #[test]
    fn what_records_claim_holds() {
        let mut spec = spec(Size::Quick, "");
        shrink(&mut spec);
        let bench = Bench::open(spec, Backend::default()).unwrap();
        let mut worker = Worker::new(&bench);
        let cells = plan(&bench, &Done::default()).unwrap();
        let results: Vec<_> = cells.iter().map(|cell| measure::measure(&mut worker, &cell.key).unwrap()).collect();
        let frame = frame::frame(&results).unwrap();
        for row in frame.rows() {
            let at = format!("{} {} {}", row.text("format"), row.text("source"), row.text("sparsity"));
            match row.text("part") {
                "counted" => {
                    assert!(
                        !row.text("reason").is_empty() || row.text("sq_element") == "0",
                        "{at}: {}",
                        row.text("example")
                    );
                    let (tight, paper) = (row.text("tight_violations"), row.text("paper_violations"));
                    assert_eq!((tight, paper), ("0", "0"), "{at}: {}", row.text("example"));
                    assert!(row.number("sq_blocks") > 0.0 && !row.text("sq_overflow").is_empty(), "{at}");
                }
                "search" => assert!(!row.text("example").is_empty() && row.number("excess") > 0.0, "{at}"),
                _ => assert_eq!(row.text("reason"), EXACT, "{at}"),
            }
        }
        let seen: BTreeSet<&str> = frame.rows().map(|row| row.text("format")).collect();
        assert_eq!(seen, Format::all().iter().map(|f| f.name).collect(), "every recipe of the catalogue");
        assert!(!tables::caption(&frame).unwrap().contains("VIOLATED"));
        assert_eq!(Frame::parse(frame.csv().unwrap().as_bytes()).unwrap(), frame);
    }

    /// In the size that is published every recipe that claims theorem 3.5 sees a million blocks, weights aside.
    #[test]
    fn a_million_blocks_a_recipe() {
        let cells = planned("").unwrap();
        for format in Format::all().iter().filter(|f| left_out(f).is_none()) {
            let drawn = cells.iter().filter(|cell| {
                cell.key.text("format").ok() == Some(format.name) && cell.key.text("part").ok() == Some("drawn")
            });
            let blocks: u64 = drawn.map(|cell| cell.amount).sum();
            assert!(blocks >= 1_000_000, "{}: {blocks}", format.name);
        }
        assert!(Options::of(&spec(Size::Default, "")).unwrap().draws >= 10_000_000);
    }

    #[test]
    fn what_cannot_be_examined_is_said() {
        let cells = planned("formats = ['fp64', 'int4']\nsparsity = ['2:4', '64:2:8']").unwrap();
        let parts: Vec<&str> = cells.iter().map(|cell| cell.key.text("part").unwrap()).collect();
        assert_eq!(parts, ["left-out", "left-out", "drawn", "drawn", "drawn", "search", "search"]);
        let message = |changes: &str| planned(changes).unwrap_err().to_string();
        assert!(message("sparsity = ['dense']").contains("dense"));
        assert!(message("options.weights = 0").contains("options.weights"));
        assert!(message("options.drawn = [{ family = 'gaussian', blocks = 1, both = 2 }]").contains("gaussian"));
    }
}
