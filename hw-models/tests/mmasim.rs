//! MMA-Sim's results: 119 variants of matrix instructions, 44,400 rows.

use crate::support::oracle_bytes;
use interplay_formats::file::{Container, View};
use interplay_hw::datapath::{Nan, Zero};
use interplay_hw::{Datapath, Row};
use libtest_mimic::Trial;

/// The records that share the numerics of a variant.
type Names = fn(&str) -> Vec<String>;

/// Every file.
const FILES: [(&str, Names); 12] = [
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
        let names: Vec<&str> = v.split('_').map(part_name).collect();
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
    let file = |(file, names): (&'static str, Names)| {
        oracle_bytes(&format!("mmasim::{file}"), &path(file), move |bytes| check(file, &outcomes(&bytes, names)))
    };
    let mut trials: Vec<Trial> = FILES.into_iter().map(file).collect();
    trials.push(oracle_bytes("mmasim::disagreement", &path("amd_cdna3"), |bytes| disagreement(&bytes)));
    trials
}

fn path(file: &str) -> String {
    format!("vectors/mmasim/{file}.safetensors")
}

/// What one record makes of one set.
pub struct Outcome {
    pub record: &'static Datapath,
    /// `VARIANT/kKiI`.
    pub set: String,
    pub rows: usize,
    /// Row, ours, theirs: rows that differ though the oracle is not known to be wrong there.
    pub wrong: Vec<(usize, u64, u64)>,
    /// The same in the rows where it is, whether we differ or not.
    pub marked: Vec<(usize, u64, u64)>,
}

/// Every set of all files in a folder, on every record that shares its numerics.
pub fn all(folder: &std::path::Path) -> Vec<Outcome> {
    let read = |file: &str| {
        let path = folder.join(format!("{file}.safetensors"));
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    FILES.into_iter().flat_map(|(file, names)| outcomes(&read(file), names)).collect()
}

/// Every set of a file, each with its own depth, on every record that shares its numerics and has that depth; there is
/// one at least.
fn outcomes(bytes: &[u8], names: Names) -> Vec<Outcome> {
    let container = Container::parse(bytes).expect("a safetensors file");
    let sets = container.tensors().filter_map(|(name, _)| name.strip_suffix("/d").map(str::to_owned));
    let of_set = |set: String| {
        let (variant, shape) = set.split_once('/').expect("VARIANT/kKiI");
        let depth: usize = shape.split_once('i').expect("kKiI").1.parse().expect("a depth");
        let records = names(variant).into_iter().map(|name| Datapath::by_name(&name).unwrap_or_else(|e| panic!("{e}")));
        let fitting = records.filter(|record| record.depths.is_empty() || record.depths.contains(&depth));
        let outcomes: Vec<Outcome> = fitting.map(|record| verify(&container, &set, record, depth)).collect();
        assert!(!outcomes.is_empty(), "{set}: no record has this depth, so that nothing was checked");
        outcomes
    };
    sets.flat_map(of_set).collect()
}

/// No row differs, and only the two known ones are marked.
fn check(file: &str, outcomes: &[Outcome]) {
    assert!(!outcomes.is_empty(), "{file} holds no results");
    for Outcome { record, set, rows, wrong, marked } in outcomes {
        let first = &wrong[..wrong.len().min(4)];
        let count = wrong.len();
        assert!(count == 0, "{} {set}: {count} of {rows} rows differ; first (row, got, want): {first:x?}", record.name);
        assert!(marked.is_empty() || record.name == DISAGREEING, "{} {set}: {marked:?} are marked", record.name);
    }
}

/// The unit in whose model MMA-Sim 2.1.1 has a known error.
const DISAGREEING: &str = "cdna3.mfma.e5m2fnuz.f32";
/// Products of its step.
const STEP: usize = 16;

/// Two rows of bf8_bf8 on CDNA3. An element is NaN in each, so that a step's result is NaN and so are all after it: that
/// is what we say. MMA-Sim's GTR model takes a special accumulator for zero where the products' exponent is above 24, so
/// that theirs is the last step alone.
fn disagreement(bytes: &[u8]) {
    let container = Container::parse(bytes).expect("a safetensors file");
    let record = Datapath::by_name(DISAGREEING).expect("a record");
    let sets = container.tensors().filter_map(|(name, _)| name.strip_suffix("/d"));
    let mut rows = 0;
    for set in sets.filter(|set| set.starts_with("bf8_bf8/")) {
        let depth: usize = set.rsplit_once('i').expect("kKiI").1.parse().expect("a depth");
        let table = Table::of(&container, set);
        for (row, got, want) in verify(&container, set, record, depth).marked {
            let special = |code: u64| record.accumulator.d.decode(code).finite().is_none();
            assert!(special(got) && !special(want), "{set}, row {row}: {got:#x} and {want:#x}");
            let last_step = table.with_row(row, |Row { a, b, .. }| {
                let from = a.len() - STEP;
                record
                    .dot(Row { a: &a[from..], b: &b[from..], ..Row::default() }, Some(STEP))
                    .expect("a short instruction")
            });
            assert_eq!(last_step, want, "{set}, row {row}: theirs is the last step without an accumulator");
            rows += 1;
        }
    }
    assert_eq!(rows, 2, "rows where the oracle is known to be wrong");
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

/// The tensors of a set.
struct Table {
    a: Vec<u64>,
    b: Vec<u64>,
    c: Vec<u64>,
    d: Vec<u64>,
    scales: [Vec<u64>; 2],
    agree: Vec<u64>,
}

impl Table {
    fn of(container: &Container<'_>, set: &str) -> Self {
        let tensor = |name: &str| container.tensor(&format!("{set}/{name}")).map(codes);
        let [a, b, c, d, agree] =
            ["a", "b", "c", "d", "agree"].map(|name| tensor(name).unwrap_or_else(|| panic!("{set}/{name}")));
        Self { a, b, c, d, scales: ["sa", "sb"].map(|name| tensor(name).unwrap_or_default()), agree }
    }

    fn with_row<T>(&self, row: usize, body: impl FnOnce(Row<'_>) -> T) -> T {
        let of = |codes: &'_ [u64]| {
            let n = codes.len() / self.d.len();
            row * n..(row + 1) * n
        };
        let [scale_a, scale_b] = [0, 1].map(|i: usize| &self.scales[i][of(&self.scales[i])]);
        let (a, b) = (&self.a[of(&self.a)], &self.b[of(&self.b)]);
        body(Row { a, b, c: self.c[row], scale_a, scale_b, metadata: &[] })
    }
}

/// One set on one record.
fn verify(container: &Container<'_>, set: &str, record: &'static Datapath, depth: usize) -> Outcome {
    let table = Table::of(container, set);
    let (mut wrong, mut marked) = (Vec::new(), Vec::new());
    for (row, &want) in table.d.iter().enumerate() {
        let dot =
            |operands: Row<'_>| record.dot(operands, Some(depth)).unwrap_or_else(|error| panic!("{set}: {error}"));
        let got = table.with_row(row, dot);
        match table.agree[row] {
            1 if same(record, got, want) => {}
            1 => wrong.push((row, got, want)),
            _ => marked.push((row, got, want)),
        }
    }
    Outcome { record, set: set.to_owned(), rows: table.d.len(), wrong, marked }
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
