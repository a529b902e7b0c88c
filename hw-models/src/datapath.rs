//! Datapaths: what a matrix unit does to the bits of `y = x w^T`.
//!
//! A [`Datapath`] is a record; two interpreters read it. [`Datapath::gemm`] is fast,
//! [`Datapath::gemm_reference`] is slow and obvious, and both give the same bits for every input.
//! What is not here: quantisation (the formats crate), biases (the host adds them), and time or energy
//! ([`cost`](mod@crate::cost)).

mod catalog;
mod operand;
mod reference;
mod register;

pub use operand::Operand;
pub(crate) use operand::units;

use crate::kernel::{
    ByteBlocks, CertifiedSums, DoubleBlocks, FmaChain, Integers, Panels, SingleBlocks, SplitBlocks, gemm, gemm_bytes,
    simd::Path,
};
use crate::{Error, names};
use interplay_formats::Format;
use operand::{Family, Prepared, family};
use register::Register;
use serde::Serialize;

/// A matrix unit: a name and what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Datapath {
    /// The name by which it is chosen.
    pub name: &'static str,
    /// How products become an output.
    pub arithmetic: Arithmetic,
    /// One sentence for listings.
    pub about: &'static str,
}

/// How products become an output. Accumulators start from +0; a NaN result is the canonical quiet NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Arithmetic {
    /// None here: the host multiplies the dequantised values.
    Host,
    /// The exact sum of exact products, rounded once to FP32 (nearest even). A sum of exactly zero is +0.
    Exact,
    /// k increasing, `acc = fma(a, b, acc)` in FP32.
    FmaChain,
    /// The exact integer sum `i` in 32 bits, then `fl(fl(sx * sw) * fl(i))`.
    Integer {
        /// What happens to a sum beyond 32 bits.
        overflow: Overflow,
    },
    /// Blocks in increasing k: the exact sum within the block times `2^(ea + eb)`, rounded to FP32 (nearest even), is
    /// added to the accumulator in FP32.
    Block,
}

/// What a 32-bit accumulator does with an exact sum that it cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// A reduction so long that it could overflow is refused before anything is computed.
    Error,
    /// The sum modulo 2^32.
    Wrap,
    /// The nearest end of the range, applied once to the whole sum.
    Saturate,
}

impl Overflow {
    /// What a 32-bit accumulator holds after the exact sum `total` (below 2^53 in magnitude), converted to FP32.
    #[inline(always)]
    pub(crate) fn accumulator(self, total: f64) -> f32 {
        match self {
            // No overflow is possible; the integer converts to FP32 with one rounding from either type.
            Self::Error => total as f32,
            Self::Wrap => total as i64 as i32 as f32,
            // A float to integer cast saturates.
            Self::Saturate => total as i32 as f32,
        }
    }
}

/// Weights packed once for one datapath: `N` output columns of `K` elements.
#[derive(Clone, Debug)]
pub struct Weights {
    datapath: Datapath,
    prepared: Prepared,
    panels: Panels,
}

impl Weights {
    /// Output columns, N.
    pub fn columns(&self) -> usize {
        self.panels.columns
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
    /// Every datapath.
    pub fn all() -> &'static [&'static Datapath] {
        &catalog::ALL
    }

