//! Arrays that load the next weights while the present ones work: the rules of ONNXim and of NeuSim.

use super::{Accesses, Dataflow, Job, Refusal, Timing, count::Count, systolic};

/// Rows of partial sums that an accumulator memory is taken to hold.
const ACCUMULATOR_ROWS: u64 = 2048;

/// A weight-stationary engine.
fn weight_stationary(job: &Job) -> Result<systolic::Mapped, Refusal> {
    let array = systolic::Mapped::new(job)?;
    match array.dataflow {
        Dataflow::WeightStationary => Ok(array),
        _ => Err(Refusal::Unfit("a weight-stationary array")),
    }
}

/// `(2R - 1) + (t - 1) max(M, R, 4) + (R + C - 2 + max(M, 4))` for `t` weight tiles: the first load, one slot for every
/// further tile, and the last tile until it has drained. M is cut where the accumulators are full, and every cut runs
/// through all tiles.
pub(super) fn double_buffered(job: &Job) -> Result<Timing, Refusal> {
    let array = weight_stationary(job)?;
    let (down, across) = array.folds();
    // Tiles of the busiest array: columns of tiles are dealt out, so that no sum is spread over two arrays.
    let tiles = Count::from(down) * across.div_ceil(array.arrays);
    let slot = |rows: u64| rows.max(array.rows).max(4);
    let (full, rest) = (job.m / ACCUMULATOR_ROWS, job.m % ACCUMULATOR_ROWS);
    let (last, before) = if rest > 0 { (rest, full) } else { (ACCUMULATOR_ROWS, full - 1) };
    let first = Count::from(array.rows) * 2 - 1;
    let slots = tiles * before * slot(ACCUMULATOR_ROWS) + (tiles - 1) * slot(last);
    let drain = Count::from(array.rows) + array.columns + last.max(4) - 2;
    let compute = (first + slots + drain).of("cycles")?;
    Ok(Timing::new(systolic::ideal(job)?, (tiles * job.m).of("cycles")?, compute))
}

/// Weights are read once for every cut of M.
pub(super) fn double_buffered_accesses(job: &Job) -> Result<Accesses, Refusal> {
    systolic::counted(job, &weight_stationary(job)?, job.m.div_ceil(ACCUMULATOR_ROWS))
}

/// `(t + 2) s / arrays` for `t` cubes of side `s`: one fill and one drain, cubes shared evenly.
pub(super) fn tpu(job: &Job) -> Result<Timing, Refusal> {
    let array = weight_stationary(job)?;
    if array.rows != array.columns {
        return Err(Refusal::Unfit("a square array"));
    }
    let (down, across) = array.folds();
    let cubes = Count::from(down) * across * array.time.div_ceil(array.rows);
    let shared = |cubes: Count| (cubes * array.rows).div_ceil(array.arrays).of("cycles");
    Ok(Timing::new(systolic::ideal(job)?, shared(cubes)?, shared(cubes + 2)?))
}
