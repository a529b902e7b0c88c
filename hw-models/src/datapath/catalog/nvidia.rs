//! NVIDIA's tensor cores, Volta to Blackwell, as records.
//!
//! The facts are those of MMA-Sim 2.1.1 and of MATLAB-tensor-core's recorded results of V100, A100, Ada, H100 and B200;
//! the FP8 `mma` rule of Hopper and B200 was derived from the recorded results. All float units but the 4-bit
//! block-scaled ones align the products of a step and the accumulator together and truncate them; generations differ in
//! how many products a step has, how many bits are kept, and what a zero presents.

use super::build::{
    NEAREST_FP16, NEAREST_FP32, S32, TRUNCATED_E8M13, TRUNCATED_FP32, accumulator, aligned, lasting, operand, pair,
    round, sum, truncating,
};
use super::ieee;
use crate::datapath::record::{
    Arm, BlockScale, Codes, Datapath, ElementExponent, Group, Inputs, Joins, Nan, Node, Order, Overflow, Port, Product,
    Proof, Round, Sparsity, Sum, Zero,
};
use interplay_formats::catalog::{E8M0, FP16, UE4M3};
use interplay_formats::{Rounding, scalar};

/// A family of instructions that differ in their operands only.
#[derive(Clone, Copy)]
struct Row {
    arch: &'static str,
    unit: &'static str,
    /// Operand formats; every pair is an instruction where `mixed`.
    inputs: &'static [&'static str],
    mixed: bool,
    /// Products a step.
    group: usize,
    /// Reduction lengths of one instruction.
    depths: &'static [usize],
    /// Reduction lengths of its sparse form; none where there is no such form.
    sparse: &'static [usize],
    /// Fraction bits kept.
    bits: u32,
    /// The exponent of zeros, under an FP32 and an FP16 accumulator.
    floors: (i32, i32),
    /// Rounding of FP32 results.
    wide: Round,
    accumulators: &'static [Width],
    form: Form,
    /// Accumulators under which results for two like operands were recorded.
    recorded: &'static [Width],
    /// What the others are known by.
    otherwise: Proof,
}

/// Types of C and D.
#[derive(Clone, Copy, PartialEq)]
enum Width {
    F32,
    F16,
    /// C in FP16, D in FP32.
    F16F32,
}

/// What distinguishes instructions of the same arithmetic.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// Operands as they are.
    Plain,
    /// FP8 widened to FP16 and multiplied in two halves, the accumulator added last.
    Widened,
    /// A power-of-two scale every 32 positions on both sides.
    Scaled,
}

const BOTH: &[Width] = &[Width::F32, Width::F16];
const WIDE: &[Width] = &[Width::F32];
const NARROW_ONLY: &[Width] = &[Width::F16];
const NEVER: &[Width] = &[];
const FP8: &[&str] = &["e4m3", "e5m2"];
const NARROW: &[&str] = &["e5m2", "e4m3", "e3m2", "e2m3", "e2m1"];
const TURING: (i32, i32) = (-132, -20);
const HOPPER: (i32, i32) = (-133, -21);

/// FP16 of Volta: what the other rows change.
const VOLTA: Row = Row {
    arch: "volta",
    unit: "mma",
    inputs: &["f16"],
    mixed: false,
    group: 4,
    depths: &[4],
    sparse: &[],
    bits: 23,
    floors: (-131, -19),
    wide: TRUNCATED_FP32,
    accumulators: &[Width::F32, Width::F16, Width::F16F32],
    form: Form::Plain,
    recorded: BOTH,
    otherwise: Proof::Simulator,
};

