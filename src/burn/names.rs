//! Parameter paths of a Burn module, and the parameters themselves.
//!
//! A path is what `#[derive(Module)]` sees: field names joined by dots, indices for containers.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Bool, Int, Tensor};

use crate::Error;
use crate::burn::value::Boundary;

/// Where a walk through a module is.
#[derive(Debug, Default)]
pub(crate) struct Place<'a> {
    prefix: &'a str,
    fields: Vec<String>,
}

impl<'a> Place<'a> {
    /// At the module itself, which is called `prefix`.
    pub(crate) fn under(prefix: &'a str) -> Self {
        Self { prefix, fields: Vec::new() }
    }

    /// Goes into a field: `self` cannot be the name of one in Rust, but it is one in checkpoints.
    pub(crate) fn enter(&mut self, field: &str) {
        self.fields.push(if field == "self_" { "self" } else { field }.to_owned());
    }

    /// Comes out of the last field.
    pub(crate) fn leave(&mut self) {
        self.fields.pop();
    }

    /// The path of what is here.
    pub(crate) fn path(&self) -> String {
        join(self.prefix, &self.fields.join("."))
    }
}

/// Visits every tensor of a module in declaration order and keeps what `take` makes of it.
struct Walk<T, F> {
    place: Place<'static>,
    found: Vec<(String, T)>,
    error: Option<Error>,
    take: F,
}

/// What [`tensors`] can do with a parameter, whatever its rank and kind.
pub(crate) trait Take<T> {
    fn take<B: Boundary>(&mut self, tensor: B) -> Result<T, Error>;
}

impl<T, F: Take<T>> Walk<T, F> {
    fn visit<B: Boundary>(&mut self, tensor: B) {
        match self.take.take(tensor) {
            Ok(item) => self.found.push((self.place.path(), item)),
            Err(e) => self.error = Some(e),
        }
    }
}

impl<T, F: Take<T>> ModuleVisitor for Walk<T, F> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.place.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.place.leave();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.visit(param.val());
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.visit(param.val());
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.visit(param.val());
    }
}

/// Every tensor of `module` in declaration order, with its path.
///
/// # Errors
/// The first error of `take`.
pub(crate) fn tensors<M: Module, T, F: Take<T>>(module: &M, take: F) -> Result<Vec<(String, T)>, Error> {
    let mut walk = Walk { place: Place::default(), found: Vec::new(), error: None, take };
    module.visit(&mut walk);
    match walk.error {
        Some(e) => Err(e),
        None => Ok(walk.found),
    }
}

/// The layer a parameter belongs to: its path under `prefix`, without a trailing `.weight`.
pub(crate) fn layer(path: &str) -> &str {
    path.strip_suffix(".weight").unwrap_or(path)
}

/// `prefix.path`, or the path alone where the prefix is empty.
pub(crate) fn join(prefix: &str, path: &str) -> String {
    match (prefix.is_empty(), path.is_empty()) {
        (true, _) => path.to_owned(),
        (_, true) => prefix.to_owned(),
        _ => format!("{prefix}.{path}"),
    }
}
