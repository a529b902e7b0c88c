//! How good a model is on held-out data: through sessions, as every evaluation, never through the training code.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::Error;
use crate::eval::{Classification, Estimate, Scale, logits, perplexity};
use crate::load::hf::checkpoint;
use crate::models::Weights;
use crate::plan::Plan;
use crate::session::Session;

/// A metric with its standard error.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// `perplexity`, `cross_entropy`, `top1`.
    pub name: &'static str,
    /// The value.
    pub value: f64,
    /// The standard error; none of a single window or image.
    pub stderr: Option<f64>,
    /// The scale on which it is one.
    pub stderr_scale: Scale,
}

/// The metrics of one set of weights.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// Dense and in FP32.
    pub fp32: Vec<Score>,
    /// Under the run's own plan.
    pub plan: Vec<Score>,
}

/// What a model is judged on.
pub(super) enum HeldOut {
    /// Windows of tokens.
    Windows(Vec<Vec<i64>>),
    /// Pixels, and the label of each image.
    Images(Vec<f32>, Vec<usize>),
}

impl HeldOut {
    /// Measures the model that `config` describes over `weights`.
    ///
    /// # Errors
    /// A layer cannot be stored or multiplied as `plan` says, or a loss is not finite.
    pub fn measure(&self, config: &Value, weights: Arc<dyn Weights>, plan: &Plan) -> Result<Measured, Error> {
        let model = checkpoint(Path::new("config.json"), &config.to_string(), weights)?;
        let mut session = Session::new(model, Plan::fp32())?;
        let fp32 = self.scores(&mut session)?;
        session.set_plan(plan.clone())?;
        Ok(Measured { fp32, plan: self.scores(&mut session)? })
    }

    fn scores(&self, session: &mut Session) -> Result<Vec<Score>, Error> {
        let score = |name, value, stderr| Score { name, value, stderr, stderr_scale: Scale::of(name) };
        let mean = |name, Estimate { mean, stderr }| score(name, mean, stderr);
        Ok(match self {
            Self::Windows(windows) => {
                let found = perplexity(session, windows)?;
                vec![score("perplexity", found.value(), found.nll().stderr)]
            }
            Self::Images(pixels, labels) => {
                let logits = logits(session, pixels)?;
                let judged = Classification::of(&logits, labels, &logits)?;
                vec![mean("cross_entropy", judged.cross_entropy), mean("top1", judged.top1)]
            }
        })
    }
}
