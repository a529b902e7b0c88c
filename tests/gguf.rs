//! GGUF files against what the public implementations make of them: `tests/data/gguf`, written by `scripts/tiny_gguf.py`.

use std::fs;
use std::path::{Path, PathBuf};

use interplay::eval::input;
use interplay::load::{self, Bytes, Gguf, SafeTensors, Tokenizer};
use libtest_mimic::{Failed, Trial};

use crate::bad_input::Builder;
use crate::goldens::{LOGITS, all_logits, difference, tokenization, within};
use crate::oracles::case;

/// Every case of this file.
pub fn cases() -> Vec<Trial> {
    let mut cases = vec![
        Trial::test("gguf::types", || values("types").map(drop)),
        Trial::test("gguf::sentencepiece", sentencepiece),
        Trial::test("gguf::llama3_tokenizer", llama3_tokenizer),
        Trial::test("gguf::a_tensor_that_nobody_reads", unread),
        Trial::test("gguf::scaled_positions_that_are_unknown", unknown_scaling),
        case("gguf::byte_level", "data/checkpoints/gpt2", byte_level),
    ];
    for name in ["tiny-q4_0", "tiny-q5_0", "tiny-q5_1", "tiny-q8_0"] {
        cases.push(Trial::test(format!("gguf::{name}"), move || llama(name)));
    }
    for name in ["tiny-llama3", "tiny-linear"] {
        cases.push(Trial::test(format!("gguf::{name}"), move || logits(&folder().join("llama3"), name)));
    }
    cases
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/gguf")
}

/// The golden of `name`, after every tensor that both files have was compared bit for bit.
fn values(name: &str) -> Result<SafeTensors, Failed> {
    let file = Gguf::open(&folder().join(format!("{name}.gguf")))?;
    let golden = SafeTensors::open(&folder().join(format!("{name}.golden.safetensors")))?;
    let mut compared = 0;
    for tensor in file.names().filter(|tensor| golden.has(tensor)) {
        let (got, shape) = file.dequantised(tensor)?;
        assert_eq!(shape, golden.shape(tensor)?, "{tensor}");
        for (at, (got, want)) in got.iter().zip(golden.floats(tensor)?).enumerate() {
            assert_eq!(got.to_bits(), want.to_bits(), "{tensor}, value {at}: {got} is not {want}");
        }
        compared += 1;
    }
    assert!(compared > 12, "only {compared} tensors");
    Ok(golden)
}

fn llama(name: &str) -> Result<(), Failed> {
    values(name)?;
    logits(&folder(), name)
}

fn logits(folder: &Path, name: &str) -> Result<(), Failed> {
    let golden = SafeTensors::open(&folder.join(format!("{name}.golden.safetensors")))?;
    let model = load::open(&folder.join(format!("{name}.gguf")))?;
    let length = golden.shape("input_ids")?[1];
    let input = input::tokens(&*model.checkpoint, &golden.integers("input_ids")?, length)?;
    let (_, gap) = difference(&all_logits(&model, &input)?, &golden.floats("logits")?);
    within("logits", gap, LOGITS)
}

fn sentencepiece() -> Result<(), Failed> {
    let tokenizer = load::open(&folder().join("tiny-q4_0.gguf"))?.tokenizer.ok_or("no tokenizer")?;
    tokenization(&tokenizer, &folder())
}

/// The ids, also of a text that is long enough to be cut in pieces: where it is cut follows from the characters before newlines.
fn llama3_tokenizer() -> Result<(), Failed> {
    let folder = folder().join("llama3");
    let tokenizer = load::open(&folder.join("tiny-llama3.gguf"))?.tokenizer.ok_or("no tokenizer")?;
    tokenization(&tokenizer, &folder)?;
    let line = "one!\n\ntwo?\r\n three\n";
    let one = tokenizer.encode(line, false)?;
    let text = line.repeat((3 << 16) / line.len());
    assert_eq!(tokenizer.encode(&text, false)?, one.repeat((3 << 16) / line.len()));
    assert_eq!(tokenizer.encode(&text, true)?.len(), 1 + one.len() * ((3 << 16) / line.len()));
    Ok(())
}

/// The factors under a name that means nothing: without this error the positions would be wrong in silence.
fn unread() -> Result<(), Failed> {
    let mut bytes = fs::read(folder().join("llama3/tiny-llama3.gguf"))?;
    let name = b"rope_freqs.weight";
    let at = bytes.windows(name.len()).position(|window| window == name).ok_or("no factors")?;
    bytes[at..at + name.len()].copy_from_slice(b"rope_fraqs.weight");
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), bytes)?;
    let checkpoint = load::open(file.path())?.checkpoint;
    let built = (0..checkpoint.stages()).try_for_each(|stage| checkpoint.stage(stage).map(drop));
    let message = built.err().ok_or("accepted")?.to_string();
    assert!(message.contains("`rope_fraqs.weight`"), "{message}");
    Ok(())
}

