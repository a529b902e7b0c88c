//! What runs a pair of formats on a machine: one choice for the bits and for the price.

use crate::support::case;
use interplay_formats::{Format, Pattern};
use interplay_hw::cost::{Accelerator, CycleModel, Gemm, Layer, Pair, PriceList, Run, Runs, Workload, area, cost};
use interplay_hw::datapath::Scales;
use interplay_hw::{Datapath, Error, Operand};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        case("map::one_unit", one_unit),
        case("map::pairs", pairs),
        case("map::sparse", sparse),
        case("map::dequantised", dequantised),
        case("map::host", host),
        case("map::replaced", replaced),
        case("map::added_units", added_units),
        case("map::refused", refused_records),
    ]
}

fn format(name: &str) -> &'static Format {
    Format::by_name(name).unwrap()
}

fn machine(name: &str) -> &'static Accelerator {
    Accelerator::by_name(name).unwrap()
}

fn asked(weights: &str, activations: &str, pattern: &str) -> Pair {
    Pair::of(format(weights), format(activations), pattern.parse().unwrap())
}

fn ran(name: &str, weights: &str, activations: &str, pattern: &str) -> Run {
    machine(name).run(&asked(weights, activations, pattern)).unwrap()
}

/// For every machine, pair of formats and pattern: what `cost` prices is what `run` names, a skip is priced only where that unit computes,
/// and the unit takes what meets in it.
fn one_unit() {
    let prices = PriceList::by_name("horowitz45").unwrap();
    let patterns = ["dense", "50%", "2:4", "1:4", "4:8", "4:8p"];
    let (mut native, mut refused) = (0, 0);
    for machine in Accelerator::all() {
        let model = CycleModel::by_name(&machine.cycle_model).unwrap();
        for weight in Format::all() {
            for activation in Format::all() {
                for pattern in patterns.map(|name| name.parse::<Pattern>().unwrap()) {
                    let gemm = Gemm::new("a", 64, 256, 128);
                    let activation = activation.for_activations();
                    let layer = Layer::sparse(gemm, weight, activation, pattern).unwrap();
                    let run = match machine.run(&Pair::from(&layer)) {
                        Ok(run) => run,
                        Err(Error::Refused { .. }) => {
                            refused += 1;
                            continue;
                        }
                        Err(error) => panic!("{}: {error}", machine.name),
                    };
                    native += 1;
                    let [w, x] = run.operands;
                    if run.runs != Runs::Host && run.scales != Some(Scales::Epilogue) {
                        run.datapath.takes(w, x).unwrap();
                    }
                    // Every choice is made; of pruned ones every seventh is priced too, for time.
                    if pattern != Pattern::Dense && native % 7 != 0 {
                        continue;
                    }
                    let computed = Layer { computed: Some(run.datapath), ..layer };
                    let counted = cost(&vec![computed.clone()].into(), machine, model, prices).unwrap();
                    match counted.layers.first() {
                        Some(one) => {
                            assert_eq!((one.datapath.as_str(), one.runs), (run.priced().name, run.runs));
                            assert_eq!(one.skip, run.skip);
                        }
                        None => assert!(run.slot.is_none() && run.runs == Runs::Host),
                    }
                    // A seeded mismatch: what another unit computed is not priced.
                    let other = Layer { computed: Some(Datapath::by_name("ieee.fma.f64.f64").unwrap()), ..computed };
                    let wrong = cost(&vec![other].into(), machine, model, prices);
                    assert!(matches!(wrong, Err(Error::OtherUnit { .. })), "{wrong:?}");
                }
            }
        }
    }
    println!("{native} runs, {refused} refused");
    assert!(native > 50_000 && refused > 10_000, "{native} {refused}");
}

