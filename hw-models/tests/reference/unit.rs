//! What a unit of that name does: the tables of the published models, read from the name and nothing else.

use super::number::{F16, F32, F64, Format, Mode, Rho};
use super::truncated;

/// How an operand is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operand {
    Float(Format),
    /// An FP32 register whose low 13 bits are not read.
    Register,
    Integer {
        bits: u32,
        signed: bool,
    },
}

/// Scales of blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    Ue8m0,
    Ue4m3,
}

/// The sum of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Model {
    /// T-FDPA, and ST-FDPA under scales: fraction bits, the exponent of zeros, the rounding.
    Truncating(i64, i64, Rho),
    /// FP8 `mma` of Hopper and B200: T-FDPA over two halves, the accumulator added to nearest.
    Widened(i64, Rho, Rho),
    /// GST-FDPA, with so many products a group.
    Groups(usize),
    /// E-FDPA.
    Exact,
    /// FTZ-mul-add.
    Flushing,
    /// TR-FDPA.
    ProductsFirst,
    /// GTR-FDPA.
    HalvesFirst,
    /// Fused multiply-adds.
    Chain(Rho),
    /// 32-bit integers, saturating or not.
    Integer(bool),
}

/// One unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unit {
    pub a: Operand,
    pub b: Operand,
    /// Formats of the accumulator that enters and of the result; 32-bit integers without.
    pub c: Option<Format>,
    pub d: Option<Format>,
    /// The scale and its block.
    pub scale: Option<(Scale, usize)>,
    /// Stored positions, positions of a group, neighbours stored together.
    pub sparse: Option<(usize, usize, usize)>,
    /// Stored products a step.
    pub step: usize,
    pub model: Model,
    /// NaN has all ones below the sign and zeros are +0.
    pub nvidia: bool,
}

impl Unit {
    /// `arch.unit.input.accumulator`; `None` where the unit takes no codes.
    pub fn of(name: &str) -> Option<Self> {
        let full = match name {
            "ideal" => "ieee.exact.f32.f32",
            "fp32" => "ieee.fma.f32.f32",
            other => other,
        };
        let mut parts = full.splitn(4, '.');
        let [arch, unit, input, accumulator] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        let (unit, hypothesis) = unit.split_once("-sp-").map_or((unit, None), |(unit, h)| (unit, Some(h)));
        let dense = match arch {
            "ieee" if unit == "exact" => same(input, usize::MAX, Model::Exact),
            "ieee" => chain(input, accumulator),
            "cdna1" | "cdna2" | "cdna3" => amd(arch, input, accumulator)?,
            _ => nvidia(arch, unit, input, accumulator)?,
        };
        let Some(hypothesis) = hypothesis else { return Some(dense) };
        let pairs = matches!(input, "mxf4") || matches!(dense.a, Operand::Integer { bits: 4, .. });
        let sparse = Some(match dense.a {
            Operand::Register => (1, 2, 1),
            _ if pairs => (4, 8, 2),
            _ => (2, 4, 1),
        });
        // A step of the dense integer units is an instruction: 256 bits of the longest.
        let step = match dense.a {
            Operand::Integer { bits, .. } => 256 / bits as usize,
            _ => dense.step,
        };
        let halved = hypothesis == "h2";
        let model = match dense.model {
            Model::Groups(length) if halved => Model::Groups(length / 2),
            model => model,
        };
        Some(Self { sparse, step: if halved { step / 2 } else { step }, model, ..dense })
    }
}

fn operand(name: &str) -> Option<Operand> {
    let integer = |signed| Some(Operand::Integer { bits: name[1..].parse().ok()?, signed });
    match name.as_bytes()[0] {
        b's' => integer(true),
        b'u' => integer(false),
        b't' | b'x' => Some(Operand::Register),
        _ => Some(Operand::Float(Format::of(name)?)),
    }
}

/// The two formats of `AxB`, or of `A` twice.
fn operands(input: &str) -> Option<[Operand; 2]> {
    let joined = input.char_indices().skip(1).find(|(_, c)| *c == 'x').map(|(at, _)| at);
    let (a, b) = joined.map_or((input, input), |at| (&input[..at], &input[at + 1..]));
    Some([operand(a)?, operand(b)?])
}

