//! What the fuzz targets do with a string of bytes; each panics where a promise of a reader is broken.
//!
//! Every function here is a target: `cargo fuzz run TARGET`. Bytes alone would seldom get past the first check, so each target also
//! makes a file of words that mean something and then damages it.

#[allow(dead_code)]
#[path = "../../src/error.rs"]
mod error;
mod load;
mod models;
mod tokenizer;

use arbitrary::{Arbitrary, Result, Unstructured};

use error::Error;
use interplay_formats as formats;

/// Any bytes as a GGUF file, and files that are nearly right.
pub fn gguf(data: &[u8]) {
    load::read_gguf(data.to_vec());
    let mut u = Unstructured::new(data);
    if let Ok(file) = any_gguf(&mut u).and_then(|file| damaged(&mut u, file)) {
        load::read_gguf(file);
    }
}

/// Any bytes as a safetensors file, and files that are nearly right.
pub fn safetensors(data: &[u8]) {
    load::read_safetensors(data.to_vec());
    let mut u = Unstructured::new(data);
    if let Ok(file) = any_safetensors(&mut u).and_then(|file| damaged(&mut u, file)) {
        load::read_safetensors(file);
    }
}

/// Any bytes as the index of shards, and indices that are nearly right.
pub fn index(data: &[u8]) {
    load::read_index(data);
    let mut u = Unstructured::new(data);
    if let Ok(text) = any_index(&mut u).and_then(|text| damaged(&mut u, text)) {
        load::read_index(&text);
    }
}

/// Any bytes as a torch file.
pub fn pickle(data: &[u8]) {
    load::read_pickle(data);
}

/// Any bytes as a `tokenizer.json`, and tokenizers that are nearly right; texts go through what is read.
pub fn tokenizer(data: &[u8]) {
    load::read_tokenizer(data);
    let mut u = Unstructured::new(data);
    if let Ok(text) = tokenizer::any(&mut u).and_then(|text| damaged(&mut u, text)) {
        load::read_tokenizer(&text);
    }
}

/// Any bytes as a `config.json` of OPT or of the LLaMA family, and configurations that are nearly right.
pub fn config(data: &[u8]) {
    models::read_config(data);
    let mut u = Unstructured::new(data);
    if let Ok(text) = models::any_config(&mut u).and_then(|text| damaged(&mut u, text)) {
        models::read_config(&text);
    }
}

/// `bytes` with up to three of them changed, and sometimes cut.
fn damaged(u: &mut Unstructured, mut bytes: Vec<u8>) -> Result<Vec<u8>> {
    for _ in 0..u.int_in_range(0..=3)? {
        let at = u.choose_index(bytes.len().max(1))?;
        if let Some(byte) = bytes.get_mut(at) {
            *byte = u8::arbitrary(u)?;
        }
    }
    if u.ratio(1, 8)? {
        bytes.truncate(u.choose_index(bytes.len().max(1))?);
    }
    Ok(bytes)
}

const KEYS: [&str; 8] = [
    "general.alignment",
    "tokenizer.ggml.model",
    "tokenizer.ggml.tokens",
    "tokenizer.ggml.scores",
    "tokenizer.ggml.token_type",
    "tokenizer.ggml.add_bos_token",
    "tokenizer.ggml.bos_token_id",
    "tokenizer.ggml.add_space_prefix",
];
const WORDS: [&str; 10] = ["", "a", "b", "▁", "▁a", "ab", "<sep>", "<0x41>", "<0xg>", "é"];

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn any_gguf(u: &mut Unstructured) -> Result<Vec<u8>> {
    let (mut entries, mut entry_count) = (Vec::new(), 0u64);
    if u.ratio(1, 3)? {
        entry_count += any_vocabulary(u, &mut entries)?;
    }
    for _ in 0..u.int_in_range(0..=4)? {
        text(&mut entries, u.choose(&KEYS)?);
        any_value(u, &mut entries)?;
        entry_count += 1;
    }
    let (mut tensors, tensor_count) = (Vec::new(), u.int_in_range(0..=4u64)?);
    for _ in 0..tensor_count {
        any_tensor(u, &mut tensors)?;
    }
    let version = u.int_in_range(2..=3u32)?.to_le_bytes();
    let counts = [tensor_count.to_le_bytes(), entry_count.to_le_bytes()].concat();
    let mut file = [&b"GGUF"[..], &version, &counts, &entries, &tensors].concat();
    file.resize(file.len().next_multiple_of(32), 0);
    file.extend(std::iter::repeat_n(u8::arbitrary(u)?, u.int_in_range(0..=2048)?));
    Ok(file)
}

