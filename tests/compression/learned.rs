//! Learned sparsity through Burn's tape: recorded runs on the zoo's LLaMA block, derivatives against differences, bad input.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use interplay::Error;
use interplay::burn::{Activation, Stage};
use interplay::compress::learn::{Objective, Target};
use interplay::compression::{BlockLoss, Sample};
use interplay::load::hf;
use interplay::models::llama::{LlamaCheckpoint, LlamaConfig};
use interplay::models::{Checkpoint, Weights};
use libtest_mimic::{Failed, Trial};

use super::recorded::Record;
use crate::oracles;

pub fn cases() -> Vec<Trial> {
    let recorded = [
        ("compression::besa_layer_llama", "vectors/methods/learn_besa_layer_llama.safetensors"),
        ("compression::besa_row_llama", "vectors/methods/learn_besa_row_llama.safetensors"),
        ("compression::pqp_layer_llama", "vectors/methods/learn_pqp_layer_llama.safetensors"),
        ("compression::pqp_row_llama", "vectors/methods/learn_pqp_row_llama.safetensors"),
    ];
    let recorded =
        recorded.into_iter().map(|(name, path)| oracles::case(name, path, |path| follow(&std::fs::read(path)?)));
    let mut cases: Vec<Trial> = recorded.collect();
    cases.extend(
        BLOCKS
            .iter()
            .map(|block| Trial::test(format!("compression::differences_{}", block.name), || differences(block))),
    );
    cases.push(Trial::test("compression::objective_refuses_what_does_not_fit", refusals));
    cases
}

/// A block of some architecture and weights of it: linears stored one way and the other, a convolution.
struct Block {
    name: &'static str,
    config: &'static str,
    layers: &'static [(&'static str, [usize; 2])],
    input: &'static [usize],
}

const BLOCKS: [Block; 3] = [
    Block {
        name: "gpt2",
        config: r#"{"model_type":"gpt2","vocab_size":40,"n_embd":16,"n_layer":1,"n_head":4,"n_positions":16}"#,
        layers: &[("h.0.attn.c_attn", [48, 16]), ("h.0.mlp.c_fc", [64, 16]), ("h.0.mlp.c_proj", [16, 64])],
        input: &[1, 9, 16],
    },
    Block {
        name: "bert",
        config: r#"{"model_type":"bert","vocab_size":40,"hidden_size":16,"num_hidden_layers":1,"num_attention_heads":4,
            "intermediate_size":24,"max_position_embeddings":16}"#,
        layers: &[
            ("encoder.layer.0.attention.self.query", [16, 16]),
            ("encoder.layer.0.intermediate.dense", [24, 16]),
            ("encoder.layer.0.output.dense", [16, 24]),
        ],
        input: &[1, 9, 16],
    },
    Block {
        name: "resnet",
        config: r#"{"model_type":"resnet","layer_type":"basic","embedding_size":4,"hidden_sizes":[4],"depths":[2],
            "image_size":32}"#,
        layers: &[
            ("resnet.encoder.stages.0.layers.0.layer.0.convolution", [4, 36]),
            ("resnet.encoder.stages.0.layers.0.layer.1.convolution", [4, 36]),
        ],
        input: &[1, 4, 8, 8],
    },
];

/// The weights of a recorded model under their names in a checkpoint.
struct Recorded(Arc<Record>);

impl Weights for Recorded {
    fn get(&self, name: &str, _: &[usize]) -> Result<Vec<f32>, Error> {
        let parts = name.strip_prefix("model.layers.").and_then(|name| name.split_once('.'));
        let (block, rest) = parts.ok_or_else(|| Error::Invalid(name.to_owned()))?;
        Ok(self.0.floats(&format!("{block}.w.{}", rest.trim_end_matches(".weight"))))
    }

    fn has(&self, _: &str) -> bool {
        true
    }
}

/// The recorded model; its norms and rotation have the defaults of the configuration.
fn model(record: &Arc<Record>) -> Result<LlamaCheckpoint, Error> {
    let shape = &record.meta()["shape"];
    let number = |name: &str| shape[name].as_u64().unwrap_or_default() as usize;
    let config = LlamaConfig {
        hidden_size: number("d"),
        intermediate_size: number("ff"),
        num_hidden_layers: number("layers"),
        num_attention_heads: number("heads"),
        num_key_value_heads: Some(number("kv")),
        vocab_size: 1,
        ..LlamaConfig::default()
    };
    assert_eq!(record.meta()["norm_eps"].as_f64(), Some(config.rms_norm_eps));
    assert_eq!(record.meta()["rope_base"].as_f64(), Some(config.rope_theta));
    LlamaCheckpoint::new(config, Arc::new(Recorded(record.clone())))
}

fn sequence(values: Vec<f32>, tokens: usize, width: usize) -> Activation {
    Activation::Sequence(Tensor::from_data(TensorData::new(values, [1, tokens, width]), &Device::flex()))
}

