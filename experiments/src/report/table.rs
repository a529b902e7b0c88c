//! Plain text tables: the first column to the left, the others to the right, unless they are text.

use std::fmt;

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

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        let write_row = |f: &mut fmt::Formatter<'_>, cells: &[String]| {
            for (i, (cell, &width)) in cells.iter().zip(&widths).enumerate() {
                match i {
                    _ if self.text && i + 1 == widths.len() => write!(f, "  {cell}")?,
                    _ if self.text => write!(f, "  {cell:<width$}")?,
                    0 => write!(f, "  {cell:<width$}")?,
                    _ => write!(f, "  {cell:>width$}")?,
                }
            }
            writeln!(f)
        };
        if !self.title.is_empty() {
            writeln!(f, "{}", self.title)?;
        }
        write_row(f, &self.header)?;
        writeln!(f, "  {}", "-".repeat(widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1)))?;
        self.rows.iter().try_for_each(|row| write_row(f, row))
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
        assert_eq!(t.to_string(), expected);
        assert!(t.markdown().contains("| 2:4 S→Q | 9.37 |  10.5 |"), "{}", t.markdown());
        let words = t.text().markdown();
        assert!(words.contains("| 2:4 S→Q | 9.37 | 10.5  |") && !words.contains("-: |"), "{words}");
    }
}
