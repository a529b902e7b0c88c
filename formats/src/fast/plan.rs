//! Which kernel covers a record.

use crate::decode::Element;
use crate::kernel::{
    Affine, Amax, AnyRounding, Cast, Coded, Exponents, Float, FourOverSix, Kernel, Micro, Mx, Narrow, Plain, PowerCast,
    PowerInteger, RealCast, RealInteger, Recipe, Short, Stored, Wide,
};
use crate::tensor::{Codes, Scales};
use crate::{Encoding, Format, Overflow, Range, Rounding, Scalar, Scale, ScaleRule, Scaling, Value, scalar};
use std::marker::PhantomData;

/// What is done with the kernel that covers a record.
pub(crate) trait Visit {
    /// What it gives.
    type Output;

    /// By this kernel, whose codes and scales are stored as `stored` says.
    fn visit<K: Kernel>(self, kernel: K, stored: Wrap<K>) -> Self::Output;
}

/// How a kernel's codes and scales are stored.
pub(crate) struct Wrap<K: Kernel> {
    pub(crate) codes: fn(Scalar, Vec<K::Code>) -> Codes,
    pub(crate) scales: fn(Vec<K::Scale>) -> Scales,
}

/// Codes of kernels that know no narrower type, in the one that the element needs.
pub(super) fn narrowest(element: Scalar, codes: Vec<u16>) -> Codes {
    let extended = |code: u16| element.sign_extended(u64::from(code));
    match Codes::zeros(element, 0) {
        Codes::U8(_) => Codes::U8(codes.into_iter().map(|c| c as u8).collect()),
        Codes::I8(_) => Codes::I8(codes.into_iter().map(|c| extended(c) as i8).collect()),
        Codes::I16(_) => Codes::I16(codes.into_iter().map(|c| extended(c) as i16).collect()),
        _ => Codes::U16(codes),
    }
}

fn none<T>(_: Vec<T>) -> Scales {
    Scales::None
}

fn affine(scales: Vec<(f32, u8)>) -> Scales {
    let (factors, zeros) = scales.into_iter().unzip();
    Scales::Affine(factors, zeros)
}

const U8: fn(Scalar, Vec<u8>) -> Codes = |_, codes| Codes::U8(codes);
const I8: fn(Scalar, Vec<i8>) -> Codes = |_, codes| Codes::I8(codes);

/// Runs `visitor` with the kernel of `format` for a tensor of this amax, which only coded scales look at; gives it back
/// where only the reference path reads the record. The record's input type is not the kernels' business.
pub(crate) fn visit<V: Visit>(format: &Format, amax: f32, visitor: V) -> Result<V::Output, V> {
    let plan = Plan { format, element: format.element, amax, nearest: is_nearest(format) };
    match format.scaling {
        None => plan.scalar(visitor),
        Some(Scaling { scale: Scale::E8M0, .. }) => plan.power(visitor, Scales::E8M0),
        Some(Scaling { scale: Scale::Exponent(_), .. }) => plan.power(visitor, Scales::Exponent),
        Some(Scaling { scale: Scale::Micro { run }, block, .. }) => plan.micro(visitor, run, block.extent(1, 1).1),
        Some(Scaling { scale: Scale::Float32, .. }) => plan.real(visitor),
        Some(Scaling { scale: Scale::Affine(bits), rule, .. }) => plan.affine(visitor, rule, bits),
        Some(Scaling { scale: Scale::Code(_), rule, .. }) => plan.coded(visitor, rule),
    }
}

/// Whether the kernels for nearest even and saturation suit integers.
fn is_nearest(format: &Format) -> bool {
    format.rounding == Rounding::NearestEven && format.overflow != Overflow::Wrap
}

struct Plan<'a> {
    format: &'a Format,
    element: Scalar,
    amax: f32,
    nearest: bool,
}

