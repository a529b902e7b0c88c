//! Everything that can go wrong, each with what was given, what is allowed and what to do.

use thiserror::Error;

/// An error of this crate.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// A name that no record of that kind has.
    #[error("unknown {kind} `{given}`{}; known: {known}", nearest.as_ref().map_or(String::new(), |n| format!(", did you mean `{n}`?")))]
    UnknownName {
        /// What was looked up: datapath, accelerator, cycle model, price list.
        kind: &'static str,
        /// The name as given.
        given: String,
        /// The nearest known name, when one is near.
        nearest: Option<String>,
        /// All known names.
        known: String,
    },
    /// `fake` has no arithmetic of its own.
    #[error(
        "datapath `{0}` has no matrix unit: the host multiplies; multiply there, or pick `auto`, `ideal` or `fp32`"
    )]
    HostMultiplies(String),
    /// The length of an operand is not a whole number of rows.
    #[error("an operand of {len} values is not a whole number of rows of {k}; give rows * k values, k >= 1")]
    Shape {
        /// Values given.
        len: usize,
        /// Row length given.
        k: usize,
    },
    /// The matrices of one side are not those of the batch.
    #[error(
        "{side} has {given} values; {batch} products with {rows} x {k} take {} values for all products or {}",
        rows.saturating_mul(*k), batch.saturating_mul(rows.saturating_mul(*k))
    )]
    Matrices {
        /// `A` or `B`.
        side: &'static str,
        /// Values given.
        given: usize,
        /// Products.
        batch: usize,
        /// M of A, N of B.
        rows: usize,
        /// The reduction.
        k: usize,
    },
    /// The two operands differ in their reduction length.
    #[error(
        "activations have rows of {activations} values, weights rows of {weights}; both must share the reduction axis K"
    )]
    InnerDimension {
        /// K of the activations.
        activations: usize,
        /// K of the weights.
        weights: usize,
    },
    /// The two operands of a block datapath have different block lengths.
    #[error(
        "activations have blocks of {activations}, weights blocks of {weights}; a block unit needs one length on both \
         sides: pick formats of one family, or datapath `auto`"
    )]
    BlockLength {
        /// Block length of the activations.
        activations: usize,
        /// Block length of the weights.
        weights: usize,
    },
    /// The datapath cannot multiply that format.
    #[error(
        "datapath `{datapath}` cannot multiply {given}; it takes {allowed}; datapath `auto` picks a unit that fits"
    )]
    Unsupported {
        /// The datapath asked for.
        datapath: String,
        /// The operand given: format or plain values.
        given: String,
        /// What the datapath takes.
        allowed: String,
    },
    /// A value that the input format of a unit does not have.
    #[error(
        "row {row}, column {column}: {value:e} is no `{format}` number, which datapath `{datapath}` takes; quantise to \
         `{format}` first"
    )]
    NotRepresentable {
        /// The datapath asked for.
        datapath: String,
        /// Its input format.
        format: String,
        /// The value.
        value: f32,
        /// Its row.
        row: usize,
        /// Its column.
        column: usize,
    },
    /// Weights that a sparse unit cannot store.
    #[error(
        "row {row} of the weights keeps more than {n} of {m} neighbours, or is not a whole number of groups; datapath \
         `{datapath}` stores {n}:{m}: sparsify first"
    )]
    NotSparse {
        /// The datapath asked for.
        datapath: String,
        /// Stored positions a group.
        n: usize,
        /// Positions a group.
        m: usize,
        /// The row.
        row: usize,
    },
    /// A sparse unit whose arithmetic nobody has measured.
    #[error(
        "`{given}` is not settled: pick a hypothesis, `{h1}` (steps of stored products) or `{h2}` (steps of positions)"
    )]
    Unsettled {
        /// The name as given.
        given: String,
        /// The first hypothesis.
        h1: String,
        /// The second one.
        h2: String,
    },
    /// A text that declares no datapath.
    #[error("the declaration of a datapath cannot be read: {0}")]
    Toml(String),
    /// A record that cannot exist.
    #[error("datapath `{name}`: {field}: {problem}")]
    Record {
        /// Name of the record.
        name: String,
        /// The field that is wrong.
        field: &'static str,
        /// What is wrong with it, and what is allowed.
        problem: String,
    },
    /// A unit whose operands are not codes.
    #[error(
        "datapath `{0}` takes whole quantised matrices, not codes of one output; multiply matrices, or pick a machine's unit"
    )]
    NoCodes(String),
    /// A reduction length that no instruction of the unit has.
    #[error("datapath `{datapath}` has no instruction of depth {given}; it has {allowed:?}")]
    Depth {
        /// The datapath asked for.
        datapath: String,
        /// The depth given.
        given: usize,
        /// The depths that there are.
        allowed: Vec<usize>,
    },
    /// An operand of the wrong length.
    #[error("`{field}` has {given} codes, not {wanted}")]
    Lengths {
        /// The operand.
        field: &'static str,
        /// Codes given.
        given: usize,
        /// Codes wanted.
        wanted: usize,
    },
    /// Words of a width that the operand cannot have.
    #[error(
        "`{array}` has {given}-bit words; datapath `{datapath}` takes `{format}` codes in {own}-bit words, or numbers of \
         that format as FP32 in 32-bit or FP64 in 64-bit words"
    )]
    Words {
        /// The datapath asked for.
        datapath: String,
        /// The operand.
        array: &'static str,
        /// Width given.
        given: u32,
        /// Its format.
        format: String,
        /// Width of words that hold its codes.
        own: u32,
    },
    /// Numbers of a format where a record has another.
    #[error(
        "`{array}` holds `{given}` numbers, but datapath `{datapath}` takes `{wanted}`; name the input that they are"
    )]
    Numbers {
        /// The datapath asked for.
        datapath: String,
        /// The operand.
        array: &'static str,
        /// The format given.
        given: String,
        /// The format wanted.
        wanted: String,
    },
    /// An element of an operand that cannot be.
    #[error("`{array}`, row {row}, column {column}: {problem}")]
    Element {
        /// The operand.
        array: &'static str,
        /// Its row.
        row: usize,
        /// Its column.
        column: usize,
        /// What is wrong, and what is allowed.
        problem: String,
    },
    /// An order of the reduction that is none.
    #[error("the order of K, {length} positions, is no permutation that can be used: {problem}")]
    KOrder {
        /// Its length.
        length: usize,
        /// What is wrong.
        problem: String,
    },
    /// More outputs than memory can hold.
    #[error("there are more outputs than fit in memory; give fewer rows or columns at once")]
    TooManyOutputs,
    /// An output that there is not.
    #[error("there is no output {given}; the operands have {outputs}, counted from 0")]
    NoOutput {
        /// The index given.
        given: usize,
        /// Outputs that there are.
        outputs: usize,
    },
    /// A metadata code that names no positions.
    #[error("metadata of group {group}: {code:#06b} names no two positions in increasing order")]
    Metadata {
        /// The group.
        group: usize,
        /// The code.
        code: u64,
    },
    /// The reduction is so long that an integer accumulator could overflow.
    #[error(
        "K = {k} could overflow the 32-bit accumulator of datapath `{datapath}`, which is exact up to K = {max}; split K, or use a record that wraps or saturates"
    )]
    ReductionTooLong {
        /// The datapath asked for.
        datapath: String,
        /// K given.
        k: usize,
        /// Longest K that cannot overflow.
        max: usize,
    },
    /// Weights prepared by one datapath were given to another.
    #[error("weights were prepared for datapath `{prepared}` and cannot be used by `{used}`; prepare them again")]
    PreparedFor {
        /// The datapath that prepared them.
        prepared: String,
        /// The datapath that was asked to multiply.
        used: String,
    },
    /// A GEMM with a zero dimension has no cost.
    #[error("layer `{layer}` has {dimension} = 0; M, K, N and the count must be at least 1")]
    ZeroDimension {
        /// Name of the layer.
        layer: String,
        /// The dimension that is zero.
        dimension: &'static str,
    },
    /// A machine that cannot be, or a text that describes none.
    #[error("accelerator `{name}`: {problem}")]
    Accelerator {
        /// Its name, where the text has one.
        name: String,
        /// What is wrong, where, and what is allowed.
        problem: String,
    },
    /// A memory that cannot hold one block of every operand.
    #[error(
        "memory `{memory}` of accelerator `{accelerator}` cannot hold the smallest tile of layer `{layer}`: one block of \
         each operand, twice, and one sum; give it more `kib`"
    )]
    Room {
        /// The machine.
        accelerator: String,
        /// The memory.
        memory: String,
        /// The layer.
        layer: String,
    },
    /// An N:M ratio that keeps nothing or more than everything.
    #[error("{n}:{m} is not a sparsity ratio; 1 <= N <= M is allowed")]
    Ratio {
        /// Kept.
        n: u64,
        /// Group.
        m: u64,
    },
    /// A cycle model that is not defined for the machine's engine.
    #[error("cycle model `{model}` is defined for {wanted}, not for {engine}; models that fit: {}", listed(fitting))]
    CycleModel {
        /// Name of the cycle model.
        model: &'static str,
        /// The engine given.
        engine: String,
        /// What the model asks for.
        wanted: &'static str,
        /// Names of the models that fit.
        fitting: Vec<&'static str>,
    },
    /// A text in a notation of SCALE-Sim that cannot be read.
    #[error("{input}{}: {problem}", line.map_or(String::new(), |line| format!(", line {line}")))]
    Scalesim {
        /// `config` or `topology`.
        input: &'static str,
        /// Line, counted from 1, where one is to blame.
        line: Option<usize>,
        /// What is wrong, and what is allowed.
        problem: String,
    },
    /// An engine that cannot be.
    #[error("an engine has `{field}` = 0 or none; sizes and rates must be at least 1, and a tensor core needs a tile")]
    Engine {
        /// The field that is zero or empty.
        field: &'static str,
    },
    /// The machine's record gives the formats to nothing.
    #[error(
        "accelerator `{accelerator}` does not run `{weights}` weights by `{activations}` activations{}; it takes: {takes}",
        reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"))
    )]
    Refused {
        /// Name of the machine.
        accelerator: String,
        /// Format of the weights.
        weights: String,
        /// Format of the activations.
        activations: String,
        /// What the record says about it.
        reason: Option<String>,
        /// The units that the machine has, with their formats.
        takes: String,
    },
    /// Nothing says how fast a datapath is on a machine.
    #[error(
        "`{datapath}` replaces no unit of accelerator `{accelerator}` for `{weights}` weights by `{activations}` activations, so its \
         throughput is unknown: state `macs_per_cycle` in the datapath's TOML, or take a machine that has a unit for them"
    )]
    Throughput {
        /// Name of the machine.
        accelerator: String,
        /// The datapath.
        datapath: String,
        /// Format of the weights.
        weights: String,
        /// Format of the activations.
        activations: String,
    },
    /// A workload was computed by another unit than the one that would be priced.
    #[error(
        "layer `{layer}` was computed on `{computed}`, but accelerator `{accelerator}` would run it on `{priced}`; cost it on the machine \
         that computed it"
    )]
    OtherUnit {
        /// Name of the layer.
        layer: String,
        /// Name of the machine that is to be priced.
        accelerator: String,
        /// The unit that gave the bits.
        computed: String,
        /// The unit that the machine has.
        priced: String,
    },
    /// A count beyond 64 bits.
    #[error("layer `{layer}`: {quantity} do not fit 64 bits; give smaller dimensions or a smaller count")]
    TooLarge {
        /// Name of the layer.
        layer: String,
        /// What was counted.
        quantity: &'static str,
    },
    /// A price list that cannot be read.
    #[error("price list `{name}`: {problem}")]
    Prices {
        /// Name of the list, where it has one.
        name: String,
        /// What is wrong with it and where, and the nearest name.
        problem: String,
    },
    /// A technology that no scaling rule covers.
    #[error("{nm} nm at {volts} V: scaling covers 2 to 130 nm at 0.4 to 1.4 V")]
    Technology {
        /// Feature size given.
        nm: f64,
        /// Supply given.
        volts: f64,
    },
    /// An error of the formats crate.
    #[error(transparent)]
    Format(#[from] interplay_formats::Error),
}

/// Names for a message.
fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
