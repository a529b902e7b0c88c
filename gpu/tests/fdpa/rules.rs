//! The rules, called on the host.

use super::operands::{Kind, Random, Rows, laid_out, values};
use interplay_gpu::fdpa::element::{Element, exponent, significand, word};
use interplay_gpu::fdpa::prepare::{factor, read};
use interplay_gpu::fdpa::step::{count, position};
use interplay_gpu::fdpa::unit::{Side, Unit};
use interplay_gpu::fdpa::{group_simple, simple};
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
    let mut random = Random(datapath.name.len() as u64);
    let nan = unit.nan();
    for round in 0..40 {
        for kind in Kind::ALL {
            let k = 1 + random.below(70) as usize;
            let rows = Rows::of(datapath, kind, k, &mut random);
            let got = by_rule(datapath, &rows, unit);
            let want = rows.definition(datapath, nan);
            assert_eq!(
                got, want,
                "{}, {kind:?} {round}: {got:08x}, not {want:08x}: a {:x?}, b {:x?}, scales {:x?} {:x?}",
                datapath.name, rows.a, rows.b, rows.scale_a, rows.scale_b
            );
        }
    }
}

/// The result by the rule.
fn by_rule(datapath: &Datapath, rows: &Rows, unit: Unit) -> u32 {
    let (a, b) = (values(&rows.a, rows.codes.a.format), values(&rows.b, rows.codes.b.format));
    let sides = [unit.side(0), unit.side(1)];
    let steps = count(a.len(), sides[0].steps);
    let (x, w) = (prepared(datapath, &a, sides[0]), prepared(datapath, &b, sides[1]));
    let (xs, ws) = (factors(rows, &rows.scale_a, &a, sides[0]), factors(rows, &rows.scale_b, &b, sides[1]));
    match unit {
        Unit::Aligned(unit) => simple::output(&x, &w, &xs, &ws, 0, 0, steps, unit),
        Unit::Grouped(unit) => group_simple::output(&x, &w, &xs, &ws, 0, 0, steps, unit),
    }
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

/// The scales of every step.
fn factors(rows: &Rows, codes: &[u64], row: &[u32], side: Side) -> Vec<u32> {
    let Some(scaling) = side.scaling else { return Vec::new() };
    let scales = laid_out(rows.codes.scale.unwrap().format, codes, scaling);
    let parts = count(row.len(), side.steps) * side.scales();
    (0..parts).map(|part| factor(row, &scales, 0, part * scaling.every, row.len(), scaling)).collect()
}
