//! Futures that need Tokio's runtime find it, in tasks of ours.

mod support;

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::routing::get;
use net::compat::{tokio_handle, with_tokio};
use support::run;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

// cookbook: tokio
async fn with_a_limit_of_tokio_s() -> Option<&'static str> {
    with_tokio(async {
        let answer = tokio::spawn(async { "an answer" });
        let limit = Duration::from_secs(30);
        tokio::time::timeout(limit, answer).await.ok()?.ok()
    })
    .await
}
// cookbook: end

#[test]
fn a_library_s_limit_of_time_works() {
    run(async { assert_eq!(with_a_limit_of_tokio_s().await, Some("an answer")) });
}

// cookbook: layer
/// In all handlers, and in the layers that were added before, libraries find Tokio's runtime.
fn with_tokio_inside(router: Router) -> Router {
    router.layer(from_fn(|request: Request, next: Next| {
        with_tokio(next.run(request))
    }))
}
// cookbook: end

#[test]
fn the_handlers_of_a_router_may_use_it() {
    run(async {
        let hello = get(async || with_a_limit_of_a_library_s().await);
        let router = with_tokio_inside(Router::new().route("/", hello));
        let listener = net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = net::TcpStream::connect(listener.local_addr().unwrap());
        let client = client.await.unwrap();
        runtime::spawn(net::hyper::serve(listener, router).into_future());
        let request = b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n";
        client.write_all(request).await.unwrap();
        let mut answer = String::new();
        let mut client = &client;
        AsyncReadExt::read_to_string(&mut client, &mut answer)
            .await
            .unwrap();
        assert!(answer.ends_with("in time"), "{answer}");
    });
}

/// As tower's timeout does, or a client's.
async fn with_a_limit_of_a_library_s() -> &'static str {
    let limit = tokio::time::timeout(Duration::from_secs(30), async { "in time" });
    limit.await.unwrap_or("late")
}

#[test]
fn tokio_s_timers_tasks_and_sockets_work_inside() {
    run(with_tokio(async {
        let start = Instant::now();
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(start.elapsed() >= Duration::from_millis(5));
        let forever = std::future::pending::<()>();
        assert!(
            tokio::time::timeout(Duration::from_millis(5), forever)
                .await
                .is_err()
        );

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buf = [0; 5];
            stream.read_exact(&mut buf).await.unwrap();
            stream.write_all(&buf).await.unwrap();
        });
        // And a client of ours, in the same future.
        let client = net::TcpStream::connect(address).await.unwrap();
        client.write_all(b"hello").await.unwrap();
        let mut buf = [0; 5];
        client.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"hello");
        server.await.unwrap();
        assert_eq!(tokio::task::spawn_blocking(|| 42).await.unwrap(), 42);
    }));
}

#[test]
fn nobody_outside_is_given_a_tokio_runtime() {
    run(async {
        with_tokio(async {}).await;
        assert!(tokio::runtime::Handle::try_current().is_err());
        let task = runtime::spawn(async { tokio::runtime::Handle::try_current().is_err() });
        assert!(task.await.unwrap());
    });
}

#[test]
fn the_future_is_dropped_inside() {
    struct Looks(Arc<AtomicBool>);
    impl Drop for Looks {
        fn drop(&mut self) {
            let inside = tokio::runtime::Handle::try_current().is_ok();
            self.0.store(inside, Ordering::Relaxed);
        }
    }
    run(async {
        let inside = Arc::new(AtomicBool::new(false));
        let looks = Looks(Arc::clone(&inside));
        let mut future = Box::pin(with_tokio(async move {
            let _looks = looks;
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }));
        let limit = runtime::time::timeout(Duration::from_millis(1), &mut future);
        assert!(limit.await.is_err());
        drop(future);
        assert!(inside.load(Ordering::Relaxed));
    });
}

#[test]
fn thousands_of_tasks_share_the_one_runtime() {
    run(async {
        const TASKS: usize = 2_000;
        let done = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..TASKS)
            .map(|i| {
                let done = Arc::clone(&done);
                runtime::spawn(with_tokio(async move {
                    tokio::time::sleep(Duration::from_millis(i as u64 % 7)).await;
                    let spawned = tokio::spawn(async move { i });
                    assert_eq!(spawned.await.unwrap(), i);
                    done.fetch_add(1, Ordering::Relaxed);
                }))
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(done.load(Ordering::Relaxed), TASKS);
        let threads = std::fs::read_dir("/proc/self/task").unwrap();
        let helpers = threads
            .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok())
            .filter(|name| name.trim_end() == "tokio-context")
            .count();
        assert_eq!(helpers, 1);
    });
}

#[test]
fn a_panic_inside_leaves_the_context() {
    run(async {
        let task = runtime::spawn(with_tokio(async { panic!("as the test wants it") }));
        assert!(task.await.unwrap_err().is_panic());
        assert!(tokio::runtime::Handle::try_current().is_err());
        assert_eq!(tokio_handle().unwrap().spawn(async { 1 }).await.unwrap(), 1);
    });
}
