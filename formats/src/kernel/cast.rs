//! FP32 to the code of any scalar of at most 16 bits, with any rounding and any overflow, on integers only.
//!
//! The number is `significand * 2^(field - 150)`; the format keeps multiples of 2^lsb with lsb = max(lsb_min, leading
//! exponent - mantissa bits). What is above 2^lsb is `kept`; what is below becomes a binary fraction of 32 bits, and a
//! rounding is a number added to the fraction whose carry is the growth of `kept`:
//! - nearest even: 2^31 - 1, one more if `kept` is odd; nearest away: 2^31; toward zero: 0;
//! - up and down: 2^32 - 1 or 0, as the sign says; to odd: 2^32 - 1 if `kept` is even, else 0;
//! - stochastic: the random bits at the top, so that what lies below them in the fraction cannot matter.
//!
//! The code of a float is `kept` with its hidden bit plus (lsb - lsb_min) exponent steps: a carry out of the fraction
//! is the next exponent, a subnormal has no hidden bit, and no case needs a branch.

use super::{DRAWN, Draws, FRACTION, Float, INFINITY, MAGNITUDE, Powers, Short};
use crate::rounding::drawn;
use crate::simd::{self, Level, Task};
use crate::{Draw, Encoding, Exact, Overflow, Rounding, Scalar, Specials, Value, random::Stream};

/// The constants of a format, a rounding and an overflow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cast {
    /// Exponent of the smallest position, and bits below the leading one (more than there are for integers).
    pub(crate) lsb_min: i32,
    mantissa_bits: i32,
    integer: bool,
    /// All bits where integers beyond 31 bits are out of range, none where they wrap.
    vast: u32,
    /// The addend: this, and more if `kept` is odd, and more if the number is negative, and these random bits.
    addend: u32,
    if_odd: u32,
    if_negative: u32,
    random: u32,
    /// 1 where the fraction's last bit stands for all that lie below it.
    sticky: u32,
    /// Code of the smallest number where there is no zero.
    hidden: u32,
    /// All bits where there are no negative numbers.
    barred: u32,
    /// The largest magnitude, what becomes of greater ones, of infinities and of NaN: of positive numbers, and the bits
    /// in which negative ones differ.
    most: [u32; 2],
    beyond: [u32; 2],
    infinite: [u32; 2],
    nan: u32,
    /// The sign bit, what of it the lowest magnitude has, and all bits of a code.
    sign: u32,
    sign_of_lowest: u32,
    mask: u32,
}

impl Cast {
    /// The constants; `None` for more than 16 bits and for exponents beyond what FP32 numbers need.
    pub(crate) fn new(scalar: Scalar, rounding: Rounding, overflow: Overflow) -> Option<Self> {
        if scalar.bits() > 16 || scalar.grid().lsb_min.abs() > 512 {
            return None;
        }
        // The codes of extremes come from the reference encoder itself; the draw of random bits is of no account.
        let draw: Draw = rounding.into();
        let code = |value: Value| scalar.encode(value, draw, overflow).unwrap_or(0) as u32;
        let huge = |negative| Value::Finite(Exact { negative, significand: 1, exponent: 4096 });
        let infinite = |negative| Value::Infinite { negative };
        let (integer, mantissa_bits, hidden) = match scalar.encoding {
            Encoding::Float { mantissa_bits, subnormals, .. } => {
                (false, mantissa_bits, if subnormals { 0 } else { 1 << mantissa_bits })
            }
            Encoding::Integer { .. } => (true, 1 << 12, 0),
        };
        let max = scalar.max_code() as u32;
        let negative_max = if integer { scalar.integers().0.unsigned_abs() as u32 } else { max };
        let negative_max = if scalar.is_signed() { negative_max } else { 0 };
        let (addend, if_odd, if_negative, random) = addends(rounding);
        let wraps = integer && overflow == Overflow::Wrap;
        let signed_float = !integer && scalar.is_signed();
        Some(Self {
            lsb_min: scalar.grid().lsb_min,
            mantissa_bits: mantissa_bits as i32,
            integer,
            vast: if wraps { 0 } else { u32::MAX },
            addend,
            if_odd,
            if_negative,
            random,
            sticky: u32::from(rounding.is_deterministic()),
            hidden,
            barred: if scalar.is_signed() { 0 } else { u32::MAX },
            most: if wraps { [u32::MAX, 0] } else { [max, max ^ negative_max] },
            beyond: [code(huge(false)), code(huge(false)) ^ code(huge(true))],
            infinite: [code(infinite(false)), code(infinite(false)) ^ code(infinite(true))],
            nan: code(Value::Nan),
            sign: if signed_float { 1 << scalar.magnitude_bits() } else { 0 },
            sign_of_lowest: if scalar.signs_lowest() { 1 << scalar.magnitude_bits() } else { 0 },
            mask: u32::MAX >> (32 - scalar.bits()),
        })
    }

