//! The fast kernels against the references, bit for bit, on every instruction set of this machine.

use crate::support::{Kind, Random, case, quantized, same_bits};
use interplay_formats::{Codes, Format, Quantized, Scales};
use interplay_hw::datapath::{self, Overflow, Sum};
use interplay_hw::{Datapath, Operand, Path};
use libtest_mimic::Trial;
use proptest::{prelude::*, test_runner::TestRunner};

/// Pairs of formats for the coded datapaths: each host register, equal and mixed.
const PAIRS: [(&str, &str, &str); 17] = [
    ("block", "hbfp8", "hbfp8"),
    ("block", "hbfp6", "hbfp4"),
    ("block", "hbfp6", "hbfp6"),
    ("block", "hbfp4", "hbfp8"),
    ("block", "mxint8", "mxint8"),
    ("block", "mxint4", "mxint2"),
    ("block", "mxfp4", "mxfp4"),
    ("block", "mxfp6", "mxfp6"),
    ("block", "mxfp6-e3m2", "mxfp6-e3m2"),
    ("block", "mxint8", "mxfp4"),
    ("block", "mxfp8", "mxfp8"),
    ("block", "mxfp8", "mxfp4"),
    ("block", "mxfp4", "mxfp8"),
    ("block", "mxfp8-e5m2", "mxfp8-e5m2"),
    ("int8", "int8", "int8"),
    ("int8", "int4", "int8"),
    ("int8", "int4", "int4"),
];

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        case("fast::values", || random(40, |random, kind, (m, n, k)| values(random, kind, (m, n, k)))),
        case("fast::dequantised", dequantised),
        case("fast::threads", threads),
        case("fast::long_integers", long_integers),
        case("fast::integer_edges", integer_edges),
        case("fast::extremes", extremes),
        case("fast::odd_blocks", odd_blocks),
        case("fast::empty", empty),
        case("fast::sticky_values", sticky_values),
        case("fast::sticky_blocks", sticky_blocks),
        case("fast::infinite_elements", infinite_elements),
    ];
    for (datapath, a, w) in PAIRS {
        trials.push(case(&format!("fast::{datapath}::{a}x{w}"), move || {
            random(40, |random, kind, (m, n, k)| {
                let x = quantized(a, &kind.matrix(m, k, random), k);
                let w = quantized(w, &kind.matrix(n, k, random), k);
                agree(datapath, &x, &w, &format!("{kind:?}, {m} x {k} x {n}"));
            });
        }));
    }
    trials
}

/// Runs `body` on random kinds and shapes; edges of tiles and blocks are near.
fn random(cases: u32, body: impl Fn(&mut Random, Kind, (usize, usize, usize))) {
    let shapes = (1usize..30, 1usize..80, 1usize..200);
    let strategy = (any::<u64>(), 0..Kind::ALL.len(), shapes);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let seed = proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    let outcome = TestRunner::new_with_rng(config, seed).run(&strategy, |(seed, kind, shape)| {
        body(&mut Random(seed), Kind::ALL[kind], shape);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Asserts that every path gives the bits of the reference.
#[track_caller]
fn judge(datapath: &Datapath, x: Operand<'_>, w: Operand<'_>, what: &str) {
    let want = datapath.gemm_reference(x, w).unwrap();
    let weights = datapath.prepare(w).unwrap();
    for path in Path::available() {
        let got = datapath.gemm_on(path, x, &weights).unwrap();
        same_bits(&got, &want, &format!("{} on {path:?}, {what}", datapath.name));
    }
}

#[track_caller]
fn agree(datapath: &str, x: &Quantized, w: &Quantized, what: &str) {
    judge(Datapath::by_name(datapath).unwrap(), Operand::Quantized(x), Operand::Quantized(w), what);
}

fn values(random: &mut Random, kind: Kind, (m, n, k): (usize, usize, usize)) {
    let (x, w) = (kind.matrix(m, k, random), kind.matrix(n, k, random));
    for name in ["ideal", "fp32"] {
        let (x, w) = (Operand::Values { data: &x, k }, Operand::Values { data: &w, k });
        judge(Datapath::by_name(name).unwrap(), x, w, &format!("{kind:?}, {m} x {k} x {n}"));
    }
}

/// Quantised operands of the dequantising units are their FP32 values.
fn dequantised() {
    let mut random = Random(11);
    let k = 77;
    for format in ["bf16", "int8", "hbfp8", "mxfp4"] {
        let x = quantized(format, &Kind::Plain.matrix(9, k, &mut random), k);
        let w = quantized(format, &Kind::Plain.matrix(40, k, &mut random), k);
        let (vx, vw) = (x.dequantize(), w.dequantize());
        for name in ["ideal", "fp32"] {
            agree(name, &x, &w, format);
            let datapath = Datapath::by_name(name).unwrap();
            let coded = datapath.prepare(Operand::Quantized(&w)).unwrap();
            let plain = datapath.prepare(Operand::Values { data: &vw, k }).unwrap();
            let coded = datapath.gemm(Operand::Quantized(&x), &coded).unwrap();
            same_bits(&coded, &datapath.gemm(Operand::Values { data: &vx, k }, &plain).unwrap(), format);
        }
    }
}

/// One, two and three threads give the same bits, on shapes of many tasks.
fn threads() {
    let mut random = Random(12);
    let (m, n, k) = (205, 523, 96);
    let (x, w) = (Kind::Plain.matrix(m, k, &mut random), Kind::Plain.matrix(n, k, &mut random));
    let values = (Operand::Values { data: &x, k }, Operand::Values { data: &w, k });
    let coded = |format: &str| (quantized(format, &x, k), quantized(format, &w, k));
    let (block, int8) = (coded("hbfp8"), coded("int8"));
    let run = |name: &str| {
        let datapath = Datapath::by_name(name).unwrap();
        let (x, w) = match name {
            "block" => (Operand::Quantized(&block.0), Operand::Quantized(&block.1)),
            "int8" => (Operand::Quantized(&int8.0), Operand::Quantized(&int8.1)),
            _ => values,
        };
        datapath.gemm(x, &datapath.prepare(w).unwrap()).unwrap()
    };
    for name in ["ideal", "fp32", "int8", "block"] {
        let [one, two, three] = [1, 2, 3].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run(name))
        });
        same_bits(&two, &one, &format!("{name} on two threads"));
        same_bits(&three, &one, &format!("{name} on three threads"));
    }
}

