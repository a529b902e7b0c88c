//! `interplay list WHAT`: every record of a kind, as a table or as JSON.

mod datapaths;
mod inputs;
mod machines;
mod methods;

use anyhow::Result;
use interplay_formats::{Block, Format, Scale, ScaleRule};
use serde_json::{Value, json};

use crate::cli::Listed;
use crate::commands::define::Declared;
use crate::output::sayln;
use crate::report::table::Table;
use crate::studies;

/// The column of formats for which theorem 3.5 holds.
const BOUND: &str = "S→Q bound";
const BOUNDED: &str =
    "where yes, pruning by magnitude and then rounding never errs by more\nthan the two alone, added up (theorem 3.5)";

/// Prints the list; those of formats and datapaths end with the `declared` ones. A `word` picks records by name.
///
/// # Errors
/// A record that JSON cannot hold, which none is.
pub fn run(what: Listed, word: Option<&str>, as_json: bool, declared: &Declared) -> Result<()> {
    if let (Some(name), false) = (word, matches!(what, Listed::Datapaths | Listed::Methods)) {
        return machines::record(what, name, as_json);
    }
    let (table, json) = match what {
        Listed::Formats => formats(&declared.formats)?,
        Listed::Datapaths => datapaths::list(word, &declared.datapaths)?,
        Listed::Accelerators => machines::accelerators()?,
        Listed::CycleModels => machines::cycle_models()?,
        Listed::Prices => machines::prices()?,
        Listed::Models => inputs::models(),
        Listed::Data => inputs::data(),
        Listed::Studies => studies(),
        Listed::Methods => methods::list(word)?,
        Listed::Rules => rules(),
        Listed::Roundings => roundings(),
    };
    if as_json {
        sayln!("{}", serde_json::to_string_pretty(&json)?);
    } else {
        table.print();
        if let Listed::Formats = what {
            sayln!("\n{BOUND}: {BOUNDED}");
        }
    }
    Ok(())
}

fn formats(declared: &[&'static Format]) -> Result<(Table, Value)> {
    let mut table = Table::new("", ["name", "bits", "element", "block", "scale", "rule", BOUND, "source"]).text();
    let mut formats: Vec<&'static Format> = Format::all().iter().collect();
    for format in declared {
        // A declaration may repeat a format of the catalogue, or another declaration.
        if !formats.iter().any(|known| std::ptr::eq(*known, *format)) {
            formats.push(format);
        }
    }
    let cards: Vec<_> = formats.into_iter().map(Format::card).collect();
    for card in &cards {
        table.row([
            card.name.to_owned(),
            card.bits_per_element.to_string(),
            card.element.to_owned(),
            card.block.map_or_else(|| "-".to_owned(), block),
            card.scale.map_or_else(|| "-".to_owned(), scale),
            card.scale_rule.map_or("-", ScaleRule::name).to_owned(),
            if card.laws.theorem_3_5 { "yes" } else { "-" }.to_owned(),
            card.source.to_owned(),
        ]);
    }
    Ok((table, serde_json::to_value(&cards)?))
}

/// Who shares a scale, in a word.
fn block(block: Block) -> String {
    match block {
        Block::Run(n) => n.to_string(),
        Block::Row => "row".to_owned(),
        Block::Column => "column".to_owned(),
        Block::Tile { rows, k } => format!("{rows}x{k}"),
        Block::Tensor => "tensor".to_owned(),
        _ => format!("{block}"),
    }
}

/// How a scale is written, in a word.
fn scale(scale: Scale) -> String {
    match scale {
        Scale::E8M0 => "e8m0".to_owned(),
        Scale::Exponent(bits) => format!("exp{bits}"),
        Scale::Micro { run } => format!("exp8+1/{run}"),
        Scale::Float32 => "fp32".to_owned(),
        Scale::Affine(bits) => format!("fp32+u{bits}"),
        Scale::Code(scalar) => scalar.name.to_owned(),
        _ => format!("{scale}"),
    }
}

fn rules() -> (Table, Value) {
    let mut table = Table::new("", ["rule", "scale"]).text();
    for rule in ScaleRule::ALL {
        table.row([rule.name(), rule.about()]);
    }
    let json = ScaleRule::ALL.iter().map(|rule| json!({"name": rule.name(), "about": rule.about()})).collect();
    (table, json)
}

/// The roundings and what they do.
const ROUNDINGS: [(&str, &str); 7] = [
    ("nearest-even", "to the nearer one; halfway to the one with an even last bit"),
    ("nearest-away", "to the nearer one; halfway away from zero"),
    ("toward-zero", "to the one of smaller magnitude"),
    ("up", "to the greater one"),
    ("down", "to the lesser one"),
    ("to-odd", "to the one with an odd last bit"),
    ("stochastic-N", "away from zero with the chance of the lost part; N random bits, 1 to 32 (16 unless told)"),
];

fn roundings() -> (Table, Value) {
    let mut table = Table::new("", ["rounding", "between two numbers"]).text();
    for (name, about) in ROUNDINGS {
        table.row([name, about]);
    }
    (table, ROUNDINGS.iter().map(|(name, about)| json!({"name": name, "about": about})).collect())
}

fn studies() -> (Table, Value) {
    let mut table = Table::new("", ["name", "question"]).text();
    for study in studies::all() {
        table.row([study.name, study.question]);
    }
    let json = studies::all().map(|s| json!({"name": s.name, "question": s.question})).collect();
    (table, json)
}
