//! The loop over models and cells.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use interplay::burn::Activation;
use interplay::eval::input;
use interplay::models::Checkpoint;
use interplay::plan::{LayerConfig, Plan};
use interplay::session::{Session, compare};

use super::estimate::{self, Speeds};
use super::tables::{self, Measured};
use super::{Point, Request, write};
use crate::cell::{Baseline, cell, evaluate, one_input};
use crate::interrupt;
use crate::output::sayln;
use crate::progress::{Progress, clock};
use crate::report::layers::LayerError;
use crate::subject::{Amount, Data, Subject};

/// Windows whose outputs are compared layer by layer; of images eight times as many, which are smaller.
const COMPARED: usize = 1;

/// What has been measured so far.
#[derive(Default)]
pub(super) struct Results {
    /// One list a model.
    pub(super) models: Vec<Vec<Measured>>,
    /// Per-layer errors of the cells of one pattern.
    pub(super) layers: Vec<LayerError>,
    /// What a reader must know.
    pub(super) caveats: Vec<String>,
}

pub(super) fn run(request: &Request) -> Result<ExitCode> {
    let subjects = request.subjects.iter().map(|(model, data)| {
        let amount = request.amount_for(model);
        let subject = Subject::open(model, data.as_deref(), amount)?;
        // A rank correlation is of all pairs together: there is no loss of each to compare two orders by.
        ensure!(!matches!(subject.data, Data::Pairs { .. }), "an encoder of texts has no losses; use `interplay eval`");
        Ok(subject)
    });
    let subjects = subjects
        .zip(&request.subjects)
        .map(|(subject, (model, _))| subject.with_context(|| format!("cannot study `{model}`")));
    let subjects = subjects.collect::<Result<Vec<_>>>()?;
    let kinds = subjects.iter().flat_map(|s| {
        let baseline = std::iter::once(kind(s, None));
        baseline.chain(request.points.iter().map(|p| kind(s, Some(p))))
    });
    let mut progress = Progress::new(kinds.collect::<Vec<_>>(), false);
    expect(request, &subjects, &mut progress)?;
    let mut results = Results::default();
    for subject in subjects {
        results.caveats.extend(subject.caveat.map(str::to_owned));
        let measured = model(request, subject, &mut progress, &mut results.layers);
        results.models.push(measured?);
        write::all(request, &results)?;
        if interrupt::asked() {
            break;
        }
    }
    progress.clear();
    print(request, &results)?;
    if interrupt::asked() {
        eprintln!("interrupted: {} holds the cells that were finished", request.out.display());
        return Ok(ExitCode::from(interrupt::EXIT_CODE));
    }
    Ok(ExitCode::SUCCESS)
}

/// Says what quantising will take, and lets the time left begin from it.
fn expect(request: &Request, subjects: &[Subject], progress: &mut Progress) -> Result<()> {
    let speeds = Speeds::measure(&request.points)?;
    let mut whole = Duration::ZERO;
    for subject in subjects {
        for (point, time) in request.points.iter().zip(estimate::quantising(request, subject, &speeds)?) {
            progress.expect(&kind(subject, Some(point)), time);
            whole += time;
        }
    }
    progress.note(&format!("{} cells; quantising alone takes about {}", progress.units(), clock(whole)));
    Ok(())
}

impl Request {
    fn amount_for(&self, model: &str) -> Amount {
        let quick = if model == "vit" { 10 * super::QUICK_WINDOWS } else { super::QUICK_WINDOWS };
        Amount { windows: self.amount.windows.or(self.quick.then_some(quick)), ..self.amount.clone() }
    }

    fn plan(&self, point: &Point) -> Result<Plan> {
        Ok(Plan::new(self.preset, LayerConfig::new(point.format, point.pattern, point.order)?))
    }
}

