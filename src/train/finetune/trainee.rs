//! A model in fine-tuning: its parameters, the optimizer's moments, the step.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

use super::optimizer::{AdamW, Moments};
use super::settings::Settings;
use crate::Error;
use crate::load::SafeTensors;
use crate::train::engine::{Dropout, Schedule, gradients, host_values};
use crate::train::export::HostTensor;

/// A model, and what training it has gathered so far.
pub(super) struct Trainee<M: Module> {
    model: M,
    device: Device,
    moments: Vec<Moments>,
    optimizer: AdamW,
    schedule: Schedule,
    clip: Option<f64>,
    step: usize,
}

/// Why a step was not taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Divergence {
    /// The loss.
    Loss(f64),
    /// The norm of all gradients together.
    Gradient(f64),
}

impl<M: Module + Sync + Send> Trainee<M> {
    /// Starts with `model`, whose parameters live on `device`, an autodiff device.
    pub fn new(model: M, device: Device, settings: &Settings) -> Self {
        let mut names = Values::default();
        model.visit(&mut names);
        Self {
            moments: vec![Moments::default(); names.found.len()],
            optimizer: settings.optimizer(),
            schedule: settings.rates(),
            clip: settings.clip,
            step: 0,
            model,
            device,
        }
    }

    /// The parameters as they are now.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// Steps done.
    pub fn step(&self) -> usize {
        self.step
    }

    /// One update, as [`gradients`] takes its arguments; gives the mean loss before it. A loss or a gradient that is not finite changes nothing.
    pub fn advance<S: Sync>(
        &mut self,
        shards: &[S],
        logits: impl Fn(&M, &S, &Device, &mut Dropout) -> Tensor<2> + Sync,
        loss: impl Fn(&S, &[f32]) -> (f64, Vec<f32>) + Sync,
        dropout: impl Fn(usize, usize) -> Dropout + Sync,
    ) -> Result<f64, Divergence> {
        let device = &self.device;
        let logits = |model: &M, shard: &S, dropout: &mut Dropout| logits(model, shard, device, dropout);
        let (loss, found) = gradients(&self.model, device, self.step, shards, logits, loss, dropout);
        if !loss.is_finite() {
            return Err(Divergence::Loss(loss));
        }
        let mut host = Gradients { of: found, host: Vec::new() };
        self.model.visit(&mut host);
        let mut gradients = host.host;
        let squares = gradients.iter().flatten().map(|gradient| square_sum(gradient));
        let norm = squares.sum::<f64>().sqrt();
        if !norm.is_finite() {
            return Err(Divergence::Gradient(norm));
        }
        if let Some(clip) = self.clip.filter(|clip| norm > *clip) {
            let factor = (clip / norm) as f32;
            gradients.iter_mut().flatten().flatten().for_each(|value| *value *= factor);
        }
        let rate = self.schedule.rate(self.step);
        self.step += 1;
        let (optimizer, step, moments) = (self.optimizer, self.step, &mut self.moments);
        let mut update = |index: usize, values: &mut Vec<f32>| {
            if let Some(gradient) = &gradients[index] {
                optimizer.update(rate, step, values, gradient, &mut moments[index]);
            }
        };
        self.model = self.model.clone().map(&mut Change { next: 0, change: &mut update });
        Ok(loss)
    }

    /// Whether every parameter is finite.
    pub fn is_finite(&self) -> bool {
        self.values().iter().all(|(_, (_, values))| values.iter().all(|value| value.is_finite()))
    }

    /// Parameters and moments by name, as [`Trainee::restore`] takes them.
    pub fn state(&self) -> Vec<(String, HostTensor)> {
        let mut state = Vec::new();
        for ((name, (shape, values)), moments) in self.values().into_iter().zip(&self.moments) {
            let length = moments.first.len();
            state.push((format!("first.{name}"), (vec![length], moments.first.clone())));
            state.push((format!("second.{name}"), (vec![length], moments.second.clone())));
            state.push((format!("parameter.{name}"), (shape, values)));
        }
        state
    }

    /// Goes back to what [`Trainee::state`] gave after step `step`.
    ///
    /// # Errors
    /// A tensor is missing or has another shape than the model's.
    pub fn restore(&mut self, step: usize, file: &SafeTensors) -> Result<(), Error> {
        let mut parameters = Vec::new();
        for ((name, (shape, values)), moments) in self.values().into_iter().zip(&mut self.moments) {
            let stored = format!("parameter.{name}");
            let given = file.shape(&stored)?;
            if given != shape {
                return Err(Error::Shape { name: stored, given: given.to_vec(), expected: shape });
            }
            parameters.push(file.floats(&stored)?);
            let read = |kind: &str| -> Result<Vec<f32>, Error> {
                let moment = file.floats(&format!("{kind}.{name}"))?;
                if moment.len() == values.len() || moment.is_empty() {
                    return Ok(moment);
                }
                Err(Error::Shape {
                    name: format!("{kind}.{name}"),
                    given: vec![moment.len()],
                    expected: vec![values.len()],
                })
            };
            *moments = Moments { first: read("first")?, second: read("second")? };
        }
        let mut replace = |index: usize, values: &mut Vec<f32>| *values = std::mem::take(&mut parameters[index]);
        self.model = self.model.clone().map(&mut Change { next: 0, change: &mut replace });
        self.step = step;
        Ok(())
    }

    fn values(&self) -> Vec<(String, HostTensor)> {
        let mut values = Values::default();
        self.model.visit(&mut values);
        values.found
    }
}

fn square_sum(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value) * f64::from(value)).sum()
}

/// Collects every parameter in the order of the module, under the path of its fields.
#[derive(Default)]
struct Values {
    path: Vec<String>,
    found: Vec<(String, HostTensor)>,
}

impl ModuleVisitor for Values {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val().without_autodiff();
        self.found.push((self.path.join("."), (tensor.dims().to_vec(), host_values(tensor))));
    }
}

/// Collects every parameter's gradient in the same order.
struct Gradients {
    of: GradientsParams,
    host: Vec<Option<Vec<f32>>>,
}

impl ModuleVisitor for Gradients {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.host.push(self.of.remove::<D>(param.id).map(host_values));
    }
}

/// Changes every parameter's values in the same order.
struct Change<'a> {
    next: usize,
    change: &'a mut dyn FnMut(usize, &mut Vec<f32>),
}

impl ModuleMapper for Change<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let (shape, device) = (tensor.dims(), tensor.device());
        let mut values = host_values(tensor.without_autodiff());
        (self.change)(self.next, &mut values);
        self.next += 1;
        let tensor = Tensor::from_data(TensorData::new(values, shape), &device).require_grad();
        Param::from_mapped_value(id, tensor, mapper)
    }
}
