//! What lies between the two products of fused attention: scaling, masking and a softmax, on the host.

use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Shape, TensorData};
use burn_ir::AttentionOpIr;

use crate::Error;
use crate::burn::backend::{Engine, Of};
use crate::burn::host::{self, Host};
use crate::hw::host::Function;

/// The attention weights `[b, heads, q, k]` for the products `scores` of queries and keys, as the host `on` computes them on the backend `B`.
///
/// Order of operations: scale, softcap, mask, causal mask, bias, softmax; a row that is masked everywhere gives zeros.
///
/// # Errors
/// The backend has no booleans, or the host no values that are not f32.
pub(crate) fn weights<B: Engine>(
    scores: Of<B>,
    mask: Option<Of<B>>,
    bias: Option<Of<B>>,
    a: &AttentionOpIr,
    on: Host,
) -> Result<Of<B>, Error> {
    let options: burn::tensor::ops::AttentionModuleOptions = a.options.clone().into();
    let head = a.query.shape[3];
    let scale = options.scale.unwrap_or_else(|| 1.0 / (head as f64).sqrt());
    let shape = scores.shape();
    let mut s = B::float_mul_scalar(scores, scale.into());
    if let Some(cap) = options.softcap {
        s = B::float_div_scalar(s, cap.into());
        s = match on {
            Host::Fixed => B::lift(host::fill(Function::Tanh, B::lower(s)?)?)?,
            Host::Burn => B::float_tanh(s),
        };
        s = B::float_mul_scalar(s, cap.into());
    }
    if let Some(mask) = mask {
        s = B::float_mask_fill(s, mask, f32::NEG_INFINITY.into());
    }
    if options.is_causal {
        s = B::float_mask_fill(s, causal::<B>(shape)?, f32::NEG_INFINITY.into());
    }
    if let Some(bias) = bias {
        s = B::float_add(s, bias);
    }
    if on == Host::Fixed {
        return B::lift(host::softmax(B::lower(s)?, 3, true)?);
    }
    let max = B::float_clamp_min(B::float_max_dim(s.clone(), 3), f32::MIN.into());
    let exp = B::float_exp(B::float_sub(s, max));
    let sum = B::float_clamp_min(B::float_sum_dim(exp.clone(), 3), f32::MIN_POSITIVE.into());
    Ok(B::float_div(exp, sum))
}

/// `true` where a key lies after its query, with the last query at the last key; `shape` is that of the scores.
fn causal<B: Engine>(shape: Shape) -> Result<Of<B>, Error> {
    let [_, _, queries, keys] = shape.dims();
    let after = |i: usize| i % keys + queries > i / keys + keys;
    let mask: Vec<bool> = (0..queries * keys).map(after).collect();
    let mask = B::lift(FlexTensor::from_data(TensorData::new(mask, [1, 1, queries, keys])))?;
    Ok(B::bool_expand(mask, shape))
}
