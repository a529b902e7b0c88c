//! A compressed model in memory: what a session runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::finished::Finished;
use super::report::LayerReport;
use super::run::{Store, Streams};
use crate::Error;
use crate::burn::Stage;
use crate::compress::Layer;
use crate::formats::Format;
use crate::hw::Datapath;
use crate::models::{Checkpoint, Input, Task};
use crate::plan::{LayerConfig, Plan, Preset, Rule};

/// Every finished block of a model.
#[derive(Debug, Clone, Default)]
pub struct Compressed {
    /// The compressed layers, by name.
    pub layers: BTreeMap<String, Arc<Layer>>,
    /// The vectors that changed, by path.
    pub vectors: BTreeMap<String, Vec<f32>>,
    /// A line a layer, in execution order.
    pub reports: Vec<LayerReport>,
    /// Bytes that the calibration of the largest block held.
    pub bytes: u64,
}

impl Compressed {
    /// Adds a finished block.
    pub fn add(&mut self, finished: Finished) {
        self.layers.extend(finished.layers.into_iter().map(|(name, layer)| (name, Arc::new(layer))));
        self.vectors.extend(finished.vectors);
        self.reports.extend(finished.reports);
        self.bytes = self.bytes.max(finished.bytes);
    }

    /// The plan under which a session of [`Compressed::checkpoint`] runs these weights; every other layer is left to the host.
    pub fn plan(&self, activations: &'static Format, datapath: Option<&'static Datapath>) -> Plan {
        let rule = |(name, layer): (&String, &Arc<Layer>)| Rule {
            glob: name.clone(),
            config: Some(LayerConfig::of_layer(layer.clone(), activations, datapath)),
        };
        let rules = self.layers.iter().map(rule).collect();
        Plan { rules, ..Plan::new(Preset::None, LayerConfig::fp32()) }
    }

    /// `base` with the vectors that changed.
    pub fn checkpoint(&self, base: Arc<dyn Checkpoint>) -> Arc<dyn Checkpoint> {
        if self.vectors.is_empty() { base } else { Arc::new(Changed { base, vectors: self.vectors.clone() }) }
    }

    /// The share of zeros among all compressed weights.
    pub fn sparsity(&self) -> f64 {
        let (zeros, all) = self.layers.values().fold((0.0, 0.0), |(zeros, all), layer| {
            let count = layer.values.len() as f64;
            (zeros + layer.sparsity() * count, all + count)
        });
        zeros / f64::max(all, 1.0)
    }
}

impl Store for Compressed {
    fn resume(&mut self) -> Result<Option<(usize, Streams)>, Error> {
        Ok(None)
    }

    fn keep(&mut self, _index: usize, finished: Finished, _streams: &Streams) -> Result<(), Error> {
        self.add(finished);
        Ok(())
    }
}

/// A checkpoint with other values in some vectors.
struct Changed {
    base: Arc<dyn Checkpoint>,
    vectors: BTreeMap<String, Vec<f32>>,
}

impl Checkpoint for Changed {
    fn architecture(&self) -> &str {
        self.base.architecture()
    }

    fn task(&self) -> Task {
        self.base.task()
    }

    fn input(&self) -> Input {
        self.base.input()
    }

    fn stages(&self) -> usize {
        self.base.stages()
    }

    fn stage(&self, index: usize) -> Result<Box<dyn Stage>, Error> {
        self.base.stage(index)?.replaced(&mut |path, _| Ok(self.vectors.get(path).cloned()))
    }
}
