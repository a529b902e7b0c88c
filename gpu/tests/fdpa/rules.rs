//! The rules, called on the host.

use super::operands::{Kind, Random, Side, definition};
use interplay_gpu::Error;
use interplay_gpu::fdpa::element::{Element, exponent, significand, word};
use interplay_gpu::fdpa::prepare::{factor, read};
use interplay_gpu::fdpa::register::zero;
use interplay_gpu::fdpa::step::{count, position};
use interplay_gpu::fdpa::unit::{self, Unit};
use interplay_gpu::fdpa::{group_simple, simple};
use interplay_hw::Datapath;
use libtest_mimic::Trial;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

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
    all.push(case("covered", what_is_covered));
    all.push(case("cpu_only", what_is_not));
    all
}

/// Rows of every kind, of lengths around an instruction's.
fn against_definition(datapath: &'static Datapath, unit: Unit) {
    let cases = (prop::sample::select(&Kind::ALL[..]), 1usize..130, any::<u64>());
    let config = Config { failure_persistence: None, ..Config::with_cases(300) };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let result = runner.run(&cases, |(kind, k, seed)| {
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
