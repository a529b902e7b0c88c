//! Every refusal: what is refused, and that the sentence helps.

use crate::support::{case, quantized};
use interplay_formats::Format;
use interplay_hw::{Accelerator, CycleModel, Datapath, Error, Gemm, Layer, Operand, PriceList, Ratio};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        case("errors::names", names),
        case("errors::operands", operands),
        case("errors::pairs", pairs),
        case("errors::auto", auto),
        case("errors::cost", costs),
    ]
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, words: &[&str]) {
    let text = result.expect_err("this must be refused").to_string();
    for word in words {
        assert!(text.contains(word), "`{text}` does not say `{word}`");
    }
}

fn datapath(name: &str) -> &'static Datapath {
    Datapath::by_name(name).unwrap()
}

fn names() {
    assert_eq!(datapath("BLOCK").name, "block");
    refused(Datapath::by_name("blok"), &["blok", "did you mean `block`", "ideal"]);
    refused(Datapath::by_name("zzzzzzzzzzzz"), &["known: fake"]);
    refused(Accelerator::by_name("sistolic-128"), &["did you mean `systolic-128`"]);
    refused(CycleModel::by_name("scale-sim"), &["did you mean `scalesim`"]);
    refused(PriceList::by_name("horowitz"), &["did you mean `horowitz45`"]);
}

fn operands() {
    let values = [1.0f32; 64];
    let plain = Operand::Values { data: &values, k: 64 };
    let (hbfp, int, bf16) =
        (quantized("hbfp8", &values, 64), quantized("int8", &values, 64), quantized("bf16", &values, 64));
    refused(datapath("fake").prepare(plain), &["fake", "host", "auto"]);
    refused(datapath("fake").gemm_reference(plain, plain), &["fake"]);
    refused(datapath("ideal").prepare(Operand::Values { data: &values, k: 63 }), &["64", "63"]);
    refused(datapath("fp32").prepare(Operand::Values { data: &values, k: 0 }), &["k >= 1"]);
    refused(datapath("block").prepare(plain), &["plain FP32 values", "MX", "auto"]);
    refused(datapath("block").prepare(Operand::Quantized(&int)), &["`int8`", "auto"]);
    refused(datapath("int8").prepare(Operand::Quantized(&hbfp)), &["`hbfp8`", "auto"]);
    refused(datapath("int8").prepare(Operand::Quantized(&bf16)), &["`bf16`", "auto"]);
}

fn pairs() {
    let values = [1.0f32; 128];
    let (long, short) = (quantized("hbfp8", &values, 64), quantized("mxfp8", &values, 64));
    let block = datapath("block");
    let weights = block.prepare(Operand::Quantized(&long)).unwrap();
    refused(block.gemm(Operand::Quantized(&short), &weights), &["32", "64", "auto"]);
    refused(block.gemm_reference(Operand::Quantized(&short), Operand::Quantized(&long)), &["32", "64"]);
    let ideal = datapath("ideal").prepare(Operand::Values { data: &values, k: 64 }).unwrap();
    refused(datapath("ideal").gemm(Operand::Values { data: &values, k: 32 }, &ideal), &["32", "64", "K"]);
    refused(datapath("fp32").gemm(Operand::Values { data: &values, k: 64 }, &ideal), &["`ideal`", "`fp32`"]);
    let k = 133_145;
    let one = quantized("int8", &vec![1.0; k], k);
    let (x, w) = (Operand::Quantized(&one), Operand::Quantized(&one));
    refused(datapath("int8").gemm_reference(x, w), &["133145", "133144"]);
    refused(datapath("int8").gemm(x, &datapath("int8").prepare(w).unwrap()), &["133145", "133144"]);
    let fits = quantized("int8", &vec![1.0; k - 1], k - 1);
    assert!(datapath("int8").gemm_reference(Operand::Quantized(&fits), Operand::Quantized(&fits)).is_ok());
}

fn auto() {
    let of = |w: &str, x: &str| Datapath::auto(Format::by_name(w).unwrap(), Format::by_name(x).unwrap()).name;
    assert_eq!(of("fp32", "fp32"), "fake");
    assert_eq!(of("hbfp8", "hbfp4"), "block");
    assert_eq!(of("mxfp4", "mxfp8"), "block");
    assert_eq!(of("int8", "int4"), "int8");
    for (w, x) in [("hbfp8", "mxfp8"), ("int8", "fp32"), ("mxfp8", "fp32"), ("bf16", "bf16"), ("int8", "mxfp8")] {
        assert_eq!(of(w, x), "fp32", "{w} x {x}");
    }
}

fn costs() {
    let format = Format::by_name("hbfp8").unwrap();
    let machine = Accelerator::by_name("systolic-128").unwrap();
    for (gemm, dimension) in [
        (Gemm::new("a", 0, 1, 1), "M = 0"),
        (Gemm::new("a", 1, 0, 1), "K = 0"),
        (Gemm::new("a", 1, 1, 0), "N = 0"),
        (Gemm { count: 0, ..Gemm::new("a", 1, 1, 1) }, "count = 0"),
    ] {
        refused(Layer::dense(gemm, format, format), &["`a`", dimension]);
    }
    let vast = Gemm::new("vast", 1 << 40, 1 << 40, 1);
    refused(Layer::dense(vast, format, format), &["vast", "64 bits"]);
    let prices = PriceList::by_name("horowitz45").unwrap();
    let model = CycleModel::by_name("scalesim").unwrap();
    let of = |layer: Layer, machine: &Accelerator| interplay_hw::cost(&vec![layer].into(), machine, model, prices);
    for count in [1 << 50, u64::MAX] {
        let often = Gemm { count, ..Gemm::new("often", 256, 256, 256) };
        refused(of(Layer::dense(often, format, format).unwrap(), machine), &["often", "64 bits"]);
    }
    let layer = Layer::dense(Gemm::new("a", 1, 64, 1), format, format).unwrap();
    refused(of(layer.clone(), Accelerator::by_name("gemmini").unwrap()), &["gemmini", "hbfp8", "int8"]);
    let long = Format::by_name("hbfp8-b4096").unwrap();
    let blocks = Layer::dense(Gemm::new("a", 1, 8192, 1), long, long).unwrap();
    refused(of(blocks, &machine.with("memory.sram.kib", 1.into()).unwrap()), &["`sram`", "`a`", "kib"]);
    refused(of(layer, Accelerator::by_name("b200").unwrap()), &["b200", "hbfp8", "b200.tcgen05.bf16.f32"]);
    refused(Ratio::new(3, 2), &["3:2"]);
    refused(Ratio::new(0, 2), &["0:2"]);
}
