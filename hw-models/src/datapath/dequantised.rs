//! Weights that become a wider type on their way into a unit, as runtimes multiply formats that a machine lacks.

use super::{Datapath, Operand, Weights};
use crate::Error;
use interplay_formats::{Format, Quantized};
use serde::{Deserialize, Serialize};

/// Where the scales of dequantised weights multiply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scales {
    /// Before the product: the unit is given `rne(fl(q s))`.
    Registers,
    /// After it: the unit is given the elements `q`, and each result is multiplied by the scale of its row, `fl(s d)`.
    Epilogue,
    /// Those of blocks before the product, that of the tensor after it.
    Both,
}

impl Datapath {
    /// Packs weights that are rounded to `to`, to nearest even, before they meet the unit, with their scales where `scales` says.
    ///
    /// # Errors
    /// As [`Datapath::prepare`], of values in `to`; elements that the unit does not have where scales follow it.
    pub fn prepare_dequantised(&self, w: &Quantized, to: &'static Format, scales: Scales) -> Result<Weights, Error> {
        let (mut values, factor) = match scales {
            Scales::Epilogue => return self.prepare(Operand::Quantized(w)),
            Scales::Registers => (w.dequantize(), None),
            Scales::Both => (w.under_block_scales().dequantize(), w.tensor_scale()),
        };
        to.fake_quantize(&mut values, w.k())?;
        let mut weights = self.prepare(Operand::Values { data: &values, k: w.k() })?;
        weights.prepared.factors = factor.map_or(Vec::new(), |factor| vec![factor; w.rows()]);
        Ok(weights)
    }
}
