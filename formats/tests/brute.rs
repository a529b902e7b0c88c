//! Every code of every element of at most 19 bits, and of the wider ones a sample.

use crate::support::{Random, case};
use interplay_formats::{Encoding, Exact, Format, Overflow, Range, Rounding, Scalar, Sign, Value, scalar};
use libtest_mimic::Trial;
use std::collections::HashSet;

pub fn trials() -> Vec<Trial> {
    vec![
        case("brute::encode_undoes_decode", encode_undoes_decode),
        case("brute::wide_codes", wide_codes),
        case("brute::values_ascend_with_codes", values_ascend_with_codes),
        case("brute::negation_flips_the_sign", negation_flips_the_sign),
        case("brute::nearest_is_the_nearest_of_all_values", nearest_is_the_nearest_of_all_values),
        case("brute::beyond_the_largest", beyond_the_largest),
        case("brute::below_a_format_without_sign", below_a_format_without_sign),
        case("brute::integers_wrap", integers_wrap),
        case("brute::smallest_without_zero_keeps_its_sign", smallest_without_zero_keeps_its_sign),
    ]
}

/// The encodings of the catalogue (elements, scales, inputs) and families of at most 19 bits, each once.
pub fn elements() -> Vec<Scalar> {
    let names = ["s4", "u4", "s8", "u8", "u2", "s16", "u16", "fixed8.4", "fixed16.12", "fixed2.0"];
    let families = names.map(|name| Format::by_name(name).unwrap_or_else(|e| panic!("{e}")).element);
    let mut seen = HashSet::new();
    let all = Format::all().iter().map(|f| f.element).chain(families);
    all.filter(|e| e.bits() <= 19 && seen.insert(e.encoding)).collect()
}

fn codes(element: Scalar) -> std::ops::Range<u64> {
    0..1 << element.bits()
}

fn range(element: Scalar) -> Option<Range> {
    match element.encoding {
        Encoding::Integer { range, .. } => Some(range),
        _ => None,
    }
}

/// Significant bits 1: between two powers of two the middle belongs to the upper one, whose last bit is even there.
fn only_powers(element: Scalar) -> bool {
    element.grid().precision == Some(1)
}

/// The positive finite numbers, ascending.
fn ladder(element: Scalar) -> Vec<Exact> {
    (0..=element.max_code()).filter_map(|code| element.decode(code).finite()).collect()
}

/// The code that stands for the value of `code` and is written for it.
fn written(element: Scalar, code: u64) -> u64 {
    let top = 1u64 << (element.bits() - 1);
    match element.encoding {
        Encoding::Integer { range: Range::Symmetric, .. } if code == top => code + 1,
        Encoding::Float { sign: Sign::Ignored, .. } => code & !top,
        _ => code,
    }
}

fn encode_undoes_decode() {
    for element in elements() {
        for code in codes(element) {
            let value = element.decode(code);
            for rounding in Rounding::ALL.into_iter().chain([Rounding::Stochastic(8)]) {
                let back = |overflow| element.encode(value, rounding.drawing(u32::MAX), overflow);
                for overflow in [Overflow::Saturate, Overflow::Infinity, Overflow::Nan, Overflow::Wrap] {
                    let want = match (value, overflow) {
                        (Value::Nan, _) => element.nan_code(),
                        (Value::Infinite { .. }, Overflow::Saturate | Overflow::Wrap) => Some(code - 1),
                        (Value::Infinite { negative }, Overflow::Nan) => {
                            let sign = u64::from(negative) << (element.bits() - 1);
                            element.nan_code().map(|nan| nan | sign)
                        }
                        (_, Overflow::Wrap) if range(element).is_some() => Some(code),
                        _ => Some(written(element, code)),
                    };
                    assert_eq!(back(overflow), want, "{} code {code:#x} {rounding} {overflow:?}", element.name);
                }
            }
        }
    }
}

