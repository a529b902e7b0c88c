//! Arithmetic on words against the host's own floats and the formats crate's exact numbers, on the host and in kernels.

use crate::device::{on_device, trial};
use cubecl::prelude::*;
use interplay_formats::{Exact, Overflow, Rounding, Scalar, Stream, Value, catalog, scalar};
use interplay_gpu::bits::{self, FP16, FP32, FP32_TOWARD_ZERO, Float, NAN, Wide, Wide3};
use libtest_mimic::{Failed, Trial};

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("bits::float::operations_are_ieee", operations),
        trial("bits::float::near_ties_and_ends", near),
        trial("bits::float::integers", integers),
        trial("bits::wide::rounding", wide_rounding),
        trial("bits::wide::shifts_and_sums", shifts),
        trial("bits::wide::three_words", shifts3),
        trial("bits::wide::fused_add", fused),
    ];
    let kernels = [
        ("add", Op::Add),
        ("mul", Op::Mul),
        ("div", Op::Div),
        ("from_i32", Op::FromInteger),
        ("wide_product", Op::Product),
        ("shifts", Op::Shifts),
        ("from_wide", Op::Wide(FP32)),
        ("from_wide_toward_zero", Op::Wide(FP32_TOWARD_ZERO)),
        ("from_wide_fp16", Op::Wide(FP16)),
        ("from_wide3", Op::Wide3),
    ];
    trials.extend(kernels.map(|(name, op)| on_device(format!("bits::kernel::{name}"), move |client| same(client, op))));
    trials
}

/// FP32 bits, often of numbers where something happens.
struct Words {
    stream: Stream,
    position: u64,
}

impl Words {
    fn new(seed: u64) -> Self {
        Self { stream: Stream::new(seed), position: 0 }
    }

    fn word(&mut self) -> u32 {
        self.position += 1;
        self.stream.word(self.position)
    }

    fn float(&mut self) -> u32 {
        const ENDS: [u32; 12] = [
            0,
            1,
            0x7F_FFFF,
            0x80_0000,
            0x80_0001,
            0x3F80_0000,
            0x3F7F_FFFF,
            0x7F7F_FFFF,
            0x7F80_0000,
            0x7FC0_0000,
            0x7F80_0001,
            0x4B80_0000,
        ];
        let (kind, word) = (self.word(), self.word());
        let sign = kind & 0x8000_0000;
        sign | match kind % 8 {
            0 => ENDS[(word % ENDS.len() as u32) as usize],
            1 => word & 0x7F_FFFF,
            // Few bits: ties and exact results.
            2 => word & 0x7FF0_0000,
            3 => (word & 0x7F80_0000) | (word & 3),
            4 => (word & 0x7F80_0000) | (0x7F_FFFC + (word & 3)),
            5 => 0x3F80_0000 + (word % 0x0400_0000),
            _ => word & 0x7FFF_FFFF,
        }
    }
}

/// The host's result, with the one NaN that rules write.
fn canonical(x: f32) -> u32 {
    if x.is_nan() { NAN } else { x.to_bits() }
}

fn compare(what: &str, given: &[u32], got: u32, want: u32) -> Result<(), Failed> {
    if got == want {
        return Ok(());
    }
    Err(format!("{what} of {given:08x?}: {got:08x}, not {want:08x}").into())
}

fn all_operations(a: u32, b: u32) -> Result<(), Failed> {
    let (x, y) = (f32::from_bits(a), f32::from_bits(b));
    compare("add", &[a, b], bits::add(a, b), canonical(x + y))?;
    compare("mul", &[a, b], bits::mul(a, b), canonical(x * y))?;
    compare("div", &[a, b], bits::div(a, b), canonical(x / y))
}

fn operations() -> Result<(), Failed> {
    let mut words = Words::new(1);
    for _ in 0..4_000_000 {
        all_operations(words.float(), words.float())?;
    }
    Ok(())
}

