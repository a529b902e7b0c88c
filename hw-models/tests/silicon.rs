//! Recorded results of real GPUs: V100, A100, Ada, H100, B200.

use crate::mmasim::{codes, same};
use crate::support::oracle_bytes;
use interplay_formats::file::Container;
use interplay_formats::{Rounding, Scalar, Value};
use interplay_hw::{Datapath, Row};
use libtest_mimic::Trial;

/// A file's machine and format, and the units that computed its FP32 and its FP16 results.
struct Set {
    file: &'static str,
    wide: &'static [&'static str],
    narrow: &'static [&'static str],
    /// Whether the FP32 results were recorded with c = 0 whatever the file says.
    wide_without_c: bool,
}

const fn set(file: &'static str, wide: &'static [&'static str], narrow: &'static [&'static str]) -> Set {
    Set { file, wide, narrow, wide_without_c: false }
}

/// All files; see the notes that came with them.
const SETS: [Set; 19] = [
    set("V100_fp16", &["volta.mma.f16.f32"], &["volta.mma.f16.f16"]),
    set("A100_fp16", &["ampere.mma.f16.f32"], &["ampere.mma.f16.f16"]),
    set("A100_bf16", &["ampere.mma.bf16.f32"], &[]),
    set("A100_tf32", &["ampere.mma.tf32.f32"], &[]),
    set("Ada_fp16", &["ada.mma.f16.f32"], &["ada.mma.f16.f16"]),
    set("Ada_bf16", &["ada.mma.bf16.f32"], &[]),
    set("Ada_tf32", &["ada.mma.tf32.f32"], &[]),
    set("Ada_E4M3", &["ada.mma.e4m3.f32"], &["ada.mma.e4m3.f16"]),
    set("Ada_E5M2", &["ada.mma.e5m2.f32"], &["ada.mma.e5m2.f16"]),
    set("H100_fp16", &["hopper.mma.f16.f32", "hopper.wgmma.f16.f32"], &["hopper.mma.f16.f16", "hopper.wgmma.f16.f16"]),
    set("H100_bf16", &["hopper.mma.bf16.f32", "hopper.wgmma.bf16.f32"], &[]),
    set("H100_tf32", &["hopper.mma.tf32.f32", "hopper.wgmma.tf32.f32"], &[]),
    // The FP32 results are those of `wgmma`, the FP16 results those of `mma`.
    Set { wide_without_c: true, ..set("H100_E4M3", &["hopper.wgmma.e4m3.f32"], &["hopper.mma.e4m3.f16"]) },
    Set { wide_without_c: true, ..set("H100_E5M2", &["hopper.wgmma.e5m2.f32"], &["hopper.mma.e5m2.f16"]) },
    set("B200_fp16", &["b200.mma.f16.f32"], &["b200.mma.f16.f16"]),
    set("B200_bf16", &["b200.mma.bf16.f32"], &[]),
    set("B200_tf32", &["b200.mma.tf32.f32"], &[]),
    set("B200_E4M3", &["b200.mma.e4m3.f32"], &["b200.mma.e4m3.f16"]),
    set("B200_E5M2", &["b200.mma.e5m2.f32"], &["b200.mma.e5m2.f16"]),
];

pub fn trials() -> Vec<Trial> {
    let trial = |set: &'static Set| {
        let path = format!("vectors/silicon/{}.safetensors", set.file);
        oracle_bytes(&format!("silicon::{}", set.file), &path, move |bytes| check(set, &bytes))
    };
    SETS.iter().map(trial).collect()
}

/// What one record makes of one file.
pub struct Outcome {
    pub record: &'static str,
    pub rows: usize,
    pub wrong: usize,
}

/// Every file in a folder.
pub fn all(folder: &std::path::Path) -> Vec<Outcome> {
    let read = |file: &str| {
        let path = folder.join(format!("{file}.safetensors"));
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    SETS.iter().flat_map(|set| outcomes(set, &read(set.file))).collect()
}

/// The records whose machine recorded results.
pub fn recorded() -> std::collections::BTreeSet<&'static str> {
    SETS.iter().flat_map(|set| set.wide.iter().chain(set.narrow)).copied().collect()
}

fn check(set: &Set, bytes: &[u8]) {
    for Outcome { record, rows, wrong } in outcomes(set, bytes) {
        assert_eq!(wrong, 0, "{}, {record}: {wrong} of {rows} rows differ", set.file);
    }
}

fn outcomes(set: &Set, bytes: &[u8]) -> Vec<Outcome> {
    let container = Container::parse(bytes).expect("a safetensors file");
    let results = |name: &str| container.tensor(name).map(codes);
    let (wide, narrow) = (results("d_fp32"), results("d_fp16"));
    assert_eq!(narrow.is_some(), !set.narrow.is_empty(), "{}: FP16 results and no unit, or the reverse", set.file);
    let wide = wide.expect("FP32 results");
    let narrow = narrow.unwrap_or_default();
    let wide = set.wide.iter().map(|unit| verify(set, &container, unit, &wide, set.wide_without_c));
    let narrow = set.narrow.iter().map(|unit| verify(set, &container, unit, &narrow, false));
    wide.chain(narrow).collect()
}

/// The code of a number in FP32 bits: the files hold numbers that the input formats have; C is rounded where it is
/// narrower.
pub fn narrowed(format: Scalar, bits: u64) -> u64 {
    let value = Value::from_f32(f32::from_bits(bits as u32));
    format.encode(value, Rounding::NearestEven, interplay_formats::Overflow::Infinity).expect("a number")
}

/// Every row of one unit's results.
fn verify(set: &Set, container: &Container<'_>, unit: &'static str, want: &[u64], without_c: bool) -> Outcome {
    let datapath = Datapath::by_name(unit).unwrap();
    let operands = datapath.codes().unwrap();
    let tensor = |name: &str| codes(container.tensor(name).unwrap_or_else(|| panic!("{}: no {name}", set.file)));
    let [a, b, c] = ["a", "b", "c"].map(tensor);
    let k = a.len() / want.len();
    let depth = datapath.depths.iter().copied().rfind(|depth| *depth <= k).unwrap_or(datapath.depths[0]);
    let mut wrong = 0;
    for (row, &want) in want.iter().enumerate() {
        let of = |codes: &[u64], port: interplay_hw::datapath::Port| -> Vec<u64> {
            codes[row * k..(row + 1) * k].iter().map(|&bits| narrowed(port.format, bits)).collect()
        };
        let (a, b) = (of(&a, operands.a), of(&b, operands.b));
        let c = if without_c { 0 } else { narrowed(datapath.accumulator.c, c[row]) };
        let want = narrowed(datapath.accumulator.d, want);
        let got = datapath.dot(Row { a: &a, b: &b, c, ..Row::default() }, Some(depth)).unwrap();
        wrong += usize::from(!same(datapath, got, want));
    }
    Outcome { record: unit, rows: want.len(), wrong }
}
