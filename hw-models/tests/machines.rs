//! The fast GEMM of every record of the catalogue, and of designs of one's own, against the reference, bit for bit.

use crate::support::{Kind, Random, case, quantized, same_bits};
use interplay_formats::{Format, Quantized, Scalar, Value};
use interplay_hw::datapath::{Codes, Inputs};
use interplay_hw::{Datapath, Operand, Path};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        case("machines::plain", || every(|codes| codes.scale.is_none() && codes.sparse.is_none())),
        case("machines::sparse", || every(|codes| codes.sparse.is_some() && codes.scale.is_none())),
        case("machines::scaled", scaled),
        case("machines::row_scales", row_scales),
        case("machines::nvfp4_block", nvfp4_block),
        case("machines::designs", designs),
        case("machines::refused", refused),
        case("machines::threads", threads),
    ]
}

/// Asserts that every path gives the bits of the reference.
#[track_caller]
fn judge(datapath: &Datapath, x: Operand<'_>, w: Operand<'_>, what: &str) {
    let want = datapath.gemm_reference(x, w).unwrap_or_else(|error| panic!("{what}: {error}"));
    let weights = datapath.prepare(w).unwrap();
    for path in Path::available() {
        let got = datapath.gemm_on(path, x, &weights).unwrap();
        same_bits(&got, &want, &format!("{} on {path:?}, {what}", datapath.name));
    }
}

/// Numbers that a format has, of one kind: codes of any bits, or numbers near one with zeros among them.
fn values(format: Scalar, any: bool, count: usize, random: &mut Random) -> Vec<f32> {
    let one = |random: &mut Random| loop {
        let code = random.bits() & (u64::MAX >> (64 - format.bits()));
        let value = format.decode(code);
        let near = value
            .finite()
            .is_some_and(|x| x.is_zero() || x.leading_exponent().is_some_and(|leading| (-6..6).contains(&leading)));
        // FP64 operands are given as FP32 numbers.
        let x = value.to_f32();
        if (any || near)
            && Value::from_f32(x).finite().map(interplay_formats::Exact::is_zero)
                == value.finite().map(interplay_formats::Exact::is_zero)
        {
            return x;
        }
    };
    (0..count).map(|_| if random.below(8) == 0 { 0.0 } else { one(random) }).collect()
}

/// Keeps n of every m neighbours, in units that stay together.
fn prune(values: &mut [f32], codes: &Codes, random: &mut Random) {
    let Some(sparsity) = codes.sparse else { return };
    for group in values.chunks_mut(sparsity.m) {
        let units = sparsity.m / sparsity.together;
        let mut left: Vec<usize> = (0..units).collect();
        for _ in 0..units - sparsity.n / sparsity.together {
            let unit = left.swap_remove(random.below(left.len() as u64) as usize) * sparsity.together;
            group[unit..unit + sparsity.together].fill(0.0);
        }
    }
}

/// Every unit without block scales that a condition picks.
fn every(pick: impl Fn(&Codes) -> bool) {
    let mut random = Random(31);
    for datapath in Datapath::all() {
        let Inputs::Codes(codes) = datapath.inputs else { continue };
        if !pick(&codes) {
            continue;
        }
        let depth = datapath.depths.last().copied().unwrap_or(8);
        for (any, shape) in [
            (false, (4, 35, 2 * depth)),
            (true, (3, 34, depth)),
            (false, (2, 3, depth + codes.sparse.map_or(1, |s| s.m))),
        ] {
            let (m, n, k) = shape;
            let (left, right) = if codes.sparse.is_some() { (codes.b, codes.a) } else { (codes.a, codes.b) };
            let x = values(left.format, any, m * k, &mut random);
            let mut w = values(right.format, any, n * k, &mut random);
            prune(&mut w, &codes, &mut random);
            let what = format!("any bits: {any}, {m} x {k} x {n}");
            judge(datapath, Operand::Values { data: &x, k }, Operand::Values { data: &w, k }, &what);
        }
    }
}

