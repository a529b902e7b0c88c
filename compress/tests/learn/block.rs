//! The recorded block without attention, forwards and backwards by hand in FP64.
//!
//! y = x + O(silu(Q x) * K x + V x); z = y + Down(silu(Gate y) * Up y). Matrices are `[out, in]`, activations `[tokens, width]`.

use super::recorded::Record;
use interplay_compress::Error;
use interplay_compress::learn::{Objective, Target};

pub struct Toy {
    inputs: Vec<Vec<f64>>,
    references: Vec<Vec<f64>>,
    width: usize,
}

/// What the way forwards leaves for the way back.
struct Forward {
    q: Vec<f64>,
    k: Vec<f64>,
    mixed: Vec<f64>,
    y: Vec<f64>,
    gate: Vec<f64>,
    up: Vec<f64>,
    product: Vec<f64>,
    z: Vec<f64>,
}

impl Toy {
    pub fn new(record: &Record) -> Self {
        assert_eq!(record.meta()["shape"]["kind"], "toy");
        let last = |name: &&str| name.rsplit('.').next().map(str::to_owned);
        let order = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
        assert!(record.linears(0).iter().map(last).eq(order.map(|name| Some(name.to_owned()))), "as `forward` assumes");
        let &[_, tokens, width] = record.shape(&record.input(0)) else { panic!("x has three dimensions") };
        let sequences = |name: &str| record.values(name).chunks(tokens * width).map(<[f64]>::to_vec).collect();
        Self { inputs: sequences(&record.input(0)), references: sequences("0.ref"), width }
    }

    fn forward(&self, x: &[f64], w: &[Vec<f64>]) -> Forward {
        let (d, e) = (self.width, w[0].len() / self.width);
        let ff = w[4].len() / d;
        let (q, k, v) = (times(x, &w[0], d), times(x, &w[1], d), times(x, &w[2], d));
        let mixed: Vec<f64> = (0..q.len()).map(|i| silu(q[i]) * k[i] + v[i]).collect();
        let y = sum(x, &times(&mixed, &w[3], e));
        let (gate, up) = (times(&y, &w[4], d), times(&y, &w[5], d));
        let product: Vec<f64> = (0..gate.len()).map(|i| silu(gate[i]) * up[i]).collect();
        let z = sum(&y, &times(&product, &w[6], ff));
        Forward { q, k, mixed, y, gate, up, product, z }
    }

    /// The loss, and its derivative by the output.
    fn compare(&self, sample: usize, z: &[f64], target: Target) -> (f64, Vec<f64>) {
        let (reference, width) = (&self.references[sample], self.width);
        let squares = |channel: usize| reference.iter().skip(channel).step_by(width).map(|y| y * y).sum::<f64>();
        let squares: Vec<f64> = (0..width).map(squares).collect();
        let aim = |i: usize| if target == Target::Reference { reference[i] } else { 0.0 };
        let off = |i: usize| z[i] - aim(i);
        let loss = (0..z.len()).map(|i| off(i) * off(i) / squares[i % width]).sum::<f64>() / width as f64;
        let by_z = (0..z.len()).map(|i| 2.0 * off(i) / (squares[i % width] * width as f64)).collect();
        (loss, by_z)
    }

    fn backward(&self, x: &[f64], w: &[Vec<f64>], f: &Forward, dz: &[f64]) -> Vec<Vec<f64>> {
        let (d, e) = (self.width, w[0].len() / self.width);
        let ff = w[4].len() / d;
        let dproduct = back(dz, &w[6], ff);
        let dup: Vec<f64> = (0..dproduct.len()).map(|i| dproduct[i] * silu(f.gate[i])).collect();
        let dgate: Vec<f64> = (0..dproduct.len()).map(|i| dproduct[i] * f.up[i] * slope_of_silu(f.gate[i])).collect();
        let dy = sum(dz, &sum(&back(&dgate, &w[4], d), &back(&dup, &w[5], d)));
        let dmixed = back(&dy, &w[3], e);
        let dk: Vec<f64> = (0..dmixed.len()).map(|i| dmixed[i] * silu(f.q[i])).collect();
        let dq: Vec<f64> = (0..dmixed.len()).map(|i| dmixed[i] * f.k[i] * slope_of_silu(f.q[i])).collect();
        vec![
            outer(&dq, x, d),
            outer(&dk, x, d),
            outer(&dmixed, x, d),
            outer(&dy, &f.mixed, e),
            outer(&dgate, &f.y, d),
            outer(&dup, &f.y, d),
            outer(dz, &f.product, ff),
        ]
    }
}

impl Objective for Toy {
    type Error = Error;

    fn samples(&self) -> usize {
        self.inputs.len()
    }

    fn loss(&mut self, sample: usize, weights: &[Vec<f32>], target: Target) -> Result<f64, Error> {
        let weights: Vec<Vec<f64>> = weights.iter().map(|w| w.iter().copied().map(f64::from).collect()).collect();
        Ok(self.compare(sample, &self.forward(&self.inputs[sample], &weights).z, target).0)
    }

    fn slope(&mut self, sample: usize, weights: &[Vec<f32>], target: Target) -> Result<(f64, Vec<Vec<f32>>), Error> {
        let weights: Vec<Vec<f64>> = weights.iter().map(|w| w.iter().copied().map(f64::from).collect()).collect();
        let x = &self.inputs[sample];
        let forward = self.forward(x, &weights);
        let (loss, by_z) = self.compare(sample, &forward.z, target);
        let gradients = self.backward(x, &weights, &forward, &by_z);
        Ok((loss, gradients.iter().map(|g| g.iter().map(|v| *v as f32).collect()).collect()))
    }
}

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

fn slope_of_silu(x: f64) -> f64 {
    let logistic = 1.0 / (1.0 + (-x).exp());
    logistic * (1.0 + x * (1.0 - logistic))
}

/// x W^T, where rows of both have `k` elements.
fn times(x: &[f64], w: &[f64], k: usize) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    x.chunks(k).flat_map(|x| w.chunks(k).map(move |w| dot(x, w))).collect()
}

/// dy W: the derivative by the input of `times`.
fn back(dy: &[f64], w: &[f64], k: usize) -> Vec<f64> {
    let rows = w.len() / k;
    let one = |dy: &[f64], j: usize| dy.iter().zip(w.chunks(k)).map(|(dy, w)| dy * w[j]).sum::<f64>();
    dy.chunks(rows).flat_map(|dy| (0..k).map(move |j| one(dy, j))).collect()
}

/// dy^T x: the derivative by the matrix of `times`.
fn outer(dy: &[f64], x: &[f64], k: usize) -> Vec<f64> {
    let tokens = x.len() / k;
    let rows = dy.len() / tokens;
    let one = |i: usize, j: usize| (0..tokens).map(|t| dy[t * rows + i] * x[t * k + j]).sum::<f64>();
    (0..rows * k).map(|at| one(at / k, at % k)).collect()
}

fn sum(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}