/// Pairs whose exponents differ by every distance that decides, with all neighbours of a power of two.
fn near() -> Result<(), Failed> {
    let ends = [0u32, 1, 2, 3, 0x40_0000, 0x3F_FFFF, 0x40_0001, 0x7F_FFFF, 0x7F_FFFE, 0x55_5555];
    for base in [0u32, 1, 2, 23, 24, 25, 126, 127, 128, 150, 230, 253, 254] {
        for other in 0..=254u32 {
            for a in ends {
                for b in ends {
                    for sign in [0, 0x8000_0000] {
                        all_operations((base << 23) | a, sign | (other << 23) | b)?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn integers() -> Result<(), Failed> {
    let mut words = Words::new(2);
    let ends = [0, 1, -1, i32::MIN, i32::MAX, 1 << 24, (1 << 24) + 1, (1 << 25) + 2, (1 << 25) + 6, -(1 << 24) - 1];
    let random = (0..2_000_000).map(|_| (words.word() as i32) >> (words.word() % 32));
    for x in ends.into_iter().chain(random) {
        compare("from_i32", &[x as u32], bits::from_i32(x), (x as f32).to_bits())?;
    }
    Ok(())
}

/// `x 2^exponent` by the formats crate.
fn expected(x: i128, exponent: i32, to: Float) -> u32 {
    let format: Scalar = if to == FP16 { catalog::FP16 } else { scalar::FP32 };
    let value = Value::Finite(Exact { negative: x < 0, significand: x.unsigned_abs(), exponent });
    let (rounding, overflow) = match to.nearest {
        true => (Rounding::NearestEven, Overflow::Infinity),
        false => (Rounding::TowardZero, Overflow::Saturate),
    };
    format.encode(value, rounding, overflow).unwrap_or_default() as u32
}

/// Wide integers and exponents, many at a tie of FP32 or one beside it, or at either end of the range.
fn wide_case(words: &mut Words, to: Float) -> (i128, i32) {
    let word = |words: &mut Words| u128::from(words.word());
    let all = (word(words) << 64) | (word(words) << 32) | word(words);
    let kind = words.word();
    let size = match kind % 4 {
        0 => all >> (word(words) % 96),
        1 => ((all >> 80) << 24 | 1 << 23).wrapping_sub(1).wrapping_add(word(words) % 3) << (word(words) % 52),
        2 => (1 << (word(words) % 96)) - word(words) % 2,
        _ => (all >> 72 << 1 | 1) << (word(words) % 70) | (word(words) % 2),
    };
    let x = (size & ((1 << 95) - 1)) as i128;
    let x = if kind & 0x100 == 0 { x } else { -x };
    let top = 128 - x.unsigned_abs().leading_zeros() as i32;
    let low = if to == FP16 { -14 } else { -126 };
    let exponent = match kind >> 16 & 3 {
        0 => low - top + (words.word() % 30) as i32 - 25,
        1 => 2 - low - top + (words.word() % 5) as i32 - 2,
        _ => (words.word() % 300) as i32 - 170,
    };
    (x, exponent)
}

fn wide(x: i128) -> Wide {
    Wide { high: (x >> 32) as u32, low: x as u32 }
}

fn wide3(x: i128) -> Wide3 {
    Wide3 { high: (x >> 64) as u32, middle: (x >> 32) as u32, low: x as u32 }
}

fn wide_rounding() -> Result<(), Failed> {
    for (seed, to) in [(3, FP32), (4, FP32_TOWARD_ZERO), (5, FP16)] {
        let mut words = Words::new(seed);
        for _ in 0..1_000_000 {
            let (x, exponent) = wide_case(&mut words, to);
            let given = [(x >> 64) as u32, (x >> 32) as u32, x as u32, exponent as u32];
            compare("from_wide3", &given, bits::from_wide3(&wide3(x), exponent, to), expected(x, exponent, to))?;
            let y = i128::from((x as i64) >> (words.word() % 3));
            let given = [(y >> 32) as u32, y as u32, exponent as u32];
            compare("from_wide", &given, bits::from_wide(&wide(y), exponent, to), expected(y, exponent, to))?;
        }
    }
    Ok(())
}

fn shifts() -> Result<(), Failed> {
    let mut words = Words::new(6);
    let join = |x: Wide| u64::from(x.high) << 32 | u64::from(x.low);
    let split = |x: u64| Wide { high: (x >> 32) as u32, low: x as u32 };
    for _ in 0..1_000_000 {
        let long = |words: &mut Words| (u64::from(words.word()) << 32 | u64::from(words.word())) >> (words.word() % 64);
        let (a, b, c) = (long(&mut words), long(&mut words), i128::from(long(&mut words) as i64));
        let places = words.word() % 70;
        let left = a.checked_shl(places).unwrap_or(0);
        let kept = a.checked_shr(places).unwrap_or(0);
        let lost = kept.checked_shl(places).unwrap_or(0) != a;
        assert_eq!(join(bits::shift_left(&split(a), places)), left, "{a:x} << {places}");
        let sticky = join(bits::shift_right_sticky(&split(a), places));
        assert_eq!(sticky, kept | u64::from(lost), "{a:x} >> {places}");
        assert_eq!(join(bits::add_wide(&split(a), &split(b))), a.wrapping_add(b));
        let d = i128::from(b as i64) << (places % 31);
        assert_eq!(bits::add_wide3(&wide3(c), &wide3(d)), wide3(c + d), "{c:x} + {d:x}");
        let product = bits::wide_product(a as u32, b as u32);
        let whole = u64::from(a as u32) * u64::from(b as u32);
        assert_eq!((product.high, product.low), ((whole >> 32) as u32, whole as u32), "{a:x} * {b:x}");
    }
    Ok(())
}

fn shifts3() -> Result<(), Failed> {
    const LAST: u128 = (1 << 96) - 1;
    let mut words = Words::new(8);
    let join = |x: Wide3| u128::from(x.high) << 64 | u128::from(x.middle) << 32 | u128::from(x.low);
    for _ in 0..1_000_000 {
        let word = |words: &mut Words| u128::from(words.word());
        let all = word(&mut words) << 64 | word(&mut words) << 32 | word(&mut words);
        let a = all >> (words.word() % 96);
        let (places, b) = (words.word() % 127, words.word());
        let three = wide3(a as i128);
        let left = a.checked_shl(places).unwrap_or(0) & LAST;
        assert_eq!(join(bits::shift_left3(&three, places)), if places < 96 { left } else { 0 }, "{a:x} << {places}");
        let kept = a >> places;
        let sticky = kept | u128::from(kept << places != a);
        assert_eq!(join(bits::shift_right_sticky3(&three, places)), sticky, "{a:x} >> {places}");
        let product = (a & (LAST >> 32)).wrapping_mul(u128::from(b)) + ((a >> 64) * u128::from(b) << 64);
        let times = bits::times3(&three, b);
        assert_eq!(join(times), product & LAST, "{a:x} * {b:x}");
        let (signed, up) = (a as i32, 24u32);
        assert_eq!(bits::widened(signed, up), wide3(i128::from(signed) << up));
        assert_eq!(bits::widened(signed, 0), wide3(i128::from(signed)));
        assert_eq!(bits::widened(signed, 48), wide3(i128::from(signed) << 48));
    }
    Ok(())
}

/// `x 2^exponent + b` in FP32, by exact integers where the two are near, and otherwise with what is far below the other
/// one's last place moved closer to it, where it still rounds alike.
fn fused_expected(x: i128, exponent: i32, b: u32) -> u32 {
    let Some(float) = Value::from_f32(f32::from_bits(b)).finite() else { return canonical(f32::from_bits(b)) };
    if x == 0 {
        return b;
    }
    if float.significand == 0 {
        return expected(x, exponent, FP32);
    }
    let signed = if float.negative { -(float.significand as i128) } else { float.significand as i128 };
    let (mut a, mut a_exponent, mut c, mut c_exponent) = (x, exponent, signed, float.exponent);
    let top = |y: i128, e: i32| e + 128 - y.unsigned_abs().leading_zeros() as i32;
    // A number below all places of the other, of 80 and of 24 bits, only says on which side of it the sum is.
    if top(a, a_exponent) - top(c, c_exponent) > 90 {
        (c, c_exponent) = (c.signum(), top(a, a_exponent) - 90);
    } else if top(c, c_exponent) - top(a, a_exponent) > 40 {
        (a, a_exponent) = (a.signum(), top(c, c_exponent) - 40);
    }
    // Both without their trailing zeros, so that the sum at the lower exponent fits.
    let trim = |y: i128, e: i32| (y >> y.trailing_zeros(), e + y.trailing_zeros() as i32);
    let ((a, a_exponent), (c, c_exponent)) = (trim(a, a_exponent), trim(c, c_exponent));
    let lowest = a_exponent.min(c_exponent);
    let sum = (a << (a_exponent - lowest)) + (c << (c_exponent - lowest));
    expected(sum, lowest, FP32)
}

fn fused() -> Result<(), Failed> {
    let mut words = Words::new(9);
    for i in 0..1_000_000 {
        let b = words.float();
        let size = i128::from(words.word()) << 47 | i128::from(words.word()) << 16 | i128::from(words.word() & 0xFFFF);
        let x = (size >> (words.word() % 80)) * if words.word() & 1 == 0 { 1 } else { -1 };
        let bits_of = 128 - x.unsigned_abs().leading_zeros() as i32;
        let field = ((b >> 23) & 0xFF) as i32;
        // Mostly near the other number, where leading bits cancel or a tie is decided.
        let near = field - 127 - bits_of + (words.word() % 64) as i32 - 32;
        let exponent = if i % 4 == 0 { (words.word() % 500) as i32 - 300 } else { near };
        let x = match i % 8 {
            // The number itself with another sign, and one beside it.
            1 => -i128::from((b & 0x7F_FFFF) | 0x80_0000) * if b >> 31 == 0 { 1 } else { -1 } << 40,
            2 => (-i128::from((b & 0x7F_FFFF) | 0x80_0000) * if b >> 31 == 0 { 1 } else { -1 } << 40) + 1,
            _ => x,
        };
        let exponent = if matches!(i % 8, 1 | 2) { field.max(1) - 150 - 40 } else { exponent };
        let given = [(x >> 64) as u32, (x >> 32) as u32, x as u32, exponent as u32, b];
        compare("fused_add", &given, bits::fused_add(&wide3(x), exponent, b), fused_expected(x, exponent, b))?;
    }
    Ok(())
}

/// What a kernel calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Op {
    Add,
    Mul,
    Div,
    FromInteger,
    Product,
    Shifts,
    Wide(Float),
    Wide3,
}

impl Op {
    fn to(self) -> Float {
        if let Self::Wide(to) = self { to } else { FP32 }
    }
}

/// Two words a case out of four.
#[cube]
fn apply(a: u32, b: u32, c: u32, d: u32, #[comptime] op: Op) -> Wide {
    let mut result = Wide { high: 0u32, low: 0u32 };
    let exponent = (d % 300u32) as i32 - 200i32;
    if comptime!(op == Op::Add) {
        result.low = bits::add(a, b);
    } else if comptime!(op == Op::Mul) {
        result.low = bits::mul(a, b);
    } else if comptime!(op == Op::Div) {
        result.low = bits::div(a, b);
    } else if comptime!(op == Op::FromInteger) {
        result.low = bits::from_i32((a as i32) >> ((b & 31u32) as i32));
    } else if comptime!(op == Op::Product) {
        let product = bits::wide_product(a, b);
        result = Wide { high: product.high, low: product.low };
    } else if comptime!(op == Op::Shifts) {
        let left = bits::shift_left(&Wide { high: a, low: b }, c % 70u32);
        let right = bits::shift_right_sticky(&Wide { high: a, low: b }, d % 70u32);
        result = bits::add_wide(&left, &right);
    } else if comptime!(op == Op::Wide3) {
        let number = bits::add_wide3(&Wide3 { high: a, middle: b, low: c }, &Wide3 { high: b, middle: a, low: d });
        result.low = bits::from_wide3(&number, exponent, comptime!(op.to()));
    } else {
        result.low = bits::from_wide(&Wide { high: a, low: b }, exponent, comptime!(op.to()));
    }
    result
}

#[cube(launch)]
fn kernel(input: &[u32], output: &mut [u32], #[comptime] op: Op) {
    if ABSOLUTE_POS < output.len() / 2 {
        let at = ABSOLUTE_POS * 4;
        let result = apply(input[at], input[at + 1], input[at + 2], input[at + 3], op);
        output[ABSOLUTE_POS * 2] = result.high;
        output[ABSOLUTE_POS * 2 + 1] = result.low;
    }
}

/// The kernel's words are those of the same functions on the host.
fn same(client: &Client, op: Op) -> Result<(), Failed> {
    const CASES: usize = 1 << 16;
    let mut words = Words::new(7);
    let input: Vec<u32> = (0..CASES * 4).map(|i| if i % 8 < 4 { words.float() } else { words.word() }).collect();
    let bytes: Vec<u8> = input.iter().flat_map(|word| word.to_le_bytes()).collect();
    let given = client.create_from_slice(&bytes);
    let made = client.empty(CASES * 8);
    let count = CubeCount::Static(CASES.div_ceil(256) as u32, 1, 1);
    // SAFETY: the handles have as many words as is said.
    let (from, to) =
        unsafe { (BufferArg::from_raw_parts(given, CASES * 4), BufferArg::from_raw_parts(made.clone(), CASES * 2)) };
    kernel::launch(client, count, CubeDim::new_1d(256), from, to, op);
    let words = interplay_gpu::device::read(client, made)?;
    for (case, got) in input.chunks_exact(4).zip(words.chunks_exact(2)) {
        let want = apply(case[0], case[1], case[2], case[3], op);
        compare(&format!("{op:?}, high"), case, got[0], want.high)?;
        compare(&format!("{op:?}, low"), case, got[1], want.low)?;
    }
    Ok(())
}
