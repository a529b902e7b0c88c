//! What must hold of every cost, whatever the records say.

use crate::support::{Kind, Random, case};
use interplay_formats::{Format, Order, Pattern, Pipeline};
use interplay_hw::{
    Accelerator, Cost, CycleModel, Datapath, Gemm, Layer, PriceList, Workload, cost,
    cost::{Capacity, Figures, Moves, Status, charges},
};
use libtest_mimic::Trial;
use proptest::prelude::*;

pub fn trials() -> Vec<Trial> {
    vec![
        case("laws::totals", totals),
        case("laws::orders", orders),
        case("laws::skips", skips),
        case("laws::bandwidth", bandwidth),
        case("laws::room", room),
        case("laws::width", width),
        case("laws::formats", formats),
        case("laws::inventory", inventory),
        case("laws::traffic", traffic),
        case("laws::prices", prices),
        case("laws::json", json),
    ]
}

fn format(name: &str) -> &'static Format {
    Format::by_name(name).unwrap()
}

fn dense(m: u64, k: u64, n: u64, weight: &str) -> Layer {
    Layer::dense(Gemm::new("layer", m, k, n), format(weight), format(weight)).unwrap()
}

fn run(layers: &[Layer], machine: &Accelerator) -> Cost {
    let prices = PriceList::by_name("horowitz45").unwrap();
    let model = CycleModel::by_name(&machine.cycle_model).unwrap();
    cost(&Workload::from(layers.to_vec()), machine, model, prices).unwrap()
}

fn named(layers: &[Layer], machine: &str) -> Cost {
    run(layers, Accelerator::by_name(machine).unwrap())
}

/// The default machine under another cycle model.
fn scalesim(layers: &[Layer], machine: &str) -> Cost {
    run(layers, &Accelerator::by_name(machine).unwrap().with("cycle_model", "scalesim".into()).unwrap())
}

/// A machine with one format that it multiplies.
const MACHINES: [(&str, &str); 10] = [
    ("systolic-128", "hbfp8"),
    ("systolic-128-nofm", "int8"),
    ("a100", "bf16"),
    ("h200", "e4m3"),
    ("b200", "mxfp4"),
    ("tpuv4", "bf16"),
    ("gemmini", "int8"),
    ("eyeriss-like", "int8"),
    ("vmxdotp-like", "mxfp8"),
    ("s2ta-like", "int8"),
];

/// What must hold of any figures.
fn sound(figures: &Figures) {
    let (share, energy) = (figures.share, &figures.energy);
    assert!(figures.time.ideal <= figures.time.mapped && figures.time.mapped <= figures.time.compute, "{figures:?}");
    assert!(figures.time.compute <= figures.cycles, "{figures:?}");
    assert!(share.utilisation > 0.0 && share.utilisation <= 1.0, "{figures:?}");
    // Three quotients and their products: each rounds by at most half an ulp, so five roundings in all.
    let product = share.mapping * share.fill_drain * share.stall;
    assert!((product / share.utilisation - 1.0).abs() <= 5.0 * f64::EPSILON / 2.0 * 1.01, "{product} {share:?}");
    let parts = [energy.mac, energy.idle, energy.leakage].into_iter().chain(energy.memory.iter().map(|(_, e)| *e));
    for part in parts.chain([energy.total]) {
        assert!(part.is_sound(), "{energy:?}");
    }
    assert!(energy.mac.low > 0.0 && energy.memory.iter().all(|(_, e)| e.low > 0.0), "{energy:?}");
}

/// Utilisation is a share, losses multiply to it, energies are not negative, parts add up, `count` multiplies.
fn totals() {
    proptest!(|(m in 1u64..300, k in 1u64..900, n in 1u64..900, count in 1u64..5, at in 0..MACHINES.len())| {
        let (machine, format) = MACHINES[at];
        let once = dense(m, k, n, format);
        let often = Layer { gemm: Gemm { count, ..once.gemm.clone() }, ..once.clone() };
        let cost = named(&[once, often], machine);
        let (a, b) = (&cost.layers[0].figures, &cost.layers[1].figures);
        prop_assert_eq!(b.cycles.0, a.cycles.0 * count);
        prop_assert_eq!((b.macs, b.macs_executed), (a.macs * count, a.macs_executed * count));
        for figures in [a, b, &cost.total] {
            sound(figures);
        }
        prop_assert_eq!(cost.total.cycles.0, a.cycles.0 + b.cycles.0);
        for level in 0..a.memory.len() {
            let [a, b, total] = [a, b, &cost.total].map(|figures| figures.memory[level].moves.total().0);
            prop_assert_eq!((b, total), (a * count, a * (count + 1)));
        }
    });
}

