//! The readers of checkpoints, included as they are, and what every file may be asked.

#![allow(dead_code, unused_imports)]

#[path = "../../src/load/bounded.rs"]
mod bounded;
#[path = "../../src/load/byte_level.rs"]
mod byte_level;
#[path = "../../src/load/bytes.rs"]
mod bytes;
#[path = "../../src/load/check.rs"]
mod check;
#[path = "../../src/load/gguf/mod.rs"]
mod gguf;
#[path = "../../src/load/index.rs"]
mod index;
#[path = "../../src/load/pickle/mod.rs"]
mod pickle;
#[path = "../../src/load/safetensors.rs"]
mod safetensors;
#[path = "../../src/load/sentencepiece.rs"]
mod sentencepiece;
#[path = "../../src/load/tokenizer/mod.rs"]
mod tokenizer;
#[path = "../../src/load/widen.rs"]
mod widen;

use std::path::Path;

use bytes::Bytes;
use check::nearest;
use gguf::Gguf;
use safetensors::SafeTensors;
use sentencepiece::SentencePiece;
use tokenizer::Tokenizer;

/// Reads everything in a GGUF file.
pub fn read_gguf(bytes: Vec<u8>) {
    let length = bytes.len();
    let Ok(file) = Gguf::parse(Bytes::owned("x.gguf", bytes)) else { return };
    for name in file.names() {
        let (values, shape) = file.dequantised(name).expect("a tensor of the file");
        assert_eq!(values.len(), shape.iter().product::<usize>());
        // The most that a byte stands for: 256 values of 84 bytes.
        assert!(values.len() <= length * 4);
    }
    let (Ok(tokens), Ok(kinds)) = (file.texts("tokenizer.ggml.tokens"), file.integers("tokenizer.ggml.token_type"))
    else {
        return;
    };
    if tokens.len() == kinds.len()
        && let Ok(pieces) = SentencePiece::from_gguf(&file, &tokens, &kinds)
    {
        for text in ["", "a", "the  scale of é 😀", "<sep>ab<0x41>"] {
            let ids = pieces.encode(text, false);
            assert!(ids.iter().all(|id| (*id as usize) < pieces.len()));
            pieces.decode(&ids);
        }
    }
}

/// Reads everything in a safetensors file.
pub fn read_safetensors(bytes: Vec<u8>) {
    let length = bytes.len();
    let Ok(file) = SafeTensors::parse(Bytes::owned("x.safetensors", bytes)) else { return };
    for name in file.names() {
        let elements: usize = file.shape(name).expect("a tensor of the file").iter().product();
        let counts = [file.floats(name).map(|v| v.len()), file.integers(name).map(|v| v.len())];
        assert!(counts.into_iter().flatten().all(|count| count == elements && count <= length));
        let _ = file.octets(name);
    }
}

/// Reads the index of shards; no entry may leave the folder.
pub fn read_index(text: &[u8]) {
    let folder = Path::new("/folder");
    let Ok(shards) = index::shards(&folder.join("model.safetensors.index.json"), text) else { return };
    for shard in shards.keys() {
        let place = folder.join(shard);
        assert_eq!(place.parent(), Some(folder), "{shard:?}");
        assert!(place.file_name().is_some(), "{shard:?}");
    }
}

/// Reads a tokenizer, and with it some texts: no text may become much more than it is.
pub fn read_tokenizer(text: &[u8]) {
    let Ok(tokenizer) = Tokenizer::parse(Path::new("tokenizer.json"), text) else { return };
    for text in ["", "a", " ", "the  cat, of é and 中 ﷺ 😀\n\n12345", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        if let Ok(ids) = tokenizer.encode(text, true) {
            assert!(ids.len() <= 2048 + 256 * text.len());
            let _ = tokenizer.decode(&ids);
        }
    }
    tokenizer.ids();
}

/// Reads everything in a torch file: it is refused, or no tensor of it is larger than the file.
pub fn read_pickle(bytes: &[u8]) {
    let Ok(tensors) = pickle::read(bytes) else { return };
    for tensor in tensors.values() {
        if let Ok(values) = tensor.floats(bytes) {
            assert_eq!(values.len(), tensor.shape().iter().product::<usize>());
            assert!(values.len() * 2 <= bytes.len());
        }
    }
}
