//! Capture: a module and its forward function become an operation graph with named weights.
//!
//! The weights of a [`Captured`] are the module's own tensors, shared and not copied, so that a captured model needs the
//! memory of its weights once, whether or not the module is kept: the module is traced with parameters that have a shape and no
//! values. A graph holds for one input shape.
//!
//! Capture runs no arithmetic. A forward function that reads tensor data back (`into_data`, `into_scalar`) or branches on it
//! cannot be captured: Burn panics inside that call.

use std::any::Any;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::OnceLock;

use burn::backend::capture::TensorId;
use burn::backend::flex::{Flex, FlexTensor};
use burn::module::Module;
use burn::tensor::{Device, TensorData};
use burn_ir::{OperationIr, TensorIr, TensorStatus};

use crate::Error;
use crate::burn::backend::Backend;
use crate::burn::executor::kept;
use crate::burn::ghost::{Blank, Restore};
use crate::burn::names::{self, Take};
use crate::burn::pool::Pool;
use crate::burn::product::{self, Product};
use crate::burn::value::{self, Boundary, Value};
use crate::hw::Bits;
use crate::hw::cost::Operation;

thread_local! {
    /// Capture devices are never recycled by Burn, so one a thread serves every capture.
    static DEVICE: Device = Device::capture();
}

/// One operation of a captured graph and what the executor does around it.
#[derive(Debug)]
pub(crate) struct Step {
    /// The operation as Burn recorded it.
    pub(crate) op: OperationIr,
    /// The products that the operation is made of, as a range of [`Captured::products`].
    pub(crate) products: std::ops::Range<usize>,
    /// The product to whose output the operation adds a bias.
    pub(crate) bias_of: Option<usize>,
    /// Tensors whose last use this is and which the operation itself does not consume.
    pub(crate) free: Vec<TensorIr>,
}

/// A module's operation graph for one input shape, with its weights.
#[derive(Debug)]
pub struct Captured {
    pub(crate) steps: Vec<Step>,
    pub(crate) products: Vec<Product>,
    pub(crate) constants: HashMap<TensorId, Value>,
    names: HashMap<TensorId, String>,
    pub(crate) inputs: Vec<(TensorId, Vec<usize>)>,
    pub(crate) outputs: Vec<TensorIr>,
    pub(crate) backend: Backend,
    /// The constants on a backend where tensors stay, once they were there.
    pub(crate) resident: OnceLock<Box<dyn Any + Send + Sync>>,
}

/// A parameter that a graph uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its path, prefix included.
    pub path: String,
    /// Bits in memory.
    pub bits: u64,
    /// For a matrix a number that depends on its elements and not on their order, so that a tied weight and its transposed
    /// copy can be counted once; `None` for everything else.
    pub fingerprint: Option<u64>,
}

/// Captures `forward` of `module` for inputs shaped like `example`.
///
/// Layer names are the module's paths, so a `Linear` in field `fc1` of field `mlp` is `mlp.fc1`. The example's values do not
/// matter.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use interplay::burn::{Backend, Host, Off, capture};
///
/// let device = Device::flex();
/// let linear = LinearConfig::new(4, 2).init(&device);
/// let x = Tensor::<2>::ones([3, 4], &device);
/// let captured = capture(&linear, |m, x: Tensor<2>| m.forward(x), &x)?.on(Backend::default().hosted(Host::Burn));
/// let y: Tensor<2> = captured.run(x.clone(), &mut Off)?;
/// assert_eq!(y.into_data(), linear.forward(x).into_data());
/// # Ok::<(), interplay::Error>(())
/// ```
///
/// # Errors
/// The module or the example lives on a device other than the CPU backend, or is tracked by autodiff, or the output does not
/// depend on the graph.
pub fn capture<M, I, O>(module: &M, forward: impl FnOnce(&M, I) -> O, example: &I) -> Result<Captured, Error>
where
    M: Module,
    I: Boundary,
    O: Boundary,
{
    capture_named("", module, forward, example)
}

