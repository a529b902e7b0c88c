//! The run: it begins or goes on, trains, keeps checkpoints, and writes the model.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use burn::module::Module;
use burn::tensor::Device;
use serde_json::{Value, json};

use super::checkpoint::{self, Checkpoints, Sums, same_run};
use super::digits::{Digits, Viewer};
use super::learner::Learner;
use super::measure::{HeldOut, Measured};
use super::settings::{Masks, Settings};
use super::start::Start;
use super::teacher::{Teacher, loss};
use super::text::{Decoder, Text};
use super::trainee::{Divergence, Trainee};
use crate::Error;
use crate::emu::{Emulation, Layers};
use crate::files;
use crate::load::SafeTensors;
use crate::load::hf::Tensors;
use crate::load::text::sha256;
use crate::plan::Plan;
use crate::train::engine::Dropout;
use crate::train::export::{json_bytes, parameters, safetensors_bytes};
use crate::train::{Point, Progress, loss_csv};

/// The file that is written last, and says what made the folder.
pub const CARD: &str = "finetune.json";
/// The files that make a folder a model.
const MODEL: [&str; 2] = ["config.json", "model.safetensors"];

/// A model with its data.
pub struct Subject {
    /// The model.
    pub start: Start,
    /// What it is trained and judged on.
    pub data: Data,
    /// The sha256 of the data, by name.
    pub checksums: BTreeMap<String, String>,
}

/// Training and held-out data.
pub enum Data {
    /// For decoders.
    Text(Text),
    /// For vision transformers.
    Digits(Digits),
}

/// What happens during a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event {
    /// The weights of the beginning (or of the end) are measured.
    Measuring {
        /// Whether training is over.
        after: bool,
    },
    /// An unfinished run goes on behind this step.
    Resumed {
        /// Steps done.
        step: usize,
    },
    /// Training begins.
    Training,
    /// A step was taken.
    Step(Progress),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// With a model in the folder.
    Finished(Box<Finished>),
    /// On request; a checkpoint is kept.
    Stopped {
        /// Steps done.
        step: usize,
    },
    /// Something was not finite; the last good checkpoint is kept.
    Diverged {
        /// What, at which step, and why where it is known.
        reason: String,
        /// The step of the last checkpoint, if there is one.
        kept: Option<usize>,
    },
}

/// A run that went to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// Number of parameters.
    pub parameters: usize,
    /// The weights that the run started from.
    pub before: Measured,
    /// The trained ones.
    pub after: Measured,
    /// The loss curve.
    pub curve: Vec<Point>,
    /// The sha256 of the files written, by name.
    pub files: BTreeMap<String, String>,
}

/// Everything that decides a run's result, by which folders know their run.
///
/// # Errors
/// The settings have no JSON form.
pub fn identity(settings: &Settings, subject: &Subject) -> Result<Value, Error> {
    let inputs: BTreeMap<&str, &str> =
        (subject.start.checksums.iter().map(|(name, sum)| (name.as_str(), sum.as_str())))
            .chain(subject.checksums.iter().map(|(name, sum)| (name.as_str(), sum.as_str())))
            .collect();
    let settings = serde_json::to_value(settings).map_err(|error| Error::Invalid(format!("JSON: {error}")))?;
    Ok(json!({ "versions": crate::train::versions(), "settings": settings, "checksums": inputs }))
}

/// What the folder `out` says of itself where the run `identity` was finished there.
///
/// # Errors
/// It holds another run, and how that differs.
pub fn finished(out: &Path, identity: &Value) -> Result<Option<Value>, Error> {
    let path = out.join(CARD);
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
    let card: Value = serde_json::from_slice(&text)
        .map_err(|error| Error::Malformed { path: path.clone(), problem: format!("this is not JSON: {error}") })?;
    let parts = ["versions", "settings", "checksums"].map(|part| (part.to_owned(), card[part].clone()));
    same_run(&path, &Value::Object(parts.into_iter().collect()), identity)?;
    checkpoint::remove(out)?;
    Ok(Some(card))
}

/// Writes what the folder says of itself, by which the run is finished; its checkpoints go.
///
/// # Errors
/// The folder cannot be written.
pub fn finish(out: &Path, card: &Value) -> Result<(), Error> {
    files::write(&out.join(CARD), &json_bytes(card)?)?;
    checkpoint::remove(out)
}

