//! The recorded pipelines of whole models: every mask, the statistics, the weights that errors were moved to, the last logits.

use std::path::Path;
use std::sync::Arc;

use interplay::burn::Activation;
use interplay::compression::Compressed;
use interplay::formats::Format;
use interplay::models::Checkpoint;
use interplay::session::Session;
use libtest_mimic::{Failed, Trial};

use super::model::{Plain, Recorded, Seen, compressed, logits, near, options};
use crate::oracles;

const FILE: &str = "vectors/methods/e2e_a.safetensors";

/// Each recorded variant and its recipe.
const VARIANTS: [(&str, &str); 8] = [
    ("wanda.row50", "wanda(50%-row)"),
    ("wanda.2of4", "wanda(2:4)"),
    ("ria.matrix50", "ria(50%-matrix, selection=threshold)"),
    ("ria.row50", "ria(50%-row)"),
    ("sparsegpt.50", "sparsegpt(50%-cols128, selection=threshold)"),
    ("sparsegpt.2of4", "sparsegpt(2:4)"),
    (PQP, "gptq(int4-asym), pqp-metric(50%-row)"),
    (JSQ, "jsq(50%-row), forward, smoothquant(0.5, maxima=last), rtn(int8), activations(int8)"),
];

const PQP: &str = "pqp.metric_gptq4_row50";
const JSQ: &str = "jsq.row50_w8a8";

/// The logits' distance, by their largest magnitude. Both sides compute in FP32: the recorded dense logits differ by 2e-6 from those of
/// another library, and a block's reconstruction moves weights by as little.
const LOGITS: f32 = 3e-6;

/// Reconstructed weights: an independent implementation in FP64 is 3e-6 away from the recorded ones in larger layers; these are near.
const WEIGHTS: f32 = 2e-6;

/// Sums of squares in FP64 of inputs that differ as FP32 does behind one block.
const SUMS: f32 = 1e-6;

pub fn cases() -> Vec<Trial> {
    let variants = VARIANTS.into_iter().map(|(name, recipe)| {
        oracles::case(&format!("compression::e2e_{name}"), FILE, move |path| follow(path, name, recipe))
    });
    let statistics = oracles::case("compression::e2e_statistics", FILE, statistics);
    variants.chain([statistics]).collect()
}

struct Run {
    recorded: Arc<Recorded>,
    model: Arc<dyn Checkpoint>,
    compressed: Compressed,
    seen: Seen,
}

fn run(path: &Path, recipe: &str) -> Result<Run, Failed> {
    let recorded = Arc::new(Recorded::open(path)?);
    let model = recorded.model()?;
    let ids = recorded.file.integers("calib_ids")?;
    let length = recorded.file.shape("calib_ids")?[1];
    let sequences = ids.chunks(length).map(<[i64]>::to_vec).collect();
    let (compressed, seen) = compressed(&*model, sequences, &options(recipe)?)?;
    Ok(Run { recorded, model, compressed, seen })
}

fn follow(path: &Path, variant: &str, recipe: &str) -> Result<(), Failed> {
    let Run { recorded, model, compressed, .. } = run(path, recipe)?;
    let file = &recorded.file;
    let mut masks = 0;
    for (name, layer) in &compressed.layers {
        let pruned = file.octets(&format!("{variant}.pruned.{}", name.trim_start_matches("layers.")))?;
        // Of a weight that is zero because its grid says so, the recorded run says that it is pruned.
        let gone: Vec<u8> = match &layer.mask {
            Some(mask) if variant != PQP => mask.kept().iter().map(|kept| u8::from(!kept)).collect(),
            _ => layer.values.iter().map(|w| u8::from(*w == 0.0)).collect(),
        };
        let differ = gone.iter().zip(pruned).filter(|(a, b)| a != b).count();
        assert_eq!((gone.len(), differ), (pruned.len(), 0), "{name}: {differ} positions of the mask differ");
        masks += 1;
    }
    assert_eq!(masks, 14);
    if variant == "sparsegpt.50" {
        for (name, layer) in compressed.layers.iter().filter(|(name, _)| name.starts_with("layers.1.")) {
            let want = file.floats(&format!("{variant}.w.{}", name.trim_start_matches("layers.")))?;
            near(&layer.values, &want, WEIGHTS, name);
        }
    }
    if variant == JSQ {
        assert_eq!(compressed.vectors.len(), 4);
        for (path, gain) in &compressed.vectors {
            let name = path.trim_start_matches("layers.").trim_end_matches(".gamma");
            near(gain, &file.floats(&format!("{variant}.w.{name}"))?, LOGITS, path);
        }
    }
    let ids = file.integers("eval_ids")?;
    let want = file.floats(&format!("{variant}.logits"))?;
    let last = |all: &[f32]| all[all.len() - want.len()..].to_vec();
    let checkpoint = compressed.checkpoint(model.clone());
    if variant == JSQ {
        // A plan says nothing of outputs, and the recorded run rounds those of queries, keys and values.
        near(&last(&w8a8(&compressed, &*checkpoint, &ids)?), &want, LOGITS, "logits");
        return Ok(());
    }
    let mut session = Session::new(checkpoint, compressed.plan(Format::fp32(), None))?;
    near(&last(&logits(&mut session, &ids)?), &want, LOGITS, "logits");
    Ok(())
}

/// The logits of the W8A8 model with queries, keys and values rounded too.
fn w8a8(compressed: &Compressed, checkpoint: &dyn Checkpoint, ids: &[i64]) -> Result<Vec<f32>, Failed> {
    let mut plain = Plain::new(compressed, Format::by_name("int8")?);
    let mut stream = checkpoint.stage(0)?.forward(Activation::ids(ids, ids.len()));
    for block in 0..checkpoint.stages() - 2 {
        stream = plain.run(checkpoint, block, stream)?;
    }
    let head = checkpoint.stage(checkpoint.stages() - 1)?;
    Ok(head.forward(stream.into_all_rows()).into_values()?)
}

/// What Wanda saw of every input: of the dense block, on what passed the compressed ones.
fn statistics(path: &Path) -> Result<(), Failed> {
    let Run { recorded, seen, .. } = run(path, "wanda(50%-row)")?;
    assert_eq!(seen.len(), 14);
    for (name, statistics) in seen {
        let want = recorded.file.floats(&format!("wanda.row50.scaler_row.{}", name.trim_start_matches("layers.")))?;
        let squares: Vec<f32> = statistics.norms().iter().map(|norm| (norm * norm) as f32).collect();
        near(&squares, &want, SUMS, &name);
    }
    Ok(())
}
