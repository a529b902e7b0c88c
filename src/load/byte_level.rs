//! Byte-level BPE from the vocabulary that a GGUF file of kind `gpt2` carries.

use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, PreTokenizerWrapper, SplitDelimiterBehavior, Tokenizer};

use super::gguf::Gguf;
use super::sentencepiece::special;
use crate::Error;

/// GGUF's number for a control token such as `<|im_start|>`, and for one that the user defined.
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;

/// A known way to split a text before it is encoded.
struct Rule {
    /// What `tokenizer.ggml.pre` says.
    names: &'static [&'static str],
    /// Cuts the text before GPT-2's own pattern does, or instead of it.
    cut: Cut,
    /// Whether a word that is a token stays whole, whatever the merges say.
    whole_words: bool,
    /// Whether a text begins with the token of beginning where the file does not say.
    begins: bool,
    /// After which characters a newline begins a new piece, whatever follows: neither the pattern nor a token reaches over it.
    ends: fn(char) -> bool,
}

/// What cuts a text into words.
enum Cut {
    /// GPT-2's pattern.
    Words,
    /// The same, and digits stand alone.
    LoneDigits,
    /// Another pattern instead.
    Pattern(&'static str),
}

/// LLaMA 3's pattern: contractions in either case, words with one character before them, at most three digits, signs with the
/// newlines after them, and white space.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Every known rule.
const RULES: [Rule; 3] = [
    Rule {
        names: &["smollm"],
        cut: Cut::LoneDigits,
        whole_words: false,
        begins: false,
        ends: |before| !before.is_whitespace(),
    },
    Rule {
        names: &["gpt-2"],
        cut: Cut::Words,
        whole_words: false,
        begins: false,
        ends: |before| !before.is_whitespace(),
    },
    Rule {
        names: &["llama-bpe", "llama3", "llama-v3"],
        cut: Cut::Pattern(LLAMA3),
        whole_words: true,
        begins: true,
        // Signs take the newlines behind them along.
        ends: |before| before.is_ascii_alphanumeric(),
    },
];

/// A tokenizer and what goes around a text.
pub(super) struct ByteLevelBpe {
    pub(super) tokenizer: Tokenizer,
    /// The tokens before and behind a text.
    pub(super) around: [Option<u32>; 2],
    /// After which characters a newline begins a new piece.
    pub(super) ends: fn(char) -> bool,
}

/// The tokenizer of `file`, whose tokens are `tokens` of kinds `kinds`.
pub(super) fn from_gguf(file: &Gguf, tokens: &[&str], kinds: &[i64]) -> Result<ByteLevelBpe, Error> {
    let malformed = |problem: String| Error::Malformed { path: file.origin().to_owned(), problem };
    let name = file.text("tokenizer.ggml.pre")?;
    let Some(rule) = RULES.iter().find(|rule| rule.names.contains(&name)) else {
        let known: Vec<_> = RULES.iter().map(|rule| format!("`{}`", rule.names[0])).collect();
        let known = known.join(", ");
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
    let bpe = BPE::builder().vocab_and_merges(vocabulary, merges).ignore_merges(rule.whole_words).build();
    let bpe = bpe.map_err(|e| malformed(format!("the merges do not fit the tokens: {e}")))?;
    let mut tokenizer = Tokenizer::new(bpe);
    let words = rule.cut.words().map_err(|e| malformed(format!("the text cannot be cut into words: {e}")))?;
    tokenizer.with_pre_tokenizer(Some(Sequence::new(words)));
    tokenizer.with_decoder(Some(ByteLevel::new(false, true, true)));
    let added = |wanted: i64, special: bool| -> Vec<AddedToken> {
        let of_kind = tokens.iter().zip(kinds).filter(|(token, kind)| **kind == wanted && !token.is_empty());
        of_kind.map(|(token, _)| AddedToken::from((*token).to_owned(), special).normalized(false)).collect()
    };
    tokenizer.add_special_tokens(&added(CONTROL, true));
    tokenizer.add_tokens(&added(USER_DEFINED, false));
    let around = [special(file, "bos", rule.begins, tokens.len())?, special(file, "eos", false, tokens.len())?];
    Ok(ByteLevelBpe { tokenizer, around, ends: rule.ends })
}

impl Cut {
    /// The steps that cut a text and write its bytes as characters.
    fn words(&self) -> Result<Vec<PreTokenizerWrapper>, tokenizers::Error> {
        let (first, own_pattern) = match *self {
            Self::Words => (None, true),
            Self::LoneDigits => (Some(Digits::new(true).into()), true),
            Self::Pattern(pattern) => {
                let pattern = SplitPattern::Regex(pattern.to_owned());
                (Some(Split::new(pattern, SplitDelimiterBehavior::Isolated, false)?.into()), false)
            }
        };
        let bytes = PreTokenizerWrapper::from(ByteLevel::new(false, true, own_pattern));
        Ok(first.into_iter().chain([bytes]).collect())
    }
}
