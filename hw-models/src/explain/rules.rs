//! What two records can say differently: each thing in words, and how one record takes it over from another.

use crate::datapath::{
    Arm, Codes, Datapath, ElementExponent, Group, Inputs, Joins, Nan, Node, Order, Overflow, Port, Round, Subnormals,
    Sum, Unit, Zero,
};
use std::sync::{Mutex, PoisonError};

/// One thing that a record says.
pub(super) struct Rule {
    pub name: &'static str,
    about: About,
}

/// Which part of a record it is about, what that part says in words, and how it takes over what another one says.
/// The same words mean the same arithmetic.
enum About {
    Record(fn(&Datapath) -> String, fn(&mut Datapath, &Datapath)),
    Codes(fn(&Codes) -> String, fn(&mut Codes, &Codes)),
    Port(fn(&Port) -> String, fn(&mut Port, &Port)),
    /// Every sum of the tree; trees of different shapes have nothing in common.
    Sum(fn(&Sum) -> Option<String>, fn(&mut Sum, &Sum)),
    /// Every input of every aligned sum.
    Arm(fn(&Arm) -> String, fn(&mut Arm, &Arm)),
}

const fn rule(name: &'static str, about: About) -> Rule {
    Rule { name, about }
}

/// All rules, operands first.
#[rustfmt::skip]
pub(super) const RULES: [Rule; 21] = [
    rule("kind of operands", About::Record(kind, |a, b| a.inputs = b.inputs)),
    rule("input formats", About::Port(|p| p.format.name.to_string(), |a, b| a.format = b.format)),
    rule("least exponent of operands", About::Port(|p| p.emin.unwrap_or(p.format.emin()).to_string(), |a, b| a.emin = b.emin)),
    rule("low bits ignored", About::Port(|p| p.ignored_bits.to_string(), |a, b| a.ignored_bits = b.ignored_bits)),
    rule("subnormal operands", About::Port(|p| subnormals(p.subnormals).to_owned(), |a, b| a.subnormals = b.subnormals)),
    rule("exponent of elements", About::Port(element, |a, b| a.exponent = b.exponent)),
    rule("block scale", About::Codes(scale, |a, b| a.scale = b.scale)),
    rule("sparsity of A", About::Codes(sparsity, |a, b| a.sparse = b.sparse)),
    rule("longest instruction", About::Record(longest, |a, b| a.depths = b.depths)),
    rule("products a step", About::Record(|d| group(d.order.group), |a, b| a.order.group = b.order.group)),
    rule("order of positions", About::Record(|d| order(&d.order), |a, b| a.order.classes = b.order.classes)),
    rule("accumulator joins", About::Record(|d| joins(d.order.joins), |a, b| a.order.joins = b.order.joins)),
    rule("rounding of products", About::Record(product, |a, b| a.product.round = b.product.round)),
    rule("infinite products", About::Record(infinite, |a, b| a.product.infinite_from = b.product.infinite_from)),
    rule("adder tree", About::Record(|d| shape(d.sum), |a, b| a.sum = b.sum)),
    rule("fraction bits kept", About::Arm(|arm| arm.fraction_bits.to_string(), |a, b| a.fraction_bits = b.fraction_bits)),
    rule("cut at alignment", About::Arm(|arm| arm.rounding.to_string(), |a, b| a.rounding = b.rounding)),
    rule("terms dropped", About::Arm(reach, |a, b| a.reach = b.reach)),
    rule("exponent of a zero", About::Sum(|sum| sum.align.map(|a| a.floor.to_string()), |a, b| a.align = b.align)),
    rule("rounding of sums", About::Sum(|sum| rounds(sum.round), |a, b| a.round = b.round)),
    rule("accumulator", About::Record(accumulator, |a, b| a.accumulator = b.accumulator)),
];

impl Rule {
    /// What a record says.
    pub fn show(&self, datapath: &Datapath) -> String {
        let words = match &self.about {
            About::Record(show, _) => return show(datapath),
            About::Codes(show, _) => codes(datapath).iter().map(show).collect(),
            About::Port(show, _) => codes(datapath).iter().flat_map(|codes| [show(&codes.a), show(&codes.b)]).collect(),
            About::Sum(show, _) => sums(datapath.sum).into_iter().filter_map(show).collect(),
            About::Arm(show, _) => {
                let aligned = sums(datapath.sum).into_iter().filter(|sum| sum.align.is_some());
                aligned.flat_map(|sum| sum.arms).map(show).collect()
            }
        };
        once(words)
    }

