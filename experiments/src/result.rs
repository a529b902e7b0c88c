//! One evaluated cell as it is printed and stored: the JSON object of `eval --json` and one line of a study's `results.jsonl`.

use std::collections::BTreeMap;

use interplay::burn::{Backend, Host};
use interplay::eval::{Estimate, Perplexity, Scale};
use interplay_formats::simd::Simd;
use serde::{Deserialize, Deserializer, Serialize};

use crate::commands::study::DEFAULT;
use crate::rules::Rules;

/// The version of the JSON layout; docs/json.md describes it.
pub const SCHEMA_VERSION: u32 = 2;

/// A measured quantity with the standard error of its mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "ReadMetric")]
pub struct Metric {
    /// `perplexity`, `top1`, `cross_entropy`, `kl_to_fp32`, …
    pub name: String,
    /// The value; JSON has no infinity and says null.
    pub value: f64,
    /// The standard error; none of a single window or image.
    pub stderr: Option<f64>,
    /// The scale on which it is one: a perplexity's is that of the mean loss, in nats.
    pub stderr_scale: Scale,
}

/// A [`Metric`] as it is read; the name says the scale, which earlier results leave out.
#[derive(Deserialize)]
struct ReadMetric {
    name: String,
    #[serde(deserialize_with = "finite_or_infinite")]
    value: f64,
    stderr: Option<f64>,
}

impl From<ReadMetric> for Metric {
    fn from(read: ReadMetric) -> Self {
        Self::new(&read.name, Estimate { mean: read.value, stderr: read.stderr })
    }
}

impl Metric {
    /// A mean by its name.
    pub fn new(name: &str, estimate: Estimate) -> Self {
        let Estimate { mean, stderr } = estimate;
        Self { name: name.to_owned(), value: mean, stderr, stderr_scale: Scale::of(name) }
    }

    /// A perplexity, with the standard error of its loss.
    pub fn perplexity(of: &Perplexity) -> Self {
        Self::new("perplexity", Estimate { mean: of.value(), stderr: of.nll().stderr })
    }

    /// The value with what one standard error makes of it, said in full; the value alone where there is no such error.
    pub fn said(&self) -> String {
        let value = self.value;
        let digits = if self.stderr_scale == Scale::Log { 4 } else { 5 };
        match (self.stderr.filter(|stderr| stderr.is_finite()), self.stderr_scale) {
            (None, _) => format!("{value:.digits$}"),
            (Some(stderr), Scale::Linear) => format!("{value:.digits$} ± {stderr:.digits$} (1 s.e.)"),
            (Some(stderr), Scale::Log) => {
                let (low, high) = Scale::Log.interval(value, stderr);
                format!("{value:.digits$} [{low:.digits$}, {high:.digits$}] (±1 s.e., {stderr:.4} nats of loss)")
            }
        }
    }
}

fn finite_or_infinite<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::INFINITY))
}

/// Stored bits of the compressed layers, and of the whole model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FootprintBits {
    /// Element codes.
    pub values: u64,
    /// Scales, never compressed.
    pub scales: u64,
    /// Positions of the kept values.
    pub metadata: u64,
    /// Biases, norms, embeddings and head, as stored.
    pub other: u64,
    /// The sum.
    pub total: u64,
}

/// Cycles under a named model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CycleCount {
    /// The cycle model's name.
    pub model: String,
    /// Cycles for the evaluated unit of work (one window, one image).
    pub total: u64,
}

/// Energy under a named price list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Energy {
    /// Picojoules for the evaluated unit of work (one window, one image).
    pub total: f64,
    /// The price list's name.
    pub prices: String,
}

/// What a result depends on beside its inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The command line, without where results go and how the work is spread: neither changes a bit.
    pub command: String,
    /// The CPU features that kernels are chosen by; bits do not depend on them, but on the host `burn` they may.
    pub cpu_features: Vec<String>,
    /// Who computed what no modelled unit did: `fixed` or `burn`, whose bits depend on the machine.
    #[serde(default = "burns_own")]
    pub host: String,
    /// The instructions that kernels were allowed to use; bits do not depend on them.
    #[serde(default = "automatic")]
    pub simd: String,
    /// Burn's version.
    pub burn: String,
}

/// The host of results that say nothing of it.
fn burns_own() -> String {
    Host::Burn.name().to_owned()
}

fn automatic() -> String {
    Simd::Auto.name().to_owned()
}

impl Provenance {
    /// That of this process.
    pub fn current() -> Self {
        Self {
            command: repeatable(std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned())),
            cpu_features: cpu_features().into_iter().map(str::to_owned).collect(),
            host: crate::host::on(Backend::default()).host().name().to_owned(),
            simd: Simd::chosen().name().to_owned(),
            burn: BURN_VERSION.to_owned(),
        }
    }
}

/// The version that the workspace pins.
const BURN_VERSION: &str = "0.22.1";

/// Options that change no bit of a result, each with a value.
const PASSING: [&str; 5] = ["--out", "--threads", "--jobs", "--shard", "--simd"];

