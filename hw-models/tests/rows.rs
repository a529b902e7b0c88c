//! Rows of codes for any unit that takes codes, each class meant to break something.

use crate::reference::number::{Format, Mode, Number, Rho, Specials, Term};
use crate::reference::unit::{Operand, Scale, Unit};
use crate::support::Random;
use interplay_hw::Row;

/// Kinds of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// All bits alike.
    AnyBits,
    /// Exponents close together.
    Near,
    /// Exponents some binades apart, long significands.
    Spread,
    /// Exponents far apart, short significands.
    Wide,
    /// Products in pairs that cancel, but for a last bit here and there; the accumulator cancels the first one.
    Cancelling,
    /// Infinities, NaN, zeros and the largest numbers among others.
    Specials,
    /// Powers of two.
    Powers,
    /// Subnormals and their neighbours.
    Tiny,
    /// The largest numbers.
    Huge,
    /// Exponents about that of the result's smallest numbers, where zeros take part in alignments.
    Edge,
    /// Products of half a last place of the accumulator, or that and a little.
    Ties,
    /// Mostly zeros of both signs.
    Zeros,
}

impl Class {
    pub const ALL: [Self; 12] = [
        Self::AnyBits,
        Self::Near,
        Self::Spread,
        Self::Wide,
        Self::Cancelling,
        Self::Specials,
        Self::Powers,
        Self::Tiny,
        Self::Huge,
        Self::Edge,
        Self::Ties,
        Self::Zeros,
    ];
}

/// A row that owns its codes.
#[derive(Clone, Debug, Default)]
pub struct Codes {
    pub a: Vec<u64>,
    pub b: Vec<u64>,
    pub c: u64,
    pub scale_a: Vec<u64>,
    pub scale_b: Vec<u64>,
    pub metadata: Vec<u64>,
}

impl Codes {
    pub fn row(&self) -> Row<'_> {
        Row {
            a: &self.a,
            b: &self.b,
            c: self.c,
            scale_a: &self.scale_a,
            scale_b: &self.scale_b,
            metadata: &self.metadata,
        }
    }
}

/// The format of a float operand.
fn float(operand: Operand) -> Option<Format> {
    match operand {
        Operand::Float(format) => Some(format),
        Operand::Register => Some(crate::reference::number::F32),
        Operand::Integer { .. } => None,
    }
}

/// One row of `k` positions.
pub fn row(unit: &Unit, class: Class, k: usize, random: &mut Random) -> Codes {
    let (n, m, _) = unit.sparse.unwrap_or((1, 1, 1));
    let scales = |random: &mut Random| -> Vec<u64> {
        let Some((scale, block)) = unit.scale else { return Vec::new() };
        (0..k.div_ceil(block)).map(|_| scale_code(scale, class, random)).collect()
    };
    let (scale_a, scale_b) = (scales(random), scales(random));
    let metadata = if unit.sparse.is_some() { (0..k / m).map(|_| legal(m, random)).collect() } else { Vec::new() };
    let stored = k * n / m;
    let (a, b, c) = match (float(unit.a), float(unit.b), unit.c) {
        (Some(a), Some(b), Some(c)) => floats(unit, (a, b, c), class, (stored, k), &metadata, random),
        _ => integers(unit, class, (stored, k), random),
    };
    Codes { a, b, c, scale_a, scale_b, metadata }
}

/// A legal code of metadata.
fn legal(m: usize, random: &mut Random) -> u64 {
    match m {
        2 => [0b0100, 0b1110][random.below(2) as usize],
        _ => [0b0100, 0b1000, 0b1100, 0b1001, 0b1101, 0b1110][random.below(6) as usize],
    }
}

