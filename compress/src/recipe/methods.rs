//! Every method of a recipe: its name, what it takes, and the step that it makes. Adding one is one entry.

use super::arguments::Arguments;
use super::{Prune, Quantize, Rounder, Scores, Step};
use crate::formats::{Pattern, Scope, Selection};
use crate::learn::{Granularity, Optimizer, Options as Learning, Smoothing, candidates};
use crate::{Criterion, Error, Importance, Order, Permutation, Solver};

/// One argument of a method.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// The name before `=`.
    pub name: &'static str,
    /// What it says, and its default.
    pub about: &'static str,
}

/// A method of a recipe.
#[derive(Debug)]
pub struct Method {
    /// The name.
    pub name: &'static str,
    /// What it does and where it comes from.
    pub about: &'static str,
    /// A use of it.
    pub example: &'static str,
    /// What it takes.
    pub parameters: &'static [Parameter],
    build: fn(&mut Arguments) -> Result<Step, Error>,
}

const fn parameter(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, about }
}

const PATTERN: Parameter = parameter("pattern", "50%, 50%-row, 50%-matrix, 50%-cols128, 2:4, 4:8p or 64:2:8");
const FORMAT: Parameter = parameter("format", "a format of `interplay list formats`");
const SELECTION: Parameter =
    parameter("selection", "count (exactly that many, the default) or threshold (as the published code)");
const UPDATE: Parameter =
    parameter("update", "no (the default) or yes: move the error to the weights that stay, as SparseGPT does");
const PERMUTE: Parameter = parameter(
    "permute",
    "no (the default), serpentine, retained or assignment: the order of inputs in which groups are formed",
);
const PARTS: Parameter = parameter("parts", "independent parts of the assignment, 1");
const DAMPING: Parameter = parameter("damping", "share of the Hessian's mean diagonal that is added to it, 0.01");
const BLOCK: Parameter = parameter("block", "columns that are solved together, 128");
const CLIP: Parameter = parameter("rho", "weight of the sensitivity, 2.1");
const CANDIDATES: Parameter = parameter("step", "distance of two candidate sparsities, 0.01");
const GROUP: Parameter = parameter("group", "row (the default) or layer: what has a sparsity of its own");
const ERROR: Parameter =
    parameter("error", "weight of the quantisation-error loss; 1 for pqp and 0 for besa unless told");
const CRITERION: Parameter = parameter(
    "criterion",
    "what orders a row: magnitude, wanda, ria, ri, bawa, jsq, saliency or pqp; pqp's is pqp and besa's wanda unless told",
);
const EPOCHS: Parameter = parameter("epochs", "passes over the calibration sequences, 1");
const PENALTY: Parameter = parameter("penalty", "weight of the distance from the target sparsity, 5");
const D_COEF: Parameter = parameter("d_coef", "Prodigy's factor of its step, 5");
const SMOOTHING: Parameter =
    parameter("smoothing", "sigmoid (the default: sparsities from 37.75 % to 62.25 %) or none");
const OPTIMIZER: Parameter = parameter("optimizer", "prodigy (the default) or adamw");

/// What every score takes that has nothing of its own.
const SCORED: &[Parameter] = &[PATTERN, SELECTION, UPDATE, DAMPING, BLOCK];
/// The same with an order of inputs.
const GROUPED: &[Parameter] = &[PATTERN, SELECTION, PERMUTE, PARTS, UPDATE, DAMPING, BLOCK];
/// What learned sparsity takes.
const LEARNED: &[Parameter] =
    &[PATTERN, GROUP, ERROR, CRITERION, EPOCHS, CANDIDATES, PENALTY, D_COEF, OPTIMIZER, SMOOTHING];

