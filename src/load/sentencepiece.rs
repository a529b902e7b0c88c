//! The byte-pair encoding of SentencePiece, from the vocabulary that a GGUF file of kind `llama` carries.
//!
//! A blank is written `▁`, one is put in front of the text, and the text is cut in characters. Then the two neighbours whose joint
//! piece has the highest score are joined, the leftmost ones among equals, until no joint piece is in the vocabulary. A character
//! that is no piece becomes the tokens of its UTF-8 bytes, so no text is unknown. Pieces that the user defined are found first and
//! stay whole; control tokens are never found in a text.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use super::gguf::Gguf;
use crate::Error;

/// What stands for a blank in a piece.
const BLANK: &str = "▁";

/// GGUF's kinds of tokens; its kind 5, unused, is never given.
const NORMAL: i64 = 1;
const USER_DEFINED: i64 = 4;
const BYTE: i64 = 6;

/// A vocabulary of scored pieces.
#[derive(Debug, Clone)]
pub(super) struct SentencePiece {
    /// Each token's text; none for a token that stands for no text.
    texts: Vec<Option<Box<[u8]>>>,
    scores: Vec<f32>,
    /// The pieces that a text is made of.
    ids: HashMap<String, u32>,
    bytes: Vec<u32>,
    /// The pieces that stay whole, longest first.
    whole: Vec<String>,
    first: Option<u32>,
    last: Option<u32>,
    blank_in_front: bool,
}

/// A stretch of the text that is one piece so far. An empty one was joined to its left neighbour.
#[derive(Clone, Copy)]
struct Symbol {
    start: usize,
    end: usize,
    left: Option<usize>,
    right: Option<usize>,
    whole: bool,
}

/// Two neighbours whose joint text, `start..end`, is a piece.
struct Join {
    score: f32,
    left: usize,
    right: usize,
    start: usize,
    end: usize,
}

impl Ord for Join {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Join {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Join {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Join {}

impl SentencePiece {
    /// The vocabulary of `file`, whose tokens are `tokens` of kinds `kinds`.
    pub(super) fn from_gguf(file: &Gguf, tokens: &[&str], kinds: &[i64]) -> Result<Self, Error> {
        let malformed = |problem: String| Error::Malformed { path: file.origin().to_owned(), problem };
        let scores = file.floats("tokenizer.ggml.scores")?;
        if scores.len() != tokens.len() || scores.iter().any(|score| score.is_nan()) {
            let given = scores.len();
            return Err(malformed(format!(
                "tokenizer.ggml.scores has {given} values for {} tokens, or one is NaN; convert the model again",
                tokens.len()
            )));
        }
        let mut this = Self {
            texts: Vec::with_capacity(tokens.len()),
            scores,
            ids: HashMap::new(),
            bytes: Vec::new(),
            whole: Vec::new(),
            first: special(file, "bos", true, tokens.len())?,
            last: special(file, "eos", false, tokens.len())?,
            blank_in_front: file.flag_or("tokenizer.ggml.add_space_prefix", true)?,
        };
        let mut bytes = [None; 256];
        for ((id, token), kind) in (0u32..).zip(tokens).zip(kinds) {
            let text = match *kind {
                NORMAL | USER_DEFINED => {
                    this.ids.entry((*token).to_owned()).or_insert(id);
                    if *kind == USER_DEFINED && !token.is_empty() {
                        this.whole.push((*token).to_owned());
                    }
                    Some(token.replace(BLANK, " ").into_bytes().into())
                }
                BYTE => {
                    let byte = byte(token).ok_or_else(|| malformed(format!("byte token `{token}` is not `<0x41>`")))?;
                    bytes[usize::from(byte)] = Some(id);
                    Some([byte].into())
                }
                _ => None,
            };
            this.texts.push(text);
        }
        this.whole.sort_by_key(|piece| std::cmp::Reverse(piece.len()));
        let bytes: Option<Vec<u32>> = bytes.into_iter().collect();
        this.bytes = bytes.ok_or_else(|| {
            malformed(
                "the vocabulary lacks some of the 256 byte tokens `<0x00>` to `<0xFF>`; convert the model again".into(),
            )
        })?;
        Ok(this)
    }

