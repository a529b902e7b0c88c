//! Burn's backends: on which one a captured graph runs what no modelled unit computes.
//!
//! Tensors are Flex's everywhere else in this crate. An [`Engine`] says how a backend takes and gives them; Flex does both for
//! nothing, another backend copies.

#[cfg(feature = "ndarray")]
pub(crate) mod ndarray;
#[cfg(feature = "wgpu")]
pub(crate) mod wgpu;

use burn::backend::BackendTypes;
use burn::backend::flex::{Flex, FlexTensor};
use burn::tensor::Device;
use burn_ir::{BackendIr, Conv2dOpIr, HandleKind};

use crate::Error;
use crate::burn::conv;
use crate::burn::hook::Hook;
use crate::burn::host::{self, Host};
use crate::burn::product::Product;
use crate::burn::value::{self, Value};
use crate::formats::Input;
use crate::load::nearest;

/// A backend of Burn.
///
/// Products that a modelled unit computes have the same bits on each, and so has what the fixed host computes; what Burn computes has the
/// bits of that backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Burn's CPU backend, on which every model is built, and who computes on it what no modelled unit does.
    Flex(Host),
    /// The older one on the `ndarray` crate, which Burn deprecates; it copies a stage's weights for each run.
    #[cfg(feature = "ndarray")]
    NdArray,
    /// A GPU through wgpu, on which tensors and modelled units are too.
    #[cfg(feature = "wgpu")]
    Wgpu,
}

impl Default for Backend {
    fn default() -> Self {
        Self::Flex(Host::default())
    }
}

/// Every name of [`Backend::by_name`], whether or not this build has it.
const NAMES: [&str; 3] = ["flex", "ndarray", "wgpu"];

impl Backend {
    /// A backend by its name, `flex`, `ndarray` or `wgpu`, in any case.
    ///
    /// # Errors
    /// There is no such backend, or this build lacks it: the message says what to build.
    pub fn by_name(name: &str) -> Result<Self, Error> {
        match name.trim().to_lowercase().as_str() {
            "flex" => Ok(Self::default()),
            #[cfg(feature = "ndarray")]
            "ndarray" => Ok(Self::NdArray),
            #[cfg(not(feature = "ndarray"))]
            "ndarray" => Err(Error::Invalid(
                "this build has no backend `ndarray`, which Burn deprecates; build with `--features ndarray`, or use `flex`".into(),
            )),
            #[cfg(feature = "wgpu")]
            "wgpu" => Ok(Self::Wgpu),
            #[cfg(not(feature = "wgpu"))]
            "wgpu" => Err(Error::Invalid(
                "this build has no backend `wgpu`; build with `--features wgpu`, or use `flex`, which runs everywhere".into(),
            )),
            other => {
                let near = nearest(other, NAMES.into_iter()).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                Err(Error::Invalid(format!("there is no backend `{name}`: give `flex`, `ndarray` or `wgpu`{near}")))
            }
        }
    }

    /// The name of [`Backend::by_name`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Flex(_) => "flex",
            #[cfg(feature = "ndarray")]
            Self::NdArray => "ndarray",
            #[cfg(feature = "wgpu")]
            Self::Wgpu => "wgpu",
        }
    }

    /// The same with another host; the other backends have Burn's own operations only.
    #[must_use]
    pub fn hosted(self, host: Host) -> Self {
        match self {
            Self::Flex(_) => Self::Flex(host),
            #[cfg(any(feature = "ndarray", feature = "wgpu"))]
            other => other,
        }
    }

    /// Who computes what no modelled unit does.
    pub fn host(self) -> Host {
        match self {
            Self::Flex(host) => host,
            #[cfg(any(feature = "ndarray", feature = "wgpu"))]
            _ => Host::Burn,
        }
    }

    /// Whether this machine can run it.
    ///
    /// # Errors
    /// There is no GPU, or none that has what the kernels need.
    pub fn check(self) -> Result<(), Error> {
        #[cfg(feature = "wgpu")]
        if self == Self::Wgpu {
            interplay_gpu::Gpu::open(&interplay_gpu::Choice::Default)?;
        }
        Ok(())
    }

    /// `lhs x rhs` by this backend's host.
    ///
    /// # Errors
    /// It does not take the tensors' element type.
    pub(crate) fn matmul(self, lhs: FlexTensor, rhs: FlexTensor) -> Result<FlexTensor, Error> {
        match self {
            Self::Flex(Host::Fixed) => host::matmul(lhs, rhs, "a product of the host"),
            Self::Flex(Host::Burn) => matmul::<Flex>(lhs, rhs),
            #[cfg(feature = "ndarray")]
            Self::NdArray => matmul::<ndarray::Host>(lhs, rhs),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => matmul::<wgpu::Host>(lhs, rhs),
        }
    }
}

