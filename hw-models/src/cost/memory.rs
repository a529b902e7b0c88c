//! Memory: what moves between two levels, how it is tiled for least traffic, and how long the engine waits for it.

mod demand;
mod stall;
mod tiling;

pub use demand::{Demand, Matrix, Moves};
pub(super) use stall::{Transfer, stalled};
pub use tiling::{Order, Tiling, tiled};

use super::accelerator::{Accelerator, Capacity, Memory};

/// Bits of a memory for each operand; a unified one gives all of its bits to their sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// One memory.
    Unified(u64),
    /// Bits for activations, weights, and sums.
    Split([u64; 3]),
}

impl Memory {
    /// The room that one tile can use: that of one core where each has its own.
    pub fn room(&self) -> Room {
        let bits = |kib: u64| kib.saturating_mul(8 * 1024);
        match self.kib {
            Capacity::Unified(kib) => Room::Unified(bits(kib)),
            Capacity::Split { activations, weights, outputs } => {
                Room::Split([bits(activations), bits(weights), bits(outputs)])
            }
        }
    }

    /// Bits a second that are reached, of all copies together.
    pub(super) fn bits_per_second(&self, machine: &Accelerator, clock_hz: u64) -> f64 {
        let copies = if self.per_core { machine.engine.cores() as f64 } else { 1.0 };
        let rate = match self.gb_per_s {
            Some(gb) => gb * 8e9,
            None => self.ports as f64 * self.width_bits as f64 * clock_hz as f64,
        };
        rate * copies * self.achieved
    }
}
