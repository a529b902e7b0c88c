//! What the CPU makes of a matrix, as the device stores it.

use interplay_formats::{Error, Format, Scales};

/// A matrix in a format, in words.
#[derive(Debug, PartialEq, Eq)]
pub struct Matrix {
    pub codes: Vec<u32>,
    pub elements: Vec<u32>,
    pub scales: Vec<u32>,
    pub zeros: Vec<u32>,
    pub tensor_scale: Option<u32>,
    pub values: Vec<u32>,
}

/// One NaN for all.
pub fn canonical(v: f32) -> u32 {
    if v.is_nan() { 0x7FC0_0000 } else { v.to_bits() }
}

/// What the CPU makes of it, with NaN and infinities as the record says.
pub fn expected(format: &'static Format, x: &[f32], k: usize, seed: u64) -> Result<Matrix, Error> {
    let q = format.quantize_any(x, k, seed)?;
    let (rows, padded) = (q.rows(), q.k_padded());
    let values: Vec<u32> = q.dequantize().into_iter().map(canonical).collect();
    let codes: Vec<u32> = (0..rows * padded).map(|i| q.codes().get(i) as u32).collect();
    let (mut scales, mut zeros) = (Vec::new(), Vec::new());
    match q.scales() {
        Scales::None => {}
        Scales::E8M0(stored) => {
            let exponents = q.block_exponents().unwrap_or_default();
            let word = |(&code, e): (&u8, i32)| if code == 255 { 0x8000_0000 } else { e as u32 };
            scales = stored.iter().zip(exponents).map(word).collect();
        }
        Scales::Exponent(_) => scales = q.block_exponents().unwrap_or_default().iter().map(|&e| e as u32).collect(),
        Scales::Micro(words) => scales.clone_from(words),
        Scales::Float32(factors) => scales = factors.iter().map(|&v| canonical(v)).collect(),
        Scales::Affine(factors, all) => {
            scales = factors.iter().map(|&v| canonical(v)).collect();
            zeros = all.iter().map(|&zero| u32::from(zero)).collect();
        }
        Scales::Code(codes) => scales = codes.iter().map(|&code| u32::from(code)).collect(),
        other => unreachable!("scales that this test does not know: {other:?}"),
    }
    let (block_rows, block) = (format.block_rows(rows), format.block_len(k));
    let element = |i: usize| {
        let (row, column) = (i / padded, i % padded);
        if column >= k {
            return 0;
        }
        let at = row / block_rows * padded.div_ceil(block) + column / block;
        let zero = zeros.get(at).copied().unwrap_or(0);
        if zeros.is_empty() {
            canonical(format.element.decode(q.codes().get(i)).to_f32())
        } else {
            canonical((codes[i] as i32 - zero as i32) as f32)
        }
    };
    let elements = (0..rows * padded).map(element).collect();
    Ok(Matrix { elements, codes, scales, zeros, tensor_scale: q.tensor_scale().map(f32::to_bits), values })
}

/// Where two lists of words first differ.
pub fn difference(what: &str, got: &[u32], want: &[u32]) -> Result<(), String> {
    if got.len() != want.len() {
        return Err(format!("{} {what}, not {}", got.len(), want.len()));
    }
    match got.iter().zip(want).position(|(got, want)| got != want) {
        None => Ok(()),
        Some(i) => Err(format!("{what} {i} is {:#010x}, not {:#010x}", got[i], want[i])),
    }
}

/// Values for which formats differ: of every magnitude, of few, with ties, zeros, extremes and, where asked, specials.
pub fn inputs(rows: usize, k: usize, special: bool) -> Vec<Vec<f32>> {
    let mut state = 0x9E37_79B9u32;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    let count = rows * k;
    let finite = |bits: u32| f32::from_bits(if bits & 0x7F80_0000 == 0x7F80_0000 { bits ^ 0x4000_0000 } else { bits });
    let any: Vec<f32> = (0..count).map(|_| finite(next())).collect();
    // Around one, as weights and activations are.
    let usual: Vec<f32> = (0..count).map(|_| (next() as i32 as f32) * 2.0f32.powi(-30)).collect();
    // Each row within a few powers of two of its own, ties and exact powers among them.
    let scaled: Vec<f32> = (0..count)
        .map(|i| {
            let field = [1u32, 2, 60, 100, 126, 127, 128, 150, 200, 252, 254][i / k.max(1) % 11];
            let down = next() % 6;
            let fraction = [0, 1, 0x7F_FFFF, 0x40_0000, 0x60_0000, next() & 0x7F_FFFF][next() as usize % 6];
            let sign = next() & 0x8000_0000;
            f32::from_bits(sign | (field.saturating_sub(down) << 23) | fraction)
        })
        .collect();
    // Subnormal numbers and zeros of both signs, and rows of nothing else.
    let small: Vec<f32> = (0..count)
        .map(|i| match (i / k.max(1)) % 3 {
            0 => 0.0,
            1 => f32::from_bits((next() & 0x8000_0000) | ((next() & 0x7F_FFFF) >> (next() % 23))),
            _ => [0.0, -0.0, f32::MAX, -f32::MAX, f32::MIN_POSITIVE][next() as usize % 5],
        })
        .collect();
    let positive: Vec<f32> = usual.iter().map(|v| v.abs()).collect();
    let mut all = vec![any, usual.clone(), scaled, small, positive];
    if special {
        let mut nan = usual.clone();
        nan[count / 2] = f32::NAN;
        let mut infinite = usual;
        infinite[count / 3] = f32::NEG_INFINITY;
        infinite[0] = f32::INFINITY;
        all.extend([nan, infinite]);
    }
    all
}

/// Every format of the catalogue, for weights and for activations, and records that it lacks.
pub fn formats() -> Vec<&'static Format> {
    let mut all: Vec<&'static Format> = Format::all().iter().collect();
    all.extend(Format::all().iter().map(Format::for_activations));
    let names = [
        "mxfp8@ceil",
        "mxfp4@even",
        "mxint8@even",
        "mxfp4@rceil",
        "mxfp6@rceil",
        "mxint8@floor-log2",
        "mxfp8@floor-log2",
        "mxfp8@stochastic-8",
        "hbfp8@stochastic-8",
        "int8@stochastic-16",
        "int4-asym@up",
        "e5m2@infinity",
        "e4m3@nan",
        "fp16@stochastic-32",
        "hbfp8@to-odd",
        "nvfp4@stochastic-4",
        "nvfp4-torchao@down",
        "fixed8.4",
        "u5@wrap",
        "s7@wrap@down",
        "fp32@saturate",
        "bf16@nearest-away",
        "mxfp8-e5m2@infinity",
        "int6-g24",
        "hbfp5-b12-e4",
        "mx9@stochastic-16",
        "mxfp8@nan",
    ];
    all.extend(names.iter().map(|name| Format::by_name(name).unwrap_or_else(|e| panic!("{name}: {e}"))));
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|format| seen.insert(format.name));
    all
}
