//! Laws of the column loop, on random layers.
//!
//! FP64 sums here judge FP32 weights there: after as many updates as there are columns, at most 200, a weight is off by some
//! 200 * 2^-24 of what moved it, and a squared error by twice that. The largest deviation seen is a ninth of it.

use crate::support::{Random, case};
use interplay_compress::formats::{Format, Mask, Pattern, Selection};
use interplay_compress::{Collector, Needs, Order, Pruning, Solved, Solver};
use libtest_mimic::Trial;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const NEAR: f64 = 2.0 * 200.0 / (1 << 24) as f64;

/// One of each kind of scale, block and element.
const FORMATS: [&str; 14] = [
    "int4",
    "int4-g32",
    "int4-asym",
    "int4-asym-g32",
    "gptq-int4",
    "mxfp4",
    "mxfp8",
    "mxint8",
    "nvfp4",
    "nvfp4-te-16x16",
    "hbfp4",
    "mx6",
    "fp8",
    "int8-tensor",
];

pub fn trials() -> Vec<Trial> {
    vec![
        law("loss_is_the_output_error", loss_is_the_output_error),
        law("least_squares_is_least", least_squares_is_least),
        law("counts_are_exact", counts_are_exact),
        case("solve::laws::groups_are_valid", groups_are_valid),
        case("solve::laws::every_format_stays_on_its_grid", every_format_stays_on_its_grid),
        case("solve::laws::threads_never_show", threads_never_show),
        case("solve::laws::hessian_is_the_product", hessian_is_the_product),
        case("solve::laws::nothing_to_do", nothing_to_do),
    ]
}

fn law(name: &str, law: fn(Layer, u64) -> Result<(), TestCaseError>) -> Trial {
    case(&format!("solve::laws::{name}"), move || {
        let config = Config { cases: 40, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let layers = (any::<u64>(), 1usize..24, 1usize..50);
        runner
            .run(&layers, |(seed, rows, groups)| law(Layer::new(rows, 4 * groups, seed), seed))
            .expect("the law holds");
    })
}

/// Weights, and the Hessian of correlated inputs some of which may be dead.
struct Layer {
    w: Vec<f32>,
    rows: usize,
    k: usize,
    hessian: Vec<f32>,
}

impl Layer {
    fn new(rows: usize, k: usize, seed: u64) -> Self {
        let mut random = Random(seed);
        let tokens = k + 8;
        let (rank, x) = (k / 4 + 1, random.normals(tokens * k));
        let (left, right) = (random.normals(tokens * rank), random.normals(rank * k));
        let dead = random.bits().is_multiple_of(3).then(|| random.bits() as usize % k);
        let low = |t: usize, j: usize| (0..rank).map(|r| left[t * rank + r] * right[r * k + j]).sum::<f32>();
        let input = |i: usize| if dead == Some(i % k) { 0.0 } else { 0.3 * x[i] + low(i / k, i % k) };
        let inputs: Vec<f32> = (0..tokens * k).map(input).collect();
        Self { w: random.normals(rows * k), rows, k, hessian: hessian(&inputs, k) }
    }

    fn solve(&self, solver: Solver, pruning: Pruning, format: Option<&str>) -> Solved {
        let format = format.map(|name| Format::by_name(name).expect("a format"));
        solver.solve(&self.w, self.k, &self.hessian, pruning, format).expect("a problem that can be solved")
    }

    /// The Hessian that is factored: damped, dead inputs with a diagonal of 1.
    fn damped(&self, damping: f64) -> Vec<f64> {
        let mut h: Vec<f64> = self.hessian.iter().map(|&h| f64::from(h)).collect();
        let diagonal = |j: usize| j * self.k + j;
        (0..self.k).filter(|&j| self.hessian[diagonal(j)] == 0.0).for_each(|j| h[diagonal(j)] = 1.0);
        let mean = (0..self.k).map(|j| h[diagonal(j)]).sum::<f64>() / self.k as f64;
        (0..self.k).for_each(|j| h[diagonal(j)] += damping * mean);
        h
    }

    /// The weights whose dead columns are zero.
    fn alive(&self) -> Vec<f64> {
        let dead = |j: usize| self.hessian[j * self.k + j] == 0.0;
        self.w.iter().enumerate().map(|(i, &w)| if dead(i % self.k) { 0.0 } else { f64::from(w) }).collect()
    }

    /// tr(D H D^T) of weights, row by row.
    fn errors(&self, weights: &[f64], damping: f64) -> Vec<f64> {
        let (h, alive) = (self.damped(damping), self.alive());
        let error = |row: usize| {
            let d: Vec<f64> = (0..self.k).map(|j| alive[row * self.k + j] - weights[row * self.k + j]).collect();
            let dot = |i: usize| (0..self.k).map(|j| h[i * self.k + j] * d[j]).sum::<f64>();
            (0..self.k).map(|i| d[i] * dot(i)).sum::<f64>()
        };
        (0..self.rows).map(error).collect()
    }

    fn error(&self, weights: &[f32], damping: f64) -> f64 {
        let weights: Vec<f64> = weights.iter().map(|&w| f64::from(w)).collect();
        self.errors(&weights, damping).iter().sum()
    }
}

fn hessian(inputs: &[f32], k: usize) -> Vec<f32> {
    let mut collector = Collector::new(k, inputs.len() / k, Needs { hessian: true, ..Needs::default() });
    collector.add(inputs).expect("whole rows");
    collector.finish().hessian.expect("it was asked for")
}

fn saliency(pattern: &str, selection: Selection) -> Pruning<'static> {
    Pruning::Saliency { pattern: pattern.parse().expect("a pattern"), selection }
}