impl Plan<'_> {
    fn float(&self) -> Option<Float> {
        Float::new(self.element, self.format.rounding, self.format.overflow)
    }

    /// The integer kernel for any rounding, where both it and its decoder reach the element.
    fn cast(&self) -> Option<(Cast, Element)> {
        let cast = Cast::new(self.element, self.format.rounding, self.format.overflow)?;
        Some((cast, Element::new(self.element)?))
    }

    /// The fraction bits of symmetric integers of at most 8 bits, and the largest of them.
    fn small_integer(&self) -> Option<(i32, f32)> {
        match self.element.encoding {
            Encoding::Integer { range: Range::Symmetric, bits: ..=8, fraction_bits } if self.nearest => {
                Some((fraction_bits as i32, self.element.max_code() as f32))
            }
            _ => None,
        }
    }

    fn scalar<V: Visit>(&self, visitor: V) -> Result<V::Output, V> {
        let (format, element) = (self.format, self.element);
        if element.encoding == scalar::FP32.encoding {
            return Ok(visitor.visit(Wide, Wrap { codes: |_, c| Codes::U32(c), scales: none }));
        }
        if let Some(kernel) =
            Short::<u16>::of(element, format.rounding, format.overflow).filter(|_| element.bits() == 16)
        {
            return Ok(visitor.visit(kernel, Wrap { codes: |_, c| Codes::U16(c), scales: none }));
        }
        if let Some(kernel) =
            Short::<u32>::of(element, format.rounding, format.overflow).filter(|_| element.bits() > 16)
        {
            return Ok(visitor.visit(kernel, Wrap { codes: |_, c| Codes::U32(c), scales: none }));
        }
        if let Some(float) = self.float() {
            return Ok(match element.bits() {
                ..=8 => visitor.visit(Narrow::<u8>::new(float), Wrap { codes: U8, scales: none }),
                _ => visitor.visit(Narrow::<u16>::new(float), Wrap { codes: narrowest, scales: none }),
            });
        }
        let wrap = (narrowest as fn(Scalar, Vec<u16>) -> Codes, none as fn(Vec<()>) -> Scales);
        let Some((cast, element)) = self.cast() else { return Err(visitor) };
        Ok(if format.rounding.is_deterministic() {
            visitor.visit(Plain::<Amax, false>::new(cast, element), Wrap { codes: wrap.0, scales: wrap.1 })
        } else {
            visitor.visit(Plain::<Amax, true>::new(cast, element), Wrap { codes: wrap.0, scales: wrap.1 })
        })
    }

    fn power<V: Visit, S: Stored>(&self, visitor: V, scales: fn(Vec<S>) -> Scales) -> Result<V::Output, V> {
        let Some(exponents) = Exponents::new(self.format) else { return Err(visitor) };
        let stored = PhantomData::<S>;
        // Blocks that cross rows go by the kernel for any rounding, which is compiled for them.
        let local = self.format.scaling.is_some_and(|s| s.block.is_row_local());
        if let Some((fraction_bits, max)) = self.small_integer().filter(|_| local) {
            let kernel = PowerInteger { max, fraction_bits, exponents, stored };
            return Ok(visitor.visit(kernel, Wrap { codes: I8, scales }));
        }
        let e8m0 = matches!(self.format.scaling.map(|s| s.scale), Some(Scale::E8M0));
        if let Some(float) = self.float().filter(|_| local && e8m0 && self.element.bits() <= 8) {
            return Ok(visitor.visit(Mx::<S> { float, exponents, stored }, Wrap { codes: U8, scales }));
        }
        // Decoding multiplies by the scale in two steps, which rounds once only far from FP32's smallest numbers.
        let reached = self.cast().filter(|_| self.element.grid().lsb_min > -64);
        let Some((cast, element)) = reached else { return Err(visitor) };
        Ok(if self.format.rounding.is_deterministic() {
            let kernel = PowerCast::<S, false> { cast, element, exponents, stored };
            visitor.visit(kernel, Wrap { codes: narrowest, scales })
        } else {
            let kernel = PowerCast::<S, true> { cast, element, exponents, stored };
            visitor.visit(kernel, Wrap { codes: narrowest, scales })
        })
    }

    fn micro<V: Visit>(&self, visitor: V, part: usize, block: usize) -> Result<V::Output, V> {
        match (Exponents::new(self.format), self.small_integer()) {
            (Some(exponents), Some((fraction_bits, max))) if block <= crate::sweep::SHORT => {
                let kernel = Micro { max, fraction_bits, exponents, part };
                Ok(visitor.visit(kernel, Wrap { codes: I8, scales: Scales::Micro }))
            }
            _ => Err(visitor),
        }
    }

    fn real<V: Visit>(&self, visitor: V) -> Result<V::Output, V> {
        let scales = Scales::Float32;
        if let Some((0, max)) = self.small_integer() {
            return Ok(visitor.visit(RealInteger { max }, Wrap { codes: I8, scales }));
        }
        let Some((cast, element)) = self.cast() else { return Err(visitor) };
        let max = Value::Finite(self.element.max()).to_f32();
        Ok(if self.format.rounding.is_deterministic() {
            visitor.visit(RealCast::<false> { cast, element, max }, Wrap { codes: narrowest, scales })
        } else {
            visitor.visit(RealCast::<true> { cast, element, max }, Wrap { codes: narrowest, scales })
        })
    }

    fn affine<V: Visit>(&self, visitor: V, rule: ScaleRule, bits: u32) -> Result<V::Output, V> {
        if self.format.rounding != Rounding::NearestEven {
            return Err(visitor);
        }
        let kernel = Affine { rule, bits, max: self.element.max_code() as f32 };
        Ok(visitor.visit(kernel, Wrap { codes: U8, scales: affine }))
    }

    fn coded<V: Visit>(&self, visitor: V, rule: ScaleRule) -> Result<V::Output, V> {
        // A product that is NaN has a code of its own in some elements; the kernels know none.
        let numbers = self.element.nan_code().is_none();
        let recipe = Recipe::new(self.format, self.amax).filter(|_| numbers);
        let Some(recipe) = recipe else { return Err(visitor) };
        let scales = Scales::Code;
        let max = Value::Finite(self.element.max()).to_f32();
        let squared = rule == ScaleRule::FourOverSixMse;
        let compares = squared || rule == ScaleRule::FourOverSixMae;
        match (self.float(), self.cast()) {
            (Some(nearest), _) if compares => {
                let kernel = FourOverSix { coded: Coded { recipe, rounded: nearest }, nearest, squared };
                Ok(visitor.visit(kernel, Wrap { codes: U8, scales }))
            }
            (Some(rounded), _) => Ok(visitor.visit(Coded { recipe, rounded }, Wrap { codes: U8, scales })),
            (None, Some((cast, element))) if !compares => Ok(if self.format.rounding.is_deterministic() {
                let kernel = Coded { recipe, rounded: AnyRounding::<false> { cast, element, max } };
                visitor.visit(kernel, Wrap { codes: U8, scales })
            } else {
                let kernel = Coded { recipe, rounded: AnyRounding::<true> { cast, element, max } };
                visitor.visit(kernel, Wrap { codes: U8, scales })
            }),
            _ => Err(visitor),
        }
    }
}
