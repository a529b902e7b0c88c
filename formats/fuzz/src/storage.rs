//! Storage: files, sparse matrices, the layouts of kernels, bit strings, patterns.

use crate::matrices::any_format;
use arbitrary::{Result, Unstructured};
use interplay_formats::file::{Container, Export, Options, QuantizedFile};
use interplay_formats::layout::{self, Holds, KernelLayout};
use interplay_formats::sparse::{Compressed, Layout, Parts, Shape};
use interplay_formats::{Pattern, Scope, pack};
use std::io::Cursor;

/// A pattern that parses prints as something that parses to it, and masks keep as many as they say.
pub fn pattern(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(pattern) = text.parse::<Pattern>() else { return };
    assert_eq!(pattern.to_string().parse(), Ok(pattern));
    let w: Vec<f32> = (0..64).map(|i| (i * 37 % 64) as f32 - 20.0).collect();
    if let Ok(mask) = pattern.magnitude_mask(&w, 16) {
        assert_eq!(mask.kept().len(), 64);
        assert!(mask.pruned() <= 64);
        assert_eq!(mask.metadata().len() as u64, mask.metadata_bits().div_ceil(8));
    }
}

/// Any bytes at any width: as many codes as asked for, none wider than it.
pub fn unpack(data: &[u8]) {
    let [width, count, bytes @ ..] = data else { return };
    let (width, count) = (u32::from(width % 64) + 1, usize::from(*count));
    let codes = pack::unpack(bytes, width, count).expect("a width of 1 to 64");
    assert_eq!(codes.len(), count);
    assert!(width == 64 || codes.iter().all(|code| code >> width == 0));
}

/// Any bytes, or a valid file with some bytes changed, cut off or put in: refused, or every tensor decodes.
pub fn file(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    if kind % 4 == 0 {
        return opened(rest);
    }
    let mut u = Unstructured::new(rest);
    let _ = damaged(&mut u).map(|bytes| opened(&bytes));
}

fn opened(bytes: &[u8]) {
    if let Ok(container) = Container::parse(bytes) {
        for (_, view) in container.tensors() {
            assert_eq!(view.floats().is_some_and(|v| v.is_empty()), view.floats().is_some() && view.bytes.is_empty());
            let _ = view.matrix();
        }
    }
    let Ok(file) = QuantizedFile::parse(bytes) else { return };
    for (name, shape) in file.tensors() {
        let _ = file.dequantized(name);
        let Ok(tensor) = file.read(name) else { continue };
        let values = tensor.dequantize();
        assert_eq!(values.len(), shape.iter().product::<usize>(), "{name} {shape:?}");
        assert!(tensor.packed(None).is_ok());
    }
    let _ = file.copied().count();
}

fn damaged(u: &mut Unstructured) -> Result<Vec<u8>> {
    let format = any_format(u)?;
    let options = Options { packed: u.arbitrary()?, dequantized: u.arbitrary()? };
    let shape = [u.int_in_range(0..=3)?, u.int_in_range(0..=40)?];
    let x: Vec<f32> = (0..shape[0] * shape[1]).map(|i| (i * 37 % 64) as f32 - 20.0).collect();
    let mut bytes = (|| {
        let mut export = Export::new(format, options);
        export.quantized("w", &shape).ok()?;
        let mut writer = export.start(Cursor::new(Vec::new())).ok()?;
        let quantized = format.quantize(&x, shape[1]).ok()?;
        writer.quantized("w", &quantized, &quantized.dequantize()).ok()?;
        Some(writer.finish().ok()?.into_inner())
    })()
    .ok_or(arbitrary::Error::IncorrectFormat)?;
    for _ in 0..u.int_in_range(0..=4)? {
        let at = u.choose_index(bytes.len())?;
        match u.int_in_range(0..=9)? {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, u.arbitrary()?),
            2 => drop(bytes.remove(at)),
            3..=5 => bytes[at] = *u.choose(b"0123456789-[]{},:\" .tfn")?,
            _ => bytes[at] = u.arbitrary()?,
        }
        if bytes.is_empty() {
            break;
        }
    }
    Ok(bytes)
}

/// A sparse matrix from a mask, its parts then damaged: refused, or codes and mask that compress to the same parts.
pub fn compressed(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let _ = any_compressed(&mut u);
}

const SPARSE: [Layout; 9] = [
    Layout::Logical,
    Layout::Cutlass,
    Layout::OneOfTwo,
    Layout::Pairwise,
    Layout::Indices,
    Layout::Bitmap,
    Layout::Csr,
    Layout::Venom,
    Layout::S2ta,
];

