//! `interplay eval`: one model in one configuration, with what it costs.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use interplay::burn::Backend;
use interplay::eval::Protocol;
use interplay::plan::{LayerSpec, Plan, Preset};
use interplay::session::{LayerError, Session, compare};
use serde_json::json;

use crate::cell::{Labels, cell, evaluate_shown, one_input};
use crate::commands::cost::MachineNames;
use crate::commands::{define, tasks};
use crate::output::sayln;
use crate::result::Cell;
use crate::rules::Rules;
use crate::subject::{Amount, Subject};
use crate::watched::Shown;

/// What the run of the dense FP32 model is called.
const FP32: &str = "FP32";

/// Arguments of `eval`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  interplay eval --model lm --format hbfp6 --sparsity 2:4 --order sq
  interplay eval --model vit --format mxfp4 --preset all --layer-errors
  interplay eval --model smollm2 --data wiki --window 512 --windows 8 --format fp32 --json
  interplay eval --model ./opt-125m --data text.txt --window 1024 --stride 512 --layers rules.toml
  interplay eval --model ./opt-125m --data wiki.test.raw --protocol wikitext2
  interplay eval --model ./opt-125m --data c4-validation.00000-of-00008.json --protocol c4
  interplay eval --model ./opt-125m --tasks ./tasks --format mxfp8 --json
  interplay eval --model vit --data mnist-20 --format hbfp6
  interplay eval --model minilm --data wordsim353 --format mxfp4")]
pub struct Args {
    /// `lm`, `vit`, a fetched model such as `smollm2`, a Hugging Face folder, a GGUF file, or a torch file (`.pth`, `.pt`, `.bin`) of a
    /// network that its tensors tell (EfficientNet-Lite0, a CIFAR ResNet).
    #[arg(long, alias = "models", default_value = "lm")]
    model: String,

    /// `heldout` (embedded models), a fetched text or images such as `wiki` or `imagenet-20`, a text file, a folder of images
    /// (a sub-folder a class, or files NAME_LABEL.png or .jpg), a safetensors file of labelled images, or for an encoder of texts
    /// pairs such as `wordsim353`: a file of two texts and a number a line, with tabs between.
    #[arg(long)]
    data: Option<String>,

    /// The preprocessor_config.json by which image files become pixels [default: the model's].
    #[arg(long, value_name = "FILE")]
    preprocess: Option<PathBuf>,

    /// Zero-shot multiple choice instead: a folder with piqa.jsonl, boolq.jsonl, hellaswag.jsonl, winogrande.jsonl,
    /// arc_easy.jsonl, arc_challenge.jsonl or openbookqa.jsonl, one item a line in the fields of the public data sets.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["data", "window", "stride", "protocol", "windows", "layer_errors"])]
    tasks: Option<PathBuf>,

    /// Items a task, from the start of its file [default: all].
    #[arg(long, value_name = "N", requires = "tasks")]
    items: Option<usize>,

    /// Tokens a window.
    #[arg(long, value_name = "N")]
    window: Option<usize>,

    /// Tokens from the beginning of one window to that of the next; each token is predicted once [default: --window].
    #[arg(long, value_name = "N")]
    stride: Option<usize>,

    /// How the file becomes a text, and which windows are cut: `text` (as it is), `wikitext2` (lines of wiki.test.raw joined by
    /// two newlines; all windows of 2048), `c4` (first 1100 documents of a JSON-lines shard joined by a blank; 256 windows of
    /// 2048).
    #[arg(long, value_name = "NAME")]
    protocol: Option<String>,

    /// Windows, images or pairs, from the start of the data.
    #[arg(long, value_name = "N")]
    windows: Option<usize>,

    #[command(flatten)]
    configuration: Configuration,

    #[command(flatten)]
    machine: MachineNames,

    #[command(flatten)]
    host: Host,

    /// Also compare every product's output with the FP32 model's, on the first window or image.
    #[arg(long)]
    layer_errors: bool,

    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// How layers are stored and multiplied, by name.
#[derive(Debug, Clone, clap::Args)]
pub struct Configuration {
    /// Format of weights and activations [default: fp32].
    #[arg(long, alias = "formats", value_name = "FORMAT")]
    format: Option<String>,

    /// Format of the weights, where it differs.
    #[arg(long, value_name = "FORMAT")]
    weights: Option<String>,

    /// Format of the activations, where it differs.
    #[arg(long, value_name = "FORMAT")]
    activations: Option<String>,

    /// Pattern of the weights: `dense`, `50%`, `2:4`, … [default: dense].
    #[arg(long, value_name = "PATTERN")]
    sparsity: Option<String>,

    /// `sq` (sparsify, then quantise) or `qs`.
    #[arg(long, alias = "orders")]
    order: Option<String>,

