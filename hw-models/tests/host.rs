//! The host's operations: how far functions are from the truth, reductions and products against loops that say what they are, and the
//! same bits with every choice of instructions and threads.

use interplay_formats::math;
use interplay_formats::simd::Simd;
use interplay_hw::host::{Function, Matrix, Plane, Reduction, depthwise, layer_norm, matmul, reduce, softmax};
use interplay_hw::{Datapath, Operand};
use libtest_mimic::{Failed, Trial};
use std::sync::{Mutex, PoisonError};

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        Trial::test("host::reductions_are_sixteen_partial_results", reductions),
        Trial::test("host::rows_by_hand", rows),
        Trial::test("host::matmul_is_the_datapath_fp32", products),
        Trial::test("host::matmul_is_fused_at_every_level", fused),
        Trial::test("host::matmul_refuses_what_does_not_fit", refusals),
        Trial::test("host::depthwise_is_the_datapath_fp32", thin),
        Trial::test("host::specials", specials),
    ];
    trials.extend(FUNCTIONS.map(|(name, function, truth)| {
        Trial::test(format!("host::accuracy_of_{name}"), move || accuracy(name, function, truth))
    }));
    trials
}

type Truth = fn(f64) -> f64;

/// What the functions are held to: the system's, which owe nothing to the crate that the fixed ones come from, where it has them.
const FUNCTIONS: [(&str, Function, Truth); 11] = [
    ("exp", Function::Exp, f64::exp),
    ("sigmoid", Function::Sigmoid, |x| 1.0 / (1.0 + (-x).exp())),
    ("tanh", Function::Tanh, f64::tanh),
    ("gelu", Function::Gelu, |x| x * 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)),
    ("log_sigmoid", Function::LogSigmoid, |x| x.min(0.0) - (-x.abs()).exp().ln_1p()),
    ("ln", Function::Ln, f64::ln),
    ("ln_1p", Function::Ln1p, f64::ln_1p),
    ("erf", Function::Erf, erf),
    ("sin", Function::Sin, f64::sin),
    ("cos", Function::Cos, f64::cos),
    ("power", Function::Power(1.7), |x| x.powf(1.7)),
];

/// By its series near zero, by its complement elsewhere.
fn erf(x: f64) -> f64 {
    let size = x.abs();
    if size >= 0.5 {
        return (1.0 - libm::erfc(size)).copysign(x);
    }
    let (mut power, mut sum) = (x, 0.0);
    for n in 0..20 {
        sum += power / f64::from(2 * n + 1);
        power *= -x * x / f64::from(n + 1);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

/// The bound that [`Function`] states, in units in the last place.
const BOUND: f64 = 0.501;

/// Half a million bit patterns of all magnitudes and signs, 8191 apart, and what lies near 0 and 1.
fn inputs() -> impl Iterator<Item = f32> {
    (0..=u32::MAX / 8191).map(|i| f32::from_bits(i * 8191)).chain((0..400_000).map(|i| (i as f32 - 200_000.0) * 1e-4))
}

/// A unit in the last place of the FP32 numbers around `x`.
fn ulp(x: f64) -> f64 {
    let exponent = (x.abs().to_bits() >> 52) as i32 - 1023;
    math::powi(2.0, exponent.max(-126) - 23)
}

fn accuracy(name: &str, function: Function, truth: Truth) -> Result<(), Failed> {
    let x: Vec<f32> = inputs().filter(|x| x.is_finite()).collect();
    let mut y = x.clone();
    function.apply(&mut y);
    let (mut worst, mut at, mut seen) = (0.0, 0.0, 0);
    for (x, y) in x.into_iter().zip(y) {
        let want = truth(f64::from(x));
        if want.is_nan() || (want as f32).is_infinite() {
            assert!(
                y.is_nan() == want.is_nan() && (want.is_nan() || y == want as f32),
                "{name}({x}) is {y}, not {want}"
            );
            continue;
        }
        let error = (f64::from(y) - want).abs() / ulp(want);
        seen += 1;
        if error > worst {
            (worst, at) = (error, x);
        }
    }
    assert!(seen > 100_000, "only {seen} values were compared");
    assert!(worst <= BOUND, "{name}({at}) is off by {worst} ulp");
    Ok(())
}

fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| next() * if seed.is_multiple_of(2) { 1.0 } else { 37.0 }).collect()
}

/// Runs `check` with every choice of instructions and some numbers of threads; what it gives must not change.
fn everywhere<T: PartialEq + std::fmt::Debug + Send>(check: impl Fn() -> T + Sync) -> Result<T, Failed> {
    // The choice is the process's: another case must not change it meanwhile.
    static CHOICE: Mutex<()> = Mutex::new(());
    let _alone = CHOICE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut first: Option<T> = None;
    for simd in Simd::available() {
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
            simd.choose()?;
            let got = pool.install(&check);
            match &first {
                Some(first) => assert_eq!(got, *first, "{} on {threads} threads", simd.name()),
                None => first = Some(got),
            }
        }
    }
    Simd::Auto.choose()?;
    first.ok_or_else(|| "no instructions".into())
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// The definition: element i goes to partial result i mod 16.
fn by_definition(row: &[f32], first: f32, f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut parts = vec![first; 16];
    row.iter().enumerate().for_each(|(i, x)| parts[i % 16] = f(parts[i % 16], *x));
    while parts.len() > 1 {
        let second = parts.split_off(parts.len() / 2);
        parts.iter_mut().zip(second).for_each(|(a, b)| *a = f(*a, b));
    }
    parts[0]
}

