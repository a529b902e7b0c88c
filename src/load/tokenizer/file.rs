//! What a `tokenizer.json` must be before the crate that runs it sees it: that crate trusts the file, and where it is wrong it panics,
//! aborts, never ends, or fills the memory.

use serde_json::{Map, Value};

use super::charsmap;
use crate::load::check::nearest;

/// Bytes of the largest file; the largest vocabularies in use take 35 million.
const MOST_BYTES: usize = 64 << 20;
/// Parts of a tokenizer, all four chains together.
const MOST_PARTS: usize = 64;
/// Sequences within sequences.
const MOST_DEPTH: usize = 8;
/// Bytes that one byte of text may become. SentencePiece's tables make 11 of 1, and `▁` is 3 bytes.
const MOST_GROWTH: usize = 256;
/// Patterns of a tokenizer, and bytes of one.
const MOST_PATTERNS: usize = 16;
const LONGEST_PATTERN: usize = 4096;
/// Bytes of a token, which every one of its ids carries along.
const LONGEST_TOKEN: usize = 4096;
/// Bytes of what stands before or behind a part of a word.
const LONGEST_AFFIX: usize = 64;
/// Bytes of all added tokens together.
const MOST_ADDED: usize = 1 << 20;
/// The largest id and one.
const IDS: u64 = 1 << 24;
/// Ids that a template may put around a text.
const MOST_SPECIAL: usize = 1024;
/// Characters of a word that is still cut: the time that takes grows as the third power.
const LONGEST_WORD: u64 = 1000;

/// One of the chains that a text goes through: its key, the key under which a sequence lists parts, and the parts that are known.
struct Chain {
    key: &'static str,
    list: &'static str,
    types: &'static [&'static str],
}

const CHAINS: [Chain; 4] = [
    Chain {
        key: "normalizer",
        list: "normalizers",
        types: &[
            "BertNormalizer",
            "ByteLevel",
            "Lowercase",
            "NFC",
            "NFD",
            "NFKC",
            "NFKD",
            "Nmt",
            "Precompiled",
            "Prepend",
            "Replace",
            "Sequence",
            "Strip",
            "StripAccents",
        ],
    },
    Chain {
        key: "pre_tokenizer",
        list: "pretokenizers",
        types: &[
            "BertPreTokenizer",
            "ByteLevel",
            "CharDelimiterSplit",
            "Digits",
            "FixedLength",
            "Metaspace",
            "Punctuation",
            "Sequence",
            "Split",
            "UnicodeScripts",
            "Whitespace",
            "WhitespaceSplit",
        ],
    },
    Chain {
        key: "post_processor",
        list: "processors",
        types: &["BertProcessing", "ByteLevel", "RobertaProcessing", "Sequence", "TemplateProcessing"],
    },
    Chain {
        key: "decoder",
        list: "decoders",
        types: &[
            "BPEDecoder",
            "ByteFallback",
            "ByteLevel",
            "CTC",
            "Fuse",
            "Metaspace",
            "Replace",
            "Sequence",
            "Strip",
            "WordPiece",
        ],
    },
];

/// A checked file.
pub(super) struct Checked {
    /// The file without what is not used: padding, truncation, dropout.
    pub(super) json: Value,
    /// Bytes that the model sees of one byte of text, at most.
    pub(super) growth: usize,
    /// The share of merges that the file leaves out by chance, where it is not none.
    pub(super) dropout: Option<f64>,
}

/// Checks the text of a `tokenizer.json`.
///
/// # Errors
/// What is wrong and what is allowed.
pub(super) fn check(text: &[u8]) -> Result<Checked, String> {
    if text.len() > MOST_BYTES {
        return Err(format!("it has {} bytes; at most {MOST_BYTES} can be read", text.len()));
    }
    let json = serde_json::from_slice(text).map_err(|e| format!("this is not JSON: {e}"))?;
    let Value::Object(mut fields) = json else { return Err("it is not an object of parts".into()) };
    // A text has exactly its own tokens.
    for key in ["padding", "truncation"] {
        fields.insert(key.to_owned(), Value::Null);
    }
    let mut tally = Tally { parts: 0, patterns: 0, templates: 0, growth: 1 };
    let mut growth = 1;
    for chain in &CHAINS {
        // A text goes through the first two; the other chains see tokens.
        let cuts = matches!(chain.key, "normalizer" | "pre_tokenizer");
        tally.growth = if cuts { growth } else { 1 };
        if let Some(part) = fields.get(chain.key).filter(|part| !part.is_null()) {
            tally.part(chain, part, 0)?;
        }
        if cuts {
            growth = tally.growth;
        }
    }
    added_tokens(fields.get("added_tokens"))?;
    let model = fields.get_mut("model").and_then(Value::as_object_mut).ok_or("there is no `model`, an object")?;
    let dropout = model.insert("dropout".to_owned(), Value::Null).and_then(|value| value.as_f64());
    model_parts(model)?;
    Ok(Checked { json: Value::Object(fields), growth, dropout: dropout.filter(|share| *share != 0.0) })
}

