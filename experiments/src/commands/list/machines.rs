//! Machines, cycle models and prices.

use anyhow::{Result, bail};
use interplay_formats::{Format, Pattern};
use interplay_hw::Error;
use interplay_hw::cost::{Accelerator, CycleModel, Engine, Pair, PriceList, gates};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::Listed;
use crate::output::say;
use crate::report::table::Table;

/// Prints one record as the TOML of its file, or as JSON.
///
/// # Errors
/// A kind of which records are not picked by name, or an unknown name.
pub fn record(what: Listed, name: &str, as_json: bool) -> Result<()> {
    let text = match what {
        Listed::Accelerators if as_json => json_of(Accelerator::by_name(name)?)?,
        Listed::Accelerators => {
            let machine = Accelerator::by_name(name)?;
            format!("{}\n{}", toml::to_string(machine)?, map_of(machine))
        }
        Listed::Prices if as_json => json_of(PriceList::by_name(name)?)?,
        Listed::Prices => toml::to_string(PriceList::by_name(name)?)?,
        _ => bail!("only datapaths, methods, accelerators and prices are picked by a word: leave `{name}` out"),
    };
    say(format_args!("{text}"));
    Ok(())
}

fn json_of(record: &impl Serialize) -> Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(record)?))
}

/// What runs each format on a machine, weights and activations alike, as comments behind its record.
fn map_of(machine: &Accelerator) -> String {
    let mut text = "# What runs weights and activations of one format, dense; `interplay cost --weights --activations` tells of other pairs.\n".to_owned();
    for format in Format::all() {
        let pair = Pair::of(format, format.for_activations(), Pattern::Dense);
        let said = match machine.run(&pair) {
            Ok(run) => match run.scales {
                Some(scales) => {
                    let place = serde_json::to_value(scales).unwrap_or_default();
                    let place = place.as_str().unwrap_or_default().to_owned();
                    format!("{} to {} on {}, scales: {place}", run.runs.name(), run.activations.name, run.datapath.name)
                }
                None => format!("{} {}", run.runs.name(), run.priced().name),
            },
            Err(Error::Refused { reason: Some(reason), .. }) => format!("refused: {reason}"),
            Err(_) => "refused".to_owned(),
        };
        text.push_str(&format!("# {:<24} {said}\n", format.name));
    }
    text
}

pub fn accelerators() -> Result<(Table, Value)> {
    let mut table = Table::new("", ["name", "engine", "clock", "peak TOPS", "what it is"]).text();
    for a in Accelerator::all() {
        let engine = match &a.engine {
            Engine::Systolic { arrays, rows, columns, .. } => format!("{arrays} x {rows}x{columns}"),
            Engine::TensorCore { cores, .. } => format!("{cores} cores"),
        };
        let peak = a.units.iter().map(|unit| a.peak_tops(unit)).fold(0.0, f64::max);
        let clock = format!("{} MHz", a.clock_mhz);
        table.row([a.name.clone(), engine, clock, format!("{peak:.1}"), a.about.clone()]);
    }
    Ok((table, serde_json::to_value(Accelerator::all())?))
}

pub fn cycle_models() -> Result<(Table, Value)> {
    let mut table = Table::new("", ["name", "valid for", "leaves out"]).text();
    for model in CycleModel::all() {
        table.row([model.name, model.valid, model.omits]);
    }
    Ok((table, serde_json::to_value(CycleModel::all())?))
}

/// Every price with its band, and how far the gate model is from every unit that it was fitted to.
pub fn prices() -> Result<(Table, Value)> {
    let mut table = Table::new("", ["list", "price", "pJ", "low", "high", "bits", "status", "source"]).text();
    for list in PriceList::all() {
        for (name, price) in list.prices() {
            let number = |pj: f64| format!("{pj:.4}");
            let status = format!("{:?}", price.status).to_lowercase();
            let energy = price.energy;
            table.row([
                list.name.clone(),
                name,
                number(energy.typical),
                number(energy.low),
                number(energy.high),
                price.bits.to_string(),
                status,
                price.source.clone(),
            ]);
        }
    }
    for anchor in gates::anchors() {
        let number = |value: f64| format!("{value:.4}");
        table.row([
            "gate model".to_owned(),
            format!("{} {:?}", anchor.unit, anchor.quantity).to_lowercase(),
            number(anchor.modelled),
            number(anchor.measured),
            format!("{:+.0} %", 100.0 * anchor.error),
            String::new(),
            "derived".to_owned(),
            "modelled, measured after layout, error".to_owned(),
        ]);
    }
    let json = json!({"lists": PriceList::all(), "gate_model": gates::anchors()});
    Ok((table, json))
}
