//! What the fixed host does with each operation that a captured graph can hold: one exhaustive table.
//!
//! What is said of Burn holds for burn-flex 0.22.1 and was read in its source. Rust contracts and reorders nothing, so that a plain loop
//! has one sequence of operations; what differs between machines there is the `gemm` crate, explicit vectors in reductions, and
//! the C library.

use burn_ir::{
    ActivationOperationIr as Activation, BaseOperationIr as Base, BinaryOpIr, FloatOperationIr as Float,
    InterpolateModeIr, LayerNormOpIr, ModuleOperationIr as Module, NumericOperationIr as Numeric, OperationIr,
    TensorIr,
};
use burn_ir::{ScalarIr, ScalarOpIr};

use crate::hw::host::{Function, Reduction};

/// Who computes an operation, and how.
#[derive(Debug)]
pub(crate) enum Treatment<'a> {
    /// Burn: the same bits everywhere.
    Burn,
    /// The executor, as matrix products.
    Product,
    /// A function of every value: what it is of, and what it gives.
    Function(Function, &'a TensorIr, &'a TensorIr),
    /// One value to the power of another.
    Power(&'a BinaryOpIr),
    /// One value of every line along a dimension.
    Reduce(Reduction, Along<'a>),
    /// One value of all.
    ReduceAll(Reduction, &'a TensorIr, &'a TensorIr),
    /// A softmax along a dimension.
    Softmax(Along<'a>),
    /// Layer normalisation along the last dimension.
    LayerNorm(&'a LayerNormOpIr),
    /// Nobody: it has no fixed sequence here.
    Refused,
}

/// An operation along one dimension.
#[derive(Debug)]
pub(crate) struct Along<'a> {
    pub(crate) input: &'a TensorIr,
    pub(crate) axis: usize,
    pub(crate) out: &'a TensorIr,
}

/// Decides about an operation.
pub(crate) fn treat(op: &OperationIr) -> Treatment<'_> {
    match op {
        OperationIr::BaseFloat(op) => base(op),
        OperationIr::NumericFloat(_, op) => numeric(op),
        OperationIr::Float(_, op) => float(op),
        OperationIr::Module(op) => module(op),
        OperationIr::Activation(op) => activation(op),
        // Integers and booleans are exact; an integer becomes a float by one rounding.
        OperationIr::BaseInt(_)
        | OperationIr::BaseBool(_)
        | OperationIr::NumericInt(..)
        | OperationIr::Bool(_)
        | OperationIr::Int(_)
        | OperationIr::Init(_)
        | OperationIr::Drop(_) => Treatment::Burn,
        OperationIr::Custom(_) | OperationIr::Distributed(_) => Treatment::Refused,
    }
}

/// Moves and comparisons; scattered additions run one after the other in the order of the indices.
fn base(op: &Base) -> Treatment<'_> {
    match op {
        Base::Reshape(_) | Base::SwapDims(_) | Base::Permute(_) | Base::Flip(_) | Base::Expand(_) => Treatment::Burn,
        Base::Unfold(_) | Base::Slice(_) | Base::SliceAssign(_) | Base::Select(_) => Treatment::Burn,
        Base::SelectAssign(_) | Base::MaskWhere(_) | Base::MaskFill(_) | Base::Gather(_) => Treatment::Burn,
        Base::Scatter(_) | Base::ScatterNd(_) | Base::GatherNd(_) | Base::RepeatDim(_) => Treatment::Burn,
        Base::Cat(_) | Base::Cast(_) | Base::Empty(_) | Base::Ones(_) | Base::Zeros(_) => Treatment::Burn,
        Base::Equal(_) | Base::EqualElem(_) | Base::NotEqual(_) | Base::NotEqualElem(_) => Treatment::Burn,
        Base::All(_) | Base::Any(_) | Base::AllDim(_) | Base::AnyDim(_) => Treatment::Burn,
    }
}

