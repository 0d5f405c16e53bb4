//! Name servers that do not answer. The resolver is replaced: a program's own `getaddrinfo` goes
//! before the library's, and this one waits until it is told to fail.

mod support;

use std::ffi::{c_char, c_int, c_void};
use std::io;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use net::{Dialer, TcpStream, lookup_host};
use runtime::time::{Instant, timeout};
use support::run;

/// How many wait in the resolver, and whether they may leave.
static RESOLVER: Mutex<(usize, bool)> = Mutex::new((0, false));
static CHANGED: Condvar = Condvar::new();

// SAFETY: it has the library's signature, and is meant to take its place. It touches nothing that
// it is given: a failure needs no result.
#[unsafe(no_mangle)]
extern "C" fn getaddrinfo(
    _: *const c_char,
    _: *const c_char,
    _: *const c_void,
    _: *mut *mut c_void,
) -> c_int {
    let mut state = RESOLVER.lock().unwrap();
    state.0 += 1;
    CHANGED.notify_all();
    let mut state = CHANGED.wait_while(state, |state| !state.1).unwrap();
    state.0 -= 1;
    libc::EAI_AGAIN
}

fn waiting() -> usize {
    RESOLVER.lock().unwrap().0
}

/// Lets the resolver go, also when the test has failed: the end of the runtime waits for it.
struct Release;

impl Drop for Release {
    fn drop(&mut self) {
        RESOLVER.lock().unwrap().1 = true;
        CHANGED.notify_all();
    }
}

#[test]
fn a_name_server_that_does_not_answer_holds_up_nobody_else() {
    run(async {
        let release = Release;
        // A limit on connecting holds for the lookup as well.
        let start = Instant::now();
        let mut dialer = Dialer::new();
        dialer.timeout(Duration::from_millis(50));
        let error = dialer.connect("slow.example:80").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains("slow.example:80"), "{error}");
        assert!(start.elapsed() >= Duration::from_millis(50));

        // So does one from outside.
        let connecting = TcpStream::connect("slow.example:80");
        assert!(timeout(Duration::from_millis(5), connecting).await.is_err());

        // However many ask, threads are left for others, and literal addresses need none.
        let lookups: Vec<_> = (0..300)
            .map(|i| runtime::spawn(async move { lookup_host((format!("slow{i}"), 80)).await }))
            .collect();
        while waiting() < 64 {
            runtime::yield_now().await;
        }
        assert_eq!(runtime::spawn_blocking(|| 5).await.unwrap(), 5);
        assert_eq!(lookup_host("127.0.0.1:80").await?.len(), 1);
        assert_eq!(waiting(), 64);

        // Some give up before it is their turn. In the end all are told.
        for lookup in &lookups[100..200] {
            lookup.abort();
        }
        drop(release);
        for (i, lookup) in lookups.into_iter().enumerate() {
            match lookup.await {
                Err(error) => assert!(error.is_cancelled() && (100..200).contains(&i)),
                Ok(found) => {
                    let text = found.unwrap_err().to_string();
                    assert!(text.starts_with(&format!("lookup slow{i}:80: ")), "{text}");
                }
            }
        }
        Ok(())
    });
}
