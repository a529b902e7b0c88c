//! How far does quantisation scramble the order of importance?
//!
//! What Q→S prunes is chosen among rounded magnitudes: where two of them changed places or became equal, another weight may go. A cell is
//! one format with one block size on the weights of one model, or on Gaussian rows; nothing runs but quantisation and pruning.

mod figure;
mod frame;
mod measure;
mod tables;

use anyhow::{Context, Result, bail, ensure};
use interplay_formats::{Block, Format, Pattern};
use serde::{Deserialize, Serialize};

use crate::engine::bench::Bench;
use crate::engine::key::{Key, digest_of};
use crate::engine::kind::{Done, Kind, Planned};
use crate::engine::spec::Spec;
use crate::subject::Subject;

/// The study.
pub const KIND: Kind = Kind {
    name: "ranking",
    question: "How far does quantisation scramble the ranking of weights by magnitude, by format and block size?",
    title: "The ranking of weights after quantisation",
    file: include_str!("ranking.toml"),
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

/// What this kind of study alone knows.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Block sizes beside each format's own.
    blocks: Vec<usize>,
    /// Gaussian matrices.
    gaussian: Vec<Gaussian>,
    /// Batches of each.
    batches: u64,
    /// Recipes that see Gaussian rows alone, with their own blocks.
    #[serde(default)]
    compared: Vec<String>,
}

/// Gaussian rows.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Gaussian {
    /// Values of a row.
    k: usize,
    /// Rows of a batch.
    rows: usize,
}

impl Options {
    fn of(spec: &Spec) -> Result<Self> {
        let options: Self = spec.options()?;
        ensure!(options.blocks.iter().all(|b| *b > 0), "options.blocks: a block has one value at least");
        ensure!(options.batches > 1, "options.batches: 2 at least, or there is no standard error");
        for one in &options.gaussian {
            let values = one.k.saturating_mul(one.rows);
            ensure!((1..=1 << 26).contains(&values), "options.gaussian: `k` times `rows` is 1 to 2^26");
        }
        Ok(options)
    }
}

/// A recipe with the values under one scale: none is its own size.
#[derive(Debug, Clone, Copy)]
struct Sized {
    format: &'static Format,
    block: Option<usize>,
}

impl Sized {
    /// The record with that block; the recipe itself where it has it already.
    ///
    /// # Errors
    /// The recipe cannot have such blocks.
    fn record(self) -> Result<&'static Format> {
        let Some(size) = self.block.filter(|size| own(self.format) != Some(*size)) else { return Ok(self.format) };
        let mut record = serde_json::to_value(self.format)?;
        record["name"] = format!("{}-b{size}", self.format.name).into();
        record["aliases"] = Vec::<String>::new().into();
        record["scaling"]["block"] = serde_json::to_value(Block::Run(size))?;
        let record: Format = serde_json::from_value(record).context("a record with another block")?;
        Ok(record.adopt()?)
    }
}

/// The values under one scale in the recipe, where it is a run along K.
fn own(format: &Format) -> Option<usize> {
    match format.scaling?.block {
        Block::Run(n) => Some(n),
        _ => None,
    }
}

/// The recipe as it is and, where its scales cover runs or rows, with every block size of the study that makes a record.
fn sized(format: &'static Format, blocks: &[usize]) -> Vec<Sized> {
    let mut all = vec![Sized { format, block: own(format) }];
    if format.scaling.is_some_and(|s| matches!(s.block, Block::Run(_) | Block::Row)) {
        let others = blocks.iter().map(|&size| Sized { format, block: Some(size) });
        all.extend(others.filter(|s| s.block != own(format) && s.record().is_ok()));
    }
    all
}