fn follow(bytes: &[u8]) -> Result<(), Failed> {
    let record = Arc::new(Record::new(bytes));
    let model = model(&record)?;
    for block in 0..model.config().num_hidden_layers {
        let stage = model.stage(block + 1)?;
        let layers = record.linears(block).iter().map(|name| format!("layers.{block}.{name}")).collect();
        let &[count, tokens, width] = record.shape("x") else { return Err("x has three dimensions".into()) };
        let (inputs, references) = (record.floats(&record.input(block)), record.floats(&format!("{block}.ref")));
        let one = |values: &[f32], index: usize| values[index * tokens * width..][..tokens * width].to_vec();
        let samples = |index| {
            let input = sequence(one(&inputs, index), tokens, width);
            Ok(Sample { input, reference: one(&references, index) })
        };
        record.follow(block, &mut BlockLoss::new(&*stage, layers, count, samples));
    }
    Ok(())
}

/// Weights that follow from their names; variances are positive.
struct Generated;

impl Weights for Generated {
    fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let seed = name.bytes().fold(7u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let positive = name.ends_with("running_var");
        let value = |v: f32| if positive { 0.5 + v.abs() } else { v / 4.0 };
        Ok(values(shape.iter().product(), seed).into_iter().map(value).collect())
    }

    fn has(&self, name: &str) -> bool {
        !name.starts_with("model.") && !name.contains("shortcut")
    }
}

fn activation(shape: &[usize], seed: u64) -> Activation {
    let data = TensorData::new(values(shape.iter().product(), seed), shape);
    match shape.len() {
        3 => Activation::Sequence(Tensor::from_data(data, &Device::flex())),
        _ => Activation::Images(Tensor::from_data(data, &Device::flex())),
    }
}

fn stage(block: &Block) -> Result<Box<dyn Stage>, Failed> {
    Ok(hf::checkpoint(Path::new("generated/config.json"), block.config, Arc::new(Generated))?.stage(1)?)
}

/// The derivative is that of the loss: along its own direction, where it is as large as it gets, it is what the loss gains.
fn differences(block: &Block) -> Result<(), Failed> {
    let stage = stage(block)?;
    let samples = |_| {
        let input = activation(block.input, 1);
        Ok(Sample { input: input.clone(), reference: stage.forward(input).into_values()? })
    };
    let layers: Vec<String> = block.layers.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut objective = BlockLoss::new(&*stage, layers, 1, samples);
    let shapes = block.layers.iter().map(|(_, [rows, k])| rows * k);
    let weights: Vec<Vec<f32>> =
        shapes.enumerate().map(|(i, count)| values(count, i as u64).into_iter().map(|v| v / 4.0).collect()).collect();
    for target in [Target::Reference, Target::Zero] {
        let (loss, gradients) = objective.slope(0, &weights, target)?;
        // Burn's backend has kernels of its own for what the tape takes apart.
        assert!((objective.loss(0, &weights, target)? / loss - 1.0).abs() < 1e-6, "one loss both ways");
        for layer in 0..weights.len() {
            let gradient = &gradients[layer];
            let square: f64 = gradient.iter().map(|g| f64::from(*g) * f64::from(*g)).sum();
            // A gain of 3e-4 of the loss: FP32 leaves some 1e-7 of the loss open, and few rectifiers flip on the way.
            let length = 3e-4 * loss / square;
            let mut at = |sign: f64| -> Result<f64, Error> {
                let mut moved = weights.clone();
                moved[layer].iter_mut().zip(gradient).for_each(|(w, g)| *w += (sign * length * f64::from(*g)) as f32);
                objective.loss(0, &moved, target)
            };
            let gained = (at(1.0)? - at(-1.0)?) / (2.0 * length);
            let off = (gained / square - 1.0).abs();
            assert!(off < 3e-3, "{} {target:?} layer {layer}: {off:e} of the derivative", block.name);
        }
    }
    Ok(())
}

fn refusals() -> Result<(), Failed> {
    let block = &BLOCKS[0];
    let stage = stage(block)?;
    let sample = |reference: usize| {
        move |_: usize| Ok(Sample { input: activation(block.input, 1), reference: vec![1.0; reference] })
    };
    let refused = |layers: &[&str], weights: &[Vec<f32>], reference: usize, part: &str| {
        let layers = layers.iter().map(|name| (*name).to_owned()).collect();
        let mut objective = BlockLoss::new(&*stage, layers, 1, sample(reference));
        for error in [
            objective.slope(0, weights, Target::Zero).err().map(|e| e.to_string()),
            objective.loss(0, weights, Target::Zero).err().map(|e| e.to_string()),
        ] {
            assert!(error.as_ref().is_some_and(|error| error.contains(part)), "{error:?} does not say {part}");
        }
    };
    let right = vec![vec![0.5; 64 * 16]];
    refused(&["h.0.mlp.c_fc"], &[], 144, "0 weights for 1 layers");
    refused(&["h.0.mlp.fc_c"], &right, 144, "h.0.mlp.fc_c");
    refused(&["h.0.mlp.c_fc"], &[vec![0.5; 64]], 144, "[16, 64]");
    refused(&["h.0.mlp.c_fc"], &right, 143, "reference output");
    Ok(())
}

/// Reproducible values in about -1..1.
fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    (0..count).map(|_| (next() >> 40) as f32 / 8_388_608.0 - 1.0).collect()
}