/// A code of a block's scale.
fn scale_code(scale: Scale, class: Class, random: &mut Random) -> u64 {
    let any = random.bits() & 0xFF;
    match (scale, class) {
        (_, Class::AnyBits | Class::Wide) => any.min(0xFE),
        (_, Class::Specials) => match random.below(24) {
            0 => 0xFF,
            1 => 0x00,
            2 => 0x7F,
            _ => 120 + any % 6,
        },
        (Scale::Ue8m0, Class::Spread) => 112 + any % 32,
        (Scale::Ue8m0, Class::Tiny) => any % 3,
        (Scale::Ue8m0, Class::Huge) => 0xFE - any % 3,
        (Scale::Ue8m0, Class::Edge) => 56 + any % 16,
        (Scale::Ue8m0, _) => 124 + any % 8,
        (Scale::Ue4m3, Class::Tiny | Class::Edge) => any % 10,
        (Scale::Ue4m3, Class::Huge) => 0x7E - any % 3,
        (Scale::Ue4m3, _) => 0x30 + any % 16,
    }
}

/// Operands and an accumulator of integers.
fn integers(unit: &Unit, class: Class, (stored, k): (usize, usize), random: &mut Random) -> (Vec<u64>, Vec<u64>, u64) {
    let ends = matches!(class, Class::Huge | Class::Specials | Class::Edge);
    let negative = random.below(2);
    let mut element = |operand: Operand| -> u64 {
        let Operand::Integer { bits, signed } = operand else { return 0 };
        let (low, ones) = (random.bits() & ((1 << bits) - 1), (1 << bits) - 1);
        match (ends, signed) {
            (false, _) => low,
            // All of the least, or of the largest number.
            (true, true) => (1 << (bits - 1)) - negative,
            (true, false) => ones,
        }
    };
    let a = (0..stored).map(|_| element(unit.a)).collect();
    let b = (0..k).map(|_| element(unit.b)).collect();
    let c = match (ends, random.below(4)) {
        (true, 0) => i32::MAX as u64,
        (true, 1) => u64::from(i32::MIN as u32),
        (true, _) => u64::from((i32::MAX as u32).wrapping_add(random.below(3000) as u32).wrapping_sub(1500)),
        (false, _) => random.bits() & 0xFFFF_FFFF,
    };
    (a, b, c)
}

/// A code of its parts.
fn code(format: Format, negative: bool, field: i64, fraction: u64) -> u64 {
    let field = field.clamp(0, format.last_field() as i64) as u64;
    let code = u64::from(negative) << (format.bits() - 1) | field << format.mantissa | fraction;
    // The largest number beside the NaN that has its exponent.
    let nan = format.specials == Specials::LastNan && code & ((1 << (format.bits() - 1)) - 1) == 0x7F;
    code - u64::from(nan)
}

/// The code of `2^exponent`, where the format has it.
fn power(format: Format, exponent: i64) -> Option<u64> {
    let below = format.emin() - exponent;
    match below {
        ..=0 if exponent <= format.bias => Some(((exponent + format.bias) as u64) << format.mantissa),
        1.. if below <= i64::from(format.mantissa) => Some(1 << (i64::from(format.mantissa) - below)),
        _ => None,
    }
}

/// Factors of two products: half of the result's smallest number, and a little of it that alignment may cut off.
fn edge_parts((a, b, d): (Format, Format, Format), random: &mut Random) -> Option<[(u64, u64); 2]> {
    let half = d.emin() - i64::from(d.mantissa) - 1;
    let little = half - 14 - random.below(8) as i64;
    let split = |exponent: i64| Some((power(a, exponent / 2)?, power(b, exponent - exponent / 2)?));
    Some([split(half)?, split(little)?])
}

/// An element whose exponent is about `target` (of its value).
fn element(format: Format, class: Class, target: i64, random: &mut Random) -> u64 {
    let negative = random.below(2) == 1;
    let fraction = random.bits() & ((1 << format.mantissa) - 1);
    let near = target + format.bias + random.below(3) as i64 - 1;
    let any = random.below(format.last_field() + 1) as i64;
    match class {
        Class::AnyBits => random.bits() & (u64::MAX >> (64 - format.bits())),
        Class::Near | Class::Cancelling => code(format, negative, near + random.below(3) as i64 - 1, fraction),
        Class::Spread => code(format, negative, near + random.below(21) as i64 - 10, fraction),
        Class::Wide => code(format, negative, any, fraction & (fraction >> 1)),
        Class::Specials => special(format, negative, near, fraction, random),
        Class::Powers => code(format, negative, any, 0),
        Class::Tiny => code(format, negative, random.below(3) as i64, fraction),
        Class::Huge => code(format, negative, format.last_field() as i64 - random.below(2) as i64, fraction),
        Class::Edge => code(format, negative, near, fraction),
        Class::Ties => code(format, negative, near, u64::from(random.below(8) == 0)),
        Class::Zeros if random.below(6) == 0 => code(format, negative, near, fraction),
        Class::Zeros => code(format, negative && format.specials != Specials::MinusZeroNan, 0, 0),
    }
}

