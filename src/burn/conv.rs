//! Convolution as exact im2col: pure data movement around one matrix product a group.
//!
//! A row is one output position's window, ordered (kh, kw, channel) with channels fastest, so that runs of channels are
//! contiguous; padding is +0. No element is changed and nothing is summed here.

#[cfg(feature = "wgpu")]
use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;
#[cfg(feature = "wgpu")]
use burn::tensor::{FloatDType, Slice};
use burn_ir::Conv2dOpIr;
use rayon::prelude::*;

use crate::Error;
use crate::burn::backend::{Engine, Of};
use crate::burn::product::Product;
use crate::burn::value;

/// The windows of `x` `[b, c, h, w]` as rows `[groups, b*oh*ow, kh*kw*channels]`.
///
/// # Errors
/// `x` is not f32.
pub(crate) fn im2col(x: FlexTensor, c: &Conv2dOpIr, product: &Product) -> Result<FlexTensor, Error> {
    let x = value::contiguous(x, &product.name)?;
    let (k, rows) = (product.k, product.m);
    let mut data = vec![0.0; product.count * rows * k];
    if let Some(source) = x.as_slice::<f32>().filter(|_| !data.is_empty()) {
        let window = Window::new(c, product.run);
        data.par_chunks_mut(k).enumerate().for_each(|(i, row)| window.fill(source, i / rows, i % rows, row));
    }
    Ok(value::tensor(data, &[product.count, rows, k]))
}

/// The geometry of one convolution.
struct Window {
    channels_in: usize,
    height: usize,
    width: usize,
    out: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    /// Rows above and columns left of the image.
    before: [usize; 2],
    /// Channels of one group.
    channels: usize,
}

impl Window {
    fn new(c: &Conv2dOpIr, channels: usize) -> Self {
        let (x, w, out, o) = (&c.x.shape, &c.weight.shape, &c.out.shape, &c.options);
        Self {
            channels_in: x[1],
            height: x[2],
            width: x[3],
            out: [out[2], out[3]],
            kernel: [w[2], w[3]],
            stride: o.stride,
            dilation: o.dilation,
            before: [o.padding[0].0, o.padding[1].0],
            channels,
        }
    }

    /// Copies the window of output position `index` of `group` into `row`; what lies in the padding stays zero.
    fn fill(&self, x: &[f32], group: usize, index: usize, row: &mut [f32]) {
        let [out_h, out_w] = self.out;
        let (image, y, column) = (index / (out_h * out_w), index / out_w % out_h, index % out_w);
        for (tap, run) in row.chunks_mut(self.channels).enumerate() {
            let [i, j] = [tap / self.kernel[1], tap % self.kernel[1]];
            let Some(h) = (y * self.stride[0] + i * self.dilation[0]).checked_sub(self.before[0]) else { continue };
            let Some(w) = (column * self.stride[1] + j * self.dilation[1]).checked_sub(self.before[1]) else {
                continue;
            };
            if h >= self.height || w >= self.width {
                continue;
            }
            let plane = self.height * self.width;
            let first = (image * self.channels_in + group * self.channels) * plane + h * self.width + w;
            for (channel, element) in run.iter_mut().enumerate() {
                *element = x[first + channel * plane];
            }
        }
    }
}

/// [`im2col`] in a backend's own operations: zeros around the image, one strided view a kernel position, side by side.
#[cfg(feature = "wgpu")]
pub(crate) fn windows<B: Engine>(x: Of<B>, c: &Conv2dOpIr, product: &Product) -> Of<B> {
    let [b, channels, h, w] = x.shape().dims();
    let ([_, _, down, across], o) = (c.out.shape.dims(), &c.options);
    let [(top, bottom), (left, right)] = o.padding;
    let frame = vec![b, channels, h + top + bottom, w + left + right];
    let inside = [0..b, 0..channels, top..top + h, left..left + w].map(Slice::from);
    let x = if frame == [b, channels, h, w] {
        x
    } else {
        let zeros = B::float_zeros(frame.into(), &B::Device::default(), FloatDType::F32);
        B::float_slice_assign(zeros, &inside, x)
    };
    let [_, _, kh, kw] = c.weight.shape.dims();
    let strided = |first: usize, count: usize, stride: usize| {
        Slice::new(first as isize, Some((first + (count - 1) * stride + 1) as isize), stride as isize)
    };
    let tap = |at: usize| {
        let [i, j] = [at / kw * o.dilation[0], at % kw * o.dilation[1]];
        let rows = strided(i, down, o.stride[0]);
        let columns = strided(j, across, o.stride[1]);
        let view = B::float_slice(x.clone(), &[Slice::from(0..b), Slice::from(0..channels), rows, columns]);
        let grouped = vec![b, product.count, product.run, down, across].into();
        B::float_permute(B::float_reshape(view, grouped), &[1, 0, 3, 4, 2])
    };
    let taps = B::float_cat((0..kh * kw).map(tap).collect(), 4);
    B::float_reshape(taps, vec![product.count, product.m, product.k].into())
}

/// A kernel `[n, channels, kh, kw]` as the rows `[groups, n / groups, kh*kw*channels]` of a weight matrix a group.
pub(crate) fn kernel_rows<B: Engine>(kernel: Of<B>, product: &Product) -> Of<B> {
    let rows = B::float_permute(kernel, &[0, 2, 3, 1]);
    B::float_reshape(rows, vec![product.count, product.n, product.k].into())
}

/// The output `[groups, b*oh*ow, n / groups]` of the product as an image `[b, n, oh, ow]`.
pub(crate) fn fold<B: Engine>(out: Of<B>, c: &Conv2dOpIr) -> Of<B> {
    let [b, n, h, w] = c.out.shape.dims();
    let groups = c.options.groups;
    let split = B::float_reshape(out, vec![groups, b, h, w, n / groups].into());
    B::float_reshape(B::float_permute(split, &[1, 0, 4, 2, 3]), vec![b, n, h, w].into())
}

/// An image `[b, n, oh, ow]` with a bias a channel added, if there is one.
pub(crate) fn biased<B: Engine>(image: Of<B>, bias: Option<Of<B>>, c: &Conv2dOpIr) -> Of<B> {
    match bias {
        Some(bias) => B::float_add(image, B::float_reshape(bias, vec![1, c.out.shape[1], 1, 1].into())),
        None => image,
    }
}
