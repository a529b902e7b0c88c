//! The low-rank correction of a layer: what its weights lost by being stored, as two thin matrices beside them.
//!
//! The pipeline's weights stay what they are, and so does the unit. The correction is a path of its own: its operands are bfloat16 (the
//! factors, the activations as they come to the layer, and what the first product gives), its sums those of the unit that the plan's
//! machine has for bfloat16, or the host's. It takes the activations before the unit's format rounds them: the path needs a bf16 unit
//! anyway, the cost model counts it as one, and whoever has one has the activations in its type. So a correction makes good what was
//! lost of the weights, and adds no error of the activations' format to it.

use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;

use crate::Error;
use crate::burn::backend::Backend;
use crate::burn::capture::Cpu;
use crate::burn::product::Product;
use crate::burn::unit::Prepared;
use crate::compress::lowrank::{self, LowRank};
use crate::formats::{Footprint, Format};
use crate::hw::{Gemm, Layer};
use crate::plan::Plan;

/// The two factors of every weight matrix of a product.
#[derive(Debug)]
pub(crate) struct Corrected {
    /// `[rank, k]`, by which activations are multiplied first.
    right: Factor,
    /// `[n, rank]`.
    left: Factor,
    /// Bits of both factors, all matrices together.
    pub(crate) footprint: Footprint,
}

/// One thin product.
#[derive(Debug)]
struct Factor {
    product: Product,
    prepared: Box<Prepared>,
}

impl Corrected {
    /// The correction of what became of `dense` `[.., n, k]`, of rank `rank` or, where a matrix has less, of its own; it runs on the unit
    /// that the plan's machine has for bfloat16.
    ///
    /// # Errors
    /// Residuals that are not finite.
    pub(crate) fn new<'a>(
        product: &Product,
        dense: &[f32],
        stored: impl Iterator<Item = &'a [f32]>,
        rank: usize,
        on: (&Plan, Backend),
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
        let factor = |part: &str, values: &[f32], [n, k]: [usize; 2]| {
            let name = format!("{}.low_rank.{part}", product.name);
            let product = Product { name, n, k, run: k, ..product.clone() };
            let prepared = Prepared::of_values(&product, values, format, on.0, on.1)?;
            Ok::<_, Error>(Factor { product, prepared: Box::new(prepared) })
        };
        Ok(Self { right: factor("right", &right, [rank, k])?, left: factor("left", &left, [n, rank])?, footprint })
    }

    /// `y` `[.., m, n]` and what the correction adds to it for the activations `x` `[.., m, k]`.
    ///
    /// # Errors
    /// Activations that are not finite or not f32.
    pub(crate) fn add(&self, y: FlexTensor, x: FlexTensor) -> Result<FlexTensor, Error> {
        let inner = self.right.prepared.multiply(&self.right.product, x, None)?;
        let outer = self.left.prepared.multiply(&self.left.product, inner, None)?;
        Ok(Cpu::float_add(y, outer))
    }

    /// The two thin products as the cost model takes them, in execution order.
    ///
    /// # Errors
    /// A product without elements.
    pub(crate) fn layers(&self) -> Result<[Layer; 2], Error> {
        let layer = |Factor { product, prepared }: &Factor| {
            let [m, k, n] = [product.m, product.k, product.n].map(|x| x as u64);
            let gemm = Gemm { count: product.count as u64, ..Gemm::new(product.name.clone(), m, k, n) };
            let [weight, activation] = prepared.stored_formats();
            Ok::<_, Error>(prepared.placed(Layer::dense(gemm, weight, activation)?))
        };
        Ok([layer(&self.right)?, layer(&self.left)?])
    }
}
