//! What must hold of every record that takes codes, whatever it says; and where a law ends, an example.

use crate::evaluator::lengths;
use crate::mmasim::same;
use crate::reference::unit::{Model, Unit};
use crate::rows::{self, Class, Codes};
use crate::support::{Random, case};
use interplay_formats::Value;
use interplay_hw::datapath::{Nan, Zero};
use interplay_hw::{Datapath, Row};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        case("unit_laws::permuted", permuted),
        case("unit_laws::pairs_of_cdna2", pairs_of_cdna2),
        case("unit_laws::negated", negated),
        case("unit_laws::floors_of_cdna3", floors_of_cdna3),
        case("unit_laws::padded", padded),
        case("unit_laws::nan", nan),
    ]
}

/// Every record that takes codes, with its independent description and its own randomness.
fn records() -> impl Iterator<Item = (&'static Datapath, Unit, Random)> {
    let all = Datapath::all().iter().enumerate();
    all.filter_map(|(i, record)| Some((*record, Unit::of(record.name)?, Random(0x1A35 + i as u64))))
}

/// Positions that a product may change places with: those of its step, and of the same class, half or group.
fn class_of(unit: &Unit, position: usize) -> (usize, usize) {
    let inside = match unit.model {
        Model::Widened(..) => return (0, position % 4 / 2),
        Model::HalvesFirst => position % 2,
        Model::Groups(length) => position % unit.step / length,
        Model::Flushing => position % unit.step / 2,
        _ => 0,
    };
    (position / unit.step, inside)
}

/// Products of one step (one half, one group, one pair) may change places. Sparse rows keep their metadata, so that only
/// dense records are asked; scales stay where they are, as a step has one a group.
fn permuted() {
    for (record, unit, mut random) in records().filter(|(_, unit, _)| unit.sparse.is_none()) {
        let (depth, _) = *lengths(record).last().expect("a depth");
        for class in Class::ALL {
            let own = rows::row(&unit, class, depth, &mut random);
            let mut moved = own.clone();
            for i in (1..depth).rev() {
                let j = random.below(i as u64 + 1) as usize;
                let scaled = |p: usize| unit.scale.map_or(0, |(_, block)| p / block);
                if class_of(&unit, i) == class_of(&unit, j) && scaled(i) == scaled(j) {
                    moved.a.swap(i, j);
                    moved.b.swap(i, j);
                }
            }
            equal(record, (&own, &moved), depth, "permuted");
        }
    }
}

#[track_caller]
fn equal(record: &Datapath, (one, two): (&Codes, &Codes), depth: usize, what: &str) {
    let [got, want] = [two, one].map(|codes| record.dot(codes.row(), Some(depth)).expect("a row of the right lengths"));
    assert!(same(record, got, want), "{}: {what} gives {got:#x}, not {want:#x}, of {one:x?}", record.name);
}

/// Across pairs CDNA2 is not symmetric: 1 + 2^-24 + 2^-24 + 0 rounds to 1 or to the next number, by who meets whom.
fn pairs_of_cdna2() {
    let record = Datapath::by_name("cdna2.mfma.f16.f32").unwrap();
    let (one, small) = (0x3C00, 0x0C00); // 1 and 2^-12
    let dot = |order: [u64; 4]| record.dot(Row { a: &order, b: &order, ..Row::default() }, Some(4)).unwrap();
    assert_eq!(dot([one, small, small, 0]), 0x3F80_0000, "(1 + 2^-24) + 2^-24: a tie each time");
    assert_eq!(dot([one, 0, small, small]), 0x3F80_0001, "1 + (2^-24 + 2^-24)");
}

