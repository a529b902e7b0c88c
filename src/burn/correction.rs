//! The low-rank correction of a layer: what its weights lost by being stored, as two thin matrices beside them.
//!
//! The pipeline's weights stay what they are, and so does the unit. The correction is a path of its own: its operands are bfloat16 (the
//! factors, the activations as they come to the layer, and what the first product gives), its sums FP32 and Burn's. It takes the activations
//! before the unit's format rounds them: the path needs a bf16 unit anyway, the cost model counts it as one, and whoever has one
//! has the activations in its type. So a correction makes good what was lost of the weights, and adds no error of the
//! activations' format to it.

use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;

use crate::Error;
use crate::burn::backend::Backend;
use crate::burn::capture::Cpu;
use crate::burn::executor::transpose;
use crate::burn::product::Product;
use crate::burn::value::{self, tensor};
use crate::compress::lowrank::{self, LowRank};
use crate::formats::{Footprint, Format};
use crate::hw::{Gemm, Layer};

/// The two factors of every weight matrix of a product.
#[derive(Debug)]
pub(crate) struct Corrected {
    rank: usize,
    /// `[.., k, rank]`.
    right: FlexTensor,
    /// `[.., rank, n]`.
    left: FlexTensor,
    /// The type of the path's operands.
    format: &'static Format,
    /// Bits of both factors, all matrices together.
    pub(crate) footprint: Footprint,
}

impl Corrected {
    /// The correction of what became of `dense` `[.., n, k]`, of rank `rank` or, where a matrix has less, of its own.
    ///
    /// # Errors
    /// Residuals that are not finite.
    pub(crate) fn new<'a>(
        product: &Product,
        dense: &[f32],
        stored: impl Iterator<Item = &'a [f32]>,
        rank: usize,
    ) -> Result<Self, Error> {
        let (n, k, format) = (product.n, product.k, Format::by_name("bf16")?);
        let rank = rank.min(n).min(k);
        let (mut left, mut right) = (Vec::new(), Vec::new());
        let mut footprint = Footprint::default();
        for (dense, stored) in dense.chunks((n * k).max(1)).zip(stored) {
            let residual: Vec<f32> = dense.iter().zip(stored).map(|(dense, stored)| dense - stored).collect();
            let LowRank { left: a, right: b } = lowrank::approximate(&residual, n, k, rank)?.into_bf16()?;
            left.extend(a);
            right.extend(b);
            footprint += format.footprint(n, rank, None) + format.footprint(rank, k, None);
        }
        let batches = product.weight.as_ref().map_or_else(Vec::new, |weight| weight.batches(product));
        // As the second operand of a product takes them.
        let columns = |factor: Vec<f32>, [rows, columns]: [usize; 2]| {
            transpose(tensor(factor, &[&batches[..], &[rows, columns]].concat())).to_contiguous()
        };
        Ok(Self { rank, right: columns(right, [rank, k]), left: columns(left, [n, rank]), format, footprint })
    }

    /// `y` `[.., m, n]` and what the correction adds to it for the activations `x` `[.., m, k]`.
    ///
    /// # Errors
    /// Activations that are not finite or not f32.
    pub(crate) fn add(
        &self,
        product: &Product,
        y: FlexTensor,
        x: FlexTensor,
        backend: Backend,
    ) -> Result<FlexTensor, Error> {
        let inner = backend.matmul(self.rounded(x, product)?, self.right.clone())?;
        let outer = backend.matmul(self.rounded(inner, product)?, self.left.clone())?;
        Ok(Cpu::float_add(y, outer))
    }

    /// `x` in the type of the path's operands.
    fn rounded(&self, x: FlexTensor, product: &Product) -> Result<FlexTensor, Error> {
        let mut x = value::owned(value::contiguous(x, &product.name)?);
        let columns = x.layout().shape().last().copied().unwrap_or(1);
        self.format.fake_quantize(x.storage_mut::<f32>(), columns)?;
        Ok(x)
    }

    /// The two thin products as the cost model takes them, in execution order.
    ///
    /// # Errors
    /// A product without elements.
    pub(crate) fn layers(&self, product: &Product) -> Result<[Layer; 2], Error> {
        let [m, k, n, rank] = [product.m, product.k, product.n, self.rank].map(|x| x as u64);
        let layer = |part: &str, k, n| {
            let gemm = Gemm::new(format!("{}.low_rank.{part}", product.name), m, k, n);
            Layer::dense(Gemm { count: product.count as u64, ..gemm }, self.format, self.format)
        };
        Ok([layer("right", k, rank)?, layer("left", rank, n)?])
    }
}