fn plan(bench: &Bench, _: &Done) -> Result<Vec<Planned>> {
    let options = Options::of(&bench.spec)?;
    let patterns = bench.patterns()?;
    ensure!(!patterns.contains(&Pattern::Dense), "`sparsity`: under `dense` nothing is pruned; leave it out");
    if options.gaussian.is_empty() && bench.subjects.is_empty() {
        bail!("no weights: give `models`, or rows under `options.gaussian`");
    }
    let list = patterns.iter().map(Pattern::to_string).collect::<Vec<_>>().join(",");
    let mut planned = Vec::new();
    let formats: Vec<&Format> = bench.formats()?.into_iter().filter(|format| !format.is_exact()).collect();
    let compared = options.compared.iter().map(|name| Ok(Format::by_name(name)?)).collect::<Result<Vec<_>>>()?;
    let all = formats.iter().map(|format| (*format, &options.blocks[..], &bench.subjects[..]));
    let compared =
        compared.into_iter().filter(|format| !formats.contains(format)).map(|format| (format, &[][..], &[][..]));
    for (format, blocks, subjects) in all.chain(compared) {
        for sized in sized(format, blocks) {
            let record = digest_of([format!("{:?}", sized.record()?)]);
            let key =
                Key::new(KIND.name).with("format", format.name).with("record", record).with("sparsity", list.as_str());
            let key = match sized.block {
                Some(size) => key.with("block", size),
                None => key,
            };
            planned.extend(sources(&bench.spec, subjects, &options, &key, sized));
        }
    }
    Ok(planned)
}

/// The cells of one record: Gaussian rows that are no shorter than its blocks, and the models.
fn sources(spec: &Spec, subjects: &[Subject], options: &Options, key: &Key, sized: Sized) -> Vec<Planned> {
    let block = sized.block.map_or_else(String::new, |size| format!(" in blocks of {size}"));
    let cell = |key: Key, source: &str, amount: u64| Planned {
        label: format!("{}{block}, {source}", sized.format.name),
        work: format!("{} {source}", sized.format.name),
        key: key.with("source", source),
        amount,
    };
    let mut planned = Vec::new();
    for seed in &spec.seeds {
        for one in options.gaussian.iter().filter(|one| sized.block.is_none_or(|size| size <= one.k)) {
            let key = key.clone().with("seed", *seed).with("k", one.k).with("rows", one.rows);
            let key = key.with("batches", options.batches);
            planned.push(cell(key, &format!("gaussian-{}", one.k), options.batches));
        }
    }
    for subject in subjects {
        let inputs = digest_of(subject.checksums.iter().map(|(name, sum)| format!("{name} {sum}")));
        let key = key.clone().with("inputs", inputs).with("preset", spec.preset.as_str());
        planned.push(cell(key, &subject.model_name, 1));
    }
    planned
}

/// Fewer Gaussian rows; weights are read whole, since a part of a layer is no layer.
fn shrink(spec: &mut Spec) {
    let Ok(mut options) = Options::of(spec) else { return };
    options.batches = 2;
    if let Ok(table) = toml::Table::try_from(&options) {
        spec.options = table;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(name: &str) -> &'static Format {
        Format::by_name(name).unwrap()
    }

    #[test]
    fn another_block_is_another_record() {
        let of = |name: &str, block| Sized { format: format(name), block }.record().unwrap();
        assert_eq!(of("hbfp6", Some(32)).name, "hbfp6-b32");
        assert_eq!(of("hbfp6", Some(32)).scaling, format("hbfp6-b32").scaling);
        assert_eq!(of("mxfp4", Some(64)).scaling.unwrap().block, Block::Run(64));
        assert_eq!(of("mxfp4", Some(32)).name, "mxfp4");
        assert_eq!(of("int4", Some(32)).scaling, format("int4-g32").scaling);
        assert_eq!(of("int4", None).name, "int4");
        assert_eq!(own(format("int8")), None);
    }

    #[test]
    fn scales_of_tensors_keep_their_blocks() {
        let count = |name: &str| sized(format(name), &[16, 32, 64]).len();
        assert_eq!((count("mxfp8"), count("int8"), count("int8-tensor"), count("e4m3")), (3, 4, 1, 1));
    }
}