/// Negating A and C negates D wherever every rounding treats both signs alike.
fn negated() {
    let asymmetric = |record: &Datapath, unit: &Unit| {
        let directed = record.name.ends_with("-rm") || record.name.ends_with("-rp");
        // Unsigned integers have no sign, and -2^31 has no opposite.
        directed || matches!(unit.model, Model::ProductsFirst | Model::HalvesFirst | Model::Integer(_))
    };
    for (record, unit, mut random) in records().filter(|(record, unit, _)| !asymmetric(record, unit)) {
        let sign = 1u64 << (record.codes().unwrap().a.format.bits() - 1);
        let [sign_c, sign_d] = [record.accumulator.c, record.accumulator.d].map(|format| 1u64 << (format.bits() - 1));
        for (depth, k) in lengths(record) {
            for class in Class::ALL {
                let own = rows::row(&unit, class, k, &mut random);
                let mut opposite = Codes { c: own.c ^ sign_c, ..own.clone() };
                opposite.a.iter_mut().for_each(|a| *a ^= sign);
                let [d, negative] = [&own, &opposite].map(|codes| record.dot(codes.row(), Some(depth)).unwrap());
                let value = |code: u64| record.accumulator.d.decode(code);
                let zero = |code: u64| value(code).finite().is_some_and(interplay_formats::Exact::is_zero);
                // Cancelling sums are +0 either way.
                let holds =
                    negative == d ^ sign_d || zero(d) && zero(negative) || d == negative && value(d) == Value::Nan;
                assert!(holds, "{}, {class:?}: {d:#x} and {negative:#x} of {own:x?}", record.name);
            }
        }
    }
}

/// CDNA3 floors: where half a last place is a tie, the least product beside it vanishes in the positive sum and takes the
/// negative one down to the next number.
fn floors_of_cdna3() {
    let record = Datapath::by_name("cdna3.mfma.f16.f32").unwrap();
    let dot =
        |a: [u64; 4], b: [u64; 4], c: u64| record.dot(Row { a: &a, b: &b, c, ..Row::default() }, Some(4)).unwrap();
    // 2^-12, whose square is half a last place of 1; 2^-24; the sign of FP16.
    let (half_place, least, minus) = (0x0C00, 0x0001, 0x8000);
    let up = dot([half_place, least, 0, 0], [half_place, least, 0, 0], 0x3F80_0000);
    let down = dot([half_place | minus, least | minus, 0, 0], [half_place, least, 0, 0], 0xBF80_0000);
    assert_eq!((up, down), (0x3F80_0000, 0xBF80_0001));
}

/// Positions of +0 at the end of a row change nothing: a short row is that row with zeros.
fn padded() {
    for (record, unit, mut random) in records() {
        // A chain adds +0 * +0 in earnest, and -0 + 0 is +0.
        let chain = record.depths.is_empty();
        let (depth, _) = lengths(record)[0];
        let (_, m, _) = unit.sparse.unwrap_or((1, 1, 1));
        let block = unit.scale.map_or(m, |(_, block)| block.max(m));
        let depth = if chain { 16 } else { depth.max(*record.depths.last().unwrap_or(&depth)) };
        let short = if depth > block { depth - block } else { continue };
        for class in Class::ALL {
            let own = rows::row(&unit, class, short, &mut random);
            let mut long = own.clone();
            let (n, _, _) = unit.sparse.unwrap_or((1, 1, 1));
            long.a.resize(depth * n / m, 0);
            long.b.resize(depth, 0);
            let legal = if m == 2 { 0b0100 } else { 0b1110 };
            long.metadata.resize(if unit.sparse.is_some() { depth / m } else { 0 }, legal);
            let scales = unit.scale.map_or(0, |(_, block)| depth / block);
            long.scale_a.resize(scales, 0x38);
            long.scale_b.resize(scales, 0x38);
            let [got, want] = [&own, &long].map(|codes| record.dot(codes.row(), (!chain).then_some(depth)).unwrap());
            let zero = |code: u64| code << (65 - record.accumulator.d.bits()) == 0;
            let signs = record.accumulator.zero != Zero::Positive && zero(got) && zero(want);
            assert!(got == want || signs, "{}, {class:?}: {got:#x} and {want:#x} of {own:x?}", record.name);
        }
    }
}

/// Every NaN that comes out is the one that the record names, from whatever it came.
fn nan() {
    let mut seen = 0;
    for (record, unit, mut random) in records() {
        let d = record.accumulator.d;
        let canonical = match record.accumulator.nan {
            Nan::Ones => (1u64 << (d.bits() - 1)) - 1,
            Nan::Quiet | Nan::Any => d.nan_code().unwrap_or_default(),
        };
        let (depth, k) = lengths(record)[0];
        for _ in 0..20 {
            let codes = rows::row(&unit, Class::Specials, k, &mut random);
            let got = record.dot(codes.row(), Some(depth)).unwrap();
            if d.decode(got) == Value::Nan {
                assert_eq!(got, canonical, "{}, of {codes:x?}", record.name);
                seen += 1;
            }
        }
    }
    assert!(seen > 1000, "only {seen} NaN");
}
