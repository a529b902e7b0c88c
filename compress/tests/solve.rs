//! The column loop against recorded runs of the published codes.
//!
//! Masks and grid points are equal. The published runs are FP32; an independent FP64 implementation agrees with their weights to
//! 3e-6 of the largest magnitude and with their losses to 1e-6 (README of the vectors). Ours is FP32 after an FP64 factor: the
//! same for weights, and twice that for losses, whose recorded sums are FP32 as well.

use crate::support::{Pack, case, near, oracle};
use interplay_compress::formats::{Format, Mask, Pattern, Scales, Scope, Selection};
use interplay_compress::{Collector, Error, Needs, Order, Pruning, Solved, Solver};
use libtest_mimic::Trial;

const WEIGHTS: f32 = 3e-6;
const LOSS: f64 = 2e-6;

pub fn trials() -> Vec<Trial> {
    let layers = |name: &str, check: fn(&Pack)| {
        ["layer_a", "layer_b", "layer_c"].map(|file| oracle(&format!("solve::{name}"), file, move |pack| check(&pack)))
    };
    let recorded = [
        layers("sparsegpt", sparsegpt),
        layers("sparsegpt_quantised", joint),
        layers("gptq", gptq),
        layers("given_mask", given_mask),
    ]
    .into_iter()
    .flatten();
    recorded.chain([case("solve::bad_input", bad_input)]).collect()
}

/// A layer of a recorded file.
pub struct Problem {
    pub w: Vec<f32>,
    pub k: usize,
    pub hessian: Vec<f32>,
}

impl Problem {
    pub fn of(pack: &Pack) -> Self {
        let shape = pack.shape("X");
        let (sequence, k) = (shape[1] * shape[2], shape[2]);
        let needs = Needs { hessian: true, ..Needs::default() };
        let mut collector = Collector::new(k, shape[0] * shape[1], needs);
        pack.floats("X").chunks_exact(sequence).for_each(|x| collector.add(x).expect("whole rows"));
        let hessian = collector.finish().hessian.expect("it was asked for");
        let diagonal: Vec<f32> = (0..k).map(|j| hessian[j * k + j]).collect();
        near(&diagonal, &pack.floats("act.H_diag"), 2e-6, "the Hessian's diagonal");
        Self { w: pack.floats("W"), k, hessian }
    }

    pub fn solve(&self, solver: Solver, pruning: Pruning, format: Option<&str>) -> Solved {
        let format = format.map(|name| Format::by_name(name).expect("a format"));
        solver.solve(&self.w, self.k, &self.hessian, pruning, format).expect("a problem that can be solved")
    }

    /// SparseGPT with the published threshold.
    fn sparsegpt(&self, pattern: &str, block: usize, format: Option<&str>) -> Solved {
        let pattern = pattern.parse().expect("a pattern");
        let solver = Solver { block, ..Solver::default() };
        self.solve(solver, Pruning::Saliency { pattern, selection: Selection::Threshold }, format)
    }
}

fn pruned(mask: Option<&Mask>) -> Vec<u8> {
    mask.expect("a mask").kept().iter().map(|kept| u8::from(!kept)).collect()
}

#[track_caller]
fn same_loss(got: &Solved, pack: &Pack, variant: &str) {
    // The published codes report half the sum.
    let want = 2.0 * pack.scalar(variant, "loss");
    assert!((got.loss - want).abs() <= LOSS * want, "{variant}: a loss of {}, not {want}", got.loss);
    assert_eq!(got.damping, 0.01, "{variant}");
}

