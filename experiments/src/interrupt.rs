//! Ctrl-C and a polite kill: every command ends within a second, with the exit code that shells expect of it.
//!
//! The signals are blocked in all threads but one, which waits for them, so that neither a long computation nor a pipe without a writer
//! holds the end up. Where nothing is to be kept, the process ends at once. A command that keeps what is finished says so by [`keep`] and
//! looks at [`asked`] between two pieces of work; where that takes longer than [`GRACE`], the process ends all the same, which is safe
//! because a file is renamed into its place when it is whole. A second signal ends the process at once.

use std::io;
use std::process::{Child, Command, ExitCode, ExitStatus, exit};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use interplay::files::discard_unfinished;

use crate::progress;

/// What work in hand has to come to an end.
const GRACE: Duration = Duration::from_millis(750);
/// What the last words have, which a stopped terminal would hold up.
const TIDY: Duration = Duration::from_millis(100);
/// Between two looks at a program that was started.
const LOOK: Duration = Duration::from_millis(20);

/// The exit code of the first signal; 0 before it.
static CODE: AtomicU8 = AtomicU8::new(0);
/// What becomes of what is finished, in the words that the user is told.
static KEPT: Mutex<Option<String>> = Mutex::new(None);
/// The program that was started and is waited for.
static STARTED: Mutex<Option<Child>> = Mutex::new(None);

/// From now on signals end the process by this module's rules; to be called before any other thread is started.
pub fn install() {
    // Without the handler the system ends the process, which is what the user wants too.
    let _ = signals::wait_for(signalled);
}

/// From now on the first signal leaves the command time to come to the end of a piece of work; `promise` says what is kept.
pub fn keep(promise: String) {
    *KEPT.lock().unwrap_or_else(PoisonError::into_inner) = Some(promise);
}

/// Whether the user asked to stop.
pub fn asked() -> bool {
    CODE.load(Ordering::Relaxed) != 0
}

/// The exit code where the user asked to stop: 130 for Ctrl-C, 143 for a polite kill.
pub fn code() -> Option<ExitCode> {
    let code = CODE.load(Ordering::Relaxed);
    (code != 0).then(|| ExitCode::from(code))
}

/// Runs another program, which does not outlive this one.
///
/// # Errors
/// It cannot be started.
pub fn status_of(command: &mut Command) -> io::Result<ExitStatus> {
    let started = || STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    signals::let_through(command);
    {
        let mut slot = started();
        *slot = Some(command.spawn()?);
    }
    loop {
        let mut slot = started();
        let status = slot.as_mut().map(Child::try_wait).transpose()?.flatten();
        if let Some(status) = status {
            *slot = None;
            return Ok(status);
        }
        drop(slot);
        thread::sleep(LOOK);
    }
}

fn signalled(code: u8) {
    if CODE.compare_exchange(0, code, Ordering::Relaxed, Ordering::Relaxed).is_err() {
        leave(code, None);
    }
    match KEPT.lock().unwrap_or_else(PoisonError::into_inner).clone() {
        None => leave(code, None),
        Some(promise) => {
            thread::spawn(move || {
                thread::sleep(GRACE);
                leave(code, Some(promise));
            });
        }
    }
}

/// Ends the process; nothing unfinished stays behind.
fn leave(code: u8, words: Option<String>) -> ! {
    let (done, wait) = mpsc::channel();
    thread::spawn(move || {
        if let Some(child) = STARTED.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            signals::end(child);
        }
        discard_unfinished();
        progress::erase();
        if let Some(words) = words {
            eprintln!("interrupted: {words}");
        }
        // Nobody waits any more where this took too long.
        let _ = done.send(());
    });
    // Too long or not: the end is the same.
    let _ = wait.recv_timeout(TIDY);
    exit(i32::from(code))
}

#[cfg(unix)]
mod signals {
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};
    use std::{io, thread};

    use nix::sys::signal::{SigSet, Signal, kill};
    use nix::unistd::Pid;

    fn both() -> SigSet {
        let mut set = SigSet::empty();
        set.add(Signal::SIGINT);
        set.add(Signal::SIGTERM);
        set
    }

    /// Calls `then` with the exit code of each signal.
    pub fn wait_for(then: fn(u8)) -> io::Result<()> {
        let set = both();
        set.thread_block()?;
        thread::Builder::new().name("signals".into()).spawn(move || {
            loop {
                match set.wait() {
                    Ok(Signal::SIGINT) => then(130),
                    Ok(_) => then(143),
                    Err(_) => {}
                }
            }
        })?;
        Ok(())
    }

    /// Lets the signals through to a program that is started, which would take over that they are blocked.
    pub fn let_through(command: &mut Command) {
        // SAFETY: between fork and exec nothing is called but functions on signal sets and masks, which are async-signal-safe.
        unsafe {
            command.pre_exec(|| Ok(both().thread_unblock()?));
        }
    }

    /// Ends a program politely, so that it removes what it has begun.
    pub fn end(child: &mut Child) {
        if let Ok(id) = i32::try_from(child.id()) {
            // One that has ended already is not missed.
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        }
    }
}

#[cfg(not(unix))]
mod signals {
    use std::io;
    use std::process::{Child, Command};

    pub fn wait_for(then: fn(u8)) -> io::Result<()> {
        ctrlc::set_handler(move || then(130)).map_err(io::Error::other)
    }

    pub fn let_through(_: &mut Command) {}

    pub fn end(child: &mut Child) {
        // One that has ended already is not missed.
        let _ = child.kill();
    }
}
