//! A cost as a table and as JSON.

use anyhow::Result;
use interplay_hw::cost::{Band, Cost, Figures, LayerCost, area};
use serde_json::{Value, json};

use super::{Chosen, work::Work};
use crate::output::sayln;
use crate::report::table::Table;
use crate::result::Provenance;

/// The object that `--json` prints: names, every layer, totals, and what they come to.
///
/// # Errors
/// A number that JSON does not have, which no cost holds.
pub fn json(work: &Work, chosen: &Chosen, cost: &Cost) -> Result<Value> {
    let mut object = json!({
        "schema_version": crate::result::SCHEMA_VERSION,
        "work": work.name,
        "machine": chosen.machine,
        "datapath": joined(cost, |layer| layer.datapath.clone()),
        "runs": joined(cost, |layer| layer.runs.name().to_owned()),
    });
    let figures = json!({
        "rates": cost.total.rates(),
        "area_mm2": area(&chosen.machine, cost, &chosen.prices)?,
        "per": work.per.map(|(count, what)| json!({
            "what": what,
            "count": count,
            "energy_pj": cost.total.energy.total.typical / count as f64,
            "seconds": cost.total.seconds / count as f64,
        })),
        "price_list": {"name": chosen.prices.name, "node_nm": chosen.prices.node_nm, "volts": chosen.prices.volts, "source": chosen.prices.source},
        "version": env!("CARGO_PKG_VERSION"),
        "provenance": Provenance::current(),
    });
    for part in [serde_json::to_value(cost)?, figures] {
        if let (Some(object), Value::Object(part)) = (object.as_object_mut(), part) {
            object.extend(part);
        }
    }
    Ok(object)
}

/// What is said of layers, each once, joined by `+`; products of the host among them.
fn joined(cost: &Cost, of: impl Fn(&LayerCost) -> String) -> String {
    let names: std::collections::BTreeSet<String> = cost.layers.iter().map(of).collect();
    names.into_iter().collect::<Vec<_>>().join("+")
}

/// Prints every layer and the totals.
pub fn table(work: &Work, chosen: &Chosen, cost: &Cost) {
    let header = [
        "layer",
        "m x k x n",
        "times",
        "format",
        "unit",
        "cycles",
        "util.",
        "pad",
        "fill",
        "launch",
        "wait",
        "bound",
        "op/B",
        "DRAM KiB",
        "energy uJ",
    ];
    let mut table = Table::new("", header);
    for layer in &cost.layers {
        let gemm = &layer.gemm;
        let format = if layer.weights == layer.activations {
            layer.weights.to_owned()
        } else {
            format!("{}/{}", layer.weights, layer.activations)
        };
        let shape = format!("{}x{}x{}", gemm.m, gemm.k, gemm.n);
        let format = match (layer.sparsity.as_str(), layer.skip) {
            ("dense", _) => format,
            (pattern, Some(_)) => format!("{format} {pattern}"),
            (pattern, None) => format!("{format} {pattern}, run dense"),
        };
        let unit = format!("{} ({})", layer.datapath, layer.runs.name());
        let head = [gemm.name.clone(), shape, gemm.count.to_string(), format, unit];
        table.row(head.into_iter().chain(row(&layer.figures)));
    }
    let head = ["all", "", "", "", ""].map(str::to_owned);
    table.row(head.into_iter().chain(row(&cost.total)));
    table.print();
    sayln!("\n{LOSSES}");
    totals(work, chosen, cost);
}

/// What the columns of shares mean.
pub const LOSSES: &str = "Of the time: util. multiplies the product itself; lost are pad (what pads tiles, idle units), fill (filling and draining), \
launch (before a kernel's first multiplication) and wait (for memory). Together they are 100 %.";

fn row(figures: &Figures) -> impl Iterator<Item = String> {
    let percent = |share: f64| format!("{:.1}%", 100.0 * share);
    let (losses, dram) = (figures.losses, figures.memory.last().map_or(0, |main| main.moves.total().0));
    [
        figures.cycles.0.to_string(),
        percent(figures.share.utilisation),
        percent(losses.padding),
        percent(losses.fill_drain),
        percent(losses.launch),
        percent(losses.waiting),
        figures.bound.clone(),
        format!("{:.1}", figures.intensity),
        format!("{:.1}", dram as f64 / 8192.0),
        format!("{:.3}", figures.energy.total.typical / 1e6),
    ]
    .into_iter()
}

