//! Recipes: what is done to every linear layer of a block, step by step, as text.
//!
//! `[smoothquant(0.5), wanda(2:4), gptq(mxfp4)]` is a list of steps; the order of the list is the order of work, so that pruning before
//! quantising is S→Q and the other way round Q→S. A step is a name of [`METHODS`] and its arguments, first those without a name, then
//! `name=value`. A fraction without a scope (`50%`) has the scope of the method's publication; `50%-matrix`, `50%-row` and
//! `50%-cols128` say it.

mod arguments;
mod methods;

pub use methods::{METHODS, Method, Parameter};

use std::fmt;
use std::str::FromStr;

use arguments::Arguments;

use crate::formats::{Format, Pattern, Selection};
use crate::learn::Options as Learning;
use crate::{Criterion, Error, Permutation, Solver};

/// One step of a recipe.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// SmoothQuant: scales that move outliers of the inputs into the weights; exact in FP32.
    Smooth {
        /// How much moves: 0 nothing, 1 everything.
        alpha: f64,
        /// Whether the maxima are those of the last calibration sequence alone, as in the released JSQ code.
        last_maxima: bool,
    },
    /// Zeroes weights, without touching the others or with the error moved to them.
    Prune(Prune),
    /// Rounds weights to a format.
    Quantize(Quantize),
    /// Learns how much of each row, or of each layer, is zeroed.
    Learn {
        /// What orders the weights of a row.
        criterion: Criterion,
        /// Everything else.
        options: Learning,
    },
    /// The block as it is now makes the next block's inputs, instead of the block as the last step leaves it.
    Forward,
    /// The format of the layers' inputs when the model runs.
    Activations(&'static Format),
}

/// How weights are zeroed.
#[derive(Clone, Debug, PartialEq)]
pub struct Prune {
    /// What scores them.
    pub scores: Scores,
    /// Which positions may be kept.
    pub pattern: Pattern,
    /// Whether exactly the count goes, or everything up to the published codes' threshold.
    pub selection: Selection,
    /// The order of the layer's inputs in which N:M groups are formed.
    pub permutation: Permutation,
    /// How the error is moved to the weights that stay; `None` leaves them as they are.
    pub update: Option<Solver>,
    /// The format to which weights are rounded while they are pruned; needs `update`.
    pub joint: Option<&'static Format>,
}

/// Who scores weights.
#[derive(Clone, Debug, PartialEq)]
pub enum Scores {
    /// A criterion, before anything is changed.
    Once(Criterion),
    /// Wanda's scores, each row pruned up to one share of its sum, chosen so that the fraction comes out.
    Cumulative,
    /// BaWA with the best of 27 triples of exponents for the block.
    Searched,
    /// SparseGPT's, on the weights as they are when their columns are reached.
    Current,
}

/// How weights are rounded.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantize {
    /// The method.
    pub method: Rounder,
    /// The format.
    pub format: &'static Format,
}

/// A way to round weights to a format.
#[derive(Clone, Debug, PartialEq)]
pub enum Rounder {
    /// Each weight to the nearest value, under the scale that the format's rule gives.
    Nearest,
    /// The same under the scale, of several smaller ones, with the least squared error.
    LeastSquares,
    /// Column by column, the error moved to the columns that follow.
    Gptq(Solver),
    /// Activation-aware scales, searched by the output error of the enclosing module, then clip levels, searched by the layer's.
    Awq {
        /// Whether scales are searched.
        scale: bool,
        /// Whether clip levels are searched.
        clip: bool,
        /// Tokens, evenly spread over calibration, on which clip levels are compared.
        samples: usize,
    },
}

/// A list of steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recipe {
    /// What is done, first to last.
    pub steps: Vec<Step>,
    /// Each step as it was written, in lower case without blanks.
    texts: Vec<String>,
}

impl FromStr for Recipe {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let inner = match (text.strip_prefix('['), text.ends_with(']')) {
            (Some(rest), true) => &rest[..rest.len() - 1],
            (None, false) => text,
            _ => {
                return Err(Error::Invalid(format!(
                    "the recipe `{text}` has one bracket; write `[step, step]` or `step, step`"
                )));
            }
        };
        Self::from_steps(&arguments::split(inner)?)
    }
}

