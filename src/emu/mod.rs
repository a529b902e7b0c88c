//! Training through the emulation: a product that computes what a modelled accelerator does and can be differentiated.
//!
//! Capture cannot see autodiff, so a model that is trained calls the emulation itself: [`matmul`] in its code, or [`EmuLinear`] in the
//! place of Burn's linear layer, [`patches`] in that of a convolution into patches. The forward pass has the bits of the captured executor on Burn's
//! host, within which it trains.
//!
//! The backward pass is straight-through (Bengio et al. 2013): rounding and pruning count as the identity, so that a dense weight
//! gets the gradient of what it became, a pruned one too. With `W` the stored weights as values and `X` the rounded activations of the forward
//! pass, `dX = G Wᵀ` and `dW = Xᵀ G`, where `G` is the gradient of the output, rounded first where [`Emulation::with_gradients`] says so.
//! Burn computes these two products in FP32.
//!
//! ```
//! use burn::nn::LinearConfig;
//! use burn::tensor::{Device, Distribution, Tensor};
//! use interplay::emu::{EmuLinear, Emulation};
//! use interplay::formats::{Format, Order};
//! use interplay::plan::LayerConfig;
//!
//! // HBFP8 weights, activations and gradients, 2:4 after quantisation, on the format's natural unit.
//! let hbfp8 = Format::by_name("hbfp8")?;
//! let config = LayerConfig::new(hbfp8, "2:4".parse()?, Order::Qs)?;
//! let emulation = Emulation::new("fc1", config)?.with_gradients(hbfp8);
//! let device = Device::flex().autodiff();
//! let fc1 = EmuLinear::from(LinearConfig::new(128, 16).init(&device)).emulated(Some(emulation))?;
//!
//! let y = fc1.forward(Tensor::<2>::random([4, 128], Distribution::Default, &device));
//! let gradients = y.powi_scalar(2).sum().backward();
//! let dense = fc1.weight.val().grad(&gradients).expect("weights are tracked");
//! assert_eq!(dense.dims(), [128, 16]);
//! # Ok::<(), interplay::Error>(())
//! ```

mod emulation;
mod extension;
mod layers;
mod linear;
mod patches;

pub use emulation::Emulation;
pub use layers::Layers;
pub use linear::EmuLinear;
pub use patches::patches;

use burn::backend::{Dispatch, DispatchTensorKind};
use burn::tensor::Tensor;

use extension::Emulated;

/// `x [.., k] x w [k, n]` to `[.., n]` as `emulation` says; see [the module](self) for gradients.
///
/// Values that are not finite give an output of NaN, as does a product that the unit refuses; [`Emulation::failure`] then says which
/// layer it was and why. On Burn's capturing device the product is recorded as Burn's own, for a plan to decide about.
///
/// # Panics
/// As Burn's own product: where `x` and `w` do not go together, or lie on a device that is not Burn's CPU backend `flex`.
pub fn matmul<const D: usize>(x: Tensor<D>, w: Tensor<2>, emulation: &Emulation) -> Tensor<D> {
    if is_captured(&x) {
        return burn::tensor::module::linear(x, w, None);
    }
    Tensor::from_dispatch(Dispatch::emu_matmul(x.into_dispatch(), w.into_dispatch(), emulation.clone()))
}

/// Whether a tensor lies on Burn's capturing device.
fn is_captured<const D: usize>(x: &Tensor<D>) -> bool {
    matches!(x.clone().into_dispatch().kind, DispatchTensorKind::Capture(_))
}
