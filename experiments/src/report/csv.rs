//! Fields of CSV (RFC 4180).

use std::borrow::Cow;

/// A field as it stands, or quoted where it would be read as more than one.
pub fn field(text: &str) -> Cow<'_, str> {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")).into(),
        false => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn only_ambiguous_fields_are_quoted() {
        assert_eq!(field("./opt-125m"), "./opt-125m");
        assert_eq!(field("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
