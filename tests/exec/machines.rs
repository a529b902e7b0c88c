//! One machine a question: the unit that gives the bits is the unit that is priced, on every machine, for every format and pattern.

use std::sync::Arc;

use interplay::formats::{Format, Order, Pattern};
use interplay::hw::cost::{Accelerator, CycleModel, PriceList, Runs, cost};
use interplay::hw::{self, Datapath, Operand};
use interplay::plan::{LayerConfig, Plan, Preset};
use interplay::session::Session;
use libtest_mimic::{Failed, Trial};

use super::sessions::{ids, opt};
use super::zoo::logits;

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("exec::machines_price_what_they_compute", priced),
        Trial::test("exec::machines_compute_on_their_own_units", own_units),
        Trial::test("exec::machines_dequantise_as_runtimes_do", dequantised),
        Trial::test("exec::machines_refuse_what_they_lack", refused),
    ]
}

fn machine(name: &str) -> Result<Arc<Accelerator>, Failed> {
    Ok(Arc::new(Accelerator::by_name(name)?.clone()))
}

fn plan(format: &str, pattern: &str) -> Result<Plan, Failed> {
    let pattern: Pattern = pattern.parse()?;
    let format = Format::by_name(format)?;
    let both = pattern != Pattern::Dense && !format.is_exact();
    let order = if both { Order::Sq } else { Order::None };
    Ok(Plan::new(Preset::Paper, LayerConfig::new(format, pattern, order)?))
}

/// Placements of a session against the layers of its cost, and a mismatch that is refused.
fn priced() -> Result<(), Failed> {
    let mut session = Session::new(opt()?, Plan::fp32())?;
    let prices = PriceList::by_name("horowitz45")?;
    let (mut ran, mut refused) = (0, 0);
    let formats = [
        "fp32",
        "bf16",
        "fp16",
        "e4m3",
        "int8",
        "int4",
        "int4-g32",
        "mxfp8",
        "mxfp6",
        "mxfp4",
        "nvfp4",
        "hbfp6",
        "interplay-int8",
    ];
    for accelerator in Accelerator::all() {
        let model = CycleModel::by_name(&accelerator.cycle_model)?;
        for (format, pattern) in
            formats.iter().flat_map(|format| ["dense", "50%", "2:4"].map(|pattern| (format, pattern)))
        {
            session.set_plan(plan(format, pattern)?.on(Arc::new(accelerator.clone())))?;
            let Ok(placements) = session.placements() else {
                refused += 1;
                continue;
            };
            let workload = session.workload(&ids(5))?;
            let cost = cost(&workload, accelerator, model, prices)?;
            let placed: Vec<_> = placements.iter().filter(|p| p.run.slot.is_some()).collect();
            assert_eq!(cost.host.len(), placements.len() - placed.len());
            assert_eq!(cost.layers.len(), placed.len());
            for (layer, placed) in cost.layers.iter().zip(placed) {
                assert_eq!((layer.gemm.name.as_str(), layer.runs), (placed.layer.as_str(), placed.run.runs));
                assert_eq!((layer.datapath.as_str(), layer.skip), (placed.run.priced().name, placed.run.skip));
                // What ran is what the machine's record says; the host's law is `fp32`.
                assert_eq!(placed.datapath, placed.run.datapath.name);
                ran += 1;
            }
            // The same workload on a machine whose units are others.
            let other = Accelerator::by_name(if ["h100", "h200"].contains(&accelerator.name.as_str()) {
                "systolic-128"
            } else {
                "h100"
            })?;
            let elsewhere = hw::cost::cost(&workload, other, CycleModel::by_name(&other.cycle_model)?, prices);
            let same = placements.iter().all(|p| p.run.runs == Runs::Host);
            assert_eq!(elsewhere.is_ok(), same, "{} {format} {pattern}", accelerator.name);
        }
    }
    assert!(ran > 1000 && refused > 100, "{ran} {refused}");
    Ok(())
}

/// Logits of two machines differ where their units do, and one machine's own unit is what `--datapath` names.
fn own_units() -> Result<(), Failed> {
    let logits = |plan: Plan| logits(&mut Session::new(opt()?, plan)?, ids(9));
    let natural = logits(plan("mxfp8", "dense")?)?;
    let b200 = logits(plan("mxfp8", "dense")?.on(machine("b200")?))?;
    let named = Plan::from_toml("format = \"mxfp8\"\ndatapath = \"b200.tcgen05.mxf8f6f4-e4m3.f32\"")?;
    assert_ne!(natural, b200);
    assert_eq!(b200, logits(named)?);
    Ok(())
}

/// A layer that a machine dequantises, against its definition.
fn dequantised() -> Result<(), Failed> {
    let h100 = plan("mxfp4", "dense")?.on(machine("h100")?);
    let mut session = Session::new(opt()?, h100)?;
    let placements = session.placements()?;
    let layer = placements.iter().find(|p| p.layer.ends_with("fc1")).ok_or("no fc1")?;
    assert_eq!((layer.datapath, layer.run.runs), ("hopper.mma.bf16.f32", Runs::Dequantised));
    assert_eq!(layer.run.activations.name, "bf16");
    // Stored as it was asked for: 4 bits and a scale.
    assert_eq!(layer.footprint.map(|f| f.values), Some(4 * 32 * 64));
    let (bf16, unit) = (Format::by_name("bf16")?, Datapath::by_name(layer.datapath)?);
    let w: Vec<f32> = (0..64).map(|i| (i as f32 - 31.0) * 0.011).collect();
    let q = Format::by_name("mxfp4")?.quantize(&w, 32)?;
    let mut values = q.dequantize();
    bf16.fake_quantize(&mut values, 32)?;
    let x: Vec<f32> = (0..32).map(|i| (i as f32 - 15.0) * 0.25).collect();
    let x = Operand::Values { data: &x, k: 32 };
    let found = unit.gemm(x, &unit.prepare_dequantised(&q, bf16, hw::datapath::Scales::Registers)?)?;
    assert_eq!(found, unit.gemm(x, &unit.prepare(Operand::Values { data: &values, k: 32 })?)?);
    Ok(())
}

/// One sentence that names the machine and the layer.
fn refused() -> Result<(), Failed> {
    let mut session = Session::new(opt()?, plan("hbfp6", "dense")?.on(machine("h100")?))?;
    let error = session.placements().err().ok_or("h100 has no HBFP")?.to_string();
    assert!(error.contains("h100") && error.contains("q_proj") && error.contains("hbfp6"), "{error}");
    Ok(())
}
