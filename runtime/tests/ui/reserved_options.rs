#[runtime::test(start_paused = true)]
async fn paused() {}

#[runtime::test(seed = 7)]
async fn seeded() {}

fn main() {}
