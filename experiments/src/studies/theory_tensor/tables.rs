//! The caption: what holds, what does not, and where.

use std::fmt::Write;

use anyhow::Result;

use super::frame::COLUMNS;
use crate::engine::frame::{Frame, Row, distinct};
use crate::report::table::Table;

const INTRODUCTION: &str = "\
`figure.svg`: one line a recipe. Left: the largest excess of Q→S over the sum of the errors of both steps (sums of magnitudes), divided by \
its bound; dots: the tight bound, half the widest step for each value that may change places, crosses: the paper's, two steps for each \
pruned value. Right: how often there is any excess.\n\n\
A block is a small matrix with whatever shares a scale in the recipe (32 or 64 values as a rule); both steps are taken as they are in every \
other study, and what FP64 cannot decide is decided in integers of any length. `adversarial` blocks are made of near ties, powers of two, \
values on grids and half way between, zeros and subnormals; blocks named after a model are cut from its linear layers, evenly spaced.\n\n";

/// The rows of one part.
fn part<'a>(frame: &'a Frame, name: &str) -> Vec<Row<'a>> {
    frame.rows().filter(|row| row.text("part") == name).collect()
}

fn sum<'a>(rows: impl IntoIterator<Item = &'a Row<'a>>, column: &str) -> u64 {
    rows.into_iter().map(|row| row.number(column)).filter(|v| v.is_finite()).sum::<f64>() as u64
}

fn largest<'a>(rows: impl IntoIterator<Item = &'a Row<'a>>, column: &str) -> f64 {
    rows.into_iter().map(|row| row.number(column)).filter(|v| v.is_finite()).fold(0.0, f64::max)
}

/// The caption without its title.
pub(super) fn caption(frame: &Frame) -> Result<String> {
    frame.expect(&COLUMNS)?;
    let (counted, searched, left_out) = (part(frame, "counted"), part(frame, "search"), part(frame, "left-out"));
    let mut text = INTRODUCTION.to_owned();
    for paragraph in [s_first(&counted), q_first(&counted, &searched), bounds(&counted)] {
        let _ = writeln!(text, "{paragraph}\n");
    }
    for row in left_out {
        let pattern = row.text("sparsity");
        let under = if pattern.is_empty() { String::new() } else { format!(" under {pattern}") };
        let _ = writeln!(text, "Left out: `{}`{under}: {}.\n", row.text("format"), row.text("reason"));
    }
    for table in [by_pattern(&counted), by_recipe(&counted), unclaimed(&counted), counterexamples(&searched)]
        .into_iter()
        .flatten()
    {
        let _ = writeln!(text, "{}", table.markdown());
    }
    Ok(text)
}

/// The answer in plain words, one entry a theorem.
pub(super) fn summary(frame: &Frame) -> Vec<String> {
    let (counted, searched) = (part(frame, "counted"), part(frame, "search"));
    let paragraphs = [s_first(&counted), q_first(&counted, &searched), bounds(&counted)];
    let first =
        |text: String| text.replace("**", "").split_inclusive(". ").next().unwrap_or_default().trim_end().to_owned();
    paragraphs.map(first).into()
}

