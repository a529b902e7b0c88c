//! The counts of the analytic models against an array that really multiplies.
//!
//! The simulator moves numbers from register to register, one cycle after the other, and knows no closed form. It gives
//! the product, the cycles and every access to memory. It is slow on purpose: what it does can be read off.

use crate::support::{Random, case};
use interplay_hw::{
    CycleModel, Ratio,
    cost::{Accesses, Dataflow, Engine, Job},
};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![case("simulated::dense", dense), case("simulated::sparse", sparse)]
}

/// Activations `[m, k]` and weights `[k, n]` of which every group of `group` positions along K keeps `keep`.
///
/// A slot is a stored position; dense weights keep one of one, and slots are then positions.
struct Product {
    m: usize,
    k: usize,
    n: usize,
    keep: usize,
    group: usize,
    activations: Vec<i64>,
    /// Of every slot and column: the weight and its place in the group.
    weights: Vec<Vec<(i64, usize)>>,
}

impl Product {
    fn new((m, k, n): (usize, usize, usize), (keep, group): (usize, usize), random: &mut Random) -> Self {
        let number = |random: &mut Random| random.below(201) as i64 - 100;
        let activations = (0..m * k).map(|_| number(random)).collect();
        let mut weights = Vec::new();
        for start in (0..k).step_by(group) {
            let length = group.min(k - start);
            let columns: Vec<Vec<usize>> = (0..n).map(|_| places(keep.min(length), length, random)).collect();
            for slot in 0..keep.min(length) {
                weights.push(columns.iter().map(|places| (number(random), places[slot])).collect());
            }
        }
        Self { m, k, n, keep, group, activations, weights }
    }

    fn slots(&self) -> usize {
        self.weights.len()
    }

    /// The activations of one row among which the weights of a slot choose.
    fn candidates(&self, row: usize, slot: usize) -> &[i64] {
        let start = slot / self.keep * self.group;
        let end = self.k.min(start + self.group);
        &self.activations[row * self.k + start..row * self.k + end]
    }

    /// The product without any array.
    fn expected(&self) -> Vec<i64> {
        let output = |row: usize, column: usize| -> i64 {
            let slots = (0..self.slots()).map(|slot| (self.candidates(row, slot), self.weights[slot][column]));
            slots.map(|(candidates, (weight, place))| candidates[place] * weight).sum()
        };
        (0..self.m * self.n).map(|i| output(i / self.n, i % self.n)).collect()
    }
}

/// `keep` increasing places below `length`, each choice alike.
fn places(keep: usize, length: usize, random: &mut Random) -> Vec<usize> {
    let mut all: Vec<usize> = (0..length).collect();
    while all.len() > keep {
        all.remove(random.below(all.len() as u64) as usize);
    }
    all
}

/// What an array did.
#[derive(Default)]
struct Run {
    outputs: Vec<i64>,
    cycles: u64,
    accesses: Accesses,
}

type Grid<T> = Vec<Vec<T>>;

fn grid<T: Clone>(rows: usize, columns: usize, value: T) -> Grid<T> {
    vec![vec![value; columns]; rows]
}

/// Candidates move right, weights move down, sums stay. A value in a neighbour's register is that of the cycle before:
/// elements are visited from the far corner backwards.
fn output_stationary(product: &Product, rows: usize, columns: usize) -> Run {
    let mut run = Run { outputs: vec![0; product.m * product.n], ..Run::default() };
    for left in (0..product.n).step_by(columns) {
        for top in (0..product.m).step_by(rows) {
            let mut right = grid(rows, columns, None);
            let mut down = grid(rows, columns, None);
            let mut sums = grid(rows, columns, (0, 0));
            // Until the far corner of the whole array has seen the last pair.
            for cycle in 0..product.slots() + rows + columns - 2 {
                for i in (0..rows).rev() {
                    for j in (0..columns).rev() {
                        right[i][j] = match j {
                            0 => feed_candidates(product, top + i, cycle.checked_sub(i), &mut run),
                            _ => right[i][j - 1],
                        };
                        down[i][j] = match i {
                            0 => feed_weight(product, cycle.checked_sub(j), left + j, &mut run),
                            _ => down[i - 1][j],
                        };
                        let (Some(candidates), Some((weight, place))) = (right[i][j], down[i][j]) else { continue };
                        let (sum, seen) = &mut sums[i][j];
                        *sum += candidates[place] * weight;
                        *seen += 1;
                        if *seen == product.slots() {
                            run.outputs[(top + i) * product.n + left + j] = *sum;
                            run.accesses.output_writes += 1;
                        }
                    }
                }
                run.cycles += 1;
            }
        }
    }
    run
}

