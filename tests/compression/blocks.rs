//! One recorded LLaMA block each: SmoothQuant and W8A8, AWQ's scales and clip levels, the whole step of JSQ.

use std::path::Path;
use std::sync::Arc;

use interplay::burn::{Activation, Host};
use interplay::compress::quantize;
use interplay::compression::{Compressed, Options};
use interplay::formats::Format;
use interplay::load::SafeTensors;
use interplay::models::Checkpoint;
use interplay::session::Session;
use libtest_mimic::{Failed, Trial};

use super::model::{Plain, Recorded, Seen, compressed, near, options};
use crate::oracles;

const FILES: [(&str, &str); 3] = [
    ("block_a", "vectors/methods/block_a.safetensors"),
    ("block_b", "vectors/methods/block_b.safetensors"),
    ("block_c", "vectors/methods/block_c.safetensors"),
];

/// Maxima and factors are a few FP32 operations of numbers that agree to as little as one matrix product does.
const FACTORS: f32 = 3e-6;
/// A block's outputs in FP32; of activations of 8 bits too, but for a value on a boundary.
const OUTPUTS: f32 = 4e-6;
/// One step of 127 in one of 64 inputs of a layer, times weights that are several times their mean.
const OUTPUT_OF_A_STEP: f32 = 2e-2;
/// The same where a few groups of 3 or 4 bits have their zero point, or their limit, one step beside; the weights are held to more.
const OUTPUT_OF_LIMITS: f32 = 5e-2;
/// Inputs of every block.
const WIDTH: usize = 64;

pub fn cases() -> Vec<Trial> {
    let mut cases = Vec::new();
    for (name, file) in FILES {
        let mut case = |method: &str, run: fn(&Path) -> Result<(), Failed>| {
            cases.push(oracles::case(&format!("compression::{method}_{name}"), file, run));
        };
        case("smoothquant", smoothquant);
        case("awq", awq);
        case("jsq", jsq);
    }
    cases
}

struct Run {
    recorded: Arc<Recorded>,
    model: Arc<dyn Checkpoint>,
    compressed: Compressed,
    seen: Seen,
}

impl Run {
    fn new(path: &Path, recipe: &str) -> Result<Self, Failed> {
        Self::on(path, recipe, Host::default())
    }

    fn on(path: &Path, recipe: &str, host: Host) -> Result<Self, Failed> {
        let recorded = Arc::new(Recorded::open(path)?);
        let model = recorded.block()?;
        let (compressed, seen) =
            compressed(&*model, recorded.block_sequences(), &Options { host, ..options(recipe)? })?;
        Ok(Self { recorded, model, compressed, seen })
    }

    fn file(&self) -> &SafeTensors {
        &self.recorded.file
    }

