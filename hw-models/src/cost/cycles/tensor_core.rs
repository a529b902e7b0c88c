//! Processors with tensor cores: the output is cut into tiles, and tiles run in waves.

use super::{Accesses, Engine, Job, Refusal, Timing, count::Count, systolic};

/// One choice of tile: what a processor does for it, and how often.
struct Schedule {
    /// Tiles of the output.
    tiles: Count,
    /// Tiles that the busiest processor works on, one after the other.
    waves: Count,
    /// Instructions of one tile along K, and of one step of K.
    steps: Count,
    instructions: Count,
    /// `[m, n, k]` of one instruction; K counts stored positions.
    shape: [u64; 3],
    /// Cycles of the multiplications of one tile.
    main: Count,
    prologue: u64,
    epilogue: u64,
}

impl Schedule {
    /// Edges of M, N and K are padded to whole tiles, tiles to whole instructions. An instruction shrinks to a smaller
    /// tile, as those of Hopper and Blackwell do along N.
    fn new(job: &Job, [m, n, k]: [u64; 3]) -> Option<Self> {
        let Engine::TensorCore { cores, prologue, epilogue, .. } = *job.engine else { return None };
        let [im, in_, ik] = job.instruction.unwrap_or([m, n, k]);
        let shape = [im.min(m), in_.min(n), ik.min(k)];
        let tiles = Count::from(job.m.div_ceil(m)) * job.n.div_ceil(n);
        let steps = Count::from(job.kept().div_ceil(k)) * k.div_ceil(shape[2]);
        let instructions = Count::from(m.div_ceil(shape[0])) * n.div_ceil(shape[1]);
        let macs = steps * instructions * shape[0] * shape[1] * shape[2];
        let main = macs.div_ceil(job.rate);
        Some(Self { tiles, waves: tiles.div_ceil(cores), steps, instructions, shape, main, prologue, epilogue })
    }

    fn compute(&self) -> Result<u64, Refusal> {
        (self.waves * (self.main + self.epilogue) + self.prologue).of("cycles")
    }

    /// The fastest of the engine's tiles; of equal ones the first.
    fn best(job: &Job) -> Result<Self, Refusal> {
        let Engine::TensorCore { tiles, .. } = job.engine else {
            return Err(Refusal::Unfit("processors with tensor cores"));
        };
        let timed = tiles.iter().filter_map(|tile| Schedule::new(job, *tile));
        let timed = timed.filter_map(|schedule| Some((schedule.compute().ok()?, schedule)));
        timed.min_by_key(|(cycles, _)| *cycles).map(|(_, schedule)| schedule).ok_or(Refusal::TooLarge("cycles"))
    }
}

/// `prologue + waves (main + epilogue)`, with the best of the engine's tiles.
pub(super) fn time(job: &Job) -> Result<Timing, Refusal> {
    let schedule = Schedule::best(job)?;
    let mapped = (schedule.waves * schedule.main).of("cycles")?;
    Ok(Timing::new(systolic::ideal(job)?, mapped, schedule.compute()?))
}

/// Every instruction reads its two fragments; the last of a tile writes results. Padding is moved too. Open sums stay in the processor, in registers or in tensor
/// memory of their own, and are no traffic of a memory.
pub(super) fn accesses(job: &Job) -> Result<Accesses, Refusal> {
    let Schedule { tiles, steps, instructions, shape: [m, n, k], .. } = Schedule::best(job)?;
    // A skipping unit reads all activations and picks those whose weights it has.
    let dense = job.skip.map_or(Count::from(k), |ratio| (Count::from(k) * ratio.m).div_ceil(ratio.n));
    let all = tiles * steps * instructions;
    let sums = tiles * instructions * m * n;
    Ok(Accesses {
        activation_reads: (all * m * dense).of("reads of activations")?,
        weight_reads: (all * n * k).of("reads of weights")?,
        partial_reads: 0,
        partial_writes: 0,
        output_writes: sums.of("outputs")?,
    })
}