fn reductions() -> Result<(), Failed> {
    for k in [1, 7, 16, 17, 576, 1000] {
        let x = values(23 * k, k as u64);
        let all = [Reduction::Sum, Reduction::Mean, Reduction::Product, Reduction::Max, Reduction::Min];
        let got = everywhere(|| all.map(|reduction| bits(&reduce(reduction, &x, k))))?;
        for (row, x) in x.chunks(k).enumerate() {
            let sum = by_definition(x, 0.0, |a, b| a + b);
            let want = [
                sum,
                sum / k as f32,
                by_definition(x, 1.0, |a, b| a * b),
                x.iter().copied().fold(f32::NEG_INFINITY, f32::max),
                x.iter().copied().fold(f32::INFINITY, f32::min),
            ];
            for (got, want) in got.iter().zip(want) {
                assert_eq!(got[row], want.to_bits(), "row {row} of {k}");
            }
        }
    }
    Ok(())
}

fn rows() -> Result<(), Failed> {
    for k in [1, 5, 64, 333] {
        let (x, gamma, beta) = (values(11 * k, 3), values(k, 4), values(k, 6));
        let soft = everywhere(|| {
            let mut y = x.clone();
            softmax(&mut y, k, false);
            bits(&y)
        })?;
        let normal = everywhere(|| {
            let mut y = x.clone();
            layer_norm(&mut y, &gamma, Some(&beta), 1e-5);
            bits(&y)
        })?;
        let add = |row: &[f32]| by_definition(row, 0.0, |a, b| a + b);
        for (row, x) in x.chunks(k).enumerate() {
            let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let powers: Vec<f32> = x.iter().map(|x| Function::Exp.of(x - largest)).collect();
            let total = add(&powers);
            let mean = add(x) / k as f32;
            let centred: Vec<f32> = x.iter().map(|x| x - mean).collect();
            let squares: Vec<f32> = centred.iter().map(|x| x * x).collect();
            let inverse = 1.0 / (add(&squares) / k as f32 + 1e-5).sqrt();
            for i in 0..k {
                assert_eq!(soft[row * k + i], (powers[i] / total).to_bits(), "softmax of {k}");
                let want = centred[i] * inverse * gamma[i] + beta[i];
                assert_eq!(normal[row * k + i], want.to_bits(), "layer normalisation of {k}");
            }
        }
    }
    Ok(())
}

/// Rows of the right operand's transpose, as datapaths take weights.
fn transposed(b: &[f32], k: usize, n: usize) -> Vec<f32> {
    (0..n).flat_map(|j| (0..k).map(move |i| b[i * n + j])).collect()
}

fn products() -> Result<(), Failed> {
    let unit = Datapath::by_name("fp32")?;
    for (m, k, n) in [(1, 1, 1), (5, 9, 33), (13, 64, 31), (40, 100, 290), (3, 700, 7)] {
        let (a, b) = (values(m * k, 1), values(k * n, 2));
        let (a_turned, b_turned) = (transposed(&a, m, k), transposed(&b, k, n));
        let (x, w) = (Operand::Values { data: &a, k }, Operand::Values { data: &b_turned, k });
        let want = bits(&unit.gemm_reference(x, w)?);
        let lefts = [Matrix::new(&a, [m, k]), Matrix { data: &a_turned, shape: [m, k], strides: [1, m] }];
        let rights = [Matrix::new(&b, [k, n]), Matrix { data: &b_turned, shape: [k, n], strides: [1, k] }];
        for (left, right) in lefts.into_iter().flat_map(|left| rights.map(|right| (left, right))) {
            let got = everywhere(|| {
                let mut out = vec![f32::NAN; m * n];
                assert!(matmul(left, right, &mut out));
                bits(&out)
            })?;
            assert_eq!(got, want, "{m} x {k} x {n}");
        }
    }
    Ok(())
}

/// `a b + c` of all bit patterns: what the hardware or the C library rounds once, FP64 arithmetic does too.
fn fused() -> Result<(), Failed> {
    let patterns = |seed: u64| -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f32::from_bits((state >> 32) as u32)
        };
        let special =
            [0.0, -0.0, f32::INFINITY, f32::NAN, f32::MAX, f32::MIN_POSITIVE, 1e-45, -1e-45, 1.0 + f32::EPSILON];
        (0..300).map(|_| next()).chain(special).collect()
    };
    let (a, b, c) = (patterns(1), patterns(2), patterns(3));
    let left: Vec<f32> = c.iter().zip(&a).flat_map(|(c, a)| [*c, *a]).collect();
    let right = [vec![1.0; b.len()], b.clone()].concat();
    let (m, n) = (a.len(), b.len());
    let got = everywhere(|| {
        let mut out = vec![0.0; m * n];
        assert!(matmul(Matrix::new(&left, [m, 2]), Matrix::new(&right, [2, n]), &mut out));
        bits(&out)
    })?;
    for i in 0..m {
        for j in 0..n {
            let want = libm::fmaf(a[i], b[j], libm::fmaf(c[i], 1.0, 0.0));
            let same =
                if want.is_nan() { f32::from_bits(got[i * n + j]).is_nan() } else { got[i * n + j] == want.to_bits() };
            assert!(same, "{} x {} + {} is {want}, not {}", a[i], b[j], c[i], f32::from_bits(got[i * n + j]));
        }
    }
    Ok(())
}

