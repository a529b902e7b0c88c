//! Codes and numbers.

use arbitrary::{Arbitrary, Result, Unstructured};
use interplay_formats::{Encoding, Error, Exact, Format, Overflow, Range, Rounding, Scalar, Sign, Specials, Value};

const OVERFLOWS: [Overflow; 4] = [Overflow::Saturate, Overflow::Infinity, Overflow::Nan, Overflow::Wrap];

/// Any scalar record that makes sense, any number, any rounding: what is encoded decodes to a neighbour of the number,
/// and what is decoded encodes to itself.
pub fn encode_decode(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok(Some(element)) = scalar(&mut u) else { return };
    let _ = laws_of_codes(element, &mut u);
}

/// `None` for a record that makes no sense: the library itself says so, without keeping it, because the name is taken.
fn scalar(u: &mut Unstructured) -> Result<Option<Scalar>> {
    let encoding = if u.arbitrary()? {
        Encoding::Float {
            sign: *u.choose(&[Sign::Signed, Sign::Unsigned, Sign::Ignored])?,
            exponent_bits: u.int_in_range(0..=12)?,
            mantissa_bits: u.int_in_range(0..=54)?,
            bias: u.int_in_range(-1100..=2100)?,
            specials: *u.choose(&[Specials::Ieee, Specials::NanOnly, Specials::Fnuz, Specials::None])?,
            subnormals: u.arbitrary()?,
        }
    } else {
        Encoding::Integer {
            range: *u.choose(&[Range::Symmetric, Range::Full, Range::Unsigned])?,
            bits: u.int_in_range(0..=34)?,
            fraction_bits: u.int_in_range(0..=66)?,
        }
    };
    let element = Scalar { name: "fuzz", encoding };
    let taken = Format { name: "fp32", element, ..*Format::fp32() }.adopt();
    let sound = match taken {
        Err(Error::Record { problem, .. }) => problem.contains("this name already"),
        _ => true,
    };
    Ok(sound.then_some(element))
}

fn rounding(u: &mut Unstructured) -> Result<Rounding> {
    let modes = Rounding::ALL.len();
    Ok(match u.int_in_range(0..=modes)? {
        i if i < modes => Rounding::ALL[i],
        _ => Rounding::Stochastic(u.int_in_range(1..=32)?),
    })
}

fn laws_of_codes(element: Scalar, u: &mut Unstructured) -> Result<()> {
    let draw = rounding(u)?.drawing(u.arbitrary()?);
    let overflow = *u.choose(&OVERFLOWS)?;
    let code = u64::arbitrary(u)? & (u64::MAX >> (64 - element.bits()));
    if let Value::Finite(x) = element.decode(code) {
        let back = element.encode(Value::Finite(x), draw, overflow);
        let symmetric = matches!(element.encoding, Encoding::Integer { range: Range::Symmetric, .. });
        let least = symmetric && code == 1 << (element.bits() - 1);
        let same = back.map(|code| element.decode(code)).and_then(Value::finite).is_some_and(|y| y.same_value(x));
        assert!(same || (least && overflow != Overflow::Wrap), "{element:?} {code:#x} comes back as {back:?}");
    }
    let value = match u.int_in_range(0..=9)? {
        0 => Value::Nan,
        1 => Value::Infinite { negative: u.arbitrary()? },
        2..6 => Value::from_f32(f32::from_bits(u.arbitrary()?)),
        _ => {
            let (negative, significand) = (u.arbitrary()?, u128::arbitrary(u)? >> u.int_in_range(0..=127)?);
            Value::Finite(Exact { negative, significand, exponent: u.int_in_range(-3000..=3000)? })
        }
    };
    let code = element.encode(value, draw, overflow);
    assert_eq!(code.is_none(), value == Value::Nan && element.nan_code().is_none(), "{element:?} {value:?}");
    let Some(code) = code else { return Ok(()) };
    assert!(element.bits() == 64 || code >> element.bits() == 0, "{element:?} {value:?}: {code:#x}");
    neighbours(element, value, code);
    Ok(())
}

/// Saturating toward zero and away from it give the two neighbours of a number in range; the code is one of them.
fn neighbours(element: Scalar, value: Value, code: u64) {
    let (Value::Finite(x), Value::Finite(y)) = (value, element.decode(code)) else { return };
    let at = |rounding: Rounding| {
        let code = element.encode(Value::Finite(x), rounding, Overflow::Saturate).expect("a number");
        element.decode(code).finite().expect("a number")
    };
    let (low, high) = (at(Rounding::Down), at(Rounding::Up));
    let wraps = matches!(element.encoding, Encoding::Integer { .. });
    assert!(wraps || y.same_value(low) || y.same_value(high), "{element:?} {value:?}: {y:?}");
}