/// `interplay` with `arguments`, less what changes no bit, as a shell takes it.
fn repeatable(arguments: impl Iterator<Item = String>) -> String {
    let mut words = vec!["interplay".to_owned()];
    let mut arguments = arguments.peekable();
    while let Some(word) = arguments.next() {
        match word.as_str() {
            option if PASSING.contains(&option) => drop(arguments.next()),
            _ if word.split_once('=').is_some_and(|(option, _)| PASSING.contains(&option)) => {}
            "--restart" => {}
            _ => words.push(word),
        }
    }
    // The main job is a study like any other: the same bytes however it was asked for.
    if words.len() == 1 {
        words.extend(["study", DEFAULT].map(str::to_owned));
    }
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A word as a POSIX shell reads it back: in single quotes where a character of it would mean something.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "%+,-./:=@_".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(target_arch = "x86_64")]
fn cpu_features() -> Vec<&'static str> {
    let known = [
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("fma", std::arch::is_x86_feature_detected!("fma")),
        ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
    ];
    known.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu_features() -> Vec<&'static str> {
    Vec::new()
}

/// How a model was compressed before it was evaluated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compression {
    /// The part of the study that the cell belongs to.
    pub part: String,
    /// The recipe, or what was put together of recipes.
    pub recipe: String,
    /// Who prunes; `none` where nobody does.
    pub pruner: String,
    /// Who rounds; `none` where nobody does.
    pub quantiser: String,
    /// What was calibrated on.
    pub calibration: Calibration,
    /// The share of zeros among the weights of the compressed layers.
    pub sparsity: f64,
    /// `||Y - Y'|| / ||Y||` of the compressed layers' outputs in use, FP32 against compressed: the mean over layers.
    pub output_error: f64,
    /// The share of rounded layers whose weights are values of the format; absent where nothing was rounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_grid: Option<f64>,
}

/// What a model was calibrated on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calibration {
    /// The text, and which part of it.
    pub data: String,
    /// Sequences.
    pub samples: usize,
    /// Tokens a sequence.
    pub length: usize,
    /// Bytes that the calibration of the largest block held: its weights, what was seen of its inputs, the streams through it.
    pub bytes: u64,
}

/// The same metric on another text, of as many windows of the same length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OtherText {
    /// The text, and which part of it.
    pub data: String,
    /// Windows.
    pub windows: usize,
    /// What was measured.
    pub metric: Metric,
    /// The same of the unquantised, dense model.
    pub fp32: Metric,
}

/// Zero-shot accuracy on one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskScore {
    /// The task.
    pub task: String,
    /// Items.
    pub items: usize,
    /// `accuracy`, by the largest log-likelihood.
    pub accuracy: Metric,
    /// `accuracy_norm`, by the largest log-likelihood a character.
    pub accuracy_norm: Metric,
}

/// Why what training or learning leaves depends on the machine.
pub const BURN_GRADIENTS: &str = "gradients are Burn's own, whose kernels are chosen by the CPU";

/// One cell: a model in one format, sparsity and order on one datapath, with what it costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The model's name or path as given.
    pub model: String,
    /// The data's name or path as given.
    pub data: String,
    /// Tokens a window; 0 for images.
    pub window: usize,
    /// Tokens from the beginning of one window to that of the next; 0 for images.
    pub stride: usize,
    /// The protocol that made the text, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Windows, or images.
    pub windows: usize,
    /// Predicted tokens, or images.
    pub tokens: usize,
    /// The format's name.
    pub format: String,
    /// The sparsity pattern.
    pub sparsity: String,
    /// `sq`, `qs` or `none`; `by layer` where rules decide.
    pub order: String,
    /// The plan, where it has rules for single layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Rules>,
    /// The machine whose units multiplied and are priced; empty in results of version 1.
    #[serde(default)]
    pub machine: String,
    /// The datapaths that ran, joined by `+`.
    pub datapath: String,
    /// Whose arithmetic that is: `native`, `hypothesis`, `dequantised`, `host`, joined by `+`; empty in results of version 1.
    #[serde(default)]
    pub runs: String,
    /// Whether pruned weights were left out of every product that has them, in the bits, the cycles and the energy; absent where nothing
    /// was pruned, and in results of version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skips_pruned: Option<bool>,
    /// What was measured.
    pub metric: Metric,
    /// Further metrics of the same run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<Metric>,
    /// The same metric of the unquantised, dense model.
    pub fp32: Metric,
    /// How the model was compressed, where calibration took part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// The same metric on a second text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_text: Option<OtherText>,
    /// Zero-shot accuracy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskScore>,
    /// Why these bits may be others on another machine: a part of the work was Burn's own arithmetic, whose kernels are chosen by the CPU.
    /// Absent where nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_dependent: Option<String>,
    /// Exact stored bits.
    pub footprint_bits: FootprintBits,
    /// Cycles of one window or image.
    pub cycles: CycleCount,
    /// Energy of one window or image.
    pub energy_pj: Energy,
    /// The seed.
    pub seed: u64,
    /// This program's version.
    pub version: String,
    /// How to run it again, and on what it ran.
    pub provenance: Provenance,
    /// sha256 of the inputs, by name.
    pub checksums: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::repeatable;

    #[test]
    fn places_and_threads_are_no_part_of_the_command() {
        let words = ["study", "orders", "--out", "here", "--quick", "--threads=3"];
        assert_eq!(repeatable(words.map(str::to_owned).into_iter()), "interplay study orders --quick");
        assert_eq!(repeatable(["--threads", "3"].map(str::to_owned).into_iter()), "interplay study orders");
    }

    #[test]
    fn the_command_goes_through_a_shell() {
        let words =
            ["study", "it's.toml", "", "--set", "formats=[\"int8\"]", "--sparsity", "50%,2:4", "--data", "$HOME *\n~"];
        let command = repeatable(words.map(str::to_owned).into_iter());
        let script = format!("interplay() {{ printf '%s\\0' \"$@\"; }}; {command}");
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let read: Vec<_> = output.stdout.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
        assert_eq!(read[..words.len()], words, "{command}");
    }
}
