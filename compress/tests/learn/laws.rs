//! Laws of learned sparsity that need no recorded run.

use crate::support::{Random, case};
use interplay_compress::Error;
use interplay_compress::learn::{
    AdamW, Granularity, Learner, Linear, Objective, Optimizer, Options, Prodigy, Smoothing, Target, ascending,
    candidates, learn,
};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        case("learn::gradient_is_that_of_the_soft_mask", gradient),
        case("learn::same_on_any_number_of_threads", threads),
        case("learn::orders_are_stable_and_end_in_nan", orders),
        case("learn::candidates_descend_to_zero", steps_of_candidates),
        case("learn::half_of_an_even_row_is_half", half),
        case("learn::counts_follow_the_sparsity_asked_for", penalty),
        case("learn::first_steps_of_optimizers", first_steps),
        case("learn::refusals", refusals),
    ]
}

/// A block whose loss is linear in its weights: its gradients are given.
struct Flat {
    gradients: Vec<Vec<f32>>,
}

impl Objective for Flat {
    type Error = Error;

    fn samples(&self) -> usize {
        3
    }

    fn loss(&mut self, sample: usize, weights: &[Vec<f32>], target: Target) -> Result<f64, Error> {
        Ok(self.slope(sample, weights, target)?.0)
    }

    fn slope(&mut self, _: usize, weights: &[Vec<f32>], target: Target) -> Result<(f64, Vec<Vec<f32>>), Error> {
        // The quantisation error's loss leans the other way and half as much, so that a mixed-up pair shows.
        let factor = if target == Target::Reference { 1.0 } else { -0.5 };
        let gradients: Vec<Vec<f32>> = self.gradients.iter().map(|g| g.iter().map(|v| v * factor).collect()).collect();
        let products = |(w, g): (&Vec<f32>, &Vec<f32>)| w.iter().zip(g).map(|(w, g)| f64::from(w * g)).sum::<f64>();
        Ok((weights.iter().zip(&gradients).map(products).sum(), gradients))
    }
}

const SHAPES: [(usize, usize); 2] = [(5, 12), (3, 7)];

fn random(count: usize, random: &mut Random) -> Vec<f32> {
    (0..count).map(|_| random.unit()).collect()
}

/// Two linears with errors, and a block over them.
fn problem(seed: u64) -> (Vec<Linear>, Vec<Vec<f32>>, Flat) {
    let mut bits = Random(seed);
    let mut worth = Vec::new();
    let mut gradients = Vec::new();
    let linears = SHAPES.map(|(rows, k)| {
        let [weights, error, scores, gradient] = [0; 4].map(|_| random(rows * k, &mut bits));
        let order = ascending(&scores, k);
        // What keeping each rank adds to the loss: 1 and 0.3 are the weights of the two losses below.
        let each = |&column: &u32, row: usize| {
            let at = row * k + column as usize;
            gradient[at] * (weights[at] - 0.5 * 0.3 * error[at])
        };
        worth.push(order.iter().enumerate().map(|(i, column)| each(column, i / k)).collect());
        gradients.push(gradient);
        Linear::new(k, weights, order).and_then(|linear| linear.with_error(error)).expect("a linear")
    });
    (linears.into(), worth, Flat { gradients })
}

fn options(granularity: Granularity, smoothing: Smoothing) -> Options {
    let optimizer = Optimizer::AdamW { lr: 0.4, weight_decay: 0.01 };
    let candidates = candidates(0.15).expect("a step");
    Options { smoothing, candidates, optimizer, quantization_error: 0.3, ..Options::pqp(granularity) }
}

/// The loss of the soft masks as the publication writes them.
fn soft_loss(theta: &[f64], worth: &[Vec<f32>], options: &Options) -> f64 {
    let r = &options.candidates;
    let mut groups = theta.chunks(r.len());
    let (mut loss, mut sparse, mut all) = (0.0, 0.0, 0.0);
    for ((rows, k), worth) in SHAPES.into_iter().zip(worth) {
        let mut group: Vec<f64> = Vec::new();
        for row in 0..rows {
            if row == 0 || options.granularity == Granularity::Row {
                let theta = groups.next().expect("a group");
                let power = |t: &f64| match options.smoothing {
                    Smoothing::Sigmoid => (1.0 / (1.0 + (-t).exp())).exp(),
                    Smoothing::None => t.exp(),
                };
                let sum: f64 = theta.iter().map(power).sum();
                group = theta.iter().map(|t| power(t) / sum).collect();
            }
            for rank in 0..k {
                let gone = |r: f64| rank < (k as f64 * r + 1e-9) as usize;
                let kept = 1.0 - group.iter().zip(r).filter(|(_, r)| gone(**r)).map(|(beta, _)| beta).sum::<f64>();
                loss += kept * f64::from(worth[row * k + rank]);
            }
            sparse += k as f64 * group.iter().zip(r).map(|(beta, r)| beta * r).sum::<f64>();
            all += k as f64;
        }
    }
    loss + options.penalty * ((sparse / all - options.sparsity) / options.sparsity).powi(2)
}

