//! GGUF vocabularies whose parts do not fit together, and configurations that do not fit the tensors.

use interplay::load::{Bytes, Gguf, Tokenizer};
use libtest_mimic::{Failed, Trial};

use super::container::{Builder, message, says};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("bad_input::gguf_vocabularies", vocabularies),
        Trial::test("bad_input::gguf_configurations", configurations),
    ]
}

const TEXT: u32 = 8;
const ARRAY: u32 = 9;

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

fn array(kind: u32, items: &[Vec<u8>]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &(items.len() as u64).to_le_bytes(), &items.concat()].concat()
}

/// The tokens of a vocabulary of kind `llama`: the unknown token, the bytes and one piece.
fn tokens() -> Vec<String> {
    let bytes = (0..=255).map(|byte: u8| format!("<0x{byte:02X}>"));
    [String::from("<unk>")].into_iter().chain(bytes).chain([String::from("▁a")]).collect()
}

/// A file with a vocabulary of `kind`: `tokens`, as many scores and kinds as given, and what `more` adds.
fn file(kind: &str, tokens: &[String], scores: &[f32], kinds: &[i32], more: impl Fn(Builder) -> Builder) -> Vec<u8> {
    let tokens: Vec<_> = tokens.iter().map(|token| text(token)).collect();
    let scores: Vec<_> = scores.iter().map(|score| score.to_le_bytes().to_vec()).collect();
    let kinds: Vec<_> = kinds.iter().map(|kind| kind.to_le_bytes().to_vec()).collect();
    let builder = Builder::default()
        .entry("tokenizer.ggml.model", TEXT, &text(kind))
        .entry("tokenizer.ggml.tokens", ARRAY, &array(8, &tokens))
        .entry("tokenizer.ggml.scores", ARRAY, &array(6, &scores))
        .entry("tokenizer.ggml.token_type", ARRAY, &array(5, &kinds));
    more(builder).build(&[])
}

fn open(file: Vec<u8>) -> Result<Tokenizer, interplay::Error> {
    Tokenizer::from_gguf(&Gguf::parse(Bytes::owned("x.gguf", file))?)
}

fn refused(file: Vec<u8>, parts: &[&str]) -> Result<(), Failed> {
    let message = message(open(file))?;
    says(&message, &["x.gguf"])?;
    says(&message, parts)
}

fn vocabularies() -> Result<(), Failed> {
    let (tokens, mut kinds) = (tokens(), vec![6; 258]);
    (kinds[0], kinds[257]) = (2, 1);
    let scores = vec![0.0; 258];
    let alone = |builder: Builder| builder.entry("tokenizer.ggml.add_bos_token", 7, &[0]);
    let good = open(file("llama", &tokens, &scores, &kinds, alone))?;
    assert_eq!(good.encode("ab", true)?, [257, 1 + u32::from(b'b')]);
    assert_eq!((good.decode(&[257, 99, 100_000])?, good.ids()), ("ab".into(), 258));

    refused(file("llama", &tokens, &scores, &kinds, |b| b), &["no `tokenizer.ggml.bos_token_id`"])?;
    let outside = |b: Builder| b.entry("tokenizer.ggml.bos_token_id", 4, &258u32.to_le_bytes());
    refused(file("llama", &tokens, &scores, &kinds, outside), &["bos_token_id is 258", "258 tokens"])?;
    refused(file("llama", &tokens, &scores[1..], &kinds, alone), &["scores has 257", "258 tokens"])?;
    refused(file("llama", &tokens, &[f32::NAN; 258], &kinds, alone), &["NaN"])?;
    refused(file("llama", &tokens, &scores, &kinds[1..], alone), &["token_type has 257", "258 tokens", "convert"])?;
    refused(file("llama", &tokens[..9], &scores[..9], &kinds[..9], alone), &["256 byte tokens", "convert"])?;
    let kind = |kind: i32| [&kinds[..257], &[kind]].concat();
    refused(file("llama", &tokens, &scores, &kind(6), alone), &["byte token `▁a`"])?;
    let wrong = |b: Builder| b.entry("tokenizer.ggml.add_bos_token", 0, &[0]);
    refused(file("llama", &tokens, &scores, &kinds, wrong), &["add_bos_token` is not a truth value"])?;
    refused(file("bert", &tokens, &scores, &kinds, alone), &["`bert`", "`gpt2` and `llama`"])?;

    refused(file("gpt2", &tokens, &scores, &kinds, alone), &["no `tokenizer.ggml.pre`"])?;
    let with = |split: &'static str, merge: &'static str| {
        move |b: Builder| {
            b.entry("tokenizer.ggml.pre", TEXT, &text(split)).entry(
                "tokenizer.ggml.merges",
                ARRAY,
                &array(8, &[text(merge)]),
            )
        }
    };
    refused(
        file("gpt2", &tokens, &scores, &kinds, with("viking", "a b")),
        &["`viking`", "`smollm`, `gpt-2`, `llama-bpe`"],
    )?;
    refused(file("gpt2", &tokens, &scores, &kinds, with("smollm", "ab")), &["a merge is not two tokens"])?;
    refused(file("gpt2", &tokens, &scores, &kinds, with("smollm", "a b")), &["merges do not fit the tokens"])
}

fn configurations() -> Result<(), Failed> {
    let number = |b: Builder, key: &str, n: u64| b.entry(&format!("llama.{key}"), 10, &n.to_le_bytes());
    let config = |blocks: u64, heads: u64| {
        let mut builder = Builder::default().entry("general.architecture", TEXT, &text("llama"));
        for (key, n) in [("block_count", blocks), ("attention.head_count", heads), ("embedding_length", 4)] {
            builder = number(builder, key, n);
        }
        let builder = number(number(builder, "feed_forward_length", 4), "context_length", 4);
        let file = builder.tensor("token_embd.weight", &[4, 2], 0, 0).build(&[0; 32]);
        Gguf::parse(Bytes::owned("x.gguf", file)).and_then(|file| file.llama_config())
    };
    assert_eq!(config(1, 2)?.num_hidden_layers, 1);
    says(&message(config(u64::MAX, 2))?, &["x.gguf", "block_count is 18446744073709551615", "only 1 tensors"])?;
    says(&message(config(1, 0).and_then(|config| config.check()))?, &["num_attention_heads 0"])
}
