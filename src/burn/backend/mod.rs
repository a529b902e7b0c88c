//! Burn's CPU backends: on which one a captured graph runs what no modelled unit computes.
//!
//! Tensors are Flex's everywhere else in this crate. An [`Engine`] says how a backend takes and gives them; Flex does both for
//! nothing, another backend copies.

#[cfg(feature = "ndarray")]
pub(crate) mod ndarray;

use burn::backend::BackendTypes;
use burn::backend::flex::{Flex, FlexTensor};
use burn_ir::{BackendIr, HandleKind};

use crate::Error;
use crate::burn::value::Value;
use crate::load::nearest;

/// A CPU backend of Burn.
///
/// Products that a modelled unit computes have the same bits on each; what Burn computes has the bits of that backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    /// Burn's CPU backend, on which every model is built.
    #[default]
    Flex,
    /// The older one on the `ndarray` crate, which Burn deprecates; it copies a stage's weights for each run.
    #[cfg(feature = "ndarray")]
    NdArray,
}

/// Every name of [`Backend::by_name`], whether or not this build has it.
const NAMES: [&str; 2] = ["flex", "ndarray"];

impl Backend {
    /// A backend by its name, `flex` or `ndarray`, in any case.
    ///
    /// # Errors
    /// There is no such backend, or this build lacks it: the message says what to build.
    pub fn by_name(name: &str) -> Result<Self, Error> {
        match name.trim().to_lowercase().as_str() {
            "flex" => Ok(Self::Flex),
            #[cfg(feature = "ndarray")]
            "ndarray" => Ok(Self::NdArray),
            #[cfg(not(feature = "ndarray"))]
            "ndarray" => Err(Error::Invalid(
                "this build has no backend `ndarray`, which Burn deprecates; build with `--features ndarray`, or use `flex`".into(),
            )),
            other => {
                let near = nearest(other, NAMES.into_iter()).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                Err(Error::Invalid(format!("there is no backend `{name}`: give `flex` or `ndarray`{near}")))
            }
        }
    }

    /// The name of [`Backend::by_name`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            #[cfg(feature = "ndarray")]
            Self::NdArray => "ndarray",
        }
    }

    /// `lhs x rhs` by this backend.
    ///
    /// # Errors
    /// The backend does not take the tensors' element type.
    pub(crate) fn matmul(self, lhs: FlexTensor, rhs: FlexTensor) -> Result<FlexTensor, Error> {
        match self {
            Self::Flex => matmul::<Flex>(lhs, rhs),
            #[cfg(feature = "ndarray")]
            Self::NdArray => matmul::<ndarray::Host>(lhs, rhs),
        }
    }
}

/// A backend that can run a captured graph. Its tensors of all kinds are of one type.
pub(crate) trait Engine:
    BackendIr
    + BackendTypes<
        IntTensorPrimitive = <Self as BackendTypes>::FloatTensorPrimitive,
        BoolTensorPrimitive = <Self as BackendTypes>::FloatTensorPrimitive,
    >
{
    /// A tensor of this backend with the elements of `tensor`.
    ///
    /// # Errors
    /// The backend has no such element type.
    fn lift(tensor: FlexTensor) -> Result<Of<Self>, Error>;

    /// The inverse of [`Engine::lift`].
    fn lower(tensor: Of<Self>) -> FlexTensor;
}

/// The tensors of an engine.
pub(crate) type Of<B> = <B as BackendTypes>::FloatTensorPrimitive;

impl Engine for Flex {
    fn lift(tensor: FlexTensor) -> Result<FlexTensor, Error> {
        Ok(tensor)
    }

    fn lower(tensor: FlexTensor) -> FlexTensor {
        tensor
    }
}

/// [`Engine::lift`] of a value of any kind.
pub(crate) fn lift<B: Engine>(value: Value) -> Result<HandleKind<B>, Error> {
    match value {
        Value::Float(t) => Ok(HandleKind::Float(B::lift(t)?)),
        Value::Int(t) => Ok(HandleKind::Int(B::lift(t)?)),
        Value::Bool(t) => Ok(HandleKind::Bool(B::lift(t)?)),
        Value::Quantized(_) => Err(Error::Invalid("a captured graph holds no quantised tensors".into())),
    }
}

/// The inverse of [`lift`].
///
/// # Panics
/// On Burn's own quantised tensors, which capture refuses to record.
pub(crate) fn lower<B: Engine>(handle: HandleKind<B>) -> Value {
    match handle {
        HandleKind::Float(t) => Value::Float(B::lower(t)),
        HandleKind::Int(t) => Value::Int(B::lower(t)),
        HandleKind::Bool(t) => Value::Bool(B::lower(t)),
        HandleKind::Quantized(_) => unreachable!("capture records no quantised tensors"),
    }
}

/// `lhs x rhs` on an engine.
fn matmul<B: Engine>(lhs: FlexTensor, rhs: FlexTensor) -> Result<FlexTensor, Error> {
    Ok(B::lower(B::float_matmul(B::lift(lhs)?, B::lift(rhs)?)))
}
