//! One dot product in codes, as a unit's instructions take it.

use super::evaluate::{Rows, Watch};
use super::record::{BlockScale, Codes, Datapath, Inputs, Nan, Port, Sparsity, Subnormals};
use super::term::{Term, emin};
use crate::Error;
use interplay_formats::{Rounding, Scalar, Value, scalar};

/// Operands of one output, as codes in the low bits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Row<'a> {
    /// Elements of A, `[K]`; the stored ones, `[K * n / m]`, where A is sparse.
    pub a: &'a [u64],
    /// Elements of B, `[K]`.
    pub b: &'a [u64],
    /// The accumulator that enters.
    pub c: u64,
    /// Scales of A, `[K / block]`; empty where the unit has none.
    pub scale_a: &'a [u64],
    /// Scales of B, `[K / block]`.
    pub scale_b: &'a [u64],
    /// Positions of the stored elements in their group, `[K / m]`: `bits` of each, the first stored one lowest (PTX's
    /// logical order); for 1:2, 0b0100 and 0b1110. Empty where A is dense.
    pub metadata: &'a [u64],
}

impl Datapath {
    /// Whether the host multiplies.
    pub fn is_host(&self) -> bool {
        matches!(self.inputs, Inputs::Host)
    }

    /// The operands of a unit that takes codes; `fp32` and `ideal` take FP32 codes.
    ///
    /// # Errors
    /// [`Error::NoCodes`] for units whose operands are whole quantised matrices.
    pub fn codes(&self) -> Result<Codes, Error> {
        match self.inputs {
            Inputs::Codes(codes) => Ok(codes),
            Inputs::Values => {
                let port = Port::plain(scalar::FP32);
                Ok(Codes { a: port, b: port, scale: None, sparse: None })
            }
            Inputs::Host | Inputs::Integers | Inputs::Blocks(_) => Err(Error::NoCodes(self.name.to_owned())),
        }
    }

    /// The reduction length of one instruction: as asked for, else the longest that the unit has, else all of `k`.
    ///
    /// # Errors
    /// [`Error::Depth`] for a length that no instruction has.
    pub fn depth(&self, asked: Option<usize>, k: usize) -> Result<usize, Error> {
        match asked {
            Some(depth) if depth > 0 && (self.depths.is_empty() || self.depths.contains(&depth)) => Ok(depth),
            Some(depth) => {
                Err(Error::Depth { datapath: self.name.to_owned(), given: depth, allowed: self.depths.to_vec() })
            }
            None => Ok(self.depths.last().copied().unwrap_or(k).max(1)),
        }
    }

    /// `d = c + a . b` in codes, with instructions of depth `depth` (see [`Datapath::depth`]); bits above a format's
    /// width are ignored.
    ///
    /// # Errors
    /// [`Error::Lengths`], [`Error::Depth`], [`Error::Metadata`], [`Error::NoCodes`].
    pub fn dot(&self, row: Row<'_>, depth: Option<usize>) -> Result<u64, Error> {
        self.watched(row, depth, &mut ())
    }

    /// [`Datapath::dot`] with someone who looks on.
    pub(crate) fn watched(&self, row: Row<'_>, depth: Option<usize>, watch: &mut impl Watch) -> Result<u64, Error> {
        let codes = self.codes()?;
        let k = row.b.len();
        let depth = self.depth(depth, k)?;
        let positions = codes.positions(row, k)?;
        check_scales(&codes, row, k)?;
        let read = |port: Port, code: u64, scales: &[u64], position: usize| {
            let term = port.read(code);
            codes.scale.map_or(term, |scale| term.times(scale.read(scales[position / scale.block])))
        };
        let a = row.a.iter().zip(&positions).map(|(&code, &p)| read(codes.a, code, row.scale_a, p));
        let b = positions.iter().map(|&p| read(codes.b, row.b[p], row.scale_b, p));
        let (a, b): (Vec<Term>, Vec<Term>) = (a.collect(), b.collect());
        let stored = codes.sparse.map_or(depth, |s| depth * s.n / s.m);
        let c = self.accumulator_term(row.c);
        let value = self.evaluate(Rows { a: &a, b: &b, depth: stored, block: depth }, c, watch);
        Ok(self.code(value))
    }