/// A unit of FP32 accumulators.
fn same(input: &str, step: usize, model: Model) -> Unit {
    let [a, b] = operands(input).expect("formats of the catalogue");
    Unit { a, b, c: Some(F32), d: Some(F32), scale: None, sparse: None, step, model, nvidia: false }
}

fn chain(input: &str, accumulator: &str) -> Unit {
    let format = if input == "f64" { F64 } else { F32 };
    let mode = match accumulator.split_once('-').map(|(_, suffix)| suffix) {
        None => Mode::Nearest,
        Some("rz") => Mode::Zero,
        Some("rm") => Mode::Down,
        Some(_) => Mode::Up,
    };
    let rho = Rho { ieee: true, ..Rho::to(format, mode) };
    Unit { c: Some(format), d: Some(format), ..same(input, 1, Model::Chain(rho)) }
}

fn amd(arch: &str, input: &str, accumulator: &str) -> Option<Unit> {
    Some(match (arch, input) {
        (_, "f32" | "f64") => chain(input, accumulator),
        ("cdna1", "f16") => same(input, 4, Model::Exact),
        ("cdna1", "bf16") => same(input, 2, Model::Exact),
        ("cdna2", "bf16-p2") => same("bf16", 2, Model::Flushing),
        ("cdna2", _) => same(input, 4, Model::Flushing),
        ("cdna3", "f16" | "bf16") => same(input, 8, Model::ProductsFirst),
        ("cdna3", "xf32") => same(input, 4, Model::ProductsFirst),
        ("cdna3", _) => same(input, 16, Model::HalvesFirst),
        _ => return None,
    })
}

fn nvidia(arch: &str, unit: &str, input: &str, accumulator: &str) -> Option<Unit> {
    if input == "f64" {
        return Some(chain(input, accumulator));
    }
    let format = |name: &str| Format::of(name);
    let (c, d) = accumulator.split_once('-').unwrap_or((accumulator, accumulator));
    let (c, d) = (format(c), format(d));
    let four_bits =
        |scale, block| Unit { scale: Some((scale, block)), nvidia: true, ..same("e2m1", 64, Model::Groups(16)) };
    match input {
        "mxf4" => return Some(four_bits(Scale::Ue8m0, 32)),
        "nvf4" => return Some(four_bits(Scale::Ue4m3, 16)),
        "nvf4-ue8m0" => return Some(four_bits(Scale::Ue8m0, 16)),
        _ => {}
    }
    let (plain, scale) = match input.strip_prefix("mxf8f6f4-") {
        Some(pair) => (pair, Some((Scale::Ue8m0, 32))),
        None => (input, None),
    };
    let [a, b] = operands(plain)?;
    let unit_of = |step, model| Unit { a, b, c, d, scale, sparse: None, step, model, nvidia: true };
    if matches!(a, Operand::Integer { .. }) {
        return Some(unit_of(usize::MAX, Model::Integer(accumulator == "s32sat")));
    }
    // Bytes a step, fraction bits, and the exponents of zeros under FP32 and FP16.
    let (bytes, fraction, zeros) = match arch {
        "volta" => (8, 23, (-131, -19)),
        "turing" | "ampere" | "ada" => (16, 24, (-132, -20)),
        _ => (32, 25, (-133, -21)),
    };
    let step = match a {
        Operand::Register => bytes / 4,
        Operand::Float(format) if format.bits() == 16 => bytes / 2,
        _ => bytes,
    };
    let narrow = d == Some(F16);
    let zero = if narrow { zeros.1 } else { zeros.0 };
    let nearest = Rho::to(F16, Mode::Nearest);
    let eight = step == bytes;
    Some(match (arch, unit) {
        ("hopper" | "b200", "mma") if eight => {
            let last = Rho::to(d?, Mode::Nearest);
            unit_of(16, Model::Widened(zero, if narrow { nearest } else { truncated() }, last))
        }
        ("ada", _) | ("hopper", _) if eight => {
            let rho = if narrow { nearest } else { Rho { mantissa: 13, ..truncated() } };
            unit_of(step, Model::Truncating(13, zero, rho))
        }
        _ => unit_of(step, Model::Truncating(fraction, zero, if narrow { nearest } else { truncated() })),
    })
}
