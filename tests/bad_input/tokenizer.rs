//! Files `tokenizer.json` whose parts do not fit together, or that make much of little.

use std::path::Path;

use interplay::Error;
use interplay::load::Tokenizer;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use super::container::{message, says};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("bad_input::tokenizer_precompiled", precompiled),
        Trial::test("bad_input::tokenizer_parts", parts),
        Trial::test("bad_input::tokenizer_template", template),
        Trial::test("bad_input::tokenizer_model", model),
        Trial::test("bad_input::tokenizer_that_grows", growth),
        Trial::test("bad_input::tokenizer_long_text", long_text),
        Trial::test("bad_input::tokenizer_not_json", not_json),
        Trial::test("bad_input::tokenizer_dropout", dropout),
    ]
}

/// A file with `chain` in the place of `key`.
fn with(key: &str, chain: Value) -> Value {
    let mut file = json!({
        "version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "c": 3}, "merges": ["a b"], "unk_token": "c"},
    });
    file[key] = chain;
    file
}

fn open(file: &Value) -> Result<Tokenizer, Error> {
    Tokenizer::parse(Path::new("tokenizer.json"), file.to_string().as_bytes())
}

fn refused(key: &str, chain: Value, parts: &[&str]) -> Result<(), Failed> {
    let message = message(open(&with(key, chain)))?;
    says(&message, &["tokenizer.json"])?;
    says(&message, parts)
}

fn ids(file: &Value, text: &str) -> Result<Vec<u32>, Failed> {
    Ok(open(file)?.encode(text, true)?)
}

fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().chain([&0; 2]).take(3).fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        for at in 0..4 {
            let sign = char::from(SIGNS[bits >> (18 - 6 * at) & 63]);
            text.push(if at <= group.len() { sign } else { '=' });
        }
    }
    text
}

/// A double-array trie in which `a` has the value `value`, behind it `texts`.
fn charsmap(value: u32, texts: &[u8]) -> Vec<u8> {
    let mut units = vec![0u32; 512];
    units[0] = 256 << 10;
    units[256 ^ usize::from(b'a')] = 256 << 10 | 1 << 8 | u32::from(b'a');
    units[usize::from(b'a')] = 1 << 31 | value;
    let units: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    [&2048u32.to_le_bytes()[..], &units, texts].concat()
}

fn table(bytes: &[u8]) -> Value {
    json!({"type": "Precompiled", "precompiled_charsmap": base64(bytes)})
}

