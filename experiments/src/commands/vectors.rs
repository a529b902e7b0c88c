//! What the commands on recorded or computed results have in common: operands and results in a file, as tensors of raw
//! bits.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use interplay::load::Bytes;
use interplay_formats::catalog::{self, FP16};
use interplay_formats::file::{Container, Dtype, View};
use interplay_formats::{Range, Scalar, scalar};
use interplay_hw::verify::{Layout, Options};
use interplay_hw::{Datapath, Operands, Words};

use super::tensors::open;
use crate::progress::Waiting;

/// Names of results of an FP16 accumulator, and of others, in files that have both.
pub const HALF: &str = "d_fp16";
pub const SINGLE: &str = "d_fp32";

/// Which operands are meant, and how they are multiplied.
#[derive(Debug, clap::Args)]
pub struct Vectors {
    /// The safetensors file of the operands.
    #[arg(long, value_name = "FILE")]
    pub vectors: PathBuf,

    /// Only the tensors whose names begin with `P/`.
    #[arg(long, value_name = "P")]
    prefix: Option<String>,

    /// The reduction length of one instruction [default: the unit's longest; `identify` tries all that the unit has].
    #[arg(long, value_name = "I")]
    k: Option<usize>,

    /// `zero`: accumulate from +0, whatever the file says.
    #[arg(long, value_name = "zero", value_parser = ["zero"])]
    c: Option<String>,

    /// The kernel's order of K: position i of its reduction is position ORDER[i] of the operands. Numbers with commas
    /// between them, or a file of numbers; a pattern shorter than K is repeated.
    #[arg(long, value_name = "ORDER")]
    k_order: Option<String>,
}

/// The tensors of one set of operands, by their names without the prefix.
pub struct Tensors<'c, 'a> {
    container: &'c Container<'a>,
    prefix: String,
    /// Rows and K, or whole matrices.
    pub layout: Layout,
}

impl Vectors {
    /// How the operands are multiplied.
    ///
    /// # Errors
    /// An order of K that is no list of numbers.
    fn options(&self) -> Result<Options> {
        let k_order = self.k_order.as_deref().map_or(Ok(Vec::new()), order)?;
        Ok(Options { depth: self.k, k_order, ..Options::default() })
    }

    /// Opens the file and calls `then` with its tensors, the operands and how they are multiplied.
    ///
    /// # Errors
    /// A file that cannot be read, tensors that are missing or do not fit, an order of K that is no list of numbers, and
    /// the errors of `then`, all with the file's name.
    pub fn read<T>(&self, then: impl FnOnce(&Tensors<'_, '_>, Operands<'_>, Options) -> Result<T>) -> Result<T> {
        let options = self.options()?;
        let bytes = Bytes::map(&self.vectors)?;
        let container = open(&self.vectors, &bytes)?;
        let given = || {
            bytes.check_length()?;
            let tensors = self.tensors(&container)?;
            let operands = self.operands(&tensors)?;
            let (outputs, k) = tensors.size();
            let _computing = Waiting::on(format!("computing {outputs} results of K = {k}"));
            then(&tensors, operands, options)
        };
        given().with_context(|| self.vectors.display().to_string())
    }

    /// Finds the operands and their shape.
    ///
    /// # Errors
    /// `a` and `b` (or `A` and `B`) are missing, or are no two matrices that go together.
    fn tensors<'c, 'a>(&self, container: &'c Container<'a>) -> Result<Tensors<'c, 'a>> {
        let prefix = self.prefix.as_ref().map_or(String::new(), |p| format!("{}/", p.trim_end_matches('/')));
        let has = |name: &str| container.tensor(&format!("{prefix}{name}"));
        let layout = match (has("a"), has("b"), has("A"), has("B")) {
            (Some(a), Some(b), _, _) => match (&a.shape[..], &b.shape[..]) {
                (&[rows, _], &[others, k]) if rows == others => Layout::Rows { rows, k },
                (&[rows, k], &[n, others]) if (k, rows) == (n, others) => {
                    bail!(
                        "`{prefix}b` looks transposed: [rows, K] is {rows} x {k} as of `{prefix}a`, got {n} x {others}"
                    )
                }
                (a, b) => bail!("`{prefix}a` {a:?} and `{prefix}b` {b:?} must be [rows, K] with as many rows"),
            },
            (_, _, Some(a), Some(b)) => match (&a.shape[..], &b.shape[..]) {
                (&[m, stored], &[k, n]) => {
                    // A sparse A has fewer columns than B has rows.
                    if stored != k && has("e").or(has("E")).is_none() {
                        bail!("{}", other_reduction(&prefix, (m, stored), (k, n), has("D").or(has("d"))));
                    }
                    Layout::Matrices { m, n, k }
                }
                (a, b) => bail!("`{prefix}A` {a:?} and `{prefix}B` {b:?} must be matrices, [M, K] and [K, N]"),
            },
            _ => bail!("no tensors `{prefix}a` and `{prefix}b`, or `{prefix}A` and `{prefix}B`{}", sets(container)),
        };
        let empty = matches!(
            layout,
            Layout::Rows { rows: 0, .. } | Layout::Matrices { m: 0, .. } | Layout::Matrices { n: 0, .. }
        );
        ensure!(!empty, "`{prefix}a` and `{prefix}b` have no rows; there is nothing to compute");
        Ok(Tensors { container, prefix, layout })
    }

    /// The operands.
    ///
    /// # Errors
    /// A tensor is missing, or has another type or shape than its name asks for.
    fn operands<'c>(&self, tensors: &'c Tensors<'_, '_>) -> Result<Operands<'c>> {
        let c =
            match &self.c {
                Some(_) => None,
                None => Some(tensors.by_output(&["c"])?.with_context(|| {
                    format!("no tensor `{}`; add `--c zero` to accumulate from +0", tensors.name("c"))
                })?),
            };
        let scale_a = tensors.along_a(&["sa", "scale_a"])?;
        let scale_b = tensors.along_b(&["sb", "scale_b"])?;
        let missing = || format!("no tensor `{}`", tensors.name("a"));
        Ok(Operands {
            layout: tensors.layout,
            a: tensors.along_a(&["a"])?.with_context(missing)?,
            b: tensors.along_b(&["b"])?.with_context(missing)?,
            c,
            scale_a,
            scale_b,
            metadata: tensors.along_a(&["e"])?,
            agree: tensors.by_output(&["agree"])?,
        })
    }
}

