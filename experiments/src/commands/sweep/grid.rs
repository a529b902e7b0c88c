//! The file of a sweep: what is costed, on what, and which fields take which values.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use interplay::burn::Backend;
use interplay::plan::{LayerConfig, Plan, Preset};
use interplay::session::Session;
use interplay_formats::{Format, Order, Pattern};
use interplay_hw::cost::{Accelerator, Layer, Workload};
use serde::Deserialize;
use toml::Value;

use crate::commands::cost::{Shape, machine_of};
use crate::commands::trace::one_sequence;
use crate::subject::open_model;
use crate::watched;

/// Points of a grid at most; the numbers of each are held in memory.
const MOST: usize = 2_000_000;

/// Axes that are no field of a machine.
const OWN: [&str; 5] = ["accelerator", "format", "weights", "activations", "sparsity"];
/// Those of them that say how operands are stored.
const STORED: [&str; 4] = ["format", "weights", "activations", "sparsity"];

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Products `MxKxN`.
    #[serde(default)]
    gemm: Vec<String>,
    /// Or a model.
    model: Option<String>,
    /// Tokens of its sequence.
    window: Option<usize>,
    /// The machine whose fields the grid changes.
    #[serde(default = "default_machine")]
    accelerator: String,
    /// The price list.
    #[serde(default = "default_prices")]
    pub prices: String,
    /// The cycle model; the machine's own where nothing is said.
    pub cycle_model: Option<String>,
    /// The objectives of the front.
    #[serde(default = "default_objectives")]
    pub minimise: Vec<String>,
    /// Fields and the values that they take.
    grid: BTreeMap<String, Vec<Value>>,
}

fn default_machine() -> String {
    "systolic-128-sparse24".to_owned()
}

fn default_prices() -> String {
    "horowitz45".to_owned()
}

fn default_objectives() -> Vec<String> {
    ["energy_pj", "seconds", "area_mm2"].map(str::to_owned).into()
}

/// One point of the grid.
pub struct Point {
    /// The machine.
    pub machine: Arc<Accelerator>,
    /// How operands are stored.
    pub stored: Stored,
}

/// How operands are stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stored {
    weights: String,
    activations: String,
    sparsity: String,
}

impl Stored {
    /// As the axes say, dense FP32 where they do not.
    fn of(values: &[(&str, &Value)]) -> Self {
        let own = |name: &str| values.iter().find(|(axis, _)| *axis == name).map(|(_, value)| text(value));
        let format = own("format").unwrap_or_else(|| "fp32".to_owned());
        Self {
            weights: own("weights").unwrap_or_else(|| format.clone()),
            activations: own("activations").unwrap_or(format),
            sparsity: own("sparsity").unwrap_or_else(|| "dense".to_owned()),
        }
    }
}

/// A value without quotes.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The values that the axes have in the combination of that index, the last axis fastest.
fn combination<'a>(axes: &[(&'a String, &'a Vec<Value>)], mut index: usize) -> Vec<(&'a str, &'a Value)> {
    let mut values = Vec::with_capacity(axes.len());
    for (axis, of_axis) in axes.iter().rev() {
        values.push((axis.as_str(), &of_axis[index % of_axis.len()]));
        index /= of_axis.len();
    }
    values.reverse();
    values
}

impl File {
    /// The file of a text.
    ///
    /// # Errors
    /// A text that is no grid, with the place.
    pub fn read(text: &str) -> Result<Self> {
        let file: Self = toml::from_str(text)?;
        ensure!(file.gemm.is_empty() != file.model.is_none(), "give either `gemm` or `model`");
        ensure!(file.minimise.len() >= 2, "`minimise` needs two objectives at least");
        if let Some((axis, _)) = file.grid.iter().find(|(_, values)| values.is_empty()) {
            bail!("axis `{axis}` has no values");
        }
        Ok(file)
    }

    /// The names of the axes, in the order of labels.
    pub fn axes(&self) -> Vec<String> {
        self.grid.keys().cloned().collect()
    }

    /// The axis that figures colour by: the format, else the first one.
    pub fn hue(&self) -> &str {
        let of_format = ["format", "weights"].into_iter().find(|name| self.grid.contains_key(*name));
        of_format.or(self.grid.keys().next().map(String::as_str)).unwrap_or_default()
    }

    /// The value of that axis in a point.
    pub fn hue_of(&self, index: usize) -> String {
        let values = self.values(index);
        values.iter().find(|(axis, _)| *axis == self.hue()).map(|(_, value)| text(value)).unwrap_or_default()
    }

