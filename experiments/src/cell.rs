//! One cell of a table: a model under one configuration, evaluated and costed by the same session.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use interplay::eval::similarity::similarity;
use interplay::eval::{Classification, Logits, Perplexity, Runner, embeddings, input, logits, strided_perplexity};
use interplay::session::Session;
use interplay_formats::Footprint;
use interplay_hw::cost::{Accelerator, CycleModel, PriceList, Runs, cost};

use crate::result::{Cell, CycleCount, Energy, FootprintBits, Metric, Provenance, SCHEMA_VERSION};
use crate::subject::{Data, Subject};
use crate::watched::{Shown, Watched};

/// The machine that a cell is costed on.
#[derive(Clone)]
pub struct Machine {
    /// Engine, memories, units.
    pub accelerator: Arc<Accelerator>,
    /// How cycles are counted.
    pub cycle_model: &'static CycleModel,
    /// What a count costs.
    pub prices: Arc<PriceList>,
}

/// A configuration by the names that results carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// The format.
    pub format: String,
    /// The sparsity pattern.
    pub sparsity: String,
    /// The order.
    pub order: String,
}

/// The dense FP32 model's result, which every other is compared to.
pub struct Baseline {
    /// The metric.
    pub metric: Metric,
    /// The logits of images, for the divergence from them.
    logits: Option<Logits>,
}

/// What an evaluation gives.
#[derive(Clone)]
pub struct Outcome {
    /// The metric by which cells are compared; lower is better, but for `spearman`.
    pub metric: Metric,
    /// Further metrics.
    pub more: Vec<Metric>,
    /// The loss of each window or image; none where a metric is of all pairs together.
    pub losses: Vec<f64>,
    logits: Option<Logits>,
}

/// A metric and the loss of each input, of the plan that the session has.
///
/// # Errors
/// The model's arithmetic overflowed, a layer cannot run under the plan, or the user asked to stop.
pub fn evaluate(subject: &Subject, session: &mut Session, baseline: Option<&Baseline>) -> Result<Outcome> {
    evaluate_on(subject, &mut Watched::new(session), baseline)
}

/// [`evaluate`], shown as the run `name`.
///
/// # Errors
/// Those of [`evaluate`].
pub fn evaluate_shown(
    subject: &Subject,
    session: &mut Session,
    baseline: Option<&Baseline>,
    (shown, name): (&Shown, &str),
) -> Result<Outcome> {
    let (input, rows) = match &subject.data {
        Data::Windows(_) => ("window", subject.window()),
        Data::Images { .. } => ("image", 1),
        Data::Pairs { .. } => ("text", 1),
    };
    evaluate_on(subject, &mut Watched::shown(session, shown, name, (subject.evaluated(), input), rows), baseline)
}

fn evaluate_on(subject: &Subject, session: &mut dyn Runner, baseline: Option<&Baseline>) -> Result<Outcome> {
    match &subject.data {
        Data::Windows(windows) => Ok(of_text(strided_perplexity(session, windows, subject.stride)?)),
        Data::Images { pixels, labels } => {
            let logits = logits(session, pixels)?;
            let reference = baseline.and_then(|b| b.logits.as_ref()).unwrap_or(&logits);
            let judged = Classification::of(&logits, labels, reference)?;
            let losses = logits.losses(labels)?;
            Ok(Outcome {
                metric: Metric::new("cross_entropy", judged.cross_entropy),
                more: more(judged),
                losses,
                logits: Some(logits),
            })
        }
        Data::Pairs { pairs, texts } => {
            let vectors = embeddings(session, &texts.values().cloned().collect::<Vec<_>>())?;
            let vectors: BTreeMap<&str, Vec<f32>> = texts.keys().map(String::as_str).zip(vectors).collect();
            let mut known = |text: &str| Ok(vectors.get(text).cloned().unwrap_or_default());
            let found = similarity(&mut known, pairs)?;
            Ok(Outcome { metric: Metric::new("spearman", found), more: Vec::new(), losses: Vec::new(), logits: None })
        }
    }
}

fn of_text(perplexity: Perplexity) -> Outcome {
    Outcome { metric: Metric::perplexity(&perplexity), more: Vec::new(), losses: perplexity.window_nll, logits: None }
}

fn more(judged: Classification) -> Vec<Metric> {
    let named = [
        ("top1", judged.top1),
        ("top5", judged.top5),
        ("kl_to_fp32", judged.kl_to_reference),
        ("agreement_with_fp32", judged.agreement),
    ];
    named.into_iter().map(|(name, estimate)| Metric::new(name, estimate)).collect()
}

