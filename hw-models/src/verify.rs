//! Checking a kernel: what a unit makes of given operands, and where given results are something else.
//!
//! [`Operands`] are outputs one by one, as test vectors have them, or whole matrices, as a kernel has them; [`Words`] are
//! raw words whose width says what they are. [`verify`] compares bit for bit, by the record's own rule for NaN and zeros;
//! a kernel that promises less is checked by [`verify_with`] and a tolerance.
//!
//! ```
//! use interplay_hw::{Words, Datapath, Operands, verify};
//!
//! let datapath = Datapath::by_name("ieee.fma.f32.f32")?;
//! let (a, b, c) = ([1.5f32, 2.0], [4.0f32, 0.25], [1.0f32]);
//! let operands = Operands { c: Some(Words::from(&c[..])), ..Operands::rows(1, 2, &a[..], &b[..]) };
//! let report = verify(datapath, &operands, &Words::from(&[7.5f32][..]))?;
//! assert!(report.is_match(), "{report}");
//! # Ok::<(), interplay_hw::Error>(())
//! ```

mod kernel;
mod operands;
mod order;
mod read;
mod report;
mod words;

pub use operands::{Layout, Operands};
pub use report::{Histogram, Mismatch, Report};
pub use words::Words;

pub(crate) use operands::Prepared;
pub(crate) use operands::Source;
pub(crate) use read::{distance, same};
pub(crate) use report::hexadecimal;

use crate::{Datapath, Error};
use rayon::prelude::*;

/// How operands are multiplied and results compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The reduction length of one instruction; the longest that the unit has unless given.
    pub depth: Option<usize>,
    /// The order in which the kernel goes through K: position `i` of its reduction is position `k_order[i]` of the
    /// operands. A permutation of 0, 1, … whose length divides K; it is repeated along K. Empty: as the operands lie.
    pub k_order: Vec<usize>,
    /// Results at most so many units in the last place apart are accepted; 0: the same bits.
    pub tolerance_ulp: u64,
}

/// Whether `result` is what the unit makes of the operands, with its longest instructions, bit for bit.
///
/// # Errors
/// As [`verify_with`].
pub fn verify(datapath: &Datapath, operands: &Operands<'_>, result: &Words<'_>) -> Result<Report, Error> {
    verify_with(datapath, operands, result, &Options::default())
}

/// Whether `result`, `[rows]` or `[M, N]`, is what the unit makes of the operands. It has codes of the accumulator, or
/// wider floats that are numbers of the accumulator's format. Runs on all threads of the current rayon pool; the report
/// does not depend on them.
///
/// # Errors
/// [`Error::NoCodes`], [`Error::Depth`], [`Error::Lengths`], [`Error::Words`], [`Error::Element`], [`Error::KOrder`].
pub fn verify_with(
    datapath: &Datapath,
    operands: &Operands<'_>,
    result: &Words<'_>,
    options: &Options,
) -> Result<Report, Error> {
    let prepared = operands.prepare(datapath, options)?;
    let shape = operands.layout.outputs()?;
    let given = Source { name: "d", words: result, shape }.results(datapath)?;
    // What a kernel and the given results agree on needs no second judge.
    let own = prepared.outputs(|index, code| same(datapath, given[index], code))?;
    Ok(Report::new(datapath, operands, (&given, &own), options.tolerance_ulp))
}

impl Datapath {
    /// What the unit makes of every output, as codes of its accumulator: `[rows]` or `[M, N]`.
    ///
    /// # Errors
    /// As [`verify_with`].
    pub fn outputs(&self, operands: &Operands<'_>, options: &Options) -> Result<Vec<u64>, Error> {
        operands.prepare(self, options)?.outputs(|_, _| true)
    }
}

impl operands::Prepared<'_> {
    /// Every output: a kernel's, where there is one and `is_trusted` says so of its index and code, else the interpreter's.
    fn outputs(&self, is_trusted: impl Fn(usize, u64) -> bool + Sync) -> Result<Vec<u64>, Error> {
        let count = self.count()?;
        let mut outputs = Vec::new();
        outputs.try_reserve_exact(count).map_err(|_| Error::TooManyOutputs)?;
        outputs.resize(count, 0);
        let by_kernel = self.by_kernel().unwrap_or_default();
        outputs.par_iter_mut().enumerate().try_for_each(|(index, output)| {
            *output = match by_kernel.get(index) {
                Some(&Some(code)) if is_trusted(index, code) => code,
                _ => self.datapath.dot(self.row(index), Some(self.depth))?,
            };
            Ok::<_, Error>(())
        })?;
        Ok(outputs)
    }
}
