//! A captured block whose weights can be read, replaced and watched: what compression works on.
//!
//! Burn computes everything. Products with a covered parameter are computed on the block's own copy of the weight, so that replacing a
//! weight needs no knowledge of how the module stores it; vectors (norms, biases) are replaced where the graph reads them.

use burn::backend::flex::FlexTensor;

use crate::Error;
use crate::burn::backend::Backend;
use crate::burn::capture::Captured;
use crate::burn::executor::transpose;
use crate::burn::hook::Hook;
use crate::burn::host::Host;
use crate::burn::product::{Product, Role};
use crate::burn::stage::{Activation, Stage};
use crate::burn::value::{self, Value, tensor};

/// A covered linear layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linear {
    /// Its name (`layers.0.self_attn.q_proj`).
    pub name: String,
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub k: usize,
}

/// Sees a covered product: which linear layer, its inputs `[.., k]`, its outputs `[.., rows]` before any bias.
pub(crate) type Watch<'a> = dyn FnMut(usize, &[f32], &[f32]) -> Result<(), Error> + 'a;

/// One block for inputs of one shape.
#[derive(Debug)]
pub(crate) struct Block {
    captured: Captured,
    linears: Vec<Linear>,
    /// The linear layer of each product of the graph; `None` where it is not covered.
    covered: Vec<Option<usize>>,
    /// `[k, rows]` of each linear layer.
    columns: Vec<FlexTensor>,
}

impl Block {
    /// Captures `stage` for inputs like `example`, to run on `host`; `covers` chooses among its products with a parameter.
    ///
    /// # Errors
    /// The stage cannot be captured, or a chosen product is none of a plain linear layer.
    pub(crate) fn new(
        stage: &dyn Stage,
        example: &Activation,
        host: Host,
        covers: impl Fn(&Product) -> bool,
    ) -> Result<Self, Error> {
        let captured = stage.capture(example)?.on(Backend::Flex(host));
        let mut block = Self { linears: Vec::new(), covered: Vec::new(), columns: Vec::new(), captured };
        for product in &block.captured.products {
            if product.role != Role::Weight || !covers(product) {
                block.covered.push(None);
                continue;
            }
            if product.count != 1 || product.run != product.k {
                return Err(Error::Invalid(format!(
                    "`{}` is a convolution or several matrices at once; only linear layers can be compressed",
                    product.name
                )));
            }
            let known = block.linears.iter().position(|linear| linear.name == product.name);
            let index = known.unwrap_or(block.linears.len());
            if known.is_none() {
                block.columns.push(block.captured.weight_columns(product)?.to_contiguous());
                block.linears.push(Linear { name: product.name.clone(), rows: product.n, k: product.k });
            }
            block.covered.push(Some(index));
        }
        Ok(block)
    }

    /// The shape of what the block gives.
    pub(crate) fn output_shape(&self) -> Vec<usize> {
        self.captured.output_shape()
    }

    /// The covered linear layers, in the order in which the block computes them.
    pub(crate) fn linears(&self) -> &[Linear] {
        &self.linears
    }

    /// The place of a linear layer by the end of its name (`self_attn.q_proj`).
    pub(crate) fn find(&self, suffix: &str) -> Option<usize> {
        let ends = |name: &str| name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        self.linears.iter().position(|linear| ends(&linear.name))
    }

    /// A weight matrix `[rows, k]`.
    ///
    /// # Errors
    /// The weights are not f32.
    pub(crate) fn weight(&self, linear: usize) -> Result<Vec<f32>, Error> {
        let rows = value::contiguous(transpose(self.columns[linear].clone()), &self.linears[linear].name)?;
        Ok(rows.as_slice::<f32>().unwrap_or_default().to_vec())
    }

    /// Replaces a weight matrix by `rows` `[rows, k]`.
    pub(crate) fn set_weight(&mut self, linear: usize, rows: &[f32]) {
        let Linear { rows: n, k, .. } = self.linears[linear];
        self.columns[linear] = tensor(crate::models::transposed(rows, n, k), &[k, n]);
    }

    /// The values of a parameter that ends in `suffix` (`input_layernorm.gamma`).
    pub(crate) fn vector(&self, suffix: &str) -> Option<(String, Vec<f32>)> {
        let (name, id) = self.parameter(suffix)?;
        let values = value::primitive(self.captured.constants.get(&id)?)?.to_contiguous();
        Some((name, values.as_slice::<f32>()?.to_vec()))
    }

    /// Replaces the values of a parameter by as many others.
    pub(crate) fn set_vector(&mut self, suffix: &str, values: &[f32]) {
        let Some((_, id)) = self.parameter(suffix) else { return };
        let Some(own) = self.captured.constants.get_mut(&id) else { return };
        let shape = value::shape(own);
        *own = Value::Float(tensor(values.to_vec(), &shape));
    }

    fn parameter(&self, suffix: &str) -> Option<(String, burn::backend::capture::TensorId)> {
        let ends = |name: &str| name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        self.captured.names().find(|(_, name)| ends(name)).map(|(id, name)| (name.to_owned(), id))
    }

    /// Runs the block on its weights as they are.
    ///
    /// # Errors
    /// An input of another shape, values that are not f32, or what `watch` says.
    pub(crate) fn run(&self, input: Activation, watch: &mut Watch<'_>) -> Result<Activation, Error> {
        self.captured.run(input, &mut Pass { block: self, watch })
    }
}

/// One run of a block.
struct Pass<'a, 'b> {
    block: &'a Block,
    watch: &'a mut Watch<'b>,
}

impl Hook for Pass<'_, '_> {
    fn wants(&self, index: usize) -> bool {
        self.block.covered.get(index).is_some_and(Option::is_some)
    }

    fn multiply(
        &mut self,
        index: usize,
        product: &Product,
        lhs: FlexTensor,
        _rhs: Option<FlexTensor>,
    ) -> Result<FlexTensor, Error> {
        let Some(&Some(linear)) = self.block.covered.get(index) else {
            return Err(Error::Invalid(format!("`{}` is not a layer of this block", product.name)));
        };
        let lhs = value::contiguous(lhs, &product.name)?;
        let out = self.block.captured.backend.matmul(lhs.clone(), self.block.columns[linear].clone())?;
        let out = value::contiguous(out, &product.name)?;
        (self.watch)(linear, lhs.as_slice::<f32>().unwrap_or_default(), out.as_slice::<f32>().unwrap_or_default())?;
        Ok(out)
    }
}
