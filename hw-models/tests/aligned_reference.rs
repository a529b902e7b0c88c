//! Tensor-core arithmetic one output at a time, in exact integers: the slow, obvious version of the aligned kernels.
//!
//! It follows the published definitions (T-FDPA, ST-FDPA, GST-FDPA of MMA-Sim) and is itself checked on recorded rows.

use interplay_hw::judge::{Accumulator, Aligned, Grouped, Joins};

/// The NaN of NVIDIA's units.
pub const NAN: f32 = f32::from_bits(0x7FFF_FFFF);

/// Fraction bits that hold every significand relative to its exponent, subnormal ones included.
const FRACTION: i32 = 50;

/// `significand * 2^(exponent - fraction)`, the exponent being what the machine aligns by.
#[derive(Clone, Copy)]
pub struct Term {
    pub significand: i128,
    pub exponent: i32,
    pub fraction: i32,
}

/// A finite number with its exponent pinned at `emin`; `None` for zero.
pub fn decode(x: f32, emin: i32) -> Option<Term> {
    let field = (x.to_bits() >> 23 & 0xFF) as i32;
    let fraction = i128::from(x.to_bits() & 0x7F_FFFF);
    let significand = if field == 0 { fraction } else { fraction | 1 << 23 };
    let own = field.max(1) - 127;
    let exponent = own.max(emin);
    let significand = significand << (FRACTION - 23) >> (exponent - own);
    let significand = if x.is_sign_negative() { -significand } else { significand };
    (x != 0.0).then_some(Term { significand, exponent, fraction: FRACTION })
}

/// Sums the terms aligned to the largest exponent, at least `floor`: integers in units of `2^(E - fraction_bits)`.
fn align(terms: &[Term], floor: i32, fraction_bits: i32) -> (i128, i32) {
    let exponent = terms.iter().map(|term| term.exponent).fold(floor, i32::max);
    let aligned = terms.iter().map(|term| {
        let shift = term.fraction - fraction_bits + exponent - term.exponent;
        let magnitude = term.significand.abs();
        let kept = if shift > 126 { 0 } else { magnitude >> shift };
        if term.significand < 0 { -kept } else { kept }
    });
    (aligned.sum(), exponent - fraction_bits)
}

/// `sum * 2^last_place` in a format of `precision` bits with the least exponent `emin`; beyond `max` it is infinite.
pub fn round(sum: i128, last_place: i32, precision: i32, emin: i32, nearest: bool, max: f32) -> f32 {
    let magnitude = sum.unsigned_abs();
    let top = 127 - magnitude.leading_zeros() as i32 + last_place;
    let quantum = top.max(emin) - precision + 1;
    let shift = quantum - last_place;
    let rounded = if magnitude == 0 || shift > 127 {
        0
    } else if shift <= 0 {
        magnitude << -shift
    } else {
        let (kept, lost, half) = (magnitude >> shift, magnitude & ((1 << shift) - 1), 1u128 << (shift - 1));
        kept + u128::from(nearest && (lost > half || lost == half && kept & 1 == 1))
    };
    // At most 2^24 times a power of two between 2^-149 and 2^200 or so: exact in FP64.
    let value = rounded as f64 * f64::from_bits(((quantum + 1023) as u64) << 52);
    let value = if rounded == 0 { 0.0 } else { value };
    let value = if value > f64::from(max) { f32::INFINITY } else { value as f32 };
    if sum < 0 && value != 0.0 { -value } else { value }
}

/// Rounds a sum to an accumulator.
fn finish(accumulator: Accumulator, (sum, last_place): (i128, i32)) -> f32 {
    match accumulator {
        Accumulator::Single => round(sum, last_place, 24, -126, false, f32::MAX),
        Accumulator::E8M13 => round(sum, last_place, 14, -126, false, f32::MAX),
        Accumulator::Half => round(sum, last_place, 11, -14, true, 65504.0),
    }
}

/// The result that infinities and NaN decide, if there are any.
fn special(products: impl Iterator<Item = (f32, f32)>, c: f32) -> Option<f32> {
    // The sum of what is not finite, under IEEE rules; finite products cannot change it.
    let products = products.filter(|(a, b)| !a.is_finite() || !b.is_finite());
    let (mut found, mut sum) = (!c.is_finite(), if c.is_finite() { 0.0 } else { c });
    for (a, b) in products {
        found = true;
        sum += a * b;
    }
    found.then_some(if sum.is_nan() { NAN } else { sum })
}

