//! What the fuzz targets do with a string of bytes; each panics where a promise of the library is broken.
//!
//! `cargo +nightly fuzz run TARGET` in this folder's parent, or the command in docs/verification.md on stable.

use arbitrary::{Arbitrary, Result, Unstructured};
use interplay_formats::{
    Encoding, Error, Exact, Format, Overflow, Pattern, Range, Rounding, Scalar, Sign, Specials, Value, pack,
};

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

/// A declaration never panics, and what it made is found and usable.
pub fn declare(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(format) = Format::declare(text) {
        assert!(Format::by_name(format.name).is_ok_and(|found| std::ptr::eq(found, format)));
        usable(format);
    }
}

/// Names and variants never panic, and give the same record each time.
pub fn by_name(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Format::by_name(text) {
        Ok(format) => {
            assert!(Format::by_name(text).is_ok_and(|again| std::ptr::eq(again, format)));
            usable(format);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// The card and both paths of a record.
fn usable(format: &'static Format) {
    assert!(!format.card().to_string().is_empty());
    let x = [1.0, -0.5, 0.0, 3.0e-3, 100.0, -7.25, 1.0e-20, 65504.0];
    same(format, &x, 4);
}

/// Fast and reference path, values included.
fn same(format: &'static Format, x: &[f32], k: usize) {
    match (format.quantize(x, k), format.quantize_reference(x, k)) {
        (Ok(fast), Ok(slow)) => {
            assert!(fast == slow, "{}: {fast:?}, not {slow:?}", format.name);
            let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<u32>>();
            assert_eq!(bits(fast.dequantize()), bits(slow.dequantize_reference()), "{}", format.name);
            let packed = fast.packed(None).expect("no mask");
            let width = format.element.bits();
            let codes = (0..fast.codes().len()).map(|i| fast.codes().get(i) & (u64::MAX >> (64 - width)));
            assert!(codes.eq(pack::unpack(&packed.values, width, fast.codes().len())), "{}", format.name);
        }
        // In words, because the error of a NaN holds it.
        (fast, slow) => assert_eq!(format!("{:?}", fast.err()), format!("{:?}", slow.err()), "{}", format.name),
    }
}

/// A pattern that parses prints as something that parses to it, and masks keep as many as they say.
pub fn pattern(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(pattern) = text.parse::<Pattern>() else { return };
    assert_eq!(pattern.to_string().parse(), Ok(pattern));
    let w: Vec<f32> = (0..64).map(|i| (i * 37 % 64) as f32 - 20.0).collect();
    if let Ok(mask) = pattern.magnitude_mask(&w, 16) {
        assert_eq!(mask.kept().len(), 64);
        assert!(mask.pruned() <= 64);
        assert_eq!(mask.metadata().len() as u64, mask.metadata_bits().div_ceil(8));
    }
}

/// Any record of the catalogue, any variant, any matrix: no panic, and fast as slow.
pub fn quantize(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let _ = any_matrix(&mut u);
}

fn any_matrix(u: &mut Unstructured) -> Result<()> {
    let mut format = u.choose(Format::all())?;
    let changes = ["ceil", "even", "rceil", "floor-log2", "nearest-away", "up", "to-odd", "stochastic-5", "infinity"];
    if u.ratio(1, 2)? {
        format = format.changed(u.choose(&changes)?).unwrap_or(format);
    }
    let k = u.int_in_range(0..=70)?;
    let near = u8::arbitrary(u)?;
    let any: Vec<u32> = u.arbitrary()?;
    // Half of the matrices have exponents near each other.
    let number = |bits: u32| if near < 128 { bits } else { bits & 0x83FF_FFFF | u32::from(near) << 23 };
    let x: Vec<f32> = any.into_iter().map(|bits| f32::from_bits(number(bits))).collect();
    let whole = if k == 0 { x.len() } else { x.len() / k * k };
    same(format, &x[..whole], k);
    let _ = format.quantize_any(&x[..whole], k, 7).map(|q| q.dequantize());
    let mut fake = x[..whole].to_vec();
    let _ = format.fake_quantize(&mut fake, k);
    Ok(())
}

/// Any bytes at any width: as many codes as asked for, none wider than it.
pub fn unpack(data: &[u8]) {
    let [width, count, bytes @ ..] = data else { return };
    let (width, count) = (u32::from(width % 64) + 1, usize::from(*count));
    let codes = pack::unpack(bytes, width, count);
    assert_eq!(codes.len(), count);
    assert!(width == 64 || codes.iter().all(|code| code >> width == 0));
}
