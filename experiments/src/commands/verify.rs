//! `interplay verify`: results that something computed, against a datapath.

use std::process::ExitCode;

use anyhow::{Result, bail};
use interplay_hw::verify::Options;
use interplay_hw::{Operands, explain, verify_with};

use super::vectors::{Place, Vectors, place};
use crate::output::sayln;

/// Some results are not the datapath's.
const MISMATCHES: u8 = 1;

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Tensors: a, b [rows, K], c [rows], sa or scale_a, sb or scale_b [rows, K/block], e [rows, K/4] for metadata of 2:4,
d (or d_fp32, d_fp16) [rows]; or matrices A [M, K], B [K, N], C, D. F16, BF16, F32, F64, F8_E4M3, F8_E5M2, F8_E8M0, I8 and I32
are numbers, which the unit's format must have; U8 and U16 are codes, U32 FP32 bits, U64 FP64 bits.
Rows whose `agree` is 0 are left out. Exit code 0: all the same; 1: mismatches; 2: bad use. docs/datapaths.md has more.

Examples:
  interplay verify --datapath ada.mma.e4m3.f32 --vectors kernel.safetensors
  interplay verify --datapath hopper.wgmma.f16.f32 --vectors v.safetensors --prefix f16_df32/k64i16 --k 16 --json
  interplay verify --datapath hopper.wgmma.e4m3.f32 --vectors h100.safetensors --c zero
  interplay verify --datapath hopper.wgmma.f16.f32 --vectors gemm.safetensors --row 3,17
  interplay verify --datapath ieee.fma.f32.f32 --vectors gemm.safetensors --k-order 0,2,1,3 --tolerance ulp=1")]
pub struct Args {
    /// The datapath; `interplay list datapaths` shows all.
    #[arg(long, alias = "datapaths", value_name = "NAME")]
    datapath: String,

    #[command(flatten)]
    vectors: Vectors,

    /// Accept results that are at most N units in the last place away.
    #[arg(long, value_name = "ulp=N", value_parser = ulp)]
    tolerance: Option<u64>,

    /// Also explain one output step by step, as `interplay explain` does: the row, of matrices M,N, from 0.
    #[arg(long, value_name = "M,N", value_parser = place)]
    row: Option<Place>,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Compares and prints what was found.
///
/// # Errors
/// An unknown datapath, a file that cannot be read, tensors that are missing or do not fit, operands that the datapath
/// does not have.
pub fn run(args: &Args) -> Result<ExitCode> {
    let datapath = super::define::datapath(&args.datapath)?;
    let (report, without_c, explanation) = args.vectors.read(|tensors, operands, options| {
        let options = Options { tolerance_ulp: args.tolerance.unwrap_or(0), ..options };
        let results = tensors.results(datapath)?;
        let report = verify_with(datapath, &operands, &results, &options)?;
        let index = args.row.map(|place| place.index(tensors.layout)).transpose()?;
        let explanation = index.map(|index| explain(datapath, &operands, index, &options)).transpose()?;
        // A frequent reason, and easily missed: the kernel, or who recorded it, does not use c.
        let without_c = !report.is_match() && operands.c.is_some() && {
            let operands = Operands { c: None, ..operands };
            verify_with(datapath, &operands, &results, &options).is_ok_and(|report| report.is_match())
        };
        Ok((report, without_c, explanation))
    })?;
    if args.json {
        let mut object = serde_json::to_value(&report)?;
        if let Some(explanation) = &explanation {
            object["explanation"] = serde_json::to_value(explanation)?;
        }
        sayln!("{}", serde_json::to_string_pretty(&object)?);
    } else {
        sayln!("{report}");
        if without_c {
            sayln!("With --c zero every row agrees: these results do not use c.");
        }
        if let Some(explanation) = &explanation {
            sayln!("{explanation}");
        }
    }
    Ok(if report.is_match() { ExitCode::SUCCESS } else { ExitCode::from(MISMATCHES) })
}

/// `ulp=N`.
fn ulp(text: &str) -> Result<u64> {
    match text.strip_prefix("ulp=").map(str::parse) {
        Some(Ok(n)) => Ok(n),
        _ => bail!("give it as ulp=N, N a whole number"),
    }
}
