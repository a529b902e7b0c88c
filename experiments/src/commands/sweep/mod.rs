//! `interplay sweep`: costs over a grid of fields of a machine, formats and patterns.

mod figure;
mod front;
mod grid;

use std::collections::{BTreeMap, HashMap};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use interplay::files;
use interplay_hw::cost::{Accelerator, CycleModel, PriceList, Workload, area, cost};
use rayon::prelude::*;
use serde::{Serialize, Serializer};

use crate::commands::cost::prices_of;
use crate::output::{say_json, sayln, write_atomic, write_whole};
use crate::progress::Progress;
use crate::report::csv::field;
use crate::report::table::Table;
use front::Front;
use grid::File;

/// The kind of work that costs a point.
const POINT: &str = "point";

/// Arguments of `sweep`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example of a file (every field of an accelerator can be an axis):
  gemm = [\"197x768x3072\", \"197x768x768\"]     # or: model = \"vit\"
  accelerator = \"systolic-128\"
  minimise = [\"energy_pj\", \"seconds\", \"area_mm2\"]
  [grid]
  format = [\"hbfp8\", \"hbfp6\", \"mxfp8\", \"mxfp4\"]
  sparsity = [\"dense\", \"2:4\"]
  \"engine.rows\" = [32, 64, 128, 256]
  \"memory.sram.kib\" = [256, 1024, 4096]

Examples:
  interplay sweep grid.toml
  interplay sweep grid.toml --out figures/sweep
  interplay sweep grid.toml --json")]
pub struct Args {
    /// The TOML file of the grid.
    file: PathBuf,

    /// Write every point as CSV, and a figure of the first two objectives.
    #[arg(long, alias = "output", value_name = "DIR")]
    out: Option<PathBuf>,

    /// Print one JSON object with every point.
    #[arg(long)]
    json: bool,
}

/// What a point costs: numbers alone, since a grid may have millions of points.
#[derive(Debug, Default, Clone, Copy, Serialize)]
struct Costed {
    /// Which of the errors says why there is no cost, where there is none.
    #[serde(skip)]
    error: Option<u32>,
    /// Energy in pJ.
    energy_pj: f64,
    /// Time in seconds.
    seconds: f64,
    /// Cycles.
    cycles: u64,
    /// Executed multiply-accumulates over what the engine could do.
    utilisation: f64,
    /// Area in mm2.
    area_mm2: f64,
    /// Bits of the stored weights.
    weights_bits: u64,
    /// Whether no other point is better in every objective.
    front: bool,
}

/// What all points cost, by index.
#[derive(Default)]
struct Costs {
    points: Vec<Costed>,
    /// Why points have no cost, each reason once.
    errors: Vec<Arc<str>>,
}

impl Costs {
    fn error(&self, costed: &Costed) -> Option<&str> {
        costed.error.map(|at| &*self.errors[at as usize])
    }
}

/// Points that are costed side by side; the machines of no more are in memory.
const SIDE_BY_SIDE: usize = 4096;

/// Costs every point and prints those of the Pareto front.
///
/// # Errors
/// A file that is no grid, or a grid of which no point can be costed.
pub fn run(args: &Args) -> Result<()> {
    let shown = args.file.display().to_string();
    let text = interplay::load::read_to_string(&args.file).with_context(|| format!("cannot read {shown}"))?;
    let file = File::read(&text).with_context(|| shown.clone())?;
    let costs = costs(&file)?;
    if let Some(folder) = &args.out {
        files::folder(folder)?;
        write_whole(&folder.join("sweep.csv"), |out| csv(&file, &costs, out))?;
        write_atomic(&folder.join("sweep.svg"), figure::draw(&file, &costs).svg().as_bytes())?;
    }
    if args.json {
        say_json(&Shown {
            schema_version: crate::result::SCHEMA_VERSION,
            axes: file.axes(),
            minimise: &file.minimise,
            prices: &file.prices,
            points: Points(&file, &costs),
        })?;
    } else {
        print(&file, &costs);
    }
    Ok(())
}

/// Every point, with the front marked.
fn costs(file: &File) -> Result<Costs> {
    let mut front = Front::new(&file.minimise)?;
    let count = file.count()?;
    let (workloads, prices) = (&file.workloads()?, &prices_of(&file.prices)?);
    let mut progress = Progress::of([(POINT.to_owned(), u32::try_from(count).unwrap_or(u32::MAX))], false);
    progress.say("costing points");
    let mut costs = Costs { points: Vec::with_capacity(count), errors: Vec::new() };
    let mut known: HashMap<Arc<str>, u32> = HashMap::new();
    for first in (0..count).step_by(SIDE_BY_SIDE) {
        let (since, last) = (Instant::now(), count.min(first + SIDE_BY_SIDE));
        let side_by_side = (first..last).into_par_iter();
        let counted = side_by_side.map_init(BTreeMap::new, |machines, index| -> Result<Result<Costed>> {
            let point = file.point(index, machines)?;
            Ok(one(&point.machine, &workloads[&point.stored], file, prices))
        });
        for counted in counted.collect::<Vec<_>>() {
            let costed = counted?.unwrap_or_else(|error| {
                let why: Arc<str> = format!("{error:#}").into();
                let at = *known.entry(why).or_insert_with_key(|why| {
                    costs.errors.push(Arc::clone(why));
                    costs.errors.len() as u32 - 1
                });
                Costed { error: Some(at), ..Costed::default() }
            });
            front.offer(costs.points.len(), &costed);
            costs.points.push(costed);
        }
        progress.advance(POINT, (last - first) as u32, since.elapsed());
        progress.say("costing points");
    }
    progress.clear();
    if let (true, Some(first)) = (costs.points.iter().all(|c| c.error.is_some()), costs.errors.first()) {
        bail!("no point of the grid can be costed; the first: {first}");
    }
    for index in front.indices() {
        costs.points[index].front = true;
    }
    Ok(costs)
}

/// The cost of one point.
fn one(machine: &Accelerator, workload: &Workload, file: &File, prices: &PriceList) -> Result<Costed> {
    let model = CycleModel::by_name(file.cycle_model.as_deref().unwrap_or(&machine.cycle_model))?;
    let cost = cost(workload, machine, model, prices)?;
    Ok(Costed {
        error: None,
        front: false,
        energy_pj: cost.total.energy.total.typical,
        seconds: cost.total.seconds,
        cycles: cost.total.cycles.0,
        utilisation: cost.total.share.utilisation,
        area_mm2: area(machine, &cost, prices)?.total.typical,
        weights_bits: cost.footprint.weights.0,
    })
}

/// The object that `--json` prints.
#[derive(Serialize)]
struct Shown<'a> {
    schema_version: u32,
    axes: Vec<String>,
    minimise: &'a [String],
    prices: &'a str,
    points: Points<'a>,
}

/// Every point, written one after the other.
struct Points<'a>(&'a File, &'a Costs);

impl Serialize for Points<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(file, costs) = self;
        serializer.collect_seq(costs.points.iter().enumerate().map(|(index, costed)| ShownPoint {
            point: file.labels(index),
            error: costs.error(costed),
            costed,
        }))
    }
}

/// A point with the value of each axis, in the order of the grid.
#[derive(Serialize)]
struct ShownPoint<'a> {
    point: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(flatten)]
    costed: &'a Costed,
}

