//! Models out of training: parameters under their checkpoint names, as the bytes of files.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::engine::host_values;
use crate::Error;
use crate::models::transposed;

/// A tensor on the host: shape and row-major values.
pub type HostTensor = (Vec<usize>, Vec<f32>);

/// The parameters of `module` by their checkpoint names: `prefix` and the path of fields, linear layers as `[out, in]`, the
/// scale and shift of norms as `weight` and `bias`.
pub fn parameters<M: Module>(module: &M, prefix: &str) -> BTreeMap<String, HostTensor> {
    let mut collector = Collector { path: vec![prefix.to_owned()], containers: Vec::new(), found: BTreeMap::new() };
    module.visit(&mut collector);
    collector.found
}

struct Collector {
    path: Vec<String>,
    containers: Vec<String>,
    found: BTreeMap<String, HostTensor>,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push(name.to_owned());
        self.containers.push(container.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
        self.containers.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val().without_autodiff();
        let mut shape = tensor.dims().to_vec();
        let mut values = host_values(tensor);
        let linear = self.containers.last().is_some_and(|container| container.ends_with("Linear"));
        if let (true, &[input, output]) = (linear, &shape[..]) {
            values = transposed(&values, input, output);
            shape = vec![output, input];
        }
        let mut path: Vec<&str> = self.path.iter().filter(|part| !part.is_empty()).map(String::as_str).collect();
        match path.last_mut() {
            Some(last) if *last == "gamma" => *last = "weight",
            Some(last) if *last == "beta" => *last = "bias",
            _ => {}
        }
        self.found.insert(path.join("."), (shape, values));
    }
}

/// The bytes of a safetensors file with these tensors as F32.
///
/// # Errors
/// The library refuses.
pub fn safetensors_bytes(tensors: &BTreeMap<String, HostTensor>) -> Result<Vec<u8>, Error> {
    let bytes: Vec<(&String, &[usize], Vec<u8>)> = tensors
        .iter()
        .map(|(name, (shape, values))| {
            (name, &shape[..], values.iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .collect();
    let refused = |error| Error::Invalid(format!("safetensors: {error}"));
    let views = bytes
        .iter()
        .map(|(name, shape, data)| {
            Ok((name.as_str(), TensorView::new(Dtype::F32, shape.to_vec(), data).map_err(refused)?))
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let metadata = std::collections::HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize(views, Some(metadata)).map_err(refused)
}

/// `value` as indented JSON with a final line break.
///
/// # Errors
/// `value` has no JSON form.
pub fn json_bytes(value: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|error| Error::Invalid(format!("JSON: {error}")))?;
    bytes.push(b'\n');
    Ok(bytes)
}
