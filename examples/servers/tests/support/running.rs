//! How the tests of `examples/servers` and `examples/crates` are run.

use std::future::Future;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Only a hang lasts as long.
const HANG: Duration = Duration::from_secs(300);

/// Runs a test on a runtime of its own with two workers, and fails it when it hangs.
pub(crate) fn run<F>(test: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let (done, finished) = channel();
    let thread = thread::spawn(move || {
        let runtime = runtime::Builder::new().max_procs(2).build().unwrap();
        runtime.block_on(test);
        let _ = done.send(());
    });
    if let Err(RecvTimeoutError::Timeout) = finished.recv_timeout(HANG) {
        panic!("the test hangs");
    }
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}