fn csv(file: &File, costs: &Costs, out: &std::fs::File) -> Result<()> {
    let mut out = BufWriter::new(out);
    let axes = file.axes().join(",");
    writeln!(out, "{axes},cycles,seconds,energy_pj,area_mm2,weights_bits,utilisation,front,error")?;
    for (index, c) in costs.points.iter().enumerate() {
        let error = field(costs.error(c).unwrap_or_default());
        writeln!(
            out,
            "{},{},{},{},{},{},{},{},{error}",
            file.labels(index).iter().map(|value| field(value)).collect::<Vec<_>>().join(","),
            c.cycles,
            c.seconds,
            c.energy_pj,
            c.area_mm2,
            c.weights_bits,
            c.utilisation,
            c.front
        )?;
    }
    Ok(out.flush()?)
}

fn print(file: &File, costs: &Costs) {
    let header = file.axes().into_iter().chain(["cycles", "us", "energy uJ", "area mm2", "util."].map(str::to_owned));
    let mut table = Table::new("Pareto front", header);
    let mut front: Vec<(usize, &Costed)> = costs.points.iter().enumerate().filter(|(_, c)| c.front).collect();
    front.sort_by(|a, b| a.1.seconds.total_cmp(&b.1.seconds));
    for (index, c) in &front {
        let numbers = [
            c.cycles.to_string(),
            format!("{:.3}", c.seconds * 1e6),
            format!("{:.3}", c.energy_pj / 1e6),
            format!("{:.3}", c.area_mm2),
            format!("{:.1}%", 100.0 * c.utilisation),
        ];
        table.row(file.labels(*index).into_iter().chain(numbers));
    }
    table.print();
    let refused = costs.points.iter().filter(|c| c.error.is_some()).count();
    sayln!("{} points, {} on the front of {}", costs.points.len(), front.len(), file.minimise.join(", "));
    if let Some(first) = costs.errors.first() {
        sayln!("{refused} points cannot be costed; the first: {first}");
    }
}
