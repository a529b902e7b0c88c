//! Hidden units recovered from their results, and recorded silicon named.

use crate::mmasim::codes;
use crate::silicon::narrowed;
use crate::support::{Random, case, oracle_bytes};
use interplay_formats::file::Container;
use interplay_formats::{Rounding, Scalar, scalar};
use interplay_hw::Datapath;
use interplay_hw::datapath::{Codes, Overflow, Port, Subnormals};
use interplay_hw::identify::{
    Finding, Found, Interleave, Joining, Options, Parameters, Recorded, Report, Search, Terms, Widths, identify,
};
use libtest_mimic::Trial;
use std::num::NonZeroUsize;

pub const FP16: Scalar = interplay_formats::catalog::FP16;

pub fn trials() -> Vec<Trial> {
    let hidden = HIDDEN
        .into_iter()
        .map(|(name, parameters)| case(&format!("identify::hidden {name}"), move || recovers(parameters)));
    let silicon = SILICON.into_iter().map(|(file, results, input, expected)| {
        let path = format!("vectors/silicon/{file}.safetensors");
        oracle_bytes(&format!("identify::{file} {results}"), &path, move |bytes| {
            names(&bytes, results, input, expected)
        })
    });
    let searched = SEARCHED.into_iter().map(|(file, results, record, expected)| {
        let path = format!("vectors/silicon/{file}.safetensors");
        let name = format!("identify::parameters of {file} {results}");
        oracle_bytes(&name, &path, move |bytes| measured(&bytes, results, record, expected))
    });
    let mmasim = MMASIM.into_iter().map(|(file, set, expected)| {
        let path = format!("vectors/mmasim/{file}.safetensors");
        oracle_bytes(&format!("identify::{set}"), &path, move |bytes| named_set(&bytes, set, expected))
    });
    let cases = [
        case("identify::parameters of a known unit", parameters_of_a_known_unit),
        case("identify::one sparse hypothesis is told from the other", sparse_hypotheses),
        case("identify::rows that decide nothing", rows_that_decide_nothing),
        case("identify::wrong rows are errors", wrong_rows_are_errors),
        case("identify::nothing explains noise", nothing_explains_noise),
    ];
    hidden.chain(silicon).chain(searched).chain(mmasim).chain(cases).collect()
}

/// What the hidden units change.
const USUAL: Parameters = Parameters {
    codes: Codes { a: Port::plain(FP16), b: Port::plain(FP16), scale: None, sparse: None },
    c: scalar::FP32,
    d: scalar::FP32,
    depth: 32,
    terms: aligned(22, Rounding::TowardZero),
    group: 8,
    interleave: Interleave::Natural,
    joins: Joining::WithProducts,
    rounding: Rounding::TowardZero,
    precision: 23,
    overflow: Overflow::Infinity,
    subnormals: Subnormals::Kept,
};

const fn aligned(fraction_bits: u32, rounding: Rounding) -> Terms {
    Terms::Aligned { fraction_bits, rounding, floor: None }
}

/// Units that no vendor sells.
const HIDDEN: [(&str, Parameters); 8] = [
    ("22 bits, steps of 8, truncated", USUAL),
    (
        "19 bits rounded, to nearest, by addition",
        Parameters {
            terms: aligned(19, Rounding::NearestEven),
            joins: Joining::AfterStep,
            rounding: Rounding::NearestEven,
            ..USUAL
        },
    ),
    (
        "27 bits floored, interleaved, added last",
        Parameters {
            terms: aligned(27, Rounding::Down),
            interleave: Interleave::Parity,
            joins: Joining::AfterInstruction,
            group: 16,
            rounding: Rounding::Down,
            ..USUAL
        },
    ),
    ("a narrow result", Parameters { terms: aligned(15, Rounding::TowardZero), precision: 14, group: 32, ..USUAL }),
    ("exact steps of 4", Parameters { terms: Terms::Exact, group: 4, rounding: Rounding::NearestEven, ..USUAL }),
    ("fused multiply-adds, rounded up", Parameters { terms: Terms::Exact, group: 1, rounding: Rounding::Up, ..USUAL }),
    (
        "pairs of pairs",
        Parameters {
            terms: Terms::Pairwise,
            group: 4,
            joins: Joining::AfterStep,
            rounding: Rounding::NearestEven,
            ..USUAL
        },
    ),
    (
        "FP16 results",
        Parameters {
            c: FP16,
            d: FP16,
            terms: aligned(14, Rounding::TowardZero),
            rounding: Rounding::NearestEven,
            precision: 10,
            ..USUAL
        },
    ),
];

