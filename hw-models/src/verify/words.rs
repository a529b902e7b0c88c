//! Raw words, as memory and files hold them.

use interplay_formats::Scalar;
use std::borrow::Cow;

use super::read::own_width;

/// Words of one width. What they mean is decided where they are used: codes where the width is that of the format's
/// codes, else FP32 bits in 32-bit words and FP64 bits in 64-bit words. [`Words::Numbers`] say themselves what they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Words<'a> {
    /// Codes of at most 8 bits, in the low bits.
    U8(Cow<'a, [u8]>),
    /// Codes of 9 to 16 bits.
    U16(Cow<'a, [u16]>),
    /// Codes of 17 to 32 bits, or FP32 bits.
    U32(Cow<'a, [u32]>),
    /// Codes of 33 to 64 bits, or FP64 bits.
    U64(Cow<'a, [u64]>),
    /// Numbers of a format, by their codes. Where an operand is of another format, that must have the same numbers.
    Numbers(Scalar, Cow<'a, [u64]>),
}

impl<'a> Words<'a> {
    /// Words of `width` bytes, least significant byte first; `None` for a width that is none of 1, 2, 4 and 8.
    pub fn little_endian(width: usize, bytes: &'a [u8]) -> Option<Self> {
        Some(match width {
            1 => Self::U8(bytes.into()),
            2 => Self::U16(bytes.as_chunks().0.iter().map(|&word| u16::from_le_bytes(word)).collect()),
            4 => Self::U32(bytes.as_chunks().0.iter().map(|&word| u32::from_le_bytes(word)).collect()),
            8 => Self::U64(bytes.as_chunks().0.iter().map(|&word| u64::from_le_bytes(word)).collect()),
            _ => return None,
        })
    }

    /// Numbers of `format`, each in the least bytes that hold its code, least significant byte first.
    pub fn numbers(format: Scalar, bytes: &'a [u8]) -> Option<Self> {
        let words = Self::little_endian(own_width(format) as usize / 8, bytes)?;
        Some(Self::Numbers(format, (0..words.len()).map(|index| words.at(index)).collect()))
    }

    /// Whether the words are codes of `format`.
    pub(crate) fn are_codes(&self, format: Scalar) -> bool {
        match self {
            Self::Numbers(own, _) => own.encoding == format.encoding,
            words => words.width() == own_width(format),
        }
    }

    /// The number of words.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(words) => words.len(),
            Self::U16(words) => words.len(),
            Self::U32(words) => words.len(),
            Self::U64(words) | Self::Numbers(_, words) => words.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Words of a word.
    pub fn width(&self) -> u32 {
        match self {
            Self::Numbers(format, _) => own_width(*format),
            Self::U8(_) => 8,
            Self::U16(_) => 16,
            Self::U32(_) => 32,
            Self::U64(_) => 64,
        }
    }

    /// The words at some indices, each below [`Words::len`].
    pub(super) fn pick(&self, indices: impl Iterator<Item = usize>) -> Words<'static> {
        match self {
            Self::U8(words) => Words::U8(indices.map(|i| words[i]).collect()),
            Self::U16(words) => Words::U16(indices.map(|i| words[i]).collect()),
            Self::U32(words) => Words::U32(indices.map(|i| words[i]).collect()),
            Self::U64(words) => Words::U64(indices.map(|i| words[i]).collect()),
            Self::Numbers(format, words) => Words::Numbers(*format, indices.map(|i| words[i]).collect()),
        }
    }

    /// The word at `index`, which must be below [`Words::len`].
    pub(super) fn at(&self, index: usize) -> u64 {
        match self {
            Self::U8(words) => words[index].into(),
            Self::U16(words) => words[index].into(),
            Self::U32(words) => words[index].into(),
            Self::U64(words) | Self::Numbers(_, words) => words[index],
        }
    }
}

macro_rules! from_words {
    ($($word:ty, $variant:ident;)*) => { $(
        impl<'a> From<&'a [$word]> for Words<'a> {
            fn from(words: &'a [$word]) -> Self {
                Self::$variant(words.into())
            }
        }

        impl From<Vec<$word>> for Words<'_> {
            fn from(words: Vec<$word>) -> Self {
                Self::$variant(words.into())
            }
        }
    )* };
}

from_words! { u8, U8; u16, U16; u32, U32; u64, U64; }

impl From<&[f32]> for Words<'_> {
    fn from(values: &[f32]) -> Self {
        Self::U32(values.iter().map(|value| value.to_bits()).collect())
    }
}

impl From<&[f64]> for Words<'_> {
    fn from(values: &[f64]) -> Self {
        Self::U64(values.iter().map(|value| value.to_bits()).collect())
    }
}
