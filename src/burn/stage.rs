//! A stage: a Burn module with its forward function and the name that its layers have in the checkpoint.

use std::any::Any;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::Error;
use crate::burn::capture::{Captured, capture_named};
use crate::burn::differentiate::{self, Derivative, Loss, Replacement};

/// What flows between stages.
#[derive(Debug, Clone)]
pub enum Activation {
    /// Token ids `[B, T]`.
    Ids(Tensor<2, Int>),
    /// Token ids and the segment of each `[B, 2, T]`.
    Text(Tensor<3, Int>),
    /// Independent rows `[R, D]`.
    Rows(Tensor<2>),
    /// Sequences `[B, T, D]`.
    Sequence(Tensor<3>),
    /// Images `[B, C, H, W]`.
    Images(Tensor<4>),
}

impl Activation {
    /// The token ids.
    ///
    /// # Panics
    /// On any other kind: stages were joined in the wrong order.
    pub fn into_ids(self) -> Tensor<2, Int> {
        match self {
            Self::Ids(t) => t,
            other => other.refuse("token ids"),
        }
    }

    /// The independent rows.
    ///
    /// # Panics
    /// On any other kind: stages were joined in the wrong order.
    pub fn into_rows(self) -> Tensor<2> {
        match self {
            Self::Rows(t) => t,
            other => other.refuse("rows"),
        }
    }

    /// The sequences.
    ///
    /// # Panics
    /// On any other kind: stages were joined in the wrong order.
    pub fn into_sequence(self) -> Tensor<3> {
        match self {
            Self::Sequence(t) => t,
            other => other.refuse("sequences"),
        }
    }

    /// The images.
    ///
    /// # Panics
    /// On any other kind: stages were joined in the wrong order.
    pub fn into_images(self) -> Tensor<4> {
        match self {
            Self::Images(t) => t,
            other => other.refuse("images"),
        }
    }

    /// The dimensions.
    pub fn shape(&self) -> Vec<usize> {
        match self {
            Self::Ids(t) => t.dims().to_vec(),
            Self::Text(t) => t.dims().to_vec(),
            Self::Rows(t) => t.dims().to_vec(),
            Self::Sequence(t) => t.dims().to_vec(),
            Self::Images(t) => t.dims().to_vec(),
        }
    }

    /// Token ids `[1, length]` or more sequences of `length`, row-major.
    pub fn ids(ids: &[i64], length: usize) -> Self {
        let data = TensorData::new(ids.to_vec(), [ids.len() / length.max(1), length]);
        Self::Ids(Tensor::from_data(data, &Device::flex()))
    }

    /// Token ids `[B, length]`, row-major, with the segment of each.
    pub fn text(ids: &[i64], segments: &[i64], length: usize) -> Self {
        let length = length.max(1);
        let values: Vec<i64> = ids
            .chunks(length)
            .zip(segments.chunks(length))
            .flat_map(|(ids, segments)| [ids, segments].concat())
            .collect();
        let data = TensorData::new(values, [ids.len() / length, 2, length]);
        Self::Text(Tensor::from_data(data, &Device::flex()))
    }

    /// Sequences of shape `[B, T, D]`, row-major.
    ///
    /// # Errors
    /// Another number of dimensions, or of values.
    pub fn sequence(values: &[f32], shape: &[usize]) -> Result<Self, Error> {
        match *shape {
            [b, t, d] if b * t * d == values.len() => {
                let data = TensorData::new(values.to_vec(), [b, t, d]);
                Ok(Self::Sequence(Tensor::from_data(data, &Device::flex())))
            }
            _ => Err(Error::Invalid(format!("{} values are no sequences of shape {shape:?}", values.len()))),
        }
    }

    /// Black images of shape `[B, C, H, W]`.
    pub fn images(shape: [usize; 4]) -> Self {
        Self::Images(Tensor::zeros(shape, &Device::flex()))
    }

    /// An activation of floating point and that shape, all zeros: rows, a sequence or images by the number of dimensions.
    ///
    /// # Errors
    /// Another number of dimensions.
    pub fn zeros(shape: &[usize]) -> Result<Self, Error> {
        let device = Device::flex();
        match *shape {
            [r, d] => Ok(Self::Rows(Tensor::zeros([r, d], &device))),
            [b, t, d] => Ok(Self::Sequence(Tensor::zeros([b, t, d], &device))),
            [b, c, h, w] => Ok(Self::images([b, c, h, w])),
            _ => {
                Err(Error::Invalid(format!("no stage takes an activation of shape {shape:?}; give 2 to 4 dimensions")))
            }
        }
    }

