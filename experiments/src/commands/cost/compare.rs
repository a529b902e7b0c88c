//! Cycle models side by side, and why they differ.

use anyhow::Result;
use interplay_hw::cost::{Cost, CycleModel, cost};
use serde_json::json;

use super::{Chosen, work::Work};
use crate::output::sayln;
use crate::report::table::Table;

/// Prints the totals of every model that fits the machine; the others with the reason why they do not.
///
/// # Errors
/// None of the models fits.
pub fn run(work: &Work, chosen: &Chosen, as_json: bool) -> Result<()> {
    let counted: Vec<(&CycleModel, Result<Cost, interplay_hw::Error>)> = CycleModel::all()
        .iter()
        .map(|model| (model, cost(&work.workload, &chosen.machine, model, &chosen.prices)))
        .collect();
    if let (true, Some((_, Err(error)))) = (counted.iter().all(|(_, cost)| cost.is_err()), counted.first()) {
        return Err(error.clone().into());
    }
    if as_json {
        let models = counted.iter().map(|(model, cost)| match cost {
            Ok(cost) => json!({
                "cycle_model": model.name, "cycles": cost.total.cycles, "time": cost.total.time,
                "share": cost.total.share, "losses": cost.total.losses, "bound": cost.total.bound, "valid": model.valid, "omits": model.omits,
            }),
            Err(error) => json!({"cycle_model": model.name, "error": error.to_string(), "valid": model.valid}),
        });
        let object = json!({
            "schema_version": crate::result::SCHEMA_VERSION,
            "accelerator": chosen.machine.name,
            "work": work.name,
            "models": models.collect::<Vec<_>>(),
        });
        sayln!("{}", serde_json::to_string_pretty(&object)?);
        return Ok(());
    }
    let header = ["cycle model", "cycles", "ideal", "util.", "pad", "fill", "launch", "wait"];
    let mut table = Table::new(format!("{} on {}", work.name, chosen.machine.name), header);
    for (model, cost) in &counted {
        let Ok(cost) = cost else { continue };
        let (total, percent) = (&cost.total, |share: f64| format!("{:.1} %", 100.0 * share));
        let losses = total.losses;
        table.row([
            model.name.to_owned(),
            total.cycles.0.to_string(),
            total.time.ideal.0.to_string(),
            percent(total.share.utilisation),
            percent(losses.padding),
            percent(losses.fill_drain),
            percent(losses.launch),
            percent(losses.waiting),
        ]);
    }
    table.print();
    sayln!("\n{}", super::show::LOSSES);
    for (model, cost) in &counted {
        sayln!("\n{}: {}\n  valid for: {}\n  leaves out: {}", model.name, model.about, model.valid, model.omits);
        if let Err(error) = cost {
            sayln!("  not counted: {error}");
        }
    }
    Ok(())
}
