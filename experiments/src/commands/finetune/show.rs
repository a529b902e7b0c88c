//! What the command prints at its end.

use std::path::Path;

use anyhow::Result;
use interplay::eval::Scale;
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
    sayln!("{:<28}{:>24}{:>24}", "held-out, ± 1 s.e.", "before", "after");
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

/// A score with its standard error, which makes an interval of a perplexity; the value alone where there is none.
fn interval(name: &str, score: &Value) -> String {
    let value = score["value"].as_f64().unwrap_or(f64::NAN);
    match (score["stderr"].as_f64(), Scale::of(name)) {
        (None, _) => format!("{value:.4}"),
        (Some(stderr), Scale::Linear) => format!("{value:.4} ± {stderr:.4}"),
        (Some(stderr), Scale::Log) => {
            let (low, high) = Scale::Log.interval(value, stderr);
            format!("{value:.2} [{low:.2}, {high:.2}]")
        }
    }
}
