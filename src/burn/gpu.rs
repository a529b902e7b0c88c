//! One product's unit on the GPU: weights there once, activations quantised and multiplied there.
//!
//! The rules are those of [`super::unit`]; nothing comes to the host on the way. What the formats refuse is noted on the device and
//! asked for after a whole model: [`GpuUnit::check`].

use burn::backend::TensorMetadata;
use burn::backend::Wgpu;
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{DType, FloatDType, Slice};
use burn_cubecl::CubeDevice;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use interplay_gpu::{Choice, Client, DeviceOperand, Gpu, Handle, Kernels, Prepared, Quantizer, Side, Status};

use crate::Error;
use crate::burn::backend::Engine;
use crate::burn::broadcast::Broadcast;
use crate::burn::product::Product;
use crate::burn::store::{Runs, Stored};
use crate::formats::{Format, Quantized};
use crate::hw::Datapath;

/// A unit with its weights on the GPU.
pub(crate) struct GpuUnit {
    activations: Quantizer,
    multiplier: Multiplier,
    runs: Runs,
    status: Status,
    client: Client,
}

/// Who multiplies.
enum Multiplier {
    /// Burn, by `[.., k, n]`, or by the second activation.
    Burn(Option<Box<CubeTensor>>),
    /// A kernel of ours, by one matrix a batch; none for a product of two activations.
    Kernel(Kernels, Vec<Prepared>),
}

impl std::fmt::Debug for GpuUnit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GpuUnit").field("activations", &self.activations.format().name).finish_non_exhaustive()
    }
}

impl GpuUnit {
    /// Burn's own product of values that went through a format and back; `weight` is `[.., k, n]`.
    ///
    /// # Errors
    /// There is no GPU, or a format that its kernels do not have.
    pub(crate) fn fake(activations: &'static Format, runs: Runs, weight: Option<FlexTensor>) -> Result<Self, Error> {
        Self::new(activations, runs, Multiplier::Burn(weight.map(Wgpu::lift).transpose()?.map(Box::new)))
    }

    /// A modelled unit; `stored` has one matrix a batch, none for a product of two activations.
    ///
    /// # Errors
    /// There is no GPU, a unit or a format that its kernels do not have, matrices beyond its memory.
    pub(crate) fn machine(
        datapath: &'static Datapath,
        activations: &'static Format,
        runs: Runs,
        stored: &[Stored],
    ) -> Result<Self, Error> {
        let weights = match stored.first() {
            Some(stored) => stored.quantized.as_ref().map_or(Format::fp32(), Quantized::format),
            None => activations,
        };
        let kernels = Kernels::new(datapath, activations, weights)?;
        let mut unit = Self::new(activations, runs, Multiplier::Kernel(kernels.clone(), Vec::new()))?;
        let prepared = stored.iter().map(|stored| unit.weights(&kernels, stored)).collect::<Result<_, _>>()?;
        unit.multiplier = Multiplier::Kernel(kernels, prepared);
        Ok(unit)
    }

    fn new(activations: &'static Format, runs: Runs, multiplier: Multiplier) -> Result<Self, Error> {
        let client = Gpu::open(&Choice::Default)?.client().clone();
        let status = Status::new(&client);
        Ok(Self { activations: Quantizer::new(activations)?, multiplier, runs, status, client })
    }

    /// A stored matrix on the GPU.
    fn weights(&self, kernels: &Kernels, stored: &Stored) -> Result<Prepared, Error> {
        let operand = match &stored.quantized {
            Some(quantized) => DeviceOperand::upload(&self.client, quantized)?,
            None => {
                let values = self.runs.padded(&stored.values);
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                let k = self.runs.padded_k();
                DeviceOperand::values(&self.client.create_from_slice(&bytes), (values.len() / k.max(1), k))
            }
        };
        Ok(kernels.prepare(&self.client, Side::Weights, &operand, &self.status)?)
    }

