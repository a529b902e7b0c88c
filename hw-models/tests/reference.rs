//! The published models of matrix units in integers without limits (num-bigint), written from their formulas and the
//! names of instructions: nothing of the crate is used but the struct that carries a row.

pub mod number;
pub mod unit;

use interplay_hw::Row;
use num_bigint::BigInt;
use number::{F16, Format, Mode, NO_EXPONENT, Number, Rho, Term, cut, is_zero, leading, power, special};
use unit::{Model, Operand, Scale, Unit};

/// `d = c + a . b` by instructions of `depth` positions, which divides the row.
pub fn dot(unit: &Unit, row: Row<'_>, depth: usize) -> u64 {
    let stored = unit.sparse.map_or(depth, |(n, m, _)| depth * n / m);
    if let Model::Integer(saturating) = unit.model {
        return integers(unit, row, stored, saturating);
    }
    let (Some(c), Some(d)) = (unit.c, unit.d) else { return 0 };
    let products = products(unit, row);
    let mut accumulator = c.decode(row.c);
    for instruction in products.chunks(stored) {
        accumulator = match unit.model {
            Model::Widened(zero, rho, last) => widened(instruction, accumulator, zero, rho, (last, d)),
            _ => instruction.chunks(unit.step).fold(accumulator, |c, step| d_term(d, one(unit, step, &c))),
        };
    }
    if unit.nvidia {
        match &accumulator.number {
            Number::Nan => return (1 << (d.bits() - 1)) - 1,
            Number::Finite(x, _) if is_zero(x) => return 0,
            _ => {}
        }
    }
    d.encode(&accumulator.number)
}

/// FP32 by truncation.
pub fn truncated() -> Rho {
    Rho::to(number::F32, Mode::Zero)
}

/// The term of a result, as the next step reads it.
fn d_term(d: Format, number: Number) -> Term {
    let exponent = match &number {
        Number::Finite(x, _) => leading(x).map_or(NO_EXPONENT, |top| top.max(d.emin())),
        _ => NO_EXPONENT,
    };
    Term { number, exponent }
}

/// Positions of the stored elements.
pub fn stored_positions(sparse: Option<(usize, usize, usize)>, metadata: &[u64], k: usize) -> Vec<usize> {
    let Some((_, m, together)) = sparse else { return (0..k).collect() };
    let inside = |code: u64| -> Vec<usize> {
        match (m, code) {
            (2, 0b0100) => vec![0],
            (2, _) => vec![1],
            _ => [code & 3, code >> 2]
                .into_iter()
                .flat_map(|unit| (0..together).map(move |i| unit as usize * together + i))
                .collect(),
        }
    };
    metadata
        .iter()
        .enumerate()
        .flat_map(|(group, &code)| inside(code).into_iter().map(move |p| group * m + p))
        .collect()
}

/// Products of the stored elements and those that they meet, under their scales.
fn products(unit: &Unit, row: Row<'_>) -> Vec<Term> {
    let positions = stored_positions(unit.sparse, row.metadata, row.b.len());
    let scaled = |term: Term, scales: &[u64], position: usize| match unit.scale {
        None => term,
        Some((scale, block)) => {
            let factor = factor(scale, scales[position / block]);
            // Where elements are integers to the adder, only scales have exponents.
            let groups = matches!(unit.model, Model::Groups(_)) && term.exponent != NO_EXPONENT;
            (if groups { Term { exponent: 0, ..term } } else { term }).times(&factor)
        }
    };
    let flushing = unit.model == Model::Flushing;
    let wide = matches!(unit.model, Model::Widened(..));
    let read = |operand: Operand, code: u64| element(operand, code, flushing, wide);
    positions
        .iter()
        .zip(row.a)
        .map(|(&p, &code)| {
            scaled(read(unit.a, code), row.scale_a, p).times(&scaled(read(unit.b, row.b[p]), row.scale_b, p))
        })
        .collect()
}

