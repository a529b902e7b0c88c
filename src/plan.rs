//! Which layer is stored and multiplied how: a preset by architecture and ordered glob rules on top of it.
//!
//! The first rule that matches a layer's name decides; a layer that no rule matches follows the preset: it has the base
//! configuration or is left to the host. A glob that matches no layer is an error, never silently ignored.
//!
//! A plan knows names and roles of products, not tensors.

mod file;
pub mod glob;

pub use file::LayerSpec;

use std::sync::{Arc, LazyLock};

use crate::Error;
use crate::burn::{Product, Role};
use crate::compress::Layer;
use crate::formats::{Format, Order, Pattern, Pipeline, Step};
use crate::hw::Datapath;
use crate::hw::cost::{Accelerator, Pair, Run};
use glob::matches;

/// How one layer is stored and multiplied.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerConfig {
    /// What is done to the weights, once.
    pub weights: Pipeline,
    /// The format of the activations; of both operands in a product of two activations.
    pub activations: &'static Format,
    /// What stands in the place of the machine's unit for the two formats; `None` is that unit.
    pub datapath: Option<&'static Datapath>,
    /// The weights themselves, where a compression has made them: `weights` then says what they are, and is not run.
    pub given: Option<Given>,
    /// What is kept beside the stored weights to make good what they lost.
    pub correction: Option<Correction>,
}

/// A low-rank correction: the best approximation `A B` of rank `rank` of `R = W - C(W)`, what the dense weights `W` `[n, k]` lost when the
/// pipeline made the stored ones `C(W)` of them.
///
/// `A` `[n, rank]` and `B` `[rank, k]` share the singular values evenly and are stored in bfloat16, which takes `16 rank (n + k)` bits of the
/// layer's values. The layer then gives `unit(x, C(W)) + (x Bᵀ) Aᵀ`: the second term takes the activations as they come, not as the unit
/// rounds them, in bfloat16 as every operand of it, with sums of FP32. It is a layer's own business, before its bias.
///
/// Rank 0 is no correction; a rank above the smaller side of a matrix is that side. A layer whose weights stay as they came has lost nothing and a
/// product of two activations has no weights: neither gets a correction, as neither is pruned. A convolution's matrices are corrected as they
/// are multiplied, one a group. It runs on the CPU, and for weights that the plan's own steps made: a
/// [given](LayerConfig::given) layer and the GPU are refused when the plan meets the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Correction {
    /// Columns of `A`, rows of `B`.
    pub rank: usize,
}

/// A layer's weights as a compression left them.
#[derive(Debug, Clone)]
pub struct Given(pub Arc<Layer>);

/// One layer is itself: comparing all weights of a model would be the slow way to see it.
impl PartialEq for Given {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl LayerConfig {
    /// FP32 on the host.
    pub fn fp32() -> Self {
        Self {
            weights: Pipeline::default(),
            activations: Format::fp32(),
            datapath: None,
            given: None,
            correction: None,
        }
    }

    /// One format for weights and activations, with weights pruned before or after they are quantised.
    ///
    /// # Errors
    /// Both pruning and quantisation without an order.
    pub fn new(format: &'static Format, pattern: Pattern, order: Order) -> Result<Self, Error> {
        let weights = Pipeline::ordered(order, pattern, format)?;
        Ok(Self { weights, activations: format, ..Self::fp32() })
    }

    /// Weights that are there already.
    pub fn of_layer(layer: Arc<Layer>, activations: &'static Format, datapath: Option<&'static Datapath>) -> Self {
        let prune = Some(layer.pattern()).filter(|p| *p != Pattern::Dense).map(Step::Prune);
        let quantize = Some(layer.format()).filter(|f| !f.is_exact()).map(Step::Quantize);
        let weights = Pipeline { steps: prune.into_iter().chain(quantize).collect() };
        Self { weights, activations, datapath, given: Some(Given(layer)), correction: None }
    }

    /// The format that weights end up in.
    pub fn weight_format(&self) -> &'static Format {
        let last = self.weights.steps.iter().rev().find_map(|step| match step {
            Step::Quantize(format) => Some(*format),
            _ => None,
        });
        last.unwrap_or_else(Format::fp32)
    }

