//! One linear layer outside of any capture: what training multiplies by, with the bits that the executor would give on
//! Burn's host.

use burn::backend::flex::FlexTensor;

use crate::Error;
use crate::burn::executor::transpose;
use crate::burn::product::{Product, Role};
use crate::burn::unit::Prepared;
use crate::burn::value::{self, tensor};
use crate::formats::{Format, Input, Mask};
use crate::plan::LayerConfig;

/// Which layer it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Elements of a sum after which blocks restart; `None`: they do not.
    pub(crate) run: Option<usize>,
}

impl Place<'_> {
    /// The layer as a product without a place in a graph: `m` rows of which `span` are one sequence.
    fn product(self, [m, k, n]: [usize; 3], span: usize) -> Product {
        let (name, run) = (self.name.to_owned(), self.run.unwrap_or(k));
        Product { name, occurrence: 0, role: Role::Weight, m, k, n, count: 1, run, span, bias: None, weight: None }
    }
}

/// A layer whose weights have just been stored.
#[derive(Debug)]
pub(crate) struct Emulator<'a> {
    place: Place<'a>,
    shape: [usize; 2],
    prepared: Prepared,
    /// `[n, k]`, the values that the stored weights stand for.
    weights: FlexTensor,
    /// What the last prune step kept.
    mask: Option<Mask>,
}

impl<'a> Emulator<'a> {
    /// The layer with weights `w` `[k, n]`; `mask` stands in for the one that the pipeline would choose.
    ///
    /// # Errors
    /// [`Error::Layer`]: weights that are not finite or not f32, a pattern that does not divide them, formats that the unit does not
    /// take.
    pub(crate) fn new(
        place: Place<'a>,
        config: &LayerConfig,
        w: FlexTensor,
        mask: Option<&Mask>,
    ) -> Result<Self, Error> {
        let name = place.name;
        let rows = value::contiguous(transpose(w), name)?;
        let &[n, k] = &rows.layout().shape()[..] else {
            return Err(Error::Invalid(format!(
                "the weights of `{name}` have the shape {:?}, not [k, n]",
                rows.layout().shape()
            )));
        };
        let product = place.product([1, k, n], 1);
        let (prepared, stored) =
            Prepared::of_matrix(&product, config, rows.as_slice::<f32>().unwrap_or_default(), mask)?;
        let weights = tensor(stored.values, &[n, k]);
        Ok(Self { place, shape: [k, n], prepared, weights, mask: stored.mask })
    }

    /// `x` `[.., m, k]` times the weights, rounded to the type of the format's outputs where it has one.
    ///
    /// # Errors
    /// [`Error::Layer`]: a value that is not finite, a sum longer than the unit's accumulator holds.
    pub(crate) fn multiply(&self, x: FlexTensor) -> Result<FlexTensor, Error> {
        let [k, n] = self.shape;
        let (rows, span) = rows(&x);
        let y = self.prepared.linear(&self.place.product([rows, k, n], span), x)?;
        match self.prepared.output {
            Some(input) => value::narrow(y, input, self.place.name),
            None => Ok(y),
        }
    }

    /// The values that the weights stand for, `[n, k]`.
    pub(crate) fn weights(&self) -> FlexTensor {
        self.weights.clone()
    }

    /// What the last prune step kept.
    pub(crate) fn into_mask(self) -> Option<Mask> {
        self.mask
    }
}

/// `x` `[.., m, k]` through a format and back, as an activation of a layer.
///
/// # Errors
/// [`Error::Layer`]: a value that is not finite.
pub(crate) fn rounded(place: Place<'_>, format: &'static Format, x: FlexTensor) -> Result<FlexTensor, Error> {
    let k = x.layout().shape().last().copied().unwrap_or(1);
    let (rows, span) = rows(&x);
    let config = LayerConfig { activations: format, ..LayerConfig::fp32() };
    let product = place.product([rows, k, 1], span);
    Prepared::unweighted(&product, &config)?.activation(&product, x)
}

/// The type that a layer's outputs are rounded to, if any.
pub(crate) fn output(config: &LayerConfig) -> Option<Input> {
    config.weight_format().input.or(config.activations.for_activations().input)
}

/// Rows of `x`, and how many of them are one sequence.
fn rows(x: &FlexTensor) -> (usize, usize) {
    let shape = x.layout().shape();
    let (leading, _) = shape.split_at(shape.len().saturating_sub(1));
    (leading.iter().product(), leading.last().copied().unwrap_or(1))
}