    /// The gains of both norms are the recorded ones of `method`.
    fn check_norms(&self, method: &str) -> Result<(), Failed> {
        assert_eq!(self.compressed.vectors.len(), 2);
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            near(self.gain(norm), &self.file().floats(&format!("{method}.w.{norm}"))?, FACTORS, norm);
        }
        Ok(())
    }

    fn gain(&self, norm: &str) -> &[f32] {
        &self.compressed.vectors[&format!("layers.0.{norm}.gamma")]
    }

    /// The same with the layers of `names` clipped at the recorded limits and rounded anew.
    fn limited(&self, format: &'static Format, names: &[serde_json::Value]) -> Result<Self, Failed> {
        let mut layers = self.compressed.layers.clone();
        for name in names.iter().filter_map(|name| name.as_str()) {
            let layer = layers.get_mut(&format!("layers.0.{name}")).map(Arc::make_mut).ok_or("no such layer")?;
            let mut clipped = layer.original.clone();
            quantize::clip(format, &mut clipped, layer.k, &self.file().floats(&format!("awq.clip.{name}"))?)?;
            layer.set_quantized(quantize::awq(format, &clipped, layer.k)?);
        }
        let compressed = Compressed { layers, ..self.compressed.clone() };
        let (recorded, model) = (Arc::clone(&self.recorded), Arc::clone(&self.model));
        Ok(Self { recorded, model, compressed, seen: Seen::default() })
    }

    /// The last positions of each sequence, as many as are recorded, of what `block` makes of it.
    fn last(&self, mut block: impl FnMut(Activation) -> Result<Activation, Failed>) -> Result<Vec<f32>, Failed> {
        let recorded = self.file().shape("dense.out")?;
        let mut last = Vec::new();
        for ids in self.recorded.block_sequences() {
            let stream = self.model.stage(0)?.forward(Activation::ids(&ids, ids.len()));
            let values = block(stream)?.into_values()?;
            last.extend_from_slice(&values[values.len() - recorded[1] * recorded[2]..]);
        }
        Ok(last)
    }

    /// The block under the plan of a session.
    fn output(&self) -> Result<Vec<f32>, Failed> {
        let plan = self.compressed.plan(Format::fp32(), None);
        let mut session = Session::new(self.compressed.checkpoint(self.model.clone()), plan)?;
        self.last(|stream| Ok(session.run(1, stream)?))
    }

    /// The W8A8 block with queries, keys and values rounded too, of which a plan says nothing.
    fn w8a8(&self) -> Result<Vec<f32>, Failed> {
        let checkpoint = self.compressed.checkpoint(self.model.clone());
        let mut plain = Plain::new(&self.compressed, Format::by_name("int8")?);
        self.last(|stream| plain.run(&*checkpoint, 0, stream))
    }
}

fn smoothquant(path: &Path) -> Result<(), Failed> {
    let meta = Recorded::open(path)?.meta;
    let alpha = &meta["variants"]["smoothquant"]["hyper"]["alpha"];
    let smoothed = Run::new(path, &format!("smoothquant({alpha})"))?;
    let file = smoothed.file();
    for (part, linear) in [("attn", "self_attn.k_proj"), ("mlp", "mlp.up_proj")] {
        let maxima = &smoothed.seen[&format!("layers.0.{linear}")].maxima;
        near(maxima, &file.floats(&format!("smoothquant.act_max.{part}"))?, FACTORS, part);
    }
    for (part, norm) in [("attn", "input_layernorm"), ("mlp", "post_attention_layernorm")] {
        let before = file.floats(&format!("w.{norm}"))?;
        let scales: Vec<f32> = before.iter().zip(smoothed.gain(norm)).map(|(old, new)| old / new).collect();
        near(&scales, &file.floats(&format!("smoothquant.scale.{part}"))?, FACTORS, part);
    }
    smoothed.check_norms("smoothquant")?;
    near(&smoothed.output()?, &file.floats("smoothquant.out_smoothed")?, OUTPUTS, "smoothed");

    let rounded = Run::new(path, &format!("smoothquant({alpha}), rtn(int8), activations(int8)"))?;
    let q = &rounded.compressed.layers["layers.0.self_attn.q_proj"].values;
    near(q, &file.floats("smoothquant.w8.self_attn.q_proj")?, FACTORS, "q_proj");
    near_steps(&rounded.w8a8()?, &file.floats("smoothquant.out_w8a8")?, "W8A8");
    Ok(())
}

/// All tokens are near but at most one, in which a value on a boundary of the 8 bits fell to the other side.
fn near_steps(got: &[f32], want: &[f32], what: &str) {
    let largest = want.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let off = |(got, want): (&[f32], &[f32])| got.iter().zip(want).map(|(g, w)| (g - w).abs()).fold(0.0, f32::max);
    let mut off: Vec<f32> = got.chunks(WIDTH).zip(want.chunks(WIDTH)).map(off).collect();
    off.sort_by(f32::total_cmp);
    let [.., second, worst] = off[..] else { panic!("{what}: too few tokens") };
    assert!(got.len() == want.len() && second <= OUTPUTS * largest, "{what}: {:e} off", second / largest);
    assert!(worst <= OUTPUT_OF_A_STEP * largest, "{what}: one token is {:e} off", worst / largest);
}