/// Every method.
pub const METHODS: &[Method] = &[
    Method {
        name: "magnitude",
        about: "prune the smallest magnitudes (Han et al. 2015)",
        example: "magnitude(50%)",
        parameters: GROUPED,
        build: |a| prune(a, Scope::Matrix, |_| Ok(Scores::Once(Criterion::Magnitude))),
    },
    Method {
        name: "wanda",
        about: "prune by |W| times the norm of the input (Sun et al., ICLR 2024)",
        example: "wanda(2:4)",
        parameters: GROUPED,
        build: |a| prune(a, Scope::Row, |_| Ok(Scores::Once(Criterion::Wanda))),
    },
    Method {
        name: "wanda-cumulative",
        about: "Wanda's scores, each row up to one share of its sum (Wanda's `use_variant`)",
        example: "wanda-cumulative(50%)",
        parameters: &[PATTERN],
        build: |a| prune(a, Scope::Row, |_| Ok(Scores::Cumulative)),
    },
    Method {
        name: "ria",
        about: "prune by relative importance and activations (Zhang et al., ICLR 2024)",
        example: "ria(2:4,permute=assignment)",
        parameters: &[
            PATTERN,
            parameter("power", "power of the input's norm, 0.5; 0 leaves activations out"),
            SELECTION,
            PERMUTE,
            PARTS,
            UPDATE,
            DAMPING,
            BLOCK,
        ],
        build: |a| {
            prune(a, Scope::Matrix, |a| {
                let power = a.within("power", 0.5, 0.0, 4.0)?;
                Ok(Scores::Once(Criterion::Ria { power, activations: power != 0.0 }))
            })
        },
    },
    Method {
        name: "bawa",
        about: "prune by weights relative to their row's and column's norm (PQP's version of BaWA, ICML 2025)",
        example: "bawa(50%)",
        parameters: &[
            PATTERN,
            parameter("rows", "power of the output's norm, 1"),
            parameter("columns", "power of the input's norm, 1"),
            parameter("activations", "power of the norm of the input's values, 0.5"),
            SELECTION,
            UPDATE,
            DAMPING,
            BLOCK,
        ],
        build: |a| {
            prune(a, Scope::Row, |a| {
                let output = a.within("rows", 1.0, 0.0, 4.0)?;
                let input = a.within("columns", 1.0, 0.0, 4.0)?;
                let activations = a.within("activations", 0.5, 0.0, 4.0)?;
                Ok(Scores::Once(Criterion::Bawa { output, input, activations }))
            })
        },
    },
    Method {
        name: "bawa-search",
        about: "BaWA with the best of 27 triples of powers by the block's output error (the search is ours)",
        example: "bawa-search(50%)",
        parameters: &[PATTERN, SELECTION],
        build: |a| prune(a, Scope::Row, |_| Ok(Scores::Searched)),
    },
    Method {
        name: "jsq",
        about: "prune by Wanda's score and the sensitivity of the output's range (Guo et al., ICML 2024), on clipped inputs",
        example: "jsq(50%)",
        parameters: &[PATTERN, CLIP, SELECTION, UPDATE, DAMPING, BLOCK],
        build: |a| prune(a, Scope::Row, |a| Ok(Scores::Once(Criterion::Jsq { rho: a.within("rho", 2.1, 0.0, 1e6)? }))),
    },
    Method {
        name: "saliency",
        about: "prune by SparseGPT's score, all at once (Frantar and Alistarh, ICML 2023)",
        example: "saliency(50%,update=yes)",
        parameters: SCORED,
        build: |a| prune(a, Scope::Columns(128), |_| Ok(Scores::Once(Criterion::Saliency))),
    },
    Method {
        name: "sparsegpt",
        about: "prune column by column, the error moved to later columns; with a format, round in the same pass (ICML 2023)",
        example: "sparsegpt(2:4,mxfp4)",
        parameters: &[PATTERN, FORMAT, SELECTION, DAMPING, BLOCK],
        build: |a| {
            let (pattern, joint) = (a.pattern(Scope::Columns(0))?, a.format_or_none()?);
            let selection = a.choice("selection", SELECTIONS)?;
            let blocked = a.given("block");
            let (pattern, solver) = blocks_of_choice(pattern, solver(a)?, blocked)?;
            let update = Some(solver);
            Ok(Step::Prune(Prune {
                scores: Scores::Current,
                pattern,
                selection,
                permutation: Permutation::None,
                update,
                joint,
            }))
        },
    },
    Method {
        name: "pqp",
        about: "learn each row's sparsity on PQP's metric with the loss of the quantisation error; the weights are rounded before",
        example: "pqp(50%)",
        parameters: LEARNED,
        build: |a| learned(a, Criterion::Pqp, Learning::pqp),
    },
    Method {
        name: "besa",
        about: "learn each row's sparsity on Wanda's metric by the block's output error (Xu et al., ICLR 2024)",
        example: "besa(50%)",
        parameters: LEARNED,
        build: |a| learned(a, Criterion::Wanda, Learning::besa),
    },
    Method {
        name: "pqp-metric",
        about: "prune by PQP's metric: rounded magnitude times the relative importance of the weight before it was rounded",
        example: "pqp-metric(50%)",
        parameters: SCORED,
        build: |a| prune(a, Scope::Row, |_| Ok(Scores::Once(Criterion::Pqp))),
    },
    Method {
        name: "rtn",
        about: "round each weight to the nearest value of the format",
        example: "rtn(mxfp4)",
        parameters: &[
            FORMAT,
            parameter("scale", "rule (the format's, the default) or mse: the one of least squared error"),
        ],
        build: |a| {
            let format = a.format()?;
            let squares = a.choice("scale", &[("rule", false), ("mse", true)])?;
            let method = if squares { Rounder::LeastSquares } else { Rounder::Nearest };
            Ok(Step::Quantize(Quantize { method, format }))
        },
    },
    Method {
        name: "gptq",
        about: "round column by column, the error moved to later columns (Frantar et al., ICLR 2023)",
        example: "gptq(mxfp4,order=diagonal)",
        parameters: &[
            FORMAT,
            parameter("order", "natural (the default) or diagonal: columns by descending energy of their input"),
            parameter(
                "scales",
                "moving (of the weights as they are, the default) or static (of the weights as they were)",
            ),
            DAMPING,
            BLOCK,
        ],
        build: |a| {
            let format = a.format()?;
            let order = a.choice("order", &[("natural", Order::Natural), ("diagonal", Order::ByDiagonal)])?;
            let static_scales = a.choice("scales", &[("moving", false), ("static", true)])?;
            let solver = Solver { order, static_scales, ..solver(a)? };
            Ok(Step::Quantize(Quantize { method: Rounder::Gptq(solver), format }))
        },
    },
    Method {
        name: "awq",
        about: "search scales of inputs by the error of the enclosing module and clip levels by the layer's (Lin et al., MLSys 2024)",
        example: "awq(int4)",
        parameters: &[
            FORMAT,
            parameter("scale", "yes (the default) or no: whether scales are searched"),
            parameter("clip", "yes (the default) or no: whether clip levels are searched"),
            parameter("samples", "tokens on which clip levels are compared, 512"),
        ],
        build: |a| {
            let format = a.format()?;
            let scale = a.choice("scale", YES_NO)?;
            let clip = a.choice("clip", YES_NO)?;
            let samples = a.count("samples", 512)?;
            Ok(Step::Quantize(Quantize { method: Rounder::Awq { scale, clip, samples }, format }))
        },
    },
    Method {
        name: "smoothquant",
        about: "divide norms and multiply weights so that inputs have fewer outliers (Xiao et al., ICML 2023)",
        example: "smoothquant(0.5)",
        parameters: &[
            parameter("alpha", "how much moves into the weights, 0.5"),
            parameter(
                "maxima",
                "all (the default) or last: of all calibration sequences or the last alone, as JSQ's code",
            ),
        ],
        build: |a| {
            let last_maxima = a.choice("maxima", &[("all", false), ("last", true)])?;
            let alpha = a.number("alpha", 0.5)?;
            if !(0.0..=1.0).contains(&alpha) {
                return Err(Error::Invalid(format!("smoothquant's alpha is {alpha}; it is a number from 0 to 1")));
            }
            Ok(Step::Smooth { alpha, last_maxima })
        },
    },
    Method {
        name: "forward",
        about: "the block as it is here makes the next block's inputs (as JSQ does after pruning), not as the last step leaves it",
        example: "forward",
        parameters: &[],
        build: |_| Ok(Step::Forward),
    },
    Method {
        name: "activations",
        about: "the format of the layers' inputs when the model runs",
        example: "activations(int8)",
        parameters: &[FORMAT],
        build: |a| Ok(Step::Activations(a.format()?)),
    },
];

