//! Datapaths: what a matrix unit does to the bits of `y = x w^T`.
//!
//! A [`Datapath`] is a record; two interpreters read it for the bits. [`Datapath::gemm`] is fast where a kernel covers the
//! record, [`Datapath::gemm_reference`] is slow and obvious, and both give the same bits for every input.
//! [`Datapath::dot`] is one output in codes, as an instruction takes them; [`Datapath::matmul`] takes batches, matrices
//! stored either way round, and formats to quantise to.
//! What is not here: how to quantise (the formats crate), biases (the host adds them), and time or energy
//! ([`cost`](mod@crate::cost)).

mod catalog;
mod check;
mod choose;
mod declare;
mod dequantised;
mod dot;
mod evaluate;
pub(crate) mod inventory;
mod lookup;
mod matmul;
mod operand;
pub(crate) mod record;
mod reference;
mod register;
mod register_format;
mod takes;
pub mod tensor;
mod term;

pub use choose::ExactSums;
pub use dequantised::Scales;
pub use dot::Row;
pub(crate) use evaluate::{Cut, Watch};
pub use inventory::{Operation, Part, Per};
pub use matmul::Matmul;
pub use operand::{Family, Operand, element_units, family};
pub use record::{
    Accumulator, Align, Arm, BlockScale, Codes, Datapath, ElementExponent, Group, Inputs, Joins, Nan, Node, Order,
    Overflow, Port, Product, Proof, Round, Sparsity, Subnormals, Sum, Unit, Zero,
};
pub(crate) use register_format::register as register_named;
pub(crate) use term::{NO_EXPONENT, Term};

use crate::Error;
use crate::kernel::{Panels, Rows, simd::Path};
use choose::Kernel;
use operand::Prepared;
use tensor::Tensor;

/// Weights as a kernel reads them.
#[derive(Clone, Debug)]
enum Packed {
    Panels(Panels),
    Tensor(Tensor),
    /// No kernel covers the record.
    Nothing,
}

/// Weights packed once for one datapath: `N` output columns of `K` elements.
#[derive(Clone, Debug)]
pub struct Weights {
    datapath: Datapath,
    prepared: Prepared,
    packed: Packed,
    /// The rows as they came, for units that no kernel covers, or not in every lane.
    rows: Option<Rows<'static>>,
}

impl Weights {
    /// Output columns, N.
    pub fn columns(&self) -> usize {
        self.prepared.rows
    }

    /// Length of the reduction, K, without padding.
    pub fn k(&self) -> usize {
        self.prepared.k
    }

    /// The datapath that they were prepared for.
    pub fn datapath(&self) -> &Datapath {
        &self.datapath
    }
}

impl Datapath {
    /// Packs weights `[N, K]`, once for many products.
    ///
    /// # Errors
    /// [`Error::HostMultiplies`], [`Error::Shape`], [`Error::Unsupported`] for a format that this unit does not take,
    /// [`Error::NotRepresentable`] for values that its input format does not have.
    pub fn prepare(&self, w: Operand<'_>) -> Result<Weights, Error> {
        let (rows, prepared) = w.prepare(self, operand::Side::Weights)?;
        let packed = match Tensor::pack(self, &rows) {
            Some(tensor) => Packed::Tensor(tensor),
            None if Kernel::reads_panels(self) => Packed::Panels(Panels::pack(&rows)),
            None => Packed::Nothing,
        };
        let rows = Kernel::keeps_rows(self).then(|| rows.into_owned());
        Ok(Weights { datapath: *self, prepared, packed, rows })
    }

    /// `x w^T` as this unit computes it, `[M, N]` row-major, on all threads of the current rayon pool. FP16 and integer
    /// results are given as FP32 numbers (integers rounded to nearest); where operands have scales a row or a tensor,
    /// the result is `fl(fl(sx * sw) * fl(d))`.
    ///
    /// # Errors
    /// As [`Datapath::prepare`]; [`Error::InnerDimension`], [`Error::BlockLength`], [`Error::ReductionTooLong`] where
    /// the two operands do not go together; [`Error::PreparedFor`] for weights of another datapath.
    pub fn gemm(&self, x: Operand<'_>, w: &Weights) -> Result<Vec<f32>, Error> {
        self.gemm_on(Path::best(), x, w)
    }

