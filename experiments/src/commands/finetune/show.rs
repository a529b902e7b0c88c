//! What the command prints at its end.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::Args;
use crate::output::sayln;

/// Prints `card`, whole or in words.
///
/// # Errors
/// It has no JSON form.
pub(super) fn print(args: &Args, card: &Value, out: &Path) -> Result<()> {
    if args.json {
        sayln!("{}", serde_json::to_string(card)?);
        return Ok(());
    }
    let settings = &card["settings"];
    let word = |name: &str| settings[name].as_str().unwrap_or("none");
    sayln!(
        "{}, recipe {}: {} steps of {}; evaluated in {}, {}, order {}, datapath {}",
        word("model"),
        word("recipe"),
        settings["steps"],
        settings["batch"],
        word("format"),
        word("sparsity"),
        word("order"),
        settings["datapath"].as_str().unwrap_or("auto")
    );
    sayln!("{:<28}{:>24}{:>24}", "held-out", "before", "after");
    for (plan, label) in [("fp32", "dense, FP32"), ("plan", "under the plan")] {
        for (index, score) in card["before"][plan].as_array().into_iter().flatten().enumerate() {
            let name = score["name"].as_str().unwrap_or_default();
            let after = interval(name, &card["after"][plan][index]);
            sayln!("{:<28}{:>24}{:>24}", format!("{name}, {label}"), interval(name, score), after);
        }
    }
    sayln!("written to {}: the model, loss.csv, loss.svg, finetune.json", out.display());
    Ok(())
}

/// A score with its standard error, a perplexity's in per cent of it.
fn interval(name: &str, score: &Value) -> String {
    let (value, stderr) = (score["value"].as_f64().unwrap_or(f64::NAN), score["stderr"].as_f64().unwrap_or(f64::NAN));
    match name {
        "perplexity" => format!("{value:.3} ± {:.1} %", 100.0 * stderr),
        _ => format!("{value:.4} ± {stderr:.4}"),
    }
}
