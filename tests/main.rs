//! The integration tests of this crate, in one program.
#![allow(clippy::disallowed_methods, reason = "what a test expects may come from the system")]

mod bad_input;
mod compression;
mod emu;
mod eval;
mod exec;
mod files;
mod finetune;
mod gguf;
mod goldens;
mod goldens_vision;
mod memory;
mod oracles;
mod tidy;
mod train;

use libtest_mimic::{Arguments, run};

#[global_allocator]
static HEAP: memory::Counting = memory::Counting;

fn main() -> std::process::ExitCode {
    if let Some(measured) = memory::measured() {
        return measured.map_or(std::process::ExitCode::FAILURE, |()| std::process::ExitCode::SUCCESS);
    }
    let mut cases = tidy::cases();
    cases.extend(goldens::cases());
    cases.extend(gguf::cases());
    cases.extend(goldens_vision::cases());
    cases.extend(bad_input::cases());
    cases.extend(compression::cases());
    cases.extend(emu::cases());
    cases.extend(eval::cases());
    cases.extend(exec::cases());
    cases.extend(files::cases());
    cases.extend(finetune::cases());
    cases.extend(memory::cases());
    cases.extend(train::cases());
    run(&Arguments::from_args(), cases).exit_code()
}