fn totals(work: &Work, chosen: &Chosen, cost: &Cost) {
    let (total, rates) = (&cost.total, cost.total.rates());
    let (machine, energy) = (&chosen.machine, &total.energy);
    let band = |band: Band| format!("{:.3} uJ ({:.3} to {:.3})", band.typical / 1e6, band.low / 1e6, band.high / 1e6);
    sayln!("\n{} on {}: {}", work.name, machine.name, machine.about);
    sayln!(
        "cycle model {}; prices {} ({} nm): {}",
        cost.cycle_model,
        cost.prices,
        chosen.prices.node_nm,
        chosen.prices.source
    );
    if !cost.host.is_empty() {
        let macs: u64 = cost.host.iter().map(|g| g.m * g.k * g.n * g.count).sum();
        let count = cost.host.len();
        sayln!(
            "{count} products of {macs} MACs run on the host: no unit of this machine has FP32, so they are not counted"
        );
    }
    sayln!(
        "{} MACs, {} executed, in {} cycles = {:.3} us",
        total.macs,
        total.macs_executed,
        total.cycles.0,
        total.seconds * 1e6
    );
    sayln!(
        "{:.3} TOPS dense-equivalent ({:.3} executed), {:.2} W, {:.3} TOPS/W dense-equivalent, energy x delay {:.3e} Js",
        rates.dense_equivalent_tops,
        rates.tops,
        rates.power_w,
        rates.dense_equivalent_tops_per_w,
        rates.energy_delay_js
    );
    sayln!(
        "energy {}: arithmetic {}, idle {}, static {}",
        band(energy.total),
        band(energy.mac),
        band(energy.idle),
        band(energy.leakage)
    );
    for ((name, energy), level) in energy.memory.iter().zip(&total.memory) {
        let kib = |bits: u64| bits as f64 / 8192.0;
        let m = &level.moves;
        sayln!(
            "  {name}: {}; weights {:.1} KiB, scales {:.1}, metadata {:.1}, activations {:.1}, partial sums {:.1}, outputs {:.1}; peak {:.1} KiB",
            band(*energy),
            kib(m.weight_values.0),
            kib(m.weight_scales.0 + m.activation_scales.0),
            kib(m.weight_metadata.0),
            kib(m.activation_values.0),
            kib(m.partial_sum_reads.0 + m.partial_sum_writes.0),
            kib(m.outputs.0),
            kib(level.peak_bits.0)
        );
    }
    let held = cost.footprint;
    let kib = |bits: u64| bits as f64 / 8192.0;
    sayln!(
        "weights {:.1} KiB, activations of a layer at most {:.1} KiB, keys and values {:.1} KiB",
        kib(held.weights.0),
        kib(held.activations.0),
        kib(held.kv_cache.0)
    );
    if cost.elementwise.operations > 0 {
        let other = &cost.elementwise;
        sayln!(
            "{} other operations move {:.1} KiB if none is fused: {:.3} us, not counted above",
            other.operations,
            kib(other.reads.0 + other.writes.0),
            other.seconds * 1e6
        );
    }
    if let Some((count, what)) = work.per {
        sayln!(
            "per {what}: {:.3} uJ, {:.3} us",
            energy.total.typical / count as f64 / 1e6,
            total.seconds * 1e6 / count as f64
        );
    }
    match area(machine, cost, &chosen.prices) {
        Ok(area) => {
            sayln!(
                "area {:.2} mm2 ({:.2} to {:.2}): units {:.2}, memory {:.2}; {:.3} TOPS/mm2 dense-equivalent",
                area.total.typical,
                area.total.low,
                area.total.high,
                area.units.typical,
                area.memory.typical,
                rates.dense_equivalent_tops / area.total.typical
            );
            let parts: Vec<_> = area.parts.iter().map(|(name, part)| format!("{name} {:.2}", part.typical)).collect();
            sayln!("  by component: {}", parts.join(", "));
            if let Some(note) = &area.note {
                sayln!("  note: {note}");
            }
        }
        Err(error) => sayln!("area: n/a ({error})"),
    }
}
