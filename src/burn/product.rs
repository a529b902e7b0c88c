//! The matrix products of a captured graph: where they are, what they are called, and their shapes.
//!
//! A product with a parameter on one side is named after that parameter, also where it is reached through views (reshape,
//! permute, transpose, expand, slice, cast). A product of two activations is named by provenance: the walk back from its
//! operands stops at the nearest products with a parameter, and the longest common module path of those is the product's
//! parent. Where one such product feeds another of the same parent, the first is `<parent>.qk` and the second
//! `<parent>.pv`; every other one is `<parent>.product<i>`, counting from 0 in execution order.
//!
//! Convolutions of one or three dimensions, transposed and deformable ones are no products here; the host runs them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use burn::backend::capture::TensorId;
use burn_ir::{
    AttentionOpIr, BaseOperationIr, Conv2dOpIr, FloatOperationIr, ModuleOperationIr, NumericOperationIr, OperationIr,
    TensorIr,
};

use crate::burn::executor::kept;
use crate::burn::names;

/// What multiplies what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A parameter times an activation.
    Weight,
    /// Two activations, as in attention.
    Activation,
}

/// One matrix product `[m, k] x [k, n]`, `count` times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// The layer's name (`decoder.layers.0.fc2`, `decoder.layers.0.self_attn.qk`).
    pub name: String,
    /// How many products of the same name came before it in the graph.
    pub occurrence: usize,
    /// Whether one operand is a parameter.
    pub role: Role,
    /// Rows of the activation operand.
    pub m: usize,
    /// Length of the sums.
    pub k: usize,
    /// Columns of the output: rows of the weight matrix `[n, k]`.
    pub n: usize,
    /// How many such products the operation holds: heads times sequences, or a convolution's groups.
    pub count: usize,
    /// Length of a run of `k` that blocks must not cross: a convolution's channels, else `k`.
    pub run: usize,
    /// Rows of the activation operand that are one sequence or one image.
    pub span: usize,
    /// The operation that adds a bias to the output, where that is an operation of its own.
    pub(crate) bias: Option<usize>,
    pub(crate) weight: Option<Weight>,
}

impl Product {
    /// Multiply-accumulate operations.
    pub fn macs(&self) -> u64 {
        [self.m, self.k, self.n, self.count].iter().map(|&x| x as u64).product()
    }
}

/// Which parameter a product multiplies by, and how it gets there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Weight {
    /// The parameter.
    pub(crate) root: TensorId,
    /// The tensor that the operation reads: the parameter or the last view of it.
    pub(crate) leaf: TensorIr,
    /// The view operations between the two, in order.
    pub(crate) views: Vec<usize>,
    /// How the operation reads it.
    pub(crate) form: Form,
}

impl Weight {
    /// The batch dimensions of the weight matrices; none where there is one matrix.
    pub(crate) fn batches(&self, product: &Product) -> Vec<usize> {
        match self.form {
            _ if product.count == 1 => Vec::new(),
            Form::Kernel => vec![product.count],
            Form::Right | Form::Left => self.leaf.shape[..self.leaf.shape.len() - 2].to_vec(),
        }
    }
}

/// How an operation reads its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `[.., k, n]`, the right operand of a product.
    Right,
    /// `[.., n, k]`, the left operand of a product: the output is transposed.
    Left,
    /// `[n, channels, kh, kw]`.
    Kernel,
}

/// Finds the products of a graph. Returns them in execution order and, for each operation, the range of its own.
pub(crate) fn find(
    prefix: &str,
    operations: &[OperationIr],
    params: &HashMap<TensorId, String>,
) -> (Vec<Product>, Vec<Range<usize>>) {
    let mut finder = Finder {
        params,
        views: HashMap::new(),
        spans: HashMap::new(),
        results: HashMap::new(),
        producer: HashMap::new(),
        products: Vec::new(),
    };
    let mut ranges = Vec::with_capacity(operations.len());
    for (index, op) in operations.iter().enumerate() {
        let first = finder.products.len();
        finder.operation(index, op);
        ranges.push(first..finder.products.len());
        for out in op.outputs() {
            finder.producer.insert(out.id, index);
        }
    }
    let Finder { mut products, producer, .. } = finder;
    Provenance { operations, ranges: &ranges, producer: &producer }.name(prefix, &mut products);
    count_occurrences(&mut products);
    (products, ranges)
}

/// The state of one pass over the operations.
struct Finder<'a> {
    params: &'a HashMap<TensorId, String>,
    /// For each view of a parameter: the parameter and the views up to here.
    views: HashMap<TensorId, (TensorId, Vec<usize>)>,
    /// For activations whose leading dimensions were merged: the rows of one sequence.
    spans: HashMap<TensorId, usize>,
    /// For each output of a product with a parameter: the product.
    results: HashMap<TensorId, usize>,
    producer: HashMap<TensorId, usize>,
    products: Vec<Product>,
}

