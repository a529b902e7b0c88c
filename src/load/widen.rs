//! Exact widening of the 16-bit floats to `f32`.

/// The value of a bfloat16: the upper half of a `f32`.
pub fn bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// The value of an IEEE binary16. Every one is a `f32`, subnormals and infinities included; a NaN keeps its payload.
pub fn f16(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let exponent = u32::from(bits >> 10) & 0x1f;
    let fraction = u32::from(bits & 0x3ff);
    let magnitude = match (exponent, fraction) {
        (0, 0) => 0,
        (0, _) => {
            // Subnormal: the leading one moves to the hidden place and the exponent follows it.
            let shift = fraction.leading_zeros() - 21;
            ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13)
        }
        (0x1f, _) => 0x7f80_0000 | (fraction << 13),
        _ => ((exponent + 112) << 23) | (fraction << 13),
    };
    f32::from_bits(sign | magnitude)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::math;

    #[test]
    fn f16_is_the_definition_for_every_pattern() {
        for bits in 0..=u16::MAX {
            let (exponent, fraction) = (i32::from(bits >> 10) & 0x1f, f64::from(bits & 0x3ff));
            let magnitude = match exponent {
                0x1f if fraction != 0.0 => {
                    assert!(f16(bits).is_nan());
                    continue;
                }
                0x1f => f64::INFINITY,
                0 => fraction * math::powi(2.0, -24),
                e => (1024.0 + fraction) * math::powi(2.0, e - 25),
            };
            let want = if bits & 0x8000 == 0 { magnitude } else { -magnitude };
            assert_eq!(f64::from(f16(bits)).to_bits(), want.to_bits(), "{bits:#06x}");
        }
    }

    #[test]
    fn bf16_is_the_upper_half() {
        assert_eq!(bf16(0x3f80).to_bits(), 1f32.to_bits());
        assert_eq!(bf16(0x8000).to_bits(), (-0f32).to_bits());
        assert!(bf16(0x7fc1).is_nan());
    }
}
