//! Recorded LLaMA models, what compression makes of them, and an execution of their blocks that owes nothing to sessions.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::tensor::TensorData;
use interplay::Error;
use interplay::burn::{Activation, Hook, Host, Product, Role};
use interplay::compress::{Recipe, Statistics};
use interplay::compression::{Calibration, Compressed, Event, Options, Outcome, Store, Stream, compress};
use interplay::eval::{Runner, for_each_logits};
use interplay::formats::Format;
use interplay::load::SafeTensors;
use interplay::models::llama::{LlamaCheckpoint, LlamaConfig};
use interplay::models::{Checkpoint, Weights};
use libtest_mimic::Failed;
use serde_json::Value;

/// A file of recorded numbers and what it says of itself.
pub struct Recorded {
    pub file: SafeTensors,
    pub meta: Value,
}

impl Recorded {
    pub fn open(path: &Path) -> Result<Self, Failed> {
        let file = SafeTensors::open(path)?;
        let meta = serde_json::from_str(file.metadata().get("meta").ok_or("no notes")?)?;
        Ok(Self { file, meta })
    }

    fn number(&self, name: &str) -> usize {
        self.meta[name].as_u64().unwrap_or_default() as usize
    }

    fn config(&self, layers: usize, vocabulary: usize) -> LlamaConfig {
        let heads = self.number("heads");
        LlamaConfig {
            hidden_size: self.number("d"),
            intermediate_size: self.number("ff"),
            num_hidden_layers: layers,
            num_attention_heads: heads,
            num_key_value_heads: Some(self.number("kv_heads")),
            head_dim: self.meta["head_dim"].as_u64().map(|width| width as usize),
            vocab_size: vocabulary,
            rms_norm_eps: self.meta["norm_eps"].as_f64().unwrap_or_default(),
            rope_theta: self.meta["rope_base"].as_f64().unwrap_or_default(),
            ..LlamaConfig::default()
        }
    }

    /// The recorded model: embedding, blocks and head under `w.`.
    pub fn model(self: &Arc<Self>) -> Result<Arc<dyn Checkpoint>, Failed> {
        let config = self.config(self.number("layers"), self.number("vocab"));
        Ok(Arc::new(LlamaCheckpoint::new(config, self.clone())?))
    }

    /// The recorded block as a model of one block whose token `i` is row `i` of the recorded input.
    pub fn block(self: &Arc<Self>) -> Result<Arc<dyn Checkpoint>, Failed> {
        let config = self.config(1, self.number("nseq") * self.number("tokens"));
        Ok(Arc::new(LlamaCheckpoint::new(config, self.clone())?))
    }

    /// The sequences that [`Recorded::block`] is calibrated on: the whole input.
    pub fn block_sequences(&self) -> Vec<Vec<i64>> {
        let tokens = self.number("tokens") as i64;
        (0..self.number("nseq") as i64).map(|s| (s * tokens..(s + 1) * tokens).collect()).collect()
    }
}

impl Weights for Recorded {
    fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let name = name.trim_end_matches(".weight");
        let alone = || name.replacen("model.layers.0.", "", 1);
        match name {
            "model.embed_tokens" if self.file.has("x") => self.file.floats("x"),
            // A block alone has no head.
            "model.norm" | "lm_head" if self.file.has("x") => Ok(vec![1.0; shape.iter().product()]),
            _ if self.file.has("x") => self.file.floats(&format!("w.{}", alone())),
            _ => self.file.floats(&format!("w.{name}")),
        }
    }

    fn has(&self, _: &str) -> bool {
        true
    }
}

pub fn options(recipe: &str) -> Result<Options, Failed> {
    Ok(Options { recipe: recipe.parse::<Recipe>()?, stream: Stream::Compressed, host: Host::default() })
}

/// What was seen of every layer's inputs.
pub type Seen = BTreeMap<String, Statistics>;