/// Theorem 3.5 in words.
fn s_first(rows: &[Row]) -> String {
    let claimed: Vec<Row> = rows.iter().filter(|row| row.text("reason").is_empty()).copied().collect();
    let formats = distinct(claimed.iter().copied(), "format");
    let of = |format: &str| claimed.iter().filter(|row| row.text("format") == format).collect::<Vec<_>>();
    let broken: Vec<&str> = formats.iter().filter(|f| sum(of(f), "sq_element") > 0).copied().collect();
    let fewest = formats.iter().map(|f| sum(of(f), "sq_blocks")).min().unwrap_or(0);
    let mut text = "**Theorem 3.5** (S→Q loses at most what both steps lose): ".to_owned();
    let all = sum(&claimed, "sq_blocks");
    if broken.is_empty() {
        let _ = write!(
            text,
            "where the record claims it, in {} recipes, **no violation** element by element, and so in no norm, in {} blocks, at least {} a \
             recipe.",
            formats.len(),
            grouped(all),
            grouped(fewest)
        );
    } else {
        let _ = write!(
            text,
            "**VIOLATED WHERE IT IS CLAIMED**: {} of {} blocks, by {}. Either these records claim too much or the arithmetic is wrong; the \
             examples are in the table of violations.",
            sum(&claimed, "sq_element"),
            grouped(all),
            broken.join(", ")
        );
    }
    let (equal, unexplained) = (sum(&claimed, "sq_equal"), sum(&claimed, "sq_unexplained"));
    let _ = write!(
        text,
        " The errors add up exactly in {} of them ({:.2} %): those in which quantisation alone leaves every pruned value as it was",
        grouped(equal),
        percent(equal, all)
    );
    let _ = match unexplained {
        0 => write!(text, ", without exception."),
        n => write!(text, "; {} blocks are one and not the other, where the scale moved.", grouped(n)),
    };
    text
}

/// Theorem 3.6 in words.
fn q_first(counted: &[Row], searched: &[Row]) -> String {
    let mut text = "**Theorem 3.6** (Q→S may lose more): ".to_owned();
    let none = searched.iter().filter(|row| row.text("example").is_empty()).map(|row| {
        let draws = grouped(row.number("draws") as u64);
        format!("{}, {} index pruned ({draws} draws)", row.text("format"), row.text("source"))
    });
    let none: Vec<String> = none.collect();
    let found = searched.len() - none.len();
    let _ =
        write!(text, "a counterexample in {found} of {} searches, one for each recipe and tie order.", searched.len());
    if !none.is_empty() {
        let _ = write!(text, " None was found for {}.", none.join("; "));
    }
    let shares = distinct(counted.iter().copied(), "source").into_iter().map(|source| {
        let own: Vec<&Row> = counted.iter().filter(|row| row.text("source") == source).collect();
        format!("{source} {:.3} %", percent(sum(own.iter().copied(), "qs_l1"), sum(own, "qs_blocks")))
    });
    let shares = shares.collect::<Vec<_>>();
    if !shares.is_empty() {
        let _ = write!(
            text,
            " It is rare where nobody looks for it; blocks with an excess, all recipes: {}.",
            shares.join(", ")
        );
    }
    text
}

/// Theorem 3.7 in words.
fn bounds(rows: &[Row]) -> String {
    let bounded: Vec<Row> = rows.iter().filter(|row| row.number("bounded_blocks") > 0.0).copied().collect();
    let (paper, tight) = (sum(&bounded, "paper_violations"), sum(&bounded, "tight_violations"));
    let mut text = format!(
        "**Theorem 3.7** (but not by more than a bound): in {} blocks of both tie orders, ",
        grouped(sum(&bounded, "bounded_blocks"))
    );
    if paper + tight == 0 {
        let _ = write!(text, "**no violation** of the paper's bound, nor of the tight one.");
    } else {
        let broken = bounded
            .iter()
            .filter(|r| ["paper_violations", "tight_violations"].iter().any(|column| r.number(column) > 0.0));
        let names = distinct(broken.copied(), "format").join(", ");
        let _ =
            write!(text, "**VIOLATED**: the paper's bound in {paper} blocks, the tight one in {tight}, by {names}.");
    }
    let _ = write!(
        text,
        " The largest excess is {:.3} of the tight bound and {:.3} of the paper's.",
        largest(&bounded, "tightness"),
        largest(&bounded, "paper_tightness")
    );
    let without = distinct(rows.iter().filter(|row| row.text("bounded_blocks") == "0").copied(), "format");
    if !without.is_empty() {
        let _ = write!(text, " No bound is claimed, since zero is not on the grid: {}.", without.join(", "));
    }
    text
}