/// [`capture`] with a prefix for every layer name.
///
/// # Errors
/// Those of [`capture`].
pub fn capture_named<M, I, O>(
    prefix: &str,
    module: &M,
    forward: impl FnOnce(&M, I) -> O,
    example: &I,
) -> Result<Captured, Error>
where
    M: Module,
    I: Boundary,
    O: Boundary,
{
    let values = names::tensors(module, Values)?;
    let shapes = example.clone().into_values()?.iter().map(value::shape).collect();
    let device = DEVICE.with(Clone::clone);
    let mut recorded = None;
    let captured = device.capture_scope(|scope| {
        let ghost = module.clone().map(&mut Blank(&device)).to_device(&device);
        let ids = names::tensors(&ghost, Ids);
        let input = example.clone().on(&device);
        let output = forward(&ghost, input.clone());
        let boundary = input.ids().and_then(|i| Ok((i, output.ids()?)));
        let complete = match &boundary {
            Ok((inputs, outputs)) => scope.complete(inputs.clone(), outputs.clone()),
            Err(_) => scope.complete([], []),
        };
        recorded = Some(ids.and_then(|ids| boundary.map(|_| ids)));
        drop(ghost.map(&mut Restore(values.iter())));
        complete
    });
    let ids = recorded.unwrap_or_else(|| Ok(Vec::new()))?;
    let graph = captured.map_err(|e| Error::Invalid(format!("the forward function cannot be captured: {e}")))?;
    Ok(Captured::new(prefix, graph.graph, graph.values.into_iter().collect(), values, ids, shapes))
}

impl Captured {
    /// Joins a recorded graph to the module's own tensors.
    fn new(
        prefix: &str,
        mut graph: burn_ir::GraphIr,
        mut recorded: HashMap<TensorId, TensorData>,
        values: Vec<(String, Value)>,
        ids: Vec<(String, TensorId)>,
        shapes: Vec<Vec<usize>>,
    ) -> Self {
        let mut constants = HashMap::new();
        let mut names = HashMap::new();
        for ((path, value), (_, id)) in values.into_iter().zip(ids) {
            recorded.remove(&id);
            constants.insert(id, value);
            names.insert(id, names::join(prefix, &path));
        }
        // What made a parameter without values is no operation of the model.
        graph.operations.retain(|op| !op.outputs().any(|made| constants.contains_key(&made.id)));
        let inputs: Vec<_> = graph.inputs.iter().copied().zip(shapes).collect();
        for (id, _) in &inputs {
            recorded.remove(id);
        }
        constants.extend(recorded.into_iter().map(|(id, data)| (id, constant(data))));
        let used: HashSet<_> = graph.operations.iter().flat_map(|op| op.inputs().map(|t| t.id)).collect();
        constants.retain(|id, _| used.contains(id));
        let (products, ranges) = product::find(prefix, &graph.operations, &names);
        let outputs = graph.outputs.iter().filter_map(|&id| find(&graph.operations, id)).collect();
        let mut steps = steps(graph.operations, ranges, &graph.outputs);
        for (p, product) in products.iter().enumerate() {
            if let Some(step) = product.bias.and_then(|index| steps.get_mut(index)) {
                step.bias_of = Some(p);
            }
        }
        Self {
            steps,
            products,
            constants,
            names,
            inputs,
            outputs,
            backend: Backend::default(),
            resident: OnceLock::new(),
        }
    }

    /// The same graph, to be run on `backend`.
    pub fn on(self, backend: Backend) -> Self {
        Self { backend, resident: OnceLock::new(), ..self }
    }

    /// The products of the graph in execution order.
    pub fn products(&self) -> &[Product] {
        &self.products
    }

    /// The recorded operations in execution order: Burn's name, the shape of the first output, the products.
    pub fn trace(&self) -> impl Iterator<Item = (String, Vec<usize>, &[Product])> {
        self.steps.iter().map(|step| {
            let shape = step.op.outputs().next().map_or_else(Vec::new, |out| out.shape.to_vec());
            (operation_name(&step.op), shape, &self.products[step.products.clone()])
        })
    }

    /// The operations that hold no product and move numbers: their inputs and outputs in bits. Views move nothing.
    pub(crate) fn elementwise(&self) -> Vec<Operation> {
        let steps = self.steps.iter().filter(|step| step.products.is_empty());
        let moving = steps.filter(|step| {
            matches!(step.op, OperationIr::Float(..) | OperationIr::NumericFloat(..) | OperationIr::Module(..))
        });
        moving
            .map(|step| {
                let bits = |tensor: &TensorIr| 8 * tensor.dtype.size() as u64 * tensor.shape.num_elements() as u64;
                Operation {
                    name: operation_name(&step.op),
                    reads: Bits(step.op.inputs().map(bits).sum()),
                    writes: Bits(step.op.outputs().map(bits).sum()),
                }
            })
            .collect()
    }

    /// The path of a parameter that the graph uses.
    pub fn name(&self, id: TensorId) -> Option<&str> {
        self.names.get(&id).map(String::as_str)
    }

    /// The parameters that the graph uses, by path.
    pub(crate) fn names(&self) -> impl Iterator<Item = (TensorId, &str)> {
        self.names.iter().map(|(id, name)| (*id, name.as_str()))
    }

