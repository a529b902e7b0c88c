//! All tests of the crate in one binary; see `support` for how oracle files are found.

mod big;
mod catalog;
mod conformance;
mod cycles;
mod declare;
mod errors;
mod evaluator;
mod fast;
mod laws;
mod mmasim;
mod packs;
mod reference;
mod rows;
mod silicon;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod softfloat;
mod sparse;
mod support;
mod unit_laws;

fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = vec![
        big::trials(),
        catalog::trials(),
        declare::trials(),
        evaluator::trials(),
        packs::trials(),
        unit_laws::trials(),
        conformance::trials(),
        sparse::trials(),
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        softfloat::trials(),
        mmasim::trials(),
        silicon::trials(),
        fast::trials(),
        errors::trials(),
        cycles::trials(),
        laws::trials(),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit();
}