/// More bandwidth is never slower.
fn bandwidth() {
    proptest!(|(m in 1u64..300, k in 1u64..900, n in 1u64..900, rate in 1.0f64..4000.0, more in 1.0f64..8.0, at in 0..MACHINES.len())| {
        let (machine, format) = MACHINES[at];
        let machine = Accelerator::by_name(machine).unwrap();
        let layer = dense(m, k, n, format);
        let at = |rate: f64| run(std::slice::from_ref(&layer), &machine.with("memory.dram.gb_per_s", rate.into()).unwrap()).total;
        let (slow, fast) = (at(rate), at(rate * more));
        prop_assert!(fast.cycles <= slow.cycles, "{:?} {:?}", fast, slow);
        prop_assert_eq!(fast.memory, slow.memory, "and moves the same");
    });
}

/// More room never moves more, and a product that fits is fetched once.
fn room() {
    proptest!(|(m in 1u64..700, k in 1u64..900, n in 1u64..900, kib in 24u64..600, more in 0u64..600, unified: bool)| {
        let layer = dense(m, k, n, "hbfp8");
        let machine = Accelerator::by_name("systolic-128").unwrap();
        let moved = |kib: u64| {
            let mut machine = machine.clone();
            let split = Capacity::Split { activations: kib, weights: kib, outputs: kib };
            machine.memory[0].kib = if unified { Capacity::Unified(kib) } else { split };
            let total = run(std::slice::from_ref(&layer), &machine).total;
            total.memory[1].moves
        };
        let (small, large) = (moved(kib), moved(kib + more));
        prop_assert!(large.total() <= small.total(), "{:?} {:?}", large, small);
        prop_assert_eq!(moved(1 << 20).total().0, once(&layer));
    });
}

/// Bits of a product whose operands move once.
fn once(layer: &Layer) -> u64 {
    let (m, k) = (layer.gemm.m as usize, layer.gemm.k as usize);
    layer.stored.total() + layer.activation.footprint(m, k, None).total() + layer.gemm.m * layer.gemm.n * 32
}

/// A wider format never moves fewer bits.
fn width() {
    proptest!(|(m in 1u64..300, k in 1u64..900, n in 1u64..900, kib in 24u64..400)| {
        let machine = Accelerator::by_name("systolic-128").unwrap().with("memory.sram.kib", (kib as i64).into()).unwrap();
        let moved = |name: &str| run(&[dense(m, k, n, name)], &machine).total.memory.iter().map(|l| l.moves.total()).collect::<Vec<_>>();
        for family in [["hbfp4", "hbfp6", "hbfp8"], ["mxfp4", "mxfp6", "mxfp8"], ["int4", "int8", "int8"], ["bf16", "fp32", "fp32"]] {
            let bits = family.map(moved);
            for level in 0..bits[0].len() {
                prop_assert!(bits[0][level] <= bits[1][level] && bits[1][level] <= bits[2][level], "{:?}", bits);
            }
        }
    });
}

/// Pruning before or after quantising costs the same on every machine.
fn orders() {
    let (m, k, n) = (64, 256, 96);
    let weights = Kind::Plain.matrix(n, k, &mut Random(22));
    for name in ["hbfp8", "mxfp4", "int8"] {
        for pattern in ["50%", "2:4", "1:4", "4:8"] {
            let pattern: Pattern = pattern.parse().unwrap();
            let [sq, qs] = [Order::Sq, Order::Qs].map(|order| {
                let stored = Pipeline::ordered(order, pattern, format(name)).unwrap().apply(&weights, k).unwrap();
                let gemm = Gemm::new("layer", m, k as u64, n as u64);
                let (weight, activation) = (format(name), format(name));
                let shape = Layer::dense(gemm, weight, activation).unwrap();
                Layer { pattern, stored: stored.footprint(), ..shape }
            });
            for machine in ["systolic-128", "systolic-128-sparse24", "systolic-128-nofm"] {
                let [sq, qs] = [&sq, &qs].map(|layer| named(std::slice::from_ref(layer), machine));
                assert_eq!(sq, qs, "{name}, {pattern}");
            }
        }
    }
}