fn jsq(path: &Path) -> Result<(), Failed> {
    let run = Run::new(path, "jsq(50%-row), forward, smoothquant(0.5, maxima=last), rtn(int8), activations(int8)")?;
    let file = run.file();
    for (name, layer) in &run.compressed.layers {
        let pruned = file.octets(&format!("jsq.pruned.{}", name.trim_start_matches("layers.0.")))?;
        let kept = layer.mask.as_ref().ok_or("no mask")?.kept();
        assert!(kept.len() == pruned.len() && kept.iter().zip(pruned).all(|(k, p)| *k == (*p == 0)), "{name}");
    }
    assert_eq!(run.compressed.layers.len(), 7);
    for (part, linear) in [("attn", "self_attn.q_proj"), ("mlp", "mlp.gate_proj")] {
        let maxima = &run.seen[&format!("layers.0.{linear}")].last_maxima;
        near(maxima, &file.floats(&format!("jsq.act_max.{part}"))?, FACTORS, part);
    }
    run.check_norms("jsq")?;
    near_steps(&run.w8a8()?, &file.floats("jsq.out")?, "out");
    Ok(())
}

/// Under Burn's arithmetic, which is as near to the recorded one as to any, and under this project's own.
fn awq(path: &Path) -> Result<(), Failed> {
    [Host::Burn, Host::Fixed].into_iter().try_for_each(|host| awq_on(path, host))
}

fn awq_on(path: &Path, host: Host) -> Result<(), Failed> {
    let recorded = Recorded::open(path)?;
    let hyper = &recorded.meta["variants"]["awq"]["hyper"];
    let (bits, group, samples) = (&hyper["w_bit"], &hyper["q_group_size"], &hyper["clip_n_sample_token"]);
    let format = format!("int{bits}-asym-g{group}");
    let run = Run::on(path, &format!("awq({format}, samples={samples})"), host)?;
    let format = Format::by_name(&format)?;
    let file = run.file();
    let steps = hyper["scale_steps"].as_array().ok_or("no steps")?;
    // Which step scales the inputs of a layer.
    let step_of = |linear: &str| {
        let has =
            |step: &serde_json::Value| step["linears"].as_array().is_some_and(|all| all.iter().any(|l| l == linear));
        steps.iter().position(has)
    };
    for (i, step) in steps.iter().enumerate() {
        let feeder = step["prev"].as_str().ok_or("no feeder")?;
        let before = file.floats(&format!("w.{feeder}"))?;
        let scales: Vec<f32> = if feeder.ends_with("norm") {
            before.iter().zip(run.gain(feeder)).map(|(old, new)| old / new).collect()
        } else {
            // Its columns are scaled by what feeds it, its rows by what it feeds.
            let columns = file.floats(&format!("awq.scale.{}", step_of(feeder).ok_or("no step before")?))?;
            let after = &run.compressed.layers[&format!("layers.0.{feeder}")].original;
            let k = columns.len();
            before.chunks(k).zip(after.chunks(k)).map(|(old, new)| row_scale(old, &columns, new)).collect()
        };
        near(
            &scales,
            &file.floats(&format!("awq.scale.{i}"))?,
            FACTORS,
            &format!("scale {i}, of ratio {}", step["best_ratio"]),
        );
    }
    run.check_norms("awq")?;
    let mut all = (0, 0);
    for linear in hyper["clip_order"].as_array().ok_or("no order")? {
        let name = linear.as_str().ok_or("no name")?;
        let layer = &run.compressed.layers[&format!("layers.0.{name}")];
        let limits = file.floats(&format!("awq.clip.{name}"))?;
        let len = layer.values.len() / limits.len();
        let mut others = 0;
        for (group, limit) in limits.iter().enumerate() {
            let range = group * len..(group + 1) * len;
            let (w, got) = (&layer.original[range.clone()], &layer.values[range]);
            if of_limit(format, w, *limit, got)? > FACTORS {
                others += 1;
                assert!(of_another(format, w, *limit, got)?, "{name}: group {group} has another limit than {limit}");
            }
        }
        all = (all.0 + others, all.1 + limits.len());
        // How many groups are on the edge is a matter of the last places of the sums before them. Ours leave 7 of the 256 groups of one
        // layer there (`mlp.up_proj` of block_c), Burn's at most 5.
        let share = if host == Host::Burn { 50 } else { 32 };
        assert!(others * share <= limits.len(), "{name}: {others} of {} groups have another limit", limits.len());
    }
    assert!(all.0 * 50 <= all.1, "{} of {} groups of the block have another limit", all.0, all.1);
    let q = &run.compressed.layers["layers.0.self_attn.q_proj"].values;
    near(q, &file.floats("awq.wq.self_attn.q_proj")?, FACTORS, "q_proj");
    near(&run.output()?, &file.floats("awq.out")?, OUTPUT_OF_LIMITS, "out");
    // The whole block under the recorded limits, so that no group's choice hides what comes after it.
    let limited = run.limited(format, hyper["clip_order"].as_array().ok_or("no order")?)?;
    for name in ["self_attn.o_proj", "mlp.down_proj"].iter().filter(|name| file.has(&format!("awq.wq.{name}"))) {
        let got = &limited.compressed.layers[&format!("layers.0.{name}")].values;
        near(got, &file.floats(&format!("awq.wq.{name}"))?, FACTORS, name);
    }
    near(&limited.output()?, &file.floats("awq.out")?, OUTPUTS, "out");
    Ok(())
}