/// The keys of positions, on top of a whole configuration.
fn unknown_scaling() -> Result<(), Failed> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let base = || {
        let mut file = Builder::default().entry("general.architecture", 8, &text("llama"));
        for (key, n) in [("block_count", 1), ("attention.head_count", 2), ("embedding_length", 8)] {
            file = file.entry(&format!("llama.{key}"), 10, &u64::to_le_bytes(n));
        }
        for key in ["feed_forward_length", "context_length"] {
            file = file.entry(&format!("llama.{key}"), 10, &u64::to_le_bytes(4));
        }
        file.tensor("token_embd.weight", &[4, 2], 0, 0)
    };
    let config = |file: Builder, data: &[u8]| {
        Gguf::parse(Bytes::owned("x.gguf", file.build(data)))
            .and_then(|file| file.llama_config())
            .map_err(|e| e.to_string())
    };
    let kind = |kind: &str| base().entry("llama.rope.scaling.type", 8, &text(kind));
    let factor = |file: Builder, key: &str| file.entry(&format!("llama.rope.{key}"), 6, &4f32.to_le_bytes());
    let scaling = |file: Builder| config(file, &[0; 64]).map(|config| config.rope_scaling.and_then(|s| s.factor));
    assert_eq!(scaling(base())?, None);
    assert_eq!(scaling(factor(kind("none"), "scaling.factor"))?, None);
    assert_eq!(scaling(factor(kind("linear"), "scaling.factor"))?, Some(4.0));
    assert_eq!(scaling(factor(base(), "scaling.factor"))?, Some(4.0));
    assert_eq!(scaling(factor(base(), "scale_linear"))?, Some(4.0));
    assert_eq!(scaling(kind("linear"))?, Some(1.0));
    let refused = |file: Builder, data: &[u8], parts: &[&str]| -> Result<(), Failed> {
        let message = config(file, data).err().ok_or("accepted")?;
        assert!(parts.iter().all(|part| message.contains(part)), "{message} does not say {parts:?}");
        Ok(())
    };
    refused(factor(kind("yarn"), "scaling.factor"), &[0; 64], &["x.gguf", "`yarn`", "`linear`", "rope_freqs.weight"])?;
    let partly = base().entry("llama.rope.dimension_count", 10, &2u64.to_le_bytes());
    refused(partly, &[0; 64], &["only 2", "4 values"])?;
    let factors = |count| base().tensor("rope_freqs.weight", &[count], 0, 32);
    refused(factors(2), &[0; 64], &["`rope_freqs.weight` has the factor 0"])?;
    refused(factors(3), &[0; 64], &["rope_freqs.weight", "[3]", "[2]"])
}

/// The vocabulary of a Hugging Face folder, written to GGUF as llama.cpp's converter does.
fn byte_level(checkpoint: &Path) -> Result<(), Failed> {
    let vocabulary: std::collections::BTreeMap<String, u32> =
        serde_json::from_slice(&fs::read(checkpoint.join("vocab.json"))?)?;
    let mut tokens: Vec<(u32, String)> = vocabulary.into_iter().map(|(token, id)| (id, token)).collect();
    tokens.sort();
    let kinds: Vec<u8> =
        tokens.iter().flat_map(|(_, token)| (if token == "<|endoftext|>" { 3i32 } else { 1 }).to_le_bytes()).collect();
    let merges = fs::read_to_string(checkpoint.join("merges.txt"))?;
    let merges: Vec<&str> = merges.lines().filter(|line| !line.starts_with("#version") && !line.is_empty()).collect();
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let array = |kind: u32, count: usize, items: Vec<u8>| {
        [&kind.to_le_bytes()[..], &(count as u64).to_le_bytes(), &items].concat()
    };
    let file = Builder::default()
        .entry("tokenizer.ggml.model", 8, &text("gpt2"))
        .entry("tokenizer.ggml.pre", 8, &text("gpt-2"))
        .entry("tokenizer.ggml.tokens", 9, &array(8, tokens.len(), tokens.iter().flat_map(|(_, t)| text(t)).collect()))
        .entry("tokenizer.ggml.token_type", 9, &array(5, tokens.len(), kinds))
        .entry("tokenizer.ggml.merges", 9, &array(8, merges.len(), merges.iter().flat_map(|m| text(m)).collect()))
        .build(&[]);
    let tokenizer = Tokenizer::from_gguf(&Gguf::parse(Bytes::owned("gpt2.gguf", file))?)?;
    tokenization(&tokenizer, checkpoint)
}