const TURING_F16: Row = Row {
    arch: "turing",
    group: 8,
    depths: &[8],
    bits: 24,
    floors: TURING,
    accumulators: BOTH,
    recorded: NEVER,
    ..VOLTA
};
const AMPERE_F16: Row = Row { arch: "ampere", depths: &[8, 16], sparse: &[16, 32], recorded: BOTH, ..TURING_F16 };
const AMPERE_BF16: Row = Row { inputs: &["bf16"], accumulators: WIDE, ..AMPERE_F16 };
const AMPERE_TF32: Row = Row { inputs: &["tf32"], group: 4, depths: &[4, 8], sparse: &[8, 16], ..AMPERE_BF16 };
const ADA_FP8: Row = Row {
    arch: "ada",
    inputs: FP8,
    mixed: true,
    group: 16,
    depths: &[16, 32],
    sparse: &[64],
    bits: 13,
    wide: TRUNCATED_E8M13,
    ..AMPERE_F16
};
const HOPPER_F16: Row = Row { arch: "hopper", group: 16, bits: 25, floors: HOPPER, ..AMPERE_F16 };
const HOPPER_BF16: Row = Row { inputs: &["bf16"], accumulators: WIDE, ..HOPPER_F16 };
const HOPPER_TF32: Row = Row { inputs: &["tf32"], group: 8, depths: &[4, 8], sparse: &[8, 16], ..HOPPER_BF16 };
/// Neither this chip's FP32 results nor mixed operands were recorded, and no simulator has them.
const HOPPER_FP8: Row = Row {
    inputs: FP8,
    mixed: true,
    depths: &[32],
    sparse: &[],
    form: Form::Widened,
    recorded: NARROW_ONLY,
    otherwise: Proof::Hypothesis,
    ..HOPPER_F16
};
const WGMMA_FP8: Row = Row {
    unit: "wgmma",
    inputs: FP8,
    mixed: true,
    group: 32,
    depths: &[32],
    sparse: &[64],
    bits: 13,
    wide: TRUNCATED_E8M13,
    recorded: WIDE,
    ..HOPPER_F16
};
const TCGEN05_NARROW: Row = Row {
    arch: "b200",
    unit: "tcgen05",
    inputs: NARROW,
    mixed: true,
    group: 32,
    depths: &[32],
    sparse: &[64],
    recorded: NEVER,
    ..HOPPER_F16
};
const TCGEN05_SCALED: Row = Row { accumulators: WIDE, form: Form::Scaled, ..TCGEN05_NARROW };

/// The asynchronous units take whole instructions only.
const fn whole(row: Row, arch: &'static str, unit: &'static str, recorded: &'static [Width]) -> Row {
    let (depths, sparse): (&[usize], &[usize]) = match row.group {
        8 => (&[8], &[16]),
        _ => (&[16], &[32]),
    };
    Row { arch, unit, depths, sparse, recorded, ..row }
}

/// Every family of float instructions.
const ROWS: [Row; 29] = [
    VOLTA,
    TURING_F16,
    AMPERE_F16,
    AMPERE_BF16,
    AMPERE_TF32,
    Row { arch: "ada", ..AMPERE_F16 },
    Row { arch: "ada", ..AMPERE_BF16 },
    Row { arch: "ada", ..AMPERE_TF32 },
    ADA_FP8,
    HOPPER_F16,
    HOPPER_BF16,
    HOPPER_TF32,
    HOPPER_FP8,
    whole(HOPPER_F16, "hopper", "wgmma", BOTH),
    whole(HOPPER_BF16, "hopper", "wgmma", BOTH),
    whole(HOPPER_TF32, "hopper", "wgmma", BOTH),
    WGMMA_FP8,
    Row { arch: "b200", ..HOPPER_F16 },
    Row { arch: "b200", ..HOPPER_BF16 },
    Row { arch: "b200", ..HOPPER_TF32 },
    Row { arch: "b200", recorded: BOTH, ..HOPPER_FP8 },
    whole(HOPPER_F16, "b200", "tcgen05", NEVER),
    whole(HOPPER_BF16, "b200", "tcgen05", NEVER),
    whole(HOPPER_TF32, "b200", "tcgen05", NEVER),
    TCGEN05_NARROW,
    TCGEN05_SCALED,
    Row { arch: "rtx-blackwell", unit: "mma", depths: &[16, 32], ..TCGEN05_NARROW },
    Row { arch: "rtx-blackwell", unit: "mma", ..TCGEN05_SCALED },
    Row { arch: "rtx-blackwell", recorded: NEVER, ..HOPPER_F16 },
];

/// Every record.
pub(super) fn records() -> Vec<Datapath> {
    let mut all: Vec<Datapath> = ROWS.iter().flat_map(Row::records).collect();
    for row in [HOPPER_BF16, HOPPER_TF32] {
        all.extend(Row { arch: "rtx-blackwell", recorded: NEVER, ..row }.records());
    }
    for (arch, unit) in [("b200", "tcgen05"), ("rtx-blackwell", "mma")] {
        all.extend(four_bits(arch, unit));
    }
    for arch in ["ampere.mma", "ada.mma", "hopper.mma", "b200.mma"] {
        all.extend(ieee::rounded(arch, "f64").map(|record| Datapath {
            source: "PTX ISA 9.1, mma .f64 with .rn, .rz, .rm, .rp; MMA-Sim 2.1.1 for .rn",
            ..record
        }));
    }
    all.extend(integers());
    all
}

impl Row {
    /// The records of this family, each dense, then sparse by both hypotheses.
    fn records(&self) -> Vec<Datapath> {
        let pairs = self.inputs.iter().flat_map(|&a| self.inputs.iter().map(move |&b| (a, b)));
        let mut all = Vec::new();
        for (a, b) in pairs.filter(|(a, b)| self.mixed || a == b) {
            for &width in self.accumulators {
                all.push(self.record(a, b, width));
                if !self.sparse.is_empty() && width != Width::F16F32 {
                    all.extend(sparse(self.record(a, b, width), self.sparse, self.group, half(a)));
                }
            }
        }
        all
    }

