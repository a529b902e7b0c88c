//! Codes and values of scalars, called on the host.

use crate::device::trial;
use interplay_formats::{Encoding, Format, Overflow, Range, Rounding, Scalar, Scale, Specials, Stream, Value};
use interplay_gpu::format::{Cast, Decode, decode, encode, random_word, value};
use libtest_mimic::{Failed, Trial};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("format: every code of a narrow scalar is decoded and encoded back", decodes),
        trial("format: encoding of all exponents, ties and neighbours", encodes),
        trial("format: encoding of random bits of random scalars", encodes_random),
        trial("format: random words by position", words),
    ]
}

/// Every scalar that the catalogue uses for elements, inputs and scales and that kernels read, and some that it lacks.
pub fn scalars() -> Vec<Scalar> {
    let mut all = vec![
        Scalar::ranged("s5.2", Range::Full, 5, 2),
        Scalar::ranged("u6.3", Range::Unsigned, 6, 3),
        Scalar::integer("i16.20", 16, 20),
        Scalar::ranged("s24", Range::Full, 24, 0),
        Scalar::float("e11m4", 11, 4, 1023, Specials::Ieee),
        Scalar::float("e1m2", 1, 2, 0, Specials::None),
        Scalar::float("e8m22", 8, 22, 127, Specials::NanOnly),
        Scalar::float("e5m3-low", 5, 3, 200, Specials::NanOnly),
        Scalar::float("e5m3-high", 5, 3, -140, Specials::NanOnly),
    ];
    for format in Format::all() {
        all.push(format.element);
        all.extend(format.input.map(|input| input.scalar));
        if let Some(Scale::Code(scale)) = format.scaling.map(|s| s.scale) {
            all.push(scale);
        }
    }
    let mut found: Vec<Scalar> = Vec::new();
    for scalar in all {
        if scalar.bits() <= 32 && Decode::new(scalar).is_some() && !found.iter().any(|f| f.encoding == scalar.encoding)
        {
            found.push(scalar);
        }
    }
    found
}

/// The roundings, with a few of the stochastic ones.
pub fn roundings() -> Vec<Rounding> {
    let stochastic = [1, 5, 16, 32].map(Rounding::Stochastic);
    Rounding::ALL.into_iter().chain(stochastic).collect()
}

const OVERFLOWS: [Overflow; 3] = [Overflow::Saturate, Overflow::Infinity, Overflow::Nan];

fn overflows(scalar: Scalar) -> Vec<Overflow> {
    let wrap = matches!(scalar.encoding, Encoding::Integer { .. }).then_some(Overflow::Wrap);
    OVERFLOWS.into_iter().chain(wrap).collect()
}

fn canonical(bits: u32) -> u32 {
    if f32::from_bits(bits).is_nan() { 0x7FC0_0000 } else { bits }
}

fn decodes() -> Result<(), Failed> {
    for scalar in scalars().into_iter().filter(|s| s.bits() <= 16) {
        let of = Decode::new(scalar).ok_or("a scalar of kernels")?;
        let cast = Cast::new(scalar, Rounding::NearestEven, Overflow::Infinity).ok_or("a scalar of kernels")?;
        for code in 0..1u32 << scalar.bits() {
            let number = decode(code, of);
            for power in [0, -140, 97] {
                let want = match scalar.decode(u64::from(code)) {
                    Value::Finite(x) => Value::Finite(x.scaled(power)).to_f32(),
                    other => other.to_f32(),
                };
                let got = value(&number, power);
                if got != canonical(want.to_bits()) {
                    return Err(format!("{} code {code:#x} power {power}: {got:#x}, not {want}", scalar.name).into());
                }
            }
            let exact = scalar.decode(u64::from(code));
            let bits = value(&number, 0);
            if Value::from_f32(f32::from_bits(bits)) == exact || !f32::from_bits(bits).is_finite() {
                check(scalar, cast, Rounding::NearestEven, Overflow::Infinity, bits, 0)?;
            }
        }
    }
    Ok(())
}

