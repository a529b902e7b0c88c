//! Text to token ids: `tokenizer.json`, or the vocabulary that a GGUF file carries.

use std::path::Path;

use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{AddedToken, PreTokenizerWrapper};

use super::gguf::Gguf;
use crate::Error;

/// GGUF's number for a control token such as `<|im_start|>`.
const CONTROL: i64 = 3;

/// Bytes that are tokenised at once where the tokenizer allows it: a token's bookkeeping takes hundreds of times its text.
const PIECE: usize = 1 << 16;

/// A tokenizer.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// Whether no token and no rule of the tokenizer reaches over the start of a run of whitespace that begins with a newline.
    by_lines: bool,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// The file cannot be read or is not a tokenizer.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    /// Reads the text of a `tokenizer.json`; `origin` names it in messages. What the file says of padding and truncation, its
    /// author's habits in training, is left out: a text has exactly its own tokens.
    ///
    /// # Errors
    /// The text is not a tokenizer.
    pub fn parse(origin: &Path, text: &[u8]) -> Result<Self, Error> {
        let malformed = |e| Error::Malformed {
            path: origin.to_owned(),
            problem: format!("this is not a tokenizer.json that can be read: {e}"),
        };
        let mut inner = tokenizers::Tokenizer::from_bytes(text).map_err(malformed)?;
        inner.with_padding(None).with_truncation(None).map_err(malformed)?;
        Ok(Self { inner, by_lines: false })
    }

    /// Builds the byte-level BPE that a GGUF file of pre-tokenizer `smollm` carries.
    ///
    /// # Errors
    /// The file has no such vocabulary.
    pub fn from_gguf(file: &Gguf) -> Result<Self, Error> {
        let malformed = |problem: String| Error::Malformed { path: file.origin().to_owned(), problem };
        let (model, split) = (file.text("tokenizer.ggml.model")?, file.text("tokenizer.ggml.pre")?);
        if (model, split) != ("gpt2", "smollm") {
            let problem =
                format!("the vocabulary is of kind `{model}`/`{split}`; only `gpt2`/`smollm` can be read from GGUF");
            return Err(malformed(problem));
        }
        let tokens = file.texts("tokenizer.ggml.tokens")?;
        let kinds = file.integers("tokenizer.ggml.token_type")?;
        let mut vocabulary = Vocab::default();
        for (id, token) in (0u32..).zip(&tokens) {
            vocabulary.insert((*token).to_owned(), id);
        }
        let merges = file.texts("tokenizer.ggml.merges")?;
        let merges: Option<Vec<_>> = merges.iter().map(|merge| merge.split_once(' ')).collect();
        let merges = merges.ok_or_else(|| malformed("a merge is not two tokens with a blank between".into()))?;
        let merges = merges.into_iter().map(|(left, right)| (left.to_owned(), right.to_owned())).collect();
        let bpe = BPE::builder().vocab_and_merges(vocabulary, merges).build();
        let mut inner =
            tokenizers::Tokenizer::new(bpe.map_err(|e| malformed(format!("the merges do not fit the tokens: {e}")))?);
        let byte_level = ByteLevel::new(false, true, true);
        let steps = vec![PreTokenizerWrapper::from(Digits::new(true)), PreTokenizerWrapper::from(byte_level)];
        inner.with_pre_tokenizer(Some(Sequence::new(steps)));
        inner.with_decoder(Some(byte_level));
        let special = tokens.iter().zip(&kinds).filter(|(_, kind)| **kind == CONTROL);
        let special: Vec<_> = special.map(|(token, _)| AddedToken::from((*token).to_owned(), true)).collect();
        inner.add_special_tokens(&special);
        // The pattern never joins a newline to what stands before it, and nothing is put around a text.
        Ok(Self { inner, by_lines: true })
    }

    /// The ids of `text`; with `special`, also the tokens that the tokenizer puts around a text (a BOS).
    ///
    /// # Errors
    /// The tokenizer cannot represent the text.
    pub fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>, Error> {
        let mut ids = Vec::new();
        for piece in pieces(text, if self.by_lines { PIECE } else { usize::MAX }) {
            let encoding = self.inner.encode_fast(piece, special);
            let encoding = encoding.map_err(|e| Error::Invalid(format!("the tokenizer refuses the text: {e}")))?;
            ids.extend_from_slice(encoding.get_ids());
        }
        Ok(ids)
    }

    /// The text of `ids`, special tokens left out.
    ///
    /// # Errors
    /// The decoder fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String, Error> {
        self.inner.decode(ids, true).map_err(|e| Error::Invalid(format!("the tokenizer cannot decode: {e}")))
    }
}

/// Cuts `text` before newlines that follow something else than whitespace, into pieces of at least `least` bytes.
fn pieces(text: &str, least: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices('\n') {
        if at - start >= least && text[..at].ends_with(|before: char| !before.is_whitespace()) {
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
        assert_eq!(pieces(text, 1), ["ab", "\n\ncd \nef\r\ngh", "\nij"]);
        assert_eq!(pieces(text, 5), ["ab\n\ncd \nef\r\ngh", "\nij"]);
        assert_eq!(pieces(text, usize::MAX), [text]);
        assert_eq!(pieces("", 1), [""]);
    }
}
