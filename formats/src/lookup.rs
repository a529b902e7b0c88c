//! Formats by name: the catalogue, what was declared, families with numbers in their names, and variants.
//!
//! A variant is a name with `@` and a scale rule, a rounding or an overflow: `mxfp8@ceil`, `hbfp8@stochastic-8`,
//! `e5m2@infinity`. A record made here lasts as long as the program, so that it is as good as one of the catalogue.

use crate::name::{Name, intern};
use crate::{Block, Error, Format, Laws, Order, Overflow, Rounding, Scalar, ScaleRule, catalog, scalar::Range};
use serde::de::{DeserializeOwned, IntoDeserializer, value::StrDeserializer};
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

/// Records that are not in the catalogue, by name and alias.
static MADE: RwLock<BTreeMap<&str, &Format>> = RwLock::new(BTreeMap::new());

/// Records made here among which the nearest name is sought, so that a wrong name is refused quickly however many are.
const SUGGESTED: usize = 1000;

impl Format {
    /// The format of this name or alias, in any case; also `NAME@RULE`, `NAME@ROUNDING`, `NAME@OVERFLOW` and several
    /// of them, and the families `hbfp<bits>[-b<block>][-e<exponent bits>]`, `int<bits>[-asym][-g<group>]`,
    /// `s<bits>`, `u<bits>`, `fixed<bits>.<fraction bits>`.
    ///
    /// # Errors
    /// [`Error::UnknownFormat`] with the nearest name; [`Error::OrderForFormat`]; [`Error::Record`] for a variant that makes no sense.
    pub fn by_name(name: &str) -> Result<&'static Self, Error> {
        let wanted = name.trim().to_ascii_lowercase();
        if let Some(format) = known(&wanted) {
            return Ok(format);
        }
        if let Some((base, changes)) = wanted.split_once('@') {
            return changes.split('@').try_fold(Self::by_name(base)?, Self::changed);
        }
        match Family::of(&wanted) {
            Some(family) => Self::kept(&wanted, |name| Ok(family.record(name))),
            None if wanted != "none" && wanted.parse::<Order>().is_ok() => Err(Error::OrderForFormat(wanted)),
            None => Err(Error::UnknownFormat { given: name.to_owned(), nearest: nearest(&wanted) }),
        }
    }

    /// Every format of the catalogue, in its order.
    pub fn all() -> &'static [Self] {
        catalog::ALL
    }

    /// FP32: what is stored where nothing was quantised.
    pub const fn fp32() -> &'static Self {
        catalog::FP32_FORMAT
    }

    /// The name and the aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// The record for activations: another one where the recipe treats them otherwise than weights.
    pub fn for_activations(&'static self) -> &'static Self {
        self.activations.and_then(known).unwrap_or(self)
    }

    /// The record with another scale rule, rounding or overflow; named `NAME@CHANGE`.
    ///
    /// # Errors
    /// [`Error::Record`] where the change is none of the three, does not go with the rest, or is of a kind that the name
    /// has already: a second one would undo the first, and the records that names can make would have no end.
    pub fn changed(&self, change: &str) -> Result<&'static Self, Error> {
        let refused = |problem: String| Error::Record { name: self.name.to_owned(), problem };
        let unknown = || refused(format!("`@{change}` is no scale rule, no rounding and no overflow"));
        let new = Change::of(change).ok_or_else(unknown)?;
        let same = |first: &&str| Change::of(first).is_some_and(|first| first.kind() == new.kind());
        if let Some(first) = self.name.split('@').skip(1).find(same) {
            let kind = new.kind();
            return Err(refused(format!(
                "`@{first}` names its {kind} already, so `@{change}` cannot; give one of them"
            )));
        }
        let mut format = Self { aliases: &[], ..*self };
        match new {
            Change::Rounding(rounding) => {
                format.rounding = rounding;
                format.laws.idempotent &= self.scaling.is_none() || rounding == Rounding::NearestEven;
            }
            Change::Overflow(overflow) => format.overflow = overflow,
            Change::Rule(rule) => {
                format.scaling.as_mut().ok_or_else(unknown)?.rule = rule;
                let exact = !matches!(rule, ScaleRule::FloorLog2 | ScaleRule::EnclosingLog2);
                format.laws = Laws { idempotent: false, scale_invariant: exact, ..format.laws };
            }
        }
        Self::kept(&format!("{}@{change}", self.name), |name| Ok(Self { name, ..format }))
    }

    /// Whether both records give the same bits: what they claim and where they come from aside.
    fn means(&self, other: &Self) -> bool {
        let told = |f: &Self| Self { aliases: &[], laws: self.laws, source: "", ..*f };
        told(self) == told(other)
    }

    /// The record that `make` gives a name, as [`Format::lasting`]; the name is kept only if the record makes sense.
    ///
    /// # Errors
    /// Those of `make` and [`Format::lasting`].
    pub(crate) fn kept(name: &str, make: impl Fn(Name) -> Result<Self, Error>) -> Result<&'static Self, Error> {
        match make("")?.problem() {
            Some(problem) => Err(Error::Record { name: name.to_owned(), problem: problem.to_owned() }),
            None => make(intern(name))?.lasting(),
        }
    }

    /// This record for as long as the program runs, found by its name from now on.
    ///
    /// # Errors
    /// [`Error::Record`] where it makes no sense or another record has its name.
    pub(crate) fn lasting(self) -> Result<&'static Self, Error> {
        let refused = |problem: &str| Error::Record { name: self.name.to_owned(), problem: problem.to_owned() };
        if let Some(problem) = self.problem() {
            return Err(refused(problem));
        }
        let mut made = MADE.write().unwrap_or_else(PoisonError::into_inner);
        match catalogued(self.name).or_else(|| made.get(self.name).copied()) {
            Some(format) if format.means(&self) => Ok(format),
            Some(_) => Err(refused("another format has this name already; choose another")),
            None => {
                let format: &'static Self = Box::leak(Box::new(self));
                for name in format.names() {
                    made.entry(name).or_insert(format);
                }
                Ok(format)
            }
        }
    }
}

