//! Checking results: what is found, what is refused, and that neither layout nor threads change it.

use crate::mmasim::codes;
use crate::support::{Random, case, oracle_bytes};
use interplay_formats::catalog::FP16;
use interplay_formats::file::{Container, View};
use interplay_formats::{Overflow, Rounding, Scalar, Value};
use interplay_hw::datapath::{Codes, Inputs};
use interplay_hw::verify::{Layout, Options};
use interplay_hw::{Datapath, Error, Operands, Row, Words, verify, verify_with};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        case("verify::every_unit", every_unit),
        case("verify::matrices", matrices),
        case("verify::k_order", k_order),
        case("verify::report", report),
        case("verify::tolerance", tolerance),
        case("verify::nan_and_zero", nan_and_zero),
        case("verify::words", words),
        case("verify::refusals", refusals),
        case("verify::threads", threads),
        oracle_bytes("verify::oracle_defect", "vectors/mmasim/amd_cdna3.safetensors", |bytes| oracle_defect(&bytes)),
        oracle_bytes("verify::floats_of_h100", "vectors/silicon/H100_E4M3.safetensors", |bytes| floats(&bytes)),
        oracle_bytes("verify::sparse_codes", "vectors/sparse/two_of_four.safetensors", |bytes| sparse(&bytes)),
    ]
}

pub fn unit(name: &str) -> &'static Datapath {
    Datapath::by_name(name).unwrap()
}

/// Words of the width that codes of `bits` have.
pub fn packed(bits: u32, codes: &[u64]) -> Words<'static> {
    match bits {
        0..=8 => codes.iter().map(|&code| code as u8).collect::<Vec<_>>().into(),
        9..=16 => codes.iter().map(|&code| code as u16).collect::<Vec<_>>().into(),
        17..=32 => codes.iter().map(|&code| code as u32).collect::<Vec<_>>().into(),
        _ => codes.to_vec().into(),
    }
}

pub fn encoded(format: Scalar, x: f32) -> u64 {
    format.encode(Value::from_f32(x), Rounding::NearestEven, Overflow::Infinity).unwrap()
}

/// Random operands of a unit: `[M, K]`, `[N, K]` and what belongs to them.
pub struct Case {
    pub codes: Codes,
    pub k: usize,
    pub a: Vec<u64>,
    pub b: Vec<u64>,
    pub c: Vec<u64>,
    pub scale_a: Vec<u64>,
    pub scale_b: Vec<u64>,
    pub metadata: Vec<u64>,
}

impl Case {
    pub fn new(datapath: &Datapath, (m, n, k): (usize, usize, usize), random: &mut Random) -> Self {
        let codes = datapath.codes().unwrap();
        let mut some = |count: usize, bits: u32| -> Vec<u64> {
            (0..count).map(|_| random.bits() & (u64::MAX >> (64 - bits))).collect()
        };
        let blocks = codes.scale.map_or(0, |scale| k.div_ceil(scale.block));
        let bits = codes.scale.map_or(8, |scale| scale.format.bits());
        let stored = codes.sparse.map_or(k, |s| k / s.m * s.n);
        let groups = codes.sparse.map_or(0, |s| k / s.m);
        let halves = codes.sparse.is_some_and(|s| s.m == 2);
        let legal = if halves { [0b0100, 0b1110, 0b0100] } else { [0b0100, 0b1001, 0b1110] };
        Self {
            codes,
            k,
            a: some(m * stored, codes.a.format.bits()),
            b: some(n * k, codes.b.format.bits()),
            c: some(m * n, datapath.accumulator.c.bits()),
            scale_a: some(m * blocks, bits),
            scale_b: some(n * blocks, bits),
            metadata: some(m * groups, 8).into_iter().map(|code| legal[code as usize % 3]).collect(),
        }
    }

