//! How long the engine waits for a level of memory.

/// What one level transfers for a product.
#[derive(Clone, Copy, Debug)]
pub struct Transfer {
    /// Bits towards the engine.
    pub loads: u64,
    /// Bits away from it.
    pub stores: u64,
    /// Bits a second that the level reaches.
    pub rate: f64,
}

impl Transfer {
    /// Cycles in which it is done if nothing else makes it wait; saturates.
    pub fn busy(&self, clock_hz: u64) -> u64 {
        let cycles = |bits: u64| (bits as f64 * (clock_hz as f64 / self.rate)).ceil() as u64;
        cycles(self.loads.saturating_add(self.stores))
    }
}

/// Cycles of a product of `compute` cycles that is double-buffered against a level: while one piece is computed, the next
/// is loaded and the one before is stored; the first load and the last store are not hidden.
///
/// `load + max(c, load) + (pieces - 2) max(c, load + store) + max(c, store) + store`, with equal pieces. Never falls when
/// the rate falls. `None` beyond 64 bits.
pub fn stalled(compute: u64, transfer: &Transfer, pieces: u64, clock_hz: u64) -> Option<u64> {
    let cycles = |bits: u64| (bits as f64 * (clock_hz as f64 / transfer.rate)).ceil() as u128;
    let (c, load, store) = (u128::from(compute), cycles(transfer.loads), cycles(transfer.stores));
    let pieces = u128::from(pieces.max(1));
    let sum = match pieces {
        1 => load.checked_add(c)?.checked_add(store)?,
        _ => {
            let ends = load.checked_add(c.max(load))?.checked_add(c.max(store))?.checked_add(store)?;
            (pieces - 2).checked_mul(c.max(load.checked_add(store)?))?.checked_add(ends)?
        }
    };
    u64::try_from(sum.div_ceil(pieces)).ok()
}
