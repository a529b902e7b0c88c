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
line a format. Large marks: the format's own block; small marks: the same recipe with another.\n\n\
Of equal magnitudes the lower index is pruned first. Layers of a model are pooled: every position, pair and row counts once. Gaussian rows \
have deviation 0.02; their standard errors are over batches. Weights of a model have none: they are all there are. Convolutions are left \
out.\n\n";

/// Percent of positions in which 2:4 masks differ, on 1,500 Gaussian rows of 64 of deviation 0.02: a simulation that shares no code with
/// this one. Its integers are those of the paper's code.
const REFERENCE: [(&str, f64); 9] = [
    ("interplay-int8", 0.6),
    ("hbfp8", 0.8),
    ("mxfp8", 1.6),
    ("mxfp6", 2.1),
    ("hbfp6", 3.1),
    ("mxfp6-e3m2", 3.1),
    ("mxfp4", 7.2),
    ("gptq-int4", 9.3),
    ("hbfp4", 10.9),
];
const REFERENCE_ROWS: f64 = 1500.0;
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

/// The answer in plain words: how far masks differ, one entry a source, and why.
pub(super) fn summary(frame: &Frame) -> Vec<String> {
    let rows: Vec<Row> = frame.rows().collect();
    let pattern = rows.first().map_or("", |row| row.text("sparsity"));
    let said = |source: &str| {
        let own = [("source", source), ("size", "own"), ("sparsity", pattern)];
        let mut own: Vec<&Row> = rows.iter().filter(|row| row.is(&own)).collect();
        own.sort_by(|a, b| a.number("disagreement").total_cmp(&b.number("disagreement")));
        let end = |row: &Row| format!("{} % ({})", percent(row.number("disagreement")), row.text("format"));
        let (least, most) = (end(own.first()?), end(own.last()?));
        Some(format!("{source}: rounding changes the {pattern} mask in {least} to {most} of the positions."))
    };
    let sources = distinct(rows.iter().copied(), "source").into_iter().filter_map(said);
    sources.chain(ties(&rows).map(|text| text.replace("**", ""))).collect()
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

/// A change of the share of positions that counts as one.
const CHANGE: f64 = 1.02;

/// What growing blocks do, by source.
fn by_block(rows: &[Row]) -> Option<String> {
    let mut parts = Vec::new();
    let (mut grown, mut all) = (0, 0);
    for source in distinct(rows.iter().copied(), "source") {
        let own: Vec<Row> = rows.iter().filter(|row| row.text("source") == source).copied().collect();
        let mut growths: Vec<(f64, &str, String)> =
            distinct(own.iter().copied(), "format").into_iter().filter_map(|format| growth(&own, format)).collect();
        growths.sort_by(|a, b| a.0.total_cmp(&b.0));
        grown += growths.iter().filter(|g| g.0 > CHANGE).count();
        all += growths.len();
        if let (Some((low, least, _)), Some((high, most, span))) = (growths.first(), growths.last()) {
            parts.push(format!("{source}, {span}: times {low:.2} ({least}) to {high:.2} ({most})"));
        }
    }
    let shown = format!(
        "**By block size.** From the smallest block to the largest the share of positions that differ grows by more than 2 % in {grown} of \
         {all} pairs of a format and a source: {}.",
        parts.join("; ")
    );
    (all > 0).then_some(shown)
}

/// The share at the largest block of a format as a multiple of that at the smallest, and both sizes; rows and tensors aside.
fn growth<'a>(rows: &[Row<'a>], format: &'a str) -> Option<(f64, &'a str, String)> {
    let own: Vec<Row> =
        rows.iter().filter(|row| row.text("format") == format && !row.text("block").is_empty()).copied().collect();
    let sizes = sizes(own.iter().copied());
    let (small, large) = (sizes.first()?, sizes.last().filter(|_| sizes.len() > 1)?);
    let at = |size: &str| own.iter().find(|row| row.text("block") == size).map(|row| row.number("disagreement"));
    Some((at(large)? / at(small)?, format, format!("{small} to {large}")))
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
    let title = "2:4 on Gaussian rows of 64: positions that differ, %, beside a separate simulation of 1,500 rows";
    let mut table = Table::new(title, ["", "here", "there", "difference", "its standard error"]);
    let (mut count, mut apart) = (0, Vec::new());
    for (format, known) in REFERENCE {
        let Some(row) = rows.iter().find(|row| row.is(&COMPARABLE) && row.text("format") == format) else { continue };
        let value = 100.0 * row.number("disagreement");
        // Of 1,500 rows the error is as much larger as they are fewer; what is printed with one decimal is rounded as well.
        let more = row.number("positions") / 64.0 / REFERENCE_ROWS;
        let stderr = 100.0 * row.number("stderr") * (1.0 + more).sqrt();
        count += 1;
        if (value - known).abs() > 0.05 + 3.0 * stderr {
            apart.push(format);
        }
        let cells =
            [format!("{value:.2}"), format!("{known:.1}"), format!("{:+.2}", value - known), format!("{stderr:.2}")];
        table.row([format.to_owned()].into_iter().chain(cells));
    }
    let verdict = match apart.as_slice() {
        [] => format!("all {count} recipes agree within three standard errors and rounding."),
        some => {
            format!("{} of {count} recipes differ by more than three standard errors: {}.", some.len(), some.join(", "))
        }
    };
    (count > 0).then(|| format!("**Beside another simulation**, {verdict}\n\n{}", table.markdown().trim_end()))
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
    // Groups of one length are the same whatever is kept of them.
    let mut grouped: Vec<(&str, &str)> = Vec::new();
    for pattern in &patterns {
        let there = rows.iter().any(|row| row.text("sparsity") == *pattern && !row.text("group_tau").is_empty());
        let length = pattern.rsplit(':').next().filter(|_| there);
        if let Some(length) = length.filter(|length| grouped.iter().all(|(_, known)| known != length)) {
            grouped.push((pattern, length));
        }
    }
    let header = patterns.iter().map(|p| format!("{p}, %"));
    let header = header.chain(grouped.iter().map(|(_, length)| format!("tau, groups of {length}")));
    let title = format!("{source}: positions that differ by pattern, own blocks, and tau-b over the groups");
    let mut table = Table::new(title, [String::new()].into_iter().chain(header));
    for format in distinct(rows.iter().copied(), "format") {
        let own = |pattern: &str| {
            rows.iter().find(|row| row.is(&[("format", format), ("sparsity", pattern), ("size", "own")])).copied()
        };
        let share = |p: &&str| own(p).map_or_else(String::new, |row| percent(row.number("disagreement")));
        let tau =
            |(p, _): &(&str, &str)| own(p).map_or_else(String::new, |row| format!("{:.4}", row.number("group_tau")));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(rows: &[&[(&str, &str)]]) -> Frame {
        let mut frame = Frame::new(&COLUMNS);
        for row in rows {
            let value = |column: &&str| row.iter().find(|(name, _)| name == column).map_or("", |(_, text)| *text);
            frame.push("ranking", COLUMNS.iter().map(value)).unwrap();
        }
        frame
    }

    #[test]
    fn another_simulation_is_only_beside_what_it_simulated() {
        let row = |source, value| {
            [
                ("format", "hbfp4"),
                ("block", "64"),
                ("size", "own"),
                ("source", source),
                ("sparsity", "2:4"),
                ("positions", "96000"),
                ("disagreement", value),
                ("stderr", "0.001"),
            ]
        };
        let text = |source, value| caption(&frame(&[&row(source, value)])).unwrap();
        assert!(text("gaussian-64", "0.112").contains("all 1 recipes agree"));
        assert!(
            text("gaussian-64", "0.12").contains("1 of 1 recipes differ by more than three standard errors: hbfp4")
        );
        assert!(!text("lm", "0.112").contains("another simulation"));
    }

    #[test]
    fn growth_is_that_of_the_largest_block() {
        let row = |block, value| [("format", "hbfp6"), ("source", "lm"), ("block", block), ("disagreement", value)];
        let rows = [row("16", "0.02"), row("128", "0.03"), row("", "0.9")];
        let frame = frame(&[&rows[0], &rows[1], &rows[2]]);
        let text = by_block(&frame.rows().collect::<Vec<_>>()).unwrap();
        assert!(text.contains("in 1 of 1 pairs") && text.contains("lm, 16 to 128: times 1.50 (hbfp6)"), "{text}");
    }
}