    /// The datapath of that name, in any case. `auto` is no record: it depends on the formats, see [`Datapath::auto`].
    ///
    /// # Errors
    /// [`Error::UnknownName`] with the nearest name.
    pub fn by_name(name: &str) -> Result<&'static Datapath, Error> {
        let known: Vec<_> = Self::all().iter().map(|&datapath| (datapath.name, datapath)).collect();
        names::find("datapath", name, &known)
    }

    /// The natural unit of a pair of formats: `block` for block formats of one block length, `int8` for symmetric
    /// integers with a scale a row, `fake` for FP32 on both sides, and `fp32` for everything else.
    pub fn auto(weight: &Format, activation: &Format) -> &'static Datapath {
        match (family(weight), family(activation)) {
            (Family::Blocks { length: w }, Family::Blocks { length: x }) if w == x => &catalog::BLOCK,
            (Family::Integers, Family::Integers) => &catalog::INT8,
            _ if weight.is_exact() && activation.is_exact() => &catalog::FAKE,
            _ => &catalog::FP32,
        }
    }

    /// The unit that a machine needs for a pair of formats: [`Datapath::auto`], with an FP32 unit in place of the host.
    pub fn machine(weight: &Format, activation: &Format) -> &'static Datapath {
        match Self::auto(weight, activation) {
            datapath if datapath.arithmetic == Arithmetic::Host => &catalog::FP32,
            datapath => datapath,
        }
    }

    /// Packs weights `[N, K]`, once for many products.
    ///
    /// # Errors
    /// [`Error::HostMultiplies`], [`Error::Shape`], or [`Error::Unsupported`] for a format that this unit does not take.
    pub fn prepare(&self, w: Operand<'_>) -> Result<Weights, Error> {
        let (rows, prepared) = w.prepare(self)?;
        Ok(Weights { datapath: *self, prepared, panels: Panels::pack(&rows) })
    }

    /// `x w^T` as this unit computes it, `[M, N]` row-major, on all threads of the current rayon pool.
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
        let (rows, prepared) = x.prepare(self)?;
        self.check(&prepared, &w.prepared)?;
        let (x, length) = (&rows, prepared.block_length);
        Ok(match self.arithmetic {
            Arithmetic::Host => return Err(Error::HostMultiplies(self.name.to_owned())),
            Arithmetic::Exact => gemm(path, &CertifiedSums, x, &w.panels),
            Arithmetic::FmaChain => gemm(path, &FmaChain, x, &w.panels),
            Arithmetic::Integer { overflow } => gemm_bytes(path, &Integers { overflow }, x, &w.panels),
            Arithmetic::Block => match self.register(&prepared, &w.prepared)? {
                Register::Bytes { unit } => gemm_bytes(path, &ByteBlocks { length, unit }, x, &w.panels),
                Register::Single => gemm(path, &SingleBlocks { length }, x, &w.panels),
                Register::Double => gemm(path, &DoubleBlocks { length }, x, &w.panels),
                Register::Split { bias } => gemm(path, &SplitBlocks { length, bias }, x, &w.panels),
            },
        })
    }

    /// The same, by the definition: one output after the other, in exact arithmetic. It judges [`Datapath::gemm`].
    ///
    /// # Errors
    /// As [`Datapath::gemm`].
    pub fn gemm_reference(&self, x: Operand<'_>, w: Operand<'_>) -> Result<Vec<f32>, Error> {
        let ((_, px), (_, pw)) = (x.prepare(self)?, w.prepare(self)?);
        self.check(&px, &pw)?;
        reference::gemm(self, x, w)
    }

    /// The host register for two block operands.
    fn register(&self, x: &Prepared, w: &Prepared) -> Result<Register, Error> {
        Register::of(x, w).ok_or_else(|| Error::Unsupported {
            datapath: self.name.to_owned(),
            given: "elements of so many bits".to_owned(),
            allowed: operand::BLOCKS,
        })
    }

    /// Whether two operands that the unit takes also go together.
    fn check(&self, x: &Prepared, w: &Prepared) -> Result<(), Error> {
        if x.k != w.k {
            return Err(Error::InnerDimension { activations: x.k, weights: w.k });
        }
        if self.arithmetic == Arithmetic::Block && x.block_length != w.block_length {
            return Err(Error::BlockLength { activations: x.block_length, weights: w.block_length });
        }
        if self.arithmetic == (Arithmetic::Integer { overflow: Overflow::Error }) {
            let max = (i64::from(i32::MAX) / register::largest_product(x, w) as i64) as usize;
            if x.k > max {
                return Err(Error::ReductionTooLong { datapath: self.name.to_owned(), k: x.k, max });
            }
        }
        Ok(())
    }
}