/// Work is skipped only where the record says so, and skipping never costs more.
fn skips() {
    let (k, n) = (256, 256);
    let weights = Kind::Plain.matrix(n, k, &mut Random(23));
    let cost = |pattern: &str, accelerator: &str| {
        let pattern: Pattern = pattern.parse().unwrap();
        let mask = pattern.magnitude_mask(&weights, k).unwrap();
        let stored = format("hbfp8").footprint(n, k, Some(&mask));
        scalesim(&[Layer { pattern, stored, ..dense(128, k as u64, n as u64, "hbfp8") }], accelerator).total
    };
    let share = |pattern: &str, accelerator: &str| {
        let figures = cost(pattern, accelerator);
        (figures.macs_executed * 4 / figures.macs, figures.time.compute.0)
    };
    let dense = share("dense", "systolic-128");
    for pattern in ["50%", "2:4", "1:4", "4:8"] {
        assert_eq!(share(pattern, "systolic-128"), dense, "{pattern} on a dense machine");
    }
    assert_eq!(share("50%", "systolic-128-sparse24"), dense);
    assert_eq!(share("4:8", "systolic-128-sparse24"), dense, "4:8 is not 2:4");
    assert_eq!(share("2:4", "systolic-128-sparse24"), (2, 2 * 510 - 1), "one of two folds of K is left");
    assert_eq!(share("1:4", "systolic-128-sparse24"), (2, 2 * 510 - 1), "1:4 runs as 2:4");
    assert_eq!(share("1:4", "systolic-128-nofm").0, 1);
    assert_eq!(share("4:8", "systolic-128-nofm").0, 2);
    for pattern in ["2:4", "1:4"] {
        let (skipping, dense) = (cost(pattern, "systolic-128-sparse24"), cost(pattern, "systolic-128"));
        assert!(skipping.energy.total.typical < dense.energy.total.typical);
        let [a, b] = [skipping, dense].map(|figures| figures.memory[1].moves.weight_metadata);
        assert_eq!(a, b, "main memory holds the same bits");
    }
}

/// Fewer bits never move more, and the price of a multiplier follows its width.
fn formats() {
    let names = ["fp32", "hbfp8", "hbfp6", "hbfp4"];
    let costs = names.map(|name| scalesim(&[dense(128, 768, 768, name)], "systolic-128").total);
    for pair in costs.windows(2) {
        assert!(pair[1].memory[1].moves.total() < pair[0].memory[1].moves.total());
        assert!(pair[1].energy.mac.typical < pair[0].energy.mac.typical);
        assert_eq!(pair[1].time, pair[0].time, "the array does one product a cycle in every format");
    }
    let prices = PriceList::by_name("horowitz45").unwrap();
    let mac = |name: &str| -> f64 {
        let charges = charges(format(name), format(name), prices);
        charges
            .iter()
            .filter(|charge| charge.per == interplay_hw::cost::Per::Mac)
            .map(|charge| charge.energy.typical)
            .sum()
    };
    assert!((mac("fp32") - 4.6).abs() < 1e-12, "3.7 + 0.9 pJ");
    assert!((mac("int8") - 0.3).abs() < 1e-12, "0.2 + 0.1 pJ");
    // 0.2 pJ for 7 x 7 bits; 64 products of at most 127^2 need 20 bits and a sign: 0.1 pJ * 21/32.
    assert!((mac("hbfp8") - (0.2 + 0.1 * 21.0 / 32.0)).abs() < 1e-12, "{}", mac("hbfp8"));
    assert_eq!(Datapath::machine(format("fp32"), format("fp32")).name, "fp32");
}

