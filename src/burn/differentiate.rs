//! A module with other values for some of its tensors, and a loss's derivative by some of them.
//!
//! Paths are those of [`super::names`]. Only the tensors that are asked for are leaves of Burn's tape; all others are constants.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Gradients, Tensor, TensorData};

use super::names::Place;
use crate::Error;
use crate::burn::Activation;

/// Other values, row-major, for the tensor of that path and shape; `None` leaves it as it is.
pub type Replacement<'a> = dyn FnMut(&str, &[usize]) -> Result<Option<Vec<f32>>, Error> + 'a;

/// A loss of an output's values, row-major and of that shape, and its derivative by each of them.
pub type Loss<'a> = dyn FnMut(&[f32], &[usize]) -> Result<(f64, Vec<f32>), Error> + 'a;

/// The derivative of a loss by one of a stage's tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct Derivative {
    /// The tensor's path, prefix included.
    pub path: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The derivative by each element, row-major.
    pub values: Vec<f32>,
}

/// Puts other values in.
struct Replace<'a, 'b> {
    place: Place<'a>,
    other: &'a mut Replacement<'b>,
    error: Option<Error>,
}

impl ModuleMapper for Replace<'_, '_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.place.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.place.leave();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let path = self.place.path();
        let tensor = match self.error {
            None => other(&path, tensor.clone(), self.other).unwrap_or_else(|error| {
                self.error = Some(error);
                tensor
            }),
            Some(_) => tensor,
        };
        Param::from_mapped_value(id, tensor, mapper)
    }
}

fn other<const D: usize>(path: &str, own: Tensor<D>, other: &mut Replacement<'_>) -> Result<Tensor<D>, Error> {
    if matches!(own.dtype(), DType::QFloat(_)) {
        return Ok(own);
    }
    let shape = own.dims();
    let Some(values) = other(path, &shape)? else { return Ok(own) };
    if values.len() != shape.iter().product::<usize>() {
        return Err(Error::Shape { name: path.to_owned(), given: vec![values.len()], expected: shape.to_vec() });
    }
    Ok(Tensor::from_data(TensorData::new(values, shape), &own.device()))
}

/// `module` with the tensors that `replacement` gives values for.
///
/// # Errors
/// Another number of values than the tensor has; whatever `replacement` answers.
pub(super) fn replaced<M: Module>(module: &M, prefix: &str, replacement: &mut Replacement<'_>) -> Result<M, Error> {
    let mut replace = Replace { place: Place::under(prefix), other: replacement, error: None };
    let module = module.clone().map(&mut replace);
    replace.error.map_or(Ok(module), Err)
}

/// Puts every float tensor on the tape, as a leaf where its derivative is wanted and as a constant elsewhere.
struct Track<'a> {
    place: Place<'a>,
    by: &'a dyn Fn(&str) -> bool,
    leaves: usize,
}

impl ModuleMapper for Track<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.place.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.place.leave();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let leaf = (self.by)(&self.place.path());
        self.leaves += usize::from(leaf);
        Param::from_mapped_value(id, tensor.autodiff().set_require_grad(leaf), mapper)
    }
}

/// Collects what the leaves' derivatives are.
struct Gather<'a> {
    place: Place<'a>,
    gradients: &'a mut Gradients,
    found: Vec<Derivative>,
}

impl ModuleVisitor for Gather<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.place.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.place.leave();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        if !tensor.is_require_grad() {
            return;
        }
        let shape = tensor.dims().to_vec();
        // A leaf that the output does not depend on has no entry.
        let values = match tensor.grad_remove(self.gradients) {
            Some(gradient) => host(gradient),
            None => vec![0.0; shape.iter().product()],
        };
        self.found.push(Derivative { path: self.place.path(), shape, values });
    }
}

/// The loss of `forward`'s output and its derivatives by the tensors whose path `by` names.
///
/// # Errors
/// An output of integers, or one on which the loss's derivative does not fit; whatever `loss` answers.
pub(super) fn differentiate<M: Module>(
    module: &M,
    prefix: &str,
    forward: impl FnOnce(&M, Activation) -> Activation,
    input: Activation,
    by: &dyn Fn(&str) -> bool,
    loss: &mut Loss<'_>,
) -> Result<(f64, Vec<Derivative>), Error> {
    let mut track = Track { place: Place::under(prefix), by, leaves: 0 };
    let module = module.clone().map(&mut track);
    let leaves = track.leaves;
    let (loss, surrogate) = match forward(&module, input) {
        Activation::Rows(output) => surrogate(output, loss)?,
        Activation::Sequence(output) => surrogate(output, loss)?,
        Activation::Images(output) => surrogate(output, loss)?,
        Activation::Ids(_) | Activation::Text(_) => {
            return Err(Error::Invalid("a stage that gives integers cannot be differentiated".into()));
        }
    };
    if leaves == 0 || !surrogate.is_tracked() {
        return Ok((loss, Vec::new()));
    }
    let mut gradients = surrogate.backward();
    let mut gather = Gather { place: Place::under(prefix), gradients: &mut gradients, found: Vec::new() };
    module.visit(&mut gather);
    Ok((loss, gather.found))
}

/// The loss of the output's values, and a tensor whose derivative is the loss's: the product with what the loss says.
fn surrogate<const D: usize>(output: Tensor<D>, loss: &mut Loss<'_>) -> Result<(f64, Tensor<1>), Error> {
    let shape = output.dims();
    let (loss, derivative) = loss(&host(output.clone()), &shape)?;
    let expected: usize = shape.iter().product();
    if derivative.len() != expected {
        let name = "derivative of a loss".to_owned();
        return Err(Error::Shape { name, given: vec![derivative.len()], expected: shape.to_vec() });
    }
    let derivative = Tensor::<D>::from_data(TensorData::new(derivative, shape), &Device::flex());
    Ok((loss, (output * derivative.autodiff()).sum()))
}

/// The values of a tensor, row-major.
pub(super) fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = tensor.without_autodiff().into_data().convert::<f32>();
    data.try_into_vec().unwrap_or_else(|error| unreachable!("an f32 tensor holds f32 values: {error:?}"))
}
