fn main() {
    let ctx = sync::context::Context::background();
    ctx.with_value("user", 1);
}