/// One line a recipe, over all patterns and sources.
fn by_recipe(rows: &[Row]) -> Option<Table> {
    rows.first()?;
    let title = "recipes, all patterns and sources: blocks by S→Q, violations of 3.5 (element, L1, L2, Linf), equality; \
                 blocks by Q→S with an excess; largest excess / bound";
    let header = ["", "3.5 claimed", "blocks", "el", "L1", "L2", "Linf", "equal, %", "excess, %", "tight", "paper"];
    let mut table = Table::new(title, header);
    for format in distinct(rows.iter().copied(), "format") {
        let own = || rows.iter().filter(|row| row.text("format") == format);
        let claimed = own().filter(|row| row.text("reason").is_empty()).count();
        let claim = match claimed {
            0 => "no",
            n if n == own().count() => "yes",
            _ => "in part",
        };
        let violations = ["sq_element", "sq_l1", "sq_l2", "sq_linf"].map(|column| sum(own(), column).to_string());
        let bounded = sum(own(), "bounded_blocks");
        let tightness = |column| if bounded == 0 { String::new() } else { format!("{:.3}", largest(own(), column)) };
        let start = [format.to_owned(), claim.to_owned(), sum(own(), "sq_blocks").to_string()];
        let equal = format!("{:.2}", percent(sum(own(), "sq_equal"), sum(own(), "sq_blocks")));
        let excess = format!("{:.3}", percent(sum(own(), "qs_l1"), sum(own(), "qs_blocks")));
        let rest = [equal, excess, tightness("tightness"), tightness("paper_tightness")];
        table.row(start.into_iter().chain(violations).chain(rest));
    }
    Some(table)
}

/// One line a pattern, over all recipes: how often Q→S exceeds the sum, by source, and how near it comes to the bounds.
fn by_pattern(rows: &[Row]) -> Option<Table> {
    rows.first()?;
    let sources = distinct(rows.iter().copied(), "source");
    let title =
        "patterns, all recipes: blocks whose error by Q→S exceeds the sum, %, by source; largest excess / bound";
    let mut table = Table::new(title, [""].into_iter().chain(sources.iter().copied()).chain(["tight", "paper"]));
    for pattern in distinct(rows.iter().copied(), "sparsity") {
        let own = || rows.iter().filter(|row| row.text("sparsity") == pattern);
        let share = |source: &&str| {
            let of = || own().filter(|row| row.text("source") == *source);
            format!("{:.3}", percent(sum(of(), "qs_l1"), sum(of(), "qs_blocks")))
        };
        let tightness = ["tightness", "paper_tightness"].map(|column| format!("{:.3}", largest(own(), column)));
        table.row([pattern.to_owned()].into_iter().chain(sources.iter().map(share)).chain(tightness));
    }
    Some(table)
}

/// Where theorem 3.5 is violated, one line a recipe, with the smallest example; recipes for which it is not claimed and that held come
/// too.
fn unclaimed(rows: &[Row]) -> Option<Table> {
    let shown: Vec<Row> =
        rows.iter().filter(|r| !r.text("reason").is_empty() || r.number("sq_element") > 0.0).copied().collect();
    shown.first()?;
    let title = "theorem 3.5 where the record does not claim it: blocks that violate it, element by element and in L1, and the smallest one \
                 as place: x → q(x) / s(x) / q(s(x))";
    let mut table = Table::new(title, ["", "why", "element, %", "L1, %", "pattern", "excess", "block"]);
    for format in distinct(shown.iter().copied(), "format") {
        let own = || shown.iter().filter(|row| row.text("format") == format);
        let smallest = smallest(own());
        let share = |column| format!("{:.3}", percent(sum(own(), column), sum(own(), "sq_blocks")));
        let [pattern, excess, block] = smallest.map_or([const { String::new() }; 3], described);
        let why = distinct(own().copied(), "reason").join("; ");
        let why = if why.is_empty() { "**claimed**".to_owned() } else { why };
        table.row([format.to_owned(), why, share("sq_element"), share("sq_l1"), pattern, excess, block]);
    }
    Some(table)
}