/// The tensor format that a block-scaled unit takes.
fn block_format(codes: &Codes, element: Scalar) -> Option<&'static Format> {
    let scale = codes.scale?;
    Format::all().iter().find(|format| {
        format.element.encoding == element.encoding
            && format.block_len(usize::MAX >> 8) == scale.block
            && format.scaling.is_some_and(|scaling| match scaling.scale {
                interplay_formats::Scale::E8M0 => scale.format.name == "e8m0",
                interplay_formats::Scale::Code(own) => own.encoding == scale.format.encoding,
                _ => false,
            })
    })
}

/// Every block-scaled unit whose operands are formats of the catalogue.
fn scaled() {
    let (mut random, mut units) = (Random(32), 0);
    for datapath in Datapath::all() {
        let Inputs::Codes(codes) = datapath.inputs else { continue };
        let formats = (block_format(&codes, codes.a.format), block_format(&codes, codes.b.format));
        let (Some(a), Some(b)) = formats else { continue };
        units += 1;
        for kind in [Kind::Plain, Kind::AnyBits, Kind::Zeros, Kind::Tiny, Kind::Steps] {
            let (m, n, k) = (3, 34, 2 * datapath.depths[0]);
            let (mut x, mut w) = (kind.matrix(m, k, &mut random), kind.matrix(n, k, &mut random));
            x.iter_mut().chain(&mut w).filter(|x| !x.is_finite()).for_each(|x| *x = 1.0);
            prune(&mut w, &codes, &mut random);
            let (left, right) = if codes.sparse.is_some() { (b, a) } else { (a, b) };
            let (x, w) = (left.quantize(&x, k).unwrap(), right.quantize(&w, k).unwrap());
            judge(datapath, Operand::Quantized(&x), Operand::Quantized(&w), &format!("{kind:?}"));
        }
    }
    assert!(units > 50, "{units} block-scaled units were tried");
}

/// Scales of rows are applied to results: fl(fl(sx * sw) * d).
fn row_scales() {
    let k = 64;
    let (x, w) = (Kind::Plain.matrix(4, k, &mut Random(33)), Kind::Plain.matrix(9, k, &mut Random(34)));
    let (x, w) = (quantized("int8", &x, k), quantized("int8", &w, k));
    let coded = |q: &Quantized| q.elements();
    let (cx, cw) = (coded(&x), coded(&w));
    for name in ["ampere.mma.s8.s32", "turing.mma.s8.s32sat", "hopper.wgmma.s8.s32"] {
        let unit = Datapath::by_name(name).unwrap();
        judge(unit, Operand::Quantized(&x), Operand::Quantized(&w), name);
        let bare = unit.gemm_reference(Operand::Values { data: &cx, k }, Operand::Values { data: &cw, k }).unwrap();
        let scaled = unit.gemm_reference(Operand::Quantized(&x), Operand::Quantized(&w)).unwrap();
        let (sx, sw) = (x.row_scales().unwrap(), w.row_scales().unwrap());
        let want: Vec<f32> = (0..36).map(|i| sx[i / 9] * sw[i % 9] * bare[i]).collect();
        same_bits(&scaled, &want, name);
    }
}

/// NVFP4 on the block unit: two narrow scales a block and a tensor scale at the end.
fn nvfp4_block() {
    let block = Datapath::by_name("block").unwrap();
    for format in ["nvfp4", "nvfp4-torchao", "nvfp4-cudnn", "nvfp4-four-over-six"] {
        for kind in [Kind::Plain, Kind::Zeros, Kind::Tiny, Kind::Huge, Kind::Steps, Kind::Integers] {
            let k = 80;
            let (x, w) = (kind.matrix(5, k, &mut Random(35)), kind.matrix(40, k, &mut Random(36)));
            let (x, w) = (quantized(format, &x, k), quantized(format, &w, k));
            judge(block, Operand::Quantized(&x), Operand::Quantized(&w), &format!("{format}, {kind:?}"));
        }
    }
}

