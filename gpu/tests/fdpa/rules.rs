//! The rules, called on the host.

use super::operands::{Kind, Random, Rows, values};
use interplay_formats::Value;
use interplay_gpu::fdpa::element::{Element, exponent, significand, word};
use interplay_gpu::fdpa::prepare::read;
use interplay_gpu::fdpa::simple::output;
use interplay_gpu::fdpa::step::{count, position, scale};
use interplay_gpu::fdpa::unit::{Aligned, Side, Unit};
use interplay_hw::Datapath;
use libtest_mimic::Trial;

/// Every record of the catalogue that a kernel covers.
fn covered() -> impl Iterator<Item = (&'static Datapath, Unit)> {
    Datapath::all().iter().filter_map(|datapath| Some((*datapath, Unit::of(datapath).ok()?)))
}

pub fn trials() -> Vec<Trial> {
    let trial = |(datapath, unit): (&'static Datapath, Unit)| {
        Trial::test(format!("fdpa::rule::{}", datapath.name), move || {
            against_definition(datapath, unit);
            Ok(())
        })
    };
    covered().map(trial).collect()
}

/// Rows of every kind, of lengths around an instruction's.
fn against_definition(datapath: &'static Datapath, unit: Unit) {
    let Unit::Aligned(unit) = unit;
    let mut random = Random(datapath.name.len() as u64);
    for round in 0..40 {
        for kind in Kind::ALL {
            let k = 1 + random.below(70) as usize;
            let rows = Rows::of(datapath, kind, k, &mut random);
            let got = by_rule(datapath, &rows, unit);
            let want = rows.definition(datapath, unit.nan);
            assert_eq!(
                got, want,
                "{}, {kind:?} {round}: {got:08x}, not {want:08x}: a {:x?}, b {:x?}, scales {:x?} {:x?}",
                datapath.name, rows.a, rows.b, rows.scale_a, rows.scale_b
            );
        }
    }
}

/// The result by the rule.
fn by_rule(datapath: &Datapath, rows: &Rows, unit: Aligned) -> u32 {
    let (a, b) = (values(&rows.a, rows.codes.a.format), values(&rows.b, rows.codes.b.format));
    let steps = count(a.len(), unit.steps);
    let (x, w) = (prepared(datapath, &a, unit.side(0)), prepared(datapath, &b, unit.side(1)));
    let (xs, ws) = (scales(rows, &rows.scale_a, &a, steps, unit), scales(rows, &rows.scale_b, &b, steps, unit));
    output(&x, &w, &xs, &ws, 0, 0, steps, unit)
}

/// A row's words, all of whose elements the format has.
fn prepared(datapath: &Datapath, row: &[u32], side: Side) -> Vec<u32> {
    let depth = datapath.depths.last().copied().unwrap_or(1);
    let order: Vec<u32> = datapath.order.positions(depth).iter().map(|&position| position as u32).collect();
    let positions = (0..count(row.len(), side.steps)).flat_map(|step| (0..side.steps.length).map(move |i| (step, i)));
    let elements = positions.map(|(step, i)| read(row, 0, position(step, i, &order, side.steps), row.len(), side.port));
    let word = |element: Element| {
        assert!(element.known, "{}: a number of the format is refused", datapath.name);
        let word = word(element.exponent, element.significand);
        assert_eq!((exponent(word), significand(word)), (element.exponent, element.significand));
        word
    };
    elements.map(word).collect()
}

/// The scale of every step.
fn scales(rows: &Rows, codes: &[u64], row: &[u32], steps: usize, unit: Aligned) -> Vec<u32> {
    if unit.scale_block == 0 {
        return Vec::new();
    }
    let codes = exponents(rows, codes);
    let block = |step: usize| step * unit.steps.length / unit.scale_block;
    let of = |block: usize| {
        codes.get(block).map_or(0, |&code| scale(code, row, 0, block * unit.scale_block, row.len(), unit.scale_block))
    };
    (0..steps).map(|step| of(block(step)) as u32).collect()
}

/// Exponents of power-of-two scales.
fn exponents(rows: &Rows, codes: &[u64]) -> Vec<u32> {
    let exponent = |&code: &u64| match rows.codes.scale.map(|scale| scale.format.decode(code)) {
        Some(Value::Finite(x)) => x.leading_exponent().map_or(0, |e| e as u32),
        _ => 0x8000_0000,
    };
    codes.iter().map(exponent).collect()
}