/// What the parts of a file come to.
struct Tally {
    parts: usize,
    patterns: usize,
    templates: usize,
    growth: usize,
}

impl Tally {
    fn part(&mut self, chain: &Chain, part: &Value, depth: usize) -> Result<(), String> {
        let place = chain.key;
        self.parts += 1;
        if self.parts > MOST_PARTS || depth > MOST_DEPTH {
            return Err(format!(
                "it has more than {MOST_PARTS} parts, or parts nested more than {MOST_DEPTH} deep; no tokenizer in use does"
            ));
        }
        let kind = part.get("type").and_then(Value::as_str);
        let (Some(fields), Some(kind)) = (part.as_object(), kind) else {
            return Err(format!(
                "a part of `{place}` is not an object with a `type`; known are {}",
                chain.types.join(", ")
            ));
        };
        if !chain.types.contains(&kind) {
            let known = chain.types.join(", ");
            let near = nearest(kind, chain.types.iter().copied());
            let near = near.map_or_else(String::new, |near| format!("; the nearest is `{near}`"));
            return Err(format!("`{place}` has type `{kind}`, which is not known; known are {known}{near}"));
        }
        let wrong = |problem: String| format!("`{kind}` in `{place}` {problem}");
        // By their keys: what a part holds does not depend on what it calls itself.
        if let Some(parts) = fields.get(chain.list) {
            let parts = parts.as_array().ok_or_else(|| wrong(format!("has `{}` that are not a list", chain.list)))?;
            parts.iter().try_for_each(|part| self.part(chain, part, depth + 1))?;
        }
        if fields.contains_key("single") {
            self.templates += 1;
            if self.templates > 1 {
                return Err(wrong("is there twice; a text goes through one template".into()));
            }
            template(fields).map_err(wrong)?;
        }
        if fields.get("length").is_some_and(|length| length.as_u64() == Some(0)) {
            return Err(wrong("cuts pieces of length 0; give 1 or more".into()));
        }
        if fields.contains_key("pattern") {
            self.patterns += 1;
        }
        let factor = growth(kind, fields).map_err(wrong)?;
        self.growth = self.growth.saturating_mul(factor);
        if self.patterns > MOST_PATTERNS {
            return Err(format!("it has more than {MOST_PATTERNS} patterns; no tokenizer in use does"));
        }
        if self.growth > MOST_GROWTH {
            return Err(wrong(format!(
                "and the parts before it may make more than {MOST_GROWTH} bytes of one; no tokenizer in use does"
            )));
        }
        Ok(())
    }
}

/// Bytes that a part makes of one, at most. Case and Unicode's normal forms grow a text once and not again, and count as one.
fn growth(kind: &str, fields: &Map<String, Value>) -> Result<usize, String> {
    let length = |key: &str| fields.get(key).and_then(Value::as_str).map_or(0, str::len);
    if kind == "Precompiled" || fields.contains_key("precompiled_charsmap") {
        let table = fields.get("precompiled_charsmap").and_then(Value::as_str);
        let table = table.ok_or("has no `precompiled_charsmap` that is a text")?;
        return charsmap::growth(table).map_err(|problem| format!("has a `precompiled_charsmap` that {problem}"));
    }
    if let Some(pattern) = fields.get("pattern") {
        let text = |key: &str| pattern.get(key).and_then(Value::as_str);
        let (regex, text) = match (text("String"), text("Regex")) {
            (Some(text), None) => (false, text),
            (None, Some(text)) => (true, text),
            _ => return Err("has a `pattern` that is neither a `String` nor a `Regex`".into()),
        };
        if text.is_empty() || text.len() > LONGEST_PATTERN {
            return Err(format!("has a pattern of {} bytes; give 1 to {LONGEST_PATTERN}", text.len()));
        }
        let content = length("content");
        // An expression may match between any two characters.
        return Ok(if regex { 1 + content } else { content.div_ceil(text.len()).max(1) });
    }
    Ok(match kind {
        // Each of 256 bytes is written as a character of one or two, behind a blank or not.
        "ByteLevel" => 4,
        "Prepend" => 1 + length("prepend"),
        "Metaspace" => 1 + length("replacement"),
        "BertNormalizer" => 2,
        _ => 1,
    })
}

