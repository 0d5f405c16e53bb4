//! Two tasks that wait for each other for ever, in a program that goes on: `Handle::leaks` finds
//! them.
//!
//! The worker waits for a job; the boss sends one when the worker has said hello, which it would
//! after its first job. Every handle of the two channels is in their own hands, so nothing can ever
//! wake them. A third task waits as well, but main has the sender: it is not listed. The whole
//! program is no deadlock, for main still runs.
//!
//! Go: `pprof.Lookup("goroutineleak").WriteTo(os.Stdout, 2)`.
//!
//! Run: `cargo run --release --example leaks`
//!
//! Prints the two tasks as Go's profile would, with where each waits and where it was spawned, then
//! `closed: the third one ends`.

use runtime::dump::TaskState;
use runtime::{Handle, task, yield_now};

/// Everybody has come to rest.
async fn calm() {
    let waits = |task: &runtime::dump::TaskInfo| matches!(task.state, TaskState::Waiting(_));
    // Main itself runs.
    let busy = || {
        Handle::current()
            .dump()
            .tasks()
            .iter()
            .filter(|task| !waits(task))
            .count()
    };
    while busy() > 1 {
        yield_now().await;
    }
}

#[runtime::main]
async fn main() {
    let (jobs, inbox) = sync::channel::<u32>(0);
    let (hello, greetings) = sync::channel::<&str>(0);

    task::Builder::new().name("worker").spawn(async move {
        while let Some(job) = inbox.recv().await {
            let _ = hello.send("hello").await;
            println!("job {job} is done");
        }
    });
    task::Builder::new().name("boss").spawn(async move {
        let _ = greetings.recv().await;
        let _ = jobs.send(1).await;
    });

    let (stop, stopped) = sync::channel::<()>(0);
    let third = runtime::spawn(async move { stopped.recv().await });

    calm().await;
    let leaks = Handle::current().leaks();
    match leaks.unknown() {
        None => print!("{leaks}"),
        Some(why) => println!("this system does not tell: {why}"),
    }

    drop(stop);
    assert_eq!(third.await.expect("it does not panic"), None);
    println!("closed: the third one ends");
}