/// How far a group is from its weights held to `limit` and rounded, by the limit. A group that is clipped on both sides has its zero point,
/// and its ends, between two steps, where the last places of the limit decide: those that its factors leave open are tried too.
fn of_limit(format: &'static Format, w: &[f32], limit: f32, got: &[f32]) -> Result<f32, Failed> {
    let off = |places: i32| -> Result<f32, Failed> {
        let limit = f32::from_bits(limit.to_bits().wrapping_add_signed(places));
        let held: Vec<f32> = w.iter().map(|v| v.clamp(-limit, limit)).collect();
        let want = quantize::awq(format, &held, w.len())?.dequantize();
        Ok(got.iter().zip(want).map(|(g, w)| (g - w).abs()).fold(0.0, f32::max) / limit)
    };
    (-32..=32).try_fold(f32::INFINITY, |least, places| Ok(least.min(off(places)?)))
}

/// Whether a group follows another of the ten limits, and one of the two clips both of its sides: the error of such a limit, and so which
/// limit has the least, hangs on the same last place. (On the recorded factors every limit is the recorded one: a test of
/// `interplay-compress`.)
fn of_another(format: &'static Format, w: &[f32], limit: f32, got: &[f32]) -> Result<bool, Failed> {
    let ends = w.iter().fold((0.0f32, 0.0f32), |(lo, hi), v| (lo.max(-v), hi.max(*v)));
    let both = |limit: f32| ends.0.min(ends.1) >= limit * (1.0 - FACTORS);
    for level in 0..10 {
        let other = ends.0.max(ends.1) * (1.0 - level as f32 / 20.0);
        if of_limit(format, w, other, got)? <= FACTORS && (both(limit) || both(other)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What divided a row whose columns were multiplied by `columns`, by its largest weight.
fn row_scale(old: &[f32], columns: &[f32], new: &[f32]) -> f32 {
    let at = (0..old.len()).max_by(|&a, &b| old[a].abs().total_cmp(&old[b].abs())).unwrap_or(0);
    old[at] * columns[at] / new[at]
}
