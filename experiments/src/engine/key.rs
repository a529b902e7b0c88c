//! What names a cell.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use interplay::load::text::sha256;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Everything that decides the bits of a cell's result, by name: two cells of one key have one result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(BTreeMap<String, Value>);

impl Key {
    /// The key of a cell of the study `study`, in this version of the program.
    pub fn new(study: &str) -> Self {
        Self(BTreeMap::new()).with("study", study).with("version", env!("CARGO_PKG_VERSION"))
    }

    /// The same with one more field.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// The text of a field.
    ///
    /// # Errors
    /// There is no such field, or it is no text.
    pub fn text(&self, name: &str) -> Result<&str> {
        self.0.get(name).and_then(Value::as_str).ok_or_else(|| self.lacks(name, "text"))
    }

    /// The number of a field.
    ///
    /// # Errors
    /// There is no such field, or it is no whole number from 0 up.
    pub fn number(&self, name: &str) -> Result<u64> {
        self.0.get(name).and_then(Value::as_u64).ok_or_else(|| self.lacks(name, "number"))
    }

    /// The texts of a field.
    ///
    /// # Errors
    /// There is no such field, or it is no list of texts.
    pub fn texts(&self, name: &str) -> Result<Vec<&str>> {
        let list = self.0.get(name).and_then(Value::as_array).ok_or_else(|| self.lacks(name, "list"))?;
        list.iter().map(|value| value.as_str().ok_or_else(|| self.lacks(name, "list of texts"))).collect()
    }

    /// The object of a field.
    ///
    /// # Errors
    /// There is no such field, or it is no object of that kind.
    pub fn object<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T> {
        let value = self.0.get(name).ok_or_else(|| self.lacks(name, "object"))?;
        T::deserialize(value).map_err(|_| self.lacks(name, "object"))
    }

    /// Whether a field is true.
    pub fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool) == Some(true)
    }

    fn lacks(&self, name: &str, kind: &str) -> anyhow::Error {
        anyhow!("a cell of study `{}` has no {kind} `{name}`", self.0.get("study").unwrap_or(&Value::Null))
    }

    /// The name of the cell: half a SHA-256 of the fields in alphabetical order, in hexadecimal.
    pub fn digest(&self) -> String {
        let mut digest = sha256(self.canonical().as_bytes());
        digest.truncate(32);
        digest
    }

    fn canonical(&self) -> String {
        Value::from_iter(self.0.clone()).to_string()
    }
}

/// The digest of records and files that a cell depends on, as one field of a key.
pub fn digest_of(parts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut text = String::new();
    for part in parts {
        text.push_str(part.as_ref());
        text.push('\n');
    }
    sha256(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_fields_does_not_matter_and_every_field_does() {
        let one = Key::new("orders").with("format", "int8").with("seed", 3);
        let other = Key::new("orders").with("seed", 3).with("format", "int8");
        assert_eq!(one.digest(), other.digest());
        assert_ne!(one.digest(), one.clone().with("seed", 4).digest());
        assert_ne!(one.digest(), Key::new("ranking").with("format", "int8").with("seed", 3).digest());
        assert_eq!((one.text("format").unwrap(), one.number("seed").unwrap()), ("int8", 3));
        assert!(one.text("seed").is_err() && one.number("format").is_err() && one.text("order").is_err());
    }
}