/// Removes a run, finished or not, from `out`; a folder without one is left as it is.
///
/// # Errors
/// Something cannot be removed.
pub fn discard(out: &Path) -> Result<(), Error> {
    if out.join(CARD).is_file() || checkpoint::are_in(out) {
        // The card goes last: without it nobody would know whose the other files are.
        for path in MODEL.into_iter().chain([CARD]).map(|name| out.join(name)).filter(|path| path.exists()) {
            std::fs::remove_file(&path).map_err(|source| Error::Io { path, source })?;
        }
    }
    checkpoint::remove(out)
}

/// Fine-tunes in the folder `out`, going on where checkpoints of the same run are there.
///
/// `report` sees every event and may stop the run after a step by returning `false`.
///
/// # Errors
/// The settings, the model and the data do not go together; the folder holds another run or another's model; it cannot be written.
pub fn run(
    settings: &Settings,
    subject: &Subject,
    out: &Path,
    report: &mut dyn FnMut(Event) -> bool,
) -> Result<Outcome, Error> {
    settings.check()?;
    let config = subject.start.config.clone();
    let typed =
        |error| Error::Malformed { path: "config.json".into(), problem: format!("a key has the wrong type: {error}") };
    let job = Job { settings, subject, out };
    match (subject.start.architecture(), &subject.data) {
        ("opt", Data::Text(text)) => {
            let decoder = Decoder::new(serde_json::from_value(config).map_err(typed)?, text, settings)?;
            job.run(&decoder, &HeldOut::Windows(decoder.windows()), report)
        }
        ("vit", Data::Digits(digits)) => {
            let viewer = Viewer::new(serde_json::from_value(config).map_err(typed)?, digits, settings)?;
            let (pixels, labels) = viewer.images();
            job.run(&viewer, &HeldOut::Images(pixels, labels), report)
        }
        (architecture, _) => Err(Error::Invalid(format!("architecture `{architecture}` is not trained on these data"))),
    }
}

/// One run.
struct Job<'a> {
    settings: &'a Settings,
    subject: &'a Subject,
    out: &'a Path,
}