/// Operands and results of a unit.
pub struct Rows {
    pub a: Vec<u64>,
    pub b: Vec<u64>,
    pub c: Vec<u64>,
    pub d: Vec<u64>,
    k: usize,
    widths: Widths,
}

impl Rows {
    /// Ordinary FP16 numbers, exponents within 8 binades, and what a unit makes of them.
    pub fn of(unit: &Datapath, depth: usize, k: usize, rows: usize) -> Self {
        let mut random = Random(0x1D);
        let (c, d) = (unit.accumulator.c, unit.accumulator.d);
        let mut number = |_| random.bits() & 0x83FF | (11 + random.below(8)) << 10;
        let a: Vec<u64> = (0..rows * k).map(&mut number).collect();
        let b: Vec<u64> = (0..rows * k).map(&mut number).collect();
        let start = |code| if c == FP16 { code } else { u64::from(FP16.decode(code).to_f32().to_bits()) };
        let c: Vec<u64> = (0..rows).map(number).map(start).collect();
        let mut recorded = Self {
            a,
            b,
            c,
            d: vec![0; rows],
            k,
            widths: Widths { a: 16, b: 16, c: unit.accumulator.c.bits(), d: d.bits() },
        };
        recorded.d = (0..rows).map(|row| unit.dot(recorded.view().row(row), Some(depth)).unwrap()).collect();
        recorded
    }

    pub fn view(&self) -> Recorded<'_> {
        Recorded {
            k: self.k,
            a: &self.a,
            b: &self.b,
            c: &self.c,
            d: &self.d,
            widths: self.widths,
            ..Recorded::default()
        }
    }
}

fn finding<'a>(found: &'a Found, parameter: &str) -> &'a Finding {
    found.findings.iter().find(|finding| finding.parameter.starts_with(parameter)).expect("a parameter of that name")
}

/// The hidden parameters come back, floor and flushing apart, which ordinary rows do not reach.
fn recovers(hidden: Parameters) {
    let unit = hidden.datapath("hidden");
    let rows = Rows::of(&unit, hidden.depth, 32, 1000);
    let options = Options { input: Some("f16".to_owned()), search: Search::Always, ..Options::default() };
    let report = identify(&rows.view(), &options).unwrap();
    let found = report.parameters.as_ref().expect("a search");
    assert_eq!(found.explained, 1000, "{report}");
    assert_eq!(found.parameters, hidden, "{report}");
    let bits = finding(found, "fraction bits below");
    // Enough bits are as good as all of them; otherwise the rows decide.
    let decided = hidden.terms == Terms::Exact || bits.alike.len() == 1 && bits.alike[0] == bits.value;
    assert!(decided && !bits.unobservable, "{report}");
    let floor = found.findings.iter().find(|finding| finding.parameter.starts_with("floor"));
    assert!(floor.is_none_or(|floor| floor.unobservable), "{report}");
}