/// Each pair of element formats is a record of its own.
fn pairs() {
    // x is A.
    assert_eq!(ran("b200", "mxfp4", "mxfp8", "dense").datapath.name, "b200.tcgen05.mxf8f6f4-e4m3xe2m1.f32");
    assert_eq!(ran("b200", "mxfp8", "mxfp8", "dense").datapath.name, "b200.tcgen05.mxf8f6f4-e4m3.f32");
    assert_eq!(ran("b200", "mxfp4", "mxfp4", "dense").datapath.name, "b200.tcgen05.mxf4.f32");
    assert_eq!(ran("h100", "e5m2", "e4m3", "dense").datapath.name, "hopper.wgmma.e4m3xe5m2.f32");
    assert_eq!(ran("h100", "e5m2", "e4m3", "2:4").datapath.name, "hopper.wgmma-sp-h1.e5m2xe4m3.f32");
    assert_eq!(ran("systolic-128", "mxfp4", "mxfp8", "dense").datapath.name, "block");
    assert_eq!(ran("systolic-128", "int8-asym", "int8-asym", "dense").datapath.name, "fp32");
    assert_eq!(ran("a100", "int4", "int4", "dense").datapath.name, "ampere.mma.s4.s32");
    assert_eq!(ran("a100", "int8", "int4", "dense").datapath.name, "ampere.mma.s8.s32");
}

/// Pruned positions are left out where a unit computes without them; elsewhere they are multiplied.
fn sparse() {
    let of = |name: &str, weights: &str, pattern: &str| {
        let run = ran(name, weights, weights, pattern);
        (run.datapath.name, run.runs, run.skip.map(|ratio| ratio.to_string()))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(of("h100", "fp16", "2:4"), ("hopper.wgmma-sp-h1.f16.f32", Runs::Hypothesis, some("2:4")));
    assert_eq!(of("h100", "fp16", "1:4"), ("hopper.wgmma-sp-h1.f16.f32", Runs::Hypothesis, some("2:4")));
    assert_eq!(of("h100", "fp16", "50%"), ("hopper.wgmma.f16.f32", Runs::Native, None));
    assert_eq!(of("b200", "mxfp8", "2:4"), ("b200.tcgen05.mxf8f6f4-e4m3.f32", Runs::Native, None));
    assert_eq!(of("systolic-128-sparse24", "mxfp8", "2:4"), ("block", Runs::Native, some("2:4")));
    assert_eq!(of("systolic-128", "mxfp8", "2:4"), ("block", Runs::Native, None));
    // A sparse unit takes whole groups.
    let ragged = Pair { k: 766, ..asked("fp16", "fp16", "2:4") };
    assert_eq!(machine("h100").run(&ragged).unwrap().skip, None);
}

/// Weights that a machine lacks meet its 16-bit unit, with scales where the runtime has them.
fn dequantised() {
    let of = |name: &str, weights: &str, activations: &str| {
        let run = ran(name, weights, activations, "2:4");
        (run.datapath.name, run.runs, run.activations.name, run.scales, run.skip.is_some())
    };
    let bf16 = |unit, scales| (unit, Runs::Dequantised, "bf16", Some(scales), false);
    assert_eq!(of("h100", "mxfp4", "mxfp4"), bf16("hopper.mma.bf16.f32", Scales::Registers));
    assert_eq!(of("h100", "nvfp4", "nvfp4"), bf16("hopper.mma.bf16.f32", Scales::Both));
    assert_eq!(of("h100", "int4-g128", "fp32"), bf16("hopper.wgmma.bf16.f32", Scales::Registers));
    assert_eq!(of("a100", "e4m3", "e4m3"), bf16("ampere.mma.bf16.f32", Scales::Epilogue));
    assert_eq!(of("a100", "int8", "bf16"), bf16("ampere.mma.bf16.f32", Scales::Epilogue));
    for (name, weights) in
        [("h100", "hbfp6"), ("h100", "mxfp6"), ("gemmini", "mxfp8"), ("tpuv6e", "int4"), ("h100", "gptq-int4")]
    {
        let error = machine(name).run(&asked(weights, weights, "dense")).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
    }

    // The arithmetic: rne(fl(q s)) before the product, or the scale of a row behind it.
    let (rows, k) = (3, 64);
    let w: Vec<f32> = (0..rows * k).map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.013 + 0.001 * i as f32).collect();
    let x: Vec<f32> = (0..2 * k).map(|i| ((i * 53 % 97) as f32 - 48.0) * 0.03125).collect();
    let (bf16, unit) = (format("bf16"), Datapath::by_name("hopper.wgmma.bf16.f32").unwrap());
    let mut rounded = x.clone();
    bf16.fake_quantize(&mut rounded, k).unwrap();
    let x = Operand::Values { data: &rounded, k };
    let product = |values: &[f32]| unit.gemm(x, &unit.prepare(Operand::Values { data: values, k }).unwrap()).unwrap();
    let by = |name: &str, scales| {
        let q = format(name).quantize(&w, k).unwrap();
        (unit.gemm(x, &unit.prepare_dequantised(&q, bf16, scales).unwrap()).unwrap(), q)
    };
    let (found, q) = by("int4-g32", Scales::Registers);
    let mut values = q.dequantize();
    bf16.fake_quantize(&mut values, k).unwrap();
    assert_eq!(found, product(&values));
    let (found, q) = by("int8", Scales::Epilogue);
    let want: Vec<f32> =
        product(&q.elements()).iter().enumerate().map(|(i, d)| d * q.row_scales().unwrap()[i % rows]).collect();
    assert_eq!(found, want);
    let (found, q) = by("nvfp4", Scales::Both);
    let want: Vec<f32> =
        product(&q.under_block_scales().dequantize()).iter().map(|d| d * q.tensor_scale().unwrap()).collect();
    assert_eq!(found, want);
    assert!(q.tensor_scale().is_some_and(|scale| scale != 1.0));
}