/// One step: `c`, a format of the least exponent `emin`, plus the products, each times `2^scale`.
fn step(unit: &Aligned, a: &[f32], b: &[f32], scale: Option<i32>, (c, emin): (f32, i32)) -> f32 {
    let Some(scale) = scale else { return NAN };
    if let Some(result) = special(a.iter().copied().zip(b.iter().copied()), c) {
        return result;
    }
    let products = a.iter().zip(b).filter_map(|(&a, &b)| {
        let (a, b) = (decode(a, unit.emin.0)?, decode(b, unit.emin.1)?);
        // At most 12 bits of each significand are used, so halving the room loses nothing.
        let significand = (a.significand >> 10) * (b.significand >> 10);
        Some(Term { significand, exponent: a.exponent + b.exponent + scale, fraction: 2 * (FRACTION - 10) })
    });
    let terms: Vec<Term> = products.chain(decode(c, emin)).collect();
    finish(unit.accumulator, align(&terms, unit.floor, unit.fraction_bits as i32))
}

/// A chain of steps from `c`, a number of a format with a least exponent; scale exponents, if any, one a block.
pub fn chain(unit: &Aligned, a: &[f32], b: &[f32], scales: (&[f64], &[f64]), c: (f32, i32)) -> f32 {
    let steps = a.chunks(unit.step).zip(b.chunks(unit.step)).enumerate();
    let emin = if unit.accumulator == Accumulator::Half { -14 } else { -126 };
    let chained = steps.fold(c, |c, (i, (a, b))| {
        let scale = unit.scale_block.map_or(Some(0), |block| {
            let scale = scales.0[i * unit.step / block] + scales.1[i * unit.step / block];
            (!scale.is_nan()).then_some(scale as i32)
        });
        (step(unit, a, b, scale, c), emin)
    });
    chained.0
}

/// The dot product of two rows, from an accumulator of +0.
pub fn dot(unit: &Aligned, a: &[f32], b: &[f32], scales: (&[f64], &[f64])) -> f32 {
    match unit.joins {
        Joins::First => chain(unit, a, b, scales, (0.0, 0)),
        Joins::Last { steps } => {
            let length = unit.step * steps;
            a.chunks(length)
                .zip(b.chunks(length))
                .fold(0.0, |c, (a, b)| add(unit, chain(unit, a, b, scales, (0.0, 0)), c))
        }
    }
}

/// One IEEE addition in the type of the accumulator.
pub fn add(unit: &Aligned, a: f32, b: f32) -> f32 {
    let sum = a + b;
    if unit.accumulator != Accumulator::Half || !sum.is_finite() {
        return if sum.is_nan() { NAN } else { sum };
    }
    let units = |x: f32| (f64::from(x) * f64::from(1u32 << 24)) as i128;
    round(units(a) + units(b), -24, 11, -14, true, 65504.0)
}

/// A chain of steps of a block-scaled unit with exact groups, from `c`.
pub fn grouped(unit: &Grouped, a: &[f32], b: &[f32], scales: (&[f64], &[f64]), c: f32) -> f32 {
    let length = unit.group * unit.groups;
    a.chunks(length).zip(b.chunks(length)).enumerate().fold(c, |c, (i, (a, b))| {
        let groups = a.chunks(unit.group).zip(b.chunks(unit.group)).enumerate();
        let block = |group: usize| (i * unit.groups + group) * unit.group / unit.scale_block;
        let used: Vec<_> = groups.map(|(g, (a, b))| (a, b, scales.0[block(g)], scales.1[block(g)])).collect();
        if used.iter().any(|(_, _, sa, sb)| (sa * sb).is_nan()) || c.is_nan() {
            return NAN;
        }
        if c.is_infinite() {
            return c;
        }
        let terms = used.iter().filter_map(|(a, b, sa, sb)| group(unit, a, b, *sa, *sb));
        let terms: Vec<Term> = terms.chain(decode(c, -126)).collect();
        let (sum, last_place) = align(&terms, unit.floor, unit.fraction_bits as i32);
        round(sum, last_place, 24, -126, false, f32::MAX)
    })
}

/// The term of one group: the exact sum of its products times its scales; none where no product or a scale is 0.
fn group(unit: &Grouped, a: &[f32], b: &[f32], sa: f64, sb: f64) -> Option<Term> {
    // E2M1 values are multiples of 1/2; scales have at most 4 significant bits and multiples of 2^-9 as significands.
    let halves = |x: f32| (x * 2.0) as i128;
    let products: Vec<i128> = a.iter().zip(b).map(|(&a, &b)| halves(a) * halves(b)).collect();
    let scale = |x: f64| {
        let exponent = ((x.to_bits() >> 52) as i32 - 1023).max(unit.scale_emin);
        ((x * f64::from_bits(((9 - exponent + 1023) as u64) << 52)) as i128, exponent)
    };
    let ((sa, ea), (sb, eb)) = (scale(sa), scale(sb));
    let something = sa != 0 && sb != 0 && products.iter().any(|&product| product != 0);
    let significand = (products.iter().sum::<i128>() * sa * sb) << 40;
    something.then_some(Term { significand, exponent: ea + eb, fraction: 60 })
}
