//! `interplay sparsify`: the tensors of a file with the smallest values pruned.

use anyhow::{Context, Result};
use clap::ValueEnum;
use interplay::load::Bytes;
use interplay_formats::file::{Dtype, Outline, Writer};
use interplay_formats::{Footprint, Format, Mask, Pattern};
use serde_json::json;

use super::tensors::{Files, Split, floats, open};
use crate::output::{sayln, write_whole};
use crate::report::table::Table;

/// Arguments of `sparsify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A tensor T of the input becomes T, F32 with zeros, and T.mask, U8 of the same shape, 1 where a value is kept. Rows are
the last axis; a tensor of rank 0 or 1 is one row.

Examples:
  interplay sparsify --pattern 2:4 --input model.safetensors --out model-24.safetensors
  interplay sparsify --pattern 50% --only '*.weight' --input model.safetensors --out half.safetensors --json")]
pub struct Args {
    /// `dense`, a percentage such as `50%`, `50%-row` or `50%-cols128`, or keep N of M such as `2:4`.
    #[arg(long, value_name = "P")]
    pattern: Pattern,

    /// What is pruned first.
    #[arg(long, value_enum, default_value_t = Criterion::Magnitude)]
    criterion: Criterion,

    #[command(flatten)]
    files: Files,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What is pruned first.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Criterion {
    /// The smallest magnitudes; of equal ones those of lower index.
    Magnitude,
}

/// What became of one tensor.
struct Line {
    name: String,
    shape: Vec<usize>,
    elements: usize,
    pruned: usize,
    footprint: Footprint,
}

/// Prunes the tensors and prints what is left.
///
/// # Errors
/// An unreadable input, a NaN or an infinity, rows that the pattern does not fit, an output that cannot be written.
pub fn run(args: &Args) -> Result<()> {
    args.files.ready()?;
    let bytes = Bytes::map(&args.files.input)?;
    let container = open(&args.files.input, &bytes)?;
    let split = args.files.split(&container)?;
    let lines = args.write(&split)?;
    if args.json {
        sayln!("{}", serde_json::to_string_pretty(&args.json(&lines, &split))?);
    } else {
        args.table(&lines).print();
    }
    Ok(())
}

impl Args {
    /// Writes the file, one tensor after the other.
    fn write(&self, split: &Split) -> Result<Vec<Line>> {
        let mut outline = Outline::default();
        outline.note("pattern", self.pattern.to_string());
        outline.note("criterion", self.criterion_name());
        outline.note("version", "1".to_owned());
        for (name, view) in &split.chosen {
            outline.tensor(name, Dtype::F32, &view.shape)?;
            outline.tensor(&mask_of(name), Dtype::U8, &view.shape)?;
        }
        for (name, view) in &split.copied {
            outline.tensor(name, view.dtype, &view.shape)?;
        }
        let mut lines = Vec::new();
        write_whole(&self.files.output, |file| {
            let mut writer = Writer::new(file, &outline)?;
            lines = split.each(|name, view| {
                let (mut values, k) = floats(name, view)?;
                let mask = self.pattern.magnitude_mask(&values, k).with_context(|| format!("tensor `{name}`"))?;
                mask.apply(&mut values)?;
                writer.raw(name, &values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>())?;
                let kept: Vec<u8> = mask.kept().iter().map(|&kept| u8::from(kept)).collect();
                writer.raw(&mask_of(name), &kept)?;
                Ok(Line::new(name, &view.shape, &mask))
            })?;
            for (name, view) in &split.copied {
                writer.raw(name, view.bytes)?;
            }
            writer.finish()?;
            Ok(())
        })?;
        Ok(lines)
    }

    fn criterion_name(&self) -> String {
        self.criterion.to_possible_value().map_or_else(String::new, |v| v.get_name().to_owned())
    }

    fn json(&self, lines: &[Line], split: &Split) -> serde_json::Value {
        let line = |l: &Line| {
            let f = l.footprint;
            json!({
                "name": l.name,
                "shape": l.shape,
                "pruned": l.pruned,
                "footprint_bits": {"values": f.values, "scales": f.scales, "metadata": f.metadata, "total": f.total()},
            })
        };
        json!({
            "pattern": self.pattern.to_string(),
            "criterion": self.criterion_name(),
            "tensors": lines.iter().map(line).collect::<Vec<_>>(),
            "copied": split.copied_json(),
            "version": env!("CARGO_PKG_VERSION"),
        })
    }

    fn table(&self, lines: &[Line]) -> Table {
        let title = format!("pruned to {} by {}, stored as FP32", self.pattern, self.criterion_name());
        let mut table = Table::new(title, ["tensor", "shape", "pruned", "of", "values B", "metadata B"]);
        let total = Line {
            name: "all".to_owned(),
            shape: Vec::new(),
            elements: lines.iter().map(|l| l.elements).sum(),
            pruned: lines.iter().map(|l| l.pruned).sum(),
            footprint: lines.iter().map(|l| l.footprint).sum(),
        };
        for line in lines.iter().chain((lines.len() > 1).then_some(&total)) {
            table.row([
                line.name.clone(),
                line.shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x"),
                line.pruned.to_string(),
                line.elements.to_string(),
                (line.footprint.values / 8).to_string(),
                (line.footprint.metadata / 8).to_string(),
            ]);
        }
        table
    }
}

impl Line {
    fn new(name: &str, shape: &[usize], mask: &Mask) -> Self {
        Self {
            name: name.to_owned(),
            shape: shape.to_vec(),
            elements: mask.kept().len(),
            pruned: mask.pruned(),
            footprint: Format::fp32().footprint(mask.rows(), mask.k(), Some(mask)),
        }
    }
}

fn mask_of(name: &str) -> String {
    format!("{name}.mask")
}