    /// The value of each axis in a point, in the order of axes.
    pub fn labels(&self, index: usize) -> Vec<String> {
        self.values(index).into_iter().map(|(_, value)| text(value)).collect()
    }

    /// How many points there are. The values of every axis are tried, the others at their first, so that a wrong one is refused
    /// before any work.
    ///
    /// # Errors
    /// A field that the machine does not have, a value that it cannot have, too many points.
    pub fn count(&self) -> Result<usize> {
        let count = self.grid.values().try_fold(1usize, |count, values| count.checked_mul(values.len()));
        let Some(count) = count.filter(|count| *count <= MOST) else { bail!("a grid has at most {MOST} points") };
        let mut step = count;
        for values in self.grid.values() {
            step /= values.len();
            for at in 0..values.len() {
                self.point(at * step, &mut BTreeMap::new())?;
            }
        }
        Ok(count)
    }

    /// The values of a point, the last axis fastest.
    fn values(&self, index: usize) -> Vec<(&str, &Value)> {
        combination(&self.grid.iter().collect::<Vec<_>>(), index)
    }

    /// One point. Points differ in few fields of their machines, which `machines` keeps for the next ones.
    ///
    /// # Errors
    /// A value that the machine cannot have beside the others.
    pub fn point(&self, index: usize, machines: &mut BTreeMap<String, Arc<Accelerator>>) -> Result<Point> {
        let values = self.values(index);
        let own = |name: &str| values.iter().find(|(axis, _)| *axis == name).map(|(_, value)| text(value));
        let fields: Vec<_> = values.iter().filter(|(axis, _)| !OWN.contains(axis)).collect();
        let name = own("accelerator").unwrap_or_else(|| self.accelerator.clone());
        let key = format!("{name} {fields:?}");
        let machine = match machines.get(&key) {
            Some(machine) => Arc::clone(machine),
            None => {
                let mut machine = machine_of(&name)?;
                for (path, value) in fields {
                    machine = machine.with(path, (*value).clone()).with_context(|| format!("axis `{path}`"))?;
                }
                let machine = Arc::new(machine);
                machines.insert(key, Arc::clone(&machine));
                machine
            }
        };
        Ok(Point { machine, stored: Stored::of(&values) })
    }

    /// What the points compute, one for each way in which operands are stored.
    ///
    /// # Errors
    /// An unknown format or pattern, a model that cannot be opened.
    pub fn workloads(&self) -> Result<BTreeMap<Stored, Workload>> {
        let axes: Vec<_> = self.grid.iter().filter(|(axis, _)| STORED.contains(&axis.as_str())).collect();
        let mut session = self.model.as_deref().map(|model| self.session(model)).transpose()?;
        let mut known = BTreeMap::new();
        for index in 0..axes.iter().map(|(_, values)| values.len()).product() {
            let stored = Stored::of(&combination(&axes, index));
            let workload = self.workload(&stored, session.as_mut())?;
            known.insert(stored, workload);
        }
        Ok(known)
    }

    fn session(&self, model: &str) -> Result<(Session, interplay::burn::Activation)> {
        let (model, _) = open_model(model, &mut Default::default())?;
        let (input, _) = one_sequence(&*model.checkpoint, self.window)?;
        Ok((watched::session(crate::host::on(Backend::default()), &model.checkpoint)?, input))
    }

    fn workload(
        &self,
        stored: &Stored,
        session: Option<&mut (Session, interplay::burn::Activation)>,
    ) -> Result<Workload> {
        let (weights, activations) = (Format::by_name(&stored.weights)?, Format::by_name(&stored.activations)?);
        let pattern: Pattern = stored.sparsity.parse()?;
        if let Some((session, input)) = session {
            let config = LayerConfig { activations, ..LayerConfig::new(weights, pattern, Order::Sq)? };
            session.set_plan(Plan::new(Preset::default(), config))?;
            // Shapes alone: nothing ran, so that every machine of the grid may be counted.
            return Ok(session.workload(input)?.uncomputed());
        }
        let layers = self.gemm.iter().map(|text| {
            let gemm = text.parse::<Shape>()?.gemm();
            Ok(Layer::sparse(gemm, weights, activations.for_activations(), pattern)?)
        });
        Ok(layers.collect::<Result<Vec<_>>>()?.into())
    }
}