    /// One dense instruction.
    fn record(&self, a: &str, b: &str, width: Width) -> Datapath {
        let (floor, result, c, d, accumulator_name) = match width {
            Width::F32 => (self.floors.0, self.wide, scalar::FP32, scalar::FP32, "f32"),
            Width::F16 => (self.floors.1, NEAREST_FP16, FP16, FP16, "f16"),
            Width::F16F32 => (self.floors.0, self.wide, FP16, scalar::FP32, "f16-f32"),
        };
        let widened = |port: Port| match self.form {
            Form::Widened => Port { emin: Some(FP16.emin()), ..port },
            Form::Plain | Form::Scaled => port,
        };
        let scale = (self.form == Form::Scaled).then_some(BlockScale { format: E8M0, block: 32 });
        let input = match self.form {
            Form::Scaled => format!("mxf8f6f4-{}", pair(a, b)),
            Form::Plain | Form::Widened => pair(a, b),
        };
        let last = if width == Width::F16 { NEAREST_FP16 } else { NEAREST_FP32 };
        let (classes, joins): (&[&[usize]], _) = match self.form {
            Form::Widened => (&[&[0, 1], &[2, 3]], Joins::Last(last)),
            Form::Plain | Form::Scaled => (&[], Joins::First),
        };
        let proof = if a == b && self.recorded.contains(&width) { Proof::Silicon } else { self.otherwise };
        Datapath {
            name: lasting(format!("{}.{}.{input}.{accumulator_name}", self.arch, self.unit)),
            about: match self.form {
                Form::Plain => "products and accumulator aligned together and truncated",
                Form::Widened => "FP8 widened to FP16, two truncating halves, the accumulator added last",
                Form::Scaled => "scaled products and accumulator aligned together and truncated",
            },
            source: match (self.form, proof) {
                (Form::Widened, Proof::Silicon) => "derived from MATLAB-tensor-core's recorded results",
                (Form::Widened, _) => "the rule of its recorded relatives (MATLAB-tensor-core): no results of this one",
                (_, Proof::Silicon) => "MATLAB-tensor-core, recorded results; MMA-Sim 2.1.1",
                _ => "MMA-Sim 2.1.1",
            },
            proof,
            inputs: Inputs::Codes(Codes { a: widened(operand(a)), b: widened(operand(b)), scale, sparse: None }),
            depths: self.depths,
            order: Order { group: Group::Of(self.group), classes, joins },
            product: Product::EXACT,
            sum: truncating(self.bits, floor, result),
            accumulator: accumulator(c, d),
            macs_per_cycle: None,
        }
    }
}

/// The 2:4 forms of an instruction. How its steps are cut is not known: `h1` fills a step with stored products, `h2`
/// with logical positions, half of which are stored.
fn sparse(dense: Datapath, depths: &'static [usize], group: usize, ratio: Sparsity) -> [Datapath; 2] {
    let Inputs::Codes(codes) = dense.inputs else { unreachable!("tensor cores take codes") };
    let form = |suffix: &str, group: usize, about: &'static str| {
        let mut parts = dense.name.splitn(3, '.');
        let (arch, unit, rest) = (parts.next(), parts.next(), parts.next());
        let [arch, unit, rest] = [arch, unit, rest].map(Option::unwrap_or_default);
        Datapath {
            name: lasting(format!("{arch}.{unit}-sp-{suffix}.{rest}")),
            about,
            source: "no public model: a hypothesis on the dense unit's rule",
            proof: Proof::Hypothesis,
            inputs: Inputs::Codes(Codes { sparse: Some(ratio), ..codes }),
            depths,
            order: Order { group: Group::Of(group), ..dense.order },
            ..dense
        }
    };
    [
        form("h1", group, "2:4 sparse A; a step has as many stored products as a dense one has products"),
        form("h2", group / 2, "2:4 sparse A; a step spans as many positions as a dense one, half of them stored"),
    ]
}

/// The half that a sparse operand stores.
const fn half(input: &str) -> Sparsity {
    match input.as_bytes() {
        b"tf32" => Sparsity { n: 1, m: 2, together: 1 },
        b"s4" | b"u4" => Sparsity { n: 4, m: 8, together: 2 },
        _ => Sparsity { n: 2, m: 4, together: 1 },
    }
}

