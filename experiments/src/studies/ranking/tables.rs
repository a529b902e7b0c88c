//! The caption: how many positions another mask would take, and why.

use std::fmt::Write;

use anyhow::Result;

use super::figure::{size_name, sizes};
use super::frame::COLUMNS;
use crate::engine::frame::{Frame, Row, distinct};
use crate::report::table::Table;

const INTRODUCTION: &str = "\
`figure.svg`: above, the share of positions in which the mask of the weights and the mask of the quantised weights differ, below, how far \
Kendall's tau-b between magnitudes before and after is from 1, both against the number of values under one scale; one column a source, one \
line a format. Filled: the format's own block; hollow: the same recipe with another.\n\n\
Of equal magnitudes the lower index is pruned first. Layers of a model are pooled: every position, pair and row counts once. Gaussian rows \
have deviation 0.02; their standard errors are over batches. Weights of a model have none: they are all there are. Convolutions are left \
out.\n\n";

/// Percent of positions in which 2:4 masks differ, on 1,500 Gaussian rows of 64 of deviation 0.02: a simulation in FP64 Python that shares
/// nothing with this program.
const REFERENCE: [(&str, f64); 9] = [
    ("int8", 0.6),
    ("hbfp8", 0.8),
    ("mxfp8", 1.6),
    ("mxfp6", 2.1),
    ("hbfp6", 3.1),
    ("mxfp6-e3m2", 3.1),
    ("mxfp4", 7.2),
    ("int4", 9.3),
    ("hbfp4", 10.9),
];
/// Where it compares.
const COMPARABLE: [(&str, &str); 3] = [("source", "gaussian-64"), ("sparsity", "2:4"), ("size", "own")];

/// The caption without its title.
pub(super) fn caption(frame: &Frame) -> Result<String> {
    frame.expect(&COLUMNS)?;
    let rows: Vec<Row> = frame.rows().collect();
    let pattern = rows.first().map_or("", |row| row.text("sparsity"));
    let first: Vec<Row> = rows.iter().filter(|row| row.text("sparsity") == pattern).copied().collect();
    let mut text = INTRODUCTION.to_owned();
    for paragraph in [by_format(&first, pattern), by_block(&first), ties(&rows), reference(&rows)].into_iter().flatten()
    {
        let _ = writeln!(text, "{paragraph}\n");
    }
    for source in distinct(rows.iter().copied(), "source") {
        let own: Vec<Row> = rows.iter().filter(|row| row.text("source") == source).copied().collect();
        for table in tables(source, &own, pattern) {
            let _ = writeln!(text, "{}", table.markdown());
        }
    }
    Ok(text)
}

fn percent(share: f64) -> String {
    if share.is_nan() { String::new() } else { format!("{:.2}", 100.0 * share) }
}

/// The formats with their own blocks, from the fewest to the most positions that differ, by source.
fn by_format(rows: &[Row], pattern: &str) -> Option<String> {
    let lines = distinct(rows.iter().copied(), "source").into_iter().map(|source| {
        let mut own: Vec<&Row> = rows.iter().filter(|row| row.is(&[("source", source), ("size", "own")])).collect();
        own.sort_by(|a, b| a.number("disagreement").total_cmp(&b.number("disagreement")));
        let each = own.iter().map(|row| format!("{} {}", row.text("format"), percent(row.number("disagreement"))));
        format!("{source}: {}", each.collect::<Vec<_>>().join(", "))
    });
    let lines: Vec<String> = lines.collect();
    let shown = format!("**By format** (own blocks, {pattern}, % of positions that differ). {}.", lines.join(". "));
    (!lines.is_empty()).then_some(shown)
}

/// What growing blocks do, by source.
fn by_block(rows: &[Row]) -> Option<String> {
    let mut parts = Vec::new();
    for source in distinct(rows.iter().copied(), "source") {
        let growth = |format: &str| {
            let own: Vec<Row> = rows
                .iter()
                .filter(|row| row.is(&[("source", source), ("format", format)]) && !row.text("block").is_empty())
                .copied()
                .collect();
            let sizes = sizes(own.iter().copied());
            let (small, large) = (sizes.first()?, sizes.last().filter(|_| sizes.len() > 1)?);
            let at =
                |size: &str| own.iter().find(|row| row.text("block") == size).map(|row| row.number("disagreement"));
            Some((at(large)? / at(small)?, format.to_owned(), format!("{small} to {large}")))
        };
        let mut all: Vec<_> = distinct(rows.iter().copied(), "format").into_iter().filter_map(growth).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        if let (Some((low, least, _)), Some((high, most, span))) = (all.first(), all.last()) {
            parts.push(format!("{source}, {span}: times {low:.2} ({least}) to {high:.2} ({most})"));
        }
    }
    let shown = format!(
        "**By block size.** With the block the share of positions that differ grows, from the smallest block to the largest: {}.",
        parts.join("; ")
    );
    (!parts.is_empty()).then_some(shown)
}

/// Why masks differ: equal pairs, or pairs that changed places.
fn ties(rows: &[Row]) -> Option<String> {
    let grouped: Vec<&Row> = rows.iter().filter(|row| !row.number("group_tau").is_nan()).collect();
    let most = |column: &str, rows: &[&Row]| rows.iter().map(|row| row.number(column)).fold(0.0, f64::max);
    grouped.first()?;
    let (reversed, equalised) = (most("group_discordant", &grouped), most("group_equalised", &grouped));
    let whole: Vec<&Row> = rows.iter().collect();
    let rows_reversed = most("row_discordant", &whole);
    let inside = if reversed == 0.0 {
        "**Ties, not reversals.** No pair of one group ever changed places: under one scale rounding is monotone, and groups lie inside \
         blocks. What differs are ties that the index decides"
            .to_owned()
    } else {
        format!("**Ties and reversals.** Up to {} % of the pairs of a group changed places", percent(reversed))
    };
    Some(format!(
        "{inside}; rounding made up to {} % of the pairs of a group equal. Over whole rows, where pairs lie under different scales, up to {} % \
         changed places.",
        percent(equalised),
        percent(rows_reversed)
    ))
}