fn any_compressed(u: &mut Unstructured) -> Result<()> {
    let layout = *u.choose(&SPARSE)?;
    let (n, m) = (u.int_in_range(1..=5)?, *u.choose(&[2, 4, 8, 16])?);
    let pattern = match (layout, u.int_in_range(0..=3)?) {
        (Layout::Logical, _) => Pattern::NofM { n: 2, m: 4 },
        (Layout::Cutlass, 0..=2) => Pattern::NofM { n: 2, m: 4 },
        (Layout::Cutlass | Layout::OneOfTwo, _) => Pattern::NofM { n: 1, m: 2 },
        (Layout::Pairwise, _) => Pattern::PairsOfM { n: 4, m: 8 },
        (Layout::Venom, _) => Pattern::Tiled { v: u.int_in_range(1..=4)?, n: 2, m },
        (Layout::S2ta, _) => Pattern::NofM { n, m: 8 },
        (Layout::Indices, 0) => Pattern::PairsOfM { n: 2 * n, m: 2 * m },
        (_, 1) => Pattern::Dense,
        (_, 2) => {
            let scope = *u.choose(&[Scope::Matrix, Scope::Row, Scope::Columns(n)])?;
            Pattern::Unstructured { basis_points: u.int_in_range(0..=10_000)?, scope }
        }
        _ => Pattern::NofM { n, m },
    };
    let width = if layout == Layout::Cutlass { *u.choose(&[8, 16, 32])? } else { u.int_in_range(1..=64)? };
    let (rows, k) = (u.int_in_range(0..=8)? * 4, u.int_in_range(0..=8)? * 8);
    let w: Vec<f32> = (0..rows * k).map(|i| (i * 37 % 61) as f32 - 30.0).collect();
    let codes: Vec<u64> = w.iter().map(|v| v.to_bits().into()).collect();
    let mut parts = match pattern.magnitude_mask(&w, k).map(|mask| Compressed::compress(layout, width, &codes, &mask)) {
        Ok(Ok(compressed)) => compressed.parts().clone(),
        _ => Parts::default(),
    };
    for _ in 0..u.int_in_range(0..=6)? {
        let part = match u.int_in_range(0..=5)? {
            0 => &mut parts.values,
            1 | 2 => &mut parts.index,
            _ => &mut parts.metadata,
        };
        match u.int_in_range(0..=15)? {
            0 => part.push(u.arbitrary()?),
            1 => drop(part.pop()),
            _ if part.is_empty() => {}
            _ => {
                let at = u.choose_index(part.len())?;
                part[at] = u.arbitrary()?;
            }
        }
    }
    restored(Shape { layout, pattern, width, rows, k }, parts);
    Ok(())
}

fn restored(shape: Shape, parts: Parts) {
    let Ok(compressed) = Compressed::from_parts(shape, parts) else { return };
    let _ = compressed.sizes();
    let Ok((codes, mask)) = compressed.decompress() else { return };
    assert_eq!((codes.len(), mask.rows(), mask.k()), (shape.rows * shape.k, shape.rows, shape.k));
    let again = Compressed::compress(shape.layout, shape.width, &codes, &mask).expect("what was read can be written");
    assert_eq!(again.decompress().expect("just written"), (codes, mask), "{shape:?}");
}

/// Any bytes in the layouts of kernels: refused, or they lay out to the same bytes again.
pub fn layout(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let _ = any_layout(&mut u);
}

fn any_layout(u: &mut Unstructured) -> Result<()> {
    let kernel = u.choose(KernelLayout::all())?;
    assert_eq!(KernelLayout::by_name(kernel.name), Ok(kernel));
    match kernel.holds {
        Holds::Codes(codes) => {
            let bytes: Vec<u8> = u.arbitrary()?;
            let count = if u.ratio(15, 16)? { bytes.len() * 8 / codes.bits() as usize } else { u.arbitrary()? };
            if let Ok(loaded) = codes.load(&bytes, count) {
                assert_eq!(codes.store(&loaded), Ok(bytes.clone()));
            }
            if let Ok(stored) = codes.store(&bytes) {
                assert_eq!(codes.load(&stored, bytes.len()), Ok(bytes));
            }
        }
        Holds::Scales => {
            let (rows, blocks) = if u.ratio(15, 16)? {
                (u.int_in_range(0..=300)?, u.int_in_range(0..=9)?)
            } else {
                (u.arbitrary()?, u.arbitrary()?)
            };
            if layout::swizzled_len(rows, blocks).is_ok_and(|length| length <= 1 << 16) {
                let scales: Vec<u8> = (0..rows.saturating_mul(blocks)).map(|i| i as u8).collect();
                let tiles = layout::swizzle_scales(&scales, rows, blocks);
                assert_eq!(tiles.and_then(|tiles| layout::unswizzle_scales(&tiles, rows, blocks)), Ok(scales));
            }
            let bytes: Vec<u8> = u.arbitrary()?;
            let _ = layout::unswizzle_scales(&bytes, rows, blocks);
            let _ = layout::swizzle_scales(&bytes, rows, blocks);
        }
    }
    let _ = std::str::from_utf8(u.peek_bytes(u.len()).unwrap_or_default()).map(KernelLayout::by_name);
    Ok(())
}
