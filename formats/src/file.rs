//! Files of quantised tensors: safetensors that other programs can read, with one array a part.
//!
//! A tensor `T` [.., K] is a matrix: its last axis is K, all others together are the rows; a tensor of rank 0 or 1 is one
//! row. Blocks lie along K, whose last block is filled up with zeros to `Kpad`. Numbers are little-endian.
//!
//! | array | type | shape | what it holds |
//! |---|---|---|---|
//! | `T.codes` | U8; I8 for integers with sign; U16, I16 beyond 8 bits, U32 beyond 16, U64 beyond 32 | [.., Kpad] | one code an element in the low bits; integers with sign as two's complement of the whole type |
//! | `T.codes` of a packed file | U8 | \[bytes\] | all codes as one bit string, least significant bit first, see [`pack`](crate::pack) |
//! | `T.scales` | U8 for E8M0 and narrow floats, I16 for block exponents, U16 (U32 beyond 16 bits) for microexponents, F32 for FP32 factors | see below | one scale a block; a microexponent word has the exponent in the low 8 bits, two's complement, and above it one bit a run, the first run lowest; the exponent of an all-zero block means nothing |
//! | `T.zeros` | U8 | as `T.scales` | zero points of asymmetric formats |
//! | `T.scale2` | F32 | [] | the tensor scale of two-level formats |
//! | `T.dequantized` | F32 | [.., K] | the values that the codes stand for; may be absent |
//!
//! Scales have the shape [.., blocks along K] where blocks lie in one row (so [.., 1] for a block of a whole row). Where
//! blocks span rows the leading axes fold into one: [rows of blocks, blocks along K], that is [1, K] for columns,
//! [1, 1] for the whole tensor, [rows / 16 rounded up, K / 16 rounded up] for tiles of 16 x 16.
//!
//! `__metadata__` has the strings `format` (the record as JSON), `shape` (a JSON object: the shape of each quantised
//! tensor by name), `packed` (`true` or `false`) and `version` (of this layout: `1`). Arrays that belong to no name in
//! `shape` were copied.

mod container;
mod error;
mod read;
mod unique;
mod write;

pub use container::{Container, Outline, View};
pub use error::FileError;
pub use read::QuantizedFile;
pub use safetensors::Dtype;
pub use unique::unique_fields;
pub use write::{Export, Options, Writer};

use crate::tensor::{Codes, Scales};
use crate::{Format, Scale, Scaling};

/// The layout that this module writes and reads.
const VERSION: &str = "1";

/// A part of a quantised tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Codes,
    Scales,
    Zeros,
    Scale2,
    Dequantized,
}

impl Part {
    /// The array's name.
    fn of(self, tensor: &str) -> String {
        let suffix = match self {
            Self::Codes => "codes",
            Self::Scales => "scales",
            Self::Zeros => "zeros",
            Self::Scale2 => "scale2",
            Self::Dequantized => "dequantized",
        };
        format!("{tensor}.{suffix}")
    }
}

/// One array of a quantised tensor.
#[derive(Clone, Debug)]
struct Array {
    part: Part,
    dtype: Dtype,
    shape: Vec<usize>,
}

/// Rows and length of a row of a tensor as a matrix; an empty row makes an empty matrix. `None` where a size cannot be
/// counted.
fn matrix(shape: &[usize]) -> Option<(usize, usize)> {
    let (&k, lead) = shape.split_last().unwrap_or((&1, &[]));
    let rows = lead.iter().try_fold(1usize, |rows, &n| rows.checked_mul(n))?;
    Some((if k == 0 { 0 } else { rows }, k))
}

/// The arrays of a tensor, from its shape alone: the one place that knows the layout. `None` where a size cannot be
/// counted.
fn arrays(format: &Format, shape: &[usize], packed: bool) -> Option<Vec<Array>> {
    let (rows, k) = matrix(shape)?;
    let padded = format.checked_padded(k)?;
    let count = rows.checked_mul(padded)?;
    let lead = &shape[..shape.len().saturating_sub(1)];
    let along = |n: usize| [lead, &[n]].concat();
    let codes = Codes::zeros(format.element, 0);
    let mut all = vec![match packed {
        true => Array { part: Part::Codes, dtype: Dtype::U8, shape: vec![packed_len(format, count)?] },
        false => Array { part: Part::Codes, dtype: code_type(&codes), shape: along(padded) },
    }];
    if let Some(scaling) = format.scaling {
        let blocks = padded / format.block_len(k);
        let local = scaling.block.is_row_local();
        let shape = if local { along(blocks) } else { vec![rows.div_ceil(format.block_rows(rows)), blocks] };
        all.push(Array { part: Part::Scales, dtype: scale_type(format, scaling), shape: shape.clone() });
        if let Scale::Affine(_) = scaling.scale {
            all.push(Array { part: Part::Zeros, dtype: Dtype::U8, shape });
        }
        if scaling.two_level {
            all.push(Array { part: Part::Scale2, dtype: Dtype::F32, shape: Vec::new() });
        }
    }
    all.push(Array { part: Part::Dequantized, dtype: Dtype::F32, shape: shape.to_vec() });
    Some(all)
}

/// Bytes of `count` packed codes.
fn packed_len(format: &Format, count: usize) -> Option<usize> {
    Some(count.checked_mul(format.element.bits() as usize)?.div_ceil(8))
}

fn code_type(codes: &Codes) -> Dtype {
    match codes {
        Codes::U8(_) => Dtype::U8,
        Codes::I8(_) => Dtype::I8,
        Codes::U16(_) => Dtype::U16,
        Codes::I16(_) => Dtype::I16,
        Codes::U32(_) => Dtype::U32,
        Codes::U64(_) => Dtype::U64,
    }
}

fn scale_type(format: &Format, scaling: Scaling) -> Dtype {
    match Scales::for_format(format) {
        Scales::Exponent(_) => Dtype::I16,
        Scales::Micro(_) if scaling.scale_bits(format.block_len(0)) <= 16 => Dtype::U16,
        Scales::Micro(_) => Dtype::U32,
        Scales::Float32(_) | Scales::Affine(..) => Dtype::F32,
        Scales::None | Scales::E8M0(_) | Scales::Code(_) => Dtype::U8,
    }
}
