//! Datapaths that a user declares in TOML.
//!
//! ```toml
//! [datapath]
//! name = "hbfp-acc20"
//! inputs = "blocks"            # or "values", "integers", or codes: a = "e4m3", b = "e5m2"
//! group = "block"              # products a step: a number, "all" or "block"
//! accumulate = "after"         # "after": round the sum of a step, then add it; "fused": round once; "aligned": products
//!                              # and accumulator cut at one exponent; "last": as "aligned", C is added at the end
//! accumulator = "e8m11"        # the register: fp32, fp16, e<exponent bits>m<mantissa bits>, s<bits>[.<fraction bits>]
//! rounding = "toward-zero"
//! ```
//!
//! What is not said has the value of the record named by `base`, or else the one that is written at its field below.

use super::Datapath;
use super::catalog::{BLOCK, FP32, INT8};
use super::record::{
    Accumulator, Align, Arm, BlockScale, Codes, ElementExponent, Group, Inputs, Joins, Nan, Node, Order, Overflow,
    Port, Product, Proof, Round, Sparsity, Subnormals, Sum, Unit, Zero,
};
use super::register_format::{interned, register};
use crate::Error;
use interplay_formats::{Encoding, Rounding, Scalar, placed};
use serde::Deserialize;

/// A file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    datapath: Declaration,
}