impl Recipe {
    /// The recipe of these steps, one text each.
    ///
    /// # Errors
    /// An unknown method, with the nearest name; arguments that it does not take; steps that do not go together.
    pub fn from_steps<T: AsRef<str>>(texts: &[T]) -> Result<Self, Error> {
        let texts: Vec<String> =
            texts.iter().map(|text| normal(text.as_ref())).filter(|text| !text.is_empty()).collect();
        let steps = texts.iter().map(|text| methods::step(Arguments::parse(text)?)).collect::<Result<_, _>>()?;
        let recipe = Self { steps, texts };
        recipe.check()?;
        Ok(recipe)
    }

    /// The TOML form: `pipeline = ["smoothquant(0.5)", "wanda(2:4)", "gptq(mxfp4)"]`.
    ///
    /// # Errors
    /// Text that is no TOML, another key, or those of [`Recipe::from_steps`].
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            pipeline: Vec<String>,
        }
        let file: File = toml::from_str(text).map_err(|e| {
            Error::Invalid(format!("a recipe file is TOML with one key, `pipeline = [\"wanda(2:4)\"]`: {e}"))
        })?;
        Self::from_steps(&file.pipeline)
    }

    /// Refuses an empty list and steps that cannot stand where they are.
    fn check(&self) -> Result<(), Error> {
        let invalid = |problem: &str| Err(Error::Invalid(format!("the recipe `{self}`: {problem}")));
        if self.steps.is_empty() {
            return invalid("there is no step; write for instance `wanda(2:4), gptq(mxfp4)`");
        }
        let count = |wanted: fn(&Step) -> bool| self.steps.iter().filter(|step| wanted(step)).count();
        if count(|s| matches!(s, Step::Forward)) > 1 || count(|s| matches!(s, Step::Activations(_))) > 1 {
            return invalid("`forward` and `activations` may stand once");
        }
        let rounded = self.steps.iter().position(rounds);
        let smoothed = self.steps.iter().rposition(|s| matches!(s, Step::Smooth { .. }));
        match (rounded, smoothed) {
            (Some(rounded), Some(smoothed)) if rounded < smoothed => {
                invalid("smoothing scales weights that were rounded before; put `smoothquant` before the quantiser")
            }
            _ => Ok(()),
        }
    }

    /// The format of the layers' inputs; FP32 where no step says.
    pub fn activations(&self) -> &'static Format {
        let given = self.steps.iter().find_map(|step| match step {
            Step::Activations(format) => Some(*format),
            _ => None,
        });
        given.unwrap_or_else(Format::fp32)
    }

    /// Whether a step learns by gradients. Burn's backward pass takes them, in an order of sums that its CPU kernels choose, so that what
    /// comes of the recipe depends on the machine; all other steps have the same bits everywhere.
    pub fn needs_gradients(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Learn { .. }))
    }

    /// Each step as it was written.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// The order of pruning and rounding: `sq`, `qs`, `joint`, or `none` where only one of them happens.
    pub fn order(&self) -> &'static str {
        let joint = |step: &Step| matches!(step, Step::Prune(Prune { joint: Some(_), .. }));
        if self.steps.iter().any(joint) {
            return "joint";
        }
        let rounds = self.steps.iter().position(|s| matches!(s, Step::Quantize(_)));
        let prunes = self.steps.iter().position(|s| matches!(s, Step::Prune(_) | Step::Learn { .. }));
        match (prunes, rounds) {
            (Some(prunes), Some(rounds)) if prunes < rounds => "sq",
            (Some(_), Some(_)) => "qs",
            _ => "none",
        }
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "[{}]", self.texts.join(", "))
    }
}

/// Whether a step rounds weights.
fn rounds(step: &Step) -> bool {
    matches!(step, Step::Quantize(_) | Step::Prune(Prune { joint: Some(_), .. }))
}

/// Lower case without blanks.
fn normal(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase()
}
