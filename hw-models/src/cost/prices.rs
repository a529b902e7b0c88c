//! Price lists: what one event costs, with the node, the source and how the number is known.
//!
//! Lists hold published numbers only; what a list lacks is derived in one place, `arithmetic.rs`, and labelled there.

use super::{Bits, Picojoules};
use crate::{Error, names};
use serde::Serialize;

/// How a number is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Published by the source as its own figure.
    Measured,
    /// Computed from such figures by a stated rule.
    Derived,
    /// Commonly quoted or plausible, not checked against the source.
    Assumed,
}

/// Energy of one event.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Price {
    /// Energy of the event.
    #[serde(rename = "pj")]
    pub energy: Picojoules,
    /// Bits that the event processes: the operand width of an operation, the width of a memory access.
    pub bits: u64,
    /// How the number is known.
    pub status: Status,
    /// Where it comes from.
    pub source: &'static str,
}

/// Prices of one technology. Operations are those of one arithmetic unit without registers, wires or clock.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PriceList {
    /// The name by which it is chosen.
    pub name: &'static str,
    /// Technology and supply.
    pub node: &'static str,
    /// Multiplication of two 8-bit integers.
    pub int8_multiply: Price,
    /// Addition of two 8-bit integers.
    pub int8_add: Price,
    /// Addition of two 32-bit integers.
    pub int32_add: Price,
    /// FP32 multiplication.
    pub fp32_multiply: Price,
    /// FP32 addition.
    pub fp32_add: Price,
    /// Accesses to an SRAM of so many KiB, smallest first.
    pub sram: &'static [(u64, Price)],
    /// Access to main memory.
    pub dram: Price,
}

const HOROWITZ: &str = "Horowitz, Computing's energy problem, ISSCC 2014, figure 1.1.9";
const HOROWITZ_QUOTED: &str = "Horowitz, ISSCC 2014, as commonly quoted";
const JOUPPI: &str = "Jouppi et al., Ten lessons from three generations, ISCA 2021, table 2";
const JOUPPI_QUOTED: &str = "Jouppi et al., ISCA 2021, table 2, as commonly quoted";
const JOUPPI_HBM: &str = "Jouppi et al., ISCA 2021, table 2, as commonly quoted: HBM2 250 to 450 pJ, the upper end";

const fn measured(pj: f64, bits: u64, source: &'static str) -> Price {
    Price { energy: Picojoules(pj), bits, status: Status::Measured, source }
}

const fn assumed(pj: f64, bits: u64, source: &'static str) -> Price {
    Price { energy: Picojoules(pj), bits, status: Status::Assumed, source }
}

static ALL: [PriceList; 2] = [
    PriceList {
        name: "horowitz45",
        node: "45 nm, 0.9 V",
        int8_multiply: measured(0.2, 8, HOROWITZ),
        int8_add: measured(0.03, 8, HOROWITZ),
        int32_add: measured(0.1, 32, HOROWITZ),
        fp32_multiply: measured(3.7, 32, HOROWITZ),
        fp32_add: measured(0.9, 32, HOROWITZ),
        sram: &[
            (8, measured(10.0, 64, HOROWITZ)),
            (32, assumed(20.0, 64, HOROWITZ_QUOTED)),
            (1024, assumed(100.0, 64, HOROWITZ_QUOTED)),
        ],
        dram: measured(640.0, 32, HOROWITZ),
    },
    PriceList {
        name: "jouppi7",
        node: "7 nm",
        int8_multiply: measured(0.07, 8, JOUPPI),
        int8_add: measured(0.007, 8, JOUPPI),
        int32_add: measured(0.03, 32, JOUPPI),
        fp32_multiply: measured(1.31, 32, JOUPPI),
        fp32_add: measured(0.38, 32, JOUPPI),
        sram: &[
            (8, measured(7.5, 64, JOUPPI)),
            (32, assumed(8.5, 64, JOUPPI_QUOTED)),
            (1024, measured(14.0, 64, JOUPPI)),
        ],
        dram: assumed(450.0, 64, JOUPPI_HBM),
    },
];

impl Price {
    /// Energy of moving so many bits at this price.
    pub fn of_bits(&self, bits: Bits) -> Picojoules {
        Picojoules(self.energy.0 * (bits.0 as f64 / self.bits as f64))
    }
}

impl PriceList {
    /// Every list; the first is the default.
    pub fn all() -> &'static [PriceList] {
        &ALL
    }

    /// The list of that name, in any case.
    ///
    /// # Errors
    /// [`Error::UnknownName`] with the nearest name.
    pub fn by_name(name: &str) -> Result<&'static PriceList, Error> {
        names::find("price list", name, &ALL.each_ref().map(|list| (list.name, list)))
    }

    /// The price of an access to a buffer: that of the smallest listed memory that holds it; a larger buffer is made of
    /// banks of the largest one.
    pub fn sram_access(&self, kib: u64) -> Price {
        let fitting = self.sram.iter().find(|(size, _)| *size >= kib).or(self.sram.last());
        fitting.map_or(self.dram, |(_, price)| *price)
    }
}
