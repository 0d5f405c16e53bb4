//! What these tests share.
#![allow(dead_code, reason = "each test program uses a part")]

use std::future::Future;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

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

/// A certificate for `localhost` that vouches for itself, and its key.
pub(crate) fn certificate() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let CertifiedKey { cert, signing_key } = made();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    (cert.into(), key)
}

fn made() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}
