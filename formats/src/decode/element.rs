//! One code to its FP32 value, branch-free.

use crate::kernel::power;
use crate::{Encoding, Scalar, Sign, Specials};

/// A format of at most 16 bits whose numbers FP32 holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Element {
    Float(Floats),
    Integer(Integers),
}

impl Element {
    /// `None` for formats that one product by a power of two does not reach.
    pub(crate) fn new(scalar: Scalar) -> Option<Self> {
        match scalar.encoding {
            Encoding::Float { .. } => Floats::new(scalar).map(Self::Float),
            Encoding::Integer { .. } => Integers::new(scalar).map(Self::Integer),
        }
    }

    /// The value of the low bits of `code`, which has no others.
    #[inline(always)]
    pub(crate) fn value(self, code: u32) -> f32 {
        match self {
            Self::Float(floats) => floats.value(code),
            Self::Integer(integers) => integers.value(code),
        }
    }
}

/// Integers times a power of two.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Integers {
    /// Shifts that repeat the sign bit, or 0s.
    signed: bool,
    shift: u32,
    unit: f32,
}

impl Integers {
    fn new(scalar: Scalar) -> Option<Self> {
        let bits = scalar.bits();
        let unit = scalar.grid().lsb_min;
        (bits <= 16 && unit >= -64).then(|| Self { signed: scalar.is_signed(), shift: 32 - bits, unit: power(unit) })
    }

    /// An integer of at most 16 bits times a power of two is exact.
    #[inline(always)]
    pub(crate) fn value(self, code: u32) -> f32 {
        let top = code << self.shift;
        let integer = if self.signed { top as i32 >> self.shift } else { (top >> self.shift) as i32 };
        integer as f32 * self.unit
    }
}

/// Floats of at most 16 bits. Shifted to FP32's fraction, a code is the number times 2^(bias - 127), subnormals too,
/// because both formats share the layout; one exact product puts the exponent right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floats {
    /// All bits but the highest, where that is no part of the number; the sign bit, and where FP32 has it.
    magnitude: u32,
    sign: u32,
    sign_shift: u32,
    shift: u32,
    rebias: f32,
    /// The number of the lowest code: zero, or the smallest one where there is no zero.
    lowest: f32,
    max_code: u32,
    infinity_code: u32,
    /// A code that is NaN although its magnitude is that of a number (FNUZ).
    nan_code: u32,
}

impl Floats {
    /// `None` where one product does not reach.
    pub(crate) fn new(scalar: Scalar) -> Option<Self> {
        let Encoding::Float { mantissa_bits, bias, sign, specials, subnormals, .. } = scalar.encoding else {
            return None;
        };
        let max_code = scalar.max_code() as u32;
        // FP32's own highest exponent field is not a number; without zero a fraction would need a hidden bit at field 0.
        let shared = scalar.bits() <= 16 && (0..=127 + 64).contains(&bias) && max_code >> mantissa_bits < 255;
        if !shared || !(subnormals || mantissa_bits == 0) || scalar.grid().lsb_min < -149 {
            return None;
        }
        let top = 1 << scalar.magnitude_bits();
        let fnuz = specials == Specials::Fnuz;
        Some(Self {
            magnitude: top - 1,
            sign: if sign == Sign::Signed { top } else { 0 },
            sign_shift: 31 - scalar.magnitude_bits(),
            shift: 23 - mantissa_bits,
            rebias: power(127 - bias),
            lowest: if subnormals { 0.0 } else { power(-bias) },
            max_code,
            infinity_code: scalar.infinity_code().map_or(u32::MAX, |c| c as u32),
            nan_code: if fnuz { top } else { u32::MAX },
        })
    }

    /// The value of a code.
    #[inline(always)]
    pub(crate) fn value(self, code: u32) -> f32 {
        let low = code & self.magnitude;
        let scaled = f32::from_bits(low << self.shift) * self.rebias;
        let finite = if low == 0 { self.lowest } else { scaled };
        let magnitude = if low == self.infinity_code { f32::INFINITY } else { finite };
        let sign = (code & self.sign) << self.sign_shift;
        let number = f32::from_bits(magnitude.to_bits() | sign);
        // NaN has neither sign nor payload here.
        let nan = (low > self.max_code && low != self.infinity_code) || code == self.nan_code;
        if nan { f32::NAN } else { number }
    }
}
