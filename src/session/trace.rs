//! What a forward pass does, operation by operation.

use super::Session;
use crate::Error;
use crate::burn::Activation;

/// One recorded operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The stage it belongs to.
    pub stage: usize,
    /// Burn's name of the operation (`Float(Matmul)`).
    pub operation: String,
    /// The shape of its first output.
    pub shape: Vec<usize>,
    /// The layers whose products it holds.
    pub layers: Vec<String>,
    /// Multiply-accumulates of those products.
    pub macs: u64,
}

impl Session {
    /// The operations of one forward pass on an input shaped like `input`, in execution order.
    ///
    /// # Errors
    /// A stage cannot be captured for that shape or prepared for the plan.
    pub fn trace(&mut self, input: &Activation) -> Result<Vec<Operation>, Error> {
        let (mut operations, mut stage) = (Vec::new(), 0);
        self.each_stage(input, |captured, _| {
            operations.extend(captured.trace().map(|(operation, shape, products)| Operation {
                stage,
                operation,
                shape,
                layers: products.iter().map(|p| p.name.clone()).collect(),
                macs: products.iter().map(|p| p.macs()).sum(),
            }));
            stage += 1;
            Ok(())
        })?;
        Ok(operations)
    }
}