impl<'a> Tensors<'_, 'a> {
    /// The results that the file holds for a unit.
    ///
    /// # Errors
    /// There are none, or they have another type or shape.
    pub fn results(&self, datapath: &Datapath) -> Result<Words<'_>> {
        self.results_named(if datapath.accumulator.d == FP16 { HALF } else { SINGLE })
    }

    /// The results under the plain name or that of their width.
    ///
    /// # Errors
    /// There are none, or they have another type or shape.
    pub fn results_named(&self, by_width: &str) -> Result<Words<'_>> {
        let found = self.by_output(&["d", by_width])?;
        found.with_context(|| format!("no tensor `{}` or `{}` to compare with", self.name("d"), self.name(by_width)))
    }

    /// Whether the file's only results are those of an FP16 accumulator, by their name.
    pub fn only_half_results(&self) -> bool {
        self.find(&["d", SINGLE]).is_none() && self.find(&[HALF]).is_some()
    }

    /// How many results there are, and the reduction length of each.
    fn size(&self) -> (usize, usize) {
        match self.layout {
            Layout::Rows { rows, k } => (rows, k),
            Layout::Matrices { m, n, k } => (m.saturating_mul(n), k),
        }
    }

    /// The shape of the results.
    pub fn output_shape(&self) -> Vec<usize> {
        match self.layout {
            Layout::Rows { rows, .. } => vec![rows],
            Layout::Matrices { m, n, .. } => vec![m, n],
        }
    }

    /// A tensor's name in this file: matrices have capital letters.
    pub fn name(&self, name: &str) -> String {
        let name = match (self.layout, name.split_at(1)) {
            (Layout::Matrices { .. }, (first, rest)) => format!("{}{rest}", first.to_uppercase()),
            _ => name.to_owned(),
        };
        format!("{}{name}", self.prefix)
    }

    /// A tensor by the first of its names that the file has. Beside matrices, other names may have any case.
    fn find(&self, names: &[&str]) -> Option<(String, &View<'a>)> {
        let spellings = |name: &&str| match self.layout {
            Layout::Rows { .. } => vec![self.name(name)],
            Layout::Matrices { .. } => {
                let spelled = |name: &str| format!("{}{name}", self.prefix);
                vec![self.name(name), spelled(&name.to_uppercase()), spelled(name)]
            }
        };
        let mut names = names.iter().flat_map(spellings);
        names.find_map(|name| self.container.tensor(&name).map(|view| (name, view)))
    }

    /// A tensor with one element an output.
    fn by_output(&self, names: &[&str]) -> Result<Option<Words<'_>>> {
        let wanted = self.output_shape();
        let Some((name, view)) = self.find(names) else { return Ok(None) };
        ensure!(view.shape == wanted, "tensor `{name}` has shape {:?}, not {wanted:?}", view.shape);
        words(&name, view).map(Some)
    }

    /// A tensor with one row a row of A.
    fn along_a(&self, names: &[&str]) -> Result<Option<Words<'_>>> {
        let (Layout::Rows { rows, .. } | Layout::Matrices { m: rows, .. }) = self.layout;
        let Some((name, view)) = self.find(names) else { return Ok(None) };
        let fits = matches!(view.shape[..], [given, _] if given == rows);
        ensure!(fits, "tensor `{name}` has shape {:?}, not one row for each of the {rows} rows", view.shape);
        words(&name, view).map(Some)
    }

    /// A tensor along B: one row an output, or one column a column of a matrix.
    fn along_b(&self, names: &[&str]) -> Result<Option<Words<'_>>> {
        let Layout::Matrices { n, .. } = self.layout else { return self.along_a(names) };
        let Some((name, view)) = self.find(names) else { return Ok(None) };
        let fits = matches!(view.shape[..], [_, given] if given == n);
        ensure!(fits, "tensor `{name}` has shape {:?}, not one column for each of the {n} columns", view.shape);
        words(&name, view).map(Some)
    }
}