/// The table `[datapath]`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Declaration {
    name: String,
    about: Option<String>,
    source: Option<String>,
    /// A catalogue record whose parts hold where nothing else is said.
    base: Option<String>,
    /// `values`, `integers`, `blocks`; codes where `a` is given.
    inputs: Option<DeclaredInputs>,
    /// Format of A's codes.
    a: Option<String>,
    /// Format of B's codes; as A's unless told.
    b: Option<String>,
    /// Scale of the codes, e.g. `{ format = "e8m0", block = 32 }`.
    scale: Option<DeclaredScale>,
    /// `2:4`, `1:2` or `4:8p`.
    sparse: Option<String>,
    /// Reduction lengths of an instruction; none: any.
    depths: Option<Vec<usize>>,
    /// Products a step; a block for blocks, all for others.
    group: Option<DeclaredGroup>,
    /// Residue classes of positions, in the order of the steps.
    order: Option<Vec<Vec<usize>>>,
    /// `after` for blocks, `fused` for others, `aligned` where `fraction_bits` is given.
    accumulate: Option<Accumulate>,
    /// Fraction bits that aligned terms keep.
    fraction_bits: Option<u32>,
    /// What happens to the bits below; `toward-zero`.
    align_rounding: Option<Rounding>,
    /// The exponent of a zero term; the least exponent of the accumulator less 8.
    floor: Option<i32>,
    /// With `after`: what the sum of a step is rounded to; the accumulator's format.
    sum: Option<String>,
    /// With `after` on blocks: the register of a block's elements before their scales, e.g. `s16`.
    dot: Option<String>,
    /// What becomes of a `dot` that its register does not hold; `saturate`.
    dot_overflow: Option<Declared>,
    /// The register; `fp32`, or `s32` for integers.
    accumulator: Option<String>,
    /// Rounding to the accumulator; `nearest-even`.
    rounding: Option<Rounding>,
    /// `infinity`, `ieee`, `saturate` or `wrap`; `infinity` for floats, `saturate` for others.
    overflow: Option<Declared>,
    /// `kept` or `flushed`: subnormal operands, accumulators and results; `kept`.
    subnormals: Option<Flush>,
    /// Multiply-accumulates a cycle and core; those of the unit that it replaces in a machine.
    macs_per_cycle: Option<u64>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum DeclaredInputs {
    Values,
    Integers,
    Blocks,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeclaredScale {
    format: String,
    block: usize,
}

#[derive(Clone, Deserialize)]
#[serde(untagged, expecting = "a number of products, \"all\" or \"block\"")]
enum DeclaredGroup {
    Of(usize),
    Named(NamedGroup),
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum NamedGroup {
    All,
    Block,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Accumulate {
    After,
    Fused,
    Aligned,
    Last,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Declared {
    Infinity,
    Ieee,
    Saturate,
    Wrap,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Flush {
    Kept,
    Flushed,
}

impl Datapath {
    /// The record that the table `[datapath]` of a TOML text declares, kept as [`Datapath::declare`] does.
    ///
    /// # Errors
    /// [`Error::Toml`] for a text that is no such table; [`Error::Record`] naming the field that makes no sense.
    pub fn from_toml(text: &str) -> Result<&'static Self, Error> {
        let file: File = toml::from_str(text).map_err(|error| Error::Toml(said(text, &error)))?;
        file.datapath.build()?.declare()
    }
}

/// What is wrong with a text, and the line that holds the field.
fn said(text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = text.get(..start).map_or(0, |before| before.matches('\n').count());
    format!("{} in `{}`", placed(text, error), text.lines().nth(line).unwrap_or_default().trim())
}

impl Declaration {
    /// The record.
    fn build(self) -> Result<Datapath, Error> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let name = self.name.trim();
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) || name.eq_ignore_ascii_case("auto") {
            return Err(self.problem("name", "1 to 64 letters, digits, `-`, `_` and `.`, and not `auto`"));
        }
        let base = self.base()?;
        let inputs = self.inputs(base)?;
        let format = match &self.accumulator {
            Some(name) => self.register("accumulator", name)?,
            None => base.accumulator.d,
        };
        self.contradictions(base, inputs, format)?;
        let subnormals = self.subnormals.map_or(base.accumulator.subnormals, Flush::meaning);
        let nan = if base.name == self.name { base.accumulator.nan } else { Nan::Quiet };
        let zero = if is_integer(format) { Zero::Positive } else { base.accumulator.zero };
        let (sum, joins) = self.sum(base, inputs, format)?;
        Ok(Datapath {
            name: interned(&self.name.trim().to_lowercase()),
            about: interned(self.about.as_deref().unwrap_or("declared by the user")),
            source: interned(self.source.as_deref().unwrap_or("declared by the user")),
            proof: Proof::Definition,
            inputs,
            depths: self.depths.clone().map_or(base.depths, |depths| depths.leak()),
            order: Order { group: self.group(base, inputs), classes: self.classes(base), joins },
            product: if self.accumulate.is_some() { Product::EXACT } else { base.product },
            sum,
            accumulator: Accumulator { c: format, d: format, subnormals, nan, zero },
            macs_per_cycle: self.macs_per_cycle,
        })
    }

    fn problem(&self, field: &'static str, problem: impl Into<String>) -> Error {
        Error::Record { name: self.name.clone(), field, problem: problem.into() }
    }

    fn register(&self, field: &'static str, name: &str) -> Result<Scalar, Error> {
        register(name).map_err(|problem| self.problem(field, problem))
    }

    /// The record that holds where nothing is said.
    fn base(&self) -> Result<&'static Datapath, Error> {
        match (&self.base, self.inputs) {
            (Some(name), _) => Datapath::by_name(name),
            (None, Some(DeclaredInputs::Integers)) => Ok(&INT8),
            (None, Some(DeclaredInputs::Blocks)) => Ok(&BLOCK),
            (None, _) => Ok(&FP32),
        }
    }

    fn inputs(&self, base: &Datapath) -> Result<Inputs, Error> {
        let element = if self.dot.is_some() { ElementExponent::None } else { ElementExponent::Own };
        match (self.inputs, &self.a) {
            (Some(_), Some(_)) => Err(self.problem("inputs", "give `inputs` or the formats `a` and `b`, not both")),
            (Some(DeclaredInputs::Values), None) => Ok(Inputs::Values),
            (Some(DeclaredInputs::Integers), None) => Ok(Inputs::Integers),
            (Some(DeclaredInputs::Blocks), None) => Ok(Inputs::Blocks(element)),
            (None, Some(a)) => self.codes(a),
            (None, None) if self.b.is_some() => Err(self.problem("b", "give `a` too")),
            (None, None) if self.base.is_some() => Ok(base.inputs),
            (None, None) => Err(self.problem("inputs", "say `values`, `integers` or `blocks`, or a format `a`")),
        }
    }

    fn codes(&self, a: &str) -> Result<Inputs, Error> {
        let subnormals = self.subnormals.map_or(Subnormals::Kept, Flush::meaning);
        let port = |field, name: &str| -> Result<Port, Error> {
            Ok(Port { subnormals, ..Port::plain(self.register(field, name)?) })
        };
        let scale = self.scale.as_ref().map(|scale| -> Result<BlockScale, Error> {
            Ok(BlockScale { format: self.register("scale", &scale.format)?, block: scale.block })
        });
        let sparse = match self.sparse.as_deref() {
            None => None,
            Some("1:2") => Some(Sparsity { n: 1, m: 2, together: 1 }),
            Some("2:4") => Some(Sparsity { n: 2, m: 4, together: 1 }),
            Some("4:8p") => Some(Sparsity { n: 4, m: 8, together: 2 }),
            Some(other) => return Err(self.problem("sparse", format!("`{other}` is not 1:2, 2:4 or 4:8p"))),
        };
        let b = self.b.as_deref().unwrap_or(a);
        Ok(Inputs::Codes(Codes { a: port("a", a)?, b: port("b", b)?, scale: scale.transpose()?, sparse }))
    }

    /// Fields that do not go together.
    fn contradictions(&self, base: &Datapath, inputs: Inputs, accumulator: Scalar) -> Result<(), Error> {
        let how = self.how(base, inputs);
        let aligned = matches!(how, Some(Accumulate::Aligned | Accumulate::Last));
        let codes = matches!(inputs, Inputs::Codes(_));
        let refused = [
            (matches!(inputs, Inputs::Host), "base", "a unit of its own is no change of `fake`"),
            (self.macs_per_cycle == Some(0), "macs_per_cycle", "a unit multiplies at least once a cycle"),
            (self.scale.is_some() && !codes, "scale", "only codes (`a`, `b`) have a declared scale"),
            (self.sparse.is_some() && !codes, "sparse", "only codes (`a`, `b`) have a sparse side"),
            (self.floor.is_some() && !aligned, "floor", "only aligned sums have a floor: give `fraction_bits`"),
            (
                self.align_rounding.is_some() && !aligned,
                "align_rounding",
                "only aligned sums cut: give `fraction_bits`",
            ),
            (
                aligned && self.fraction_bits.is_none() && base.sum.align.is_none(),
                "fraction_bits",
                "an aligned sum keeps a stated number of bits",
            ),
            (self.fraction_bits.is_some() && !aligned, "fraction_bits", "only `aligned` and `last` cut terms"),
            (self.sum.is_some() && how != Some(Accumulate::After), "sum", "only `accumulate = \"after\"` rounds twice"),
            (self.dot.is_some() && how != Some(Accumulate::After), "dot", "only `accumulate = \"after\"` has a dot"),
            (self.dot.is_some() && !matches!(inputs, Inputs::Blocks(_)), "dot", "only blocks have a dot of elements"),
            (self.dot_overflow.is_some() && self.dot.is_none(), "dot_overflow", "give the register `dot` too"),
            (
                matches!(inputs, Inputs::Integers) && !is_integer(accumulator),
                "accumulator",
                "integers are summed in an integer register, s<bits>",
            ),
        ];
        match refused.into_iter().find(|(wrong, ..)| *wrong) {
            Some((_, field, problem)) => Err(self.problem(field, problem)),
            None => Ok(()),
        }
    }

    /// How steps accumulate; `None` where the base says it.
    fn how(&self, base: &Datapath, inputs: Inputs) -> Option<Accumulate> {
        let natural = match (base.sum.align, base.order.joins, inputs) {
            (Some(_), Joins::First, _) => Accumulate::Aligned,
            (Some(_), Joins::Last(_), _) => Accumulate::Last,
            (None, _, Inputs::Blocks(_)) => Accumulate::After,
            (None, ..) => Accumulate::Fused,
        };
        let cut = self.fraction_bits.is_some() || self.floor.is_some() || self.align_rounding.is_some();
        let rounded = self.accumulator.is_some() || self.rounding.is_some() || self.overflow.is_some();
        let aligned = self.fraction_bits.filter(|_| natural != Accumulate::Last).map(|_| Accumulate::Aligned);
        self.accumulate.or(aligned).or((self.base.is_none() || cut || rounded).then_some(natural))
    }

    fn group(&self, base: &Datapath, inputs: Inputs) -> Group {
        match (&self.group, inputs) {
            (Some(DeclaredGroup::Of(group)), _) => Group::Of(*group),
            (Some(DeclaredGroup::Named(NamedGroup::All)), _) => Group::All,
            (Some(DeclaredGroup::Named(NamedGroup::Block)), _) => Group::Block,
            (None, _) if self.base.is_some() => base.order.group,
            (None, Inputs::Blocks(_)) => Group::Block,
            (None, _) => Group::All,
        }
    }

    fn classes(&self, base: &Datapath) -> &'static [&'static [usize]] {
        let leaked = |order: &Vec<Vec<usize>>| -> &'static [&'static [usize]] {
            order.iter().map(|class| -> &'static [usize] { class.clone().leak() }).collect::<Vec<_>>().leak()
        };
        self.order.as_ref().map_or(base.order.classes, leaked)
    }

    /// The rounding to a register; what is not said is as the base's last rounding.
    fn round(&self, base: &Datapath, format: Scalar, overflow: Option<Declared>, unit: Unit) -> Round {
        let last = base.sum.round.last().filter(|_| self.base.is_some());
        let integer = is_integer(format);
        let natural = if integer { Overflow::Saturate } else { Overflow::Infinity };
        let inherited = last.filter(|round| is_integer(round.format) == integer).map(|round| round.overflow);
        let rounding = self.rounding.or(last.map(|round| round.rounding)).unwrap_or(Rounding::NearestEven);
        let subnormals = self.subnormals.map(Flush::meaning).or(last.map(|round| round.subnormals));
        Round {
            format,
            rounding,
            overflow: overflow.map(Declared::meaning).or(inherited).unwrap_or(natural),
            subnormals: subnormals.unwrap_or(Subnormals::Kept),
            unit,
        }
    }

    /// The sum of a step, and where the accumulator joins.
    fn sum(&self, base: &Datapath, inputs: Inputs, format: Scalar) -> Result<(&'static Sum, Joins), Error> {
        let Some(how) = self.how(base, inputs) else { return Ok((base.sum, base.order.joins)) };
        // The grid of results can be coarser than the register that holds them, as in the narrow FP8 units.
        let grid = base.sum.round.last().filter(|_| self.base.is_some() && self.accumulator.is_none());
        let last = self.round(base, grid.map_or(format, |round| round.format), self.overflow, Unit::One);
        let exact = |arms: Vec<Node>, round: Vec<Round>| -> &'static Sum {
            let arms: Vec<Arm> = arms.into_iter().map(Arm::exact).collect();
            Box::leak(Box::new(Sum { arms: arms.leak(), align: None, round: round.leak() }))
        };
        Ok(match how {
            Accumulate::Fused => (exact(vec![Node::PRODUCTS, Node::Accumulator], vec![last]), Joins::First),
            Accumulate::After => {
                let dot = self.dot.as_deref().map(|name| self.register("dot", name)).transpose()?;
                let dot = dot.map(|dot| self.round(base, dot, self.dot_overflow, Unit::Scale));
                let sum = self.sum.as_deref().map(|name| self.register("sum", name)).transpose()?;
                let converted = self.round(base, sum.unwrap_or(last.format), self.overflow, Unit::One);
                let step = exact(vec![Node::PRODUCTS], dot.into_iter().chain([converted]).collect());
                (exact(vec![Node::Accumulator, Node::Sum(step)], vec![last]), Joins::First)
            }
            Accumulate::Aligned | Accumulate::Last => {
                let old = base.sum.arms.first().filter(|_| base.sum.align.is_some());
                let arm = |node| Arm {
                    fraction_bits: self.fraction_bits.or(old.map(|arm| arm.fraction_bits)).unwrap_or_default(),
                    rounding: self.align_rounding.or(old.map(|arm| arm.rounding)).unwrap_or(Rounding::TowardZero),
                    ..Arm::exact(node)
                };
                let arms = vec![arm(Node::PRODUCTS), arm(Node::Accumulator)];
                let floor = self.floor.or(base.sum.align.map(|align| align.floor)).unwrap_or(format.emin() - 8);
                let sum = Sum { arms: arms.leak(), align: Some(Align { floor }), round: vec![last].leak() };
                let joins = if how == Accumulate::Last { Joins::Last(last) } else { Joins::First };
                (Box::leak(Box::new(sum)), joins)
            }
        })
    }
}

impl Declared {
    const fn meaning(self) -> Overflow {
        match self {
            Self::Infinity => Overflow::Infinity,
            Self::Ieee => Overflow::Ieee,
            Self::Saturate => Overflow::Saturate,
            Self::Wrap => Overflow::Wrap,
        }
    }
}

impl Flush {
    const fn meaning(self) -> Subnormals {
        match self {
            Self::Kept => Subnormals::Kept,
            Self::Flushed => Subnormals::Flushed,
        }
    }
}

/// Whether a register holds integers or fixed-point numbers.
const fn is_integer(format: Scalar) -> bool {
    matches!(format.encoding, Encoding::Integer { .. })
}
