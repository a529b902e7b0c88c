//! `interplay quantize`: the tensors of a file in a number format, with what was lost.

use anyhow::{Context, Result};
use clap::builder::PossibleValuesParser;
use interplay::load::Bytes;
use interplay_formats::file::{Export, Options};
use interplay_formats::{Footprint, Format, Loss, Rounding, ScaleRule};
use serde_json::{Value, json};

use super::tensors::{Files, Split, floats, open};
use crate::output::{sayln, write_whole};
use crate::report::table::Table;

/// Arguments of `quantize`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file's layout is in docs/formats.md: T.codes, T.scales, T.zeros, T.scale2, T.dequantized for a tensor T.

Examples:
  interplay quantize --format mxfp8 --input model.safetensors --out model-mxfp8.safetensors
  interplay quantize --format mxfp4 --rule ceil --packed --input w.safetensors --out w-mxfp4.safetensors
  interplay quantize --format hbfp8 --rounding stochastic-8 --seed 7 --input w.safetensors --out q.safetensors
  interplay quantize --format int4-g64 --only '*.fc2.weight' --json --input w.safetensors --out q.safetensors")]
pub struct Args {
    /// The number format; `interplay list formats` shows all.
    #[arg(long, alias = "formats", value_name = "NAME")]
    format: String,

    /// Another scale rule, as `NAME@RULE`.
    #[arg(long, value_parser = PossibleValuesParser::new(ScaleRule::ALL.map(ScaleRule::name)), hide_possible_values = true)]
    rule: Option<String>,

    /// Another rounding; `interplay list roundings` shows all.
    #[arg(long)]
    rounding: Option<Rounding>,

    /// What becomes of elements beyond the largest.
    #[arg(long, value_parser = ["saturate", "infinity", "nan", "wrap"])]
    overflow: Option<String>,

    /// The seed of stochastic rounding.
    #[arg(long, alias = "seeds", default_value_t = 0, value_name = "S")]
    seed: u64,

    /// Write codes as one bit string, as memory would hold them.
    #[arg(long)]
    packed: bool,

    /// Leave out the dequantised values.
    #[arg(long)]
    codes_only: bool,

    #[command(flatten)]
    files: Files,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What became of one tensor.
struct Line {
    name: String,
    shape: Vec<usize>,
    elements: usize,
    footprint: Footprint,
    loss: Loss,
}

/// Quantises the tensors and prints what was lost.
///
/// # Errors
/// An unknown format, an unreadable input, a value that the format refuses, an output that cannot be written.
pub fn run(args: &Args) -> Result<()> {
    let format = args.format()?;
    args.files.ready()?;
    let bytes = Bytes::map(&args.files.input)?;
    let container = open(&args.files.input, &bytes)?;
    let split = args.files.split(&container)?;
    let lines = args.write(format, &split)?;
    for line in lines.iter().filter(|l| l.loss.padded_blocks > 0) {
        let k = line.shape.last().copied().unwrap_or(1);
        let (n, padded) = (line.loss.padded_blocks, format.padded(k));
        eprintln!("padded with zeros: `{}`, {n} last blocks, rows of {k} to {padded}", line.name);
    }
    if args.json {
        sayln!("{}", serde_json::to_string_pretty(&args.json(format, &lines, &split))?);
    } else {
        table(format, &lines).print();
    }
    Ok(())
}

impl Args {
    fn format(&self) -> Result<&'static Format> {
        let rounding = self.rounding.map(|r| r.to_string());
        let changes = [&self.rule, &rounding, &self.overflow];
        let mut format = Format::by_name(&self.format)?;
        for change in changes.into_iter().flatten() {
            format = format.changed(change)?;
        }
        Ok(format)
    }

    /// Writes the file, one tensor after the other.
    fn write(&self, format: &'static Format, split: &Split) -> Result<Vec<Line>> {
        let mut export = Export::new(format, Options { packed: self.packed, dequantized: !self.codes_only });
        for (name, view) in &split.chosen {
            export.quantized(name, &view.shape)?;
        }
        for (name, view) in &split.copied {
            export.copied(name, view.dtype, &view.shape)?;
        }
        let mut lines = Vec::new();
        let path = &self.files.output;
        write_whole(path, |file| {
            let mut writer = export.start(file).with_context(|| path.display().to_string())?;
            lines = split.each(|name, view| {
                let (values, k) = floats(name, view)?;
                let quantized = format.quantize_any(&values, k, self.seed);
                let quantized = quantized.with_context(|| format!("tensor `{name}`"))?;
                let dequantized = quantized.dequantize();
                writer.quantized(name, &quantized, &dequantized)?;
                Ok(Line {
                    name: name.to_owned(),
                    shape: view.shape.clone(),
                    elements: values.len(),
                    footprint: format.footprint(quantized.rows(), k, None),
                    loss: quantized.loss(&values, &dequantized)?,
                })
            })?;
            for (name, view) in &split.copied {
                writer.raw(name, view.bytes)?;
            }
            writer.finish()?;
            Ok(())
        })?;
        Ok(lines)
    }

    fn json(&self, format: &Format, lines: &[Line], split: &Split) -> Value {
        let line = |l: &Line| {
            let f = l.footprint;
            json!({
                "name": l.name,
                "shape": l.shape,
                "bits_per_element": per_element(f.total(), l.elements),
                "footprint_bits": {"values": f.values, "scales": f.scales, "metadata": f.metadata, "total": f.total()},
                "max_error": finite(l.loss.max_error),
                "rms_error": finite(l.loss.rms_error),
                "clipped": l.loss.clipped,
                "non_finite": l.loss.non_finite,
                "padded_blocks": l.loss.padded_blocks,
            })
        };
        json!({
            "format": format.name,
            "seed": self.seed,
            "packed": self.packed,
            "tensors": lines.iter().map(line).collect::<Vec<_>>(),
            "copied": split.copied_json(),
            "version": env!("CARGO_PKG_VERSION"),
        })
    }
}

/// JSON has no infinity: a value that became one has no finite error.
fn finite(error: f64) -> Option<f64> {
    error.is_finite().then_some(error)
}

fn per_element(bits: u64, elements: usize) -> f64 {
    if elements == 0 { 0.0 } else { bits as f64 / elements as f64 }
}

fn table(format: &Format, lines: &[Line]) -> Table {
    let header = ["tensor", "shape", "bits", "values B", "scales B", "metadata B", "max error", "RMS error"];
    let more = ["clipped", "NaN, Inf", "padded"];
    let mut table = Table::new(format!("quantised to {}", format.name), header.into_iter().chain(more));
    for line in lines {
        let [values, scales, metadata] = [line.footprint.values, line.footprint.scales, line.footprint.metadata];
        table.row([
            line.name.clone(),
            line.shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x"),
            format!("{:.4}", per_element(line.footprint.total(), line.elements)),
            (values / 8).to_string(),
            (scales / 8).to_string(),
            (metadata / 8).to_string(),
            format!("{:.3e}", line.loss.max_error),
            format!("{:.3e}", line.loss.rms_error),
            line.loss.clipped.to_string(),
            line.loss.non_finite.to_string(),
            line.loss.padded_blocks.to_string(),
        ]);
    }
    if lines.len() > 1 {
        let total: Footprint = lines.iter().map(|l| l.footprint).sum();
        let elements = lines.iter().map(|l| l.elements).sum();
        let bytes = [total.values, total.scales, total.metadata].map(|bits| (bits / 8).to_string());
        let bits = format!("{:.4}", per_element(total.total(), elements));
        table.row(["all", &elements.to_string(), &bits].map(str::to_owned).into_iter().chain(bytes));
    }
    table
}