/// Beside the numbers of another simulation, where the same was simulated.
fn reference(rows: &[Row]) -> Option<String> {
    let both = REFERENCE.iter().filter_map(|(format, known)| {
        let row = rows.iter().find(|row| row.is(&COMPARABLE) && row.text("format") == *format)?;
        Some((*format, *known, 100.0 * row.number("disagreement"), 100.0 * row.number("stderr")))
    });
    let mut table = Table::new(
        "2:4 on Gaussian rows of 64: % of positions that differ, beside a separate simulation of 1,500 rows",
        ["", "here", "standard error", "there", "difference"],
    );
    let mut apart = Vec::new();
    let mut count = 0;
    for (format, known, value, stderr) in both {
        count += 1;
        // What is printed with one decimal is known to half of the last.
        if (value - known).abs() > 0.05 + 3.0 * stderr * (1.0 + 4096.0_f64 / 1500.0).sqrt() {
            apart.push(format);
        }
        let numbers =
            [format!("{value:.2}"), format!("{stderr:.2}"), format!("{known:.1}"), format!("{:+.2}", value - known)];
        table.row([format.to_owned()].into_iter().chain(numbers));
    }
    let verdict = match apart.as_slice() {
        [] => format!("**Beside another simulation** all {count} formats agree within what both know."),
        some => format!(
            "**Beside another simulation** {} of {count} formats differ by more than both know: {}.",
            some.len(),
            some.join(", ")
        ),
    };
    (count > 0).then(|| format!("{verdict}\n\n{}", table.markdown().trim_end()))
}

/// The tables of one source: by block, and by pattern.
fn tables(source: &str, rows: &[Row], pattern: &str) -> Vec<Table> {
    let first: Vec<Row> = rows.iter().filter(|row| row.text("sparsity") == pattern).copied().collect();
    let tau = |row: &Row| format!("{:.4}", row.number("row_tau"));
    let mut tables = vec![
        by_size(&first, format!("{source}: positions in which {pattern} masks differ, %"), |row| {
            percent(row.number("disagreement"))
        }),
        by_size(&first, format!("{source}: Kendall's tau-b over rows"), tau),
        by_size(&first, format!("{source}: pairs of a row that became equal, %"), |row| {
            percent(row.number("row_equalised"))
        }),
        by_pattern(source, rows),
    ];
    if first.iter().any(|row| row.text("parts") != "1" && row.text("stderr").is_empty()) {
        tables.push(by_layer(source, &first));
    }
    tables
}

/// One row a format, one column a block size; the format's own is bold.
fn by_size(rows: &[Row], title: String, text: impl Fn(&Row) -> String) -> Table {
    let sizes = sizes(rows.iter().copied());
    let mut table = Table::new(title, [""].into_iter().chain(sizes.iter().map(|size| size_name(size))));
    for format in distinct(rows.iter().copied(), "format") {
        let cell = |size: &&str| match rows.iter().find(|row| row.is(&[("format", format), ("block", size)])) {
            Some(row) if row.text("size") == "own" => format!("**{}**", text(row)),
            Some(row) => text(row),
            None => String::new(),
        };
        table.row([format.to_owned()].into_iter().chain(sizes.iter().map(cell)));
    }
    table
}

/// One row a format with its own block, one column a pattern; tau of groups beside.
fn by_pattern(source: &str, rows: &[Row]) -> Table {
    let patterns = distinct(rows.iter().copied(), "sparsity");
    let grouped: Vec<&str> = patterns
        .iter()
        .filter(|p| rows.iter().any(|row| row.text("sparsity") == **p && !row.text("group_tau").is_empty()))
        .copied()
        .collect();
    let header =
        patterns.iter().map(|p| format!("{p}, %")).chain(grouped.iter().map(|p| format!("tau in groups of {p}")));
    let title = format!("{source}: positions that differ by pattern, own blocks, and tau-b over the groups");
    let mut table = Table::new(title, [String::new()].into_iter().chain(header));
    for format in distinct(rows.iter().copied(), "format") {
        let own = |pattern: &str| {
            rows.iter().find(|row| row.is(&[("format", format), ("sparsity", pattern), ("size", "own")])).copied()
        };
        let share = |p: &&str| own(p).map_or_else(String::new, |row| percent(row.number("disagreement")));
        let tau = |p: &&str| own(p).map_or_else(String::new, |row| format!("{:.4}", row.number("group_tau")));
        table.row([format.to_owned()].into_iter().chain(patterns.iter().map(share)).chain(grouped.iter().map(tau)));
    }
    table
}

/// The layers that differ least and most, own blocks.
fn by_layer(source: &str, rows: &[Row]) -> Table {
    let title = format!("{source}: the layers whose masks differ least and most, %, own blocks");
    let mut table = Table::new(title, ["", "least", "layer", "most", "layer"]);
    for row in rows.iter().filter(|row| row.text("size") == "own") {
        let extreme = |share: &str, part: &str| [percent(row.number(share)), row.text(part).to_owned()];
        let cells = [extreme("lowest", "lowest_part"), extreme("highest", "highest_part")].concat();
        table.row([row.text("format").to_owned()].into_iter().chain(cells));
    }
    table
}