fn sparsegpt(pack: &Pack) {
    let problem = Problem::of(pack);
    for (variant, pattern, block) in
        [("50", "50%", 128), ("2of4", "2:4", 128), ("4of8", "4:8", 128), ("50_block32", "50%", 32)]
    {
        let variant = format!("sparsegpt.{variant}");
        if !pack.has(&format!("{variant}.pruned")) {
            continue;
        }
        let got = problem.sparsegpt(pattern, block, None);
        assert!(pruned(got.mask.as_ref()) == pack.bytes(&format!("{variant}.pruned")), "{variant}: the mask");
        if pack.has(&format!("{variant}.W")) {
            near(&got.weights, &pack.floats(&format!("{variant}.W")), WEIGHTS, &variant);
        }
        same_loss(&got, pack, &variant);
    }
}

/// Scales and zero points `[groups, rows]`, as recorded.
#[track_caller]
fn same_grid(got: &Solved, pack: &Pack, variant: &str, scale_share: f32) {
    let quantized = got.quantized.as_ref().expect("a format");
    let Scales::Affine(scales, zeros) = quantized.scales() else { panic!("{variant}: no zero points") };
    let (rows, groups) = (quantized.rows(), quantized.blocks_per_row());
    let turned = |i: usize| i % rows * groups + i / rows;
    let scales: Vec<f32> = (0..rows * groups).map(|i| scales[turned(i)]).collect();
    let zeros: Vec<f32> = (0..rows * groups).map(|i| f32::from(zeros[turned(i)])).collect();
    near(&scales, &pack.floats(&format!("{variant}.scale")), scale_share, variant);
    assert_eq!(zeros, pack.floats(&format!("{variant}.zero")), "{variant}: zero points");
}

/// Each weight is nearest to the recorded grid point: an eighth of the smallest step between two of them.
#[track_caller]
fn same_points(got: &Solved, pack: &Pack, variant: &str) {
    let want = pack.floats(&format!("{variant}.W"));
    let step = pack.floats(&format!("{variant}.scale")).into_iter().fold(f32::INFINITY, f32::min);
    let other = got.weights.iter().zip(&want).position(|(got, want)| (got - want).abs() > step / 8.0);
    assert_eq!(other.map(|i| (i, got.weights[i], want[i])), None, "{variant}: the first other grid point");
    near(&got.weights, &want, WEIGHTS, variant);
}

fn joint(pack: &Pack) {
    let problem = Problem::of(pack);
    for (variant, pattern) in [("sparsegpt.50_q4", "50%"), ("sparsegpt.2of4_q4", "2:4")] {
        let got = problem.sparsegpt(pattern, 128, Some("int4-asym"));
        assert!(pruned(got.mask.as_ref()) == pack.bytes(&format!("{variant}.pruned")), "{variant}: the mask");
        same_grid(&got, pack, variant, 0.0);
        same_points(&got, pack, variant);
        same_loss(&got, pack, variant);
    }
}

fn gptq(pack: &Pack) {
    let problem = Problem::of(pack);
    let (natural, act) = (Order::Natural, Order::ByDiagonal);
    for (variant, format, order, static_scales) in [
        ("w4", "int4-asym", natural, false),
        ("w4_act", "int4-asym", act, false),
        ("w4_g32", "int4-asym-g32", natural, false),
        ("w4_g32_act", "int4-asym-g32", act, false),
        ("w4_g32_act_static", "int4-asym-g32", act, true),
        ("w3_sym", "int3-asym@half-grid", natural, false),
    ] {
        let variant = format!("gptq.{variant}");
        if !pack.has(&format!("{variant}.W")) {
            continue;
        }
        let got = problem.solve(Solver { order, static_scales, ..Solver::default() }, Pruning::None, Some(format));
        if order == act {
            same_order(&got, &problem, &pack.indices(&format!("{variant}.perm")));
        }
        // Scales of groups come from weights that moved, those of rows and static ones from the weights themselves.
        let moved = format.ends_with("g32") && !static_scales;
        same_grid(&got, pack, &variant, if moved { WEIGHTS } else { 0.0 });
        same_points(&got, pack, &variant);
        same_loss(&got, pack, &variant);
        assert_eq!(got.stored_columns.is_some(), moved && order == act, "{variant}: where columns are stored");
    }
}

