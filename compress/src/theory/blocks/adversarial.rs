//! Blocks that are hard to round and to rank, whatever the format: all values are near multiples of a power of two, and the largest
//! one is where scales of formats of some width make that power of two their unit.

/// Words that say what kind of block it is; every value takes two more.
pub(super) const HEAD: usize = 8;

/// What the values of a block have in common.
#[derive(Clone, Copy)]
enum Kind {
    /// Whole units.
    Grid,
    /// Odd halves of units.
    Halves,
    /// Odd halves, a few units in the last place beside them.
    NearHalves,
    /// Sixteenths of units.
    Sixteenths,
    /// Four neighbours a few units in the last place apart.
    NearTies,
    /// Four neighbours some sixteenths of a unit apart.
    WithinAUnit,
    /// The largest value several times, and the same less half a gap of some width: what rounds up to it outranks it by index.
    Rivals,
    /// One value far above all others.
    OneHuge,
    /// Mostly zeros, of both signs.
    MostlyZeros,
    /// FP32 subnormals and what is just above them.
    Subnormals,
}

const KINDS: [Kind; 10] = [
    Kind::Grid,
    Kind::Halves,
    Kind::NearHalves,
    Kind::Sixteenths,
    Kind::NearTies,
    Kind::WithinAUnit,
    Kind::Rivals,
    Kind::OneHuge,
    Kind::MostlyZeros,
    Kind::Subnormals,
];

/// A value among rivals.
#[derive(Clone, Copy)]
enum Rival {
    Top,
    Below,
    Zero,
}

use Rival::{Below, Top, Zero};

/// How rivals stand in a group of four.
const RIVALS: [[Rival; 4]; 6] = [
    [Top, Top, Below, Below],
    [Top, Below, Zero, Zero],
    [Top, Top, Top, Below],
    [Below, Below, Top, Top],
    [Zero, Zero, Below, Top],
    [Below, Top, Top, Top],
];

/// Fills a block from `HEAD` words and two a value.
pub(super) fn block(words: &[u32], out: &mut [f32]) {
    let (head, body) = words.split_at(HEAD);
    let kind = KINDS[head[0] as usize % KINDS.len()];
    // Half of the blocks are near 1, where the elements of scalar formats lie.
    let exponent = if head[1] & 1 == 0 { (head[1] >> 8) % 5 } else { (head[1] >> 8) % 25 } as i32;
    let exponent = if head[1] & 1 == 0 { exponent - 3 } else { exponent - 16 };
    let top = largest(head[2], head[3]);
    let unit = match kind {
        Kind::Subnormals => power(-149 + (head[1] % 16) as i32),
        _ => power(exponent),
    };
    // Half of one, two, four… units, and up to two units in the last place more, so that ties to even round up as well.
    let below = single((top - power((head[4] % 8) as i32 - 1)).max(0.0) * unit, (head[6] % 3) as i32);
    let len = out.len();
    let mut base = 0;
    for (i, (v, pair)) in out.iter_mut().zip(body.chunks_exact(2)).enumerate() {
        let (word, other) = (pair[0], pair[1]);
        base = if i % 4 == 0 { word } else { base };
        let whole = |word: u32| f64::from((word >> 1) % (top as u32 + 1));
        let magnitude = match kind {
            Kind::Grid | Kind::Subnormals => single(whole(word) * unit, 0),
            Kind::Halves => single((whole(word) + 0.5).min(top) * unit, 0),
            Kind::NearHalves => single((whole(word) + 0.5).min(top) * unit, few(other)),
            Kind::Sixteenths => single((whole(word) + sixteenths(other)).min(top) * unit, 0),
            Kind::NearTies => single((whole(base) + sixteenths(base >> 8)).min(top) * unit, few(other)),
            Kind::WithinAUnit => single((whole(base) + sixteenths(other)).min(top) * unit, few(other >> 8)),
            Kind::Rivals => match RIVALS[head[7] as usize % RIVALS.len()][i % 4] {
                Top => single(top * unit, 0),
                Below => below,
                Zero => 0.0,
            },
            Kind::OneHuge => single((whole(word) + sixteenths(other)) * unit * power(-6 - (head[4] % 10) as i32), 0),
            Kind::MostlyZeros if other.is_multiple_of(8) => single(whole(word) * unit, 0),
            Kind::MostlyZeros => 0.0,
        };
        *v = if negative(head[3] >> 8, word, i, len) { -magnitude } else { magnitude };
    }
    if matches!(kind, Kind::Rivals) {
        return;
    }
    let at = head[5] as usize % len.max(1);
    if let Some(v) = out.get_mut(at) {
        let beside = if head[6].is_multiple_of(4) { few(head[6] >> 8) } else { 0 };
        *v = single(top * unit, beside).copysign(*v);
    }
}

/// The sign of the `i`-th value: of half the blocks random, else of one sign but for one value or none.
const fn negative(kind: u32, word: u32, i: usize, len: usize) -> bool {
    let lone = i == (kind >> 3) as usize % len;
    match kind % 8 {
        0 => false,
        1 => true,
        2 => lone,
        3 => !lone,
        _ => word & 1 == 1,
    }
}

/// The largest magnitude in units: the largest integer of some bits, a power of two, or the largest of a narrow float.
fn largest(word: u32, other: u32) -> f64 {
    let bits = 1 + (word >> 8) % 8;
    let power = f64::from(1u32 << bits);
    match other % 4 {
        0 => power,
        1 | 2 => power - 1.0,
        // 1.5 and 1.75 times a power of two: E2M1, E4M3.
        _ => power * if other & 4 == 0 { 1.5 } else { 1.75 },
    }
}

/// A magnitude moved by some units in the last place; zero stays.
fn single(magnitude: f64, ulps: i32) -> f32 {
    let v = magnitude as f32;
    if v == 0.0 { v } else { f32::from_bits(v.to_bits().saturating_add_signed(ulps)) }
}

/// -3 to 3.
fn few(word: u32) -> i32 {
    (word % 7) as i32 - 3
}

fn sixteenths(word: u32) -> f64 {
    f64::from(word % 16) / 16.0
}

/// 2^`exponent`, which is a normal FP64 number.
fn power(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}