/// The operations that records imply: counted by hand for one tensor core, and priced for every record.
fn inventory() {
    use interplay_hw::cost::{Per, charges_of};
    use interplay_hw::datapath::Operation;
    let fp32 = format("fp32");
    let unit = Datapath::by_name("hopper.mma.f16.f32").unwrap();
    let parts = unit.inventory(fp32, fp32);
    let find = |operation, per| parts.iter().find(|part| part.operation == operation && part.per == per).unwrap();
    assert_eq!(find(Operation::Multiply { a: 11, b: 11 }, Per::Mac).count, 1);
    // 25 fraction bits, two bits above the point and a sign; 17 terms add five bits.
    assert_eq!(find(Operation::Shift, Per::Mac).bits, 28);
    assert_eq!(find(Operation::Add, Per::Mac).bits, 33);
    assert_eq!((find(Operation::Shift, Per::Block).bits, find(Operation::Convert, Per::Block).bits), (28, 32));
    let four = Datapath::by_name("b200.tcgen05.mxf4.f32").unwrap().inventory(fp32, fp32);
    let sums = four.iter().find(|part| part.operation == Operation::Shift && part.per == Per::Block).unwrap();
    assert_eq!((sums.count, sums.bits), (5, 38), "four groups and the accumulator");
    for datapath in Datapath::all().iter().filter(|datapath| !datapath.is_host()) {
        for list in PriceList::all() {
            let charges = charges_of(datapath, format("hbfp8"), format("hbfp8"), list);
            let multiplies = charges.iter().any(|charge| charge.per == Per::Mac && charge.what.contains("multiply"));
            assert!(multiplies && charges.iter().all(|charge| charge.energy.typical > 0.0), "{}", datapath.name);
        }
    }
}

/// One small product, counted by hand.
fn traffic() {
    // Two folds of K, three of N. Activations: 16 rows of 192 elements and 3 exponents.
    let figures = scalesim(&[dense(16, 192, 300, "hbfp8")], "systolic-128").total;
    let [sram, dram]: [Moves; 2] = [0, 1].map(|level: usize| figures.memory[level].moves);
    let (values, scales, outputs) = (16 * 192 * 8, 16 * 3 * 10, 16 * 300 * 32);
    assert_eq!((dram.activation_values.0, dram.activation_scales.0), (values, scales));
    assert_eq!(
        (sram.activation_values.0, sram.activation_scales.0),
        (3 * values, 3 * scales),
        "once a fold of columns"
    );
    for level in [sram, dram] {
        assert_eq!((level.weight_values.0, level.weight_scales.0), (300 * 192 * 8, 300 * 3 * 10));
    }
    // SCALE-Sim writes sums in every fold of K and calls all of them outputs.
    assert_eq!(sram.writes().0, 2 * outputs);
    assert_eq!((dram.partial_sum_reads.0, dram.partial_sum_writes.0, dram.outputs.0), (0, 0, outputs));
    assert_eq!(figures.macs, 16 * 192 * 300);
    assert_eq!(figures.intensity, 2.0 * figures.macs as f64 / (dram.total().0 as f64 / 8.0));
}

/// Every number has a source, and derived ones say so.
fn prices() {
    for list in PriceList::all() {
        for name in ["fp32", "int8", "int4", "hbfp8", "mxfp8", "mxfp4"] {
            for charge in charges(format(name), format(name), list) {
                assert!(charge.energy.typical > 0.0 && !charge.source.is_empty(), "{charge:?}");
            }
        }
        let multiply = |name: &str| charges(format(name), format(name), list)[0];
        assert_eq!(multiply("int8").status, list.operations.int8_multiply.status);
        assert_eq!(multiply("int4").status, Status::Derived);
        assert_eq!(multiply("int4").energy.typical, list.operations.int8_multiply.energy.typical * (9.0 / 49.0));
    }
}

/// Field names of the machine-readable form.
fn json() {
    let json = serde_json::to_value(scalesim(&[dense(16, 64, 32, "hbfp8")], "systolic-128")).unwrap();
    assert_eq!(json["layers"][0]["name"], "layer");
    assert_eq!(json["layers"][0]["datapath"], "block");
    assert_eq!(json["total"]["time"]["compute_cycles"], 2 * 128 + 128 + 16 - 2 - 1);
    assert_eq!(json["total"]["memory"][1]["name"], "dram");
    assert_eq!(json["total"]["memory"][1]["weight_values_bits"], 64 * 32 * 8);
    assert!(json["total"]["energy_pj"]["total"]["typical"].as_f64().unwrap() > 0.0);
    assert_eq!(json["prices"], "horowitz45");
}