    /// Whether two records say different things.
    pub fn differs(&self, a: &Datapath, b: &Datapath) -> bool {
        let comparable = match self.about {
            About::Record(..) => true,
            About::Codes(..) | About::Port(..) => codes(a).is_some() && codes(b).is_some(),
            About::Sum(..) | About::Arm(..) => shape(a.sum) == shape(b.sum),
        };
        comparable && self.show(a) != self.show(b)
    }

    /// The first record with what the second one says.
    pub fn taken(&self, mut a: Datapath, b: &Datapath) -> Datapath {
        match &self.about {
            About::Record(_, take) => take(&mut a, b),
            About::Codes(_, take) => {
                if let (Inputs::Codes(a), Inputs::Codes(b)) = (&mut a.inputs, &b.inputs) {
                    take(a, b);
                }
            }
            About::Port(_, take) => {
                if let (Inputs::Codes(a), Inputs::Codes(b)) = (&mut a.inputs, &b.inputs) {
                    take(&mut a.a, &b.a);
                    take(&mut a.b, &b.b);
                }
            }
            About::Sum(_, take) => a.sum = graft(a.sum, b.sum, *take, |_, _| {}),
            About::Arm(_, take) => a.sum = graft(a.sum, b.sum, |_, _| {}, *take),
        }
        a
    }
}

/// The operands of a unit that takes codes of its own.
const fn codes(datapath: &Datapath) -> Option<Codes> {
    match datapath.inputs {
        Inputs::Codes(codes) => Some(codes),
        _ => None,
    }
}

/// All sums of a tree, inner ones first.
fn sums(sum: &'static Sum) -> Vec<&'static Sum> {
    let inner = sum.arms.iter().flat_map(|arm| match arm.node {
        Node::Sum(inner) | Node::Runs { sum: inner, .. } => sums(inner),
        Node::Products { .. } | Node::Accumulator => Vec::new(),
    });
    inner.chain([sum]).collect()
}

/// The first tree with something of the second one, where they have one shape.
fn graft(a: &Sum, b: &Sum, of_sum: fn(&mut Sum, &Sum), of_arm: fn(&mut Arm, &Arm)) -> &'static Sum {
    let one = |(a, b): (&Arm, &Arm)| {
        let mut arm = *a;
        of_arm(&mut arm, b);
        arm.node = match (a.node, b.node) {
            (Node::Sum(x), Node::Sum(y)) => Node::Sum(graft(x, y, of_sum, of_arm)),
            (Node::Runs { length, sum: x }, Node::Runs { sum: y, .. }) => {
                Node::Runs { length, sum: graft(x, y, of_sum, of_arm) }
            }
            (node, _) => node,
        };
        arm
    };
    let arms: Vec<Arm> = a.arms.iter().zip(b.arms).map(one).collect();
    let mut sum = Sum { arms: &[], ..*a };
    of_sum(&mut sum, b);
    kept(&arms, Sum { arms: &[], ..sum })
}

/// A sum that lasts as long as the program, as records need it: equal ones are kept once.
fn kept(arms: &[Arm], sum: Sum) -> &'static Sum {
    static KEPT: Mutex<Vec<&'static Sum>> = Mutex::new(Vec::new());
    let mut all = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let same = |known: &&&Sum| known.arms == arms && known.align == sum.align && known.round == sum.round;
    if let Some(known) = all.iter().find(same) {
        return known;
    }
    let new: &'static Sum = Box::leak(Box::new(Sum { arms: arms.to_vec().leak(), ..sum }));
    all.push(new);
    new
}

/// Words one after the other, or once where all are the same.
fn once(mut words: Vec<String>) -> String {
    if words.windows(2).all(|pair| pair[0] == pair[1]) {
        words.truncate(1);
    }
    words.join(", ")
}

fn kind(datapath: &Datapath) -> String {
    let kind = match datapath.inputs {
        Inputs::Blocks(ElementExponent::None) => "blocks of integers",
        Inputs::Host => "none",
        Inputs::Values => "FP32 values",
        Inputs::Integers => "integers under scales",
        Inputs::Blocks(ElementExponent::Own) => "blocks",
        Inputs::Codes(_) => "codes",
    };
    kind.to_owned()
}