    /// The accumulator that a code stands for.
    pub(crate) fn accumulator_term(&self, code: u64) -> Term {
        Port { subnormals: self.accumulator.subnormals, ..Port::plain(self.accumulator.c) }.read(code)
    }

    /// The result's code.
    pub(crate) fn code(&self, value: Value) -> u64 {
        let d = self.accumulator.d;
        let ones = match (value, self.accumulator.nan) {
            (Value::Nan, Nan::Ones) => Some((1u64 << (d.bits() - 1)) - 1),
            _ => None,
        };
        // The value is a result of the accumulator's own rounding: nothing is rounded here, and infinities have codes.
        let exact = || d.encode(value, Rounding::NearestEven, interplay_formats::Overflow::Infinity);
        ones.or_else(exact).unwrap_or(0)
    }
}

impl Port {
    /// Codes as they are.
    pub const fn plain(format: Scalar) -> Self {
        Self {
            format,
            emin: None,
            ignored_bits: 0,
            subnormals: Subnormals::Kept,
            exponent: super::record::ElementExponent::Own,
        }
    }
}

impl BlockScale {
    /// The factor that a scale's code stands for; its exponent moves the exponents of the block's products.
    pub(crate) fn read(&self, code: u64) -> Term {
        Term::of(self.format.decode(code), emin(self.format))
    }
}

impl Codes {
    /// The position that each stored element of A has, `[k]` of them where A is dense.
    pub(crate) fn positions(&self, row: Row<'_>, k: usize) -> Result<Vec<usize>, Error> {
        let wanted = self.sparse.map_or(k, |s| k.div_ceil(s.m) * s.n);
        let groups = self.sparse.map_or(0, |s| k.div_ceil(s.m));
        for (field, given, wanted) in [("a", row.a.len(), wanted), ("metadata", row.metadata.len(), groups)] {
            if given != wanted {
                return Err(Error::Lengths { field, given, wanted });
            }
        }
        let Some(sparsity) = self.sparse else { return Ok((0..k).collect()) };
        if !k.is_multiple_of(sparsity.m) {
            return Err(Error::Lengths { field: "b", given: k, wanted: k.next_multiple_of(sparsity.m) });
        }
        let mut positions = Vec::with_capacity(wanted);
        for (group, &code) in row.metadata.iter().enumerate() {
            let inside = sparsity.positions(code).ok_or(Error::Metadata { group, code })?;
            positions.extend(inside.into_iter().map(|p| group * sparsity.m + p));
        }
        Ok(positions)
    }
}

/// Whether there is one scale a block on each side.
fn check_scales(codes: &Codes, row: Row<'_>, k: usize) -> Result<(), Error> {
    let wanted = codes.scale.map_or(0, |scale| k.div_ceil(scale.block));
    for (field, given) in [("scale_a", row.scale_a.len()), ("scale_b", row.scale_b.len())] {
        if given != wanted {
            return Err(Error::Lengths { field, given, wanted });
        }
    }
    Ok(())
}

impl Sparsity {
    /// The positions in their group that a metadata code names, in increasing order; `None` for an illegal code.
    ///
    /// A code has two bits for each thing that is kept of four (elements, or pairs of them); 1:2 has the two codes
    /// 0b0100 (the first) and 0b1110 (the second).
    pub(crate) fn positions(self, code: u64) -> Option<Vec<usize>> {
        if (self.n, self.m) == (1, 2) {
            return match code {
                0b0100 => Some(vec![0]),
                0b1110 => Some(vec![1]),
                _ => None,
            };
        }
        let (first, second) = ((code & 3) as usize, (code >> 2 & 3) as usize);
        let legal = code < 16 && first < second;
        let each = |kept: usize| (0..self.together).map(move |i| kept * self.together + i);
        legal.then(|| [first, second].into_iter().flat_map(each).collect())
    }
}