fn numeric(op: &Numeric) -> Treatment<'_> {
    match op {
        // One IEEE operation a value; remainders are exact.
        Numeric::Add(_) | Numeric::AddScalar(_) | Numeric::Sub(_) | Numeric::SubScalar(_) => Treatment::Burn,
        Numeric::Mul(_) | Numeric::MulScalar(_) | Numeric::Div(_) | Numeric::DivScalar(_) => Treatment::Burn,
        Numeric::Rem(_) | Numeric::RemScalar(_) | Numeric::Abs(_) | Numeric::Neg(_) => Treatment::Burn,
        // Choices among values.
        Numeric::Full(_) | Numeric::Pad(_) | Numeric::Sign(_) => Treatment::Burn,
        Numeric::Clamp(_) | Numeric::ClampMin(_) | Numeric::ClampMax(_) => Treatment::Burn,
        Numeric::Greater(_) | Numeric::GreaterElem(_) | Numeric::GreaterEqual(_) => Treatment::Burn,
        Numeric::GreaterEqualElem(_) | Numeric::Lower(_) | Numeric::LowerElem(_) => Treatment::Burn,
        Numeric::LowerEqual(_) | Numeric::LowerEqualElem(_) => Treatment::Burn,
        Numeric::ArgMax(_) | Numeric::ArgMin(_) | Numeric::ArgTopK(_) | Numeric::TopK(_) => Treatment::Burn,
        Numeric::TopKWithIndices(_) | Numeric::MaxDimWithIndices(_) | Numeric::MinDimWithIndices(_) => Treatment::Burn,
        Numeric::Sort(_) | Numeric::SortWithIndices(_) | Numeric::ArgSort(_) => Treatment::Burn,
        // Magnitudes have one zero.
        Numeric::MaxAbs(_) | Numeric::MaxAbsDim(_) => Treatment::Burn,
        // Loops from the first element of a line to its last.
        Numeric::CumSum(_) | Numeric::CumProd(_) | Numeric::CumMin(_) | Numeric::CumMax(_) => Treatment::Burn,
        Numeric::Sum(o) => Treatment::ReduceAll(Reduction::Sum, &o.input, &o.out),
        Numeric::Mean(o) => Treatment::ReduceAll(Reduction::Mean, &o.input, &o.out),
        Numeric::Prod(o) => Treatment::ReduceAll(Reduction::Product, &o.input, &o.out),
        Numeric::Max(o) => Treatment::ReduceAll(Reduction::Max, &o.input, &o.out),
        Numeric::Min(o) => Treatment::ReduceAll(Reduction::Min, &o.input, &o.out),
        Numeric::SumDim(o) => Treatment::Reduce(Reduction::Sum, Along::of(&o.input, o.axis, &o.out)),
        Numeric::MeanDim(o) => Treatment::Reduce(Reduction::Mean, Along::of(&o.input, o.axis, &o.out)),
        Numeric::ProdDim(o) => Treatment::Reduce(Reduction::Product, Along::of(&o.input, o.axis, &o.out)),
        Numeric::MaxDim(o) => Treatment::Reduce(Reduction::Max, Along::of(&o.input, o.axis, &o.out)),
        Numeric::MinDim(o) => Treatment::Reduce(Reduction::Min, Along::of(&o.input, o.axis, &o.out)),
        Numeric::Powi(o) => Treatment::Power(o),
        Numeric::PowiScalar(o) => power(o),
        Numeric::SumDims(_) | Numeric::IntRandom(_) => Treatment::Refused,
    }
}

/// A square is one multiplication, a reciprocal one division; Burn knows both.
fn power(o: &ScalarOpIr) -> Treatment<'_> {
    let exponent = match o.rhs {
        ScalarIr::Float(x) => x,
        ScalarIr::Int(x) => x as f64,
        ScalarIr::UInt(x) => x as f64,
        ScalarIr::Bool(x) => f64::from(u8::from(x)),
    };
    if [-2.0, -1.0, 0.0, 1.0, 2.0].contains(&exponent) {
        return Treatment::Burn;
    }
    Treatment::Function(Function::Power(exponent), &o.lhs, &o.out)
}

fn float(op: &Float) -> Treatment<'_> {
    match op {
        Float::Exp(o) => Treatment::Function(Function::Exp, &o.input, &o.out),
        Float::Log(o) => Treatment::Function(Function::Ln, &o.input, &o.out),
        Float::Log1p(o) => Treatment::Function(Function::Ln1p, &o.input, &o.out),
        Float::Erf(o) => Treatment::Function(Function::Erf, &o.input, &o.out),
        Float::Sin(o) => Treatment::Function(Function::Sin, &o.input, &o.out),
        Float::Cos(o) => Treatment::Function(Function::Cos, &o.input, &o.out),
        Float::Tanh(o) => Treatment::Function(Function::Tanh, &o.input, &o.out),
        Float::PowfScalar(o) => power(o),
        Float::Powf(o) => Treatment::Power(o),
        Float::Matmul(_) => Treatment::Product,
        // One IEEE operation a value, a rounding to an integer, a test, or two products and a difference.
        Float::Sqrt(_) | Float::Recip(_) | Float::Cross(_) | Float::IntoInt(_) => Treatment::Burn,
        Float::Round(_) | Float::Floor(_) | Float::Ceil(_) | Float::Trunc(_) => Treatment::Burn,
        Float::IsNan(_) | Float::IsInf(_) => Treatment::Burn,
        Float::Tan(_) | Float::Sinh(_) | Float::Cosh(_) | Float::Hypot(_) => Treatment::Refused,
        Float::ArcCos(_) | Float::ArcCosh(_) | Float::ArcSin(_) | Float::ArcSinh(_) => Treatment::Refused,
        Float::ArcTan(_) | Float::ArcTanh(_) | Float::ArcTan2(_) => Treatment::Refused,
        Float::Random(_) | Float::Quantize(_) | Float::Dequantize(_) | Float::GridSample2d(_) => Treatment::Refused,
    }
}