    /// Every position of a sequence as a row; anything else unchanged.
    pub fn into_all_rows(self) -> Self {
        match self {
            Self::Sequence(t) => {
                let [b, positions, d] = t.dims();
                Self::Rows(t.reshape([b * positions, d]))
            }
            other => other,
        }
    }

    /// The first position of each sequence as a row; anything else unchanged.
    pub fn into_first_rows(self) -> Self {
        match self {
            Self::Sequence(t) => {
                let [b, _, d] = t.dims();
                Self::Rows(t.narrow(1, 0, 1).reshape([b, d]))
            }
            other => other,
        }
    }

    /// The mean over the positions of each sequence as a row; anything else unchanged.
    pub fn into_mean_rows(self) -> Self {
        match self {
            Self::Sequence(t) => Self::Rows(t.mean_dim(1).squeeze_dim(1)),
            other => other,
        }
    }

    /// The values, row-major.
    ///
    /// # Errors
    /// Integers.
    pub fn into_values(self) -> Result<Vec<f32>, Error> {
        match self {
            Self::Rows(t) => Ok(differentiate::host(t)),
            Self::Sequence(t) => Ok(differentiate::host(t)),
            Self::Images(t) => Ok(differentiate::host(t)),
            Self::Ids(_) | Self::Text(_) => Err(Error::Invalid("token ids are no values of floating point".into())),
        }
    }

    fn refuse(self, wanted: &str) -> ! {
        panic!("a stage that takes {wanted} was given a tensor of shape {:?}", self.shape())
    }
}

/// One stage of a model, of whatever module type.
pub trait Stage: Send {
    /// The prefix of this stage's layer names (`decoder.layers.0`), empty where the module's paths are complete.
    fn prefix(&self) -> &str;

    /// Runs the module eagerly on the device it lives on.
    fn forward(&self, input: Activation) -> Activation;

    /// Captures the stage for inputs shaped like `example`, its layers named under [`Stage::prefix`].
    ///
    /// # Errors
    /// Those of [`crate::burn::capture`].
    fn capture(&self, example: &Activation) -> Result<Captured, Error>;

    /// The same stage with other values for the float tensors that `replacement` gives values for, by path under [`Stage::prefix`]
    /// (`layers.0.mlp.up_proj.weight`); a linear's weight is `[in, out]` here.
    ///
    /// # Errors
    /// Another number of values than the tensor has; whatever `replacement` answers.
    fn replaced(&self, replacement: &mut Replacement<'_>) -> Result<Box<dyn Stage>, Error>;

    /// A loss of the output and its derivatives by the float tensors whose path `by` names.
    ///
    /// # Errors
    /// The output is not of floating point; whatever `loss` answers.
    fn differentiate(
        &self,
        input: Activation,
        by: &dyn Fn(&str) -> bool,
        loss: &mut Loss<'_>,
    ) -> Result<(f64, Vec<Derivative>), Error>;
}

/// A Burn module as a [`Stage`].
#[derive(Debug)]
pub struct Piece<M: Module> {
    prefix: String,
    module: M,
    forward: fn(&M, Activation) -> Activation,
    /// Never read: it is there to live as long as the stage does.
    _held: Option<Arc<dyn Any + Send + Sync>>,
}

impl<M: Module> Piece<M> {
    /// Joins a module, its forward function and the prefix of its layer names.
    pub fn new(prefix: impl Into<String>, module: M, forward: fn(&M, Activation) -> Activation) -> Self {
        Self { prefix: prefix.into(), module, forward, _held: None }
    }

    /// The same, keeping `shared` alive as long as the stage is: what other stages are made of too.
    #[must_use]
    pub fn holding(self, shared: Arc<dyn Any + Send + Sync>) -> Self {
        Self { _held: Some(shared), ..self }
    }
}

impl<M: Module + Send + 'static> Stage for Piece<M> {
    fn prefix(&self) -> &str {
        &self.prefix
    }

    fn forward(&self, input: Activation) -> Activation {
        (self.forward)(&self.module, input)
    }

    fn capture(&self, example: &Activation) -> Result<Captured, Error> {
        capture_named(&self.prefix, &self.module, self.forward, example)
    }

    fn replaced(&self, replacement: &mut Replacement<'_>) -> Result<Box<dyn Stage>, Error> {
        let module = differentiate::replaced(&self.module, &self.prefix, replacement)?;
        let (prefix, forward) = (self.prefix.clone(), self.forward);
        Ok(Box::new(Self { prefix, module, forward, _held: self._held.clone() }))
    }

    fn differentiate(
        &self,
        input: Activation,
        by: &dyn Fn(&str) -> bool,
        loss: &mut Loss<'_>,
    ) -> Result<(f64, Vec<Derivative>), Error> {
        differentiate::differentiate(&self.module, &self.prefix, self.forward, input, by, loss)
    }
}
