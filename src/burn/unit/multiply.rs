//! The multiplication of a prepared product: by the host on values that went through a format, or by a modelled unit.

use burn::backend::flex::FlexTensor;

use super::Prepared;
use crate::Error;
use crate::burn::broadcast::Broadcast;
use crate::burn::executor::transpose;
use crate::burn::product::Product;
use crate::burn::value::{self, tensor};
use crate::hw::{Datapath, Operand, Weights};

impl Prepared {
    pub(super) fn fake(
        &self,
        product: &Product,
        lhs: FlexTensor,
        rhs: Option<FlexTensor>,
        weight: Option<FlexTensor>,
    ) -> Result<FlexTensor, Error> {
        let lhs = self.round(product, lhs, product.span)?;
        let rhs = match (weight, rhs) {
            (Some(weight), _) => weight,
            (None, Some(rhs)) => transpose(self.round(product, transpose(rhs), product.n)?),
            (None, None) => return Err(missing()),
        };
        self.backend.matmul(lhs, rhs)
    }

    /// `x` `[.., k]` through the activation format and back, in place where nobody else holds it.
    pub(super) fn round(&self, product: &Product, x: FlexTensor, rows: usize) -> Result<FlexTensor, Error> {
        let mut x = value::owned(value::contiguous(x, &product.name)?);
        let values = x.storage_mut::<f32>();
        let span = self.span(rows, values.len());
        for matrix in values.chunks_mut(span) {
            self.activations.fake_quantize(matrix, self.runs.grain(self.activations))?;
        }
        Ok(x)
    }

    pub(super) fn machine(
        &self,
        product: &Product,
        lhs: FlexTensor,
        rhs: Option<FlexTensor>,
        datapath: &'static Datapath,
        weights: &[Weights],
    ) -> Result<FlexTensor, Error> {
        let lhs = value::contiguous(lhs, &product.name)?;
        let dims = lhs.layout().shape().to_vec();
        let (batches, m) = (&dims[..dims.len() - 2], dims[dims.len() - 2]);
        let x = lhs.as_slice::<f32>().unwrap_or_default();
        if let [weights] = weights {
            let data = self.gemm(datapath, product, x, weights)?;
            return Ok(tensor(data, &[batches, &[m, product.n]].concat()));
        }
        let (prepared, right);
        let weights = match (rhs, &product.weight) {
            (_, Some(weight)) => {
                right = weight.batches(product);
                weights
            }
            (Some(rhs), None) => {
                let rhs = value::contiguous(transpose(rhs), &product.name)?;
                right = rhs.layout().shape()[..rhs.layout().num_dims() - 2].to_vec();
                prepared = self.matrices(datapath, product, rhs.as_slice::<f32>().unwrap_or_default())?;
                &prepared
            }
            (None, None) => return Err(missing()),
        };
        let plan = Broadcast::new(batches, &right);
        let mut data = Vec::with_capacity(plan.count() * m * product.n);
        for (l, r) in plan.pairs() {
            data.extend(self.gemm(datapath, product, &x[l * m * product.k..][..m * product.k], &weights[r])?);
        }
        Ok(tensor(data, &[&plan.shape[..], &[m, product.n]].concat()))
    }

    /// How many values of an activation are quantised at once: all of `len`, but the `rows` of one sequence or image where a scale spans
    /// rows, so that a result does not depend on what else is in the batch.
    fn span(&self, rows: usize, len: usize) -> usize {
        if self.activations.is_row_local() { len.max(1) } else { (rows * self.runs.k).max(1) }
    }

    /// The right operands `[.., n, k]` of a product of two activations, packed for the unit.
    fn matrices(&self, datapath: &Datapath, product: &Product, rhs: &[f32]) -> Result<Vec<Weights>, Error> {
        let matrices = rhs.chunks_exact((product.n * product.k).max(1));
        matrices.map(|matrix| self.with_operand(matrix, |operand| Ok(datapath.prepare(operand)?))).collect()
    }

    fn gemm(&self, datapath: &Datapath, product: &Product, x: &[f32], weights: &Weights) -> Result<Vec<f32>, Error> {
        let multiply = |x: &[f32]| self.with_operand(x, |operand| Ok(datapath.gemm(operand, weights)?));
        let span = self.span(product.span, x.len());
        if span >= x.len() {
            return multiply(x);
        }
        let parts: Vec<_> = x.chunks(span).map(multiply).collect::<Result<_, Error>>()?;
        Ok(parts.concat())
    }

    /// Activation rows `[rows, k]` in the form that units take them.
    fn with_operand<T>(&self, x: &[f32], then: impl FnOnce(Operand<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let x = self.runs.padded(x);
        let k = self.runs.padded_k();
        if self.activations.is_exact() {
            then(Operand::Values { data: &x, k })
        } else {
            then(Operand::Quantized(&self.activations.quantize(&x, k)?))
        }
    }
}

fn missing() -> Error {
    Error::Invalid("a product of two activations was given only one".into())
}
