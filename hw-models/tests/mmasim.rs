//! MMA-Sim's results: 119 variants of matrix instructions, 44,400 rows.

use crate::support::oracle_bytes;
use interplay_formats::file::{Container, View};
use interplay_hw::datapath::{Nan, Zero};
use interplay_hw::{Datapath, Row};
use libtest_mimic::Trial;

/// A file and the records that share the numerics of a variant.
const FILES: [(&str, fn(&str) -> Vec<String>); 12] = [
    ("nv_volta", |v| {
        let accumulator = match v {
            "f16_cf16_df16" => "f16",
            "f16_cf16_df32" => "f16-f32",
            _ => "f32",
        };
        vec![format!("volta.mma.f16.{accumulator}")]
    }),
    ("nv_turing_ampere_ada", |v| {
        let turing = if v.starts_with("f16") { machines(&["turing.mma"], v) } else { Vec::new() };
        [turing, machines(&["ampere.mma", "ada.mma"], v)].concat()
    }),
    ("nv_ada_fp8", |v| machines(&["ada.mma"], v)),
    ("nv_hopper_blackwell", |v| {
        machines(&["hopper.mma", "hopper.wgmma", "b200.mma", "b200.tcgen05", "rtx-blackwell.mma"], v)
    }),
    ("nv_hopper_wgmma_fp8", |v| machines(&["hopper.wgmma"], v)),
    ("nv_blackwell_f8f6f4", |v| machines(&["b200.tcgen05", "rtx-blackwell.mma"], v)),
    ("nv_blackwell_mxf8f6f4", |v| {
        machines(&["b200.tcgen05.mxf8f6f4-", "rtx-blackwell.mma.mxf8f6f4-"], &format!("{v}_df32"))
    }),
    ("nv_blackwell_mxf4_nvf4", |v| {
        let input = match v {
            "mxf4_block32_ue8m0" => "mxf4",
            "mxf4nvf4_block16_ue4m3" => "nvf4",
            _ => "nvf4-ue8m0",
        };
        ["b200.tcgen05", "rtx-blackwell.mma"].map(|unit| format!("{unit}.{input}.f32")).to_vec()
    }),
    ("amd_cdna1", |v| vec![format!("cdna1.mfma.{v}.f32")]),
    ("amd_cdna2", |v| {
        let input = match v {
            "bf16" => "bf16-p2",
            "bf16_1k" => "bf16",
            other => other,
        };
        vec![format!("cdna2.mfma.{input}.f32")]
    }),
    ("amd_cdna3", |v| {
        let names: Vec<&str> = v.split('_').map(|part| part_name(part)).collect();
        let input = if names.len() == 2 && names[0] != names[1] { names.join("x") } else { names[0].to_owned() };
        vec![format!("cdna3.mfma.{input}.f32")]
    }),
    ("fma_chains", |v| match v {
        "f32" => ["ieee.fma", "cdna1.mfma", "cdna2.mfma", "cdna3.mfma"].map(|unit| format!("{unit}.f32.f32")).to_vec(),
        _ => ["ieee.fma", "ampere.mma", "ada.mma", "hopper.mma", "b200.mma", "cdna2.mfma", "cdna3.mfma"]
            .map(|unit| format!("{unit}.f64.f64"))
            .to_vec(),
    }),
];

/// AMD's names of FP8.
fn part_name(part: &str) -> &str {
    match part {
        "fp8" => "e4m3fnuz",
        "bf8" => "e5m2fnuz",
        other => other,
    }
}

/// `e4m3_e5m2_df16` of some units: `UNIT.e4m3xe5m2.f16`.
fn machines(units: &[&str], variant: &str) -> Vec<String> {
    let mut parts: Vec<&str> = variant.split('_').collect();
    let accumulator = parts.pop().unwrap_or_default().trim_start_matches('d');
    let input = match parts[..] {
        [a, b] if a != b => format!("{a}x{b}"),
        _ => parts[0].to_owned(),
    };
    let join = |unit: &&str| match unit.ends_with('-') {
        true => format!("{unit}{input}.{accumulator}"),
        false => format!("{unit}.{input}.{accumulator}"),
    };
    units.iter().map(join).collect()
}

