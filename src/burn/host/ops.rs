//! The fixed host's operations on Burn's CPU tensors: views are brought into rows, [`crate::hw::host`] computes.

use burn::backend::flex::{Flex, FlexTensor};
use burn::backend::ops::{FloatTensorOps, IntTensorOps};
use burn::tensor::{DType, FloatDType, Shape};
use burn_ir::Conv2dOpIr;
use rayon::prelude::*;

use crate::Error;
use crate::burn::broadcast::Broadcast;
use crate::burn::conv;
use crate::burn::product::Product;
use crate::burn::value::{self, tensor};
use crate::hw::host::{self, Function, Matrix, Plane, Reduction};

/// `lhs [.., m, k] x rhs [.., k, n]`, batch dimensions broadcast.
///
/// # Errors
/// Operands that are not f32, or whose shapes do not go together.
pub(crate) fn matmul(lhs: FlexTensor, rhs: FlexTensor, name: &str) -> Result<FlexTensor, Error> {
    let (lhs, rhs) = (readable(lhs)?, readable(rhs)?);
    let (left, right) = (lhs.layout().shape().to_vec(), rhs.layout().shape().to_vec());
    let ([a @ .., m, k], [b @ .., depth, n]) = (&left[..], &right[..]) else {
        return Err(apart(name, &left, &right));
    };
    if k != depth || !goes(a, b) {
        return Err(apart(name, &left, &right));
    }
    let one = b.iter().all(|&size| size == 1);
    if one && a.iter().product::<usize>() != 1 {
        // One right matrix for all: the left ones are rows of one product.
        let rank = left.len().max(right.len());
        let lhs = rows(lhs)?;
        let rows = a.iter().product::<usize>() * m;
        let mut out = vec![0.0; rows * n];
        let x = Matrix::new(lhs.as_slice::<f32>().unwrap_or_default(), [rows, *k]);
        multiply(x, matrices(&rhs).matrix(0), &mut out, name)?;
        let padding = vec![1; rank - left.len()];
        return Ok(tensor(out, &[&padding[..], a, &[*m, *n]].concat()));
    }
    let plan = Broadcast::new(a, b);
    let mut out = vec![0.0; plan.count() * m * n];
    let (left, right) = (matrices(&lhs), matrices(&rhs));
    let pairs: Vec<_> = plan.pairs().collect();
    let size = (m * n).max(1);
    let one = |((l, r), out): ((usize, usize), &mut [f32])| multiply(left.matrix(l), right.matrix(r), out, name);
    if host::is_small(pairs.len(), [*m, *k, *n]) {
        pairs.into_iter().zip(out.chunks_mut(size)).try_for_each(one)?;
    } else {
        pairs.into_par_iter().zip(out.par_chunks_mut(size)).try_for_each(one)?;
    }
    Ok(tensor(out, &[&plan.shape[..], &[*m, *n]].concat()))
}

fn multiply(a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32], name: &str) -> Result<(), Error> {
    let shapes = [a.shape, b.shape];
    if host::matmul(a, b, out) { Ok(()) } else { Err(apart(name, &shapes[0], &shapes[1])) }
}

/// Whether batch dimensions can be broadcast against each other.
fn goes(a: &[usize], b: &[usize]) -> bool {
    a.iter().rev().zip(b.iter().rev()).all(|(a, b)| a == b || *a == 1 || *b == 1)
}

fn apart(name: &str, left: &[usize], right: &[usize]) -> Error {
    Error::Invalid(format!("`{name}` cannot multiply {left:?} by {right:?}"))
}

/// An f32 tensor without steps backwards.
fn readable(t: FlexTensor) -> Result<FlexTensor, Error> {
    if t.layout().strides().iter().all(|stride| *stride >= 0) && t.dtype() == DType::F32 {
        return Ok(t);
    }
    rows(t)
}

/// The matrices of a batch, as they lie in memory.
struct Matrices<'a> {
    data: &'a [f32],
    /// Size and stride of each batch dimension.
    batch: Vec<(usize, usize)>,
    shape: [usize; 2],
    strides: [usize; 2],
}

