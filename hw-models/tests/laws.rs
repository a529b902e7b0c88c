//! What must hold of every cost, whatever the records say.

use crate::support::{Kind, Random, case};
use interplay_formats::{Format, Order, Pattern, Pipeline};
use interplay_hw::{
    Accelerator, Cost, CycleModel, Cycles, Datapath, Gemm, Layer, PriceList, Workload, cost,
    cost::{Status, charges},
};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        case("laws::totals", totals),
        case("laws::orders", orders),
        case("laws::skips", skips),
        case("laws::buffers", buffers),
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

fn run(layers: &[Layer], accelerator: &Accelerator, model: &CycleModel, prices: &PriceList) -> Cost {
    cost(&Workload(layers.to_vec()), accelerator, model, prices).unwrap()
}

fn default(layers: &[Layer], accelerator: &str) -> Cost {
    let prices = PriceList::by_name("horowitz45").unwrap();
    run(layers, Accelerator::by_name(accelerator).unwrap(), CycleModel::by_name("scalesim").unwrap(), prices)
}

/// Utilisation is a share, energies are not negative, parts add up, `count` multiplies: for all records.
fn totals() {
    let mut random = Random(21);
    for _ in 0..200 {
        let [m, k, n, count] = [300, 900, 900, 5].map(|end| 1 + random.below(end));
        let format = &Format::all()[random.below(Format::all().len() as u64) as usize];
        let once = Layer::dense(Gemm::new("a", m, k, n), format, format).unwrap();
        let often = Layer { gemm: Gemm { count, ..once.gemm.clone() }, ..once.clone() };
        for accelerator in Accelerator::all() {
            for model in ["scalesim", "double-buffered"].map(|name| CycleModel::by_name(name).unwrap()) {
                for prices in PriceList::all() {
                    let cost = run(&[once.clone(), often.clone()], accelerator, model, prices);
                    let (a, b) = (&cost.layers[0].figures, &cost.layers[1].figures);
                    assert_eq!(b.cycles, Cycles(a.cycles.0 * count));
                    assert_eq!((b.macs, b.macs_executed), (a.macs * count, a.macs_executed * count));
                    assert_eq!(b.dram.total().0, a.dram.total().0 * count);
                    for figures in [a, b, &cost.total] {
                        assert!(figures.utilisation > 0.0 && figures.utilisation <= 1.0, "{figures:?}");
                        let energy = figures.energy;
                        assert!(energy.mac.0 > 0.0 && energy.sram.0 > 0.0 && energy.dram.0 > 0.0);
                        assert_eq!(energy.total, energy.mac + energy.sram + energy.dram);
                    }
                    assert_eq!(cost.total.cycles, Cycles(a.cycles.0 + b.cycles.0));
                    assert_eq!(cost.total.sram.total().0, a.sram.total().0 + b.sram.total().0);
                }
            }
        }
    }
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
                Layer { gemm, weight, activation, pattern, stored: stored.footprint() }
            });
            for accelerator in Accelerator::all() {
                let (sq, qs) = (
                    default(std::slice::from_ref(&sq), accelerator.name),
                    default(std::slice::from_ref(&qs), accelerator.name),
                );
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
        default(&[Layer { pattern, stored, ..dense(128, k as u64, n as u64, "hbfp8") }], accelerator).total
    };
    let share = |pattern: &str, accelerator: &str| {
        let figures = cost(pattern, accelerator);
        (figures.macs_executed * 4 / figures.macs, figures.cycles.0)
    };
    let dense = share("dense", "ws128");
    for pattern in ["50%", "2:4", "1:4", "4:8"] {
        assert_eq!(share(pattern, "ws128"), dense, "{pattern} on a dense machine");
    }
    assert_eq!(share("50%", "ws128-sparse24"), dense);
    assert_eq!(share("4:8", "ws128-sparse24"), dense, "4:8 is not 2:4");
    assert_eq!(share("2:4", "ws128-sparse24"), (2, 2 * 510 - 1), "one of two folds of K is left");
    assert_eq!(share("1:4", "ws128-sparse24"), (2, 2 * 510 - 1), "1:4 runs as 2:4");
    assert_eq!(share("1:4", "ws128-nofm").0, 1);
    assert_eq!(share("4:8", "ws128-nofm").0, 2);
    for pattern in ["2:4", "1:4"] {
        let (skipping, dense) = (cost(pattern, "ws128-sparse24"), cost(pattern, "ws128"));
        assert!(skipping.energy.total.0 < dense.energy.total.0);
        assert!(skipping.dram == dense.dram, "main memory holds the same bits");
    }
}

