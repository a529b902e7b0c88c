//! The one error type of this crate.

use crate::parts::PartsError;
use crate::sparse::Layout;

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
    /// The name of an order, where a format belongs.
    #[error("`{0}` is an order, not a format: it belongs to `--order`, beside a format such as `mxfp8`")]
    OrderForFormat(String),
    /// No rounding has this name.
    #[error(
        "unknown rounding `{0}`; it is nearest-even, nearest-away, toward-zero, up, down, to-odd, stochastic \
         or stochastic-N with N of 1 to 32 random bits (16 unless told)"
    )]
    UnknownRounding(String),
    /// No instruction set has this name.
    #[error("unknown instructions `{given}`; did you mean `{nearest}`? It is auto, avx512, avx2 or scalar")]
    UnknownSimd {
        /// The name as given.
        given: String,
        /// The nearest known name.
        nearest: &'static str,
    },
    /// This CPU lacks the instructions.
    #[error("this CPU has no instructions `{asked}`; the most that it has is `{best}`, which `auto` takes")]
    NoSimd {
        /// The name as given.
        asked: &'static str,
        /// The name of the most that there is.
        best: &'static str,
    },
    /// A format record that makes no sense.
    #[error("format `{name}`: {problem}")]
    Record {
        /// The format's name.
        name: String,
        /// What is wrong, and what is allowed.
        problem: String,
    },
    /// Codes and scales that are no matrix of the format.
    #[error("format `{format}`: {problem}")]
    Parts {
        /// The format's name.
        format: &'static str,
        /// What is wrong, and what is allowed.
        problem: PartsError,
    },
    /// A declaration that does not parse.
    #[error("format declaration: {0}")]
    Declaration(String),
    /// No order has this name.
    #[error("unknown order `{0}`; it is `sq` (sparsify, then quantise), `qs` (quantise, then sparsify) or `none`")]
    UnknownOrder(String),
    /// A sparsity pattern that does not parse, or whose numbers do not go together.
    #[error(
        "unknown sparsity `{0}`; it is `dense`, a percentage such as `50%` (of the matrix), `50%-row` (of each row) \
         or `50%-cols128` (of each block of 128 columns), \
         N:M such as `2:4` (keep N of every M, 1 <= N < M <= 256), \
         N:Mp such as `4:8p` (the same in pairs, N and M even) or V:N:M such as `64:2:8` \
         (tiles of V rows keep 4 of M columns, rows N of those; N < 4 < M <= 256)"
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
    /// A score below zero.
    #[error("the score of row {row}, column {column} is {value}; scores begin at zero, and the lowest are pruned")]
    NegativeScore {
        /// The row, from 0.
        row: usize,
        /// The column, from 0.
        column: usize,
        /// The score.
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
    /// A matrix that is not whole groups of pairs or whole tiles.
    #[error(
        "{pattern} sparsity needs a matrix of whole tiles of {tile_rows} x {tile_k}, but this one is {rows} x {k}; \
         choose a pattern whose tile divides both"
    )]
    Untiled {
        /// The pattern.
        pattern: String,
        /// Rows of a tile.
        tile_rows: usize,
        /// Columns of a tile.
        tile_k: usize,
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        k: usize,
    },
    /// A mask keeps more than its pattern allows.
    #[error(
        "row {row}: the group or tile at column {column} keeps {kept} {unit}, \
         but {pattern} sparsity allows {allowed}; prune to the pattern first"
    )]
    Crowded {
        /// The pattern.
        pattern: String,
        /// The first row of the group or tile, from 0.
        row: usize,
        /// Its first column, from 0.
        column: usize,
        /// What is counted: positions, pairs or columns.
        unit: &'static str,
        /// How many are kept.
        kept: usize,
        /// How many may be.
        allowed: usize,
    },
    /// A layout that does not have this pattern, width or shape.
    #[error(
        "layout {layout} is for {allowed}, not for {pattern} sparsity of {width}-bit codes \
         in a matrix of {rows} x {k}; choose another layout, or pad the matrix"
    )]
    Layout {
        /// The layout.
        layout: Layout,
        /// The pattern.
        pattern: String,
        /// Bits of a code.
        width: u32,
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        k: usize,
        /// What the layout is for.
        allowed: &'static str,
    },
    /// A matrix beyond what compressed storage counts.
    #[error("a matrix of {rows} x {k} is too large to compress; split it into parts of at most {positions} positions")]
    TooLarge {
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        k: usize,
        /// The most positions, rows or columns.
        positions: usize,
    },
    /// A matrix that memory does not hold.
    #[error("the matrix in full takes {bytes} bytes, which memory does not have; split it into parts")]
    Memory {
        /// Bytes that were asked for.
        bytes: u64,
    },
    /// Another number of codes than positions.
    #[error("{given} codes are not a matrix of {rows} x {k}; give one code a position of the mask")]
    Codes {
        /// How many codes.
        given: usize,
        /// Rows of the mask.
        rows: usize,
        /// Columns of the mask.
        k: usize,
    },
    /// Compressed codes of another format.
    #[error("the compressed codes have {given} bits, but {format} has codes of {allowed}; compress from that format")]
    Width {
        /// Bits of a compressed code.
        given: u32,
        /// The format.
        format: &'static str,
        /// Bits of its codes.
        allowed: u32,
    },
    /// A part of a compressed matrix of another length than its shape asks for.
    #[error("the {part} of the compressed matrix are {given} bytes, but its shape asks for {expected}")]
    PartLength {
        /// Values, metadata or index.
        part: &'static str,
        /// Its bytes.
        given: usize,
        /// The bytes that it must have.
        expected: u64,
    },
    /// Metadata of a compressed matrix that means nothing.
    #[error("the metadata at row {row}, column {column} is {given:#b}; it must be {allowed}")]
    Metadata {
        /// The row, from 0.
        row: usize,
        /// The column, from 0: of the group or tile, or in CSR the first that was possible.
        column: usize,
        /// The number that was read.
        given: u64,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A code that belongs nowhere.
    #[error("stored code {at} is padding of its block, which must be zero, but it is {code:#x}")]
    Padding {
        /// Its index among the stored codes, from 0.
        at: usize,
        /// The code.
        code: u64,
    },
    /// Values of another shape than the scales were found for.
    #[error("scales of a matrix of {grid_rows} x {grid_k} do not fit {len} values; give a matrix of the same shape")]
    GridShape {
        /// Rows that the scales are for.
        grid_rows: usize,
        /// Columns that they are for.
        grid_k: usize,
        /// How many values.
        len: usize,
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
    /// Codes of a width that no bit string has.
    #[error("codes of {given} bits cannot be read; give a width of 1 to 64, such as the bits of a format's element")]
    CodeWidth {
        /// The width.
        given: u32,
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