fn matrices(t: &FlexTensor) -> Matrices<'_> {
    let layout = t.layout();
    let strides = layout.strides().iter().map(|stride| stride.unsigned_abs());
    let mut dims: Vec<_> = layout.shape().iter().copied().zip(strides).collect();
    let (columns, rows) = (dims.pop().unwrap_or((1, 1)), dims.pop().unwrap_or((1, 1)));
    let data = t.storage::<f32>().get(layout.start_offset()..).unwrap_or_default();
    Matrices { data, batch: dims, shape: [rows.0, columns.0], strides: [rows.1, columns.1] }
}

impl<'a> Matrices<'a> {
    /// Matrix number `index` in row-major order of the batch.
    fn matrix(&self, mut index: usize) -> Matrix<'a> {
        let mut at = 0;
        for (size, stride) in self.batch.iter().rev() {
            at += index % size * stride;
            index /= size;
        }
        Matrix { data: self.data.get(at..).unwrap_or_default(), shape: self.shape, strides: self.strides }
    }
}

/// A convolution without its bias: `x` `[b, c, h, w]` to `[b, n, oh, ow]`, sums over (kh, kw, channel) with channels fastest.
///
/// Three ways with the same bits, as factors can be swapped: channel by channel, as one product a pixel, and as windows.
///
/// # Errors
/// Operands that are not f32.
pub(crate) fn convolution(
    x: FlexTensor,
    weight: FlexTensor,
    c: &Conv2dOpIr,
    product: &Product,
) -> Result<FlexTensor, Error> {
    let name = &product.name;
    if product.run == 1
        && let Some(out) = depthwise(&x, &weight, c, product)?
    {
        return Ok(out);
    }
    let ([images, _, h, w], out) = (c.x.shape.dims(), c.out.shape.to_vec());
    // Without padding, sizes that stay say that every pixel is read once.
    let padded = c.options.padding != [(0, 0), (0, 0)];
    if product.k == product.run && product.count == 1 && out[2..] == [h, w] && !padded {
        let pixels = rows(x)?.reshape(vec![images, product.k, h * w].into());
        let rows = rows(weight)?.reshape(vec![1, product.n, product.k].into());
        return Ok(matmul(rows, pixels, name)?.reshape(out.into()));
    }
    let windows = conv::im2col(rows(x)?, c, product)?;
    let kernel = conv::kernel_rows::<Flex>(weight, product);
    Ok(conv::fold::<Flex>(matmul(windows, kernel.transpose(1, 2), name)?, c))
}

/// A convolution of one channel a group; `None` where lengths do not go together, as of an empty input under padding.
fn depthwise(
    x: &FlexTensor,
    weight: &FlexTensor,
    c: &Conv2dOpIr,
    product: &Product,
) -> Result<Option<FlexTensor>, Error> {
    let (o, pair) = (&c.options, |shape: &[usize]| [shape[2], shape[3]]);
    let plane = Plane {
        input: pair(&c.x.shape),
        output: pair(&c.out.shape),
        kernel: pair(&c.weight.shape),
        stride: o.stride,
        dilation: o.dilation,
        before: [o.padding[0].0, o.padding[1].0],
    };
    let (x, weight) = (rows(x.clone())?, rows(weight.clone())?);
    let (data, taps) = (x.as_slice::<f32>().unwrap_or_default(), weight.as_slice::<f32>().unwrap_or_default());
    let mut out = vec![0.0; c.out.shape.iter().product()];
    let done = host::depthwise(&plane, data, taps, product.n, &mut out);
    Ok(done.then(|| tensor(out, &c.out.shape)))
}

/// A function of every value.
///
/// # Errors
/// Values that are not f32.
pub(crate) fn fill(function: Function, x: FlexTensor) -> Result<FlexTensor, Error> {
    let mut x = value::owned(rows(x)?);
    function.apply(x.storage_mut::<f32>());
    Ok(x)
}

