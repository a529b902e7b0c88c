//! The aligned kernels against their slow version, and that against recorded rows.

use crate::aligned_reference::{self as reference, NAN, chain, dot};
use crate::support::{Kind, Random, case, oracle_bytes, same_bits};
use interplay_hw::Path;
use interplay_hw::judge::{
    Accumulator, Aligned, Grouped, Joins, Matrix, aligned, aligned_columns, grouped, grouped_columns,
};
use libtest_mimic::Trial;
use safetensors::{SafeTensors, tensor::Metadata};
use serde_json::Value;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The packs of NVIDIA units that align every product.
const PACKS: [&str; 7] = [
    "nv_volta",
    "nv_turing_ampere_ada",
    "nv_ada_fp8",
    "nv_hopper_blackwell",
    "nv_hopper_wgmma_fp8",
    "nv_blackwell_f8f6f4",
    "nv_blackwell_mxf8f6f4",
];

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        case("aligned::typical_data_is_certified", typical),
        case("aligned::threads", threads),
        case("aligned::edge_shapes", edges),
    ];
    for (name, unit, format) in units() {
        trials.push(case(&format!("aligned::{name}"), move || fuzz(name, &unit, format)));
    }
    trials.push(case("aligned::groups", groups));
    let file = "vectors/mmasim/nv_blackwell_mxf4_nvf4.safetensors";
    trials.push(oracle_bytes("aligned::nv_blackwell_mxf4_nvf4", file, |bytes| recorded_groups(&bytes)));
    for pack in PACKS {
        let file = format!("vectors/mmasim/{pack}.safetensors");
        trials.push(oracle_bytes(&format!("aligned::{pack}"), &file, |bytes| recorded(&bytes)));
    }
    trials
}

/// A narrow format: exponent bits, fraction bits, bias, and whether the top exponent holds infinity and NaN.
#[derive(Clone, Copy)]
struct Narrow(u32, u32, i32, bool);

impl Narrow {
    fn by_name(name: &str) -> Self {
        match name {
            "f16" => Self(5, 10, 15, true),
            "bf16" => Self(8, 7, 127, true),
            "f32" | "tf32" => Self(8, 23, 127, true),
            "e5m2" => Self(5, 2, 15, true),
            "e4m3" => Self(4, 3, 7, false),
            "e3m2" => Self(3, 2, 3, false),
            "e2m3" => Self(2, 3, 1, false),
            "e2m1" => Self(2, 1, 1, false),
            other => panic!("format {other}"),
        }
    }

    fn emin(self) -> i32 {
        1 - self.2
    }

    fn bits(self) -> u32 {
        1 + self.0 + self.1
    }

    fn value(self, code: u32) -> f32 {
        let Self(exponent_bits, fraction_bits, bias, ieee) = self;
        let field = code >> fraction_bits & ((1 << exponent_bits) - 1);
        let fraction = code & ((1 << fraction_bits) - 1);
        let top = field == (1 << exponent_bits) - 1;
        let hidden = u32::from(field != 0) << fraction_bits;
        let exponent = field.max(1) as i32 - bias - fraction_bits as i32;
        let magnitude = if top && ieee {
            if fraction == 0 { f64::INFINITY } else { f64::NAN }
        } else if exponent_bits == 4 && top && fraction == 7 {
            f64::NAN
        } else {
            f64::from(hidden | fraction) * f64::from_bits(((exponent + 1023) as u64) << 52)
        };
        let negative = code >> (exponent_bits + fraction_bits) & 1 == 1;
        if magnitude.is_nan() { NAN } else { (if negative { -magnitude } else { magnitude }) as f32 }
    }
}