/// Cells of one kind take about the same time: those of one model and one unit.
fn kind(subject: &Subject, point: Option<&Point>) -> String {
    let unit = point.map_or("fake", |p| interplay_hw::Datapath::auto(p.format, p.format).name);
    let width = point.map_or(32, |p| p.format.element.bits());
    format!("{} {unit} {width}", subject.model_name)
}

/// All cells of one model.
fn model(
    request: &Request,
    subject: Subject,
    progress: &mut Progress,
    layers: &mut Vec<LayerError>,
) -> Result<Vec<Measured>> {
    let checkpoint: Arc<dyn Checkpoint> = Arc::clone(&subject.model.checkpoint);
    let mut session = Session::on(request.backend, checkpoint.clone(), Plan::fp32())?;
    let mut reference = Session::on(request.backend, checkpoint, Plan::fp32())?;
    progress.start(&kind(&subject, None), &format!("{} fp32", subject.model_name));
    let baseline = evaluate(&subject, &mut session, None)?.into_baseline();
    progress.finish_unit();
    let mut measured = Vec::new();
    for point in &request.points {
        if interrupt::asked() {
            break;
        }
        let labels = point.labels();
        let label = format!("{} {} {} {}", subject.model_name, labels.format, labels.sparsity, labels.order);
        progress.start(&kind(&subject, Some(point)), &label);
        let one = one_cell(request, &subject, &mut session, &baseline, point).with_context(|| label.clone())?;
        if Some(point.pattern) == request.compared && !point.format.is_exact() {
            layers.extend(layer_errors(&subject, &mut reference, &mut session, point).with_context(|| label)?);
        }
        measured.push(one);
        progress.finish_unit();
    }
    Ok(measured)
}

fn one_cell(
    request: &Request,
    subject: &Subject,
    session: &mut Session,
    baseline: &Baseline,
    point: &Point,
) -> Result<Measured> {
    session.set_plan(request.plan(point)?)?;
    let outcome = evaluate(subject, session, Some(baseline))?;
    let cell = cell(subject, session, &request.machine, point.labels(), &outcome, &baseline.metric, request.seed)?;
    Ok(Measured { cell, losses: outcome.losses })
}

/// The errors of every product before the head, on the first inputs.
fn layer_errors(
    subject: &Subject,
    reference: &mut Session,
    session: &mut Session,
    point: &Point,
) -> Result<Vec<LayerError>> {
    use interplay::eval::Runner;
    let inputs: Vec<Activation> = match &subject.data {
        Data::Windows(windows) => {
            let windows = windows.iter().take(COMPARED);
            windows.map(|w| input::tokens(session.checkpoint(), w, w.len())).collect::<Result<_, _>>()?
        }
        Data::Images { pixels, labels } => {
            let count = (8 * COMPARED).min(labels.len());
            vec![input::images(session.checkpoint(), &pixels[..pixels.len() / labels.len() * count])?]
        }
        Data::Pairs { .. } => vec![one_input(subject, session)?],
    };
    let labels = point.labels();
    let errors = compare(reference, session, &inputs)?;
    let of_layer = |e: interplay::session::LayerError| LayerError {
        model: subject.model_name.clone(),
        layer: e.layer,
        format: labels.format.clone(),
        sparsity: labels.sparsity.clone(),
        order: labels.order.clone(),
        relative: e.error,
    };
    Ok(errors.into_iter().map(of_layer).collect())
}

fn print(request: &Request, results: &Results) -> Result<()> {
    if request.json {
        for measured in results.models.iter().flatten() {
            sayln!("{}", serde_json::to_string(&measured.cell)?);
        }
        return Ok(());
    }
    for (i, model) in results.models.iter().enumerate() {
        for table in tables::all(model) {
            sayln!("{table}");
        }
        if i + 1 == results.models.len() {
            for caveat in &results.caveats {
                sayln!("note: {caveat}");
            }
        }
    }
    sayln!("wrote {}: results.jsonl, data.csv, layers.csv, figure.svg, layers.svg, caption.md", request.out.display());
    Ok(())
}
