//! The thing itself where what is done with it has to be.
use sync::{WaitGroup, channel, context::Context, select};

async fn f(ctx: Context, wg: WaitGroup) {
    let (tx, rx) = channel::<u32>(0);
    select! {
        v = rx => drop(v),
        default => {}
    }
    select! {
        _ = &tx => {}
        _ = ctx, if true => {}
        _ = wg => {}
    }
}

fn main() {}