/// Larger buffers never mean more traffic, and of a small product nothing is fetched twice.
fn buffers() {
    let layer = dense(3000, 3072, 3072, "hbfp8");
    let machine = Accelerator::by_name("ws128").unwrap();
    let prices = PriceList::by_name("horowitz45").unwrap();
    let mut last = u64::MAX;
    for kib in [1, 16, 256, 1024, 4096, 1 << 14, 1 << 20] {
        let buffers = interplay_hw::cost::Buffers { activations_kib: kib, weights_kib: kib, outputs_kib: kib };
        let accelerator = Accelerator { buffers, ..*machine };
        let dram = run(std::slice::from_ref(&layer), &accelerator, CycleModel::by_name("scalesim").unwrap(), prices)
            .total
            .dram;
        assert!(dram.total().0 <= last, "{kib} KiB");
        last = dram.total().0;
    }
    let activations = layer.activation.footprint(3000, 3072, None);
    assert_eq!(last, layer.stored.total() + activations.total() + 3000 * 3072 * 32);
}

/// Fewer bits never move more, and the price of a multiplier follows its width.
fn formats() {
    let costs = ["fp32", "hbfp8", "hbfp6", "hbfp4"].map(|name| default(&[dense(128, 768, 768, name)], "ws128").total);
    for pair in costs.windows(2) {
        assert!(pair[1].dram.total().0 < pair[0].dram.total().0);
        assert!(pair[1].energy.mac.0 < pair[0].energy.mac.0);
        assert_eq!(pair[1].cycles, pair[0].cycles, "the array does one product a cycle in every format");
    }
    let prices = PriceList::by_name("horowitz45").unwrap();
    let mac = |name: &str| -> f64 {
        let charges = charges(format(name), format(name), prices);
        charges.iter().filter(|charge| charge.per == interplay_hw::cost::Per::Mac).map(|charge| charge.energy.0).sum()
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
            assert!(multiplies && charges.iter().all(|charge| charge.energy.0 > 0.0), "{}", datapath.name);
        }
    }
}

/// One small product, counted by hand.
fn traffic() {
    // Two folds of K, three of N. Activations: 16 rows of 192 elements and 3 exponents.
    let figures = default(&[dense(16, 192, 300, "hbfp8")], "ws128").total;
    let (values, scales) = (16 * 192 * 8, 16 * 3 * 10);
    assert_eq!(figures.dram.activation_values.0, values);
    assert_eq!(figures.dram.activation_scales.0, scales);
    assert_eq!(figures.sram.activation_values.0, values * (1 + 3), "written once, read for each fold of columns");
    assert_eq!(figures.sram.weight_values.0, 300 * 192 * 8 * 2);
    assert_eq!(figures.sram.weight_scales.0, 300 * 3 * 10 * 2);
    assert_eq!(figures.dram.weight_values.0, 300 * 192 * 8);
    assert_eq!(figures.sram.partial_sums.0, 16 * 300 * 32 * 2, "one round trip");
    assert_eq!((figures.dram.partial_sums.0, figures.dram.outputs.0), (0, 16 * 300 * 32));
    assert_eq!(figures.macs, 16 * 192 * 300);
}

/// Every number has a source, and derived ones say so.
fn prices() {
    for list in PriceList::all() {
        for name in ["fp32", "int8", "int4", "hbfp8", "mxfp8", "mxfp4"] {
            for charge in charges(format(name), format(name), list) {
                assert!(charge.energy.0 > 0.0 && !charge.source.is_empty(), "{charge:?}");
            }
        }
        let multiply = |name: &str| charges(format(name), format(name), list)[0];
        assert_eq!(multiply("int8").status, Status::Measured);
        assert_eq!(multiply("int4").status, Status::Derived);
        assert_eq!(multiply("int4").energy.0, list.int8_multiply.energy.0 * 9.0 / 49.0);
        assert!(list.sram.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1.energy.0 <= pair[1].1.energy.0));
        assert_eq!(list.sram_access(9).energy, list.sram_access(32).energy);
        assert_eq!(list.sram_access(1 << 30).energy, list.sram_access(1024).energy);
    }
}

/// Field names of the machine-readable form.
fn json() {
    let json = serde_json::to_value(default(&[dense(16, 64, 32, "hbfp8")], "ws128")).unwrap();
    assert_eq!(json["layers"][0]["name"], "layer");
    assert_eq!(json["layers"][0]["datapath"], "block");
    assert_eq!(json["total"]["cycles"], 2 * 128 + 128 + 16 - 2 - 1);
    assert_eq!(json["total"]["dram"]["weight_values_bits"], 64 * 32 * 8);
    assert!(json["total"]["energy_pj"]["total"].as_f64().unwrap() > 0.0);
    assert_eq!(json["prices"], "horowitz45");
}
