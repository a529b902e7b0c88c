//! What a forward pass does, operation by operation.

use super::Session;
use crate::Error;
use crate::burn::Activation;

/// One recorded operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The stage it belongs to.
    pub stage: usize,
    /// Burn's name of the operation (`Float::Matmul`).
    pub operation: String,
    /// The shape of its first output.
    pub shape: Vec<usize>,
    /// The products that it holds.
    pub products: Vec<Multiplication>,
    /// Multiply-accumulates of those products.
    pub macs: u64,
}

/// One product of an operation, and who computes it: `count` times `[m, k] x [k, n]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multiplication {
    /// The layer's name.
    pub name: String,
    /// Rows of the activation operand.
    pub m: usize,
    /// Length of the sums.
    pub k: usize,
    /// Columns of the output.
    pub n: usize,
    /// How many such products: heads times sequences, or a convolution's groups.
    pub count: usize,
    /// Multiply-accumulates of all of them.
    pub macs: u64,
    /// The unit that multiplies under the plan; `fake` where Burn does.
    pub datapath: &'static str,
}

impl Session {
    /// The operations of one forward pass on an input shaped like `input`, in execution order, as the plan has them computed.
    ///
    /// # Errors
    /// A stage cannot be captured for that shape or prepared for the plan.
    pub fn trace(&mut self, input: &Activation) -> Result<Vec<Operation>, Error> {
        let (mut operations, mut stage) = (Vec::new(), 0);
        self.each_stage(input, |captured, units| {
            let mut index = 0..;
            operations.extend(captured.trace().map(|(operation, shape, products)| {
                // Products are numbered over the whole capture, in the order of the operations that hold them.
                let products = products.iter().zip(index.by_ref()).map(|(p, index)| Multiplication {
                    name: p.name.clone(),
                    m: p.m,
                    k: p.k,
                    n: p.n,
                    count: p.count,
                    macs: p.macs(),
                    datapath: units.datapath(index),
                });
                let products: Vec<_> = products.collect();
                let macs = products.iter().map(|p| p.macs).sum();
                Operation { stage, operation, shape, products, macs }
            }));
            stage += 1;
            Ok(())
        })?;
        Ok(operations)
    }
}
