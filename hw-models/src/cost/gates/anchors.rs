//! Post-layout units, and how far the model is from each.

use super::count::{Counted, REGISTER_AREA};
use super::fit::constants;
use crate::Error;
use crate::cost::scale::Technology;
use crate::datapath::{
    Accumulator, Arm, BlockScale, Codes, Datapath, ElementExponent, Group, Inputs, Joins, Nan, Node, Order, Overflow,
    Port, Product, Proof, Round, Subnormals, Sum, Unit, Zero, register_named,
};
use interplay_formats::{Format, Rounding, Scalar, catalog::E8M0};
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// Area of a multiply-accumulate in um2.
    Area,
    /// Energy of a multiply-accumulate on random data in pJ.
    Energy,
    /// Energy of a clocked cycle without work in pJ.
    Idle,
}

impl Quantity {
    pub(super) const ALL: [Self; 3] = [Self::Area, Self::Energy, Self::Idle];
}

/// One figure of one unit, as it was measured and as the model has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AnchorCheck {
    /// The unit.
    pub unit: String,
    /// Feature size in nm.
    pub node_nm: f64,
    /// What is compared.
    pub quantity: Quantity,
    /// After layout, for one multiply-accumulate.
    pub measured: f64,
    /// By gate count.
    pub modelled: f64,
    /// Modelled over measured, less one.
    pub error: f64,
    /// Whether the constants were fitted to it; if not it is another reading of the same unit.
    pub fitted: bool,
    /// Where the measured figure comes from.
    pub source: &'static str,
}

/// A unit after layout.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Anchor {
    name: String,
    element: String,
    accumulator: String,
    #[serde(default)]
    stages: u32,
    /// Multiply-accumulates of the unit; a block's where more than one.
    #[serde(default = "one")]
    products: u32,
    pub node_nm: f64,
    volts: f64,
    /// In the file of the whole unit; read, of one multiply-accumulate. So with what follows.
    pub area_um2: f64,
    pub energy_pj: f64,
    pub held_pj: Option<f64>,
    pub half_zeros_pj: Option<f64>,
    pub idle_pj: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    source: String,
    unit: Vec<Anchor>,
}

const fn one() -> u32 {
    1
}

/// Elements of a block of the MX formats.
const BLOCK: usize = 32;

static FILE: LazyLock<File> = LazyLock::new(|| {
    let text = include_str!("../../../data/anchors.toml");
    let mut file: File = toml::from_str(text).expect("a file of the project, which a test reads");
    for anchor in &mut file.unit {
        let share = 1.0 / f64::from(anchor.products);
        anchor.area_um2 *= share;
        anchor.energy_pj *= share;
        for figure in [&mut anchor.held_pj, &mut anchor.half_zeros_pj, &mut anchor.idle_pj] {
            *figure = figure.map(|figure| figure * share);
        }
    }
    file
});

impl Anchor {
    pub fn all() -> &'static [Anchor] {
        &FILE.unit
    }

    pub fn technology(&self) -> Result<Technology, Error> {
        Technology::new(self.node_nm, self.volts)
    }

    /// The unit as a record: one product a step, exact, added to the accumulator with one rounding.
    fn record(&self) -> Datapath {
        let (element, sum) = (scalar(&self.element), scalar(&self.accumulator));
        let port = Port {
            format: element,
            emin: None,
            ignored_bits: 0,
            subnormals: Subnormals::Kept,
            exponent: ElementExponent::Own,
        };
        let scale = (self.products > 1).then_some(BlockScale { format: E8M0, block: BLOCK });
        Datapath {
            name: "anchor",
            about: "a unit after layout",
            source: "anchors.toml",
            proof: Proof::Definition,
            inputs: Inputs::Codes(Codes { a: port, b: port, scale, sparse: None }),
            depths: &[],
            order: Order { group: Group::Of(1), classes: &[], joins: Joins::First },
            product: Product::EXACT,
            sum: rounded(sum),
            accumulator: Accumulator {
                c: sum,
                d: sum,
                subnormals: Subnormals::Kept,
                nan: Nan::Quiet,
                zero: Zero::Positive,
            },
            macs_per_cycle: None,
        }
    }
}

fn scalar(name: &str) -> Scalar {
    register_named(name).expect("a format of the project's own file, which a test reads")
}

/// A product and the accumulator, rounded once. Kept for the life of the program, as sums of records are: a dozen, once.
fn rounded(format: Scalar) -> &'static Sum {
    static ARMS: [Arm; 2] = [Arm::exact(Node::PRODUCTS), Arm::exact(Node::Accumulator)];
    let round = Round {
        format,
        rounding: Rounding::NearestEven,
        overflow: Overflow::Saturate,
        subnormals: Subnormals::Kept,
        unit: Unit::One,
    };
    Box::leak(Box::new(Sum { arms: &ARMS, align: None, round: Box::leak(Box::new([round])) }))
}

/// A unit's gates, counted once.
pub(super) fn counted(anchor: &Anchor) -> Counted {
    Counted::of(&anchor.record(), Format::fp32(), Format::fp32(), anchor.stages)
}

/// Every figure of every unit against the model.
pub fn anchors() -> Vec<AnchorCheck> {
    let fitted = Anchor::all().iter().flat_map(|anchor| checks(anchor, &counted(anchor), &anchor.name, true));
    fitted.chain(Anchor::all().iter().filter(|anchor| anchor.products > 1).flat_map(exact_sum)).collect()
}

/// A block unit read as the `block` datapath: one exact sum of a block's products.
fn exact_sum(anchor: &'static Anchor) -> Vec<AnchorCheck> {
    let name = match anchor.element.as_str() {
        "e4m3" => "mxfp8",
        "e5m2" => "mxfp8-e5m2",
        _ => "mxint8",
    };
    let (Ok(unit), Ok(format)) = (Datapath::by_name("block"), Format::by_name(name)) else { return Vec::new() };
    checks(anchor, &Counted::of(unit, format, format, 0), &format!("{}, read as one exact sum", anchor.name), false)
}

fn checks(anchor: &'static Anchor, counted: &Counted, unit: &str, fitted: bool) -> Vec<AnchorCheck> {
    let Ok(constants) = constants(anchor.node_nm) else { return Vec::new() };
    let (there, active) = counted.full_adders();
    let registers = constants.register_pj * counted.register_bits;
    let area = constants.area_um2 * (there + REGISTER_AREA * counted.register_bits);
    let energy = constants.energy_pj * active + registers;
    let figures = [
        Some((Quantity::Area, anchor.area_um2, area)),
        Some((Quantity::Energy, anchor.energy_pj, energy)),
        anchor.idle_pj.map(|idle| (Quantity::Idle, idle, registers)),
    ];
    let check = |(quantity, measured, modelled): (Quantity, f64, f64)| AnchorCheck {
        unit: unit.to_owned(),
        node_nm: anchor.node_nm,
        quantity,
        measured,
        modelled,
        error: modelled / measured - 1.0,
        fitted,
        source: &FILE.source,
    };
    figures.into_iter().flatten().map(check).collect()
}