/// The units that the kernels are for, with an input format.
fn units() -> Vec<(&'static str, Aligned, &'static str)> {
    let hopper = Aligned {
        step: 16,
        fraction_bits: 25,
        floor: -133,
        emin: (-14, -14),
        accumulator: Accumulator::Single,
        joins: Joins::First,
        scale_block: None,
    };
    let half = Aligned { accumulator: Accumulator::Half, floor: -21, ..hopper };
    let ampere = Aligned { step: 8, fraction_bits: 24, floor: -132, ..hopper };
    let fp8 = Aligned { step: 32, fraction_bits: 13, emin: (-6, -6), accumulator: Accumulator::E8M13, ..hopper };
    let e5m2 = (-14, -14);
    let mma = Joins::Last { steps: 2 };
    vec![
        ("volta_f16", Aligned { step: 4, fraction_bits: 23, floor: -131, ..hopper }, "f16"),
        ("volta_f16_f16", Aligned { step: 4, fraction_bits: 23, floor: -19, ..half }, "f16"),
        ("ampere_f16", ampere, "f16"),
        ("ampere_f16_f16", Aligned { step: 8, fraction_bits: 24, floor: -20, ..half }, "f16"),
        ("ampere_bf16", Aligned { emin: (-126, -126), ..ampere }, "bf16"),
        ("ampere_tf32", Aligned { step: 4, emin: (-126, -126), ..ampere }, "tf32"),
        ("ada_fp8", Aligned { step: 16, floor: -132, ..fp8 }, "e4m3"),
        ("ada_fp8_f16", Aligned { step: 16, fraction_bits: 13, floor: -20, emin: e5m2, ..half }, "e5m2"),
        ("hopper_f16", hopper, "f16"),
        ("hopper_f16_f16", half, "f16"),
        ("hopper_bf16", Aligned { emin: (-126, -126), ..hopper }, "bf16"),
        ("hopper_tf32", Aligned { step: 8, emin: (-126, -126), ..hopper }, "tf32"),
        ("hopper_fp8", fp8, "e4m3"),
        ("hopper_fp8_e5m2", Aligned { emin: e5m2, ..fp8 }, "e5m2"),
        ("blackwell_fp8", Aligned { step: 32, emin: (-6, -6), ..hopper }, "e4m3"),
        ("blackwell_fp8_f16", Aligned { step: 32, emin: (-6, -6), ..half }, "e4m3"),
        ("blackwell_fp4", Aligned { step: 32, emin: (0, 0), ..hopper }, "e2m1"),
        ("mma_fp8", Aligned { joins: mma, ..hopper }, "e5m2"),
        ("mma_fp8_f16", Aligned { joins: mma, ..half }, "e5m2"),
        ("mxf8", Aligned { step: 32, emin: (-6, -6), scale_block: Some(32), ..hopper }, "e4m3"),
        ("mxf8_e5m2", Aligned { step: 32, emin: e5m2, scale_block: Some(32), ..hopper }, "e5m2"),
        ("two_steps_a_scale", Aligned { step: 16, scale_block: Some(32), ..hopper }, "f16"),
        ("own_design", Aligned { step: 63, fraction_bits: 1, floor: -150, ..hopper }, "bf16"),
        ("sparse_fp8", Aligned { step: 64, ..hopper }, "e4m3"),
        ("longest_step", Aligned { step: 127, fraction_bits: 24, floor: -150, ..hopper }, "bf16"),
    ]
}

/// Recorded rows, each as the chain of instructions that made it.
fn recorded(bytes: &[u8]) {
    let (_, metadata) = SafeTensors::read_metadata(bytes).expect("a safetensors file");
    let file = SafeTensors::deserialize(bytes).expect("a safetensors file");
    let mut rows = 0;
    for name in file.names() {
        if let Some(set) = name.strip_suffix("/d") {
            rows += recorded_set(&file, &metadata, set);
        }
    }
    assert!(rows > 1000, "{rows} rows");
}

fn recorded_set(file: &SafeTensors<'_>, metadata: &Metadata, set: &str) -> usize {
    let (variant, depth) = set.split_once('/').expect("a variant and a depth");
    let note = &metadata.metadata().as_ref().expect("notes")[&format!("variant:{variant}")];
    let note: Value = serde_json::from_str(note).expect("notes in JSON");
    let number = |name: &str| note[name].as_i64().expect("a number") as i32;
    let format = |name: &str| Narrow::by_name(note[name].as_str().expect("a format"));
    let (k, depth) = depth[1..].split_once('i').expect("k and i");
    let (k, depth): (usize, usize) = (k.parse().expect("k"), depth.parse().expect("i"));
    let unit = Aligned {
        step: depth.min(number("L") as usize),
        fraction_bits: number("F") as u32,
        floor: number("e_zero"),
        emin: (format("a").emin(), format("b").emin()),
        accumulator: match note["rho"].as_str() {
            Some("RZ-FP32") => Accumulator::Single,
            Some("RZ-E8M13") => Accumulator::E8M13,
            _ => Accumulator::Half,
        },
        joins: Joins::First,
        scale_block: note["block"].as_u64().map(|block| block as usize),
    };
    let codes = |name: &str| codes(file, &format!("{set}/{name}"));
    let values = |name: &str| -> Vec<f32> {
        let mask = if note[name] == "tf32" { !0x1FFF } else { !0 };
        codes(name).iter().map(|code| format(name).value(code & mask)).collect()
    };
    let scales = |name: &str| -> Vec<f64> {
        let exponent = |code: u32| if code == 255 { f64::NAN } else { f64::from(code) - 127.0 };
        if note["block"].is_null() { Vec::new() } else { codes(name).iter().map(|&code| exponent(code)).collect() }
    };
    let (a, b, c, d) = (values("a"), values("b"), values("c"), values("d"));
    let (sa, sb) = (scales("sa"), scales("sb"));
    let blocks = sa.len() / d.len();
    for (row, want) in d.iter().enumerate() {
        let (a, b) = (&a[row * k..][..k], &b[row * k..][..k]);
        let scales = (&sa[row * blocks..][..blocks], &sb[row * blocks..][..blocks]);
        let got = chain(&unit, a, b, scales, (c[row], format("c").emin()));
        same_bits(&[got], &[*want], &format!("{set}, row {row}, a {a:?}, b {b:?}, c {:e}", c[row]));
    }
    d.len()
}