    pub fn row(&self, i: usize, j: usize, c: u64) -> Row<'_> {
        let part = |codes: &'_ [u64], row: usize, length: usize| row * length..(row * length + length).min(codes.len());
        let stored = self.codes.sparse.map_or(self.k, |s| self.k / s.m * s.n);
        let blocks = self.codes.scale.map_or(0, |scale| self.k.div_ceil(scale.block));
        let groups = self.codes.sparse.map_or(0, |s| self.k / s.m);
        Row {
            a: &self.a[part(&self.a, i, stored)],
            b: &self.b[part(&self.b, j, self.k)],
            c,
            scale_a: &self.scale_a[part(&self.scale_a, i, blocks)],
            scale_b: &self.scale_b[part(&self.scale_b, j, blocks)],
            metadata: &self.metadata[part(&self.metadata, i, groups)],
        }
    }

    /// As operands, with B and its scales as they are given.
    pub fn operands(&self, datapath: &Datapath, layout: Layout, b: &[u64], scale_b: &[u64]) -> Operands<'static> {
        let scale = |codes: &[u64]| self.codes.scale.map(|scale| packed(scale.format.bits(), codes));
        Operands {
            layout,
            a: packed(self.codes.a.format.bits(), &self.a),
            b: packed(self.codes.b.format.bits(), b),
            c: Some(packed(datapath.accumulator.c.bits(), &self.c)),
            scale_a: scale(&self.scale_a),
            scale_b: scale(scale_b),
            metadata: self.codes.sparse.map(|_| packed(8, &self.metadata)),
            agree: None,
        }
    }
}

/// `[rows, columns]` by columns.
pub fn transposed(codes: &[u64], columns: usize) -> Vec<u64> {
    (0..columns).flat_map(|j| codes.iter().skip(j).step_by(columns).copied().collect::<Vec<_>>()).collect()
}

/// Every unit that takes codes, row by row: as [`Datapath::dot`], and its own results are no mismatch.
fn every_unit() {
    let mut random = Random(1);
    for datapath in Datapath::all().iter().filter(|datapath| datapath.codes().is_ok()) {
        let (rows, k) = (3, 64);
        let case = Case::new(datapath, (rows, rows, k), &mut random);
        let case = Case { c: case.c[..rows].to_vec(), ..case };
        let operands = case.operands(datapath, Layout::Rows { rows, k }, &case.b, &case.scale_b);
        let want: Vec<u64> = (0..rows).map(|i| datapath.dot(case.row(i, i, case.c[i]), None).unwrap()).collect();
        let got = datapath.outputs(&operands, &Options::default()).unwrap();
        assert_eq!(got, want, "{}", datapath.name);
        let report = verify(datapath, &operands, &packed(datapath.accumulator.d.bits(), &got)).unwrap();
        assert!(report.is_match() && report.max_ulp == 0, "{report}");
    }
}

/// Whole matrices are their outputs one by one.
fn matrices() {
    let mut random = Random(2);
    for name in [
        "hopper.wgmma.e4m3.f32",
        "ampere.mma.f16.f16",
        "b200.tcgen05.mxf8f6f4-e4m3xe2m1.f32",
        "b200.tcgen05.nvf4.f32",
        "ampere.mma-sp-h1.f16.f32",
        "ampere.mma-sp-h2.tf32.f32",
        "ieee.fma.f64.f64-rm",
    ] {
        let (datapath, (m, n, k)) = (unit(name), (3, 5, 64));
        let case = Case::new(datapath, (m, n, k), &mut random);
        let blocks = case.scale_b.len() / n;
        let (b, scale_b) = (transposed(&case.b, k), transposed(&case.scale_b, blocks));
        let operands = case.operands(datapath, Layout::Matrices { m, n, k }, &b, &scale_b);
        let got = datapath.outputs(&operands, &Options::default()).unwrap();
        for (index, &got) in got.iter().enumerate() {
            let want = datapath.dot(case.row(index / n, index % n, case.c[index]), None).unwrap();
            assert_eq!(got, want, "{name}: output {index}");
        }
        let mut wrong = got.clone();
        wrong[7] ^= 1;
        let report = verify(datapath, &operands, &packed(datapath.accumulator.d.bits(), &wrong)).unwrap();
        let place = report.first.first().map(|first| (first.row, first.column));
        assert!(report.mismatches <= 1 && place.is_none_or(|place| place == (1, Some(2))), "{report}");
    }
}