/// A recorded file, its results, the operands, and the record that must come first.
const SILICON: [(&str, &str, &str, &str); 16] = [
    ("V100_fp16", "d_fp32", "f16", "volta.mma.f16.f32"),
    ("V100_fp16", "d_fp16", "f16", "volta.mma.f16.f16"),
    ("A100_fp16", "d_fp32", "f16", "ampere.mma.f16.f32"),
    ("A100_bf16", "d_fp32", "bf16", "ampere.mma.bf16.f32"),
    ("A100_tf32", "d_fp32", "tf32", "ampere.mma.tf32.f32"),
    ("Ada_fp16", "d_fp16", "f16", "ada.mma.f16.f16"),
    ("Ada_E4M3", "d_fp32", "e4m3", "ada.mma.e4m3.f32"),
    ("Ada_E5M2", "d_fp16", "e5m2", "ada.mma.e5m2.f16"),
    ("H100_fp16", "d_fp32", "f16", "hopper.mma.f16.f32"),
    ("H100_tf32", "d_fp32", "tf32", "hopper.mma.tf32.f32"),
    ("H100_E4M3", "d_fp32", "e4m3", "hopper.wgmma.e4m3.f32"),
    ("H100_E4M3", "d_fp16", "e4m3", "hopper.mma.e4m3.f16"),
    ("B200_bf16", "d_fp32", "bf16", "b200.mma.bf16.f32"),
    ("B200_E4M3", "d_fp32", "e4m3", "b200.mma.e4m3.f32"),
    ("B200_E5M2", "d_fp16", "e5m2", "b200.mma.e5m2.f16"),
    ("B200_E5M2", "d_fp32", "e5m2", "b200.mma.e5m2.f32"),
];

/// The rows of a recorded file as a unit of these operands has them.
fn recorded(bytes: &[u8], results: &str, unit: &Datapath) -> Rows {
    let container = Container::parse(bytes).expect("a safetensors file");
    let tensor = |name: &str, format: Scalar| -> Vec<u64> {
        codes(container.tensor(name).expect("a tensor")).into_iter().map(|bits| narrowed(format, bits)).collect()
    };
    let operands = unit.codes().unwrap();
    let (a, b) = (tensor("a", operands.a.format), tensor("b", operands.b.format));
    let d = tensor(results, unit.accumulator.d);
    // The FP32 results of H100's FP8 were recorded with c = 0 whatever the file says.
    let without_c = unit.name.contains("wgmma");
    let c = if without_c { Vec::new() } else { tensor("c", unit.accumulator.c) };
    let widths = Widths {
        a: operands.a.format.bits(),
        b: operands.b.format.bits(),
        c: unit.accumulator.c.bits(),
        d: unit.accumulator.d.bits(),
    };
    Rows { k: a.len() / d.len(), a, b, c, d, widths }
}

/// The record of the machine comes first, and no record of other numerics explains every row.
fn names(bytes: &[u8], results: &str, input: &str, expected: &str) {
    let unit = Datapath::by_name(expected).unwrap();
    let rows = recorded(bytes, results, unit);
    let options = Options { input: Some(input.to_owned()), ..Options::default() };
    let report = identify(&rows.view(), &options).unwrap();
    assert!(report.is_explained() && report.parameters.is_none(), "{report}");
    assert!(report.records[0].names.contains(&expected), "{report}");
    assert_eq!(report.records[0].explained, rows.d.len(), "{report}");
}

/// Names of parameters and their values.
type Expected = &'static [(&'static str, &'static str)];

/// A recorded file, its results, a record of their widths, and parameters that these rows decide.
const SEARCHED: [(&str, &str, &str, Expected); 4] = [
    (
        "V100_fp16",
        "d_fp32",
        "volta.mma.f16.f32",
        &[("fraction bits below", "23"), ("rounding of a step", "toward-zero")],
    ),
    ("H100_fp16", "d_fp32", "hopper.mma.f16.f32", &[("fraction bits below", "25"), ("products a step", "16")]),
    (
        "Ada_E4M3",
        "d_fp32",
        "ada.mma.e4m3.f32",
        &[("fraction bits below", "13"), ("products a step", "16"), ("fraction bits of", "13")],
    ),
    (
        "B200_E4M3",
        "d_fp16",
        "b200.mma.e4m3.f16",
        &[
            ("products a step", "16"),
            ("positions of a step", "0 and 1 of every four, then 2 and 3"),
            ("the accumulator joins", "by an addition after the last step"),
        ],
    ),
];

/// A search alone finds what was published of the machine.
fn measured(bytes: &[u8], results: &str, record: &str, expected: Expected) {
    let rows = recorded(bytes, results, Datapath::by_name(record).unwrap());
    let input = record.split('.').nth(2).map(str::to_owned);
    let report = identify(&rows.view(), &Options { input, search: Search::Always, ..Options::default() }).unwrap();
    let found = report.parameters.as_ref().unwrap();
    assert_eq!(found.explained, rows.d.len(), "{report}");
    for (parameter, value) in expected {
        let finding = finding(found, parameter);
        assert!(finding.value == *value && finding.alike == [*value], "{report}");
    }
}

