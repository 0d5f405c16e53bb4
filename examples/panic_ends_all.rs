//! A panic that nobody is handed ends the process, as in Go.
//!
//! By default a panic ends its task alone. It is in the task's handle; if that is gone, it is
//! printed, and everything else goes on. `Builder::unhandled_panic` makes it end the runtime, or,
//! as here, the process, with Go's status 2.
//!
//! Go: `go func() { panic("out of paper") }()`.
//!
//! Run: `cargo run --release --example panic_ends_all`
//!
//! Prints `a panic that is handled: out of ink`, and on stderr what Rust says of each panic and, of
//! the second one, that nobody holds the handle of task `printer`, and where it was created. The
//! status is 2.

use std::future::pending;

use runtime::{Builder, UnhandledPanic, task};

fn main() -> std::io::Result<()> {
    let mut builder = Builder::new();
    let rt = builder
        .unhandled_panic(UnhandledPanic::ExitProcess)
        .build()?;
    rt.block_on(async {
        let printer = runtime::spawn(async { panic!("out of ink") });
        let error = printer.await.expect_err("it panics");
        let payload = error.into_panic();
        let text = payload.downcast_ref::<&str>().expect("it is text");
        println!("a panic that is handled: {text}");

        // The handle is dropped.
        task::Builder::new()
            .name("printer")
            .spawn(async { panic!("out of paper") });
        pending::<()>().await;
    });
    Ok(())
}
