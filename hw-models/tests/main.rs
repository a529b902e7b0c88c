//! All tests of the crate in one binary; see `support` for how oracle files are found.

mod aligned;
mod aligned_reference;
mod big;
mod catalog;
mod cycles;
mod declare;
mod errors;
mod explain;
mod fast;
mod laws;
mod machines;
mod mmasim;
mod silicon;
mod support;
mod verify;

fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = [
        aligned::trials(),
        big::trials(),
        catalog::trials(),
        declare::trials(),
        machines::trials(),
        mmasim::trials(),
        silicon::trials(),
        fast::trials(),
        errors::trials(),
        cycles::trials(),
        laws::trials(),
        verify::trials(),
        explain::trials(),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit();
}