/// FP32 and FP64 are the machine's own numbers.
fn wide_codes() {
    let mut random = Random(11);
    for _ in 0..200_000 {
        let bits = random.bits();
        let (single, double) = (f32::from_bits(bits as u32), f64::from_bits(bits));
        for rounding in Rounding::ALL {
            let single_back = scalar::FP32.encode(Value::from_f32(single), rounding, Overflow::Infinity);
            let double_back = scalar::FP64.encode(scalar::FP64.decode(bits), rounding, Overflow::Infinity);
            assert_eq!(single_back, Some(if single.is_nan() { 0x7FC0_0000 } else { u64::from(single.to_bits()) }));
            assert_eq!(double_back, Some(if double.is_nan() { f64::NAN.to_bits() } else { bits }));
        }
        // Rust's own conversion is the processor's, nearest even.
        let narrowed = scalar::FP32.encode(scalar::FP64.decode(bits), Rounding::NearestEven, Overflow::Infinity);
        if !double.is_nan() {
            assert_eq!(narrowed, Some(u64::from((double as f32).to_bits())), "{double:e}");
        }
    }
}

fn values_ascend_with_codes() {
    for element in elements() {
        let ladder = ladder(element);
        assert_eq!(ladder.len() as u64, element.max_code() + 1, "{}: all of them finite", element.name);
        assert!(ladder.windows(2).all(|w| w[0].cmp_magnitude(w[1]).is_lt()), "{} ascends", element.name);
        let has_zero = !matches!(element.encoding, Encoding::Float { subnormals: false, .. });
        assert_eq!(ladder[0].is_zero(), has_zero, "{}", element.name);
        assert!(ladder[ladder.len() - 1].same_value(element.max()), "{}", element.name);
    }
}

fn negation_flips_the_sign() {
    for element in elements().into_iter().filter(|e| e.is_signed()) {
        let width = 1u64 << element.bits();
        for code in 0..=element.max_code() {
            let integer = range(element).is_some();
            let opposite = if integer { (width - code) % width } else { code | width >> 1 };
            let plus = element.decode(code).finite().unwrap_or_else(|| panic!("{} {code:#x}", element.name));
            let negated = Value::Finite(Exact { negative: true, ..plus });
            let back = element.encode(negated, Rounding::NearestEven, Overflow::Saturate);
            if code == 0 && !element.has_negative_zero() {
                assert_eq!(back, Some(0), "{}: -0 becomes +0", element.name);
                continue;
            }
            assert_eq!(back, Some(opposite), "{} {code:#x}", element.name);
            let minus = element.decode(opposite).finite().unwrap_or_else(|| panic!("{} {opposite:#x}", element.name));
            assert!(plus.cmp_magnitude(minus).is_eq() && minus.negative, "{} {code:#x}", element.name);
        }
    }
}

/// Between each two neighbours: a quarter, the middle and three quarters, exactly and a hair beside.
fn nearest_is_the_nearest_of_all_values() {
    for element in elements() {
        let ladder = ladder(element);
        for code in 0..element.max_code() {
            let (low, high) = (ladder[code as usize], ladder[code as usize + 1]);
            // Far below the last place of both, and near enough for 128 bits.
            let lsb = high.leading_exponent().unwrap_or(0) - 70;
            let fixed = |x: Exact| (x.significand as i128) << (x.exponent - lsb);
            let encode = |quarters: i128, hair: i128, rounding: Rounding| {
                let significand = (fixed(low) + (fixed(high) - fixed(low)) / 4 * quarters + hair) as u128;
                let value = Value::Finite(Exact { negative: false, significand, exponent: lsb });
                element.encode(value, rounding, Overflow::Saturate)
            };
            for rounding in [Rounding::NearestEven, Rounding::NearestAway] {
                assert_eq!(encode(1, 0, rounding), Some(code), "{} {code:#x} a quarter", element.name);
                assert_eq!(encode(2, -1, rounding), Some(code), "{} {code:#x} just below half", element.name);
                assert_eq!(encode(2, 1, rounding), Some(code + 1), "{} {code:#x} just above half", element.name);
                assert_eq!(encode(3, 0, rounding), Some(code + 1), "{} {code:#x} three quarters", element.name);
            }
            let powers = only_powers(element);
            let even = if powers { code + 1 } else { code + code % 2 };
            assert_eq!(encode(2, 0, Rounding::NearestEven), Some(even), "{} {code:#x} half", element.name);
            assert_eq!(encode(2, 0, Rounding::NearestAway), Some(code + 1), "{} {code:#x}", element.name);
            assert_eq!(encode(3, 0, Rounding::TowardZero), Some(code), "{} {code:#x}", element.name);
            assert_eq!(encode(0, 1, Rounding::Up), Some(code + 1), "{} {code:#x}", element.name);
            assert_eq!(encode(3, 0, Rounding::Down), Some(code), "{} {code:#x}", element.name);
            let odd = if powers { code } else { code | 1 };
            assert_eq!(encode(1, 0, Rounding::ToOdd), Some(odd), "{} {code:#x}", element.name);
        }
    }
}

