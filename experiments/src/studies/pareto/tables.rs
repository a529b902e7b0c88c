//! The caption: what the fronts are made of, and the paper's advice as checks with their counts.

use std::fmt::Write;

use anyhow::Result;
use interplay_formats::Format;

use super::MORE;
use crate::engine::frame::{Frame, Row, distinct};
use crate::report::numbers::number;
use crate::report::table::Table;
use crate::studies::evaluated;

const INTRODUCTION: &str = "\
`figure.svg`: stored size of the compressed layers, energy and time of one window or image, and area of the machine against the metric, \
all axes logarithmic, a column of panels a model. Every machine computes on its own units, so each has a metric of its own (`datapath` \
names them, `runs` says whose arithmetic it is; machines whose units give the same bits share one evaluation); sizes are drawn with the \
metric of the first. Colours are formats, shapes patterns; hollow marks quantise before they prune (Q→S). \
In the panels of energy, time and area every machine has its own front, named at its cheap end, and marks that are not on it are \
faint; bars are one standard error, of marks that are not faint; machines of different peak are no rivals of each other, so \
that each should be read by itself. One-shot: nothing was trained.\n\n\
`front` in `data.csv` marks what no other row of the model, on any machine, beats in metric, stored bits, energy and time together; \
`front_on_machine` the same among the rows of one machine; `front_2d` what no other configuration beats in metric and stored bits. \
A front knows no standard errors: neighbours on it may differ by less. Energies are at the price list's node on every machine, so they \
compare what is moved and multiplied, not the chips' technology. A small model leaves a large machine mostly idle: format and \
pattern then hardly show in its time and energy, which `interplay cost` splits.\n\n";

/// The caption without its title.
pub(super) fn caption(frame: &Frame) -> Result<String> {
    frame.expect(&evaluated::needed(&MORE))?;
    let mut text = INTRODUCTION.to_owned();
    if let Some(first) = frame.rows().next() {
        let machines = distinct(frame.rows(), "accelerator").join("`, `");
        let (prices, seed) = (first.text("prices"), first.text("seed"));
        let _ = writeln!(text, "Machines: `{machines}`; prices: `{prices}`; seed {seed}.\n");
    }
    for model in distinct(frame.rows(), "model") {
        let rows: Vec<Row> = frame.rows().filter(|row| row.text("model") == model).collect();
        let _ = writeln!(text, "## {model}\n\n{}", setting(&rows));
        let checks = [order(&rows), orders_on_front(&rows), rounding(&rows)].into_iter().chain(support(&rows));
        for check in checks {
            let _ = writeln!(text, "- {check}");
        }
        let _ = writeln!(text, "\n{}\n{}", made_of(&rows).markdown(), smallest(&rows).markdown());
        let _ = writeln!(text, "{}", whose(&rows).markdown());
        if let Some(table) = refusals(&rows) {
            let _ = writeln!(text, "{}", table.markdown());
        }
    }
    Ok(text)
}

/// The answer in plain words: what of the advice holds for each model.
pub(super) fn summary(frame: &Frame) -> Vec<String> {
    let said = |model: &str| {
        let rows: Vec<Row> = frame.rows().filter(|row| row.text("model") == model).collect();
        [order(&rows), orders_on_front(&rows)].map(|check| format!("{model}: {check}"))
    };
    distinct(frame.rows(), "model").into_iter().flat_map(said).collect()
}

fn setting(rows: &[Row]) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let size = evaluated::size(*first);
    format!(
        "{} on {} ({size}); dense FP32: {}; lower is better. Advice and findings of arXiv 2405.20935, checked on these rows:\n",
        first.text("metric").replace('_', " "),
        first.text("data"),
        number(first.number("fp32_value"))
    )
}

/// One row a configuration, whatever the machine.
fn configurations<'a>(rows: &[Row<'a>]) -> Vec<Row<'a>> {
    let first = rows.first().map_or("", |row| row.text("accelerator"));
    rows.iter().copied().filter(|row| row.text("accelerator") == first).collect()
}

/// Whether S→Q is ever worse.
fn order(rows: &[Row]) -> String {
    let all = configurations(rows);
    let pairs: Vec<&Row> = all.iter().filter(|row| !row.number("gap_percent").is_nan()).collect();
    let beyond =
        |sign: f64| pairs.iter().filter(move |row| sign * row.number("gap_percent") > 2.0 * row.number("gap_stderr"));
    let (better, worse) = (beyond(1.0).count(), beyond(-1.0).count());
    let named: Vec<String> = beyond(-1.0)
        .map(|row| {
            let (gap, stderr) = (row.number("gap_percent"), row.number("gap_stderr"));
            format!("{} {} ({gap:+.2} % ±{stderr:.2})", row.text("format"), row.text("sparsity"))
        })
        .collect();
    format!(
        "Sparsify first, the paper's main advice: of {} pairs of one format and pattern, S→Q is better by more than two standard \
         errors in {better}, worse in {worse}{}; the others cannot be told apart. {}",
        pairs.len(),
        if named.is_empty() { String::new() } else { format!(" (Q→S less S→Q: {})", named.join(", ")) },
        if worse == 0 { "The advice holds at no cost." } else { "The advice does not hold everywhere." }
    )
}