fn loss_is_the_output_error(layer: Layer, seed: u64) -> Result<(), TestCaseError> {
    let mask = "50%".parse::<Pattern>().expect("a pattern").magnitude_mask(&layer.w, layer.k).expect("finite");
    let order = if seed.is_multiple_of(2) { Order::Natural } else { Order::ByDiagonal };
    let format = FORMATS[(seed / 2) as usize % FORMATS.len()];
    let solver = Solver { block: 64, order, static_scales: seed.is_multiple_of(5), ..Solver::default() };
    let natural = Solver { order: Order::Natural, ..solver };
    for (solver, pruning, format) in [
        (solver, saliency("50%", Selection::Threshold), None),
        (natural, saliency("2:4", Selection::Count), None),
        (solver, Pruning::None, Some(format)),
        (solver, Pruning::Fixed(&mask), Some(format)),
        (natural, saliency("1:4", Selection::Count), Some(format)),
        (solver, saliency("30%-row", Selection::Count), Some(format)),
    ] {
        let solved = layer.solve(solver, pruning, format);
        let error = layer.error(&solved.weights, solved.damping);
        let near = (error - solved.loss).abs() <= NEAR * error.max(1e-9);
        prop_assert!(near, "{pruning:?} {format:?}: tr(D H D^T) = {error}, a loss of {}", solved.loss);
    }
    Ok(())
}

fn least_squares_is_least(layer: Layer, _: u64) -> Result<(), TestCaseError> {
    let solved = layer.solve(Solver::default(), saliency("50%", Selection::Count), None);
    let kept = solved.mask.as_ref().expect("a mask").kept().to_vec();
    let best = layer.errors(&least_squares(&layer, &kept, solved.damping), solved.damping);
    let of = |weights: &[f32]| layer.errors(&weights.iter().map(|&w| f64::from(w)).collect::<Vec<_>>(), solved.damping);
    let bare: Vec<f32> = layer.w.iter().zip(&kept).map(|(&w, &kept)| if kept { w } else { 0.0 }).collect();
    for ((best, loop_), bare) in best.iter().zip(of(&solved.weights)).zip(of(&bare)) {
        prop_assert!(*best <= loop_ * (1.0 + NEAR) + 1e-9, "least squares {best}, the loop {loop_}");
        prop_assert!(*best <= bare * (1.0 + 1e-9) + 1e-9, "least squares {best}, the bare mask {bare}");
    }
    Ok(())
}

