//! The one error type of this crate.

/// What went wrong: what was given, what is allowed, what to do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No format has this name.
    #[error("unknown format `{given}`; did you mean `{nearest}`? `interplay list formats` prints them all")]
    UnknownFormat {
        /// The name as given.
        given: String,
        /// The nearest known name.
        nearest: &'static str,
    },
    /// No order has this name.
    #[error("unknown order `{0}`; it is `sq` (sparsify, then quantise), `qs` (quantise, then sparsify) or `none`")]
    UnknownOrder(String),
    /// A sparsity pattern that does not parse.
    #[error(
        "unknown sparsity `{0}`; it is `dense`, a percentage such as `50%` or `50%-row`, \
         or N:M such as `2:4` (keep N of every M, 1 <= N < M <= 256)"
    )]
    UnknownPattern(String),
    /// Sparsity and quantisation were both asked for, but not which comes first.
    #[error("{pattern} sparsity and {format} together need an order: `sq` (sparsify first) or `qs` (quantise first)")]
    OrderNeeded {
        /// The pattern.
        pattern: String,
        /// The format.
        format: &'static str,
    },
    /// A NaN or an infinity among the values.
    #[error("row {row}, column {column} is {value}; only finite values can be quantised or sparsified")]
    NonFinite {
        /// The row, from 0.
        row: usize,
        /// The column, from 0.
        column: usize,
        /// NaN, inf or -inf.
        value: f32,
    },
    /// A matrix whose length is not a whole number of rows.
    #[error("{len} values are not a whole number of rows of {k}; give a row-major matrix whose rows have {k} values")]
    Ragged {
        /// How many values.
        len: usize,
        /// The length of a row.
        k: usize,
    },
    /// Rows that N:M groups do not divide.
    #[error("{n}:{m} sparsity needs rows that {m} divides, but a row has {k} values; choose an M that divides {k}")]
    Indivisible {
        /// Kept values a group.
        n: usize,
        /// Values a group.
        m: usize,
        /// The length of a row.
        k: usize,
    },
    /// A mask for a matrix of another shape.
    #[error("a mask of {mask_rows} x {mask_k} does not fit a matrix of {rows} x {k}")]
    MaskShape {
        /// Rows of the mask.
        mask_rows: usize,
        /// Columns of the mask.
        mask_k: usize,
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        k: usize,
    },
    /// No kernel layout has this name.
    #[error("unknown layout `{given}`; did you mean `{nearest}`? `layout::KernelLayout::all` lists them")]
    UnknownLayout {
        /// The name as given.
        given: String,
        /// The nearest known name.
        nearest: &'static str,
    },
    /// A code that does not fit the layout's width.
    #[error("code {index} is {code:#04x}, but this layout holds {bits} bits a code; give codes of a format that wide")]
    CodeTooWide {
        /// Which code, from 0.
        index: usize,
        /// The code.
        code: u8,
        /// Bits a code.
        bits: u32,
    },
    /// Another number of bytes than the shape implies.
    #[error("{given} {what} given, but the shape asks for {allowed}; check the shape and the layout")]
    LayoutLength {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        given: usize,
        /// How many there must be.
        allowed: usize,
    },
    /// A bit outside of the codes is set, so that another layout wrote these bytes.
    #[error("byte {index} is {byte:#04x}, but its padding bits {padding:#010b} must be zero; check the layout's name")]
    LayoutPadding {
        /// Which byte, from 0.
        index: usize,
        /// The byte.
        byte: u8,
        /// Its padding bits.
        padding: u8,
    },
    /// More scales than memory can address.
    #[error("scales of {rows} rows with {blocks} blocks each are too many to lay out; split the matrix")]
    LayoutTooLarge {
        /// Rows of the scale matrix.
        rows: usize,
        /// Blocks of a row.
        blocks: usize,
    },
}

/// The number of rows of `len` values in rows of `k`; an empty matrix has none.
pub(crate) fn rows_of(len: usize, k: usize) -> Result<usize, Error> {
    match len.checked_rem(k) {
        Some(0) => Ok(len / k),
        None if len == 0 => Ok(0),
        Some(_) | None => Err(Error::Ragged { len, k }),
    }
}

/// The error for the non-finite value at flat index `at`.
pub(crate) fn non_finite(x: &[f32], k: usize, at: usize) -> Error {
    Error::NonFinite { row: at / k, column: at % k, value: x[at] }
}