impl Finder<'_> {
    fn operation(&mut self, index: usize, op: &OperationIr) {
        match op {
            OperationIr::BaseFloat(base) => self.view(index, base),
            OperationIr::Float(_, FloatOperationIr::Matmul(m)) => {
                self.matmul(&m.lhs, &m.rhs);
                self.results.insert(m.out.id, self.products.len() - 1);
            }
            OperationIr::NumericFloat(_, NumericOperationIr::Add(sum)) => self.bias(index, &sum.lhs, &sum.rhs),
            OperationIr::Module(ModuleOperationIr::Linear(l)) => self.matmul(&l.x, &l.weight),
            OperationIr::Module(ModuleOperationIr::Conv2d(c)) => self.conv2d(c),
            OperationIr::Module(ModuleOperationIr::Attention(a)) => self.attention(a),
            _ => {}
        }
    }

    /// Follows the views that only move or repeat a parameter's elements.
    fn view(&mut self, index: usize, op: &BaseOperationIr) {
        match op {
            BaseOperationIr::Reshape(o) | BaseOperationIr::Expand(o) => self.extend(index, &o.input, &o.out),
            BaseOperationIr::SwapDims(o) => self.extend(index, &o.input, &o.out),
            BaseOperationIr::Permute(o) => self.extend(index, &o.input, &o.out),
            BaseOperationIr::Cast(o) => self.extend(index, &o.input, &o.out),
            BaseOperationIr::Slice(o) => self.extend(index, &o.tensor, &o.out),
            _ => {}
        }
    }

    /// An addition of a parameter to the output of a product.
    fn bias(&mut self, index: usize, lhs: &TensorIr, rhs: &TensorIr) {
        for (output, other) in [(lhs, rhs), (rhs, lhs)] {
            if let (Some(&p), true) = (self.results.get(&output.id), self.root(other).is_some()) {
                self.products[p].bias = Some(index);
            }
        }
    }

    fn extend(&mut self, index: usize, input: &TensorIr, out: &TensorIr) {
        if let ([.., rows, k], [.., last]) = (&input.shape[..], &out.shape[..])
            && k == last
            && input.shape.num_dims() > out.shape.num_dims()
        {
            self.spans.insert(out.id, *rows);
        }
        if let Some((root, mut views)) = self.root(input) {
            views.push(index);
            self.views.insert(out.id, (root, views));
        }
    }

    fn root(&self, tensor: &TensorIr) -> Option<(TensorId, Vec<usize>)> {
        match self.views.get(&tensor.id) {
            Some(found) => Some(found.clone()),
            None => self.params.contains_key(&tensor.id).then(|| (tensor.id, Vec::new())),
        }
    }

    fn weight(&self, tensor: &TensorIr, form: Form) -> Option<Weight> {
        self.root(tensor).map(|(root, views)| Weight { root, leaf: kept(tensor), views, form })
    }

    fn matmul(&mut self, lhs: &TensorIr, rhs: &TensorIr) {
        let (a, b) = (&lhs.shape[..], &rhs.shape[..]);
        let (m, k, n) = (a[a.len() - 2], a[a.len() - 1], b[b.len() - 1]);
        let batches = |s: &[usize]| s[..s.len() - 2].iter().product::<usize>();
        let (left, right) = (batches(a), batches(b));
        if let Some(weight) = self.weight(rhs, Form::Right) {
            // One matrix for every batch of the activations: they are rows of one product.
            let (rows, count) = if right == 1 { (left * m, 1) } else { (m * left.max(right) / right, right) };
            let span = self.spans.get(&lhs.id).copied().unwrap_or(m);
            self.push(Some(weight), [rows, k, n], count, [k, span]);
        } else if let Some(weight) = self.weight(lhs, Form::Left) {
            let (rows, count) = if left == 1 { (right * n, 1) } else { (n * left.max(right) / left, left) };
            self.push(Some(weight), [rows, k, m], count, [k, n]);
        } else {
            self.push(None, [m, k, n], left.max(right), [k, m]);
        }
    }

    fn conv2d(&mut self, c: &Conv2dOpIr) {
        let (x, w, out, groups) = (&c.x.shape, &c.weight.shape, &c.out.shape, c.options.groups);
        let (channels, taps) = (w[1], w[2] * w[3]);
        let sizes = [x[0] * out[2] * out[3], channels * taps, w[0] / groups];
        match self.weight(&c.weight, Form::Kernel) {
            Some(weight) => self.push(Some(weight), sizes, groups, [channels, out[2] * out[3]]),
            None => self.push(None, sizes, groups, [channels, out[2] * out[3]]),
        }
    }

    fn attention(&mut self, a: &AttentionOpIr) {
        let (q, k, v) = (&a.query.shape, &a.key.shape, &a.value.shape);
        let heads = q[0] * q[1];
        self.push(None, [q[2], q[3], k[2]], heads, [q[3], q[2]]);
        self.push(None, [q[2], k[2], v[3]], heads, [k[2], q[2]]);
    }

    fn push(&mut self, weight: Option<Weight>, [m, k, n]: [usize; 3], count: usize, [run, span]: [usize; 2]) {
        let name = weight.as_ref().map_or_else(String::new, |w| names::layer(&self.params[&w.root]).to_owned());
        let role = if weight.is_some() { Role::Weight } else { Role::Activation };
        self.products.push(Product { name, occurrence: 0, role, m, k, n, count, run, span, bias: None, weight });
    }
}

