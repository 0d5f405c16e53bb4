#[runtime::main(max_procs = 0, nonsense)]
fn main(x: u8) {}