    /// Multiplies; shapes as in [`crate::burn::Hook::multiply`].
    ///
    /// # Errors
    /// Operands that are not f32, or beyond the GPU's memory.
    pub(crate) fn multiply(
        &self,
        product: &Product,
        lhs: CubeTensor,
        rhs: Option<CubeTensor>,
    ) -> Result<CubeTensor, Error> {
        match (&self.multiplier, rhs) {
            (Multiplier::Burn(weight), rhs) => {
                let lhs = self.round(lhs, product.span)?;
                let rhs = match (weight, rhs) {
                    (Some(weight), _) => (**weight).clone(),
                    (None, Some(rhs)) => Wgpu::float_transpose(self.round(Wgpu::float_transpose(rhs), product.n)?),
                    (None, None) => return Err(missing(product)),
                };
                // Burn's kernels want operands of one rank.
                let batches = vec![1; lhs.shape().num_dims().saturating_sub(rhs.shape().num_dims())];
                let shape = [batches, rhs.shape().to_vec()].concat();
                Ok(Wgpu::float_matmul(lhs, shaped(rhs, &shape)))
            }
            (Multiplier::Kernel(unit, weights), rhs) => self.machine_multiply(product, unit, weights, lhs, rhs),
        }
    }

    /// What formats or units refused so far: a note stays, and so does the refusal.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the layer; the GPU did not answer.
    pub(crate) fn check(&self, product: &str) -> Result<(), Error> {
        Ok(self.status.check(&self.client, product)?)
    }

    fn machine_multiply(
        &self,
        product: &Product,
        unit: &Kernels,
        weights: &[Prepared],
        lhs: CubeTensor,
        rhs: Option<CubeTensor>,
    ) -> Result<CubeTensor, Error> {
        let lhs = contiguous(lhs, product)?;
        let dims = lhs.shape().to_vec();
        let (batches, m) = (&dims[..dims.len() - 2], dims[dims.len() - 2]);
        if let [weights] = weights {
            let rows = batches.iter().product::<usize>() * m;
            let y = self.gemm(product, unit, self.matrix(lhs, rows), weights)?;
            return Ok(shaped(y, &[batches, &[m, product.n]].concat()));
        }
        let (prepared, right);
        let weights = match (rhs, &product.weight) {
            (_, Some(weight)) => {
                right = weight.batches(product);
                weights
            }
            (Some(rhs), None) => {
                let rhs = contiguous(Wgpu::float_transpose(rhs), product)?;
                let shape = rhs.shape().to_vec();
                right = shape[..shape.len() - 2].to_vec();
                let count = right.iter().product::<usize>();
                let all = self.matrix(rhs, count * product.n);
                let one =
                    |at: usize| self.operand(unit, Side::Weights, rows_of(all.clone(), at * product.n, product.n));
                prepared = (0..count).map(one).collect::<Result<Vec<_>, _>>()?;
                &prepared[..]
            }
            (None, None) => return Err(missing(product)),
        };
        let plan = Broadcast::new(batches, &right);
        let all = self.matrix(lhs, batches.iter().product::<usize>() * m);
        let parts = plan.pairs().map(|(l, r)| self.gemm(product, unit, rows_of(all.clone(), l * m, m), &weights[r]));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        Ok(shaped(joined(parts), &[&plan.shape[..], &[m, product.n]].concat()))
    }

    /// `x` `[rows, k]` by one matrix; in parts of one sequence where a scale spans rows.
    fn gemm(&self, product: &Product, unit: &Kernels, x: CubeTensor, weights: &Prepared) -> Result<CubeTensor, Error> {
        let parts = self.spans(x, product.span).into_iter().map(|part| {
            let rows = part.shape().to_vec()[0];
            let y = unit.multiply(&self.client, &self.operand(unit, Side::Activations, part)?, weights)?;
            Ok(self.tensor(y, vec![rows, product.n]))
        });
        Ok(joined(parts.collect::<Result<Vec<_>, Error>>()?))
    }

    /// Activation rows `[rows, k]` in the form that the kernels take them.
    fn operand(&self, kernels: &Kernels, side: Side, x: CubeTensor) -> Result<Prepared, Error> {
        let shape = (x.shape().to_vec()[0], self.runs.padded_k());
        let x = into_contiguous(self.padded(x));
        let format = self.activations.format();
        let operand = if format.is_exact() {
            DeviceOperand::values(&x.handle, shape)
        } else {
            let quantized = self.activations.quantize(&self.client, &x.handle, shape, 0, self.status.formats());
            DeviceOperand::quantized(format, quantized)?
        };
        Ok(kernels.prepare(&self.client, side, &operand, &self.status)?)
    }

