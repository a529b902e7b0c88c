//! What the command prints at its end.

use anyhow::Result;
use interplay::compress::Recipe;
use interplay::compression::LayerReport;

use super::Args;
use crate::output::sayln;

pub(super) fn print(
    args: &Args,
    recipe: &Recipe,
    card: &serde_json::Value,
    reports: &[LayerReport],
    caveat: Option<&str>,
) -> Result<()> {
    if args.json {
        sayln!("{}", serde_json::to_string(card)?);
        return Ok(());
    }
    let width = reports.iter().map(|r| r.layer.len()).max().unwrap_or(0).max(5);
    sayln!("{:width$}  {:>11}  zeros    ||W-W'||  ||(W-W')X||  unmoved", "layer", "shape");
    for report in reports {
        let shape = format!("{}x{}", report.rows, report.k);
        let share = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| format!("{:.2}%", 100.0 * v));
        sayln!(
            "{:width$}  {shape:>11}  {:>6.2}%  {:>7.2}%  {:>11}  {:>7}",
            report.layer,
            100.0 * report.sparsity,
            100.0 * report.weight_error,
            share(report.output_error),
            share(report.without_update)
        );
    }
    sayln!("");
    sayln!(
        "errors are relative, on the calibration inputs; `unmoved` is the same without the errors moved to other weights"
    );
    let off = reports.iter().filter(|r| r.on_grid == Some(false)).count();
    if off > 0 {
        sayln!(
            "{off} of {} layers are stored in FP32: a step moved them after rounding, or their columns share scales out of order",
            reports.len()
        );
    }
    if let Some(caveat) = caveat {
        sayln!("note: {caveat}");
    }
    sayln!(
        "wrote {0}: the model in F32, compression.json; {0}/packed: the same as codes and scales",
        args.out.display()
    );
    let activations = recipe.activations();
    let inputs = if activations.is_exact() { String::new() } else { format!(" --activations {}", activations.name) };
    sayln!("evaluate it: interplay eval --model {} --data FILE{inputs}", args.out.display());
    Ok(())
}
