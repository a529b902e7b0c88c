//! A quantised matrix from parts that somebody else made: every invariant of [`Quantized`] is checked.

use crate::reference::Geometry;
use crate::tensor::{Codes, Quantized, Scales};
use crate::{Encoding, Error, Format, Range, Scalar, Scale};

/// Codes or scales that are not a matrix of the format. Rows, columns and indices count from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartsError {
    /// A matrix whose padded size no machine can count.
    #[error("{rows} rows of {k} are more elements than can be counted")]
    Size {
        /// Rows.
        rows: usize,
        /// Elements of a row.
        k: usize,
    },
    /// Rows of a format whose scales span rows, asked for one by one.
    #[error("rows share scales, so that they cannot be taken apart")]
    SharedRows,
    /// A row that the matrix does not have.
    #[error("there is no row {row}; the matrix has {rows}")]
    NoRow {
        /// The row.
        row: usize,
        /// Rows of the matrix.
        rows: usize,
    },
    /// Codes of a type that the format does not have.
    #[error("the codes are of type {given}, but this format's are {wanted}")]
    CodesKind {
        /// The type given.
        given: &'static str,
        /// The type of the format's codes.
        wanted: &'static str,
    },
    /// Scales of a kind that the format does not have.
    #[error("the scales are {given}, but this format has {wanted}")]
    ScalesKind {
        /// The kind given.
        given: &'static str,
        /// The kind of the format's scales.
        wanted: &'static str,
    },
    /// More or fewer codes, scales or zero points than the shape asks for.
    #[error("there are {given} {part}, but the shape asks for {wanted}")]
    Length {
        /// `codes`, `scales` or `zero points`.
        part: &'static str,
        /// How many there are.
        given: usize,
        /// How many there must be.
        wanted: usize,
    },
    /// Bits behind the last code or scale of a bit string.
    #[error("the last of the {part} is {byte:#04x}, of which only the low {used} bits are used; the others must be 0")]
    End {
        /// `bytes of codes` or `bytes of scales`.
        part: &'static str,
        /// The byte.
        byte: u8,
        /// Bits that belong to a code or a scale.
        used: usize,
    },
    /// A code wider than the format.
    #[error("row {row}, column {column} has code {code:#x}, which does not fit the format's {bits} bits")]
    Code {
        /// The row.
        row: usize,
        /// The column.
        column: usize,
        /// The code.
        code: u64,
        /// Bits of a code.
        bits: u32,
    },
    /// Padding that is not zero.
    #[error("row {row}, column {column} is padding of a block and must be 0, but has code {code:#x}")]
    Padding {
        /// The row.
        row: usize,
        /// The column, beyond the row's own.
        column: usize,
        /// The code.
        code: u64,
    },
    /// A scale that the format cannot write.
    #[error("the scale of block {block} is {given}; it must be {wanted}")]
    Scale {
        /// The block, row-major.
        block: usize,
        /// The scale.
        given: String,
        /// What is allowed.
        wanted: String,
    },
    /// A tensor scale too many, missing, or not a number.
    #[error("the tensor scale is {given}; this format needs {wanted}")]
    TensorScale {
        /// The scale, or that there is none.
        given: String,
        /// What the format needs.
        wanted: &'static str,
    },
}

impl Quantized {
    /// The matrix [rows, k] of these codes [rows, padded k] and scales [rows of blocks, blocks along K].
    ///
    /// # Errors
    /// [`Error::Parts`]: another type of codes or scales than the format's, another number of them, a code wider than
    /// the format, padding that is not zero, a scale that the format cannot write, a tensor scale that does not belong.
    pub fn from_parts(
        format: &'static Format,
        rows: usize,
        k: usize,
        codes: Codes,
        scales: Scales,
        tensor_scale: Option<f32>,
    ) -> Result<Self, Error> {
        let refused = |problem| Error::Parts { format: format.name, problem };
        check_codes(format, rows, k, &codes).map_err(refused)?;
        let scales = checked_scales(format, rows, k, &codes, scales).map_err(refused)?;
        check_tensor_scale(format, tensor_scale).map_err(refused)?;
        Ok(Self::new(format, rows, k, codes, scales).with_tensor_scale(tensor_scale))
    }
}

impl Format {
    /// The length of a stored row, where it can be counted.
    pub(crate) fn checked_padded(&self, k: usize) -> Option<usize> {
        k.checked_next_multiple_of(self.block_len(k))
    }
}

fn check_codes(format: &Format, rows: usize, k: usize, codes: &Codes) -> Result<(), PartsError> {
    let padded = format.checked_padded(k).filter(|p| rows.checked_mul(*p).is_some());
    let padded = padded.ok_or(PartsError::Size { rows, k })?;
    let (given, wanted) = (codes.kind(), Codes::zeros(format.element, 0).kind());
    if given != wanted {
        return Err(PartsError::CodesKind { given, wanted });
    }
    let wanted = rows * padded;
    if codes.len() != wanted {
        return Err(PartsError::Length { part: "codes", given: codes.len(), wanted });
    }
    let at = |i: usize| (i / padded.max(1), i % padded.max(1), codes.get(i));
    if let Some((row, column, code)) = (0..wanted).map(at).find(|(.., code)| !fits(format.element, *code)) {
        return Err(PartsError::Code { row, column, code, bits: format.element.bits() });
    }
    let padding = |i: &usize| i % padded.max(1) >= k;
    match (0..if padded > k { wanted } else { 0 }).filter(padding).map(at).find(|(.., code)| *code != 0) {
        Some((row, column, code)) => Err(PartsError::Padding { row, column, code }),
        None => Ok(()),
    }
}