    /// Tokens of the vocabulary.
    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    /// The ids of `text`; with `special`, also the tokens that the file wants around it.
    pub(super) fn encode(&self, text: &str, special: bool) -> Vec<u32> {
        let mut ids = Vec::new();
        ids.extend(self.first.filter(|_| special));
        if !text.is_empty() {
            let front = if self.blank_in_front { BLANK } else { "" };
            let text = format!("{front}{}", text.replace(' ', BLANK));
            for symbol in self.join(&text).iter().filter(|symbol| symbol.start < symbol.end) {
                let piece = &text[symbol.start..symbol.end];
                match self.ids.get(piece) {
                    Some(id) => ids.push(*id),
                    None => ids.extend(piece.bytes().map(|byte| self.bytes[usize::from(byte)])),
                }
            }
        }
        ids.extend(self.last.filter(|_| special));
        ids
    }

    /// The text of `ids`; tokens that stand for no text are left out, and bytes that are not UTF-8 become U+FFFD.
    pub(super) fn decode(&self, ids: &[u32]) -> String {
        let text = |id: &u32| self.texts.get(usize::try_from(*id).ok()?)?.as_deref();
        let bytes: Vec<u8> = ids.iter().filter_map(text).flatten().copied().collect();
        let bytes = if self.blank_in_front { bytes.strip_prefix(b" ").unwrap_or(&bytes) } else { &bytes };
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// Joins the characters of `text` to pieces, best first.
    fn join(&self, text: &str) -> Vec<Symbol> {
        let mut symbols = self.symbols(text);
        let mut queue: BinaryHeap<Join> =
            (0..symbols.len()).filter_map(|left| self.pair(text, &symbols, Some(left))).collect();
        while let Some(Join { left, right, start, end, .. }) = queue.pop() {
            // A symbol that has changed since has its own entries.
            let (a, b) = (symbols[left], symbols[right]);
            if a.start == a.end || b.start == b.end || (a.start, a.end, b.end) != (start, b.start, end) {
                continue;
            }
            symbols[left].end = end;
            symbols[left].right = b.right;
            symbols[right].start = end;
            if let Some(next) = b.right {
                symbols[next].left = Some(left);
            }
            queue.extend(self.pair(text, &symbols, a.left));
            queue.extend(self.pair(text, &symbols, Some(left)));
        }
        symbols
    }

    /// The characters of `text`, and its pieces that stay whole.
    fn symbols(&self, text: &str) -> Vec<Symbol> {
        let mut symbols: Vec<Symbol> = Vec::new();
        let mut start = 0;
        while let Some(character) = text[start..].chars().next() {
            let whole = self.whole.iter().find(|piece| text[start..].starts_with(piece.as_str()));
            let end = start + whole.map_or(character.len_utf8(), String::len);
            let index = symbols.len();
            let right = (end < text.len()).then_some(index + 1);
            symbols.push(Symbol { start, end, left: index.checked_sub(1), right, whole: whole.is_some() });
            start = end;
        }
        symbols
    }

    /// The join of symbol `left` with its right neighbour, if their text is a piece.
    fn pair(&self, text: &str, symbols: &[Symbol], left: Option<usize>) -> Option<Join> {
        let left = left?;
        let right = symbols[left].right?;
        let (a, b) = (symbols[left], symbols[right]);
        if a.whole || b.whole {
            return None;
        }
        let id = self.ids.get(&text[a.start..b.end])?;
        Some(Join { score: self.scores[*id as usize], left, right, start: a.start, end: b.end })
    }
}

/// The token `which` if the file, or `default` in its stead, wants it around a text.
pub(super) fn special(file: &Gguf, which: &str, default: bool, tokens: usize) -> Result<Option<u32>, Error> {
    if !file.flag_or(&format!("tokenizer.ggml.add_{which}_token"), default)? {
        return Ok(None);
    }
    let key = format!("tokenizer.ggml.{which}_token_id");
    let id = file.count_or(&key, None)?;
    u32::try_from(id).ok().filter(|_| id < tokens).map(Some).ok_or_else(|| Error::Malformed {
        path: file.origin().to_owned(),
        problem: format!("{key} is {id}, but there are {tokens} tokens; convert the model again"),
    })
}

/// The byte of a token such as `<0x41>`.
fn byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    u8::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 2)
}
