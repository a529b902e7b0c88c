//! All tests of the crate in one binary; see `support` for how oracle files are found.

mod big;
mod catalog;
mod cycles;
mod errors;
mod fast;
mod identify;
mod laws;
mod mmasim;
mod silicon;
mod support;

fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = [big::trials(), catalog::trials(), mmasim::trials(), silicon::trials(), fast::trials(), errors::trials(), cycles::trials(), identify::trials(), laws::trials()];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit();
}