/// The recorded order, which may take dead columns in another order among themselves.
#[track_caller]
fn same_order(got: &Solved, problem: &Problem, want: &[usize]) {
    let dead = |j: usize| problem.hessian[j * problem.k + j] == 0.0;
    let alive = |order: &[usize]| order.iter().copied().filter(|&j| !dead(j)).collect::<Vec<_>>();
    assert_eq!(alive(&got.order), alive(want));
}

fn given_mask(pack: &Pack) {
    if !pack.has("ria.recon_row50.W") {
        return;
    }
    let problem = Problem::of(pack);
    let kept = pack.bytes("ria.recon_row50.pruned").into_iter().map(|pruned| pruned == 0).collect();
    let pattern = Pattern::Unstructured { basis_points: 5000, scope: Scope::Row };
    let mask = Mask::from_kept(pattern, problem.k, kept).expect("whole rows");
    let got = problem.solve(Solver::default(), Pruning::Fixed(&mask), None);
    near(&got.weights, &pack.floats("ria.recon_row50.W"), WEIGHTS, "ria.recon_row50");
    assert_eq!(got.mask, Some(mask));
}

fn bad_input() {
    let (w, k) = (vec![1.0f32; 12], 4);
    let unit: Vec<f32> = (0..16).map(|i| f32::from(u8::from(i % 5 == 0))).collect();
    let solver = Solver::default();
    let int4 = Format::by_name("int4-g32").ok();
    let refused = |solver: Solver, hessian: &[f32], pruning: Pruning, format| {
        solver.solve(&w, k, hessian, pruning, format).expect_err("it makes no sense").to_string()
    };
    assert!(refused(solver, &unit[..8], Pruning::None, None).contains("the Hessian has 8 values"));
    let of =
        |pattern: &str| Pruning::Saliency { pattern: pattern.parse().expect("a pattern"), selection: Selection::Count };
    assert!(refused(Solver { block: 3, ..solver }, &unit, of("2:4"), None).contains("give a multiple of 4"));
    assert!(refused(Solver { order: Order::ByDiagonal, ..solver }, &unit, of("2:4"), None).contains("natural order"));
    assert!(refused(solver, &unit, of("64:2:8"), None).contains("whole tiles"));
    assert!(refused(Solver { block: 0, ..solver }, &unit, Pruning::None, None).contains("at least 1 column"));
    assert!(refused(Solver { damping: -1.0, ..solver }, &unit, Pruning::None, None).contains("give 0 to 1"));
    let wide: Vec<f32> = (0..64 * 64).map(|i| f32::from(u8::from(i % 65 == 0))).collect();
    let cut = Solver { block: 20, ..solver }.solve(&[1.0; 64], 64, &wide, Pruning::None, int4);
    assert!(cut.expect_err("groups are cut").to_string().contains("give a multiple of 32"));
    let mask = Mask::from_kept(Pattern::Dense, 4, vec![true; 4]).expect("one row");
    assert!(refused(solver, &unit, Pruning::Fixed(&mask), None).contains("a mask of 1 x 4"));
    let nan = solver.solve(&[f32::NAN; 4], 4, &unit, Pruning::None, None);
    assert!(nan.expect_err("no number").to_string().contains("row 0, column 0"));

    let ones = [1.0f32; 16];
    let raised = Solver { damping: 0.0, ..solver }.solve(&w, k, &ones, Pruning::None, None).expect("damping helps");
    assert_eq!(raised.damping, 0.01);
    // Not a Hessian: an eigenvalue of -9, which needs more than the mean of the diagonal.
    let wild: Vec<f32> = ones.iter().enumerate().map(|(i, v)| if i % 5 == 0 { *v } else { 10.0 }).collect();
    let error = solver.solve(&w, k, &wild, Pruning::None, None).expect_err("nothing helps");
    assert_eq!(error, Error::Singular { damping: 1.0 });
}
