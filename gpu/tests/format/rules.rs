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
    vec![trial("format: rules on matrices, every format", every_format)]
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
