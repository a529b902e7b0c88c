//! How fast the cost model answers: every cycle model on one product, a 12-layer ViT with traffic and energy, and a sweep of 10,000 points.
//!
//! The bound is arithmetic alone: nothing here touches memory beyond the caches. The peer, SCALE-Sim 3.0.0, takes 309 to
//! 496 s for 2048 x 768 x 3072 on a 128 x 128 array and gives the same number of cycles.

use interplay_formats::Format;
use interplay_hw::cost::{Accelerator, Capacity, CycleModel, Dataflow, Engine, Job, PriceList, cost};
use interplay_hw::{Gemm, Layer, Workload};
use rayon::prelude::*;
use std::hint::black_box;
use std::time::Instant;

/// Median of the times of `rounds` runs, in seconds.
fn median(rounds: usize, mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The products of a ViT-B of 12 layers on 197 tokens.
fn vit(format: &'static Format) -> Workload {
    let mut layers = Vec::new();
    for block in 0..12 {
        let shapes = [
            ("qkv", 197, 768, 2304, 1),
            ("qk", 197, 64, 197, 12),
            ("pv", 197, 197, 64, 12),
            ("proj", 197, 768, 768, 1),
            ("fc1", 197, 768, 3072, 1),
            ("fc2", 197, 3072, 768, 1),
        ];
        for (name, m, k, n, count) in shapes {
            let gemm = Gemm { count, ..Gemm::new(format!("blocks.{block}.{name}"), m, k, n) };
            layers.push(Layer::dense(gemm, format, format).expect("a product"));
        }
    }
    layers.into()
}

/// Cycles and accesses of one product under every model, on an array or on a GPU.
fn models() {
    const ANSWERS: u32 = 1_000_000;
    let array = Engine::Systolic { arrays: 1, rows: 128, columns: 128, dataflow: Dataflow::WeightStationary };
    let tiles = vec![[128, 256, 64], [128, 128, 64], [64, 256, 64], [64, 128, 64]];
    let gpu = Engine::TensorCore { cores: 132, tiles, prologue: 2000, epilogue: 500 };
    for model in CycleModel::all() {
        for (engine, rate, instruction) in [(&array, 128 * 128, None), (&gpu, 2048, Some([64, 256, 16]))] {
            let job = Job { m: 2048, k: 768, n: 3072, engine, rate, instruction, skip: None };
            if model.time(&job).is_err() {
                continue;
            }
            let time = median(3, || {
                for _ in 0..ANSWERS {
                    let job = black_box(&job);
                    black_box((model.time(job).is_ok(), model.accesses(job).is_ok()));
                }
            });
            println!("{:<16} {:.1} ns for cycles and accesses", model.name, time / f64::from(ANSWERS) * 1e9);
        }
    }
}

fn main() {
    let model = CycleModel::by_name("scalesim").expect("a model");
    let machine = Accelerator::by_name("systolic-128").expect("a machine");
    let prices = PriceList::by_name("horowitz45").expect("prices");
    let format = Format::by_name("hbfp8").expect("a format");

    models();
    let workload = vit(format);
    let whole = median(51, || drop(black_box(cost(black_box(&workload), machine, model, prices).expect("a cost"))));
    println!("12-layer ViT, 72 products with traffic and energy: {:.3} ms", whole * 1e3);

    let machines: Vec<Accelerator> = (0..10_000u64)
        .map(|point| {
            let mut machine = machine.clone();
            let (side, kib) = (8 + point % 100 * 4, 64 << (point / 100 % 8));
            machine.engine = Engine::Systolic {
                arrays: 1,
                rows: side,
                columns: 8 + point / 100 * 2,
                dataflow: Dataflow::WeightStationary,
            };
            machine.memory[0].kib = Capacity::Unified(kib);
            machine
        })
        .collect();
    let sweep = median(3, || {
        let energy: f64 = machines
            .par_iter()
            .map(|machine| cost(&workload, machine, model, prices).expect("a cost").total.energy.total.typical)
            .collect::<Vec<_>>()
            .into_iter()
            .sum();
        black_box(energy);
    });
    println!("10,000 machines x 12-layer ViT: {sweep:.2} s on {} threads", rayon::current_num_threads());
}