fn beyond_the_largest() {
    for element in elements() {
        let signs = if element.is_signed() { &[false, true][..] } else { &[false] };
        for &negative in signs {
            let full = range(element) == Some(Range::Full) && negative;
            let top = Exact { negative, ..element.max() };
            let largest = if full { 1 << (element.bits() - 1) } else { encode_exact(element, top) };
            for value in [Value::Finite(top.scaled(3)), Value::Infinite { negative }] {
                let encode = |overflow| element.encode(value, Rounding::NearestEven, overflow);
                assert_eq!(encode(Overflow::Saturate), Some(largest), "{}", element.name);
                let special = |overflow| encode(overflow).map(|code| element.decode(code));
                let nan = if element.nan_code().is_some() { Value::Nan } else { element.decode(largest) };
                assert_eq!(special(Overflow::Nan), Some(nan), "{}", element.name);
                let infinity = if element.infinity_code().is_some() { Value::Infinite { negative } } else { nan };
                assert_eq!(special(Overflow::Infinity), Some(infinity), "{}", element.name);
            }
        }
    }
}

fn encode_exact(element: Scalar, x: Exact) -> u64 {
    element.encode(Value::Finite(x), Rounding::NearestEven, Overflow::Saturate).expect("a number")
}

/// A negative number becomes the smallest one, or NaN where that is asked for.
fn below_a_format_without_sign() {
    for element in elements().into_iter().filter(|e| !e.is_signed()) {
        for value in [Value::Finite(Exact::integer(-1)), Value::Infinite { negative: true }] {
            let encode = |overflow| element.encode(value, Rounding::NearestEven, overflow);
            assert_eq!(encode(Overflow::Saturate), Some(0), "{}", element.name);
            assert_eq!(encode(Overflow::Infinity), Some(0), "{}", element.name);
            assert_eq!(encode(Overflow::Nan), Some(element.nan_code().unwrap_or(0)), "{}", element.name);
        }
    }
}

/// Modulo 2^bits, for every integer of twice the width.
fn integers_wrap() {
    for element in elements().into_iter().filter(|e| range(*e).is_some() && e.bits() <= 8) {
        let (bits, least) = (element.bits(), element.grid().lsb_min);
        for n in -(1i64 << (2 * bits))..1 << (2 * bits) {
            let value = Value::Finite(Exact::integer(n).scaled(least));
            let code = element.encode(value, Rounding::NearestEven, Overflow::Wrap);
            assert_eq!(code, Some(n as u64 & ((1 << bits) - 1)), "{} {n}", element.name);
        }
    }
}

/// A float with sign and without zero (found by the fuzz target `encode_decode`): its lowest code means a number.
fn smallest_without_zero_keeps_its_sign() {
    let toml =
        "[format]\nname = \"brute-e4m3-without-zero\"\nexponent_bits = 4\nmantissa_bits = 3\nsubnormals = false\n";
    let element = Format::declare(toml).unwrap_or_else(|e| panic!("{e}")).element;
    for code in codes(element) {
        let back = element.encode(element.decode(code), Rounding::NearestEven, Overflow::Saturate);
        assert_eq!(back, Some(code), "{code:#x}");
        let mut fast = [0];
        let value = element.decode(code).to_f32();
        element.encode_slice(&[value], Rounding::NearestEven, Overflow::Saturate, 0, &mut fast);
        assert_eq!(u64::from(fast[0]), code, "{value:e}");
    }
}