    /// [`Datapath::gemm`] on one instruction set, for tests and benchmarks: the bits are the same on all.
    ///
    /// # Errors
    /// As [`Datapath::gemm`].
    pub fn gemm_on(&self, path: Path, x: Operand<'_>, w: &Weights) -> Result<Vec<f32>, Error> {
        if w.datapath != *self {
            let (prepared, used) = (w.datapath.name.to_owned(), self.name.to_owned());
            return Err(Error::PreparedFor { prepared, used });
        }
        let (rows, prepared) = x.prepare(self, operand::Side::Activations)?;
        self.check_pair(&prepared, &w.prepared)?;
        let kernel = Kernel::of(self, &prepared, &w.prepared)?;
        let mut y = kernel.run(path, self, (&rows, &prepared), w);
        // The integer kernels apply the scales of rows themselves.
        self.finish(&mut y, &prepared, &w.prepared, kernel.is_scaled(self));
        Ok(y)
    }

    /// [`Datapath::gemm`] where a kernel computes it; `None` where the definition would, or where it would be an error.
    pub(crate) fn gemm_by_kernel(&self, x: Operand<'_>, w: Operand<'_>) -> Option<Vec<f32>> {
        let w = self.prepare(w).ok()?;
        let (_, prepared) = x.prepare(self, operand::Side::Activations).ok()?;
        let kernel = Kernel::of(self, &prepared, &w.prepared).ok()?;
        let covered = match w.packed {
            Packed::Tensor(_) => true,
            Packed::Panels(_) => !matches!(kernel, Kernel::Evaluator),
            Packed::Nothing => false,
        };
        if covered { self.gemm(x, &w).ok() } else { None }
    }

    /// The same, by the definition: one output after the other, in exact arithmetic. It judges [`Datapath::gemm`].
    ///
    /// # Errors
    /// As [`Datapath::gemm`].
    pub fn gemm_reference(&self, x: Operand<'_>, w: Operand<'_>) -> Result<Vec<f32>, Error> {
        let (x, px) = x.prepare(self, operand::Side::Activations)?;
        let (w, pw) = w.prepare(self, operand::Side::Weights)?;
        self.check_pair(&px, &pw)?;
        let mut y = reference::gemm(self, (&x, &px), (&w, &pw));
        self.finish(&mut y, &px, &pw, false);
        Ok(y)
    }

    /// Scales that are applied to results, unless they are `scaled`, and the unit's own NaN.
    fn finish(&self, y: &mut [f32], x: &Prepared, w: &Prepared, scaled: bool) {
        if !(scaled || x.factors.is_empty() && w.factors.is_empty()) {
            let of = |factors: &[f32], i: usize| factors.get(i).copied().unwrap_or(1.0);
            for (i, row) in y.chunks_mut(w.rows.max(1)).enumerate() {
                for (j, value) in row.iter_mut().enumerate() {
                    *value *= of(&x.factors, i) * of(&w.factors, j);
                }
            }
        }
        let nan = match self.accumulator.nan {
            Nan::Ones => f32::from_bits(0x7FFF_FFFF),
            Nan::Quiet | Nan::Any => f32::from_bits(0x7FC0_0000),
        };
        y.iter_mut().filter(|value| value.is_nan()).for_each(|value| *value = nan);
    }

    /// Whether two operands that the unit takes also go together.
    fn check_pair(&self, x: &Prepared, w: &Prepared) -> Result<(), Error> {
        if x.k != w.k {
            return Err(Error::InnerDimension { activations: x.k, weights: w.k });
        }
        if matches!(self.inputs, Inputs::Blocks(_)) && x.block_length != w.block_length {
            return Err(Error::BlockLength { activations: x.block_length, weights: w.block_length });
        }
        if self.sum.round.iter().any(|round| round.overflow == Overflow::Error) {
            let max = (i64::from(i32::MAX) / register::largest_product(x, w) as i64) as usize;
            if x.k > max {
                return Err(Error::ReductionTooLong { datapath: self.name.to_owned(), k: x.k, max });
            }
        }
        Ok(())
    }
}
