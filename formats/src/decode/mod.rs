//! The fast path back: codes to FP32 elements and values.
//!
//! Invariant: the bits are those of [`Quantized::dequantize_reference`]; see `kernel` for why each operation is exact.

mod element;

pub(crate) use element::{Element, Floats};

use crate::kernel::{Code, halves, within};
use crate::reference::Geometry;
use crate::simd::{self, Level, Task};
use crate::sweep::rows_per_task;
use crate::tensor::{Codes, Scales};
use crate::{Encoding, Quantized, Scalar, Scale, scalar};
use rayon::prelude::*;

impl Quantized {
    /// The FP32 values [rows, k]: element times scale, rounded once where FP32 does not hold the product (only for
    /// blocks whose amax is near or below FP32's smallest normal number, or for an FP32 scale).
    pub fn dequantize(&self) -> Vec<f32> {
        match Decoder::new(self).filter(|_| self.has_near_exponents()) {
            Some(decoder) => self.decoded(decoder, self.k(), true),
            None => self.dequantize_reference(),
        }
    }

    /// The elements without their scales [rows, k_padded], exact in FP32: MX element values, INT and HBFP integers.
    pub fn elements(&self) -> Vec<f32> {
        if let Some(decoder) = Decoder::new(self) {
            return self.decoded(decoder, self.k_padded(), false);
        }
        let element = self.format().element;
        (0..self.codes().len()).map(|i| element.decode(self.codes().get(i)).to_f32()).collect()
    }

    /// Whether two factors of FP32 reach every block exponent; one that was read from a file may lie beyond.
    fn has_near_exponents(&self) -> bool {
        let offset = self.format().exponent_offset();
        match self.scales() {
            Scales::Exponent(s) => s.iter().all(|&e| (-252..=254).contains(&(i32::from(e) - offset))),
            _ => true,
        }
    }

    /// Rows of `width` elements, scaled or not.
    fn decoded(&self, decoder: Decoder, width: usize, scaled: bool) -> Vec<f32> {
        let mut values = vec![0.0; self.rows() * width];
        let rows = rows_per_task(width, self.rows());
        let tasks = values.par_chunks_mut((rows * width).max(1)).enumerate();
        tasks.for_each(|(i, out)| {
            simd::run(Level::detect(), Rows { from: self, decoder, first: i * rows, width, scaled, out });
        });
        values
    }
}

/// How codes and scales of a format are read.
#[derive(Clone, Copy)]
struct Decoder {
    codes: Reader,
    /// The format of coded scales.
    scale: Option<Element>,
}

/// How codes are read.
#[derive(Clone, Copy)]
enum Reader {
    /// At most 16 bits.
    Element(Element),
    /// FP32 without this many last bits.
    Short(u32),
    /// FP64.
    Double,
}

impl Decoder {
    /// `None` where only the reference path reads the format.
    fn new(from: &Quantized) -> Option<Self> {
        let format = from.format();
        let scale = match format.scaling.map(|s| s.scale) {
            Some(Scale::Code(scale)) => Some(Element::new(scale)?),
            _ => None,
        };
        let codes = if format.element.encoding == scalar::FP64.encoding {
            Reader::Double
        } else {
            short(format.element).map(Reader::Short).or_else(|| Element::new(format.element).map(Reader::Element))?
        };
        // Two steps of a product by a power of two round once only where elements are far from FP32's smallest.
        (format.scaling.is_none() || format.element.grid().lsb_min > -64).then_some(Self { codes, scale })
    }
}

/// The bits that a format with FP32's sign and exponent does not store, for formats of more than 16 bits.
fn short(element: Scalar) -> Option<u32> {
    let Encoding::Float { mantissa_bits, .. } = element.encoding else { return None };
    let Encoding::Float { sign, exponent_bits, bias, specials, subnormals, .. } = scalar::FP32.encoding else {
        return None;
    };
    let like = Encoding::Float { sign, exponent_bits, mantissa_bits, bias, specials, subnormals };
    (element.encoding == like && (8..=23).contains(&mantissa_bits)).then(|| 23 - mantissa_bits)
}

/// Decodes some rows.
struct Rows<'a> {
    from: &'a Quantized,
    decoder: Decoder,
    first: usize,
    width: usize,
    scaled: bool,
    out: &'a mut [f32],
}

