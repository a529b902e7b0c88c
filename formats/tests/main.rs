//! All tests of the crate in one binary; see `support` for how oracle files are found.
#![allow(clippy::disallowed_methods, reason = "what a test expects may come from the system")]

mod brute;
mod counterexamples;
mod crates;
mod explain;
mod extremes;
mod fast;
mod file;
mod grids;
mod laws;
mod laws_bounds;
mod laws_theorems;
mod layout;
mod oracles;
mod oracles_integer;
mod oracles_mx;
mod oracles_nvfp4;
mod oracles_scalar;
mod packs;
mod patterns;
mod rounding;
mod scores;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod softfloat;
mod sparse;
mod sparse_laws;
mod sparse_sizes;
mod spec;
mod specials;
mod storage;
mod support;

fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = [
        spec::trials(),
        rounding::trials(),
        specials::trials(),
        brute::trials(),
        crates::trials(),
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        softfloat::trials(),
        laws::trials(),
        counterexamples::trials(),
        fast::trials(),
        file::trials(),
        explain::trials(),
        extremes::trials(),
        grids::trials(),
        storage::trials(),
        layout::trials(),
        packs::trials(),
        patterns::trials(),
        scores::trials(),
        sparse::trials(),
        sparse_sizes::trials(),
        sparse_laws::trials(),
        oracles::trials(),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit();
}
