//! What enters a unit, for many outputs.

use super::order::KOrder;
use super::read::Source as Array;
use super::{Options, Words};
use crate::datapath::{Codes, Row};
use crate::{Datapath, Error};

pub(crate) use super::read::Source;

/// The operands of many outputs, as files and kernels hold them.
///
/// `blocks` stands for K divided by the unit's scale block, rounded up, `groups` for K divided by M of its N:M pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operands<'a> {
    /// What the arrays are.
    pub layout: Layout,
    /// `[rows, K]`, or A `[M, K]`; the stored elements, K * N / M of them, where A is sparse.
    pub a: Words<'a>,
    /// `[rows, K]`, or B `[K, N]`.
    pub b: Words<'a>,
    /// Accumulators that enter, `[rows]` or `[M, N]`; all +0 without.
    pub c: Option<Words<'a>>,
    /// Scales of A, `[rows, blocks]` or `[M, blocks]`.
    pub scale_a: Option<Words<'a>>,
    /// Scales of B, `[rows, blocks]` or `[blocks, N]`.
    pub scale_b: Option<Words<'a>>,
    /// Metadata of a sparse A, `[rows, groups]` or `[M, groups]`, as in [`Row::metadata`].
    pub metadata: Option<Words<'a>>,
    /// Outputs where this is 0 are known to be wrong and reported apart, `[rows]` or `[M, N]`.
    pub agree: Option<Words<'a>>,
}

/// What arrays are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Outputs one by one, each with operands of its own.
    Rows {
        /// Outputs.
        rows: usize,
        /// Length of the reduction.
        k: usize,
    },
    /// Whole matrices.
    Matrices {
        /// Rows of A.
        m: usize,
        /// Columns of B.
        n: usize,
        /// Length of the reduction.
        k: usize,
    },
}

impl Layout {
    /// Rows and columns of the results.
    pub(crate) fn outputs(self) -> Result<(usize, usize), Error> {
        let (rows, columns) = match self {
            Self::Rows { rows, .. } => (rows, 1),
            Self::Matrices { m, n, .. } => (m, n),
        };
        rows.checked_mul(columns).map(|_| (rows, columns)).ok_or(Error::TooManyOutputs)
    }

    /// Which row of A and which column of B meet in an output.
    const fn operands(self, index: usize) -> (usize, usize) {
        match self {
            Self::Rows { .. } => (index, index),
            Self::Matrices { n, .. } => (index / n, index % n),
        }
    }

    /// Length of the reduction.
    pub const fn k(self) -> usize {
        match self {
            Self::Rows { k, .. } | Self::Matrices { k, .. } => k,
        }
    }
}

/// Operands as codes in the order of the unit, every one of them checked.
#[derive(Clone, Debug)]
pub(crate) struct Prepared<'d> {
    pub datapath: &'d Datapath,
    /// The reduction length of one instruction.
    pub depth: usize,
    pub(super) layout: Layout,
    pub(super) a: Rows,
    /// B by columns.
    pub(super) b: Rows,
    pub(super) c: Vec<u64>,
    pub(super) scale_a: Rows,
    pub(super) scale_b: Rows,
    metadata: Rows,
    k_order: Vec<usize>,
}

/// Codes, so many a row.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    pub codes: Vec<u64>,
    pub length: usize,
}

impl Rows {
    fn row(&self, row: usize) -> &[u64] {
        &self.codes[row * self.length..(row + 1) * self.length]
    }
}

impl<'a> Operands<'a> {
    /// Outputs one by one, from elements `[rows, K]` alone.
    pub fn rows(rows: usize, k: usize, a: impl Into<Words<'a>>, b: impl Into<Words<'a>>) -> Self {
        Self::of(Layout::Rows { rows, k }, a.into(), b.into())
    }

    /// Whole matrices, from A `[M, K]` and B `[K, N]` alone.
    pub fn matrices((m, n, k): (usize, usize, usize), a: impl Into<Words<'a>>, b: impl Into<Words<'a>>) -> Self {
        Self::of(Layout::Matrices { m, n, k }, a.into(), b.into())
    }

    const fn of(layout: Layout, a: Words<'a>, b: Words<'a>) -> Self {
        Self { layout, a, b, c: None, scale_a: None, scale_b: None, metadata: None, agree: None }
    }