/// The codes of a recorded tensor.
fn codes(file: &SafeTensors<'_>, name: &str) -> Vec<u32> {
    let tensor = file.tensor(name).expect(name);
    let bytes = tensor.data();
    let width = bytes.len() / tensor.shape().iter().product::<usize>();
    let code = |bytes: &[u8]| bytes.iter().rev().fold(0, |code, &byte| code << 8 | u32::from(byte));
    bytes.chunks_exact(width).map(code).collect()
}

/// Inputs: each [`Kind`] brought into the format, random codes (specials included), and mixtures of extremes.
fn inputs(format: Narrow, rows: usize, k: usize, kind: usize, random: &mut Random) -> Vec<f32> {
    let Narrow(_, fraction_bits, bias, _) = format;
    // Values of the kinds around 1, without the bits that the format lacks, and those beyond its range by codes.
    let fraction_bits = fraction_bits.min(10);
    let mask = !((1u32 << (23 - fraction_bits)) - 1);
    let code = |random: &mut Random| {
        let value = format.value(random.bits() as u32 & (u32::MAX >> (32 - format.bits())));
        f32::from_bits(if value.is_nan() { 0x7FFF_FFFF } else { value.to_bits() & mask })
    };
    let finite = |random: &mut Random| loop {
        let value = code(random);
        if value.is_finite() {
            return value;
        }
    };
    match kind {
        0..9 => {
            let values = Kind::ALL[kind].matrix(rows, k, random);
            let fits = |x: f32| {
                let field = (x.to_bits() >> 23 & 0xFF) as i32 - 127;
                x == 0.0 || field >= 1 - bias && field < bias && (bias > 3 || field.abs() < bias)
            };
            values
                .iter()
                .map(|x| f32::from_bits(x.to_bits() & mask))
                .map(|x| if fits(x) { x } else { finite(random) })
                .collect()
        }
        9 => (0..rows * k).map(|_| code(random)).collect(),
        10 => (0..rows * k).map(|_| finite(random)).collect(),
        // All products as large as they get, of one sign in most rows.
        11 => {
            let largest = f32::from_bits(0x3FFF_FFFF & mask);
            (0..rows * k).map(|i| if i / k % 4 == 3 && random.below(2) == 0 { -largest } else { largest }).collect()
        }
        // Runs of zeros with rare values in between.
        _ => (0..rows * k).map(|i| if random.below(40) == 0 && i % k > 16 { finite(random) } else { 0.0 }).collect(),
    }
}

/// Kinds of [`inputs`].
const KINDS: usize = 13;

fn fuzz(name: &str, unit: &Aligned, format: &str) {
    assert!(unit.is_covered());
    let format = Narrow::by_name(format);
    let mut random = Random(name.bytes().fold(7u64, |seed, byte| seed.wrapping_mul(31) + u64::from(byte)));
    for round in 0..60 {
        let kind = round % KINDS;
        let shape = (1 + random.below(20) as usize, 1 + random.below(40) as usize, 1 + random.below(150) as usize);
        judge(
            unit,
            &random_operands(unit, format, kind, shape, &mut random),
            &format!("{name}, kind {kind}, {shape:?}"),
        );
    }
}

/// Two operands of a product with their scales.
struct Operands {
    k: usize,
    x: Vec<f32>,
    w: Vec<f32>,
    sx: Vec<f64>,
    sw: Vec<f64>,
}

