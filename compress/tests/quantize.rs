//! Clipped scales and smoothing factors against recorded runs of the published codes.

use crate::support::{Pack, case, near, oracle};
use interplay_compress::formats::{Format, Quantized, Scales};
use interplay_compress::{quantize, smooth};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    let layers = ["layer_a", "layer_b", "layer_c"].into_iter().flat_map(|file| {
        let nearest = oracle("quantize::nearest", file, |pack| nearest(&pack));
        [nearest, oracle("quantize::clip_by_weights", file, |pack| clip_by_weights(&pack))]
    });
    let blocks = ["block_a", "block_b", "block_c"].into_iter().flat_map(|file| {
        [
            oracle("smooth::smoothquant", file, |pack| smoothquant(&pack)),
            oracle("quantize::awq", file, |pack| awq(&pack)),
        ]
    });
    let own = [
        case("quantize::clips_any_format", clips_any_format),
        case("quantize::rounds_groups_as_awq", rounds_groups_as_awq),
    ];
    layers.chain(blocks).chain(own).collect()
}

fn format(name: &str) -> &'static Format {
    Format::by_name(name).expect("a format")
}

#[track_caller]
fn same_grid(got: &Quantized, pack: &Pack, variant: &str) {
    let Scales::Affine(scales, zeros) = got.scales() else { panic!("{variant}: no zero points") };
    assert_eq!(scales, &pack.floats(&format!("{variant}.scale")), "{variant}: scales");
    let zeros: Vec<f32> = zeros.iter().map(|&z| f32::from(z)).collect();
    assert_eq!(zeros, pack.floats(&format!("{variant}.zero")), "{variant}: zero points");
}

fn nearest(pack: &Pack) {
    let (w, k) = (pack.floats("W"), pack.shape("W")[1]);
    for (variant, name) in [("rtn.w4", "int4-asym"), ("rtn.w3", "int3-asym"), ("rtn.w4_sym", "gptq-int4")] {
        same_grid(&format(name).quantize(&w, k).expect("finite"), pack, variant);
    }
    let rounded = format("int4-asym").quantize(&w, k).expect("finite").dequantize();
    assert_eq!(rounded, pack.floats("rtn.w4.W"));
}

fn clip_by_weights(pack: &Pack) {
    let (w, k) = (pack.floats("W"), pack.shape("W")[1]);
    let grids = quantize::clip_by_weights(format("int4-asym"), &w, k).expect("finite");
    same_grid(&grids.quantize(&w).expect("finite"), pack, "rtn.w4_mse");
}

