//! `Grid::round` against an independent computation with big integers.

use crate::support::{Random, case};
use interplay_formats::{Exact, Grid, Lost, Rounding};
use libtest_mimic::Trial;
use num_bigint::{BigInt, Sign};

pub fn trials() -> Vec<Trial> {
    vec![
        case("rounding::big_integers", big_integers),
        case("rounding::far_below_the_grid", far_below_the_grid),
        case("rounding::named_losses", named_losses),
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

fn big_integers() {
    let mut random = Random(1);
    for _ in 0..60_000 {
        let wide = u128::from(random.bits()) << 64 | u128::from(random.bits());
        // Short significands and long runs of zeros or ones make ties and near-ties common.
        let significand = match random.bits() % 4 {
            0 => wide >> (random.bits() % 128),
            1 => (wide >> 120) << (random.bits() % 100),
            2 => ((wide >> 122) << (1 + random.bits() % 100)).wrapping_sub(1),
            _ => ((wide >> 122) << (1 + random.bits() % 100)) + 1,
        };
        let exponent = (random.bits() % 160) as i32 - 120;
        let x = Exact { negative: random.bits().is_multiple_of(2), significand, exponent };
        let precision = (!random.bits().is_multiple_of(4)).then_some(1 + (random.bits() % 60) as u32);
        let grid = Grid { precision, lsb_min: (random.bits() % 240) as i32 - 160 };
        for rounding in Rounding::ALL {
            let (got, lost) = grid.round(x, rounding);
            let exact = big(x);
            let want = if significand == 0 { BigInt::ZERO } else { expected(&exact, grid, rounding) };
            assert_eq!(big(got), want, "{x:?} on {grid:?}, {rounding:?}: {got:?}");
            assert_eq!(lost == Lost::Nothing, big(got) == exact, "{x:?} on {grid:?}, {rounding:?}: {lost:?}");
            assert_eq!(got.negative, x.negative, "the sign stays, also that of zero");
        }
    }
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
