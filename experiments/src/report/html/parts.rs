//! The sections of the page that are filled with a run's data. Everything is escaped here.

use std::collections::BTreeSet;

use super::escape::{html, svg_address};
use super::notes;
use super::read::{Column, Data, Record, Run};

/// Most values of a text column that the summary names.
const NAMED: usize = 6;

/// Counts, what all rows have in common, and the values of each text column.
pub fn facts(run: &Run) -> String {
    let mut facts = vec![("rows".to_owned(), run.data.rows.len().to_string())];
    if let Some(cells) = run.record.cells {
        facts.push(("cells".to_owned(), cells.to_string()));
    }
    if let Some(seconds) = run.record.seconds {
        facts.push(("seconds".to_owned(), format!("{seconds:.1}")));
    }
    for (at, column) in run.data.columns.iter().enumerate().skip(1).filter(|(_, column)| !column.numeric) {
        let values: BTreeSet<_> = run.data.rows.iter().map(|row| row[at].as_str()).filter(|v| !v.is_empty()).collect();
        match values.len() {
            0 => {}
            1..=NAMED => facts.push((column.name.clone(), values.into_iter().collect::<Vec<_>>().join(", "))),
            count => facts.push((column.name.clone(), format!("{count} values"))),
        }
    }
    facts.iter().map(|(name, value)| format!("<div><dt>{}</dt><dd>{}</dd></div>", html(name), html(value))).collect()
}

/// What was found: each figure as an image, which follows the page's colours by itself, and the words of the caption.
pub fn findings(figures: &[(String, String)], words: &str) -> String {
    let figure = |(name, svg): &(String, String)| {
        format!(
            "<figure class=\"paper\"><div tabindex=\"0\">\
             <img alt=\"{0}: the rows of the data table, drawn\" src=\"{1}\"></div><figcaption>{0}</figcaption></figure>",
            html(name),
            svg_address(svg)
        )
    };
    if figures.is_empty() && words.is_empty() {
        return String::new();
    }
    let figures: String = figures.iter().map(figure).collect();
    format!("<section id=\"findings\"><h2>Findings</h2>{figures}<div class=\"prose\">{words}</div></section>")
}

/// The tables of the caption, each in a box of its own that scrolls.
pub fn tables(tables: &str) -> String {
    if tables.is_empty() {
        return String::new();
    }
    let boxed = tables
        .replace("<table>", "<div class=\"scroll\" tabindex=\"0\"><table class=\"sortable\">")
        .replace("</table>", "</table></div>");
    format!("<section id=\"tables\"><h2>Tables</h2>{boxed}</section>")
}

/// The data table; a number that is shortened keeps its exact text in `data-v`.
pub fn data(data: &Data) -> String {
    let names: Vec<_> = data.columns.iter().map(|column| column.name.as_str()).collect();
    let notes = notes::of(&names);
    let heads = data.columns.iter().map(|Column { name, numeric }| {
        let note = notes.iter().find(|(about, _)| about.contains(&name.as_str())).map_or("", |(_, note)| note);
        let class = if *numeric { " class=\"num\"" } else { "" };
        format!("<th scope=\"col\" data-name=\"{0}\" title=\"{1}\"{class}>{0}</th>", html(name), html(note))
    });
    let rows = data.rows.iter().map(|row| {
        let cells = row.iter().zip(&data.columns).map(|(cell, column)| match column.numeric {
            true => format!("<td class=\"num\" data-v=\"{0}\" title=\"{0}\">{1}</td>", html(cell), html(&short(cell))),
            false => format!("<td>{}</td>", html(cell)),
        });
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    });
    format!(
        "<table id=\"data\" class=\"sortable\"><thead><tr>{}</tr></thead><tbody>\n{}</tbody></table>",
        heads.collect::<String>(),
        rows.collect::<String>()
    )
}

/// A number with more than five decimals, with fewer of them; for reading only.
fn short(cell: &str) -> String {
    let decimals = cell.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    match cell.parse::<f64>() {
        Ok(number) if decimals > 5 && number.is_finite() => match number.abs() {
            0.0 => "0".to_owned(),
            size if size < 1e-4 => format!("{number:.4e}"),
            size if size < 1e3 => format!("{number:.5}"),
            _ => format!("{number:.1}"),
        },
        _ => cell.to_owned(),
    }
}

/// What limits the numbers: the run's caveats, the caption's notes, and what the columns imply.
pub fn caveats(run: &Run, caption: &[String]) -> String {
    let names: Vec<_> = run.data.columns.iter().map(|column| column.name.as_str()).collect();
    let said = run.record.caveats.iter().chain(caption).map(|text| format!("<li>{}</li>", html(text)));
    let implied = notes::of(&names).into_iter().map(|(about, note)| {
        let about: Vec<_> = about.into_iter().map(|name| format!("<code>{}</code>", html(name))).collect();
        format!("<li>{}: {}</li>", about.join(", "), html(note))
    });
    said.chain(implied).collect()
}

/// A block of text that a button copies; nothing where there is no text.
pub fn code(id: &str, title: &str, text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!(
        "<h3>{}</h3><div class=\"code\"><button type=\"button\" data-copy=\"{id}\">Copy</button>\
         <pre id=\"{id}\" tabindex=\"0\">{}</pre></div>",
        html(title),
        html(text)
    )
}

/// Versions, seeds, CPU features and checksums.
pub fn provenance(record: &Record) -> String {
    let seeds: Vec<_> = record.seeds.iter().map(u64::to_string).collect();
    let facts = [
        ("seeds", seeds.join(", ")),
        ("interplay", record.version.clone()),
        ("burn", record.burn.clone()),
        ("CPU features", record.cpu_features.join(", ")),
    ];
    let facts = facts.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (*name, value));
    let sums = record.checksums.iter().map(|(name, value)| (name.as_str(), value));
    let rows = facts.chain(sums).map(|(name, value)| {
        format!("<tr><th scope=\"row\">{}</th><td><code>{}</code></td></tr>", html(name), html(value))
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shortened_for_reading() {
        let shown = ["55.08858327936492", "5785606970.921476", "0.00000012345", "12", "0.5", "nan"].map(short);
        assert_eq!(shown, ["55.08858", "5785606970.9", "1.2345e-7", "12", "0.5", "nan"]);
    }
}