    /// The code of the number `v / 2^(lsb_min - self.lsb_min)`; NaN without a code becomes 0.
    #[inline(always)]
    pub(crate) fn code(self, v: f32, lsb_min: i32, random: u32) -> u32 {
        if self.integer { self.code_as::<true>(v, lsb_min, random) } else { self.code_as::<false>(v, lsb_min, random) }
    }

    /// The same where the kind is known. What differs for negative numbers is chosen by masks: a choice between two
    /// constants would become a gather.
    #[inline(always)]
    pub(crate) fn code_as<const INTEGER: bool>(self, v: f32, lsb_min: i32, random: u32) -> u32 {
        let bits = v.to_bits();
        let magnitude = bits & MAGNITUDE;
        let minus = (bits >> 31).wrapping_neg();
        let of = |[positive, change]: [u32; 2]| positive ^ (change & minus);
        let (kept, steps, vast) = self.kept::<INTEGER>(magnitude, minus, lsb_min, random);
        let code = if INTEGER {
            let held = if vast { self.vast | kept } else { kept };
            let units = if held > of(self.most) { of(self.most) } else { held };
            ((units ^ minus).wrapping_sub(minus)) & self.mask
        } else {
            let low = (kept + (steps << self.mantissa_bits)).max(self.hidden) - self.hidden;
            let sign = if low == 0 { self.sign_of_lowest } else { self.sign };
            // A format without sign has no negative number but zero, and `kept` is zero only there.
            let barred = if kept == 0 { 0 } else { self.barred & minus };
            // A mask again: a choice here stays a branch, and the loop scalar.
            let beyond = u32::from((low | barred) > self.most[0]).wrapping_neg();
            (of(self.beyond) & beyond) | ((low | (sign & minus)) & !beyond)
        };
        let special = if magnitude > INFINITY { self.nan } else { of(self.infinite) };
        if magnitude >= INFINITY { special } else { code }
    }

    /// The kept part after rounding, the exponent steps above `lsb_min`, and whether an integer is beyond 31 bits.
    #[inline(always)]
    fn kept<const INTEGER: bool>(self, magnitude: u32, minus: u32, lsb_min: i32, random: u32) -> (u32, u32, bool) {
        // Subnormals are normalised by converting their fraction, an integer below 2^23, to FP32: exact.
        let subnormal = magnitude <= FRACTION;
        let normal = if subnormal { (magnitude as i32 as f32).to_bits() } else { magnitude };
        let field = (normal >> 23) as i32 - if subnormal { 149 } else { 0 };
        let significand = if magnitude == 0 { 0 } else { normal & FRACTION | (FRACTION + 1) };
        let lsb = if INTEGER { lsb_min } else { (field - 127 - self.mantissa_bits).max(lsb_min) };
        // The significand is shifted right by `shift`, which is at least 8 for floats; left where that is negative.
        let shift = lsb - field + 150;
        let right = significand >> shift.clamp(0, 31);
        let left = if shift <= -32 { 0 } else { right << (-shift).clamp(0, 31) };
        let whole = if INTEGER { left } else { right };
        // Below the point: shifted left by 32 - shift, right where that is negative.
        let up = 32 - shift;
        let fraction = (significand << up.clamp(0, 31)) >> (-up).clamp(0, 31);
        let lost = if up < 0 && magnitude != 0 { self.sticky } else { 0 };
        let fraction = if INTEGER && up >= 32 { 0 } else { fraction | lost };
        let addend = self
            .addend
            .wrapping_add(self.if_odd & (whole & 1).wrapping_neg())
            .wrapping_add(self.if_negative & minus)
            .wrapping_add(self.random & random);
        let carry = u32::from(fraction.wrapping_add(addend) < fraction);
        (whole.wrapping_add(carry), (lsb - lsb_min) as u32, shift < -7 && magnitude != 0)
    }
}