/// Sets of the other simulator's files, without a word on the operands, and a record among the first.
const MMASIM: [(&str, &str, &str); 8] = [
    ("nv_volta", "f16_cf32_df32/k4i4", "volta.mma.f16.f32"),
    ("nv_ada_fp8", "e4m3_e5m2_df32/k32i32", "ada.mma.e4m3xe5m2.f32"),
    ("nv_hopper_wgmma_fp8", "e5m2_e5m2_df16/k32i32", "hopper.wgmma.e5m2.f16"),
    ("nv_blackwell_f8f6f4", "e2m3_e3m2_df32/k32i32", "b200.tcgen05.e2m3xe3m2.f32"),
    ("nv_blackwell_mxf4_nvf4", "mxf4nvf4_block16_ue4m3/k64i64", "b200.tcgen05.nvf4.f32"),
    ("amd_cdna1", "bf16/k8i8", "cdna1.mfma.bf16.f32"),
    ("amd_cdna2", "f16/k16i16", "cdna2.mfma.f16.f32"),
    ("amd_cdna3", "xf32/k16i8", "cdna3.mfma.xf32.f32"),
];

fn named_set(bytes: &[u8], set: &str, expected: &str) {
    let container = Container::parse(bytes).expect("a safetensors file");
    let sets: Vec<&str> = container.tensors().filter_map(|(name, _)| name.strip_suffix("/d")).collect();
    let tensor = |name: &str| container.tensor(&format!("{set}/{name}"));
    let of = |name: &str| tensor(name).map(codes).unwrap_or_default();
    let [a, b, c, d, scale_a, scale_b] = ["a", "b", "c", "d", "sa", "sb"].map(of);
    assert!(!d.is_empty(), "no set {set}; there are {sets:?}");
    let bits = |name: &str| {
        tensor(name).map_or(0, |view| 8 * (view.bytes.len() / view.shape.iter().product::<usize>()) as u32)
    };
    let widths = Widths { a: bits("a"), b: bits("b"), c: bits("c"), d: bits("d") };
    let k = a.len() / d.len();
    let rows = Recorded { k, a: &a, b: &b, c: &c, d: &d, scale_a: &scale_a, scale_b: &scale_b, metadata: &[], widths };
    let report = identify(&rows, &Options::default()).unwrap();
    assert!(report.is_explained(), "{report}");
    let perfect = report.records.iter().filter(|record| record.explained == d.len());
    assert!(perfect.flat_map(|record| &record.names).any(|name| *name == expected), "{report}");
}

/// "How many accumulator bits does this chip have?": the answer of a search that does not use the catalogue's record.
fn parameters_of_a_known_unit() {
    let rows = Rows::of(Datapath::by_name("ampere.mma.f16.f32").unwrap(), 16, 16, 2500);
    let options = Options { search: Search::Always, ..Options::default() };
    let report = identify(&rows.view(), &options).unwrap();
    let found = report.parameters.as_ref().unwrap();
    assert_eq!(report.records[0].explained, 2500, "{report}");
    let expected = Parameters { depth: 16, terms: aligned(24, Rounding::TowardZero), ..USUAL };
    assert_eq!((found.explained, found.parameters), (2500, expected), "{report}");
    assert_eq!(identify(&rows.view(), &options).unwrap(), report, "the same rows, another answer");
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(one.install(|| identify(&rows.view(), &options)).unwrap(), report, "another number of threads");
    let text = report.to_string();
    assert!(text.contains("ampere.mma.f16.f32 = ada.mma.f16.f32"), "{text}");
    assert!(text.lines().any(|line| line.contains("fraction bits below") && line.ends_with("  24")), "{text}");
    assert!(text.contains("not observable in these rows"), "{text}");
}

