//! Speed of the datapaths, on one core and on all, as shares of an FP32 GEMM's in the same run; the bounds are written at
//! `interplay_hw::bench`. The aims: `int8` twice the peer with VNNI and once with AVX2, `block` on HBFP8 and MXINT8 once,
//! tensor cores 1 GMAC/s a core and a tenth of the peer.
//!
//! `cargo bench -p interplay-hw [-- NAME[:FORMAT] …]`

use interplay_hw::Path;
use interplay_hw::bench::{DATAPATHS, Row, SHAPE, Subject, measure_on};

/// Block formats beside the natural one.
const BLOCKS: [&str; 7] =
    ["block:mxint8", "block:hbfp4", "block:mxfp6", "block:mxfp4", "block:nvfp4", "block:mxfp8", "block:mxfp8-e5m2"];

fn main() {
    // Cargo adds a flag of its own.
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let all: Vec<&str> = match named.is_empty() {
        true => DATAPATHS.into_iter().chain(BLOCKS).collect(),
        false => named.iter().map(String::as_str).collect(),
    };
    let subjects: Vec<Subject> = all.iter().map(|name| Subject::by_name(name).expect("a datapath")).collect();
    for path in Path::available().into_iter().filter(|path| [Path::Avx2, Path::best()].contains(path)) {
        println!("{path:?}, M x K x N = {SHAPE:?}: GMAC/s (share of f32 gemm) on one core, on all");
        for row in measure_on(path, &subjects, SHAPE, 0).expect("operands that go together") {
            let Row { gmacs_per_core: one, gmacs: all, .. } = row;
            println!(
                "  {:<32} {:<12} {one:7.1} ({:4.2}) {all:7.1} ({:4.2})",
                row.datapath,
                row.format,
                one / row.f32_gemm_gmacs_per_core,
                all / row.f32_gemm_gmacs,
            );
        }
    }
}
