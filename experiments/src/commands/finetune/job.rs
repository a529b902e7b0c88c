//! The run: what is opened, what is shown on the way, what is written at the end.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use interplay::train::finetune::{
    Event, Finished, Outcome, Settings, Subject, discard, finish, finished, identity, run as fine_tune,
};
use serde_json::{Value, json};

use super::{Args, data, figure, show};
use crate::interrupt;
use crate::output::write_atomic;
use crate::progress::Progress;
use crate::result::{BURN_GRADIENTS, Provenance, SCHEMA_VERSION};

/// The exit code of a run whose loss or gradient was not finite.
const DIVERGED: u8 = 1;

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let start = data::start(&args.model)?;
    let settings = args.settings(&data::defaults(&start))?;
    let subject = data::subject(&args.model, args.data.as_deref(), start)?;
    let out = out(args);
    if args.restart {
        discard(&out)?;
    }
    let identity = identity(&settings, &subject)?;
    if let Some(card) = finished(&out, &identity)? {
        eprintln!("the run in {} is finished; --restart begins it anew", out.display());
        show::print(args, &card, &out)?;
        return Ok(ExitCode::SUCCESS);
    }
    interrupt::keep("checkpoints are kept; the same command goes on from the last one".to_owned());
    match drive(args, &settings, &subject, &out)? {
        Outcome::Finished(done) => {
            let card = card(&identity, &settings, &done, &out)?;
            finish(&out, &card)?;
            show::print(args, &card, &out)?;
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Stopped { step } => {
            eprintln!("interrupted after step {step} of {}; the same command goes on from there", settings.steps);
            Ok(interrupt::code().unwrap_or(ExitCode::SUCCESS))
        }
        Outcome::Diverged { reason, kept } => {
            let left = match kept {
                Some(step) => format!("the checkpoint of step {step} is kept in {}", out.display()),
                None => "no checkpoint was written yet".to_owned(),
            };
            eprintln!("stopped: {reason}; {left}. A lower --rate or --clip, or a wider format, may help");
            Ok(ExitCode::from(DIVERGED))
        }
    }
}

fn out(args: &Args) -> PathBuf {
    let name = Path::new(&args.model).file_name().map_or_else(|| "model".into(), |name| name.to_string_lossy());
    args.out.clone().unwrap_or_else(|| Path::new("finetuned").join(format!("{name}-{}", args.recipe.name)))
}

/// Trains, with a progress bar and the time that a step takes.
fn drive(args: &Args, settings: &Settings, subject: &Subject, out: &Path) -> Result<Outcome> {
    let mut progress = Progress::new((0..settings.steps).map(|_| "step".to_owned()), args.json);
    let mut clock = Clock { since: Instant::now(), total: Duration::ZERO, steps: 0 };
    let mut report = |event: Event| {
        match event {
            Event::Measuring { after: false } => progress.say("measuring the weights to start from"),
            Event::Measuring { after: true } => progress.say("measuring the trained weights"),
            Event::Resumed { step } => {
                progress.note(&format!("going on after step {step} of {}", settings.steps));
                progress.skip("step", u32::try_from(step).unwrap_or(u32::MAX));
            }
            Event::Training => {
                clock.since = Instant::now();
                progress.start("step", "training");
            }
            Event::Step(now) => {
                progress.finish_unit();
                progress.start("step", "training");
                let each = clock.step(now.point.is_none());
                if let Some(point) = now.point {
                    progress.note(&format!(
                        "step {}: training loss {:.4}, held-out loss {:.4}{each}",
                        point.step, point.train_loss, point.held_out_loss
                    ));
                }
            }
        }
        !interrupt::asked()
    };
    let outcome = fine_tune(settings, subject, out, &mut report);
    progress.clear();
    Ok(outcome?)
}

/// The time of steps that did nothing else.
struct Clock {
    since: Instant,
    total: Duration,
    steps: u32,
}

impl Clock {
    /// A step ends, which counts where it was `plain`; gives the mean so far, as text.
    fn step(&mut self, plain: bool) -> String {
        let now = Instant::now();
        if plain {
            self.total += now - self.since;
            self.steps += 1;
        }
        self.since = now;
        let mean = self.total.checked_div(self.steps);
        mean.map_or_else(String::new, |mean| format!(", {:.0} ms a step", mean.as_secs_f64() * 1e3))
    }
}

/// What the folder says of itself; beside it the picture of the losses.
fn card(identity: &Value, settings: &Settings, done: &Finished, out: &Path) -> Result<Value> {
    write_atomic(&out.join("loss.svg"), figure::losses(settings, &done.curve).svg().as_bytes())?;
    Ok(json!({
        "schema_version": SCHEMA_VERSION,
        "version": env!("CARGO_PKG_VERSION"),
        "versions": identity["versions"],
        "settings": identity["settings"],
        "checksums": identity["checksums"],
        "cpu_features": Provenance::current().cpu_features,
        "machine_dependent": BURN_GRADIENTS,
        "seed": settings.seed,
        "parameters": done.parameters,
        "before": done.before,
        "after": done.after,
        "curve": done.curve,
        "files_sha256": done.files,
    }))
}
