//! What the executor asks about every matrix product.

#[cfg(feature = "wgpu")]
use burn::backend::Wgpu;
use burn::backend::flex::FlexTensor;
#[cfg(feature = "wgpu")]
use burn_cubecl::tensor::CubeTensor;

use crate::Error;
use crate::burn::Product;
#[cfg(feature = "wgpu")]
use crate::burn::backend::Engine;
use crate::formats::Input;

/// Decides who multiplies, multiplies, and sees the outputs.
///
/// The executor asks [`Hook::wants`] before each product. A wanted product arrives at [`Hook::multiply`] with its operands on
/// the CPU backend; every other one is left to Burn.
pub trait Hook {
    /// Whether product `index` of the graph comes to [`Hook::multiply`].
    fn wants(&self, index: usize) -> bool;

    /// Computes product `index`: `lhs` is `[.., m, k]`, `rhs` is `[.., k, n]` for a product of two activations and `None` for a
    /// product with a parameter; the output is `[.., m, n]` in the same batch dimensions.
    ///
    /// # Errors
    /// Whatever stops the hook; the run ends with it.
    fn multiply(
        &mut self,
        index: usize,
        product: &Product,
        lhs: FlexTensor,
        rhs: Option<FlexTensor>,
    ) -> Result<FlexTensor, Error>;

    /// [`Hook::multiply`] with operands and output on the GPU; without units there, the operands come to the CPU and the output goes
    /// back.
    ///
    /// # Errors
    /// As [`Hook::multiply`]; the GPU did not answer.
    #[cfg(feature = "wgpu")]
    #[doc(hidden)]
    fn multiply_on_gpu(
        &mut self,
        index: usize,
        product: &Product,
        lhs: CubeTensor,
        rhs: Option<CubeTensor>,
    ) -> Result<CubeTensor, Error> {
        let rhs = rhs.map(Wgpu::lower).transpose()?;
        Wgpu::lift(self.multiply(index, product, Wgpu::lower(lhs)?, rhs)?)
    }

    /// The type to which the output of a wanted product is rounded, before and after its bias, itself rounded, is added.
    fn output(&self, _index: usize) -> Option<Input> {
        None
    }

    /// Sees the output of a product, whoever computed it, before any bias is added. Attention that the host fused is not
    /// seen.
    fn observe(&mut self, _index: usize, _product: &Product, _output: &FlexTensor) {}

    /// Whether [`Hook::observe`] is of use; without it the executor keeps no output alive longer than needed.
    fn observes(&self) -> bool {
        false
    }
}

/// No hook: Burn computes everything, bit for bit as in eager execution.
#[derive(Debug, Clone, Copy, Default)]
pub struct Off;

impl Hook for Off {
    fn wants(&self, _index: usize) -> bool {
        false
    }

    fn multiply(
        &mut self,
        _index: usize,
        product: &Product,
        _lhs: FlexTensor,
        _rhs: Option<FlexTensor>,
    ) -> Result<FlexTensor, Error> {
        Err(Error::Invalid(format!(
            "no unit was chosen for `{}`; a hook that wants a product must multiply",
            product.name
        )))
    }
}
