//! Ctrl-C in the parent: the run is cut short, and what was measured so far is still shown.
#![forbid(unsafe_code)]

use std::io;
use std::thread;

use runtime::Builder;
use runtime::signal::{self, SignalKind};

/// Has `then` run at the first Ctrl-C, on a thread of its own. A second one ends the program at
/// once.
///
/// The runtime on that thread sleeps until then: it costs the run nothing.
pub(crate) fn on_ctrl_c(then: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let runtime = Builder::new().max_procs(1).build()?;
    let mut interrupts = {
        let _entered = runtime.enter();
        // Here, not on the thread: from now on it counts.
        signal::unix(SignalKind::interrupt())?
    };
    let wait = move || {
        runtime.block_on(interrupts.recv());
        drop(interrupts);
        then();
    };
    thread::Builder::new()
        .name("interrupt".to_owned())
        .spawn(wait)
        .map(drop)
}
