//! Every code of every element of at most 16 bits, and of all of FP32 a sample.

use crate::support::case;
use interplay_formats::{Encoding, Exact, Format, Overflow, Rounding, Scalar, Value};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        case("brute::encode_undoes_decode", encode_undoes_decode),
        case("brute::values_ascend_with_codes", values_ascend_with_codes),
        case("brute::negation_flips_the_sign", negation_flips_the_sign),
        case("brute::nearest_is_the_nearest_of_all_values", nearest_is_the_nearest_of_all_values),
        case("brute::beyond_the_largest", beyond_the_largest),
    ]
}

/// The catalogue's elements of at most 16 bits.
fn elements() -> Vec<Scalar> {
    let mut elements: Vec<Scalar> = Format::all().iter().map(|f| f.element).filter(|e| e.bits() <= 16).collect();
    elements.dedup();
    elements
}

fn codes(element: Scalar) -> std::ops::Range<u64> {
    0..1 << element.bits()
}

fn is_integer(element: Scalar) -> bool {
    matches!(element.encoding, Encoding::Integer { .. })
}

/// The positive finite numbers, ascending.
fn ladder(element: Scalar) -> Vec<Exact> {
    (0..=element.max_code()).filter_map(|code| element.decode(code).finite()).collect()
}

fn encode_undoes_decode() {
    for element in elements() {
        for code in codes(element) {
            let value = element.decode(code);
            let most_negative = is_integer(element) && code == 1 << (element.bits() - 1);
            for rounding in Rounding::ALL {
                for overflow in [Overflow::Saturate, Overflow::Infinity] {
                    let back = element.encode(value, rounding, overflow);
                    match value {
                        Value::Nan => assert_eq!(back, element.nan_code()),
                        Value::Infinite { .. } if overflow == Overflow::Saturate => {
                            assert_eq!(back.map(|c| c & !(1 << (element.bits() - 1))), Some(element.max_code()));
                        }
                        _ if most_negative => assert_eq!(back, Some(code + 1), "{}: symmetric", element.name),
                        _ => assert_eq!(back, Some(code), "{} code {code:#x}", element.name),
                    }
                }
            }
        }
    }
}

fn values_ascend_with_codes() {
    for element in elements() {
        let ladder = ladder(element);
        assert_eq!(ladder.len() as u64, element.max_code() + 1, "{}: all of them finite", element.name);
        assert!(ladder.windows(2).all(|w| w[0].cmp_magnitude(w[1]).is_lt()), "{} ascends", element.name);
        assert!(ladder[0].is_zero());
    }
}

fn negation_flips_the_sign() {
    for element in elements() {
        let width = 1u64 << element.bits();
        for code in 0..=element.max_code() {
            let opposite = if is_integer(element) { (width - code) % width } else { code | width >> 1 };
            let (plus, minus) = (element.decode(code).finite(), element.decode(opposite).finite());
            let (Some(plus), Some(minus)) = (plus, minus) else { panic!("{} {code:#x} is not finite", element.name) };
            assert!(
                plus.cmp_magnitude(minus).is_eq() && (minus.negative || plus.is_zero()),
                "{} {code:#x}",
                element.name
            );
        }
    }
}

/// Between each two neighbours: a quarter, the middle and three quarters, exactly and a hair beside.
fn nearest_is_the_nearest_of_all_values() {
    for element in elements() {
        let ladder = ladder(element);
        let at = |code: u64, quarters: i128, hair: i128| {
            let lsb = element.grid().lsb_min.min(0) - 60;
            let fixed = |x: Exact| (x.significand as i128) << (x.exponent - lsb);
            let (low, high) = (fixed(ladder[code as usize]), fixed(ladder[code as usize + 1]));
            let significand = (low + (high - low) / 4 * quarters + hair) as u128;
            Value::Finite(Exact { negative: false, significand, exponent: lsb })
        };
        // Values of more than 60 bits above the smallest would not fit the fixed point of `at`.
        let fits =
            |code: &u64| ladder[*code as usize + 1].leading_exponent().is_none_or(|e| e < element.grid().lsb_min + 60);
        for code in (0..element.max_code()).filter(fits) {
            let encode =
                |quarters, hair, rounding| element.encode(at(code, quarters, hair), rounding, Overflow::Saturate);
            for rounding in [Rounding::NearestEven, Rounding::NearestAway] {
                assert_eq!(encode(1, 0, rounding), Some(code), "{} {code:#x} a quarter", element.name);
                assert_eq!(encode(2, -1, rounding), Some(code), "{} {code:#x} just below half", element.name);
                assert_eq!(encode(2, 1, rounding), Some(code + 1), "{} {code:#x} just above half", element.name);
                assert_eq!(encode(3, 0, rounding), Some(code + 1), "{} {code:#x} three quarters", element.name);
            }
            assert_eq!(encode(2, 0, Rounding::NearestEven), Some(code + code % 2), "{} {code:#x} half", element.name);
            assert_eq!(encode(2, 0, Rounding::NearestAway), Some(code + 1));
            assert_eq!(encode(3, 0, Rounding::TowardZero), Some(code));
            assert_eq!(encode(0, 1, Rounding::Up), Some(code + 1));
            assert_eq!(encode(3, 0, Rounding::Down), Some(code));
            assert_eq!(encode(1, 0, Rounding::ToOdd), Some(code | 1));
        }
    }
}

fn beyond_the_largest() {
    for element in elements() {
        for negative in [false, true] {
            let max = Exact { negative, ..element.max() };
            let huge = Value::Finite(max.scaled(3));
            let saturated = element.encode(Value::Finite(max), Rounding::NearestEven, Overflow::Saturate);
            for value in [huge, Value::Infinite { negative }] {
                assert_eq!(element.encode(value, Rounding::NearestEven, Overflow::Saturate), saturated);
                let special =
                    element.encode(value, Rounding::NearestEven, Overflow::Infinity).map(|c| element.decode(c));
                match special {
                    Some(Value::Finite(_)) => {
                        assert!(element.infinity_code().is_none() && element.nan_code().is_none())
                    }
                    Some(Value::Infinite { negative: sign }) => assert_eq!(sign, negative),
                    Some(Value::Nan) => assert!(element.infinity_code().is_none()),
                    None => panic!("{}: encoding is total but for NaN", element.name),
                }
            }
        }
    }
}
