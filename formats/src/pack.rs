//! Bit strings: codes of any width side by side, least significant bit first, padded to a whole byte at the end.
//!
//! So two 4-bit codes share a byte with the first in the low nibble, and four 6-bit codes take three bytes.

use crate::Codes;
use rayon::prelude::*;

/// Codes that one parallel task packs: a multiple of 8, so that a task fills whole bytes at any width.
const CHUNK: usize = 1 << 16;

/// The low `width` bits of each code, 1 to 32 bits.
pub(crate) fn bits(codes: impl Iterator<Item = u64>, width: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (mut buffer, mut held) = (0u64, 0);
    for code in codes {
        buffer |= (code & ((1 << width) - 1)) << held;
        held += width;
        while held >= 8 {
            bytes.push(buffer as u8);
            buffer >>= 8;
            held -= 8;
        }
    }
    if held > 0 {
        bytes.push(buffer as u8);
    }
    bytes
}

/// The first `count` codes of `width` bits (1 to 32) of a bit string. Missing bytes read as zero.
///
/// The inverse of what [`Quantized::packed`](crate::Quantized::packed) does with codes.
pub fn unpack(bytes: &[u8], width: u32, count: usize) -> Vec<u64> {
    assert!((1..=32).contains(&width), "a code has 1 to 32 bits, not {width}");
    let byte = |i: usize| bytes.get(i).copied().map_or(0, u64::from);
    let code = |i: usize| {
        let start = i * width as usize;
        let word = (0..5).fold(0, |word, b| word | byte(start / 8 + b) << (8 * b));
        (word >> (start % 8)) & ((1 << width) - 1)
    };
    (0..count).map(code).collect()
}

/// All codes at `width` bits; the same bytes as [`bits`].
pub(crate) fn codes(codes: &Codes, width: u32) -> Vec<u8> {
    match (codes, width) {
        (Codes::U8(c), 8) => c.clone(),
        (Codes::I8(c), 8) => c.iter().map(|&v| v as u8).collect(),
        (Codes::U8(c), _) => narrow(c, width, |v| v),
        (Codes::I8(c), _) => narrow(c, width, |v| v as u8),
        (Codes::I16(c), _) => bits(c.iter().map(|&v| v as u64), width),
        (Codes::U16(c), ..=15) => bits(c.iter().map(|&v| u64::from(v)), width),
        (Codes::U16(c), _) => c.iter().flat_map(|v| v.to_le_bytes()).collect(),
        (Codes::U32(c), ..=31) => bits(c.iter().map(|&v| u64::from(v)), width),
        (Codes::U32(c), _) => c.iter().flat_map(|v| v.to_le_bytes()).collect(),
        (Codes::U64(c), _) => c.iter().flat_map(|v| v.to_le_bytes()).collect(),
    }
}

/// Codes of less than a byte.
pub(crate) fn narrow<T: Copy + Sync>(codes: &[T], width: u32, byte: impl Fn(T) -> u8 + Sync) -> Vec<u8> {
    let mut bytes = vec![0; (codes.len() * width as usize).div_ceil(8)];
    let pieces = bytes.par_chunks_mut(CHUNK / 8 * width as usize).zip(codes.par_chunks(CHUNK));
    pieces.for_each(|(out, codes)| match width {
        4 => nibbles(out, codes, &byte),
        6 => sextets(out, codes, &byte),
        _ => out.copy_from_slice(&bits(codes.iter().map(|&c| u64::from(byte(c))), width)),
    });
    bytes
}

/// Two codes a byte.
fn nibbles<T: Copy>(out: &mut [u8], codes: &[T], byte: impl Fn(T) -> u8) {
    let (pairs, rest) = codes.as_chunks::<2>();
    for (out, pair) in out.iter_mut().zip(pairs) {
        *out = byte(pair[0]) & 0xF | byte(pair[1]) << 4;
    }
    if let (Some(out), [last]) = (out.last_mut(), rest) {
        *out = byte(*last) & 0xF;
    }
}

/// Four codes in three bytes.
fn sextets<T: Copy>(out: &mut [u8], codes: &[T], byte: impl Fn(T) -> u8) {
    let (quads, rest) = codes.as_chunks::<4>();
    let (whole, tail) = out.split_at_mut(quads.len() * 3);
    for (out, quad) in whole.as_chunks_mut::<3>().0.iter_mut().zip(quads) {
        let [a, b, c, d] = quad.map(|code| u32::from(byte(code) & 0x3F));
        let word = a | b << 6 | c << 12 | d << 18;
        *out = [word as u8, (word >> 8) as u8, (word >> 16) as u8];
    }
    tail.copy_from_slice(&bits(rest.iter().map(|&c| u64::from(byte(c))), 6));
}