/// Whether a code, integers sign-extended, has no bits above the element's width.
fn fits(element: Scalar, code: u64) -> bool {
    match element.encoding {
        Encoding::Integer { range: Range::Symmetric | Range::Full, .. } if element.bits() <= 16 => {
            element.sign_extended(code) == code
        }
        Encoding::Integer { range: Range::Symmetric | Range::Full, .. } => {
            element.sign_extended(code) as u32 == code as u32
        }
        _ => element.bits() == 64 || code >> element.bits() == 0,
    }
}

fn checked_scales(
    format: &Format,
    rows: usize,
    k: usize,
    codes: &Codes,
    mut scales: Scales,
) -> Result<Scales, PartsError> {
    let (given, wanted) = (scales.kind(), Scales::for_format(format).kind());
    if given != wanted {
        return Err(PartsError::ScalesKind { given, wanted });
    }
    let geometry = Geometry::new(format, rows, k);
    let wanted = if format.scaling.is_some() { geometry.count() } else { 0 };
    let length = |part, given| if given == wanted { Ok(()) } else { Err(PartsError::Length { part, given, wanted }) };
    length("scales", scales.len())?;
    if let Scales::Affine(_, zeros) = &scales {
        length("zero points", zeros.len())?;
    }
    let padded = format.padded(k);
    let is_zero = |block: usize| geometry.elements(block).all(|(r, c)| codes.get(r * padded + c) == 0);
    for block in 0..wanted {
        if let Some((given, wanted)) = scales.problem(format, block) {
            match &mut scales {
                // An all-zero block's exponent means nothing.
                Scales::Exponent(s) if is_zero(block) => s[block] = 0,
                _ => return Err(PartsError::Scale { block, given, wanted }),
            }
        }
    }
    Ok(scales)
}

fn check_tensor_scale(format: &Format, scale: Option<f32>) -> Result<(), PartsError> {
    let two_level = format.scaling.is_some_and(|s| s.two_level);
    let given = scale.map_or("missing".to_owned(), |s| s.to_string());
    match (two_level, scale) {
        (true, Some(s)) if s.is_finite() => Ok(()),
        (false, None) => Ok(()),
        (true, _) => Err(PartsError::TensorScale { given, wanted: "a finite one" }),
        (false, Some(_)) => Err(PartsError::TensorScale { given, wanted: "none" }),
    }
}

impl Codes {
    /// The name of the type.
    const fn kind(&self) -> &'static str {
        match self {
            Self::U8(_) => "U8",
            Self::I8(_) => "I8",
            Self::U16(_) => "U16",
            Self::I16(_) => "I16",
            Self::U32(_) => "U32",
            Self::U64(_) => "U64",
        }
    }
}

impl Scales {
    /// What they are.
    const fn kind(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::E8M0(_) => "E8M0 bytes",
            Self::Exponent(_) => "block exponents",
            Self::Micro(_) => "microexponents",
            Self::Float32(_) => "FP32 factors",
            Self::Affine(..) => "FP32 factors with zero points",
            Self::Code(_) => "codes of a narrow float",
        }
    }

    /// What is wrong with the scale of a block, if anything: what it is, and what it must be.
    fn problem(&self, format: &Format, block: usize) -> Option<(String, String)> {
        let scale = format.scaling?.scale;
        let finite = |v: f32| (!v.is_finite()).then(|| (v.to_string(), "a finite number".to_owned()));
        match (self, scale) {
            (Self::Exponent(s), Scale::Exponent(bits)) => {
                let end = 1i32 << (bits - 1);
                let fits = (-end..end).contains(&i32::from(s[block]));
                (!fits).then(|| (s[block].to_string(), format!("{} to {}", -end, end - 1)))
            }
            (Self::Micro(s), _) => {
                let bits = format.scaling?.scale_bits(format.block_len(0)) as u32;
                let fits = u64::from(s[block]) >> bits == 0;
                (!fits).then(|| (format!("{:#x}", s[block]), format!("a word of {bits} bits")))
            }
            // A row may be NaN under an FP32 factor only where the record says so.
            (Self::Float32(s), _) if s[block].is_nan() && format.non_finite == crate::NonFinite::NanBlock => None,
            (Self::Float32(s), _) => finite(s[block]),
            (Self::Affine(s, zeros), Scale::Affine(bits)) => finite(s[block]).or_else(|| {
                let fits = u32::from(zeros[block]) >> bits == 0;
                (!fits).then(|| (format!("a zero point of {}", zeros[block]), format!("less than 2^{bits}")))
            }),
            (Self::Code(s), Scale::Code(scalar)) => {
                let code = u64::from(s[block]);
                let fits = code >> scalar.bits() == 0 && scalar.decode(code).finite().is_some();
                (!fits).then(|| (format!("{code:#x}"), format!("a number in {}", scalar.name)))
            }
            _ => None,
        }
    }
}
