//! Operands that hurt, as codes.

use interplay_formats::{Scalar, Value};
use interplay_gpu::fdpa::unit::{ScalePort, Scaling};
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
    /// Plain ones, and every now and then an infinity or a NaN.
    Rare,
    /// Runs of very different size.
    Runs,
}

impl Kind {
    pub const ALL: [Self; 10] = [
        Self::Plain,
        Self::AnyCode,
        Self::AnyNumber,
        Self::Tiny,
        Self::Huge,
        Self::Zeros,
        Self::Cancelling,
        Self::Ties,
        Self::Rare,
        Self::Runs,
    ];

    /// A row of codes of a format.
    pub fn row(self, format: Scalar, k: usize, random: &mut Random) -> Vec<u64> {
        let mut row: Vec<u64> = (0..k).map(|at| self.code(format, at, random)).collect();
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
    fn code(self, format: Scalar, at: usize, random: &mut Random) -> u64 {
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
            Self::Rare => match random.below(200) {
                0 => format.infinity_code().unwrap_or(0),
                1 if random.below(4) == 0 => format.nan_code().unwrap_or(0),
                _ => near(random, one, 3 << fraction),
            },
            Self::Runs => near(random, max / 8 * (1 + (at / 8 * 5 % 7) as u64), 1 << fraction),
            Self::Ties => (near(random, one, 6 << fraction) >> fraction << fraction).min(max),
        }
    }
}

fn overflow() -> interplay_formats::Overflow {
    interplay_formats::Overflow::Infinity
}

/// An operand: codes `[rows, k]` and scales `[rows, blocks]`.
#[derive(Clone, Debug)]
pub struct Side {
    pub rows: usize,
    pub k: usize,
    pub codes: Vec<u64>,
    pub scales: Vec<u64>,
    format: Scalar,
    scale: Option<Scalar>,
}

impl Side {
    /// Operands of a kind for a unit, `m` and `n` rows; whole blocks where it has scales.
    pub fn pair(datapath: &Datapath, kind: Kind, [m, n, k]: [usize; 3], random: &mut Random) -> (Self, Self) {
        let codes = datapath.codes().unwrap();
        let k = codes.scale.map_or(k, |scale| k.next_multiple_of(scale.block));
        let blocks = codes.scale.map_or(0, |scale| k / scale.block);
        let scale = codes.scale.map(|scale| scale.format);
        let mut side = |format: Scalar, rows: usize| Self {
            rows,
            k,
            codes: (0..rows).flat_map(|_| kind.row(format, k, random)).collect(),
            scales: (0..rows * blocks).map(|_| scale.map_or(0, |format| code_of_scale(format, random))).collect(),
            format,
            scale,
        };
        (side(codes.a.format, m), side(codes.b.format, n))
    }

    /// The FP32 bits of the elements; NaN as it is in FP32.
    pub fn values(&self) -> Vec<u32> {
        self.codes.iter().map(|&code| self.format.decode(code).to_f32().to_bits()).collect()
    }

    /// The scales as they lie on the device.
    pub fn laid_out(&self, scaling: Scaling) -> Vec<u32> {
        let word = |&code: &u64| match (scaling.port, self.scale.unwrap().decode(code)) {
            (ScalePort::Code { .. }, _) => code as u32,
            (_, Value::Finite(x)) => x.leading_exponent().map_or(0, |e| e as u32),
            _ => 0x8000_0000,
        };
        self.scales.iter().map(word).collect()
    }

    /// The codes and the scales of a row.
    fn row(&self, row: usize) -> (&[u64], &[u64]) {
        let blocks = self.scales.len() / self.rows;
        (&self.codes[row * self.k..][..self.k], &self.scales[row * blocks..][..blocks])
    }
}

/// One output by the definition, as FP32 bits.
pub fn definition(datapath: &Datapath, x: &Side, w: &Side, [row, column]: [usize; 2], nan: u32) -> u32 {
    let ((a, scale_a), (b, scale_b)) = (x.row(row), w.row(column));
    let code = datapath.dot(Row { a, b, c: 0, scale_a, scale_b, metadata: &[] }, None).unwrap();
    match datapath.accumulator.d.decode(code) {
        Value::Nan => nan,
        value => value.to_f32().to_bits(),
    }
}

/// A scale's code: mostly near one, sometimes anything.
fn code_of_scale(format: Scalar, random: &mut Random) -> u64 {
    let one = format.encode(Value::from_f32(1.0), interplay_formats::Rounding::NearestEven, overflow()).unwrap();
    match random.below(8) {
        0 => random.below(1 << format.bits()),
        1 => random.below(format.max_code() + 1),
        _ => (one + random.below(8)).saturating_sub(4),
    }
}
