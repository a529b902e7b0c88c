//! `docs/energy.md`: every constant with its unit, source, status and band, written from the constants themselves.

use crate::support::committed;
use interplay_hw::cost::gates::{self, AnchorCheck, Quantity};
use interplay_hw::cost::{Band, Price, PriceList, Sram, Status, sram_spread};
use std::fmt::Write;

const HEAD: &str = "# Energy and area: every constant

Written by the test `prices::document` from the data files (`INTERPLAY_UPDATE=1 cargo test -p interplay-hw -- prices::document`);
edit those instead.

A number is `measured` (published by its source as its own figure), `derived` (computed from such figures by a stated rule) or
`assumed` (commonly quoted, or plausible). Its band is what its sources leave open. The bare operations of `horowitz45`,
`jouppi7` and `aladdin40` have no registers, wires or clock; those of `npuwattch10` and the gate count have. They differ by a
factor of ten, and a report says which one it used.
";

const GATES: &str = "
## Units from their gates

`gates::unit` counts the operations of a datapath record in full-adder equivalents: a multiplier `a b`, an adder its width `W`, an
aligner or a normaliser `W log2 W` multiplexers, a floating-point addition `3 W log2 W` with three guard bits, an exponent its bits,
a choice of one operand in N:M weights `M - N + 1` multiplexers a bit, a register bit 0.69 (Aladdin: 5.98 over 278 / 32 um2). In
floating-point adders and aligners only the significant bits of the products switch. Registers hold a product a stage, and the
accumulator. Of the constants, two a node and one in common are fitted by least squares of logarithms to the units below; between
their nodes they are interpolated in log-log, outside they follow Stillmaker and Baas down to 7 nm and energy by the square root,
area in proportion below.

How the MX units sum is not published. They are read as one FP32 addition a product; the last rows, to which nothing was fitted,
show the other reading, an exact sum of a block, which is further from their areas.
";

const ZEROS: &str = "
## Zeros, held weights, idle cycles

Over an active multiply-accumulate on random data, from the same units (median and extremes).

| what | typical | low | high |
| --- | --- | --- | --- |
";

const SCALING: &str = "
## Scaling

Energy: Stillmaker and Baas, Integration 58 (2017), `a V^2 + b V + c` for each node from 130 to 7 nm, linear between nodes; below 7 nm
by the square root of the feature size. Area over 45 nm: 32 nm 0.46, 20 nm 0.21, 16 nm 0.19, 14 nm 0.17, 10 nm 0.10, 7 nm 0.059, in
proportion to the feature size below, an ideal shrink above 45 nm (assumed). Covered: 2 to 130 nm, 0.4 to 1.4 V.
";

/// The committed file is what the constants say.
pub fn is_current() {
    let mut text = HEAD.to_owned();
    PriceList::all().iter().for_each(|list| operations(&mut text, list));
    memories(&mut text);
    text.push_str(GATES);
    units(&mut text);
    text.push_str(ZEROS);
    let activity = gates::activity(false, f64::NAN);
    for (what, band) in [
        ("weight held", activity.weight_held),
        ("an operand is zero, not gated", activity.zero_operand),
        ("idle, and a gated zero (a machine's record says its own)", activity.idle),
    ] {
        line(&mut text, &[what, &three(band)]);
    }
    text.push_str(SCALING);
    committed("../docs/energy.md", &text);
}

fn line(text: &mut String, cells: &[&str]) {
    writeln!(text, "| {} |", cells.join(" | ")).unwrap();
}

