//! `Grid::round` against an independent computation with big integers.

use crate::support::{Random, case};
use interplay_formats::{Exact, Grid, Lost, Overflow, Rounding, Stream, Value, catalog};
use libtest_mimic::Trial;
use num_bigint::{BigInt, Sign};

pub fn trials() -> Vec<Trial> {
    vec![
        case("rounding::big_integers", big_integers),
        case("rounding::far_below_the_grid", far_below_the_grid),
        case("rounding::named_losses", named_losses),
        case("rounding::stochastic_by_big_integers", stochastic_by_big_integers),
        case("rounding::stochastic_is_unbiased", stochastic_is_unbiased),
        case("rounding::stochastic_encodings", stochastic_encodings),
    ]
}

/// All numbers here are integers times 2^-400, so that every quotient below is exact.
const POINT: i32 = 400;

fn big(x: Exact) -> BigInt {
    let sign = if x.negative { Sign::Minus } else { Sign::Plus };
    BigInt::from_biguint(sign, x.significand.into()) << (x.exponent + POINT) as usize
}

/// floor(a / b) for positive b.
fn floor_div(a: &BigInt, b: &BigInt) -> BigInt {
    let quotient = a / b;
    if (a % b).sign() == Sign::Minus { quotient - 1 } else { quotient }
}

/// The multiple of the unit in the last place that the mode's definition names.
fn expected(x: &BigInt, grid: Grid, rounding: Rounding) -> BigInt {
    let leading = x.bits() as i32 - 1 - POINT;
    let lsb = grid.precision.map_or(grid.lsb_min, |p| grid.lsb_min.max(leading - p as i32 + 1));
    let unit = BigInt::from(1) << (lsb + POINT) as usize;
    let low = floor_div(x, &unit);
    let low_is_it = &low * &unit == *x;
    let high: BigInt = if low_is_it { low.clone() } else { &low + 1 };
    let (below, above) = (x - &low * &unit, &high * &unit - x);
    let even = |n: &BigInt| n % 2 == BigInt::ZERO;
    let toward_zero = if x.sign() == Sign::Minus { &high } else { &low };
    let away = if x.sign() == Sign::Minus { &low } else { &high };
    let chosen = match rounding {
        Rounding::Up => &high,
        Rounding::Down => &low,
        Rounding::TowardZero => toward_zero,
        Rounding::ToOdd if !low_is_it => {
            if even(&low) {
                &high
            } else {
                &low
            }
        }
        Rounding::ToOdd => &low,
        _ if below < above => &low,
        _ if above < below => &high,
        Rounding::NearestAway => away,
        _ => {
            if even(&low) {
                &low
            } else {
                &high
            }
        }
    };
    chosen * unit
}

/// A number with a significand of any length, and a grid somewhere near it. Short significands and long runs of zeros
/// or ones make ties and near-ties common.
fn drawn(random: &mut Random) -> (Exact, Grid) {
    let wide = u128::from(random.bits()) << 64 | u128::from(random.bits());
    let significand = match random.bits() % 4 {
        0 => wide >> (random.bits() % 128),
        1 => (wide >> 120) << (random.bits() % 100),
        2 => ((wide >> 122) << (1 + random.bits() % 100)).wrapping_sub(1),
        _ => ((wide >> 122) << (1 + random.bits() % 100)) + 1,
    };
    let exponent = (random.bits() % 160) as i32 - 120;
    let x = Exact { negative: random.bits().is_multiple_of(2), significand, exponent };
    let precision = (!random.bits().is_multiple_of(4)).then_some(1 + (random.bits() % 60) as u32);
    (x, Grid { precision, lsb_min: (random.bits() % 240) as i32 - 160 })
}

fn big_integers() {
    let mut random = Random(1);
    for _ in 0..60_000 {
        let (x, grid) = drawn(&mut random);
        for rounding in Rounding::ALL {
            let (got, lost) = grid.round(x, rounding);
            let exact = big(x);
            let want = if x.is_zero() { BigInt::ZERO } else { expected(&exact, grid, rounding) };
            assert_eq!(big(got), want, "{x:?} on {grid:?}, {rounding:?}: {got:?}");
            assert_eq!(lost == Lost::Nothing, big(got) == exact, "{x:?} on {grid:?}, {rounding:?}: {lost:?}");
            assert_eq!(got.negative, x.negative, "the sign stays, also that of zero");
        }
    }
}