impl Outcome {
    /// Makes this outcome the one that others are compared to.
    pub fn into_baseline(self) -> Baseline {
        Baseline { metric: self.metric, logits: self.logits }
    }
}

/// The cell of an outcome, with footprint, cycles and energy counted from the session that gave it.
///
/// # Errors
/// The machine has no unit for the formats, or a count overflows.
pub fn cell(
    subject: &Subject,
    session: &mut Session,
    machine: &Machine,
    labels: Labels,
    outcome: &Outcome,
    baseline: &Metric,
    seed: u64,
) -> Result<Cell> {
    let workload = session.workload(&one_input(subject, session)?)?;
    let cost = cost(&workload, &machine.accelerator, machine.cycle_model, &machine.prices)?;
    let ran = Ran::of(session)?;
    let stored = session.footprint()?.total;
    Ok(Cell {
        schema_version: SCHEMA_VERSION,
        model: subject.model_name.clone(),
        data: subject.data_name.clone(),
        window: subject.window(),
        stride: subject.stride,
        protocol: subject.protocol.map(|protocol| protocol.name.to_owned()),
        windows: subject.inputs(),
        tokens: subject.tokens(),
        format: labels.format,
        sparsity: labels.sparsity,
        order: labels.order,
        plan: None,
        machine: machine.accelerator.name.clone(),
        datapath: ran.datapath,
        runs: ran.runs,
        skips_pruned: ran.skips_pruned,
        metric: outcome.metric.clone(),
        more: outcome.more.clone(),
        fp32: baseline.clone(),
        compression: None,
        other_text: None,
        tasks: Vec::new(),
        machine_dependent: None,
        footprint_bits: bits(stored),
        cycles: CycleCount { model: cost.cycle_model.to_owned(), total: cost.total.cycles.0 },
        energy_pj: Energy { total: cost.total.energy.total.typical, prices: cost.prices.to_owned() },
        seed,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        provenance: Provenance::current(),
        checksums: subject.checksums.clone(),
    })
}

/// One window, one image or one text: the unit of work that cycles and energy are given for.
///
/// # Errors
/// The input is none of the model's.
pub fn one_input(subject: &Subject, session: &Session) -> Result<interplay::burn::Activation> {
    Ok(match &subject.data {
        Data::Windows(windows) => input::tokens(session.checkpoint(), &windows[0], windows[0].len())?,
        Data::Images { pixels, labels } => input::images(session.checkpoint(), &pixels[..pixels.len() / labels.len()])?,
        Data::Pairs { pairs, texts } => {
            let ids = pairs.first().and_then(|pair| texts.get(&pair.first)).map_or(&[][..], Vec::as_slice);
            input::text(session.checkpoint(), ids, &vec![0; ids.len()], ids.len())?
        }
    })
}

/// What ran the products of a session, as results name it.
pub struct Ran {
    /// The datapaths, joined by `+`.
    pub datapath: String,
    /// Whose arithmetic that is, joined by `+`.
    pub runs: String,
    /// Whether pruned weights were left out everywhere; none where nothing is pruned.
    pub skips_pruned: Option<bool>,
}

impl Ran {
    /// Under the session's plan.
    ///
    /// # Errors
    /// A layer cannot be prepared under it.
    pub fn of(session: &mut Session) -> Result<Self> {
        let placements = session.placements()?;
        let joined = |names: Vec<&str>| {
            let names: std::collections::BTreeSet<&str> = names.into_iter().collect();
            names.into_iter().collect::<Vec<_>>().join("+")
        };
        let mut runs: Vec<Runs> = placements.iter().map(|p| p.run.runs).collect();
        runs.sort_unstable();
        runs.dedup();
        let datapath = joined(placements.iter().map(|p| p.datapath).collect());
        let mut pruned = placements.iter().filter(|p| p.pruned).peekable();
        let skips_pruned = pruned.peek().is_some().then(|| pruned.all(|p| p.run.skip.is_some()));
        Ok(Self {
            datapath: if datapath.is_empty() { "fake".to_owned() } else { datapath },
            runs: runs.into_iter().map(Runs::name).collect::<Vec<_>>().join("+"),
            skips_pruned,
        })
    }
}

/// A footprint as results have it.
pub fn bits(f: Footprint) -> FootprintBits {
    FootprintBits { values: f.values, scales: f.scales, metadata: f.metadata, other: f.other, total: f.total() }
}
