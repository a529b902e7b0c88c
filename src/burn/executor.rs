//! The executor: runs a captured graph on a CPU backend of Burn and hands the products that a [`Hook`] wants to it.
//!
//! Operations run in the recorded order on the module's own tensors, which are freed after their last use, as eager execution does.
//! On [`Host::Fixed`] those whose bits would depend on the machine are this project's own; on [`Host::Burn`] every operation goes to
//! the backend as Burn recorded it, so that with no product wanted the result equals eager execution bit for bit.
//!
//! The executor knows no formats and no machines.

use burn::backend::capture::TensorId;
use burn::backend::flex::{Flex, FlexDevice, FlexTensor};
use burn::backend::ops::FloatTensorOps;
use burn::backend::{DispatchKindConversion, DispatchTensor, TensorMetadata};
use burn_ir::{
    AttentionOpIr, FloatOperationIr, HandleKind, ModuleOperationIr, NumericOperationIr, OperationIr, TensorIr,
    TensorStatus,
};
use burn_router::TensorInterpreter;

use crate::Error;
use crate::burn::backend::{self, Backend, Engine, Of};
use crate::burn::capture::{Captured, Cpu, Step, operation_name};
use crate::burn::hook::Hook;
use crate::burn::host::{self, Host, Treatment};
use crate::burn::product::{Form, Product};
use crate::burn::value::{self, Boundary, Value};
use crate::burn::{attention, conv};

impl Captured {
    /// Runs the graph on `input`.
    ///
    /// # Errors
    /// `input` has another shape than the captured example, the output is not of type `O`, or the hook failed.
    pub fn run<I: Boundary, O: Boundary>(&self, input: I, hook: &mut dyn Hook) -> Result<O, Error> {
        match self.backend {
            Backend::Flex(_) => self.run_on::<Flex, I, O>(input, hook),
            #[cfg(feature = "ndarray")]
            Backend::NdArray => self.run_on::<backend::ndarray::Host, I, O>(input, hook),
            #[cfg(feature = "wgpu")]
            Backend::Wgpu => self.run_on::<backend::wgpu::Host, I, O>(input, hook),
        }
    }

    fn run_on<B: Engine, I: Boundary, O: Boundary>(&self, input: I, hook: &mut dyn Hook) -> Result<O, Error>
    where
        DispatchTensor: DispatchKindConversion<B>,
    {
        let interpreter = TensorInterpreter::<B>::new(B::Device::default());
        let mut run = Run { interpreter, products: &self.products, hook, host: self.backend.host() };
        self.place(&mut run.interpreter)?;
        self.bind(input.into_handles::<B>()?, &mut run.interpreter)?;
        for step in &self.steps {
            run.step(step)?;
        }
        let outputs: Vec<_> = self.outputs.iter().map(|out| run.interpreter.get_tensor(out)).collect();
        O::from_handles::<B>(&mut outputs.into_iter())
    }

    /// Puts the graph's constants into the interpreter; where tensors stay on a backend they are brought there once.
    fn place<B: Engine>(&self, interpreter: &mut TensorInterpreter<B>) -> Result<(), Error> {
        let lift = |(id, value): (&TensorId, &Value)| Ok((*id, backend::lift::<B>(value.clone())?));
        if !B::RESIDENT {
            for constant in &self.constants {
                let (id, there) = lift(constant)?;
                interpreter.register_tensor_to_device(id, there);
            }
            return Ok(());
        }
        type There<B> = Vec<(TensorId, HandleKind<B>)>;
        if self.resident.get().is_none() {
            let there: There<B> = self.constants.iter().map(lift).collect::<Result<_, Error>>()?;
            // Whoever came first has the same tensors.
            let _ = self.resident.set(Box::new(there));
        }
        let there = self.resident.get().and_then(|there| there.downcast_ref::<There<B>>());
        for (id, constant) in there.into_iter().flatten() {
            interpreter.register_tensor_to_device(*id, constant.clone());
        }
        Ok(())
    }

