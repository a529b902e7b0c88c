//! The study's folder: `results.jsonl`, `data.csv`, `layers.csv`, `figure.svg`, `layers.svg`, `caption.md`.

use std::fmt::Write;

use anyhow::Result;

use super::Request;
use super::run::Results;
use super::tables;
use crate::output::write_atomic;
use crate::report::{csv, figure, layers};
use crate::result::Cell;

/// Writes every file, each whole.
pub(super) fn all(request: &Request, results: &Results) -> Result<()> {
    let cells: Vec<Cell> = results.models.iter().flatten().map(|m| m.cell.clone()).collect();
    let mut lines = String::new();
    for cell in &cells {
        let _ = writeln!(lines, "{}", serde_json::to_string(cell)?);
    }
    let files = [
        ("results.jsonl", lines),
        ("data.csv", csv::cells(&cells)),
        ("layers.csv", csv::layers(&results.layers)),
        ("figure.svg", figure::pareto(&cells)?),
        ("layers.svg", layers::figure(&results.layers)?),
        ("caption.md", caption(request, results)),
    ];
    files.iter().try_for_each(|(name, text)| write_atomic(&request.out.join(name), text.as_bytes()))
}

fn caption(request: &Request, results: &Results) -> String {
    let mut text = String::from("# The order of sparsifying and quantising\n\n");
    text.push_str(
        "`figure.svg`: stored size of the compressed layers against the metric, both axes logarithmic, with the Pareto front; one \
         panel a model. Filled marks: dense, or sparsified before quantising (S→Q); hollow marks: quantised first (Q→S).\n\n\
         `layers.svg`: the relative output error of each product against FP32, every execution on its own residual \
         stream, and by how much Q→S exceeds S→Q.\n\n\
         Both orders of one format and pattern store the same bits and take the same cycles. Differences between the \
         orders carry the standard error of the paired difference over windows or images.\n\n",
    );
    let m = &request.machine;
    let _ = writeln!(
        text,
        "Machine: `{}`; cycles: `{}`; prices: `{}`; seed {}.\n",
        m.accelerator.name, m.cycle_model.name, m.prices.name, request.seed
    );
    for model in &results.models {
        for table in tables::all(model) {
            let _ = writeln!(text, "{}", table.markdown());
        }
    }
    for caveat in &results.caveats {
        let _ = writeln!(text, "Note: {caveat}\n");
    }
    text
}
