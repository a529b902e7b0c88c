//! Ctrl-C and a polite kill: the work in hand is finished, what is done is written, and the program says so.

use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// The exit code of a run that was interrupted, as shells expect it (128 + SIGINT).
pub const EXIT_CODE: u8 = 130;

/// Installs the handler. A second Ctrl-C ends the program at once; every file is written under a temporary name first, so
/// even that leaves only whole files.
pub fn install() {
    let handler = || {
        if ASKED.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(EXIT_CODE));
        }
    };
    // A second handler can only be refused where one is installed already, and that one does the same.
    let _ = ctrlc::set_handler(handler);
}

/// Whether the user asked to stop.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
