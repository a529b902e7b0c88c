//! The text corpus: Wikipedia documents out of their markup, split into training and held-out by document.
//!
//! An extract is a run of `<doc id="…" … title="…">` lines, bodies and `</doc>` lines. Bodies longer than
//! [`LONG`] characters are documents proper; the rest is mostly stubs. Every [`EVERY`]th document proper is held out; stubs
//! and other texts only ever join the training side.

use std::collections::HashSet;

/// A document proper has more characters than this.
pub const LONG: usize = 1000;
/// One document in this many is held out.
pub const EVERY: usize = 10;
/// What stands between documents in a running text.
pub const SEPARATOR: &str = "\n\n";

/// One article.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The extract's page number.
    pub id: String,
    /// The article's title.
    pub title: String,
    /// The text, white space stripped at both ends.
    pub body: String,
}

/// The two sides of the split.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Split {
    /// Documents to learn from: those proper, then the stubs.
    pub train: Vec<Document>,
    /// Documents to be judged on.
    pub held_out: Vec<Document>,
}

/// The documents of an extract, in order, and whether each is longer than [`LONG`] characters before stripping.
pub fn documents(extract: &str) -> Vec<(Document, bool)> {
    let mut rest = extract;
    let mut found = Vec::new();
    while let Some((document, long, after)) = next_document(rest) {
        found.push((document, long));
        rest = after;
    }
    found
}

/// The first well-formed document of `text`, whether it is long, and the text after it.
fn next_document(text: &str) -> Option<(Document, bool, &str)> {
    const OPEN: &str = "<doc id=\"";
    let mut text = text;
    loop {
        text = &text[text.find(OPEN)? + OPEN.len()..];
        let (tag, after) = text.split_once(">\n")?;
        let id = tag.split('"').next().unwrap_or_default();
        let title = tag.split_once("title=\"").and_then(|(_, title)| title.strip_suffix('"'));
        let (Some(title), Some((body, after))) = (title, after.split_once("</doc>")) else { continue };
        let document = Document { id: id.to_owned(), title: title.to_owned(), body: body.trim().to_owned() };
        return Some((document, body.chars().count() > LONG, after));
    }
}

/// Splits an extract. Stubs with the title of a held-out document are left out altogether.
pub fn split(extract: &str) -> Split {
    let mut split = Split::default();
    let mut stubs = Vec::new();
    let mut proper = 0;
    for (document, long) in documents(extract) {
        if !long {
            stubs.push(document);
            continue;
        }
        proper += 1;
        if proper % EVERY == 0 { split.held_out.push(document) } else { split.train.push(document) }
    }
    let titles: HashSet<_> = split.held_out.iter().map(|document| document.title.as_str()).collect();
    split.train.extend(stubs.into_iter().filter(|stub| !stub.body.is_empty() && !titles.contains(stub.title.as_str())));
    split
}

/// The bodies as one running text.
pub fn join(documents: &[Document]) -> String {
    documents.iter().map(|document| document.body.as_str()).collect::<Vec<_>>().join(SEPARATOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extract(count: usize) -> String {
        let long = "word ".repeat(300);
        (0..count).map(|i| format!("<doc id=\"{i}\" url=\"u\" title=\"T{i}\">\nT{i}\n\n{long}\n</doc>\n")).collect()
    }

    #[test]
    fn every_tenth_document_is_held_out() {
        let text = extract(25) + "<doc id=\"99\" url=\"u\" title=\"Stub\">\nshort\n</doc>\n";
        let split = split(&text);
        assert_eq!(split.held_out.iter().map(|d| d.id.as_str()).collect::<Vec<_>>(), ["9", "19"]);
        assert_eq!(split.train.len(), 24);
        assert_eq!(split.train.last().map(|d| d.body.as_str()), Some("short"));
        assert_eq!(split, super::split(&text));
    }

    #[test]
    fn a_stub_titled_as_a_held_out_document_is_dropped() {
        let text = extract(10) + "<doc id=\"99\" url=\"u\" title=\"T9\">\nshort\n</doc>\n";
        assert!(split(&text).train.iter().all(|d| d.id != "99"));
    }

    #[test]
    fn markup_is_stripped() {
        let found = documents("<doc id=\"7\" url=\"x\" title=\"A b\">\n A b \n</doc>\n<doc id=\"8\"");
        assert_eq!(found, [(Document { id: "7".into(), title: "A b".into(), body: "A b".into() }, false)]);
    }
}
