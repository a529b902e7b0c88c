//! vectors/blocks: OCP MX as torchao and microxcaling compute it.

use crate::oracles::format;
use crate::support::{Pack, codes, same_bits};
use interplay_formats::{Format, Input, Overflow, Rounding, Scalar, Scales, Value, catalog};

const MX: [(&str, &str); 5] =
    [("e4m3", "mxfp8"), ("e5m2", "mxfp8-e5m2"), ("e2m3", "mxfp6"), ("e3m2", "mxfp6-e3m2"), ("e2m1", "mxfp4")];

fn largest(element: Scalar) -> f32 {
    Value::Finite(element.max()).to_f32()
}

fn nearest_even(element: Scalar, v: Value) -> u64 {
    element.encode(v, Rounding::NearestEven, Overflow::Saturate).expect("a number")
}

/// v * 2^power, exactly.
fn scaled(v: f32, power: i32) -> Value {
    Value::Finite(Value::from_f32(v).finite().expect("finite").scaled(power))
}

/// log2 rounded to FP32: FP64 is precise enough to round twice, but for a hair that no input here meets.
fn log2(v: f32) -> f32 {
    f64::from(v).log2() as f32
}

/// The four scale modes.
pub fn torchao(pack: &Pack) {
    let x = pack.floats("x");
    for (element, name) in MX {
        for mode in ["FLOOR", "CEIL", "EVEN", "RCEIL"] {
            Mode { pack, x: &x, mode, column: format!("{element}/{mode}"), format: with_rule(name, mode) }.check();
        }
    }
}

fn with_rule(name: &str, mode: &str) -> &'static Format {
    match mode {
        "FLOOR" => format(name),
        other => format(&format!("{name}@{other}")),
    }
}

struct Mode<'a> {
    pack: &'a Pack,
    x: &'a [f32],
    mode: &'a str,
    column: String,
    format: &'static Format,
}

impl Mode<'_> {
    /// Every block by its flag: 0 agrees, 1 another scale byte, 2 other codes, 4 NaN or infinity.
    fn check(&self) {
        let get = |what: &str| self.pack.get(&format!("{}/{what}", self.column));
        let (scale, code, flag, dequant) = (get("scale"), get("codes"), get("flag"), get("dequant"));
        let q = self.format.quantize_any(self.x, 32, 0).expect("MX has a NaN scale");
        let Scales::E8M0(scales) = q.scales() else { panic!("powers of two") };
        let (mine, values) = (codes(&q), q.dequantize());
        same_bits(&q.dequantize_reference(), &values, &self.column);
        let mut finite = Vec::new();
        for (b, block) in self.x.chunks(32).enumerate() {
            let what = format!("{} block {b}", self.column);
            let at = b * 32..b * 32 + 32;
            let (theirs, decoded) = (&code[at.clone()], &dequant[at.clone()]);
            match flag[b] {
                4 => {
                    assert_eq!(scales[b], 255, "{what}: NaN");
                    assert!(values[at].iter().all(|v| v.is_nan()), "{what}");
                    if block.iter().any(|v| v.is_nan()) {
                        assert_eq!(scale[b], 255, "{what}");
                        assert!(decoded.iter().all(|v| f32::from_bits(*v as u32).is_nan()), "{what}");
                    } else {
                        self.infinity(block, scale[b] as i32, theirs, &what);
                    }
                    continue;
                }
                0 => {
                    assert_eq!(u64::from(scales[b]), scale[b], "{what}: scale");
                    assert_eq!(mine[at.clone()], *theirs, "{what}: codes");
                    let bits: Vec<u64> = values[at].iter().map(|v| u64::from(v.to_bits())).collect();
                    assert_eq!(bits, *decoded, "{what}: values");
                }
                1 => self.logarithm(block, i32::from(scales[b]), scale[b] as i32, theirs, &what),
                2 => self.smallest_scale(block, scales[b], scale[b], theirs, &what),
                other => panic!("{what}: flag {other} is not described"),
            }
            finite.extend_from_slice(block);
        }
        assert!(finite.len() >= 370 * 32);
        let slow = self.format.quantize_reference(&finite, 32).expect("finite");
        assert!(self.format.quantize(&finite, 32).is_ok_and(|fast| fast == slow), "{}: both paths", self.column);
    }

    /// Flag 4 without NaN: the library reads the exponent of infinity as 2^128, in RCEIL held to 2^127, and saturates.
    fn infinity(&self, block: &[f32], scale: i32, code: &[u64], what: &str) {
        assert!(block.iter().any(|v| v.is_infinite()), "{what}");
        let exponent = if self.mode == "RCEIL" { 127 } else { 128 - self.format.element.emax() };
        assert_eq!(scale, exponent + 127, "{what}");
        for (v, code) in block.iter().zip(code) {
            let v = if v.is_finite() { scaled(*v, -exponent) } else { Value::from_f32(*v) };
            assert_eq!(nearest_even(self.format.element, v), *code, "{what}");
        }
    }

    /// Flag 1, RCEIL only: the library takes the ceiling of a logarithm in FP32. Its codes follow from its scale.
    fn logarithm(&self, block: &[f32], mine: i32, theirs: i32, code: &[u64], what: &str) {
        let element = self.format.element;
        let amax = block.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        let exponent = log2(amax * (1.0 / largest(element))).ceil() as i32;
        assert_eq!((self.mode, exponent + 127), ("RCEIL", theirs), "{what}: the library's scale");
        assert_ne!(mine, theirs, "{what}");
        for (v, code) in block.iter().zip(code) {
            assert_eq!(nearest_even(element, scaled(*v, -exponent)), *code, "{what}: {v:e}");
        }
    }

    /// Flag 2: under scale byte 0 the library divides by 2^-126, and in RCEIL not at all.
    fn smallest_scale(&self, block: &[f32], mine: u8, theirs: u64, code: &[u64], what: &str) {
        assert_eq!((u64::from(mine), theirs), (0, 0), "{what}");
        let power = if self.mode == "RCEIL" { 0 } else { 126 };
        for (v, code) in block.iter().zip(code) {
            assert_eq!(nearest_even(self.format.element, scaled(*v, power)), *code, "{what}: {v:e}");
        }
    }
}

