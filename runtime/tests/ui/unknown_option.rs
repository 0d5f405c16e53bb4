#[runtime::main(threads = 4)]
async fn typo() {}

#[runtime::main(flavor = "current_thread")]
async fn from_tokio() {}

#[runtime::main(seed = 1)]
async fn only_for_tests() {}

#[runtime::test(threads = 4)]
async fn typo_in_a_test() {}

fn main() {}
