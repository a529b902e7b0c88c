//! What messages repeat of an input.

use std::borrow::Cow;

/// Characters of one input that a message repeats at most.
const MOST: usize = 200;

/// `message` with every word and every quotation cut to 200 characters: a name in a damaged file or on a command line may have
/// any length.
///
/// ```
/// let message = format!("there is no tensor `{}`", "x".repeat(5000));
/// assert_eq!(interplay_formats::shortened(&message), format!("there is no tensor `{}…`", "x".repeat(200)));
/// ```
pub fn shortened(message: &str) -> Cow<'_, str> {
    if message.len() <= MOST {
        return message.into();
    }
    let (mut short, mut open, mut length, mut before) = (String::new(), None, 0, ' ');
    for (at, c) in message.char_indices() {
        let behind = &message[at + c.len_utf8()..];
        let opens = open.is_none() && begins_quotation(c, before) && behind.contains(c);
        let ends = open.map_or(c.is_whitespace() || opens, |mark| c == mark);
        if ends {
            (open, length) = (opens.then_some(c), 0);
        } else {
            length += 1;
        }
        match length {
            ..=MOST => short.push(c),
            length if length == MOST + 1 => short.push('…'),
            _ => {}
        }
        before = c;
    }
    short.into()
}

/// Whether a character begins a quotation behind another one; an apostrophe stands inside of a word.
fn begins_quotation(c: char, before: char) -> bool {
    matches!(c, '`' | '"') || c == '\'' && before.is_whitespace()
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn only_what_is_long_is_cut() {
        let plain = format!("`a b`'s \"c\": {}", "some words, ".repeat(100));
        assert_eq!(shortened(&plain), plain);
        let long = "y ".repeat(3000);
        let cut = format!("{}…", "y ".repeat(100));
        assert_eq!(
            shortened(&format!("'{long}' is not \"{long}\", `{long}`'s own")),
            format!("'{cut}' is not \"{cut}\", `{cut}`'s own")
        );
        assert_eq!(shortened(&format!("é {} é", "é".repeat(1000))), format!("é {}… é", "é".repeat(200)));
        // A quotation that never ends is none.
        let open = format!("` {}", "words ".repeat(100));
        assert_eq!(shortened(&open), open);
    }
}