    /// The unit that multiplies in the place of the machine's, for accuracy and for cost: a name, or a TOML file that declares one; `auto`
    /// is the machine's own.
    #[arg(long, alias = "datapaths", value_name = "NAME|FILE.toml")]
    datapath: Option<String>,

    /// Rank of a low-rank correction of what the weights lose, kept beside them in bfloat16.
    #[arg(long, value_name = "RANK")]
    low_rank: Option<usize>,

    /// Which layers have it: `paper` (as in the publication), `all`, `none` [default: paper].
    #[arg(long)]
    preset: Option<String>,

    /// A TOML file of rules for single layers, tried before the preset.
    #[arg(long, value_name = "FILE")]
    layers: Option<PathBuf>,
}

/// What runs everything that is no modelled product.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Host {
    /// Burn's backend: `flex` on the CPU; `wgpu` on a GPU, with the modelled units there too, in a build with `--features wgpu`;
    /// `ndarray`, which Burn deprecates, in one with `--features ndarray`.
    #[arg(long, value_name = "NAME", default_value = "flex", value_parser = Backend::by_name)]
    backend: Backend,
}

impl Host {
    /// The backend, with the host of this process.
    pub fn backend(self) -> Backend {
        crate::host::on(self.backend)
    }
}

impl Configuration {
    /// The plan: the file's rules, with this command line's base configuration and preset where it gives them.
    ///
    /// # Errors
    /// An unknown name, a missing order, or a malformed file.
    pub fn plan(&self) -> Result<Plan> {
        let mut plan = match &self.layers {
            Some(path) => {
                let text =
                    interplay::load::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
                Plan::from_toml(&text).with_context(|| path.display().to_string())?
            }
            None => Plan::new(Preset::default(), LayerSpec::default().resolve()?),
        };
        let unit = match self.datapath.as_deref() {
            Some(name) if !name.trim().eq_ignore_ascii_case("auto") => Some(define::datapath(name)?.name.to_owned()),
            other => other.map(str::to_owned),
        };
        let spec = LayerSpec {
            format: self.format.clone(),
            weights: self.weights.clone(),
            activations: self.activations.clone(),
            sparsity: self.sparsity.clone(),
            order: self.order.clone(),
            datapath: unit,
            low_rank: self.low_rank,
        };
        if spec != LayerSpec::default() {
            plan.base = spec.resolve()?;
        }
        if let Some(preset) = &self.preset {
            plan.preset = Preset::by_name(preset)?;
        }
        Ok(plan)
    }

    /// The plan of a cost, which order does not change: sparsify first where nothing is said.
    ///
    /// # Errors
    /// Those of [`Configuration::plan`].
    pub fn plan_for_cost(&self) -> Result<Plan> {
        let order = self.order.clone().or_else(|| Some("sq".to_owned()));
        Configuration { order, ..self.clone() }.plan()
    }

    /// The names that results carry.
    fn labels(&self, plan: &Plan) -> Labels {
        let (weights, activations) = (plan.base.weight_format().name, plan.base.activations.name);
        let mut format = if weights == activations { weights.to_owned() } else { format!("{weights}/{activations}") };
        if let Some(correction) = plan.base.correction {
            format = format!("{format} + rank {}", correction.rank);
        }
        if let Some(rules) = &self.layers {
            format = format!("{format} + {}", rules.display());
        }
        let (sparsity, order) = match plan.rules.is_empty() {
            true => (plan.base.pattern().to_string(), plan.base.order().to_string()),
            false => ("by layer".to_owned(), "by layer".to_owned()),
        };
        Labels { format, sparsity, order }
    }
}