fn random_operands(
    unit: &Aligned,
    format: Narrow,
    kind: usize,
    (m, n, k): (usize, usize, usize),
    random: &mut Random,
) -> Operands {
    let blocks = unit.scale_block.map_or(0, |block| k.div_ceil(block));
    let spread = [3, 30, 255][kind % 3];
    let scales = |rows: usize, random: &mut Random| -> Vec<f64> {
        let any = |random: &mut Random| random.below(spread) as f64 - (spread / 2) as f64;
        let nan = kind == 9;
        (0..rows * blocks).map(|_| if nan && random.below(60) == 0 { f64::NAN } else { any(random) }).collect()
    };
    let (sx, sw) = (scales(m, random), scales(n, random));
    Operands { k, x: inputs(format, m, k, kind, random), w: inputs(format, n, k, kind, random), sx, sw }
}

/// Every path against the definition; gives how many outputs the fast lanes left to it.
#[track_caller]
fn judge(unit: &Aligned, operands: &Operands, what: &str) -> usize {
    let Operands { k, x, w, sx, sw } = operands;
    let k = *k;
    let (m, n) = (x.len() / k, w.len() / k);
    let blocks = (sx.len() / m, sw.len() / n);
    let definition = |row: usize, column: usize| {
        let scales = (&sx[row * blocks.0..][..blocks.0], &sw[column * blocks.1..][..blocks.1]);
        dot(unit, &x[row * k..][..k], &w[column * k..][..k], scales)
    };
    let want: Vec<f32> = (0..m * n).map(|i| definition(i / n, i % n)).collect();
    let columns = aligned_columns(unit, Matrix { k, elements: w, notes: sw });
    let rows = Matrix { k, elements: x, notes: sx };
    let mut counts = Vec::new();
    for path in Path::available() {
        let count = AtomicUsize::new(0);
        let counted = |row: usize, column: usize| {
            count.fetch_add(1, Ordering::Relaxed);
            want[row * n + column]
        };
        let got = aligned(path, unit, rows, &columns, &counted);
        same_bits(&got, &want, &format!("{what} on {path:?}"));
        counts.push(count.into_inner());
    }
    assert!(counts.iter().all(|&count| count == counts[0]), "{what}: paths certify differently: {counts:?}");
    counts[0]
}

/// Weights and activations as models have them, with zeros and padding, need no second look.
fn typical() {
    let mut random = Random(3);
    for (name, unit, format) in units() {
        let format = Narrow::by_name(format);
        for kind in [0, 4, 5, 6, 12] {
            let mut operands = random_operands(&unit, format, kind, (17, 33, 320), &mut random);
            for scale in operands.sx.iter_mut().chain(&mut operands.sw) {
                *scale = scale.clamp(-20.0, 20.0);
            }
            let left = judge(&unit, &operands, &format!("{name}, kind {kind}"));
            // Of random codes some products are beyond the window, and their sums beyond FP16.
            let plain = kind == 0 && format.1 > 3;
            let bounded = format.0 < 8 && unit.accumulator != Accumulator::Half;
            assert!(left == 0 || !(plain || bounded), "{name}, kind {kind}: {left} of {}", 17 * 33);
        }
    }
}

/// Any number of threads gives the same bits, on shapes of many tasks.
fn threads() {
    let mut random = Random(4);
    let (_, unit, format) = units().swap_remove(13);
    let operands = random_operands(&unit, Narrow::by_name(format), 10, (205, 523, 70), &mut random);
    for threads in 1..4 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads start");
        pool.install(|| judge(&unit, &operands, &format!("{threads} threads")));
    }
}

/// One row, one column, one product, one more or less than a panel, a tile, a step.
fn edges() {
    let mut random = Random(5);
    for (name, unit, format) in units() {
        let format = Narrow::by_name(format);
        for shape in [(1, 1, 1), (16, 32, 16), (17, 33, 33), (15, 31, 31), (97, 1, 5), (1, 257, 64), (2, 64, 65)] {
            judge(&unit, &random_operands(&unit, format, 10, shape, &mut random), &format!("{name}, {shape:?}"));
        }
    }
}

const NVF4: Grouped = Grouped { group: 16, groups: 4, fraction_bits: 35, floor: -139, scale_emin: -6, scale_block: 16 };
const MXF4: Grouped = Grouped { scale_emin: -127, scale_block: 32, ..NVF4 };

/// The scale with this code.
fn scale(unit: &Grouped, code: u32) -> f64 {
    match (unit.scale_emin, code) {
        (-127, 255) => f64::NAN,
        (-127, code) => f64::from_bits(u64::from(code + 1023 - 127) << 52),
        _ if code & 0x7F == 0x7F => f64::NAN,
        _ => f64::from(Narrow::by_name("e4m3").value(code & 0x7F)),
    }
}