fn check(
    scalar: Scalar,
    cast: Cast,
    rounding: Rounding,
    overflow: Overflow,
    bits: u32,
    random: u32,
) -> Result<(), Failed> {
    let v = Value::from_f32(f32::from_bits(bits));
    let mask = u64::MAX >> (64 - scalar.bits());
    let want = scalar.encode(v, rounding.drawing(random), overflow).unwrap_or(0) & mask;
    let got = encode(bits, scalar.grid().lsb_min, random, cast);
    if u64::from(got) != want {
        let name = scalar.name;
        return Err(
            format!("{name} {rounding} {overflow:?} of {bits:#010x}, {random:#x}: {got:#x}, not {want:#x}").into()
        );
    }
    Ok(())
}

/// FP32 numbers of every exponent with fractions near the boundaries of short ones, both signs.
pub fn interesting() -> Vec<u32> {
    let mut fractions = vec![0, 1, 2, 3, 0x7F_FFFF, 0x7F_FFFE, 0x2A_AAAA, 0x55_5555];
    for bit in 0..23 {
        for base in [0u32, 0x40_0000, 0x60_0000, 0x70_0000] {
            fractions.extend([(base | 1 << bit) & 0x7F_FFFF, ((base | 1 << bit) - 1) & 0x7F_FFFF]);
            fractions.push(((base | 1 << bit) + 1) & 0x7F_FFFF);
        }
    }
    fractions.sort_unstable();
    fractions.dedup();
    let magnitudes = (0..256u32).flat_map(|e| fractions.iter().map(move |f| e << 23 | f)).collect::<Vec<_>>();
    magnitudes.iter().flat_map(|&m| [m, m | 0x8000_0000]).collect()
}

fn encodes() -> Result<(), Failed> {
    let inputs = interesting();
    for scalar in scalars() {
        for rounding in roundings() {
            for overflow in overflows(scalar) {
                let cast = Cast::new(scalar, rounding, overflow).ok_or("a scalar of kernels")?;
                for (i, &bits) in inputs.iter().enumerate().skip(usize::from(overflow == Overflow::Nan)).step_by(3) {
                    check(scalar, cast, rounding, overflow, bits, (i as u32).wrapping_mul(0x9E37_79B9))?;
                }
            }
        }
    }
    Ok(())
}

fn encodes_random() -> Result<(), Failed> {
    let (scalars, roundings) = (scalars(), roundings());
    let scalar = proptest::sample::select(scalars);
    let cases = (scalar, proptest::sample::select(roundings), 0..4usize, any::<u32>(), any::<u32>());
    let mut runner = TestRunner::new(ProptestConfig { cases: 20_000, failure_persistence: None, ..Default::default() });
    runner
        .run(&cases, |(scalar, rounding, overflow, bits, random)| {
            let overflows = overflows(scalar);
            let overflow = overflows[overflow % overflows.len()];
            let cast = Cast::new(scalar, rounding, overflow).ok_or_else(|| TestCaseError::fail("no kernel"))?;
            check(scalar, cast, rounding, overflow, bits, random)
                .map_err(|e| TestCaseError::fail(e.message().unwrap_or_default().to_owned()))
        })
        .map_err(|e| e.to_string().into())
}

fn words() -> Result<(), Failed> {
    for seed in [0, 1, 0x1234_5678_9ABC_DEF0, u64::MAX] {
        let stream = Stream::new(seed);
        for position in (0..70).chain([0x0100_0003, 0xFFFF_FFFE, 0xFFFF_FFFF]) {
            let got = random_word(position, seed as u32, (seed >> 32) as u32);
            if got != stream.word(u64::from(position)) {
                return Err(format!("seed {seed:#x}, position {position}: {got:#x}").into());
            }
        }
    }
    Ok(())
}