    fn bind<B: Engine>(&self, inputs: Vec<HandleKind<B>>, interpreter: &mut TensorInterpreter<B>) -> Result<(), Error> {
        let given: Vec<_> = inputs.iter().map(value::shape).collect();
        let expected: Vec<_> = self.inputs.iter().map(|(_, shape)| shape.clone()).collect();
        if given != expected {
            return Err(Error::Invalid(format!(
                "the graph was captured for inputs of shape {expected:?}, but was given {given:?}; capture it again for that \
                 shape"
            )));
        }
        for ((id, _), input) in self.inputs.iter().zip(inputs) {
            interpreter.register_tensor_to_device(*id, input);
        }
        Ok(())
    }

    /// The matrices that a product multiplies by: `[count, n, k]` row-major, as the module holds them.
    ///
    /// # Errors
    /// The product has no parameter, or one that is not f32.
    pub(crate) fn weight_rows(&self, product: &Product) -> Result<FlexTensor, Error> {
        let rows = match self.weight(product)? {
            (leaf, Form::Right) => transpose(leaf),
            (leaf, Form::Left) => leaf,
            (leaf, Form::Kernel) => conv::kernel_rows::<Cpu>(leaf, product),
        };
        let rows = value::contiguous(rows, &product.name)?;
        Ok(Cpu::float_reshape(rows, vec![product.count, product.n, product.k].into()))
    }

    /// The same as `[.., k, n]`, without a copy where the graph reads it in that form.
    ///
    /// # Errors
    /// Those of [`Captured::weight_rows`].
    pub(crate) fn weight_columns(&self, product: &Product) -> Result<FlexTensor, Error> {
        let columns = match self.weight(product)? {
            (leaf, Form::Right) => leaf,
            (leaf, Form::Left) => transpose(leaf),
            (leaf, Form::Kernel) => transpose(conv::kernel_rows::<Cpu>(leaf, product)),
        };
        let batches = product.weight.as_ref().map_or_else(Vec::new, |w| w.batches(product));
        let shape = [batches, vec![product.k, product.n]].concat().into();
        // A tied head is a transposed view; reshaping it would copy it even to its own shape.
        Ok(if *columns.layout().shape() == shape { columns } else { Cpu::float_reshape(columns, shape) })
    }

    /// The tensor that a product's operation reads as its weight.
    fn weight(&self, product: &Product) -> Result<(FlexTensor, Form), Error> {
        let missing = || Error::Invalid(format!("`{}` has no parameter of floating point", product.name));
        let weight = product.weight.as_ref().ok_or_else(missing)?;
        let root = self.constants.get(&weight.root).ok_or_else(missing)?;
        let mut interpreter = TensorInterpreter::<Cpu>::new(FlexDevice);
        interpreter.register_tensor_to_device(weight.root, root.clone());
        for &view in &weight.views {
            interpreter.register_op(self.steps[view].op.clone());
        }
        match interpreter.get_tensor(&weight.leaf) {
            Value::Float(leaf) => Ok((leaf, weight.form)),
            _ => Err(missing()),
        }
    }
}

/// One execution of a graph.
struct Run<'a, B: Engine> {
    interpreter: TensorInterpreter<B>,
    products: &'a [Product],
    hook: &'a mut dyn Hook,
    host: Host,
}