fn refusals() -> Result<(), Failed> {
    let x = [1.0; 6];
    let plain = |shape| Matrix::new(&x, shape);
    let mut out = [7.0; 4];
    assert!(!matmul(plain([2, 3]), plain([2, 2]), &mut out), "depths differ");
    assert!(!matmul(plain([2, 3]), plain([3, 1]), &mut out), "the output is longer");
    assert!(!matmul(plain([2, 4]), plain([4, 2]), &mut out), "the data are shorter");
    let wide = Matrix { data: &x, shape: [2, 2], strides: [usize::MAX, 1] };
    assert!(!matmul(wide, plain([2, 2]), &mut out), "strides beyond memory");
    assert_eq!(out, [7.0; 4]);
    assert!(matmul(plain([2, 0]), plain([0, 2]), &mut out) && out == [0.0; 4], "empty sums");
    assert!(matmul(plain([0, 3]), plain([3, 2]), &mut []));
    Ok(())
}

/// Against the windows as rows of a product.
fn thin() -> Result<(), Failed> {
    let unit = Datapath::by_name("fp32")?;
    for (stride, dilation, before, multiplier) in [([1, 1], [1, 1], [1, 1], 1), ([2, 1], [1, 2], [0, 2], 2)] {
        let (input, kernel, output, images, channels) = ([9, 8], [3, 2], [4, 5], 2, 3);
        let plane = Plane { input, output, kernel, stride, dilation, before };
        let x = values(images * channels * 72, 1);
        let taps = values(channels * multiplier * 6, 2);
        let got = everywhere(|| {
            let mut out = vec![f32::NAN; images * channels * multiplier * 20];
            assert!(depthwise(&plane, &x, &taps, multiplier, &mut out));
            bits(&out)
        })?;
        for (index, got) in got.chunks(20).enumerate() {
            let x = &x[index / multiplier * 72..][..72];
            let at =
                |y: usize, i: usize, side: usize| (y * stride[side] + i * dilation[side]).wrapping_sub(before[side]);
            let value = |y: usize, x_: usize| if y < 9 && x_ < 8 { x[y * 8 + x_] } else { 0.0 };
            let windows: Vec<f32> = (0..20)
                .flat_map(|o| (0..6).map(move |t| (o, t)))
                .map(|(o, t)| value(at(o / 5, t / 2, 0), at(o % 5, t % 2, 1)))
                .collect();
            let taps = &taps[index % (channels * multiplier) * 6..][..6];
            let want =
                unit.gemm_reference(Operand::Values { data: &windows, k: 6 }, Operand::Values { data: taps, k: 6 })?;
            assert_eq!(got, bits(&want), "plane {index}");
        }
    }
    let plane =
        Plane { input: [2, 2], output: [2, 2], kernel: [1, 1], stride: [1, 1], dilation: [1, 1], before: [0, 0] };
    assert!(!depthwise(&plane, &[0.0; 7], &[1.0], 1, &mut [0.0; 8]), "half a plane");
    Ok(())
}

fn specials() -> Result<(), Failed> {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    for (function, x, want) in [
        (Function::Exp, inf, inf),
        (Function::Exp, -inf, 0.0),
        (Function::Exp, -0.0, 1.0),
        (Function::Sigmoid, inf, 1.0),
        (Function::Sigmoid, -inf, 0.0),
        (Function::Tanh, inf, 1.0),
        (Function::Tanh, -inf, -1.0),
        (Function::Tanh, -0.0, -0.0),
        (Function::Gelu, inf, inf),
        (Function::Gelu, -inf, -0.0),
        (Function::Ln, 0.0, -inf),
        (Function::Ln, -1.0, nan),
        (Function::LogSigmoid, -inf, -inf),
    ] {
        let got = everywhere(|| function.of(x).to_bits())?;
        let want = if want.is_nan() { 0x7fc0_0000 } else { want.to_bits() };
        assert_eq!(got, want, "{function:?} of {x}");
    }
    for (_, function, _) in FUNCTIONS {
        assert_eq!(everywhere(|| function.of(-nan).to_bits())?, 0x7fc0_0000, "{function:?} of NaN");
    }
    let mut row = [-inf; 20];
    softmax(&mut row, 20, true);
    assert_eq!(row, [0.0; 20]);
    row = [-inf; 20];
    softmax(&mut row, 20, false);
    assert!(row.iter().all(|x| x.to_bits() == 0x7fc0_0000));
    Ok(())
}
