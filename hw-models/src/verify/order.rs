//! The order in which a kernel goes through the reduction.

use crate::Error;
use crate::datapath::{BlockScale, Codes, Sparsity};

/// A permutation of K: a pattern that is repeated.
pub(super) struct KOrder<'a> {
    pattern: &'a [usize],
}

impl<'a> KOrder<'a> {
    /// The pattern, if it permutes `k` positions and keeps together what the unit's operands share.
    pub fn new(pattern: &'a [usize], k: usize, codes: &Codes) -> Result<Self, Error> {
        let order = Self { pattern };
        let length = pattern.len();
        let refuse = |problem: String| Err(Error::KOrder { length, problem });
        if length == 0 {
            return Ok(order);
        }
        if !k.is_multiple_of(length) {
            return refuse(format!("K = {k} is no multiple of its length"));
        }
        let mut seen = vec![false; length];
        for &position in pattern {
            match seen.get_mut(position) {
                Some(seen) if !*seen => *seen = true,
                Some(_) => return refuse(format!("{position} is there twice")),
                None => return refuse(format!("{position} is beyond 0 to {}", length - 1)),
            }
        }
        if let Some(Sparsity { m, .. }) = codes.sparse
            && (0..k).any(|i| order.at(i) != order.at(i - i % m) + i % m || !order.at(i - i % m).is_multiple_of(m))
        {
            return refuse(format!("the {m} positions of a group must stay together, in their order"));
        }
        if let Some(BlockScale { block, .. }) = codes.scale
            && (0..k).any(|i| order.at(i) / block != order.at(i - i % block) / block)
        {
            return refuse(format!("the {block} positions under one scale must stay together"));
        }
        Ok(order)
    }

    /// The operands' position that is the kernel's position `i`.
    fn at(&self, i: usize) -> usize {
        Self::place(self.pattern, i)
    }

    /// The same for a pattern that is known to be one.
    pub fn place(pattern: &[usize], i: usize) -> usize {
        match pattern.len() {
            0 => i,
            length => i - i % length + pattern[i % length],
        }
    }

    /// Rows in the kernel's order: of elements where `each` is 1, of things that `each` positions share one of where
    /// `count` is 1, of groups that store `count` of `each` positions.
    pub fn apply(&self, codes: &mut [u64], row: usize, (count, each): (usize, usize)) {
        if self.pattern.is_empty() {
            return;
        }
        for row in codes.chunks_mut(row.max(1)) {
            let given = row.to_vec();
            for (group, places) in row.chunks_mut(count).enumerate() {
                let from = self.at(group * each) / each * count;
                places.copy_from_slice(&given[from..from + places.len()]);
            }
        }
    }
}
