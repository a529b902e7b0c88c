//! Registers by name: the scalar formats of the catalogue, floats of any widths, integers and fixed point.

use interplay_formats::{Encoding, Format, Range, Scalar, Sign, Specials};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// The one lasting copy of a text.
pub(super) fn interned(text: &str) -> &'static str {
    static TEXTS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    match texts.get(text) {
        Some(known) => known,
        None => {
            let lasting: &'static str = text.to_owned().leak();
            texts.insert(lasting);
            lasting
        }
    }
}

/// The format of that name: one of the catalogue's scalars, `e<exponent bits>m<mantissa bits>` with IEEE 754's bias and
/// specials, `s<bits>`, or fixed point `s<bits>.<fraction bits>`.
///
/// # Errors
/// What is wrong with the name.
pub(crate) fn register(name: &str) -> Result<Scalar, String> {
    let wanted = name.trim().to_lowercase();
    let scalar = Format::by_name(&wanted).ok().filter(|format| format.scaling.is_none()).map(|format| format.element);
    let found = integer(&wanted).or(scalar).or_else(|| float(&wanted));
    let found = found.ok_or_else(|| {
        format!(
            "`{name}` is no register: a scalar format (fp32, fp16, bf16, e4m3, …), e<exponent bits>m<mantissa bits>, \
             s<bits> or s<bits>.<fraction bits>"
        )
    })?;
    match found.problem() {
        Some(problem) => Err(format!("`{name}`: {problem}")),
        None => Ok(found),
    }
}

/// At most three digits.
fn number(text: &str) -> Option<u32> {
    let digits = (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn float(name: &str) -> Option<Scalar> {
    let (exponent, mantissa) = name.strip_prefix('e')?.split_once('m')?;
    let (exponent_bits, mantissa_bits) = (number(exponent)?, number(mantissa)?);
    let bias = (1i32 << exponent_bits.checked_sub(1)?.min(11)) - 1;
    let encoding = Encoding::Float {
        sign: Sign::Signed,
        exponent_bits,
        mantissa_bits,
        bias,
        specials: Specials::Ieee,
        subnormals: true,
    };
    Some(Scalar { name: interned(name), encoding })
}

fn integer(name: &str) -> Option<Scalar> {
    let rest = name.strip_prefix('s')?;
    let (bits, fraction) = rest.split_once('.').unwrap_or((rest, "0"));
    let encoding = Encoding::Integer { range: Range::Full, bits: number(bits)?, fraction_bits: number(fraction)? };
    Some(Scalar { name: interned(name), encoding })
}