    /// The shape of the first output.
    pub fn output_shape(&self) -> Vec<usize> {
        self.outputs.first().map_or_else(Vec::new, |out| out.shape.to_vec())
    }

    /// The parameters that the graph uses.
    pub fn parameters(&self) -> impl Iterator<Item = Parameter> {
        self.names.iter().filter_map(|(id, path)| {
            let tensor = value::primitive(self.constants.get(id)?)?;
            let bits = 8 * tensor.bytes().len() as u64;
            let matrix = tensor.layout().num_dims() == 2;
            let fingerprint = matrix.then(|| fingerprint(tensor.bytes()));
            Some(Parameter { path: path.clone(), bits, fingerprint })
        })
    }

    /// Replaces recorded constants by equal ones that `pool` has, and adds the others to it.
    pub(crate) fn share(&mut self, pool: &mut Pool) {
        for (id, value) in &mut self.constants {
            if let (Value::Float(tensor), false) = (value, self.names.contains_key(id)) {
                pool.share(tensor);
            }
        }
    }

    /// The number of `f32` (and other) bytes that the graph's parameters and constants hold.
    pub fn constant_bytes(&self) -> usize {
        let unique: HashMap<_, _> = self
            .constants
            .values()
            .filter_map(value::primitive)
            .map(|t| (t.bytes().as_ptr(), t.bytes().len()))
            .collect();
        unique.values().sum()
    }
}

/// The sum of the mixed words of `bytes`.
fn fingerprint(bytes: &[u8]) -> u64 {
    let mix = |word: &[u8]| {
        let mut z = word.iter().rev().fold(0, |z, &byte| z << 8 | u64::from(byte)).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    bytes.chunks(4).map(mix).fold(0, u64::wrapping_add)
}

/// The variants of an operation without its fields: `Float::Matmul`.
pub(crate) fn operation_name(op: &OperationIr) -> String {
    let text = format!("{op:?}");
    let head = text.split('{').next().unwrap_or_default();
    let variants = head.split('(').filter_map(|part| part.rsplit(", ").next());
    let variants = variants.map(|v| v.trim_matches([' ', ')'])).filter(|v| !v.is_empty() && !v.ends_with("Ir"));
    variants.collect::<Vec<_>>().join("::")
}

/// Pairs every operation with its products and with the tensors that can be freed after it.
fn steps(operations: Vec<OperationIr>, products: Vec<std::ops::Range<usize>>, outputs: &[TensorId]) -> Vec<Step> {
    let mut last = BTreeMap::new();
    let mut consumed: HashSet<TensorId> = outputs.iter().copied().collect();
    for (index, op) in operations.iter().enumerate() {
        for tensor in op.nodes() {
            last.insert(tensor.id, (index, kept(tensor)));
            if tensor.status == TensorStatus::ReadWrite {
                consumed.insert(tensor.id);
            }
        }
    }
    let mut free = vec![Vec::new(); operations.len()];
    for (id, (index, tensor)) in last {
        if !consumed.contains(&id) {
            free[index].push(tensor);
        }
    }
    operations
        .into_iter()
        .zip(products)
        .zip(free)
        .map(|((op, products), free)| Step { op, products, bias_of: None, free })
        .collect()
}

/// Any mention of a tensor in the graph, as read by somebody who leaves it where it is.
fn find(operations: &[OperationIr], id: TensorId) -> Option<TensorIr> {
    operations.iter().flat_map(OperationIr::nodes).find(|t| t.id == id).map(kept)
}

/// A recorded constant on the CPU backend, without copying it.
fn constant(data: TensorData) -> Value {
    let dtype = data.dtype();
    let tensor = FlexTensor::from_data(data);
    if dtype.is_float() {
        Value::Float(tensor)
    } else if dtype.is_bool() {
        Value::Bool(tensor)
    } else {
        Value::Int(tensor)
    }
}

/// Takes the backend's own tensor of a parameter.
struct Values;

impl Take<Value> for Values {
    fn take<B: Boundary>(&mut self, tensor: B) -> Result<Value, Error> {
        let [value] = <[Value; 1]>::try_from(tensor.into_values()?)
            .map_err(|_| Error::Invalid("a parameter holds several tensors".into()))?;
        Ok(value)
    }
}

/// Takes the identifier of a parameter on the capture device.
struct Ids;

impl Take<TensorId> for Ids {
    fn take<B: Boundary>(&mut self, tensor: B) -> Result<TensorId, Error> {
        Ok(tensor.ids()?[0])
    }
}

/// The backend whose tensors a graph holds and a hook is given.
pub(crate) type Cpu = Flex;