impl<B: Engine> Run<'_, B> {
    fn step(&mut self, step: &Step) -> Result<(), Error> {
        let range = step.products.clone();
        // A fused operation of two products is taken apart as soon as one of them is of interest.
        let apart = range.len() > 1 && self.hook.observes();
        let own = self.host == Host::Fixed && !range.is_empty();
        if own || apart || range.clone().any(|p| self.hook.wants(p)) {
            self.products_of(step)?;
        } else if !self.biased(step)? && !self.fixed(&step.op)? {
            self.interpreter.register_op(step.op.clone());
            if range.len() == 1 && self.hook.observes() {
                self.observe(range.start, &step.op)?;
            }
        }
        for tensor in &step.free {
            self.interpreter.register_op(OperationIr::Drop(tensor.clone()));
        }
        Ok(())
    }

    /// Runs an operation of which the hook wants at least one product, or all of whose products are the fixed host's.
    fn products_of(&mut self, step: &Step) -> Result<(), Error> {
        let p = step.products.start;
        match &step.op {
            OperationIr::Float(_, FloatOperationIr::Matmul(m)) => {
                let (lhs, rhs) = (self.take(&m.lhs)?, self.take(&m.rhs)?);
                let out = self.matmul(p, lhs, rhs)?;
                let out = self.narrow(p, out)?;
                self.put(&m.out, shaped::<B>(out, &m.out));
            }
            OperationIr::Module(ModuleOperationIr::Linear(l)) => {
                let (x, weight) = (self.take(&l.x)?, self.take(&l.weight)?);
                let bias = l.bias.as_ref().map(|b| self.take(b)).transpose()?;
                let out = self.matmul(p, x, weight)?;
                let out = shaped::<B>(self.narrow(p, out)?, &l.out);
                let out = match bias {
                    Some(bias) => {
                        let bias = self.narrow(p, bias)?;
                        self.narrow(p, B::float_add(out, bias))?
                    }
                    None => out,
                };
                self.put(&l.out, out);
            }
            OperationIr::Module(ModuleOperationIr::Conv2d(c)) => {
                let (x, weight) = (self.take(&c.x)?, self.take(&c.weight)?);
                let bias = c.bias.as_ref().map(|b| self.take(b)).transpose()?;
                let product = &self.products[p];
                let out = if self.hook.wants(p) {
                    let rows = B::im2col(x, c, product)?;
                    let kernel = || B::float_transpose(conv::kernel_rows::<B>(weight, product));
                    let out = B::multiply(self.hook, p, product, rows, product.weight.is_none().then(kernel))?;
                    conv::fold::<B>(self.narrow(p, out)?, c)
                } else {
                    B::lift(host::convolution(B::lower(x)?, B::lower(weight)?, c, product)?)?
                };
                let bias = bias.map(|b| self.narrow(p, b)).transpose()?;
                let out = conv::biased::<B>(out, bias, c);
                let out = self.narrow(p, out)?;
                self.put(&c.out, out);
            }
            OperationIr::Module(ModuleOperationIr::Attention(a)) => self.attention(p, a)?,
            other => return Err(Error::Invalid(format!("no product can be taken out of {other:?}"))),
        }
        if step.products.len() == 1 && self.hook.observes() {
            self.observe(p, &step.op)?;
        }
        Ok(())
    }

    /// Attention as its two products with the masking and the softmax between them on the host.
    fn attention(&mut self, p: usize, a: &AttentionOpIr) -> Result<(), Error> {
        let (q, k, v) = (self.take(&a.query)?, self.take(&a.key)?, self.take(&a.value)?);
        let mask = a.mask.as_ref().map(|t| self.take(t)).transpose()?;
        let bias = a.attn_bias.as_ref().map(|t| self.take(t)).transpose()?;
        let scores = self.matmul(p, q, B::float_transpose(k))?;
        self.show(p, &scores)?;
        let out = self.matmul(p + 1, attention::weights::<B>(scores, mask, bias, a, self.host)?, v)?;
        self.show(p + 1, &out)?;
        self.put(&a.out, out);
        Ok(())
    }

    /// `lhs x rhs` by the hook or, where it does not want this product of a larger operation, by the host.
    fn matmul(&mut self, p: usize, lhs: Of<B>, rhs: Of<B>) -> Result<Of<B>, Error> {
        let product = &self.products[p];
        if !self.hook.wants(p) {
            return match self.host {
                Host::Fixed => B::lift(host::matmul(B::lower(lhs)?, B::lower(rhs)?, &product.name)?),
                Host::Burn => Ok(B::float_matmul(lhs, rhs)),
            };
        }
        match product.weight.as_ref().map(|w| w.form) {
            None => B::multiply(self.hook, p, product, lhs, Some(rhs)),
            Some(Form::Left) => {
                let out = B::multiply(self.hook, p, product, B::float_transpose(rhs), None)?;
                Ok(B::float_transpose(out))
            }
            Some(_) => B::multiply(self.hook, p, product, lhs, None),
        }
    }

    /// Runs an operation that the fixed host takes over; false where Burn is to run it.
    fn fixed(&mut self, op: &OperationIr) -> Result<bool, Error> {
        if self.host == Host::Burn {
            return Ok(false);
        }
        let (out, tensor) = match host::treat(op) {
            Treatment::Burn => return Ok(false),
            Treatment::Function(f, input, out) => (out, host::fill(f, self.take_host(input)?)?),
            Treatment::Power(o) => {
                (&o.out, host::power(self.take_host(&o.lhs)?, self.take_host(&o.rhs)?, &o.out.shape)?)
            }
            Treatment::Reduce(r, o) => (o.out, host::reduce(r, self.take_host(o.input)?, o.axis)?),
            Treatment::ReduceAll(r, input, out) => (out, host::reduce_all(r, self.take_host(input)?)?),
            Treatment::Softmax(o) => (o.out, host::softmax(self.take_host(o.input)?, o.axis, false)?),
            Treatment::LayerNorm(o) => {
                let (x, gamma) = (self.take_host(&o.input)?, self.take_host(&o.gamma)?);
                let beta = o.beta.as_ref().map(|beta| self.take_host(beta)).transpose()?;
                (&o.out, host::layer_norm(x, gamma, beta, o.epsilon.elem())?)
            }
            Treatment::Product | Treatment::Refused => return Err(unfixed(op)),
        };
        self.put(out, B::lift(tensor)?);
        Ok(true)
    }

    fn take_host(&mut self, ir: &TensorIr) -> Result<FlexTensor, Error> {
        B::lower(self.take(ir)?)
    }

    /// Adds a bias in the type of the product's format, where it has one; false where Burn is to add it.
    fn biased(&mut self, step: &Step) -> Result<bool, Error> {
        let Some(p) = step.bias_of.filter(|&p| self.hook.wants(p) && self.hook.output(p).is_some()) else {
            return Ok(false);
        };
        let OperationIr::NumericFloat(_, NumericOperationIr::Add(sum)) = &step.op else { return Ok(false) };
        let (lhs, rhs) = (self.take(&sum.lhs)?, self.take(&sum.rhs)?);
        // The output is in that type already, so that rounding both operands rounds the bias.
        let (lhs, rhs) = (self.narrow(p, lhs)?, self.narrow(p, rhs)?);
        let out = self.narrow(p, B::float_add(lhs, rhs))?;
        self.put(&sum.out, out);
        Ok(true)
    }

    /// A tensor in the type that the format of product `p` works in, where it has one.
    fn narrow(&self, p: usize, tensor: Of<B>) -> Result<Of<B>, Error> {
        match self.hook.output(p).filter(|_| self.hook.wants(p)) {
            Some(input) => B::narrow(tensor, input, &self.products[p].name),
            None => Ok(tensor),
        }
    }

    /// Shows the hook the output of an operation that is one product.
    fn observe(&mut self, p: usize, op: &OperationIr) -> Result<(), Error> {
        let Some(out) = op.outputs().next() else { return Ok(()) };
        let output = self.take(&kept(out))?;
        self.show(p, &output)
    }

    /// Shows the hook the output of a product, where it looks.
    fn show(&mut self, p: usize, output: &Of<B>) -> Result<(), Error> {
        if self.hook.observes() {
            self.hook.observe(p, &self.products[p], &B::lower(output.clone())?);
        }
        Ok(())
    }

    fn take(&mut self, ir: &TensorIr) -> Result<Of<B>, Error> {
        backend::primitive::<B>(self.interpreter.get_tensor(ir))
    }

    fn put(&mut self, ir: &TensorIr, tensor: Of<B>) {
        self.interpreter.register_tensor_to_device(ir.id, HandleKind::Float(tensor));
    }
}

/// The fixed host has no such operation.
fn unfixed(op: &OperationIr) -> Error {
    Error::Invalid(format!(
        "the fixed host has no `{}`; take the host `burn`, whose bits depend on the machine",
        operation_name(op)
    ))
}

/// `tensor` as read by somebody who leaves it where it is.
pub(crate) fn kept(tensor: &TensorIr) -> TensorIr {
    TensorIr { status: TensorStatus::ReadOnly, ..tensor.clone() }
}

/// The last two dimensions swapped, as a view.
pub(crate) fn transpose(tensor: FlexTensor) -> FlexTensor {
    Cpu::float_transpose(tensor)
}

/// `out` with the dimensions that the graph gives it: a weight may have carried leading dimensions of 1.
fn shaped<B: Engine>(out: Of<B>, ir: &TensorIr) -> Of<B> {
    if out.shape() == ir.shape { out } else { B::float_reshape(out, ir.shape.clone()) }
}
