//! A tensor in a file: a strided view of a storage, checked to lie inside of it.

use std::ops::Range;

use super::object::{Element, View};
use crate::load::widen;

/// A tensor whose every element is known to lie in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    element: Element,
    shape: Vec<usize>,
    strides: Vec<usize>,
    /// The byte of the first element.
    start: usize,
}

impl Tensor {
    /// Checks `view` against its storage, which begins at byte `start` of the file and is whole.
    pub(super) fn new(view: &View, start: usize) -> Result<Self, String> {
        let View { storage, offset, shape, strides } = view;
        let wrong = || {
            format!(
                "shape {shape:?}, strides {strides:?} and offset {offset} do not fit a storage of {}",
                storage.count
            )
        };
        let elements = shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n)).ok_or_else(wrong)?;
        // The element behind the last one; a tensor that repeats elements would be larger than its storage.
        let reach = |end: usize, (&n, &stride): (&usize, &usize)| end.checked_add((n - 1).checked_mul(stride)?);
        if elements > 0 {
            let last = shape.iter().zip(strides).try_fold(*offset, reach).ok_or_else(wrong)?;
            if last >= storage.count || elements > storage.count {
                return Err(wrong());
            }
        }
        let start = if elements > 0 { start + offset * storage.element.bytes() } else { start };
        Ok(Self { element: storage.element, shape: shape.clone(), strides: strides.clone(), start })
    }

    /// The dimensions.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The bytes of the file between the first element and the last, both included.
    pub fn range(&self) -> Range<usize> {
        if self.shape.contains(&0) {
            return self.start..self.start;
        }
        let last: usize = self.shape.iter().zip(&self.strides).map(|(&n, &stride)| (n - 1) * stride).sum();
        self.start..self.start + (last + 1) * self.element.bytes()
    }

    /// The elements widened to `f32`, row-major; `file` holds what the tensor was read from.
    ///
    /// # Errors
    /// The tensor holds integers.
    pub fn floats(&self, file: &[u8]) -> Result<Vec<f32>, String> {
        match self.element {
            Element::F32 => Ok(self.gather(file, f32::from_le_bytes)),
            Element::F16 => Ok(self.gather(file, |b| widen::f16(u16::from_le_bytes(b)))),
            Element::Bf16 => Ok(self.gather(file, |b| widen::bf16(u16::from_le_bytes(b)))),
            Element::I64 | Element::U8 => {
                Err(format!("is stored as {:?}; here F32, F16 or BF16 can be read", self.element))
            }
        }
    }

    fn gather<const N: usize>(&self, file: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        let count = self.shape.iter().product();
        let data = &file[self.start..];
        if self.is_row_major() {
            return data.as_chunks::<N>().0[..count].iter().map(|&bytes| value(bytes)).collect();
        }
        (0..count).map(|index| value(data.as_chunks::<N>().0[self.place(index)])).collect()
    }

    fn is_row_major(&self) -> bool {
        let mut step = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&n, &stride)| {
            let fits = n <= 1 || stride == step;
            step *= n;
            fits
        })
    }

    /// The element of the storage, counted from the first, that is element `index` in row-major order.
    fn place(&self, index: usize) -> usize {
        let mut rest = index;
        let dimensions = self.shape.iter().zip(&self.strides).rev();
        dimensions.fold(0, |place, (&n, &stride)| {
            let at = rest % n;
            rest /= n;
            place + at * stride
        })
    }
}