    /// `x` `[.., k]` through the activation format and back; `span` rows are one sequence.
    fn round(&self, x: CubeTensor, span: usize) -> Result<CubeTensor, Error> {
        if self.activations.format().is_exact() {
            return Ok(x);
        }
        let shape = x.shape().to_vec();
        let rows = shape.iter().product::<usize>() / self.runs.k.max(1);
        let grain = self.runs.grain(self.activations.format());
        let parts = self.spans(self.matrix(into_contiguous(x), rows), span).into_iter().map(|part| {
            let rows = part.shape().to_vec()[0];
            let cut = (rows * self.runs.k / grain.max(1), grain);
            let y = self.activations.fake(&self.client, &into_contiguous(part).handle, cut, 0, self.status.formats());
            self.tensor(y, vec![rows, self.runs.k])
        });
        Ok(shaped(joined(parts.collect()), &shape))
    }

    /// Rows cut into sequences of `span`, where a scale of the activations spans rows.
    fn spans(&self, x: CubeTensor, span: usize) -> Vec<CubeTensor> {
        let rows = x.shape().to_vec()[0];
        if self.activations.format().is_row_local() || span >= rows {
            return vec![x];
        }
        (0..rows).step_by(span.max(1)).map(|first| rows_of(x.clone(), first, span.min(rows - first))).collect()
    }

    /// `x` as `[rows, k]`.
    fn matrix(&self, x: CubeTensor, rows: usize) -> CubeTensor {
        shaped(x, &[rows, self.runs.k])
    }

    /// Rows `[rows, k]` with each run padded with zeros.
    fn padded(&self, x: CubeTensor) -> CubeTensor {
        let (k, padded) = (self.runs.k, self.runs.padded_k());
        if k == padded {
            return x;
        }
        let rows = x.shape().to_vec()[0];
        let runs = self.runs.count();
        let zeros = Wgpu::float_zeros(vec![rows, runs, padded / runs].into(), &CubeDevice::default(), FloatDType::F32);
        let inside = [0..rows, 0..runs, 0..k / runs].map(Slice::from);
        shaped(Wgpu::float_slice_assign(zeros, &inside, shaped(x, &[rows, runs, k / runs])), &[rows, padded])
    }

    /// A buffer of FP32 bits as a tensor.
    fn tensor(&self, handle: Handle, shape: Vec<usize>) -> CubeTensor {
        CubeTensor::new_contiguous(self.client.clone(), CubeDevice::default(), shape.into(), handle, DType::F32)
    }
}

/// A row-major f32 tensor.
fn contiguous(x: CubeTensor, product: &Product) -> Result<CubeTensor, Error> {
    if x.dtype() != DType::F32 {
        return Err(Error::Invalid(format!(
            "the operands of `{}` are {:?}, but a modelled product needs f32; cast the module to f32 or leave this layer to the host",
            product.name,
            x.dtype()
        )));
    }
    Ok(into_contiguous(x))
}

fn shaped(x: CubeTensor, shape: &[usize]) -> CubeTensor {
    if x.shape().to_vec() == shape { x } else { Wgpu::float_reshape(x, shape.to_vec().into()) }
}

/// `count` rows of a matrix from row `first` on.
fn rows_of(x: CubeTensor, first: usize, count: usize) -> CubeTensor {
    let columns = x.shape().to_vec()[1];
    Wgpu::float_slice(x, &[Slice::from(first..first + count), Slice::from(0..columns)])
}

/// Matrices one below the other.
fn joined(mut parts: Vec<CubeTensor>) -> CubeTensor {
    if parts.len() == 1 { parts.swap_remove(0) } else { Wgpu::float_cat(parts, 0) }
}

fn missing(product: &Product) -> Error {
    Error::Invalid(format!("`{}`, a product of two activations, was given only one", product.name))
}