/// Block units and integer units of other widths.
fn designs() {
    let mut random = Random(37);
    let mut count = 0;
    let mut declare = |text: String| {
        count += 1;
        Datapath::from_toml(&format!("[datapath]\nname = \"design-{count}\"\n{text}"))
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    };
    for rounding in ["nearest-even", "toward-zero", "up", "down", "nearest-away"] {
        for (register, overflow) in
            [("e8m11", "infinity"), ("e5m6", "saturate"), ("fp32", "ieee"), ("e5m10", "infinity"), ("fp16", "ieee")]
        {
            for dot in ["", "dot = \"s14\"\n", "dot = \"s12\"\ndot_overflow = \"wrap\"\n"] {
                let text = format!(
                    "inputs = \"blocks\"\nrounding = \"{rounding}\"\naccumulator = \"{register}\"\noverflow = \"{overflow}\"\nsum = \"e8m15\"\n{dot}"
                );
                if register == "e5m6" && overflow == "infinity" {
                    continue;
                }
                let unit = declare(text.clone());
                for format in ["hbfp6-b32", "mxfp4", "hbfp8", "mxfp8"] {
                    let kind = Kind::ALL[random.below(Kind::ALL.len() as u64) as usize];
                    let (m, n, k) = (3, 33, 130);
                    let (x, w) = (kind.matrix(m, k, &mut random), kind.matrix(n, k, &mut random));
                    let (x, w) = (quantized(format, &x, k), quantized(format, &w, k));
                    judge(unit, Operand::Quantized(&x), Operand::Quantized(&w), &format!("{text}{format}, {kind:?}"));
                }
            }
        }
    }
    for group in ["1", "4", "\"all\""] {
        for (register, overflow) in
            [("s20", "saturate"), ("s18", "wrap"), ("s32", "saturate"), ("s24", "wrap"), ("s16", "saturate")]
        {
            let unit = declare(format!(
                "inputs = \"integers\"\ngroup = {group}\naccumulator = \"{register}\"\noverflow = \"{overflow}\""
            ));
            for kind in [Kind::Plain, Kind::Integers, Kind::Zeros, Kind::Cancelling] {
                let (x, w) = (kind.matrix(4, 150, &mut random), kind.matrix(34, 150, &mut random));
                let (x, w) = (quantized("int8", &x, 150), quantized("int8", &w, 150));
                judge(
                    unit,
                    Operand::Quantized(&x),
                    Operand::Quantized(&w),
                    &format!("{group} {register} {overflow} {kind:?}"),
                );
            }
        }
    }
}

/// Operands that a unit cannot read say where they are wrong.
fn refused() {
    let unit = Datapath::by_name("hopper.wgmma.e4m3.f32").unwrap();
    let mut values = vec![1.0f32; 64];
    values[37] = 1.0625;
    let error = unit.prepare(Operand::Values { data: &values, k: 32 }).unwrap_err().to_string();
    assert!(error.contains("row 1, column 5") && error.contains("e4m3"), "{error}");
    let sparse = Datapath::by_name("ampere.mma-sp-h1.f16.f32").unwrap();
    let error = sparse.prepare(Operand::Values { data: &[1.0; 32], k: 32 }).unwrap_err().to_string();
    assert!(error.contains("2 of 4") && error.contains("sparsify"), "{error}");
    let error = Datapath::by_name("ampere.mma-sp.f16.f32").unwrap_err().to_string();
    assert!(error.contains("ampere.mma-sp-h1.f16.f32") && error.contains("-h2"), "{error}");
    let scaled = Datapath::by_name("b200.tcgen05.mxf4.f32").unwrap();
    let error = scaled.prepare(Operand::Quantized(&quantized("mxfp8", &[1.0; 32], 32))).unwrap_err().to_string();
    assert!(error.contains("e2m1") && error.contains("32"), "{error}");
}

/// One, two and three threads give the same bits.
fn threads() {
    let (m, n, k) = (70, 150, 64);
    for name in ["hopper.mma.f16.f32", "b200.tcgen05.e2m1.f32", "cdna3.mfma.f16.f32", "ampere.mma.s8.s32"] {
        let unit = Datapath::by_name(name).unwrap();
        let format = unit.codes().unwrap().a.format;
        let (x, w) = (values(format, false, m * k, &mut Random(38)), values(format, false, n * k, &mut Random(39)));
        let weights = unit.prepare(Operand::Values { data: &w, k }).unwrap();
        let [one, two, three] = [1, 2, 3].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| unit.gemm(Operand::Values { data: &x, k }, &weights).unwrap())
        });
        same_bits(&two, &one, name);
        same_bits(&three, &one, name);
    }
}
