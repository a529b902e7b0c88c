//! What formats do to matrices, by the rules called on the host.

use super::expected::{Matrix, difference, expected, formats, inputs};
use crate::device::trial;
use interplay_formats::{Format, Stream};
use interplay_gpu::format::{
    Factor, Shared, Spec, Summary, TensorScale, block_factor, block_scale, block_scale_to_four, flags, halved, less,
    merged, narrowed, rounded, summary, tensor_scale, with_error,
};
use libtest_mimic::{Failed, Trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("format: rules on matrices, every format", every_format),
        trial("format: scales of magnitudes around every power of two", scales_near_powers),
    ]
}

const NOTHING: Summary = Summary { height: 0, depth: 0 };

fn summed(all: impl Iterator<Item = u32>) -> Summary {
    all.fold(NOTHING, |sum, v| merged(&sum, &summary(v)))
}

/// What the rules make of a matrix, and its flags.
fn apply(format: &'static Format, x: &[f32], k: usize, seed: u64) -> Result<(Matrix, u32), Failed> {
    let spec = Spec::new(format).map_err(|e| e.to_string())?;
    let rows = x.len() / k;
    let input: Vec<u32> = x.iter().map(|v| narrowed(v.to_bits(), spec)).collect();
    let seen = x.iter().zip(&input).fold(0, |all, (v, &n)| all | flags(v.to_bits(), n, spec));
    let all = summed(input.iter().copied().filter(|v| v & 0x7FFF_FFFF < 0x7F80_0000));
    let tensor = match spec.shared {
        Shared::Coded(coded) => tensor_scale(all.height.max(all.depth), coded),
        _ => TensorScale { amax: 0, encode: 0, decode: 0 },
    };
    let (block_rows, block, padded) = (format.block_rows(rows), format.block_len(k), format.padded(k));
    let across = padded / block;
    let of_block = |at: usize| {
        let (row, column) = (at / across * block_rows, at % across * block);
        let rows = row..(row + block_rows).min(rows);
        let input = &input;
        rows.flat_map(move |r| (column..(column + block).min(k)).map(move |c| input[r * k + c]))
    };
    let scaled = format.scaling.is_some();
    let factors: Vec<Factor> = (0..if scaled { rows.div_ceil(block_rows) * across } else { 0 })
        .map(|at| {
            let sum = summed(of_block(at));
            let mut factor = block_factor(&sum, &tensor, spec);
            match spec.shared {
                Shared::Micro { run, .. } => {
                    let block: Vec<u32> = of_block(at).collect();
                    for (i, part) in block.chunks(run as usize).enumerate() {
                        let part = summed(part.iter().copied());
                        factor.scale |= halved(part.height.max(part.depth), factor.scale, spec) << (8 + i);
                    }
                }
                Shared::Coded(coded) if coded.compares() => {
                    let amax = sum.height.max(sum.depth);
                    let (six, four) = (block_scale(amax, &tensor, coded), block_scale_to_four(amax, &tensor, coded));
                    let error = |scale| of_block(at).fold(0, |sum, v| with_error(sum, v, scale, &tensor, coded));
                    let better = if less(error(&four), error(&six)) { four } else { six };
                    factor = Factor { scale: better.code, aid: better.by };
                }
                _ => {}
            }
            factor
        })
        .collect();
    let mut out = Matrix {
        codes: vec![0; rows * padded],
        elements: vec![0; rows * padded],
        scales: factors.iter().map(|f| f.scale).collect(),
        zeros: Vec::new(),
        tensor_scale: format.scaling.is_some_and(|s| s.two_level).then_some(tensor.decode),
        values: Vec::new(),
    };
    if let Shared::Affine(_) = spec.shared {
        out.zeros = factors.iter().map(|f| f.aid).collect();
    }
    let stream = Stream::new(seed);
    for row in 0..rows {
        for column in 0..k {
            let at = row / block_rows * across + column / block;
            let factor = factors.get(at).copied().unwrap_or(Factor { scale: 0, aid: 0 });
            let random = stream.word((row * k + column) as u64);
            let v = input[row * k + column];
            let r = rounded(v, &factor, tensor.decode, (column % block) as u32, random, spec);
            out.codes[row * padded + column] = r.code;
            out.elements[row * padded + column] = r.element;
            out.values.push(r.value);
        }
    }
    Ok((out, seen))
}

