//! The run: what is opened, what is kept on the way, what is written at the end.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use interplay::compression::{Calibration, Event, Export, Folder, LENGTH, Options, Origin, Outcome, compress};
use interplay::load::Model;
use interplay::models::{Input, embedded};
use serde_json::json;

use super::{Args, recipe, show};
use crate::interrupt;
use crate::progress::{Progress, Waiting};
use crate::result::Provenance;
use crate::subject::{Checksums, calibration_ids, locate_model, open_model};

/// Where an unfinished run keeps its blocks.
const PARTIAL: &str = ".partial";
/// Where the packed form goes.
const PACKED: &str = "packed";

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let recipe = recipe(&args.pipeline)?;
    let mut checksums = BTreeMap::new();
    let (model, caveat) = open_model(&args.model, &mut checksums)?;
    let calibration = calibration(args, &model, &mut checksums)?;
    let options = Options { recipe, stream: args.stream, host: crate::host::chosen() };
    let mut card = card(args, &options, &calibration, &checksums);
    let origin = match args.model.as_str() {
        "lm" => Origin::Embedded(embedded::lm()),
        name => Origin::of(&locate_model(name)?),
    };
    // What would be refused at the end is refused before anything is done.
    refuse_files(&args.out)?;
    origin.may_be_written_to(&args.out)?;
    origin.may_be_written_to(&args.out.join(PACKED))?;
    let partial = args.out.join(PARTIAL);
    if args.restart && partial.join(Folder::COUNT).exists() {
        std::fs::remove_dir_all(&partial).with_context(|| format!("cannot remove {}", partial.display()))?;
    }
    let mut folder = Folder::open(&partial, &card["run"].to_string())?;
    interrupt::keep("the blocks that were finished are kept; the same command goes on from there".to_owned());
    let blocks = model.checkpoint.stages().saturating_sub(2);
    if folder.blocks() > 0 {
        eprintln!("going on behind block {} of {blocks}", folder.blocks());
    }
    let mut progress = Progress::new((folder.blocks()..blocks).map(|_| "block".to_owned()), args.json);
    let outcome = drive(&model, &calibration, &options, &mut folder, &mut progress);
    progress.clear();
    if let Outcome::Stopped(done) = outcome? {
        eprintln!("interrupted behind block {done} of {blocks}; the same command goes on from there");
        return Ok(interrupt::code().unwrap_or(ExitCode::SUCCESS));
    }
    let mut reports = Vec::new();
    for index in 0..folder.blocks() {
        reports.extend(folder.block(index)?.reports);
    }
    card["layers"] = serde_json::to_value(&reports)?;
    let writing = Waiting::on(format!("writing {}", args.out.display()));
    let export = Export { origin: &origin, blocks: &folder, card: &card };
    export.write(&args.out.join(PACKED), true)?;
    export.write(&args.out, false)?;
    folder.remove()?;
    drop(writing);
    show::print(args, &options.recipe, &card, &reports, caveat.as_deref())?;
    Ok(ExitCode::SUCCESS)
}

fn calibration(args: &Args, model: &Model, checksums: &mut Checksums) -> Result<Calibration> {
    let ids = calibration_ids(&args.model, model, args.calibration.as_deref(), checksums)?;
    let Input::Tokens { longest, .. } = model.checkpoint.input() else {
        bail!("only language models can be compressed")
    };
    let length = args.length.unwrap_or(LENGTH.min(longest));
    if length > longest {
        bail!("--length {length} is more than the model takes; it takes at most {longest} tokens");
    }
    Ok(Calibration::draw(&ids, args.samples, length, args.seed)?)
}

/// What the folder says of itself; under `run` everything that decides the result.
fn card(args: &Args, options: &Options, calibration: &Calibration, checksums: &Checksums) -> serde_json::Value {
    let run = json!({
        "model": args.model,
        "pipeline": options.recipe.to_string(),
        "calibration": args.calibration,
        "samples": calibration.samples(),
        "length": calibration.length(),
        "seed": args.seed,
        "stream": format!("{:?}", options.stream).to_lowercase(),
        "version": env!("CARGO_PKG_VERSION"),
        "checksums": checksums,
    });
    let mut card =
        json!({ "schema_version": crate::result::SCHEMA_VERSION, "run": run, "provenance": Provenance::current() });
    if options.recipe.needs_gradients() {
        card["machine_dependent"] = json!(crate::result::BURN_GRADIENTS);
    }
    card
}

fn refuse_files(out: &Path) -> Result<()> {
    if out.is_file() {
        bail!("{} is a file; give a folder", out.display());
    }
    Ok(())
}

fn drive(
    model: &Model,
    calibration: &Calibration,
    options: &Options,
    folder: &mut Folder,
    progress: &mut Progress,
) -> Result<Outcome> {
    let mut label = String::new();
    let mut begun = false;
    let mut observe = |event: Event<'_>| {
        match event {
            Event::Block { index, of } => {
                if std::mem::replace(&mut begun, true) {
                    progress.finish_unit();
                }
                label = format!("block {} of {of}", index + 1);
                progress.start("block", &label);
            }
            Event::Seen { .. } => {}
            Event::Step { text } => progress.say(&format!("{label}: {text}")),
            Event::Warning { layer, text } => progress.note(&format!("warning: `{layer}`: {text}")),
        }
        if interrupt::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    Ok(compress(&*model.checkpoint, calibration, options, folder, &mut observe)?)
}
