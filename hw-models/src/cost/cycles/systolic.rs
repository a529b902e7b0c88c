//! Arrays that load, fill and drain in every fold: the rules of SCALE-Sim and of STONNE.

use super::{Accesses, Dataflow, Engine, Job, Ratio, Refusal, Timing, count::Count};

/// A systolic engine with one product laid over it.
pub(super) struct Mapped {
    pub arrays: u64,
    pub rows: u64,
    pub columns: u64,
    pub dataflow: Dataflow,
    /// The dimension along the rows; K is shortened where elements multiply several pairs.
    pub along_rows: u64,
    /// The dimension along the columns.
    pub along_columns: u64,
    /// The dimension that streams.
    pub time: u64,
    /// Multiply-accumulates of one element in a cycle.
    lanes: u64,
}

impl Mapped {
    /// Which dimension lies where. An element that multiplies several pairs a cycle takes them from neighbours along K.
    pub fn new(job: &Job) -> Result<Self, Refusal> {
        let Engine::Systolic { arrays, rows, columns, dataflow } = *job.engine else {
            return Err(Refusal::Unfit("a systolic array"));
        };
        let elements = u128::from(rows) * u128::from(columns);
        if u128::from(job.rate) % elements != 0 {
            return Err(Refusal::Unfit("one multiply-accumulate a cycle and element, or a whole number of them"));
        }
        let lanes = (u128::from(job.rate) / elements) as u64;
        let k = job.kept().div_ceil(lanes);
        let (along_rows, along_columns, time) = match dataflow {
            Dataflow::OutputStationary => (job.m, job.n, k),
            Dataflow::WeightStationary => (k, job.n, job.m),
            Dataflow::InputStationary => (k, job.m, job.n),
        };
        Ok(Self { arrays, rows, columns, dataflow, along_rows, along_columns, time, lanes })
    }

    /// Folds along the rows and along the columns.
    pub fn folds(&self) -> (u64, u64) {
        (self.along_rows.div_ceil(self.rows), self.along_columns.div_ceil(self.columns))
    }

    fn alone(&self) -> Result<(), Refusal> {
        if self.arrays == 1 { Ok(()) } else { Err(Refusal::Unfit("a single array")) }
    }
}

/// Cycles in which all arrays would do the work if none were ever idle.
pub(super) fn ideal(job: &Job) -> Result<u64, Refusal> {
    let macs = Count::from(job.m) * job.kept() * job.n;
    macs.div_ceil(Count::from(job.rate) * job.engine.cores()).of("cycles")
}

/// `F P - 1`: every fold takes as long as a full one, and the number is the index of the last cycle, counted from 0.
pub(super) fn scalesim(job: &Job) -> Result<Timing, Refusal> {
    let array = plain(job)?;
    let (down, across) = array.folds();
    let folds = Count::from(down) * across;
    // An output-stationary array has nothing to load.
    let load = if array.dataflow == Dataflow::OutputStationary { 0 } else { array.rows };
    let fold = Count::from(array.time) + load + array.rows + array.columns - 2;
    let compute = (folds * fold - 1).of("cycles")?;
    // Counted from 0, a single output-stationary element takes a cycle less than its work.
    let mapped = (folds * array.time).of("cycles")?.min(compute);
    Ok(Timing::new(ideal(job)?.min(mapped), mapped, compute))
}

/// SCALE-Sim knows one array of elements that multiply one pair.
fn plain(job: &Job) -> Result<Mapped, Refusal> {
    let array = Mapped::new(job)?;
    array.alone()?;
    if array.lanes == 1 { Ok(array) } else { Err(Refusal::Unfit("one multiply-accumulate a cycle and element")) }
}

/// Folds one after the other, each as long as its own tile of `r x c` elements needs.
///
/// Output-stationary: `K + r + c + 3`, one less where the tile is one element wide or high. Others: `2r + c + T - 2`.
pub(super) fn edge_aware(job: &Job) -> Result<Timing, Refusal> {
    let array = Mapped::new(job)?;
    array.alone()?;
    let (down, across) = array.folds();
    let folds = Count::from(down) * across;
    // All tiles' heights and widths together.
    let heights = Count::from(array.along_rows) * across;
    let widths = Count::from(array.along_columns) * down;
    let streaming = folds * array.time;
    let compute = match array.dataflow {
        Dataflow::OutputStationary => {
            let thin_rows = thin(array.along_rows, array.rows);
            let thin_columns = thin(array.along_columns, array.columns);
            let thin = Count::from(thin_rows) * across + Count::from(thin_columns) * (Count::from(down) - thin_rows);
            streaming + heights + widths + folds * 3 - thin
        }
        Dataflow::WeightStationary | Dataflow::InputStationary => streaming + heights * 2 + widths - folds * 2,
    };
    Ok(Timing::new(ideal(job)?, streaming.of("cycles")?, compute.of("cycles")?))
}

/// Tiles of length 1 when `length` is cut into tiles of `side`.
fn thin(length: u64, side: u64) -> u64 {
    if side == 1 { length } else { u64::from(length % side == 1) }
}

/// Every fold reads its operands anew; sums of one fold of K are read back in the next one.
pub(super) fn accesses(job: &Job) -> Result<Accesses, Refusal> {
    counted(job, &Mapped::new(job)?, 1)
}

/// The same where the whole product is cut along the streaming dimension, and stationary weights are read for each cut.
pub(super) fn counted(job: &Job, array: &Mapped, cuts: u64) -> Result<Accesses, Refusal> {
    let (down, across) = array.folds();
    let (activation_passes, weight_passes, output_passes) = match array.dataflow {
        Dataflow::OutputStationary => (across, down, 1),
        Dataflow::WeightStationary => (across, cuts, down),
        Dataflow::InputStationary => (cuts, across, down),
    };
    let outputs = Count::from(job.m) * job.n;
    let partial = (outputs * (output_passes - 1)).of("partial sums")?;
    Ok(Accesses {
        activation_reads: (Count::from(job.m) * job.k * activation_passes).of("reads of activations")?,
        weight_reads: (Count::from(job.kept()) * job.n * weight_passes).of("reads of weights")?,
        partial_reads: partial,
        partial_writes: partial,
        output_writes: outputs.of("outputs")?,
    })
}

/// SCALE-Sim's counts with what is wrong in them: partial sums are never read back, an output-stationary array writes
/// `R + C` outputs too many in every fold, and of N:M weights only a weight-stationary array reads all activations,
/// `M / N` for each stored position (rounded to the nearest whole number where the last group is ragged).
pub(super) fn scalesim_accesses(job: &Job) -> Result<Accesses, Refusal> {
    let array = plain(job)?;
    let right = counted(job, &array, 1)?;
    let (down, across) = array.folds();
    let outputs = Count::from(right.output_writes);
    let stored = Count::from(job.m) * job.kept();
    let (reads, writes) = match array.dataflow {
        Dataflow::OutputStationary => {
            let excess = Count::from(down) * across * (Count::from(array.rows) + array.columns);
            (stored * across, outputs + excess)
        }
        Dataflow::InputStationary => (stored, outputs),
        Dataflow::WeightStationary => match job.skip {
            None => (stored * across, outputs),
            Some(Ratio { n, m }) => ((stored * across * m * 2 + n).div(Count::from(n) * 2), outputs),
        },
    };
    let (activation_reads, output_writes) = (reads.of("reads of activations")?, writes.of("outputs")?);
    Ok(Accesses { activation_reads, partial_reads: 0, output_writes, ..right })
}