    /// The operands as this unit reads them.
    pub(crate) fn prepare<'d>(&self, datapath: &'d Datapath, options: &Options) -> Result<Prepared<'d>, Error> {
        let codes = datapath.codes()?;
        let k = self.layout.k();
        let depth = datapath.depth(options.depth, k)?;
        let order = KOrder::new(&options.k_order, k, &codes)?;
        let (stored, groups) = stored(&codes, k)?;
        let (each, block) = (codes.sparse.map_or((1, 1), |s| (s.n, s.m)), codes.scale.map_or(1, |scale| scale.block));
        let (rows, columns) = self.layout.outputs()?;
        let by_output = |name, words| Array { name, words, shape: (rows, columns) };

        let mut a = self.left("a", &self.a, stored).elements(datapath, codes.a)?;
        order.apply(&mut a, stored, each);
        let mut b = self.right("b", &self.b, k).elements(datapath, codes.b)?;
        self.transpose(&mut b, k);
        order.apply(&mut b, k, (1, 1));
        let c = match &self.c {
            Some(words) => by_output("c", words).accumulators(datapath)?,
            None => Vec::new(),
        };
        let blocks = codes.scale.map_or(0, |scale| k.div_ceil(scale.block));
        let scales = |name, words: &Option<Words<'_>>, left: bool| -> Result<Rows, Error> {
            let Some((words, scale)) = given(name, words, blocks)?.zip(codes.scale) else { return Ok(Rows::NONE) };
            let array = if left { self.left(name, words, blocks) } else { self.right(name, words, blocks) };
            let mut codes = array.codes(datapath, scale.format)?;
            if !left {
                self.transpose(&mut codes, blocks);
            }
            order.apply(&mut codes, blocks, (1, block));
            Ok(Rows { codes, length: blocks })
        };
        let (scale_a, scale_b) = (scales("scale_a", &self.scale_a, true)?, scales("scale_b", &self.scale_b, false)?);
        let metadata = match given("metadata", &self.metadata, groups)?.zip(codes.sparse) {
            Some((words, sparsity)) => {
                let legal = |code: u64| match sparsity.positions(code) {
                    Some(_) => Ok(code),
                    None => Err(format!("{code:#06b} names no positions in increasing order")),
                };
                let mut codes = self.left("metadata", words, groups).each(legal)?;
                order.apply(&mut codes, groups, (1, sparsity.m));
                Rows { codes, length: groups }
            }
            None => Rows::NONE,
        };
        if let Some(words) = &self.agree {
            by_output("agree", words).each(Ok)?;
        }
        let (a, b) = (Rows { codes: a, length: stored }, Rows { codes: b, length: k });
        let (layout, k_order) = (self.layout, options.k_order.clone());
        Ok(Prepared { datapath, depth, layout, a, b, c, scale_a, scale_b, metadata, k_order })
    }

    /// The operands of one output of those that there are.
    pub(crate) fn output(&self, index: usize) -> Operands<'static> {
        let (left, right) = self.layout.operands(index);
        let (Layout::Rows { rows: m, k } | Layout::Matrices { m, k, .. }) = self.layout;
        let of_a = |words: &Words<'_>| {
            let length = words.len() / m;
            words.pick(left * length..(left + 1) * length)
        };
        let of_b = |words: &Words<'_>| match self.layout {
            Layout::Rows { rows, .. } => {
                let length = words.len() / rows;
                words.pick(right * length..(right + 1) * length)
            }
            Layout::Matrices { n, .. } => words.pick((right..words.len()).step_by(n)),
        };
        Operands {
            layout: Layout::Rows { rows: 1, k },
            a: of_a(&self.a),
            b: of_b(&self.b),
            c: self.c.as_ref().map(|words| words.pick(index..index + 1)),
            scale_a: self.scale_a.as_ref().map(of_a),
            scale_b: self.scale_b.as_ref().map(of_b),
            metadata: self.metadata.as_ref().map(of_a),
            agree: None,
        }
    }

    /// Whether an output is to be compared, by its index.
    pub(crate) fn agrees(&self, index: usize) -> bool {
        self.agree.as_ref().is_none_or(|words| words.at(index) != 0)
    }

    /// An array along A.
    fn left<'s>(&self, name: &'static str, words: &'s Words<'s>, length: usize) -> Array<'s> {
        let (Layout::Rows { rows, .. } | Layout::Matrices { m: rows, .. }) = self.layout;
        Array { name, words, shape: (rows, length) }
    }

    /// An array along B.
    fn right<'s>(&self, name: &'static str, words: &'s Words<'s>, length: usize) -> Array<'s> {
        let shape = match self.layout {
            Layout::Rows { rows, .. } => (rows, length),
            Layout::Matrices { n, .. } => (length, n),
        };
        Array { name, words, shape }
    }

    /// An array along B, one column after the other.
    fn transpose(&self, codes: &mut Vec<u64>, length: usize) {
        if let Layout::Matrices { n, .. } = self.layout {
            *codes = (0..n).flat_map(|j| (0..length).map(move |i| (i, j))).map(|(i, j)| codes[i * n + j]).collect();
        }
    }
}

impl Rows {
    const NONE: Self = Self { codes: Vec::new(), length: 0 };
}

/// Stored elements of a row of A, and groups of metadata.
fn stored(codes: &Codes, k: usize) -> Result<(usize, usize), Error> {
    if k == 0 {
        return Err(Error::Lengths { field: "b", given: 0, wanted: 1 });
    }
    match codes.sparse {
        Some(sparsity) if !k.is_multiple_of(sparsity.m) => {
            Err(Error::Lengths { field: "b", given: k, wanted: k.next_multiple_of(sparsity.m) })
        }
        Some(sparsity) => Ok((k / sparsity.m * sparsity.n, k / sparsity.m)),
        None => Ok((k, 0)),
    }
}

/// An array that the unit needs, if it does: `wanted` a row.
fn given<'s, 'a>(
    name: &'static str,
    words: &'s Option<Words<'a>>,
    wanted: usize,
) -> Result<Option<&'s Words<'a>>, Error> {
    match words {
        Some(words) if wanted == 0 && !words.is_empty() => {
            Err(Error::Lengths { field: name, given: words.len(), wanted: 0 })
        }
        None if wanted > 0 => Err(Error::Lengths { field: name, given: 0, wanted }),
        words => Ok(words.as_ref()),
    }
}

impl Prepared<'_> {
    /// The number of outputs.
    pub fn count(&self) -> Result<usize, Error> {
        self.layout.outputs().map(|(rows, columns)| rows * columns)
    }

    /// Where position `k` of the unit's reduction lies in the operands.
    pub fn operand_position(&self, k: usize) -> usize {
        KOrder::place(&self.k_order, k)
    }

    /// The operands of one output.
    pub fn row(&self, index: usize) -> Row<'_> {
        let (left, right) = self.layout.operands(index);
        Row {
            a: self.a.row(left),
            b: self.b.row(right),
            c: self.c.get(index).copied().unwrap_or(0),
            scale_a: self.scale_a.row(left),
            scale_b: self.scale_b.row(right),
            metadata: self.metadata.row(left),
        }
    }
}
