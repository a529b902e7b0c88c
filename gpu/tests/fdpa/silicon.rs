//! The rules against recorded results of real GPUs: V100, A100, Ada, H100, B200.

use super::rules::{prepared, row_order};
use interplay_formats::file::{Container, Dtype};
use interplay_formats::{Overflow, Rounding, Scalar, Value};
use interplay_gpu::fdpa::element::{SPECIAL, element};
use interplay_gpu::fdpa::register::Register;
use interplay_gpu::fdpa::simple::output;
use interplay_gpu::fdpa::step::count;
use interplay_gpu::fdpa::unit::{Aligned, Joins, Port, Rounded, Unit};
use interplay_hw::Datapath;
use libtest_mimic::Trial;
use std::path::{Path, PathBuf};

/// Rows of a file that are looked at.
const ROWS: usize = 500;

/// A file, a unit, its results in the file, and whether they were recorded with c = 0 whatever the file says.
const SETS: [(&str, &str, &str, bool); 26] = [
    ("V100_fp16", "volta.mma.f16.f32", "d_fp32", false),
    ("V100_fp16", "volta.mma.f16.f16", "d_fp16", false),
    ("A100_fp16", "ampere.mma.f16.f32", "d_fp32", false),
    ("A100_fp16", "ampere.mma.f16.f16", "d_fp16", false),
    ("A100_bf16", "ampere.mma.bf16.f32", "d_fp32", false),
    ("A100_tf32", "ampere.mma.tf32.f32", "d_fp32", false),
    ("Ada_fp16", "ada.mma.f16.f16", "d_fp16", false),
    ("Ada_E4M3", "ada.mma.e4m3.f32", "d_fp32", false),
    ("Ada_E4M3", "ada.mma.e4m3.f16", "d_fp16", false),
    ("Ada_E5M2", "ada.mma.e5m2.f32", "d_fp32", false),
    ("Ada_E5M2", "ada.mma.e5m2.f16", "d_fp16", false),
    ("H100_fp16", "hopper.wgmma.f16.f32", "d_fp32", false),
    ("H100_fp16", "hopper.mma.f16.f16", "d_fp16", false),
    ("H100_bf16", "hopper.mma.bf16.f32", "d_fp32", false),
    ("H100_tf32", "hopper.mma.tf32.f32", "d_fp32", false),
    ("H100_E4M3", "hopper.wgmma.e4m3.f32", "d_fp32", true),
    ("H100_E4M3", "hopper.mma.e4m3.f16", "d_fp16", false),
    ("H100_E5M2", "hopper.wgmma.e5m2.f32", "d_fp32", true),
    ("H100_E5M2", "hopper.mma.e5m2.f16", "d_fp16", false),
    ("B200_fp16", "b200.mma.f16.f32", "d_fp32", false),
    ("B200_bf16", "b200.mma.bf16.f32", "d_fp32", false),
    ("B200_tf32", "b200.mma.tf32.f32", "d_fp32", false),
    ("B200_E4M3", "b200.mma.e4m3.f32", "d_fp32", false),
    ("B200_E4M3", "b200.mma.e4m3.f16", "d_fp16", false),
    ("B200_E5M2", "b200.mma.e5m2.f32", "d_fp32", false),
    ("B200_E5M2", "b200.mma.e5m2.f16", "d_fp16", false),
];

pub fn trials() -> Vec<Trial> {
    SETS.iter()
        .map(|&(file, unit, results, without_c)| {
            let path = folder().join(format!("{file}.safetensors"));
            let missing = !path.exists();
            let required = std::env::var("INTERPLAY_REQUIRE_ORACLES").is_ok_and(|value| value == "1");
            let reason = if missing { format!(" (ignored: no {file})") } else { String::new() };
            let run = move || {
                recorded(&path, unit, results, without_c);
                Ok(())
            };
            Trial::test(format!("fdpa::silicon::{unit}{reason}"), run).with_ignored_flag(missing && !required)
        })
        .collect()
}

/// Where recorded results lie.
fn folder() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    std::env::var_os("INTERPLAY_ORACLES").map_or_else(beside, PathBuf::from).join("vectors/silicon")
}

/// The words of a tensor, widened to 32 bits.
fn words(container: &Container<'_>, name: &str) -> Vec<u32> {
    let view = container.tensor(name).unwrap_or_else(|| panic!("no tensor {name}"));
    let width = match view.dtype {
        Dtype::U8 => 1,
        Dtype::U16 => 2,
        _ => 4,
    };
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0u32, |word, &byte| word << 8 | u32::from(byte));
    view.bytes.chunks_exact(width).map(word).collect()
}

/// FP32 bits of the number of a format nearest to the one of FP32 bits.
fn narrowed(format: Scalar, bits: u32) -> u32 {
    let value = Value::from_f32(f32::from_bits(bits));
    let code = format.encode(value, Rounding::NearestEven, Overflow::Infinity).unwrap();
    format.decode(code).to_f32().to_bits()
}

/// A finite accumulator; what the register has no place for is cut off, as the unit does when it aligns it.
fn register(bits: u32, format: Scalar, unit: Aligned) -> Register {
    let held = if unit.joins == Joins::First { unit.rounded } else { unit.result() };
    let Rounded { precision, emin, .. } = held;
    let port = Port {
        ignored_bits: 0,
        precision,
        last_place: emin + 1 - precision,
        emin,
        largest: u32::MAX,
        infinity: true,
        nan: true,
    };
    let found = element(narrowed(format, bits), port);
    assert_ne!(found.exponent, SPECIAL, "{bits:08x}");
    Register { significand: found.significand, exponent: found.exponent, flags: 0 }
}

/// One file's results of one unit, instructions of the depth that it has.
fn recorded(path: &Path, name: &str, results: &str, without_c: bool) {
    let bytes = std::fs::read(path).unwrap();
    let container = Container::parse(&bytes).unwrap();
    let [a, b, c, d] = ["a", "b", "c", results].map(|name| words(&container, name));
    let datapath = Datapath::by_name(name).unwrap();
    let Unit::Aligned(unit) = Unit::of(datapath).unwrap() else { panic!("{name} has no aligned unit") };
    let codes = datapath.codes().unwrap();
    let k = a.len() / d.len();
    // A shorter instruction is one with fewer steps: the file's depth is the unit's own, or whole steps of it.
    let steps = if unit.joins == Joins::First { k.div_ceil(unit.steps.length) } else { count(k, unit.steps) };
    for row in 0..d.len().min(ROWS) {
        let values = |words: &[u32], format: Scalar| -> Vec<u32> {
            words[row * k..(row + 1) * k].iter().map(|&bits| narrowed(format, bits)).collect()
        };
        let order = row_order(datapath);
        let x = prepared(name, &values(&a, codes.a.format), unit.side(0), &order, steps);
        let w = prepared(name, &values(&b, codes.b.format), unit.side(1), &order, steps);
        let c = register(if without_c { 0 } else { c[row] }, datapath.accumulator.c, unit);
        let got = output(&x, &w, &[], &[], 0, 0, steps, &c, unit);
        assert_eq!(got, d[row], "{name}, row {row}: {got:08x}, not {:08x}", d[row]);
    }
}
