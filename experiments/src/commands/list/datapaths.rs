//! `interplay list datapaths`: units with what they take, or every record that a word picks.

use anyhow::Result;
use interplay_hw::Datapath;
use interplay_hw::datapath::{Group, Inputs, Proof};
use serde_json::Value;

use crate::report::table::Table;

/// The records whose names hold `word`; without a word one line a unit.
pub fn list(word: Option<&str>, declared: &[&'static Datapath]) -> Result<(Table, Value)> {
    let word = word.map(str::to_lowercase);
    let mut records: Vec<&'static Datapath> = Datapath::all().to_vec();
    for datapath in declared {
        if !records.iter().any(|known| std::ptr::eq(*known, *datapath)) {
            records.push(datapath);
        }
    }
    records.retain(|record| word.as_ref().is_none_or(|word| record.name.contains(word.as_str())));
    let table = if word.is_some() { each(&records) } else { units(&records) };
    Ok((table, serde_json::to_value(&records)?))
}

/// One line a record.
fn each(records: &[&Datapath]) -> Table {
    let mut table = Table::new("", ["name", "a step", "depths", "result", "proof", "what it does"]).text();
    for record in records {
        let depths: Vec<String> = record.depths.iter().map(usize::to_string).collect();
        table.row([
            record.name.to_owned(),
            step(record),
            if depths.is_empty() { "any".to_owned() } else { depths.join(" ") },
            record.sum.round.last().map_or("-", |round| round.format.name).to_owned(),
            proof(record.proof).to_owned(),
            record.about.to_owned(),
        ]);
    }
    table
}

/// One line a unit and kind of proof: `arch.unit` with its inputs and accumulators, and units that are no machine's by
/// name.
fn units(records: &[&Datapath]) -> Table {
    let mut table = Table::new("", ["unit", "inputs", "accumulators", "proof", "records"]).text();
    type Unit<'a> = (String, Vec<&'a str>, Vec<&'a str>, Proof, usize);
    let mut rows: Vec<Unit<'_>> = Vec::new();
    for record in records {
        let parts: Vec<&str> = record.name.splitn(3, '.').collect();
        let [arch, unit, rest] = parts[..] else {
            rows.push((record.name.to_owned(), vec![inputs(record)], vec![record.accumulator.d.name], record.proof, 1));
            continue;
        };
        let (input, accumulator) = rest.rsplit_once('.').unwrap_or((rest, "-"));
        let name = format!("{arch}.{unit}");
        let known = rows.iter().position(|row| row.0 == name && row.3 == record.proof);
        let at = known.unwrap_or(rows.len());
        if known.is_none() {
            rows.push((name, Vec::new(), Vec::new(), record.proof, 0));
        }
        let (_, inputs, accumulators, _, count) = &mut rows[at];
        *count += 1;
        for part in input.split_once('-').map_or(input, |(kind, _)| kind).split('x') {
            push(inputs, part);
        }
        push(accumulators, accumulator);
    }
    // The proofs of a unit stand together, where the catalogue has its first.
    let mut order: Vec<String> = Vec::new();
    rows.iter().for_each(|row| {
        if !order.contains(&row.0) {
            order.push(row.0.clone())
        }
    });
    rows.sort_by_key(|row| order.iter().position(|name| *name == row.0));
    for (name, inputs, accumulators, known, count) in rows {
        table.row([name, inputs.join(" "), accumulators.join(" "), proof(known).to_owned(), count.to_string()]);
    }
    table.row(["auto", "-", "-", "-", "1"].map(str::to_owned));
    table
}

fn push<'a>(list: &mut Vec<&'a str>, item: &'a str) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// What enters a unit that is no machine's.
fn inputs(record: &Datapath) -> &'static str {
    match record.inputs {
        Inputs::Host => "the host",
        Inputs::Values => "values",
        Inputs::Integers => "integers, a scale a row",
        Inputs::Blocks(_) => "blocks",
        Inputs::Codes(codes) => codes.a.format.name,
        _ => "-",
    }
}

/// Products a step.
fn step(record: &Datapath) -> String {
    match record.order.group {
        Group::All => "all".to_owned(),
        Group::Block => "block".to_owned(),
        Group::Of(group) => group.to_string(),
    }
}

/// How a record is known to be right.
pub fn proof(proof: Proof) -> &'static str {
    match proof {
        Proof::Silicon => "silicon",
        Proof::Simulator => "simulator",
        Proof::Document => "document",
        Proof::Definition => "definition",
        Proof::Hypothesis => "hypothesis",
    }
}