const SELECTIONS: &[(&str, Selection)] = &[("count", Selection::Count), ("threshold", Selection::Threshold)];
const YES_NO: &[(&str, bool)] = &[("yes", true), ("no", false)];

/// The step that arguments make; all of them are used up.
pub(super) fn step(mut arguments: Arguments) -> Result<Step, Error> {
    let step = (arguments.method.build)(&mut arguments)?;
    arguments.finish()?;
    Ok(step)
}

/// The blocks of columns in which SparseGPT chooses are those in which it solves.
fn blocks_of_choice(pattern: Pattern, solver: Solver, blocked: bool) -> Result<(Pattern, Solver), Error> {
    let Pattern::Unstructured { basis_points, scope } = pattern else { return Ok((pattern, solver)) };
    let block = match scope {
        Scope::Columns(0) => solver.block,
        Scope::Columns(width) if !blocked || width == solver.block => width,
        Scope::Row => return Ok((pattern, solver)),
        _ => {
            return Err(Error::Invalid(format!(
                "sparsegpt chooses in the blocks of columns in which it solves; give a fraction such as 50% or 50%-row, and the width as \
                 block={}",
                solver.block
            )));
        }
    };
    Ok((Pattern::Unstructured { basis_points, scope: Scope::Columns(block) }, Solver { block, ..solver }))
}