/// Operands that lie in another order are put back by the order of K, under scales and metadata too.
fn k_order() {
    let mut random = Random(3);
    for (name, each) in [
        ("hopper.wgmma.e4m3.f32", 1),
        ("ieee.fma.f32.f32", 1),
        ("b200.tcgen05.nvf4.f32", 16),
        ("ampere.mma-sp-h1.f16.f32", 4),
    ] {
        let (datapath, rows, k) = (unit(name), 4, 128);
        let case = Case::new(datapath, (rows, rows, k), &mut random);
        let case = Case { c: case.c[..rows].to_vec(), ..case };
        let want = case.operands(datapath, Layout::Rows { rows, k }, &case.b, &case.scale_b);
        let want = datapath.outputs(&want, &Options::default()).unwrap();
        // Groups of `each` positions in reversed order, and back.
        let moved = |codes: &[u64], group: usize| -> Vec<u64> {
            let row = codes.len() / rows;
            codes.chunks(row.max(1)).flat_map(|row| row.chunks(group).rev().flatten().copied()).collect()
        };
        let stored = case.codes.sparse.map_or(each, |s| s.n * each / s.m);
        let shuffled = Case {
            a: moved(&case.a, stored),
            scale_a: moved(&case.scale_a, 1),
            metadata: moved(&case.metadata, 1),
            ..Case::new(datapath, (rows, rows, k), &mut random)
        };
        let shuffled = Case { c: case.c.clone(), ..shuffled };
        let (b, scale_b) = (moved(&case.b, each), moved(&case.scale_b, 1));
        let operands = shuffled.operands(datapath, Layout::Rows { rows, k }, &b, &scale_b);
        let k_order: Vec<usize> = (0..k / each).rev().flat_map(|group| group * each..(group + 1) * each).collect();
        let options = Options { k_order, ..Options::default() };
        assert_eq!(datapath.outputs(&operands, &options).unwrap(), want, "{name}");
    }
    let order = |name: &str, k: usize, k_order: &[usize]| {
        let datapath = unit(name);
        let case = Case::new(datapath, (1, 1, k), &mut Random(4));
        let operands = case.operands(datapath, Layout::Rows { rows: 1, k }, &case.b, &case.scale_b);
        datapath.outputs(&operands, &Options { k_order: k_order.to_vec(), ..Options::default() })
    };
    refused(order("ieee.fma.f32.f32", 8, &[0, 1, 2]), &["K = 8", "no multiple"]);
    refused(order("ieee.fma.f32.f32", 8, &[0, 0]), &["0 is there twice"]);
    refused(order("ieee.fma.f32.f32", 8, &[0, 2]), &["2 is beyond 0 to 1"]);
    assert!(order("b200.tcgen05.nvf4.f32", 64, &[1, 0]).is_ok(), "within a block all is well");
    let apart: Vec<usize> = (0..64).map(|i| i / 2 + i % 2 * 32).collect();
    refused(order("b200.tcgen05.nvf4.f32", 64, &apart), &["16 positions under one scale"]);
    refused(order("ampere.mma-sp-h1.f16.f32", 32, &[1, 0]), &["4 positions of a group"]);
    assert!(order("ieee.fma.f32.f32", 8, &[3, 1, 0, 2]).is_ok());
}

/// What is counted, and the JSON of it.
fn report() {
    let datapath = unit("ieee.fma.f32.f32");
    let ones = [1.0f32; 6];
    let agree = [1u8, 1, 1, 1, 0, 0];
    let operands = Operands { agree: Some(agree[..].into()), ..Operands::rows(6, 1, &ones[..], &ones[..]) };
    let given = [0x3F80_0000u32, 0x3F80_0003, 0x3F7F_FFC0, 0x7FC0_0000, 0x3F80_0000, 0];
    let report = verify(datapath, &operands, &given[..].into()).unwrap();
    assert_eq!((report.rows, report.mismatches, report.skipped, report.skipped_mismatches), (6, 3, 2, 1));
    let json = serde_json::to_string(&report).unwrap();
    let want = r#"{"datapath":"ieee.fma.f32.f32","rows":6,"mismatches":3,"skipped":2,"max_ulp":64,"ulp_histogram":{"0":1,"3":1,"64-127":1,"nan":1},"first":[{"row":1,"got":"3f800003","want":"3f800000"},{"row":2,"got":"3f7fffc0","want":"3f800000"},{"row":3,"got":"7fc00000","want":"3f800000"}]}"#;
    assert_eq!(json, want);
    assert!(report.to_string().contains("row 1: got 3f800003 (1.000000357627"), "{report}");
    let double = unit("ieee.fma.f64.f64");
    let report = verify(double, &Operands::rows(1, 1, &[1.0f64][..], &[1.0f64][..]), &[0.0f64][..].into()).unwrap();
    assert_eq!((report.first[0].got.as_str(), report.max_ulp), ("0000000000000000", 1.0f64.to_bits()));
}

