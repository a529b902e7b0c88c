//! The integration tests of this crate, in one program.

mod bad_input;
mod exec;
mod goldens;
mod goldens_vision;
mod oracles;
mod tidy;
mod train;

use libtest_mimic::{Arguments, run};

fn main() -> std::process::ExitCode {
    let mut cases = tidy::cases();
    cases.extend(goldens::cases());
    cases.extend(goldens_vision::cases());
    cases.extend(bad_input::cases());
    cases.extend(exec::cases());
    cases.extend(train::cases());
    run(&Arguments::from_args(), cases).exit_code()
}