fn solver(a: &mut Arguments) -> Result<Solver, Error> {
    let defaults = Solver::default();
    Ok(Solver {
        damping: a.within("damping", defaults.damping, 0.0, 1.0)?,
        block: a.count("block", defaults.block)?,
        ..defaults
    })
}

fn prune(
    a: &mut Arguments,
    published: Scope,
    scores: impl FnOnce(&mut Arguments) -> Result<Scores, Error>,
) -> Result<Step, Error> {
    let pattern = a.pattern(published)?;
    let scores = scores(a)?;
    let selection = a.choice("selection", SELECTIONS)?;
    let (alone, solving) = (a.given("parts"), a.given("damping") || a.given("block"));
    let parts = a.count("parts", 1)?;
    let permutation = a.choice(
        "permute",
        &[
            ("no", Permutation::None),
            ("serpentine", Permutation::Serpentine { importance: Importance::ColumnSum }),
            ("retained", Permutation::Serpentine { importance: Importance::Retained }),
            ("assignment", Permutation::Assignment { parts }),
        ],
    )?;
    let solver = solver(a)?;
    let update = a.choice("update", &[("no", false), ("yes", true)])?.then_some(solver);
    if alone && !matches!(permutation, Permutation::Assignment { .. }) {
        return Err(a.idle("parts", "permute=assignment"));
    }
    if solving && update.is_none() {
        return Err(a.idle("damping or block", "update=yes"));
    }
    if scores == Scores::Cumulative && !matches!(pattern, Pattern::Unstructured { .. }) {
        return Err(Error::Invalid(format!(
            "wanda-cumulative prunes fractions such as 50%, but the pattern is `{pattern}`"
        )));
    }
    Ok(Step::Prune(Prune { scores, pattern, selection, permutation, update, joint: None }))
}

fn learned(a: &mut Arguments, criterion: Criterion, published: fn(Granularity) -> Learning) -> Result<Step, Error> {
    let given = a.pattern(Scope::Row)?;
    let Pattern::Unstructured { basis_points, scope: Scope::Row } = given else {
        return Err(Error::Invalid(format!(
            "learned sparsity takes a fraction of rows, but the pattern is `{given}`; give for instance 50%, and group=layer for one of all rows"
        )));
    };
    let criterion = a.word("criterion").map_or(Ok(criterion), Criterion::by_name)?;
    let granularity = a.choice("group", &[("row", Granularity::Row), ("layer", Granularity::Layer)])?;
    let defaults = published(granularity);
    let scaled = a.given("d_coef");
    let d_coef = a.within("d_coef", 5.0, 1e-6, 1e6)?;
    let optimizer = a.choice("optimizer", &[("prodigy", Optimizer::prodigy(d_coef)), ("adamw", Optimizer::adamw())])?;
    let options = Learning {
        candidates: candidates(a.within("step", 0.01, 0.001, 0.5)?)?,
        sparsity: f64::from(basis_points) / 10_000.0,
        quantization_error: a.within("error", defaults.quantization_error, 0.0, 1e6)?,
        penalty: a.within("penalty", defaults.penalty, 0.0, 1e6)?,
        optimizer,
        epochs: a.count("epochs", defaults.epochs)?,
        smoothing: a.choice("smoothing", &[("sigmoid", Smoothing::Sigmoid), ("none", Smoothing::None)])?,
        ..defaults
    };
    if scaled && matches!(options.optimizer, Optimizer::AdamW { .. }) {
        return Err(a.idle("d_coef", "optimizer=prodigy"));
    }
    options.check()?;
    Ok(Step::Learn { criterion, options })
}
