//! What lies between the two products of fused attention: scaling, masking and a softmax, on the host.

use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::ops::{BoolTensorOps, FloatTensorOps};
use burn::tensor::{Bytes, DType};
use burn_ir::AttentionOpIr;

use crate::burn::capture::Host;

/// The attention weights `[b, heads, q, k]` for the products `scores` of queries and keys.
///
/// Order of operations: scale, softcap, mask, causal mask, bias, softmax; a row that is masked everywhere gives zeros.
pub(crate) fn weights(
    scores: FlexTensor,
    mask: Option<FlexTensor>,
    bias: Option<FlexTensor>,
    a: &AttentionOpIr,
) -> FlexTensor {
    let options: burn::tensor::ops::AttentionModuleOptions = a.options.clone().into();
    let head = a.query.shape[3];
    let scale = options.scale.unwrap_or_else(|| 1.0 / (head as f64).sqrt());
    let mut s = Host::float_mul_scalar(scores, scale.into());
    if let Some(cap) = options.softcap {
        s = Host::float_tanh(Host::float_div_scalar(s, cap.into()));
        s = Host::float_mul_scalar(s, cap.into());
    }
    if let Some(mask) = mask {
        s = Host::float_mask_fill(s, mask, f32::NEG_INFINITY.into());
    }
    if options.is_causal {
        let mask = causal(&s);
        s = Host::float_mask_fill(s, mask, f32::NEG_INFINITY.into());
    }
    if let Some(bias) = bias {
        s = Host::float_add(s, bias);
    }
    let max = Host::float_clamp_min(Host::float_max_dim(s.clone(), 3), f32::MIN.into());
    let exp = Host::float_exp(Host::float_sub(s, max));
    let sum = Host::float_clamp_min(Host::float_sum_dim(exp.clone(), 3), f32::MIN_POSITIVE.into());
    Host::float_div(exp, sum)
}

/// `true` where a key lies after its query, with the last query at the last key.
fn causal(scores: &FlexTensor) -> FlexTensor {
    let shape = scores.layout().shape().clone();
    let [_, _, queries, keys] = shape.dims();
    let after = |i: usize| u8::from(i % keys + queries > i / keys + keys);
    let mask = Bytes::from_elems((0..queries * keys).map(after).collect());
    let bool_type = DType::Bool(burn::tensor::BoolStore::Native);
    let mask = FlexTensor::new(mask, Layout::contiguous(vec![1, 1, queries, keys].into()), bool_type);
    Host::bool_expand(mask, shape)
}
