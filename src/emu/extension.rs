//! The product as an operation of Burn's backends, with its own backward pass.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::flex::{Flex, FlexTensor};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, TensorMetadata, backend_extension};
use burn::tensor::Shape;

use super::Emulation;
use crate::burn::value::{self, tensor};

/// What the emulation adds to Burn's operations.
#[backend_extension(Flex, Autodiff)]
pub(super) trait Emulated: Backend {
    /// `x [.., k] x w [k, n]`.
    fn emu_matmul(x: FloatTensor<Self>, w: FloatTensor<Self>, emulation: Emulation) -> FloatTensor<Self>;

    /// `x` in the type of the outputs.
    fn emu_narrow(x: FloatTensor<Self>, emulation: Emulation) -> FloatTensor<Self>;
}

/// What the backward pass needs of a backend that computes.
pub(super) trait Rounds: Emulated {
    /// The product, and the values `[n, k]` that the stored weights stand for.
    fn product(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        emulation: &Emulation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// An input as the forward pass saw it.
    fn input(x: FloatTensor<Self>, emulation: &Emulation) -> FloatTensor<Self>;

    /// The gradient of an output as the backward pass uses it.
    fn gradient(g: FloatTensor<Self>, emulation: &Emulation) -> FloatTensor<Self>;
}

impl Rounds for Flex {
    fn product(x: FlexTensor, w: FlexTensor, emulation: &Emulation) -> (FlexTensor, FlexTensor) {
        let (mut shape, &[k, n]) = (x.shape().to_vec(), &w.shape().to_vec()[..]) else {
            unreachable!("a weight tensor of two dimensions has two dimensions")
        };
        let given = shape.last_mut().map(|last| std::mem::replace(last, n));
        assert_eq!(given, Some(k), "the input and the weights of `{}` do not go together", emulation.name());
        let tried = emulation.emulator(w).and_then(|emulator| Ok((emulator.multiply(x)?, emulator.weights())));
        emulation.noted(tried).unwrap_or_else(|| (undefined(&shape), undefined(&[n, k])))
    }

    fn input(x: FlexTensor, emulation: &Emulation) -> FlexTensor {
        let shape = x.shape().to_vec();
        emulation.noted(emulation.rounded_input(x)).unwrap_or_else(|| undefined(&shape))
    }

    fn gradient(g: FlexTensor, emulation: &Emulation) -> FlexTensor {
        let shape = g.shape().to_vec();
        emulation.noted(emulation.rounded_gradient(g)).unwrap_or_else(|| undefined(&shape))
    }
}

impl Emulated for Flex {
    fn emu_matmul(x: FlexTensor, w: FlexTensor, emulation: Emulation) -> FlexTensor {
        Self::product(x, w, &emulation).0
    }

    fn emu_narrow(x: FlexTensor, emulation: Emulation) -> FlexTensor {
        let Some(to) = emulation.output() else { return x };
        let shape = x.shape().to_vec();
        emulation.noted(value::narrow(x, to, emulation.name())).unwrap_or_else(|| undefined(&shape))
    }
}

impl<B: Rounds, C: CheckpointStrategy> Emulated for Autodiff<B, C> {
    fn emu_matmul(x: FloatTensor<Self>, w: FloatTensor<Self>, emulation: Emulation) -> FloatTensor<Self> {
        match Product.prepare::<C>([x.node(), w.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let x = x.into_primitive();
                let (y, weights) = B::product(x.clone(), w.into_primitive(), &emulation);
                prep.finish(Saved { x, weights, emulation }, y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::emu_matmul(x.into_primitive(), w.into_primitive(), emulation)),
        }
    }

    fn emu_narrow(x: FloatTensor<Self>, emulation: Emulation) -> FloatTensor<Self> {
        let prep = Narrow.prepare::<C>([x.node()]).compute_bound();
        prep.stateless(B::emu_narrow(x.into_primitive(), emulation))
    }
}

/// The product's backward pass.
#[derive(Debug)]
struct Product;

/// What it needs of the forward pass.
#[derive(Debug, Clone)]
struct Saved<B: Backend> {
    x: B::FloatTensorPrimitive,
    weights: B::FloatTensorPrimitive,
    emulation: Emulation,
}

impl<B: Rounds> Backward<B, 2> for Product {
    type State = Saved<B>;

    fn backward(self, ops: Ops<Saved<B>, 2>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let Saved { x, weights, emulation } = ops.state;
        let [of_x, of_w] = ops.parents;
        let shape = x.shape();
        let g = rows::<B>(B::gradient(gradients.consume::<B>(&ops.node), &emulation));
        if let Some(node) = of_w {
            let x = B::float_transpose(rows::<B>(B::input(x, &emulation)));
            gradients.register::<B>(node.id, B::float_matmul(x, g.clone()));
        }
        if let Some(node) = of_x {
            gradients.register::<B>(node.id, B::float_reshape(B::float_matmul(g, weights), shape));
        }
    }
}

/// The backward pass of a rounding that counts as the identity.
#[derive(Debug)]
struct Narrow;

impl<B: Backend> Backward<B, 1> for Narrow {
    type State = ();

    fn backward(self, ops: Ops<(), 1>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        unary::<B, _>(ops.parents, ops.node, gradients, |gradient| gradient);
    }
}

/// `[.., k]` as `[rows, k]`.
fn rows<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let shape = x.shape();
    let (leading, k) = (shape.num_dims().saturating_sub(1), shape.to_vec().last().copied().unwrap_or(1));
    let rows = shape.to_vec()[..leading].iter().product();
    B::float_reshape(x, Shape::new([rows, k]))
}

/// NaN everywhere.
fn undefined(shape: &[usize]) -> FlexTensor {
    tensor(vec![f32::NAN; shape.iter().product()], shape)
}
