//! The observer that writes down what the interpreter does.

use super::{Aligned, Instruction, Part, Product, Rounded, Sum};
use crate::Datapath;
use crate::datapath::{Cut, NO_EXPONENT, Node, Round, Sum as Tree, Term, Watch};
use interplay_formats::{Exact, Lost, Value};
use std::collections::VecDeque;

/// Digits that are shown behind a cut.
const BEHIND: i32 = 12;

/// Writes down instructions; `products` are those that are still to come.
pub(super) struct Observer<'d> {
    datapath: &'d Datapath,
    products: VecDeque<Product>,
    /// The sums of the step that are still to come.
    plan: VecDeque<Planned>,
    step: usize,
    cuts: Option<(i32, Vec<Cut>)>,
    pub instructions: Vec<Instruction>,
}

/// A sum before it is computed.
struct Planned {
    name: String,
    terms: Vec<Label>,
}

/// Where a term comes from.
#[derive(Clone)]
enum Label {
    /// A product, by its index in the instruction.
    Product(usize),
    Other(String),
}

impl<'d> Observer<'d> {
    pub fn new(datapath: &'d Datapath, products: Vec<Product>) -> Self {
        Self {
            datapath,
            products: products.into(),
            plan: VecDeque::new(),
            step: 0,
            cuts: None,
            instructions: Vec::new(),
        }
    }

    /// The term, unless it only fills an instruction up.
    fn part(&self, label: Label, term: Term, cut: Option<(i32, Cut, i32)>) -> Option<Part> {
        let (k, name) = match label {
            Label::Product(index) => {
                let k = self.instructions.last()?.products.get(index)?.k;
                (Some(k), format!("k {k}"))
            }
            Label::Other(name) => (None, name),
        };
        let aligned = cut.map(|(exponent, cut, top)| aligned(term, exponent, cut, top));
        Some(Part { k, name, value: term.value.into(), exponent: known(term.exponent), aligned })
    }
}

impl Watch for Observer<'_> {
    fn instruction(&mut self) {
        self.instructions.push(Instruction::default());
        self.step = 0;
    }

    fn product(&mut self, product: Term) {
        if let (Some(instruction), Some(given)) = (self.instructions.last_mut(), self.products.pop_front()) {
            let (value, exponent) = (product.value.into(), known(product.exponent));
            instruction.products.push(Product { product: value, exponent, ..given });
        }
    }

    fn step(&mut self, positions: &[usize]) {
        self.step += 1;
        let mut plan = VecDeque::new();
        planned(self.datapath.sum, positions, &mut plan);
        if let Some(last) = plan.back_mut() {
            "sum".clone_into(&mut last.name);
        }
        self.plan = plan;
    }

    fn aligned(&mut self, exponent: i32, cuts: &[Cut]) {
        self.cuts = Some((exponent, cuts.to_vec()));
    }

    fn summed(&mut self, terms: &[Term], sum: Value) {
        let step = (!self.plan.is_empty()).then_some(self.step);
        let join =
            || Planned { name: "sum".to_owned(), terms: ["acc", "c"].map(|n| Label::Other(n.to_owned())).to_vec() };
        let planned = self.plan.pop_front().unwrap_or_else(join);
        let cuts = self.cuts.take();
        let leading = |term: &Term| term.value.finite().and_then(Exact::leading_exponent);
        let top = |exponent: i32| terms.iter().filter_map(leading).fold(exponent, i32::max);
        let cut = |i: usize| cuts.as_ref().map(|(exponent, cuts)| (*exponent, cuts[i], top(*exponent)));
        let parts = planned.terms.into_iter().zip(terms).enumerate();
        let terms = parts.filter_map(|(i, (label, term))| self.part(label, *term, cut(i))).collect();
        let aligned_to = cuts.as_ref().map(|(exponent, _)| *exponent);
        let sum = Sum { step, name: planned.name, aligned_to, terms, total: sum.into(), roundings: Vec::new() };
        if let Some(instruction) = self.instructions.last_mut() {
            instruction.sums.push(sum);
        }
    }

    fn rounded(&mut self, _before: Value, round: &Round, after: Value, lost: Lost) {
        let lost = match lost {
            Lost::Nothing => "nothing",
            Lost::BelowHalf => "below half",
            Lost::Half => "half",
            Lost::AboveHalf => "above half",
        };
        let (format, rounding) = (round.format.name.to_string(), round.rounding);
        let rounded = Rounded { format, rounding, after: after.into(), lost };
        let Some(instruction) = self.instructions.last_mut() else { return };
        match (instruction.sums.last_mut(), instruction.products.last_mut()) {
            (Some(sum), _) => sum.roundings.push(rounded),
            (None, Some(product)) => product.rounded = Some(rounded),
            (None, None) => {}
        }
    }
}

/// The sums of a tree over these products, in the order in which the interpreter computes them; the name of the last.
fn planned(sum: &Tree, products: &[usize], plan: &mut VecDeque<Planned>) -> String {
    let mut terms = Vec::new();
    for arm in sum.arms {
        match arm.node {
            Node::Products { first, every } => {
                terms.extend(products.iter().skip(first).step_by(every.max(1)).map(|&index| Label::Product(index)));
            }
            Node::Accumulator => terms.push(Label::Other("acc".to_owned())),
            Node::Sum(inner) => terms.push(Label::Other(planned(inner, products, plan))),
            Node::Runs { length, sum } => {
                terms.extend(products.chunks(length.max(1)).map(|run| Label::Other(planned(sum, run, plan))));
            }
        }
    }
    let name = format!("s{}", plan.len() + 1);
    plan.push_back(Planned { name: name.clone(), terms });
    name
}

/// An exponent, if there is one.
fn known(exponent: i32) -> Option<i32> {
    (exponent > NO_EXPONENT).then_some(exponent)
}

/// A term at the common exponent; `top` is the highest bit of any term.
fn aligned(term: Term, exponent: i32, cut: Cut, top: i32) -> Aligned {
    let x = term.value.finite().unwrap_or(Exact::ZERO);
    let mut rest = crate::exact::Sum::new();
    rest.add(x);
    rest.add(Exact { negative: !cut.kept.negative, ..cut.kept });
    Aligned {
        fraction_bits: cut.fraction_bits,
        binary: binary(x, exponent, exponent - cut.fraction_bits as i32, top),
        kept: cut.kept.into(),
        dropped: rest.value().into(),
    }
}

/// Sign and bits from `top` down: a point behind `exponent`, a bar behind `last`, and some of the bits below.
fn binary(x: Exact, exponent: i32, last: i32, top: i32) -> String {
    let bit = |place: i32| {
        let shift = u32::try_from(place - x.exponent).ok();
        shift.and_then(|shift| x.significand.checked_shr(shift)).is_some_and(|bits| bits & 1 == 1)
    };
    let lowest = if x.is_zero() { last } else { x.exponent + x.significand.trailing_zeros() as i32 };
    let mut digits = String::from(if x.negative { "-" } else { " " });
    for place in (lowest.max(last - BEHIND).min(last)..=top).rev() {
        digits.push(if bit(place) { '1' } else { '0' });
        match place {
            _ if place == last => digits.push('|'),
            _ if place == exponent => digits.push('.'),
            _ => {}
        }
    }
    if lowest < last - BEHIND {
        digits.push('…');
    }
    digits
}
