//! Concrete tensors of Burn's CPU backend and the typed tensors that cross a captured graph's boundary.
//!
//! Only this file converts between Burn's typed tensors and the backend's primitives.

use burn::backend::Capture;
use burn::backend::capture::TensorId;
use burn::backend::flex::{Flex, FlexTensor, Layout};
use burn::backend::{DispatchKindConversion, DispatchTensor, TensorMetadata};
use burn::tensor::{Bool, Bytes, DType, Device, Int, Shape, Tensor};
use burn_ir::HandleKind;

use crate::Error;
use crate::burn::Activation;
use crate::burn::backend::Engine;
use crate::formats::Input;

/// A tensor of any kind on Burn's CPU backend.
pub(crate) type Value = HandleKind<Flex>;

/// Typed tensors that may enter or leave a captured graph: a tensor of any rank and kind, a pair of them, or an
/// [`Activation`].
///
/// The methods are the plumbing of [`crate::burn::capture`]; a user only names the types.
pub trait Boundary: Clone {
    /// Moves the tensors to `device`.
    #[doc(hidden)]
    fn on(self, device: &Device) -> Self;

    /// The identifiers that the tensors have while they are captured.
    #[doc(hidden)]
    fn ids(&self) -> Result<Vec<TensorId>, Error>;

    /// The tensors as primitives of the backend `B`.
    #[doc(hidden)]
    fn into_handles<B: Engine>(self) -> Result<Vec<HandleKind<B>>, Error>
    where
        DispatchTensor: DispatchKindConversion<B>;

    /// The inverse of [`Boundary::into_handles`]; takes its share from the front of `handles`.
    #[doc(hidden)]
    fn from_handles<B: Engine>(handles: &mut std::vec::IntoIter<HandleKind<B>>) -> Result<Self, Error>
    where
        DispatchTensor: DispatchKindConversion<B>;

    /// The tensors as primitives of the CPU backend.
    #[doc(hidden)]
    fn into_values(self) -> Result<Vec<Value>, Error> {
        self.into_handles::<Flex>()
    }
}

/// A primitive of the backend as a typed tensor, on the backend where it stays there and on Flex elsewhere.
macro_rules! tensor_of {
    ($backend:ty, $t:expr) => {
        if <$backend>::RESIDENT {
            Tensor::from_primitive::<$backend>($t)
        } else {
            Tensor::from_primitive::<Flex>(<$backend>::lower($t)?)
        }
    };
}

/// Implements [`Boundary`] for the tensors of one kind.
macro_rules! boundary {
    ($kind:ty, $variant:ident) => {
        impl<const D: usize> Boundary for Tensor<D, $kind> {
            fn on(self, device: &Device) -> Self {
                self.to_device(device)
            }

            fn ids(&self) -> Result<Vec<TensorId>, Error> {
                let primitive = self.clone().try_into_primitive::<Capture>().map_err(|e| foreign(&e))?;
                Ok(vec![primitive.id()])
            }

            fn into_handles<B: Engine>(self) -> Result<Vec<HandleKind<B>>, Error>
            where
                DispatchTensor: DispatchKindConversion<B>,
            {
                if B::RESIDENT {
                    let there = self.to_device(&B::device());
                    let primitive = there.try_into_primitive::<B>().map_err(|e| foreign(&e))?;
                    return Ok(vec![HandleKind::$variant(primitive)]);
                }
                let local = self.to_device(&Device::flex());
                let primitive = local.try_into_primitive::<Flex>().map_err(|e| foreign(&e))?;
                Ok(vec![HandleKind::$variant(B::lift(primitive)?)])
            }

            fn from_handles<B: Engine>(handles: &mut std::vec::IntoIter<HandleKind<B>>) -> Result<Self, Error>
            where
                DispatchTensor: DispatchKindConversion<B>,
            {
                match handles.next() {
                    Some(HandleKind::$variant(t)) if t.rank() == D => Ok(tensor_of!(B, t)),
                    other => Err(mismatch::<B>(concat!("a ", stringify!($kind), " tensor"), D, other)),
                }
            }
        }
    };
}

boundary!(burn::tensor::Float, Float);
boundary!(Int, Int);
boundary!(Bool, Bool);

impl<A: Boundary, B: Boundary> Boundary for (A, B) {
    fn on(self, device: &Device) -> Self {
        (self.0.on(device), self.1.on(device))
    }

    fn ids(&self) -> Result<Vec<TensorId>, Error> {
        Ok([self.0.ids()?, self.1.ids()?].concat())
    }

    fn into_handles<E: Engine>(self) -> Result<Vec<HandleKind<E>>, Error>
    where
        DispatchTensor: DispatchKindConversion<E>,
    {
        let mut handles = self.0.into_handles::<E>()?;
        handles.extend(self.1.into_handles::<E>()?);
        Ok(handles)
    }

    fn from_handles<E: Engine>(handles: &mut std::vec::IntoIter<HandleKind<E>>) -> Result<Self, Error>
    where
        DispatchTensor: DispatchKindConversion<E>,
    {
        Ok((A::from_handles::<E>(handles)?, B::from_handles::<E>(handles)?))
    }
}

