//! Text to token ids: `tokenizer.json`, or the vocabulary that a GGUF file carries.

mod charsmap;
mod file;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::byte_level::{self, ByteLevelBpe};
use super::gguf::Gguf;
use super::sentencepiece::SentencePiece;
use crate::Error;

/// Bytes that are tokenised at once where the tokenizer allows it: a token's bookkeeping takes hundreds of times its text.
const PIECE: usize = 1 << 16;

/// Bytes that a text may become before it is cut into tokens.
const MOST_NORMALISED: usize = 1 << 30;

/// Bytes that the rules of a GGUF file make of one: a character for a byte, behind a blank.
const BYTE_LEVEL_GROWTH: usize = 4;

/// A tokenizer.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: Inner,
    /// Tokens before and behind a text that the inner tokenizer does not put there itself.
    around: [Option<u32>; 2],
    /// After which characters a newline begins a new piece, because no token and no rule of the tokenizer reaches over it; none
    /// where nothing is known.
    ends: Option<fn(char) -> bool>,
    /// Bytes that one byte of text becomes at most.
    growth: usize,
    note: Option<String>,
}

#[derive(Debug, Clone)]
enum Inner {
    Crate(Box<tokenizers::Tokenizer>),
    SentencePiece(SentencePiece),
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// The file cannot be read or is not a tokenizer.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let text = super::bounded::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    /// Reads the text of a `tokenizer.json`; `origin` names it in messages. What the file says of padding, truncation and dropout, its
    /// author's habits in training, is left out: a text has exactly its own tokens.
    ///
    /// # Errors
    /// The text is not a tokenizer, or one whose parts do not fit together or grow a text beyond what any in use does.
    pub fn parse(origin: &Path, text: &[u8]) -> Result<Self, Error> {
        let malformed = |problem: String| Error::Malformed {
            path: origin.to_owned(),
            problem: format!("this is not a tokenizer.json that can be read: {problem}"),
        };
        let file::Checked { json, growth, dropout } = file::check(text).map_err(malformed)?;
        let inner = unwound(|| serde_json::from_value::<tokenizers::Tokenizer>(json).map_err(|e| e.to_string()));
        let inner = Inner::Crate(Box::new(inner.map_err(malformed)?));
        let note = dropout.map(|share| {
            format!(
                "tokenizer.json leaves out merges by chance (`dropout` {share}), as in training; here none is left out"
            )
        });
        Ok(Self { inner, around: [None; 2], ends: None, growth, note })
    }

    /// What a reader of results must know of this tokenizer, where there is anything.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Builds the tokenizer that a GGUF file carries: a byte-level BPE (`gpt2`) or SentencePiece's BPE (`llama`).
    ///
    /// # Errors
    /// The file has no such vocabulary, or its parts do not fit together.
    pub fn from_gguf(file: &Gguf) -> Result<Self, Error> {
        let malformed = |problem: String| Error::Malformed { path: file.origin().to_owned(), problem };
        let kind = file.text("tokenizer.ggml.model")?;
        let tokens = file.texts("tokenizer.ggml.tokens")?;
        let kinds = file.integers("tokenizer.ggml.token_type")?;
        if tokens.len() != kinds.len() {
            return Err(malformed(format!(
                "tokenizer.ggml.token_type has {} values for {} tokens; convert the model again",
                kinds.len(),
                tokens.len()
            )));
        }
        match kind {
            "gpt2" => {
                let ByteLevelBpe { tokenizer, around, ends } = byte_level::from_gguf(file, &tokens, &kinds)?;
                Ok(Self {
                    inner: Inner::Crate(Box::new(tokenizer)),
                    around,
                    ends: Some(ends),
                    growth: BYTE_LEVEL_GROWTH,
                    note: None,
                })
            }
            "llama" => {
                let pieces = SentencePiece::from_gguf(file, &tokens, &kinds)?;
                Ok(Self { inner: Inner::SentencePiece(pieces), around: [None; 2], ends: None, growth: 1, note: None })
            }
            other => {
                let problem = format!("tokenizer.ggml.model is `{other}`; `gpt2` and `llama` can be read from GGUF");
                Err(malformed(problem))
            }
        }
    }

    /// The tokenizer as a `tokenizer.json`; `None` where that form cannot say what it does (SentencePiece of a GGUF file, tokens that the
    /// file puts around a text).
    pub fn to_json(&self) -> Option<String> {
        match &self.inner {
            Inner::Crate(inner) if self.around == [None; 2] => inner.to_string(true).ok(),
            _ => None,
        }
    }

