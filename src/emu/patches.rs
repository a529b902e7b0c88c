//! A convolution whose windows lie side by side, as a product: how a vision transformer reads its patches.

use burn::tensor::{Shape, Tensor};

use super::linear::with_bias;
use super::{Emulation, matmul};

/// Images `[B, C, H, W]` under a `kernel` `[n, C, p, q]` that moves by its own size, to `[B, H/p * W/q, n]`.
///
/// A window is read position by position, channels fastest, as the executor reads it; an emulation with runs of `C`
/// ([`Emulation::in_runs`]) therefore has the bits of the captured convolution.
///
/// # Panics
/// Where the channels differ, or as [`matmul`].
pub fn patches(images: Tensor<4>, kernel: Tensor<4>, bias: Option<Tensor<1>>, emulation: &Emulation) -> Tensor<3> {
    let ([batch, channels, height, width], [n, _, p, q]) = (images.dims(), kernel.dims());
    let (down, across) = (height / p, width / q);
    let images = images.narrow(2, 0, down * p).narrow(3, 0, across * q);
    let windows = images.reshape([batch, channels, down, p, across, q]).permute([0, 2, 4, 3, 5, 1]);
    let windows: Tensor<3> = windows.reshape([batch, down * across, p * q * channels]);
    with_bias(matmul(windows, columns(kernel), emulation), bias, emulation).reshape(Shape::new([
        batch,
        down * across,
        n,
    ]))
}

/// A kernel `[n, C, p, q]` as the matrix `[p * q * C, n]` that [`patches`] multiplies by.
pub(super) fn columns(kernel: Tensor<4>) -> Tensor<2> {
    let [n, channels, p, q] = kernel.dims();
    kernel.permute([2, 3, 1, 0]).reshape([p * q * channels, n])
}