/// The addend of a rounding: always, if odd, if negative, and which random bits.
const fn addends(rounding: Rounding) -> (u32, u32, u32, u32) {
    const HALF: u32 = 1 << 31;
    match rounding {
        Rounding::NearestEven => (HALF - 1, 1, 0, 0),
        Rounding::NearestAway => (HALF, 0, 0, 0),
        Rounding::TowardZero => (0, 0, 0, 0),
        Rounding::Up => (u32::MAX, 0, 1, 0),
        Rounding::Down => (0, 0, u32::MAX, 0),
        Rounding::ToOdd => (u32::MAX, 1, 0, 0),
        Rounding::Stochastic(bits) => (0, 0, 0, u32::MAX << (32 - drawn(bits))),
    }
}

impl Scalar {
    /// The codes of numbers, NaN and infinities, one by one, by the vectorised path on this thread: the low bits that
    /// [`Scalar::encode`] gives, with the random words of `seed` at positions from 0. A NaN without a code becomes 0.
    ///
    /// # Panics
    /// If the format has more than 16 bits, or the slices are not of the same length.
    pub fn encode_slice(self, x: &[f32], rounding: Rounding, overflow: Overflow, seed: u64, out: &mut [u16]) {
        assert_eq!(x.len(), out.len(), "one code a number");
        let Some(cast) = Cast::new(self, rounding, overflow) else { panic!("{} has more than 16 bits", self.name) };
        let coder = Coder::new(self, rounding, overflow, cast);
        simd::run(Level::detect(), Slice { cast, coder, x, out, stream: Stream::new(seed) });
    }
}

/// How a slice is encoded.
#[derive(Clone, Copy)]
enum Coder {
    /// A narrow float, with and without -0.
    Float(Float),
    Fnuz(Float),
    /// The upper part of FP32.
    Short(Short<u16>),
    /// A power of two.
    Power(Powers),
    /// Any float, any integer, by any rounding that draws no random words; and by one that does.
    AnyFloat,
    AnyInteger,
    Drawing,
}

impl Coder {
    fn new(scalar: Scalar, rounding: Rounding, overflow: Overflow, cast: Cast) -> Self {
        let fnuz = matches!(scalar.encoding, Encoding::Float { specials: Specials::Fnuz, .. });
        let float = Float::coder(scalar, rounding, overflow).filter(|_| scalar.is_signed());
        match (float, Short::of(scalar, rounding, overflow), Powers::new(scalar, rounding, overflow)) {
            (Some(float), ..) => {
                if fnuz {
                    Self::Fnuz(float)
                } else {
                    Self::Float(float)
                }
            }
            (_, Some(short), _) => Self::Short(short),
            (.., Some(powers)) => Self::Power(powers),
            _ if cast.random != 0 => Self::Drawing,
            _ => {
                if cast.integer {
                    Self::AnyInteger
                } else {
                    Self::AnyFloat
                }
            }
        }
    }
}

/// Encodes a slice.
struct Slice<'a> {
    cast: Cast,
    coder: Coder,
    x: &'a [f32],
    out: &'a mut [u16],
    stream: Stream,
}

/// One loop a coder, its own code inlined.
macro_rules! each {
    ($x:ident, $out:ident, $v:ident => $code:expr) => {
        for (out, &$v) in $out.iter_mut().zip($x) {
            *out = $code as u16;
        }
    };
}

impl Task for Slice<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { cast, coder, x, out, stream } = self;
        // An infinity overflows as any number beyond the largest.
        let nan = |v: f32, code| if v.to_bits() & MAGNITUDE > INFINITY { cast.nan } else { code };
        match coder {
            Coder::Float(float) => each!(x, out, v => nan(v, float.coded(v))),
            Coder::Fnuz(float) => each!(x, out, v => nan(v, float.coded_without_minus_zero(v))),
            Coder::Short(short) => each!(x, out, v => nan(v, short.coded(v))),
            Coder::Power(powers) => each!(x, out, v => nan(v, powers.coded(v))),
            Coder::AnyFloat => each!(x, out, v => cast.code_as::<false>(v, cast.lsb_min, 0)),
            Coder::AnyInteger => each!(x, out, v => cast.code_as::<true>(v, cast.lsb_min, 0)),
            Coder::Drawing => {
                for (i, (x, out)) in x.chunks(DRAWN).zip(out.chunks_mut(DRAWN)).enumerate() {
                    let words = Draws { stream, first: (i * DRAWN) as u64 }.words();
                    for ((&v, out), random) in x.iter().zip(out).zip(words) {
                        *out = cast.code(v, cast.lsb_min, random) as u16;
                    }
                }
            }
        }
    }
}