    /// The pattern of the last prune step.
    pub fn pattern(&self) -> Pattern {
        let last = self.weights.steps.iter().rev().find_map(|step| match step {
            Step::Prune(pattern) => Some(*pattern),
            _ => None,
        });
        last.unwrap_or(Pattern::Dense)
    }

    /// Which of pruning and rounding comes first; none where one of them is missing.
    pub fn order(&self) -> Order {
        let place = |wanted: fn(&Step) -> bool| self.weights.steps.iter().position(wanted);
        let prune = place(|step| matches!(step, Step::Prune(_)));
        match (prune, place(|step| matches!(step, Step::Quantize(_)))) {
            (Some(prune), Some(quantize)) if prune < quantize => Order::Sq,
            (Some(_), Some(_)) => Order::Qs,
            _ => Order::None,
        }
    }

    /// What the choice of a unit for products of this configuration depends on; `k` is the length of their sums.
    pub(crate) fn pair(&self, role: Role, k: usize, fixed_host: bool) -> Pair {
        let activation = self.activations.for_activations();
        let (weight, pattern) = match role {
            Role::Weight => (self.weight_format(), self.pattern()),
            Role::Activation => (activation, Pattern::Dense),
        };
        Pair { weight, activation, pattern, k: k as u64, datapath: self.datapath, fixed_host }
    }

    /// The same without pruning.
    fn dense(mut self) -> Self {
        self.weights.steps.retain(|step| !matches!(step, Step::Prune(_)));
        self
    }
}

/// Which layers have the base configuration where no rule speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preset {
    /// The published experiments' choice, by architecture: the linear layers inside a decoder's blocks; all of an encoder's,
    /// a ViT's patch convolution among them; all of a ResNet's convolutions and its classifier, which stays dense; never
    /// the products of attention.
    #[default]
    Paper,
    /// Every product, those of attention and the head too.
    All,
    /// No product.
    None,
}

/// The layers that [`Preset::Paper`] covers in one architecture, as globs.
struct Published {
    architecture: &'static str,
    covered: &'static [&'static str],
    never_pruned: &'static [&'static str],
}

/// The `sparsify and quantise` switches of the released code, read per architecture.
const PUBLISHED: [Published; 11] = [
    Published { architecture: "opt", covered: &["decoder.layers.*"], never_pruned: &[] },
    Published { architecture: "gpt2", covered: &["h.*"], never_pruned: &[] },
    Published { architecture: "llama", covered: &["layers.*"], never_pruned: &[] },
    Published { architecture: "mistral", covered: &["layers.*"], never_pruned: &[] },
    Published { architecture: "qwen2", covered: &["layers.*"], never_pruned: &[] },
    Published { architecture: "bert", covered: &["*"], never_pruned: &[] },
    Published { architecture: "vit", covered: &["*"], never_pruned: &[] },
    Published { architecture: "resnet", covered: &["*"], never_pruned: &["classifier*", "fc"] },
    // Not among the published models: each is treated as its nearest relative there.
    Published { architecture: "deit", covered: &["*"], never_pruned: &[] },
    Published { architecture: "resnet-cifar", covered: &["*"], never_pruned: &["linear"] },
    Published { architecture: "efficientnet-lite", covered: &["*"], never_pruned: &["_fc"] },
];

/// What a model of the user's own has: every product with a parameter.
const OTHER: Published = Published { architecture: "", covered: &["*"], never_pruned: &[] };

impl Preset {
    /// The preset of that name.
    ///
    /// # Errors
    /// There is none.
    pub fn by_name(name: &str) -> Result<Self, Error> {
        match name.trim().to_ascii_lowercase().as_str() {
            "paper" => Ok(Self::Paper),
            "all" => Ok(Self::All),
            "none" => Ok(Self::None),
            _ => Err(Error::Invalid(format!("unknown preset `{name}`; it is `paper`, `all` or `none`"))),
        }
    }

