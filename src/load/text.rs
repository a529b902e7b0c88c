//! Texts to evaluate on, and the cleaning that the Wikipedia extract needs.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::Error;

/// Bodies of at most this many characters are headings and stubs; they are left out.
const LONGEST_STUB: usize = 1000;

/// The sha256 of [`clean_wiki`]'s result on the extract of the catalogue.
pub const CLEAN_WIKI_SHA256: &str = "3d0ff0561459baaf4c34b11a7d3cb628e59653545cd04166ffdcf34a1ea072b6";

/// Lower-case hexadecimal sha256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Lower-case hexadecimal sha256 of the file at `path`, of which a mebibyte at a time is in memory.
///
/// # Errors
/// The file cannot be read.
pub fn sha256_of_file(path: &Path) -> Result<String, Error> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(io)?;
    let (mut sum, mut part) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut part).map_err(io)? {
            0 => return Ok(hexadecimal(&sum.finalize())),
            length => sum.update(&part[..length]),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads the UTF-8 text at `path`.
///
/// # Errors
/// The file cannot be read, is not UTF-8, or is empty.
pub fn read(path: &Path) -> Result<String, Error> {
    let bytes = super::bounded::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    let malformed = |problem: String| Error::Malformed { path: path.to_owned(), problem };
    let text = String::from_utf8(bytes)
        .map_err(|e| malformed(format!("byte {} is not UTF-8; give a plain text", e.utf8_error().valid_up_to())))?;
    if text.is_empty() { Err(malformed("the text is empty".into())) } else { Ok(text) }
}

/// The bodies of the extract's documents `<doc id="…" … title="…">` that are longer than a stub, without surrounding blanks.
pub fn wiki_documents(raw: &str) -> Vec<&str> {
    let mut documents = Vec::new();
    let mut rest = raw;
    while let Some(start) = rest.find("<doc id=\"") {
        rest = &rest[start..];
        match document(rest) {
            Some((body, after)) => {
                documents.push(body);
                rest = after;
            }
            None => rest = &rest[1..],
        }
    }
    documents.retain(|body| body.chars().count() > LONGEST_STUB);
    documents.into_iter().map(str::trim).collect()
}

/// The cleaned text of the Wikipedia extract: its documents with a blank line between.
///
/// # Errors
/// The result is not the known text, so `raw` is not the known extract.
pub fn clean_wiki(raw: &str) -> Result<String, Error> {
    let text = wiki_documents(raw).join("\n\n");
    let sum = sha256(text.as_bytes());
    if sum == CLEAN_WIKI_SHA256 {
        Ok(text)
    } else {
        Err(Error::Invalid(format!(
            "the cleaned Wikipedia text has sha256 {sum} instead of {CLEAN_WIKI_SHA256}; run `interplay fetch wiki` again"
        )))
    }
}

/// The body of the document that `text` begins with, and what follows it.
fn document(text: &str) -> Option<(&str, &str)> {
    let after_id = text.strip_prefix("<doc id=\"")?;
    let digits = after_id.bytes().take_while(u8::is_ascii_digit).count();
    let attributes = after_id[digits..].strip_prefix('"').filter(|_| digits > 0)?;
    // The last `title="` before the tag can end; a title may itself hold a `>`.
    let limit = attributes.find('>')?;
    let title = attributes[..limit].rfind("title=\"")? + "title=\"".len();
    let (_, after_title) = attributes[title..].split_once('"')?;
    after_title.strip_prefix(">\n")?.split_once("</doc>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_long_bodies_only() {
        let long = "word ".repeat(300);
        let raw = format!(
            "<doc id=\"1\" url=\"u\" title=\"A > B\">\n{long}</doc>\n<doc id=\"2\" title=\"stub\">\nshort</doc>\n<doc id=\"\" title=\"no id\">\n{long}</doc>"
        );
        assert_eq!(wiki_documents(&raw), [long.trim()]);
    }

    #[test]
    fn broken_markup_is_no_document() {
        for raw in ["<doc id=\"1\" title=\"x\">\nno end", "<doc id=\"1\"", "<doc id=\"é\" title=\"x\">\n</doc>", ""] {
            assert!(wiki_documents(raw).is_empty());
        }
    }

    #[test]
    fn an_unknown_extract_is_refused() {
        assert!(clean_wiki("<doc>").unwrap_err().to_string().contains("interplay fetch wiki"));
    }
}