fn precompiled() -> Result<(), Failed> {
    assert_eq!(ids(&with("normalizer", table(&charsmap(3, b"ab\0c\0"))), "aba")?, [3, 1, 3]);
    let mut wild = charsmap(0, b"c\0");
    wild[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut leaf = charsmap(0, b"c\0");
    leaf[4 + 4 * (256 ^ 0x61)..][..4].copy_from_slice(&(511 << 10 | 1 << 8 | 0x61u32).to_le_bytes());
    for (bytes, problem) in [
        (Vec::new(), "four bytes of its length"),
        (vec![1, 2, 3], "four bytes of its length"),
        (0u32.to_le_bytes().to_vec(), "a trie of 0 bytes"),
        (6u32.to_le_bytes().into_iter().chain([0; 6]).collect(), "a trie of 6 bytes"),
        (0xFFFF_FFFCu32.to_le_bytes().to_vec(), "promises a trie of 4294967292 bytes and has 0"),
        (4u32.to_le_bytes().into_iter().chain([0; 4]).collect(), "leads to unit 0, of 1"),
        (wild, "leads to unit"),
        (charsmap(9, b"c\0"), "points to byte 9 of texts of 2 bytes"),
        (charsmap(1, "é\0".as_bytes()), "into a character"),
        (charsmap(0, b"\xFF\0"), "not UTF-8"),
        (charsmap(0, &[b'c'; 1000]), "more than 256 bytes of one"),
        (vec![0; 5 << 20], "at most 4194304"),
    ] {
        refused("normalizer", table(&bytes), &["Precompiled", problem])?;
    }
    // The first unit of a state may be the last of the array.
    assert!(open(&with("normalizer", table(&leaf))).is_ok());
    for text in ["A", "!!!!", "YR=="] {
        refused("normalizer", json!({"type": "Precompiled", "precompiled_charsmap": text}), &["is not base64"])?;
    }
    for part in
        [json!({"type": "Precompiled", "precompiled_charsmap": 3}), json!({"type": "Precompiled", "charsmap": ""})]
    {
        refused("normalizer", part, &["has no `precompiled_charsmap` that is a text"])?;
    }
    // Within a sequence, and under another name.
    let nested = json!({"type": "Sequence", "normalizers": [table(&[1])]});
    refused("normalizer", nested, &["four bytes of its length"])?;
    refused("normalizer", json!({"type": "NFC", "precompiled_charsmap": ""}), &["four bytes of its length"])
}

fn parts() -> Result<(), Failed> {
    let replace = |kind: &str, pattern: &str| json!({"type": "Replace", "pattern": {kind: pattern}, "content": "b"});
    assert_eq!(ids(&with("normalizer", replace("Regex", "[cd]")), "ad")?, [2]);
    for key in ["normalizer", "decoder"] {
        refused(key, replace("String", ""), &["Replace", "a pattern of 0 bytes; give 1 to 4096"])?;
        refused(key, replace("Regex", ""), &["a pattern of 0 bytes"])?;
        refused(key, replace("Text", "a"), &["neither a `String` nor a `Regex`"])?;
    }
    refused("normalizer", replace("Regex", &"a".repeat(5000)), &["a pattern of 5000 bytes"])?;
    let split = json!({"type": "Split", "pattern": {"String": ""}, "behavior": "Isolated", "invert": false});
    refused("pre_tokenizer", split, &["Split", "a pattern of 0 bytes"])?;
    refused("pre_tokenizer", json!({"type": "FixedLength", "length": 0}), &["length 0; give 1 or more"])?;
    assert_eq!(ids(&with("pre_tokenizer", json!({"type": "FixedLength", "length": 1})), "ab")?, [0, 1]);
    refused("decoder", json!({"typ": "ByteLevel"}), &["`decoder` is not an object with a `type`", "ByteFallback"])?;
    refused("decoder", json!({"type": "ByteLevl"}), &["`ByteLevl`, which is not known", "nearest is `ByteLevel`"])?;
    refused("decoder", json!(["ByteLevel"]), &["not an object with a `type`"])?;
    refused("normalizer", json!({"type": "Sequence", "normalizers": 3}), &["`normalizers` that are not a list"])?;
    refused("normalizer", json!({"type": "NFG"}), &["nearest is `NF"])
}

fn template() -> Result<(), Failed> {
    let text = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
    let token = |id: &str| json!({"SpecialToken": {"id": id, "type_id": 0}});
    let processor = |single: &[Value], tokens: Value| json!({"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": tokens});
    let begin = json!({"<s>": {"id": "<s>", "ids": [3], "tokens": ["<s>"]}});
    let good = processor(&[token("<s>"), text("A")], begin.clone());
    assert_eq!(ids(&with("post_processor", good.clone()), "ab")?, [3, 2]);
    for (single, tokens, problem) in [
        (
            vec![token("</s>"), text("A")],
            begin.clone(),
            "names `</s>`, which is not among its `special_tokens`; the nearest is `<s>`",
        ),
        (vec![text("A"), text("B")], begin.clone(), "takes text `B` in `single`"),
        (vec![text("A"), text("A")], begin.clone(), "text `A` 2 times"),
        (vec![token("<s>")], begin.clone(), "text `A` 0 times"),
        (vec![json!("<s>"), text("A")], begin.clone(), "neither a `Sequence` nor a `SpecialToken`"),
        (
            vec![token("<s>"), text("A")],
            json!({"<s>": {"id": "<s>", "ids": [3, 3], "tokens": ["<s>"]}}),
            "2 ids and 1 tokens",
        ),
        (
            vec![token("<s>"), text("A")],
            json!({"<s>": {"id": "<s>", "ids": vec![3; 2000], "tokens": vec!["<s>"; 2000]}}),
            "2000 ids",
        ),
        (vec![text("A")], Value::Null, "no `special_tokens`"),
    ] {
        refused("post_processor", processor(&single, tokens), &["TemplateProcessing", problem])?;
    }
    let twice = json!({"type": "Sequence", "processors": [good.clone(), good]});
    refused("post_processor", twice, &["is there twice"])
}

fn model() -> Result<(), Failed> {
    let bpe = |more: Value| {
        let mut model = json!({"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "##b": 3}, "merges": [["a", "b"]]});
        model.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        model
    };
    assert_eq!(ids(&with("model", bpe(json!({}))), "ab")?, [2]);
    for (model, problem) in [
        (bpe(json!({"continuing_subword_prefix": "##"})), "a right half without the prefix `##`"),
        (bpe(json!({"continuing_subword_prefix": "##", "merges": ["a b"]})), "a right half without the prefix `##`"),
        (bpe(json!({"continuing_subword_prefix": "#".repeat(65)})), "has 65 bytes; at most 64"),
        (bpe(json!({"end_of_word_suffix": "#".repeat(65)})), "has 65 bytes; at most 64"),
        (bpe(json!({"vocab": {"a": u32::MAX}})), "token `a` has id 4294967295"),
        (bpe(json!({"vocab": {"a": -1}})), "token `a` has id -1"),
        (bpe(json!({"vocab": {"a".repeat(5000): 0}})), "a token has 5000 bytes"),
        (
            json!({"type": "WordPiece", "vocab": {}, "max_input_chars_per_word": 1_000_000_000_000u64}),
            "at most 1000 is allowed",
        ),
        (Value::Null, "there is no `model`"),
    ] {
        refused("model", model, &[problem])?;
    }
    refused("added_tokens", json!([{"content": "a".repeat(2 << 20)}]), &["2097152 bytes"])
}

fn growth() -> Result<(), Failed> {
    let replace = |from: char, to: String| json!({"type": "Replace", "pattern": {"String": from}, "content": to});
    let rules: Vec<_> = ('a'..'g').zip('b'..).map(|(from, to)| replace(from, to.to_string().repeat(2300))).collect();
    let file = with("normalizer", json!({"type": "Sequence", "normalizers": rules}));
    assert!(file.to_string().len() < 15_000);
    refused("normalizer", file["normalizer"].clone(), &["Replace", "more than 256 bytes of one"])?;
    let modest: Vec<_> = ('a'..'j').zip('b'..).map(|(from, to)| replace(from, to.to_string().repeat(2))).collect();
    refused("normalizer", json!({"type": "Sequence", "normalizers": modest}), &["more than 256 bytes of one"])?;
    let everywhere = json!({"type": "Replace", "pattern": {"Regex": "x*"}, "content": "c".repeat(300)});
    refused("normalizer", everywhere, &["more than 256 bytes of one"])?;
    refused("normalizer", json!({"type": "Prepend", "prepend": "c".repeat(300)}), &["more than 256 bytes of one"])?;
    // Both chains together.
    let mut both =
        with("normalizer", json!({"type": "Sequence", "normalizers": vec![json!({"type": "ByteLevel"}); 3]}));
    assert!(open(&both).is_ok());
    both["pre_tokenizer"] =
        json!({"type": "Sequence", "pretokenizers": vec![json!({"type": "Metaspace", "replacement": "▁"}); 2]});
    says(&message(open(&both))?, &["`Metaspace` in `pre_tokenizer`", "more than 256 bytes of one"])?;
    // A part and twice itself, again and again.
    let mut doubled = json!({"type": "Digits", "individual_digits": true});
    while doubled.to_string().len() < 11 << 20 {
        doubled = json!({"type": "Sequence", "pretokenizers": [doubled.clone(), doubled]});
    }
    refused("pre_tokenizer", doubled, &["more than 64 parts, or parts nested more than 8 deep"])?;
    let many = vec![json!({"type": "Digits", "individual_digits": true}); 70];
    refused("pre_tokenizer", json!({"type": "Sequence", "pretokenizers": many}), &["more than 64 parts"])?;
    let pattern = json!({"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Isolated", "invert": false});
    refused(
        "pre_tokenizer",
        json!({"type": "Sequence", "pretokenizers": vec![pattern; 17]}),
        &["more than 16 patterns"],
    )
}

/// What the rules may make of a text is bounded as well.
fn long_text() -> Result<(), Failed> {
    let rule = json!({"type": "Replace", "pattern": {"String": "z"}, "content": "c".repeat(256)});
    let tokenizer = open(&with("normalizer", rule))?;
    let text = "a".repeat((1 << 22) + 1);
    says(&message(tokenizer.encode(&text, false))?, &["256 bytes of each", "give it 4194304 bytes at once at most"])?;
    assert_eq!(tokenizer.encode(&text[..1000], false)?.len(), 1000);
    Ok(())
}

fn not_json() -> Result<(), Failed> {
    let parse = |text: &[u8]| message(Tokenizer::parse(Path::new("tokenizer.json"), text));
    let deep = [r#"{"decoder":"#.repeat(200), "1".into(), "}".repeat(200)].concat();
    for text in ["", "{", r#"{"decoder":{"type":"Fuse""#, r#"{"model":{"type":"BPE"},"decoder":{"a":1e999}}"#, &deep] {
        says(&parse(text.as_bytes())?, &["tokenizer.json", "this is not JSON"])?;
    }
    says(&parse(b"[]")?, &["not an object of parts"])?;
    says(&parse(&vec![b' '; (64 << 20) + 1])?, &["at most 67108864"])
}

/// Dropout belongs to training: a text has one result.
fn dropout() -> Result<(), Failed> {
    let mut file = with("decoder", Value::Null);
    file["model"]["dropout"] = json!(0.5);
    let text = "ab".repeat(100);
    for _ in 0..3 {
        assert_eq!(ids(&file, &text)?, [2; 100]);
    }
    says(open(&file)?.note().unwrap_or_default(), &["`dropout` 0.5", "none is left out"])?;
    for none in [json!(0.0), Value::Null] {
        file["model"]["dropout"] = none;
        assert_eq!(open(&file)?.note(), None);
    }
    Ok(())
}