/// Four significant digits at most, without trailing zeros.
fn number(x: f64) -> String {
    let decimals = (3 - x.abs().max(1e-9).log10().floor() as i32).clamp(0, 9) as usize;
    let text = format!("{x:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn three(band: Band) -> String {
    [band.typical, band.low, band.high].map(number).join(" | ")
}

fn status(status: Status) -> String {
    format!("{status:?}").to_lowercase()
}

fn operations(text: &mut String, list: &PriceList) {
    let (name, node, volts) = (&list.name, list.node_nm, list.volts);
    writeln!(text, "\n## {name}: {node} nm, {volts} V\n\nPrices of {}. {}.\n", list.about, list.source).unwrap();
    text.push_str("| event | bits | pJ | low | high | um2 | status | source |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for (place, price) in list.prices().into_iter().filter(|(place, _)| !place.starts_with("dram.")) {
        row(text, place.trim_start_matches("operations."), price);
    }
    match &list.sram {
        Sram::Cacti { node_nm } => writeln!(text, "\nOn-chip memories: CACTI-7 at {node_nm} nm.").unwrap(),
        Sram::Points { points } => {
            for point in points {
                let (what, bits) = (format!("SRAM of {} KiB", point.kib), point.bits.to_string());
                line(text, &[&what, &bits, &three(point.pj), "", &status(point.status), &point.source]);
            }
        }
    }
    if let Some(own) = list.dram.get("dram") {
        writeln!(text).unwrap();
        text.push_str("Main memory of its own, `dram`:");
        writeln!(
            text,
            " {} pJ a bit ({} to {}), {}.",
            number(own.per_bit().typical),
            number(own.per_bit().low),
            number(own.per_bit().high),
            own.source
        )
        .unwrap();
    }
}

fn row(text: &mut String, what: &str, price: &Price) {
    let area = price
        .area
        .map_or(String::new(), |a| format!("{} ({} to {})", number(a.typical), number(a.low), number(a.high)));
    line(text, &[what, &price.bits.to_string(), &three(price.energy), &area, &status(price.status), &price.source]);
}

fn memories(text: &mut String) {
    text.push_str("\n## Main memories, pJ a bit, in every list\n\n| technology | pJ | low | high | status | source |\n| --- | --- | --- | --- | --- | --- |\n");
    let list = PriceList::by_name("aladdin40").unwrap();
    for (name, price) in &list.dram {
        line(text, &[name, &three(price.per_bit()), &status(price.status), &price.source]);
    }
    let (band, source) = sram_spread();
    writeln!(
        text,
        "\n## On-chip memories\n\nCACTI-7 runs at 45 and 22 nm, 256 B to 32 MiB by words of 32 to 2048 bits, interpolated in the \
         logarithms of size, width and node; 7 nm is\nderived from 22 nm. Energies are `derived`, with a band of {} to {} of the \
         typical figure ({source}).\nLeakage is that of low-power cells. A few points, 64-bit words:\n",
        number(band.low),
        number(band.high)
    )
    .unwrap();
    text.push_str("| node | KiB | read pJ a bit | write pJ a bit | leakage mW | area mm2 |\n| --- | --- | --- | --- | --- | --- |\n");
    for node_nm in [45.0, 22.0, 7.0] {
        let list = PriceList { sram: Sram::Cacti { node_nm }, ..list.clone() };
        for kib in [8, 128, 1024, 32768] {
            let a = list.sram(kib, 64);
            let figures = [a.read.typical, a.write.typical, a.leakage_mw, a.area_mm2].map(number).join(" | ");
            line(text, &[&format!("{node_nm} nm"), &kib.to_string(), &figures]);
        }
    }
}

fn units(text: &mut String) {
    text.push_str("\n| node | um2 a full adder | pJ a full adder | pJ a register bit |\n| --- | --- | --- | --- |\n");
    for node in [45.0, 20.0, 10.0, 7.0, 5.0] {
        let c = gates::constants(node).unwrap();
        let figures = [c.area_um2, c.energy_pj, c.register_pj].map(number).join(" | ");
        line(text, &[&format!("{node} nm"), &figures]);
    }
    let checks = gates::anchors();
    writeln!(text, "\nAgainst every unit, a multiply-accumulate; measured: {}.\n", checks[0].source).unwrap();
    text.push_str("| unit | node | figure | measured | modelled | error | fitted |\n| --- | --- | --- | --- | --- | --- | --- |\n");
    for check in &checks {
        let AnchorCheck { unit, node_nm, measured, modelled, error, fitted, .. } = check;
        let figure = match check.quantity {
            Quantity::Area => "area, um2",
            Quantity::Energy => "energy, pJ",
            Quantity::Idle => "idle, pJ",
        };
        let error = format!("{:+.0} %", 100.0 * error);
        let (node, fitted) = (format!("{node_nm} nm"), if *fitted { "yes" } else { "no" });
        line(text, &[unit, &node, figure, &number(*measured), &number(*modelled), &error, fitted]);
    }
}
