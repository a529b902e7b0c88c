//! Datapaths by name, and the natural one of a pair of formats.

use super::operand::{Family, family};
use super::{Datapath, catalog};
use crate::{Error, names};
use interplay_formats::Format;
use std::sync::{PoisonError, RwLock};

/// Records that were declared.
static DECLARED: RwLock<Vec<&'static Datapath>> = RwLock::new(Vec::new());

impl Datapath {
    /// Every datapath of the catalogue.
    pub fn all() -> &'static [&'static Self] {
        &catalog::ALL
    }

    /// The datapath of that name, in any case, from the catalogue or declared. `auto` is no record: it depends on the
    /// formats, see [`Datapath::auto`].
    ///
    /// # Errors
    /// [`Error::UnknownName`] with the nearest name; [`Error::Unsettled`] for a sparse unit without a hypothesis.
    pub fn by_name(name: &str) -> Result<&'static Self, Error> {
        let declared = DECLARED.read().unwrap_or_else(PoisonError::into_inner);
        let known: Vec<_> = Self::all().iter().chain(declared.iter()).map(|&record| (record.name, record)).collect();
        let wanted = name.trim().to_lowercase();
        let settled = |suffix: &str| wanted.replacen("-sp.", &format!("-sp-{suffix}."), 1);
        if wanted.contains("-sp.") && known.iter().any(|(name, _)| *name == settled("h1")) {
            return Err(Error::Unsettled { given: name.to_owned(), h1: settled("h1"), h2: settled("h2") });
        }
        names::find("datapath", name, &known)
    }

    /// Keeps a record for as long as the program runs; [`Datapath::by_name`] finds it from now on.
    ///
    /// # Errors
    /// [`Error::Record`] for a record that cannot exist, or whose name another one has.
    pub fn declare(self) -> Result<&'static Self, Error> {
        self.check()?;
        let mut declared = DECLARED.write().unwrap_or_else(PoisonError::into_inner);
        match Self::all().iter().chain(declared.iter()).find(|known| known.name == self.name) {
            Some(known) if **known == self => Ok(known),
            Some(_) => Err(Error::Record {
                name: self.name.to_owned(),
                field: "name",
                problem: "another datapath has this name already; choose another".to_owned(),
            }),
            None => {
                let record: &'static Self = Box::leak(Box::new(self));
                declared.push(record);
                Ok(record)
            }
        }
    }

    /// The natural unit of a pair of formats: `block` for block formats of one block length, `int8` for symmetric
    /// integers with a scale a row, `fake` for FP32 on both sides, and `fp32` for everything else.
    pub fn auto(weight: &Format, activation: &Format) -> &'static Self {
        match (family(weight), family(activation)) {
            (Family::Blocks { length: w }, Family::Blocks { length: x }) if w == x => &catalog::BLOCK,
            (Family::Integers, Family::Integers) => &catalog::INT8,
            _ if weight.is_exact() && activation.is_exact() => &catalog::FAKE,
            _ => &catalog::FP32,
        }
    }

    /// The host: `fake`.
    pub fn fake() -> &'static Self {
        &catalog::FAKE
    }

    /// The chain of FP32 fused multiply-adds, whose law the host has too.
    pub fn fp32() -> &'static Self {
        &catalog::FP32
    }

    /// The unit that a machine needs for a pair of formats: [`Datapath::auto`], with an FP32 unit in place of the host.
    pub fn machine(weight: &Format, activation: &Format) -> &'static Self {
        match Self::auto(weight, activation) {
            datapath if datapath.is_host() => &catalog::FP32,
            datapath => datapath,
        }
    }
}
