//! The fast path back: codes to FP32 elements and values.
//!
//! Invariant: the bits are those of [`Quantized::dequantize_reference`]; see `kernel` for why each operation is exact.

use crate::kernel::{halves, power, within};
use crate::scalar::FP32;
use crate::simd::{self, Level, Task};
use crate::sweep::GRAIN;
use crate::tensor::{Codes, Scales};
use crate::{Encoding, Quantized, Scalar, Sign, Specials};
use rayon::prelude::*;

impl Quantized {
    /// The FP32 values [rows, k]: element times scale, rounded once where FP32 does not hold the product (only for
    /// blocks whose amax is near or below FP32's smallest normal number, or for an FP32 scale).
    pub fn dequantize(&self) -> Vec<f32> {
        if self.is_plain() && self.has_plain_scales() {
            self.decoded(self.k(), true)
        } else {
            self.dequantize_reference()
        }
    }

    /// The elements without their scales [rows, k_padded], exact in FP32: MX element values, INT and HBFP integers.
    pub fn elements(&self) -> Vec<f32> {
        if self.is_plain() {
            return self.decoded(self.k_padded(), false);
        }
        let element = self.format().element;
        (0..self.codes().len()).map(|i| element.decode(self.codes().get(i)).to_f32()).collect()
    }

    /// Whether a decoder below covers the element.
    fn is_plain(&self) -> bool {
        let element = self.format().element;
        match element.encoding {
            Encoding::Float { sign, specials, subnormals, bias, mantissa_bits, .. } => {
                let common = sign == Sign::Signed && specials != Specials::Fnuz && subnormals;
                element == FP32 || (common && element.bits() <= 16 && mantissa_bits <= 23 && (1..=127).contains(&bias))
            }
            Encoding::Integer { fraction_bits, .. } => element.bits() <= 16 && fraction_bits <= 64,
        }
    }

    /// Whether `scale` below covers the scales: one or more a row, none of them NaN.
    fn has_plain_scales(&self) -> bool {
        match self.scales() {
            Scales::None => true,
            // Read from a file, an exponent may lie beyond what two factors of FP32 reach.
            Scales::Exponent(s) => {
                let offset = self.format().exponent_offset();
                s.iter().all(|&e| (-252..=254).contains(&(i32::from(e) - offset)))
            }
            Scales::E8M0(s) => !s.contains(&u8::MAX),
            Scales::Float32(s) => self.format().is_row_local() && s.iter().all(|v| v.is_finite()),
            Scales::Micro(_) | Scales::Affine(..) | Scales::Code(_) => false,
        }
    }

    /// Rows of `width` elements, scaled or not.
    fn decoded(&self, width: usize, scaled: bool) -> Vec<f32> {
        let mut values = vec![0.0; self.rows() * width];
        let rows = if self.rows() * width < 2 * GRAIN { self.rows().max(1) } else { GRAIN.div_ceil(width) };
        let tasks = values.par_chunks_mut((rows * width).max(1)).enumerate();
        tasks.for_each(|(i, out)| simd::run(Level::detect(), Rows { from: self, first: i * rows, width, scaled, out }));
        values
    }
}

/// Decodes some rows.
struct Rows<'a> {
    from: &'a Quantized,
    first: usize,
    width: usize,
    scaled: bool,
    out: &'a mut [f32],
}

impl Task for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let element = self.from.format().element;
        let integer = matches!(element.encoding, Encoding::Integer { .. });
        for (row, out) in (self.first..).zip(self.out.chunks_mut(self.width)) {
            let start = row * self.from.k_padded();
            match self.from.codes() {
                Codes::U8(codes) if integer => decode(Integers::new(element), &codes[start..], out),
                Codes::U16(codes) if integer => decode(Integers::new(element), &codes[start..], out),
                Codes::U8(codes) => decode(Floats::new(element), &codes[start..], out),
                Codes::U16(codes) => decode(Floats::new(element), &codes[start..], out),
                Codes::U64(_) => {}
                Codes::I8(codes) => decode(Integers::new(element), &codes[start..], out),
                Codes::I16(codes) => decode(Integers::new(element), &codes[start..], out),
                Codes::U32(codes) => decode(Bits, &codes[start..], out),
            }
            if self.scaled {
                scale(self.from, row, out);
            }
        }
    }
}

#[inline(always)]
fn decode<C: Copy>(decoder: impl Decoder<C>, codes: &[C], out: &mut [f32]) {
    for (out, &code) in out.iter_mut().zip(codes) {
        *out = decoder.decode(code);
    }
}

/// Multiplies the elements of a row by their scales.
#[inline(always)]
fn scale(from: &Quantized, row: usize, out: &mut [f32]) {
    let offset = from.format().exponent_offset();
    let first = row * from.blocks_per_row();
    let shift = |stored: i32, block: &mut [f32]| {
        let [one, two] = halves(stored - offset);
        block.iter_mut().for_each(|v| *v = *v * one * two);
    };
    let blocks = out.chunks_mut(from.block_len());
    match from.scales() {
        Scales::None | Scales::Micro(_) | Scales::Affine(..) | Scales::Code(_) => {}
        Scales::E8M0(s) => blocks.zip(&s[first..]).for_each(|(block, &s)| shift(i32::from(s), block)),
        Scales::Exponent(s) => blocks.zip(&s[first..]).for_each(|(block, &s)| shift(i32::from(s), block)),
        Scales::Float32(s) => blocks.zip(&s[first..]).for_each(|(block, &s)| {
            block.iter_mut().for_each(|v| *v = within(*v * s, f32::MAX));
        }),
    }
}

/// How one code becomes a number.
trait Decoder<C>: Copy {
    fn decode(self, code: C) -> f32;
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

impl<C: Into<f32> + Copy> Decoder<C> for Integers {
    #[inline(always)]
    fn decode(self, code: C) -> f32 {
        code.into() * self.unit
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
        let magnitude = if low == self.infinity_code { f32::INFINITY } else { finite };
        let sign = (code & !self.magnitude) << self.sign_shift;
        let number = f32::from_bits(magnitude.to_bits() | sign);
        // NaN has neither sign nor payload here.
        if low > self.max_code && low != self.infinity_code { f32::NAN } else { number }
    }
}
