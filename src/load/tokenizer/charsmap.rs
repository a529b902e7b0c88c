//! The table of a `Precompiled` normalizer, as SentencePiece writes it: the bytes of a double-array trie, with their number before them, and
//! the texts that its values point into, each with a NUL behind it. What reads it for use trusts every index, so each that a text can
//! reach is looked at here.

use std::collections::VecDeque;

/// Bytes of the largest table; SentencePiece's own have about 300 thousand.
const MOST_BYTES: usize = 4 << 20;

/// The trie's units that are looked up together: the bytes that may follow one state.
const BYTES: usize = 256;

/// Checks the table that `base64` holds, and says how many bytes it makes of one at most.
///
/// # Errors
/// What is wrong with it, as the end of a sentence that names the table.
pub(super) fn growth(base64: &str) -> Result<usize, String> {
    let table = decoded(base64).ok_or("is not base64 with its padding")?;
    if table.len() > MOST_BYTES {
        return Err(format!("has {} bytes; at most {MOST_BYTES} can be read", table.len()));
    }
    let (length, rest) = table.split_first_chunk().ok_or("has no trie: the four bytes of its length are missing")?;
    let length = u32::from_le_bytes(*length) as usize;
    let (trie, texts) = rest
        .split_at_checked(length)
        .ok_or_else(|| format!("promises a trie of {length} bytes and has {} behind the length", rest.len()))?;
    let (units, odd) = trie.as_chunks();
    if units.is_empty() || !odd.is_empty() {
        return Err(format!("has a trie of {length} bytes, which is not one unit of 4 bytes or more"));
    }
    let units: Vec<usize> = units.iter().map(|unit| u32::from_le_bytes(*unit) as usize).collect();
    let texts = std::str::from_utf8(texts).map_err(|_| "has texts that are not UTF-8")?;
    walk(&units, texts)
}

/// The most bytes that one byte of a key becomes, over every key of the trie.
fn walk(units: &[usize], texts: &str) -> Result<usize, String> {
    let outside = |at: usize| format!("has a trie that leads to unit {at}, of {}", units.len());
    let mut seen = vec![false; units.len()];
    let mut queue = VecDeque::from([(offset(units[0]), 0)]);
    let mut most = 1;
    while let Some((base, depth)) = queue.pop_front() {
        // The states that follow are at `base ^ byte`.
        if base | (BYTES - 1) >= units.len() {
            return Err(outside(base));
        }
        if std::mem::replace(&mut seen[base], true) {
            continue;
        }
        for byte in 1..BYTES {
            let unit = units[base ^ byte];
            if unit & (1 << 31 | 0xFF) != byte {
                continue;
            }
            let next = base ^ byte ^ offset(unit);
            if unit >> 8 & 1 == 1 {
                let value = units.get(next).ok_or_else(|| outside(next))? & ((1 << 31) - 1);
                let text = texts.get(value..).ok_or_else(|| {
                    format!(
                        "has a value that points to byte {value} of texts of {} bytes, or into a character",
                        texts.len()
                    )
                })?;
                let text = text.split('\0').next().unwrap_or_default();
                most = most.max(text.len().div_ceil(depth + 1));
            }
            queue.push_back((next, depth + 1));
        }
    }
    Ok(most)
}

fn offset(unit: usize) -> usize {
    (unit >> 10) << ((unit & 1 << 9) >> 6)
}

/// The bytes of base64 in its one canonical spelling.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let (groups, rest) = text.as_bytes().as_chunks::<4>();
    let (last, groups) = match groups.split_last() {
        Some(parts) if rest.is_empty() => parts,
        _ => return (text.is_empty()).then(Vec::new),
    };
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for group in groups {
        bytes.extend(three(group)?);
    }
    let padding = last.iter().rev().take_while(|sign| **sign == b'=').count();
    let mut whole = *last;
    whole[4 - padding.min(2)..].fill(b'A');
    let tail = three(&whole)?;
    let (kept, cut) = tail.split_at(3 - padding.min(2));
    bytes.extend(kept);
    cut.iter().all(|byte| *byte == 0).then_some(bytes)
}

/// The three bytes of four signs.
fn three(group: &[u8; 4]) -> Option<[u8; 3]> {
    let mut bits = 0;
    for sign in group {
        bits = bits << 6
            | match sign {
                b'A'..=b'Z' => u32::from(sign - b'A'),
                b'a'..=b'z' => u32::from(sign - b'a') + 26,
                b'0'..=b'9' => u32::from(sign - b'0') + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
    }
    let [_, bytes @ ..] = bits.to_be_bytes();
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_has_one_spelling() {
        for (text, bytes) in
            [("", &b""[..]), ("YQ==", b"a"), ("YWI=", b"ab"), ("YWJj", b"abc"), ("+/8A", &[0xFB, 0xFF, 0])]
        {
            assert_eq!(decoded(text).as_deref(), Some(bytes), "{text}");
        }
        for text in ["YQ", "YQ=", "YR==", "YWJ=", "Y===", "====", "YQ==YQ==", "Y Q=", "é==="] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }
}
