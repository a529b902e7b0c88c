//! The fast path back: codes to FP32 elements and values.
//!
//! Invariant: the bits are those of [`Quantized::dequantize_reference`]; see `kernel` for why each operation is exact.

use crate::kernel::{halves, power};
use crate::simd::{self, Level, Task};
use crate::tensor::{Codes, Scales};
use crate::{Encoding, Quantized, Scalar};
use rayon::prelude::*;

impl Quantized {
    /// The FP32 values [rows, k]: element times scale, rounded once where FP32 does not hold the product (only for
    /// blocks whose amax is near or below FP32's smallest normal number, or for an FP32 scale).
    pub fn dequantize(&self) -> Vec<f32> {
        self.decoded(self.k(), true)
    }

    /// The elements without their scales [rows, k_padded], exact in FP32: MX element values, INT and HBFP integers.
    pub fn elements(&self) -> Vec<f32> {
        self.decoded(self.k_padded(), false)
    }

    /// Rows of `width` elements, scaled or not.
    fn decoded(&self, width: usize, scaled: bool) -> Vec<f32> {
        let mut values = vec![0.0; self.rows() * width];
        let rows = values.par_chunks_mut(width.max(1)).enumerate().with_min_len((1 << 15) / width.max(1) + 1);
        rows.for_each(|(row, out)| self.decode_row(row, out, scaled));
        values
    }

    fn decode_row(&self, row: usize, out: &mut [f32], scaled: bool) {
        let start = row * self.k_padded();
        let level = Level::detect();
        let element = self.format().element;
        match &self.codes() {
            Codes::U8(codes) => simd::run(level, Decode { codes: &codes[start..], out, decoder: Floats::new(element) }),
            Codes::U16(codes) => {
                simd::run(level, Decode { codes: &codes[start..], out, decoder: Floats::new(element) })
            }
            Codes::I8(codes) => {
                simd::run(level, Decode { codes: &codes[start..], out, decoder: Integers::new(element) })
            }
            Codes::U32(codes) => simd::run(level, Decode { codes: &codes[start..], out, decoder: Bits }),
        }
        if scaled {
            let blocks = out.chunks_mut(self.block_len().max(1)).enumerate();
            blocks.for_each(|(b, block)| self.scale_block(row * self.blocks_per_row() + b, block));
        }
    }

    fn scale_block(&self, index: usize, block: &mut [f32]) {
        let offset = self.format().exponent_offset();
        let shift = |stored: i32, block: &mut [f32]| {
            let [first, second] = halves(stored - offset);
            block.iter_mut().for_each(|v| *v = *v * first * second);
        };
        match self.scales() {
            Scales::None => {}
            Scales::E8M0(s) => shift(i32::from(s[index]), block),
            Scales::Exponent(s) => shift(i32::from(s[index]), block),
            Scales::Float32(s) => block.iter_mut().for_each(|v| *v = (*v * s[index]).clamp(-f32::MAX, f32::MAX)),
        }
    }
}

/// How one code becomes a number.
trait Decoder<C>: Copy {
    fn decode(self, code: C) -> f32;
}

/// Decodes a run of codes.
struct Decode<'a, C, D> {
    codes: &'a [C],
    out: &'a mut [f32],
    decoder: D,
}

impl<C: Copy, D: Decoder<C>> Task for Decode<'_, C, D> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (out, &code) in self.out.iter_mut().zip(self.codes) {
            *out = self.decoder.decode(code);
        }
    }
}

/// FP32's own codes.
#[derive(Clone, Copy)]
struct Bits;

impl Decoder<u32> for Bits {
    #[inline(always)]
    fn decode(self, code: u32) -> f32 {
        f32::from_bits(code)
    }
}

/// Integers times a power of two.
#[derive(Clone, Copy)]
struct Integers {
    unit: f32,
}

impl Integers {
    fn new(element: Scalar) -> Self {
        Self { unit: power(element.grid().lsb_min) }
    }
}

impl Decoder<i8> for Integers {
    #[inline(always)]
    fn decode(self, code: i8) -> f32 {
        f32::from(code) * self.unit
    }
}

/// Floats of at most 16 bits. Shifted to FP32's fraction, a code is the number times 2^(bias - 127), subnormals too,
/// because both formats share the layout; one exact product puts the exponent right.
#[derive(Clone, Copy)]
struct Floats {
    magnitude: u32,
    shift: u32,
    sign_shift: u32,
    rebias: f32,
    max_code: u32,
    infinity_code: u32,
}

impl Floats {
    fn new(element: Scalar) -> Self {
        let (mantissa_bits, bias) = match element.encoding {
            Encoding::Float { mantissa_bits, bias, .. } => (mantissa_bits, bias),
            Encoding::Integer { .. } => (element.bits() - 1, 127),
        };
        Self {
            magnitude: (1 << (element.bits() - 1)) - 1,
            shift: 23 - mantissa_bits,
            sign_shift: 32 - element.bits(),
            rebias: power(127 - bias),
            max_code: element.max_code() as u32,
            infinity_code: element.infinity_code().map_or(u32::MAX, |c| c as u32),
        }
    }
}

impl<C: Into<u32> + Copy> Decoder<C> for Floats {
    #[inline(always)]
    fn decode(self, code: C) -> f32 {
        let code = code.into();
        let low = code & self.magnitude;
        let finite = f32::from_bits(low << self.shift) * self.rebias;
        let special = if low == self.infinity_code { f32::INFINITY } else { f32::NAN };
        let magnitude = if low > self.max_code { special } else { finite };
        let sign = (code & !self.magnitude) << self.sign_shift;
        f32::from_bits(magnitude.to_bits() | sign)
    }
}