/// Which orders the fronts use.
fn orders_on_front(rows: &[Row]) -> String {
    let count = |rows: &[Row], front: &str, order: &str| {
        rows.iter().filter(|row| row.is(&[(front, "true"), ("order", order)])).count()
    };
    let all = configurations(rows);
    let qs: Vec<&Row> = all.iter().filter(|row| row.is(&[("front_2d", "true"), ("order", "qs")])).collect();
    let real = qs.iter().filter(|row| -row.number("gap_percent") > 2.0 * row.number("gap_stderr")).count();
    format!(
        "Orders on the front of footprint: {} configurations with S→Q, {} with Q→S ({real} of these by more than two standard \
         errors), {} without an order; on the fronts of the machines: {} rows with S→Q, {} with Q→S, {} without.",
        count(&all, "front_2d", "sq"),
        qs.len(),
        count(&all, "front_2d", "none"),
        count(rows, "front_on_machine", "sq"),
        count(rows, "front_on_machine", "qs"),
        count(rows, "front_on_machine", "none"),
    )
}

/// What rounding to 6 bits or more adds to pruning, as in the paper's table.
fn rounding(rows: &[Row]) -> String {
    let all = configurations(rows);
    let pruned = |pattern: &str| {
        all.iter().find(|row| row.is(&[("sparsity", pattern), ("format", "fp32")])).map(|row| row.number("value"))
    };
    let added: Vec<(f64, &Row)> = all
        .iter()
        .filter(|row| row.text("order") == "sq" && bits(row.text("format")) >= 6)
        .filter_map(|row| Some(((row.number("value") / pruned(row.text("sparsity"))? - 1.0) * 100.0, row)))
        .collect();
    let Some((most, worst)) = added.iter().max_by(|a, b| a.0.total_cmp(&b.0)) else {
        return "No format of 6 bits or more beside pruned FP32: what rounding adds to pruning cannot be said."
            .to_owned();
    };
    let little = added.iter().filter(|(percent, _)| *percent < 5.0).count();
    let list: Vec<String> = distinct(added.iter().map(|(_, row)| **row), "sparsity")
        .into_iter()
        .map(|pattern| {
            let of = added.iter().filter(|(_, row)| row.text("sparsity") == pattern);
            let cells = of.map(|(percent, row)| format!("{} {percent:+.1}", row.text("format")));
            format!("{pattern}: {}", cells.collect::<Vec<_>>().join(", "))
        })
        .collect();
    format!(
        "Formats of 6 and 8 bits after pruning, of which the paper finds that they mostly add little to what pruning costs (its models \
         were fine-tuned, ours not): rounding adds less than 5 % to pruned FP32 in {little} of {} cells, at most {most:+.1} % \
         ({} {}). In percent, {}.",
        added.len(),
        worst.text("format"),
        worst.text("sparsity"),
        list.join("; ")
    )
}

/// Bits of an element; 0 of an unknown format.
fn bits(format: &str) -> u32 {
    Format::by_name(format).map_or(0, |format| format.element.bits())
}

/// What each pattern gains on each machine over the dense one of the same format, one sentence a pattern.
fn support(rows: &[Row]) -> Vec<String> {
    let patterns: Vec<&str> =
        distinct(rows.iter().copied(), "sparsity").into_iter().filter(|p| *p != "dense").collect();
    patterns.into_iter().map(|pattern| gains(rows, pattern)).collect()
}

/// The same of one pattern.
fn gains(rows: &[Row], pattern: &str) -> String {
    let mut said = Vec::new();
    for machine in distinct(rows.iter().copied(), "accelerator") {
        // Both orders take the same: one of them, or none, is enough.
        let of = rows.iter().filter(|row| {
            row.is(&[("sparsity", pattern), ("accelerator", machine)]) && row.text("order") != "qs" && able(row)
        });
        let pairs: Vec<(&Row, &Row)> = of.filter_map(|row| Some((row, dense(rows, row)?))).collect();
        if pairs.is_empty() {
            continue;
        }
        let faster = pairs.iter().filter(|(row, dense)| row.number("cycles") < 0.99 * dense.number("cycles")).count();
        let mean = |column: &str| {
            pairs.iter().map(|(row, dense)| row.number(column) / dense.number(column)).sum::<f64>() / pairs.len() as f64
        };
        said.push(format!(
            "`{machine}` cycles {:.2} (at least 1 % fewer in {faster} of {} formats), energy {:.2}, bits {:.2}",
            mean("cycles"),
            pairs.len(),
            mean("energy_pj"),
            mean("linear_bits")
        ));
    }
    format!("{pattern} over dense of the same format, mean of formats: {}.", said.join("; "))
}

fn able(row: &Row) -> bool {
    row.text("refused").is_empty()
}