/// Neighbours are one unit apart, across zero and at infinity; a tolerance accepts so many.
fn tolerance() {
    let datapath = unit("ieee.fma.f32.f32");
    for (want, given, ulp) in [
        (1.0f32, 1.0f32.next_down(), 1),
        (-1.0, -1.0f32.next_up().next_up(), 0),
        (f32::from_bits(1), -f32::from_bits(1), 2),
        (f32::MAX, f32::INFINITY, 1),
    ] {
        let operands = Operands::rows(1, 1, &[want][..], &[1.0f32][..]);
        let check = |tolerance_ulp| {
            let options = Options { tolerance_ulp, ..Options::default() };
            verify_with(datapath, &operands, &Words::from(&[given][..]), &options).unwrap()
        };
        let exact = check(0);
        if ulp > 0 {
            assert_eq!((exact.max_ulp, exact.mismatches), (ulp, 1), "{want:e} {given:e}");
            assert!(check(ulp).is_match() && !check(ulp.saturating_sub(1)).is_match());
        } else {
            assert!(exact.max_ulp > 0);
        }
    }
    let nan = Operands::rows(1, 1, &[f32::NAN][..], &[1.0f32][..]);
    let options = Options { tolerance_ulp: u64::MAX, ..Options::default() };
    assert!(!verify_with(datapath, &nan, &Words::from(&[1.0f32][..]), &options).unwrap().is_match());
}

/// The record says which NaN and which zero are the same.
fn nan_and_zero() {
    let (zero, minus) = (0u32, 0x8000_0000);
    let (ones, quiet, other) = (0x7FFF_FFFFu32, 0x7FC0_0000, 0xFFC0_0001);
    let check = |name: &str, a: u64, given: u32| {
        let datapath = unit(name);
        let bits = datapath.codes().unwrap().a.format.bits();
        let operands = Operands::rows(1, 1, packed(bits, &[a]), packed(bits, &[0]));
        verify(datapath, &operands, &Words::from(vec![given])).unwrap().is_match()
    };
    let nvidia = |a, given| check("hopper.wgmma.e4m3.f32", a, given);
    let amd = |a, given| check("cdna3.mfma.f16.f32", a, given);
    let ieee = |a, given| check("ieee.fma.f32.f32", a, given);
    assert!(nvidia(0, zero) && !nvidia(0, minus) && nvidia(0x7F, ones) && !nvidia(0x7F, quiet));
    assert!(amd(0, zero) && amd(0, minus) && amd(0x7E00, ones) && amd(0x7E00, other) && !amd(0x7E00, zero));
    assert!(ieee(0, zero) && !ieee(0, minus) && ieee(0x7FC0_0000, other));
}

/// The width of words says what they are.
fn words() {
    let datapath = unit("hopper.wgmma.e4m3.f16");
    let c = [1.0f32 + 1.0 / 2048.0 + 1.0 / 65536.0];
    let by_codes = Operands {
        c: Some(vec![encoded(FP16, c[0]) as u16].into()),
        ..Operands::rows(1, 2, vec![0x38u8, 0xB8], vec![0x38u8, 0x40])
    };
    let by_floats = Operands { c: Some(c[..].into()), ..Operands::rows(1, 2, &[1.0f32, -1.0][..], &[1.0f32, 2.0][..]) };
    let by_doubles = Operands {
        c: Some(vec![c[0] as f64][..].into()),
        ..Operands::rows(1, 2, &[1.0f64, -1.0][..], &[1.0f64, 2.0][..])
    };
    let outputs = |operands: &Operands<'_>| datapath.outputs(operands, &Options::default()).unwrap();
    assert_eq!(outputs(&by_codes), outputs(&by_floats));
    assert_eq!(outputs(&by_codes), outputs(&by_doubles));
    let value = FP16.decode(outputs(&by_codes)[0]).to_f32();
    assert!(verify(datapath, &by_codes, &Words::from(&[value][..])).unwrap().is_match());
    // The low bits of a TF32 register are not read; FP16 accumulators widen.
    let tf32 = unit("ampere.mma.tf32.f32");
    let operands = |bits: u32| Operands::rows(1, 1, vec![bits], vec![0x3F80_0000u32]);
    let one = tf32.outputs(&operands(0x3F80_1FFF), &Options::default()).unwrap();
    assert_eq!(one, [0x3F80_0000]);
    let with_c = Operands { c: Some(vec![0x3C00u16].into()), ..operands(0) };
    assert_eq!(tf32.outputs(&with_c, &Options::default()).unwrap(), [0x3F80_0000]);
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, words: &[&str]) {
    let text = result.expect_err("this must be refused").to_string();
    for word in words {
        assert!(text.contains(word), "`{text}` does not say `{word}`");
    }
}