fn module(op: &Module) -> Treatment<'_> {
    match op {
        Module::Linear(_) | Module::Conv2d(_) | Module::Attention(_) => Treatment::Product,
        Module::LayerNorm(o) => Treatment::LayerNorm(o),
        // Elementwise, with one square root a channel; a gather; a choice; sums in the order of the window.
        Module::BatchNorm(_) | Module::Embedding(_) | Module::Unfold4d(_) => Treatment::Burn,
        Module::MaxPool1d(_) | Module::MaxPool2d(_) => Treatment::Burn,
        Module::MaxPool1dWithIndices(_) | Module::MaxPool2dWithIndices(_) => Treatment::Burn,
        Module::AvgPool1d(_) | Module::AvgPool2d(_) => Treatment::Burn,
        Module::AdaptiveAvgPool1d(_) | Module::AdaptiveAvgPool2d(_) | Module::AdaptiveAvgPool3d(_) => Treatment::Burn,
        // Polynomials of the position; Lanczos has a sine.
        Module::Interpolate(o) => match o.options.mode {
            InterpolateModeIr::Nearest | InterpolateModeIr::NearestExact => Treatment::Burn,
            InterpolateModeIr::Bilinear | InterpolateModeIr::Bicubic => Treatment::Burn,
            InterpolateModeIr::Lanczos3 => Treatment::Refused,
        },
        // Products that are no matrix products here, and derivatives, which no graph of a forward pass holds.
        Module::Conv1d(_) | Module::Conv3d(_) | Module::DeformableConv2d(_) => Treatment::Refused,
        Module::ConvTranspose1d(_) | Module::ConvTranspose2d(_) | Module::ConvTranspose3d(_) => Treatment::Refused,
        Module::CtcLoss(_) | Module::CtcLossBackward(_) | Module::EmbeddingBackward(_) => Treatment::Refused,
        Module::LinearXBackward(_) | Module::LinearWeightBackward(_) | Module::LinearBiasBackward(_) => {
            Treatment::Refused
        }
        Module::Conv1dXBackward(_) | Module::Conv1dWeightBackward(_) | Module::Conv1dBiasBackward(_) => {
            Treatment::Refused
        }
        Module::Conv2dXBackward(_) | Module::Conv2dWeightBackward(_) | Module::Conv2dBiasBackward(_) => {
            Treatment::Refused
        }
        Module::Conv3dXBackward(_) | Module::Conv3dWeightBackward(_) | Module::Conv3dBiasBackward(_) => {
            Treatment::Refused
        }
        Module::ConvTranspose1dWeightBackward(_) | Module::ConvTranspose1dBiasBackward(_) => Treatment::Refused,
        Module::ConvTranspose2dWeightBackward(_) | Module::ConvTranspose2dBiasBackward(_) => Treatment::Refused,
        Module::ConvTranspose3dWeightBackward(_) | Module::ConvTranspose3dBiasBackward(_) => Treatment::Refused,
        Module::DeformableConv2dBackward(_) | Module::InterpolateBackward(_) => Treatment::Refused,
        Module::AvgPool1dBackward(_) | Module::AvgPool2dBackward(_) => Treatment::Refused,
        Module::AdaptiveAvgPool1dBackward(_)
        | Module::AdaptiveAvgPool2dBackward(_)
        | Module::AdaptiveAvgPool3dBackward(_) => Treatment::Refused,
        Module::MaxPool1dWithIndicesBackward(_) | Module::MaxPool2dWithIndicesBackward(_) => Treatment::Refused,
    }
}

fn activation(op: &Activation) -> Treatment<'_> {
    match op {
        // Comparisons, and at most one multiplication and one addition a value.
        Activation::Relu(_) | Activation::LeakyRelu(_) | Activation::PRelu(_) => Treatment::Burn,
        Activation::HardSigmoid(_) => Treatment::Burn,
        Activation::Gelu(o) => Treatment::Function(Function::Gelu, &o.input, &o.out),
        Activation::Sigmoid(o) => Treatment::Function(Function::Sigmoid, &o.input, &o.out),
        Activation::LogSigmoid(o) => Treatment::Function(Function::LogSigmoid, &o.input, &o.out),
        Activation::Softmax(o) => Treatment::Softmax(Along::of(&o.input, o.axis, &o.out)),
        Activation::LogSoftmax(_) | Activation::Softmin(_) => Treatment::Refused,
        Activation::ReluBackward(_) | Activation::GeluBackward(_) => Treatment::Refused,
        Activation::SigmoidBackward(_) | Activation::LogSigmoidBackward(_) => Treatment::Refused,
    }
}

impl<'a> Along<'a> {
    fn of(input: &'a TensorIr, axis: usize, out: &'a TensorIr) -> Self {
        Self { input, axis, out }
    }
}