/// What `TemplateProcessing` puts around a text.
fn template(fields: &Map<String, Value>) -> Result<(), String> {
    let special =
        fields.get("special_tokens").and_then(Value::as_object).ok_or("has no `special_tokens`, an object")?;
    for key in ["single", "pair"] {
        let pieces = fields.get(key).and_then(Value::as_array).ok_or_else(|| format!("has no `{key}`, a list"))?;
        let (mut texts, mut ids) = (0, 0);
        for piece in pieces {
            let id = |kind: &str| piece.get(kind).and_then(|piece| piece.get("id")).and_then(Value::as_str);
            match (id("Sequence"), id("SpecialToken")) {
                (Some("A"), None) => texts += 1,
                (Some("B"), None) if key == "pair" => {}
                (Some(_), None) => return Err("takes text `B` in `single`, which has only text `A`".into()),
                (None, Some(token)) => ids += special_ids(special, token)?,
                _ => return Err(format!("has a piece in `{key}` that is neither a `Sequence` nor a `SpecialToken`")),
            }
        }
        if key == "single" && texts != 1 {
            return Err(format!("has text `A` {texts} times in `single`; once is allowed"));
        }
        if ids > MOST_SPECIAL {
            return Err(format!("puts {ids} ids around a text; at most {MOST_SPECIAL} are allowed"));
        }
    }
    Ok(())
}

/// How many ids a token of a template stands for.
fn special_ids(special: &Map<String, Value>, token: &str) -> Result<usize, String> {
    let Some(entry) = special.get(token) else {
        let near = nearest(token, special.keys().map(String::as_str));
        let near = near.map_or_else(String::new, |near| format!("; the nearest is `{near}`"));
        return Err(format!("names `{token}`, which is not among its `special_tokens`{near}"));
    };
    let count = |key: &str| entry.get(key).and_then(Value::as_array).map_or(0, Vec::len);
    if count("ids") != count("tokens") {
        return Err(format!(
            "has {} ids and {} tokens for `{token}`; one each is needed",
            count("ids"),
            count("tokens")
        ));
    }
    Ok(count("ids"))
}

fn added_tokens(tokens: Option<&Value>) -> Result<(), String> {
    let tokens = tokens.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let bytes: usize = tokens.iter().filter_map(|token| token.get("content")?.as_str()).map(str::len).sum();
    if bytes > MOST_ADDED {
        return Err(format!("its `added_tokens` have {bytes} bytes; at most {MOST_ADDED} are allowed"));
    }
    Ok(())
}

fn model_parts(model: &Map<String, Value>) -> Result<(), String> {
    let text = |key: &str| model.get(key).and_then(Value::as_str).unwrap_or_default();
    for (key, most) in [
        ("continuing_subword_prefix", LONGEST_AFFIX),
        ("end_of_word_suffix", LONGEST_AFFIX),
        ("unk_token", LONGEST_TOKEN),
    ] {
        if text(key).len() > most {
            return Err(format!("`{key}` has {} bytes; at most {most} are allowed", text(key).len()));
        }
    }
    if let Some(most) =
        model.get("max_input_chars_per_word").and_then(Value::as_u64).filter(|most| *most > LONGEST_WORD)
    {
        return Err(format!("`max_input_chars_per_word` is {most}; at most {LONGEST_WORD} is allowed"));
    }
    if let Some(vocab) = model.get("vocab").and_then(Value::as_object) {
        let long = |token: &&String| token.len() > LONGEST_TOKEN;
        if let Some(token) = vocab.keys().find(long) {
            return Err(format!("a token has {} bytes; at most {LONGEST_TOKEN} are allowed", token.len()));
        }
        if let Some((token, id)) = vocab.iter().find(|(_, id)| id.as_u64().is_none_or(|id| id >= IDS)) {
            return Err(format!("token `{token}` has id {id}; ids are integers from 0 to {}", IDS - 1));
        }
    }
    merges(model.get("merges"), text("continuing_subword_prefix"))
}

/// The right half of a merge loses the prefix, so it must have it.
fn merges(merges: Option<&Value>, prefix: &str) -> Result<(), String> {
    let merges = merges.and_then(Value::as_array).filter(|_| !prefix.is_empty());
    for merge in merges.into_iter().flatten() {
        let right = match merge {
            Value::String(merge) => merge.split_once(' ').map(|(_, right)| right),
            pair => pair.get(1).and_then(Value::as_str),
        };
        if right.is_some_and(|right| !right.starts_with(prefix)) {
            return Err(format!("the merge {merge} has a right half without the prefix `{prefix}`"));
        }
    }
    Ok(())
}
