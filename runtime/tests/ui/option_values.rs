#[runtime::main(max_procs = "4")]
async fn text() {}

#[runtime::main(worker_threads = 0)]
async fn zero() {}

#[runtime::main(max_procs)]
async fn nothing() {}

#[runtime::main(crate = runtime)]
async fn bare_path() {}

#[runtime::main(max_procs = 1, worker_threads = 2)]
async fn twice() {}

fn main() {}