/// FP32 is the host's, in the machine's FP32 unit where that has its law, apart elsewhere.
fn host() {
    let prices = PriceList::by_name("horowitz45").unwrap();
    for (name, apart) in [("systolic-128", false), ("b200", false), ("gemmini", true), ("tpuv6e", true)] {
        let machine = machine(name);
        let fp32 = format("fp32");
        let layer =
            Layer { computed: Some(Datapath::fake()), ..Layer::dense(Gemm::new("a", 8, 8, 8), fp32, fp32).unwrap() };
        let model = CycleModel::by_name(&machine.cycle_model).unwrap();
        let counted = cost(&Workload::from(vec![layer]), machine, model, prices).unwrap();
        assert_eq!((counted.host.len() == 1, counted.layers.is_empty()), (apart, apart), "{name}");
        assert!(counted.layers.iter().all(|layer| (layer.datapath.as_str(), layer.runs) == ("fp32", Runs::Host)));
    }
}

/// A record in the place of the machine's unit: its throughput, its own gates.
fn replaced() {
    let with = |machine: &Accelerator, weights: &str, datapath: &str| {
        machine.run(&Pair { datapath: Some(Datapath::by_name(datapath).unwrap()), ..asked(weights, weights, "dense") })
    };
    let run = with(machine("b200"), "mxfp8", "block").unwrap();
    assert_eq!((run.datapath.name, run.replaced, run.slot.unwrap().rate), ("block", true, 8192));
    // The machine's own is none.
    assert!(!with(machine("systolic-128"), "mxfp8", "block").unwrap().replaced);
    // An array has its size, whatever it multiplies.
    assert_eq!(with(machine("gemmini"), "hbfp6", "block").unwrap().slot.unwrap().rate, 256);
    let error = with(machine("h100"), "hbfp6", "block").unwrap_err().to_string();
    assert!(error.contains("macs_per_cycle"), "{error}");
    let own = "[datapath]\nname = \"map-acc20\"\ninputs = \"blocks\"\naccumulator = \"e8m11\"\nmacs_per_cycle = 512";
    Datapath::from_toml(own).unwrap();
    assert_eq!(with(machine("h100"), "hbfp6", "map-acc20").unwrap().slot.unwrap().rate, 512);
    assert!(with(machine("systolic-128"), "mxfp8", "int8").is_err(), "int8 takes no blocks");

    // Priced by its gates at the machine's node, for energy and area.
    let own = "[datapath]\nname = \"map-acc18\"\ninputs = \"blocks\"\naccumulator = \"e8m9\"";
    let acc18 = Datapath::from_toml(own).unwrap();
    let (hbfp6, at) = (format("hbfp6"), machine("systolic-128"));
    let layer = Layer { datapath: Some(acc18), ..Layer::dense(Gemm::new("a", 64, 256, 64), hbfp6, hbfp6).unwrap() };
    let prices = PriceList::by_name("horowitz45").unwrap();
    let model = CycleModel::by_name(&at.cycle_model).unwrap();
    let counted = cost(&vec![layer].into(), at, model, prices).unwrap();
    let gates = interplay_hw::cost::gates::unit(acc18, hbfp6, hbfp6, at.node_nm).unwrap();
    // Weights stay in this array, which saves a share of an active multiplication.
    let held = interplay_hw::cost::gates::activity(false, at.zeros.idle).weight_held;
    assert_eq!(counted.total.energy.mac, gates.energy_pj_per_mac.scaled(held) * counted.total.macs as f64);
    assert_eq!(area(at, &counted, prices).unwrap().each, [gates]);
}