fn element(operand: Operand, code: u64, flushing: bool, widened: bool) -> Term {
    let format = match operand {
        Operand::Float(format) => format,
        Operand::Register => return number::F32.decode(code & !0x1FFF),
        Operand::Integer { .. } => return Term::zero(),
    };
    let term = format.decode(code);
    let Some(top) = leading(&term.units()) else { return term };
    match term {
        _ if flushing && top < format.emin() => Term::zero(),
        term if widened => Term { exponent: top.max(F16.emin()), ..term },
        term => term,
    }
}

fn factor(scale: Scale, code: u64) -> Term {
    match scale {
        Scale::Ue8m0 if code == 0xFF => Term { number: Number::Nan, exponent: NO_EXPONENT },
        Scale::Ue8m0 => power(code as i64 - 127),
        Scale::Ue4m3 => number::E4M3.decode(code & 0x7F),
    }
}

/// One step of every model but the integers' and the widened one.
fn one(unit: &Unit, products: &[Term], c: &Term) -> Number {
    match unit.model {
        Model::Truncating(fraction, zero, rho) => truncating(products, c, fraction, zero, rho),
        Model::Groups(length) => {
            let groups: Vec<Term> = products.chunks(length).map(group).collect();
            truncating(&groups, c, 35, -139, truncated())
        }
        Model::Exact => sum(products.iter().chain([c]), Rho::to(number::F32, Mode::Nearest)),
        Model::Chain(rho) => sum(products.iter().chain([c]), rho),
        Model::Flushing => flushing(products, c),
        Model::ProductsFirst => late(products, c, false),
        Model::HalvesFirst => late(products, c, true),
        Model::Widened(..) | Model::Integer(_) => Number::Nan,
    }
}

/// All terms at the greatest exponent, each truncated, the sum rounded once.
fn truncating(products: &[Term], c: &Term, fraction: i64, zero: i64, rho: Rho) -> Number {
    let terms = || products.iter().chain([c]);
    if let Some(special) = special(terms().map(|term| &term.number)) {
        return special;
    }
    let exponent = terms().map(|term| term.exponent).fold(zero, i64::max);
    let sum: BigInt = terms().map(|term| cut(&term.units(), exponent - fraction, Mode::Zero)).sum();
    rho.round(&sum, false)
}

/// The exact sum of a group under its scales: its exponent is the scales', also where it cancels.
fn group(products: &[Term]) -> Term {
    let exponent = products.iter().map(|term| term.exponent).fold(NO_EXPONENT, i64::max);
    let number = special(products.iter().map(|term| &term.number));
    let number = number.unwrap_or_else(|| Number::Finite(products.iter().map(Term::units).sum(), false));
    Term { number, exponent }
}

/// The exact sum, rounded once; the sign of a zero as IEEE 754 says.
fn sum<'a>(terms: impl Iterator<Item = &'a Term> + Clone, rho: Rho) -> Number {
    if let Some(special) = special(terms.clone().map(|term| &term.number)) {
        return special;
    }
    let total: BigInt = terms.clone().map(Term::units).sum();
    let minus_zero = |term: &Term| matches!(&term.number, Number::Finite(x, true) if is_zero(x));
    let plus_zero = |term: &Term| matches!(&term.number, Number::Finite(x, false) if is_zero(x));
    let negative = terms.clone().all(minus_zero) || rho.mode == Mode::Down && !terms.clone().all(plus_zero);
    rho.round(&total, negative)
}

/// FP8 widened to FP16: positions 0 and 1 of every four, then 2 and 3, from zero; the accumulator comes last.
fn widened(products: &[Term], c: Term, zero: i64, rho: Rho, (last, d): (Rho, Format)) -> Term {
    let half = |residues: [usize; 2]| -> Vec<Term> {
        let inside = |k: &usize| residues.contains(&(k % 4));
        (0..products.len()).filter(inside).map(|k| products[k].clone()).collect()
    };
    let t = d_term(d, truncating(&half([0, 1]), &Term::zero(), 25, zero, rho));
    let t = d_term(d, truncating(&half([2, 3]), &t, 25, zero, rho));
    d_term(d, sum([t, c].iter(), last))
}