/// Applies one expression to the tensor inside an [`Activation`] and rewraps or returns it.
macro_rules! each {
    ($activation:expr, $t:ident => $body:expr) => {
        match $activation {
            Activation::Ids($t) => $body,
            Activation::Text($t) => $body,
            Activation::Rows($t) => $body,
            Activation::Sequence($t) => $body,
            Activation::Images($t) => $body,
        }
    };
}

impl Boundary for Activation {
    fn on(self, device: &Device) -> Self {
        match self {
            Self::Ids(t) => Self::Ids(t.to_device(device)),
            Self::Text(t) => Self::Text(t.to_device(device)),
            Self::Rows(t) => Self::Rows(t.to_device(device)),
            Self::Sequence(t) => Self::Sequence(t.to_device(device)),
            Self::Images(t) => Self::Images(t.to_device(device)),
        }
    }

    fn ids(&self) -> Result<Vec<TensorId>, Error> {
        each!(self, t => t.ids())
    }

    fn into_handles<B: Engine>(self) -> Result<Vec<HandleKind<B>>, Error>
    where
        DispatchTensor: DispatchKindConversion<B>,
    {
        each!(self, t => t.into_handles::<B>())
    }

    fn from_handles<B: Engine>(handles: &mut std::vec::IntoIter<HandleKind<B>>) -> Result<Self, Error>
    where
        DispatchTensor: DispatchKindConversion<B>,
    {
        match handles.next() {
            Some(HandleKind::Int(t)) if t.rank() == 2 => Ok(Self::Ids(tensor_of!(B, t))),
            Some(HandleKind::Int(t)) if t.rank() == 3 => Ok(Self::Text(tensor_of!(B, t))),
            Some(HandleKind::Float(t)) if t.rank() == 2 => Ok(Self::Rows(tensor_of!(B, t))),
            Some(HandleKind::Float(t)) if t.rank() == 3 => Ok(Self::Sequence(tensor_of!(B, t))),
            Some(HandleKind::Float(t)) if t.rank() == 4 => Ok(Self::Images(tensor_of!(B, t))),
            other => Err(mismatch::<B>("an activation", 2, other)),
        }
    }
}

/// The primitive inside a value, of whatever kind.
pub(crate) fn primitive(value: &Value) -> Option<&FlexTensor> {
    match value {
        Value::Float(t) | Value::Int(t) | Value::Bool(t) => Some(t),
        Value::Quantized(_) => None,
    }
}

/// The shape of a value; empty for Burn's own quantised tensors, which no captured graph holds.
pub(crate) fn shape<B: Engine>(value: &HandleKind<B>) -> Vec<usize> {
    match value {
        HandleKind::Float(t) | HandleKind::Int(t) | HandleKind::Bool(t) => t.shape().to_vec(),
        HandleKind::Quantized(_) => Vec::new(),
    }
}

/// A row-major `f32` tensor.
pub(crate) fn tensor(data: Vec<f32>, shape: &[usize]) -> FlexTensor {
    debug_assert_eq!(data.len(), shape.iter().product::<usize>());
    FlexTensor::new(Bytes::from_elems(data), Layout::contiguous(Shape::from(shape.to_vec())), DType::F32)
}

/// The row-major elements of an `f32` tensor, copied only where its layout is a view.
///
/// # Errors
/// The tensor has another element type; `name` is the product that asked.
pub(crate) fn contiguous(t: FlexTensor, name: &str) -> Result<FlexTensor, Error> {
    if t.dtype() != DType::F32 {
        return Err(Error::Invalid(format!(
            "the operands of `{name}` are {:?}, but a modelled product needs f32; cast the module to f32 or leave this layer to \
             the host",
            t.dtype()
        )));
    }
    Ok(if t.as_slice::<f32>().is_some() { t } else { t.to_contiguous() })
}

/// A contiguous `f32` tensor whose storage is exactly its elements, so that it can be written in place.
pub(crate) fn owned(t: FlexTensor) -> FlexTensor {
    if t.bytes().len() == t.layout().num_elements() * size_of::<f32>() {
        return t;
    }
    let shape = t.layout().shape().to_vec();
    let values = t.as_slice::<f32>().map(<[f32]>::to_vec);
    values.map_or(t, |values| tensor(values, &shape))
}

/// An `f32` tensor rounded to a narrower type.
///
/// # Errors
/// Those of [`contiguous`].
pub(crate) fn narrow(t: FlexTensor, to: Input, name: &str) -> Result<FlexTensor, Error> {
    let mut t = owned(contiguous(t, name)?);
    t.storage_mut::<f32>().iter_mut().for_each(|v| *v = to.round(*v));
    Ok(t)
}

fn foreign(e: &dyn std::fmt::Debug) -> Error {
    Error::Invalid(format!(
        "a tensor of the captured graph lives on another backend ({e:?}); capture modules and inputs of `Device::flex()` without \
         autodiff (`module.valid()`)"
    ))
}

fn mismatch<B: Engine>(wanted: &str, dims: usize, got: Option<HandleKind<B>>) -> Error {
    let got = got.map_or_else(|| "nothing".to_owned(), |v| format!("a {} tensor of shape {:?}", v.name(), shape(&v)));
    Error::Invalid(format!("the captured graph gives {got} where {wanted} of {dims} dimensions was asked for"))
}
