//! ⚠ SIGQUIT (Ctrl-\ in a terminal): print what every task does, and exit with status 2, as a Go
//! program does.
//!
//! The handler writes a byte into a socket pair. A thread that does nothing else waits for it
//! there, takes the dumps, writes them, and ends the process. It belongs to no runtime and waits
//! for none: it works when every worker is stuck, and when some task holds the lock of std's
//! stderr, since it writes to the descriptor itself. It ends the process by `_exit`, which runs
//! nothing of anybody's.
//!
//! There is one for the process, started by the first runtime that asks for it. It never goes away.
//! While the program itself listens for SIGQUIT ([`signal`]) it does nothing, as in Go.

use std::io::{self, BufWriter, Read, Write};
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use crate::deadlock;
use crate::scheduler::threads;
use crate::signal;
use crate::stderr;

/// Whether the handler is there.
static INSTALLED: Mutex<bool> = Mutex::new(false);

/// The process that it was installed in, for handlers; 0: none. A child that was made by `fork` has
/// the handler, and its parent's thread at the other end.
static IN_FORCE: AtomicU32 = AtomicU32::new(0);

/// Go's status.
const STATUS: i32 = 2;

/// Installs the handler, unless that was done before.
///
/// # Errors
///
/// If the system refuses descriptors, the thread or the handler.
pub(crate) fn install() -> io::Result<()> {
    let mut installed = INSTALLED
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    if *installed {
        return Ok(());
    }
    let (told, tell) = UnixStream::pair()?;
    // Should the buffer be full, nobody needs another byte.
    tell.set_nonblocking(true)?;
    thread::Builder::new()
        .name("weftline-sigquit".into())
        .spawn(move || wait(told))?;
    // If somebody else handles it too, that handler may wake a task.
    if threads::catches(libc::SIGQUIT) == Some(false) {
        threads::handler_wakes_nobody(libc::SIGQUIT);
    }
    let action = move || {
        if signal::has_listener(libc::SIGQUIT) {
            return;
        }
        if is_installed() {
            let _ = (&tell).write(&[0]);
        } else {
            signal::act_by_default(libc::SIGQUIT);
        }
    };
    // Before the handler, which asks. Relaxed: a number and nothing more.
    IN_FORCE.store(process::id(), Ordering::Relaxed);
    // SAFETY: the action makes one `write` system call on a descriptor that stays open, or does
    // what handlers of signals do; it neither allocates, locks nor panics.
    let registered = unsafe { signal_hook_registry::register(libc::SIGQUIT, action) };
    if let Err(error) = registered {
        IN_FORCE.store(0, Ordering::Relaxed);
        return Err(error);
    }
    *installed = true;
    Ok(())
}

/// Whether SIGQUIT prints the tasks, unless somebody listens for it. Callable inside a handler.
pub(crate) fn is_installed() -> bool {
    IN_FORCE.load(Ordering::Relaxed) == process::id()
}

/// The life of the thread.
fn wait(mut told: UnixStream) {
    threads::become_helper();
    // An end without a byte: the handler was not installed after all.
    if told.read_exact(&mut [0]).is_ok() {
        let _ = report();
        // SAFETY: ends the process without running anything of it.
        unsafe { libc::_exit(STATUS) };
    }
}

fn report() -> io::Result<()> {
    let mut stderr = BufWriter::new(stderr::open()?);
    writeln!(stderr, "SIGQUIT: quit")?;
    for runtime in deadlock::all_runtimes() {
        write!(stderr, "\n{}", runtime.dump())?;
    }
    stderr.flush()
}
