//! All tests of the crate in one binary; see `support` for how oracle files are found.

mod criteria;
mod laws;
mod permute;
mod support;

fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = [criteria::trials(), laws::trials(), permute::trials()];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit();
}
