//! The tokenizer of the language model: byte-level BPE learned from the training text.

use std::collections::HashSet;

use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{
    DecoderWrapper, ModelWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, Tokenizer,
    TokenizerBuilder,
};

use crate::Error;

/// Learns `vocabulary` tokens (the 256 bytes among them) from `texts`; no special tokens.
///
/// # Errors
/// The vocabulary is smaller than the bytes, or the tokenizer library refuses.
pub fn train(texts: &[String], vocabulary: usize) -> Result<Tokenizer, Error> {
    if vocabulary < 256 {
        return Err(Error::Invalid(format!("a byte-level vocabulary of {vocabulary} is below its 256 bytes")));
    }
    let mut trainer = BpeTrainer::builder()
        .vocab_size(vocabulary)
        .min_frequency(2)
        .show_progress(false)
        .initial_alphabet(HashSet::from_iter(ByteLevel::alphabet()))
        .build()
        .into();
    let byte_level = ByteLevel::new(false, true, true);
    let mut builder: tokenizers::TokenizerImpl<
        ModelWrapper,
        NormalizerWrapper,
        PreTokenizerWrapper,
        PostProcessorWrapper,
        DecoderWrapper,
    > = TokenizerBuilder::default()
        .with_model(BPE::default().into())
        .with_pre_tokenizer(Some(byte_level.into()))
        .with_decoder(Some(byte_level.into()))
        .build()
        .map_err(refused)?;
    builder
        .train::<tokenizers::models::TrainerWrapper, _, _>(&mut trainer, texts.iter().map(String::as_str))
        .map_err(refused)?;
    Ok(builder.into())
}

/// The ids of `text`.
///
/// # Errors
/// The tokenizer library refuses.
pub fn encode(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, Error> {
    Ok(tokenizer.encode_fast(text, false).map_err(refused)?.get_ids().to_vec())
}

fn refused(error: tokenizers::Error) -> Error {
    Error::Invalid(format!("tokenizer: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learns_reversibly_and_reproducibly() {
        let texts = vec!["the cat sat on the mat, the rat".repeat(20)];
        let tokenizer = train(&texts, 280).unwrap();
        assert!(tokenizer.get_vocab_size(true) <= 280);
        let ids = encode(&tokenizer, "the cat naïve").unwrap();
        assert!(ids.len() < "the cat naïve".len());
        assert_eq!(tokenizer.decode(&ids, false).unwrap(), "the cat naïve");
        assert_eq!(tokenizer.to_string(false).unwrap(), train(&texts, 280).unwrap().to_string(false).unwrap());
    }
}
