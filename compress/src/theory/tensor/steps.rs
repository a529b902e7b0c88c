//! The widest gap between neighbours that the record can represent under each scale, as theorem 3.7 uses it.
//!
//! For floats gaps grow with the magnitude: what counts is the gap in the binade of the largest value under the scale, since nothing
//! above is rounded. Where that value lies in the element's top binade, as OCP MX makes it, this is the top binade's gap.

use super::Shape;
use interplay_formats::{Encoding, Format, Quantized, Scale, Scales};

/// Appends the widest gap under each scale of whole blocks `x` of a shape; one block where the format has no scales.
pub(super) fn widest(quantized: &Quantized, x: &[f32], shape: Shape, steps: &mut Vec<f64>) {
    let grid = Gaps::of(quantized.format());
    let (tall, wide) = extent(quantized.format(), shape);
    let across = shape.k.div_ceil(wide);
    for (b, block) in x.chunks(shape.len()).enumerate() {
        let down = shape.rows.div_ceil(tall);
        for own in 0..down * across {
            let (row, column) = (own / across * tall, own % across * wide);
            let rows = (row..shape.rows.min(row + tall)).map(|r| &block[r * shape.k..][..shape.k]);
            let values = rows.flat_map(|line| &line[column..shape.k.min(column + wide)]);
            let amax = values.fold(0.0f32, |m, v| m.max(v.abs()));
            let scale = scale(quantized, b * down * across + own);
            steps.push(grid.below(f64::from(amax), scale));
        }
    }
}

/// Rows and values along K under one scale; a format without scales has one for all.
pub(super) fn extent(format: &Format, shape: Shape) -> (usize, usize) {
    if format.scaling.is_none() {
        (shape.rows, shape.k)
    } else {
        (format.block_rows(shape.rows), format.block_len(shape.k))
    }
}

/// The value of the element 1 under the scale of a block.
fn scale(quantized: &Quantized, block: usize) -> f64 {
    let format = quantized.format();
    let places = match format.element.encoding {
        Encoding::Integer { bits, fraction_bits, .. } => bits as i32 - 1 - fraction_bits as i32,
        _ => 0,
    };
    match quantized.scales() {
        Scales::E8M0(s) => power(i32::from(s[block]) - 127),
        Scales::Exponent(s) => power(i32::from(s[block]) - places),
        // The unit of a run whose bit is not set: the wider one.
        Scales::Micro(s) => power(i32::from(s[block] as u8 as i8) - places),
        Scales::Float32(s) | Scales::Affine(s, _) => f64::from(s[block]),
        Scales::Code(s) => {
            let Some(Scale::Code(scalar)) = format.scaling.map(|s| s.scale) else { return 1.0 };
            scalar.decode(s[block].into()).to_f64() * f64::from(quantized.tensor_scale().unwrap_or(1.0))
        }
        _ => 1.0,
    }
}

/// The gaps of an element.
#[derive(Clone, Copy)]
struct Gaps {
    /// Significant bits of a float.
    precision: Option<i32>,
    lsb_min: i32,
    /// Between the two largest numbers.
    top: f64,
}

impl Gaps {
    fn of(format: &Format) -> Self {
        let (element, grid) = (format.element, format.element.grid());
        let number = |code: u64| element.decode(code).to_f64();
        let top = match element.encoding {
            Encoding::Integer { .. } => power(grid.lsb_min),
            _ => number(element.max_code()) - number(element.max_code() - 1),
        };
        Self { precision: grid.precision.map(|p| p as i32), lsb_min: grid.lsb_min, top }
    }

    /// The widest gap up to a magnitude under a scale.
    fn below(self, amax: f64, scale: f64) -> f64 {
        let Some(precision) = self.precision.filter(|_| scale > 0.0) else { return self.top * scale };
        let leading = ((amax / scale).to_bits() >> 52 & 0x7FF) as i32 - 1023;
        power(self.lsb_min.max(leading + 1 - precision)).min(self.top) * scale
    }
}

/// 2^`exponent`, held to what FP64 has.
fn power(exponent: i32) -> f64 {
    match exponent {
        ..-1074 => 0.0,
        -1074..-1022 => f64::from_bits(1 << (exponent + 1074)),
        -1022..=1023 => f64::from_bits(((exponent + 1023) as u64) << 52),
        _ => f64::MAX,
    }
}
