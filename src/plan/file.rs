//! The TOML form of a plan.
//!
//! ```toml
//! preset = "paper"
//! format = "mxfp8"
//!
//! [[layer]]
//! match = "decoder.layers.*.fc2"
//! format = "hbfp8"
//! sparsity = "2:4"
//! order = "sq"
//! datapath = "block"
//! low_rank = 16
//!
//! [[layer]]
//! match = "decoder.layers.0.*"
//! host = true
//! ```

use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::{Correction, LayerConfig, Plan, Preset, Rule};
use crate::Error;
use crate::formats::{Format, Order, Pattern, Pipeline};
use crate::hw::Datapath;

/// A configuration by names, as files and command lines give it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct LayerSpec {
    /// The format of weights and activations; `fp32` where it is left out.
    pub format: Option<String>,
    /// The format of the weights alone.
    pub weights: Option<String>,
    /// The format of the activations alone.
    pub activations: Option<String>,
    /// The pattern of the weights; `dense` where it is left out.
    pub sparsity: Option<String>,
    /// `sq` or `qs`; needed where weights are both pruned and quantised.
    pub order: Option<String>,
    /// The unit; `auto` where it is left out.
    pub datapath: Option<String>,
    /// The rank of the correction of what the weights lost; none where it is left out.
    #[serde(deserialize_with = "rank")]
    pub low_rank: Option<usize>,
}

impl LayerSpec {
    /// Looks the names up.
    ///
    /// # Errors
    /// An unknown format, pattern, order or datapath, with the nearest known name; an order is missing.
    pub fn resolve(&self) -> Result<LayerConfig, Error> {
        let format = |name: &Option<String>| {
            let name = name.as_ref().or(self.format.as_ref());
            name.map_or(Ok(Format::fp32()), |name| Format::by_name(name))
        };
        let pattern = self.sparsity.as_deref().map_or(Ok(Pattern::Dense), Pattern::from_str)?;
        let order = self.order.as_deref().map_or(Ok(Order::None), Order::from_str)?;
        let datapath = match self.datapath.as_deref() {
            None => None,
            Some(name) if name.trim().eq_ignore_ascii_case("auto") => None,
            Some(name) => Some(Datapath::by_name(name)?),
        };
        Ok(LayerConfig {
            weights: Pipeline::ordered(order, pattern, format(&self.weights)?)?,
            activations: format(&self.activations)?,
            datapath,
            given: None,
            correction: self.low_rank.filter(|rank| *rank > 0).map(|rank| Correction { rank }),
        })
    }
}

/// A rank that says what it must be: from inside a flattened table an error does not name its key.
fn rank<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    let given = toml::Value::deserialize(deserializer)?;
    let rank = given.as_integer().and_then(|rank| usize::try_from(rank).ok());
    rank.map(Some).ok_or_else(|| D::Error::custom(format!("`low_rank` is {given}, not a whole number from 0")))
}

/// The whole file.
#[derive(Deserialize)]
struct PlanFile {
    preset: Option<String>,
    #[serde(default, rename = "layer")]
    layers: Vec<RuleFile>,
    #[serde(flatten)]
    base: LayerSpec,
}

/// One `[[layer]]`.
#[derive(Deserialize)]
struct RuleFile {
    #[serde(rename = "match")]
    glob: String,
    #[serde(default)]
    host: bool,
    #[serde(flatten)]
    config: LayerSpec,
}

/// The keys that a table may have: a misspelt one is refused, since a flattened table cannot refuse it by itself.
const BASE_KEYS: [&str; 9] =
    ["preset", "layer", "format", "weights", "activations", "sparsity", "order", "datapath", "low_rank"];
const RULE_KEYS: [&str; 9] =
    ["match", "host", "format", "weights", "activations", "sparsity", "order", "datapath", "low_rank"];

impl Plan {
    /// Reads the TOML form.
    ///
    /// # Errors
    /// Text that is no TOML, an unknown key or name.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let table: toml::Table = text.parse().map_err(|e| Error::Invalid(format!("a plan must be TOML: {e}")))?;
        check_keys(&table, &BASE_KEYS)?;
        for rule in table.get("layer").and_then(toml::Value::as_array).into_iter().flatten() {
            rule.as_table().map_or(Ok(()), |rule| check_keys(rule, &RULE_KEYS))?;
        }
        let file = PlanFile::deserialize(table).map_err(|e| Error::Invalid(format!("a plan cannot be read: {e}")))?;
        let preset = file.preset.as_deref().map_or(Ok(Preset::default()), Preset::by_name)?;
        let rule = |rule: RuleFile| {
            let config = if rule.host { None } else { Some(rule.config.resolve()?) };
            Ok(Rule { glob: rule.glob, config })
        };
        let rules = file.layers.into_iter().map(rule).collect::<Result<_, Error>>()?;
        Ok(Self { rules, ..Self::new(preset, file.base.resolve()?) })
    }
}

fn check_keys(table: &toml::Table, allowed: &[&str]) -> Result<(), Error> {
    match table.keys().find(|key| !allowed.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => {
            Err(Error::Invalid(format!("unknown key `{key}` in a plan; the keys there are {}", allowed.join(", "))))
        }
    }
}