/// CDNA2: FP32 products and pairwise FP32 sums, every subnormal result a zero.
fn flushing(products: &[Term], c: &Term) -> Number {
    let flush = |number: Number| match number {
        Number::Finite(x, negative) if leading(&x).is_some_and(|top| top < -126) => {
            Number::Finite(BigInt::from(0), negative)
        }
        number => number,
    };
    let rho = Rho::to(number::F32, Mode::Nearest);
    let add = |terms: &[Term]| d_term(number::F32, flush(sum(terms.iter(), rho)));
    let mut level: Vec<Term> = products.iter().map(|product| add(std::slice::from_ref(product))).collect();
    while level.len() > 1 {
        level = level.chunks(2).map(add).collect();
    }
    let c = Term { number: flush(c.number.clone()), ..c.clone() };
    let c = if is_zero(&c.units()) && matches!(c.number, Number::Finite(..)) { Term::zero() } else { c };
    add(&[c, level.pop().unwrap_or_else(Term::zero)]).number
}

/// CDNA3: products first, with floors; FP8 sums even and odd products apart.
fn late(products: &[Term], c: &Term, halves: bool) -> Number {
    let bounded = |term: &Term| match &term.number {
        Number::Finite(x, negative) if leading(x).is_some_and(|top| top >= 128) => Number::Infinite(*negative),
        number => number.clone(),
    };
    let numbers: Vec<Number> = products.iter().map(bounded).chain([c.number.clone()]).collect();
    if let Some(special) = special(&numbers) {
        return special;
    }
    let aligned = |terms: Vec<&Term>| {
        let exponent = terms.iter().map(|term| term.exponent).fold(-999, i64::max);
        (terms.iter().map(|term| cut(&term.units(), exponent - 24, Mode::Zero)).sum::<BigInt>(), exponent)
    };
    let (total, exponent) = if halves {
        let (even, e) = aligned(products.iter().step_by(2).collect());
        let (odd, o) = aligned(products.iter().skip(1).step_by(2).collect());
        let last = e.max(o) - 24;
        (cut(&even, last, Mode::Down) + cut(&odd, last, Mode::Down), e.max(o))
    } else {
        aligned(products.iter().collect())
    };
    let own = c.exponent.max(-126);
    let common = exponent.max(own);
    let dropped = halves && own < common - 25;
    let late = if dropped { BigInt::from(0) } else { cut(&c.units(), common - 24, Mode::Down) };
    let total = cut(&total, common - 32, Mode::Down) + late;
    let Some(top) = leading(&total) else { return Number::zero() };
    let floored = cut(&total, top.max(-126) - 31, Mode::Down);
    Rho::to(number::F32, Mode::Nearest).round(&floored, false)
}

/// Integer sums, wrapped or held to 32 bits after every step.
fn integers(unit: &Unit, row: Row<'_>, stored: usize, saturating: bool) -> u64 {
    let read = |operand: Operand, code: u64| -> i64 {
        let Operand::Integer { bits, signed } = operand else { return 0 };
        let low = (code & ((1 << bits) - 1)) as i64;
        if signed && low >> (bits - 1) == 1 { low - (1 << bits) } else { low }
    };
    let positions = stored_positions(unit.sparse, row.metadata, row.b.len());
    let products: Vec<i64> =
        row.a.iter().zip(&positions).map(|(&a, &p)| read(unit.a, a) * read(unit.b, row.b[p])).collect();
    let mut accumulator = i64::from(row.c as u32 as i32);
    for step in products.chunks(stored).flat_map(|instruction| instruction.chunks(unit.step)) {
        let total = accumulator + step.iter().sum::<i64>();
        let bounded = total.clamp(i64::from(i32::MIN), i64::from(i32::MAX));
        accumulator = if saturating { bounded } else { i64::from(total as i32) };
    }
    u64::from(accumulator as i32 as u32)
}
