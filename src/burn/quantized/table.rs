//! Which format is which of Burn's schemes.

use burn::tensor::quantization::{QuantMode, QuantScheme, QuantStore, QuantValue, ScaleDtype};

use super::bytes::unsupported;
use crate::Error;

/// A format and the scheme under which Burn holds the same numbers with the same scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Correspondence {
    /// The format's name.
    pub format: &'static str,
    /// Burn's value: its codes are the format's.
    pub value: QuantValue,
    /// The elements that share a scale.
    pub blocks: Blocks,
    /// How their scale is written.
    pub scale: ScaleDtype,
    /// Whether an FP32 scale of the whole tensor multiplies those of blocks.
    pub two_level: bool,
}

/// The elements that share a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocks {
    /// All of them.
    Tensor,
    /// A row.
    Row,
    /// This many along a row.
    Run(u8),
}

const fn integer(format: &'static str, value: QuantValue, blocks: Blocks) -> Correspondence {
    Correspondence { format, value, blocks, scale: ScaleDtype::F32, two_level: false }
}

const fn mx(format: &'static str, value: QuantValue) -> Correspondence {
    Correspondence { format, value, blocks: Blocks::Run(32), scale: ScaleDtype::UE8M0, two_level: false }
}

const fn nvfp4(format: &'static str, two_level: bool) -> Correspondence {
    let (blocks, scale) = (Blocks::Run(16), ScaleDtype::UE4M3);
    Correspondence { format, value: QuantValue::E2M1, blocks, scale, two_level }
}

/// The first of several formats that fit a scheme is the one that it is read as; they differ in how scales are chosen, not
/// in what is stored.
const TABLE: [Correspondence; 11] = [
    integer("int8-tensor", QuantValue::Q8S, Blocks::Tensor),
    integer("int8", QuantValue::Q8S, Blocks::Row),
    integer("int4", QuantValue::Q4S, Blocks::Row),
    integer("int4-g32", QuantValue::Q4S, Blocks::Run(32)),
    integer("int4-g64", QuantValue::Q4S, Blocks::Run(64)),
    integer("int4-g128", QuantValue::Q4S, Blocks::Run(128)),
    mx("mxfp8", QuantValue::E4M3),
    mx("mxfp8-e5m2", QuantValue::E5M2),
    mx("mxfp4", QuantValue::E2M1),
    nvfp4("nvfp4", true),
    nvfp4("nvfp4-cudnn", false),
];

impl Correspondence {
    /// Every pair.
    pub fn all() -> &'static [Self] {
        &TABLE
    }

    /// The pair of a format.
    ///
    /// # Errors
    /// [`Error::Scheme`] where Burn has no such scheme.
    pub fn of_format(name: &str) -> Result<&'static Self, Error> {
        let problem = "Burn has no scheme for this format; `Correspondence::all` lists those that it shares";
        TABLE.iter().find(|c| c.format == name).ok_or_else(|| unsupported(name, problem))
    }

    /// The pair of a scheme for rows of `k`, whatever its store.
    ///
    /// # Errors
    /// [`Error::Scheme`] where no format is stored so.
    pub fn of_scheme(scheme: &QuantScheme, k: usize) -> Result<&'static Self, Error> {
        let problem = "no format is stored so; `Correspondence::all` lists the schemes that have one";
        let fits = |c: &&Self| c.scheme(k).is_ok_and(|own| same_numbers(&own, scheme));
        TABLE.iter().find(fits).ok_or_else(|| unsupported(scheme, problem))
    }

    /// The scheme for rows of `k`. Codes are packed into words where whole words fit: this store every GPU backend reads,
    /// and the CPU backends panic on it for float codes, which in `Native` they would take for integers.
    ///
    /// # Errors
    /// [`Error::Scheme`] where a row is longer than a block of Burn's may be, 255.
    pub fn scheme(&self, k: usize) -> Result<QuantScheme, Error> {
        let words = k.is_multiple_of(32 / self.value.size_bits());
        let store = if words { QuantStore::PackedU32(0) } else { QuantStore::Native };
        let scheme = QuantScheme::default().with_value(self.value).with_store(store);
        let run = match self.blocks {
            Blocks::Tensor => return Ok(scheme.per_tensor(self.scale)),
            Blocks::Run(run) => run,
            Blocks::Row => u8::try_from(k).ok().filter(|&run| run > 0).ok_or_else(|| {
                unsupported(self.format, "Burn's blocks have 1 to 255 elements a dimension, this row another number")
            })?,
        };
        let scheme = scheme.per_block([run], self.scale);
        Ok(if self.two_level { scheme.per_tensor(ScaleDtype::F32) } else { scheme })
    }
}

/// Whether two schemes hold the same numbers, in whatever store.
fn same_numbers(a: &QuantScheme, b: &QuantScheme) -> bool {
    let numbers = |s: &QuantScheme| (s.value, s.block_scale(), s.tensor_scale());
    b.mode == QuantMode::Symmetric && numbers(a) == numbers(b)
}