/// What a tensor's type says that it holds; unsigned integers are raw bits.
fn words<'a>(name: &str, view: &View<'a>) -> Result<Words<'a>> {
    let bytes = view.bytes;
    let words = match view.dtype {
        Dtype::U8 => Words::little_endian(1, bytes),
        Dtype::U16 => Words::little_endian(2, bytes),
        Dtype::U32 => Words::little_endian(4, bytes),
        Dtype::U64 => Words::little_endian(8, bytes),
        Dtype::F16 => Words::numbers(catalog::FP16, bytes),
        Dtype::BF16 => Words::numbers(catalog::BF16, bytes),
        Dtype::F32 => Words::numbers(scalar::FP32, bytes),
        Dtype::F64 => Words::numbers(scalar::FP64, bytes),
        Dtype::F8_E4M3 => Words::numbers(catalog::E4M3, bytes),
        Dtype::F8_E5M2 => Words::numbers(catalog::E5M2, bytes),
        Dtype::F8_E8M0 => Words::numbers(catalog::E8M0, bytes),
        Dtype::I8 => Words::numbers(Scalar::ranged("int8", Range::Full, 8, 0), bytes),
        Dtype::I32 => Words::numbers(Scalar::ranged("int32", Range::Full, 32, 0), bytes),
        other => bail!(
            "tensor `{name}` is {other:?}; give numbers as F16, BF16, F32, F64, F8_E4M3, F8_E5M2, F8_E8M0, I8 or I32, or raw bits \
             as U8, U16, U32 or U64"
        ),
    };
    words.with_context(|| format!("tensor `{name}` has no width"))
}

/// Why A [m, k] and B [rows, columns] do not go together; the shape of the results, where there are any, tells which is transposed.
fn other_reduction(
    prefix: &str,
    (m, k): (usize, usize),
    (rows, columns): (usize, usize),
    d: Option<&View<'_>>,
) -> String {
    let gives = |shape: [usize; 2]| d.is_none_or(|d| d.shape == shape);
    if columns == k && (gives([m, rows]) || m != rows) {
        let wanted = format!("[K, N] with the K of `{prefix}A` is {k} x {rows}");
        format!("`{prefix}B` looks transposed: {wanted}, got {rows} x {columns}; store B as [K, N]")
    } else if m == rows {
        let wanted = format!("[M, K] with the K of `{prefix}B` is {k} x {rows}");
        format!("`{prefix}A` looks transposed: {wanted}, got {m} x {k}; store A as [M, K]")
    } else {
        format!(
            "`{prefix}A` [{m}, {k}] and `{prefix}B` [{rows}, {columns}] differ in K, {k} and {rows}; give A [M, K] and B [K, N]"
        )
    }
}

/// One output, as `--row` names it.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    row: usize,
    column: Option<usize>,
}

impl Place {
    /// The index of the output; a row alone counts the outputs of matrices as row * N + column.
    ///
    /// # Errors
    /// The operands have no such row or column.
    pub fn index(self, layout: Layout) -> Result<usize> {
        match (self.column, layout) {
            (None, _) => Ok(self.row),
            (Some(column), Layout::Matrices { m, n, .. }) if self.row < m && column < n => Ok(self.row * n + column),
            (Some(column), Layout::Matrices { m, n, .. }) => {
                bail!("there is no output {},{column}; the results are {m} x {n}, counted from 0", self.row)
            }
            (Some(_), Layout::Rows { .. }) => {
                bail!("--row takes one number here: the results are rows without columns")
            }
        }
    }
}

/// `M` or `M,N`.
pub fn place(text: &str) -> Result<Place> {
    let mut numbers = text.split(',').map(|number| number.trim().parse::<usize>());
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(row)), None, None) => Ok(Place { row, column: None }),
        (Some(Ok(row)), Some(Ok(column)), None) => Ok(Place { row, column: Some(column) }),
        _ => bail!("give a row, or of matrices M,N: row and column, counted from 0"),
    }
}

/// Which prefixes a file without operands at its root has.
fn sets(container: &Container<'_>) -> String {
    let names = container.tensors().filter_map(|(name, _)| name.strip_suffix("/a").or(name.strip_suffix("/A")));
    let sets: Vec<&str> = names.collect();
    match sets.len() {
        0 => String::new(),
        count => format!("; the file has {count} sets, pick one by `--prefix`: {}", sets[..count.min(6)].join(", ")),
    }
}

/// An order of K: numbers with commas between them, or a file of numbers.
fn order(text: &str) -> Result<Vec<usize>> {
    let numbers = |text: &str| -> Option<Vec<usize>> {
        let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
        words.map(|word| word.parse().ok()).collect()
    };
    if let Some(order) = numbers(text) {
        return Ok(order);
    }
    let content = interplay::load::read_to_string(text)
        .with_context(|| format!("`--k-order {text}` is neither a list such as 0,2,1,3 nor a file that can be read"))?;
    numbers(&content).with_context(|| format!("{text} holds something else than numbers with commas or blanks between"))
}