fn recorded_groups(bytes: &[u8]) {
    let file = SafeTensors::deserialize(bytes).expect("a safetensors file");
    let mut rows = 0;
    for set in file.names().iter().filter_map(|name| name.strip_suffix("/d")) {
        let unit = if set.contains("ue4m3") { NVF4 } else { MXF4 };
        let unit = if set.contains("block16") { Grouped { scale_block: 16, ..unit } } else { unit };
        let codes = |name: &str| codes(&file, &format!("{set}/{name}"));
        let values =
            |name: &str| -> Vec<f32> { codes(name).iter().map(|&code| Narrow::by_name("e2m1").value(code)).collect() };
        let scales = |name: &str| -> Vec<f64> { codes(name).iter().map(|&code| scale(&unit, code)).collect() };
        let (a, b, c, d) = (values("a"), values("b"), codes("c"), codes("d"));
        let (sa, sb, k) = (scales("sa"), scales("sb"), a.len() / d.len());
        let blocks = k / unit.scale_block;
        for (row, want) in d.iter().enumerate() {
            let scales = (&sa[row * blocks..][..blocks], &sb[row * blocks..][..blocks]);
            let got = reference::grouped(&unit, &a[row * k..][..k], &b[row * k..][..k], scales, f32::from_bits(c[row]));
            same_bits(&[got], &[f32::from_bits(*want)], &format!("{set}, row {row}"));
        }
        rows += d.len();
    }
    assert!(rows > 1000, "{rows} rows");
}

/// The grouped kernel against its definition; scales from usual to extreme, NaN and 0 included.
fn groups() {
    let mut random = Random(6);
    for round in 0..300 {
        let unit = [NVF4, MXF4, Grouped { scale_block: 16, ..MXF4 }][round % 3];
        let (m, n, k) = (1 + random.below(20) as usize, 1 + random.below(40) as usize, 1 + random.below(300) as usize);
        let sparse = [1, 2, 30][round / 3 % 3];
        let element = |random: &mut Random| {
            let zero = random.below(sparse) != 0;
            if zero { 0.0 } else { Narrow::by_name("e2m1").value(random.below(16) as u32) }
        };
        let blocks = k.div_ceil(unit.scale_block);
        let kind = round / 9 % 3;
        let code = |random: &mut Random| match (kind, unit.scale_emin) {
            (0, -127) => 120 + random.below(14) as u32,
            (0, _) => 1 + random.below(126) as u32,
            (1, _) => random.below(if unit.scale_emin == -127 { 255 } else { 127 }) as u32,
            _ => random.below(256) as u32,
        };
        let elements =
            |rows: usize, random: &mut Random| -> Vec<f32> { (0..rows * k).map(|_| element(random)).collect() };
        let (x, w) = (elements(m, &mut random), elements(n, &mut random));
        let scales = |rows: usize, random: &mut Random| -> Vec<f64> {
            (0..rows * blocks).map(|_| scale(&unit, code(random))).collect()
        };
        let (sx, sw) = (scales(m, &mut random), scales(n, &mut random));
        let left =
            judge_groups(&unit, &Operands { k, x, w, sx, sw }, &format!("{unit:?}, kind {kind}, {m} x {k} x {n}"));
        assert!(kind != 0 || left == 0, "{unit:?}: {left} outputs");
    }
}

/// As [`judge`].
#[track_caller]
fn judge_groups(unit: &Grouped, Operands { k, x, w, sx, sw }: &Operands, what: &str) -> usize {
    assert!(unit.is_covered());
    let (k, m, n) = (*k, x.len() / k, w.len() / k);
    let blocks = k.div_ceil(unit.scale_block);
    let definition = |row: usize, column: usize| {
        let scales = (&sx[row * blocks..][..blocks], &sw[column * blocks..][..blocks]);
        reference::grouped(unit, &x[row * k..][..k], &w[column * k..][..k], scales, 0.0)
    };
    let want: Vec<f32> = (0..m * n).map(|i| definition(i / n, i % n)).collect();
    let columns = grouped_columns(unit, Matrix { k, elements: w, notes: sw });
    let count = AtomicUsize::new(0);
    let counted = |row: usize, column: usize| {
        count.fetch_add(1, Ordering::Relaxed);
        want[row * n + column]
    };
    for path in Path::available() {
        let got = grouped(path, unit, Matrix { k, elements: x, notes: sx }, &columns, &counted);
        same_bits(&got, &want, &format!("{what} on {path:?}"));
    }
    count.into_inner()
}
