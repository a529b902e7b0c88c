//! Order and error at a fixed scale.

use crate::laws::{Outcome, blocks, fake};
use interplay_formats::{Encoding, Exact, Format, Overflow, Quantized, Scale, Scales, Value};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

/// Among elements under one scale order is kept.
pub fn monotone(format: &'static Format, x: &[f32], k: usize) -> Outcome {
    let run = match format.scaling.map(|s| s.scale) {
        Some(Scale::Micro { run }) => run,
        _ => usize::MAX,
    };
    let blocks = blocks(format, x.len() / k, k);
    let groups: Vec<&[usize]> = blocks.iter().flat_map(|b| b.chunks(run.min(b.len()))).collect();
    let mut sorted = x.to_vec();
    for group in &groups {
        let mut values: Vec<f32> = group.iter().map(|&i| x[i]).collect();
        values.sort_by(f32::total_cmp);
        group.iter().zip(values).for_each(|(&i, v)| sorted[i] = v);
    }
    let values = fake(format, &sorted, k)?;
    for group in groups {
        prop_assert!(group.windows(2).all(|w| values[w[0]] <= values[w[1]]), "{sorted:?} -> {values:?}");
    }
    Ok(())
}

/// What a value of one element is measured in.
pub struct Unit {
    /// Value of the element 1.
    pub scale: f64,
    /// The element that stands for zero.
    pub zero: f64,
}

impl Unit {
    /// The unit of the element at a place, from the stored scales.
    pub fn of(q: &Quantized, row: usize, column: usize) -> Self {
        let format = q.format();
        let block = row / format.block_rows(q.rows()) * q.blocks_per_row() + column / q.block_len();
        let (power, offset) = (|e: i32| 2f64.powi(e), integer_places(format));
        let (scale, zero) = match q.scales() {
            Scales::None => (1.0, 0.0),
            Scales::E8M0(s) => (power(i32::from(s[block]) - 127), 0.0),
            Scales::Exponent(s) => (power(i32::from(s[block]) - offset), 0.0),
            Scales::Micro(s) => {
                let Some(Scale::Micro { run }) = format.scaling.map(|s| s.scale) else { panic!("microexponents") };
                let halved = s[block] >> (8 + column % q.block_len() / run) & 1;
                (power(i32::from(s[block] as i8) - offset - halved as i32), 0.0)
            }
            Scales::Float32(s) => (f64::from(s[block]), 0.0),
            Scales::Affine(s, zeros) => (f64::from(s[block]), f64::from(zeros[block])),
            Scales::Code(s) => {
                let Some(Scale::Code(scalar)) = format.scaling.map(|s| s.scale) else { panic!("coded scales") };
                let value = scalar.decode(s[block].into()).to_f64();
                (value * f64::from(q.tensor_scale().unwrap_or(1.0)), 0.0)
            }
            other => panic!("{other:?} has no unit here"),
        };
        Self { scale, zero }
    }
}

/// Magnitude bits of an integer element: its block exponent is that of all of them.
fn integer_places(format: &Format) -> i32 {
    match format.element.encoding {
        Encoding::Integer { bits, fraction_bits, .. } => bits as i32 - 1 - fraction_bits as i32,
        _ => 0,
    }
}

/// The values that the format sees: its input type, where it has one.
pub fn narrowed(format: &Format, x: &[f32]) -> Vec<f32> {
    let Some(input) = format.input else { return x.to_vec() };
    let narrow = |v: &f32| {
        let code = input.scalar.encode(Value::from_f32(*v), input.rounding, Overflow::Infinity);
        input.scalar.decode(code.unwrap_or(0)).to_f32()
    };
    x.iter().map(narrow).collect()
}

/// Nearest: |x - fake(x)| is at most half the local step; beyond the range it is the distance to the range.
pub fn half_a_step(format: &'static Format, x: &[f32], k: usize) -> Outcome {
    let q = format.quantize(x, k).map_err(|e| TestCaseError::fail(e.to_string()))?;
    let element = format.element;
    let max = Value::Finite(element.max()).to_f64();
    let least = if element.is_signed() { -max } else { element.decode(0).to_f64() };
    let grid = element.grid();
    // Where the scale is a power of two all is exact. Else quotients and products round in FP32.
    let slack = if q.block_exponents().is_some() || format.scaling.is_none() { 0.0 } else { 4.0 * 2f64.powi(-24) };
    for (i, (v, got)) in narrowed(format, x).iter().zip(q.dequantize()).enumerate() {
        let unit = Unit::of(&q, i / k, i % k);
        if unit.scale == 0.0 {
            prop_assert_eq!(got, 0.0);
            continue;
        }
        let wanted = f64::from(*v) / unit.scale;
        let error = (wanted - f64::from(got) / unit.scale).abs();
        let (low, high) = (least - unit.zero, max - unit.zero);
        let lsb = grid.precision.map_or(grid.lsb_min, |p| grid.lsb_min.max(leading(wanted) + 1 - p as i32));
        let half = Value::Finite(Exact::integer(1).scaled(lsb - 1)).to_f64();
        let clipped = (wanted - high).max(low - wanted);
        let bound = if clipped > 0.0 { clipped } else { half } + slack * (wanted.abs() + unit.zero);
        prop_assert!(error <= bound, "{v:e} -> {got:e}: {error:e} units of {:e}, bound {bound:e}", unit.scale);
    }
    Ok(())
}

/// floor(log2 |x|), far below everything for zero.
fn leading(x: f64) -> i32 {
    if x == 0.0 { -200 } else { (x.to_bits() >> 52 & 0x7FF) as i32 - 1023 }
}
