#[runtime::test(leak_check = true)]
async fn leaks() {}

fn main() {}