    /// The name by which [`Preset::by_name`] finds it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::All => "all",
            Self::None => "none",
        }
    }

    fn apply(self, architecture: &str, layer: &str, role: Role, base: &LayerConfig) -> Option<LayerConfig> {
        match self {
            Self::All => Some(base.clone()),
            Self::None => None,
            Self::Paper => {
                let published = PUBLISHED.iter().find(|p| p.architecture == architecture).unwrap_or(&OTHER);
                let any = |globs: &[&str]| globs.iter().any(|glob| matches(glob, layer));
                let covered = role == Role::Weight && any(published.covered);
                let dense = any(published.never_pruned);
                covered.then(|| if dense { base.clone().dense() } else { base.clone() })
            }
        }
    }
}

/// One glob and what it decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// A layer name in which `*` stands for any characters and `?` for one; case matters.
    pub glob: String,
    /// The configuration; `None` leaves the layer to the host.
    pub config: Option<LayerConfig>,
}

/// The configuration of every layer of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Who has `base` where no rule matches.
    pub preset: Preset,
    /// The configuration that the preset gives.
    pub base: LayerConfig,
    /// Tried in order; the first match decides.
    pub rules: Vec<Rule>,
    /// The machine whose units multiply, where a layer's configuration names none.
    pub machine: Arc<Accelerator>,
}

/// The machine where none is named: its units are the formats' natural ones, and it leaves pruned weights of 2:4 out.
pub const DEFAULT_MACHINE: &str = "systolic-128-sparse24";

/// The record of [`DEFAULT_MACHINE`].
fn default_machine() -> Arc<Accelerator> {
    static MACHINE: LazyLock<Arc<Accelerator>> = LazyLock::new(|| {
        let machine = Accelerator::by_name(DEFAULT_MACHINE).expect("a record of the project, which a test reads");
        Arc::new(machine.clone())
    });
    Arc::clone(&MACHINE)
}

impl Plan {
    /// The preset's layers in one configuration, on [`DEFAULT_MACHINE`].
    pub fn new(preset: Preset, base: LayerConfig) -> Self {
        Self { preset, base, rules: Vec::new(), machine: default_machine() }
    }

    /// The same on another machine.
    pub fn on(self, machine: Arc<Accelerator>) -> Self {
        Self { machine, ..self }
    }

    /// Everything in FP32 on the host.
    pub fn fp32() -> Self {
        Self::new(Preset::None, LayerConfig::fp32())
    }

    /// The configuration of one product; `None` leaves it to the host.
    pub fn config(&self, architecture: &str, product: &Product) -> Option<LayerConfig> {
        self.config_of(architecture, &product.name, product.role)
    }

    /// What runs a product that has this configuration, on this plan's machine; one without any is the host's.
    ///
    /// # Errors
    /// The machine has nothing for the formats.
    pub(crate) fn run(&self, product: &Product, config: Option<&LayerConfig>, fixed_host: bool) -> Result<Run, Error> {
        let pair = match config {
            Some(config) => config.pair(product.role, product.k, fixed_host),
            None => {
                let host = LayerConfig { datapath: Some(Datapath::fake()), ..LayerConfig::fp32() };
                host.pair(product.role, product.k, fixed_host)
            }
        };
        Ok(self.machine.run(&pair)?)
    }

    /// The configuration of the products of that name and role; `None` leaves them to the host.
    pub fn config_of(&self, architecture: &str, layer: &str, role: Role) -> Option<LayerConfig> {
        match self.rules.iter().find(|rule| matches(&rule.glob, layer)) {
            Some(rule) => rule.config.clone(),
            None => self.preset.apply(architecture, layer, role, &self.base),
        }
    }

    /// Refuses a rule whose glob matches none of the model's layers.
    ///
    /// # Errors
    /// [`Error::UnknownLayer`] with the nearest name.
    pub fn check<'a>(&self, layers: impl IntoIterator<Item = &'a str> + Clone) -> Result<(), Error> {
        let lost = |rule: &&Rule| !layers.clone().into_iter().any(|layer| matches(&rule.glob, layer));
        match self.rules.iter().find(lost) {
            None => Ok(()),
            Some(rule) => Err(Error::UnknownLayer {
                glob: rule.glob.clone(),
                near: layers
                    .into_iter()
                    .min_by_key(|layer| strsim::damerau_levenshtein(layer, &rule.glob))
                    .map(str::to_owned),
            }),
        }
    }
}
