//! The command line as a user meets it: output, exit codes, files.

mod bad_use;
mod compress;
mod cost;
mod engine;
mod evaluation;
mod examples;
mod files;
mod finetune;
mod flags;
mod guides;
#[cfg(unix)]
mod interrupt;
mod methods;
mod output;
mod report;
mod results;
mod run;
mod shown;
mod studies;
mod terminal;
mod text;
mod verify;

use libtest_mimic::Arguments;

fn main() -> std::process::ExitCode {
    let mut cases = text::cases();
    cases.extend(bad_use::cases());
    cases.extend(compress::cases());
    cases.extend(cost::cases());
    cases.extend(engine::cases());
    cases.extend(evaluation::cases());
    cases.extend(examples::cases());
    cases.extend(files::cases());
    cases.extend(finetune::cases());
    cases.extend(flags::cases());
    cases.extend(guides::cases());
    #[cfg(unix)]
    cases.extend(interrupt::cases());
    cases.extend(methods::cases());
    cases.extend(output::cases());
    cases.extend(report::cases());
    cases.extend(results::cases());
    cases.extend(studies::cases());
    cases.extend(terminal::cases());
    cases.extend(verify::cases());
    libtest_mimic::run(&Arguments::from_args(), cases).exit_code()
}
