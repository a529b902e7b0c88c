//! The table of a study: what `data.csv` holds, and all that a figure and a caption may know.

use anyhow::{Result, bail, ensure};

/// Named columns of text, and rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// One row of a [`Frame`].
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    columns: &'a [String],
    values: &'a [String],
}

impl Frame {
    /// An empty table whose first column names the study, as every study's does.
    pub fn new(columns: &[&str]) -> Self {
        let columns = ["study"].iter().chain(columns).map(|&name| name.to_owned()).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row of `study`: one value a column, without the first.
    ///
    /// # Errors
    /// There are more or fewer values than columns.
    pub fn push<T: Into<String>>(&mut self, study: &str, values: impl IntoIterator<Item = T>) -> Result<()> {
        let row: Vec<String> = std::iter::once(study.to_owned()).chain(values.into_iter().map(Into::into)).collect();
        ensure!(row.len() == self.columns.len(), "a row of {} values in {} columns", row.len(), self.columns.len());
        self.rows.push(row);
        Ok(())
    }

    /// The rows in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|values| Row { columns: &self.columns, values })
    }

    /// The study that the table is of; none for an empty one.
    pub fn study(&self) -> Option<&str> {
        let index = self.columns.iter().position(|name| name == "study")?;
        self.rows.first().map(|row| row[index].as_str())
    }

    /// RFC 4180, a header line first.
    ///
    /// # Errors
    /// None for a table that was built by [`Frame::push`].
    pub fn csv(&self) -> Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(&self.columns)?;
        self.rows.iter().try_for_each(|row| writer.write_record(row))?;
        let bytes = writer.into_inner().map_err(|e| e.into_error())?;
        Ok(String::from_utf8(bytes)?)
    }

    /// What [`Frame::csv`] wrote.
    ///
    /// # Errors
    /// A row has more or fewer fields than the header, or the text is not UTF-8.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let mut reader = csv::Reader::from_reader(text);
        let columns: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
        let rows = reader.records().map(|record| Ok(record?.iter().map(str::to_owned).collect()));
        Ok(Self { columns, rows: rows.collect::<Result<_>>()? })
    }

    /// That every column of `names` is there.
    ///
    /// # Errors
    /// One is not.
    pub fn expect(&self, names: &[&str]) -> Result<()> {
        match names.iter().find(|name| !self.columns.iter().any(|column| column == *name)) {
            Some(missing) => bail!("data.csv has no column `{missing}`; it is of another version or was edited"),
            None => Ok(()),
        }
    }
}

impl<'a> Row<'a> {
    /// The text of a column; empty where there is none.
    pub fn text(&self, column: &str) -> &'a str {
        let index = self.columns.iter().position(|name| name == column);
        index.and_then(|index| self.values.get(index)).map_or("", String::as_str)
    }

    /// The number of a column; NaN where there is none.
    pub fn number(&self, column: &str) -> f64 {
        self.text(column).parse().unwrap_or(f64::NAN)
    }

    /// Whether every column has the text that stands beside it.
    pub fn is(&self, wanted: &[(&str, &str)]) -> bool {
        wanted.iter().all(|(column, text)| self.text(column) == *text)
    }
}

/// A number as a table keeps it: as many digits as bring the same `f64` back, nothing where there is none.
pub fn field(value: f64) -> String {
    if value.is_nan() { String::new() } else { value.to_string() }
}

/// Distinct texts of a column in order of appearance.
pub fn distinct<'a>(rows: impl IntoIterator<Item = Row<'a>>, column: &str) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for text in rows.into_iter().map(|row| row.text(column)) {
        if !seen.contains(&text) {
            seen.push(text);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut frame = Frame::new(&["model", "value"]);
        frame.push("orders", ["a,\"b\"\nc".to_owned(), field(0.1 + 0.2)]).unwrap();
        frame.push("orders", [String::new(), field(f64::INFINITY)]).unwrap();
        assert!(frame.push("orders", ["one"]).is_err());
        let read = Frame::parse(frame.csv().unwrap().as_bytes()).unwrap();
        assert_eq!(read, frame);
        let numbers: Vec<f64> = read.rows().map(|row| row.number("value")).collect();
        assert_eq!(numbers, [0.1 + 0.2, f64::INFINITY]);
        assert!(read.rows().all(|row| row.number("model").is_nan()));
        assert_eq!(read.study(), Some("orders"));
        assert!(Frame::parse(b"a,b\n1\n").is_err());
    }
}
