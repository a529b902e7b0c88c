//! What quantising will take, from the speed of each format on this machine: known before the first cell has run.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use interplay::plan::{LayerConfig, Plan};
use interplay::session::Session;
use interplay_formats::{Format, Order, Pattern, bench};

use super::{Point, Request};
use crate::cell::one_input;
use crate::subject::Subject;

/// Values of the matrix on which formats are measured: more than caches hold, and milliseconds a format.
const VALUES: usize = 1 << 20;

/// Elements a second by the name of a format, on as many threads as the study has.
pub(super) struct Speeds(BTreeMap<&'static str, f64>);

impl Speeds {
    /// Measures every format of the points that rounds anything.
    ///
    /// # Errors
    /// None that a format of a study gives.
    pub(super) fn measure(points: &[Point]) -> Result<Self> {
        let mut formats: Vec<&'static Format> = points.iter().map(|p| p.format).filter(|f| !f.is_exact()).collect();
        formats.sort_by_key(|f| f.name);
        formats.dedup_by_key(|f| f.name);
        let rows = bench::measure(&formats, VALUES, rayon::current_num_threads())?;
        let fake = rows.iter().filter(|row| row.operation == "fake");
        Ok(Self(fake.map(|row| (row.format, row.elements_per_s)).collect()))
    }

    /// The time that quantising so many elements takes; none for a format that rounds nothing.
    fn time(&self, format: &Format, elements: f64) -> Duration {
        self.0.get(format.name).map_or(Duration::ZERO, |speed| Duration::from_secs_f64(elements / speed))
    }
}

/// The time that each point's cell spends on quantising: the weights once, the activations with each input. Pruning
/// changes nothing in it, because zeros are quantised too.
///
/// # Errors
/// The model cannot run under the study's plan.
pub(super) fn quantising(request: &Request, subject: &Subject, speeds: &Speeds) -> Result<Vec<Duration>> {
    let Some(point) = request.points.iter().find(|p| !p.format.is_exact()) else {
        return Ok(vec![Duration::ZERO; request.points.len()]);
    };
    let plan = Plan::new(request.preset, LayerConfig::new(point.format, Pattern::Dense, Order::None)?);
    let mut session = Session::new(subject.model.checkpoint.clone(), plan)?;
    let input = one_input(subject, &session)?;
    let workload = session.workload(&input).with_context(|| format!("cannot run `{}`", subject.model_name))?;
    let elements: f64 = workload
        .layers
        .iter()
        .map(|layer| {
            let gemm = &layer.gemm;
            let weights = if layer.weight.is_exact() { 0 } else { gemm.k * gemm.n };
            let activations = if layer.activation.is_exact() { 0 } else { gemm.m * gemm.k };
            gemm.count as f64 * (weights as f64 + activations as f64 * subject.inputs() as f64)
        })
        .sum();
    Ok(request.points.iter().map(|p| speeds.time(p.format, elements)).collect())
}