/// The paper's library: with and without its bf16 step, in its roundings `nearest` (half away from zero) and `even`.
pub fn microxcaling(pack: &Pack) {
    let x = pack.floats("x");
    bf16_step(pack, &x);
    for (element, name) in MX.into_iter().chain([("int8", "mxint8")]) {
        for (pre, round) in [("plain", "nearest"), ("plain", "even"), ("bf16", "nearest"), ("bf16", "even")] {
            // The pack has `even` for some elements only.
            let even = if pre == "bf16" { &["int8"][..] } else { &["e4m3", "e2m1", "int8"] };
            if round == "even" && !even.contains(&element) {
                continue;
            }
            let rounding = if round == "even" { "nearest-even" } else { "nearest-away" };
            let exact = format(&format!("{name}@{rounding}"));
            let exact = if pre == "bf16" { with_bf16(exact) } else { exact };
            Library { x: &x, column: format!("{element}/{pre}/{round}"), exact }.check(pack);
        }
    }
}

/// The record with the bf16 step of the paper's MX.
fn with_bf16(format: &'static Format) -> &'static Format {
    let input = Some(Input { scalar: catalog::BF16, rounding: Rounding::NearestAway });
    let name: &'static str = Box::leak(format!("{}-of-bf16", format.name.replace('@', "-")).into_boxed_str());
    Format { name, input, ..*format }.adopt().unwrap_or_else(|e| panic!("{e}"))
}

/// The library's bf16 rounding, which the paper's records name.
fn bf16_step(pack: &Pack, x: &[f32]) {
    for name in ["interplay-mxfp8", "interplay-mxfp6"] {
        assert_eq!(
            format(name).input,
            Some(Input { scalar: catalog::BF16, rounding: Rounding::NearestAway }),
            "{name}"
        );
        let plain = with_bf16(format(&format!("{}@nearest-away", name.trim_start_matches("interplay-"))));
        let (source, laws) = (format(name).source, format(name).laws);
        assert_eq!(Format { name, source, laws, ..*plain }, *format(name), "the same record under another name");
    }
    assert!(pack.get("x_bf16_flag").iter().all(|flag| *flag == 0));
    for (v, want) in x.iter().zip(pack.floats("x_bf16_nearest_away")) {
        let code = catalog::BF16.encode(Value::from_f32(*v), Rounding::NearestAway, Overflow::Infinity);
        let got = catalog::BF16.decode(code.expect("bf16 has NaN")).to_f32();
        // The library loses the sign of -0.
        assert!(got == want || (got.is_nan() && want.is_nan()), "{v:e}: {got:e}, not {want:e}");
    }
}

struct Library<'a> {
    x: &'a [f32],
    column: String,
    exact: &'static Format,
}

impl Library<'_> {
    /// All blocks of numbers follow `floor-log2`, but for elements one place below half a unit, which the library takes to
    /// a unit: in FP32 0.49999997 + 0.5 is 1. Unmarked blocks agree with the exact rule too.
    fn check(&self, pack: &Pack) {
        let flag = pack.get(&format!("{}/flag", self.column));
        let dequant = pack.floats(&format!("{}/dequant", self.column));
        let values = |format: &'static Format| format.quantize_any(self.x, 32, 0).expect("MX has NaN").dequantize();
        let log2 = format_with_log2(self.exact);
        let (exact, library) = (values(self.exact), values(log2));
        let mut marked = 0;
        for (b, block) in self.x.chunks(32).enumerate() {
            let what = format!("{} block {b}", self.column);
            let at = b * 32..b * 32 + 32;
            let theirs = &dequant[at.clone()];
            if flag[b] == 4 {
                assert!(exact[at.clone()].iter().chain(&library[at]).chain(theirs).all(|v| v.is_nan()), "{what}");
                continue;
            }
            for ((v, got), want) in block.iter().zip(&library[at.clone()]).zip(theirs) {
                assert!(got == want || below_half(*v, *got, *want), "{what}: {v:e} {got:e} {want:e}");
            }
            // +0 equals -0 here: the library loses signs of zeros.
            match flag[b] {
                0 => assert_eq!(exact[at], *theirs, "{what}"),
                1 => assert_ne!(exact[at], *theirs, "{what}: marked for nothing"),
                other => panic!("{what}: flag {other} is not described"),
            }
            marked += u32::from(flag[b] == 1);
        }
        let plain = self.column.contains("plain");
        assert_eq!(marked > 0, plain, "{}: with the bf16 step no block is marked", self.column);
    }
}

/// Both roundings begin with floor(|y| + 0.5) in FP32, y in units of the last place.
fn below_half(v: f32, got: f32, want: f32) -> bool {
    let just_below_half = f32::from_bits(0.5f32.to_bits() - 1);
    got == 0.0 && v.abs() / want.abs() == just_below_half
}

fn format_with_log2(exact: &'static Format) -> &'static Format {
    exact.changed("floor-log2").unwrap_or_else(|e| panic!("{e}"))
}
