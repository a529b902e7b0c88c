//! safetensors and GGUF files that lie about themselves.

use interplay::Error;
use interplay::load::{Bytes, Gguf, SafeTensors};
use interplay::models::Weights;
use libtest_mimic::{Failed, Trial};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("bad_input::safetensors_headers", safetensors_headers),
        Trial::test("bad_input::safetensors_tensors", safetensors_tensors),
        Trial::test("bad_input::safetensors_cut_in_use", safetensors_cut_in_use),
        #[cfg(unix)]
        Trial::test("bad_input::files_without_an_end", files_without_an_end),
        Trial::test("bad_input::gguf_headers", gguf_headers),
        Trial::test("bad_input::gguf_tensors", gguf_tensors),
        Trial::test("bad_input::files_that_are_none", files_that_are_none),
    ]
}

/// A safetensors file of `header` and `data`.
pub fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

/// Fails unless `message` has every one of `parts`.
pub fn says(message: &str, parts: &[&str]) -> Result<(), Failed> {
    match parts.iter().find(|part| !message.contains(**part)) {
        None => Ok(()),
        Some(part) => Err(format!("`{message}` does not say `{part}`").into()),
    }
}

/// The message of the error that `result` must be.
pub fn message<T>(result: Result<T, Error>) -> Result<String, Failed> {
    match result {
        Ok(_) => Err("damaged input was accepted".into()),
        Err(error) => Ok(error.to_string()),
    }
}