fn refusals() {
    let datapath = unit("hopper.wgmma.e4m3.f32");
    let (good, bad) = ([1.0f32; 4], [1.0f32, 1.0, 1.0, 1.03]);
    let zeros = [0u32; 2];
    let check = |operands: &Operands<'_>| verify(datapath, operands, &zeros[..].into());
    let rows = |a: &[f32], b: &[f32]| Operands::rows(2, 2, Words::from(a), Words::from(b));
    refused(check(&rows(&bad, &good)), &["`a`, row 1, column 1", "1.03", "e4m3", "quantise"]);
    refused(check(&rows(&good, &[f32::INFINITY; 4])), &["`b`, row 0, column 0", "inf"]);
    refused(check(&rows(&good, &good[..3])), &["`b` has 3 codes, not 4"]);
    refused(check(&Operands::rows(2, 2, vec![0u16; 4], &good[..])), &["`a` has 16-bit words", "e4m3", "8-bit"]);
    refused(check(&Operands { c: Some(good[..].into()), ..rows(&good, &good) }), &["`c` has 4 codes, not 2"]);
    refused(
        check(&Operands { scale_a: Some(good[..].into()), ..rows(&good, &good) }),
        &["`scale_a` has 4 codes, not 0"],
    );
    refused(check(&Operands { agree: Some(vec![1u8].into()), ..rows(&good, &good) }), &["`agree` has 1 codes, not 2"]);
    refused(verify(datapath, &rows(&good, &good), &zeros[..1].into()), &["`d` has 1 codes, not 2"]);
    refused(verify(datapath, &rows(&good, &good), &vec![0u16; 2].into()), &["`d` has 16-bit words"]);
    refused(check(&Operands::rows(2, 0, &good[..0], &good[..0])), &["`b` has 0 codes"]);
    refused(check(&Operands::rows(usize::MAX, 2, &good[..], &good[..])), &["`a` has 4 codes"]);
    let vast = Operands::matrices((usize::MAX, 2, 1), &good[..], &good[..2]);
    refused(datapath.outputs(&vast, &Options::default()), &["more outputs than fit"]);
    let options = Options { depth: Some(7), ..Options::default() };
    refused(datapath.outputs(&rows(&good, &good), &options), &["no instruction of depth 7"]);
    refused(unit("block").outputs(&rows(&good, &good), &Options::default()), &["block"]);
    let fp4 = unit("b200.tcgen05.e2m1.f32");
    let wide = Operands::rows(1, 2, vec![0u8, 0x1F], vec![0u8; 2]);
    refused(fp4.outputs(&wide, &Options::default()), &["`a`, row 0, column 1", "0x1f", "4 bits"]);
    let sparse = unit("ampere.mma-sp-h1.f16.f32");
    let elements = Operands::rows(1, 8, vec![0u16; 4], vec![0u16; 8]);
    refused(sparse.outputs(&elements, &Options::default()), &["`metadata` has 0 codes, not 2"]);
    let wrong = Operands { metadata: Some(vec![0b0100u8, 0b0001].into()), ..elements };
    refused(sparse.outputs(&wrong, &Options::default()), &["`metadata`, row 0, column 1", "0b0001"]);
    let odd = Operands::rows(1, 6, vec![0u16; 3], vec![0u16; 6]);
    refused(sparse.outputs(&odd, &Options::default()), &["`b` has 6 codes, not 8"]);
    let half = unit("ampere.mma.f16.f16");
    let one = Operands::rows(1, 1, vec![0u16], vec![0u16]);
    refused(verify(half, &one, &Words::from(&[1.0001f32][..])), &["`d`, row 0, column 0", "1.0001", "fp16"]);
}

