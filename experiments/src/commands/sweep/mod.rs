//! `interplay sweep`: costs over a grid of fields of a machine, formats and patterns.

mod figure;
mod front;
mod grid;

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use interplay_hw::cost::{Accelerator, CycleModel, PriceList, Workload, area, cost};
use rayon::prelude::*;
use serde::Serialize;
use serde_json::json;

use crate::commands::cost::prices_of;
use crate::output::{sayln, write_atomic};
use crate::report::csv::field;
use crate::report::table::Table;
use grid::{File, Point};

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
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Print one JSON object with every point.
    #[arg(long)]
    json: bool,
}

/// What a point costs.
#[derive(Debug, Clone, Serialize)]
struct Costed {
    /// The value of each axis, in the order of the grid.
    point: Vec<String>,
    /// Why there is no cost, where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
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

/// Costs every point and prints those of the Pareto front.
///
/// # Errors
/// A file that is no grid, or a grid of which no point can be costed.
pub fn run(args: &Args) -> Result<()> {
    let shown = args.file.display().to_string();
    let text = std::fs::read_to_string(&args.file).with_context(|| format!("cannot read {shown}"))?;
    let file = File::read(&text).with_context(|| shown.clone())?;
    let points = file.points()?;
    let workloads = file.workloads(&points)?;
    let prices = &prices_of(&file.prices)?;
    let progress = bar(points.len() as u64)?;
    let mut costed: Vec<Costed> = points
        .par_iter()
        .zip(&workloads)
        .map(|(point, workload)| {
            let costed = one(point, workload, &file, prices);
            progress.inc(1);
            costed
        })
        .collect();
    progress.finish_and_clear();
    if let Some(error) = costed.iter().all(|c| c.error.is_some()).then(|| costed.first()).flatten() {
        bail!("no point of the grid can be costed; the first: {}", error.error.as_deref().unwrap_or_default());
    }
    front::mark(&mut costed, &file.minimise)?;
    if let Some(folder) = &args.out {
        write_atomic(&folder.join("sweep.csv"), csv(&file, &costed).as_bytes())?;
        write_atomic(&folder.join("sweep.svg"), figure::draw(&file, &costed).svg().as_bytes())?;
    }
    if args.json {
        let object = json!({
            "schema_version": crate::result::SCHEMA_VERSION,
            "axes": file.axes(),
            "minimise": file.minimise,
            "prices": file.prices,
            "points": costed,
        });
        sayln!("{}", serde_json::to_string_pretty(&object)?);
    } else {
        print(&file, &costed);
    }
    Ok(())
}

/// A bar with the time left; nothing is drawn where standard error is no terminal.
fn bar(points: u64) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{pos}/{len} points {bar:30} {eta} left")?;
    Ok(ProgressBar::new(points).with_style(style))
}

/// The cost of one point; one that cannot be costed says why.
fn one(point: &Point, workload: &Workload, file: &File, prices: &PriceList) -> Costed {
    let counted = || -> Result<Costed> {
        let machine: &Accelerator = &point.machine;
        let model = CycleModel::by_name(file.cycle_model.as_deref().unwrap_or(&machine.cycle_model))?;
        let cost = cost(workload, machine, model, prices)?;
        Ok(Costed {
            point: point.labels.clone(),
            error: None,
            energy_pj: cost.total.energy.total.typical,
            seconds: cost.total.seconds,
            cycles: cost.total.cycles.0,
            utilisation: cost.total.share.utilisation,
            area_mm2: area(machine, &cost, prices)?.total.typical,
            weights_bits: cost.footprint.weights.0,
            front: false,
        })
    };
    counted().unwrap_or_else(|error| Costed {
        point: point.labels.clone(),
        error: Some(format!("{error:#}")),
        energy_pj: 0.0,
        seconds: 0.0,
        cycles: 0,
        utilisation: 0.0,
        area_mm2: 0.0,
        weights_bits: 0,
        front: false,
    })
}

fn csv(file: &File, costed: &[Costed]) -> String {
    let mut out = file.axes().join(",");
    out.push_str(",cycles,seconds,energy_pj,area_mm2,weights_bits,utilisation,front,error\n");
    for c in costed {
        let error = field(c.error.as_deref().unwrap_or_default());
        let _ = writeln!(
            out,
            "{},{},{},{},{},{},{},{},{error}",
            c.point.iter().map(|value| field(value)).collect::<Vec<_>>().join(","),
            c.cycles,
            c.seconds,
            c.energy_pj,
            c.area_mm2,
            c.weights_bits,
            c.utilisation,
            c.front
        );
    }
    out
}

fn print(file: &File, costed: &[Costed]) {
    let header = file.axes().into_iter().chain(["cycles", "us", "energy uJ", "area mm2", "util."].map(str::to_owned));
    let mut table = Table::new("Pareto front", header);
    let mut front: Vec<&Costed> = costed.iter().filter(|c| c.front).collect();
    front.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    for c in &front {
        let numbers = [
            c.cycles.to_string(),
            format!("{:.3}", c.seconds * 1e6),
            format!("{:.3}", c.energy_pj / 1e6),
            format!("{:.3}", c.area_mm2),
            format!("{:.1}%", 100.0 * c.utilisation),
        ];
        table.row(c.point.iter().cloned().chain(numbers));
    }
    table.print();
    let refused = costed.iter().filter(|c| c.error.is_some()).count();
    sayln!("{} points, {} on the front of {}", costed.len(), front.len(), file.minimise.join(", "));
    if let Some(first) = costed.iter().find_map(|c| c.error.as_ref()) {
        sayln!("{refused} points cannot be costed; the first: {first}");
    }
}