/// For every row the kept weights with the least error: H_KK D_K = -H_KP D_P by elimination.
fn least_squares(layer: &Layer, kept: &[bool], damping: f64) -> Vec<f64> {
    let (k, h, alive) = (layer.k, layer.damped(damping), layer.alive());
    let mut weights = vec![0.0; layer.w.len()];
    for row in 0..layer.rows {
        let at = |j: usize| row * k + j;
        let keeps: Vec<usize> = (0..k).filter(|&j| kept[at(j)]).collect();
        let goes: Vec<usize> = (0..k).filter(|&j| !kept[at(j)]).collect();
        let right = |i: usize| -goes.iter().map(|&j| h[i * k + j] * alive[at(j)]).sum::<f64>();
        let mut system: Vec<Vec<f64>> =
            keeps.iter().map(|&i| keeps.iter().map(|&j| h[i * k + j]).chain([right(i)]).collect()).collect();
        let moved = eliminate(&mut system);
        keeps.iter().zip(moved).for_each(|(&j, d)| weights[at(j)] = alive[at(j)] - d);
    }
    weights
}

/// Gaussian elimination of a positive definite system, whose last column is the right side.
fn eliminate(system: &mut [Vec<f64>]) -> Vec<f64> {
    let n = system.len();
    for i in 0..n {
        for r in i + 1..n {
            let factor = system[r][i] / system[i][i];
            let (above, below) = system.split_at_mut(r);
            below[0].iter_mut().zip(&above[i]).skip(i).for_each(|(v, top)| *v -= factor * top);
        }
    }
    let mut solution = vec![0.0; n];
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|j| system[i][j] * solution[j]).sum();
        solution[i] = (system[i][n] - known) / system[i][i];
    }
    solution
}

fn counts_are_exact(layer: Layer, seed: u64) -> Result<(), TestCaseError> {
    let points = seed % 10_001;
    let percent = format!("{}.{:02}%", points / 100, points % 100);
    let of = |count: usize| (count as u64 * points / 10_000) as usize;
    let solver = Solver { block: 48, ..Solver::default() };
    let pruned = |pattern: &str, selection| {
        let solved = layer.solve(solver, saliency(pattern, selection), None);
        let mask = solved.mask.expect("a mask");
        let zero = solved.weights.iter().zip(mask.kept()).all(|(w, kept)| *kept || w.to_bits() == 0);
        assert!(zero, "what is pruned is +0");
        mask
    };
    prop_assert_eq!(pruned(&percent, Selection::Count).pruned(), of(layer.rows * layer.k));
    let by_row = pruned(&format!("{percent}-row"), Selection::Count);
    for row in by_row.kept().chunks_exact(layer.k) {
        prop_assert_eq!(row.iter().filter(|kept| !**kept).count(), of(layer.k));
    }
    // As the published code: of each block by itself, and one more where there is one; the zeros of a dead column are equal and go
    // together.
    let threshold = pruned(&percent, Selection::Threshold).pruned();
    let blocks = (0..layer.k).step_by(48).map(|first| layer.rows * 48.min(layer.k - first));
    let least: usize = blocks.map(|count| (of(count) + 1).min(count)).sum();
    let dead = (0..layer.k).any(|j| layer.hessian[j * layer.k + j] == 0.0);
    prop_assert!(threshold == least || dead && (least..=least + layer.rows).contains(&threshold));
    Ok(())
}

fn groups_are_valid() {
    let layer = Layer::new(128, 96, 4);
    let keeps = |mask: &Mask, m: usize| {
        let groups: Vec<usize> = mask.kept().chunks_exact(m).map(|g| g.iter().filter(|k| **k).count()).collect();
        groups
    };
    for (pattern, n, m) in [("2:4", 2, 4), ("4:8", 4, 8), ("1:3", 1, 3), ("7:16", 7, 16), ("4:8p", 4, 8)] {
        let solved = layer.solve(Solver { block: 48, ..Solver::default() }, saliency(pattern, Selection::Count), None);
        let mask = solved.mask.expect("a mask");
        assert!(keeps(&mask, m).iter().all(|&count| count == n), "{pattern}");
        if pattern.ends_with('p') {
            assert!(mask.kept().chunks_exact(2).all(|pair| pair[0] == pair[1]), "{pattern}: pairs");
        }
    }
    let tiled = layer.solve(Solver { block: 48, ..Solver::default() }, saliency("64:2:8", Selection::Count), None);
    let mask = tiled.mask.expect("a mask");
    assert!(keeps(&mask, 8).iter().all(|&count| count == 2));
    for (band, start) in [0, 64].into_iter().flat_map(|band| (0..96).step_by(8).map(move |start| (band, start))) {
        let used = (start..start + 8).filter(|&j| (band..band + 64).any(|row| mask.kept()[row * 96 + j])).count();
        assert!(used <= Pattern::TILE_COLUMNS, "a tile keeps {used} columns");
    }
}

