#[runtime::main]
async fn arguments(x: u32) {}

#[runtime::main]
async fn generic<T>() {}

#[runtime::test]
#[rustfmt::skip]
async fn bounded() where u8: Copy {}

#[runtime::main]
async unsafe fn dangerous() {}

fn main() {}
