//! The study's folder: `results.jsonl`, `data.csv`, `layers.csv`, `timings.csv`, `figure.svg`, `caption.md`, `run.json`. All but `timings.csv` have
//! the same bytes on every run.

use std::fmt::Write;

use anyhow::Result;

use super::run::Model;
use super::{Request, TITLE, figure, layers, pqp, tables, verdict};
use crate::engine::frame::Frame;
use crate::engine::write::Facts;
use crate::output::write_atomic;
use crate::report::csv::field;

/// Writes every file, each whole.
pub(super) fn all(request: &Request, models: &[Model], facts: &Facts) -> Result<()> {
    let mut lines = String::new();
    for measured in models.iter().flat_map(|model| &model.cells) {
        let _ = writeln!(lines, "{}", serde_json::to_string(&measured.cell)?);
    }
    let table = csv(models);
    let figure = figure::draw(&Frame::parse(table.as_bytes())?)?.svg();
    let files = [
        ("results.jsonl", lines),
        ("data.csv", table),
        ("layers.csv", layers::csv(models)),
        ("timings.csv", timings(models)),
        ("figure.svg", figure),
        ("caption.md", caption(request, models)),
    ];
    files.iter().try_for_each(|(name, text)| write_atomic(&request.out.join(name), text.as_bytes()))?;
    let cells = models.iter().map(|model| model.cells.len()).sum();
    facts.write(&request.out, cells, request.models.len() * request.points.len())
}

fn csv(models: &[Model]) -> String {
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let mut out = String::from(
        "model,recipe,pruner,quantiser,order,format,sparsity,data,perplexity,stderr,fp32,data2,perplexity2,stderr2,fp32_2,\
         measured_sparsity,output_error,on_grid,values_bits,scales_bits,metadata_bits,other_bits,total_bits,cycles,energy_pj,\
         calibration_bytes\n",
    );
    for m in models.iter().flat_map(|model| &model.cells) {
        let (c, f) = (&m.cell, m.cell.footprint_bits);
        let (Some(how), Some(other)) = (&c.compression, &c.other_text) else { continue };
        let _ = writeln!(
            out,
            "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
            field(&c.model),
            field(&how.recipe),
            how.pruner,
            how.quantiser,
            c.order,
            c.format,
            c.sparsity,
            field(&c.data),
            c.metric.value,
            number(c.metric.stderr),
            c.fp32.value,
            field(&other.data),
            other.metric.value,
            number(other.metric.stderr),
            other.fp32.value,
            how.sparsity,
            how.output_error,
            number(how.on_grid),
            f.values,
            f.scales,
            f.metadata,
            f.other,
            f.total,
            c.cycles.total,
            c.energy_pj.total,
            how.calibration.bytes,
        );
    }
    out
}

fn timings(models: &[Model]) -> String {
    let mut out = String::from("model,recipe,calibration_s,evaluation_s\n");
    for model in models {
        for m in &model.cells {
            let (calibration, evaluation) = m.seconds;
            let _ = writeln!(out, "{},{},{calibration:.3},{evaluation:.3}", field(&model.name), field(m.recipe()));
        }
    }
    out
}

fn caption(request: &Request, models: &[Model]) -> String {
    let mut text = format!("# {TITLE}\n\n");
    text.push_str(
        "`figure.svg`: perplexity on the first text by the stored size of the whole model, a band a size in ascending order, with the Pareto front; \
         one panel a model. Colour: who prunes. Shape: how weights are rounded. Hollow: rounded before pruning (Q→S); filled: pruned first \
         (S→Q), in one pass, or one step alone. Bars: one standard error over windows, which all marks share.\n\n\
         A recipe is a list of steps in the order of work. A star marks weights that left the format's grid, because a step moved errors \
         after rounding; they are stored and costed as FP32. Differences carry the standard error of the paired difference of losses over \
         windows. Calibration time is in `timings.csv`, because it differs from run to run. Cells of `besa` and `pqp` are learned by Burn's own \
         gradients, so that their last bits depend on the machine (`machine_dependent` in `results.jsonl`); all others are the same bytes \
         everywhere.\n\n",
    );
    let m = &request.machine;
    let _ = writeln!(
        text,
        "Machine: `{}`; cycles: `{}`; prices: `{}`; activations: `{}`; seed {}.\n",
        m.accelerator.name, m.cycle_model.name, m.prices.name, request.activations.name, request.seed
    );
    for model in models {
        if let Some(how) = model.cells.first().and_then(|m| m.cell.compression.as_ref()) {
            let c = &how.calibration;
            let _ = writeln!(
                text,
                "{}: calibrated on {} sequences of {} tokens of `{}`, which the evaluated texts share no token with.\n",
                model.name, c.samples, c.length, c.data
            );
        }
        let sentences = verdict::sentences(request, model);
        if !sentences.is_empty() {
            let _ = writeln!(text, "Is PQP right to prune after rounding?\n\n- {}\n", sentences.join("\n- "));
        }
        for table in tables::all(request, model) {
            let _ = writeln!(text, "{}", table.markdown());
        }
        for note in &model.notes {
            let _ = writeln!(text, "Note: {note}\n");
        }
    }
    let _ = writeln!(text, "{}", pqp::REASONS);
    text
}