/// Away from zero if the lost part, cut to `bits` bits of a unit, and the draw sum to one unit: in integers.
fn stochastic_by_big_integers() {
    let mut random = Random(2);
    for _ in 0..60_000 {
        let (x, grid) = drawn(&mut random);
        let (bits, word) = (1 + (random.bits() % 32) as u32, random.bits() as u32);
        let (got, _) = grid.round(x, Rounding::Stochastic(bits).drawing(word));
        let magnitude = Exact { negative: false, ..x };
        let down = big(grid.round(magnitude, Rounding::TowardZero).0);
        let up = if x.is_zero() { BigInt::ZERO } else { expected(&big(magnitude), grid, Rounding::Up) };
        let (lost, unit) = (big(magnitude) - &down, &up - &down);
        let cut = if unit == BigInt::ZERO { BigInt::ZERO } else { (lost << bits as usize) / &unit };
        let grows = cut + BigInt::from(word >> (32 - bits)) >= BigInt::from(1) << bits as usize;
        let want = if grows { up } else { down };
        assert_eq!(big(Exact { negative: false, ..got }), want, "{x:?} on {grid:?}, {bits} bits of {word:#x}");
        assert_eq!(got.negative, x.negative);
    }
}

/// Over all 2^bits draws the mean is the number itself, cut to `bits` bits of a unit; what is on the grid stays; and a
/// greater draw never gives a lesser magnitude.
fn stochastic_is_unbiased() {
    let mut random = Random(3);
    for _ in 0..2000 {
        let (x, grid) = drawn(&mut random);
        let bits = 1 + (random.bits() % 8) as u32;
        let at = |draw: u32| {
            let (got, _) = grid.round(x, Rounding::Stochastic(bits).drawing(draw << (32 - bits)));
            big(Exact { negative: false, ..got })
        };
        let all: Vec<BigInt> = (0..1 << bits).map(at).collect();
        assert!(all.windows(2).all(|w| w[0] <= w[1]), "{x:?} on {grid:?}: monotone in the draw");
        let magnitude = big(Exact { negative: false, ..x });
        let unit = &all[all.len() - 1] - &all[0];
        let sum: BigInt = all.iter().sum();
        let error = (magnitude << bits as usize) - sum;
        assert!(error.sign() != Sign::Minus, "{x:?} on {grid:?}: never above the mean");
        // Where no draw grows, less than one step of 2^-bits of a unit was lost; `unit` is then 0 here.
        let bound = if unit == BigInt::ZERO { expected_unit(x, grid) } else { unit };
        assert!(error < bound || error == BigInt::ZERO, "{x:?} on {grid:?}, {bits} bits: off by {error}");
    }
}

/// The distance of the two neighbours of `x`, or 0 where it is on the grid.
fn expected_unit(x: Exact, grid: Grid) -> BigInt {
    let x = Exact { negative: false, ..x };
    if x.is_zero() {
        return BigInt::ZERO;
    }
    expected(&big(x), grid, Rounding::Up) - expected(&big(x), grid, Rounding::Down)
}

/// The same through a format: 1 + i/64 in E4M3 (units of 1/8) takes i mod 8 of 8 draws up; the stream is a function of
/// seed and place.
fn stochastic_encodings() {
    for i in 0..64u32 {
        let value = Value::from_f32(1.0 + i as f32 / 64.0);
        let codes = (0..8).map(|draw| {
            let draw = Rounding::Stochastic(3).drawing(draw << 29);
            catalog::E4M3.encode(value, draw, Overflow::Saturate).expect("a number")
        });
        assert_eq!(codes.sum::<u64>(), 8 * 0x38 + u64::from(i), "1 + {i}/64");
    }
    let words: Vec<u32> = (0..1000).map(|i| Stream::new(5).word(i)).collect();
    assert!(words.iter().zip(0..).all(|(word, i)| *word == Stream::new(5).word(i)));
    assert!(words.iter().zip(0..).filter(|(word, i)| **word == Stream::new(6).word(*i)).count() < 2);
}

fn far_below_the_grid() {
    let grid = Grid { precision: Some(8), lsb_min: 0 };
    for shift in [1, 2, 100, 127, 128, 129, 1000] {
        let x = Exact { negative: false, significand: 1, exponent: -shift };
        let want = if shift == 1 { Lost::Half } else { Lost::BelowHalf };
        let (nearest, lost) = grid.round(x, Rounding::NearestEven);
        assert_eq!((nearest.significand, lost), (0, want), "2^-{shift}");
        assert_eq!(grid.round(x, Rounding::Up).0.significand, 1, "2^-{shift} up");
    }
    let top = Exact { negative: false, significand: u128::MAX, exponent: -128 };
    assert_eq!(grid.round(top, Rounding::NearestEven), (Exact { exponent: 0, ..Exact::integer(1) }, Lost::AboveHalf));
}

fn named_losses() {
    let grid = Grid { precision: None, lsb_min: 2 };
    let losses = [Lost::Nothing, Lost::BelowHalf, Lost::Half, Lost::AboveHalf];
    for (n, want) in losses.into_iter().enumerate() {
        let (kept, lost) = grid.round(Exact::integer(8 + n as i64), Rounding::TowardZero);
        assert!(kept.same_value(Exact::integer(8)) && lost == want, "{n} quarters: {kept:?}, {lost:?}");
    }
}
