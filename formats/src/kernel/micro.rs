//! Shared microexponents: one exponent a block, and one bit a part that halves its unit.

use super::{Amax, Code, Draws, Exponents, INTEGER, Kernel, Summary, halves, within};

/// Symmetric integers of at most 8 bits, nearest even, saturating.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Micro {
    pub(crate) max: f32,
    pub(crate) fraction_bits: i32,
    pub(crate) exponents: Exponents,
    /// Elements of a part.
    pub(crate) part: usize,
}

/// The factors of one part: as for other integers under a power of two.
type Unit = ([f32; 2], [f32; 2]);

impl Micro {
    /// The units of parts whose bit is 0 and 1.
    #[inline(always)]
    const fn units(self, exponent: i32) -> [Unit; 2] {
        let unit = exponent - self.fraction_bits;
        [(halves(-unit), halves(unit)), (halves(1 - unit), halves(unit - 1))]
    }

    #[inline(always)]
    fn integer(self, v: f32, (reciprocal, _): Unit) -> f32 {
        within(v * reciprocal[0] * reciprocal[1], self.max) + INTEGER
    }
}

impl Kernel for Micro {
    type Code = i8;
    /// The exponent in the low 8 bits, the bits of parts above.
    type Scale = u32;
    /// The two units, and the bits of parts.
    type Factor = ([Unit; 2], u32);
    type Summary = Amax;
    const LENGTH: usize = 16;

    #[inline(always)]
    fn factor(self, amax: Amax) -> (Self::Factor, u32) {
        let (stored, exponent) = self.exponents.both(amax.0);
        ((self.units(exponent), 0), u32::from(stored as u8))
    }

    /// A part's unit is halved where its own exponent is below the block's, and where it is all zeros.
    #[inline(always)]
    fn scale(self, x: &[f32]) -> Option<(Self::Factor, u32)> {
        let amax = Amax::all(x);
        if !amax.is_finite() {
            return None;
        }
        let (stored, exponent) = self.exponents.both(amax.0);
        // A part's exponent is never above the block's, unless that is held to its end, where none is below.
        let lower = |part: &[f32]| {
            let amax = Amax::all(part).0;
            amax == 0 || self.exponents.unheld(amax) < stored
        };
        let bits = x.chunks(self.part).enumerate().fold(0, |bits, (i, part)| bits | u32::from(lower(part)) << i);
        Some(((self.units(exponent), bits), u32::from(stored as u8) | bits << 8))
    }

    #[inline(always)]
    fn fake(self, v: f32, (units, bits): Self::Factor, _: u32) -> f32 {
        let unit = units[(bits & 1) as usize];
        (self.integer(v, unit) - INTEGER) * unit.1[0] * unit.1[1]
    }

    #[inline(always)]
    fn bits(self, v: f32, (units, bits): Self::Factor, _: u32) -> u32 {
        self.integer(v, units[(bits & 1) as usize]).to_bits()
    }

    #[inline(always)]
    fn fake_all(self, x: &mut [f32], (units, bits): Self::Factor, _: Draws) {
        for (i, part) in x.chunks_mut(self.part).enumerate() {
            for v in part {
                *v = self.fake(*v, (units, bits >> i), 0);
            }
        }
    }

    #[inline(always)]
    fn code_all<C: Code>(self, x: &[f32], codes: &mut [C], (units, bits): Self::Factor, _: Draws) {
        for (i, (part, codes)) in x.chunks(self.part).zip(codes.chunks_mut(self.part)).enumerate() {
            for (code, &v) in codes.iter_mut().zip(part) {
                *code = C::of(self.bits(v, (units, bits >> i), 0));
            }
        }
    }
}
