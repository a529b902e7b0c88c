//! The host of this process: the flag `--host`, which holds for every command.

use std::sync::OnceLock;

use interplay::burn::{Backend, Host};

static CHOSEN: OnceLock<Host> = OnceLock::new();

/// Makes `host` the one of this process; only the first call counts.
pub fn choose(host: Host) {
    let _ = CHOSEN.set(host);
}

/// The host of this process.
pub fn chosen() -> Host {
    CHOSEN.get().copied().unwrap_or_default()
}

/// `backend` with the host of this process.
pub fn on(backend: Backend) -> Backend {
    backend.hosted(chosen())
}
