//! Training through the emulation: its forward bits, its gradients, its masks.

mod forward;
mod gradients;
mod masks;
mod training;

use burn::tensor::Tensor;
use libtest_mimic::Trial;

/// Every case of this file's modules.
pub fn cases() -> Vec<Trial> {
    [forward::cases(), gradients::cases(), masks::cases(), training::cases()].into_iter().flatten().collect()
}

/// The values of a tensor, row-major.
fn host<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.without_autodiff().into_data().try_into_vec::<f32>().expect("f32 data")
}
