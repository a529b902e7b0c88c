//! The rules, called on the host.

use super::operands::{Kind, Random, Side, definition};
use super::parts::runner;
use interplay_gpu::Error;
use interplay_gpu::fdpa::element::{Element, exponent, significand, word};
use interplay_gpu::fdpa::prepare::{factor, read};
use interplay_gpu::fdpa::register::zero;
use interplay_gpu::fdpa::step::{count, position};
use interplay_gpu::fdpa::unit::{self, Unit};
use interplay_gpu::fdpa::{group_simple, simple};
use interplay_hw::Datapath;
use interplay_hw::datapath::{Accumulator, Align, Arm, Group, Nan, Operand as Values, Order, Overflow, Round, Sum};
use libtest_mimic::Trial;
use proptest::prelude::*;

pub fn trials() -> Vec<Trial> {
    let covered = Datapath::all().iter().filter_map(|datapath| Some((*datapath, Unit::of(datapath).ok()?)));
    let rule = |(datapath, unit): (&'static Datapath, Unit)| {
        Trial::test(format!("fdpa::rule::{}", datapath.name), move || {
            against_definition(datapath, unit);
            Ok(())
        })
    };
    let mut all: Vec<Trial> = covered.map(rule).collect();
    let case = |name: &str, run: fn()| {
        Trial::test(format!("fdpa::{name}"), move || {
            run();
            Ok(())
        })
    };
    all.push(case("designed", designed_units));
    all.push(case("short_instructions", short_instructions));
    all.push(case("covered", what_is_covered));
    all.push(case("cpu_only", what_is_not));
    all
}

/// A designer's variation of a record: another width, floor, step, overflow and NaN.
fn varied(base: &Datapath, seed: u64) -> Option<Datapath> {
    let mut random = Random(seed);
    let floors = [-150, -133, -60, -20, -4, 3];
    let (bits, floor) = (1 + random.below(38) as u32, floors[random.below(6) as usize]);
    let overflow = [Overflow::Infinity, Overflow::Ieee, Overflow::Saturate][random.below(3) as usize];
    let nan = [Nan::Ones, Nan::Quiet][random.below(2) as usize];
    let [round] = base.sum.round else { return None };
    let arms: Vec<Arm> = base.sum.arms.iter().map(|arm| Arm { fraction_bits: bits, ..*arm }).collect();
    let sum = Sum { arms: arms.leak(), align: Some(Align { floor }), round: vec![Round { overflow, ..*round }].leak() };
    let Group::Of(group) = base.order.group else { return None };
    let group = if random.below(2) == 0 { group } else { (group / 2).max(1) };
    let order = Order { group: Group::Of(group), ..base.order };
    let accumulator = Accumulator { nan, ..base.accumulator };
    Some(Datapath { sum: Box::leak(Box::new(sum)), order, accumulator, ..*base })
}

/// Units that no machine has.
fn designed_units() {
    const BASES: [&str; 11] = [
        "ampere.mma.f16.f16",
        "hopper.mma.f16.f32",
        "hopper.wgmma.bf16.f32",
        "hopper.mma.tf32.f32",
        "hopper.mma.e4m3.f16",
        "hopper.mma.e5m2.f32",
        "hopper.wgmma.e4m3.f32",
        "b200.tcgen05.e2m3xe5m2.f16",
        "b200.tcgen05.mxf8f6f4-e4m3xe3m2.f32",
        "b200.tcgen05.mxf4.f32",
        "b200.tcgen05.nvf4.f32",
    ];
    let cases = (prop::sample::select(&BASES[..]), prop::sample::select(&Kind::ALL[..]), 1usize..130, any::<u64>());
    let covered = std::cell::Cell::new(0);
    let test = |(base, kind, k, seed): (&str, Kind, usize, u64)| {
        let datapath = varied(Datapath::by_name(base).unwrap(), seed).unwrap();
        // A width that the kernels do not have, or groups of another length than the step's.
        let Ok(unit) = Unit::of(&datapath) else { return Ok(()) };
        covered.set(covered.get() + 1);
        let (x, w) = Side::pair(&datapath, kind, [1, 1, k], &mut Random(seed));
        let got = by_rule(&datapath, [&x, &w], unit);
        let want = definition(&datapath, &x, &w, [0, 0], unit.nan());
        prop_assert_eq!(got, want, "{}: {:08x}, not {:08x}: {:?} {:x?} {:x?}", base, got, want, unit, x, w);
        Ok(())
    };
    runner(6000).run(&cases, test).unwrap_or_else(|error| panic!("{error}"));
    assert!(covered.get() > 3000, "only {} variations have kernels", covered.get());
}

