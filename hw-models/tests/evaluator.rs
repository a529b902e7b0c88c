//! The interpreter against the published models in integers without limits, for every record that takes codes.

use crate::mmasim::same;
use crate::reference::{
    self,
    unit::{Model, Unit},
};
use crate::rows::{self, Class};
use crate::support::{Random, case};
use interplay_hw::{Datapath, datapath::Zero};
use libtest_mimic::Trial;

/// Families of models, and how many rows of a class each record has.
const FAMILIES: [(&str, u64); 9] = [
    ("t-fdpa", 4),
    ("st-fdpa", 5),
    ("gst-fdpa", 24),
    ("e-fdpa", 100),
    ("ftz", 100),
    ("tr-fdpa", 100),
    ("gtr-fdpa", 100),
    ("widened", 24),
    ("integers", 3),
];

pub fn trials() -> Vec<Trial> {
    let mut trials: Vec<Trial> = FAMILIES
        .into_iter()
        .map(|(name, rows)| case(&format!("evaluator::{name}"), move || family_agrees(name, rows)))
        .collect();
    trials.push(case("evaluator::chains", || family_agrees("chain", 60)));
    trials.push(case("evaluator::every_record", every_record));
    trials.push(case("evaluator::rows_discriminate", rows_discriminate));
    trials
}

fn family(unit: &Unit) -> &'static str {
    match unit.model {
        Model::Truncating(..) if unit.scale.is_some() => "st-fdpa",
        Model::Truncating(..) => "t-fdpa",
        Model::Widened(..) => "widened",
        Model::Groups(_) => "gst-fdpa",
        Model::Exact => "e-fdpa",
        Model::Flushing => "ftz",
        Model::ProductsFirst => "tr-fdpa",
        Model::HalvesFirst => "gtr-fdpa",
        Model::Chain(_) => "chain",
        Model::Integer(_) => "integers",
    }
}

/// Only the records whose operands are whole matrices have no model here: `big` has them.
fn every_record() {
    let without: Vec<&str> =
        Datapath::all().iter().filter(|record| Unit::of(record.name).is_none()).map(|record| record.name).collect();
    assert_eq!(without, ["fake", "int8", "block"]);
    for record in Datapath::all() {
        if let Some(unit) = Unit::of(record.name) {
            let name = family(&unit);
            assert!(name == "chain" || FAMILIES.iter().any(|(known, _)| *known == name), "{}", record.name);
        }
    }
}

/// The depths of an instruction and lengths of a row: one instruction, and a chain of them.
pub fn lengths(record: &Datapath) -> Vec<(usize, usize)> {
    match record.depths {
        [] => vec![(1, 1), (4, 4), (16, 16), (4, 12)],
        depths => depths.iter().flat_map(|&depth| [(depth, depth), (depth, 3 * depth)]).collect(),
    }
}

/// Every record of a family, at every depth, on every class of rows.
fn family_agrees(name: &str, rows: u64) {
    let mut checked = 0;
    for (index, record) in Datapath::all().iter().enumerate() {
        let Some(unit) = Unit::of(record.name).filter(|unit| family(unit) == name) else { continue };
        let mut random = Random(0xE0A1 + index as u64);
        for (depth, k) in lengths(record) {
            for class in Class::ALL {
                for _ in 0..rows {
                    let codes = rows::row(&unit, class, k, &mut random);
                    let want = reference::dot(&unit, codes.row(), depth);
                    let got = record.dot(codes.row(), Some(depth)).unwrap_or_else(|e| panic!("{}: {e}", record.name));
                    let strict = record.accumulator.zero == Zero::Ieee;
                    let zeros = |code: u64| code << 1 == 0;
                    let signs = strict && zeros(got) && got != want;
                    assert!(
                        same(record, got, want) && !signs,
                        "{}, depth {depth}, {class:?}: {got:#x}, not {want:#x}, of {codes:x?}",
                        record.name
                    );
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 5000, "{name}: only {checked} rows");
}

/// A model with something changed.
type Twin<'a> = &'a dyn Fn(Unit) -> Unit;

/// The rows tell a model from its neighbours: one bit more or less, half a step, another exponent of zeros.
fn rows_discriminate() {
    let truncating = |by: (i64, i64)| {
        move |unit: Unit| match unit.model {
            Model::Truncating(fraction, zero, rho) => {
                Unit { model: Model::Truncating(fraction + by.0, zero + by.1, rho), ..unit }
            }
            _ => unit,
        }
    };
    let halved = |unit: Unit| Unit { step: unit.step / 2, ..unit };
    let late = |unit: Unit| Unit { model: Model::ProductsFirst, ..unit };
    let paired = |unit: Unit| Unit { model: Model::Exact, ..unit };
    let groups = |unit: Unit| Unit { model: Model::Groups(8), ..unit };
    let whole = |unit: Unit| Unit { model: Model::Truncating(25, -133, reference::truncated()), step: 32, ..unit };
    let wraps = |unit: Unit| Unit { model: Model::Integer(false), ..unit };
    let twins: [(&str, &str, Twin<'_>); 15] = [
        ("hopper.mma.f16.f32", "a bit more", &truncating((1, 0))),
        ("hopper.mma.f16.f32", "a bit less", &truncating((-1, 0))),
        ("ampere.mma.bf16.f32", "zeros one higher", &truncating((0, 1))),
        ("ampere.mma.bf16.f32", "zeros one lower", &truncating((0, -1))),
        ("volta.mma.f16.f16", "zeros one higher", &truncating((0, 1))),
        ("ada.mma.e4m3.f32", "a bit more", &truncating((1, 0))),
        ("hopper.wgmma.e5m2.f32", "half a step", &halved),
        ("b200.tcgen05.mxf8f6f4-e4m3.f32", "half a step", &halved),
        ("b200.tcgen05.nvf4.f32", "groups of 8", &groups),
        ("b200.mma.e4m3.f32", "one step and the accumulator", &whole),
        ("cdna1.mfma.f16.f32", "half a step", &halved),
        ("cdna2.mfma.f16.f32", "exact", &paired),
        ("cdna3.mfma.f16.f32", "half a step", &halved),
        ("cdna3.mfma.e4m3fnuz.f32", "odd and even together", &late),
        ("ampere.mma.s8.s32sat", "wraps", &wraps),
    ];
    for (name, what, twin) in twins {
        let (record, unit) = (Datapath::by_name(name).unwrap(), Unit::of(name).unwrap());
        let mut random = Random(0x7151);
        let depth = record.depths[record.depths.len() - 1];
        let differ = (0..4000).flat_map(|_| Class::ALL).any(|class| {
            let codes = rows::row(&unit, class, depth, &mut random);
            !same(record, record.dot(codes.row(), None).unwrap(), reference::dot(&twin(unit), codes.row(), depth))
        });
        assert!(differ, "{name}: no row tells it from a twin with {what}");
    }
}