/// Sometimes an infinity, a NaN, a zero or the largest number.
fn special(format: Format, negative: bool, near: i64, fraction: u64, random: &mut Random) -> u64 {
    let sign = u64::from(negative) << (format.bits() - 1);
    let infinity = (1u64 << (format.bits() - 1)) - (1 << format.mantissa);
    match (random.below(40), format.specials) {
        (0 | 1, Specials::Ieee) => sign | infinity,
        (2, Specials::Ieee) => sign | infinity | fraction.max(1),
        (0, Specials::LastNan) => sign | 0x7F,
        (0, Specials::MinusZeroNan) => 1 << (format.bits() - 1),
        (3..=6, _) => code(format, negative && format.specials != Specials::MinusZeroNan, 0, 0),
        (7, _) => code(format, negative, format.last_field() as i64, (1 << format.mantissa) - 1),
        _ => code(format, negative, near, fraction),
    }
}

/// Operands and an accumulator of floats.
fn floats(
    unit: &Unit,
    (fa, fb, fc): (Format, Format, Format),
    class: Class,
    (stored, k): (usize, usize),
    metadata: &[u64],
    random: &mut Random,
) -> (Vec<u64>, Vec<u64>, u64) {
    let d = unit.d.unwrap_or(fc);
    // The exponent of products: about one, or about the result's smallest numbers.
    let target = if class == Class::Edge { d.emin() - 8 - random.below(14) as i64 } else { 0 };
    let share = (target / 2).clamp(fa.emin() - i64::from(fa.mantissa), fa.bias);
    let mut a: Vec<u64> = (0..stored).map(|_| element(fa, class, share, random)).collect();
    let mut b: Vec<u64> = (0..k).map(|_| element(fb, class, target - share, random)).collect();
    let positions = crate::reference::stored_positions(unit.sparse, metadata, k);
    if class == Class::Cancelling {
        for i in (1..stored).step_by(2) {
            let off = u64::from(random.below(4) == 0);
            a[i] = a[i - 1] ^ off;
            b[positions[i]] = b[positions[i - 1]] ^ 1 << (fb.bits() - 1);
        }
    }
    let edge = class == Class::Edge && stored > 1 && random.below(2) == 0;
    let parts = edge.then(|| edge_parts((fa, fb, d), random)).flatten();
    if let Some(parts) = parts {
        a.fill(0);
        for (i, (x, y)) in parts.into_iter().enumerate() {
            (a[i], b[positions[i]]) = (x, y);
        }
    }
    let first = fa.decode(a[0]).times(&fb.decode(b[positions[0]]));
    let c = if parts.is_some() { 0 } else { accumulator((fc, d), class, &first, target, random) };
    (a, b, c)
}

/// An accumulator that goes with the first product.
fn accumulator((fc, d): (Format, Format), class: Class, first: &Term, target: i64, random: &mut Random) -> u64 {
    match (class, &first.number) {
        (Class::Cancelling, Number::Finite(x, negative)) if random.below(2) == 0 => {
            let rounded = Rho::to(fc, Mode::Zero).round(&-x, !negative);
            fc.encode(&rounded)
        }
        (Class::Ties, _) => {
            let places = first.exponent.max(-200) + i64::from(d.mantissa) + random.below(3) as i64;
            let fraction = random.bits() & ((1 << fc.mantissa) - 1);
            code(fc, random.below(2) == 1, places + fc.bias, fraction)
        }
        (Class::Edge, _) => element(
            fc,
            [Class::Tiny, Class::Zeros, Class::Zeros, Class::Edge][random.below(4) as usize],
            target,
            random,
        ),
        _ => element(fc, class, first.exponent.max(-200) + random.below(8) as i64, random),
    }
}