/// A backend that can run a captured graph. Its tensors of all kinds are of one type.
pub trait Engine:
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
    ///
    /// # Errors
    /// The tensor could not be read back.
    fn lower(tensor: Of<Self>) -> Result<FlexTensor, Error>;

    /// Whether tensors stay on this backend from one stage to the next, with the constants of a graph; else they come from and go
    /// to [`Flex`] every time.
    const RESIDENT: bool = false;

    /// The device on which graphs run.
    fn device() -> Device;

    /// Product `index` by the hook; shapes as in [`Hook::multiply`].
    ///
    /// # Errors
    /// Those of the hook.
    fn multiply(
        hook: &mut dyn Hook,
        index: usize,
        product: &Product,
        lhs: Of<Self>,
        rhs: Option<Of<Self>>,
    ) -> Result<Of<Self>, Error> {
        let rhs = rhs.map(Self::lower).transpose()?;
        Self::lift(hook.multiply(index, product, Self::lower(lhs)?, rhs)?)
    }

    /// `tensor` in a narrower type; `name` is the product that asks.
    ///
    /// # Errors
    /// Another element type than f32.
    fn narrow(tensor: Of<Self>, to: Input, name: &str) -> Result<Of<Self>, Error> {
        Self::lift(value::narrow(Self::lower(tensor)?, to, name)?)
    }

    /// The windows of a convolution's input as rows; see [`conv::im2col`].
    ///
    /// # Errors
    /// Another element type than f32.
    fn im2col(x: Of<Self>, c: &Conv2dOpIr, product: &Product) -> Result<Of<Self>, Error> {
        Self::lift(conv::im2col(Self::lower(x)?, c, product)?)
    }
}

/// The tensors of an engine.
pub type Of<B> = <B as BackendTypes>::FloatTensorPrimitive;

impl Engine for Flex {
    fn lift(tensor: FlexTensor) -> Result<FlexTensor, Error> {
        Ok(tensor)
    }

    fn lower(tensor: FlexTensor) -> Result<FlexTensor, Error> {
        Ok(tensor)
    }

    fn device() -> Device {
        Device::flex()
    }
}

/// [`Engine::lift`] of a value of any kind.
pub(crate) fn lift<B: Engine>(value: Value) -> Result<HandleKind<B>, Error> {
    match value {
        Value::Float(t) => Ok(HandleKind::Float(B::lift(t)?)),
        Value::Int(t) => Ok(HandleKind::Int(B::lift(t)?)),
        Value::Bool(t) => Ok(HandleKind::Bool(B::lift(t)?)),
        Value::Quantized(_) => Err(quantized()),
    }
}

/// The primitive inside a handle.
///
/// # Errors
/// One of Burn's own quantised tensors.
pub(crate) fn primitive<B: Engine>(handle: HandleKind<B>) -> Result<Of<B>, Error> {
    match handle {
        HandleKind::Float(t) | HandleKind::Int(t) | HandleKind::Bool(t) => Ok(t),
        HandleKind::Quantized(_) => Err(quantized()),
    }
}

fn quantized() -> Error {
    Error::Invalid("a captured graph holds no quantised tensors".into())
}

/// `lhs x rhs` on an engine.
fn matmul<B: Engine>(lhs: FlexTensor, rhs: FlexTensor) -> Result<FlexTensor, Error> {
    B::lower(B::float_matmul(B::lift(lhs)?, B::lift(rhs)?))
}
