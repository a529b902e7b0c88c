//! The module that is traced: the user's, without the values of its parameters.

use burn::backend::flex::Flex;
use burn::module::{ModuleMapper, Param};
use burn::tensor::{DType, Device, Tensor};

use crate::burn::value::Value;

/// Replaces every float parameter by one that has its shape and no values: a capture device would keep two copies of them.
pub(crate) struct Blank<'a>(pub(crate) &'a Device);

impl ModuleMapper for Blank<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let tensor = match tensor.dtype() {
            DType::QFloat(_) => tensor,
            dtype => Tensor::empty(tensor.shape(), (self.0, dtype)),
        };
        Param::from_mapped_value(id, tensor, mapper)
    }
}

/// Puts the module's own float tensors back: a running state is shared by all clones of a module, so that the traced one's is the
/// user's as well.
pub(crate) struct Restore<'a>(pub(crate) std::slice::Iter<'a, (String, Value)>);

impl ModuleMapper for Restore<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let own = self.0.find_map(|(_, value)| match value {
            Value::Float(own) => Some(Tensor::from_primitive::<Flex>(own.clone())),
            _ => None,
        });
        Param::from_mapped_value(id, own.unwrap_or(tensor), mapper)
    }
}