/// Names the products of two activations.
struct Provenance<'a> {
    operations: &'a [OperationIr],
    ranges: &'a [Range<usize>],
    producer: &'a HashMap<TensorId, usize>,
}

/// The nearest products before a product.
#[derive(Default)]
struct Nearest {
    /// Products with a parameter.
    weights: BTreeSet<usize>,
    /// Products of activations that the walk met before it stopped.
    activations: BTreeSet<usize>,
}

impl Provenance<'_> {
    fn name(&self, prefix: &str, products: &mut [Product]) {
        let mut parents = BTreeMap::new();
        let mut feeds = BTreeSet::new();
        for (index, range) in self.ranges.iter().enumerate() {
            let unnamed: Vec<_> = range.clone().filter(|&p| products[p].weight.is_none()).collect();
            let Some(&first) = unnamed.first() else { continue };
            let nearest = self.nearest(index, products);
            let weights: Vec<_> = nearest.weights.iter().map(|&p| products[p].name.as_str()).collect();
            let parent = common_parent(prefix, &weights);
            feeds.extend(nearest.activations.into_iter().map(|p| (p, first)));
            feeds.extend(unnamed.windows(2).map(|pair| (pair[0], pair[1])));
            parents.extend(unnamed.into_iter().map(|p| (p, parent.clone())));
        }
        feeds.retain(|(from, to)| parents[from] == parents[to]);
        let mut others = HashMap::<String, usize>::new();
        for (p, parent) in &parents {
            let suffix = if feeds.iter().any(|(from, _)| from == p) {
                "qk".to_owned()
            } else if feeds.iter().any(|(_, to)| to == p) {
                "pv".to_owned()
            } else {
                let i = others.entry(parent.clone()).or_default();
                *i += 1;
                format!("product{}", *i - 1)
            };
            products[*p].name = names::join(parent, &suffix);
        }
    }

    /// Walks back from an operation's inputs to the nearest products with a parameter.
    fn nearest(&self, index: usize, products: &[Product]) -> Nearest {
        let mut found = Nearest::default();
        let mut seen = BTreeSet::from([index]);
        let mut open = vec![index];
        while let Some(op) = open.pop() {
            for before in self.operations[op].inputs().filter_map(|t| self.producer.get(&t.id).copied()) {
                if !seen.insert(before) {
                    continue;
                }
                let range = self.ranges[before].clone();
                if range.clone().any(|p| products[p].weight.is_some()) {
                    found.weights.extend(range);
                } else {
                    found.activations.extend(range);
                    open.push(before);
                }
            }
        }
        found
    }
}

/// The longest module path that all `layers` lie under; `prefix` where there is none.
fn common_parent(prefix: &str, layers: &[&str]) -> String {
    let mut paths = layers.iter().map(|l| l.rsplit_once('.').map_or("", |(parent, _)| parent));
    let Some(first) = paths.next() else { return prefix.to_owned() };
    let mut common: Vec<&str> = first.split('.').collect();
    for path in paths {
        let same = common.iter().zip(path.split('.')).take_while(|(a, b)| **a == *b).count();
        common.truncate(same);
    }
    let common = common.join(".");
    if common.is_empty() { prefix.to_owned() } else { common }
}

fn count_occurrences(products: &mut [Product]) {
    let mut seen = HashMap::<String, usize>::new();
    for product in products {
        let n = seen.entry(product.name.clone()).or_default();
        product.occurrence = *n;
        *n += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::common_parent;

    #[test]
    fn parent_is_the_longest_common_module_path() {
        let parent = |layers: &[&str]| common_parent("stage", layers);
        assert_eq!(parent(&["a.attn.q", "a.attn.k"]), "a.attn");
        assert_eq!(parent(&["a.attn.q", "a.other.k"]), "a");
        assert_eq!(parent(&["a.attn.q"]), "a.attn");
        assert_eq!(parent(&["q", "k"]), "stage");
        assert_eq!(parent(&[]), "stage");
    }
}