/// A unit variant by the name that files use for it.
pub(crate) fn named<T: DeserializeOwned>(name: &str) -> Option<T> {
    let name: StrDeserializer<serde::de::value::Error> = name.into_deserializer();
    T::deserialize(name).ok()
}

/// What stands behind an `@`.
enum Change {
    Rounding(Rounding),
    Overflow(Overflow),
    Rule(ScaleRule),
}

impl Change {
    fn of(text: &str) -> Option<Self> {
        let rounding = text.parse().ok().map(Self::Rounding);
        rounding.or_else(|| named(text).map(Self::Overflow)).or_else(|| named(text).map(Self::Rule))
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::Rounding(_) => "rounding",
            Self::Overflow(_) => "overflow",
            Self::Rule(_) => "scale rule",
        }
    }
}

fn known(name: &str) -> Option<&'static Format> {
    let made = || MADE.read().unwrap_or_else(PoisonError::into_inner).get(name).copied();
    catalogued(name).or_else(made)
}

fn catalogued(name: &str) -> Option<&'static Format> {
    catalog::ALL.iter().find(|f| f.names().any(|n| n == name))
}

fn nearest(wanted: &str) -> &'static str {
    let made = MADE.read().unwrap_or_else(PoisonError::into_inner);
    let names = catalog::ALL.iter().flat_map(Format::names).chain(made.keys().copied().take(SUGGESTED));
    let near = |n: &&str| strsim::jaro_winkler(n, wanted);
    names.max_by(|a, b| near(a).total_cmp(&near(b))).unwrap_or("fp32")
}

/// A member of a family with numbers in its name.
#[derive(Clone, Copy)]
enum Family {
    /// `s<bits>`, `u<bits>` and `fixed<bits>.<fraction>`.
    Plain { range: Range, bits: u32, fraction: u32 },
    /// `hbfp<bits>[-b<block>][-e<exponent>]`.
    Hbfp { bits: u32, block: u32, exponent: u32 },
    /// `int<bits>[-asym][-g<group>]`.
    Int { bits: u32, asymmetric: bool, group: Option<u32> },
}

impl Family {
    fn of(name: &str) -> Option<Self> {
        let width = |text: &str| number(text).filter(|bits| (2..=16).contains(bits));
        if let Some(rest) = name.strip_prefix("fixed") {
            let (bits, fraction) = rest.split_once('.')?;
            let fraction = if fraction == "0" { 0 } else { number(fraction)? };
            let bits = width(bits).filter(|_| fraction <= 32)?;
            return Some(Self::Plain { range: Range::Full, bits, fraction });
        }
        if let Some(rest) = name.strip_prefix("hbfp") {
            let mut parts = rest.split('-');
            let bits = width(parts.next()?)?;
            let (mut block, mut exponent) = (64, 10);
            for part in parts {
                match part.split_at_checked(1)? {
                    ("b", n) => block = number(n)?,
                    ("e", n) => exponent = number(n)?,
                    _ => return None,
                }
            }
            return Some(Self::Hbfp { bits, block, exponent });
        }
        if let Some(rest) = name.strip_prefix("int") {
            let (rest, group) = rest.split_once("-g").map_or((rest, None), |(rest, group)| (rest, Some(group)));
            let (bits, asymmetric) = rest.strip_suffix("-asym").map_or((rest, false), |bits| (bits, true));
            // Zero points are bytes.
            let bits = width(bits).filter(|&bits| !asymmetric || bits <= 8)?;
            let group = match group {
                Some(group) => Some(number(group)?),
                None => None,
            };
            return Some(Self::Int { bits, asymmetric, group });
        }
        let (range, bits) = match name.split_at_checked(1)? {
            ("s", bits) => (Range::Full, width(bits)?),
            ("u", bits) => (Range::Unsigned, width(bits)?),
            _ => return None,
        };
        Some(Self::Plain { range, bits, fraction: 0 })
    }

    fn record(self, own: Name) -> Format {
        match self {
            Self::Plain { range, bits, fraction } => {
                let element = Scalar::ranged(own, range, bits, fraction);
                catalog::scalar(own, &[], element, "integers and fixed point, saturating")
            }
            Self::Hbfp { bits, block, exponent } => catalog::hbfp(own, bits, block as usize, exponent),
            Self::Int { bits, asymmetric, group } => {
                let block = group.map_or(Block::Row, |group| Block::Run(group as usize));
                if asymmetric {
                    catalog::grid(own, bits, block, ScaleRule::MinMax)
                } else {
                    catalog::int(own, bits, block)
                }
            }
        }
    }
}

/// A positive number of at most 7 digits, written without leading zeros.
fn number(text: &str) -> Option<u32> {
    let digits = text.len() <= 7 && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    digits.then(|| text.parse().ok()).flatten()
}
