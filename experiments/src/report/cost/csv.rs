//! One line a layer; bits by memory and operand in columns of their own.

use std::fmt::Write;

use interplay_hw::cost::Cost;

use crate::report::csv::field;

/// The table.
pub fn layers(cost: &Cost) -> String {
    let mut out = String::from(
        "layer,m,k,n,count,weights,activations,sparsity,datapath,macs,macs_executed,ideal_cycles,mapped_cycles,\
         compute_cycles,launch_cycles,cycles,seconds,utilisation,padding_loss,fill_drain_loss,launch_loss,waiting_loss,bound,ops_per_byte,\
         ridge_ops_per_byte",
    );
    let memories = cost.total.memory.iter().map(|level| level.name.as_str());
    let operands = [
        "weight_values",
        "weight_scales",
        "weight_metadata",
        "activation_values",
        "activation_scales",
        "partial_sum_reads",
        "partial_sum_writes",
        "outputs",
        "peak",
    ];
    for memory in memories.clone() {
        for operand in operands {
            let _ = write!(out, ",{memory}_{operand}_bits");
        }
    }
    for part in ["mac", "idle"].into_iter().chain(memories).chain(["static", "total"]) {
        let _ = write!(out, ",{part}_energy_pj");
    }
    out.push_str(",total_energy_low_pj,total_energy_high_pj\n");
    for layer in &cost.layers {
        let (gemm, f) = (&layer.gemm, &layer.figures);
        let name = field(&gemm.name);
        let _ = write!(
            out,
            "{name},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
            gemm.m,
            gemm.k,
            gemm.n,
            gemm.count,
            layer.weights,
            layer.activations,
            layer.sparsity,
            layer.datapath,
            f.macs,
            f.macs_executed,
            f.time.ideal.0,
            f.time.mapped.0,
            f.time.compute.0,
            f.time.launch.0,
            f.cycles.0,
            f.seconds,
            f.share.utilisation,
            f.losses.padding,
            f.losses.fill_drain,
            f.losses.launch,
            f.losses.waiting,
            f.bound,
            f.intensity,
            f.ridge
        );
        for level in &f.memory {
            let m = &level.moves;
            let bits = [
                m.weight_values,
                m.weight_scales,
                m.weight_metadata,
                m.activation_values,
                m.activation_scales,
                m.partial_sum_reads,
                m.partial_sum_writes,
                m.outputs,
                level.peak_bits,
            ];
            for bits in bits {
                let _ = write!(out, ",{}", bits.0);
            }
        }
        let memories = f.energy.memory.iter().map(|(_, energy)| *energy);
        let parts = [f.energy.mac, f.energy.idle].into_iter().chain(memories).chain([f.energy.leakage, f.energy.total]);
        for energy in parts {
            let _ = write!(out, ",{}", energy.typical);
        }
        let _ = writeln!(out, ",{},{}", f.energy.total.low, f.energy.total.high);
    }
    out
}