    /// The smallest number of embedding rows that has one for every id.
    pub fn ids(&self) -> usize {
        match &self.inner {
            Inner::Crate(inner) => inner.get_vocab(true).into_values().max().map_or(0, |largest| largest as usize + 1),
            Inner::SentencePiece(inner) => inner.len(),
        }
    }

    /// The ids of `text`; with `special`, also the tokens that the tokenizer puts around a text (a BOS).
    ///
    /// # Errors
    /// The tokenizer cannot represent the text, or its rules may make more than a gibibyte of it.
    pub fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>, Error> {
        let inner = match &self.inner {
            Inner::Crate(inner) => inner,
            Inner::SentencePiece(inner) => return Ok(inner.encode(text, special)),
        };
        if text.len().saturating_mul(self.growth) > MOST_NORMALISED {
            return Err(Error::Invalid(format!(
                "the tokenizer's rules may make {} bytes of each of the text's {}; give it {} bytes at once at most",
                self.growth,
                text.len(),
                MOST_NORMALISED / self.growth
            )));
        }
        let [first, last] = self.around.map(|token| token.filter(|_| special));
        let mut ids = Vec::from_iter(first);
        let whole = |_: char| false;
        for piece in pieces(text, PIECE, self.ends.unwrap_or(whole)) {
            let encoding = unwound(|| inner.encode_fast(piece, special).map_err(|e| e.to_string()));
            let encoding = encoding.map_err(|e| Error::Invalid(format!("the tokenizer refuses the text: {e}")))?;
            ids.extend_from_slice(encoding.get_ids());
        }
        ids.extend(last);
        Ok(ids)
    }

    /// The text of `ids`, special tokens left out.
    ///
    /// # Errors
    /// The decoder fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String, Error> {
        match &self.inner {
            Inner::Crate(inner) => {
                let text = unwound(|| inner.decode(ids, true).map_err(|e| e.to_string()));
                text.map_err(|e| Error::Invalid(format!("the tokenizer cannot decode: {e}")))
            }
            Inner::SentencePiece(inner) => Ok(inner.decode(ids)),
        }
    }
}

/// What `run` gives; a panic of the crate that it calls into is an error too, should a file get so far.
fn unwound<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err("its parts do not fit together".into()))
}

/// Cuts `text` before newlines that follow a character that `ends` a piece, into pieces of at least `least` bytes.
fn pieces(text: &str, least: usize, ends: fn(char) -> bool) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices('\n') {
        if at - start >= least && text[..at].ends_with(ends) {
            pieces.push(&text[start..at]);
            start = at;
        }
    }
    pieces.push(&text[start..]);
    pieces
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Tokenizer, pieces};

    #[test]
    fn padding_and_truncation_of_a_file_are_left_out() {
        let text = r#"{"version":"1.0","added_tokens":[],"pre_tokenizer":{"type":"Whitespace"},
            "truncation":{"direction":"Right","max_length":2,"strategy":"LongestFirst","stride":0},
            "padding":{"strategy":{"Fixed":4},"direction":"Right","pad_id":0,"pad_type_id":0,"pad_token":"-"},
            "model":{"type":"WordLevel","vocab":{"-":0,"a":1},"unk_token":"-"}}"#;
        let tokenizer = Tokenizer::parse(Path::new("tokenizer.json"), text.as_bytes()).expect("a tokenizer");
        assert_eq!(tokenizer.encode("a", true).expect("ids"), [1]);
        assert_eq!(tokenizer.encode("a a a", true).expect("ids"), [1, 1, 1]);
    }

    #[test]
    fn pieces_join_to_the_text_and_begin_with_a_run_of_whitespace() {
        let text = "ab\n\ncd \nef\r\ngh\nij";
        let ends = |before: char| !before.is_whitespace();
        assert_eq!(pieces(text, 1, ends), ["ab", "\n\ncd \nef\r\ngh", "\nij"]);
        assert_eq!(pieces(text, 5, ends), ["ab\n\ncd \nef\r\ngh", "\nij"]);
        assert_eq!(pieces(text, usize::MAX, ends), [text]);
        assert_eq!(pieces(text, 1, |_| false), [text]);
        assert_eq!(pieces("", 1, ends), [""]);
    }
}