/// Sums beyond 32 bits wrap or saturate as the record says.
fn long_integers() {
    let k = 140_000;
    let up = quantized("int8", &vec![1.0; k], k);
    let down = quantized("int8", &[vec![1.0; k], vec![-1.0; k]].concat(), k);
    let exact = 127 * 127 * k as i64;
    let expect = |sum: i64| (1.0f32 / 127.0) * (1.0f32 / 127.0) * (sum as i32 as f32);
    let wants = [
        (Overflow::Wrap, [expect(exact), expect(-exact)]),
        (Overflow::Saturate, [expect(i64::from(i32::MAX)), expect(i64::from(i32::MIN))]),
    ];
    for (overflow, want) in wants {
        let int8 = Datapath::by_name("int8").unwrap();
        let round = datapath::Round { overflow, ..int8.sum.round[0] };
        let sum: &'static Sum = Box::leak(Box::new(Sum { round: vec![round].leak(), ..*int8.sum }));
        let datapath = Datapath { sum, ..*int8 };
        let (x, w) = (Operand::Quantized(&up), Operand::Quantized(&down));
        judge(&datapath, x, w, &format!("{overflow:?}"));
        same_bits(&datapath.gemm_reference(x, w).unwrap(), &want, &format!("{overflow:?}"));
    }
}

/// The last K that cannot overflow, the lengths around the runs of the byte kernels, and K that are no quads.
fn integer_edges() {
    for k in [1, 2, 3, 5, 131_067, 131_068, 131_069, 131_073, 133_143, 133_144] {
        let up = quantized("int8", &vec![1.0; k], k);
        let both = quantized("int8", &[vec![-1.0; k], vec![1.0; k]].concat(), k);
        agree("int8", &up, &both, &format!("K = {k}"));
        agree("int8", &both, &up, &format!("K = {k}"));
    }
}

/// Every element the largest of its format, of either sign: the longest sums that a block can have.
fn extremes() {
    let mut random = Random(13);
    for format in ["hbfp8", "hbfp6", "hbfp4", "mxint8", "mxfp4", "mxfp6"] {
        for k in [1, 63, 64, 65, 129] {
            let mut signs = |rows: usize| -> Vec<f32> {
                (0..rows * k).map(|i| if i < k || random.below(2) == 1 { 1.99 } else { -1.99 }).collect()
            };
            let (x, w) = (quantized(format, &signs(13), k), quantized(format, &signs(33), k));
            agree("block", &x, &w, &format!("{format}, K = {k}"));
        }
    }
}

/// Blocks that no instruction of four products divides, and blocks too long for a sum of 24 bits.
fn odd_blocks() {
    let mut random = Random(14);
    for (length, k) in [(1, 7), (3, 20), (6, 20), (1024, 1500), (1028, 1500), (1044, 2000)] {
        let name = format!("fast-odd-{length}");
        let block =
            format!("bits = 8\nfraction_bits = 6\nblock = {{ run = {length} }}\nscale = \"e8m0\"\nrule = \"floor\"");
        Format::declare(&format!("[format]\nname = \"{name}\"\n{block}")).unwrap();
        for kind in [Kind::Plain, Kind::Integers, Kind::AnyBits] {
            let x = quantized(&name, &kind.matrix(7, k, &mut random), k);
            let w = quantized(&name, &kind.matrix(35, k, &mut random), k);
            agree("block", &x, &w, &format!("blocks of {length}, {kind:?}"));
        }
    }
}