/// The stored form dequantises to the weights, which are those whose errors were moved; what is pruned is zero.
fn every_format_stays_on_its_grid() {
    let layer = Layer::new(70, 192, 6);
    for format in FORMATS {
        for (pruning, order) in [
            (Pruning::None, Order::Natural),
            (Pruning::None, Order::ByDiagonal),
            (saliency("2:4", Selection::Count), Order::Natural),
            (saliency("50%", Selection::Count), Order::ByDiagonal),
        ] {
            let solved = layer.solve(Solver { order, ..Solver::default() }, pruning, Some(format));
            let quantized = solved.quantized.as_ref().expect("a format");
            let stored = quantized.dequantize();
            let columns = solved.stored_columns.clone().unwrap_or_else(|| (0..layer.k).collect());
            let at = |i: usize| i / layer.k * layer.k + columns[i % layer.k];
            assert!((0..stored.len()).all(|i| stored[i] == solved.weights[at(i)]), "{format}");
            let error = layer.error(&solved.weights, solved.damping);
            assert!((error - solved.loss).abs() <= NEAR * error, "{format}: {error}, a loss of {}", solved.loss);
            if let Some(mask) = &solved.mask {
                assert!(solved.weights.iter().zip(mask.kept()).all(|(w, kept)| *kept || *w == 0.0), "{format}");
                assert!(solved.weights.iter().any(|w| *w != 0.0), "{format}");
            }
        }
    }
}

fn threads_never_show() {
    let mut random = Random(8);
    let (tokens, k) = (300, 200);
    let inputs = random.normals(tokens * k);
    let mut layer = Layer::new(150, k, 9);
    let mut first: Option<(Vec<u32>, u64, Mask)> = None;
    for threads in 1..=4 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        let solved = pool.install(|| {
            layer.hessian = hessian(&inputs, k);
            layer.solve(Solver::default(), saliency("50%", Selection::Count), Some("nvfp4"))
        });
        let bits = solved.weights.iter().chain(&layer.hessian).map(|w| w.to_bits()).collect();
        let all = (bits, solved.loss.to_bits(), solved.mask.expect("a mask"));
        assert!(first.get_or_insert_with(|| all.clone()) == &all, "{threads} threads");
    }
}

/// 2 X^T X for one sequence, both triangles.
fn hessian_is_the_product() {
    let mut random = Random(10);
    for (tokens, k) in [(1, 1), (7, 5), (40, 64), (33, 130), (5, 200)] {
        let x = random.normals(tokens * k);
        let got = hessian(&x, k);
        for (i, &h) in got.iter().enumerate() {
            let terms = (0..tokens).map(|t| f64::from(x[t * k + i / k]) * f64::from(x[t * k + i % k]));
            let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), v| (sum + v, size + v.abs()));
            // One rounding of FP32 a term.
            assert!((f64::from(h) - 2.0 * sum).abs() <= 2.0 * size * tokens as f64 * 6e-8, "{tokens} x {k} at {i}");
            assert_eq!(h.to_bits(), got[i % k * k + i / k].to_bits(), "{tokens} x {k}: not symmetric at {i}");
        }
    }
}

/// Without a format and without pruning, weights stay what they are, but for dead columns.
fn nothing_to_do() {
    let layer = Layer::new(5, 40, 12);
    let solved = layer.solve(Solver::default(), Pruning::None, None);
    assert_eq!(solved.weights.iter().map(|&w| f64::from(w)).collect::<Vec<_>>(), layer.alive());
    assert_eq!((solved.loss, solved.mask, solved.quantized), (0.0, None, None));
    let dense = layer.solve(Solver::default(), saliency("0%", Selection::Count), Some("fp32"));
    assert_eq!((dense.loss, dense.mask.map(|m| m.pruned())), (0.0, Some(0)));
    let empty = Solver::default().solve(&[], 0, &[], Pruning::None, None).expect("nothing");
    assert!(empty.weights.is_empty());
}