fn gradient() {
    for granularity in [Granularity::Row, Granularity::Layer] {
        for smoothing in [Smoothing::Sigmoid, Smoothing::None] {
            let (linears, worth, mut block) = problem(7);
            let options = options(granularity, smoothing);
            let mut learner = Learner::new(linears, options.clone()).expect("a problem");
            for sample in 0..3 {
                let theta = learner.theta().to_vec();
                learner.step(&mut block, sample, &learner.counts()).expect("a step");
                for i in 0..theta.len() {
                    let at = |offset: f64| {
                        let mut moved = theta.clone();
                        moved[i] += offset;
                        soft_loss(&moved, &worth, &options)
                    };
                    // Central differences: their own error is some h^2 = 1e-8, rounding over h some 1e-11.
                    let difference = (at(1e-4) - at(-1e-4)) / 2e-4;
                    let analytic = learner.gradient()[i];
                    let what = format!("{granularity:?} {smoothing:?} step {sample} parameter {i}");
                    assert!((analytic - difference).abs() < 2e-8, "{what}: {analytic:e}, not {difference:e}");
                }
            }
        }
    }
}

fn threads() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| {
            let (linears, _, mut block) = problem(11);
            let options = options(Granularity::Layer, Smoothing::Sigmoid);
            learn(linears, &mut block, Options { epochs: 4, ..options }).expect("a run")
        })
    };
    let (one, many) = (run(1), run(4));
    assert_eq!(one.alphas, many.alphas, "to the last bit");
    assert_eq!((one.trajectory, one.masks), (many.trajectory, many.masks));
}

fn orders() {
    let scores = [2.0, f32::NAN, -0.0, 0.0, 2.0, -1.0, f32::NEG_INFINITY, f32::NAN];
    assert_eq!(ascending(&scores, 8), [6, 5, 2, 3, 0, 4, 1, 7], "equal scores and NaN by column, NaN last");
    assert_eq!(ascending(&[3, 1, 2, 2, 5, 5], 3), [1, 2, 0, 0, 1, 2], "row by row");
}

fn steps_of_candidates() {
    let counts = [(0.01, 101), (0.03, 35), (0.05, 21), (0.1, 11), (1.0, 2)];
    for (step, count) in counts {
        let list = candidates(step).expect("a step");
        assert_eq!((list.len(), list[0], list[count - 1]), (count, 1.0, 0.0), "{step}");
        assert!(list.windows(2).all(|pair| pair[0] > pair[1]), "{step}");
    }
    for step in [0.0, -0.1, 1.5, 1e-9, f64::NAN] {
        assert!(matches!(candidates(step), Err(Error::Invalid(_))), "{step}");
    }
}

/// Parameters of 0 stand for 0.5, on the edge between two counts where the columns are even.
fn half() {
    for k in (2..200).step_by(2) {
        let linear = Linear::new(k, vec![1.0; k], ascending(&vec![0.0; k], k)).expect("a linear");
        let learner = Learner::new(vec![linear], Options::besa(Granularity::Layer)).expect("a problem");
        assert_eq!(learner.counts(), [k / 2]);
        let kept: Vec<bool> = (0..k).map(|column| column >= k / 2).collect();
        assert_eq!(learner.masks().expect("a mask")[0].kept(), kept, "the lower of equal scores goes first");
    }
}

/// Without a loss only the penalty speaks, and the sparsity asked for is what is learned.
fn penalty() {
    for (granularity, asked) in [(Granularity::Row, 0.4), (Granularity::Layer, 0.6)] {
        let (linears, _, mut block) = problem(3);
        let optimizer = Optimizer::AdamW { lr: 0.05, weight_decay: 0.0 };
        let base = options(granularity, Smoothing::Sigmoid);
        let base = Options { optimizer, sparsity: asked, epochs: 100, ..base };
        let learned = learn(linears, &mut block, Options { reconstruction: 0.0, quantization_error: 0.0, ..base });
        let learned = learned.expect("a run");
        assert!((learned.validation.sparsity - asked).abs() < 1e-3, "{} of {asked}", learned.validation.sparsity);
        let pruned: usize = learned.masks.iter().map(|mask| mask.pruned()).sum();
        assert_eq!(learned.sparsity, pruned as f64 / 81.0, "the measured share is that of the masks");
        assert_eq!(learned.trajectory.len(), 300, "an epoch is one pass over three samples");
    }
}