fn dense<'a, 'b>(rows: &'b [Row<'a>], of: &Row) -> Option<&'b Row<'a>> {
    let same = [("sparsity", "dense"), ("format", of.text("format")), ("accelerator", of.text("accelerator"))];
    rows.iter().find(|row| row.is(&same) && able(row))
}

/// Formats and patterns on each front.
fn made_of(rows: &[Row]) -> Table {
    let all = configurations(rows);
    let patterns = distinct(rows.iter().copied(), "sparsity");
    let header = ["front", "rows"].into_iter().chain(patterns.iter().copied()).chain(["formats"]);
    let mut table = Table::new("what the fronts are made of: rows by pattern, and formats", header);
    let mut line = |label: String, on: Vec<&Row>| {
        let by = patterns.iter().map(|p| on.iter().filter(|row| row.text("sparsity") == *p).count().to_string());
        let formats = distinct(on.iter().map(|row| **row), "format").join(" ");
        table.row([label, on.len().to_string()].into_iter().chain(by).chain([formats]));
    };
    line("metric and footprint".to_owned(), all.iter().filter(|row| row.text("front_2d") == "true").collect());
    for machine in distinct(rows.iter().copied(), "accelerator") {
        let on = rows.iter().filter(|row| row.is(&[("front_on_machine", "true"), ("accelerator", machine)]));
        line(format!("all four, {machine}"), on.collect());
    }
    line("all four, every machine".to_owned(), rows.iter().filter(|row| row.text("front") == "true").collect());
    table
}

/// The front of metric and footprint, smallest first, with what each point takes on the machines.
fn smallest(rows: &[Row]) -> Table {
    let machines = distinct(rows.iter().copied(), "accelerator");
    let header = ["configuration", "KiB"].map(str::to_owned).into_iter();
    let header = header.chain(machines.iter().map(|machine| format!("{machine}: metric, us, uJ")));
    let mut table = Table::new("the front of metric and footprint, and what it takes for an input", header);
    let mut on = configurations(rows);
    on.retain(|row| row.text("front_2d") == "true");
    on.sort_by(|a, b| a.number("linear_bits").total_cmp(&b.number("linear_bits")));
    for row in &on {
        let names = ["format", "sparsity", "order"].map(|column| (column, row.text(column)));
        let costs = machines.iter().map(|machine| {
            let there = rows.iter().find(|other| other.is(&names) && other.text("accelerator") == *machine);
            let taken = |r: &Row| {
                let (us, uj) = (r.number("seconds") * 1e6, r.number("energy_pj") / 1e6);
                format!("{}, {us:.1}, {uj:.1}", number(r.number("value")))
            };
            there.filter(|r| able(r)).map_or_else(|| "no unit".to_owned(), taken)
        });
        let order = match row.text("order") {
            "sq" => " S→Q",
            "qs" => " Q→S",
            _ => "",
        };
        let label = format!("{} {}{order}", row.text("format"), row.text("sparsity"));
        let kib = format!("{:.1}", row.number("linear_bits") / 8192.0);
        table.row([label, kib].into_iter().chain(costs));
    }
    table
}

/// Dense, on every machine: what ran, and the metric.
fn whose(rows: &[Row]) -> Table {
    let machines = distinct(rows.iter().copied(), "accelerator");
    let header = ["format"].into_iter().chain(machines.iter().copied());
    let mut table =
        Table::new("dense models on each machine's own units: metric, whose arithmetic, which unit", header);
    for format in distinct(rows.iter().copied(), "format") {
        let on = |machine: &&str| {
            let of = [("format", format), ("sparsity", "dense"), ("accelerator", *machine)];
            let found = rows.iter().find(|row| row.is(&of)).filter(|row| able(row));
            found.map_or_else(
                || "refused".to_owned(),
                |row| {
                    // Products outside of the preset are the host's everywhere.
                    let own = |column| row.text(column).split('+').filter(|name| !["fake", "host"].contains(name));
                    let joined = |column| own(column).collect::<Vec<_>>().join("+");
                    format!("{} {} {}", number(row.number("value")), joined("runs"), joined("datapath"))
                        .trim()
                        .to_owned()
                },
            )
        };
        table.row(std::iter::once(format.to_owned()).chain(machines.iter().map(on)));
    }
    table
}

/// Which machines refuse which formats, and why; none where none does.
fn refusals(rows: &[Row]) -> Option<Table> {
    let refused: Vec<&Row> = rows.iter().filter(|row| !able(row)).collect();
    let mut table = Table::new("no cost", ["machine", "formats", "first reason"]);
    for machine in distinct(refused.iter().map(|row| **row), "accelerator") {
        let of: Vec<Row> = refused.iter().map(|row| **row).filter(|row| row.text("accelerator") == machine).collect();
        let formats = distinct(of.iter().copied(), "format").join(" ");
        // The message goes on with every unit of the machine.
        let reason = of.first().map_or("", |row| row.text("refused"));
        let reason = reason.split("; it takes").next().unwrap_or_default();
        table.row([machine, &formats, reason]);
    }
    (!refused.is_empty()).then_some(table)
}