pub fn trials() -> Vec<Trial> {
    FILES
        .into_iter()
        .map(|(file, names)| {
            oracle_bytes(&format!("mmasim::{file}"), &format!("vectors/mmasim/{file}.safetensors"), move |bytes| {
                check(file, &bytes, names)
            })
        })
        .collect()
}

/// Every set of a file, on every record that shares its numerics.
fn check(file: &str, bytes: &[u8], names: fn(&str) -> Vec<String>) {
    let container = Container::parse(bytes).expect("a safetensors file");
    let sets: Vec<String> =
        container.tensors().filter_map(|(name, _)| name.strip_suffix("/d").map(str::to_owned)).collect();
    assert!(!sets.is_empty(), "{file} holds no results");
    let mut rows = 0;
    for set in sets {
        let (variant, shape) = set.split_once('/').expect("VARIANT/kKiI");
        let depth: usize = shape.split_once('i').expect("kKiI").1.parse().expect("a depth");
        for name in names(variant) {
            let datapath = Datapath::by_name(&name).unwrap_or_else(|error| panic!("{set}: {error}"));
            if !datapath.depths.is_empty() && !datapath.depths.contains(&depth) {
                continue;
            }
            rows += verify(&container, &set, datapath, depth);
        }
    }
    assert!(rows > 0, "{file}: no row was checked");
}

/// Codes of a tensor, widened.
pub fn codes(view: &View<'_>) -> Vec<u64> {
    let width = match view.dtype {
        interplay_formats::file::Dtype::U8 => 1,
        interplay_formats::file::Dtype::U16 => 2,
        interplay_formats::file::Dtype::U32 => 4,
        _ => 8,
    };
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |word, &byte| word << 8 | u64::from(byte));
    view.bytes.chunks_exact(width).map(word).collect()
}

/// One set; the number of rows that agree.
fn verify(container: &Container<'_>, set: &str, datapath: &Datapath, depth: usize) -> usize {
    let tensor = |name: &str| container.tensor(&format!("{set}/{name}")).map(codes);
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| tensor(name).unwrap_or_else(|| panic!("{set}/{name}")));
    let (sa, sb) = (tensor("sa").unwrap_or_default(), tensor("sb").unwrap_or_default());
    let agree = tensor("agree").unwrap_or_else(|| vec![1; d.len()]);
    let (k, blocks) = (a.len() / d.len(), sa.len() / d.len());
    let mut wrong = Vec::new();
    for row in 0..d.len() {
        let of = |codes: &'_ [u64], n: usize| codes[row * n..(row + 1) * n].to_vec();
        let (a, b, sa, sb) = (of(&a, k), of(&b, k), of(&sa, blocks), of(&sb, blocks));
        let operands = Row { a: &a, b: &b, c: c[row], scale_a: &sa, scale_b: &sb, metadata: &[] };
        let got = datapath.dot(operands, Some(depth)).unwrap_or_else(|error| panic!("{set}: {error}"));
        if !same(datapath, got, d[row]) && agree[row] == 1 {
            wrong.push((row, got, d[row], c[row]));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} {set}: {} of {} rows differ; first (row, got, want, c): {:x?}",
        datapath.name,
        wrong.len(),
        d.len(),
        &wrong[..wrong.len().min(4)]
    );
    d.len()
}

/// Whether two results are the same, as the record says.
pub fn same(datapath: &Datapath, got: u64, want: u64) -> bool {
    let d = datapath.accumulator.d;
    let nan = |code| d.decode(code) == interplay_formats::Value::Nan;
    let zero = |code| d.decode(code).finite().is_some_and(interplay_formats::Exact::is_zero);
    got == want
        || datapath.accumulator.nan == Nan::Any && nan(got) && nan(want)
        || datapath.accumulator.zero != Zero::Positive && zero(got) && zero(want)
}
