//! Time of one answer of every cycle model; the aim is a microsecond.
//!
//! `cargo bench -p interplay-hw --bench cost`

use interplay_hw::{
    CycleModel,
    cost::{Dataflow, Engine, Job},
};
use std::{hint::black_box, time::Instant};

/// Answers a model.
const ANSWERS: u32 = 1_000_000;

fn main() {
    let array = Engine::Systolic { arrays: 1, rows: 128, columns: 128, dataflow: Dataflow::WeightStationary };
    let tiles = vec![[128, 256, 64], [128, 128, 64], [64, 256, 64], [64, 128, 64]];
    let gpu = Engine::TensorCore { cores: 132, tiles, prologue: 2000, epilogue: 500 };
    for model in CycleModel::all() {
        let array = (&array, 128 * 128, None);
        let gpu = (&gpu, 2048, Some([64, 256, 16]));
        for (engine, rate, instruction) in [array, gpu] {
            let job = Job { m: 2048, k: 768, n: 3072, engine, rate, instruction, skip: None };
            if model.time(&job).is_err() {
                continue;
            }
            let start = Instant::now();
            for _ in 0..ANSWERS {
                let job = black_box(&job);
                black_box((model.time(job).is_ok(), model.accesses(job).is_ok()));
            }
            let each = start.elapsed() / ANSWERS;
            println!("{:<16} {each:?} for cycles and accesses of 2048 x 768 x 3072", model.name);
        }
    }
}