fn safetensors_headers() -> Result<(), Failed> {
    let entry =
        |offsets: &str, shape: &str| format!(r#"{{"w":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#);
    let endless = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
    let (twice, long) = (entry("[0,4]", "[1]"), "w".repeat(5000));
    let twice = format!("{},{}", twice.trim_end_matches('}').to_owned() + "}", twice.trim_start_matches('{'));
    let cases: [(&str, Vec<u8>, &[&str]); 14] = [
        ("twice", safetensors(&twice, &[0; 4]), &["key `w` is there twice"]),
        (
            "a field twice",
            safetensors(r#"{"w":{"dtype":"F32","dtype":"U32","shape":[1],"data_offsets":[0,4]}}"#, &[0; 4]),
            &["key `dtype` is there twice"],
        ),
        ("a long name", safetensors(&format!(r#"{{"{long}":7}}"#), &[]), &[&format!("`{}…`", &long[..200])]),
        ("too short", b"abc".to_vec(), &["3 bytes", "truncated"]),
        ("absurd length", endless, &["claims 18446744073709551615 bytes", "only 2 follow"]),
        ("no JSON", safetensors("not json", &[]), &["not a JSON object"]),
        ("a list", safetensors("[]", &[]), &["not a JSON object"]),
        ("no offsets", safetensors(r#"{"w":{"dtype":"F32","shape":[1]}}"#, &[]), &["`w`", "data_offsets"]),
        (
            "unknown type",
            safetensors(r#"{"w":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}"#, &[0; 4]),
            &["`w`", "F33"],
        ),
        ("truncated", safetensors(&entry("[0,8]", "[2]"), &[0; 4]), &["`w`", "truncated"]),
        ("shape", safetensors(&entry("[0,4]", "[2]"), &[0; 4]), &["`w`", "shape [2]", "4 bytes"]),
        ("overflow", safetensors(&entry("[0,4]", "[4294967296,4294967296]"), &[0; 4]), &["`w`", "shape"]),
        ("reversed", safetensors(&entry("[4,0]", "[1]"), &[0; 4]), &["`w`", "4..0"]),
        ("left over", safetensors(&entry("[0,4]", "[1]"), &[0; 9]), &["5 bytes follow the last tensor"]),
    ];
    for (what, bytes, parts) in cases {
        let message = message(SafeTensors::parse(Bytes::owned("x.safetensors", bytes)))?;
        says(&message, &["x.safetensors"]).map_err(|_| format!("{what}: {message}"))?;
        says(&message, parts)?;
    }
    Ok(())
}

/// A mapped file that becomes shorter is an error and no signal; a small one was read and stays.
fn safetensors_cut_in_use() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("x.safetensors");
    for (count, is_mapped) in [(1 << 10, false), (1 << 20, true)] {
        let header = format!(r#"{{"w":{{"dtype":"F32","shape":[{count}],"data_offsets":[0,{}]}}}}"#, 4 * count);
        std::fs::write(&path, safetensors(&header, &vec![0; 4 * count]))?;
        let file = SafeTensors::open(&path)?;
        std::fs::OpenOptions::new().write(true).open(&path)?.set_len(100)?;
        match file.floats("w") {
            Ok(values) if !is_mapped => assert_eq!(values.len(), count),
            result => says(&message(result)?, &["x.safetensors", "now has 100", "cut while in use"])?,
        }
    }
    Ok(())
}

#[cfg(unix)]
fn files_without_an_end() -> Result<(), Failed> {
    let endless = std::path::Path::new("/dev/zero");
    says(&message(interplay::load::text::read(endless))?, &["/dev/zero", "more than 64 MiB", "smaller"])?;
    says(&message(SafeTensors::open(endless))?, &["/dev/zero", "not a regular file"])?;
    says(&message(interplay::load::Tokenizer::open(endless))?, &["/dev/zero", "more than 64 MiB"])
}

fn safetensors_tensors() -> Result<(), Failed> {
    let header = r#"{"weights":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}}"#;
    let file = SafeTensors::parse(Bytes::owned("x", safetensors(header, &[1])))?;
    says(&message(file.floats("weight"))?, &["no tensor `weight`", "nearest", "`weights`"])?;
    says(&message(file.floats("weights"))?, &["`weights`", "I8", "F32, F16 or BF16"])?;
    says(&message(file.integers("weights"))?, &["I64, I32 or U8"])
}

/// A GGUF file under construction.
#[derive(Default)]
pub struct Builder {
    entries: (u64, Vec<u8>),
    tensors: (u64, Vec<u8>),
}

impl Builder {
    fn text(out: &mut Vec<u8>, text: &str) {
        out.extend((text.len() as u64).to_le_bytes());
        out.extend(text.as_bytes());
    }

    /// Adds a metadata entry of type `kind` with the bytes of its value.
    pub fn entry(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        self.entries.0 += 1;
        Self::text(&mut self.entries.1, key);
        self.entries.1.extend(kind.to_le_bytes());
        self.entries.1.extend(value);
        self
    }

    /// Adds a description of a tensor; `axes` are in the file's order.
    pub fn tensor(mut self, name: &str, axes: &[u64], kind: u32, offset: u64) -> Self {
        self.tensors.0 += 1;
        let out = &mut self.tensors.1;
        Self::text(out, name);
        out.extend((axes.len() as u32).to_le_bytes());
        out.extend(axes.iter().flat_map(|n| n.to_le_bytes()));
        out.extend(kind.to_le_bytes());
        out.extend(offset.to_le_bytes());
        self
    }

    /// The file, with `data` at its aligned place.
    pub fn build(self, data: &[u8]) -> Vec<u8> {
        let counts = [self.tensors.0.to_le_bytes(), self.entries.0.to_le_bytes()].concat();
        let mut out = [b"GGUF", &3u32.to_le_bytes()[..], &counts, &self.entries.1, &self.tensors.1].concat();
        out.resize(out.len().next_multiple_of(32), 0);
        out.extend(data);
        out
    }
}

fn refused(what: &str, bytes: Vec<u8>, parts: &[&str]) -> Result<(), Failed> {
    let message = message(Gguf::parse(Bytes::owned("x.gguf", bytes))).map_err(|_| format!("{what}: accepted"))?;
    says(&message, &["x.gguf"])?;
    says(&message, parts)
}

fn gguf_headers() -> Result<(), Failed> {
    let counts =
        |tensors: u64, entries: u64| [b"GGUF\x03\0\0\0", &tensors.to_le_bytes()[..], &entries.to_le_bytes()].concat();
    let string = |length: u64| [counts(0, 1), length.to_le_bytes().to_vec(), vec![b'a'; 20]].concat();
    refused("magic", b"GGML\x03\0\0\0".to_vec(), &["not a GGUF file"])?;
    refused("short", b"GG".to_vec(), &["2 are left"])?;
    refused("version", b"GGUF\x01\0\0\0".to_vec(), &["version 1", "2 and 3"])?;
    refused("tensors", counts(u64::MAX, 0), &["number of tensors is 18446744073709551615"])?;
    refused("entries", counts(0, 1 << 40), &["number of metadata entries is 1099511627776"])?;
    refused("key", string(1 << 60), &["the length of a metadata key", "at most 20"])?;
    refused("type", Builder::default().entry("k", 99, &[]).build(&[]), &["`k`", "type 99"])?;
    let long = [&8u32.to_le_bytes()[..], &(1u64 << 50).to_le_bytes()].concat();
    refused("array", Builder::default().entry("k", 9, &long).build(&[]), &["array `k`", "1125899906842624"])?;
    let nested = [&9u32.to_le_bytes()[..], &0u64.to_le_bytes()].concat();
    refused("nested", Builder::default().entry("k", 9, &nested).build(&[]), &["array of arrays"])?;
    let twice = Builder::default().entry("k", 0, &[1]).entry("k", 0, &[2]);
    refused("twice", twice.build(&[]), &["`k` is there twice"])?;
    let vast = Builder::default().entry("general.alignment", 10, &(1u64 << 63).to_le_bytes());
    refused("vast alignment", vast.tensor("t", &[1], 0, 0).build(&[0; 4]), &["`t`", "truncated"])?;
    let three = Builder::default().entry("general.alignment", 4, &3u32.to_le_bytes());
    refused("alignment", three.build(&[]), &["general.alignment", "power of two"])?;
    let utf8 = [&2u64.to_le_bytes()[..], &[0xff, 0xfe]].concat();
    refused("utf-8", Builder::default().entry("k", 8, &utf8).build(&[]), &["k is not UTF-8"])
}

fn gguf_tensors() -> Result<(), Failed> {
    let one = |axes: &[u64], kind, offset| Builder::default().tensor("t", axes, kind, offset).build(&[0; 64]);
    refused("type", one(&[32], 16, 0), &["`t`", "ggml type 16", "Q4_1", "convert the file"])?;
    refused("axes", one(&[1, 1, 1, 1, 1], 0, 0), &["`t`", "5 axes"])?;
    refused("row", one(&[33], 3, 0), &["`t`", "rows of 33", "blocks of 32"])?;
    refused("truncated", one(&[32], 0, 0), &["`t`", "128 bytes", "truncated"])?;
    refused("offset", one(&[4], 0, u64::MAX - 8), &["`t`", "truncated"])?;
    refused("overflow", one(&[1 << 40, 1 << 40], 0, 0), &["`t`", "more than any file"])?;
    let twice = Builder::default().tensor("t", &[4], 0, 0).tensor("t", &[4], 0, 32).build(&[0; 64]);
    refused("twice", twice, &["`t`", "twice", "fetch or convert"])?;
    refused("alignment", one(&[4], 0, 4), &["`t`", "offset 4", "alignment 32"])?;
    let shared = Builder::default().tensor("t", &[12], 0, 0).tensor("u", &[4], 0, 32).build(&[0; 64]);
    refused("shared bytes", shared, &["`t` and `u` share bytes", "fetch or convert"])?;

    let nan = f32::NAN.to_le_bytes();
    let file =
        Builder::default().tensor("token_embd.weight", &[2, 2], 0, 0).build(&[[0; 4], [0; 4], [0; 4], nan].concat());
    let file = Gguf::parse(Bytes::owned("x.gguf", file))?;
    let get = |shape: &[usize]| file.get("model.embed_tokens.weight", shape);
    says(&message(get(&[2, 2]))?, &["`token_embd.weight`", "NaN", "row 1, column 1"])?;
    says(&message(get(&[2, 3]))?, &["`token_embd.weight`", "[2, 2]", "[2, 3]"])?;
    says(&message(file.get("lm_head.weight", &[2, 2]))?, &["no tensor `output.weight`"])?;
    says(&message(file.llama_config())?, &["no `general.architecture`"])
}

fn files_that_are_none() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let empty = folder.path().join("empty.safetensors");
    std::fs::write(&empty, [])?;
    says(&message(SafeTensors::open(&empty))?, &["empty.safetensors", "the file is empty"])?;
    says(&message(SafeTensors::open(folder.path()))?, &["not a regular file"])?;
    says(&message(Gguf::open(&folder.path().join("absent.gguf")))?, &["absent.gguf"])
}
