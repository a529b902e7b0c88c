//! Operands that hurt, as codes.

use interplay_formats::{Scalar, Value};
use interplay_gpu::fdpa::unit::{ScalePort, Scaling};
use interplay_hw::datapath::Codes;
use interplay_hw::{Datapath, Row};

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.bits() % end
    }
}

/// Kinds of input, each meant to break something.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Exponents close together, as in a trained layer.
    Plain,
    /// Every code alike, infinities and NaN too.
    AnyCode,
    /// Finite codes alike.
    AnyNumber,
    /// Subnormal numbers and their neighbours.
    Tiny,
    /// Near the largest number.
    Huge,
    /// Mostly zeros of both signs.
    Zeros,
    /// x, -x, x, -x with small remainders: nearly everything cancels.
    Cancelling,
    /// Few significant bits: sums are often ties.
    Ties,
}

impl Kind {
    pub const ALL: [Self; 8] = [
        Self::Plain,
        Self::AnyCode,
        Self::AnyNumber,
        Self::Tiny,
        Self::Huge,
        Self::Zeros,
        Self::Cancelling,
        Self::Ties,
    ];

    /// A row of codes of a format.
    pub fn row(self, format: Scalar, k: usize, random: &mut Random) -> Vec<u64> {
        let mut row: Vec<u64> = (0..k).map(|_| self.code(format, random)).collect();
        if matches!(self, Self::Cancelling) {
            let sign = 1 << (format.bits() - 1);
            for i in (1..k).step_by(2) {
                let last = u64::from(random.below(8) == 0);
                row[i] = row[i - 1] ^ sign ^ last;
            }
        }
        row
    }

    /// A code of a format, with the sign in its highest bit.
    fn code(self, format: Scalar, random: &mut Random) -> u64 {
        let (bits, max) = (format.bits(), format.max_code());
        let sign = random.below(2) << (bits - 1);
        let fraction = format.grid().precision.map_or(0, |precision| precision - 1);
        let near = |random: &mut Random, middle: u64, half: u64| {
            let low = middle.saturating_sub(half);
            low + random.below((middle + half).min(max) - low + 1)
        };
        let one = format.encode(Value::from_f32(1.0), interplay_formats::Rounding::NearestEven, overflow()).unwrap();
        sign | match self {
            Self::AnyCode => random.below(1 << (bits - 1)),
            Self::AnyNumber => random.below(max + 1),
            Self::Plain | Self::Cancelling => near(random, one, 3 << fraction),
            Self::Tiny => random.below((3 << fraction).min(max) + 1),
            Self::Huge => near(random, max, 2 << fraction),
            Self::Zeros if random.below(4) > 0 => 0,
            Self::Zeros => random.below(max + 1),
            Self::Ties => (near(random, one, 6 << fraction) >> fraction << fraction).min(max),
        }
    }
}

fn overflow() -> interplay_formats::Overflow {
    interplay_formats::Overflow::Infinity
}

/// Two rows of codes and their scales.
pub struct Rows {
    pub codes: Codes,
    pub a: Vec<u64>,
    pub b: Vec<u64>,
    pub scale_a: Vec<u64>,
    pub scale_b: Vec<u64>,
}

impl Rows {
    /// Rows of a kind for a unit; whole blocks where it has scales.
    pub fn of(datapath: &Datapath, kind: Kind, k: usize, random: &mut Random) -> Self {
        let codes = datapath.codes().unwrap();
        let k = codes.scale.map_or(k, |scale| k.next_multiple_of(scale.block));
        let blocks = codes.scale.map_or(0, |scale| k / scale.block);
        let mut scales = || -> Vec<u64> {
            let format = codes.scale.map(|scale| scale.format);
            (0..blocks).map(|_| format.map_or(0, |format| scale(format, random))).collect()
        };
        let (scale_a, scale_b) = (scales(), scales());
        let (a, b) = (kind.row(codes.a.format, k, random), kind.row(codes.b.format, k, random));
        Self { codes, a, b, scale_a, scale_b }
    }

    /// The result by the definition, as FP32 bits.
    pub fn definition(&self, datapath: &Datapath, nan: u32) -> u32 {
        let Self { a, b, scale_a, scale_b, .. } = self;
        let row = Row { a, b, c: 0, scale_a, scale_b, metadata: &[] };
        match datapath.accumulator.d.decode(datapath.dot(row, None).unwrap()) {
            Value::Nan => nan,
            value => value.to_f32().to_bits(),
        }
    }
}

/// A scale's code: mostly near one, sometimes anything.
pub fn scale(format: Scalar, random: &mut Random) -> u64 {
    let one = format.encode(Value::from_f32(1.0), interplay_formats::Rounding::NearestEven, overflow()).unwrap();
    match random.below(8) {
        0 => random.below(1 << format.bits()),
        1 => random.below(format.max_code() + 1),
        _ => (one + random.below(8)).saturating_sub(4),
    }
}

/// FP32 bits of codes; NaN as it is in FP32.
pub fn values(codes: &[u64], format: Scalar) -> Vec<u32> {
    codes.iter().map(|&code| format.decode(code).to_f32().to_bits()).collect()
}

/// Scales as they lie on the device.
pub fn laid_out(format: Scalar, codes: &[u64], scaling: Scaling) -> Vec<u32> {
    let word = |&code: &u64| match (scaling.port, format.decode(code)) {
        (ScalePort::Code { .. }, _) => code as u32,
        (_, Value::Finite(x)) => x.leading_exponent().map_or(0, |e| e as u32),
        _ => 0x8000_0000,
    };
    codes.iter().map(word).collect()
}