/// Every value of `x` to the power of that of `y`, whole numbers too; both are spread over `shape`.
///
/// # Errors
/// Bases that are not f32.
pub(crate) fn power(x: FlexTensor, y: FlexTensor, shape: &Shape) -> Result<FlexTensor, Error> {
    let y = if y.dtype() == DType::F32 { y } else { Flex::int_into_float(y, FloatDType::F32) };
    let spread = |t: FlexTensor| if t.layout().shape() == shape { t } else { Flex::float_expand(t, shape.clone()) };
    let (mut x, y) = (value::owned(rows(spread(x))?), rows(spread(y))?);
    host::map(x.storage_mut::<f32>(), y.as_slice::<f32>().unwrap_or_default(), crate::formats::math::powf);
    Ok(x)
}

/// One value of every line along `axis`, which keeps a length of 1.
///
/// # Errors
/// Values that are not f32.
pub(crate) fn reduce(reduction: Reduction, x: FlexTensor, axis: usize) -> Result<FlexTensor, Error> {
    let x = turned(x, axis);
    let mut shape = x.layout().shape().to_vec();
    let k = shape.last().copied().unwrap_or(1);
    if k == 0 {
        return Err(Error::Invalid(format!("dimension {axis} of {shape:?} has no values to reduce")));
    }
    let x = rows(x)?;
    let out = host::reduce(reduction, x.as_slice::<f32>().unwrap_or_default(), k);
    if let Some(last) = shape.last_mut() {
        *last = 1;
    }
    Ok(turned(tensor(out, &shape), axis))
}

/// One value of all, of shape `[1]`.
///
/// # Errors
/// Values that are not f32.
pub(crate) fn reduce_all(reduction: Reduction, x: FlexTensor) -> Result<FlexTensor, Error> {
    let x = rows(x)?;
    let values = x.as_slice::<f32>().unwrap_or_default();
    Ok(tensor(host::reduce(reduction, values, values.len()), &[1]))
}

/// A softmax along `axis`; see [`host::softmax`] about `masked`.
///
/// # Errors
/// Values that are not f32.
pub(crate) fn softmax(x: FlexTensor, axis: usize, masked: bool) -> Result<FlexTensor, Error> {
    let mut x = value::owned(rows(turned(x, axis))?);
    let k = x.layout().shape().last().copied().unwrap_or(1);
    host::softmax(x.storage_mut::<f32>(), k, masked);
    Ok(turned(x, axis))
}

/// Layer normalisation along the last dimension.
///
/// # Errors
/// Values that are not f32, `gamma` or `beta` of another length than a row.
pub(crate) fn layer_norm(
    x: FlexTensor,
    gamma: FlexTensor,
    beta: Option<FlexTensor>,
    epsilon: f64,
) -> Result<FlexTensor, Error> {
    let (mut x, gamma, beta) = (value::owned(rows(x)?), rows(gamma)?, beta.map(rows).transpose()?);
    let k = x.layout().shape().last().copied().unwrap_or(1);
    let gamma = gamma.as_slice::<f32>().unwrap_or_default();
    let beta = beta.as_ref().map(|beta| beta.as_slice::<f32>().unwrap_or_default());
    if gamma.len() != k || beta.is_some_and(|beta| beta.len() != k) {
        return Err(Error::Invalid(format!(
            "a layer normalisation of rows of {k} has {} factors and {:?} offsets; give one a value",
            gamma.len(),
            beta.map(<[f32]>::len)
        )));
    }
    host::layer_norm(x.storage_mut::<f32>(), gamma, beta, epsilon as f32);
    Ok(x)
}

/// `x` with `axis` and the last dimension swapped, as a view.
fn turned(x: FlexTensor, axis: usize) -> FlexTensor {
    let last = x.layout().num_dims().saturating_sub(1);
    if axis == last { x } else { x.transpose(axis, last) }
}

fn rows(x: FlexTensor) -> Result<FlexTensor, Error> {
    if x.dtype() != DType::F32 {
        return Err(Error::Invalid(format!(
            "the fixed host computes in f32, but the graph has values of {:?}; cast the module to f32, or take the host `burn`",
            x.dtype()
        )));
    }
    Ok(if x.as_slice::<f32>().is_some() { x } else { x.to_contiguous() })
}