/// What enters a row at its left edge. A group is read once, with its first slot.
fn feed_candidates<'a>(product: &'a Product, row: usize, slot: Option<usize>, run: &mut Run) -> Option<&'a [i64]> {
    let slot = slot.filter(|&slot| slot < product.slots() && row < product.m)?;
    let candidates = product.candidates(row, slot);
    if slot % product.keep == 0 {
        run.accesses.activation_reads += candidates.len() as u64;
    }
    Some(candidates)
}

/// What enters a column at its top.
fn feed_weight(product: &Product, slot: Option<usize>, column: usize, run: &mut Run) -> Option<(i64, usize)> {
    let slot = slot.filter(|&slot| slot < product.slots() && column < product.n)?;
    run.accesses.weight_reads += 1;
    Some(product.weights[slot][column])
}

/// Slots along the rows, one operand in place, the other moving right, sums moving down.
///
/// `held(slot, column)` and `streamed(time, slot)` read memory where there is something to read.
fn stationary<H: Copy, S: Copy>(
    (rows, columns): (usize, usize),
    (slots, across, time): (usize, usize, usize),
    mut held: impl FnMut(usize, usize, &mut Run) -> Option<H>,
    mut streamed: impl FnMut(usize, usize, &mut Run) -> Option<S>,
    multiply: impl Fn(H, S) -> i64,
) -> Run {
    // Outputs by time and column.
    let mut run = Run { outputs: vec![0; time * across], ..Run::default() };
    for left in (0..across).step_by(columns) {
        for top in (0..slots).step_by(rows) {
            let mut place = grid(rows, columns, None);
            for cycle in 0..rows {
                // The values of the last row enter first and sink.
                for i in (1..rows).rev() {
                    place[i] = place[i - 1].clone();
                }
                place[0] = (0..columns).map(|j| held(top + rows - 1 - cycle, left + j, &mut run)).collect();
                run.cycles += 1;
            }
            let mut right = grid(rows, columns, None);
            let mut down = grid(rows, columns, None);
            for cycle in 0..time + rows + columns - 2 {
                for i in (0..rows).rev() {
                    for j in (0..columns).rev() {
                        right[i][j] = match j {
                            0 => cycle.checked_sub(i).and_then(|now| streamed(now, top + i, &mut run)),
                            _ => right[i][j - 1],
                        };
                        let entering = |run: &mut Run| {
                            let now = cycle.checked_sub(j).filter(|&now| now < time && left + j < across)?;
                            run.accesses.partial_reads += u64::from(top > 0);
                            Some((now, run.outputs[now * across + left + j]))
                        };
                        let sum = if i == 0 { entering(&mut run) } else { down[i - 1][j] };
                        down[i][j] = sum.map(|(now, sum)| match (place[i][j], right[i][j]) {
                            (Some(held), Some(streamed)) => (now, sum + multiply(held, streamed)),
                            _ => (now, sum),
                        });
                        if let (Some((now, sum)), true) = (down[i][j], i == rows - 1) {
                            run.outputs[now * across + left + j] = sum;
                            match top + rows >= slots {
                                true => run.accesses.output_writes += 1,
                                false => run.accesses.partial_writes += 1,
                            }
                        }
                    }
                }
                run.cycles += 1;
            }
        }
    }
    run
}

