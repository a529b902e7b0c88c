//! Codes to values and values to codes, for any scalar record: the slow, obvious interpreter.

use crate::{Draw, Encoding, Exact, Overflow, Range, Scalar, Sign, Specials, Value};

impl Scalar {
    /// What a code stands for. Bits above the format's width are ignored.
    pub fn decode(self, code: u64) -> Value {
        match self.encoding {
            Encoding::Float { sign, specials, .. } => {
                let top = 1u64 << (self.magnitude_bits() & 63);
                let low = code & (u64::MAX >> (64 - self.magnitude_bits()));
                let negative = matches!(sign, Sign::Signed) && code & top != 0;
                if low > self.max_code() {
                    let infinite = self.infinity_code() == Some(low);
                    return if infinite { Value::Infinite { negative } } else { Value::Nan };
                }
                if specials == Specials::Fnuz && negative && low == 0 {
                    return Value::Nan;
                }
                Value::Finite(Exact { negative, ..self.magnitude(low) })
            }
            Encoding::Integer { range, bits, fraction_bits } => {
                let shift = 64 - bits;
                let integer = match range {
                    Range::Unsigned => ((code << shift) >> shift) as i64,
                    Range::Symmetric | Range::Full => (code << shift) as i64 >> shift,
                };
                Value::Finite(Exact::integer(integer).scaled(-(fraction_bits as i32)))
            }
        }
    }

    /// The code of `value`, rounded once; `None` where a NaN meets a format without one.
    ///
    /// Total otherwise: `overflow` answers for numbers beyond the largest and for infinities. A negative number is
    /// out of range for a format without sign: it becomes the smallest number, or NaN under [`Overflow::Nan`].
    pub fn encode(self, value: Value, rounding: impl Into<Draw>, overflow: Overflow) -> Option<u64> {
        let draw = rounding.into();
        match (value, self.encoding) {
            (Value::Nan, _) => self.nan_code(),
            (Value::Infinite { negative }, _) => Some(self.overflowed(negative, overflow, None)),
            (Value::Finite(x), Encoding::Integer { .. }) => Some(self.encode_integer(x, draw, overflow)),
            (Value::Finite(x), Encoding::Float { .. }) => {
                let (rounded, _) = self.grid().round(x, draw);
                if x.negative && !self.is_signed() && !rounded.is_zero() {
                    return Some(self.overflowed(true, overflow, Some(draw)));
                }
                if rounded.cmp_magnitude(self.max()).is_gt() {
                    return Some(self.overflowed(x.negative, overflow, Some(draw)));
                }
                Some(self.with_sign(x.negative, self.magnitude_code(rounded)))
            }
        }
    }

    /// An integer code with its sign repeated above the format's width; other codes as they are.
    pub(crate) const fn sign_extended(self, code: u64) -> u64 {
        match self.encoding {
            Encoding::Integer { range: Range::Symmetric | Range::Full, bits, .. } => {
                ((code << (64 - bits)) as i64 >> (64 - bits)) as u64
            }
            Encoding::Float { .. } | Encoding::Integer { range: Range::Unsigned, .. } => code,
        }
    }

    /// The integer nearest by `draw`, held to the range or wrapped.
    fn encode_integer(self, x: Exact, draw: Draw, overflow: Overflow) -> u64 {
        let (rounded, _) = self.grid().round(x, draw);
        let (least, most) = self.integers();
        let signed = |units: u128| if x.negative { (units as i128).wrapping_neg() } else { units as i128 };
        let held = match overflow {
            Overflow::Wrap => signed(self.low_units(rounded)),
            Overflow::Saturate | Overflow::Infinity | Overflow::Nan => {
                signed(self.units(rounded)).clamp(least.into(), most.into())
            }
        };
        held as u64 & (u64::MAX >> (64 - self.magnitude_bits()))
    }

    /// The least and the greatest integer that are produced.
    pub(crate) const fn integers(self) -> (i64, i64) {
        let most = self.max_code() as i64;
        match self.encoding {
            Encoding::Integer { range: Range::Symmetric, .. } => (-most, most),
            Encoding::Integer { range: Range::Full, .. } => (-most - 1, most),
            Encoding::Integer { range: Range::Unsigned, .. } | Encoding::Float { .. } => (0, most),
        }
    }

    /// The code for what lies beyond the range; `draw` is `None` for an infinity, which no rounding brings back.
    fn overflowed(self, negative: bool, overflow: Overflow, draw: Option<Draw>) -> u64 {
        if let Encoding::Integer { .. } = self.encoding {
            let (least, most) = self.integers();
            let integer = if negative { least } else { most };
            return integer as u64 & (u64::MAX >> (64 - self.magnitude_bits()));
        }
        if negative && !self.is_signed() {
            return if overflow == Overflow::Nan { self.nan_code().unwrap_or(0) } else { 0 };
        }
        let largest = self.with_sign(negative, self.max_code());
        let nan = || self.nan_code().map_or(largest, |nan| self.nan_with_sign(negative, nan));
        match overflow {
            Overflow::Saturate | Overflow::Wrap => largest,
            Overflow::Infinity if draw.is_some_and(|d| d.stays_finite(negative)) => largest,
            Overflow::Infinity => self.infinity_code().map_or_else(nan, |code| self.with_sign(negative, code)),
            Overflow::Nan => nan(),
        }
    }

    /// The magnitude in units of the smallest position, cut off above 2^127: enough to be out of any range.
    fn units(self, x: Exact) -> u128 {
        let lsb = self.grid().lsb_min;
        let Some(leading) = x.leading_exponent() else { return 0 };
        if leading.saturating_sub(lsb) > 126 {
            return u128::MAX >> 1;
        }
        self.low_units(x)
    }

    /// The low 128 bits of the magnitude in units of the smallest position.
    fn low_units(self, x: Exact) -> u128 {
        let lsb = self.grid().lsb_min;
        if x.exponent >= lsb {
            x.significand.checked_shl(x.exponent.abs_diff(lsb)).unwrap_or(0)
        } else {
            x.significand.checked_shr(x.exponent.abs_diff(lsb)).unwrap_or(0)
        }
    }

    /// The sign-less code of a float that is on the grid and in range.
    fn magnitude_code(self, x: Exact) -> u64 {
        let Encoding::Float { mantissa_bits, bias, subnormals, .. } = self.encoding else { return 0 };
        match x.leading_exponent() {
            // Below the smallest number of a format without zero.
            None => 0,
            Some(leading) if leading < self.emin() && !subnormals => 0,
            Some(leading) if leading >= self.emin() => {
                let lsb = leading - mantissa_bits as i32;
                let significand = if x.exponent >= lsb {
                    x.significand << (x.exponent - lsb)
                } else {
                    x.significand >> (lsb - x.exponent)
                };
                (((leading + bias) as u64) << mantissa_bits) + (significand as u64 - (1 << mantissa_bits))
            }
            Some(_) => self.units(x) as u64,
        }
    }

    /// A float's sign-less code with its sign, where signs are written.
    fn with_sign(self, negative: bool, low: u64) -> u64 {
        let written = negative && self.is_signed() && (low != 0 || self.signs_lowest());
        low | if written { 1 << self.magnitude_bits() } else { 0 }
    }

    /// NaN with the sign of what overflowed, where more than one NaN exists.
    fn nan_with_sign(self, negative: bool, nan: u64) -> u64 {
        match self.encoding {
            Encoding::Float { specials: Specials::Fnuz, .. } => nan,
            _ => self.with_sign(negative, nan),
        }
    }
}