/// A whole vocabulary with byte tokens, and then some pieces.
fn any_vocabulary(u: &mut Unstructured, out: &mut Vec<u8>) -> Result<u64> {
    let mut tokens: Vec<String> = (0..=255).map(|byte: u8| format!("<0x{byte:02X}>")).collect();
    let mut kinds = vec![6u32; 256];
    for _ in 0..u.int_in_range(0..=12)? {
        tokens.push((*u.choose(&WORDS)?).to_owned());
        kinds.push(u.int_in_range(1..=6)?);
    }
    let count = (tokens.len() as u64).to_le_bytes();
    let array = |out: &mut Vec<u8>, key: &str, kind: u32| {
        text(out, key);
        out.extend([9u32.to_le_bytes(), kind.to_le_bytes()].concat());
        out.extend(count);
    };
    array(out, "tokenizer.ggml.tokens", 8);
    tokens.iter().for_each(|token| text(out, token));
    array(out, "tokenizer.ggml.token_type", 5);
    kinds.iter().for_each(|kind| out.extend(kind.to_le_bytes()));
    array(out, "tokenizer.ggml.scores", 6);
    for _ in 0..tokens.len() {
        out.extend(f32::from(i8::arbitrary(u)?).to_le_bytes());
    }
    text(out, "tokenizer.ggml.add_bos_token");
    out.extend([&7u32.to_le_bytes()[..], &[0]].concat());
    Ok(4)
}

fn any_value(u: &mut Unstructured, out: &mut Vec<u8>) -> Result<()> {
    let kind = u.int_in_range(0..=13u32)?;
    out.extend(kind.to_le_bytes());
    let (kind, count) = match kind {
        9 => {
            let (kind, count) = (u.int_in_range(0..=13u32)?, u.int_in_range(0..=6u64)?);
            out.extend(kind.to_le_bytes());
            out.extend(count.to_le_bytes());
            (kind, count)
        }
        kind => (kind, 1),
    };
    for _ in 0..count {
        match kind {
            0 | 1 | 7 => out.push(u8::arbitrary(u)?),
            2 | 3 => out.extend(u16::arbitrary(u)?.to_le_bytes()),
            4..=6 => out.extend((u32::arbitrary(u)? & 0xFF).to_le_bytes()),
            8 => text(out, u.choose(&WORDS)?),
            _ => out.extend((u64::arbitrary(u)? & 0xFF).to_le_bytes()),
        }
    }
    Ok(())
}

fn any_tensor(u: &mut Unstructured, out: &mut Vec<u8>) -> Result<()> {
    text(out, u.choose(&["t", "u", "v", "blk.0.attn_q.weight"])?);
    let axes = u.int_in_range(0..=5u32)?;
    out.extend(axes.to_le_bytes());
    for _ in 0..axes {
        let any = u64::arbitrary(u)?;
        out.extend(u.choose(&[1, 1, 2, 32, 256, 512, 0, any])?.to_le_bytes());
    }
    out.extend(u.int_in_range(0..=31u32)?.to_le_bytes());
    let any = u64::arbitrary(u)?;
    out.extend(u.choose(&[0, 32, 64, 512, 1024, any])?.to_le_bytes());
    Ok(())
}

fn any_safetensors(u: &mut Unstructured) -> Result<Vec<u8>> {
    let (mut fields, mut end) = (Vec::new(), 0usize);
    if u.ratio(1, 4)? {
        fields.push(r#""__metadata__":{"format":"pt"}"#.to_owned());
    }
    for _ in 0..u.int_in_range(0..=4)? {
        let (dtype, bytes) = u.choose(&[("F32", 4), ("F16", 2), ("BF16", 2), ("I64", 8), ("I32", 4), ("U8", 1)])?;
        let shape: Vec<usize> = (0..u.int_in_range(0..=3)?).map(|_| u.int_in_range(0..=5)).collect::<Result<_>>()?;
        let start = end;
        end += shape.iter().product::<usize>() * bytes;
        let name = u.choose(&["a", "b", "c", "\\u0000", "é"])?;
        fields.push(format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{start},{end}]}}"#));
    }
    let header = format!("{{{}}}", fields.join(","));
    let value = u8::arbitrary(u)?;
    Ok([&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![value; end]].concat())
}

fn any_index(u: &mut Unstructured) -> Result<Vec<u8>> {
    let words = ["a", "model-00001-of-00002.safetensors", "..", ".", "/", "../", "", "\\\\", "\\u0000", "a/", "//"];
    let mut entries = Vec::new();
    for tensor in 0..u.int_in_range(0..=4)? {
        let parts: Vec<&str> = (0..u.int_in_range(0..=3)?).map(|_| u.choose(&words).copied()).collect::<Result<_>>()?;
        entries.push(format!(r#""t{tensor}":"{}""#, parts.concat()));
    }
    Ok(format!(r#"{{"metadata":{{}},"weight_map":{{{}}}}}"#, entries.join(",")).into_bytes())
}