/// The smallest counterexample of theorem 3.6 of each recipe and tie order.
fn counterexamples(rows: &[Row]) -> Option<Table> {
    rows.first()?;
    let title = "theorem 3.6: the first counterexample, made small, by which of two equal values is pruned; \
                 draws: blocks until the first one; place: x → q(x) / s(x) / s(q(x)), the lower index pruned (rows reversed for `higher`)";
    let mut table = Table::new(title, ["", "tie", "draws", "pattern", "excess", "block"]);
    for row in rows {
        let draws = grouped(row.number("draws") as u64);
        let start = [row.text("format").to_owned(), row.text("source").to_owned(), draws];
        let found = !row.text("example").is_empty();
        let text = if found { described(row) } else { ["", "", "none found"].map(str::to_owned) };
        table.row(start.into_iter().chain(text));
    }
    Some(table)
}

/// The row with the fewest values in its example, then the shortest text.
fn smallest<'a, 'b>(rows: impl Iterator<Item = &'b Row<'a>>) -> Option<&'b Row<'a>>
where
    'a: 'b,
{
    let size = |row: &&Row| (row.text("example").matches('→').count(), row.text("example").chars().count());
    rows.filter(|row| !row.text("example").is_empty()).min_by_key(size)
}

/// The pattern, the excess and the values of an example.
fn described(row: &Row) -> [String; 3] {
    let excess = row.number("excess");
    let shown = if (1e-3..1e5).contains(&excess) { format!("{excess:.4}") } else { format!("{excess:.2e}") };
    [row.text("sparsity").to_owned(), shown, row.text("example").to_owned()]
}

fn percent(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { 100.0 * part as f64 / all as f64 }
}

/// A count with its digits in groups of three.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let first = digits.len() % 3;
    let mut text = digits[..first].to_owned();
    for (i, digit) in digits[first..].chars().enumerate() {
        if i % 3 == 0 && !text.is_empty() {
            text.push('\u{2009}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped() {
        assert_eq!([0, 999, 1000, 1_050_400].map(grouped), ["0", "999", "1\u{2009}000", "1\u{2009}050\u{2009}400"]);
    }

    /// Rows with these texts, everything else zero.
    fn frame(rows: &[&[(&str, &str)]]) -> Frame {
        let mut frame = Frame::new(&COLUMNS);
        for row in rows {
            let value = |column: &&str| row.iter().find(|(name, _)| name == column).map_or("", |(_, text)| *text);
            frame.push("theory-tensor", COLUMNS.iter().map(value)).unwrap();
        }
        frame
    }

    #[test]
    fn a_violated_claim_is_said_aloud() {
        let fine: &[_] = &[("part", "counted"), ("format", "int4"), ("sq_blocks", "1000"), ("bounded_blocks", "500")];
        let text = caption(&frame(&[fine])).unwrap();
        assert!(!text.contains("VIOLATED") && text.matches("**no violation**").count() == 2, "{text}");
        let broken = [fine, &[("sq_element", "2"), ("tight_violations", "1")]].concat();
        let text = caption(&frame(&[&broken])).unwrap();
        assert!(text.contains("VIOLATED WHERE IT IS CLAIMED**: 2 of") && text.contains("by int4"), "{text}");
        assert!(text.contains("the tight one in 1, by int4"), "{text}");
        let unclaimed = [&broken[..], &[("reason", "the record does not claim it")]].concat();
        assert!(!caption(&frame(&[&unclaimed])).unwrap().contains("WHERE IT IS CLAIMED"));
    }

    #[test]
    fn what_was_not_found_is_told_with_its_draws() {
        let row = |tie, example| {
            [("part", "search"), ("format", "s4"), ("source", tie), ("draws", "10000000"), ("example", example)]
        };
        let rows = [row("lower", "0: 4 → 4 / 4 / 0"), row("higher", "")];
        let text = caption(&frame(&[&rows[0], &rows[1]])).unwrap();
        assert!(
            text.contains("in 1 of 2 searches")
                && text.contains("s4, higher index pruned (10\u{2009}000\u{2009}000 draws)"),
            "{text}"
        );
    }
}
