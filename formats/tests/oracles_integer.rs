//! vectors/blocks: HBFP and integers.

use crate::oracles::format;
use crate::support::{Pack, codes, same_bits};
use interplay_formats::{Error, Quantized, Scales};

/// Blocks of 64 that are all finite; the others must be refused.
fn finite_blocks(x: &[f32]) -> impl Iterator<Item = (usize, &[f32])> {
    x.chunks(64).enumerate().filter(|(_, block)| block.iter().all(|v| v.is_finite()))
}

/// The exact integer rule, and HBFPEmulator's with its logarithm.
pub fn hbfp(pack: &Pack) {
    let x = pack.floats("x");
    let (exact, compat) = (pack.get("exact/exponent"), pack.get("compat/exponent"));
    assert!(pack.get("compat/log2_flag").iter().all(|flag| *flag == 0), "FP32 log2, rounded to nearest");
    for name in ["hbfp8", "hbfp6", "hbfp4"] {
        let mantissa = pack.get(&format!("exact/{name}/mantissa"));
        let flag = pack.get(&format!("compat/{name}/flag"));
        let dequant = pack.floats(&format!("compat/{name}/dequant"));
        let like_it = format(&format!("compat-{name}"));
        let mut compared = 0;
        for (b, block) in finite_blocks(&x) {
            let q = format(name).quantize(block, 64).expect("finite");
            let zero = block.iter().all(|v| *v == 0.0);
            let want = if zero { 0 } else { exact[b] as i16 };
            assert_eq!(q.scales(), &Scales::Exponent(vec![want]), "{name} block {b}");
            assert_eq!(codes(&q), mantissa[b * 64..][..64], "{name} block {b}");

            let q = like_it.quantize(block, 64).expect("finite");
            assert_eq!(q.scales(), &Scales::Exponent(vec![compat[b] as i16]), "compat-{name} block {b}");
            assert_eq!(flag[b], 0, "the pack marks no finite block");
            assert_eq!(q.dequantize(), dequant[b * 64..][..64], "compat-{name} block {b}: +0 equals -0");
            compared += 1;
        }
        assert_eq!(compared, x.len() / 64 - refused(name, &x), "{name}");
    }
}

/// How many blocks hold NaN or an infinity: each must be refused, by both ways in.
fn refused(name: &str, x: &[f32]) -> usize {
    let bad = x.chunks(64).filter(|block| block.iter().any(|v| !v.is_finite()));
    let refuse = |block: &[f32]| {
        assert!(matches!(format(name).quantize(block, 64), Err(Error::NonFinite { .. })));
        assert!(matches!(format(name).quantize_any(block, 64, 0), Err(Error::NonFinite { .. })));
    };
    bad.map(refuse).count()
}

/// Scales, zero points, codes and values of every integer scheme.
pub fn int(pack: &Pack) {
    let w = pack.floats("w");
    for (name, scheme) in [("int8", "absmax_int8_row"), ("int4", "absmax_int4_row")] {
        let q = format(name).quantize(&w, 64).expect("finite");
        let Scales::Float32(scales) = q.scales() else { panic!("{name}: FP32 factors") };
        same_bits(scales, &pack.floats(&format!("{scheme}/scale")), name);
        assert_eq!(codes(&q), pack.get(&format!("{scheme}/codes")), "{name}");
    }
    let by_rows =
        [("interplay-int8", "interplay_int8_row"), ("int4-asym", "gptq_w4_asym_row"), ("gptq-int4", "gptq_w4_sym_row")];
    for (name, scheme) in by_rows {
        grid(pack, &format(name).quantize(&w, 64).expect("finite"), scheme);
    }
    for group in [0, 1] {
        let part: Vec<f32> = w.chunks(64).flat_map(|row| &row[32 * group..][..32]).copied().collect();
        let q = format("int4-asym-g32").quantize(&part, 32).expect("finite");
        grid(pack, &q, &format!("gptq_w4_asym_group32_{group}"));
    }
    // Two groups in one row are the two columns of groups.
    let both = format("int4-asym-g32").quantize(&w, 64).expect("finite");
    let Scales::Affine(factors, _) = both.scales() else { panic!("factors and zero points") };
    let column = |group| pack.floats(&format!("gptq_w4_asym_group32_{group}/scale"));
    let pairs = column(0).into_iter().zip(column(1)).flat_map(|(a, b)| [a, b]);
    same_bits(factors, &pairs.collect::<Vec<f32>>(), "groups side by side");
    features(pack, &w);
}

/// A column an input feature, over the rows of each tensor.
fn features(pack: &Pack, w: &[f32]) {
    let scheme = "interplay_int8_feature";
    let column = |what: &str| pack.get(&format!("{scheme}/{what}"));
    let (scale, zero, code, dequant) = (column("scale"), column("zero"), column("codes"), column("dequant"));
    for (tensor, w) in w.chunks(16 * 64).enumerate() {
        let q = format("interplay-int8").for_activations().quantize(w, 64).expect("finite");
        let Scales::Affine(factors, zeros) = q.scales() else { panic!("{scheme}: factors and zero points") };
        let bits: Vec<u64> = factors.iter().map(|f| u64::from(f.to_bits())).collect();
        assert_eq!(bits, scale[tensor * 64..][..64], "{scheme} {tensor}: scales");
        assert!(zeros.iter().map(|z| u64::from(*z)).eq(zero[tensor * 64..][..64].iter().copied()), "{scheme}: zeros");
        assert_eq!(codes(&q), code[tensor * 1024..][..1024], "{scheme} {tensor}: codes");
        let values: Vec<u64> = q.dequantize().iter().map(|v| u64::from(v.to_bits())).collect();
        assert_eq!(values, dequant[tensor * 1024..][..1024], "{scheme} {tensor}: values");
    }
}

fn grid(pack: &Pack, q: &Quantized, scheme: &str) {
    let Scales::Affine(factors, zeros) = q.scales() else { panic!("{scheme}: factors and zero points") };
    same_bits(factors, &pack.floats(&format!("{scheme}/scale")), scheme);
    assert!(zeros.iter().map(|z| u64::from(*z)).eq(pack.get(&format!("{scheme}/zero"))), "{scheme}: zeros");
    assert_eq!(codes(q), pack.get(&format!("{scheme}/codes")), "{scheme}: codes");
    same_bits(&q.dequantize(), &pack.floats(&format!("{scheme}/dequant")), scheme);
}
