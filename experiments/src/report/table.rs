//! Plain text tables: the first column to the left, the others to the right, unless they are text.

use super::wrap::wrapped;
use crate::output;

/// Blanks before a column.
const GAP: usize = 2;
/// What a column of words keeps on a terminal that is too narrow for its words.
const LETTERS: usize = 8;

/// Characters of a line with columns of these widths.
fn wide(widths: &[usize]) -> usize {
    widths.iter().map(|width| width + GAP).sum()
}

/// A table of text cells.
#[derive(Debug, Default)]
pub struct Table {
    title: String,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    text: bool,
}

impl Table {
    /// An empty table.
    pub fn new(title: impl Into<String>, header: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let header = header.into_iter().map(Into::into).collect();
        Self { title: title.into(), header, rows: Vec::new(), text: false }
    }

    /// The same with all columns to the left: for words instead of numbers.
    pub fn text(self) -> Self {
        Self { text: true, ..self }
    }

    /// Appends a row; missing cells are empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        let mut row: Vec<String> = cells.into_iter().map(Into::into).collect();
        row.resize(self.header.len(), String::new());
        self.rows.push(row);
    }

    /// The same table as GitHub Markdown, with columns that line up in a terminal too.
    pub fn markdown(&self) -> String {
        // The rule below the header takes three characters, and one more for a column to the right.
        let least = |i: usize| if self.is_left(i) { 3 } else { 4 };
        let widths: Vec<usize> = self.widths().into_iter().enumerate().map(|(i, width)| width.max(least(i))).collect();
        let line = |cells: &[String]| {
            let padded = cells.iter().zip(&widths).enumerate().map(|(i, (cell, &width))| match self.is_left(i) {
                true => format!("{cell:<width$}"),
                false => format!("{cell:>width$}"),
            });
            format!("| {} |\n", padded.collect::<Vec<_>>().join(" | "))
        };
        let dashes = |(i, &width): (usize, &usize)| match self.is_left(i) {
            true => "-".repeat(width),
            false => format!("{}:", "-".repeat(width - 1)),
        };
        let rule: Vec<String> = widths.iter().enumerate().map(dashes).collect();
        let rows: String = self.rows.iter().map(|r| line(r)).collect();
        format!("**{}**\n\n{}{}{rows}", self.title, line(&self.header), line(&rule))
    }

    /// Prints the table, on a terminal in lines that fit it.
    pub fn print(&self) {
        output::say(format_args!("{}", self.within(output::width())));
    }

    /// The table in lines of at most so many characters; none is as wide as it comes. Words go on in further lines of their cell; columns of
    /// numbers go on below, each part behind the first column.
    pub fn within(&self, characters: Option<usize>) -> String {
        let (widths, columns) = (self.widths(), (0..self.header.len()).collect::<Vec<_>>());
        let title = wrapped(&self.title, characters.unwrap_or(usize::MAX)).join("\n");
        let mut text = if title.is_empty() { title } else { title + "\n" };
        match characters.filter(|&characters| wide(&widths) > characters) {
            None => text += &self.part(&columns, &widths),
            Some(characters) if self.text => text += &self.part(&columns, &self.narrowed(widths, characters)),
            Some(characters) => {
                let mut left = &columns[1.min(columns.len())..];
                while !left.is_empty() {
                    let fits = |count: &usize| {
                        let others: usize = left[..*count].iter().map(|&i| widths[i] + GAP).sum();
                        widths[0] + GAP + others <= characters
                    };
                    let (these, rest) = left.split_at((2..=left.len()).take_while(fits).last().unwrap_or(1));
                    text += &self.part(&[&columns[..1], these].concat(), &widths);
                    text += if rest.is_empty() { "" } else { "\n" };
                    left = rest;
                }
            }
        }
        text
    }

    /// Some columns, a cell in as many lines as it takes in its column's width.
    fn part(&self, columns: &[usize], widths: &[usize]) -> String {
        let row_text = |row: &[String]| {
            let mut text = String::new();
            let cells: Vec<Vec<String>> = columns.iter().map(|&i| wrapped(&row[i], widths[i])).collect();
            for line in 0..cells.iter().map(Vec::len).max().unwrap_or(1) {
                for (&i, cell) in columns.iter().zip(&cells) {
                    let (cell, width) = (cell.get(line).map_or("", String::as_str), widths[i]);
                    text += &match self.is_left(i) {
                        true if self.text && i + 1 == widths.len() => format!("  {cell}"),
                        true => format!("  {cell:<width$}"),
                        false => format!("  {cell:>width$}"),
                    };
                }
                text.push('\n');
            }
            text
        };
        let rule: usize = columns.iter().map(|&i| widths[i] + GAP).sum();
        let rows: String = self.rows.iter().map(|row| row_text(row)).collect();
        format!("{}  {}\n{rows}", row_text(&self.header), "-".repeat(rule.saturating_sub(GAP)))
    }

    /// Widths that a line of so many characters holds: the widest columns give way, to their longest word and then to a few letters.
    fn narrowed(&self, mut widths: Vec<usize>, characters: usize) -> Vec<usize> {
        let word = |text: &String| text.split(' ').map(|word| word.chars().count()).max().unwrap_or(0);
        let longest = |i: usize| self.rows.iter().map(|row| word(&row[i])).chain([word(&self.header[i])]).max();
        let words: Vec<usize> = (0..widths.len()).map(|i| longest(i).unwrap_or(0)).collect();
        for least in [words, vec![LETTERS; widths.len()]] {
            while wide(&widths) > characters {
                let wider = (0..widths.len()).filter(|&i| widths[i] > least[i]);
                let Some(widest) = wider.max_by_key(|&i| widths[i]) else { break };
                widths[widest] -= 1;
            }
        }
        widths
    }

    fn is_left(&self, column: usize) -> bool {
        column == 0 || self.text
    }

    fn widths(&self) -> Vec<usize> {
        let width = |i: usize| {
            let cells = self.rows.iter().map(|r| r[i].chars().count());
            cells.chain([self.header[i].chars().count()]).max().unwrap_or(0)
        };
        (0..self.header.len()).map(width).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn columns_line_up_by_characters_not_bytes() {
        let mut t = Table::new("perplexity", ["", "int8", "mxfp4"]);
        t.row(["2:4 S→Q", "9.37", "10.5"]);
        t.row(["dense", "5.1"]);
        let expected = "perplexity\n           int8  mxfp4\n  --------------------\n  2:4 S→Q  9.37   10.5\n  dense     5.1       \n";
        assert_eq!(t.within(None), expected);
        assert!(t.markdown().contains("| 2:4 S→Q | 9.37 |  10.5 |"), "{}", t.markdown());
        assert_eq!(t.within(Some(27)), expected);
        let parts = "perplexity\n           int8\n  -------------\n  2:4 S→Q  9.37\n  dense     5.1\n\n           mxfp4\n  --------------\n  2:4 S→Q   10.5\n  dense         \n";
        assert_eq!(t.within(Some(20)), parts);
        let words = t.text().markdown();
        assert!(words.contains("| 2:4 S→Q | 9.37 | 10.5  |") && !words.contains("-: |"), "{words}");
    }

    #[test]
    fn words_go_on_in_their_column() {
        let mut t = Table::new("", ["name", "what it does"]).text();
        t.row(["wanda", "prune by magnitude and input"]);
        let whole =
            "  name   what it does\n  -----------------------------------\n  wanda  prune by magnitude and input\n";
        assert_eq!(t.within(None), whole);
        let narrow =
            "  name   what it does\n  -------------------\n  wanda  prune by\n         magnitude\n         and input\n";
        assert_eq!(t.within(Some(21)), narrow);
        assert!(t.within(Some(5)).contains("magnitud\n         e"), "{}", t.within(Some(5)));
    }
}