/// A whole run that nobody stops and of which nobody is warned.
pub fn run(
    checkpoint: &dyn Checkpoint,
    calibration: &Calibration,
    options: &Options,
    store: &mut dyn Store,
) -> Result<Seen, Failed> {
    let mut seen = Seen::new();
    let outcome = compress(checkpoint, calibration, options, store, &mut |event| {
        match event {
            Event::Warning { layer, text } => panic!("{layer}: {text}"),
            Event::Seen { layer, statistics } => drop(seen.insert(layer.to_owned(), statistics.clone())),
            Event::Block { .. } | Event::Step { .. } => {}
        }
        ControlFlow::Continue(())
    })?;
    assert_eq!(outcome, Outcome::Complete);
    Ok(seen)
}

/// The model as a recipe leaves it.
pub fn compressed(
    checkpoint: &dyn Checkpoint,
    sequences: Vec<Vec<i64>>,
    options: &Options,
) -> Result<(Compressed, Seen), Failed> {
    let mut compressed = Compressed::default();
    let seen = run(checkpoint, &Calibration::of(sequences)?, options, &mut compressed)?;
    Ok((compressed, seen))
}

/// All logits of one sequence.
pub fn logits(runner: &mut dyn Runner, ids: &[i64]) -> Result<Vec<f32>, Failed> {
    let mut all = Vec::new();
    for_each_logits(runner, &[Activation::ids(ids, ids.len())], |_, _, row| all.extend_from_slice(row))?;
    Ok(all)
}

/// Refuses values that are further from `want` than `allowed` times the largest magnitude of `want`.
pub fn near(got: &[f32], want: &[f32], allowed: f32, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    let largest = want.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let off = got.iter().zip(want).map(|(g, w)| (g - w).abs()).fold(0.0, f32::max);
    assert!(off <= allowed * largest && got.iter().all(|v| v.is_finite()), "{what}: {:e} off", off / largest);
}

/// Runs the linear layers of blocks by loops over the definition, in FP64: each token of their inputs, and of the outputs that attention
/// multiplies, in a format.
pub struct Plain<'a> {
    compressed: &'a Compressed,
    tokens: &'static Format,
    /// Which products of the block in hand are linear layers.
    linears: Vec<bool>,
}

impl<'a> Plain<'a> {
    pub fn new(compressed: &'a Compressed, tokens: &'static Format) -> Self {
        Self { compressed, tokens, linears: Vec::new() }
    }

    /// One block on one sequence.
    pub fn run(&mut self, checkpoint: &dyn Checkpoint, block: usize, input: Activation) -> Result<Activation, Failed> {
        let captured = checkpoint.stage(block + 1)?.capture(&input)?;
        self.linears = captured.products().iter().map(|p| p.role == Role::Weight).collect();
        Ok(captured.run(input, self)?)
    }
}

impl Hook for Plain<'_> {
    fn wants(&self, index: usize) -> bool {
        self.linears[index]
    }

    fn multiply(
        &mut self,
        _index: usize,
        product: &Product,
        lhs: FlexTensor,
        _rhs: Option<FlexTensor>,
    ) -> Result<FlexTensor, Error> {
        let lhs = lhs.to_contiguous();
        let mut shape = lhs.layout().shape().to_vec();
        let mut x = lhs.as_slice::<f32>().unwrap_or_default().to_vec();
        self.tokens.fake_quantize(&mut x, product.k)?;
        let mut y = linear(&x, &self.compressed.layers[&product.name].values, product.k);
        if ["q_proj", "k_proj", "v_proj"].iter().any(|name| product.name.ends_with(name)) {
            self.tokens.fake_quantize(&mut y, product.n)?;
        }
        if let Some(last) = shape.last_mut() {
            *last = product.n;
        }
        Ok(FlexTensor::from_data(TensorData::new(y, shape)))
    }
}

/// x W^T, each sum in FP64.
fn linear(x: &[f32], w: &[f32], k: usize) -> Vec<f32> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>() as f32;
    x.chunks(k).flat_map(|x| w.chunks(k).map(move |w| dot(x, w))).collect()
}