/// One thread or three: the same report, to the last character.
fn threads() {
    let (datapath, rows, k) = (unit("hopper.mma.e4m3.f32"), 301, 64);
    let case = Case::new(datapath, (rows, rows, k), &mut Random(5));
    let case = Case { c: case.c[..rows].to_vec(), ..case };
    let operands = case.operands(datapath, Layout::Rows { rows, k }, &case.b, &case.scale_b);
    let given = Words::from(vec![0u32; rows]);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| verify(datapath, &operands, &given)).unwrap()
    };
    assert_eq!(format!("{:?}", run(1)), format!("{:?}", run(3)));
}

fn words_of<'a>(view: &'a View<'a>) -> Words<'a> {
    Words::little_endian(view.dtype.bitsize() / 8, view.bytes).unwrap()
}

/// The two rows that MMA-Sim has wrong are left out and counted.
fn oracle_defect(bytes: &[u8]) {
    let container = Container::parse(bytes).unwrap();
    let mut skipped = 0;
    let results = container.tensors().filter_map(|(name, _)| name.strip_suffix("/d"));
    for set in results.filter(|set| set.starts_with("bf8_bf8/")) {
        let depth = set.split_once('i').unwrap().1.parse().unwrap();
        let tensor = |name: &str| container.tensor(&format!("{set}/{name}")).unwrap();
        let k = tensor("a").shape[1];
        let operands = Operands {
            c: Some(words_of(tensor("c"))),
            agree: Some(words_of(tensor("agree"))),
            ..Operands::rows(tensor("d").shape[0], k, words_of(tensor("a")), words_of(tensor("b")))
        };
        let options = Options { depth: Some(depth), ..Options::default() };
        let report = verify_with(unit("cdna3.mfma.e5m2fnuz.f32"), &operands, &words_of(tensor("d")), &options).unwrap();
        assert!(report.is_match() && report.skipped == report.skipped_mismatches, "{report}");
        skipped += report.skipped;
    }
    assert_eq!(skipped, 2);
}

/// FP32 bits of FP8 operands; an FP16 result in FP32 bits.
fn floats(bytes: &[u8]) {
    let container = Container::parse(bytes).unwrap();
    let tensor = |name: &str| words_of(container.tensor(name).unwrap());
    let operands = Operands::rows(2500, 32, tensor("a"), tensor("b"));
    let report = verify(unit("hopper.wgmma.e4m3.f32"), &operands, &tensor("d_fp32")).unwrap();
    assert!(report.is_match(), "{report}");
    let operands = Operands { c: Some(tensor("c")), ..operands };
    let report = verify(unit("hopper.mma.e4m3.f16"), &operands, &tensor("d_fp16")).unwrap();
    assert!(report.is_match(), "{report}");
    assert!(!verify(unit("hopper.wgmma.e4m3.f16"), &operands, &tensor("d_fp16")).unwrap().is_match());
}

/// Compressed rows with the metadata codes that torch writes select what the dense rows hold.
fn sparse(bytes: &[u8]) {
    let container = Container::parse(bytes).unwrap();
    for (kind, name) in [("fp16", "ampere.mma-sp-h1.f16.f32"), ("bf16", "ampere.mma-sp-h2.bf16.f32")] {
        let datapath = unit(name);
        let tensor = |part: &str| container.tensor(&format!("{kind}/0/{part}")).unwrap();
        let (rows, k) = (tensor("dense").shape[0], tensor("dense").shape[1]);
        let Inputs::Codes(inputs) = datapath.inputs else { panic!("{name} takes codes") };
        let one = encoded(inputs.b.format, 1.0) as u16;
        // B is 1 in one column and 0 elsewhere: the result is that element of A.
        let dense = codes(tensor("dense"));
        for column in [0, 1, 6, k - 1] {
            let b = (0..rows * k).map(|i| if i % k == column { one } else { 0 }).collect::<Vec<_>>();
            let operands = Operands {
                metadata: Some(words_of(tensor("codes"))),
                ..Operands::rows(rows, k, words_of(tensor("values")), b)
            };
            let want: Vec<f32> =
                (0..rows).map(|row| inputs.a.format.decode(dense[row * k + column]).to_f32() + 0.0).collect();
            let report = verify(datapath, &operands, &Words::from(&want[..])).unwrap();
            assert!(report.is_match(), "{kind}, column {column}: {report}");
        }
    }
}
