//! What calibration costs: Wanda and RIA on SmolLM2-135M, 16 sequences of 512 tokens, against the forward passes that they need.
//!
//! `cargo bench -p interplay --bench compression [-- SAMPLES LENGTH]`. A block runs twice: dense, while its inputs are watched, and
//! compressed, to make the inputs of the next. The peer is those two passes by Burn's eager execution, sequences side by side on as
//! many threads. Where `interplay fetch smollm2` has not been run there is nothing to measure. Rounds are interleaved; medians and
//! ratios are printed.
//!
//! Target: at most 1.5. The bound is 1 and what watching adds: k sums a token where the products take k n multiplications, and a
//! score and a comparison a weight, which a sequence of 512 tokens multiplies 512 times. Measured with 4 sequences and 2 quiet cores: Wanda
//! 1.06 to 1.10, RIA 1.09.

use std::ops::ControlFlow;
use std::time::Instant;

use interplay::Error;
use interplay::burn::{Activation, Host};
use interplay::catalogue::locate;
use interplay::compression::{Calibration, Compressed, Options, Stream, compress};
use interplay::load;
use interplay::models::Checkpoint;
use rayon::prelude::*;

/// Rounds; the first is not counted.
const ROUNDS: usize = 4;

const RECIPES: [&str; 3] = ["wanda(50%)", "ria(50%)", "wanda(2:4)"];

fn main() -> Result<(), Error> {
    let numbers: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let (samples, length) = (numbers.first().copied().unwrap_or(16), numbers.get(1).copied().unwrap_or(512));
    let Ok(path) = locate("smollm2") else {
        println!("SmolLM2 is not here: run `interplay fetch smollm2`");
        return Ok(());
    };
    let model = load::open(&path)?;
    let ids: Vec<u32> = (0..8 * length as u32).map(|i| i * 7919 % 49_000).collect();
    let calibration = Calibration::draw(&ids, samples, length, 0)?;
    println!("SmolLM2, {samples} x {length} tokens, {} threads", rayon::current_num_threads());
    let mut times = vec![Vec::new(); RECIPES.len() + 1];
    for round in 0..ROUNDS {
        let seconds = std::iter::once(passes(&*model.checkpoint, &calibration))
            .chain(RECIPES.iter().map(|recipe| compressed(&*model.checkpoint, &calibration, recipe)));
        for (times, seconds) in times.iter_mut().zip(seconds) {
            let seconds = seconds?;
            if round > 0 {
                times.push(seconds);
            }
        }
    }
    let medians: Vec<f64> = times.into_iter().map(median).collect();
    println!("{:<12} {:>8.2} s", "two passes", medians[0]);
    for (recipe, seconds) in RECIPES.iter().zip(&medians[1..]) {
        println!("{recipe:<12} {seconds:>8.2} s  {:.2} of the passes", seconds / medians[0]);
    }
    Ok(())
}

/// Every block twice on every sequence, eagerly.
fn passes(checkpoint: &dyn Checkpoint, calibration: &Calibration) -> Result<f64, Error> {
    let ids: Vec<i64> = calibration.ids().collect();
    let since = Instant::now();
    let embeddings = checkpoint.stage(0)?;
    let embed = |ids: &[i64]| embeddings.forward(Activation::ids(ids, ids.len()));
    let mut streams: Vec<Activation> = ids.chunks(calibration.length()).map(embed).collect();
    for index in 1..checkpoint.stages() - 1 {
        // A stage is no `Sync`: each thread has its own, of weights that are shared.
        let blocks =
            (0..rayon::current_num_threads()).map(|_| checkpoint.stage(index)).collect::<Result<Vec<_>, _>>()?;
        let parts = streams.len().div_ceil(blocks.len());
        let twice = blocks.into_par_iter().zip(streams.par_chunks(parts)).flat_map_iter(|(block, part)| {
            let run = move |input: &Activation| {
                std::hint::black_box(block.forward(input.clone()));
                block.forward(input.clone())
            };
            part.iter().map(run).collect::<Vec<_>>()
        });
        streams = twice.collect();
    }
    Ok(since.elapsed().as_secs_f64())
}

fn compressed(checkpoint: &dyn Checkpoint, calibration: &Calibration, recipe: &str) -> Result<f64, Error> {
    let options = Options { recipe: recipe.parse()?, stream: Stream::Compressed, host: Host::default() };
    let since = Instant::now();
    compress(checkpoint, calibration, &options, &mut Compressed::default(), &mut |_| ControlFlow::Continue(()))?;
    Ok(since.elapsed().as_secs_f64())
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}