/// Evaluates and prints.
///
/// # Errors
/// An unknown name, a model or data that cannot be opened, or a configuration that the model cannot run.
pub fn run(args: &Args) -> Result<()> {
    let machine = args.machine.machine()?;
    let plan = args.configuration.plan()?.on(Arc::clone(&machine.accelerator));
    let protocol = args.protocol.as_deref().map(Protocol::by_name).transpose()?;
    let labels = args.configuration.labels(&plan);
    if let Some(folder) = &args.tasks {
        let items = args.items.unwrap_or(usize::MAX);
        let backend = args.host.backend();
        return tasks::run(tasks::Request {
            model: &args.model,
            folder,
            items,
            plan,
            labels,
            backend,
            json: args.json,
        });
    }
    let amount = Amount {
        window: args.window,
        windows: args.windows,
        stride: args.stride,
        protocol,
        preprocess: args.preprocess.clone(),
        images: None,
    };
    let subject = Subject::open(&args.model, args.data.as_deref(), amount)?;
    if let Some(asked) = args.windows.filter(|asked| *asked > subject.inputs()) {
        let (count, what) = (subject.inputs(), subject.inputs_named());
        eprintln!(
            "note: --windows {asked}: there are {count} {what} in {}; all of them are evaluated",
            subject.data_name
        );
    }

    let unchanged = plan.rules.is_empty() && plan.base == interplay::plan::LayerConfig::fp32();
    let runs = [FP32, &labels.format];
    let shown = Shown::new(&*subject.model.checkpoint, subject.evaluated(), &runs[..if unchanged { 1 } else { 2 }]);
    let mut session = shown.session(args.host.backend(), &subject.model.checkpoint)?;
    // A rule that matches nothing is refused before anything long runs.
    session.check(&plan)?;
    let reference = evaluate_shown(&subject, &mut session, None, (&shown, FP32))?;
    let fp32 = reference.metric.clone();
    session.set_plan(plan.clone())?;
    let outcome = match unchanged {
        true => reference,
        false => {
            let baseline = reference.into_baseline();
            evaluate_shown(&subject, &mut session, Some(&baseline), (&shown, &labels.format))?
        }
    };
    shown.say("counting cycles and energy");
    let mut cell = cell(&subject, &mut session, &machine, labels, &outcome, &fp32, 0)?;
    cell.plan = Rules::of(&plan)?;
    let errors =
        if args.layer_errors { Some(layer_errors(&subject, &mut session, args.host.backend())?) } else { None };
    shown.clear();

    match args.json {
        true => print_json(&cell, errors.as_deref())?,
        false => print_summary(&cell, errors.as_deref()),
    }
    if let Some(caveat) = subject.caveat {
        eprintln!("note: {caveat}");
    }
    Ok(())
}

/// The error of every product on the first window or image.
fn layer_errors(subject: &Subject, session: &mut Session, backend: Backend) -> Result<Vec<LayerError>> {
    let first = one_input(subject, session)?;
    let mut reference = Session::on(backend, Arc::clone(&subject.model.checkpoint), Plan::fp32())?;
    Ok(compare(&mut reference, session, &[first])?)
}

fn print_json(cell: &Cell, errors: Option<&[LayerError]>) -> Result<()> {
    let mut object = serde_json::to_value(cell)?;
    if let Some(errors) = errors {
        object["layer_errors"] = errors.iter().map(|e| json!({"layer": e.layer, "relative_error": e.error})).collect();
    }
    sayln!("{}", serde_json::to_string_pretty(&object)?);
    Ok(())
}

fn print_summary(cell: &Cell, errors: Option<&[LayerError]>) {
    let kib = |bits: u64| bits as f64 / 8192.0;
    let stored = &cell.footprint_bits;
    sayln!("{} on {}: {}", cell.model, cell.data, size(cell));
    sayln!("{}, {}, order {}, on {}", cell.format, cell.sparsity, cell.order, cell.machine);
    if let Some(plan) = &cell.plan {
        sayln!("  {:<22}{} rules on preset {}, sha256 {}", "plan", plan.rules.len(), plan.preset, plan.sha256);
    }
    let dense =
        if cell.skips_pruned == Some(false) { "; pruned weights are multiplied, in accuracy and in cost" } else { "" };
    sayln!("  {:<22}{} ({}){dense}", "datapath", cell.datapath, cell.runs);
    sayln!("  {:<22}{}", cell.metric.name, cell.metric.said());
    sayln!("  {:<22}{}", "  of dense FP32", cell.fp32.said());
    for metric in &cell.more {
        sayln!("  {:<22}{}", metric.name, metric.said());
    }
    sayln!(
        "  {:<22}{:.1} KiB: values {:.1}, scales {:.1}, metadata {:.1}, other {:.1}",
        "footprint",
        kib(stored.total),
        kib(stored.values),
        kib(stored.scales),
        kib(stored.metadata),
        kib(stored.other)
    );
    let unit = match (cell.window, cell.metric.name.as_str()) {
        (0, "spearman") => "a text",
        (0, _) => "an image",
        _ => "a window",
    };
    sayln!("  {:<22}{} {unit} ({})", "cycles", cell.cycles.total, cell.cycles.model);
    sayln!("  {:<22}{:.2} uJ {unit} ({})", "energy", cell.energy_pj.total / 1e6, cell.energy_pj.prices);
    for error in errors.unwrap_or_default() {
        sayln!("  {:<44}{:.4e}", error.layer, error.error);
    }
}

fn size(cell: &Cell) -> String {
    match cell.window {
        0 if cell.metric.name == "spearman" => format!("{} pairs of texts", cell.windows),
        0 => format!("{} images", cell.windows),
        window => {
            let protocol = cell.protocol.as_ref().map_or_else(String::new, |name| format!(", protocol {name}"));
            format!("{} windows of {window} tokens, stride {}{protocol}", cell.windows, cell.stride)
        }
    }
}
