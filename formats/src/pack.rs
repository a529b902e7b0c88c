//! Bit strings: codes of any width side by side, least significant bit first, padded to a whole byte at the end.
//!
//! So two 4-bit codes share a byte with the first in the low nibble, and four 6-bit codes take three bytes.

use crate::kernel::Code;
use crate::simd::{self, Level, Task};
use crate::tensor::Scales;
use crate::{Codes, Format};
use rayon::prelude::*;

/// Codes that one parallel task packs: a multiple of 8, so that a task fills whole bytes at any width.
const CHUNK: usize = 1 << 16;

/// The low `width` bits of each code, 1 to 64 bits.
pub(crate) fn bits(codes: impl Iterator<Item = u64>, width: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (mut buffer, mut held) = (0u128, 0);
    for code in codes {
        buffer |= (u128::from(code) & ((1 << width) - 1)) << held;
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

/// The first `count` codes of `width` bits (1 to 64) of a bit string. Missing bytes read as zero.
///
/// The inverse of what [`Quantized::packed`](crate::Quantized::packed) does with codes.
pub fn unpack(bytes: &[u8], width: u32, count: usize) -> Vec<u64> {
    assert!((1..=64).contains(&width), "a code has 1 to 64 bits, not {width}");
    let byte = |i: usize| bytes.get(i).copied().map_or(0, u128::from);
    let code = |i: usize| {
        let start = i * width as usize;
        let word = (0..9).fold(0, |word, b| word | byte(start / 8 + b) << (8 * b));
        ((word >> (start % 8)) & ((1 << width) - 1)) as u64
    };
    (0..count).map(code).collect()
}

/// Bytes of `count` codes.
pub(crate) const fn length(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// All codes at `width` bits; the same bytes as [`bits`].
pub(crate) fn codes(codes: &Codes, width: u32) -> Vec<u8> {
    match codes {
        Codes::U8(c) => narrow(c, width),
        Codes::I8(c) => narrow(c, width),
        Codes::U16(c) => narrow(c, width),
        Codes::I16(c) => narrow(c, width),
        Codes::U32(c) if width < 32 => bits(c.iter().map(|&v| u64::from(v)), width),
        Codes::U32(c) => c.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Codes::U64(c) => c.iter().flat_map(|v| v.to_le_bytes()).collect(),
    }
}

/// The scales of a format as a bit string, the tensor's own last.
pub(crate) fn scales(format: &Format, k: usize, scales: &Scales, tensor: Option<f32>) -> Vec<u8> {
    let bits = format.scaling.map_or(0, |s| s.scale_bits(format.block_len(k))) as u32;
    let mut bytes = match scales {
        Scales::None => Vec::new(),
        Scales::E8M0(s) | Scales::Code(s) => narrow(s, bits),
        Scales::Exponent(s) => narrow(s, bits),
        Scales::Micro(s) => self::bits(s.iter().map(|&e| u64::from(e)), bits),
        Scales::Float32(s) => s.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Scales::Affine(s, zeros) => {
            let mut bytes: Vec<u8> = s.iter().flat_map(|v| v.to_le_bytes()).collect();
            bytes.extend(narrow(zeros, bits - 32));
            bytes
        }
    };
    bytes.extend(tensor.iter().flat_map(|s| s.to_le_bytes()));
    bytes
}

/// Codes of at most 16 bits, on all threads.
pub(crate) fn narrow<C: Code>(codes: &[C], width: u32) -> Vec<u8> {
    let mut bytes = vec![0; length(codes.len(), width)];
    let pieces = bytes.par_chunks_mut(CHUNK / 8 * width as usize).zip(codes.par_chunks(CHUNK));
    pieces.for_each(|(out, codes)| simd::run(Level::detect(), Piece { codes, width, out }));
    bytes
}

/// Packs some codes.
struct Piece<'a, C> {
    codes: &'a [C],
    width: u32,
    out: &'a mut [u8],
}

impl<C: Code> Task for Piece<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        piece(self.codes, self.width, self.out);
    }
}

/// Packs codes of at most 16 bits into [`length`] bytes.
#[inline(always)]
pub(crate) fn piece<C: Code>(codes: &[C], width: u32, out: &mut [u8]) {
    match width {
        4 => nibbles(codes, out),
        6 => sextets(codes, out),
        8 => {
            for (out, code) in out.iter_mut().zip(codes) {
                *out = code.bits() as u8;
            }
        }
        16 => {
            let pairs = out.as_chunks_mut::<2>().0;
            for (out, code) in pairs.iter_mut().zip(codes) {
                *out = (code.bits() as u16).to_le_bytes();
            }
        }
        _ => groups(codes, width, out),
    }
}

/// Two codes a byte.
#[inline(always)]
fn nibbles<C: Code>(codes: &[C], out: &mut [u8]) {
    let (pairs, rest) = codes.as_chunks::<2>();
    for (out, [low, high]) in out.iter_mut().zip(pairs) {
        *out = (low.bits() & 0xF | high.bits() << 4) as u8;
    }
    if let (Some(out), [last]) = (out.last_mut(), rest) {
        *out = last.bits() as u8 & 0xF;
    }
}

/// Eight codes in six bytes: pairs, then fours, then all eight move together inside one word.
#[inline(always)]
fn sextets<C: Code>(codes: &[C], out: &mut [u8]) {
    let (eights, rest) = codes.as_chunks::<8>();
    let (whole, tail) = out.split_at_mut(eights.len() * 6);
    for (out, codes) in whole.as_chunks_mut::<6>().0.iter_mut().zip(eights) {
        let word = u64::from_le_bytes(codes.map(|code| code.bits() as u8 & 0x3F));
        let pairs = word & 0x003F_003F_003F_003F | (word & 0x3F00_3F00_3F00_3F00) >> 2;
        let fours = pairs & 0x0000_0FFF_0000_0FFF | (pairs & 0x0FFF_0000_0FFF_0000) >> 4;
        let all = fours & 0x00FF_FFFF | (fours & 0x00FF_FFFF_0000_0000) >> 8;
        let [a, b, c, d, e, f, ..] = all.to_le_bytes();
        *out = [a, b, c, d, e, f];
    }
    groups(rest, 6, tail);
}

/// Eight codes in `width` bytes, and what is left over in as many as it needs.
#[inline(always)]
fn groups<C: Code>(codes: &[C], width: u32, out: &mut [u8]) {
    let mask = u32::MAX >> (32 - width);
    for (codes, out) in codes.chunks(8).zip(out.chunks_mut(width as usize)) {
        let place = |word, (i, code): (u32, &C)| word | u128::from(code.bits() & mask) << (i * width);
        let word = (0u32..).zip(codes).fold(0u128, place);
        out.copy_from_slice(&word.to_le_bytes()[..out.len()]);
    }
}
