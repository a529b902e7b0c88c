//! Price lists: what one event costs, with the node, the source, the band and how the number is known.
//!
//! Lists are TOML files, those of the project in `data/prices`; [`PriceList::from_toml`] reads a user's. What a list
//! lacks is derived in one place, `arithmetic.rs`, and labelled there.

mod read;
mod sram;

pub use sram::{Access, spread as sram_spread};

use super::Band;
use crate::{Error, names};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a number is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Published by the source as its own figure.
    Measured,
    /// Computed from such figures by a stated rule.
    Derived,
    /// Commonly quoted or plausible, not checked against the source.
    Assumed,
}

/// Energy of one event, and the area of what does it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Bits that the event processes: the operand width of an operation, the width of a memory access.
    pub bits: u64,
    /// Energy of the event in pJ.
    #[serde(rename = "pj")]
    pub energy: Band,
    /// Area in um2, where published.
    #[serde(rename = "um2", default, skip_serializing_if = "Option::is_none")]
    pub area: Option<Band>,
    /// How the energy is known.
    pub status: Status,
    /// Where it comes from.
    pub source: String,
}

/// Prices of one technology.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceList {
    /// The name by which it is chosen.
    pub name: String,
    /// One sentence: what is in a number, registers and clock above all.
    pub about: String,
    /// Feature size in nm.
    pub node_nm: f64,
    /// Supply in V.
    pub volts: f64,
    /// The work that most of its figures come from.
    pub source: String,
    /// The entry of `dram` that is meant where a machine names none.
    pub main_memory: String,
    /// Operations of one arithmetic unit.
    pub operations: Operations,
    /// A bit written to a register.
    pub register: Price,
    /// On-chip memories.
    pub sram: Sram,
    /// Main memories by technology. Those of the project are in every list; an entry of the same name replaces one.
    #[serde(default)]
    pub dram: BTreeMap<String, Price>,
}

/// Operations that a list prices. Those that inventories are priced by must be there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Operations {
    /// Addition of two 8-bit integers.
    pub int8_add: Price,
    /// Addition of two 32-bit integers.
    pub int32_add: Price,
    /// Multiplication of two 8-bit integers.
    pub int8_multiply: Price,
    /// FP32 addition.
    pub fp32_add: Price,
    /// FP32 multiplication.
    pub fp32_multiply: Price,
    /// Addition of two 16-bit integers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub int16_add: Option<Price>,
    /// Multiplication of two 32-bit integers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub int32_multiply: Option<Price>,
    /// BF16 addition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bf16_add: Option<Price>,
    /// BF16 multiplication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bf16_multiply: Option<Price>,
    /// FP16 addition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fp16_add: Option<Price>,
    /// FP16 multiplication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fp16_multiply: Option<Price>,
}

/// Where the prices of on-chip memories come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "model", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Sram {
    /// Published macros. Energy between two of them is interpolated in log-log over size and proportional to the width;
    /// a smaller memory costs what the smallest does, a larger one is made of banks of the largest. Reads and writes
    /// cost the same. Area and leakage are CACTI's at the node of the list.
    Points {
        /// The macros, smallest first.
        points: Vec<Macro>,
    },
    /// CACTI-7 by log-log interpolation over size, width and node.
    Cacti {
        /// Feature size in nm.
        node_nm: f64,
    },
}

/// A published memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Macro {
    /// Its size.
    pub kib: u64,
    /// Bits of an access.
    pub bits: u64,
    /// Energy of an access in pJ.
    pub pj: Band,
    /// How it is known.
    pub status: Status,
    /// Where it comes from.
    pub source: String,
}

impl Price {
    /// Energy of each bit in pJ.
    pub fn per_bit(&self) -> Band {
        self.energy * (1.0 / self.bits as f64)
    }
}

impl PriceList {
    /// Every list of the project; the first is the default.
    pub fn all() -> &'static [PriceList] {
        &read::ALL
    }

    /// The list of that name, in any case.
    ///
    /// # Errors
    /// [`Error::UnknownName`] with the nearest name.
    pub fn by_name(name: &str) -> Result<&'static PriceList, Error> {
        let known: Vec<_> = read::ALL.iter().map(|list| (list.name.as_str(), list)).collect();
        names::find("price list", name, &known)
    }

    /// The price of a bit moved to or from a main memory, by technology, such as `hbm2`.
    ///
    /// # Errors
    /// [`Error::UnknownName`] with the nearest name.
    pub fn dram(&self, technology: &str) -> Result<&Price, Error> {
        let known: Vec<_> = self.dram.iter().map(|(name, price)| (name.as_str(), price)).collect();
        names::find("main memory", technology, &known)
    }

    /// The main memory that the list means where a machine names none.
    pub fn main_memory(&self) -> &Price {
        // A list without it is refused where it is read; one changed in the program falls back on what it has.
        self.dram.get(&self.main_memory).or(self.dram.values().next()).unwrap_or(&self.register)
    }

    /// A bit written to a register, in pJ.
    pub fn register(&self) -> Band {
        self.register.per_bit()
    }

    /// Every price of the list with its place in the file: operations, register, main memories.
    pub fn prices(&self) -> Vec<(String, &Price)> {
        let o = &self.operations;
        let required = [
            ("int8-add", Some(&o.int8_add)),
            ("int16-add", o.int16_add.as_ref()),
            ("int32-add", Some(&o.int32_add)),
            ("int8-multiply", Some(&o.int8_multiply)),
            ("int32-multiply", o.int32_multiply.as_ref()),
            ("bf16-add", o.bf16_add.as_ref()),
            ("fp16-add", o.fp16_add.as_ref()),
            ("fp32-add", Some(&o.fp32_add)),
            ("bf16-multiply", o.bf16_multiply.as_ref()),
            ("fp16-multiply", o.fp16_multiply.as_ref()),
            ("fp32-multiply", Some(&o.fp32_multiply)),
        ];
        let operations = required.into_iter().filter_map(|(name, price)| Some((format!("operations.{name}"), price?)));
        let dram = self.dram.iter().map(|(name, price)| (format!("dram.{name}"), price));
        operations.chain([("register".to_owned(), &self.register)]).chain(dram).collect()
    }
}