/// A unit that a file adds to its base has its formats from the base's.
fn added_units() {
    let own = "[datapath]\nname = \"map-acc16\"\ninputs = \"blocks\"\naccumulator = \"e8m7\"";
    Datapath::from_toml(own).unwrap();
    let text = "base = \"systolic-128-sparse24\"\nname = \"own\"\n[[units]]\ndatapath = \"map-acc16\"\nformats = [\"hbfp*\"]\nskips = [\"2:4\"]";
    let machine = Accelerator::from_toml(text).unwrap();
    let run = machine.run(&asked("hbfp6", "hbfp6", "2:4")).unwrap();
    assert_eq!((run.datapath.name, run.skip.is_some(), run.replaced), ("map-acc16", true, false));
    assert_eq!(machine.run(&asked("mxfp8", "mxfp8", "dense")).unwrap().datapath.name, "block");
}

/// One sentence that names the field.
fn refused_records() {
    let of = |base: &str, change: &str, words: &[&str]| {
        let text = format!("base = \"{base}\"\nname = \"own\"\n{change}");
        let error = Accelerator::from_toml(&text).expect_err(change).to_string();
        words.iter().for_each(|word| assert!(error.contains(word), "`{error}` does not say `{word}`"));
    };
    of("b200", "[[units]]\nname = \"mxf8f6f4\"\nexcept = []", &["maps `mxfp4` weights by `mxfp4`", "twice", "except"]);
    of(
        "h100",
        "[[units]]\ndatapath = \"hopper.wgmma.f16.f32\"\nformats = [\"e4m3\", \"mxfp8\"]",
        &["formats", "mxfp8"],
    );
    of(
        "h100",
        "[[units]]\ndatapath = \"hopper.wgmma.f16.f32\"\nformats = [\"hbfp*\"]",
        &["units.hopper.wgmma.f16.f32.formats"],
    );
    of(
        "h100",
        "[[units]]\ndatapath = \"hopper.mma.f16.f16\"\nformats = [\"fp16\"]\nmacs_per_cycle = 8\nskips = [\"2:4\"]",
        &["skips", "2:4", "sparse"],
    );
    of("h100", "[[units]]\ndatapath = \"hopper.wgmma.f16.f32\"\nskips = [\"1:2\"]", &["skips", "1:2", "2:4"]);
    of("h100", "[[units]]\ndatapath = \"hopper.wgmma.f16.f32\"\nsparse = \"hopper.wgmma.f16.f32\"", &["sparse"]);
    of("systolic-128", "[[units]]\ndatapath = \"fake\"\nformats = [\"bf16\"]", &["formats", "fake"]);
    let rule = "source = \"s\"\nscales = \"registers\"";
    of(
        "h100",
        &format!("[[dequantised]]\nweights = [\"hbfp6\"]\nto = \"e4m3\"\n{rule}"),
        &["dequantised[0].to", "bf16"],
    );
    of(
        "h100",
        &format!("[[dequantised]]\nweights = [\"nothing\"]\nto = \"bf16\"\n{rule}"),
        &["dequantised[0].weights"],
    );
    let epilogue = "[[dequantised]]\nweights = [\"hbfp6\"]\nto = \"bf16\"\nsource = \"s\"\nscales = \"epilogue\"";
    of("h100", epilogue, &["dequantised[0].scales", "hbfp6"]);
    let twice = format!(
        "[[dequantised]]\nweights = [\"hbfp*\"]\nto = \"bf16\"\n{rule}\n[[refused]]\nweights = [\"hbfp6\"]\nreason = \"r\"\n"
    );
    of("h100", &twice, &["hbfp6", "twice"]);
}
