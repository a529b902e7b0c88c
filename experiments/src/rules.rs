//! A plan with rules for single layers, as results carry it.

use interplay::load::text::sha256;
use interplay::plan::{LayerConfig, Plan, Rule};
use serde::{Deserialize, Serialize};

/// What a plan says beside a preset and one configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Which layers have `base` where no rule matches.
    pub preset: String,
    /// The configuration that the preset gives.
    pub base: Configured,
    /// Tried in order; the first match decides.
    pub rules: Vec<Ruled>,
    /// sha256 of the three fields above as JSON without blanks: one plan has one, however its file is written.
    #[serde(default)]
    pub sha256: String,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruled {
    /// The glob.
    #[serde(rename = "match")]
    pub glob: String,
    /// The configuration; none leaves the layer to the host.
    pub config: Option<Configured>,
}

/// A layer's configuration by names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configured {
    /// The format of the weights.
    pub weights: String,
    /// The format of the activations.
    pub activations: String,
    /// The pattern of the weights.
    pub sparsity: String,
    /// `sq`, `qs` or `none`.
    pub order: String,
    /// The unit; `auto` is the machine's own.
    pub datapath: String,
    /// The rank of the correction of what the weights lost; 0 is none.
    pub low_rank: usize,
}

impl Rules {
    /// Those of a plan; none where it has no rule.
    ///
    /// # Errors
    /// None of a plan: every field has a JSON form.
    pub fn of(plan: &Plan) -> serde_json::Result<Option<Self>> {
        if plan.rules.is_empty() {
            return Ok(None);
        }
        let rule = |rule: &Rule| Ruled { glob: rule.glob.clone(), config: rule.config.as_ref().map(Configured::of) };
        let (preset, base) = (plan.preset.name().to_owned(), Configured::of(&plan.base));
        let rules: Vec<Ruled> = plan.rules.iter().map(rule).collect();
        let sha256 = sha256(&serde_json::to_vec(&(&preset, &base, &rules))?);
        Ok(Some(Self { preset, base, rules, sha256 }))
    }
}

impl Configured {
    fn of(config: &LayerConfig) -> Self {
        Self {
            weights: config.weight_format().name.to_owned(),
            activations: config.activations.name.to_owned(),
            sparsity: config.pattern().to_string(),
            order: config.order().to_string(),
            datapath: config.datapath.map_or("auto", |unit| unit.name).to_owned(),
            low_rank: config.correction.map_or(0, |correction| correction.rank),
        }
    }
}