/// The factors are recorded as quotients of two norm weights, one rounding more.
fn smoothquant(pack: &Pack) {
    let alpha = pack.meta()["variants"]["smoothquant"]["hyper"]["alpha"].as_f64().expect("a number") as f32;
    for (group, norm, linears) in [
        ("attn", "input_layernorm", &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"][..]),
        ("mlp", "post_attention_layernorm", &["mlp.gate_proj", "mlp.up_proj"]),
    ] {
        let weights: Vec<Vec<f32>> = linears.iter().map(|l| pack.floats(&format!("w.{l}"))).collect();
        let weights: Vec<&[f32]> = weights.iter().map(Vec::as_slice).collect();
        let maxima = pack.floats(&format!("smoothquant.act_max.{group}"));
        let factors = smooth::smoothquant(&maxima, &weights, alpha).expect("rows of one length");
        // Two powers, a quotient and the recorded rounding: some 4 units in the last place.
        near(&factors, &pack.floats(&format!("smoothquant.scale.{group}")), 4.0 * f32::EPSILON, group);
        let mut values = pack.floats(&format!("w.{norm}"));
        smooth::divide(&mut values, &factors).expect("one factor a value");
        near(&values, &pack.floats(&format!("smoothquant.w.{norm}")), 4.0 * f32::EPSILON, norm);
    }
}

/// The first step of AWQ, which needs no attention: factors of the norm before q, k and v, the rounded q, and the clips of v.
fn awq(pack: &Pack) {
    let meta = pack.meta();
    let awq = &meta["variants"]["awq"]["hyper"];
    let k = pack.shape("x")[2];
    let inputs = normalised(&pack.floats("x"), &pack.floats("w.input_layernorm"));
    let tokens = inputs.len() / k;
    let sum = |j: usize| inputs.chunks_exact(k).map(|row| f64::from(row[j].abs())).sum::<f64>();
    let means: Vec<f64> = (0..k).map(|j| sum(j) / tokens as f64).collect();
    let ratio = awq["scale_steps"][0]["best_ratio"].as_f64().expect("a ratio");
    let factors = smooth::awq_candidate(&means, (ratio * 20.0).round() as usize);
    // FP32 means of the published code against FP64 ones, and powers.
    let recorded = pack.floats("awq.scale.0");
    near(&factors, &recorded, 1e-6, "awq.scale.0");
    // The zero point of a group that is clipped on both sides hangs on the last bit of its weights (README of the vectors).
    let factors = recorded;

    let scaled: Vec<f32> = inputs.iter().enumerate().map(|(i, x)| x / factors[i % k]).collect();
    let mut w = pack.floats("w.self_attn.v_proj");
    smooth::multiply_columns(&mut w, &factors).expect("rows of one length");
    let steps = awq["scale_steps"].as_array().expect("steps");
    if let Some(step) = steps.iter().position(|step| step["prev"] == "self_attn.v_proj") {
        smooth::divide_rows(&mut w, k, &pack.floats(&format!("awq.scale.{step}"))).expect("one factor a row");
    }
    let (bits, group) = (awq["w_bit"].as_u64().expect("a number"), awq["q_group_size"].as_u64().expect("a number"));
    let format = format(&format!("int{bits}-asym-g{group}"));
    let mut query = pack.floats("w.self_attn.q_proj");
    smooth::multiply_columns(&mut query, &factors).expect("rows of one length");
    let query = quantize::awq(format, &query, k).expect("finite").dequantize();
    near(&query, &pack.floats("awq.wq.self_attn.q_proj"), 2e-6, "awq.wq.self_attn.q_proj");
    let sampled = awq["clip_n_sample_token"].as_u64().expect("a number") as usize;
    let stride = (tokens / sampled).max(1);
    let samples: Vec<f32> = scaled.chunks_exact(k).step_by(stride).flatten().copied().collect();
    let limits = quantize::clip_by_outputs(format, &w, k, &samples).expect("finite");
    near(&limits, &pack.floats("awq.clip.self_attn.v_proj"), 2e-6, "awq.clip.self_attn.v_proj");
}

/// RMSNorm with the vectors' eps.
fn normalised(x: &[f32], weights: &[f32]) -> Vec<f32> {
    let rows = x.chunks_exact(weights.len());
    let normalise = |row: &[f32]| {
        let mean = row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>() / row.len() as f64;
        let factor = (mean + 1e-6).sqrt().recip();
        row.iter().zip(weights).map(|(v, w)| (f64::from(*v) * factor) as f32 * w).collect::<Vec<f32>>()
    };
    rows.flat_map(normalise).collect()
}

/// Every format finds limits, none of which makes more error than no clipping does.
fn clips_any_format() {
    let mut random = crate::support::Random(3);
    let (rows, k, tokens) = (40, 96, 50);
    let w = random.normals(rows * k);
    let x = random.normals(tokens * k);
    for format in Format::all() {
        let limits = quantize::clip_by_outputs(format, &w, k, &x).expect("finite");
        let mut clipped = w.clone();
        quantize::clip(format, &mut clipped, k, &limits).expect("one limit a block");
        quantize::clip_by_weights(format, &w, k).expect("finite").quantize(&w).expect("finite");
        let largest = crate::support::largest(&w);
        assert!(limits.iter().all(|l| (0.0..=largest).contains(l)), "{}", format.name);
    }
}

/// AWQ's formula on one group, each operation rounded to FP32.
fn awq_group(w: &[f32], bits: u32) -> Vec<f32> {
    let most = ((1 << bits) - 1) as f32;
    let (lo, hi) = w.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), &v| (lo.min(v), hi.max(v)));
    let scale = (hi - lo).max(1e-5) / most;
    let zero = (-(lo / scale).round_ties_even()).clamp(0.0, most);
    w.iter().map(|v| (((v / scale).round_ties_even() + zero).clamp(0.0, most) - zero) * scale).collect()
}

/// Groups on both sides of zero, on one of them, constant ones, ones shorter than AWQ's least span, and their limits.
fn rounds_groups_as_awq() {
    let (k, group) = (64, 16);
    let mut random = crate::support::Random(11);
    let mut w = random.normals(96 * k);
    for (at, v) in w.iter_mut().enumerate() {
        *v = match at / group % 8 {
            0 => v.abs() + 0.25,
            1 => -v.abs() - 0.25,
            2 => 0.5,
            3 => -0.5,
            4 => v.abs() * 1e-7 + 0.125,
            5 => v.abs() * -1e-6,
            _ => *v,
        };
    }
    for bits in [3, 4] {
        let format = format(&format!("int{bits}-asym-g{group}"));
        let want: Vec<f32> = w.chunks(group).flat_map(|group| awq_group(group, bits)).collect();
        let got = quantize::awq(format, &w, k).expect("finite").dequantize();
        assert_eq!(got, want, "{bits} bits");
        assert_ne!(format.quantize(&w, k).expect("finite").dequantize(), want, "GPTQ's grids hold zero");
    }
    let format = format("int3-asym-g16");
    let x = random.normals(40 * k);
    let limits = quantize::clip_by_outputs(format, &w, k, &x).expect("finite");
    for (block, (&limit, w)) in limits.iter().zip(w.chunks(group)).enumerate() {
        let error = |level: usize| {
            let limit = w.iter().fold(0.0f32, |m, v| m.max(v.abs())) * (1.0 - level as f64 / 20.0) as f32;
            let held: Vec<f32> = w.iter().map(|v| v.clamp(-limit, limit)).collect();
            let moved: Vec<f32> = awq_group(&held, 3).iter().zip(w).map(|(q, w)| q - w).collect();
            let inputs = x.chunks(k).map(|x| &x[block % (k / group) * group..][..group]);
            let outputs = inputs.map(|x| x.iter().zip(&moved).map(|(x, w)| f64::from(x * w)).sum::<f64>());
            (limit, outputs.map(|y| y * y).sum::<f64>())
        };
        let errors: Vec<(f32, f64)> = (0..10).map(error).collect();
        let least = errors.iter().fold(f64::INFINITY, |m, e| m.min(e.1));
        let chosen = errors.iter().find(|e| e.0 == limit).expect("one of ten limits").1;
        assert!(chosen <= least * (1.0 + 1e-4), "block {block}: {chosen:e}, not {least:e}");
    }
}
