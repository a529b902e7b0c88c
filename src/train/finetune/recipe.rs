//! The ways to fine-tune, as records.

use crate::Error;
use crate::formats::{Format, Step};
use crate::hw::Datapath;
use crate::load::nearest;
use crate::plan::{LayerConfig, Plan};

/// What training sees of the configuration under which a model is evaluated afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe {
    /// The name.
    pub name: &'static str,
    /// One line on what it does.
    pub about: &'static str,
    /// The order of pruning and rounding that it stands for; `None` where the settings say it.
    pub order: Option<&'static str>,
    /// Whether weights, activations and gradients are rounded while training; without, they are only pruned.
    pub rounds: bool,
}

/// Every recipe.
pub static RECIPES: [Recipe; 3] = [
    Recipe {
        name: "sq",
        about: "sparse training in FP32, then one-shot quantisation: sparsify first",
        order: Some("sq"),
        rounds: false,
    },
    Recipe {
        name: "qs",
        about: "quantise, then sparsify in every forward pass; activations and gradients quantised too",
        order: Some("qs"),
        rounds: true,
    },
    Recipe {
        name: "common",
        about: "quantised and sparse in every forward pass, gradients quantised, in the order that is asked for",
        order: None,
        rounds: true,
    },
];

impl Recipe {
    /// The recipe of that name, in any case.
    ///
    /// # Errors
    /// There is none.
    pub fn by_name(name: &str) -> Result<&'static Self, Error> {
        let wanted = name.trim().to_ascii_lowercase();
        RECIPES.iter().find(|recipe| recipe.name == wanted).ok_or_else(|| {
            let names = RECIPES.map(|recipe| format!("`{}`", recipe.name)).join(", ");
            let near = nearest(&wanted, RECIPES.iter().map(|recipe| recipe.name));
            let near = near.map_or_else(String::new, |near| format!("; the nearest is `{near}`"));
            Error::Invalid(format!("unknown recipe `{name}`; it is one of {names}{near}"))
        })
    }

    /// The plan of the forward passes, given the one under which the result is evaluated.
    ///
    /// # Errors
    /// The unit that rounds nothing is not there.
    pub fn training(&self, evaluated: &Plan) -> Result<Plan, Error> {
        let mut plan = evaluated.clone();
        if !self.rounds {
            plan.base = pruned_only(plan.base)?;
        }
        Ok(plan)
    }
}

/// The same pruning in FP32, multiplied by the host.
fn pruned_only(mut config: LayerConfig) -> Result<LayerConfig, Error> {
    config.weights.steps.retain(|step| matches!(step, Step::Prune(_)));
    Ok(LayerConfig { activations: Format::fp32(), datapath: Some(Datapath::by_name("fake")?), ..config })
}