const fn subnormals(subnormals: Subnormals) -> &'static str {
    match subnormals {
        Subnormals::Kept => "kept",
        Subnormals::Flushed => "flushed",
    }
}

fn element(port: &Port) -> String {
    let own = port.exponent == ElementExponent::Own;
    if own { "its own" } else { "none: integers" }.to_owned()
}

fn scale(codes: &Codes) -> String {
    codes.scale.map_or("none".to_owned(), |scale| format!("{} a block of {}", scale.format.name, scale.block))
}

fn sparsity(codes: &Codes) -> String {
    codes.sparse.map_or("none".to_owned(), |s| format!("{}:{} in units of {}", s.n, s.m, s.together))
}

fn longest(datapath: &Datapath) -> String {
    datapath.depths.last().map_or("any".to_owned(), usize::to_string)
}

fn group(group: Group) -> String {
    match group {
        Group::All => "all of an instruction".to_owned(),
        Group::Block => "a block".to_owned(),
        Group::Of(products) => products.to_string(),
    }
}

fn order(order: &Order) -> String {
    let classes = order.classes.iter().map(|class| {
        let residues: Vec<String> = class.iter().map(usize::to_string).collect();
        format!("k mod {}: {}", order.classes.iter().map(|class| class.len()).sum::<usize>(), residues.join(", "))
    });
    let classes: Vec<String> = classes.collect();
    if classes.len() < 2 { "k increasing".to_owned() } else { classes.join("; then ") }
}

fn joins(joins: Joins) -> String {
    match joins {
        Joins::First => "in the first step".to_owned(),
        Joins::Last(last) => format!("last, by an addition to {}", round(&last)),
    }
}

fn product(datapath: &Datapath) -> String {
    datapath.product.round.map_or("none: exact".to_owned(), |product| round(&product))
}

fn infinite(datapath: &Datapath) -> String {
    datapath.product.infinite_from.map_or("none".to_owned(), |exponent| format!("from 2^{exponent}"))
}

fn reach(arm: &Arm) -> String {
    arm.reach.map_or("none".to_owned(), |reach| format!("below 2^-{reach}"))
}

/// A rounding: format, direction, and what is unusual.
fn round(round: &Round) -> String {
    let overflow = match round.overflow {
        Overflow::Infinity => "",
        Overflow::Ieee => ", IEEE overflow",
        Overflow::Unbounded => ", no overflow",
        Overflow::Wrap => ", wraps",
        Overflow::Saturate => ", saturates",
        Overflow::Error => ", overflow refused",
    };
    let flushed = if round.subnormals == Subnormals::Flushed { ", subnormals flushed" } else { "" };
    let unit = if round.unit == Unit::Scale { ", before scales" } else { "" };
    format!("{} {}{overflow}{flushed}{unit}", round.format.name, round.rounding)
}

fn rounds(all: &[Round]) -> Option<String> {
    (!all.is_empty()).then(|| all.iter().map(round).collect::<Vec<_>>().join(" then "))
}

/// What is added to what, without numbers.
fn shape(sum: &Sum) -> String {
    let arm = |arm: &Arm| match arm.node {
        Node::Products { first: 0, every: 1 } => "products".to_owned(),
        Node::Products { first, every } => format!("products {first} mod {every}"),
        Node::Runs { length, sum } => format!("runs of {length} ({})", shape(sum)),
        Node::Accumulator => "acc".to_owned(),
        Node::Sum(inner) => format!("({})", shape(inner)),
    };
    let arms: Vec<String> = sum.arms.iter().map(arm).collect();
    format!("{} {}", if sum.align.is_some() { "aligned" } else { "exact" }, arms.join(" + "))
}

fn accumulator(datapath: &Datapath) -> String {
    let accumulator = &datapath.accumulator;
    let nan = match accumulator.nan {
        Nan::Ones => "NaN all ones",
        Nan::Quiet => "quiet NaN",
        Nan::Any => "any NaN",
    };
    let zero = match accumulator.zero {
        Zero::Positive => "+0",
        Zero::Ieee => "IEEE zeros",
        Zero::Either => "either zero",
    };
    let (c, d) = (accumulator.c.name, accumulator.d.name);
    format!("{c} to {d}, {nan}, {zero}, subnormals {}", subnormals(accumulator.subnormals))
}
