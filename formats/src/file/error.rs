//! What can be wrong with a file.

use safetensors::Dtype;

/// A file that is not what it should be, or cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// Fewer bytes than the header's length field asks for.
    #[error("this is no safetensors file, or it is cut: it has {given} bytes, but begins as one of at least {claimed}")]
    Short {
        /// Bytes of the file.
        given: usize,
        /// Bytes that a header of the claimed length ends at.
        claimed: u64,
    },
    /// A header that does not describe the data.
    #[error("the safetensors header is wrong: {0}")]
    Header(String),
    /// Two tensors of one name.
    #[error("two tensors would be named `{0}`; rename one of them")]
    Twice(String),
    /// A tensor beyond what can be counted.
    #[error("tensor `{0}` has more bytes than can be counted")]
    TooLarge(String),
    /// Metadata that a file of quantised tensors needs, missing or wrong.
    #[error("metadata `{key}`: {problem}; files that `interplay quantize` wrote have it")]
    Metadata {
        /// The key in `__metadata__`.
        key: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// No quantised tensor of this name.
    #[error("there is no quantised tensor `{0}` in the file")]
    Unknown(String),
    /// An array that the format needs.
    #[error("tensor `{tensor}` lacks its array `{array}`")]
    Missing {
        /// The tensor.
        tensor: String,
        /// The array.
        array: String,
    },
    /// An array of another type.
    #[error("array `{array}` is {given:?}, but here {wanted:?} belongs")]
    Type {
        /// The array.
        array: String,
        /// Its type.
        given: Dtype,
        /// The layout's.
        wanted: Dtype,
    },
    /// An array of another shape.
    #[error("array `{array}` has shape {given:?}, but the shape of its tensor asks for {wanted:?}")]
    Shape {
        /// The array.
        array: String,
        /// Its shape.
        given: Vec<usize>,
        /// The layout's.
        wanted: Vec<usize>,
    },
    /// Packed codes whose last byte has bits beyond the last code.
    #[error("the last byte of `{array}` is {byte:#04x}, but only its low {used} bits hold codes; the others must be 0")]
    PackedEnd {
        /// The array.
        array: String,
        /// The byte.
        byte: u8,
        /// Bits that hold codes.
        used: u32,
    },
    /// Codes or scales that are not a matrix of the format.
    #[error("tensor `{tensor}`: {problem}")]
    Tensor {
        /// The tensor.
        tensor: String,
        /// What is wrong, and where.
        problem: crate::Error,
    },
    /// Bytes that do not fill an array.
    #[error("`{array}` has {wanted} bytes, but {given} were given")]
    Bytes {
        /// The array.
        array: String,
        /// Bytes given.
        given: usize,
        /// Bytes of the array.
        wanted: u64,
    },
    /// An array that was announced and not written.
    #[error("`{0}` was announced and never written")]
    Unwritten(String),
    /// The operating system refused.
    #[error("cannot write: {0}")]
    Write(#[from] std::io::Error),
}