impl Task for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (row, out) in (self.first..).zip(self.out.chunks_mut(self.width)) {
            let start = row * self.from.k_padded();
            match self.from.codes() {
                Codes::U8(codes) => read(self.decoder.codes, &codes[start..], out),
                Codes::U16(codes) => read(self.decoder.codes, &codes[start..], out),
                Codes::I8(codes) => read(self.decoder.codes, &codes[start..], out),
                Codes::I16(codes) => read(self.decoder.codes, &codes[start..], out),
                Codes::U32(codes) => read(self.decoder.codes, &codes[start..], out),
                Codes::U64(codes) => {
                    // The nearest FP32 number, ties to even; NaN has neither sign nor payload here.
                    let value = |code: u64| canonical(f64::from_bits(code) as f32);
                    out.iter_mut().zip(&codes[start..]).for_each(|(out, &code)| *out = value(code));
                }
            }
            if self.scaled {
                scale(self.from, self.decoder, row, out);
            }
        }
    }
}

#[inline(always)]
fn read<C: Code>(reader: Reader, codes: &[C], out: &mut [f32]) {
    match reader {
        Reader::Element(Element::Float(floats)) => {
            for (out, &code) in out.iter_mut().zip(codes) {
                *out = floats.value(code.bits());
            }
        }
        Reader::Element(Element::Integer(integers)) => {
            for (out, &code) in out.iter_mut().zip(codes) {
                *out = integers.value(code.bits());
            }
        }
        Reader::Short(drop) => {
            for (out, &code) in out.iter_mut().zip(codes) {
                *out = canonical(f32::from_bits(code.bits() << drop));
            }
        }
        Reader::Double => {}
    }
}

/// A NaN without sign and payload.
#[inline(always)]
const fn canonical(v: f32) -> f32 {
    if v.is_nan() { f32::NAN } else { v }
}

/// Multiplies the elements of a row by their scales.
#[inline(always)]
fn scale(from: &Quantized, decoder: Decoder, row: usize, out: &mut [f32]) {
    let offset = from.format().exponent_offset();
    let first = Geometry::new(from.format(), from.rows(), from.k()).block_of(row, 0);
    let blocks = out.chunks_mut(from.block_len());
    match from.scales() {
        Scales::None => {}
        Scales::E8M0(s) => blocks.zip(&s[first..]).for_each(|(block, &s)| match s {
            u8::MAX => block.fill(f32::NAN),
            s => shift(i32::from(s) - offset, block),
        }),
        Scales::Exponent(s) => blocks.zip(&s[first..]).for_each(|(block, &s)| shift(i32::from(s) - offset, block)),
        Scales::Micro(s) => {
            let Some(Scale::Micro { run }) = from.format().scaling.map(|s| s.scale) else { return };
            blocks.zip(&s[first..]).for_each(|(block, &s)| {
                let exponent = i32::from(s as u8 as i8) - offset;
                let parts = block.chunks_mut(run).enumerate();
                parts.for_each(|(i, part)| shift(exponent - (s >> (8 + i) & 1) as i32, part));
            });
        }
        Scales::Float32(s) => blocks.zip(&s[first..]).for_each(|(block, &s)| {
            block.iter_mut().for_each(|v| *v = bounded(*v * s));
        }),
        Scales::Affine(s, zeros) => {
            blocks.zip(s[first..].iter().zip(&zeros[first..])).for_each(|(block, (&s, &zero))| {
                // The difference of two integers of at most 8 bits is exact.
                block.iter_mut().for_each(|v| *v = bounded((*v - f32::from(zero)) * s));
            })
        }
        Scales::Code(s) => {
            let (Some(scale), tensor) = (decoder.scale, from.tensor_scale().unwrap_or(1.0)) else { return };
            blocks.zip(&s[first..]).for_each(|(block, &s)| {
                let value = scale.value(u32::from(s));
                block.iter_mut().for_each(|v| *v = bounded(*v * value * tensor));
            });
        }
    }
}

/// Times 2^`exponent`.
#[inline(always)]
fn shift(exponent: i32, block: &mut [f32]) {
    let [one, two] = halves(exponent);
    block.iter_mut().for_each(|v| *v = *v * one * two);
}

/// Within FP32's finite numbers; NaN stays.
#[inline(always)]
const fn bounded(v: f32) -> f32 {
    if v.is_nan() { f32::NAN } else { within(v, f32::MAX) }
}