impl Job<'_> {
    fn run<L: Learner>(
        &self,
        learner: &L,
        held_out: &HeldOut,
        report: &mut dyn FnMut(Event) -> bool,
    ) -> Result<Outcome, Error> {
        let (settings, start) = (self.settings, &self.subject.start);
        let mut checkpoints = Checkpoints::open(self.out, &identity(settings, self.subject)?)?;
        self.refuse_others()?;
        let plan = settings.plan()?;
        report(Event::Measuring { after: false });
        let before = held_out.measure(&start.config, Arc::clone(&start.weights), &plan)?;
        let device = Device::flex().autodiff();
        let emulated = Emulated::default();
        let layers = emulated.layers(settings, &plan, L::ARCHITECTURE)?;
        let mut trainee = Trainee::new(learner.model(&*start.weights, &device, &layers)?, device, settings);
        let mut sums = Sums::default();
        if let Some((step, kept, file)) = checkpoints.newest()? {
            trainee.restore(step, &file)?;
            sums = kept;
            report(Event::Resumed { step });
        }
        report(Event::Training);
        if let Some(stop) = self.train(learner, &mut trainee, &mut sums, &mut checkpoints, report)? {
            return Ok(match stop {
                Stop::Asked => Outcome::Stopped { step: trainee.step() },
                Stop::NotFinite(what) => {
                    let reason = emulated.failure().map_or(what.clone(), |why| format!("{what}: {why}"));
                    Outcome::Diverged { reason, kept: checkpoints.step() }
                }
            });
        }
        report(Event::Measuring { after: true });
        let tensors = parameters(trainee.model(), L::PREFIX);
        let bytes = safetensors_bytes(&tensors)?;
        let weights = Tensors::single(SafeTensors::from_bytes("model.safetensors", bytes.clone())?)?;
        let after = held_out.measure(&start.config, Arc::new(weights), &plan)?;
        let files = self.write(bytes, &sums.curve)?;
        let parameters = trainee.model().num_params();
        Ok(Outcome::Finished(Box::new(Finished { parameters, before, after, curve: sums.curve, files })))
    }

    /// Trains to the last step; gives why it ended before.
    fn train<L: Learner>(
        &self,
        learner: &L,
        trainee: &mut Trainee<L::Model>,
        sums: &mut Sums,
        checkpoints: &mut Checkpoints,
        report: &mut dyn FnMut(Event) -> bool,
    ) -> Result<Option<Stop>, Error> {
        let Settings { steps, evaluate_every, checkpoint_every, dropout, distill, seed, .. } = *self.settings;
        let teacher = Teacher::new(learner, &*self.subject.start.weights, distill)?;
        let loss = |shard: &L::Shard, logits: &[f32]| loss::<L>(teacher.as_ref(), shard, logits);
        let dropout = |step, shard| Dropout::new(dropout as f32, seed, step, shard);
        while trainee.step() < steps {
            let shards = learner.shards(trainee.step());
            let step = trainee.step() + 1;
            match trainee.advance(&shards, L::logits, loss, dropout) {
                Ok(loss) => sums.add(loss),
                Err(Divergence::Loss(loss)) => {
                    return Ok(Some(Stop::NotFinite(format!("the loss of step {step} is {loss}"))));
                }
                Err(Divergence::Gradient(norm)) => {
                    return Ok(Some(Stop::NotFinite(format!("the norm of the gradients of step {step} is {norm}"))));
                }
            }
            let mut point = None;
            if step.is_multiple_of(evaluate_every) || step == steps {
                let loss = learner.held_out_loss(trainee.model());
                if !loss.is_finite() {
                    return Ok(Some(Stop::NotFinite(format!("the held-out loss after step {step} is {loss}"))));
                }
                point = Some(sums.look(step, loss));
            }
            let going = report(Event::Step(Progress { step, steps, point }));
            if step.is_multiple_of(checkpoint_every) || step == steps || !going {
                if !trainee.is_finite() {
                    return Ok(Some(Stop::NotFinite(format!("a parameter after step {step} is not finite"))));
                }
                checkpoints.keep(step, sums, &trainee.state())?;
            }
            if !going {
                return Ok(Some(Stop::Asked));
            }
        }
        Ok(None)
    }

    /// Refuses a folder with a model that no run of ours is making.
    fn refuse_others(&self) -> Result<(), Error> {
        let is_model = MODEL.iter().any(|name| self.out.join(name).exists());
        if self.out.is_file() || (is_model && !self.out.join(CARD).exists() && !checkpoint::are_in(self.out)) {
            let problem =
                "this is a file, or a folder with a model that is not to be overwritten; give another folder".into();
            return Err(Error::Malformed { path: self.out.to_owned(), problem });
        }
        Ok(())
    }

    /// Writes the model's folder, its configuration last; gives the sha256 of every file.
    fn write(&self, tensors: Vec<u8>, curve: &[Point]) -> Result<BTreeMap<String, String>, Error> {
        let mut config = self.subject.start.config.clone();
        config["torch_dtype"] = json!("float32");
        let texts = self.subject.start.texts.iter().map(|(name, text)| (name.as_str(), text.clone().into_bytes()));
        let mut contents: Vec<(&str, Vec<u8>)> = texts.collect();
        contents.push(("loss.csv", loss_csv(curve).into_bytes()));
        contents.push(("model.safetensors", tensors));
        contents.push(("config.json", json_bytes(&config)?));
        let mut sums = BTreeMap::new();
        files::folder(self.out)?;
        for (name, bytes) in contents {
            files::write(&self.out.join(name), &bytes)?;
            sums.insert(name.to_owned(), sha256(&bytes));
        }
        Ok(sums)
    }
}

/// Why training ended before its last step.
enum Stop {
    /// The caller wanted it.
    Asked,
    /// What was not finite.
    NotFinite(String),
}

/// The emulations of a model's layers, to ask what went wrong.
#[derive(Default)]
struct Emulated(Arc<Mutex<Vec<Emulation>>>);

impl Emulated {
    /// The layers of a model of `architecture` in training, given the plan under which it is evaluated.
    fn layers(&self, settings: &Settings, evaluated: &Plan, architecture: &str) -> Result<Layers, Error> {
        let (plan, gradients) = (settings.recipe()?.training(evaluated)?, settings.gradient_format()?);
        if plan.base.weights.steps.is_empty() && plan.base.activations.is_exact() && !settings.recipe()?.rounds {
            return Ok(Layers::plain());
        }
        let (mask, known) = (settings.mask, Arc::clone(&self.0));
        Ok(Layers::new(plan, architecture, move |emulation, weights| {
            let emulation = gradients.map_or(emulation.clone(), |format| emulation.with_gradients(format));
            let emulation = if mask == Masks::Freeze { emulation.frozen(weights)? } else { emulation };
            known.lock().unwrap_or_else(PoisonError::into_inner).push(emulation.clone());
            Ok(emulation)
        }))
    }

    /// The first layer's reason for a value that is not finite.
    fn failure(&self) -> Option<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().find_map(|emulation| emulation.failure().map(str::to_owned))
    }
}
