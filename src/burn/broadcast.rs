//! Which matrices of two batched operands meet: dimensions of 1 and missing leading ones are repeated.

/// Batch dimensions of two operands, broadcast against each other.
pub(crate) struct Broadcast {
    /// The batch dimensions of the output.
    pub(crate) shape: Vec<usize>,
    /// For each dimension of `shape` the step in matrices of the left and of the right operand.
    steps: Vec<[usize; 2]>,
}

impl Broadcast {
    pub(crate) fn new(left: &[usize], right: &[usize]) -> Self {
        let rank = left.len().max(right.len());
        let size = |dims: &[usize], i: usize| (i + dims.len()).checked_sub(rank).map_or(1, |i| dims[i]);
        let shape: Vec<_> = (0..rank).map(|i| size(left, i).max(size(right, i))).collect();
        let mut steps = vec![[0; 2]; rank];
        let mut stride = [1; 2];
        for i in (0..rank).rev() {
            for (side, dims) in [left, right].into_iter().enumerate() {
                steps[i][side] = if size(dims, i) == 1 { 0 } else { stride[side] };
                stride[side] *= size(dims, i);
            }
        }
        Self { shape, steps }
    }

    /// Output matrices.
    pub(crate) fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// The matrix of either operand for each output matrix.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..self.count()).map(|mut flat| {
            let mut at = [0; 2];
            for (size, step) in self.shape.iter().zip(&self.steps).rev() {
                let index = flat % size;
                flat /= size;
                at = [at[0] + index * step[0], at[1] + index * step[1]];
            }
            (at[0], at[1])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Broadcast;

    #[test]
    fn broadcast_repeats_missing_and_single_dimensions() {
        let plan = Broadcast::new(&[2, 3], &[3]);
        assert_eq!(plan.shape, [2, 3]);
        assert_eq!(plan.pairs().collect::<Vec<_>>(), [(0, 0), (1, 1), (2, 2), (3, 0), (4, 1), (5, 2)]);
        let plan = Broadcast::new(&[2, 1], &[1, 2]);
        assert_eq!(plan.pairs().collect::<Vec<_>>(), [(0, 0), (0, 1), (1, 0), (1, 1)]);
        assert_eq!(Broadcast::new(&[], &[]).pairs().collect::<Vec<_>>(), [(0, 0)]);
    }
}