/// Sums that an FP64 register loses bits of, in every lane of a tile: the certificate must not be given.
fn sticky_values() {
    let p = |exponent: i32| f32::from_bits(((exponent + 127) as u32) << 23);
    let cases = [
        ([p(30), 1.0, p(30)], [p(30), 1.0, -p(30)], 1.0),
        ([p(12), 1.0, p(-20)], [p(12), 1.0, p(-20)], p(24) + 2.0),
        ([p(12), 1.0, p(-20)], [p(12), 1.0, -p(-20)], p(24)),
        ([p(12), 3.0, p(-20)], [p(12), 1.0, -p(-20)], p(24) + 2.0),
        ([p(40), 1.0, p(-60)], [-p(40), 1.0, p(-60)], -p(80)),
    ];
    let ideal = Datapath::by_name("ideal").unwrap();
    for (x, w, want) in cases {
        let (x, w) = (x.repeat(14), w.repeat(40));
        let (x, w) = (Operand::Values { data: &x, k: 3 }, Operand::Values { data: &w, k: 3 });
        judge(ideal, x, w, &format!("{want:e}"));
        assert!(ideal.gemm(x, &ideal.prepare(w).unwrap()).unwrap().iter().all(|y| *y == want), "{want:e}");
    }
}

/// Ties of FP32 with a bit far below FP64's last place, on either side, in blocks of E5M2.
fn sticky_blocks() {
    let x = [32768.0, 8.0, 16.0, 1.0 / 65536.0];
    let signs = [1.0, -1.0];
    let mut rows = Vec::new();
    for (a, b) in signs.into_iter().flat_map(|a| signs.map(|b| (a, b))) {
        // 2^30 + 2^6 and 2^30 + 2^7 + 2^6 are ties; the last product is 2^-32.
        rows.extend([a * 32768.0, a * 8.0, 0.0, b * x[3], a * 32768.0, a * 8.0, a * 8.0, b * x[3]]);
    }
    let wants = [1073741952.0, 1073742080.0, 1073741824.0, 1073741952.0];
    let w = quantized("mxfp8-e5m2", &rows, 4);
    let x = quantized("mxfp8-e5m2", &x, 4);
    agree("block", &x, &w, "ties");
    let block = Datapath::by_name("block").unwrap();
    let got = block.gemm(Operand::Quantized(&x), &block.prepare(Operand::Quantized(&w)).unwrap()).unwrap();
    same_bits(&got[..4], &wants, "ties");
    let negated: Vec<f32> = [wants[2], wants[3], wants[0], wants[1]].iter().map(|y: &f32| -y).collect();
    same_bits(&got[4..], &negated, "negative ties");
}

/// No rows or no columns give no outputs.
/// Infinities of E5M2, which no quantiser writes, of one sign, of both, beside a NaN, and against a zero.
fn infinite_elements() {
    let mxfp8 = Format::by_name("mxfp8-e5m2").unwrap();
    let block = |first: [u8; 3]| {
        let codes = first.into_iter().chain(std::iter::repeat_n(0x3C, 29)).collect();
        Quantized::from_parts(mxfp8, 1, 32, Codes::U8(codes), Scales::E8M0(vec![127]), None).unwrap()
    };
    let one = block([0x3C, 0x3C, 0x3C]);
    for first in [[0x7C, 0x3C, 0x3C], [0xFC, 0xFC, 0x3C], [0x7C, 0xFC, 0x3C], [0x7C, 0x7D, 0x3C]] {
        agree("block", &block(first), &one, &format!("{first:x?}"));
        agree("block", &block(first), &block([0, 0x3C, 0x3C]), &format!("{first:x?} against a zero"));
    }
}

fn empty() {
    let values = [1.0f32; 6];
    for name in ["ideal", "fp32"] {
        let datapath = Datapath::by_name(name).unwrap();
        let some = Operand::Values { data: &values, k: 3 };
        let none = Operand::Values { data: &[], k: 3 };
        for (x, w) in [(some, none), (none, some), (none, none)] {
            assert_eq!(datapath.gemm(x, &datapath.prepare(w).unwrap()).unwrap(), [0.0f32; 0]);
            assert_eq!(datapath.gemm_reference(x, w).unwrap(), [0.0f32; 0]);
        }
    }
}