fn simulate(product: &Product, rows: usize, columns: usize, dataflow: Dataflow) -> Run {
    let (array, slots) = ((rows, columns), product.slots());
    let multiply = |(weight, place): (i64, usize), candidates: &[i64]| candidates[place] * weight;
    let weight = |slot, column, run: &mut Run| feed_weight(product, Some(slot), column, run);
    let candidates = |row, slot, run: &mut Run| feed_candidates(product, row, Some(slot), run);
    match dataflow {
        Dataflow::OutputStationary => output_stationary(product, rows, columns),
        Dataflow::WeightStationary => stationary(array, (slots, product.n, product.m), weight, candidates, multiply),
        Dataflow::InputStationary => {
            let held = |slot, row, run: &mut Run| candidates(row, slot, run);
            let streamed = |column, slot, run: &mut Run| weight(slot, column, run);
            let mut run = stationary(array, (slots, product.m, product.n), held, streamed, |c, w| multiply(w, c));
            // From [n, m] to [m, n].
            let turned = |i: usize| run.outputs[i % product.n * product.m + i / product.n];
            run.outputs = (0..run.outputs.len()).map(turned).collect();
            run
        }
    }
}

/// Product, cycles and accesses. SCALE-Sim's total is the index of the last cycle; its accesses differ where
/// `CycleModel` says so.
fn check(product: &Product, rows: usize, columns: usize) {
    for dataflow in [Dataflow::OutputStationary, Dataflow::WeightStationary, Dataflow::InputStationary] {
        let what = format!("{}x{}x{} on {rows}x{columns} {dataflow:?}", product.m, product.k, product.n);
        let run = simulate(product, rows, columns, dataflow);
        assert_eq!(run.outputs, product.expected(), "{what}");

        let engine = Engine::Systolic { arrays: 1, rows: rows as u64, columns: columns as u64, dataflow };
        let skip = (product.group > 1).then(|| Ratio::new(product.keep as u64, product.group as u64).unwrap());
        let [m, k, n] = [product.m, product.k, product.n].map(|size| size as u64);
        let job = Job { m, k, n, engine: &engine, rate: (rows * columns) as u64, instruction: None, skip };
        let scalesim = CycleModel::by_name("scalesim").unwrap();
        assert_eq!(run.cycles, scalesim.time(&job).unwrap().compute.0 + 1, "{what}");
        assert_eq!(run.accesses, CycleModel::by_name("edge-aware").unwrap().accesses(&job).unwrap(), "{what}");

        let counts = scalesim.accesses(&job).unwrap();
        assert_eq!(counts.weight_reads, run.accesses.weight_reads, "{what}");
        assert_eq!(counts.partial_writes, run.accesses.partial_writes, "{what}");
        // Its other two arrays read the activations of stored positions only.
        let reads_all = product.group == 1 || dataflow == Dataflow::WeightStationary;
        if reads_all && product.k.is_multiple_of(product.group) {
            assert_eq!(counts.activation_reads, run.accesses.activation_reads, "{what}");
        }
        if dataflow != Dataflow::OutputStationary {
            assert_eq!(counts.output_writes, run.accesses.output_writes, "{what}");
        }
    }
}

fn dense() {
    let mut random = Random(61);
    for (m, k, n, rows, columns) in
        [(1, 1, 1, 1, 1), (1, 1, 1, 4, 3), (16, 40, 24, 8, 8), (5, 9, 7, 8, 4), (1, 17, 9, 4, 4), (33, 12, 1, 16, 8)]
    {
        check(&Product::new((m, k, n), (1, 1), &mut random), rows, columns);
    }
    for _ in 0..200 {
        let [m, k, n, rows, columns] = [20, 20, 20, 7, 7].map(|end| 1 + random.below(end) as usize);
        check(&Product::new((m, k, n), (1, 1), &mut random), rows, columns);
    }
}

/// Groups do not straddle folds: the array's rows are a whole number of kept positions.
fn sparse() {
    let mut random = Random(62);
    for ratio in [(2, 4), (1, 4), (3, 4), (4, 8), (1, 2), (4, 4)] {
        for _ in 0..40 {
            let [m, k, n, folds, columns] = [12, 40, 12, 3, 7].map(|end| 1 + random.below(end) as usize);
            check(&Product::new((m, k, n), ratio, &mut random), ratio.0 * folds, columns);
        }
    }
}
