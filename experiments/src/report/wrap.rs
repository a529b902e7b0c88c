//! Text in lines of a width.

/// The lines of a text, none longer than `width` characters: broken at blanks, and inside a word only where that alone is longer. One
/// empty line of an empty text.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    if text.chars().count() <= width {
        return vec![text.to_owned()];
    }
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0);
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        let blank = if used > 0 { " " } else { "" };
        for letter in blank.chars().chain(word.chars()) {
            if used >= width.max(1) {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push(letter);
            used += 1;
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_break_at_blanks_and_lose_nothing() {
        assert_eq!(wrapped("prune the smallest magnitudes", 12), ["prune the", "smallest", "magnitudes"]);
        assert_eq!(wrapped("S→Q S→Q", 3), ["S→Q", "S→Q"]);
        assert_eq!(wrapped("operations.int8-add x", 8), ["operatio", "ns.int8-", "add x"]);
        assert_eq!(wrapped("", 8), [""]);
        assert_eq!(wrapped("two  blanks", 20), ["two  blanks"]);
    }
}
