#[runtime::test(start_paused = true)]
async fn paused() {}

#[runtime::test(leak_check = true)]
async fn leaks() {}

#[runtime::test(seed = 7)]
async fn seeded() {}

fn main() {}
