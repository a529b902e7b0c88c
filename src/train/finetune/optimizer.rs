//! AdamW (Loshchilov and Hutter 2019) over host values: Burn's arithmetic bit for bit, with a state that is plain numbers.
//!
//! Every value is updated on its own, so that threads change no bit, and in one pass instead of one for every operation.

use rayon::prelude::*;

/// Values that one thread takes at a time.
const CHUNK: usize = 1 << 14;

/// The constants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct AdamW {
    /// Decay of the first moment.
    pub beta_1: f32,
    /// Decay of the second moment.
    pub beta_2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Decoupled weight decay.
    pub weight_decay: f32,
}

/// The moving averages of one parameter's gradient and of its square; empty before the first step.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Moments {
    /// Of the gradient.
    pub first: Vec<f32>,
    /// Of its square.
    pub second: Vec<f32>,
}

impl AdamW {
    /// Step `step`, counted from 1, at learning rate `rate`.
    pub fn update(&self, rate: f64, step: usize, values: &mut [f32], gradient: &[f32], moments: &mut Moments) {
        moments.first.resize(values.len(), 0.0);
        moments.second.resize(values.len(), 0.0);
        let time = i32::try_from(step).unwrap_or(i32::MAX);
        let (bias_1, bias_2) = (1.0 - self.beta_1.powi(time), 1.0 - self.beta_2.powi(time));
        let (keep_1, keep_2) = (1.0 - self.beta_1, 1.0 - self.beta_2);
        let decay = rate * f64::from(self.weight_decay);
        let (kept, rate) = ((1.0 - decay) as f32, rate as f32);
        let firsts = moments.first.par_chunks_mut(CHUNK).zip(moments.second.par_chunks_mut(CHUNK));
        values.par_chunks_mut(CHUNK).zip(gradient.par_chunks(CHUNK)).zip(firsts).for_each(
            |((values, gradient), (first, second))| {
                for (((value, g), m), v) in values.iter_mut().zip(gradient).zip(first).zip(second) {
                    *m = *m * self.beta_1 + g * keep_1;
                    *v = *v * self.beta_2 + g * g * keep_2;
                    let delta = (*m / bias_1) / ((*v / bias_2).sqrt() + self.epsilon);
                    *value = *value * kept - delta * rate;
                }
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use burn::module::{Module, Param};
    use burn::nn::{Linear, LinearConfig};
    use burn::optim::{AdamWConfig, GradientsParams};
    use burn::tensor::{Device, Tensor};

    use super::*;
    use crate::train::engine::host_values;

    #[test]
    fn it_is_burns_bit_for_bit() {
        let device = Device::flex().autodiff();
        let own = AdamW { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, weight_decay: 0.01 };
        let config = AdamWConfig::new().with_beta_1(0.9).with_beta_2(0.999).with_epsilon(1e-8).with_weight_decay(0.01);
        let mut burn = config.init();
        let weight: Vec<f32> = (0..35).map(|i| (i as f32 * 0.7).sin()).collect();
        let tensor = Tensor::<1>::from_floats(&weight[..], &device).reshape([5, 7]);
        let mut layer = LinearConfig::new(5, 7).with_bias(false).init(&device);
        layer = Linear { weight: Param::from_tensor(tensor), ..layer };
        let (mut values, mut moments) = (weight, Moments::default());
        for step in 1..=20 {
            let rate = 0.01 / step as f64;
            let x = Tensor::<2>::ones([3, 5], &device) * step as f32 * 0.1;
            let gradients = layer.forward(x).powi_scalar(2).sum().backward();
            let gradients = GradientsParams::from_grads(gradients, &layer);
            let gradient = host_values(gradients.get::<2>(layer.weight.id).unwrap());
            layer = burn.step(rate, layer, gradients);
            own.update(rate, step, &mut values, &gradient, &mut moments);
            let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            let expected = host_values(layer.clone().valid().weight.val());
            assert_eq!(bits(&values), bits(&expected), "step {step}");
        }
    }
}