/// Rows of every kind, of lengths around an instruction's.
fn against_definition(datapath: &'static Datapath, unit: Unit) {
    let cases = (prop::sample::select(&Kind::ALL[..]), 1usize..130, any::<u64>());
    let result = runner(300).run(&cases, |(kind, k, seed)| {
        let (x, w) = Side::pair(datapath, kind, [1, 1, k], &mut Random(seed));
        let got = by_rule(datapath, [&x, &w], unit);
        let want = definition(datapath, &x, &w, [0, 0], unit.nan());
        prop_assert_eq!(got, want, "{:08x}, not {:08x}: {:x?} {:x?}", got, want, x, w);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{}: {error}", datapath.name));
}

/// The result by the rule.
fn by_rule(datapath: &Datapath, operands: [&Side; 2], unit: Unit) -> u32 {
    let steps = count(operands[0].k, unit.side(0).steps);
    let order = row_order(datapath);
    let [x, w] = [0, 1].map(|side| prepared(datapath.name, &operands[side].values(), unit.side(side), &order, steps));
    let [xs, ws] = [0, 1].map(|side| factors(operands[side], unit.side(side)));
    match unit {
        Unit::Aligned(unit) => simple::output(&x, &w, &xs, &ws, 0, 0, steps, &zero(), unit),
        Unit::Grouped(unit) => group_simple::output(&x, &w, &xs, &ws, 0, 0, steps, &zero(), unit),
    }
}

/// The positions of an instruction in the order of its steps.
pub fn row_order(datapath: &Datapath) -> Vec<u32> {
    let depth = datapath.depths.last().copied().unwrap_or(1);
    datapath.order.positions(depth).iter().map(|&position| position as u32).collect()
}

/// The words of so many steps of a row, all of whose elements the format has.
pub fn prepared(name: &str, row: &[u32], side: unit::Side, order: &[u32], steps: usize) -> Vec<u32> {
    let positions = (0..steps).flat_map(|step| (0..side.steps.length).map(move |i| (step, i)));
    let elements = positions.map(|(step, i)| read(row, 0, position(step, i, order, side.steps), row.len(), side.port));
    let word = |element: Element| {
        assert!(element.known, "{name}: a number of the format is refused");
        let word = word(element.exponent, element.significand);
        assert_eq!((exponent(word), significand(word)), (element.exponent, element.significand));
        word
    };
    elements.map(word).collect()
}

/// The scales of every step.
fn factors(operand: &Side, side: unit::Side) -> Vec<u32> {
    let Some(scaling) = side.scaling else { return Vec::new() };
    let (row, scales) = (operand.values(), operand.laid_out(scaling));
    let parts = count(row.len(), side.steps) * side.scales();
    (0..parts).map(|part| factor(&row, &scales, 0, part * scaling.every, row.len(), scaling)).collect()
}

/// Every dense float unit of NVIDIA's has kernels.
fn what_is_covered() {
    for datapath in Datapath::all() {
        let dense = datapath.tensor_unit().is_some() && datapath.codes().is_ok_and(|codes| codes.sparse.is_none());
        assert_eq!(Unit::of(datapath).is_ok(), dense, "{}", datapath.name);
    }
    for name in ["volta.mma.f16.f16-f32", "hopper.wgmma.e4m3.f32", "b200.tcgen05.nvf4.f32"] {
        assert!(Unit::of(Datapath::by_name(name).unwrap()).is_ok(), "{name}");
    }
}

/// Other units are refused with the part that decides.
fn what_is_not() {
    let refused = [
        ("ideal", "codes of scalar formats"),
        ("hopper.mma.f64.f64", "aligned and truncated together"),
        ("cdna1.mfma.f16.f32", "aligned and truncated together"),
        ("cdna2.mfma.f16.f32", "aligned and truncated together"),
        ("cdna3.mfma.f16.f32", "aligned and truncated together"),
        ("ampere.mma-sp-h1.f16.f32", "a sparse operand"),
    ];
    for (name, wanted) in refused {
        match Unit::of(Datapath::by_name(name).unwrap()) {
            Err(Error::CpuOnly { datapath, part }) => {
                assert_eq!(datapath, name);
                assert!(part.contains(wanted), "{name}: {part}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// The steps of nothing but padding that end an instruction cut an accumulator of more bits than they keep, on the CPU's
/// fast kernels too.
fn short_instructions() {
    let base = Datapath::by_name("hopper.mma.f16.f32").unwrap();
    let arms: Vec<Arm> = base.sum.arms.iter().map(|arm| Arm { fraction_bits: 10, ..*arm }).collect();
    let sum = Sum { arms: arms.leak(), ..*base.sum };
    let order = Order { group: Group::Of(8), ..base.order };
    let datapath = Datapath { name: "short-instructions", sum: Box::leak(Box::new(sum)), order, ..*base };
    let mut random = Random(3);
    for k in [7, 8, 16, 20, 40] {
        let mut values = || (0..4 * k).map(|_| random.below(251) as f32 - 125.0).collect::<Vec<f32>>();
        let (x, w) = (values(), values());
        let (x, w) = (Values::Values { data: &x, k }, Values::Values { data: &w, k });
        let bits = |values: Vec<f32>| values.iter().map(|value| value.to_bits()).collect::<Vec<u32>>();
        let got = datapath.gemm(x, &datapath.prepare(w).unwrap()).unwrap();
        assert_eq!(bits(got), bits(datapath.gemm_reference(x, w).unwrap()), "k = {k}");
    }
}