fn every_format() -> Result<(), Failed> {
    for format in formats() {
        for (rows, k) in [(5, 100), (3, 16), (17, 33), (1, 1)] {
            for (i, x) in inputs(rows, k, true).iter().enumerate() {
                let (got, flags) = apply(format, x, k, 7)?;
                let finite = x.iter().all(|v| v.is_finite());
                let fail = |e: String| format!("{} [{rows}, {k}] input {i}: {e}", format.name);
                if (flags & 2 == 0) != finite {
                    return Err(fail(format!("flags {flags}")).into());
                }
                match expected(format, x, k, 7) {
                    Err(_) if flags & 1 == 1 => {}
                    Err(e) => return Err(fail(format!("the CPU refuses: {e}")).into()),
                    Ok(_) if flags & 1 == 1 => return Err(fail("only the rules refuse".to_owned()).into()),
                    Ok(want) => compare(format, &got, &want).map_err(fail)?,
                }
            }
        }
    }
    Ok(())
}

/// Blocks of one number, so that each is the largest magnitude of its own: around each power of two at every distance
/// at which a rounded logarithm may decide otherwise, around what element formats hold, subnormal, zero.
fn scales_near_powers() -> Result<(), Failed> {
    let around =
        |bits: u32, ulps: u32| (bits.saturating_sub(ulps)..=(bits + ulps).min(0x7F7F_FFFF)).collect::<Vec<_>>();
    let powers = (1..=254u32).map(|field| field << 23);
    let subnormal = (0..23).map(|bit| 1 << bit);
    let mut lists: Vec<Vec<u32>> = powers.map(|power| around(power, 100)).collect();
    lists.extend(subnormal.map(|power| around(power, 3)));
    // 448 * 2^n, 57344 * 2^n and 1.5, 1.75, 1.875 times powers: borders of elements and of what they round to.
    for fraction in [0x60_0000, 0x40_0000, 0x70_0000, 0x78_0000, 0x7E_0000, 0x20_0000, 0x10_0000] {
        lists.push((0..=254u32).flat_map(|field| around(field << 23 | fraction, 1)).collect());
    }
    // What becomes such a power when HBFPEmulator adds its epsilon.
    for field in 101..=106 {
        let power = f32::from_bits(field << 23);
        lists.push(around((power - 1e-8).to_bits(), 300));
    }
    lists.push(vec![0, 1, 2, 3, 0x7F7F_FFFF, 0x7F7F_FFFE]);
    for format in formats().into_iter().filter(|f| f.scaling.is_some_and(|s| s.block.is_row_local())) {
        for (i, list) in lists.iter().enumerate() {
            let sign = |(at, &bits): (usize, &u32)| f32::from_bits(bits | ((at as u32 & 1) << 31));
            let x: Vec<f32> = list.iter().enumerate().map(sign).collect();
            let fail = |e: String| format!("{} list {i}: {e}", format.name);
            let (got, flags) = apply(format, &x, 1, 7)?;
            match expected(format, &x, 1, 7) {
                Ok(want) => compare(format, &got, &want).map_err(fail)?,
                // A narrower input type may make the largest numbers infinite.
                Err(_) if flags & 1 == 1 => {}
                Err(e) => return Err(fail(e.to_string()).into()),
            }
        }
    }
    Ok(())
}

/// Codes of more than 32 bits are left out.
pub fn compare(format: &Format, got: &Matrix, want: &Matrix) -> Result<(), String> {
    difference("scale", &got.scales, &want.scales)?;
    difference("zero point", &got.zeros, &want.zeros)?;
    if got.tensor_scale != want.tensor_scale {
        return Err(format!("tensor scale {:?}, not {:?}", got.tensor_scale, want.tensor_scale));
    }
    if format.element.bits() <= 32 {
        difference("code", &got.codes, &want.codes)?;
    }
    difference("element", &got.elements, &want.elements)?;
    difference("value", &got.values, &want.values)?;
    Ok(())
}