/// What recorded rows of a sparse instruction would settle, its length given: a step of `h1`'s short instruction is one of
/// `h2`'s long one.
fn sparse_hypotheses() {
    for (settled, other) in [("h1", "h2"), ("h2", "h1")] {
        let unit = Datapath::by_name(&format!("hopper.mma-sp-{settled}.f16.f32")).unwrap();
        let mut rows = Rows::of(Datapath::by_name("hopper.mma.f16.f32").unwrap(), 16, 64, 200);
        rows.a.truncate(200 * 32);
        let mut random = Random(0x24);
        let codes = [0b0100, 0b1000, 0b1100, 0b1001, 0b1101, 0b1110];
        let metadata: Vec<u64> = (0..200 * 16).map(|_| codes[random.below(6) as usize]).collect();
        let with = |rows: &Rows, row| unit.dot(Recorded { metadata: &metadata, ..rows.view() }.row(row), None).unwrap();
        rows.d = (0..200).map(|row| with(&rows, row)).collect();
        let options = Options { depth: NonZeroUsize::new(32), ..Options::default() };
        let recorded = Recorded { metadata: &metadata, ..rows.view() };
        let report = identify(&recorded, &options).unwrap();
        let perfect: Vec<_> = report.records.iter().filter(|record| record.explained == 200).collect();
        let names: Vec<&str> = perfect.iter().flat_map(|record| &record.names).copied().collect();
        assert!(names.contains(&unit.name), "{report}");
        assert!(!names.contains(&format!("hopper.mma-sp-{other}.f16.f32").as_str()), "{report}");
    }
}

/// Small integers are summed exactly by every unit: the answer says that nothing is decided.
fn rows_that_decide_nothing() {
    let unit = Datapath::by_name("hopper.mma.f16.f32").unwrap();
    let mut rows = Rows::of(unit, 16, 16, 50);
    let (one, two) = (0x3C00, 0x4000);
    rows.a.iter_mut().enumerate().for_each(|(i, code)| *code = if i % 3 == 0 { one } else { two });
    rows.b.fill(one);
    rows.c.fill(0);
    rows.d = (0..50).map(|row| unit.dot(rows.view().row(row), Some(16)).unwrap()).collect();
    let options = Options { search: Search::Always, ..Options::default() };
    let report = identify(&rows.view(), &options).unwrap();
    assert!(report.records.iter().filter(|record| record.explained == 50).count() > 3, "{report}");
    let found = report.parameters.as_ref().unwrap();
    for parameter in ["fraction bits below", "products a step", "rounding of a step"] {
        assert!(finding(found, parameter).unobservable, "{report}");
    }
}

/// Lengths that do not go together, and an input that no record has.
fn wrong_rows_are_errors() {
    let rows = Rows::of(Datapath::by_name("ampere.mma.f16.f32").unwrap(), 16, 16, 4);
    let good = rows.view();
    let wrong = [
        Recorded::default(),
        Recorded { k: 0, ..good },
        Recorded { a: &rows.a[1..], ..good },
        Recorded { b: &rows.b[1..], ..good },
        Recorded { c: &rows.c[1..], ..good },
        Recorded { scale_a: &rows.c, ..good },
        Recorded { metadata: &rows.a[1..], ..good },
    ];
    for rows in wrong {
        let error = identify(&rows, &Options::default()).unwrap_err();
        assert!(error.to_string().contains("codes, not"), "{error}");
    }
    let options = Options { input: Some("fp16".to_owned()), ..Options::default() };
    let error = identify(&good, &options).unwrap_err().to_string();
    assert!(error.contains("unknown input `fp16`, did you mean"), "{error}");
}

/// Results that no unit gives: nothing explains them all, and the report says how far it came.
fn nothing_explains_noise() {
    let mut rows = Rows::of(Datapath::by_name("ampere.mma.f16.f32").unwrap(), 16, 16, 100);
    let mut random = Random(3);
    rows.d.iter_mut().for_each(|code| *code = random.bits() & 0xFFFF_FFFF);
    let report: Report = identify(&rows.view(), &Options::default()).unwrap();
    assert!(!report.is_explained(), "{report}");
    assert!(report.parameters.is_some_and(|found| found.first_wrong.is_some()));
}
