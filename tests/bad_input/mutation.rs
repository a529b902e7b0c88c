//! Random damage to small valid files: readers answer, they do not panic and do not allocate what the file cannot hold.

use interplay::load::{Bytes, Gguf, SafeTensors, Tokenizer, TorchFile};
use interplay::models::Weights;
use libtest_mimic::{Failed, Trial};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::container::{Builder, safetensors};

/// Damaged files tried for each reader.
const FILES: u32 = 4000;

/// A dequantised value takes at most this many times its share of the file: 4 bytes from an 18-byte block of 32.
const GROWTH: usize = 8;

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("bad_input::mutated_safetensors", || mutate(&valid_safetensors(), read_safetensors)),
        Trial::test("bad_input::mutated_gguf", || mutate(&valid_gguf(), read_gguf)),
        Trial::test("bad_input::mutated_torch_legacy", || mutate(&torch_file("legacy.pth")?, read_torch)),
        Trial::test("bad_input::mutated_torch_zip", || mutate(&torch_file("zip.pth")?, read_torch)),
    ]
}

fn valid_safetensors() -> Vec<u8> {
    let header = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]},"b":{"dtype":"I64","shape":[1],"data_offsets":[12,20]}}"#;
    safetensors(header, &[7; 20])
}

fn valid_gguf() -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let array =
        |kind: u32, count: u64, items: Vec<u8>| [&kind.to_le_bytes()[..], &count.to_le_bytes(), &items].concat();
    Builder::default()
        .entry("general.architecture", 8, &text("llama"))
        .entry("llama.block_count", 4, &1u32.to_le_bytes())
        .entry("llama.embedding_length", 4, &32u32.to_le_bytes())
        .entry("llama.feed_forward_length", 4, &32u32.to_le_bytes())
        .entry("llama.attention.head_count", 4, &2u32.to_le_bytes())
        .entry("llama.context_length", 10, &64u64.to_le_bytes())
        .entry("tokenizer.ggml.model", 8, &text("gpt2"))
        .entry("tokenizer.ggml.pre", 8, &text("smollm"))
        .entry("tokenizer.ggml.tokens", 9, &array(8, 3, [text("a"), text("b"), text("ab")].concat()))
        .entry("tokenizer.ggml.token_type", 9, &array(5, 3, [1u32, 1, 1].map(u32::to_le_bytes).concat()))
        .entry("tokenizer.ggml.merges", 9, &array(8, 1, text("a b")))
        .tensor("token_embd.weight", &[32, 2], 3, 0)
        .tensor("output_norm.weight", &[32], 0, 64)
        .build(&[1; 192])
}

fn read_safetensors(bytes: Vec<u8>) -> Result<(), TestCaseError> {
    let length = bytes.len();
    let Ok(file) = SafeTensors::parse(Bytes::owned("x", bytes)) else { return Ok(()) };
    for name in file.names().map(str::to_owned).collect::<Vec<_>>() {
        if let Ok(values) = file.floats(&name) {
            prop_assert!(values.len() * 2 <= length, "{} values from {length} bytes", values.len());
        }
        if let Ok(values) = file.integers(&name) {
            prop_assert!(values.len() <= length);
        }
    }
    Ok(())
}

fn read_gguf(bytes: Vec<u8>) -> Result<(), TestCaseError> {
    let length = bytes.len();
    let Ok(file) = Gguf::parse(Bytes::owned("x", bytes)) else { return Ok(()) };
    for name in file.names().map(str::to_owned).collect::<Vec<_>>() {
        let (values, shape) = file.dequantised(&name).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(values.len(), shape.iter().product::<usize>());
        prop_assert!(values.len() * 4 <= length * GROWTH);
    }
    if let Ok(config) = file.llama_config() {
        let _ = config.check();
        let _ = file.get("model.embed_tokens.weight", &[config.vocab_size, config.hidden_size]);
    }
    let _ = Tokenizer::from_gguf(&file);
    Ok(())
}

fn torch_file(name: &str) -> Result<Vec<u8>, Failed> {
    Ok(std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/zoo/torch").join(name))?)
}

fn read_torch(bytes: Vec<u8>) -> Result<(), TestCaseError> {
    let length = bytes.len();
    let Ok(file) = TorchFile::parse(Bytes::owned("x", bytes)) else { return Ok(()) };
    for name in file.names().map(str::to_owned).collect::<Vec<_>>() {
        let shape = file.shape(&name).unwrap_or_default();
        if let Ok(values) = file.get(&name, &shape) {
            prop_assert!(values.len() * 2 <= length, "{} values from {length} bytes", values.len());
        }
    }
    Ok(())
}

/// Reads `valid` with some bytes replaced, some cut off, some put in.
fn mutate(valid: &[u8], read: fn(Vec<u8>) -> Result<(), TestCaseError>) -> Result<(), Failed> {
    read(valid.to_vec()).map_err(|e| e.to_string())?;
    let interesting = prop_oneof![any::<u8>(), Just(0), Just(1), Just(0x7f), Just(0x80), Just(0xff)];
    let edits = prop::collection::vec((any::<prop::sample::Index>(), interesting), 0..12);
    let cut = prop::option::weighted(0.2, any::<prop::sample::Index>());
    let insert = prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<[u8; 8]>()));
    let config = Config { cases: FILES, failure_persistence: None, rng_seed: RngSeed::Fixed(7), ..Config::default() };
    TestRunner::new(config)
        .run(&(edits, cut, insert), |(edits, cut, insert)| {
            let mut bytes = valid.to_vec();
            for (at, value) in edits {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if let Some((at, extra)) = insert {
                let at = at.index(bytes.len());
                bytes.splice(at..at, extra);
            }
            if let Some(at) = cut {
                bytes.truncate(at.index(bytes.len()));
            }
            read(bytes)
        })
        .map_err(|e| e.to_string().into())
}
