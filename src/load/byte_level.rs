//! Byte-level BPE from the vocabulary that a GGUF file of kind `gpt2` carries.

use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{AddedToken, PreTokenizerWrapper, Tokenizer};

use super::gguf::Gguf;
use crate::Error;

/// GGUF's number for a control token such as `<|im_start|>`.
const CONTROL: i64 = 3;

/// The known ways to split a text before it is encoded, by the file's name of them, and whether digits stand alone.
const SPLITS: [(&str, bool); 2] = [("smollm", true), ("gpt-2", false)];

/// The tokenizer of `file`, whose tokens are `tokens` of kinds `kinds`. Its pattern never joins a newline to what stands before it.
pub(super) fn from_gguf(file: &Gguf, tokens: &[&str], kinds: &[i64]) -> Result<Tokenizer, Error> {
    let malformed = |problem: String| Error::Malformed { path: file.origin().to_owned(), problem };
    let name = file.text("tokenizer.ggml.pre")?;
    let Some((_, lone_digits)) = SPLITS.iter().find(|(known, _)| *known == name) else {
        let known = SPLITS.map(|(known, _)| format!("`{known}`")).join(" and ");
        return Err(malformed(format!("tokenizer.ggml.pre is `{name}`; {known} can be read from GGUF")));
    };
    let mut vocabulary = Vocab::default();
    for (id, token) in (0u32..).zip(tokens) {
        vocabulary.insert((*token).to_owned(), id);
    }
    let merges = file.texts("tokenizer.ggml.merges")?;
    let merges: Option<Vec<_>> = merges.iter().map(|merge| merge.split_once(' ')).collect();
    let merges = merges.ok_or_else(|| malformed("a merge is not two tokens with a blank between".into()))?;
    let merges = merges.into_iter().map(|(left, right)| (left.to_owned(), right.to_owned())).collect();
    let bpe = BPE::builder().vocab_and_merges(vocabulary, merges).build();
    let mut inner = Tokenizer::new(bpe.map_err(|e| malformed(format!("the merges do not fit the tokens: {e}")))?);
    let byte_level = ByteLevel::new(false, true, true);
    let digits = lone_digits.then(|| PreTokenizerWrapper::from(Digits::new(true)));
    let steps = digits.into_iter().chain([PreTokenizerWrapper::from(byte_level)]).collect();
    inner.with_pre_tokenizer(Some(Sequence::new(steps)));
    inner.with_decoder(Some(byte_level));
    let special = tokens.iter().zip(kinds).filter(|(_, kind)| **kind == CONTROL);
    let special: Vec<_> = special.map(|(token, _)| AddedToken::from((*token).to_owned(), true)).collect();
    inner.add_special_tokens(&special);
    Ok(inner)
}
