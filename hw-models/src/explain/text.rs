//! Explanations as text.

use super::{Comparison, Explanation, Number, Part, Product, Sum};
use std::fmt;

/// Instructions that a text shows in full.
const SHOWN: usize = 16;

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, row {}", self.datapath, self.row)?;
        if let Some(column) = self.column {
            write!(f, ", column {column}")?;
        }
        writeln!(f, ": K = {}, instructions of {}", self.k, self.depth)?;
        writeln!(f, "c  {}", self.c)?;
        for (i, instruction) in self.instructions.iter().enumerate().take(SHOWN) {
            for sum in &instruction.sums {
                writeln!(f)?;
                if self.instructions.len() > 1 {
                    write!(f, "instruction {}, ", i + 1)?;
                }
                write_sum(f, sum, &instruction.products)?;
            }
        }
        if let more @ 1.. = self.instructions.len().saturating_sub(SHOWN) {
            writeln!(f, "\n… and {more} instructions more; --json has all")?;
        }
        write!(f, "\nd  {}", self.d)
    }
}

/// A sum: its terms, the total, the roundings.
fn write_sum(f: &mut fmt::Formatter<'_>, sum: &Sum, products: &[Product]) -> fmt::Result {
    match (sum.step, sum.aligned_to) {
        (Some(step), Some(exponent)) => writeln!(f, "step {step}, {}: aligned to 2^{exponent}", sum.name)?,
        (Some(step), None) => writeln!(f, "step {step}, {}: exact", sum.name)?,
        (None, _) => writeln!(f, "the accumulator joins")?,
    }
    let mut rows = vec![["term", "a", "b", "value", "exp", "kept|dropped in binary", "dropped"].map(str::to_owned)];
    rows.extend(sum.terms.iter().map(|part| term(part, products)));
    write_rows(f, &rows)?;
    writeln!(f, "  {:<6} {}", "total", sum.total)?;
    for rounded in &sum.roundings {
        let to = format!("to {}, {}", rounded.format, rounded.rounding);
        writeln!(f, "  {to}: {}; truncation loses {}", rounded.after, rounded.lost)?;
    }
    Ok(())
}

/// The cells of a term.
fn term(part: &Part, products: &[Product]) -> [String; 7] {
    let product = part.k.and_then(|k| products.iter().find(|product| product.k == k));
    let factor = |side: usize| {
        let Some(product) = product else { return String::new() };
        let element = [&product.a, &product.b][side].short();
        match &product.scales {
            Some(scales) => format!("{element}*{}", scales[side].short()),
            None => element,
        }
    };
    let exponent = part.exponent.map_or("-".to_owned(), |exponent| exponent.to_string());
    let (binary, dropped) = match &part.aligned {
        Some(aligned) => (aligned.binary.clone(), show_unless_zero(&aligned.dropped)),
        None => Default::default(),
    };
    [part.name.clone(), factor(0), factor(1), part.value.hex.clone(), exponent, binary, dropped]
}

fn show_unless_zero(number: &Number) -> String {
    if number.is_zero() { String::new() } else { number.hex.clone() }
}

/// Cells in columns; columns that are empty below their head are left out.
fn write_rows<const N: usize>(f: &mut fmt::Formatter<'_>, rows: &[[String; N]]) -> fmt::Result {
    let width = |i: usize| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0);
    let used = |i: usize| rows.iter().skip(1).any(|row| !row[i].is_empty());
    let columns: Vec<(usize, usize)> = (0..N).filter(|&i| used(i)).map(|i| (i, width(i))).collect();
    for row in rows {
        let cells: Vec<String> = columns.iter().map(|&(i, width)| format!("{:<width$}", row[i])).collect();
        writeln!(f, "  {}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n\n{}\n", self.a, self.b)?;
        writeln!(f, "A  {}: {}\nB  {}: {}", self.a.datapath, self.a.d, self.b.datapath, self.b.d)?;
        if self.differences.is_empty() {
            return write!(f, "\nThe two records describe one arithmetic: they give the same bits for every input.");
        }
        writeln!(f, "\nWhat the records say differently:")?;
        let mut rows = vec![["rule", "A", "B", "A with this rule of B's"].map(str::to_owned)];
        for difference in &self.differences {
            let alone = difference.alone.as_ref().and_then(|number| number.bits.clone());
            let alone = alone.unwrap_or_else(|| "cannot change alone".to_owned());
            let alone = if difference.decides && !self.same { format!("{alone} = B") } else { alone };
            rows.push([difference.rule.to_owned(), difference.a.clone(), difference.b.clone(), alone]);
        }
        write_rows(f, &rows)?;
        match (self.same, &self.decisive[..]) {
            (true, _) => write!(f, "\nBoth give the same result for this output."),
            (false, []) => write!(f, "\nThe difference takes more than four of these rules together."),
            (false, groups) => {
                let names: Vec<String> = groups.iter().map(|rules| rules.join(" + ")).collect();
                write!(f, "\nWhat makes them differ here: {}.", names.join("; or "))
            }
        }
    }
}