/// FP4 with block scales: groups of 16 products are summed exactly, scaled, and aligned with the accumulator.
fn four_bits(arch: &'static str, unit: &'static str) -> Vec<Datapath> {
    let port = Port { exponent: ElementExponent::None, ..operand("e2m1") };
    let kinds = [("mxf4", E8M0, 32), ("nvf4", UE4M3, 16), ("nvf4-ue8m0", E8M0, 16)];
    let dense = kinds.map(|(name, format, block)| Datapath {
        name: lasting(format!("{arch}.{unit}.{name}.f32")),
        about: "exact groups of 16 products, scaled, aligned with the accumulator and truncated",
        source: "MMA-Sim 2.1.1",
        proof: Proof::Simulator,
        inputs: Inputs::Codes(Codes { a: port, b: port, scale: Some(BlockScale { format, block }), sparse: None }),
        depths: &[64],
        order: Order { group: Group::Of(64), classes: &[], joins: Joins::First },
        product: Product::EXACT,
        sum: groups(16),
        accumulator: accumulator(scalar::FP32, scalar::FP32),
        macs_per_cycle: None,
    });
    let ratio = Sparsity { n: 4, m: 8, together: 2 };
    let [h1, h2] = sparse(dense[0], &[128], 64, ratio);
    let mut all = Vec::from(dense);
    // Half a group of 16 positions is 8 stored products. NVFP4's groups span two scales under `h1`, so it has no form.
    all.extend([h1, Datapath { sum: groups(8), ..h2 }]);
    all
}

/// The sum of FP4's exact groups and the accumulator.
fn groups(length: usize) -> &'static Sum {
    let group = sum(vec![Arm::exact(Node::PRODUCTS)], None, vec![]);
    let arms = vec![
        aligned(Node::Runs { length, sum: group }, 35, Rounding::TowardZero),
        aligned(Node::Accumulator, 35, Rounding::TowardZero),
    ];
    sum(arms, Some(-139), vec![TRUNCATED_FP32])
}

/// A unit's architecture and name, its operands, and the depths of its instructions, dense and sparse.
type Integers = (&'static str, &'static str, &'static [&'static str], &'static [usize], &'static [usize]);

/// Integer instructions: the exact sum with the accumulator, modulo 2^32 or held to the ends of the range.
fn integers() -> Vec<Datapath> {
    let machines: [Integers; 12] = [
        ("turing", "mma", &["s8", "u8"], &[16], &[]),
        ("turing", "mma", &["s4", "u4"], &[32], &[]),
        ("turing", "mma", &["u1"], &[128], &[]),
        ("ampere", "mma", &["s8", "u8"], &[16, 32], &[32, 64]),
        ("ampere", "mma", &["s4", "u4"], &[32, 64], &[64, 128]),
        ("ampere", "mma", &["u1"], &[128, 256], &[]),
        ("ada", "mma", &["s8", "u8"], &[16, 32], &[32, 64]),
        ("ada", "mma", &["s4", "u4"], &[32, 64], &[64, 128]),
        ("hopper", "mma", &["s8", "u8"], &[16, 32], &[32, 64]),
        ("hopper", "wgmma", &["s8", "u8"], &[32], &[64]),
        ("b200", "mma", &["s8", "u8"], &[16, 32], &[32, 64]),
        ("b200", "tcgen05", &["s8", "u8"], &[32], &[64]),
    ];
    let mut all = Vec::new();
    for (arch, unit, inputs, depths, sparse_depths) in machines {
        for (&a, &b) in inputs.iter().flat_map(|a| inputs.iter().map(move |b| (a, b))) {
            for (name, overflow) in [("s32", Overflow::Wrap), ("s32sat", Overflow::Saturate)] {
                let dense = integer((arch, unit), (a, b), name, overflow, depths);
                all.push(dense);
                if !sparse_depths.is_empty() {
                    let longest = depths.last().copied().unwrap_or_default();
                    all.extend(sparse(dense, sparse_depths, longest, half(a)));
                }
            }
        }
    }
    all
}

/// One integer instruction.
fn integer(
    (arch, unit): (&str, &str),
    (a, b): (&str, &str),
    name: &str,
    overflow: Overflow,
    depths: &'static [usize],
) -> Datapath {
    let arms = vec![Arm::exact(Node::PRODUCTS), Arm::exact(Node::Accumulator)];
    let mut accumulator = accumulator(S32, S32);
    (accumulator.nan, accumulator.zero) = (Nan::Any, Zero::Positive);
    Datapath {
        name: lasting(format!("{arch}.{unit}.{}.{name}", pair(a, b))),
        about: match overflow {
            Overflow::Saturate => "the exact sum of an instruction and the accumulator, held to 32 bits",
            _ => "the exact sum modulo 2^32",
        },
        source: "PTX ISA 9.1, mma with integer operands and .satfinite",
        proof: Proof::Document,
        inputs: Inputs::Codes(Codes { a: operand(a), b: operand(b), scale: None, sparse: None }),
        depths,
        order: Order { group: Group::All, classes: &[], joins: Joins::First },
        product: Product::EXACT,
        sum: sum(arms, None, vec![round(S32, Rounding::NearestEven, overflow)]),
        accumulator,
        macs_per_cycle: None,
    }
}