/// A constant gradient makes both take steps of one length whatever its size, against its sign.
fn first_steps() {
    let gradient = [3.0, -0.02, 0.0];
    let mut parameters = [1.0, 1.0, 1.0];
    let mut adamw = AdamW::new(3, 0.1, 0.5);
    adamw.step(&mut parameters, &gradient);
    let expected = [0.95 - 0.1 / (1.0 + 1e-8 / 3.0), 0.95 + 0.1 / (1.0 + 1e-8 / 0.02), 0.95];
    for (ours, expected) in parameters.iter().zip(expected) {
        assert!((ours - expected).abs() < 1e-15, "{ours}, not {expected}");
    }

    let mut parameters = [0.0; 3];
    let mut prodigy = Prodigy::new(&parameters, 1.0, 2.0, f64::INFINITY);
    prodigy.step(&mut parameters, &[0.0; 3]);
    assert_eq!(parameters, [0.0; 3], "no gradient, no step");
    prodigy.step(&mut parameters, &gradient);
    let length = 1e-6 * 0.1 / 0.001f64.sqrt();
    assert!((parameters[0] / -length - 1.0).abs() < 1e-6 && (parameters[1] / length - 1.0).abs() < 2e-5);
    let first = prodigy.scale();
    assert_eq!((first.d, first.numerator), (1e-6, 0.0), "nothing is known after one gradient");
    prodigy.step(&mut parameters, &gradient);
    let second = prodigy.scale();
    // The way taken agrees with the gradient: length * (3 + 0.02), and both sums have seen two gradients.
    let numerator = 1e-6 * length * 3.02;
    let denominator = 1e-6 * 3.02 * (1.0 + 0.999f64.sqrt());
    assert!(
        (second.numerator / numerator - 1.0).abs() < 1e-5 && (second.denominator / denominator - 1.0).abs() < 1e-12
    );
    assert_eq!(second.d, second.d_hat, "the first estimate above the start is taken");
    let mut limited = Prodigy::new(&[0.0; 3], 1.0, 2.0, 1.02);
    let mut at = [0.0; 3];
    (0..2).for_each(|_| limited.step(&mut at, &gradient));
    assert_eq!(limited.scale().d, second.d, "the first estimate is taken whole");
    limited.step(&mut at, &gradient);
    assert!(limited.scale().d_hat > 1.1 * second.d, "the next one would be a leap");
    assert_eq!(limited.scale().d, 1.02 * second.d, "and is taken a step at a time");
}

fn refusals() {
    let refused = |change: fn(&mut Options), part: &str| {
        let mut options = Options::besa(Granularity::Row);
        change(&mut options);
        let error = Learner::new(problem(1).0, options).expect_err(part);
        assert!(error.to_string().contains(part), "{error} does not say {part}");
    };
    refused(|o| o.sparsity = 0.7, "0.7 is out of reach");
    refused(|o| o.sparsity = f64::NAN, "out of reach");
    refused(|o| o.candidates = vec![0.0, 1.0], "descending");
    refused(|o| o.candidates.clear(), "at least one");
    refused(|o| o.candidates[0] = f64::NAN, "descending");
    refused(|o| o.penalty = -1.0, "not negative");
    refused(|o| o.epochs = 0, "at least 1");
    refused(|o| o.optimizer = Optimizer::prodigy(0.0), "positive");
    let plain = Options { smoothing: Smoothing::None, sparsity: 0.7, ..Options::besa(Granularity::Row) };
    assert!(Learner::new(problem(1).0, plain).is_ok(), "a plain softmax reaches it");
    assert!(matches!(Learner::new(Vec::new(), Options::besa(Granularity::Row)), Err(Error::Invalid(_))));

    let linear = |k, count, order: &[u32]| Linear::new(k, vec![0.0; count], order.to_vec());
    assert!(matches!(linear(2, 4, &[0, 1, 1, 1]), Err(Error::Invalid(message)) if message.contains("row 1")));
    assert!(matches!(linear(2, 4, &[0, 1, 2, 1]), Err(Error::Invalid(_))));
    assert!(matches!(linear(2, 4, &[0, 1]), Err(Error::Length { given: 2, expected: 4, .. })));
    assert!(matches!(linear(2, 3, &[0, 1, 0]), Err(Error::Length { given: 3, expected: 4, .. })));
    assert!(linear(0, 0, &[]).is_err());
    let bare = linear(2, 2, &[0, 1]).expect("a linear");
    let missing = Learner::new(vec![bare.clone()], Options::pqp(Granularity::Row));
    assert!(matches!(missing, Err(Error::Missing { .. })));
    assert!(bare.with_error(vec![0.0]).is_err());

    let (linears, _, mut block) = problem(1);
    let mut learner = Learner::new(linears, options(Granularity::Row, Smoothing::Sigmoid)).expect("a problem");
    assert!(matches!(learner.step(&mut block, 0, &[1]), Err(Error::Length { given: 1, expected: 8, .. })));
    block.gradients[1].pop();
    let counts = learner.counts();
    assert!(matches!(learner.step(&mut block, 0, &counts), Err(Error::Length { given: 20, expected: 21, .. })));
}
