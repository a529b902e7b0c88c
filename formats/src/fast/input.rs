//! What comes before the kernels: narrower input types, and NaN and infinities of scalar formats.

use super::Call;
use super::plan::narrowest;
use crate::decode::Element;
use crate::error::{Error, non_finite};
use crate::kernel::{Cast, Kernel, Plain};
use crate::sweep::{Sweep, first_non_finite, narrowed};
use crate::tensor::Scales;
use crate::{Format, Input, Overflow, Quantized};
use rayon::prelude::*;

impl Call {
    /// All values in the record's input type, where it has one.
    pub(super) fn narrowed(&self, x: &[f32]) -> Result<Option<Vec<f32>>, Error> {
        let Sweep { format, level, k, .. } = self.sweep;
        let Some(Input { scalar, rounding }) = format.input else { return Ok(None) };
        first_non_finite(x).map_or(Ok(()), |at| Err(non_finite(x, k, at)))?;
        // The reference path draws no random bits here.
        let constants = Cast::new(scalar, rounding, Overflow::Infinity).zip(Element::new(scalar));
        Ok(Some(match constants {
            Some((cast, element)) => narrowed(level, Plain::<(), false>::new(cast, element), x),
            None => x.par_iter().map(|&v| format.narrow(v)).collect(),
        }))
    }

    /// Quantises values of which some are NaN or infinite.
    pub(super) fn quantize_any(&self, x: &[f32]) -> Result<Quantized, Error> {
        let Sweep { format, stream, rows, k, .. } = self.sweep;
        let has_nan_code = format.element.nan_code().is_some() || !x.iter().any(|v| v.is_nan());
        let total = is_total(format) && has_nan_code;
        let constants = Cast::new(format.element, format.rounding, format.overflow).zip(Element::new(format.element));
        let Some((cast, element)) = constants.filter(|_| total) else { return format.interpret(x, k, stream) };
        let encoded = if format.rounding.is_deterministic() {
            self.encoded(Plain::<(), false>::new(cast, element), x)
        } else {
            self.encoded(Plain::<(), true>::new(cast, element), x)
        };
        Ok(Quantized::new(format, rows, k, narrowest(format.element, encoded?), Scales::None))
    }

    fn encoded<K: Kernel>(&self, kernel: K, x: &[f32]) -> Result<Vec<K::Code>, Error> {
        let encoded = self.sweep.encode(kernel, x);
        encoded.map(|(codes, _)| codes).map_err(|at| non_finite(x, self.sweep.k, at))
    }
}

/// Whether NaN and infinities are numbers like others.
fn is_total(format: &Format) -> bool {
    let encodes = format.non_finite == crate::NonFinite::Encode;
    encodes && format.scaling.is_none() && format.input.is_none()
}
